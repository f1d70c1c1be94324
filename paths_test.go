package readthrough_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// ways are the ways to load with a function for one key.
var ways = []struct {
	name string
	read func(context.Context, *readthrough.CachedScope, string, func(context.Context) (int, error)) (int, error)
}{
	{"single", func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (int, error)) (int, error) {
		return readthrough.Wrap(ctx, s, key, load)
	}},
	{"bulk", func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (int, error)) (int, error) {
		values, err := readthrough.WrapMany(ctx, s, []string{key}, self, many(load))
		return values[key], err
	}},
	{"Each", func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (int, error)) (int, error) {
		values, err := readthrough.WrapMany(ctx, s, []string{key}, self, readthrough.Each(2,
			func(ctx context.Context, _ string) (int, error) { return load(ctx) }))
		return values[key], err
	}},
}

// reading is a way to read one key and learn where the value comes from.
type reading[T any] func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (T, error)) (readthrough.Result[T], error)

// resultReads are the ways of reading.
func resultReads[T any]() map[string]reading[T] {
	return map[string]reading[T]{
		"single": func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (T, error)) (readthrough.Result[T], error) {
			return readthrough.WrapResult(ctx, s, key, load)
		},
		"bulk": func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (T, error)) (readthrough.Result[T], error) {
			results, err := readthrough.WrapManyResult(ctx, s, []string{key}, self, many(load))
			if result, ok := results[key]; ok || err != nil {
				return result, err
			}
			return readthrough.Result[T]{}, readthrough.ErrNotFound
		},
	}
}

// storeKinds are the kinds of stores that a cache treats differently.
func storeKinds() map[string]func(testing.TB) provider.CacheProvider {
	return map[string]func(testing.TB) provider.CacheProvider{
		"in process":      func(t testing.TB) provider.CacheProvider { t.Helper(); return newStore(t) },
		"no capabilities": func(t testing.TB) provider.CacheProvider { t.Helper(); return plain(newStore(t)) },
		"leases":          func(testing.TB) provider.CacheProvider { return newLeaseStore() },
	}
}

// onEachStore runs test in a bubble for each kind of store.
func onEachStore(t *testing.T, test func(t *testing.T, store provider.CacheProvider)) {
	t.Helper()
	for name, store := range storeKinds() {
		bubble(t, name, func(t *testing.T) { test(t, store(t)) })
	}
}

// path is a way to use the key "k:1": a scope on a store, a reading, and an
// invalidation.
type path struct {
	t          *testing.T
	cache      *readthrough.Cache
	scope      *readthrough.CachedScope
	store      provider.CacheProvider
	reading    reading[int]
	invalidate func(context.Context, *readthrough.CachedScope) error
}

func (p *path) read(load func(context.Context) (int, error)) (readthrough.Result[int], error) {
	return p.reading(p.t.Context(), p.scope, "k:1", load)
}

// fill reads a value that is not stored yet.
func (p *path) fill(load func(context.Context) (int, error)) {
	p.t.Helper()
	got, err := p.read(load)
	require.NoError(p.t, err, "a loaded value")
	require.Equal(p.t, readthrough.FromLoad, got.Source, "a loaded value")
}

func (p *path) invalidateNow() {
	p.t.Helper()
	require.NoError(p.t, p.invalidate(p.t.Context(), p.scope))
}

// onEachPath runs test in a bubble for each kind of store, way to read, and way to
// invalidate.
func onEachPath(t *testing.T, change func(*readthrough.ScopeOptions), test func(t *testing.T, p *path)) {
	t.Helper()
	for kind, newStore := range storeKinds() {
		for name, read := range resultReads[int]() {
			for _, how := range invalidations {
				bubble(t, kind+"/"+name+"/"+how.name, func(t *testing.T) {
					p := newPath(t, newStore(t), change)
					p.reading, p.invalidate = read, how.do
					test(t, p)
					wantIdle(t, p.scope)
				})
			}
		}
	}
}

// newPath returns a path of single reads and invalidations of the key.
func newPath(t *testing.T, store provider.CacheProvider, change func(*readthrough.ScopeOptions)) *path {
	t.Helper()
	p := &path{t: t, store: store, reading: resultReads[int]()["single"], invalidate: invalidations[0].do}
	p.cache = newCache(t, store, readthrough.Options{OnError: func(err *readthrough.OpError) {
		if !errors.Is(err, errStore) {
			assert.ErrorIs(t, err, errFault, "reported")
		}
	}})
	options := readthrough.ScopeOptions{TTL: time.Minute, Jitter: -1}
	change(&options)
	scope, err := p.cache.Scope("test", options)
	require.NoError(t, err)
	p.scope = scope
	return p
}
