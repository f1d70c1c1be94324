package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
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
				r := newRig(t, readthrough.Options{}, nil)
				r.read("k:1")
				r.read("other")
				r.set("2")
				op := readthrough.OpDelete
				r.store.fail(f.fault, "delete", "deletePrefix")
				var err error
				elapsed := took(func() {
					if byPrefix {
						op = readthrough.OpDeletePrefix
						_, err = r.scope.InvalidatePrefix(t.Context(), "k:")
					} else {
						err = r.scope.Invalidate(t.Context(), "k:1")
					}
				})
				if !errors.Is(err, readthrough.ErrInvalidationPending) || f.cause != nil && !errors.Is(err, f.cause) {
					t.Fatalf("error %v, want ErrInvalidationPending because of %v", err, f.cause)
				}
				if elapsed != f.takes {
					t.Errorf("took %v, want %v", elapsed, f.takes)
				}
				r.expectReports(op)
				r.expectPending(1)
				r.store.fail(faultError, "delete", "deletePrefix") // of the retries, too, for now
				r.expectBypassed("k:1", "2")
				r.expectRead("other", "1", false) // other keys do not suffer

				r.store.heal()
				time.Sleep(recovery)
				r.expectPending(0)
				if got := r.observed(readthrough.EventRecovered); len(got) != 1 || got[0].Count != 1 {
					t.Errorf("observed %v, want that one was recovered", got)
				}
				if _, found := r.store.value("s", "k:1"); found {
					t.Error("the old value is still stored")
				}
				r.expectRead("k:1", "2", true)
				r.expectRead("k:1", "2", false)
			})
		}
	}
}

// expectBypassed reads key, whose invalidation is pending, alone and with
// others: the values are loaded, and the store has no part in it.
func (r *rig) expectBypassed(key, want string) {
	r.t.Helper()
	asked := func() (n int) {
		for _, c := range r.store.calls("get", "set", "getMany", "setMany") {
			if slices.Contains(c.names, key) {
				n++
			}
		}
		return n
	}
	before := asked()
	r.expectRead(key, want, true)
	r.expectRead(key, want, true)
	if got := r.readMany(key, "beside"); got[key] != want {
		r.t.Errorf("bulk read of %q: %v, want %q", key, got, want)
	}
	r.mu.Lock()
	r.delay = time.Nanosecond
	r.mu.Unlock()
	loads := r.loaded()
	var readers sync.WaitGroup
	for range 50 {
		readers.Go(func() {
			if got := r.read(key); got != want {
				r.t.Errorf("read of %q: %q, want %q", key, got, want)
			}
		})
	}
	readers.Wait()
	r.mu.Lock()
	r.delay = 0
	r.mu.Unlock()
	if got := r.loaded() - loads; got != 1 {
		r.t.Errorf("%d loads for 50 readers of %q, want 1", got, key)
	}
	if n := asked() - before; n != 0 {
		r.t.Errorf("the store was asked %d times about %q, whose invalidation is pending", n, key)
	}
}

// TestPendingWithBatches is the bypass for a store that reads many at once.
func TestPendingWithBatches(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, withBatches)
		r.readAll(3)
		r.set("2")
		r.store.fail(faultError, "delete")
		if err := r.scope.Invalidate(t.Context(), "k1"); !errors.Is(err, readthrough.ErrInvalidationPending) {
			t.Fatalf("error %v", err)
		}
		if got := r.readMany("k0", "k1", "k2"); got["k0"] != "1" || got["k1"] != "2" || got["k2"] != "1" {
			t.Errorf("read %v, want k1 loaded and the others as stored", got)
		}
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
		r := newRig(t, readthrough.Options{}, nil)
		other := r.newScope("other")
		r.read("k")
		r.store.failAll(faultError)
		r.set("2")
		if err := r.scope.Invalidate(t.Context(), "k"); !errors.Is(err, readthrough.ErrInvalidationPending) {
			t.Fatalf("error %v", err)
		}
		for i := range 10 { // opens the breaker
			r.read(fmt.Sprint(i))
		}
		time.Sleep(10 * breakerCooldown)
		before := len(r.store.calls())
		r.store.heal()
		for pending := true; pending; pending = r.scope.Stats().Pending > 0 {
			r.expectRead("k", "2", true)
			r.read("l")
			if _, err := r.readCtx(t.Context(), other, "k"); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
		if got := r.store.calls()[before]; got.op != "delete" || got.names[0] != "k" {
			t.Errorf("the first call that the store received was %s of %v, want the deletion of k", got.op, got.names)
		}
		r.expectRead("k", "2", true)
		r.expectRead("k", "2", false)
	}
	for range 12 {
		bubble(t, "", retry)
	}
}

