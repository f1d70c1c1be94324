package readthrough

import (
	"context"
	"errors"
	"time"

	"github.com/readthrough/readthrough/internal/limit"
)

// waitAll waits for the calls of j, one after the other. It sets j.gone: the calls that the reader has
// left, with the reasons.
//
// One after the other is enough: the reader needs all of them, and a call that lands meanwhile
// keeps its outcome. If the load of one call is cancelled, the reader goes on to wait for the
// others. If its own context has ended, it leaves each of them, or takes the outcome that is there.
//
// A reader inside a load function is an edge in the wait-for graph. If one of the calls waits for
// that load in turn, the wait would never end, and the reader leaves all of them at once with
// ErrRecursiveLoad. Other readers are not in the graph and pay nothing.
//
// hasFallback reports whether the reader has a stale value for all keys that it wants from a call.
func (s *keyspace) waitAll(ctx context.Context, j *joined, hasFallback func(*call) bool) {
	if j.reader != nil {
		nodes := nodesOf(j.calls)
		if !s.graph.Begin(&j.reader.node, nodes) {
			j.gone = s.flights.leaveAll(j.calls, nil, ErrRecursiveLoad)
			return
		}
		defer s.graph.End(&j.reader.node, nodes)
	}
	for _, c := range j.calls {
		if err := s.flights.wait(ctx, c, hasFallback(c)); err != nil {
			if j.gone == nil {
				j.gone = make(map[*call]error)
			}
			j.gone[c] = err
		}
	}
}

func nodesOf(calls []*call) []*limit.Node {
	nodes := make([]*limit.Node, len(calls))
	for i, c := range calls {
		nodes[i] = &c.node
	}
	return nodes
}

// wait returns nil when the reader may look at the outcomes of c, and otherwise why the reader has
// left c.
//
// A reader with a fallback leaves a load that takes longer than SoftLoadTimeout, and a load that
// has to wait for its turn. Without a fallback, soft and queued are nil channels, which are never
// ready.
//
// The select chooses at random if ctx and over end at the same moment. That does not matter: leave
// looks again, under the lock, and a result that is there wins (G7).
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
		switch {
		case c.final.Load():
			return nil
		case c.cause() == context.Canceled: //nolint:errorlint // the very cause of leave
			return g.awaitEnd(ctx, c, hasFallback)
		}
	}
	return g.leave(ctx, c, contextEnded)
}

// leaving is why a reader leaves a load. It decides whether the load goes on without readers.
type leaving uint8

const (
	// contextEnded: the context of the reader has ended, or that of the load. The last reader ends
	// the load.
	contextEnded leaving = iota
	// softTimeout: the reader has a fallback, and SoftLoadTimeout is over. The load goes on, even if
	// nobody is left.
	softTimeout
	// isQueued: the reader has a fallback, and the load has to wait for its turn. A queued load
	// that everybody has left is cancelled. But if its turn has come meanwhile, it goes on: the
	// source was asked already, and would only be asked again.
	isQueued
)

// leave takes a reader away from c, or returns nil if the outcomes are there after all. The last
// reader of a load that is not detached ends it.
//
// A reader that leaves and a load that ends meet at flights.mu. There are two orders, and no third:
//
//   - The load comes first: fill has set stageLoaded. The reader takes the outcome, although its
//     context has ended, and the fill goes on.
//   - The reader comes first. If it is the last one, it abandons c in this critical section: the
//     epochs end, so fill refuses the results, and no reader joins c as if its load went on.
//
// A reader that waits after the load was cancelled abandons c, too, whether it is the last or not.
//
// The context of the load is cancelled after the unlock, because that may run the user's code. In
// between, the load function may return. Then its results are refused.
func (g *flights) leave(ctx context.Context, c *call, why leaving) error {
	err := ctx.Err() // before the lock, since the context may be the user's code
	cause := c.cause()
	g.mu.Lock()
	if c.stage >= stageLoaded {
		g.mu.Unlock()
		return nil
	}
	c.waiters--
	if why == softTimeout || why == isQueued && c.stage == stageLoading {
		c.detachLocked(g.options)
	}
	if cause == nil {
		g.finishLocked(c)
	}
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
	case cause != nil && cause != context.Canceled: //nolint:errorlint // the very cause of leave: others have left
		return cause
	default:
		return ErrStillLoading
	}
}

// backgroundTimeout bounds a load that no reader waits for, in a scope without LoadTimeout, and the wait
// for the end of a load that everybody has left. A load that hangs would otherwise keep its key from being
// loaded for ever.
const backgroundTimeout = 5 * time.Minute

// detachLocked lets the load of c go on though nobody waits for it.
func (c *call) detachLocked(options *ScopeOptions) {
	if !c.detached && options.LoadTimeout == 0 && c.bound == nil {
		c.bound = time.AfterFunc(backgroundTimeout, func() { c.cancel(ErrLoadTimeout) })
	}
	c.detached = true
}

// finishLocked lets a load that runs go on though its readers leave it, if the scope wants that. Its caller has asked
// that the load was not cancelled.
func (g *flights) finishLocked(c *call) {
	if g.options.FinishLoads && c.stage == stageLoading {
		c.detachLocked(g.options)
	}
}

