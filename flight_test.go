package readthrough_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// ---- invalidation and flights (G1, G2)

// invalidations are the ways to invalidate the key "k:1".
var invalidations = []struct {
	name string
	do   func(context.Context, *readthrough.CachedScope) error
}{
	{"key", func(ctx context.Context, s *readthrough.CachedScope) error { return s.Invalidate(ctx, "k:1") }},
	{"several keys", func(ctx context.Context, s *readthrough.CachedScope) error {
		return s.Invalidate(ctx, "k:0", "k:1", "x")
	}},
	{"prefix", func(ctx context.Context, s *readthrough.CachedScope) error {
		_, err := s.InvalidatePrefix(ctx, "k:")
		return err
	}},
	{"everything", func(ctx context.Context, s *readthrough.CachedScope) error {
		_, err := s.InvalidatePrefix(ctx, "")
		return err
	}},
}

// stores are the stores that the tests of invalidation run on.
var stores = []struct {
	name string
	make func(*testing.T) (provider.CacheProvider, *plainStore)
}{
	{"in process", func(t *testing.T) (provider.CacheProvider, *plainStore) {
		store := plain(newStore(t))
		return localStore{store}, store
	}},
	{"plain", func(t *testing.T) (provider.CacheProvider, *plainStore) {
		store := plain(newStore(t))
		return store, store
	}},
}

// eachInvalidation runs test for every way to load, to invalidate, and to store.
func eachInvalidation(t *testing.T, test func(t *testing.T, e invalidationTest)) {
	t.Helper()
	for _, way := range ways {
		for _, invalidation := range invalidations {
			for _, store := range stores {
				t.Run(way.name+"/"+invalidation.name+"/"+store.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						e := invalidationTest{invalidate: invalidation.do}
						var p provider.CacheProvider
						p, e.store = store.make(t)
						e.scope = newScope(t, on(p))
						e.read = func(load func(context.Context) (int, error)) (int, error) {
							return way.read(t.Context(), e.scope, "k:1", load)
						}
						test(t, e)
						wantIdle(t, e.scope)
					})
				})
			}
		}
	}
}

type invalidationTest struct {
	scope      *readthrough.CachedScope
	store      *plainStore
	invalidate func(context.Context, *readthrough.CachedScope) error
	read       func(load func(context.Context) (int, error)) (int, error) // of "k:1"
}

// The store has been asked to keep the old value and has not done so yet: the
// invalidation waits, and deletes what the fill stored.
func TestInvalidationWaitsForAFillUnderWay(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		storing, hold := make(chan struct{}), make(chan struct{})
		var sets atomic.Int64
		e.store.beforeSet = func(key string) {
			if key == "k:1" && sets.Add(1) == 1 {
				close(storing)
				<-hold
			}
		}
		old := async(func() (int, error) { return e.read(newSource(1).load) })
		<-storing
		invalidated := async(func() (int, error) { return 0, e.invalidate(t.Context(), e.scope) })
		synctest.Wait()
		select {
		case r := <-invalidated:
			t.Errorf("the invalidation returned %v while the old value was being stored", r.err)
		default:
		}
		assert.Zero(t, e.store.deletes.Load()+e.store.prefixes.Load(), "the deletion did not wait for the fill")
		// Who begins now must not join what is over; it began before the
		// invalidation returned, so it may get either value, but must not wait.
		during := wrapAsync(t.Context(), e.scope, "k:1", newSource(2).load)
		r := <-during
		want(t, "reader during the invalidation", r.value, r.err, 2)
		close(hold)
		assert.NoError(t, (<-invalidated).err, "the invalidation")
		<-old
		value, err := e.read(newSource(3).load)
		assert.NoError(t, err, "reader from after")
		assert.NotEqual(t, 1, value, "reader from after")
	})
}