// TestInvalidateWhileTheStoreIsLeftAlone does not wait for a timeout each.
func TestInvalidateWhileTheStoreIsLeftAlone(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		r.store.failAll(faultHang)
		for i := range breakerFailures {
			r.read(fmt.Sprint(i))
		}
		before := len(r.reports())
		elapsed := took(func() {
			for i := range 100 {
				if err := r.scope.Invalidate(t.Context(), fmt.Sprint(i)); !errors.Is(err, readthrough.ErrInvalidationPending) {
					t.Fatalf("error %v", err)
				}
			}
		})
		if elapsed != 0 {
			t.Errorf("100 invalidations took %v, want no time", elapsed)
		}
		if got := len(r.reports()) - before; got != 0 {
			t.Errorf("%d reports of a store that was not asked", got)
		}
		r.expectPending(100)
		r.store.heal()
		time.Sleep(2 * recovery)
		r.expectPending(0)
	})
}

// TestRetriesBackOff: the pauses between retries double, by about half more or
// less, to about a second. When nothing is pending any more, nothing goes on.
func TestRetriesBackOff(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		goroutines, _ := bubbled()
		r.store.fail(faultError, "delete")
		_ = r.scope.Invalidate(t.Context(), "k")
		time.Sleep(20 * time.Second)
		calls := r.store.calls("delete")
		if len(calls) < 15 {
			t.Fatalf("%d attempts in 20 s", len(calls))
		}
		pause := 25 * time.Millisecond
		for i := range len(calls) - 1 {
			got := calls[i+1].at.Sub(calls[i].at)
			if got < pause/2 || got >= pause+pause/2 {
				t.Errorf("pause %d is %v, want about %v", i, got, pause)
			}
			pause = min(2*pause, time.Second)
		}
		r.store.heal()
		time.Sleep(recovery)
		r.expectPending(0)
		attempts := len(r.store.calls())
		time.Sleep(time.Hour)
		if got := len(r.store.calls()); got != attempts {
			t.Errorf("%d calls after nothing was pending any more", got-attempts)
		}
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
			r := newRig(t, readthrough.Options{}, nil)
			r.read("k:1")
			r.set("2")
			r.store.fail(faultError, "delete")
			_ = r.scope.Invalidate(t.Context(), "k:1")
			r.expectPending(1)
			r.store.heal()
			if err := invalidate(r); err != nil {
				t.Fatal(err)
			}
			r.expectPending(0)
			r.expectRead("k:1", "2", true)
			r.expectRead("k:1", "2", false)
		})
	}
	bubble(t, "but another key does not", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		r.store.fail(faultError, "delete")
		_ = r.scope.Invalidate(t.Context(), "k:1")
		r.store.heal()
		if err := r.scope.Invalidate(t.Context(), "k:2"); err != nil {
			t.Fatal(err)
		}
		r.expectPending(1)
		r.expectBypassed("k:1", "1")
	})
}

