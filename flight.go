package readthrough

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/internal/limit"
	"github.com/readthrough/readthrough/provider"
)

// call is one run of a load function, for one key or for many, in a goroutine of its own. It
// belongs to its keys and not to a reader (G7): it goes on while anybody waits for it, or if nobody
// ever has.
//
// Its life is a line, and stage says how far it is:
//
//	made (join, startRefresh, startPut)
//	  its turn among the loads of the scope     graph.Enter
//	  a second look into the store, or leases   lookAgain, loadLeased
//	  the load function                         load
//	  the fill                                  complete
//	landed                                      land
//
// Invariants, all under flights.mu:
//
//   - A call is in flights.running from its making until it has landed.
//   - Each of its flights is in flights.live until its epoch ends, or until the call has landed and
//     the store has returned from its fill.
//   - waiters counts the readers that were given the call by join and have not left it. Nobody
//     counts down when a call lands: the number has no meaning then.
//   - abandoned is set only before stageLoaded, and then nothing of the call is stored.
//
// The fields are grouped by who writes them, because the readers, the goroutine of the call and
// invalidations all touch a call, and each of them under another rule. A lock of its own for each
// call was rejected: what is decided about a call is decided together with the flights of its keys.
type call struct {
	// The following are set before others know the call, and not changed.

	// flights are the keys of the call, in the order of the read that made it.
	flights []*flight
	// itself is the list of this call alone. A reader of one key waits for it without an
	// allocation.
	itself [1]*call
	// purpose says why the call was made.
	purpose purpose
	// ctx is the context of the load. It ends by LoadTimeout, by Close, by the last reader to
	// leave, or after the call has landed. cause tells which.
	ctx context.Context //nolint:containedctx // of the load: has to be cancelled, and asked for its cause
	// cancel ends ctx. It is never called under a lock: it runs code of the user
	// (context.AfterFunc).
	cancel context.CancelCauseFunc
	// values is the context of the first reader without its end, and with the call as a value. The
	// fill and the removals of the call run with it: they happen although ctx may have ended.
	values loadValues
	// over is ctx.Done(), the one channel that readers wait for. It is closed when the outcomes are
	// final and stored, or when the load is cancelled. final tells which. A second channel for the
	// outcomes was rejected: it would be one more to make, to close and to wait for.
	over <-chan struct{}
	// created is when the call was made. SoftLoadTimeout counts from it.
	created time.Time
	// node is the call in the wait-for graph, with its place among the loads of the scope. Package
	// limit guards it.
	node limit.Node
	// recheck says that the store is asked again before the load: some flight has stored something
	// since the reader missed, or a stored entry is to be replaced.
	recheck bool

	// The following are set by the reader that made the call, before it starts the goroutine. Only the
	// goroutine reads them.

	// scope, loader and ttls are those of the read that made the call. Readers that join get its
	// TTL.
	scope  *keyspace
	loader loader
	ttls   ttls
	// readerDeadline is the deadline of that reader's context; zero: none. The call asks the store
	// for no longer, so that a store that hangs leaves time for the load.
	readerDeadline time.Time

	// The following belong to the call's goroutine.

	// loading is the number of flights that are being loaded, for the observer.
	loading int
	// began is when that load began, by the clock. The order of events is flight.began.
	began time.Time
	// ran: the load function was run. It is not if the context of the load has ended before.
	ran bool
	// returned: run has come to its end. If it is false when the deferred end runs, the load
	// function has panicked or called Goexit.
	returned bool
	// renewal is of the leases that the call has asked for last; nil if it has not asked.
	renewal *renewal
	// notices are what the user is told after the call has landed.
	notices []notice
	// loadCtx is what the load function gets: ctx, or what Observer.LoadStart has made of it. The
	// notices are told with it.
	loadCtx context.Context //nolint:containedctx // the notices need it

	// final says that the call has landed, so that its outcomes and their validBefore do not change
	// any more. The goroutine of the call sets it, after it has released flights.mu and before it
	// closes over. A reader that has seen it reads the outcomes without the lock.
	final atomic.Bool

	// deciding guards following, and flight.decided. It is apart from flights.mu because the load
	// function takes it, through its Load, as often as it likes.
	deciding sync.Mutex
	// byKey has the flights by their keys. Made when the first flight is asked for; most loads
	// never ask.
	byKey map[string]*flight

	// The following are guarded by flights.mu.

	// stage is how far the call has come.
	stage stage
	// fill is what is known of a fill in a store without leases. Invalidations wait for such a
	// fill.
	fill fillState
	// detached: the load goes on though nobody waits for it. Set when the call is made, for a
	// refresh and a put, or by a reader that left it for its fallback, or in a scope with FinishLoads.
	// Never unset.
	detached bool
	// abandoned: the load was cancelled, and its readers were sent away. Never unset.
	abandoned bool
	// endsBy is how long readers wait for the end of the load, if it was abandoned. Also read without the
	// lock, after over was closed.
	endsBy time.Time
	// bound ends a load in the background, in a scope without LoadTimeout; nil: none is needed.
	bound *time.Timer
	// waiters is the number of readers that wait. The last one to leave cancels the load.
	waiters int
	// landing is closed when the call lands. An invalidation that waits for the fill makes it; nil:
	// none waits.
	landing chan struct{}
	// mark is the number of the last run of join that has counted its reader here. It finds calls
	// that a bulk reader meets twice, without a map.
	mark uint64
}

