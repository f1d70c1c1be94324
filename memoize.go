package readthrough

import (
	"context"
	"slices"

	"github.com/readthrough/readthrough/provider"
)

// Memoize returns load behind the cache: a function of the same shape that does
// what [Wrap] does, with the key that key returns for the id. Wrap a repository
// method once, where the repository is made, and call the result:
//
//	getMaintenance := readthrough.Memoize(scope, maintenanceKey, repo.Get)
//
// A bad argument is an error of every call of the function.
func Memoize[ID, T any](s *CachedScope, key func(ID) string, load func(context.Context, ID) (T, error), options ...CallOption) func(context.Context, ID) (T, error) {
	lives, bad := checkReads(s, key != nil, load != nil, options)
	return func(ctx context.Context, id ID) (T, error) {
		var none T
		if bad != nil {
			return none, bad
		}
		k := key(id)
		if err := s.checkKey(ctx, k); err != nil {
			return none, err
		}
		stored := s.flights.stored.Load()
		value, is := quick[T](ctx, s, k)
		if is == provider.Present {
			return value, nil
		}
		var entry provider.Entry
		value, hit, found, err := lookUp[T](ctx, s, k, is, &entry)
		if hit {
			return value, err
		}
		return answerOf(ctx, s, k, stored, id, load, lives, &entry, found)
	}
}

// answerOf is read.answer for a load function that takes an id. It is a function
// of its own so that the id and the closure are only allocated on a miss.
func answerOf[ID, T any](ctx context.Context, s *CachedScope, key string, stored uint64, id ID, load func(context.Context, ID) (T, error), lives lifetimes, entry *provider.Entry, found bool) (T, error) {
	r := newRead(s, key, stored, func(ctx context.Context) (T, error) { return load(ctx, id) }, lives)
	result, err := r.answer(ctx, entry, found)
	return result.Value, err
}

// MemoizeMany is [Memoize] for a load function of many ids: it returns a function
// of the same shape that does what [WrapMany] does.
func MemoizeMany[ID comparable, T any](s *CachedScope, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error), options ...CallOption) func(context.Context, []ID) (map[ID]T, error) {
	options = slices.Clone(options)
	return func(ctx context.Context, ids []ID) (map[ID]T, error) {
		return WrapMany(ctx, s, ids, key, load, options...)
	}
}
