package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// TestMillionKeys reads, invalidates, prefix-invalidates and lets expire a
// million distinct keys, and looks for what is left of them. One predecessor
// kept an epoch for every key that was ever invalidated.
func TestMillionKeys(t *testing.T) {
	proofs.Unraced(t, "-run ^TestMillionKeys$ .")
	total := proofs.Sized(1_000_000, 250_000)
	if testing.Short() {
		total = 50_000
	}
	stores := []struct {
		name  string
		wrap  func(*memory.Store) provider.CacheProvider
		total int
	}{
		{"in the process", func(s *memory.Store) provider.CacheProvider { return s }, total},
		{"behind a deadline", func(s *memory.Store) provider.CacheProvider { return struct{ provider.CacheProvider }{s} }, total / 50},
	}
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { leakMillion(t, store.wrap, store.total) })
		})
	}
}

const (
	leakBudget = 5_000 // entries of the store
	// leakHeap is more than the budget needs, and less than anything kept for
	// each of a million keys would.
	leakHeap = 8 << 20
	leakTTL  = time.Minute
)

func leakMillion(t *testing.T, wrap func(*memory.Store) provider.CacheProvider, total int) {
	const generation = 10_000
	goroutines, _ := bubbled()
	inner, err := memory.New(memory.Options{MaxEntries: leakBudget})
	require.NoError(t, err)
	defer inner.Close()
	cache, err := readthrough.New(wrap(inner), readthrough.Options{OnError: func(err *readthrough.OpError) {
		t.Errorf("%v", err)
	}})
	require.NoError(t, err)
	scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: leakTTL})
	require.NoError(t, err)
	before := heap()
	for g := range max(total/generation, 3) {
		leakGeneration(t, scope, g, generation)
		wantIdle(t, scope)
		stats, err := inner.Stats(t.Context())
		require.NoError(t, err, "generation %d", g)
		require.LessOrEqual(t, stats.Entries, int64(leakBudget), "generation %d", g)
	}
	after := heap()
	assert.LessOrEqual(t, after, before+leakHeap, "the heap grew from %d to %d KiB", before>>10, after>>10)
	stats := scope.Stats()
	assert.Zero(t, stats.InFlight, "Stats()")
	assert.Zero(t, stats.Pending, "Stats()")
	assert.GreaterOrEqual(t, stats.Misses, int64(total), "Stats()")
	assert.NoError(t, cache.Close(), "Close")
	wantGoroutines(t, goroutines)
}

// leakGeneration reads n keys that were never read before, and makes them stale
// in one of the ways.
func leakGeneration(t *testing.T, scope *readthrough.CachedScope, g, n int) {
	t.Helper()
	ctx := t.Context()
	prefix := fmt.Sprintf("%06d:", g)
	const bulk = 500
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprint(prefix, i))
	}
	loadMany := func(_ context.Context, ids []string) (map[string]string, error) {
		loaded := make(map[string]string, len(ids))
		for i, id := range ids {
			if i%10 != 0 { // is absent
				loaded[id] = id
			}
		}
		return loaded, nil
	}
	for i := 0; i < n; i += bulk {
		part := keys[i : i+bulk]
		if i/bulk != g%(n/bulk) {
			_, err := readthrough.WrapMany(ctx, scope, part, func(k string) string { return k }, loadMany)
			require.NoError(t, err)
			continue
		}
		for k, key := range part {
			_, err := readthrough.Wrap(ctx, scope, key, func(context.Context) (string, error) {
				switch k % 10 {
				case 0:
					return "", errFault
				case 1:
					return "", readthrough.ErrNotFound
				default:
					return key, nil
				}
			})
			if err != nil && !errors.Is(err, errFault) {
				require.ErrorIs(t, err, readthrough.ErrNotFound)
			}
		}
	}
	var err error
	switch g % 4 {
	case 0:
		for i := 0; i < n && err == nil; i += bulk {
			err = scope.Invalidate(ctx, keys[i:i+bulk]...)
		}
	case 1:
		_, err = scope.InvalidatePrefix(ctx, prefix)
	case 2:
		time.Sleep(leakTTL + time.Second)
	default: // is displaced by the next
	}
	require.NoError(t, err)
}

// heap returns the bytes that are reachable.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestFailuresLeaveNothing of flights, goroutines and entries, however a load
// ends.
func TestFailuresLeaveNothing(t *testing.T) {
	ends := map[string]func(ctx context.Context) (int, error){
		"error":         func(context.Context) (int, error) { return 0, errFault },
		"panic":         func(context.Context) (int, error) { panic("load") },
		"goexit":        func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
		"timeout":       func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
		"late":          func(context.Context) (int, error) { time.Sleep(time.Minute); return 1, nil },
		"late error":    func(context.Context) (int, error) { time.Sleep(time.Minute); return 0, errFault },
		"readers leave": func(ctx context.Context) (int, error) { <-ctx.Done(); return 1, nil },
	}
	for name, load := range ends {
		bubble(t, name, func(t *testing.T) {
			goroutines, _ := bubbled()
			s := newScope(t, with(func(_ *readthrough.Options, so *readthrough.ScopeOptions) { so.LoadTimeout = time.Second }))
			for i := range 50 {
				ctx, cancel := context.WithCancel(t.Context())
				if name == "readers leave" {
					time.AfterFunc(time.Millisecond, cancel)
				}
				_, err := readthrough.Wrap(ctx, s, fmt.Sprint(i), load)
				assert.Error(t, err)
				_, err = readthrough.WrapMany(ctx, s, []int{i, i + 1}, func(id int) string { return fmt.Sprint("many:", id) },
					func(ctx context.Context, ids []int) (map[int]int, error) {
						_, err := load(ctx)
						if err == nil {
							err = errFault
						}
						return nil, err
					})
				assert.Error(t, err)
				cancel()
			}
			time.Sleep(time.Hour)
			wantIdle(t, s)
			page, err := s.Entries(t.Context(), provider.ListOptions{})
			assert.NoError(t, err, "nothing should be stored")
			assert.Zero(t, page.Total, "nothing should be stored")
			wantGoroutines(t, goroutines)
		})
	}
}
