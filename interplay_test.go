package readthrough_test

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

func interplayScope(t *testing.T, store provider.CacheProvider, o readthrough.Options, so readthrough.ScopeOptions) (*readthrough.Cache, *readthrough.CachedScope) {
	t.Helper()
	o.OnError = func(e *readthrough.OpError) { t.Logf("reported: %v", e) }
	cache, err := readthrough.New(store, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cache.Close() })
	if so.TTL == 0 {
		so.TTL = time.Hour
	}
	scope, err := cache.Scope("fleet", so)
	require.NoError(t, err)
	return cache, scope
}

// A process that only mutates finds out that the store is back.
func TestHoldNeverProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		_, scope := interplayScope(t, &leaseStore{newLeaseServer(), n}, readthrough.Options{}, readthrough.ScopeOptions{})
		m := readthrough.Mutation[int]{
			Write:      func(context.Context) (int, error) { return 1, nil },
			Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
			Hold:       readthrough.Targets{Keys: []string{"k"}},
		}
		n.cut.Store(true)
		for range 10 {
			_, err := readthrough.Mutate(t.Context(), scope, m)
			require.ErrorIs(t, err, readthrough.ErrNotHeld)
		}
		n.cut.Store(false)
		time.Sleep(24 * time.Hour)
		_, err := readthrough.Mutate(t.Context(), scope, m)
		assert.NoError(t, err, "the store has been back for a day")
	})
}

// The holder of a lease has died, and LoadTimeout is shorter than LeaseWait.
func TestLoadTimeoutShorterThanLeaseWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer()
		store := &leaseStore{server, &network{}}
		_, scope := interplayScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{LoadTimeout: 150 * time.Millisecond})
		_, err := store.Acquire(t.Context(), []provider.Key{{Scope: "fleet", Name: "k"}}, 10*time.Second)
		require.NoError(t, err)
		var calls atomic.Int64
		start := time.Now()
		failed := 0
		for time.Since(start) < 9*time.Second {
			if _, err := readthrough.Wrap(t.Context(), scope, "k", func(ctx context.Context) (int, error) {
				calls.Add(1)
				return 1, ctx.Err()
			}); err != nil {
				failed++
				if failed == 1 {
					t.Log(err)
				}
			}
		}
		assert.Zero(t, failed, "reads that failed within %v", time.Since(start))
	})
}

// The holder of a lease has died, and the caller has less time than LeaseWait.
func TestImpatientCallerAndBusyLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer()
		store := &leaseStore{server, &network{}}
		_, scope := interplayScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{})
		_, err := store.Acquire(t.Context(), []provider.Key{{Scope: "fleet", Name: "k"}}, 10*time.Second)
		require.NoError(t, err)
		failed, calls := 0, 0
		for range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			if _, err := readthrough.Wrap(ctx, scope, "k", func(ctx context.Context) (int, error) { calls++; return 1, nil }); err != nil {
				failed++
			}
			cancel()
		}
		synctest.Wait()
		assert.Zero(t, failed, "reads of 50 that failed; %d loads (instant) ran", calls)
	})
}

type hangingLeases struct{ hangingStore }

func (*hangingLeases) Acquire(_ context.Context, keys []provider.Key, _ time.Duration) ([]provider.Grant, error) {
	time.Sleep(30 * time.Second)
	return make([]provider.Grant, len(keys)), errStore
}

func (*hangingLeases) Fill(_ context.Context, f []provider.Fill) ([]provider.Filled, error) {
	return make([]provider.Filled, len(f)), errStore
}

func (*hangingLeases) Release(context.Context, []provider.Lease) error { return errStore }

// The store hangs, and the callers have less time than its timeout.
func TestImpatientCallerAndHangingLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &hangingLeases{}
		_, scope := interplayScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{})
		failed := 0
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
			if _, err := readthrough.Wrap(ctx, scope, "k", func(ctx context.Context) (int, error) { time.Sleep(5 * time.Millisecond); return 1, nil }); err != nil {
				failed++
			}
			cancel()
		}
		assert.Zero(t, failed, "reads of 20 that failed")
		time.Sleep(time.Minute)
	})
}

// A fill that failed gives its lease back.
type failFill struct {
	*leaseStore

	fail atomic.Bool
}

func (s *failFill) Fill(ctx context.Context, f []provider.Fill) ([]provider.Filled, error) {
	if s.fail.Swap(false) {
		return nil, errStore
	}
	return s.leaseStore.Fill(ctx, f)
}

// The same, where the store answers for each key by itself.
func TestFillThatFailedForOneKeyGivesItsLeaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failKey{leaseStore: &leaseStore{newLeaseServer(), &network{}}}
		store.fail.Store(true)
		_, scope := interplayScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{})
		var source versioned
		readNow(t, scope, source.load)
		start := time.Now()
		readNow(t, scope, source.load)
		assert.Zero(t, time.Since(start), "the next read took")
	})
}

// failKey fails the first fill, key by key.
type failKey struct {
	*leaseStore

	fail atomic.Bool
}

func (s *failKey) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	if !s.fail.Swap(false) {
		return s.leaseStore.Fill(ctx, fills)
	}
	filled := make([]provider.Filled, len(fills))
	for i := range filled {
		filled[i].Err = errStore
	}
	return filled, nil
}

func TestFailedFillLeavesTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failFill{leaseStore: &leaseStore{newLeaseServer(), &network{}}}
		store.fail.Store(true)
		_, scope := interplayScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{})
		var source versioned
		readNow(t, scope, source.load)
		start := time.Now()
		readNow(t, scope, source.load)
		assert.Zero(t, time.Since(start), "the store answers at once, the load too: the next read took")
	})
}

// The longest HoldFor is a long one.
func TestHoldForOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer()
		store := &leaseStore{server, &network{}}
		_, scope := interplayScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{})
		_, err := readthrough.Mutate(t.Context(), scope, readthrough.Mutation[int]{
			Write: func(ctx context.Context) (int, error) {
				g, _ := store.Acquire(ctx, []provider.Key{{Scope: "fleet", Name: "k"}}, time.Second)
				assert.Equal(t, provider.LeaseHeld, g[0].State, "during the write the key is held")
				return 0, nil
			},
			Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
			Hold:       readthrough.Targets{Keys: []string{"k"}}, HoldFor: math.MaxInt64,
		})
		t.Log(err)
	})
}
