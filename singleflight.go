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

// flights are the calls of a scope that are under way: who loads which keys, and what stands
// between them and the store. docs/decisions.md says why x/sync/singleflight is not
// enough.
//
// The methods of the type are in four files, and each file has one question: who joins what (this
// one, whose end says what a failure teaches), what may be stored and taken (fence.go), what an
// invalidation does (invalidation.go), how a reader leaves (leave.go).
//
// Invariants, under mu:
//
//   - A key has at most one flight that readers can join: the newest of its chain in live that is
//     not a put's. All older ones fill, or are a put's.
//   - A flight that may still change the store without a lease is in live. So an invalidation that
//     walks through live misses none.
//   - clock never goes back. Each event that is compared with another one has a point of its own.
//
// Nothing waits under mu, no other lock is taken under it, and no code of the user runs under it.
// So there is no lock order. One mutex for each scope is enough: a miss costs a load, and shards
// were not faster.
type flights struct {
	// The following are set by keyspace.init, and not changed.

	options   *ScopeOptions // those of the scope
	inProcess bool          // the store is in the process
	lagsHere  bool          // the store has no holds, so lagging has to know what may lag
	leases    bool          // the store has leases
	// slots are the places for loads that run at once. Package limit guards them.
	slots limit.Slots
	// scopesPending is the number of scopes of the cache that have something pending. While it is
	// not 0, reads do not probe the store. conclude writes it.
	scopesPending *atomic.Int64

	// stored counts the calls that have stored something in a store without leases. (With leases,
	// every call asks the store.) land raises it under mu, in the critical section in which the
	// flights of the call leave live. A reader reads it without mu, before it asks the store. So it
	// learns whether a value may have been stored since it missed:
	//
	//  1. The reader reads stored, asks the store and misses.
	//  2. A call of the key fills, and lands.
	//  3. The reader joins, and finds no flight. stored has grown, so its new call looks into the
	//     store again before it loads (call.recheck).
	stored atomic.Uint64
	// bypassing is pending.size(), for readers without mu: a hit reads it and takes no lock.
	// conclude writes it under mu: it is raised before the invalidation returns, and lowered after
	// the store has confirmed.
	bypassing atomic.Int64

	mu sync.Mutex // guards following
	// live has, for each key, the flights that matter to an invalidation: those that can be joined
	// and those that fill. The newest is the first of its chain.
	live map[string]*flight
	size int // the number of flights that are loading or filling, for Stats
	// ending has the flights of loads that everybody has left and that have not ended: a reader waits
	// for the end instead of starting another load. nil until the first.
	ending  map[string]*flight
	running map[*call]struct{} // the calls that have not landed, for Close
	// clock grows with every reader that joins, with every validBefore, and with every load that
	// begins.
	clock seq
	// version is the number of invalidations so far. It orders them for pendingSet.
	version uint64
	joins   uint64 // the number of runs of join so far; see call.mark
	// pending has the invalidations that the store has not confirmed.
	pending pendingSet
	since   time.Time // since when something is pending, without a break; zero: nothing is
	// lagging has the invalidations that the source may lag behind; empty if the store has holds.
	lagging laggingSet
	closed  bool // no call is made any more; never unset

	failures failures // the keys whose loads have failed
}

// join finds a flight for each item of r: one that can be joined, or one of a new call. It takes
// the failed items out of r first, in the same critical section: a load that fails between a
// question and the join would be repeated by every reader.
//
// The reader counts as one waiter of each call, however many keys of it the reader wants, and
// leaves each call once.
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
	missing := g.findLocked(r.items, r.purpose)
	j.others = len(r.items) - missing
	if missing > 0 {
		j.own = g.createLocked(r.items, missing, r.purpose, r.stored)
		j.own.readerDeadline, r.own = deadline, j.own
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

// findLocked finds the flights that the items join: of each key the one that can be joined, or the one
// that is about to end. It returns the number of items that have none.
func (g *flights) findLocked(items []item, purpose purpose) (missing int) {
	for n := range items {
		i := &items[n]
		if i.flight = nil; !i.alone {
			if i.flight = g.joinableLocked(i.key, purpose); i.flight == nil {
				i.flight = g.endingOfLocked(i.key)
			}
		}
		if i.flight == nil {
			missing++
		}
	}
	return missing
}

// startRefresh makes a call that no reader waits for. It has a flight for each item that nobody is
// loading and whose last load did not just fail. A key that bypasses the store is left out: its
// refresh could not be stored. It returns nil if no item is left.
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
		if i.flight = g.joinableLocked(i.key, toRead); i.flight != nil {
			continue
		}
		if g.bypassLocked(i.key) || g.endingOfLocked(i.key) != nil || g.failures.backsOff(i.key, now) {
			i.flight = noFlight
			continue
		}
		missing++
	}
	if missing == 0 {
		return nil
	}
	c := g.createLocked(items, missing, toRefresh, stored)
	c.begin(ctx, g.options)
	c.detachLocked(g.options)
	return c
}

