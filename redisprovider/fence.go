package redisprovider

import (
	"context"
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/provider"
)

// byScript reports whether reads are scripts.
func (p *Provider) byScript() bool { return p.fence || p.suspected() }

// getByScript reads keys by a script: with the fence, one that ignores frames of another run
// of the server; after a replica has answered, one that a replica refuses.
func (p *Provider) getByScript(ctx context.Context, keys []string) []provider.Result {
	return p.readByScript(ctx, keys, reading{plain: p.scripts.get, proven: p.scripts.prove, width: 1})
}

// A reading is how scripts read keys.
type reading struct {
	// plain reads. proven reads on a master only.
	plain, proven *script
	// width is how many parts an answer has for each key. The first is its frame.
	width int
	// rest interprets the other parts; nil: there are none.
	rest func(r *provider.Result, parts []any)
}

// readByScript reads keys by one script for each bucket, all in one round trip.
func (p *Provider) readByScript(ctx context.Context, keys []string, how reading) []provider.Result {
	groups := p.groupBySlot(keys)
	prove := !p.fence && p.suspected() // with the fence, the scripts ask the server anyway
	answers := p.run(ctx, len(groups), func(i int) call {
		c := call{script: how.plain, keys: make([]string, len(groups[i]), len(groups[i])+1)}
		for j, at := range groups[i] {
			c.keys[j] = keys[at]
		}
		if prove {
			b, _ := cutValue(c.keys[0])
			c.script, c.keys = how.proven, append(c.keys, b.nothing())
		}
		return c
	})
	results := make([]provider.Result, len(keys))
	for i, answer := range answers {
		found, err := answer.Slice()
		if err == nil && len(found) != how.width*len(groups[i]) {
			err = fmt.Errorf("%d answers to %d keys", len(found), len(groups[i]))
		}
		for j, at := range groups[i] {
			r := &results[at]
			if r.Err = err; err == nil {
				parts := found[how.width*j : how.width*(j+1)]
				r.Entry, r.Found, r.Err = p.readFenced(parts[0])
				if how.rest != nil {
					how.rest(r, parts[1:])
				}
			}
			if r.Err != nil {
				r.Err = failed("get", keys[at], r.Err)
			}
		}
	}
	return results
}

// readFenced interprets the answer for one key.
func (p *Provider) readFenced(frame any) (provider.Entry, bool, error) {
	switch frame := frame.(type) {
	case string:
		return p.decodeAnswer(frame)
	case nil:
		return provider.Entry{}, false, nil
	case error:
		return provider.Entry{}, false, frame
	default:
		return provider.Entry{}, false, errors.New("an answer that is no text")
	}
}
