package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// recovery is longer than the longest pause between two retries.
const recovery = 2 * time.Second

// TestFailedInvalidationIsPending lets deletions fail in every way. One cache
// library swallows these errors, others never ask the shared store at all.
func TestFailedInvalidationIsPending(t *testing.T) {
	deadline := context.DeadlineExceeded
	failures := []struct {
		name  string
		fault fault
		cause error
		takes time.Duration
	}{
		{"error", faultError, errFault, 0},
		{"hang", faultHang, deadline, invalidateTimeout},
		{"hang that ignores the context", faultStuck, deadline, invalidateTimeout},
		{"panic", faultPanic, errFault, 0},
		{"goexit", faultGoexit, nil, 0},
		{"lost reply", faultLost, errFault, 0},
	}
	for _, f := range failures {
		for _, byPrefix := range []bool{false, true} {
			bubble(t, fmt.Sprintf("%s/prefix %v", f.name, byPrefix), func(t *testing.T) {
				r := newRig(t, readthrough.Options{}, 0)
				r.read("k:1")
				r.read("other")
				r.set("2")
				op := "delete"
				r.store.fail(f.fault, "delete", "deletePrefix")
				var err error
				elapsed := took(func() {
					if byPrefix {
						op = "deletePrefix"
						_, err = r.scope.InvalidatePrefix(t.Context(), "k:")
					} else {
						err = r.scope.Invalidate(t.Context(), "k:1")
					}
				})
				require.ErrorIs(t, err, readthrough.ErrInvalidationPending)
				if f.cause != nil {
					require.ErrorIs(t, err, f.cause)
				}
				assert.Equal(t, f.takes, elapsed, "took")
				r.expectReports(op)
				r.expectPending(1)
				r.store.fail(faultError, "delete", "deletePrefix") // of the retries, too, for now
				r.expectBypassed("k:1", "2")
				r.expectRead("other", "1", false) // other keys do not suffer

				r.store.heal()
				time.Sleep(recovery)
				r.expectPending(0)
				got := r.observed("recovered")
				if assert.Len(t, got, 1, "observed: one was recovered") {
					assert.Equal(t, 1, got[0].Count, "observed: one was recovered")
				}
				_, found := r.store.value("s", "k:1")
				assert.False(t, found, "the old value is still stored")
				r.expectRead("k:1", "2", true)
				r.expectRead("k:1", "2", false)
			})
		}
	}
}

// TestPendingWithBatches is the bypass for a store that reads many at once.
func TestPendingWithBatches(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, capBatches)
		r.readAll(3)
		r.set("2")
		r.store.fail(faultError, "delete")
		require.ErrorIs(t, r.scope.Invalidate(t.Context(), "k1"), readthrough.ErrInvalidationPending)
		got := r.readMany("k0", "k1", "k2")
		assert.Equal(t, "1", got["k0"], "k1 is loaded and the others are as stored")
		assert.Equal(t, "2", got["k1"], "k1 is loaded and the others are as stored")
		assert.Equal(t, "1", got["k2"], "k1 is loaded and the others are as stored")
		r.expectBypassed("k1", "2")
	})
}

// TestRetriesComeBeforeReads: when the store answers again, it is asked to
// remove what it should have removed before anything is read from it.
//
// When the next retry comes is random: in some runs it is before any read.
func TestRetriesComeBeforeReads(t *testing.T) {
	retry := func(t *testing.T) {
		t.Helper()
		r := newRig(t, readthrough.Options{}, 0)
		other := r.newScope("other")
		r.read("k")
		r.store.failAll(faultError)
		r.set("2")
		require.ErrorIs(t, r.scope.Invalidate(t.Context(), "k"), readthrough.ErrInvalidationPending)
		for i := range 10 { // opens the breaker
			r.read(fmt.Sprint(i))
		}
		time.Sleep(10 * breakerCooldown)
		before := len(r.store.calls())
		r.store.heal()
		for pending := true; pending; pending = r.scope.Stats().Pending > 0 {
			r.expectRead("k", "2", true)
			r.read("l")
			_, err := r.readCtx(t.Context(), other, "k")
			assert.NoError(t, err)
			time.Sleep(time.Millisecond)
		}
		got := r.store.calls()[before]
		assert.Equal(t, "delete", got.op, "the first call that the store receives is the deletion of k")
		assert.Equal(t, "k", got.names[0], "the first call that the store receives is the deletion of k")
		r.expectRead("k", "2", true)
		r.expectRead("k", "2", false)
	}
	for range 12 {
		bubble(t, "", retry)
	}
}