// noFlight stands for the flight of an item that gets none.
var noFlight = new(flight) //nolint:gochecknoglobals // a mark; nobody writes to it

// startPut makes the call of a put. It returns nil if the cache is closed. Nobody joins it: a
// reader of the key during the write loads by a flight of its own, since it must not wait for a
// write.
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

// joinableLocked returns the flight of key that a reader may join now, or nil. Only the newest
// flight that is not a put's can be one. A call whose context has ended is over, although nobody
// may have noticed yet: to join it would only bring its error.
func (g *flights) joinableLocked(key string, purpose purpose) *flight {
	f := g.live[key]
	for f != nil && f.call.purpose == toPut {
		f = f.next
	}
	if f == nil || !f.fence.mayJoin() || g.overLocked(f.call, purpose) {
		return nil
	}
	return f
}

// bypassLocked reports whether a flight of key that begins now neither asks nor fills the store.
func (g *flights) bypassLocked(key string) bool {
	return g.pending.covers(key) || g.lagging.covers(key)
}

// puttingLocked reports whether a put of key in this process has the lease of the key: who reads then
// neither waits for the lease, nor gets it.
func (g *flights) puttingLocked(key string) bool {
	if !g.leases {
		return false
	}
	for f := g.live[key]; f != nil; f = f.next {
		if f.call.purpose == toPut {
			return true
		}
	}
	return false
}

// bypasses reports whether a reader must not ask the store for key, because an invalidation of it
// is pending. What lags may be read: the entries that are stored are not from a lagging source.
func (g *flights) bypasses(key string) bool {
	if g.bypassing.Load() == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pending.covers(key)
}

// createLocked makes a call with a flight for each of those items that have none. There are n.
// stored is flights.stored before the reader asked the store. The call is made under the lock, so
// that two readers never make two calls for one key; to make it before the lock was not faster.
func (g *flights) createLocked(items []item, n int, purpose purpose, stored uint64) *call {
	c, created := newCall(n)
	c.purpose = purpose
	c.recheck = purpose != toRead && purpose != toPut || g.stored.Load() != stored
	c.created = time.Now()
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
		f.key, f.call, f.index, f.fence.ended = i.key, c, i.index, i.alone // alone: it has no epoch
		if i.replaces != nil {
			f.replaces = i.replaces.loadedAt
			c.recheck = c.recheck || !f.replaces.IsZero()
		}
		f.validBefore, f.lags = always, g.lagging.covers(i.key)
		f.bypass = i.alone || f.lags || g.pending.covers(i.key) || purpose != toPut && g.puttingLocked(i.key)
		if !i.alone {
			f.next = g.live[i.key]
			g.live[i.key] = f
		}
		g.size++
		c.flights[n], i.flight = f, f
		n++
	}
	return c
}

// endLocked ends the epoch of f. filling says that f fills. Then f stays in live until the store
// has returned, for the next invalidation to wait for.
func (g *flights) endLocked(f *flight) (filling bool) {
	f.fence, filling = f.fence.end()
	if !filling {
		g.removeLocked(f)
	}
	return filling
}

// removeLocked takes f out of live if f is there. It compares the flights, not the keys: it never
// takes out the flight that took the place of f.
func (g *flights) removeLocked(f *flight) {
	head := g.live[f.key]
	if head == f {
		if f.next == nil {
			delete(g.live, f.key)
		} else {
			g.live[f.key] = f.next
		}
		return
	}
	for ; head != nil; head = head.next {
		if head.next == f {
			head.next = f.next
			return
		}
	}
}

