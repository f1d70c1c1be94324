package readthrough_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

func TestStats(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.delay = time.Second
		var readers sync.WaitGroup
		for range 10 { // a miss that loads and nine that join
			readers.Go(func() { r.read("k0") })
		}
		readers.Wait()
		r.delay = 0
		r.read("k0")                 // a hit
		r.readMany("k0", "k1", "k2") // a hit and two misses in one load of no time
		r.readMany("k1", "k2")       // two hits
		fails := func(err error) {   // three loads that fail
			t.Helper()
			_, got := readthrough.Wrap(t.Context(), r.scope, "fails", func(context.Context) (int, error) {
				time.Sleep(time.Millisecond)
				if err == nil {
					panic(errFault)
				}
				return 0, err
			})
			assert.ErrorIs(t, got, errFault)
		}
		fails(errFault)
		fails(fmt.Errorf("wrapped: %w", errFault))
		fails(nil)
		absent := func(context.Context) (int, error) { return 0, readthrough.ErrNotFound }
		for range 2 { // a load that says that there is nothing did not fail; then a hit
			_, _ = readthrough.Wrap(t.Context(), r.scope, "absent", absent)
		}
		// An invalidation during a load: its fill is refused.
		_, err := readthrough.Wrap(t.Context(), r.scope, "refused", func(ctx context.Context) (int, error) {
			return 0, r.scope.Invalidate(ctx, "refused")
		})
		require.NoError(t, err)
		_, err = r.scope.InvalidateTargets(t.Context(), readthrough.Targets{Keys: []string{"a", "b"}, Prefixes: []string{"c"}})
		require.NoError(t, err)
		r.store.fail(faultError, "set", "delete")
		r.read("error")
		_ = r.scope.Invalidate(t.Context(), "pending")

		synctest.Wait()
		got := r.scope.Stats()
		histogram := got.LoadTime
		got.LoadTime = readthrough.Histogram{}
		wanted := readthrough.Stats{
			Hits: 5, Misses: 18, Joined: 9, Loads: 8, LoadErrors: 3, RefusedFills: 1,
			Invalidations: 5, Pending: 1, PendingSince: time.Now(), ProviderErrors: 2, InFlight: 0,
		}
		assert.Equal(t, fmt.Sprintf("%+v", wanted), fmt.Sprintf("%+v", got), "Stats()")
		assert.Equal(t, int64(8), histogram.Count, "load times")
		assert.Equal(t, time.Second+3*time.Millisecond, histogram.Sum, "load times: together")
	})
}

func TestStatsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		source := newGated(1)
		first := wrapAsync(t.Context(), s, "k", source.load)
		second := wrapAsync(t.Context(), s, "l", source.load)
		synctest.Wait()
		got := s.Stats()
		assert.Equal(t, 2, got.InFlight, "in flight")
		assert.Zero(t, got.Loads, "loads")
		close(source.gate)
		<-first
		<-second
		got = s.Stats()
		assert.Zero(t, got.InFlight, "in flight")
		assert.Equal(t, int64(2), got.Loads, "loads")
	})
}

// TestLoadTimeBuckets: a duration belongs to the first bucket whose bound it does
// not exceed.
func TestLoadTimeBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		buckets := s.Stats().LoadTime.Buckets
		require.Len(t, buckets, 22, "buckets")
		require.Equal(t, 64*time.Microsecond, buckets[0].UpTo, "buckets")
		require.Equal(t, readthrough.NoExpiry, buckets[len(buckets)-1].UpTo, "buckets")
		var took []time.Duration
		wanted := make([]int64, len(buckets))
		add := func(i int, d time.Duration) {
			took = append(took, d)
			wanted[i]++
		}
		add(0, 0)
		add(0, 1)
		for i, b := range buckets[:len(buckets)-1] {
			if i > 0 {
				assert.Equal(t, 2*buckets[i-1].UpTo, b.UpTo, "bound %d", i)
			}
			add(i, b.UpTo-1)
			add(i, b.UpTo)
			add(i+1, b.UpTo+1)
		}
		add(len(buckets)-1, 1000*time.Hour)
		var sum time.Duration
		for i, d := range took {
			sum += d
			_, err := readthrough.Wrap(t.Context(), s, fmt.Sprint(i), func(context.Context) (int, error) {
				time.Sleep(d)
				return 0, nil
			})
			require.NoError(t, err)
		}
		got := s.Stats().LoadTime
		assert.Equal(t, int64(len(took)), got.Count, "loads")
		assert.Equal(t, sum, got.Sum, "together")
		for i, b := range got.Buckets {
			assert.Equal(t, wanted[i], b.Count, "bucket %d, up to %v", i, b.UpTo)
		}
	})
}

// TestStatsAreReadWhileCounting is for the race detector.
func TestStatsAreReadWhileCounting(t *testing.T) {
	s := newScope(t)
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			for n := range 200 {
				_, _ = readthrough.Wrap(t.Context(), s, fmt.Sprint(i, n%10), func(context.Context) (int, error) { return 1, nil })
			}
		})
	}
	for range 200 {
		_ = s.Stats()
	}
	readers.Wait()
	got := s.Stats()
	assert.Equal(t, int64(800), got.Hits+got.Misses, "hits and misses")
}
