package readthrough

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/readthrough/readthrough/provider"
)

// WrapMany returns the values of ids, each stored under the key that key returns
// for it: those that are stored, and for all others together one call of load
// with the ids that are missing, in their order. Ids that the result of load
// lacks are absent: they are not in the result, and their absence is stored like
// that of [Wrap].
//
// Bulk and single reads share their loads: an id that is being loaded already is
// not asked for again. What is said at [Wrap] of loads, contexts, invalidations
// and outages holds for each id.
//
// If load returns an error, WrapMany returns it with all values that it has: the
// stored ones, those of other loads, and those that load returned beside its
// error. The ids that are missing then are not absent. The result is never nil.
//
// Repeated ids are one. ids that load was not asked for are ignored, and reported
// as [ErrUnexpectedID]. key must return different keys for different ids; two
// ids with one key are an error, as is an empty or too long key.
func WrapMany[ID comparable, T any](ctx context.Context, s *CachedScope, ids []ID, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error), options ...CallOption) (map[ID]T, error) {
	lives, err := checkReadMany(ctx, s, key != nil, load != nil, options)
	if err != nil {
		return map[ID]T{}, err
	}
	r, err := newBulk(s, ids, key, load)
	if err != nil || len(r.ids) == 0 {
		return map[ID]T{}, err
	}
	stored := s.flights.stored.Load()
	all := make([]int, len(r.ids))
	for i := range all {
		all[i] = i
	}
	missing := r.lookUp(ctx, all)
	r.count(len(missing))
	if len(missing) == 0 {
		return r.values, nil
	}
	return r.values, r.miss(ctx, missing, stored, lives)
}

func checkReadMany(ctx context.Context, s *CachedScope, hasKey, hasLoad bool, options []CallOption) (lifetimes, error) {
	if err := s.check(ctx); err != nil {
		return lifetimes{}, err
	}
	if !hasKey {
		return lifetimes{}, errors.New("readthrough: key: must not be nil")
	}
	if !hasLoad {
		return lifetimes{}, errors.New("readthrough: load: must not be nil")
	}
	if s.cache.closed.Load() {
		return lifetimes{}, ErrClosed
	}
	return s.options.lifetimes(options)
}

// bulk is one run of [WrapMany].
type bulk[ID comparable, T any] struct {
	scope  *CachedScope
	ids    []ID     // each once
	keys   []string // keys[i] is that of ids[i]
	load   func(context.Context, []ID) (map[ID]T, error)
	values map[ID]T
}

func newBulk[ID comparable, T any](s *CachedScope, ids []ID, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error)) (*bulk[ID, T], error) {
	r := &bulk[ID, T]{
		scope: s, load: load, values: make(map[ID]T, len(ids)),
		ids: make([]ID, 0, len(ids)), keys: make([]string, 0, len(ids)),
	}
	seen := make(map[string]ID, len(ids))
	anyType := reflect.TypeFor[ID]().Kind() == reflect.Interface
	for _, id := range ids {
		if anyType && !reflect.ValueOf(id).Comparable() {
			return r, fmt.Errorf("readthrough: id of type %T: must be comparable", id)
		}
		k := key(id)
		if err := checkKey("key", k); err != nil {
			return r, fmt.Errorf("%w (of id %v)", err, id)
		}
		if other, ok := seen[k]; ok {
			if other != id {
				return r, fmt.Errorf("readthrough: key: %q for both id %v and id %v: must differ", clip(k), other, id)
			}
			continue
		}
		seen[k] = id
		r.ids = append(r.ids, id)
		r.keys = append(r.keys, k)
	}
	return r, nil
}

// lookUp takes the values that are stored, for the ids at positions. It returns
// the positions of those that are not.
func (r *bulk[ID, T]) lookUp(ctx context.Context, positions []int) (missing []int) {
	s := r.scope
	asked := make([]int, 0, len(positions))
	for _, i := range positions {
		if s.flights.bypasses(r.keys[i]) {
			missing = append(missing, i)
		} else {
			asked = append(asked, i)
		}
	}
	for n, result := range s.getMany(ctx, len(asked), func(n int) string { return r.keys[asked[n]] }) {
		if i := asked[n]; !result.Found || !r.take(i, result.Entry) {
			missing = append(missing, i)
		}
	}
	return missing
}

// count counts a read of which so many ids were missing.
func (r *bulk[ID, T]) count(missing int) {
	s, hits := r.scope, len(r.ids)-missing
	s.stats.hits.Add(int64(hits))
	s.stats.misses.Add(int64(missing))
	if hits > 0 {
		s.observe(Event{Kind: EventHit, Count: hits})
	}
	if missing > 0 {
		s.observe(Event{Kind: EventMiss, Count: missing})
	}
}

// take takes the value of an entry for the id at position i. It returns false if
// the entry cannot be read as a T, which is then reported.
func (r *bulk[ID, T]) take(i int, entry provider.Entry) bool {
	if entry.Absent {
		return true
	}
	value, err := valueOf[T](entry.Value)
	if err != nil {
		r.scope.report(OpGet, r.keys[i], err)
		return false
	}
	r.values[r.ids[i]] = value
	return true
}

