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

// run brings the outcomes of all flights and wakes the readers, whatever the load function does.
//
// The turn comes before everything that waiting would make worthless: before a lease, which ends, and
// before the second look into the store.
func (c *call) run() {
	backend.GrowStack(len(c.flights))
	defer c.end()
	ctx, s := c.ctx, c.scope
	switch {
	case c.purpose == toRefresh && !s.graph.TryEnter(&c.node):
		c.backOff(c.flights) // enough loads are under way
	case s.graph.Enter(ctx, &c.node) != nil:
		c.load(c.flights, true) // which finds the same cause
	case s.backend.Leaser != nil:
		c.loadLeased(ctx)
	default:
		if missing := c.lookAgain(ctx); len(missing) > 0 {
			c.load(missing, true)
		}
	}
	c.returned = true
}

// end finishes the call, however its goroutine has ended.
func (c *call) end() {
	if !c.returned {
		err := ErrGoexit
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: stack()}
		}
		c.fail(err)
	}
	c.scope.graph.Exit(&c.node)
	c.land()
}

// land lands the call, and then tells the user.
func (c *call) land() {
	c.scope.flights.land(c)
	for i := range c.notices {
		c.notices[i].tell(c)
	}
}

// fail makes err the outcome of all flights that have none.
func (c *call) fail(err error) {
	unknown := filter(c.flights, func(f *flight) bool { return !f.outcome.known })
	if c.loading == 0 {
		c.loading, c.began = len(unknown), time.Now()
	}
	c.complete(unknown, err, true)
}

// backOff leaves flights, which nobody waits for, to others that are loading them, and keeps the
// process from trying again for a while. Readers that have joined try again.
func (c *call) backOff(flights []*flight) {
	for _, f := range flights {
		c.scope.flights.backOff(f, refreshPause)
	}
}

// refreshPause is how long a process does not try again to refresh an entry that another process is
// loading, or for which there is no place among the loads.
const refreshPause = 100 * time.Millisecond

// ---- what the store has

// lookAgain asks the store for the keys of the call once more, if some flight has stored something
// since the reader looked, or if what is stored is to be replaced. It returns the flights that have
// to be loaded.
func (c *call) lookAgain(ctx context.Context) (missing []*flight) {
	if !c.recheck {
		return c.flights
	}
	bypassing, asked := c.split()
	asking, cancel := c.untilReaderDeadline(ctx)
	defer cancel()
	results := c.scope.getMany(asking, len(asked), func(i int) string { return asked[i].key })
	missing = bypassing
	for i, f := range asked {
		if !results[i].Found || !c.take(f, &results[i].Entry) {
			missing = append(missing, f)
		}
	}
	return missing
}

// split returns the flights that bypass the store, and those that ask it.
func (c *call) split() (bypassing, asked []*flight) {
	bypassing = filter(c.flights, func(f *flight) bool { return f.bypass })
	return bypassing, filter(c.flights, func(f *flight) bool { return !f.bypass })
}

// untilReaderDeadline returns the context for asking the store: it ends with the deadline of the
// reader that made the call.
func (c *call) untilReaderDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.readerDeadline.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, c.readerDeadline)
}

// take takes an entry that the store has for f: as the outcome, if it may be served as it is, or else
// as the entry that is to be replaced. It returns false if f has to be loaded.
func (c *call) take(f *flight, entry *provider.Entry) bool {
	known := !f.replaces.IsZero() && entry.LoadedAt.Equal(f.replaces)
	if !known && c.purpose != toReplace && c.scope.freshness(entry) <= early {
		return c.adopt(f, *entry)
	}
	c.replace(f, entry)
	return false
}

// adopt makes a stored entry the outcome of f. It returns false, and reports why, if the entry cannot
// be read.
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

// replace says that f is to replace entry. The load function can ask about a value of its own type.
func (c *call) replace(f *flight, entry *provider.Entry) {
	f.replaces = entry.LoadedAt
	f.old = nil
	if !entry.Absent && c.loader.isLoaded(entry.Value) {
		old := *entry // a copy, since entry is one of many, which are not kept
		f.old = &old
	}
}

// ---- the load

// load runs the load function for flights. With last, it completes the call.
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

// complete makes the outcomes of flights final, after a load that returned err, and stores what may be
// stored. Once the load is done, the store's own deadlines bound that.
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
// load function has decided about the entry comes into it.
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
	o.known = true
	o.entry.LoadedAt, o.entry.LoadTime = now, took
	if d.isValidator {
		o.entry.Validator = d.validator
	}
}

// discard drops what a load brought after its timeout, and what it decided.
func (f *flight) discard() {
	f.call.deciding.Lock()
	defer f.call.deciding.Unlock()
	f.outcome, f.decided = outcome{}, nil
}