// purpose is why a call was made. It decides what the call does about an entry that it finds.
type purpose uint8

const (
	// toRead: a reader has missed, and waits. A fresh entry that turns up is taken.
	toRead purpose = iota
	// toRefresh: a reader was served an entry that is to be replaced, and does not wait. If another
	// process loads the key, or no place is free, the call does nothing.
	toRefresh
	// toReplace: a reader wants what is loaded from now on, whatever is stored. No entry is taken.
	toReplace
	// toPut: a writer stores what it has written. Nobody joins it, and no load function runs.
	toPut
)

// stage is how far a call has come. It only goes forward, and flights.mu guards it. An enumeration
// was chosen over one flag for each step, since the flags can be combined in ways that cannot
// happen.
type stage uint8

const (
	// stageWaiting: the load function has not been run. The call may wait for its turn, or for a
	// lease.
	stageWaiting stage = iota
	// stageLoading: the load function runs, or has run for some of the flights. From here on, a
	// reader that leaves for its fallback lets the load go on: the source was asked already.
	stageLoading
	// stageLoaded: the outcomes of all flights are final, and the fill may be under way. A reader
	// that leaves takes its outcome instead.
	stageLoaded
	// stageLanded: no reader can join, and over is closed or about to be.
	stageLanded
)

// fillState is whether a store without leases was asked to keep results of a call. It decides
// whether land may take the flights out of flights.live.
type fillState uint8

const (
	// fillNone: the store was not asked. An invalidation has no fill to wait for.
	fillNone fillState = iota
	// fillSent: the store was asked, and has not returned. A store that does not keep its deadline
	// may return after the call has landed, and may store the value even then. Until then the
	// flights stay in live as filling, and each invalidation of their keys is pending.
	fillSent
	// fillReturned: the store was asked, and has returned. For a store in the process this is set
	// when the fill begins: the goroutine of the call makes the fill itself, so the store has
	// returned before the call lands.
	fillReturned
)

// flight is a key's share of a call. Between the flights of one key, fence keeps order; between a
// flight and the readers that join it, validBefore does (epoch.go).
//
// A flight is in flights.live while it can be joined or while it fills. There may be several of one
// key: the newest comes first, and next leads to the older ones.
type flight struct {
	// The following are set before others know the flight, and not changed.

	// key is the key in the scope.
	key  string
	call *call
	// index is the position of the key in the read that made the call: the load function finds its
	// id by it.
	index int
	// bypass says that the flight neither asks nor fills the store. An invalidation of the key was
	// pending when the flight began, or the source may lag behind one. It is decided once, when the
	// flight is made: if the invalidation is confirmed meanwhile, the flight costs one load more,
	// and if one becomes pending meanwhile, the fence or fillLeased refuses the fill.
	bypass bool
	// lags says that the source may lag behind an invalidation of the key, as far as this process knows.
	lags bool

	// outcome is written by the goroutine of the call, before it sets stageLoaded under flights.mu.
	// Others read it after they have seen stageLoaded under flights.mu, or call.final.
	outcome outcome

	// The following belong to the call's goroutine.

	// claim is what the last answer of a store with leases allows.
	claim claim
	// lease is the right to fill the key, in a store with leases; nil: none. It is always used up,
	// by a fill or by a release: a lease that is forgotten keeps other processes from filling until
	// it ends.
	lease *provider.Lease
	// spent: the lease is used up, or was given back.
	spent bool
	// replaces is the LoadedAt of the stored entry that is to be replaced; zero: none. An entry
	// with another LoadedAt was loaded meanwhile, and is taken instead of a load.
	replaces time.Time
	// old is that entry, for Load.OldValue, Load.Validator and Load.NotModified. It is nil if the
	// store did not have it any more when the flight began, or if its value is not of the type that
	// is loaded.
	old *provider.Entry

	// decided is what the load function has said; nil: nothing. Guarded by call.deciding.
	decided *decisions

	// The following are guarded by flights.mu.

	// fence says whether the flight can be joined, and whether its result may be stored.
	fence fence
	// validBefore: readers that began before it may take the outcome. It changes until the call has
	// landed: see fence.go.
	validBefore seq
	// began is the point of the logical clock at which the load began; 0: it did not. Refresh takes
	// only loads that began after itself.
	began seq
	// next is the next older flight of the key in flights.live; nil: none.
	next *flight
}