// miss loads, alone or with others, the ids at the positions missing.
func (r *bulk[ID, T]) miss(ctx context.Context, missing []int, stored uint64, lives lifetimes) error {
	var began moment
	var errs []error
	for len(missing) > 0 {
		if err := ctx.Err(); err != nil {
			return join(append(errs, err)...)
		}
		b, err := r.board(ctx, missing, stored, lives)
		if err != nil {
			return join(append(errs, err)...)
		}
		if began == 0 {
			began = b.began
		}
		gone, err := r.scope.waitAll(ctx, b)
		late, otherType, collectErr := r.collect(b.flights, missing, gone, began)
		errs = append(errs, err, collectErr)
		if len(otherType) > 0 {
			errs = append(errs, r.loadAlone(ctx, otherType))
		}
		// Somebody else may have invalidated what these flights found or loaded,
		// before this reader began. The next ones begin after it.
		stored = r.scope.flights.stored.Load()
		missing = r.lookUp(ctx, late)
	}
	return join(errs...)
}

// board boards a flight for each of the ids at the positions missing, and runs
// the call of those that are new.
func (r *bulk[ID, T]) board(ctx context.Context, missing []int, stored uint64, lives lifetimes) (boarding, error) {
	s := r.scope
	keys := make([]string, len(missing))
	for n, i := range missing {
		keys[n] = r.keys[i]
	}
	b, loadCtx, err := s.flights.board(ctx, keys, stored)
	if err != nil {
		return boarding{}, err
	}
	if b.own != nil {
		b.own.lives = lives
		go s.run(loadCtx, b.own, &bulkJob[ID, T]{bulk: r, positions: missing})
	}
	if b.joined > 0 {
		s.stats.joined.Add(int64(b.joined))
		s.observe(Event{Kind: EventJoin, Count: b.joined})
	}
	return b, nil
}

// collect takes the outcomes of flights, whose ids are at the positions missing,
// but not of calls that the reader has left. It returns the positions of those
// that it may not take, because it began too late, and of those that were loaded
// as another type.
func (r *bulk[ID, T]) collect(flights []*flight, missing []int, gone map[*call]bool, began moment) (late, otherType []int, err error) {
	told := make(map[*call]bool) // a load that failed is one error, not one for each id
	var errs []error
	tooLate := r.scope.flights.late(flights, gone, began)
	for n, f := range flights {
		switch {
		case gone[f.call]:
		case tooLate[f]:
			late = append(late, missing[n])
		case f.outcome.entry.Absent:
		case f.outcome.err != nil:
			if !told[f.call] {
				told[f.call] = true
				errs = append(errs, f.outcome.err)
			}
		case !r.take(missing[n], f.outcome.entry):
			otherType = append(otherType, missing[n])
		}
	}
	return late, otherType, join(errs...)
}

// loadAlone loads the ids at positions for this reader alone.
func (r *bulk[ID, T]) loadAlone(ctx context.Context, positions []int) error {
	ids := make([]ID, len(positions))
	for n, i := range positions {
		ids[n] = r.ids[i]
	}
	loaded, err := loadAlone(ctx, func(ctx context.Context) (map[ID]T, error) { return r.load(ctx, ids) })
	for _, i := range positions {
		if value, ok := loaded[r.ids[i]]; ok {
			r.values[r.ids[i]] = value
		}
	}
	return err
}

// bulkJob is the job of the call that a bulk read made.
type bulkJob[ID comparable, T any] struct {
	bulk      *bulk[ID, T]
	positions []int // flight.index is a position in it
}

func (j *bulkJob[ID, T]) id(f *flight) ID { return j.bulk.ids[j.positions[f.index]] }

func (j *bulkJob[ID, T]) load(ctx context.Context, flights []*flight) error {
	ids := make([]ID, len(flights)) // the load function's to keep or change
	for n, f := range flights {
		ids[n] = j.id(f)
	}
	loaded, err := j.bulk.load(ctx, ids)
	used := 0
	for _, f := range flights {
		if value, ok := loaded[j.id(f)]; ok {
			f.outcome = outcome{known: true, entry: provider.Entry{Value: value}}
			used++
		}
	}
	if unexpected := len(loaded) - used; unexpected > 0 {
		j.bulk.scope.report(OpLoad, "", fmt.Errorf("%w: %d of %d", ErrUnexpectedID, unexpected, len(loaded)))
	}
	return err
}

func (*bulkJob[ID, T]) adopt(entry provider.Entry) (any, error) { return valueOf[T](entry.Value) }

// join is [errors.Join] that leaves a single error as it is.
func join(errs ...error) error {
	var only error
	for _, err := range errs {
		switch {
		case err == nil:
		case only == nil:
			only = err
		default:
			return errors.Join(errs...)
		}
	}
	return only
}
