package readthrough

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// start runs c.
func (s *keyspace) start(c *call, j job) {
	c.scope, c.job = s, j
	go c.fly()
}

// fly brings the outcomes of all flights of the call and wakes who waits, whatever
// the load function does.
func (c *call) fly() {
	ctx := c.ctx
	backend.GrowStack(len(c.flights))
	defer c.end(ctx)
	switch {
	case c.purpose == toRefresh && !c.enterNow(ctx):
		c.yield(c.flights) // there are loads enough
	case c.enter(ctx) != nil:
		c.load(ctx, c.flights, true) // which finds out the same
	case c.scope.cache.backend.Leaser != nil:
		c.leased(ctx)
	default:
		if missing := c.lookAgain(ctx); len(missing) > 0 {
			c.load(ctx, missing, true)
		}
	}
	c.returned = true
}

// enterNow takes one of the places of the scope's loads, and reports whether there
// was one.
func (c *call) enterNow(ctx context.Context) bool {
	if c.turn == nil {
		return true
	}
	var err error
	c.entered, err = c.scope.cache.waits.enter(ctx, c, true)
	return c.entered && err == nil
}

// enter waits for one of the places of the scope's loads. It comes before anything
// that waiting makes worthless: a lease ends, and what was not stored may be.
func (c *call) enter(ctx context.Context) (err error) {
	if c.turn != nil && !c.entered {
		c.entered, err = c.scope.cache.waits.enter(ctx, c, false)
	}
	return err
}

// end finishes the run: commit, unregister, wake, notify, in that order.
func (c *call) end(ctx context.Context) {
	if !c.returned {
		err := ErrGoexit
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: stack()}
		}
		c.fail(ctx, err)
	}
	c.exit()
	c.scope.flights.land(c)
	for _, event := range c.loads {
		c.scope.observe(event)
	}
}

// fail gives err to all flights that have no outcome.
func (c *call) fail(ctx context.Context, err error) {
	unknown := filter(c.flights, func(f *flight) bool { return !f.outcome.known })
	if c.loading == 0 {
		c.loading, c.began = len(unknown), time.Now()
	}
	c.complete(ctx, unknown, err, true)
}

// exit gives the place back, if the run has one.
func (c *call) exit() {
	if c.entered {
		c.entered = false
		c.scope.cache.waits.exit(c)
	}
}

// lookAgain asks the store for the keys of the call once more, if some flight has
// stored something since the reader looked, or if what is stored is to be replaced.
// It returns the flights that have to be loaded.
func (c *call) lookAgain(ctx context.Context) (missing []*flight) {
	if !c.again {
		return c.flights
	}
	missing, asked := c.split()
	asking, cancel := c.asking(ctx)
	defer cancel()
	results := c.scope.getMany(asking, len(asked), func(i int) string { return asked[i].key })
	for i, f := range asked {
		if !results[i].Found || !c.found(f, &results[i].Entry) {
			missing = append(missing, f)
		}
	}
	return missing
}

// found takes an entry that the store has for f: as the outcome, if it may be
// served as it is, and otherwise as the one that is to be replaced. It returns
// false if f has to be loaded.
func (c *call) found(f *flight, entry *provider.Entry) bool {
	known := !f.seen.IsZero() && entry.LoadedAt.Equal(f.seen)
	if !known && c.purpose != toReplace && c.scope.standing(entry) <= early {
		return c.adopt(f, *entry)
	}
	c.replaces(f, entry)
	return false
}

// replaces says that f is to replace entry. A value of another type is none that
// the load function could ask about.
func (c *call) replaces(f *flight, entry *provider.Entry) {
	f.seen = entry.LoadedAt
	f.old = nil
	if !entry.Absent && c.job.holds(entry.Value) {
		old := *entry // entry is one of many, of which no more is kept
		f.old = &old
	}
}

// split returns the flights of the call that do not ask the store, and those that
// do.
func (c *call) split() (direct, asked []*flight) {
	direct = filter(c.flights, func(f *flight) bool { return f.direct })
	return direct, filter(c.flights, func(f *flight) bool { return !f.direct })
}

// adopt makes a stored entry the outcome of f. It returns false if the entry
// cannot be read, which is then reported.
func (c *call) adopt(f *flight, entry provider.Entry) bool {
	if !entry.Absent {
		value, err := c.job.adopt(entry)
		if err != nil {
			c.scope.report(OpGet, f.key, err)
			return false
		}
		entry.Value = value
	}
	f.outcome = outcome{known: true, entry: entry, found: true}
	return true
}

// load runs the load function for batch. With last, it completes the call.
func (c *call) load(ctx context.Context, batch []*flight, last bool) {
	err := c.enter(ctx)
	// What is loaded now was in the source after this moment.
	wanted := c.scope.flights.load(c, batch, c.scope.cache.backend.Leaser != nil)
	c.loading, c.began = len(batch), time.Now()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil && !wanted {
		err = context.Canceled // which is about to be said
	}
	if c.ran = err == nil; c.ran {
		c.refreshing(len(batch))
		err = c.job.load(ctx, batch)
	}
	c.exit()
	c.complete(ctx, batch, err, last)
	c.loading = 0
}

