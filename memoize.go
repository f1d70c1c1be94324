package readthrough

import (
	"context"
	"slices"

	"github.com/readthrough/readthrough/provider"
)

// Memoize returns load behind the cache: a function of the same shape that does what [Wrap] does,
// with the key that key returns for the id. Wrap a repository method once, where the repository is
// made, and call the result:
//
//	getMaintenance := readthrough.Memoize(scope, maintenanceKey, repo.Get)
//
// For a key of a prefix and an id, a [Family] is shorter, and its hits in memory allocate nothing.
//
// The function is safe for concurrent use, if key and load are. A bad argument of Memoize is an
// error of every call of the function.
func Memoize[ID, T any](s *CachedScope, key func(ID) string, load func(context.Context, ID) (T, error), options ...CallOption) func(context.Context, ID) (T, error) {
	ttls, bad := checkReads[T]("Memoize", s, key != nil, load != nil, options)
	return func(ctx context.Context, id ID) (T, error) {
		if bad != nil {
			var none T
			return none, bad
		}
		k := key(id)
		if err := s.checkKey(ctx, k); err != nil {
			var none T
			return none, err
		}
		value, look := quick[T](ctx, &s.keyspace, k)
		if look.is == provider.Present {
			if look.sampled {
				sampleID(ctx, &s.keyspace, k, id, load)
			}
			return value, nil
		}
		return readID(ctx, &s.keyspace, k, id, load, ttls, look)
	}
}

// readID is readKey for a load function that takes an id. It is apart from Memoize so that a hit
// allocates neither the id nor the closure.
func readID[ID, T any](ctx context.Context, s *keyspace, key string, id ID, load func(context.Context, ID) (T, error), ttls ttls, l look) (T, error) {
	return readKey(ctx, s, key, func(ctx context.Context) (T, error) { return load(ctx, id) }, ttls, l)
}

// MemoizeMany is [Memoize] for a load function of many ids. It returns a function of the same shape
// that does what [WrapMany] does.
func MemoizeMany[ID comparable, T any](s *CachedScope, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error), options ...CallOption) func(context.Context, []ID) (map[ID]T, error) {
	options = slices.Clone(options)
	return func(ctx context.Context, ids []ID) (map[ID]T, error) {
		return WrapMany(ctx, s, ids, key, load, options...)
	}
}
