package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
			if !errors.Is(got, errFault) {
				t.Errorf("error %v", got)
			}
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
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.scope.InvalidateTargets(t.Context(), readthrough.Targets{Keys: []string{"a", "b"}, Prefixes: []string{"c"}}); err != nil {
			t.Fatal(err)
		}
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
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", wanted) {
			t.Errorf("Stats() =\n%+v, want\n%+v", got, wanted)
		}
		if histogram.Count != 8 || histogram.Sum != time.Second+3*time.Millisecond {
			t.Errorf("load times: %d, together %v", histogram.Count, histogram.Sum)
		}
	})
}

func TestStatsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		source := newGated(1)
		first := wrapAsync(t.Context(), s, "k", source.load)
		second := wrapAsync(t.Context(), s, "l", source.load)
		synctest.Wait()
		if got := s.Stats(); got.InFlight != 2 || got.Loads != 0 {
			t.Errorf("%d in flight and %d loads, want 2 and 0", got.InFlight, got.Loads)
		}
		close(source.gate)
		<-first
		<-second
		if got := s.Stats(); got.InFlight != 0 || got.Loads != 2 {
			t.Errorf("%d in flight and %d loads, want 0 and 2", got.InFlight, got.Loads)
		}
	})
}

// TestLoadTimeBuckets: a duration belongs to the first bucket whose bound it does
// not exceed.
func TestLoadTimeBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		buckets := s.Stats().LoadTime.Buckets
		if len(buckets) != 22 || buckets[0].UpTo != 64*time.Microsecond || buckets[len(buckets)-1].UpTo != readthrough.NoExpiry {
			t.Fatalf("buckets %v", buckets)
		}
		var took []time.Duration
		wanted := make([]int64, len(buckets))
		add := func(i int, d time.Duration) {
			took = append(took, d)
			wanted[i]++
		}
		add(0, 0)
		add(0, 1)
		for i, b := range buckets[:len(buckets)-1] {
			if i > 0 && b.UpTo != 2*buckets[i-1].UpTo {
				t.Errorf("bound %d is %v, after %v", i, b.UpTo, buckets[i-1].UpTo)
			}
			add(i, b.UpTo-1)
			add(i, b.UpTo)
			add(i+1, b.UpTo+1)
		}
		add(len(buckets)-1, 1000*time.Hour)
		var sum time.Duration
		for i, d := range took {
			sum += d
			if _, err := readthrough.Wrap(t.Context(), s, fmt.Sprint(i), func(context.Context) (int, error) {
				time.Sleep(d)
				return 0, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		got := s.Stats().LoadTime
		if got.Count != int64(len(took)) || got.Sum != sum {
			t.Errorf("%d loads, together %v, want %d, %v", got.Count, got.Sum, len(took), sum)
		}
		for i, b := range got.Buckets {
			if b.Count != wanted[i] {
				t.Errorf("bucket %d, up to %v: %d, want %d", i, b.UpTo, b.Count, wanted[i])
			}
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
			if len(got) != len(wanted) {
				t.Fatalf("%s: events %+v, want %+v", what, got, wanted)
			}
			for i, e := range got {
				w := wanted[i]
				if e.Scope != "s" || e.Kind != w.Kind || e.Key != w.Key || e.Count != w.Count || e.Duration != w.Duration || !errors.Is(e.Err, w.Err) {
					t.Errorf("%s: event %d is %+v, want %+v", what, i, e, w)
				}
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
		if got := readthrough.EventKind(i).String(); got != name {
			t.Errorf("EventKind(%d) = %q, want %q", i, got, name)
		}
	}
	if got := readthrough.EventKind(255).String(); got != "unknown" {
		t.Errorf("EventKind(255) = %q", got)
	}
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
	if got := s.Stats(); got.Hits+got.Misses != 800 {
		t.Errorf("%d hits and %d misses, want 800 together", got.Hits, got.Misses)
	}
}
