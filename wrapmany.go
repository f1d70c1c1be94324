package readthrough

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// WrapMany returns the values of ids, each of them stored under the key that key returns for it. Stored
// values come from the store. For all others together, load is called once, with the missing ids in
// their order. Ids that the result of load lacks are absent: they are not in the result, and their
// absence is stored like that of [Wrap].
//
// Bulk and single reads share their loads: an id that is being loaded is not loaded again. What [Wrap]
// says of loads, contexts, invalidations and outages holds for each id.
//
// If load returns an error, WrapMany returns it together with all values that it has: the stored ones,
// those of other loads, and those that load returned beside its error. The missing ids are not absent
// then. The result is never nil.
//
// Repeated ids count once. Ids in the result of load that nobody asked for are ignored, and reported to
// [Options.OnError]. key must return different keys for different ids: two ids with one key are an
// error, as is an empty or too long key.
func WrapMany[ID comparable, T any](ctx context.Context, s *CachedScope, ids []ID, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error), options ...CallOption) (map[ID]T, error) {
	ttls, err := checkReadMany[T](ctx, s, key != nil, load != nil, options)
	if err != nil {
		return map[ID]T{}, err
	}
	r, err := newBulk(&s.keyspace, ids, key, load)
	if err != nil || len(r.ids) == 0 {
		return map[ID]T{}, err
	}
	r.values = make(map[ID]T, len(r.ids))
	return r.values, r.run(ctx, ttls)
}

// WrapManyResult is [WrapMany] for callers that want to know where each value comes from, and how old
// it is.
func WrapManyResult[ID comparable, T any](ctx context.Context, s *CachedScope, ids []ID, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error), options ...CallOption) (map[ID]Result[T], error) {
	ttls, err := checkReadMany[T](ctx, s, key != nil, load != nil, options)
	if err != nil {
		return map[ID]Result[T]{}, err
	}
	r, err := newBulk(&s.keyspace, ids, key, load)
	if err != nil || len(r.ids) == 0 {
		return map[ID]Result[T]{}, err
	}
	r.results = make(map[ID]Result[T], len(r.ids))
	err = r.run(ctx, ttls)
	return r.results, err
}

// checkReadMany returns the TTLs of a read of many keys, or the error of a bad argument.
func checkReadMany[T any](ctx context.Context, s *CachedScope, hasKey, hasLoad bool, options []CallOption) (ttls, error) {
	ttls, err := checkReads[T](s, hasKey, hasLoad, options)
	if err == nil {
		err = s.checkOpen(ctx)
	}
	return ttls, err
}

// bulk is the typed end of a read of many ids.
type bulk[ID comparable, T any] struct {
	read

	ids      []ID     // each once
	keys     []string // keys[i] is the key of ids[i]; the memory is that of scratch
	owned    bool     // ids are not the caller's, since a load works with them
	scratch  *scratch
	loadMany func(context.Context, []ID) (map[ID]T, error)
	values   map[ID]T         // what is read; nil if results are
	results  map[ID]Result[T] // what is read; nil if values are
}

// newBulk makes the read of ids, or returns the error of a bad one.
func newBulk[ID comparable, T any](s *keyspace, ids []ID, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error)) (*bulk[ID, T], error) {
	if len(ids) == 0 {
		return new(bulk[ID, T]), nil
	}
	m := s.scratch(len(ids))
	r := &bulk[ID, T]{loadMany: load, ids: ids, keys: m.keys, scratch: m}
	r.scope, r.target = s, r
	return r, r.makeKeys(key)
}