// TestNewerInvalidationDuringARetry: a retry that began before an invalidation
// does not confirm it.
func TestNewerInvalidationDuringARetry(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
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
		if err := r.scope.Invalidate(t.Context(), "k"); !errors.Is(err, readthrough.ErrInvalidationPending) {
			t.Fatalf("error %v", err)
		}
		if n := attempt.Load(); n != 3 {
			t.Fatalf("%d attempts, want the retry and both invalidations", n)
		}
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
		r := newRig(t, readthrough.Options{MaxPending: bound, BreakerFailures: -1}, nil)
		r.read("never invalidated")
		other := r.newScope("other")
		if _, err := r.readCtx(t.Context(), other, "k"); err != nil {
			t.Fatal(err)
		}
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
		if got, err := r.readCtx(t.Context(), other, "k"); err != nil || got != "1" || r.loaded() != loads {
			t.Errorf("in another scope: %q, %v, want the stored value", got, err)
		}
		_ = r.scope.Invalidate(t.Context(), "and more")
		r.store.heal()
		before := len(r.store.calls())
		time.Sleep(recovery)
		r.expectPending(0)
		calls := r.store.calls("delete", "deletePrefix")
		if last := calls[len(calls)-1]; last.op != "deletePrefix" || last.names[0] != "" {
			t.Errorf("the last deletion was %s of %q, want that of the whole scope", last.op, last.names)
		}
		if n := len(r.store.calls()) - before; n > 2 {
			t.Errorf("%d calls to recover a scope", n)
		}
		r.expectRead("never invalidated", "2", true)
		r.expectRead("never invalidated", "2", false)
	})
	bubble(t, "prefixes", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
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
		r := newRig(t, readthrough.Options{}, nil)
		keys := make([]string, 2500)
		for i := range keys {
			keys[i] = fmt.Sprint(i)
			r.store.put("s", keys[i], "old")
		}
		r.store.put("s", "other", "1")
		r.store.fail(faultError, "delete")
		if err := r.scope.Invalidate(t.Context(), keys...); !errors.Is(err, readthrough.ErrInvalidationPending) {
			t.Fatalf("error %v", err)
		}
		r.expectPending(len(keys))
		r.store.heal()
		before := len(r.store.calls())
		time.Sleep(recovery)
		r.expectPending(0)
		retried := make(map[string]bool)
		for _, c := range r.store.calls()[before:] {
			if len(c.names) > 1000 {
				t.Errorf("a retry of %d keys at once", len(c.names))
			}
			for _, name := range c.names {
				retried[name] = true
			}
		}
		if len(retried) != len(keys) {
			t.Errorf("%d keys were retried, want %d", len(retried), len(keys))
		}
		for _, key := range keys {
			if _, found := r.store.value("s", key); found {
				t.Fatalf("%q is still stored", key)
			}
		}
		r.expectRead("other", "1", false)
		recovered := 0
		for _, e := range r.observed(readthrough.EventRecovered) {
			recovered += e.Count
		}
		if recovered != len(keys) {
			t.Errorf("%d were observed to be recovered, want %d", recovered, len(keys))
		}
	})
}

// TestPartOfTheRetriesFails: what was confirmed is not pending any more, and
// what was not is.
func TestPartOfTheRetriesFails(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: -1}, nil)
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
			r := newRig(t, readthrough.Options{}, nil)
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
			if removed != test.removed {
				t.Errorf("removed %d, want %d", removed, test.removed)
			}
			if (len(test.pending) > 0) != errors.Is(err, readthrough.ErrInvalidationPending) {
				t.Errorf("error %v, want that %v are pending", err, test.pending)
			}
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

// TestHangingPrefixesCostOneTimeout once the breaker is open.
func TestHangingPrefixesCostOneTimeout(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: 1}, nil)
		r.store.failAll(faultHang)
		elapsed := took(func() {
			_, err := r.scope.InvalidateTargets(t.Context(), readthrough.Targets{Prefixes: []string{"a", "b", "c", "d"}})
			if !errors.Is(err, readthrough.ErrInvalidationPending) {
				t.Errorf("error %v", err)
			}
		})
		if elapsed != invalidateTimeout {
			t.Errorf("took %v, want %v", elapsed, invalidateTimeout)
		}
		r.expectPending(4)
	})
}

