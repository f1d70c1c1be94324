package readthrough_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// asAnotherProcess returns store as another process has it: another value on the same entries. A cache in
// this process would be refused the same value.
func asAnotherProcess(t testing.TB, store provider.CacheProvider) provider.CacheProvider {
	t.Helper()
	switch s := store.(type) {
	case *memory.Store:
		return &struct{ *memory.Store }{s}
	case *double:
		return &struct{ *double }{s}
	case *leaseStore:
		return &struct{ *leaseStore }{s}
	default:
		t.Fatalf("a store of type %T", store)
		return nil
	}
}

// Two caches on one store would not see each other's invalidations.
func TestStoreOfAnotherCacheIsRefused(t *testing.T) {
	for name, newStore := range storeKinds() {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			cache, err := readthrough.New(store, readthrough.Options{})
			require.NoError(t, err)
			_, err = readthrough.New(store, readthrough.Options{})
			require.ErrorContains(t, err, "readthrough: New: store: this *")
			require.ErrorContains(t, err, "use scopes of that cache, or make another store")
			scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
			require.NoError(t, err, "the cache that has it")
			value, err := readthrough.Wrap(t.Context(), scope, "k", newSource(1).load)
			want(t, "the cache that has it", value, err, 1)
			require.NoError(t, cache.Close())
			cache, err = readthrough.New(store, readthrough.Options{})
			require.NoError(t, err, "after Close")
			require.NoError(t, cache.Close())
		})
	}
}

// A cache that could not be made has no store.
func TestStoreOfABadCacheIsFree(t *testing.T) {
	store := newStore(t)
	_, err := readthrough.New(store, readthrough.Options{MaxPending: -1})
	require.Error(t, err)
	newCache(t, store, readthrough.Options{})
}

// Of several caches that are made at the same time on one store, one is made.
func TestOneOfManyCachesGetsTheStore(t *testing.T) {
	store := newStore(t)
	var made atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if cache, err := readthrough.New(store, readthrough.Options{}); err == nil {
				made.Add(1)
				t.Cleanup(func() { _ = cache.Close() })
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, 1, made.Load())
}

// The store of a cache that is dropped without Close is free when the cache is collected.
func TestStoreOfADroppedCacheIsFree(t *testing.T) {
	store := newStore(t)
	dropped, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	_, err = readthrough.New(store, readthrough.Options{})
	require.Error(t, err)
	runtime.KeepAlive(dropped)
	for n := 0; ; n++ {
		cache, err := readthrough.New(store, readthrough.Options{})
		if err == nil {
			require.NoError(t, cache.Close())
			return
		}
		require.Less(t, n, 1000, "collections, and it is not free: %v", err)
		runtime.GC()
		runtime.Gosched()
	}
}

// sizeless is a store without a state, so that two pointers to one may be equal.
type sizeless struct{}

func (*sizeless) Get(context.Context, provider.Key) (provider.Entry, bool, error) {
	return provider.Entry{}, false, nil
}

func (*sizeless) Set(context.Context, provider.Key, provider.Entry, time.Duration) error { return nil }

func (*sizeless) Delete(context.Context, ...provider.Key) error { return nil }

func (*sizeless) DeletePrefix(context.Context, string, string) (int, error) { return 0, nil }

// uncomparable is a store that cannot be compared.
type uncomparable struct {
	provider.CacheProvider

	_ []int
}

// Stores that are no pointers, or pointers to nothing, have no identity: two that are equal need not be one.
func TestStoresWithoutIdentity(t *testing.T) {
	null := provider.Null()
	for name, store := range map[string]provider.CacheProvider{
		"null": null, "a struct": struct{ provider.CacheProvider }{null},
		"not comparable": uncomparable{CacheProvider: null}, "a pointer to nothing": new(sizeless),
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				newCache(t, store, readthrough.Options{OnError: func(*readthrough.OpError) {}})
			}
		})
	}
}