// storing returns what is to happen in the store with the outcome of f, and the TTL of an entry that
// is stored.
func (f *flight) storing() (storing, time.Duration) {
	o := &f.outcome
	if f.bypass || o.failed() {
		return storeNothing, 0
	}
	f.call.deciding.Lock()
	defer f.call.deciding.Unlock()
	ttl := f.call.ttls.of(&o.entry)
	if d := f.decided; d != nil {
		if d.unstored {
			return storeNothing, 0
		}
		if d.ttl != 0 {
			ttl = d.ttl
		}
	}
	switch {
	case ttl > 0:
		return storeEntry, ttl
	case o.entry.Absent && !f.replaces.IsZero():
		return removeEntry, 0
	default:
		return storeNothing, 0
	}
}

// timedOut drops what a load brought after its timeout, and returns the error of the load. Its readers
// were sent away, but for those that wait for another call first: they get the same error when they
// come to this one.
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

func isStorable(f *flight) bool {
	what, _ := f.storing()
	return what == storeEntry
}

// hasVainLease reports whether f has a lease under which nothing will be stored.
func hasVainLease(f *flight) bool { return f.lease != nil && !isStorable(f) }

// removeGone removes the entries whose keys the source has nothing under any more, unless the absence
// is stored in their place: they would be served on.
func (c *call) removeGone(flights []*flight) {
	gone := filter(flights, func(f *flight) bool {
		what, _ := f.storing()
		return what == removeEntry
	})
	if len(gone) == 0 {
		return
	}
	if _, err := c.scope.backend.Delete(&c.values, c.keys(gone)); err != nil {
		c.report(opDelete, keyOf(gone), err)
	}
}

// ---- the fill of a store without leases

// store asks the store to keep the outcomes of flights, and returns whether it has confirmed that.
func (c *call) store(flights []*flight) (confirmed bool) {
	var err error
	if len(flights) == 1 {
		item := c.item(flights[0])
		err = c.scope.backend.SetOne(&c.values, &item, c)
	} else {
		items := make([]provider.Item, len(flights))
		for i, f := range flights {
			items[i] = c.item(f)
		}
		err = c.scope.backend.Set(&c.values, items, c)
	}
	if err != nil {
		c.report(opSet, keyOf(flights), err)
	}
	return err == nil
}

// StoreReturned is told that the store has returned. It makes the call a [backend.Filler].
func (c *call) StoreReturned() { c.scope.flights.storeReturned(c) }

// item returns what is stored for f in a store without leases.
func (c *call) item(f *flight) provider.Item {
	entry, ttl := c.entry(f)
	return provider.Item{Key: c.scope.key(f.key), Entry: entry, TTL: ttl}
}

// entry returns what is stored for f, and for how long.
func (c *call) entry(f *flight) (entry provider.Entry, storeFor time.Duration) {
	entry = f.outcome.entry
	_, ttl := f.storing()
	storeFor = c.scope.options.stamp(&entry, ttl)
	return entry, storeFor
}

// keys returns the store's keys of flights.
func (c *call) keys(flights []*flight) []provider.Key {
	keys := make([]provider.Key, len(flights))
	for i, f := range flights {
		keys[i] = c.scope.key(f.key)
	}
	return keys
}

// keyOf returns the key of the only flight; "" if there are more.
func keyOf(flights []*flight) string {
	if len(flights) == 1 {
		return flights[0].key
	}
	return ""
}

// ---- what is counted, and what the user is told after the call has landed

func (n *notice) tell(c *call) {
	if n.err != nil {
		c.scope.tellError(c.loadCtx, n.err)
		return
	}
	c.scope.tell(c.loadCtx, n.observe, n.event)
}

// loadStart counts a load that is about to begin, and makes its context.
func (c *call) loadStart() {
	s := c.scope
	refresh := c.purpose == toRefresh
	if refresh {
		s.stats.refreshes.Add(1)
	}
	if s.observer.LoadStart == nil {
		return
	}
	defer s.observerPanicked(keyOf(c.flights))
	event := Event{Scope: s.name, Key: keyOf(c.flights), Count: c.loading, Refresh: refresh}
	if ctx := s.observer.LoadStart(c.ctx, event); ctx != nil {
		c.loadCtx = ctx
	}
}

func (c *call) loadEnd(took time.Duration, err error) {
	c.scope.stats.loaded(took, err)
	c.notify(c.scope.observer.LoadEnd, Event{Count: c.loading, Duration: took, Refresh: c.purpose == toRefresh, Err: err})
}

// countRefused counts n values that were not stored.
func (c *call) countRefused(n int) {
	if n > 0 {
		c.scope.stats.refusedFills.Add(int64(n))
		c.notify(c.scope.observer.RefusedFill, Event{Count: n})
	}
}

// notify keeps an event for the observer, if it wants to know.
func (c *call) notify(observe func(context.Context, Event), event Event) {
	if observe == nil {
		return
	}
	event.Key = keyOf(c.flights)
	c.notices = append(c.notices, notice{observe: observe, event: event})
}

// report keeps an error that does not fail the load.
func (c *call) report(op, key string, err error) {
	if e := c.scope.count(op, key, err); e != nil {
		c.notices = append(c.notices, notice{err: e})
	}
}

// reportGet is report for an error of the store, unless the reader whose deadline ends ctx has left.
func (c *call) reportGet(ctx context.Context, key string, err error) {
	if ctx.Err() == nil {
		c.report(opGet, key, err)
	}
}
