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
	// rebuildAttempts is how often a rebuild begins again after its index was
	// lost.
	rebuildAttempts = 3
	// rebuildTimeout bounds a rebuild that its caller has left. A scan takes about
	// a second for a million keys.
	rebuildTimeout = 10 * time.Minute
)

// errIndexLost is the error of a rebuild whose index was lost again and again.
var errIndexLost = errors.New("the index was lost while it was being rebuilt")

// rebuilds are the rebuilds that are under way in this process.
type rebuilds struct {
	mu      sync.Mutex // guards following
	running map[string]*rebuild
	stopped bool // no more may begin
}

// stop cancels the rebuilds and returns them.
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

// A rebuild completes the index of a scope. Its error is read after it is done.
type rebuild struct {
	done   chan struct{}
	cancel context.CancelFunc
	err    error
}

// rebuild completes the index of a scope, or waits for the rebuild that is under
// way. That goes on when ctx ends: a scan may take longer than any one caller
// waits, and would otherwise never come to its end.
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
	r := &rebuild{done: make(chan struct{}), cancel: cancel, err: errors.New("the rebuild did not return")}
	p.rebuilds.running[scope] = r
	go func() {
		defer p.endRebuild(scope, r)
		defer cancel()
		r.err = p.runRebuild(ctx, scope)
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

// rebuildOnce completes the index. It is complete at the end, because
//
//  1. it puts a token into the index of each bucket, which the server makes
//     different each time: requests that arrive late and twice, however many, do
//     not make a rebuild;
//  2. a scan of the server finds what was stored before that and is there until
//     the scan is over, and it is added;
//  3. what is stored after the first step is added by the script that stores it;
//  4. if the token is still there, the index was never lost in between, and with
//     it what was added.
//
// Others may do the same at the same time, with tokens of their own.
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

// beginRebuild returns the tokens of the buckets whose indices are not complete.
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

// addToIndex adds what a scan has found.
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

// readRebuild interprets the answers of a step of a rebuild.
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