// TestRetriesBackOff: the pauses between retries double, by about half more or
// less, to about a second. When nothing is pending any more, nothing goes on.
func TestRetriesBackOff(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		goroutines, _ := bubbled()
		r.store.fail(faultError, "delete")
		_ = r.scope.Invalidate(t.Context(), "k")
		time.Sleep(20 * time.Second)
		calls := r.store.calls("delete")
		require.GreaterOrEqual(t, len(calls), 15, "attempts in 20 s")
		pause := 25 * time.Millisecond
		for i := range len(calls) - 1 {
			got := calls[i+1].at.Sub(calls[i].at)
			assert.GreaterOrEqual(t, got, pause/2, "pause %d, about %v", i, pause)
			assert.Less(t, got, pause+pause/2, "pause %d, about %v", i, pause)
			pause = min(2*pause, time.Second)
		}
		r.store.heal()
		time.Sleep(recovery)
		r.expectPending(0)
		attempts := len(r.store.calls())
		time.Sleep(time.Hour)
		assert.Len(t, r.store.calls(), attempts, "calls after nothing was pending any more")
		wantGoroutines(t, goroutines)
		// And the next one is retried again, from a short pause.
		r.store.fail(faultError, "delete")
		_ = r.scope.Invalidate(t.Context(), "k")
		r.store.heal()
		time.Sleep(50 * time.Millisecond)
		r.expectPending(0)
	})
}

// TestSuccessfulInvalidationClearsPending: there is no need to wait for a retry.
func TestSuccessfulInvalidationClearsPending(t *testing.T) {
	clear := map[string]func(r *rig) error{
		"the same key":       func(r *rig) error { return r.scope.Invalidate(r.t.Context(), "k:1") },
		"a prefix of it":     func(r *rig) error { _, err := r.scope.InvalidatePrefix(r.t.Context(), "k:"); return err },
		"everything at once": func(r *rig) error { _, err := r.scope.InvalidatePrefix(r.t.Context(), ""); return err },
	}
	for name, invalidate := range clear {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, 0)
			r.read("k:1")
			r.set("2")
			r.store.fail(faultError, "delete")
			_ = r.scope.Invalidate(t.Context(), "k:1")
			r.expectPending(1)
			r.store.heal()
			require.NoError(t, invalidate(r))
			r.expectPending(0)
			r.expectRead("k:1", "2", true)
			r.expectRead("k:1", "2", false)
		})
	}
	bubble(t, "but another key does not", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.store.fail(faultError, "delete")
		_ = r.scope.Invalidate(t.Context(), "k:1")
		r.store.heal()
		require.NoError(t, r.scope.Invalidate(t.Context(), "k:2"))
		r.expectPending(1)
		r.expectBypassed("k:1", "1")
	})
}

// TestNewerInvalidationDuringARetry: a retry that began before an invalidation
// does not confirm it.
func TestNewerInvalidationDuringARetry(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.read("k")
		gate := make(chan struct{})
		var attempt atomic.Int64
		r.store.hook("delete", func(context.Context, []string) error {
			switch attempt.Add(1) {
			case 1, 3:
				return errFault // the invalidations
			case 2:
				<-gate // the first retry
			}
			return nil
		})
		r.set("2")
		_ = r.scope.Invalidate(t.Context(), "k")
		time.Sleep(50 * time.Millisecond) // the retry has begun
		r.set("3")
		require.ErrorIs(t, r.scope.Invalidate(t.Context(), "k"), readthrough.ErrInvalidationPending)
		require.Equal(t, int64(3), attempt.Load(), "attempts: the retry and both invalidations")
		// Somebody else stores an old value before the second invalidation is done.
		close(gate)
		synctest.Wait()
		r.store.put("s", "k", "2")
		r.expectPending(1)
		r.expectBypassed("k", "3")
		time.Sleep(recovery)
		r.expectPending(0)
		r.expectRead("k", "3", true)
	})
}

