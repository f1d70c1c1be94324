package readthrough_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

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
	make func(*testing.T) (provider.CacheProvider, *double)
}{
	{"in process", func(t *testing.T) (provider.CacheProvider, *double) {
		store := plain(newStore(t))
		return store.as(capInProcess), store
	}},
	{"plain", func(t *testing.T) (provider.CacheProvider, *double) {
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
	store      *double
	invalidate func(context.Context, *readthrough.CachedScope) error
	read       func(load func(context.Context) (int, error)) (int, error) // of "k:1"
}

// The store has been asked to keep the old value and has not done so yet: the
// invalidation waits, and deletes what the fill stored.
func TestInvalidationWaitsForAFillUnderWay(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		storing, hold := make(chan struct{}), make(chan struct{})
		var sets atomic.Int64
		e.store.before("set", func(key string) {
			if key == "k:1" && sets.Add(1) == 1 {
				close(storing)
				<-hold
			}
		})
		old := async(func() (int, error) { return e.read(newSource(1).load) })
		<-storing
		invalidated := async(func() (int, error) { return 0, e.invalidate(t.Context(), e.scope) })
		synctest.Wait()
		select {
		case r := <-invalidated:
			t.Errorf("the invalidation returned %v while the old value was being stored", r.err)
		default:
		}
		assert.Zero(t, e.store.count("delete")+e.store.count("deletePrefix"), "the deletion did not wait for the fill")
		// Who begins now must not join what is over; it began before the
		// invalidation returned, so it may get either value, but must not wait.
		during := wrapAsync(t.Context(), e.scope, "k:1", newSource(2).load)
		r := <-during
		want(t, "reader during the invalidation", r.value, r.err, 2)
		// The flight of that reader is newer than the one that fills. It must not hide it.
		again := async(func() (int, error) { return 0, e.invalidate(t.Context(), e.scope) })
		synctest.Wait()
		select {
		case r := <-again:
			t.Errorf("another invalidation returned %v while the old value was being stored", r.err)
		default:
		}
		close(hold)
		assert.NoError(t, (<-invalidated).err, "the invalidation")
		assert.NoError(t, (<-again).err, "another invalidation")
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
					store.before("set", func(key string) {
						if key == "k:1" && sets.Add(1) == 1 {
							<-hold
						}
					})
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
					assert.Equal(t, int64(1), store.count("set"), "fills: only the one that is stuck")
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
					synctest.Wait()               // a call tells its user after it has landed
					_, ops := reported.all()
					if assert.Len(t, ops, 1, "reported: the fill that timed out") {
						assert.Regexp(t, "^set test", ops[0], "reported: the fill that timed out")
					}
				})
			})
		}
	}
}

// TestStuckFill: a store that has not returned from a fill may store it after a
// deletion that it confirms.
func TestStuckFill(t *testing.T) {
	for _, byPrefix := range []bool{false, true} {
		bubble(t, fmt.Sprint("prefix ", byPrefix), func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, 0)
			r.store.fail(faultStuck, "set")
			assert.Equal(t, providerTimeout, took(func() { r.expectRead("k:1", "1", true) }), "the read took")
			r.set("2")
			var err error
			if byPrefix {
				_, err = r.scope.InvalidatePrefix(t.Context(), "k:")
			} else {
				err = r.scope.Invalidate(t.Context(), "k:1")
			}
			require.ErrorIs(t, err, readthrough.ErrInvalidationPending, "the fill may come after the deletion")
			assert.Len(t, r.store.calls("delete", "deletePrefix"), 1, "deletions")
			r.expectBypassed("k:1", "2")
			time.Sleep(time.Minute) // the deletion is confirmed again and again
			r.expectPending(1)
			r.expectLateFill("k:1", "1", "2")
		})
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

// TestInvalidateIgnoresTheEndOfItsContext, since the write that it follows has
// happened, but has its values.
func TestInvalidateIgnoresTheEndOfItsContext(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		type key struct{}
		r := newRig(t, readthrough.Options{}, 0)
		r.readAll(3)
		r.read("p:1")
		var values []any
		see := func(ctx context.Context, _ []string) error {
			values = append(values, ctx.Value(key{}))
			return ctx.Err()
		}
		r.store.hook("delete", see)
		r.store.hook("deletePrefix", see)
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
		cancel()
		assert.NoError(t, r.scope.Invalidate(ctx, "k0", "k1"))
		removed, err := r.scope.InvalidatePrefix(ctx, "p:")
		assert.NoError(t, err, "removed")
		assert.Equal(t, 1, removed, "removed")
		for key, want := range map[string]bool{"k0": false, "k1": false, "k2": true, "p:1": false} {
			_, found := r.store.value("s", key)
			assert.Equal(t, want, found, "%s stored", key)
		}
		assert.NoError(t, r.scope.Invalidate(ctx, "k2"), "one key")
		_, found := r.store.value("s", "k2")
		assert.False(t, found, "k2 stored")
		assert.Equal(t, []any{"v", "v", "v"}, values, "the store saw the context values")
		r.store.heal()
		r.store.fail(faultError, "delete")
		_ = r.scope.Invalidate(ctx, "k2")
		r.store.heal()
		time.Sleep(recovery) // retries do not end with it either
		r.expectPending(0)
	})
}

