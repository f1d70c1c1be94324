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

// flightOf returns the flight of key; nil if c has none.
func (c *call) flightOf(key string) *flight {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if c.byKey == nil {
		c.byKey = make(map[string]*flight, len(c.flights))
		for _, f := range c.flights {
			c.byKey[f.key] = f
		}
	}
	return c.byKey[key]
}

// boardPut makes the call of a put, which nobody joins. It returns nil if the
// cache is closed.
func (g *flights) boardPut(ctx context.Context, key string) *call {
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
	// The following belong to the call's goroutine.

	scope    *keyspace
	job      job
	loading  int       // how many flights the load function is loading
	began    time.Time // when that began
	ran      bool      // the load function was run
	entered  bool      // the run has one of the places of the scope's loads
	returned bool      // the run came to its end: no panic, no Goexit
	loads    []Event   // for the observer, after everybody was woken

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

// request is what a reader asks of the flights.
type request struct {
	items   []item  // without an answer yet
	purpose purpose // toRead, or toReplace: only what is loaded from now on will do
	stored  uint64  // flights.stored before the store was asked
	began   moment  // when the reader boarded for the first time; zero: not yet
}

// item is a key of a read that has no answer yet.
type item struct {
	key    string
	index  int // in the caller's ids
	flight *flight
	late   bool      // the outcome of flight is from before the read began
	seen   time.Time // LoadedAt of the stored entry that is to be replaced; zero: none
	// spare is a stale value, which is served if the load fails or takes long. It was
	// in the store after the read had begun, so no invalidation before that had removed it.
	spare    any
	hasSpare bool
}

// job is what a call does: a load function and the type that it loads.
type job interface {
	// load runs the load function for flights and sets their outcomes. With an
	// error, the flights without an outcome failed.
	load(ctx context.Context, flights []*flight) error
	// adopt returns the value of a stored entry as the type that is loaded.
	adopt(entry provider.Entry) (any, error)
	// holds reports whether a stored value is of that type, without decoding it.
	holds(stored any) bool
}

// boarding is what a reader that missed waits for.
type boarding struct {
	calls  []*call  // those of the items' flights, each once
	own    *call    // the one among them that the reader has to run; nil if none
	joined int      // the number of flights of other calls
	began  moment   // when the reader began, or a little later
	reader *call    // the one in whose load function the reader is; nil if in none
	failed []failed // what is not loaded, because its last load failed
}

// board finds a flight for each item of r: one that can be joined, or one of a new
// call. The reader counts as one waiter of each call.
func (g *flights) board(ctx context.Context, r *request) (b boarding, err error) {
	deadline, _ := ctx.Deadline()
	b.reader = parentCall(ctx) // before the lock, since the context may be anybody's code
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return boarding{}, ErrClosed
	}
	b.failed = g.takeFailedLocked(r)
	if len(r.items) == 0 {
		return b, nil
	}
	g.boardings++
	g.now++
	b.began = g.now
	missing := 0
	for n := range r.items {
		i := &r.items[n]
		if i.flight = g.joinableLocked(i.key); i.flight != nil {
			continue
		}
		missing++
	}
	b.joined = len(r.items) - missing
	if missing > 0 {
		b.own = g.createLocked(r.items, missing, r.purpose, r.stored)
		b.own.patience = deadline
		b.own.begin(ctx, g.options)
	}
	if b.joined == 0 {
		b.calls = b.own.itself[:]
		b.own.waiters = 1
		return b, nil
	}
	for n := range r.items {
		if c := r.items[n].flight.call; c.boarding != g.boardings {
			c.boarding = g.boardings
			c.waiters++
			b.calls = append(b.calls, c)
		}
	}
	return b, nil
}

// boardRefresh makes a call without a reader, for those items that nobody is
// loading, that may be stored, and whose last load did not just fail. It returns
// nil if there are none.
func (g *flights) boardRefresh(ctx context.Context, items []item, stored uint64) *call {
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
		if g.directLocked(i.key) || g.failures.rests(i.key, now) {
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

var noFlight = new(flight)

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

// createLocked makes a call with a flight for each of those items that have none, of
// which there are n.
func (g *flights) createLocked(items []item, n int, purpose purpose, stored uint64) *call {
	c, created := newCall(n)
	c.purpose, c.answered = purpose, g.inProcess
	c.again = purpose != toRead && purpose != toPut || g.stored.Load() != stored
	if g.options.SoftLoadTimeout > 0 {
		c.created = time.Now()
	}
	if g.options.MaxLoads > 0 {
		c.turn = newTurn(&g.slots)
	}
	g.running[c] = struct{}{}
	n = 0
	for m := range items {
		i := &items[m]
		if i.flight != nil {
			continue
		}
		f := &created[n]
		f.key, f.call, f.index, f.seen = i.key, c, i.index, i.seen
		f.direct, f.bound, f.next = g.directLocked(i.key), unbounded, g.live[i.key]
		c.again = c.again || !i.seen.IsZero()
		g.live[i.key] = f
		g.size++
		c.flights[n], i.flight = f, f
		n++
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
