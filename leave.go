package readthrough

import (
	"context"
	"errors"
	"time"

	"github.com/readthrough/readthrough/internal/limit"
)

// waitAll waits for the calls of j. It returns the calls that the reader has left, with the reasons.
//
// The reader goes on to wait for the other calls after the load of one was cancelled, but not after
// its own context has ended. A reader inside a load function that one of the calls waits for leaves
// all of them at once. hasFallback reports whether the reader has a stale value for all that it wants
// from a call.
func (s *keyspace) waitAll(ctx context.Context, j *joined, hasFallback func(*call) bool) (gone map[*call]error) {
	if j.reader != nil {
		nodes := nodesOf(j.calls)
		if !s.graph.Begin(&j.reader.node, nodes) {
			return s.flights.leaveAll(j.calls, ErrRecursiveLoad)
		}
		defer s.graph.End(&j.reader.node, nodes)
	}
	for _, c := range j.calls {
		if err := s.flights.wait(ctx, c, hasFallback(c)); err != nil {
			if gone == nil {
				gone = make(map[*call]error)
			}
			gone[c] = err
		}
	}
	return gone
}

func nodesOf(calls []*call) []*limit.Node {
	nodes := make([]*limit.Node, len(calls))
	for i, c := range calls {
		nodes[i] = &c.node
	}
	return nodes
}

// wait returns nil when the outcomes of c are final. A result that is there wins over a context that
// ended at the same moment. A reader with a fallback leaves a load that takes longer than
// SoftLoadTimeout, which goes on, and a load that has to wait for its turn.
func (g *flights) wait(ctx context.Context, c *call, hasFallback bool) error {
	var soft <-chan time.Time
	var queued <-chan struct{}
	if hasFallback {
		queued = c.node.Queued()
		if g.options.SoftLoadTimeout > 0 {
			timer := time.NewTimer(time.Until(c.created.Add(g.options.SoftLoadTimeout)))
			defer timer.Stop()
			soft = timer.C
		}
	}
	select {
	case <-soft:
		return g.leave(ctx, c, softTimeout)
	case <-queued:
		return g.leave(ctx, c, isQueued)
	case <-ctx.Done():
	case <-c.over:
		if c.final.Load() {
			return nil
		}
	}
	return g.leave(ctx, c, contextEnded)
}

// leaving is why a reader leaves a load.
type leaving uint8

const (
	// contextEnded: the context of the reader has ended, or that of the load.
	contextEnded leaving = iota
	// softTimeout: the reader has a fallback, and SoftLoadTimeout is over. The load goes on, even if
	// nobody is left.
	softTimeout
	// isQueued: the reader has a fallback, and the load has to wait for its turn. A load whose turn has
	// come meanwhile goes on too: the source has been asked already, and would be asked again.
	isQueued
)

// leave takes a reader away from c. It returns nil if the result is there after all.
func (g *flights) leave(ctx context.Context, c *call, why leaving) error {
	err := ctx.Err() // before the lock, since the context may be the user's code
	cause := c.cause()
	g.mu.Lock()
	if c.stage >= stageLoaded {
		g.mu.Unlock()
		return nil
	}
	c.waiters--
	c.detached = c.detached || why == softTimeout || why == isQueued && c.stage == stageLoading
	last := c.waiters == 0 && !c.detached || cause != nil // nobody waits for a load that was cancelled
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
	case cause != nil:
		return cause
	default:
		return ErrStillLoading
	}
}

// leaveAll takes a reader away from calls, for reason.
func (g *flights) leaveAll(calls []*call, reason error) (gone map[*call]error) {
	gone = make(map[*call]error)
	var last []*call
	g.mu.Lock()
	for _, c := range calls {
		gone[c] = reason
		if c.waiters--; c.waiters == 0 && c.stage < stageLoaded && !c.detached {
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

// abandonLocked ends the epochs of c, whose load was cancelled or is about to be: a reader that comes
// now starts another load. A timeout counts as a failed load.
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

// overLocked reports whether the load of c was cancelled before it returned, and then abandons c. The
// readers of c do so too. But a reader of several calls may be waiting for another one when the
// timeout of c ends, and a load in the background has no reader.
func (g *flights) overLocked(c *call) bool {
	if c.stage >= stageLoaded {
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
	if c.stage == stageLanded {
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
