package readthrough

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// call is one run of a load function, for one key or for many. It belongs to
// its keys and not to a reader: it goes on while anybody waits for it.
type call struct {
	// done is closed when the outcomes of all flights are final and those that
	// may be stored have been.
	done chan struct{}
	// bound is closed when the load is cancelled: by its timeout, by Close, or
	// because everybody has left. cause then says which.
	bound <-chan struct{}
	cause func() error
	// cancel cancels the load.
	cancel context.CancelCauseFunc
	// notFound is ScopeOptions.NotFound, for load functions that are ours.
	notFound error
	// flights are the call's keys.
	flights []*flight
	// lives are the TTLs of the read that made the call.
	lives lifetimes
	// again says that the store has to be asked again before loading: since the
	// reader missed, some flight has stored something.
	again bool
	// patience is the deadline of the reader that made the call; zero if it has none.
	patience time.Time

	// The following are guarded by flights.mu.

	// waiters is the number of readers that wait. The last to leave cancels.
	waiters int
	// loaded says that the outcomes are final.
	loaded bool
	// abandoned says that the load was cancelled and its readers sent away.
	abandoned bool
	// asked and answered say that the store was asked to keep the results, and
	// that it has returned; landed, that done is closed or about to be. A store
	// that does not keep its deadline returns after that: until then the flights
	// count as filling.
	asked, answered, landed bool
	// boarding is the last boarding that found a flight of the call.
	boarding uint64
}

// flight is a key's share of a call.
type flight struct {
	key   string
	call  *call
	index int // the key's position in the read that made the call
	// direct says that an invalidation of the key was pending when the flight
	// began, or that the source may lag behind one: it neither asks nor fills the
	// store.
	direct bool

	// outcome is written by the call's goroutine before it sets call.loaded under
	// mu, and read after that.
	outcome outcome

	// lease is the right to fill, in a store with leases; leased, that there is
	// one. Both belong to the call's goroutine.
	lease  provider.Lease
	leased bool

	bound moment  // guarded by flights.mu: who began before it may take the outcome
	fence fence   // guarded by flights.mu
	next  *flight // guarded by flights.mu: an older flight of the same key
}

// outcome is what a flight brought.
type outcome struct {
	known bool
	entry provider.Entry
	err   error // of the load; with entry.Absent, the load's way to say so
}

// flights are the calls under way in a scope, and what stands between them and
// the store.
type flights struct {
	// stored counts the calls that have stored something. It grows before their
	// flights can no longer be joined.
	stored atomic.Uint64
	// bypassing is pending.size(), for readers without mu. It grows before the
	// invalidation returns, and shrinks after the store has confirmed.
	bypassing atomic.Int64
	// scopesPending is the cache's number of scopes where something is pending.
	scopesPending *atomic.Int64
	options       *ScopeOptions
	lagsHere      bool // the store has no holds, so that lagging has to know

	mu sync.Mutex // guards following
	// live has, for each key, the flights that matter to an invalidation: those
	// that can be joined, of which there is at most one, and those that fill.
	// The newest comes first.
	live    map[string]*flight
	size    int                // the number of flights in live
	running map[*call]struct{} // the calls that have not landed
	version uint64             // grows with every invalidation
	now     moment             // grows with every reader, and with everything that bounds a result
	// boardings numbers the runs of board.
	boardings uint64
	pending   pendingSet
	lagging   lagging // empty where the store has holds
	closed    bool
}

func (g *flights) sizes() (inFlight, pending int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size, g.pending.size()
}

// bypasses reports whether key is not to be read through the store.
func (g *flights) bypasses(key string) bool {
	if g.bypassing.Load() == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pending.covers(key)
}

// boarding is what a reader that missed waits for.
type boarding struct {
	flights []*flight // one for each key
	calls   []*call   // those of the flights, each once
	own     *call     // the one among them that the reader has to run; nil if none
	joined  int       // the number of flights of other calls
	began   moment    // when the reader began, or a little later
	reader  *call     // the one in whose load function the reader is; nil if in none
}

