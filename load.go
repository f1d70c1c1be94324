package readthrough

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// run is one call on its way, in a goroutine of its own: a load belongs to its
// keys, not to a reader.
type run struct {
	scope *CachedScope
	call  *call
	job   job

	loading  int       // how many flights the load function is loading
	began    time.Time // when that began
	ran      bool      // the load function was run
	entered  bool      // the run has one of the places of the scope's loads
	returned bool      // the run came to its end: no panic, no Goexit
	loads    []Event   // for the observer, after everybody was woken
}

// start runs c.
func (s *CachedScope) start(c *call, j job) {
	r := &c.run
	r.scope, r.call, r.job = s, c, j
	go r.fly()
}

// fly brings the outcomes of all flights of the call and wakes who waits, whatever
// the load function does.
func (r *run) fly() {
	c, ctx := r.call, r.call.ctx
	growStack(len(c.flights))
	defer r.end(ctx)
	switch {
	case c.purpose == toRefresh && !r.enterNow(ctx):
		r.yield(c.flights) // there are loads enough
	case r.enter(ctx) != nil:
		r.load(ctx, c.flights, true) // which finds out the same
	case r.scope.cache.backend.leaser != nil:
		r.leased(ctx)
	default:
		if missing := r.lookAgain(ctx); len(missing) > 0 {
			r.load(ctx, missing, true)
		}
	}
	r.returned = true
}

// growStack makes room for a whole run at once. A goroutine begins with a small
// stack, and the calls from run to the store need more. To grow it when it is that
// deep takes several times as long as the rest of a miss, because every frame has
// to be moved. n is any number; that it is used keeps the compiler from seeing
// that the room is not.
//
//go:noinline
func growStack(n int) byte { //nolint:unparam // to return it is a use of the room, which nobody else has for it
	if n >= 0 {
		return 0 // the room need not be cleared
	}
	var room [2 << 10]byte
	return room[-n%len(room)]
}

// enterNow takes one of the places of the scope's loads, and reports whether there
// was one.
func (r *run) enterNow(ctx context.Context) bool {
	if r.call.turn == nil {
		return true
	}
	var err error
	r.entered, err = r.scope.cache.waits.enter(ctx, r.call, true)
	return r.entered && err == nil
}

// enter waits for one of the places of the scope's loads. It comes before anything
// that waiting makes worthless: a lease ends, and what was not stored may be.
func (r *run) enter(ctx context.Context) (err error) {
	if r.call.turn != nil && !r.entered {
		r.entered, err = r.scope.cache.waits.enter(ctx, r.call, false)
	}
	return err
}

// end finishes the run: commit, unregister, wake, notify, in that order.
func (r *run) end(ctx context.Context) {
	if !r.returned {
		err := ErrGoexit
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: stack()}
		}
		r.fail(ctx, err)
	}
	r.exit()
	r.scope.flights.land(r.call)
	for _, event := range r.loads {
		r.scope.observe(event)
	}
}

// fail gives err to all flights that have no outcome.
func (r *run) fail(ctx context.Context, err error) {
	unknown := filter(r.call.flights, func(f *flight) bool { return !f.outcome.known })
	if r.loading == 0 {
		r.loading, r.began = len(unknown), time.Now()
	}
	r.loaded(ctx, unknown, err, true)
}

// exit gives the place back, if the run has one.
func (r *run) exit() {
	if r.entered {
		r.entered = false
		r.scope.cache.waits.exit(r.call)
	}
}

// lookAgain asks the store for the keys of the call once more, if some flight has
// stored something since the reader looked, or if what is stored is to be replaced.
// It returns the flights that have to be loaded.
func (r *run) lookAgain(ctx context.Context) (missing []*flight) {
	if !r.call.again {
		return r.call.flights
	}
	missing, asked := r.split()
	asking, cancel := r.asking(ctx)
	defer cancel()
	results := r.scope.getMany(asking, len(asked), func(i int) string { return asked[i].key })
	for i, f := range asked {
		if !results[i].Found || !r.found(f, &results[i].Entry) {
			missing = append(missing, f)
		}
	}
	return missing
}

// found takes an entry that the store has for f: as the outcome, if it may be
// served as it is, and otherwise as the one that is to be replaced. It returns
// false if f has to be loaded.
func (r *run) found(f *flight, entry *provider.Entry) bool {
	known := !f.seen.IsZero() && entry.LoadedAt.Equal(f.seen)
	if !known && r.call.purpose != toReplace && r.scope.standing(entry) <= early {
		return r.adopt(f, *entry)
	}
	r.replaces(f, entry)
	return false
}

// replaces says that f is to replace entry. A value of another type is none that
// the load function could ask about.
func (r *run) replaces(f *flight, entry *provider.Entry) {
	f.seen = entry.LoadedAt
	f.old = nil
	if !entry.Absent && r.job.holds(entry.Value) {
		old := *entry // entry is one of many, of which no more is kept
		f.old = &old
	}
}

// split returns the flights of the call that do not ask the store, and those that
// do.
func (r *run) split() (direct, asked []*flight) {
	direct = filter(r.call.flights, func(f *flight) bool { return f.direct })
	return direct, filter(r.call.flights, func(f *flight) bool { return !f.direct })
}

