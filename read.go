package readthrough

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// read is what one Wrap or WrapMany does about the keys that the store has not
// answered at once. It goes round until no item is left:
//
//	join flights, or make a call for the keys that have none
//	wait for the calls
//	take the outcomes that may be taken
//	look in the store again for the keys whose outcomes came too late
//
// It knows neither the type of the values nor that of the ids: those are its
// target's.
type read struct {
	request

	scope  *keyspace
	target target
	lives  lifetimes
	due    []item  // answered, and to be replaced in the background
	spares bool    // some item has a spare
	single bool    // the store is asked by Get
	one    [1]item // room for the items of a read of one key
}

// target is the typed end of a read: its load function, and where its values go.
type target interface {
	job
	// keep is called before a load starts, which may outlast the read.
	keep()
	// put sets the value of an item. It returns an error if stored cannot be read as
	// the type of the values.
	put(i *item, stored any, source Source, loadedAt time.Time, why error) error
	// absent says that there is nothing; err is how the load has said it, if one has.
	absent(i *item, err error)
	// loadAlone loads items for this read only.
	loadAlone(ctx context.Context, items []item) error
}

// serve answers an item with an entry, if that may be served at once.
func (r *read) serve(ctx context.Context, i *item, entry *provider.Entry) bool {
	is := r.scope.standing(entry)
	if (is == early || is == stale) && loads(ctx, i.key) {
		is = expired // a load must not be served what it is to replace: it waits for itself, which is an error
	}
	i.seen = time.Time{}
	switch {
	case is == fresh && entry.Absent:
		r.target.absent(i, nil)
		return true
	case is == fallback:
		value, err := r.target.adopt(*entry)
		if err != nil {
			r.scope.report(OpGet, i.key, err)
			return false
		}
		i.spare, i.hasSpare, r.spares = value, true, true
		i.seen = entry.LoadedAt
		return false
	case is == expired:
		i.seen = entry.LoadedAt
		return false
	}
	source := FromStore
	if is == stale {
		source = FromStale
	}
	if err := r.target.put(i, entry.Value, source, entry.LoadedAt, nil); err != nil {
		r.scope.report(OpGet, i.key, err)
		return false
	}
	if is != fresh {
		i.seen = entry.LoadedAt
		if is == stale {
			r.scope.servedStale(i.key, 1, nil)
		}
		r.due = append(r.due, *i)
	}
	return true
}

// loads reports whether ctx is that of a load of key.
func loads(ctx context.Context, key string) bool {
	c := parentCall(ctx)
	return c != nil && c.flightOf(key) != nil
}

// look answers the items that the store has, and has those replaced that are due.
func (r *read) look(ctx context.Context) {
	s := r.scope
	if r.single && len(r.items) > 0 {
		if entry, found := s.get(ctx, r.items[0].key); found && r.serve(ctx, &r.items[0], &entry) {
			r.items = r.items[:0]
		}
	} else if len(r.items) > 0 {
		ask := func(i int) string { return r.items[i].key }
		bypassed := r.bypassed()
		results := s.getMany(ctx, len(r.items), ask)
		left := bypassed
		for n := range results {
			i := &r.items[n]
			if !results[n].Found || !r.serve(ctx, i, &results[n].Entry) {
				left = append(left, *i)
			}
		}
		if len(bypassed) > 0 {
			slices.SortFunc(left, func(a, b item) int { return a.index - b.index }) // load functions get ids in their order
			r.items = left
		} else {
			r.items = append(r.items[:0], left...)
		}
	}
	r.refresh(ctx)
}

// bypassed takes the items out whose keys may not be read through the store.
func (r *read) bypassed() (out []item) {
	if r.scope.flights.bypassing.Load() == 0 {
		return nil
	}
	r.items = slices.DeleteFunc(r.items, func(i item) bool {
		if r.scope.flights.bypasses(i.key) {
			out = append(out, i)
			return true
		}
		return false
	})
	return out
}

// refresh begins one load in the background for what is due, but for the keys that
// are being loaded, or whose load failed a short time ago.
func (r *read) refresh(ctx context.Context) {
	if len(r.due) == 0 {
		return
	}
	if c := r.scope.flights.boardRefresh(ctx, r.due, r.stored); c != nil {
		c.lives = r.lives
		r.target.keep()
		r.scope.start(c, r.target)
	}
	r.due = nil
}