// TestInvalidateWhileTheStoreIsLeftAlone does not wait for a timeout each.
func TestInvalidateWhileTheStoreIsLeftAlone(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.store.failAll(faultHang)
		for i := range breakerFailures {
			r.read(fmt.Sprint(i))
		}
		before := len(r.reports())
		elapsed := took(func() {
			for i := range 100 {
				require.ErrorIs(t, r.scope.Invalidate(t.Context(), fmt.Sprint(i)), readthrough.ErrInvalidationPending)
			}
		})
		assert.Zero(t, elapsed, "100 invalidations took")
		assert.Zero(t, len(r.reports())-before, "reports of a store that was not asked")
		r.expectPending(100)
		r.store.heal()
		time.Sleep(2 * recovery)
		r.expectPending(0)
	})
}

// TestHangingPrefixesCostOneTimeout once the breaker is open.
func TestHangingPrefixesCostOneTimeout(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: 1}, 0)
		r.store.failAll(faultHang)
		elapsed := took(func() {
			_, err := r.scope.InvalidateTargets(t.Context(), readthrough.Targets{Prefixes: []string{"a", "b", "c", "d"}})
			assert.ErrorIs(t, err, readthrough.ErrInvalidationPending)
		})
		assert.Equal(t, invalidateTimeout, elapsed, "took")
		r.expectPending(4)
	})
}

// One prefix that the store never confirms does not keep it alone for all others.
func TestFailingPrefixKeepsTheStoreAlone(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		other := r.newScope("other")
		r.store.fail(faultError, "deletePrefix")
		_, err := r.scope.InvalidatePrefix(t.Context(), "p")
		require.ErrorIs(t, err, readthrough.ErrInvalidationPending)
		time.Sleep(time.Minute) // a quiet one
		before := len(r.store.calls("get", "set"))
		for range 24 * 3600 {
			time.Sleep(time.Second)
			_, err := r.readCtx(t.Context(), other, "k")
			require.NoError(t, err)
		}
		t.Logf("%d gets and sets in a day, %d deletePrefix", len(r.store.calls("get", "set"))-before, len(r.store.calls("deletePrefix")))
		assert.NotEqual(t, before, len(r.store.calls("get", "set")), "the store answers every get, and is not asked for a day, in a scope where nothing is pending")
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

// One call about keys of which some are invalidated while they are loaded.
func TestInvalidationOfSomeKeysOfABulkLoad(t *testing.T) {
	for name, invalidate := range map[string]readthrough.Targets{
		"key":    {Keys: []string{"k:1"}},
		"prefix": {Prefixes: []string{"k:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, src := newScope(t), newTable("k:1", "k:2", "l:1")
				src.gate = make(chan struct{})
				old := async(func() (map[string]int, error) { return readMany(t.Context(), s, src, "k:1", "k:2", "l:1") })
				synctest.Wait()
				src.values["k:1"] = 10
				_, err := s.InvalidateTargets(t.Context(), invalidate)
				require.NoError(t, err)
				fresh := async(func() (map[string]int, error) { return readMany(t.Context(), s, src, "k:2", "k:1", "l:1") })
				synctest.Wait()
				close(src.gate)
				r := <-old
				wantMany(t, "reader from before", r.value, r.err, map[string]int{"k:1": 1, "k:2": 2, "l:1": 3})
				r = <-fresh
				wantMany(t, "reader from after", r.value, r.err, map[string]int{"k:1": 10, "k:2": 2, "l:1": 3})
				values, err := readMany(t.Context(), s, src, "k:1", "k:2", "l:1")
				wantMany(t, "hits", values, err, map[string]int{"k:1": 10, "k:2": 2, "l:1": 3})
				src.wantAsked(t, "k:1 k:2 l:1", "k:1")
				assert.Equal(t, int64(1), s.Stats().RefusedFills, "refused fills counted")
				wantIdle(t, s)
			})
		})
	}
}