// TestInvalidateIgnoresTheEndOfItsContext, since the write that it follows has
// happened, but has its values.
func TestInvalidateIgnoresTheEndOfItsContext(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		type key struct{}
		r := newRig(t, readthrough.Options{}, nil)
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
		if err := r.scope.Invalidate(ctx, "k0", "k1"); err != nil {
			t.Error(err)
		}
		if removed, err := r.scope.InvalidatePrefix(ctx, "p:"); removed != 1 || err != nil {
			t.Errorf("removed %d, error %v", removed, err)
		}
		for key, want := range map[string]bool{"k0": false, "k1": false, "k2": true, "p:1": false} {
			if _, found := r.store.value("s", key); found != want {
				t.Errorf("%s stored: %v, want %v", key, found, want)
			}
		}
		if !slices.Equal(values, []any{"v", "v"}) {
			t.Errorf("the store saw the context values %v", values)
		}
		r.store.heal()
		r.store.fail(faultError, "delete")
		_ = r.scope.Invalidate(ctx, "k2")
		r.store.heal()
		time.Sleep(recovery) // retries do not end with it either
		r.expectPending(0)
	})
}

// TestStuckFill: a store that has not returned from a fill may store it after a
// deletion that it confirms.
func TestStuckFill(t *testing.T) {
	for _, byPrefix := range []bool{false, true} {
		bubble(t, fmt.Sprint("prefix ", byPrefix), func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, nil)
			r.store.fail(faultStuck, "set")
			if elapsed := took(func() { r.expectRead("k:1", "1", true) }); elapsed != providerTimeout {
				t.Errorf("the read took %v, want %v", elapsed, providerTimeout)
			}
			r.set("2")
			var err error
			if byPrefix {
				_, err = r.scope.InvalidatePrefix(t.Context(), "k:")
			} else {
				err = r.scope.Invalidate(t.Context(), "k:1")
			}
			if !errors.Is(err, readthrough.ErrInvalidationPending) {
				t.Fatalf("error %v, want ErrInvalidationPending: the fill may come after the deletion", err)
			}
			if n := len(r.store.calls("delete", "deletePrefix")); n != 1 {
				t.Errorf("%d deletions, want 1", n)
			}
			r.expectBypassed("k:1", "2")
			time.Sleep(time.Minute) // the deletion is confirmed again and again
			r.expectPending(1)
			r.store.heal()
			synctest.Wait()
			if got, _ := r.store.value("s", "k:1"); got != "1" {
				t.Fatalf("the fill stored %v", got)
			}
			r.expectBypassed("k:1", "2")
			time.Sleep(recovery)
			r.expectPending(0)
			r.expectRead("k:1", "2", true)
			r.expectRead("k:1", "2", false)
		})
	}
}

// TestFlightBeforePending: a load that began before its key became pending does
// not fill either.
func TestFlightBeforePending(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		r.store.fail(faultError, "delete")
		r.delay = time.Millisecond
		old := async(func() (string, error) { return r.readCtx(t.Context(), r.scope, "k") })
		synctest.Wait()
		r.set("2")
		_ = r.scope.Invalidate(t.Context(), "k")
		r.expectRead("k", "2", true) // does not join the load of the old value
		if got := <-old; got.value != "1" || got.err != nil {
			t.Errorf("the reader that came before got %v", got)
		}
		if n := len(r.store.calls("set", "setMany")); n != 0 {
			t.Errorf("%d fills of a pending key", n)
		}
		if got := r.scope.Stats().RefusedFills; got != 1 {
			t.Errorf("Stats().RefusedFills = %d, want 1", got)
		}
	})
}