// makeKeys makes the keys of the ids, and leaves repeated ids out.
func (r *bulk[ID, T]) makeKeys(key func(ID) string) error {
	ids, known := r.ids, newKeySet(r.scratch.slots)
	anyType := reflect.TypeFor[ID]().Kind() == reflect.Interface
	repeated := false
	for n, id := range ids {
		if anyType && !reflect.ValueOf(id).Comparable() {
			return fmt.Errorf("readthrough: id of type %T: must be comparable", id)
		}
		k := key(id)
		if err := checkKey("key", k); err != nil {
			return fmt.Errorf("%w (of id %v)", err, id)
		}
		if i := known.add(k, r.keys); i >= 0 {
			if other := r.ids[i]; other != id {
				return fmt.Errorf("readthrough: key: %q for both id %v and id %v: must differ", clip(k), other, id)
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
	return nil
}

// run takes the values that are stored, and loads the others.
func (r *bulk[ID, T]) run(ctx context.Context, ttls ttls) error {
	defer func() {
		r.scratch.keys = r.keys
		r.scope.reuse(r.scratch)
	}()
	r.ttls, r.stored = ttls, r.scope.flights.stored.Load()
	missing := r.takeValues(ctx)
	r.look(ctx)
	if len(r.items) == 0 {
		r.items = missing
	} else if len(missing) > 0 {
		r.add(missing)
	}
	r.count(ctx, len(r.items))
	return r.miss(ctx)
}

// takeValues takes the values that are stored where nothing else of the entry is needed. It returns the
// ids that are missing; the store has to be asked for the entries of the others, which are items now.
func (r *bulk[ID, T]) takeValues(ctx context.Context) (missing []item) {
	if !r.scope.quick || r.results != nil {
		r.items = make([]item, len(r.ids))
		for n := range r.items {
			r.items[n] = item{key: r.keys[n], index: n}
		}
		return nil
	}
	asked, missing := r.notBypassed()
	keys, values := r.scratch.ask(len(asked), func(n int) provider.Key { return r.scope.key(r.keys[asked[n]]) })
	if err := r.scope.backend.GetValues(keys, values); err != nil {
		r.scope.reportGet(ctx, "", err)
		clear(values)
		for n := range values {
			values[n].Is = provider.Missing
		}
	}
	for n, i := range asked {
		switch values[n].Is {
		case provider.Present:
			if value, err := valueOf[T](values[n].Value); err == nil {
				r.values[r.ids[i]] = value
				continue
			}
			fallthrough
		default:
			r.items = append(r.items, item{key: r.keys[i], index: i})
		case provider.Missing:
			if missing == nil {
				missing = make([]item, 0, len(asked)-n)
			}
			missing = append(missing, item{key: r.keys[i], index: i})
		}
	}
	return missing
}

// notBypassed returns the positions of the ids for which the store is asked, and the others.
func (r *bulk[ID, T]) notBypassed() (asked []int, bypassed []item) {
	g := &r.scope.flights
	asked = r.scratch.positions[:len(r.ids)]
	if g.bypassing.Load() == 0 {
		return asked, nil
	}
	asked = slices.DeleteFunc(asked, func(n int) bool {
		bypass := g.bypasses(r.keys[n])
		if bypass {
			bypassed = append(bypassed, item{key: r.keys[n], index: n})
		}
		return bypass
	})
	return asked, bypassed
}

// count counts a read of which so many ids were missing.
func (r *bulk[ID, T]) count(ctx context.Context, missing int) {
	s, hits := r.scope, len(r.ids)-missing
	s.stats.hits.Add(int64(hits))
	s.stats.misses.Add(int64(missing))
	if hits > 0 {
		s.tell(ctx, s.observer.Hit, Event{Count: hits})
	}
	if missing > 0 {
		s.tell(ctx, s.observer.Miss, Event{Count: missing})
	}
}

func (r *bulk[ID, T]) load(ctx context.Context, flights []*flight) error {
	ids := make([]ID, len(flights)) // the load function may keep or change them
	for n, f := range flights {
		ids[n] = r.ids[f.index]
	}
	loaded, err := r.loadMany(ctx, ids)
	used := 0
	for _, f := range flights {
		if value, ok := loaded[r.ids[f.index]]; ok {
			f.outcome = outcome{known: true, entry: provider.Entry{Value: value}}
			used++
		}
	}
	if unexpected := len(loaded) - used; unexpected > 0 {
		flights[0].call.report(opLoad, "", fmt.Errorf("%w: %d of %d", errUnexpectedID, unexpected, len(loaded)))
	}
	return err
}

func (*bulk[ID, T]) decode(entry provider.Entry) (any, error) { return valueOf[T](entry.Value) }

func (*bulk[ID, T]) isLoaded(stored any) bool { return holdsA[T](stored) }

// loader returns the read itself, whose ids are its own from now on.
func (r *bulk[ID, T]) loader() loader {
	if !r.owned {
		r.ids, r.owned = slices.Clone(r.ids), true
	}
	return r
}

func (r *bulk[ID, T]) put(i *item, stored any, source Source, loadedAt time.Time, why error) error {
	value, err := valueOf[T](stored)
	switch {
	case err != nil:
	case r.results == nil:
		r.values[r.ids[i.index]] = value
	default:
		r.results[r.ids[i.index]] = Result[T]{Value: value, Source: source, Age: age(loadedAt), Err: why}
	}
	return err
}

func (*bulk[ID, T]) absent(*item, error) {}

func (r *bulk[ID, T]) loadAlone(ctx context.Context, items []item) error {
	ids := make([]ID, len(items))
	for n := range items {
		ids[n] = r.ids[items[n].index]
	}
	loaded, err := loadAlone(ctx, func(ctx context.Context) (map[ID]T, error) { return r.loadMany(ctx, ids) })
	for n := range items {
		if value, ok := loaded[ids[n]]; ok {
			_ = r.put(&items[n], value, FromLoad, time.Time{}, nil)
		}
	}
	return err
}
