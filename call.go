package readthrough

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// start runs c in a goroutine of its own.
func (s *keyspace) start(c *call, l loader) {
	c.scope, c.loader = s, l
	go c.run()
}

// run is the goroutine of a call. It brings the outcomes of all flights and wakes the readers,
// whatever the load function does.
//
// The turn comes first, before everything that waiting would make worthless:
//
//   - A lease that was taken before the turn could end in the queue. The load would then be served
//     and not stored, and until the lease ends, all other processes would wait for it.
//   - A second look that was made before the turn would be old when the load begins. What another
//     call has stored meanwhile would be loaded again.
//
// If the context ends in the queue, load is called all the same. It finds the same cause and makes
// it the outcome, so there is one path by which a load fails. A refresh does not queue: no reader
// waits for it, but readers may wait for the places.
func (c *call) run() {
	backend.GrowStack(len(c.flights))
	defer c.tell()
	defer c.scope.flights.land(c)
	defer c.settle()
	defer c.end()
	ctx, s := c.ctx, c.scope
	switch {
	case c.purpose == toRefresh && !s.graph.TryEnter(&c.node):
		c.backOff(c.flights) // enough loads are under way
	case s.graph.Enter(ctx, &c.node) != nil:
		c.load(c.flights, true) // which finds the same cause
	case s.options.MaxLoads > 0 && s.closed.Load(): // the end of another load may have made room before ctx has ended
		c.fail(ErrClosed)
	case s.backend.Leaser != nil:
		c.loadLeased(ctx)
	default:
		if missing := c.lookAgain(ctx); len(missing) > 0 {
			c.load(missing, true)
		}
	}
	c.returned = true
}

// A call is finished in four steps, however its goroutine has ended (G8): end, settle, land and tell. Each is
// deferred on its own, because runtime.Goexit runs nothing else, and because a step may itself be ended:
// the store, the codec, and the values and errors of the user may call Goexit there, too.

// end makes an outcome of the end of a load function that has not returned. A panic of the load
// function does not go on: it would end the process, and it belongs to the readers. They get it with
// its value and stack.
func (c *call) end() {
	if c.returned {
		return
	}
	err := ErrGoexit
	if p := recover(); p != nil {
		err = panicError(p)
	}
	c.fail(err)
}

// settle gives back what would keep others waiting: the place among the loads, and, if run was ended, the
// leases that are not used up. The place is given back before the landing. A reader that is woken and loads
// another key then finds it free.
func (c *call) settle() {
	c.scope.graph.Exit(&c.node)
	if c.scope.backend.Leaser != nil && !c.returned {
		c.release(filter(c.flights, func(f *flight) bool { return f.lease != nil && !f.spent }))
	}
}

// tell tells the user what has happened. flights.land argues the order.
func (c *call) tell() { c.scope.tellLast(c.loadCtx, c.notices) }

// fail makes err the outcome of all flights that have none. A call that has loaded a part keeps it, and so
// does one whose fill was cut off.
func (c *call) fail(err error) {
	unknown := filter(c.flights, func(f *flight) bool { return !f.outcome.known })
	if len(unknown) == 0 {
		return
	}
	if c.loading == 0 {
		c.loading, c.began, c.ran = len(unknown), time.Now(), false
	}
	c.complete(unknown, err, true)
}

// backOff leaves flights, which are those of a refresh, without an outcome: others are loading
// them, or no place is free. The process does not try again for a while, since each try costs a
// round trip, and the entry is served meanwhile. Readers that have joined the refresh find no
// outcome and read again.
func (c *call) backOff(flights []*flight) {
	for _, f := range flights {
		c.scope.flights.backOff(f, refreshPause)
	}
}

// refreshPause is the pause after a refresh that found another process loading, or no free place.
const refreshPause = 100 * time.Millisecond

// ---- what the store has

// lookAgain asks a store without leases once more, and returns the flights that have to be loaded.
// On a quiet service it asks nothing: only if some call has stored something since the reader
// looked, or if an entry is to be replaced (call.recheck). Flights that bypass the store are always
// loaded.
func (c *call) lookAgain(ctx context.Context) (missing []*flight) {
	if !c.recheck {
		return c.flights
	}
	bypassing, asked := c.split()
	asking, cancel := c.untilReaderDeadline(ctx)
	defer cancel()
	results := c.scope.getMany(asking, len(asked), func(i int) string { return asked[i].key }, c.reportGet)
	missing = bypassing
	for i, f := range asked {
		if !results[i].Found || !c.take(f, &results[i].Entry) {
			missing = append(missing, f)
		}
	}
	return missing
}