// board finds a flight for each of keys: one that can be joined, or one of a new
// call. stored is what g.stored was before the store was asked for the keys. The
// reader counts as one waiter of each call. load is the context of the new call.
func (g *flights) board(ctx context.Context, keys []string, stored uint64) (b boarding, load context.Context, err error) {
	deadline, _ := ctx.Deadline()
	b.reader = parentCall(ctx) // before the lock, since the context may be anybody's code
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return boarding{}, nil, ErrClosed
	}
	g.boardings++
	g.now++
	b.began = g.now
	b.flights = make([]*flight, len(keys))
	for i, key := range keys {
		f := g.live[key]
		if f == nil || !f.fence.mayJoin() || g.overLocked(f.call) {
			continue
		}
		b.flights[i] = f
		b.joined++
		if f.call.boarding != g.boardings {
			f.call.boarding = g.boardings
			b.calls = append(b.calls, f.call)
		}
	}
	for _, c := range b.calls {
		c.waiters++
	}
	if missing := len(keys) - b.joined; missing > 0 {
		b.own = g.createLocked(keys, b.flights, missing)
		b.own.again = g.stored.Load() != stored
		b.calls = append(b.calls, b.own)
		b.own.patience = deadline
		b.own.notFound = g.options.NotFound
		load = b.own.begin(ctx, g.options.LoadTimeout)
	}
	return b, load, nil
}

// createLocked makes a call with a flight for each of keys that has none in
// boarded, and puts the flights there. missing is the number of those keys.
func (g *flights) createLocked(keys []string, boarded []*flight, missing int) *call {
	c := &call{done: make(chan struct{}), waiters: 1, flights: make([]*flight, 0, missing)}
	g.running[c] = struct{}{}
	created := make([]flight, missing)
	for i, key := range keys {
		if boarded[i] != nil {
			continue
		}
		f := &created[len(c.flights)]
		*f = flight{key: key, call: c, index: i, direct: g.pending.covers(key) || g.lagging.covers(key), bound: unbounded, next: g.live[key]}
		g.live[key] = f
		g.size++
		c.flights = append(c.flights, f)
		boarded[i] = f
	}
	return c
}

// begin returns the context of the load: it has the values of ctx, and an end of
// its own.
func (c *call) begin(ctx context.Context, timeout time.Duration) context.Context {
	load, cancel := context.WithCancelCause(context.WithValue(context.WithoutCancel(ctx), callKey{}, c))
	c.cancel = cancel
	if timeout > 0 {
		var stop context.CancelFunc
		load, stop = context.WithTimeoutCause(load, timeout, ErrLoadTimeout)
		c.cancel = func(cause error) { cancel(cause); stop() }
	}
	c.bound = load.Done()
	c.cause = func() error { return context.Cause(load) }
	return load
}

// callKey is the context key under which the context of a load has its *call.
type callKey struct{}

// parentCall returns the call whose load function has ctx; nil if none has.
func parentCall(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return nil
}

// waitAll waits for the calls of b, and returns those that the reader has left,
// with the reasons. A load that was cancelled does not keep the reader from
// waiting for the others; the end of its own context does. A reader in a load
// function that one of the calls waits for leaves them all.
func (s *CachedScope) waitAll(ctx context.Context, b boarding) (gone map[*call]bool, err error) {
	if b.reader != nil {
		if !s.cache.waits.begin(b.reader, b.calls) {
			return s.flights.leaveAll(b.calls), ErrRecursiveLoad
		}
		defer s.cache.waits.end(b.reader, b.calls)
	}
	var errs []error
	for _, c := range b.calls {
		if err := s.flights.wait(ctx, c); err != nil {
			if gone == nil {
				gone = make(map[*call]bool)
			}
			gone[c] = true
			if ctx.Err() == nil || len(errs) == 0 {
				errs = append(errs, err)
			}
		}
	}
	return gone, join(errs...)
}