// TestPendingCollapses: past the bounds the whole scope is bypassed, and
// recovered by one deletion.
func TestPendingCollapses(t *testing.T) {
	const bound = 10
	bubble(t, "keys", func(t *testing.T) {
		r := newRig(t, readthrough.Options{MaxPending: bound, BreakerFailures: -1}, 0)
		r.read("never invalidated")
		other := r.newScope("other")
		_, err := r.readCtx(t.Context(), other, "k")
		require.NoError(t, err)
		r.store.fail(faultError, "delete", "deletePrefix")
		for i := range bound {
			_ = r.scope.Invalidate(t.Context(), fmt.Sprint(i))
		}
		r.expectPending(bound)
		r.expectRead("never invalidated", "1", false)
		_ = r.scope.Invalidate(t.Context(), "one more")
		r.expectPending(1)
		r.set("2")
		r.expectBypassed("never invalidated", "2")
		loads := r.loaded()
		got, err := r.readCtx(t.Context(), other, "k")
		assert.NoError(t, err, "in another scope: the stored value")
		assert.Equal(t, "1", got, "in another scope: the stored value")
		assert.Equal(t, loads, r.loaded(), "in another scope: the stored value")
		_ = r.scope.Invalidate(t.Context(), "and more")
		r.store.heal()
		before := len(r.store.calls())
		time.Sleep(recovery)
		r.expectPending(0)
		calls := r.store.calls("delete", "deletePrefix")
		last := calls[len(calls)-1]
		assert.Equal(t, "deletePrefix", last.op, "the last deletion is that of the whole scope")
		assert.Empty(t, last.names[0], "the last deletion is that of the whole scope")
		assert.LessOrEqual(t, len(r.store.calls())-before, 2, "calls to recover a scope")
		r.expectRead("never invalidated", "2", true)
		r.expectRead("never invalidated", "2", false)
	})
	bubble(t, "prefixes", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.read("never invalidated")
		r.store.fail(faultError, "deletePrefix")
		for i := range 64 {
			_, _ = r.scope.InvalidatePrefix(t.Context(), fmt.Sprint("p", i, ":"))
		}
		r.expectPending(64)
		_, _ = r.scope.InvalidatePrefix(t.Context(), "one more")
		r.expectPending(1)
		r.set("2")
		r.expectBypassed("never invalidated", "2")
		r.store.heal()
		time.Sleep(recovery)
		r.expectPending(0)
	})
}

// TestManyPendingKeysAreAllRetried, in parts.
func TestManyPendingKeysAreAllRetried(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		keys := make([]string, 2500)
		for i := range keys {
			keys[i] = fmt.Sprint(i)
			r.store.put("s", keys[i], "old")
		}
		r.store.put("s", "other", "1")
		r.store.fail(faultError, "delete")
		require.ErrorIs(t, r.scope.Invalidate(t.Context(), keys...), readthrough.ErrInvalidationPending)
		r.expectPending(len(keys))
		r.store.heal()
		before := len(r.store.calls())
		time.Sleep(recovery)
		r.expectPending(0)
		retried := make(map[string]bool)
		for _, c := range r.store.calls()[before:] {
			assert.LessOrEqual(t, len(c.names), 1000, "keys retried at once")
			for _, name := range c.names {
				retried[name] = true
			}
		}
		assert.Len(t, retried, len(keys), "keys were retried")
		for _, key := range keys {
			_, found := r.store.value("s", key)
			require.False(t, found, "%q is still stored", key)
		}
		r.expectRead("other", "1", false)
		recovered := 0
		for _, e := range r.observed("recovered") {
			recovered += e.Count
		}
		assert.Equal(t, len(keys), recovered, "keys that were observed to be recovered")
	})
}

// TestPartOfTheRetriesFails: what was confirmed is not pending any more, and
// what was not is.
func TestPartOfTheRetriesFails(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: -1}, 0)
		r.store.fail(faultError, "deletePrefix")
		for _, prefix := range []string{"a:", "b:", "c:"} {
			_, _ = r.scope.InvalidatePrefix(t.Context(), prefix)
		}
		r.store.heal()
		r.store.hook("deletePrefix", func(_ context.Context, names []string) error {
			if names[0] == "b:" {
				return errFault
			}
			return nil
		})
		time.Sleep(recovery)
		r.expectPending(1)
		r.expectBypassed("b:1", "1")
		r.expectRead("a:1", "1", true)
		r.expectRead("a:1", "1", false)
	})
}

