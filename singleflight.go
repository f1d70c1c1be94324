package readthrough

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/internal/limit"
)

// flights are the calls of a scope that are under way: who loads which keys, and what stands between
// them and the store.
//
// A key has at most one flight that readers can join. It has further ones while an invalidation has
// ended their epochs and they still fill. Everything that is decided about flights is decided under
// mu; nothing waits under it, and no code of the user runs under it.
type flights struct {
	options   *ScopeOptions // of the scope; not changed
	inProcess bool          // the store is in the process; not changed
	lagsHere  bool          // the store has no holds, so that lagging has to know; not changed
	slots     limit.Slots   // of the loads that run at once
	// scopesPending is the cache's number of scopes where something is pending.
	scopesPending *atomic.Int64

	// stored counts the calls that have stored something. It is raised under mu, before the flights of
	// the call can no longer be joined. A reader reads it, without mu, before it asks the store.
	stored atomic.Uint64
	// bypassing is pending.size(), for readers without mu. It is written under mu: raised before the
	// invalidation returns, lowered after the store has confirmed.
	bypassing atomic.Int64

	mu sync.Mutex // guards following
	// live has the flights of each key that matter to an invalidation: those that can be joined and
	// those that fill. The newest is the first of its chain.
	live    map[string]*flight
	size    int                // the number of flights in live
	running map[*call]struct{} // the calls that have not landed
	clock   seq                // grows with every reader that joins, and with every validBefore
	version uint64             // grows with every invalidation
	joins   uint64             // grows with every run of join
	pending pendingSet         // invalidations that the store has not confirmed
	lagging laggingSet         // invalidations that the source may lag behind; empty if the store has holds
	closed  bool               // no call is made any more

	failures failures
}

// request is what a reader asks of the flights.
type request struct {
	items   []item  // those without an answer
	purpose purpose // toRead or toReplace
	stored  uint64  // flights.stored before the store was asked
	began   seq     // when the reader joined for the first time; zero: not yet
}

// item is a key of a read that has no answer yet.
type item struct {
	key    string
	index  int     // in the caller's ids
	flight *flight // which the reader waits for
	late   bool    // the reader may not take the outcome of flight: it began too late
	// replaces is the stored entry that is to be replaced; nil: none.
	replaces *replaced
}

// replaced is a stored entry that is to be replaced. Few items have one, so it is apart.
type replaced struct {
	loadedAt time.Time // Entry.LoadedAt; zero: the entry is gone, or has none
	// fallback is a stale value, which is served if the load fails or takes long. It was in the store
	// after the read had begun, so no invalidation from before that had removed it.
	fallback    any
	hasFallback bool
}

// replace says that the item is to replace an entry from loadedAt. It keeps the fallback.
func (i *item) replace(loadedAt time.Time) {
	if i.replaces == nil {
		i.replaces = new(replaced)
	}
	i.replaces.loadedAt = loadedAt
}

// hasFallback reports whether there is a stale value for the item.
func (i *item) hasFallback() bool { return i.replaces != nil && i.replaces.hasFallback }

// joined is what a reader that missed waits for.
type joined struct {
	calls  []*call  // of the items' flights, each once
	own    *call    // the one among them that the reader has to start; nil: none
	others int      // the number of flights of other calls
	reader *call    // the one in whose load function the reader is; nil: none
	failed []failed // items that are not loaded, because their last load failed
}

// join finds a flight for each item of r: one that can be joined, or one of a new call. The reader
// counts as one waiter of each call.
func (g *flights) join(ctx context.Context, r *request) (j joined, err error) {
	deadline, _ := ctx.Deadline()
	j.reader = parentCall(ctx) // before the lock, since the context may be the user's code
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return joined{}, ErrClosed
	}
	j.failed = g.takeFailedLocked(r)
	if len(r.items) == 0 {
		return j, nil
	}
	g.joins++
	g.clock++
	if r.began == 0 {
		r.began = g.clock
	}
	missing := 0
	for n := range r.items {
		i := &r.items[n]
		if i.flight = g.joinableLocked(i.key); i.flight != nil {
			continue
		}
		missing++
	}
	j.others = len(r.items) - missing
	if missing > 0 {
		j.own = g.createLocked(r.items, missing, r.purpose, r.stored)
		j.own.readerDeadline = deadline
		j.own.begin(ctx, g.options)
	}
	if j.others == 0 {
		j.calls = j.own.itself[:]
		j.own.waiters = 1
		return j, nil
	}
	for n := range r.items {
		if c := r.items[n].flight.call; c.mark != g.joins {
			c.mark = g.joins
			c.waiters++
			j.calls = append(j.calls, c)
		}
	}
	return j, nil
}

