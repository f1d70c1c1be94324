package readthrough

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/internal/limit"
	"github.com/readthrough/readthrough/provider"
)

// call is one run of a load function, for one key or for many. It belongs to its keys and not to a
// reader: it goes on while anybody waits for it, or if nobody ever has.
//
// Its life: it is made (join, startRefresh, startPut), waits for its turn, looks into the store again
// or asks for leases, loads, fills, and lands. stage says how far it is.
type call struct {
	// The following are set before others know the call, and not changed.

	flights []*flight // the keys of the call
	itself  [1]*call  // the list of the call alone
	purpose purpose
	// recheck says that the store has to be asked again before the load: some flight has stored
	// something since the reader missed, or what is stored is to be replaced.
	recheck bool
	ctx     context.Context //nolint:containedctx // of the load: has to be cancelled, and asked for its cause
	cancel  context.CancelCauseFunc
	values  loadValues // the context of the first reader without its end; has the call as a value
	// over is ctx.Done(). It is closed when the outcomes are final and stored, or when the load is
	// cancelled: by its timeout, by Close, or because everybody has left. final tells which.
	over    <-chan struct{}
	created time.Time  // when the call was made; zero: nobody asks
	node    limit.Node // in the wait-for graph, with the place among the loads of the scope

	// The following are set by the reader that made the call, before it starts the goroutine. Only the
	// goroutine reads them.

	scope          *keyspace
	loader         loader
	ttls           ttls
	readerDeadline time.Time // of the reader's context; zero: none

	// The following belong to the call's goroutine.

	loading  int       // how many flights are being loaded
	began    time.Time // when that load began
	ran      bool      // the load function was run
	returned bool      // the goroutine came to its end: no panic, no Goexit
	renewal  *renewal  // of the leases that it asked for last; nil: it has not asked
	notices  []notice  // what the user is told after the call has landed
	// loadCtx is what the load function gets: ctx, or what the observer has made of it.
	loadCtx context.Context //nolint:containedctx // the notices need it

	// final is set by the call's goroutine, before it closes over because of the outcomes. Who has seen
	// it may read the outcomes without mu.
	final atomic.Bool

	deciding sync.Mutex         // guards following, and flight.decided
	byKey    map[string]*flight // made when the first flight is asked for

	// The following are guarded by flights.mu.

	stage     stage
	fill      fillState
	detached  bool          // the load goes on though nobody waits for it
	abandoned bool          // the load was cancelled, and its readers were sent away
	waiters   int           // readers that wait; the last to leave cancels
	landing   chan struct{} // closed when the call lands; nil: nobody waits for that
	mark      uint64        // the last run of join that found a flight of the call
}

// purpose is why a call was made.
type purpose uint8

const (
	// toRead: a reader has missed, and waits.
	toRead purpose = iota
	// toRefresh: a reader has found an entry that is to be replaced, and does not wait.
	toRefresh
	// toReplace: a reader wants what is loaded from now on, whatever is stored.
	toReplace
	// toPut: a writer stores what it has written. Nobody joins it.
	toPut
)

// stage is how far a call has come. It only goes forward.
type stage uint8

const (
	// stageWaiting: the load function has not been run.
	stageWaiting stage = iota
	// stageLoading: the load function runs, or has run for some of the flights.
	stageLoading
	// stageLoaded: the outcomes of all flights are final.
	stageLoaded
	// stageLanded: over is closed, or about to be.
	stageLanded
)

// fillState is whether a store without leases was asked to keep results of a call.
type fillState uint8

const (
	// fillNone: it was not.
	fillNone fillState = iota
	// fillSent: it was, and has not returned. A store that does not keep its deadline may return after
	// the call has landed: until then the flights count as filling.
	fillSent
	// fillReturned: it was, and has returned. So it always has if it is in the process.
	fillReturned
)