// TestPartOfTheTargetsFails: the store confirms some of an invalidation's
// targets.
func TestPartOfTheTargetsFails(t *testing.T) {
	all := readthrough.Targets{Keys: []string{"k", "l"}, Prefixes: []string{"a:", "b:", "c:"}}
	stored := []string{"k", "l", "a:1", "b:1", "c:1", "c:2"}
	tests := []struct {
		name    string
		fails   []string // names whose deletion fails
		pending []string // of stored
		removed int
	}{
		{"nothing", nil, nil, 4},
		{"a prefix", []string{"b:"}, []string{"b:1"}, 3},
		{"two prefixes", []string{"a:", "c:"}, []string{"a:1", "c:1", "c:2"}, 1},
		{"the keys, which are one call", []string{"k"}, []string{"k", "l"}, 4},
		{"all", []string{"k", "a:", "b:", "c:"}, stored, 0},
	}
	for _, test := range tests {
		bubble(t, test.name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, 0)
			for _, key := range stored {
				r.read(key)
			}
			fail := func(_ context.Context, names []string) error {
				for _, name := range names {
					if slices.Contains(test.fails, name) {
						return errFault
					}
				}
				return nil
			}
			r.store.hook("delete", fail)
			r.store.hook("deletePrefix", fail)
			removed, err := r.scope.InvalidateTargets(t.Context(), all)
			assert.Equal(t, test.removed, removed, "removed")
			assert.Equal(t, len(test.pending) > 0, errors.Is(err, readthrough.ErrInvalidationPending), "error %v, want that %v are pending", err, test.pending)
			for _, key := range stored {
				if slices.Contains(test.pending, key) {
					r.expectBypassed(key, "1")
				} else {
					r.expectRead(key, "1", true)
					r.expectRead(key, "1", false)
				}
			}
		})
	}
}

// TestPendingInTheProcess: a store in the process that fails a deletion is
// treated alike.
func TestPendingInTheProcess(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, capInProcess)
		r.read("k")
		r.set("2")
		for _, f := range []fault{faultError, faultPanic} {
			r.store.fail(f, "delete")
			err := r.scope.Invalidate(t.Context(), "k")
			require.ErrorIs(t, err, readthrough.ErrInvalidationPending)
			require.ErrorIs(t, err, errFault)
		}
		r.expectBypassed("k", "2")
		r.store.heal()
		time.Sleep(recovery)
		r.expectPending(0)
		r.expectRead("k", "2", true)
	})
}

func TestCloseWithPending(t *testing.T) {
	setUp := func(t *testing.T, options readthrough.Options) *rig {
		t.Helper()
		r := newRig(t, options, 0)
		r.read("k")
		r.store.fail(faultError, "delete", "deletePrefix")
		_ = r.scope.Invalidate(t.Context(), "k", "l")
		return r
	}
	bubble(t, "tried once more", func(t *testing.T) {
		r := setUp(t, readthrough.Options{})
		r.store.heal()
		assert.NoError(t, r.cache.Close(), "Close")
		_, found := r.store.value("s", "k")
		assert.False(t, found, "the old value is still stored")
	})
	for name, f := range map[string]fault{"error": faultError, "hang": faultHang, "stuck": faultStuck} {
		bubble(t, "not confirmed: "+name, func(t *testing.T) {
			r := setUp(t, readthrough.Options{})
			r.store.failAll(f)
			before := len(r.store.calls("delete"))
			var err error
			elapsed := took(func() { err = r.cache.Close() })
			assert.ErrorIs(t, err, readthrough.ErrInvalidationPending, "Close")
			if err != nil {
				assert.ErrorContains(t, err, "2 keys", "Close says the number of keys and the scope")
				assert.ErrorContains(t, err, `"s"`, "Close says the number of keys and the scope")
			}
			assert.Equal(t, 1, len(r.store.calls("delete"))-before, "more attempts")
			assert.LessOrEqual(t, elapsed, invalidateTimeout, "Close took")
			attempts := len(r.store.calls())
			time.Sleep(time.Hour)
			assert.Len(t, r.store.calls(), attempts, "calls after Close")
		})
	}
	bubble(t, "in the middle of a retry", func(t *testing.T) {
		r := setUp(t, readthrough.Options{})
		r.store.failAll(faultHang)
		time.Sleep(50 * time.Millisecond)
		elapsed := took(func() {
			assert.ErrorIs(t, r.cache.Close(), readthrough.ErrInvalidationPending, "Close")
		})
		assert.LessOrEqual(t, elapsed, 2*invalidateTimeout, "Close took")
	})
}