// startRefresh makes a call that no reader waits for, for those items that nobody is loading, that
// may be stored, and whose last load did not just fail. It returns nil if there are none.
func (g *flights) startRefresh(ctx context.Context, items []item, stored uint64) *call {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	missing := 0
	for n := range items {
		i := &items[n]
		if i.flight = g.joinableLocked(i.key); i.flight != nil {
			continue
		}
		if g.bypassLocked(i.key) || g.failures.backsOff(i.key, now) {
			i.flight = noFlight
			continue
		}
		missing++
	}
	if missing == 0 {
		return nil
	}
	c := g.createLocked(items, missing, toRefresh, stored)
	c.detached = true
	c.begin(ctx, g.options)
	return c
}

// noFlight stands for the flight of an item that gets none.
var noFlight = new(flight)

// startPut makes the call of a put, which nobody joins. It returns nil if the cache is closed.
func (g *flights) startPut(ctx context.Context, key string) *call {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	c := g.createLocked([]item{{key: key}}, 1, toPut, g.stored.Load())
	c.detached = true
	c.begin(ctx, g.options)
	return c
}

// joinableLocked returns the flight of key that a reader which begins now may join; nil if there is
// none.
func (g *flights) joinableLocked(key string) *flight {
	f := g.live[key]
	for f != nil && f.call.purpose == toPut {
		f = f.next
	}
	if f == nil || !f.fence.mayJoin() || g.overLocked(f.call) {
		return nil
	}
	return f
}

// bypassLocked reports whether a flight of key that begins now has to bypass the store.
func (g *flights) bypassLocked(key string) bool {
	if g.pending.size() == 0 && g.lagging.size() == 0 {
		return false // to walk through maps takes stack, even if they are empty
	}
	return g.pending.covers(key) || g.lagging.covers(key)
}

// bypasses reports whether a reader has to bypass the store for key: an invalidation is pending.
func (g *flights) bypasses(key string) bool {
	if g.bypassing.Load() == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pending.covers(key)
}

// createLocked makes a call with a flight for each of those items that have none. There are n.
func (g *flights) createLocked(items []item, n int, purpose purpose, stored uint64) *call {
	c, created := newCall(n)
	c.purpose = purpose
	c.recheck = purpose != toRead && purpose != toPut || g.stored.Load() != stored
	if g.options.SoftLoadTimeout > 0 {
		c.created = time.Now()
	}
	if g.slots.Limit > 0 {
		c.node.Init(&g.slots)
	}
	g.running[c] = struct{}{}
	n = 0
	for m := range items {
		i := &items[m]
		if i.flight != nil {
			continue
		}
		f := &created[n]
		f.key, f.call, f.index = i.key, c, i.index
		if i.replaces != nil {
			f.replaces = i.replaces.loadedAt
			c.recheck = c.recheck || !f.replaces.IsZero()
		}
		f.bypass, f.validBefore, f.next = g.bypassLocked(i.key), always, g.live[i.key]
		g.live[i.key] = f
		g.size++
		c.flights[n], i.flight = f, f
		n++
	}
	return c
}

// endLocked ends the epoch of f. filling says that f fills: it then stays in live until the store has
// returned.
func (g *flights) endLocked(f *flight) (filling bool) {
	f.fence, filling = f.fence.end()
	if !filling {
		g.removeLocked(f)
	}
	return filling
}

// removeLocked takes f out of live if f is there. It never takes out the flight that took the place
// of f.
func (g *flights) removeLocked(f *flight) {
	head := g.live[f.key]
	if head == f {
		if f.next == nil {
			delete(g.live, f.key)
		} else {
			g.live[f.key] = f.next
		}
		g.size--
		return
	}
	for ; head != nil; head = head.next {
		if head.next == f {
			head.next = f.next
			g.size--
			return
		}
	}
}

