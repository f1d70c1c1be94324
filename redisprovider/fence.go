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
// of the server; after a replica has answered, one that a replica refuses. It sends one
// script per bucket, all in one round trip.
func (p *Provider) getByScript(ctx context.Context, keys []string) []provider.Result {
	groups := p.groupBySlot(keys)
	prove := !p.fence // whose scripts ask the server anyway
	answers := p.run(ctx, len(groups), func(i int) call {
		c := call{script: p.scripts.get, keys: make([]string, len(groups[i]), len(groups[i])+1)}
		for j, at := range groups[i] {
			c.keys[j] = keys[at]
		}
		if prove {
			b, _ := cutValue(c.keys[0])
			c.script, c.keys = p.scripts.prove, append(c.keys, b.nothing())
		}
		return c
	})
	results := make([]provider.Result, len(keys))
	for i, answer := range answers {
		frames, err := answer.Slice()
		if err == nil && len(frames) != len(groups[i]) {
			err = fmt.Errorf("%d answers to %d keys", len(frames), len(groups[i]))
		}
		for j, at := range groups[i] {
			r := &results[at]
			if r.Err = err; err == nil {
				r.Entry, r.Found, r.Err = p.readFenced(frames[j])
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
