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
	// over is closed when the outcomes of all flights are final and those that may be
	// stored have been; and before that when the load is cancelled: by its timeout, by
	// Close, or because everybody has left. final tells the two apart, and cause says
	// why the load was cancelled.
	over <-chan struct{}
	// final is set before over is closed because of the outcomes.
	final atomic.Bool
	ctx   context.Context //nolint:containedctx // of the load: what has to be cancelled and asked for its cause
	// cancel cancels the load.
	cancel context.CancelCauseFunc
	// values is the context of the reader that made the call, without its end, and
	// has the call as a value.
	values loadValues
	// run is the call's goroutine.
	run run
	// flights are the call's keys.
	flights []*flight
	// itself is the list of the call alone.
	itself [1]*call
	// lives are the TTLs of the read that made the call.
	lives lifetimes
	// patience is the deadline of the reader that made the call; zero if it has none.
	patience time.Time
	// created is when the call was made; zero if nobody wants to know.
	created time.Time
	// turn is the call's place among the loads of a scope with MaxLoads; nil: there is
	// no limit.
	turn *turn
	// deciding guards the decisions of all flights, and byKey, which is made when
	// the first of them is asked for.
	deciding sync.Mutex
	byKey    map[string]*flight
	// again says that the store has to be asked again before loading: since the
	// reader missed, some flight has stored something.
	again bool
	// purpose is why the call was made.
	purpose purpose

	// The following are guarded by flights.mu.

	// detached says that the load goes on though nobody waits for it.
	detached bool
	// loaded says that the outcomes are final.
	loaded bool
	// begun says that the load function runs, or did.
	begun bool
	// abandoned says that the load was cancelled and its readers sent away.
	abandoned bool
	// asked and answered say that the store was asked to keep the results, and
	// that it has returned; landed, that over is closed or about to be. A store
	// that does not keep its deadline returns after that: until then the flights
	// count as filling. One in the process has always returned by then, and answered
	// is set from the beginning.
	asked, answered, landed bool
	// waiters is the number of readers that wait. The last to leave cancels.
	waiters int
	// landing is closed when landed is set; nil: nobody waits for that.
	landing chan struct{}
	// boarding is the last boarding that found a flight of the call.
	boarding uint64
}

// purpose is why a call was made.
type purpose uint8

const (
	// toRead: a reader has missed, and waits.
	toRead purpose = iota
	// toRefresh: a reader has found an entry that is to be replaced, and does not
	// wait.
	toRefresh
	// toReplace: a reader wants what is loaded now, whatever is stored.
	toReplace
	// toPut: a writer stores what it has written. Nobody joins it.
	toPut
)

// flight is a key's share of a call.
type flight struct {
	key   string
	call  *call
	index int // the key's position in the read that made the call
	// outcome is written by the call's goroutine before it sets call.loaded under
	// mu, and read after that.
	outcome outcome
	// direct says that an invalidation of the key was pending when the flight
	// began, or that the source may lag behind one: it neither asks nor fills the
	// store.
	direct bool
	fence  fence // guarded by flights.mu

	// The following belong to the call's goroutine.

	// lease is the right to fill, in a store with leases; nil: it has none.
	lease *provider.Lease
	// seen is the LoadedAt of the entry that was found and is to be replaced.
	seen time.Time
	// old is that entry, if the store still had it when the flight had begun, and it
	// is a value of the type that is loaded; otherwise nil.
	old *provider.Entry

	decided *decisions // guarded by call.deciding: what the load function has said; nil: nothing

	bound moment  // guarded by flights.mu: who began before it may take the outcome
	began moment  // guarded by flights.mu: when its load began; zero: it did not
	next  *flight // guarded by flights.mu: an older flight of the same key
}