// The store does not return from the fill, not even at its deadline. The
// invalidation cannot be confirmed as long as the fill may still come.
func TestFillThatIsStuckMakesTheInvalidationPending(t *testing.T) {
	for _, way := range ways {
		for _, invalidation := range invalidations {
			t.Run(way.name+"/"+invalidation.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					hold := make(chan struct{})
					store := plain(newStore(t))
					var sets atomic.Int64
					store.beforeSet = func(key string) {
						if key == "k:1" && sets.Add(1) == 1 {
							<-hold
						}
					}
					var reported reports
					s := newScope(t, on(store), reported.collect())
					value, err := way.read(t.Context(), s, "k:1", newSource(1).load)
					want(t, "reader whose fill is stuck", value, err, 1) // after the timeout of the store
					err = invalidation.do(t.Context(), s)
					require.ErrorIs(t, err, readthrough.ErrInvalidationPending, "the invalidation")
					fresh := newSource(2)
					for range 3 {
						value, err = readthrough.Wrap(t.Context(), s, "k:1", fresh.load)
						want(t, "reader while it is pending", value, err, 2)
					}
					wantLoads(t, &fresh.loads, 3) // past the store
					assert.Equal(t, int64(1), store.sets.Load(), "fills: only the one that is stuck")
					time.Sleep(10 * time.Second)
					require.NotZero(t, s.Stats().Pending, "nothing is pending although the fill may still come")
					close(hold) // the old value lands in the store now
					time.Sleep(10 * time.Second)
					wantIdle(t, s)
					fresh.set(3)
					for range 2 {
						value, err = readthrough.Wrap(t.Context(), s, "k:1", fresh.load)
						want(t, "reader after it was confirmed", value, err, 3)
					}
					wantLoads(t, &fresh.loads, 4) // through the store again
					_, ops := reported.all()
					if assert.Len(t, ops, 1, "reported: the fill that timed out") {
						assert.Regexp(t, "^set test", ops[0], "reported: the fill that timed out")
					}
				})
			})
		}
	}
}

func TestInvalidationWithAnEndedContextHappens(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		src := newSource(1)
		_, err := e.read(src.load)
		require.NoError(t, err)
		src.set(2)
		dead, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, e.invalidate(dead, e.scope))
		value, err := e.read(src.load)
		want(t, "reader from after", value, err, 2)
	})
}

// An invalidation touches neither the entries nor the flights of other scopes
// and of keys that it does not cover.
func TestInvalidationTouchesNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, newStore(t), readthrough.Options{})
		var scopes [2]*readthrough.CachedScope
		for i, name := range []string{"a", "a.b"} {
			s, err := cache.Scope(name, readthrough.ScopeOptions{TTL: time.Minute})
			require.NoError(t, err)
			scopes[i] = s
		}
		s, other := scopes[0], scopes[1]
		stored, loading := newSource(1), newGated(2)
		type place struct {
			scope *readthrough.CachedScope
			name  string
		}
		spared := []place{{other, "k:1"}, {s, "k"}, {s, "l:1"}}
		var readers []<-chan result[int]
		for _, p := range spared {
			_, err := readthrough.Wrap(t.Context(), p.scope, p.name, stored.load)
			require.NoError(t, err)
		}
		for _, p := range []place{{other, "k:2"}, {s, "l:2"}} {
			readers = append(readers, wrapAsync(t.Context(), p.scope, p.name, loading.load))
			spared = append(spared, p)
		}
		synctest.Wait()
		removed, err := s.InvalidateTargets(t.Context(), readthrough.Targets{Keys: []string{"k:1"}, Prefixes: []string{"k:"}})
		assert.NoError(t, err, "removed")
		assert.Zero(t, removed, "removed")
		close(loading.gate)
		for _, reader := range readers {
			<-reader
		}
		again := newSource(9)
		for _, p := range spared {
			value, err := readthrough.Wrap(t.Context(), p.scope, p.name, again.load)
			assert.NoError(t, err, "%s %s was touched", p.scope.Name(), p.name)
			assert.NotEqual(t, 9, value, "%s %s was touched", p.scope.Name(), p.name)
		}
		wantIdle(t, s)
		wantIdle(t, other)
	})
}