// TestPendingScopesAreApart: the outage of one scope's keys is not that of
// another's, and each recovers.
func TestPendingScopesAreApart(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		other := r.newScope("other")
		r.store.failAll(faultError)
		_ = r.scope.Invalidate(t.Context(), "k")
		_ = other.Invalidate(t.Context(), "l")
		a, b := r.scope.Stats().Pending, other.Stats().Pending
		assert.Equal(t, 1, a, "pending")
		assert.Equal(t, 1, b, "pending")
		r.store.heal()
		time.Sleep(recovery)
		a, b = r.scope.Stats().Pending, other.Stats().Pending
		assert.Zero(t, a, "pending")
		assert.Zero(t, b, "pending")
		// No scope is pending: reads find out by themselves when the store is back.
		r.store.failAll(faultError)
		for i := range breakerFailures {
			r.read(fmt.Sprint(i))
		}
		r.store.heal()
		time.Sleep(breakerCooldown)
		r.read("k")
		r.expectRead("k", "1", false)
	})
}

// While an invalidation is pending, a load neither takes what is stored nor is told
// of it, although the store has it and answers again.
func TestLoadWhilePendingDoesNotSeeTheStore(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		for name, read := range map[string]func(context.Context, *readthrough.CachedScope, string, func(context.Context) (int, error)) (int, error){
			"read": func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (int, error)) (int, error) {
				return readthrough.Wrap(ctx, s, key, load)
			},
			"refresh": func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (int, error)) (int, error) {
				return readthrough.Refresh(ctx, s, key, load)
			},
		} {
			store := newLeaseStore()
			s := newScope(t, on(store), new(reports).collect())
			value, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
			want(t, name+" before", value, err, 1)
			store.network.cut.Store(true)
			assert.ErrorIs(t, s.Invalidate(t.Context(), "k"), readthrough.ErrInvalidationPending, "Invalidate")
			store.network.cut.Store(false) // before the retry
			value, err = read(t.Context(), s, "k", func(ctx context.Context) (int, error) {
				old, ok := readthrough.OldValue[int](readthrough.LoadOf(ctx, "k"))
				assert.False(t, ok, "%s: the load knows of the old value %d", name, old)
				return 2, nil
			})
			want(t, name, value, err, 2)
		}
	})
}

// What is pending is not read from a store that hands out values, either.
func TestPendingAndValuesWithoutEntries(t *testing.T) {
	for name, invalidate := range map[string]func(ctx context.Context, s *readthrough.CachedScope) error{
		"key": func(ctx context.Context, s *readthrough.CachedScope) error { return s.Invalidate(ctx, "k:1") },
		"prefix": func(ctx context.Context, s *readthrough.CachedScope) error {
			_, err := s.InvalidatePrefix(ctx, "k:")
			return err
		},
	} {
		bubble(t, name, func(t *testing.T) {
			store := plain(newStore(t))
			store.fail(faultError, "delete", "deletePrefix")
			cache := newCache(t, store.as(likeMemory), readthrough.Options{OnError: func(*readthrough.OpError) {}})
			s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour})
			require.NoError(t, err)
			value := "old"
			load := func(context.Context, int) (string, error) { return value, nil }
			loadMany := func(context.Context, []int) (map[int]string, error) { return map[int]string{1: value}, nil }
			key := func(id int) string { return fmt.Sprint("k:", id) }
			get, getMany := readthrough.Memoize(s, key, load), readthrough.MemoizeMany(s, key, loadMany)
			ofFamily := newFamily(t, s, readthrough.Loads[int, string]{One: load})
			got, err := get(t.Context(), 1)
			require.NoError(t, err, "get")
			require.Equal(t, "old", got, "get")
			value = "new"
			require.ErrorIs(t, invalidate(t.Context(), s), readthrough.ErrInvalidationPending)
			for name, get := range map[string]func(context.Context, int) (string, error){"Memoize": get, "Family": ofFamily.Get} {
				got, err := get(t.Context(), 1)
				assert.NoError(t, err, name)
				assert.Equal(t, "new", got, name)
			}
			if got, err := getMany(t.Context(), []int{1}); assert.NoError(t, err, "MemoizeMany") {
				assert.Equal(t, "new", got[1], "MemoizeMany")
			}
			store.heal()
			time.Sleep(recovery)
		})
	}
}