// TestPendingInTheProcess: a store in the process that fails a deletion is
// treated alike.
func TestPendingInTheProcess(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, inProcess)
		r.read("k")
		r.set("2")
		for _, f := range []fault{faultError, faultPanic} {
			r.store.fail(f, "delete")
			if err := r.scope.Invalidate(t.Context(), "k"); !errors.Is(err, readthrough.ErrInvalidationPending) || !errors.Is(err, errFault) {
				t.Fatalf("error %v", err)
			}
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
		r := newRig(t, options, nil)
		r.read("k")
		r.store.fail(faultError, "delete", "deletePrefix")
		_ = r.scope.Invalidate(t.Context(), "k", "l")
		return r
	}
	bubble(t, "tried once more", func(t *testing.T) {
		r := setUp(t, readthrough.Options{})
		r.store.heal()
		if err := r.cache.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, found := r.store.value("s", "k"); found {
			t.Error("the old value is still stored")
		}
	})
	for name, f := range map[string]fault{"error": faultError, "hang": faultHang, "stuck": faultStuck} {
		bubble(t, "not confirmed: "+name, func(t *testing.T) {
			r := setUp(t, readthrough.Options{})
			r.store.failAll(f)
			before := len(r.store.calls("delete"))
			var err error
			elapsed := took(func() { err = r.cache.Close() })
			if !errors.Is(err, readthrough.ErrInvalidationPending) {
				t.Errorf("Close: %v, want ErrInvalidationPending", err)
			}
			if err != nil && (!strings.Contains(err.Error(), "2 keys") || !strings.Contains(err.Error(), `"s"`)) {
				t.Errorf("Close: %v, want the number of keys and the scope", err)
			}
			if n := len(r.store.calls("delete")) - before; n != 1 {
				t.Errorf("%d more attempts, want 1", n)
			}
			if elapsed > invalidateTimeout {
				t.Errorf("Close took %v", elapsed)
			}
			attempts := len(r.store.calls())
			time.Sleep(time.Hour)
			if n := len(r.store.calls()); n != attempts {
				t.Errorf("%d calls after Close", n-attempts)
			}
		})
	}
	bubble(t, "in the middle of a retry", func(t *testing.T) {
		r := setUp(t, readthrough.Options{})
		r.store.failAll(faultHang)
		time.Sleep(50 * time.Millisecond)
		elapsed := took(func() {
			if err := r.cache.Close(); !errors.Is(err, readthrough.ErrInvalidationPending) {
				t.Errorf("Close: %v", err)
			}
		})
		if elapsed > 2*invalidateTimeout {
			t.Errorf("Close took %v", elapsed)
		}
	})
}