// loaded makes the outcomes of flights final after a load that returned err, and
// has stored what may be stored.
func (c *call) complete(ctx context.Context, flights []*flight, err error, last bool) {
	now := time.Now()
	took := now.Sub(c.began)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrLoadTimeout):
		err = tooLate(flights, err)
	case err != nil && errors.Is(cause, ErrClosed) && !errors.Is(err, ErrClosed):
		err = fmt.Errorf("%w: %w", ErrClosed, err) // the load can only say that it was cancelled
	}
	for _, f := range flights {
		f.settle(err, took, now)
	}
	if c.ran {
		c.count(c.loading, took, err)
	}
	c.removeGone(flights)
	storable := filter(flights, c.mayStore)
	if c.scope.cache.backend.Leaser != nil {
		c.fillLeased(storable, filter(flights, c.leasedInVain), last)
		return
	}
	store, refused := c.scope.flights.fill(c, storable, last)
	c.refused(refused)
	if len(store) > 0 {
		c.store(store)
	}
}

// mayStore reports whether there is something to store for f.
func (c *call) mayStore(f *flight) bool {
	if f.direct || f.outcome.err != nil && !f.outcome.entry.Absent {
		return false
	}
	return f.ttl() > 0
}

// leasedInVain reports whether f has a lease that it does not need.
func (c *call) leasedInVain(f *flight) bool { return f.lease != nil && !c.mayStore(f) }

// tooLate drops what a load brought after its timeout, and returns the error of
// the load instead. Its readers have been sent away, all but those that wait for
// another call first and get the same when they come to this one.
func tooLate(flights []*flight, err error) error {
	for _, f := range flights {
		f.call.deciding.Lock()
		f.outcome, f.decided = outcome{}, nil
		f.call.deciding.Unlock()
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

// removeGone removes what is stored for those of flights whose keys the source has
// nothing under any more, where that is not stored instead: it would be served on.
func (c *call) removeGone(flights []*flight) {
	gone := filter(flights, func(f *flight) bool {
		return f.outcome.entry.Absent && !f.seen.IsZero() && !f.direct && f.ttl() < 0
	})
	if len(gone) == 0 {
		return
	}
	if err := c.scope.cache.backend.Delete(&c.values, c.keys(gone)); err != nil {
		c.scope.report(OpDelete, keyOf(gone), err)
	}
}

// refreshing counts a load of n keys if it is one in the background.
func (c *call) refreshing(n int) {
	if c.purpose == toRefresh {
		c.scope.stats.refreshes.Add(1)
		c.scope.happened(EventRefresh, keyOf(c.flights), n, nil)
	}
}

// count counts a load.
func (c *call) count(n int, took time.Duration, err error) {
	c.scope.stats.loaded(took, err)
	c.notify(Event{Kind: EventLoad, Count: n, Duration: took, Err: err})
}

// refused counts n values that were not stored.
func (c *call) refused(n int) {
	if n > 0 {
		c.scope.stats.refusedFills.Add(int64(n))
		c.notify(Event{Kind: EventRefusedFill, Count: n})
	}
}

// notify keeps an event until everybody was woken.
func (c *call) notify(event Event) {
	if c.scope.cache.observer == nil {
		return
	}
	if len(c.flights) == 1 {
		event.Key = c.flights[0].key
	}
	c.loads = append(c.loads, event)
}

// store asks the store to keep the outcomes of flights, and returns whether it has
// confirmed that.
func (c *call) store(flights []*flight) (confirmed bool) {
	ctx := &c.values // once the load is done, the fill is bounded by its own deadline alone
	var err error
	if len(flights) == 1 {
		item := c.item(flights[0])
		err = c.scope.cache.backend.SetOne(ctx, &item, c)
	} else {
		items := make([]provider.Item, len(flights))
		for i, f := range flights {
			items[i] = c.item(f)
		}
		err = c.scope.cache.backend.Set(ctx, items, c)
	}
	if err != nil {
		c.scope.report(OpSet, keyOf(flights), err)
	}
	return err == nil
}

// answered is told that the store has returned.
func (c *call) StoreReturned() { c.scope.flights.answered(c) }

// item returns what is stored for f in a store without leases.
func (c *call) item(f *flight) provider.Item {
	entry, ttl := c.entry(f)
	return provider.Item{Key: c.scope.key(f.key), Entry: entry, TTL: ttl}
}

// entry returns what is stored for f, and for how long.
func (c *call) entry(f *flight) (entry provider.Entry, storeFor time.Duration) {
	entry = f.outcome.entry
	storeFor = c.scope.options.keep(&entry, f.ttl())
	return entry, storeFor
}

// keyOf returns the key of the one flight, and "" if there are more.
func keyOf(flights []*flight) string {
	if len(flights) == 1 {
		return flights[0].key
	}
	return ""
}