// wait returns nil when the outcomes of c are final. A result that is there wins
// over a context that ended at the same moment.
func (g *flights) wait(ctx context.Context, c *call) error {
	select {
	case <-c.done:
		return nil
	default:
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	case <-c.bound:
	}
	return g.leave(ctx, c)
}

// leave takes a reader away from c whose own context has ended, or the load's.
// It returns nil if the result is there after all.
func (g *flights) leave(ctx context.Context, c *call) error {
	err := ctx.Err() // before the lock, since the context may be anybody's code
	g.mu.Lock()
	if c.loaded {
		g.mu.Unlock()
		return nil
	}
	c.waiters--
	last := c.waiters == 0 || err == nil // without the load, nobody has anything to wait for
	if last {
		g.abandonLocked(c)
	}
	g.mu.Unlock()
	if last {
		c.cancel(context.Canceled)
	}
	if err == nil {
		err = c.cause()
	}
	return err
}

// leaveAll takes a reader away from calls.
func (g *flights) leaveAll(calls []*call) (gone map[*call]bool) {
	gone = make(map[*call]bool)
	var last []*call
	g.mu.Lock()
	for _, c := range calls {
		gone[c] = true
		if c.waiters--; c.waiters == 0 && !c.loaded {
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
	for _, f := range c.flights {
		g.endLocked(f)
	}
}

// overLocked reports whether the load of c was cancelled before it returned, and
// then abandons it. Who waits for c does so too, but a reader of several calls
// may be waiting for another one when the timeout of c ends.
func (g *flights) overLocked(c *call) bool {
	if c.loaded {
		return false
	}
	select {
	case <-c.bound:
		g.abandonLocked(c)
		return true
	default:
		return false
	}
}

// endLocked ends the epoch of f. It returns whether f is filling; it then stays
// in live until the store has returned.
func (g *flights) endLocked(f *flight) (filling bool) {
	f.fence, filling = f.fence.end()
	if !filling {
		g.removeLocked(f)
	}
	return filling
}

// removeLocked takes f out of live if it is there: f, and never the flight that
// took its place.
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

// bind bounds what flights bring: only readers that began before now may take
// it.
func (g *flights) bind(flights []*flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now++
	for _, f := range flights {
		f.bound = g.now
	}
}

// fill decides which of candidates, flights of c whose outcomes are known, are
// stored. The caller stores those, calls answered when the store has returned,
// and then lands, if it did not say last. With last, the outcomes of all flights
// are final.
func (g *flights) fill(c *call, candidates []*flight, last bool) (store []*flight, refused int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.loaded = c.loaded || last
	store = candidates[:0]
	for _, f := range candidates {
		next, ok := f.fence.fill()
		f.fence = next
		if ok {
			store = append(store, f)
		}
	}
	c.asked = c.asked || len(store) > 0
	if !c.abandoned {
		refused = len(candidates) - len(store)
	}
	return store, refused
}

// fillLeased decides which of candidates are stored under their leases: unlike
// without leases, those too whose epoch has ended, since the store decides, which
// knows whether the lease was acquired before the deletion or after it. But
// nothing is stored that has a pending invalidation.
//
// From now on nobody joins these flights. A confirmed fill may be taken by who
// began before the moment that is returned.
func (g *flights) fillLeased(c *call, candidates []*flight, last bool) (store, rest []*flight, sent moment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.loaded = c.loaded || last
	g.now++ // nothing but the order matters: who boards from now on begins later
	for _, f := range candidates {
		g.endLocked(f)
		if g.closed || c.abandoned || g.pending.covers(f.key) {
			rest = append(rest, f)
		} else {
			store = append(store, f)
		}
	}
	return store, rest, g.now
}

// confirmed says that the fills of flights, sent at the moment sent, were
// confirmed.
func (g *flights) confirmed(flights []*flight, sent moment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range flights {
		f.bound = sent
	}
}

// late returns those of flights whose value a reader that began at the moment
// began may not take. Errors may be taken by all. Calls that it has left are gone.
func (g *flights) late(boarded []*flight, gone map[*call]bool, began moment) (late map[*flight]bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, f := range boarded {
		if gone[f.call] || mayTake(began, f.bound) || f.outcome.err != nil && !f.outcome.entry.Absent {
			continue
		}
		if late == nil {
			late = make(map[*flight]bool)
		}
		late[f] = true
	}
	return late
}

// answered is told that the store has returned from keeping the results of c.
func (g *flights) answered(c *call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.answered = true
	if c.landed {
		g.settleLocked(c)
	}
}

// settleLocked takes the flights of c that no longer matter out of live: all, or
// if the store has not returned yet, those that do not fill.
func (g *flights) settleLocked(c *call) {
	for _, f := range c.flights {
		if f.fence.phase == phaseFilling && !c.answered {
			f.fence, _ = f.fence.end() // it stays only to be waited for
			continue
		}
		f.fence = f.fence.settle()
		g.removeLocked(f)
	}
}

// land ends c: nobody can join it any more, and all who wait go on.
func (g *flights) land(c *call) {
	g.mu.Lock()
	c.loaded, c.landed = true, true
	delete(g.running, c)
	if c.asked {
		g.stored.Add(1)
	}
	g.settleLocked(c)
	g.mu.Unlock()
	close(c.done)
	c.cancel(context.Canceled)
}

// endEpochs begins an invalidation: it ends the epochs of all keys that targets
// cover. It returns the invalidation's version, and the calls that fill such
// keys.
func (g *flights) endEpochs(targets Targets) (version uint64, filling map[*call]struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.version++
	if lag := g.options.ReplicaLag; lag > 0 && g.lagsHere {
		now := time.Now()
		g.lagging.add(targets, now, now.Add(lag))
	}
	filling = make(map[*call]struct{})
	g.eachLocked(targets, func(f *flight) {
		if g.endLocked(f) {
			filling[f.call] = struct{}{}
		}
	})
	return g.version, filling
}

// retry begins another attempt at what is pending. It ends no epochs: while an
// invalidation is pending, the flights of its keys neither ask nor fill the
// store.
func (g *flights) retry() (targets Targets, version uint64, filling map[*call]struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	targets = g.pending.targets()
	filling = make(map[*call]struct{})
	g.eachLocked(targets, func(f *flight) {
		if f.fence.phase == phaseFilling {
			filling[f.call] = struct{}{}
		}
	})
	return targets, g.version, filling
}

// stuck returns the keys among targets that calls in filling are still filling,
// although they have landed: the store should have returned from it long ago.
// Whatever is deleted before it returns, what it stores may come after that.
func (g *flights) stuck(targets Targets, filling map[*call]struct{}) (keys []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range filling {
		for _, f := range c.flights {
			if f.fence.phase == phaseFilling && targets.cover(f.key) && !slices.Contains(keys, f.key) {
				keys = append(keys, f.key)
			}
		}
	}
	return keys
}

// conclude ends an attempt that began with version: the store has removed
// confirmed, and did not say so for failed.
//
// It ends the epochs of confirmed once more, since a flight that began after the
// first time may have found an old entry in the store.
func (g *flights) conclude(confirmed, failed Targets, version uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.pending.size()
	g.pending.confirm(confirmed, version)
	g.pending.add(failed, version)
	after := g.pending.size()
	g.bypassing.Store(int64(after))
	switch {
	case before == 0 && after > 0:
		g.scopesPending.Add(1)
	case before > 0 && after == 0:
		g.scopesPending.Add(-1)
	}
	g.eachLocked(confirmed, func(f *flight) { g.endLocked(f) })
	g.eachLocked(failed, func(f *flight) { g.endLocked(f) })
}

// eachLocked calls visit for the live flights of all keys that targets cover.
// visit may remove the flight.
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

// close ends the epochs of all flights and cancels their loads. It returns how
// many invalidations are pending.
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