// outcome is what a flight brought.
type outcome struct {
	entry provider.Entry
	err   error // of the load; with entry.Absent, the load's way to say so
	known bool  // there is one
	// found says that the store had the entry: nothing was loaded.
	found bool
	// extended says that the source has confirmed the value that is stored.
	extended bool
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
	// failing is the number of keys in failures, for readers without mu.
	failing atomic.Int64
	// failed counts the failures that were remembered.
	failed atomic.Uint64
	// scopesPending is the cache's number of scopes where something is pending.
	scopesPending *atomic.Int64
	options       *ScopeOptions
	inProcess     bool  // the store is in the process
	lagsHere      bool  // the store has no holds, so that lagging has to know
	slots         slots // of the loads that run at once

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
	failures  failures
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

// request is what a reader asks of board: flights for keys.
type request struct {
	keys []string
	// seen are the LoadedAt of the entries that were found under keys and are to be
	// replaced, zero where none was; nil: none at all.
	seen []time.Time
	// stored is what flights.stored was before the store was asked for the keys.
	stored uint64
	// failed is what flights.failed was before the reader asked whether the keys have
	// failed; what did since then is not loaded.
	failed  uint64
	purpose purpose
}

// board finds a flight for each of the keys of r: one that can be joined, or one
// of a new call. The reader counts as one waiter of each call. If a key that has no
// flight has failed since the reader asked, it does nothing and returns
// errFailedMeanwhile.
func (g *flights) board(ctx context.Context, r *request) (b boarding, err error) {
	deadline, _ := ctx.Deadline()
	b.reader = parentCall(ctx) // before the lock, since the context may be anybody's code
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return boarding{}, ErrClosed
	}
	g.boardings++
	g.now++
	b.began = g.now
	var few [1]int
	missing := few[:0]
	for i, key := range r.keys {
		f := g.joinableLocked(key)
		if f == nil {
			if g.failures.keys[key].number > r.failed {
				return boarding{}, errFailedMeanwhile
			}
			missing = append(missing, i)
			continue
		}
		if b.flights == nil {
			b.flights = make([]*flight, len(r.keys))
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
	if len(missing) > 0 {
		b.own = g.createLocked(r, missing)
		if b.flights == nil { // all of them
			b.flights = b.own.flights
		} else {
			for n, i := range missing {
				b.flights[i] = b.own.flights[n]
			}
		}
		if b.calls == nil {
			b.calls = b.own.itself[:]
		} else {
			b.calls = append(b.calls, b.own)
		}
		b.own.waiters = 1
		b.own.patience = deadline
		b.own.begin(ctx, g.options)
	}
	return b, nil
}

// boardRefresh makes a call without a reader, for those keys of r that nobody is
// loading, that may be stored, and whose last load did not just fail. It returns
// nil if there are none.
func (g *flights) boardRefresh(ctx context.Context, r *request) *call {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	var missing []int
	for i, key := range r.keys {
		if g.joinableLocked(key) == nil && !g.directLocked(key) && !g.failures.rests(key, now) {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	c := g.createLocked(r, missing)
	c.detached = true
	c.begin(ctx, g.options)
	return c
}

// joinableLocked returns the flight of key that a reader which begins now may
// join; nil if there is none.
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

// directLocked reports whether a flight of key that begins now has to leave the
// store alone.
func (g *flights) directLocked(key string) bool {
	if g.pending.size() == 0 && g.lagging.size() == 0 {
		return false // going through maps takes stack, even if there is nothing in them
	}
	return g.pending.covers(key) || g.lagging.covers(key)
}

// createLocked makes a call with a flight for each of the keys of r at positions.
func (g *flights) createLocked(r *request, positions []int) *call {
	c, created := newCall(len(positions))
	c.purpose, c.answered = r.purpose, g.inProcess
	c.again = r.seen != nil || r.purpose == toReplace || g.stored.Load() != r.stored
	if g.options.SoftLoadTimeout > 0 {
		c.created = time.Now()
	}
	if g.options.MaxLoads > 0 {
		c.turn = newTurn(&g.slots)
	}
	g.running[c] = struct{}{}
	for n, i := range positions {
		key, f := r.keys[i], &created[n]
		f.key, f.call, f.index = key, c, i
		f.direct, f.bound, f.next = g.directLocked(key), unbounded, g.live[key]
		if r.seen != nil {
			f.seen = r.seen[i]
		}
		g.live[key] = f
		g.size++
		c.flights[n] = f
	}
	return c
}

// newCall makes a call with n flights, which are to be filled in.
func newCall(n int) (c *call, flights []flight) {
	if n == 1 { // in one piece of memory
		one := &struct {
			call    call
			flights [1]flight
			list    [1]*flight
		}{}
		c, flights = &one.call, one.flights[:]
		c.flights = one.list[:]
	} else {
		c, flights = &call{flights: make([]*flight, n)}, make([]flight, n)
	}
	c.itself[0] = c
	return c, flights
}

// begin makes the context of the load: it has the values of ctx, and an end of its
// own.
func (c *call) begin(ctx context.Context, options *ScopeOptions) {
	c.values = loadValues{context.WithoutCancel(ctx), c}
	load, cancel := context.WithCancelCause(&c.values)
	c.cancel = cancel
	if options.LoadTimeout > 0 {
		var stop context.CancelFunc
		load, stop = context.WithTimeoutCause(load, options.LoadTimeout, ErrLoadTimeout)
		c.cancel = func(cause error) { cancel(cause); stop() }
	}
	c.over, c.ctx = load.Done(), load
}

// cause returns why the load was cancelled; nil if it was not.
func (c *call) cause() error { return context.Cause(c.ctx) }

// loadValues is a context that has no end, with the values of another one and a
// call.
type loadValues struct {
	context.Context //nolint:containedctx // it is one

	call *call
}

// Value returns the call for callKey.
func (v *loadValues) Value(key any) any {
	if key == (callKey{}) {
		return v.call
	}
	return v.Context.Value(key)
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

// load says that the loads of flights, which are of c, begin. With leases, that
// bounds what they bring. It returns false if everybody has left c before that.
func (g *flights) load(c *call, flights []*flight, leases bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.begun = c.begun || !c.abandoned
	g.now++
	for _, f := range flights {
		f.began = g.now
		if leases {
			f.bound = g.now
		}
	}
	return !c.abandoned
}

// fill decides which of candidates, flights of c whose outcomes are known, are
// stored. The caller stores those, calls answered when the store has returned,
// and then lands, if it did not say last. With last, the outcomes of all flights
// are final.
func (g *flights) fill(c *call, candidates []*flight, last bool) (store []*flight, refused int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.loaded = c.loaded || last
	store = filter(candidates, func(f *flight) (ok bool) {
		f.fence, ok = f.fence.fill()
		return ok
	})
	c.asked = c.asked || len(store) > 0
	if !c.abandoned {
		refused = len(candidates) - len(store)
	}
	return store, refused
}

// filter returns those of flights that are to be kept: flights itself, if these are
// all.
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

// late returns those of flights whose outcome a reader that began at the moment
// began may not take, and those without one. Errors may be taken by all. With
// loaded, only what was loaded since then will do. Calls that the reader has left
// are gone.
func (g *flights) late(boarded []*flight, gone map[*call]error, began moment, loaded bool) (late map[*flight]bool) {
	if len(boarded) > 1 || !boarded[0].call.final.Load() { // what is final can be read without the lock
		g.mu.Lock()
		defer g.mu.Unlock()
	}
	for _, f := range boarded {
		if gone[f.call] != nil || f.outcome.known && f.mayTake(began, loaded) {
			continue
		}
		if late == nil {
			late = make(map[*flight]bool)
		}
		late[f] = true
	}
	return late
}

// mayTake reports whether a reader that began at the moment began may take the
// outcome.
func (f *flight) mayTake(began moment, loaded bool) bool {
	if loaded && began >= f.began {
		return false
	}
	return mayTake(began, f.bound) || f.outcome.err != nil && !f.outcome.entry.Absent
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
	g.learnLocked(c)
	g.settleLocked(c)
	if c.landing != nil {
		close(c.landing)
	}
	g.mu.Unlock()
	c.final.Store(true)
	c.cancel(context.Canceled)
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

// endEpochs begins an invalidation: it ends the epochs of all keys that targets
// cover. It returns the invalidation's version, and the calls that fill such
// keys.
func (g *flights) endEpochs(targets Targets) (version uint64, filling map[*call]struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.version++
	g.failures.forget(targets)
	g.failing.Store(int64(len(g.failures.keys)))
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