// split returns the flights that bypass the store, and the flights that ask it.
func (c *call) split() (bypassing, asked []*flight) {
	bypassing = filter(c.flights, func(f *flight) bool { return f.bypass })
	return bypassing, filter(c.flights, func(f *flight) bool { return !f.bypass })
}

// untilReaderDeadline returns the context for asking the store. It ends with the deadline of the
// reader that made the call: a store that hangs may not use up the time in which the load could
// answer (G4). The load itself is not bound by that deadline.
func (c *call) untilReaderDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.readerDeadline.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, c.readerDeadline)
}

// take takes an entry that the store has for f. If it may be served as it is, it is the outcome.
// Otherwise it is the entry that f replaces, and take returns false: f has to be loaded.
//
// An entry with the LoadedAt of the one that is to be replaced is not taken, even if it is fresh: a
// refresh ahead of time finds exactly that. Any other fresh entry was loaded meanwhile, by
// whomever, and saves the load. A call to replace takes none.
func (c *call) take(f *flight, entry *provider.Entry) bool {
	known := !f.replaces.IsZero() && entry.LoadedAt.Equal(f.replaces)
	if !known && c.purpose != toReplace && c.scope.freshness(entry) <= early {
		return c.adopt(f, *entry)
	}
	c.replace(f, entry)
	return false
}

// adopt makes a stored entry the outcome of f. It decodes the value once, for all readers. If it
// cannot be read, adopt reports why and returns false.
func (c *call) adopt(f *flight, entry provider.Entry) bool {
	if !entry.Absent {
		value, err := c.loader.decode(entry)
		if err != nil {
			c.report(opGet, f.key, err)
			return false
		}
		entry.Value = value
	}
	f.outcome = outcome{known: true, entry: entry, found: true}
	return true
}

// replace records the entry that f's load will replace. The load function can ask for its value
// (OldValue) only if it has the type that is loaded.
func (c *call) replace(f *flight, entry *provider.Entry) {
	f.replaces = entry.LoadedAt
	f.old = nil
	if !entry.Absent && c.loader.isLoaded(entry.Value) {
		old := *entry // a copy, since entry is one of many, which are not kept
		f.old = &old
	}
}

// ---- the load

// load runs the load function for flights, and completes them. With last, they are the last of the
// call. In a store with leases a call may load twice: first the keys that it has leased, then those
// that it has waited for.
//
// The load function is not run if the context has ended, or if all readers have left and the
// cancellation is about to come. Its panic skips the rest, and end finishes the call.
func (c *call) load(flights []*flight, last bool) {
	s := c.scope
	c.renewal.begin(flights)
	defer c.renewal.stop()
	err := s.graph.Enter(c.ctx, &c.node)
	// What is loaded was in the source after this point.
	wanted := s.flights.load(c, flights, s.backend.Leaser != nil)
	c.loading, c.began = len(flights), time.Now()
	if err == nil {
		err = context.Cause(c.ctx)
	}
	if err == nil && !wanted {
		err = context.Canceled // the cancellation is about to come
	}
	if c.ran = err == nil; c.ran {
		c.loadStart()
		err = c.loader.load(c.loadCtx, flights)
	}
	s.graph.Exit(&c.node)
	c.complete(flights, err, last)
	c.loading = 0
}

// complete makes the outcomes of flights final, after a load that returned err, and stores what may
// be stored. It takes as long as the store takes, which the store's own deadlines bound:
// LoadTimeout is over, or does not matter any more.
//
// The readers wait for the fill, too. Otherwise a read that begins right after could miss and load
// again (G6).
//
// The steps are in this order:
//
//  1. Decide the outcomes, with the error that the readers get. A load that was cut off by its
//     timeout has failed, even if its function returned a value a moment later: its readers may
//     have been told so.
//  2. Remove what the source has no more. That is always safe, whatever invalidations came.
//  3. Ask the fence, and fill.
func (c *call) complete(flights []*flight, err error, last bool) {
	now := time.Now()
	took := now.Sub(c.began)
	switch cause := context.Cause(c.ctx); {
	case errors.Is(cause, ErrLoadTimeout):
		err = timedOut(flights, err)
	case err != nil && errors.Is(cause, ErrClosed) && !errors.Is(err, ErrClosed):
		err = fmt.Errorf("%w: %w", ErrClosed, err) // the load can only say that it was cancelled
	}
	for _, f := range flights {
		f.finalize(err, took, now)
	}
	if c.ran {
		c.loadEnd(took, err)
	}
	c.removeGone(flights)
	storable := filter(flights, isStorable)
	if c.scope.backend.Leaser != nil {
		c.fillLeased(storable, filter(flights, hasVainLease), last)
		return
	}
	store, refused := c.scope.flights.fill(c, storable, last)
	c.countRefused(refused)
	if len(store) > 0 {
		c.store(store)
	}
}

