package readthrough

import (
	"context"
	"errors"
	"time"
)

// waitAll waits for the calls of b, and returns those that the reader has left,
// with the reasons. A load that was cancelled does not keep the reader from
// waiting for the others; the end of its own context does. A reader in a load
// function that one of the calls waits for leaves them all. spare reports whether
// the reader has a stale value for all flights of a call.
func (s *keyspace) waitAll(ctx context.Context, b *boarding, spare func(*call) bool) (gone map[*call]error) {
	if b.reader != nil {
		if !s.cache.waits.begin(b.reader, b.calls) {
			return s.flights.leaveAll(b.calls, ErrRecursiveLoad)
		}
		defer s.cache.waits.end(b.reader, b.calls)
	}
	for _, c := range b.calls {
		if err := s.flights.wait(ctx, c, spare(c)); err != nil {
			if gone == nil {
				gone = make(map[*call]error)
			}
			gone[c] = err
		}
	}
	return gone
}

// wait returns nil when the outcomes of c are final. A result that is there wins
// over a context that ended at the same moment. A reader with a spare value leaves
// a load that takes longer than SoftLoadTimeout, which goes on, and one that waits
// for its turn.
func (g *flights) wait(ctx context.Context, c *call, spare bool) error {
	var soft <-chan time.Time
	var queued <-chan struct{}
	if spare {
		if c.turn != nil {
			queued = c.turn.queued
		}
		if g.options.SoftLoadTimeout > 0 {
			timer := time.NewTimer(time.Until(c.created.Add(g.options.SoftLoadTimeout)))
			defer timer.Stop()
			soft = timer.C
		}
	}
	select {
	case <-soft:
		return g.leave(ctx, c, tookLong)
	case <-queued:
		return g.leave(ctx, c, hadToQueue)
	case <-ctx.Done():
	case <-c.over:
		if c.final.Load() {
			return nil
		}
	}
	return g.leave(ctx, c, isOver)
}

// leaving is why a reader leaves a load.
type leaving uint8

const (
	// isOver: its own context has ended, or the load's.
	isOver leaving = iota
	// tookLong: it has a spare value, and goes after SoftLoadTimeout. The load goes
	// on though nobody may be left.
	tookLong
	// hadToQueue: it has a spare value, and the load has to wait for its turn. If that
	// has come meanwhile and the source is being asked, it goes on as well: to ask in
	// vain would be to ask once more.
	hadToQueue
)

// leave takes a reader away from c: because its own context has ended, or the
// load's, or because it does not want to wait any longer. It returns nil if the
// result is there after all.
func (g *flights) leave(ctx context.Context, c *call, why leaving) error {
	err := ctx.Err() // before the lock, since the context may be anybody's code
	over := c.cause()
	g.mu.Lock()
	if c.loaded {
		g.mu.Unlock()
		return nil
	}
	c.waiters--
	c.detached = c.detached || why == tookLong || why == hadToQueue && c.begun
	last := c.waiters == 0 && !c.detached || over != nil // without the load, nobody has anything to wait for
	if last {
		g.abandonLocked(c)
	}
	g.mu.Unlock()
	if last {
		c.cancel(context.Canceled)
	}
	switch {
	case err != nil:
		return err
	case over != nil:
		return over
	default:
		return ErrStillLoading
	}
}

// leaveAll takes a reader away from calls.
func (g *flights) leaveAll(calls []*call, reason error) (gone map[*call]error) {
	gone = make(map[*call]error)
	var last []*call
	g.mu.Lock()
	for _, c := range calls {
		gone[c] = reason
		if c.waiters--; c.waiters == 0 && !c.loaded && !c.detached {
			g.abandonLocked(c)
			last = append(last, c)
		}
	}
	g.mu.Unlock()
	for _, c := range last {
		c.cancel(context.Canceled)
	}
	return gone
}

// abandonLocked ends the epochs of c, whose load was or will be cancelled: who
// comes now starts another load.
func (g *flights) abandonLocked(c *call) {
	if c.abandoned {
		return
	}
	c.abandoned = true
	if cause := c.cause(); errors.Is(cause, ErrLoadTimeout) {
		for _, f := range c.flights {
			g.failedLocked(f, cause)
		}
	}
	for _, f := range c.flights {
		g.endLocked(f)
	}
}

// overLocked reports whether the load of c was cancelled before it returned, and
// then abandons it. Who waits for c does so too, but a reader of several calls
// may be waiting for another one when the timeout of c ends, and a load in the
// background has no reader.
func (g *flights) overLocked(c *call) bool {
	if c.loaded {
		return false
	}
	select {
	case <-c.over:
		g.abandonLocked(c)
		return true
	default:
		return false
	}
}

// awaitLanding waits until c has landed.
func (g *flights) awaitLanding(c *call) {
	g.mu.Lock()
	if c.landed {
		g.mu.Unlock()
		return
	}
	if c.landing == nil {
		c.landing = make(chan struct{})
	}
	landing := c.landing
	g.mu.Unlock()
	<-landing
}