// eachLocked calls visit for the live flights of all keys that targets cover. visit may remove the
// flight. A prefix costs a walk through all flights of the scope, which are as many as the keys in
// flight, not as the keys ever seen (G9).
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

// land ends c. The order is commit, unregister, wake, tell, and each step has to come before the
// next:
//
//  1. Commit: the fill, before land is called. If the flights left live before the fill, an
//     invalidation would not wait for it, and could remove the entry before it is stored (G2). And
//     a reader that came in between would find neither an entry nor a flight, and would load again
//     (G6).
//  2. Unregister: the flights leave live, and stored grows, in one critical section. If readers
//     were woken before that, a reader that began too late for the outcome would join the same
//     flight again.
//  3. Wake: invalidations that wait for the fill, by landing, and readers, by final and then the
//     end of the context.
//  4. Tell: the caller calls the user's functions. Such a function may invalidate a key of the
//     call, which waits for the call to land.
//
// final is set before the context ends: a reader that is woken by over looks at final to learn
// whether it has an outcome or a cancelled load.
func (g *flights) land(c *call) {
	g.mu.Lock()
	c.stage = stageLanded
	delete(g.running, c)
	if c.fill != fillNone {
		g.stored.Add(1)
	}
	g.learnLocked(c)
	g.retireLocked(c)
	g.forgetEndingLocked(c)
	if c.bound != nil {
		c.bound.Stop()
	}
	if c.landing != nil {
		close(c.landing)
	}
	g.mu.Unlock()
	c.final.Store(true)
	c.cancel(context.Canceled)
}

// retireLocked takes the flights of c out of live. Only those stay that fill in a store which has
// not returned: what it stores may come after any removal, so invalidations still have to know.
func (g *flights) retireLocked(c *call) {
	for _, f := range c.flights {
		if f.fence.phase == phaseClosed {
			continue // since the call landed
		}
		if f.fence.phase == phaseFilling && c.fill == fillSent {
			f.fence, _ = f.fence.end() // invalidations still wait for it
			continue
		}
		f.fence = f.fence.close()
		g.size--
		g.removeLocked(f)
	}
}

// storeReturned is called when the store has returned from a fill of c, maybe long after c has
// landed. It may come before land, from another goroutine: then land retires the flights.
func (g *flights) storeReturned(c *call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.fill = fillReturned
	if c.stage == stageLanded {
		g.retireLocked(c)
	}
}

// close ends the epochs of all flights and cancels their loads. Nothing is filled and nobody joins
// after it. It returns how many keys and prefixes are pending.
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

// filter returns the flights for which keep reports true. If these are all, it returns the very
// slice: most calls have one flight, and a copy would be an allocation for each step of a miss.
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

// takeFailedLocked takes those items out of r that are not loaded, because their last load failed a
// short time ago. Refresh ignores failures: its caller wants a load now.
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

// learnLocked records which loads of c have failed, and forgets the failures of the keys that were
// loaded.
func (g *flights) learnLocked(c *call) {
	for _, f := range c.flights {
		switch {
		case f.outcome.failed() && !f.outcome.private: // otherwise it is for its reader only
			g.failedLocked(f, f.outcome.err)
		case f.outcome.known && !f.outcome.failed() && len(g.failures.keys) > 0:
			g.failures.drop(f.key)
		}
	}
}

// failedLocked records that the load of f has failed. After the end of its epoch it teaches nothing: it
// was invalidated, so its error may be about a source that has changed since, or abandoned, so it failed
// because nobody waited. The outcome of f may not be final yet.
func (g *flights) failedLocked(f *flight, err error) {
	if f.fence.ended || g.options.ErrorTTL == 0 && !g.options.ages() {
		return
	}
	g.failures.add(f.key, err, time.Now(), g.options)
}

// backOff keeps the process from refreshing the key of f for a while.
func (g *flights) backOff(f *flight, pause time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !f.fence.ended {
		g.failures.backOff(f.key, time.Now(), pause)
	}
}
