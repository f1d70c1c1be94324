package redisprovider

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

// An acquire whose answer nobody has read may have left a lease: its key could not be stored until the
// lease ends. This file gives such leases back, in the background. Its invariants:
//
//   - A lease is named by the part of its token that the client has chosen, which no other transmission
//     has. Nobody can fill under it, since nobody knows the rest.
//   - To give it back only removes, so it may arrive late or twice.
//   - There is one goroutine at most, and a bounded number of leases that wait for it. Those beyond the
//     bound end with their TTL.
//
// An acquire that arrives after its lease was given back plants the lease all the same. That lease ends
// with its TTL.
const (
	mostAbandoned    = 10_000 // leases that wait
	abandonedAtOnce  = 256    // leases of one round trip
	abandonTimeout   = time.Second
	abandonAttempts  = 3 // of one round trip
	abandonPause     = 50 * time.Millisecond
	abandonSlowdown  = 4 // how much longer each pause is than the one before
	tokenClientBytes = tokenBytes - nonceBytes
)

// abandoned are the leases that are to be given back.
type abandoned struct {
	mu      sync.Mutex // guards following
	waiting []provider.Lease
	running chan struct{} // closed when the goroutine ends; nil: there is none
	cancel  context.CancelFunc
	stopped bool // by Close
}

// isAnswer reports whether err is an answer of the server, or nil: the outcome of the command is known.
func isAnswer(err error) bool {
	var answer redis.Error
	return err == nil || errors.As(err, &answer)
}

// abandon gives leases back whose grants nobody has read. It does not wait. It keeps leases.
func (p *Provider) abandon(ctx context.Context, leases []provider.Lease) {
	if len(leases) == 0 {
		return
	}
	a := &p.abandoned
	a.mu.Lock()
	defer a.mu.Unlock()
	room := mostAbandoned - len(a.waiting)
	a.waiting = append(a.waiting, leases[:min(room, len(leases))]...)
	if a.running != nil || a.stopped {
		return
	}
	ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.running = make(chan struct{})
	go p.giveBack(ctx)
}

// giveBack is the goroutine of abandon.
func (p *Provider) giveBack(ctx context.Context) {
	a := &p.abandoned
	ended := false
	defer func() {
		if !ended { // a hook of the client has called runtime.Goexit
			go p.giveBack(ctx)
		}
	}()
	for {
		a.mu.Lock()
		if len(a.waiting) == 0 || ctx.Err() != nil {
			a.waiting = nil
			a.cancel()
			close(a.running)
			a.running = nil
			a.mu.Unlock()
			ended = true
			return
		}
		n := min(len(a.waiting), abandonedAtOnce)
		part := a.waiting[:n:n]
		a.waiting = a.waiting[n:]
		a.mu.Unlock()
		p.giveBackPart(ctx, part)
	}
}

// giveBackPart gives leases back in one round trip. It tries again those that the server did not have: the
// acquire may be slower than what was sent after it, on another connection.
func (p *Provider) giveBackPart(ctx context.Context, leases []provider.Lease) {
	defer func() {
		if r := recover(); r != nil { // a hook of the client panicked: nobody is left to be told
			return
		}
	}()
	pause := abandonPause
	for range abandonAttempts {
		if leases = p.giveBackOnce(ctx, leases); len(leases) == 0 {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause *= abandonSlowdown
	}
}

// giveBackOnce returns the leases that the server has not removed.
func (p *Provider) giveBackOnce(ctx context.Context, leases []provider.Lease) (left []provider.Lease) {
	ctx, cancel := context.WithTimeout(ctx, abandonTimeout)
	defer cancel()
	answers := p.run(ctx, len(leases), func(i int) call {
		return call{
			script: p.scripts.abandon,
			keys:   []string{p.keyOf(leases[i].Key)},
			args:   []any{leases[i].Token[:tokenClientBytes]},
		}
	})
	for i, answer := range answers {
		if n, err := answer.Int(); err != nil || n == 0 {
			left = append(left, leases[i])
		}
	}
	return left
}

// stop ends the goroutine, and waits for it.
func (a *abandoned) stop() {
	a.mu.Lock()
	a.stopped = true
	running := a.running
	if running != nil {
		a.cancel()
	}
	a.mu.Unlock()
	if running != nil {
		<-running
	}
}