// claim is what a call may do about a flight, by the last answer of a store with leases. Each
// answer gives each flight one claim, so that no flight is in two lists or in none.
type claim uint8

const (
	// claimNone: the store was not asked, or the flight has its outcome.
	claimNone claim = iota
	// claimLoad: load it. With a lease, the result may be filled. Without one, because the store
	// failed or the key is held, it is served and not stored.
	claimLoad
	// claimBusy: another process has the lease. Ask again, or leave the key to it.
	claimBusy
	// claimRemove: the key holds something that cannot be read, or an entry that this store cannot
	// lease (no Refresher). It is removed, and then the store is asked again.
	claimRemove
	// claimAgain: the key holds another entry than was found before, and that entry has to be
	// replaced, too. Ask again, with its LoadedAt.
	claimAgain
)

// loader is the typed end of a call: a load function, and the type that it loads. It is an
// interface, because flights of one scope have values of many types.
type loader interface {
	decoder
	// load runs the load function for flights and sets their outcomes. If it returns an error, the
	// flights without an outcome have failed.
	load(ctx context.Context, flights []*flight) error
	// isLoaded reports whether a stored value is of the type that is loaded. It does not decode the
	// value.
	isLoaded(stored any) bool
}

// decoder knows the type that is loaded.
type decoder interface {
	// decode returns the value of a stored entry as that type.
	decode(entry provider.Entry) (any, error)
}

// renewal is what a call knows of the time of its leases. It renews them while the call loads and fills.
type renewal struct {
	// call and ttl do not change.
	call *call
	ttl  time.Duration

	mu sync.Mutex // guards following
	// flights are those whose leases are renewed.
	flights []*flight
	// since is when the leases were last asked for. All of them last at least a TTL from then on,
	// unless they are removed.
	since time.Time
	// removed are the flights whose leases were removed before they had ended.
	removed map[*flight]struct{}
	// timer is nil if nothing is renewed.
	timer *time.Timer
	over  bool
}

// newCall makes a call with n flights, which the caller fills in. A call with one flight is one
// piece of memory, with the list of its flights: a miss then costs two allocations less.
func newCall(n int) (c *call, flights []flight) {
	if n == 1 {
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

// flightOf returns the flight of key, or nil if the call has none. The load function calls it
// through LoadOf, from any of its goroutines.
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

// begin makes the context of the load. It has the values of ctx, the context of the first reader,
// but not its end (G7). It ends by itself, by LoadTimeout, or by cancel.
func (c *call) begin(ctx context.Context, options *ScopeOptions) {
	c.values = loadValues{ctx, c}
	load, cancel := context.WithCancelCause(&c.values)
	c.cancel = cancel
	if options.LoadTimeout > 0 {
		var stop context.CancelFunc
		load, stop = context.WithTimeoutCause(load, options.LoadTimeout, ErrLoadTimeout)
		c.cancel = func(cause error) { cancel(cause); stop() }
	}
	c.over, c.ctx, c.loadCtx = load.Done(), load, load
}

// cause returns why the load was cancelled, or nil if it was not.
func (c *call) cause() error { return context.Cause(c.ctx) }

// loadValues is a context without an end. It has the values of another context, and a call. It is a
// field of the call, so it needs no memory of its own, as [context.WithoutCancel] would.
type loadValues struct {
	reader context.Context //nolint:containedctx // whose values it has
	call   *call
}

// Deadline reports that there is none.
func (*loadValues) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done returns nil: the context has no end.
func (*loadValues) Done() <-chan struct{} { return nil }

// Err returns nil.
func (*loadValues) Err() error { return nil }

// callKey is the key under which the context of a load has its *call.
type callKey struct{}

// Value returns the call for callKey, and the value of the first reader's context for every other
// key.
func (v *loadValues) Value(key any) any {
	if key == (callKey{}) {
		return v.call
	}
	return v.reader.Value(key)
}

// parentCall returns the call in whose load function ctx is used, or nil. A load function that
// drops its context cannot be recognized. If it reads its own key, it waits for itself until
// LoadTimeout.
func parentCall(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok && !c.final.Load() {
		return c
	}
	return nil
}

// isLoadOf reports whether ctx is used in the load function of key, or of several keys with key
// among them.
func isLoadOf(ctx context.Context, key string) bool {
	c := parentCall(ctx)
	return c != nil && c.flightOf(key) != nil
}