// eachLocked calls visit for the live flights of all keys that targets cover. visit may remove the
// flight.
func (g *flights) eachLocked(targets Targets, visit func(*flight)) {
	chain := func(f *flight) {
		for f != nil {
			next := f.next
			visit(f)
			f = next
		}
	}
	for _, key := range targets.Keys {
		chain(g.live[key])
	}
	if len(targets.Prefixes) == 0 {
		return
	}
	for key, f := range g.live {
		if targets.coverByPrefix(key) {
			chain(f)
		}
	}
}

// land ends c: no reader can join it any more, and all that wait go on. The order is: commit (the
// fill, before this), unregister, wake.
func (g *flights) land(c *call) {
	g.mu.Lock()
	c.stage = stageLanded
	delete(g.running, c)
	if c.fill != fillNone {
		g.stored.Add(1)
	}
	g.learnLocked(c)
	g.retireLocked(c)
	if c.landing != nil {
		close(c.landing)
	}
	g.mu.Unlock()
	c.final.Store(true)
	c.cancel(context.Canceled)
}

// retireLocked takes the flights of c that no longer matter out of live: all of them, or those that
// do not fill, if the store has not returned.
func (g *flights) retireLocked(c *call) {
	for _, f := range c.flights {
		if f.fence.phase == phaseFilling && c.fill == fillSent {
			f.fence, _ = f.fence.end() // invalidations still wait for it
			continue
		}
		f.fence = f.fence.close()
		g.removeLocked(f)
	}
}

// storeReturned is told that the store has returned from keeping the results of c.
func (g *flights) storeReturned(c *call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.fill = fillReturned
	if c.stage == stageLanded {
		g.retireLocked(c)
	}
}

// close ends the epochs of all flights and cancels their loads. It returns how many invalidations are
// pending.
func (g *flights) close() (pending int) {
	g.mu.Lock()
	g.closed = true
	calls := maps.Clone(g.running)
	g.eachLocked(Targets{Prefixes: []string{""}}, func(f *flight) { g.endLocked(f) })
	pending = g.pending.size()
	g.mu.Unlock()
	for c := range calls {
		c.cancel(ErrClosed)
	}
	return pending
}

// sizes returns the number of flights, and that of pending keys and prefixes.
func (g *flights) sizes() (inFlight, pending int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size, g.pending.size()
}

// filter returns the flights that keep accepts: the very slice, if these are all.
func filter(flights []*flight, keep func(*flight) bool) []*flight {
	for i, f := range flights {
		if keep(f) {
			continue
		}
		kept := slices.Clone(flights[:i])
		for _, f := range flights[i+1:] {
			if keep(f) {
				kept = append(kept, f)
			}
		}
		return kept
	}
	return flights
}

// ---- failures

// failed is an item that is not loaded, and why.
type failed struct {
	item
	err error
}

// takeFailedLocked takes the items out of r that are not loaded, because their last load failed a short
// time ago.
func (g *flights) takeFailedLocked(r *request) (out []failed) {
	if len(g.failures.keys) == 0 || r.purpose == toReplace {
		return nil
	}
	now, left := time.Now(), r.items[:0]
	for _, i := range r.items {
		if err := g.failures.instead(i.key, i.hasFallback(), now); err != nil {
			out = append(out, failed{i, err})
		} else {
			left = append(left, i)
		}
	}
	r.items = left
	return out
}

// learnLocked remembers which loads of c have failed, and forgets the failures of those that have not.
// A load that was invalidated or abandoned teaches nothing.
func (g *flights) learnLocked(c *call) {
	if c.abandoned {
		return
	}
	for _, f := range c.flights {
		switch {
		case f.outcome.failed():
			g.failedLocked(f, f.outcome.err)
		case f.outcome.known && len(g.failures.keys) > 0:
			delete(g.failures.keys, f.key)
		}
	}
}

// failedLocked remembers that the load of f has failed.
func (g *flights) failedLocked(f *flight, err error) {
	if f.fence.ended || g.options.ErrorTTL == 0 && !g.options.ages() {
		return
	}
	g.failures.add(f.key, err, time.Now(), g.options)
}

// backOff keeps the process from loading the key of f in the background for a while.
func (g *flights) backOff(f *flight, pause time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !f.fence.ended {
		g.failures.backOff(f.key, time.Now(), pause)
	}
}