// finalize makes the outcome of f final, after a load that took so long and returned err. What the
// load function has decided through Load comes into it. An error in these decisions, such as a
// NotModified without a value, fails the flight: to store anything in its place would hide it.
//
// NotModified counts although a bulk load returned an error, since that error belongs to other ids.
// In a load of one key it counts only without an error.
func (f *flight) finalize(err error, took time.Duration, now time.Time) {
	f.call.deciding.Lock()
	var d decisions
	if f.decided != nil {
		d = *f.decided
	}
	f.call.deciding.Unlock()
	o := &f.outcome
	if d.unmodified && f.old != nil && (err == nil || len(f.call.flights) > 1) { // the error of a bulk load belongs to others
		*o = outcome{known: true, extended: true, entry: provider.Entry{Value: f.old.Value, Validator: f.old.Validator}}
	}
	if !o.known {
		o.entry = provider.Entry{Absent: err == nil}
		o.err = err
	}
	if d.err != nil && !o.failed() {
		*o = outcome{err: d.err}
	}
	o.known, o.private = true, d.unstored
	o.entry.LoadedAt, o.entry.LoadTime = now, took
	if d.isValidator {
		o.entry.Validator = d.validator
	}
}

// discard drops the outcome of f and what the load function has decided. The load function may
// still run and decide more; only discarded flights ignore that.
func (f *flight) discard() {
	f.call.deciding.Lock()
	defer f.call.deciding.Unlock()
	f.outcome, f.decided = outcome{}, nil
}

// timedOut drops what a load brought after its timeout, and returns the error of the load. Most of
// its readers were sent away by leave. Those that wait for another call first get the same error
// when they come to this one.
func timedOut(flights []*flight, err error) error {
	for _, f := range flights {
		f.discard()
	}
	switch {
	case err == nil:
		return ErrLoadTimeout
	case errors.Is(err, ErrLoadTimeout):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrLoadTimeout, err)
	}
}

// ---- what is counted, and what the user is told after the call has landed

// loadStart counts a load that is about to begin, and lets the observer make its context. It is the
// only function of the observer that runs before the call has landed. That is safe: the call does
// not fill yet, so no invalidation waits for it, and if LoadStart reads the key itself, that is
// ErrRecursiveLoad.
func (c *call) loadStart() {
	s := c.scope
	refresh := c.purpose == toRefresh
	if refresh {
		s.stats.refreshes.Add(1)
	}
	if s.observer.LoadStart == nil {
		return
	}
	event := Event{Scope: s.name, Key: keyOf(c.flights), Count: c.loading, Refresh: refresh}
	err := apart(nil, func() {
		if ctx := s.observer.LoadStart(c.ctx, event); ctx != nil {
			c.loadCtx = ctx
		}
	})
	s.observerFailed(nil, event.Key, err)
}

// loadEnd counts a load that has ended with err, and keeps a notice of it.
func (c *call) loadEnd(took time.Duration, err error) {
	c.scope.stats.loaded(took, err)
	c.notify(c.scope.observer.LoadEnd, Event{Count: c.loading, Duration: took, Refresh: c.purpose == toRefresh, Err: err})
}

// countRefused counts n values that were not stored because of an invalidation.
func (c *call) countRefused(n int) {
	if n > 0 {
		c.scope.stats.refusedFills.Add(int64(n))
		c.notify(c.scope.observer.RefusedFill, Event{Count: n})
	}
}

// notify keeps an event for observe, unless that is nil.
func (c *call) notify(observe func(context.Context, Event), event Event) {
	if observe == nil {
		return
	}
	event.Key = keyOf(c.flights)
	c.notices = append(c.notices, notice{observe: observe, event: event})
}

// report counts an error that does not fail the load, and keeps a notice of it.
func (c *call) report(op, key string, err error) {
	if e := c.scope.count(op, key, err); e != nil {
		c.notices = append(c.notices, notice{err: e})
	}
}

// reportGet is report for an error of the store, unless ctx has ended: then it is the reader that
// has no time, and not the store that fails.
func (c *call) reportGet(ctx context.Context, key string, err error) {
	if ctx.Err() == nil {
		c.report(opGet, key, err)
	}
}

// sent keeps the notice of a request of the call. Of a load in the background, it belongs to the load, and else
// to the reader that began it, whom the request delays beside the load.
func (c *call) sent(began time.Time, op string, flights []*flight, err error) {
	of, ok := c.scope.tripOf(began, op, keyOf(flights), len(flights), err)
	if !ok {
		return
	}
	if of.event.Refresh = c.purpose == toRefresh; !of.event.Refresh {
		of.ctx = c.ctx
	}
	c.notices = append(c.notices, of)
}