// TestPendingScopesAreApart: the outage of one scope's keys is not that of
// another's, and each recovers.
func TestPendingScopesAreApart(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		other := r.newScope("other")
		r.store.failAll(faultError)
		_ = r.scope.Invalidate(t.Context(), "k")
		_ = other.Invalidate(t.Context(), "l")
		if a, b := r.scope.Stats().Pending, other.Stats().Pending; a != 1 || b != 1 {
			t.Errorf("pending: %d and %d, want 1 and 1", a, b)
		}
		r.store.heal()
		time.Sleep(recovery)
		if a, b := r.scope.Stats().Pending, other.Stats().Pending; a != 0 || b != 0 {
			t.Errorf("pending: %d and %d, want none", a, b)
		}
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

// TestFlightThatFoundTheOldEntry: a flight that began while an invalidation was
// under way may have found the old entry in the store. Who begins after the
// invalidation has returned, though pending, does not join it.
func TestFlightThatFoundTheOldEntry(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, nil)
		r.read("k")
		r.set("2")
		first, second, deletion := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var gets atomic.Int64
		r.store.hook("get", func(_ context.Context, names []string) error {
			if names[0] != "k" {
				return nil
			}
			switch gets.Add(1) {
			case 1: // misses
				<-first
				return errFault
			case 2: // of the flight, which looks again
				<-second
			}
			return nil
		})
		r.store.hook("delete", func(context.Context, []string) error { <-deletion; return errFault })

		invalidated := async(func() (int, error) { return 0, r.scope.Invalidate(t.Context(), "k") })
		synctest.Wait()
		old := async(func() (string, error) { return r.readCtx(t.Context(), r.scope, "k") })
		synctest.Wait()
		r.read("another") // stores something, so that the flight looks again
		close(first)
		synctest.Wait()
		if n := gets.Load(); n != 2 {
			t.Fatalf("the store was asked %d times, want the flight to look again", n)
		}
		close(deletion)
		if got := <-invalidated; !errors.Is(got.err, readthrough.ErrInvalidationPending) {
			t.Fatalf("error %v", got.err)
		}
		after := async(func() (string, error) { return r.readCtx(t.Context(), r.scope, "k") })
		synctest.Wait()
		close(second)
		if got := <-after; got.value != "2" || got.err != nil {
			t.Errorf("who began after the invalidation got %q, %v, want 2", got.value, got.err)
		}
		if got := <-old; got.err != nil {
			t.Error(got.err)
		}
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
			store := &leaseStore{newLeaseServer(), &network{}}
			s := newScope(t, on(store), new(reports).collect())
			value, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
			want(t, name+" before", value, err, 1)
			store.network.cut.Store(true)
			if err := s.Invalidate(t.Context(), "k"); !errors.Is(err, readthrough.ErrInvalidationPending) {
				t.Errorf("Invalidate: %v", err)
			}
			store.network.cut.Store(false) // before the retry
			value, err = read(t.Context(), s, "k", func(ctx context.Context) (int, error) {
				if old, ok := readthrough.OldValue[int](readthrough.LoadOf(ctx, "k")); ok {
					t.Errorf("%s: the load knows of the old value %d", name, old)
				}
				return 2, nil
			})
			want(t, name, value, err, 2)
		}
	})
}

// undeletable is a store with values that removes nothing, until it is healed.
type undeletable struct {
	*memory.Store

	healed atomic.Bool
}

func (s *undeletable) Delete(ctx context.Context, keys ...provider.Key) error {
	if !s.healed.Load() {
		return errFault
	}
	return s.Store.Delete(ctx, keys...)
}

func (s *undeletable) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	if !s.healed.Load() {
		return 0, errFault
	}
	return s.Store.DeletePrefix(ctx, scope, prefix)
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
			store := &undeletable{Store: newStore(t)}
			cache := newCache(t, store, readthrough.Options{OnError: func(readthrough.Op, string, string, error) {}})
			s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			value := "old"
			load := func(context.Context, int) (string, error) { return value, nil }
			loadMany := func(context.Context, []int) (map[int]string, error) { return map[int]string{1: value}, nil }
			key := func(id int) string { return fmt.Sprint("k:", id) }
			get, getMany := readthrough.Memoize(s, key, load), readthrough.MemoizeMany(s, key, loadMany)
			getAppended := readthrough.MemoizeAppend(s, func(b []byte, id int) []byte { return fmt.Append(b, "k:", id) }, load)
			if got, err := get(t.Context(), 1); err != nil || got != "old" {
				t.Fatalf("get = %q, %v", got, err)
			}
			value = "new"
			if err := invalidate(t.Context(), s); !errors.Is(err, readthrough.ErrInvalidationPending) {
				t.Fatalf("error %v, want ErrInvalidationPending", err)
			}
			for name, get := range map[string]func(context.Context, int) (string, error){"Memoize": get, "MemoizeAppend": getAppended} {
				if got, err := get(t.Context(), 1); err != nil || got != "new" {
					t.Errorf("%s: %q, %v; want new", name, got, err)
				}
			}
			if got, err := getMany(t.Context(), []int{1}); err != nil || got[1] != "new" {
				t.Errorf("MemoizeMany: %v, %v; want new", got, err)
			}
			store.healed.Store(true)
			time.Sleep(recovery)
		})
	}
}
