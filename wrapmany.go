package readthrough

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
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
	r.values = make(map[ID]T, len(r.ids))
	return r.values, r.read(ctx, lives)
}

func checkReadMany(ctx context.Context, s *CachedScope, hasKey, hasLoad bool, options []CallOption) (lifetimes, error) {
	lives, err := checkReads(s, hasKey, hasLoad, options)
	if err == nil {
		err = s.checkOpen(ctx)
	}
	return lives, err
}

// bulk is one run of [WrapMany].
type bulk[ID comparable, T any] struct {
	scope *CachedScope
	ids   []ID     // each once
	keys  []string // keys[i] is that of ids[i]; in scratch
	// kept says that ids are not the caller's, since a load works with them.
	kept    bool
	scratch *scratch
	load    func(context.Context, []ID) (map[ID]T, error)
	lives   lifetimes
	// values are what is read; nil if results are.
	values map[ID]T
	// results are the values with what there is to know about them; nil if nobody
	// wants to know.
	results map[ID]Result[T]

	stored uint64 // what flights.stored was before the store was asked
	failed uint64 // what flights.failed was before the reader asked which keys had
	began  moment // when the read began, or a little later; zero: not yet
	// found are the entries of the positions that have to be loaded although there
	// is something: LoadedAt, and for want of a new value the stale one. nil: none.
	found map[int]leftover[T]
}

// leftover is what was found for an id that has to be loaded all the same.
type leftover[T any] struct {
	seen    time.Time
	spare   T // if isSpare; see read.spare
	isSpare bool
}

func newBulk[ID comparable, T any](s *CachedScope, ids []ID, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error)) (*bulk[ID, T], error) {
	if len(ids) == 0 {
		return new(bulk[ID, T]), nil
	}
	m := s.scratch(len(ids))
	r := &bulk[ID, T]{scope: s, load: load, ids: ids, keys: m.keys, scratch: m}
	seen := newKeySet(m.slots)
	anyType := reflect.TypeFor[ID]().Kind() == reflect.Interface
	repeated := false
	for n, id := range ids {
		if anyType && !reflect.ValueOf(id).Comparable() {
			return r, fmt.Errorf("readthrough: id of type %T: must be comparable", id)
		}
		k := key(id)
		if err := checkKey("key", k); err != nil {
			return r, fmt.Errorf("%w (of id %v)", err, id)
		}
		if i := seen.add(k, r.keys); i >= 0 {
			if other := r.ids[i]; other != id {
				return r, fmt.Errorf("readthrough: key: %q for both id %v and id %v: must differ", clip(k), other, id)
			}
			if !repeated {
				repeated = true
				r.ids = slices.Clone(ids[:n])
			}
			continue
		}
		if repeated {
			r.ids = append(r.ids, id)
		}
		r.keys = append(r.keys, k)
	}
	return r, nil
}

// keep lets ids outlast the read: a load works with them. Of all else in r that
// changes, loads know nothing.
func (r *bulk[ID, T]) keep() {
	if !r.kept {
		r.ids, r.kept = slices.Clone(r.ids), true
	}
}

// done ends the read: the next one gets its memory.
func (r *bulk[ID, T]) done() {
	r.scratch.keys = r.keys
	r.scope.reuse(r.scratch)
}

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