// flight is a key's share of a call.
type flight struct {
	// The following are set before others know the flight, and not changed.

	key   string
	call  *call
	index int // the position of the key in the read that made the call
	// bypass says that the flight neither asks nor fills the store: an invalidation of the key was
	// pending when the flight began, or the source may lag behind one.
	bypass bool

	// outcome is written by the call's goroutine, before it sets stageLoaded. Others read it after they
	// have seen stageLoaded under flights.mu, or call.final.
	outcome outcome

	// The following belong to the call's goroutine.

	claim claim
	lease *provider.Lease // the right to fill, in a store with leases; nil: none
	// replaces is the LoadedAt of the stored entry that is to be replaced; zero: none.
	replaces time.Time
	// old is that entry, if the store still had it when the flight had begun and it has a value of the
	// type that is loaded; otherwise nil.
	old *provider.Entry

	decided *decisions // guarded by call.deciding: what the load function has said; nil: nothing

	// The following are guarded by flights.mu.

	fence       fence
	validBefore seq     // readers that began before it may take the outcome
	began       seq     // when the load began; zero: it did not
	next        *flight // an older flight of the same key
}

// claim is what a call may do about a flight, by the last answer of a store with leases.
type claim uint8

const (
	// claimNone: the store was not asked, or the flight has its outcome.
	claimNone claim = iota
	// claimLoad: load it. The flight has a lease; or it has none, and what it loads is not stored.
	claimLoad
	// claimBusy: another process has the lease.
	claimBusy
	// claimRemove: the key holds something that cannot be read and has to be removed.
	claimRemove
	// claimAgain: the key holds another entry than was found before, which has to be replaced too.
	claimAgain
)

// loader is the typed end of a call: a load function, and the type that it loads.
type loader interface {
	decoder
	// load runs the load function for flights and sets their outcomes. With an error, the flights that
	// have no outcome have failed.
	load(ctx context.Context, flights []*flight) error
	// isLoaded reports whether a stored value is of the type that is loaded, without decoding it.
	isLoaded(stored any) bool
}

// decoder knows the type that is loaded.
type decoder interface {
	// decode returns the value of a stored entry as the type that is loaded.
	decode(entry provider.Entry) (any, error)
}

// notice is what the user is told after the call has landed. Until then invalidations may wait for the
// call, and the user's code could wait for them.
type notice struct {
	observe func(context.Context, Event) // of the observer; nil: err is told
	event   Event
	err     *OpError
}

// renewal is what a call knows of the time of its leases. It renews them while the call loads and fills.
type renewal struct {
	call *call
	ttl  time.Duration

	mu      sync.Mutex // guards following
	flights []*flight  // whose leases are renewed
	since   time.Time  // all of them last at least a TTL from then on, unless they are removed
	// removed are those that were removed before they had ended.
	removed map[*flight]struct{}
	timer   *time.Timer // nil: nothing is renewed
	over    bool
}

// newCall makes a call with n flights, which are to be filled in. With one flight, all of it is one
// piece of memory.
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

// flightOf returns the flight of key; nil if the call has none.
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

// begin makes the context of the load. It has the values of ctx, and an end of its own.
func (c *call) begin(ctx context.Context, options *ScopeOptions) {
	c.values = loadValues{context.WithoutCancel(ctx), c}
	load, cancel := context.WithCancelCause(&c.values)
	c.cancel = cancel
	if options.LoadTimeout > 0 {
		var stop context.CancelFunc
		load, stop = context.WithTimeoutCause(load, options.LoadTimeout, ErrLoadTimeout)
		c.cancel = func(cause error) { cancel(cause); stop() }
	}
	c.over, c.ctx, c.loadCtx = load.Done(), load, load
}

// cause returns why the load was cancelled; nil if it was not.
func (c *call) cause() error { return context.Cause(c.ctx) }

// loadValues is a context without an end. It has the values of another context, and a call.
type loadValues struct {
	context.Context //nolint:containedctx // it is one

	call *call
}

// callKey is the key of the *call in the context of a load.
type callKey struct{}

// Value returns the call for callKey.
func (v *loadValues) Value(key any) any {
	if key == (callKey{}) {
		return v.call
	}
	return v.Context.Value(key)
}

// parentCall returns the call whose load function got ctx; nil if there is none.
func parentCall(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return nil
}

// isLoadOf reports whether ctx is the context of a load of key.
func isLoadOf(ctx context.Context, key string) bool {
	c := parentCall(ctx)
	return c != nil && c.flightOf(key) != nil
}