// adopt makes a stored entry the outcome of f. It returns false if the entry
// cannot be read, which is then reported.
func (r *run) adopt(f *flight, entry provider.Entry) bool {
	if !entry.Absent {
		value, err := r.job.adopt(entry)
		if err != nil {
			r.scope.report(OpGet, f.key, err)
			return false
		}
		entry.Value = value
	}
	f.outcome = outcome{known: true, entry: entry, found: true}
	return true
}

// load runs the load function for batch. With last, it completes the call.
func (r *run) load(ctx context.Context, batch []*flight, last bool) {
	err := r.enter(ctx)
	// What is loaded now was in the source after this moment.
	wanted := r.scope.flights.load(r.call, batch, r.scope.cache.backend.leaser != nil)
	r.loading, r.began = len(batch), time.Now()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil && !wanted {
		err = context.Canceled // which is about to be said
	}
	if r.ran = err == nil; r.ran {
		r.refreshing(len(batch))
		err = r.job.load(ctx, batch)
	}
	r.exit()
	r.loaded(ctx, batch, err, last)
	r.loading = 0
}

// loaded makes the outcomes of flights final after a load that returned err, and
// has stored what may be stored.
func (r *run) loaded(ctx context.Context, flights []*flight, err error, last bool) {
	now := time.Now()
	took := now.Sub(r.began)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrLoadTimeout):
		err = tooLate(flights, err)
	case err != nil && errors.Is(cause, ErrClosed) && !errors.Is(err, ErrClosed):
		err = fmt.Errorf("%w: %w", ErrClosed, err) // the load can only say that it was cancelled
	}
	for _, f := range flights {
		f.settle(err, took, now)
	}
	if r.ran {
		r.count(r.loading, took, err)
	}
	r.removeGone(flights)
	storable := filter(flights, r.mayStore)
	if r.scope.cache.backend.leaser != nil {
		r.fillLeased(storable, filter(flights, r.leasedInVain), last)
		return
	}
	store, refused := r.scope.flights.fill(r.call, storable, last)
	r.refused(refused)
	if len(store) > 0 {
		r.store(store)
	}
}

// mayStore reports whether there is something to store for f.
func (r *run) mayStore(f *flight) bool {
	if f.direct || f.outcome.err != nil && !f.outcome.entry.Absent {
		return false
	}
	return f.ttl() > 0
}

// leasedInVain reports whether f has a lease that it does not need.
func (r *run) leasedInVain(f *flight) bool { return f.lease != nil && !r.mayStore(f) }

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
func (r *run) removeGone(flights []*flight) {
	gone := filter(flights, func(f *flight) bool {
		return f.outcome.entry.Absent && !f.seen.IsZero() && !f.direct && f.ttl() < 0
	})
	if len(gone) == 0 {
		return
	}
	if err := r.scope.cache.backend.delete(&r.call.values, r.keys(gone)); err != nil {
		r.scope.report(OpDelete, keyOf(gone), err)
	}
}

// refreshing counts a load of n keys if it is one in the background.
func (r *run) refreshing(n int) {
	if r.call.purpose == toRefresh {
		r.scope.stats.refreshes.Add(1)
		r.scope.happened(EventRefresh, keyOf(r.call.flights), n, nil)
	}
}

// count counts a load.
func (r *run) count(n int, took time.Duration, err error) {
	r.scope.stats.loaded(took, err)
	r.notify(Event{Kind: EventLoad, Count: n, Duration: took, Err: err})
}

// refused counts n values that were not stored.
func (r *run) refused(n int) {
	if n > 0 {
		r.scope.stats.refusedFills.Add(int64(n))
		r.notify(Event{Kind: EventRefusedFill, Count: n})
	}
}

// notify keeps an event until everybody was woken.
func (r *run) notify(event Event) {
	if r.scope.cache.observer == nil {
		return
	}
	if len(r.call.flights) == 1 {
		event.Key = r.call.flights[0].key
	}
	r.loads = append(r.loads, event)
}

// store asks the store to keep the outcomes of flights, and returns whether it has
// confirmed that.
func (r *run) store(flights []*flight) (confirmed bool) {
	ctx := &r.call.values // once the load is done, the fill is bounded by its own deadline alone
	var err error
	if len(flights) == 1 {
		item := r.item(flights[0])
		err = r.scope.cache.backend.setOne(ctx, &item, r)
	} else {
		items := make([]provider.Item, len(flights))
		for i, f := range flights {
			items[i] = r.item(f)
		}
		err = r.scope.cache.backend.set(ctx, items, r)
	}
	if err != nil {
		r.scope.report(OpSet, keyOf(flights), err)
	}
	return err == nil
}

// answered is told that the store has returned.
func (r *run) answered() { r.scope.flights.answered(r.call) }

// item returns what is stored for f in a store without leases.
func (r *run) item(f *flight) provider.Item {
	entry, ttl := r.entry(f)
	return provider.Item{Key: r.scope.key(f.key), Entry: entry, TTL: ttl}
}

// entry returns what is stored for f, and for how long.
func (r *run) entry(f *flight) (entry provider.Entry, storeFor time.Duration) {
	entry = f.outcome.entry
	storeFor = r.scope.options.keep(&entry, f.ttl())
	return entry, storeFor
}

// keyOf returns the key of the one flight, and "" if there are more.
func keyOf(flights []*flight) string {
	if len(flights) == 1 {
		return flights[0].key
	}
	return ""
}