// For ReplicaLag after an invalidation, loads are served and not stored, in every
// process that shares the store, and in a store in the process.
func TestReplicaLag(t *testing.T) {
	const lag = time.Second
	stores := map[string]func(t *testing.T) (writer, reader *readthrough.CachedScope){
		"leases": func(t *testing.T) (writer, reader *readthrough.CachedScope) {
			a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour, ReplicaLag: lag})
			return a, b
		},
		"in process": func(t *testing.T) (writer, reader *readthrough.CachedScope) {
			scope := newScope(t, func(s *setup) { s.scope.ReplicaLag = lag })
			return scope, scope
		},
	}
	invalidations := map[string]func(context.Context, *readthrough.CachedScope) error{
		"key": func(ctx context.Context, s *readthrough.CachedScope) error { return s.Invalidate(ctx, "k") },
		"prefix": func(ctx context.Context, s *readthrough.CachedScope) error {
			_, err := s.InvalidatePrefix(ctx, "")
			return err
		},
	}
	for name, store := range stores {
		for how, invalidate := range invalidations {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					writer, reader := store(t)
					var replica versioned // still at the old version
					require.NoError(t, invalidate(t.Context(), writer))
					time.Sleep(lag - 1)
					readNow(t, reader, replica.load)
					replica.version.Store(2) // it has caught up
					time.Sleep(1)
					assert.Equal(t, int64(2), readNow(t, reader, replica.load), "read: what was loaded during the lag was stored")
					loads := replica.loads.Load()
					readNow(t, reader, replica.load)
					assert.Equal(t, loads, replica.loads.Load(), "nothing is stored after the lag")
				})
			})
		}
	}
}

// In a store without holds: what is loaded between the deletion and its
// confirmation is not stored either.
func TestReplicaLagWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := plain(newStore(t))
		deleted, goOn := make(chan struct{}), make(chan struct{})
		var once atomic.Bool
		store.after(removals, func(string) {
			if once.CompareAndSwap(false, true) {
				close(deleted)
				<-goOn
			}
		})
		_, scope := newFleetScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{ReplicaLag: time.Second})
		var replica versioned
		replica.version.Store(1)
		done := make(chan error, 1)
		go func() { done <- scope.Invalidate(t.Context(), "k") }()
		<-deleted // the reply is under way
		readNow(t, scope, replica.load)
		close(goOn)
		require.NoError(t, <-done)
		replica.version.Store(2)
		time.Sleep(30 * time.Minute)
		assert.Equal(t, int64(2), readNow(t, scope, replica.load), "the version half an hour after a lag of 1 s")
	})
}

// While an invalidation is pending, its retries end no flights: there is one load of the key at a time,
// however often the store fails (G6).
func TestRetriesStartNoLoads(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: -1}, 0)
		r.store.fail(faultError, "delete")
		require.ErrorIs(t, r.scope.Invalidate(t.Context(), "k"), readthrough.ErrInvalidationPending)
		var running, most atomic.Int64
		for range 10 {
			go func() {
				_, _ = readthrough.Wrap(t.Context(), r.scope, "k", func(context.Context) (int, error) {
					most.Store(max(most.Load(), running.Add(1)))
					defer running.Add(-1)
					time.Sleep(5 * time.Second)
					return 1, nil
				})
			}()
			time.Sleep(400 * time.Millisecond)
		}
		time.Sleep(20 * time.Second)
		assert.Equal(t, int64(1), most.Load(), "loads of the key at once")
		r.store.heal()
		time.Sleep(recovery)
		r.expectPending(0)
	})
}

// TestStuckFillThatStoresAfterTheRemoval: the store executes an old fill after the removal, and returns from
// it before the invalidation ends. So what is stuck has to be asked before the removal.
func TestStuckFillThatStoresAfterTheRemoval(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.store.fail(faultStuck, "set")
		r.expectRead("k", "1", true)
		r.set("2")
		r.store.after("delete", func(string) {
			r.store.heal() // which forgets this hook, too
			synctest.Wait()
			got, _ := r.store.value("s", "k")
			assert.Equal(t, "1", got, "the fill stored")
		})
		require.ErrorIs(t, r.scope.Invalidate(t.Context(), "k"), readthrough.ErrInvalidationPending)
		r.expectRead("k", "2", true)
		time.Sleep(recovery)
		r.expectPending(0)
		r.expectRead("k", "2", true)
		r.expectRead("k", "2", false)
	})
}

// A source that lags catches up without an invalidation. So a reader that begins during a load, in the lag
// or after it, does not get what that load has read before.
func TestReplicaLagAndReadersThatJoin(t *testing.T) {
	onEachPath(t, func(so *readthrough.ScopeOptions) { so.ReplicaLag = time.Second }, func(t *testing.T, p *path) {
		src := newSource(2) // it has caught up
		p.invalidateNow()
		time.Sleep(time.Second - 1)
		during := async(func() (readthrough.Result[int], error) {
			return p.read(func(context.Context) (int, error) {
				time.Sleep(time.Minute)
				return 1, nil // read at the beginning
			})
		})
		synctest.Wait()
		in := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
		synctest.Wait()
		time.Sleep(1)
		after, err := p.read(src.load)
		want(t, "a reader after the lag", after.Value, err, 2)
		r := <-in
		want(t, "a reader in the lag", r.value.Value, r.err, 2)
		r = <-during
		want(t, "the reader that began the load", r.value.Value, r.err, 1)
	})
}
