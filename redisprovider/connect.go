package redisprovider

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

// A client with ContextTimeoutEnabled sets up a connection within the deadline of the call
// that needs it. That takes three or four round trips, and often a handshake of TLS: a
// server may be near enough for reads, and too far for a read that has to connect first.
// So if calls are late, connecting sets up connections in the background, with a deadline
// of its own; and also after a first look that took long. It sets up more each time that it
// has succeeded, since it cannot know how many are wanted: four, eight, up to a part of the
// pool. The rest of the pool is for calls, should the server hang.
type connecting struct {
	busy atomic.Bool
	// size is how many connections to each server the next run makes sure of. Only the run
	// changes it.
	size atomic.Int64
	// rest is when the next run may begin, as Unix nanoseconds.
	rest atomic.Int64
}

const (
	// connectPause is the pause between two runs that have succeeded, and connectRest after
	// one that failed: then the server hangs, or is away.
	connectPause = 100 * time.Millisecond
	connectRest  = 2 * time.Second
	// mostConnecting is how many connections to one server are set up at once, at most, and
	// connectingPart the part of the pool that they are: a quarter.
	firstConnecting = 4
	mostConnecting  = 32
	connectingPart  = 4
	// farAway is how long the first look takes at a server for which connections are set up
	// before any call is late.
	farAway = 20 * time.Millisecond
)

// connectTimeout is how long a connection may take to set up: what the client allows for
// dialling, but at least a second.
func (p *Provider) connectTimeout() time.Duration { return max(p.dialTimeout(), time.Second) }

// notice takes the error of a call, for what it tells about connections.
func (p *Provider) notice(ctx context.Context, err error) {
	switch {
	case err == nil, errors.Is(err, redis.Nil):
	case serverSays(err, "READONLY "):
		p.suspect()
	case isAnswer(err), errors.Is(err, provider.ErrUndecodable), errors.Is(err, context.Canceled):
	default:
		if p.cluster != nil {
			// The node may have been replaced. The client looks for the masters by itself only if
			// it has time to ask another node, or after ClusterStateReloadInterval.
			p.cluster.ReloadState(ctx)
		}
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
			p.connect(ctx)
		}
	}
}

// noticeAny is notice for the first error of several commands.
func (p *Provider) noticeAny(ctx context.Context, answers []once) {
	for _, answer := range answers {
		if err := answer.Err(); err != nil && !errors.Is(err, redis.Nil) {
			p.notice(ctx, err)
			return
		}
	}
}

// connect sets up connections in the background, unless that is going on.
func (p *Provider) connect(ctx context.Context) {
	c := &p.connecting
	if !p.connectsInTime() || time.Now().UnixNano() < c.rest.Load() || !c.busy.CompareAndSwap(false, true) {
		return
	}
	end := func(err error) {
		pause := connectPause
		if err != nil {
			pause = connectRest
			c.size.Store(1)
		} else {
			c.size.Store(min(mostConnecting, 2*max(firstConnecting, c.size.Load()))) //nolint:mnd // twice
		}
		c.rest.Store(time.Now().Add(pause).UnixNano())
		c.busy.Store(false)
	}
	if !p.background.run(ctx, p.connectTimeout(), func(ctx context.Context) { end(p.connectAll(ctx)) }, end) {
		c.busy.Store(false)
	}
}

// connectAll makes sure of connections to all masters.
func (p *Provider) connectAll(ctx context.Context) error {
	n := int(p.connecting.size.Load())
	if n == 0 {
		n = firstConnecting
	}
	return p.onMasters(ctx, func(ctx context.Context, master server) error {
		n := max(1, min(n, master.Options().PoolSize/connectingPart))
		errs := make([]error, 2*n)
		var all sync.WaitGroup
		for i := range n {
			// At once: while a connection is being made, each command makes one of its own. Rejected: Conn,
			// whose first handshake races with those of its client (go-redis 9.23).
			all.Go(func() { errs[2*i] = safely(func() error { return greet(master.Time(ctx).Err()) }) })
			all.Go(func() { // the client has other connections for pipelines
				errs[2*i+1] = safely(func() error {
					pipe := master.Pipeline()
					pipe.Time(ctx)
					_, err := pipe.Exec(ctx)
					return greet(err)
				})
			})
		}
		all.Wait()
		return errors.Join(errs...)
	})
}

// greet is the error of a connection that may be there: an answer is one, whatever it says.
func greet(err error) error {
	if isAnswer(err) {
		return nil
	}
	return err
}
