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

// No key has ever been invalidated before; the load is under way.
func TestLateFillIsRefused(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		src := newGated(1)
		old := async(func() (int, error) { return e.read(src.load) })
		synctest.Wait()
		src.set(2)
		require.NoError(t, e.invalidate(t.Context(), e.scope))
		close(src.gate)
		r := <-old // it began before: it may have the old value
		want(t, "reader from before", r.value, r.err, 1)
		synctest.Wait()
		_, found, _ := e.store.CacheProvider.Get(t.Context(), provider.Key{Scope: "test", Name: "k:1"})
		assert.False(t, found, "the old value was stored")
		assert.Positive(t, e.scope.Stats().RefusedFills, "refused fills counted")
		value, err := e.read(src.load)
		want(t, "reader from after", value, err, 2)
	})
}

// The old flight and the new one overlap; whichever ends first, the new value is
// the one that is stored, a third reader joins the new flight, and the old
// flight's end does not take the new flight's place away.
func TestReaderAfterInvalidateStartsANewFlight(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		before, after := newGated(1), newGated(2)
		old := async(func() (int, error) { return e.read(before.load) })
		synctest.Wait()
		require.NoError(t, e.invalidate(t.Context(), e.scope))
		second := async(func() (int, error) { return e.read(after.load) })
		synctest.Wait()
		wantLoads(t, &after.loads, 1)
		close(before.gate)
		r := <-old
		want(t, "reader from before", r.value, r.err, 1)
		synctest.Wait()
		third := wrapAsync(t.Context(), e.scope, "k:1", after.load)
		synctest.Wait()
		wantLoads(t, &after.loads, 1)
		close(after.gate)
		for who, reader := range map[string]<-chan result[int]{"second": second, "third": third} {
			r := <-reader
			want(t, who, r.value, r.err, 2)
		}
		value, err := e.read(after.load)
		want(t, "hit", value, err, 2)
		wantLoads(t, &after.loads, 1)
	})
}

// The new flight ends first, the old one later.
func TestOldFlightEndsLast(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		before, after := newGated(1), newSource(2)
		old := async(func() (int, error) { return e.read(before.load) })
		synctest.Wait()
		require.NoError(t, e.invalidate(t.Context(), e.scope))
		value, err := e.read(after.load)
		want(t, "reader from after", value, err, 2)
		close(before.gate)
		<-old
		synctest.Wait()
		value, err = e.read(after.load)
		want(t, "hit", value, err, 2)
		wantLoads(t, &after.loads, 1)
	})
}

// The store has deleted, and has not said so yet, when a load ends that began
// before: its epoch is over since the invalidation began, not since it returned.
func TestLoadThatEndsDuringTheInvalidationDoesNotFill(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		deleted, hold := make(chan struct{}), make(chan struct{})
		e.store.afterDelete = func() { close(deleted); <-hold }
		src := newGated(1)
		old := async(func() (int, error) { return e.read(src.load) })
		synctest.Wait()
		invalidated := async(func() (int, error) { return 0, e.invalidate(t.Context(), e.scope) })
		<-deleted
		src.set(2)
		close(src.gate)
		<-old
		synctest.Wait()
		close(hold)
		assert.NoError(t, (<-invalidated).err, "the invalidation")
		value, err := e.read(src.load)
		want(t, "reader from after", value, err, 2)
	})
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

// During the invalidation, after the epochs were ended and before the deletion,
// a reader begins, looks again, and finds the old value in the store. Who begins
// after the invalidation returned must not join that flight.
func TestFlightThatFoundTheOldValueDuringInvalidationIsNotJoinedAfterwards(t *testing.T) {
	for _, invalidation := range invalidations {
		for _, store := range stores {
			t.Run(invalidation.name+"/"+store.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, hooks := store.make(t)
					// A reader whose first look misses and whose second finds the old value:
					// between them another flight stores it.
					missed, goOn := make(chan struct{}), make(chan struct{})
					found, land := make(chan struct{}), make(chan struct{})
					var armed atomic.Bool
					var gets atomic.Int64
					hooks.afterGet = func(key string) {
						if key != "k:1" || !armed.Load() {
							return
						}
						switch gets.Add(1) {
						case 1:
							close(missed)
							<-goOn
						case 2:
							close(found)
							<-land
						}
					}
					deleting, remove := make(chan struct{}), make(chan struct{})
					hooks.beforeDelete = func() { close(deleting); <-remove }
					s := newScope(t, on(p))

					armed.Store(true)
					odd := wrapAsync(t.Context(), s, "k:1", newSource(8).load)
					<-missed
					armed.Store(false)
					value, err := readthrough.Wrap(t.Context(), s, "k:1", newSource(1).load)
					want(t, "the old value", value, err, 1)
					armed.Store(true)
					invalidated := async(func() (int, error) { return 0, invalidation.do(t.Context(), s) })
					<-deleting
					close(goOn)
					<-found
					close(remove)
					assert.NoError(t, (<-invalidated).err, "the invalidation")
					after := wrapAsync(t.Context(), s, "k:1", newSource(2).load)
					synctest.Wait()
					close(land)
					r := <-after
					want(t, "reader from after", r.value, r.err, 2)
					r = <-odd
					want(t, "reader from before", r.value, r.err, 1)
					value, err = readthrough.Wrap(t.Context(), s, "k:1", newSource(3).load)
					want(t, "hit", value, err, 2)
					wantIdle(t, s)
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