// miss answers all items, by loads, own or joined.
func (r *read) miss(ctx context.Context) error {
	var errs []error
	for len(r.items) > 0 {
		if err := ctx.Err(); err != nil {
			return join(append(errs, err)...)
		}
		b, err := r.board(ctx)
		if err != nil {
			return join(append(errs, err)...)
		}
		for n := range b.failed {
			i := &b.failed[n]
			if (!i.hasSpare || !r.fallBack(&i.item, i.err)) && !slices.ContainsFunc(errs, func(err error) bool { return same(err, i.err) }) {
				errs = append(errs, i.err)
			}
		}
		if len(r.items) == 0 {
			break
		}
		gone := r.scope.waitAll(ctx, &b, r.hasSpares)
		errs = r.collect(ctx, gone, errs)
		// Somebody else may have invalidated what these flights found or loaded, before
		// this read began. The next ones begin after it.
		r.stored = r.scope.flights.stored.Load()
		if r.purpose != toReplace {
			r.look(ctx)
		}
	}
	return join(errs...)
}

// board gets a flight for each item, and starts the call of those that are new.
func (r *read) board(ctx context.Context) (boarding, error) {
	s := r.scope
	b, err := s.flights.board(ctx, &r.request)
	if err != nil {
		return boarding{}, err
	}
	if len(r.items) == 0 {
		return b, nil
	}
	if r.began == 0 {
		r.began = b.began
	}
	if b.own != nil {
		b.own.lives = r.lives
		r.target.keep()
		s.start(b.own, r.target)
	}
	if b.joined > 0 {
		s.stats.joined.Add(int64(b.joined))
		s.happened(EventJoin, r.only(), b.joined, nil)
	}
	return b, nil
}

// only returns the key of the one item, "" if there are more.
func (r *read) only() string {
	if len(r.items) == 1 {
		return r.items[0].key
	}
	return ""
}

// hasSpares reports whether all items that wait for c have a spare.
func (r *read) hasSpares(c *call) bool {
	if !r.spares {
		return false
	}
	for i := range r.items {
		if r.items[i].flight.call == c && !r.items[i].hasSpare {
			return false
		}
	}
	return true
}

// collect answers the items whose outcomes may be taken. What is left came too late.
func (r *read) collect(ctx context.Context, gone map[*call]error, errs []error) []error {
	r.scope.flights.markLate(&r.request, gone)
	var told map[*call]bool // a load that failed is one error, not one for each key
	leftTold := false       // and so is a reader that has left
	var otherType []item
	late := r.items[:0]
	for n := range r.items {
		i := &r.items[n]
		o := &i.flight.outcome
		err := gone[i.flight.call]
		left := err != nil
		if !left && !i.late && !o.entry.Absent {
			err = o.err
		}
		switch {
		case err != nil && i.hasSpare && mayFallBack(ctx, err) && r.fallBack(i, err):
		case err != nil:
			if c := i.flight.call; !told[c] && !(left && leftTold && ctx.Err() != nil) {
				if told == nil {
					told = make(map[*call]bool)
				}
				told[c] = true
				errs = append(errs, err)
			}
			leftTold = leftTold || left
		case i.late:
			late = append(late, *i)
		case o.entry.Absent:
			r.target.absent(i, o.err)
		default:
			if err := r.target.put(i, o.entry.Value, o.source(), o.entry.LoadedAt, nil); err != nil {
				r.scope.report(OpGet, i.key, err) // who began the flight loads another type
				otherType = append(otherType, *i)
			}
		}
	}
	r.items = late
	if len(otherType) > 0 {
		errs = append(errs, r.target.loadAlone(ctx, otherType))
	}
	return errs
}

// fallBack answers an item with its spare, in place of err.
func (r *read) fallBack(i *item, err error) bool {
	r.scope.servedStale(i.key, 1, err)
	return r.target.put(i, i.spare, FromStale, i.seen, err) == nil
}

// mayFallBack reports whether err is one of a load that a stale value helps
// against: not that the reader's context has ended, or that the read makes no sense.
// A reader that has left because it has a stale value takes it.
func mayFallBack(ctx context.Context, err error) bool {
	if err == ErrStillLoading { //nolint:errorlint // that of a load function is another
		return true
	}
	return ctx.Err() == nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrRecursiveLoad)
}
