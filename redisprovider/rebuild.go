package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

const (
	// rebuildAttempts is how often a rebuild is tried if the index is lost or a
	// slot moves.
	rebuildAttempts = 3
	// rebuildTimeout bounds a rebuild, which continues without its caller. A scan
	// takes about a second for a million keys.
	rebuildTimeout = 10 * time.Minute
)

// errIndexLost is the error of a rebuild whose index the server has lost.
var errIndexLost = errors.New("the index was lost while it was being rebuilt")

// rebuilds are the rebuilds under way in this process, at most one per scope.
// startRebuild adds a rebuild, endRebuild removes it, and stop ends all of them
// for good.
type rebuilds struct {
	mu      sync.Mutex // guards following
	running map[string]*rebuild
	stopped bool // by Close: no rebuild may begin
}

// stop cancels all rebuilds, lets no other begin, and returns those under way.
func (r *rebuilds) stop() []*rebuild {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	running := make([]*rebuild, 0, len(r.running))
	for _, one := range r.running {
		one.cancel()
		running = append(running, one)
	}
	return running
}

// A rebuild completes the index of a scope. Its goroutine writes err before it
// closes done; others read err after that.
type rebuild struct {
	done   chan struct{}
	cancel context.CancelFunc
	err    error
}

// rebuild completes the index of a scope, or waits for the rebuild under way. The
// rebuild continues when ctx ends: a scan may take longer than any caller waits,
// and would otherwise never finish.
func (p *Provider) rebuild(ctx context.Context, scope string) error {
	r, err := p.startRebuild(ctx, scope)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("%w: the index is being rebuilt", ctx.Err())
	}
}

func (p *Provider) startRebuild(ctx context.Context, scope string) (*rebuild, error) {
	p.rebuilds.mu.Lock()
	defer p.rebuilds.mu.Unlock()
	if r, ok := p.rebuilds.running[scope]; ok {
		return r, nil
	}
	if p.rebuilds.stopped {
		return nil, provider.ErrClosed
	}
	if p.rebuilds.running == nil {
		p.rebuilds.running = make(map[string]*rebuild)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rebuildTimeout)
	r := &rebuild{done: make(chan struct{}), cancel: cancel}
	p.rebuilds.running[scope] = r
	go func() {
		defer p.endRebuild(scope, r)
		defer cancel()
		r.err = clientFailure(nil) // unless it returns or panics
		r.err = safely(func() error { return p.runRebuild(ctx, scope) })
	}()
	return r, nil
}

func (p *Provider) endRebuild(scope string, r *rebuild) {
	p.rebuilds.mu.Lock()
	defer p.rebuilds.mu.Unlock()
	delete(p.rebuilds.running, scope)
	close(r.done)
}

func (p *Provider) runRebuild(ctx context.Context, scope string) (err error) {
	for range rebuildAttempts {
		if err = p.rebuildOnce(ctx, scope); !errors.Is(err, errIndexLost) && !errors.Is(err, errSlotMoving) {
			break
		}
	}
	return err
}

// rebuildOnce completes the index. At the end the index is complete, because
//
//  1. rebuildOnce puts a token into the index of each bucket. The server makes
//     every token unique, so requests that arrive late or twice cannot complete a
//     rebuild;
//  2. a scan of the server finds every key that was stored before that and still
//     exists when the scan ends, and rebuildOnce adds it;
//  3. the script that stores a key after the first step adds it;
//  4. if the token is still there, the index was not lost in between, nor what
//     was added to it.
//
// Several processes may do this at the same time, each with its own token.
func (p *Provider) rebuildOnce(ctx context.Context, scope string) error {
	tokens, err := p.beginRebuild(ctx, scope)
	if err != nil || len(tokens) == 0 {
		return err
	}
	err = p.scan(ctx, scope, "", func(ctx context.Context, conn *redis.Conn, keys []string) error {
		return p.addToIndex(ctx, conn, keys, tokens)
	})
	if err != nil {
		return err
	}
	buckets := slices.Collect(maps.Keys(tokens))
	return p.readRebuild(p.run(ctx, len(buckets), func(i int) call {
		return call{script: p.scripts.rebuildEnd, keys: []string{buckets[i].index()}, args: []any{tokens[buckets[i]]}}
	}))
}

// beginRebuild returns the tokens of those buckets whose indices are not complete.
func (p *Provider) beginRebuild(ctx context.Context, scope string) (map[bucket]string, error) {
	buckets, token := p.bucketsOf(scope), newToken()
	answers := p.run(ctx, len(buckets), func(i int) call {
		return call{script: p.scripts.rebuildBegin, keys: []string{buckets[i].index()}, args: []any{token}}
	})
	tokens := make(map[bucket]string)
	for i, answer := range answers {
		switch made, err := answer.Text(); {
		case err != nil:
			return nil, err
		case made != "":
			tokens[buckets[i]] = made
		}
	}
	return tokens, nil
}

// addToIndex adds keys that a scan has found. It skips buckets without a token.
func (p *Provider) addToIndex(ctx context.Context, conn *redis.Conn, keys []string, tokens map[bucket]string) error {
	names := make(map[bucket][]any)
	var order []bucket
	for _, key := range keys {
		b, name := cutValue(key)
		token, ok := tokens[b]
		if !ok {
			continue
		}
		if names[b] == nil {
			order = append(order, b)
			names[b] = []any{token}
		}
		names[b] = append(names[b], name)
	}
	return p.readRebuild(p.runOn(ctx, conn, false, len(order), func(i int) call {
		return call{script: p.scripts.rebuildAdd, keys: []string{order[i].index()}, args: names[order[i]]}
	}))
}

// readRebuild interprets the answers of one step of a rebuild.
func (p *Provider) readRebuild(answers []once) error {
	for _, answer := range answers {
		n, err := answer.Int()
		switch {
		case err != nil:
			return err
		case n < 0:
			return errIndexLost
		}
	}
	return nil
}
