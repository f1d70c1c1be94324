package readthrough

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// WrapMany returns the values of ids. Each of them is stored under the key that key returns for it.
// Stored values come from the store. For all others together, load is called once, with the missing
// ids in their order. An id that the result of load lacks is absent: it is not in the result of
// WrapMany, and its absence is stored like that of [Wrap].
//
// Bulk and single reads share their loads: an id that is being loaded is not loaded again. What
// [Wrap] says of loads, contexts, invalidations and outages holds for each id.
//
// If load returns an error, WrapMany returns it together with all values that it has: the stored
// ones, those of other loads, and those that load returned with its error. The missing ids are not
// absent then. The result is never nil.
//
// Repeated ids count once. Ids in the result of load that were not asked for are ignored, and
// reported to [Options.OnError]. key must return different keys for different ids. Two ids with one
// key are an error, and so is a key that is empty or longer than [MaxKeyBytes], or an id that
// cannot be compared. After such an error nothing was read. No ids at all are an empty result.
func WrapMany[ID comparable, T any](ctx context.Context, s *CachedScope, ids []ID, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error), options ...CallOption) (map[ID]T, error) {
	ttls, err := checkReadMany[T](ctx, "WrapMany", s, key != nil, load != nil, options)
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

// WrapManyResult is [WrapMany] for readers that want to know where each value comes from, how old
// it is, and why a stale value was served.
func WrapManyResult[ID comparable, T any](ctx context.Context, s *CachedScope, ids []ID, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error), options ...CallOption) (map[ID]Result[T], error) {
	ttls, err := checkReadMany[T](ctx, "WrapManyResult", s, key != nil, load != nil, options)
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

// checkReadMany returns the TTLs of a read of many keys, or the error of a bad argument (G10).
func checkReadMany[T any](ctx context.Context, function string, s *CachedScope, hasKey, hasLoad bool, options []CallOption) (ttls, error) {
	ttls, err := checkReads[T](function, s, hasKey, hasLoad, options)
	if err == nil {
		err = s.checkOpen(ctx)
	}
	return ttls, err
}

// bulk is a read of many ids, with its typed end.
type bulk[ID comparable, T any] struct {
	read

	// ids are those of the caller, each once. They are the caller's slice until a load works with
	// them (own).
	ids []ID
	// keys has the key of each id at the same position. Its memory is that of scratch.
	keys []string
	// owned: ids is a copy, since a load works with it.
	owned    bool
	scratch  *scratch
	loadMany func(context.Context, []ID) (map[ID]T, error)
	// values is what was read; nil if results is.
	values map[ID]T
	// results is what was read, with the sources; nil if values is.
	results map[ID]Result[T]
}

// newBulk makes the read of ids, or returns the error of a bad id or key.
func newBulk[ID comparable, T any](s *keyspace, ids []ID, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error)) (*bulk[ID, T], error) {
	if len(ids) == 0 {
		return new(bulk[ID, T]), nil
	}
	m := s.scratch(len(ids))
	r := &bulk[ID, T]{loadMany: load, ids: ids, keys: m.keys, scratch: m}
	r.scope, r.target = s, r
	return r, r.makeKeys(key)
}

// makeKeys makes the keys of the ids, and leaves repeated ids out. It copies ids only if there is a
// repetition.
func (r *bulk[ID, T]) makeKeys(key func(ID) string) error {
	ids, known := r.ids, newKeySet(r.scratch.slots)
	if err := checkIDs(ids); err != nil {
		return err
	}
	repeated := false
	for n, id := range ids {
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
	if r.isDirect(ctx) {
		return r.loadDirectly(ctx)
	}
	r.ttls, r.stored = ttls, r.scope.flights.stored.Load()
	if r.purpose == toReplace {
		r.wantAll()
		return r.miss(ctx)
	}
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

// takeValues takes the values that are stored where nothing else of the entry is needed. It returns
// the ids that are missing. The others become items: the store has to be asked for their entries.
func (r *bulk[ID, T]) takeValues(ctx context.Context) (missing []item) {
	if !r.scope.quick || r.results != nil {
		r.wantAll()
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
				if r.scope.backend.Near {
					r.near++
				}
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

// wantAll makes all ids items.
func (r *bulk[ID, T]) wantAll() {
	r.items = make([]item, len(r.ids))
	for n := range r.items {
		r.items[n] = item{key: r.keys[n], index: n}
	}
}

// isDirect reports whether the read bypasses the cache: if one of its keys does, all do, since one load brings
// them all.
func (r *bulk[ID, T]) isDirect(ctx context.Context) bool {
	return r.scope.directives.Load() != 0 && slices.ContainsFunc(r.keys, func(key string) bool { return r.scope.readsDirectly(ctx, key) })
}

// loadDirectly runs the load function of a read that bypasses the cache.
func (r *bulk[ID, T]) loadDirectly(ctx context.Context) error {
	r.scope.stats.bypassed.Add(int64(len(r.ids)))
	loaded, err := r.loadMany(ctx, slices.Clone(r.ids))
	for _, id := range r.ids {
		value, ok := loaded[id]
		switch {
		case !ok:
		case r.results == nil:
			r.values[id] = value
		default:
			r.results[id] = Result[T]{Value: value, Source: FromLoad}
		}
	}
	err = backend.Sane(err)
	if each, ok := err.(*eachError[ID]); ok { //nolint:errorlint // that of Each itself, which had no call to ask for NotFound
		return each.without(r.scope.isNotFound)
	}
	return err
}

// notBypassed returns the positions of the ids for which the store is asked, and the others as
// items.
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

// count counts a read, and tells the observer. missing is how many ids were not in the store.
func (r *bulk[ID, T]) count(ctx context.Context, missing int) {
	s, hits := r.scope, len(r.ids)-missing
	far, near := s.stats.hits.Add(int64(hits-r.near)), s.stats.nearHits.Add(int64(r.near))
	s.stats.misses.Add(int64(missing))
	if hits > 0 {
		s.tell(ctx, s.observer.Hit, Event{Count: hits})
		if s.sampling.picks(far + near) {
			sampleSome(ctx, s, r.ids, r.keys, r.items, r.loadMany)
		}
	}
	if missing > 0 {
		s.tell(ctx, s.observer.Miss, Event{Count: missing})
	}
}

// load runs the load function for the ids of flights. It takes the values that come with an error,
// too: one bad id among a hundred does not lose the others.
func (r *bulk[ID, T]) load(ctx context.Context, flights []*flight) error {
	ids := make([]ID, len(flights)) // the load function may keep or change them
	for n, f := range flights {
		ids[n] = r.ids[f.index]
	}
	loaded, err := r.loadMany(ctx, ids)
	err = backend.Sane(err)
	var each *eachError[ID]
	if !errors.As(err, &each) {
		each = nil
	}
	used := 0
	for _, f := range flights {
		id := r.ids[f.index]
		if value, ok := loaded[id]; ok {
			f.outcome = outcome{known: true, entry: provider.Entry{Value: value}}
			used++
		} else if each != nil {
			f.outcome = each.outcome(id)
		}
	}
	if unexpected := len(loaded) - used; unexpected > 0 {
		flights[0].call.report(opLoad, "", fmt.Errorf("%w: %d of %d", errUnexpectedID, unexpected, len(loaded)))
	}
	return err
}

func (*bulk[ID, T]) decode(entry provider.Entry) (any, error) { return valueOf[T](entry.Value) }

func (*bulk[ID, T]) isLoaded(stored any) bool { return holdsA[T](stored) }

// loader returns the read itself. It copies ids, once, so that the load may use them after the read
// has returned. The other memory that a load uses is not used again.
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
