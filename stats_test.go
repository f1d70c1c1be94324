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
		r := newRig(t, readthrough.Options{}, nil)
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
			Invalidations: 5, Pending: 1, ProviderErrors: 2, InFlight: 0,
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

// TestEvents: an observer is told of everything, once.
func TestEvents(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		seen := 0
		expect := func(what string, wanted ...readthrough.Event) {
			t.Helper()
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			got := r.events[seen:]
			seen = len(r.events)
			require.Len(t, got, len(wanted), "%s: events", what)
			for i, e := range got {
				w := wanted[i]
				assert.Equal(t, "s", e.Scope, "%s: event %d", what, i)
				assert.Equal(t, w.Kind, e.Kind, "%s: event %d", what, i)
				assert.Equal(t, w.Key, e.Key, "%s: event %d", what, i)
				assert.Equal(t, w.Count, e.Count, "%s: event %d", what, i)
				assert.Equal(t, w.Duration, e.Duration, "%s: event %d", what, i)
				assert.ErrorIs(t, e.Err, w.Err, "%s: event %d", what, i)
			}
		}
		event := func(kind readthrough.EventKind, key string, count int) readthrough.Event {
			return readthrough.Event{Kind: kind, Key: key, Count: count}
		}
		lasting := func(e readthrough.Event, d time.Duration, err error) readthrough.Event {
			e.Duration, e.Err = d, err
			return e
		}
		const hit, miss, join, load = readthrough.EventHit, readthrough.EventMiss, readthrough.EventJoin, readthrough.EventLoad
		const refused, invalidate = readthrough.EventRefusedFill, readthrough.EventInvalidate

		r.delay = time.Second
		r.read("k")
		expect("miss", event(miss, "k", 1), lasting(event(load, "k", 1), time.Second, nil))
		r.read("k")
		expect("hit", event(hit, "k", 1))

		first := async(func() (string, error) { return r.readCtx(t.Context(), r.scope, "l") })
		synctest.Wait()
		r.read("l")
		<-first
		expect("join", event(miss, "l", 1), event(miss, "l", 1), event(join, "l", 1), lasting(event(load, "l", 1), time.Second, nil))

		r.delay = 0
		r.readMany("k", "m", "n")
		expect("bulk", event(hit, "", 1), event(miss, "", 2), event(load, "", 2))

		_, _ = readthrough.Wrap(t.Context(), r.scope, "e", func(context.Context) (int, error) { return 0, errFault })
		expect("load error", event(miss, "e", 1), lasting(event(load, "e", 1), 0, errFault))

		_, _ = readthrough.Wrap(t.Context(), r.scope, "f", func(ctx context.Context) (int, error) { return 0, r.scope.Invalidate(ctx, "f") })
		expect("refused fill", event(miss, "f", 1), event(invalidate, "f", 1), event(load, "f", 1), event(refused, "f", 1))

		r.store.hook("deletePrefix", func(context.Context, []string) error { time.Sleep(time.Millisecond); return nil })
		_, _ = r.scope.InvalidatePrefix(t.Context(), "k")
		expect("prefix", lasting(event(invalidate, "k", 1), time.Millisecond, nil))
		_, _ = r.scope.InvalidateTargets(t.Context(), readthrough.Targets{Keys: []string{"k", "l"}, Prefixes: []string{"m"}})
		expect("targets", lasting(event(invalidate, "", 3), time.Millisecond, nil))

		r.store.fail(faultError, "delete")
		_ = r.scope.Invalidate(t.Context(), "k")
		expect("pending", lasting(event(readthrough.EventError, "k", 1), 0, errFault),
			lasting(event(invalidate, "k", 1), 0, readthrough.ErrInvalidationPending))
		r.store.heal()
		time.Sleep(recovery)
		expect("recovered", event(readthrough.EventRecovered, "k", 1))
	})
}

func TestEventKindNames(t *testing.T) {
	wanted := []string{"hit", "miss", "join", "stale", "refresh", "load", "refusedFill", "invalidate", "recovered", "error", "unknown"}
	for i, name := range wanted {
		assert.Equal(t, name, readthrough.EventKind(i).String(), "EventKind(%d)", i)
	}
	assert.Equal(t, "unknown", readthrough.EventKind(255).String(), "EventKind(255)")
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