// leaveAll takes a reader away from calls, all for one reason, except those in left, which it has left
// before. It differs from leave in that a result which is there does not win: the read makes no sense,
// or its goroutine ends.
func (g *flights) leaveAll(calls []*call, left map[*call]error, reason error) (gone map[*call]error) {
	gone = make(map[*call]error)
	var last []*call
	g.mu.Lock()
	for _, c := range calls {
		if left[c] != nil {
			continue
		}
		gone[c] = reason
		if c.cause() == nil {
			g.finishLocked(c)
		}
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

// abandonLocked marks c as a call whose load was cancelled or is about to be, and ends its epochs.
// So no reader joins a cancelled load. If the last reader cancels it, this comes before the
// cancellation, and if a timeout does, the next reader sees it in overLocked. A reader that comes
// while the load function still runs waits for its end (endingLocked), and then reads again.
//
// A load that has timed out has failed, and this is the place that records it: land ignores
// abandoned calls, whose loads mostly failed because they were cancelled.
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
	running := c.stage == stageLoading && c.cause() == nil
	var bounded bool
	if c.endsBy, bounded = c.ctx.Deadline(); !bounded {
		c.endsBy = time.Now().Add(backgroundTimeout)
	}
	for _, f := range c.flights {
		if running && !f.fence.ended && !f.bypass {
			g.endingLocked(f)
		}
		g.endLocked(f)
	}
}

// endingLocked keeps f, whose load function goes on although everybody has left and it was cancelled.
// A reader that comes before it ends waits for it, instead of starting another load of the key beside
// it (G6): a load function need not look at its context.
//
// Only a flight whose epoch has not ended is kept, and an invalidation forgets it: no reader gets from
// it what was loaded before the invalidation.
func (g *flights) endingLocked(f *flight) {
	if g.ending == nil {
		g.ending = make(map[string]*flight)
	}
	g.ending[f.key] = f
}

// endingOfLocked returns the flight of key whose load everybody has left and which has not ended; nil: there
// is none, or it should have ended long ago.
func (g *flights) endingOfLocked(key string) *flight {
	f := g.ending[key]
	if f != nil && !time.Now().Before(f.call.endsBy) {
		delete(g.ending, key)
		return nil
	}
	return f
}

// awaitEnd waits for the end of a load that was cancelled before the reader came. Its outcome may be a
// value all the same. If it is an error or an absence, the reader loads: it is that of the readers who left.
func (g *flights) awaitEnd(ctx context.Context, c *call, hasFallback bool) error {
	landing := g.landingOf(c)
	if landing == nil {
		return nil
	}
	timeout := time.NewTimer(time.Until(c.endsBy))
	defer timeout.Stop()
	var soft <-chan time.Time
	if hasFallback && g.options.SoftLoadTimeout > 0 {
		timer := time.NewTimer(g.options.SoftLoadTimeout)
		defer timer.Stop()
		soft = timer.C
	}
	select {
	case <-landing:
		return nil
	case <-soft:
		return ErrStillLoading
	case <-c.scope.closing:
		return ErrClosed
	case <-timeout.C:
		g.forgetEnding(c)
		return errEndless
	case <-ctx.Done():
	}
	select {
	case <-landing: // at the same moment: a result that is there wins (G7)
		return nil
	default:
		return ctx.Err()
	}
}

// errEndless is why a reader does not wait any more for a load that others have left: it takes longer
// than LoadTimeout, or backgroundTimeout. The reader loads for itself. It must not look at the outcome, which may
// be written.
var errEndless = errors.New("readthrough: a load that was cancelled does not end")

// forgetEnding gives up waiting for the end of c.
func (g *flights) forgetEnding(c *call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forgetEndingLocked(c)
}

func (g *flights) forgetEndingLocked(c *call) {
	for _, f := range c.flights {
		if g.ending[f.key] == f {
			delete(g.ending, f.key)
		}
	}
}

// wasLeft reports whether c was cancelled because everybody left it: its errors are for nobody else.
// It is called under flights.mu, or when c is final.
func (c *call) wasLeft() bool {
	return c.abandoned && c.cause() == context.Canceled //nolint:errorlint // the very cause of leave
}

// overLocked reports whether c is over for a reader of that purpose that comes now. If the load was
// cancelled before its outcomes were there, overLocked abandons c. The readers of c do so too, when
// they wake. But a load in the background has no reader, and a reader of several calls may be waiting
// for another one.
//
// LoadTimeout may end while the fill is under way. Then a reader takes the outcome, without waiting for
// the fill. A Refresh wants a later load: it would join c, not wait, not take the outcome, and join c
// again, without end.
func (g *flights) overLocked(c *call, purpose purpose) bool {
	select {
	case <-c.over:
	default:
		return false
	}
	if c.stage < stageLoaded {
		g.abandonLocked(c)
		return true
	}
	return purpose == toReplace
}

// awaitLanding waits until all calls have landed, at most for timeout. Only an invalidation that found them
// filling does so. A fill is bounded by ProviderTimeout, and a store in the process does not wait; so the
// wait is short, and it needs no context. But a fill calls code of the user, such as a codec, which may
// take long, or wait for that very invalidation.
func (g *flights) awaitLanding(calls map[*call]struct{}, timeout time.Duration) {
	if len(calls) == 0 {
		return
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for c := range calls {
		landing := g.landingOf(c)
		if landing == nil {
			continue
		}
		select {
		case <-landing:
		case <-timer.C:
			return
		}
	}
}

// landingOf returns the channel that is closed when c lands; nil: it has landed. The channel is made here
// and not with the call, since most calls land without being waited for.
func (g *flights) landingOf(c *call) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.stage == stageLanded {
		return nil
	}
	if c.landing == nil {
		c.landing = make(chan struct{})
	}
	return c.landing
}
