package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

const (
	// These are the documented defaults.
	providerTimeout   = 50 * time.Millisecond
	invalidateTimeout = time.Second
	breakerFailures   = 5
	breakerCooldown   = time.Second
	// maxAbandoned is the number of calls that a store may leave unanswered.
	maxAbandoned = 64
)

// TestOutageNeverFailsARead lets every operation of a store fail in every way,
// and expects that the read returns what the source has, takes no longer than
// one timeout, and that the failure is reported once.
func TestOutageNeverFailsARead(t *testing.T) {
	var panicErr *readthrough.PanicError
	matches := func(target error) func(error) bool {
		return func(err error) bool { return errors.Is(err, target) }
	}
	isPanic := func(err error) bool { return errors.As(err, &panicErr) && errors.Is(panicErr, errFault) }
	failures := []struct {
		name  string
		fault fault
		cause func(error) bool
		takes time.Duration
		sets  bool // it is a fault of a set only
	}{
		{"error", faultError, matches(errFault), 0, false},
		{"hang", faultHang, matches(context.DeadlineExceeded), providerTimeout, false},
		{"hang that ignores the context", faultStuck, matches(context.DeadlineExceeded), providerTimeout, false},
		{"panic", faultPanic, isPanic, 0, false},
		{"goexit", faultGoexit, func(err error) bool { return strings.Contains(err.Error(), "Goexit") }, 0, false},
		{"lost reply", faultLost, matches(errFault), 0, false},
		{"too large", faultTooLarge, matches(provider.ErrTooLarge), 0, true},
		{"unencodable", faultUnencodable, matches(provider.ErrUnencodable), 0, true},
	}
	operations := []struct {
		name string
		has  capabilities
		keys int
		op   string
		want string
		key  string // the reported one
	}{
		{"get", 0, 1, "get", "get", "k0"},
		{"set", 0, 1, "set", "set", "k0"},
		{"bulk get without batches", 0, 3, "get", "get", ""},
		{"bulk set without batches", 0, 3, "set", "set", ""},
		{"getMany", capBatches, 3, "getMany", "get", ""},
		{"setMany", capBatches, 3, "setMany", "set", ""},
		{"getMany of one", capBatches, -1, "getMany", "get", ""},
		{"get in the process", capInProcess, 1, "get", "get", "k0"},
		{"set in the process", capInProcess, 1, "set", "set", "k0"},
		{"bulk get in the process", capInProcess, 3, "get", "get", ""},
		{"bulk set in the process", capInProcess, 3, "set", "set", ""},
	}
	for _, o := range operations {
		for _, f := range failures {
			waits := f.takes > 0 || f.fault == faultGoexit
			isSet := o.want == "set"
			if f.sets && !isSet || waits && o.has != 0 && o.name[len(o.name)-7:] == "process" {
				continue // a store in the process never waits
			}
			bubble(t, o.name+"/"+f.name, func(t *testing.T) {
				r := newRig(t, readthrough.Options{BreakerFailures: -1}, o.has)
				r.store.fail(f.fault, o.op)
				elapsed := took(func() { r.readAll(o.keys) })
				assert.Equal(t, f.takes, elapsed, "took")
				if f.sets && o.keys > 1 && o.op == "set" { // one error for each, joined
					r.expectReports(o.want)
					return
				}
				reports := r.reports()
				require.Len(t, reports, 1, "reported")
				got := reports[0]
				assert.Equal(t, o.want, got.op, "reported")
				assert.Equal(t, o.key, got.key, "reported")
				assert.Equal(t, "s", got.scope, "reported")
				assert.True(t, f.cause(got.err), "reported %v", got.err)
				assert.Equal(t, int64(1), r.scope.Stats().ProviderErrors, "Stats().ProviderErrors")
				r.store.heal()
				synctest.Wait()
				r.readAll(o.keys)
				loads := r.loaded()
				r.readAll(o.keys)
				assert.Equal(t, loads, r.loaded(), "a read after the fault has ended is not cached")
			})
		}
	}
}

// TestUndecodableIsAMissAndOverwritten: one cache library returned the error of
// bytes that do not decode for ever.
func TestUndecodableIsAMissAndOverwritten(t *testing.T) {
	garbage := provider.Encoded{Data: []byte("{"), Type: "string", Codec: provider.JSON()}
	otherType := provider.Encoded{Data: []byte("7"), Type: "int", Codec: provider.JSON()}
	for name, entry := range map[string]any{"garbage": garbage, "another type": otherType, "another live type": 7} {
		for _, has := range []capabilities{0, capBatches} {
			bubble(t, fmt.Sprintf("%s/batches %v", name, has != 0), func(t *testing.T) {
				r := newRig(t, readthrough.Options{BreakerFailures: 1}, has)
				r.store.put("s", "k0", entry)
				r.expectRead("k0", "1", true)
				r.expectReports("get")
				r.expectRead("k0", "1", false)

				r.store.put("s", "k1", entry)
				r.readMany("k0", "k1", "k2")
				r.expectReports("get", "get")
				assert.Equal(t, "k1", r.reports()[1].key, "reported key")
				got, _ := r.store.value("s", "k1")
				assert.Equal(t, "1", got, "k1 as it is stored")
			})
		}
	}
}

// TestUndecodableErrorOfTheStore: the store itself cannot read some bytes. That
// is reported for each key and does not open the breaker.
func TestUndecodableErrorOfTheStore(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: 1}, 0)
		r.store.fail(faultUndecodable, "get")
		r.readAll(3)
		reports := r.reports()
		require.Len(t, reports, 3, "reported: one for each key")
		for _, report := range reports {
			assert.Equal(t, "get", report.op, "reported")
			assert.NotEmpty(t, report.key, "reported")
			assert.ErrorIs(t, report.err, provider.ErrUndecodable, "reported")
		}
		r.store.heal()
		r.readAll(3)
		assert.Equal(t, 3, r.loaded(), "loads: the breaker must not be open")
	})
}

func TestWrongNumberOfResults(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, capBatches)
		r.readAll(3)
		r.store.fail(faultMiscount, "getMany")
		r.readAll(3) // must not take a result for that of another key
		assert.Equal(t, 6, r.loaded(), "loads: results that cannot be told apart must not be used")
		r.expectReports("get")
	})
}

// TestHangingStoreCostsAFewTimeouts: one cache library waits for the full
// timeout on every read of an outage.
func TestHangingStoreCostsAFewTimeouts(t *testing.T) {
	for name, hangs := range waysToHang() {
		f := hangs.fault
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, hangs.has)
			r.store.failAll(f)
			elapsed := took(func() {
				for i := range 100 {
					r.expectRead(fmt.Sprint(i), "1", true)
				}
			})
			assert.Equal(t, breakerFailures*providerTimeout, elapsed, "100 reads took")
			assert.Len(t, r.store.calls(), breakerFailures, "the store was asked")
			assert.Len(t, r.reports(), breakerFailures, "reports")
		})
		bubble(t, name+", bulk", func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, capBatches)
			r.store.failAll(f)
			elapsed := took(func() {
				for range 100 {
					r.readAll(10)
				}
			})
			assert.Equal(t, breakerFailures*providerTimeout, elapsed, "100 bulk reads took")
		})
	}
}

// hanging is a store that does not answer: its fault, and its capabilities.
type hanging struct {
	fault fault
	has   capabilities
}

func waysToHang() map[string]hanging {
	return map[string]hanging{
		"honours the context": {faultHang, 0},
		"ignores the context": {faultStuck, 0},
		"is punctual":         {faultHang, capPunctual},
	}
}

// TestPunctualStoreIsCalledDirectly: the calls of a punctual store are made by the
// goroutine of the reader.
func TestPunctualStoreIsCalledDirectly(t *testing.T) {
	for name, has := range map[string]capabilities{"punctual": capPunctual, "another": 0} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, has)
			r.read("k")
			var direct bool
			r.store.hook("get", func(context.Context, []string) error {
				direct = strings.Contains(string(debug.Stack()), "(*rig).read")
				return nil
			})
			r.expectRead("k", "1", false)
			assert.Equal(t, name == "punctual", direct, "called by the reader")
		})
	}
}

// TestPunctualStoreAndImpatientCallers: callers who have too little time to tell
// anything about the store do not have it left alone, whichever deadline is the
// first to be noticed.
func TestPunctualStoreAndImpatientCallers(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"of the context": func(r *rig) { r.store.fail(faultHang, "get") },
		"of the connection": func(r *rig) {
			r.store.hook("get", func(ctx context.Context, _ []string) error {
				deadline, _ := ctx.Deadline()
				time.Sleep(time.Until(deadline) - time.Nanosecond)
				return os.ErrDeadlineExceeded
			})
		},
	} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{BreakerFailures: 1}, capPunctual)
			end(r)
			const readers = 10
			for range readers {
				ctx, cancel := context.WithTimeout(t.Context(), providerTimeout/4)
				_, err := r.readCtx(ctx, r.scope, "k")
				assert.NoError(t, err, "a read failed")
				cancel()
				require.NoError(t, r.scope.Invalidate(t.Context(), "k"))
			}
			assert.GreaterOrEqual(t, len(r.store.calls("get")), readers, "the store was asked once for each reader")
		})
	}
}

// TestStampedeInAnOutage: the load of a key is shared also when the store is
// down.
func TestStampedeInAnOutage(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.store.failAll(faultError)
		r.delay = time.Second
		var readers sync.WaitGroup
		for range 1000 {
			readers.Go(func() { r.read("k") })
		}
		readers.Wait()
		assert.Equal(t, 1, r.loaded(), "loads")
	})
}

func TestBreakerProbes(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		n := 0
		burst := func() (keys int, elapsed []time.Duration) {
			asked := make(map[string]bool)
			before := len(r.store.calls("get"))
			times := make(chan time.Duration, 10)
			var readers sync.WaitGroup
			for range 10 {
				n++
				key := fmt.Sprint(n)
				readers.Go(func() { times <- took(func() { r.read(key) }) })
			}
			readers.Wait()
			close(times)
			for d := range times {
				if d > 0 {
					elapsed = append(elapsed, d)
				}
			}
			for _, call := range r.store.calls("get")[before:] {
				asked[call.names[0]] = true // perhaps twice: a load looks again if others have filled
			}
			return len(asked), elapsed
		}
		r.store.failAll(faultHang)
		burst()
		asked, elapsed := burst()
		require.Zero(t, asked, "with an open breaker the store was asked")
		require.Empty(t, elapsed, "with an open breaker readers waited")
		time.Sleep(breakerCooldown - time.Nanosecond)
		asked, _ = burst()
		require.Zero(t, asked, "before the cooldown is over the store was asked")
		for range 3 {
			time.Sleep(breakerCooldown)
			asked, elapsed := burst()
			require.Equal(t, 1, asked, "after the cooldown the store is asked: one reader probes")
			require.Equal(t, []time.Duration{providerTimeout}, elapsed, "after the cooldown readers waited: one of them probes")
			asked, _ = burst()
			require.Zero(t, asked, "after a failed probe the store was asked")
		}
		r.store.heal()
		asked, _ = burst()
		require.Zero(t, asked, "after a failed probe the store was asked")
		time.Sleep(breakerCooldown)
		r.read("first") // probes and closes
		asked, elapsed = burst()
		require.Equal(t, 10, asked, "after the outage the store was asked")
		require.Empty(t, elapsed, "after the outage readers waited")
	})
}

func TestBreakerCountsFailuresInARow(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: 3}, 0)
		for i := range 20 { // get fails, set succeeds: never more than one in a row
			r.store.fail(faultError, "get")
			r.read(fmt.Sprint(i))
		}
		assert.Len(t, r.store.calls("get"), 20, "the store was asked")
	})
}

func TestCallerCancellationIsNoFailure(t *testing.T) {
	for name, hangs := range waysToHang() {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{BreakerFailures: 1}, hangs.has)
			r.store.fail(hangs.fault, "get")
			for range 10 {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Millisecond, cancel)
				_, err := r.readCtx(ctx, r.scope, "k")
				assert.ErrorIs(t, err, context.Canceled)
			}
			assert.Len(t, r.store.calls("get"), 10, "the store was asked: a reader that leaves is no failure")
			r.expectReports()
			r.store.heal()
			r.expectRead("k", "1", true)
			r.expectRead("k", "1", false)
		})
	}
}

// TestCancelledProbe: a reader that leaves while it probes leaves the probe to
// the next.
func TestCancelledProbe(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: 1}, 0)
		r.store.failAll(faultHang)
		r.read("k")
		time.Sleep(breakerCooldown)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, err := r.readCtx(ctx, r.scope, "k")
		assert.ErrorIs(t, err, context.Canceled)
		r.store.heal()
		r.expectRead("k", "1", true)
		r.expectRead("k", "1", false)
	})
}

func TestRefusalsAreNoFailures(t *testing.T) {
	for name, f := range map[string]fault{"too large": faultTooLarge, "unencodable": faultUnencodable} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{BreakerFailures: 1}, 0)
			r.store.fail(f, "set")
			for i := range 10 {
				r.expectRead("k", "1", true)
				require.Len(t, r.store.calls("get"), i+1, "the store was asked: a refusal is no failure")
			}
			assert.Len(t, r.reports(), 10, "reports")
		})
	}
}

// TestRefusedItemsDoNotKeepOthersOut: without batches, one item of a bulk fill
// that is refused leaves the others stored.
func TestRefusedItemsDoNotKeepOthersOut(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: 1}, 0)
		r.store.hook("set", func(_ context.Context, names []string) error {
			if names[0] == "k1" {
				return provider.ErrTooLarge
			}
			return nil
		})
		r.readAll(3)
		r.expectReports("set")
		for key, want := range map[string]bool{"k0": true, "k1": false, "k2": true} {
			_, found := r.store.value("s", key)
			assert.Equal(t, want, found, "%s stored", key)
		}
	})
}

// TestAbandonedCallsAreBounded: a store that hangs for ever and ignores its
// context costs a bounded number of goroutines, also if the breaker is off.
func TestAbandonedCallsAreBounded(t *testing.T) {
	for _, op := range []string{"get", "set"} {
		bubble(t, op, func(t *testing.T) {
			r := newRig(t, readthrough.Options{BreakerFailures: -1}, 0)
			r.store.fail(faultStuck, op)
			elapsed := took(func() {
				for i := range 3 * maxAbandoned {
					r.read(fmt.Sprint(i))
				}
			})
			assert.Equal(t, maxAbandoned*providerTimeout, elapsed, "the reads took")
			running, most := r.store.concurrency()
			assert.Equal(t, maxAbandoned, running, "calls are stuck")
			assert.Equal(t, maxAbandoned, most, "most calls that were stuck")
			r.store.heal()
			synctest.Wait()
			r.read("k")
			r.expectRead("k", "1", false) // the store is asked again
		})
	}
	bubble(t, "abandoned because the readers left", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: -1}, 0)
		r.store.fail(faultStuck, "get")
		for range 3 * maxAbandoned {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, _ = r.readCtx(ctx, r.scope, "k")
			cancel()
		}
		running, _ := r.store.concurrency()
		assert.Equal(t, maxAbandoned, running, "calls are stuck")
	})
	for name, failures := range map[string]int{"deletions": 0, "deletions without a breaker": -1} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{BreakerFailures: failures}, 0)
			r.store.failAll(faultStuck)
			for i := range 2 * maxAbandoned {
				require.ErrorIs(t, r.scope.Invalidate(t.Context(), fmt.Sprint(i)), readthrough.ErrInvalidationPending)
				_, err := r.scope.InvalidatePrefix(t.Context(), fmt.Sprint("p", i%10))
				require.ErrorIs(t, err, readthrough.ErrInvalidationPending)
			}
			time.Sleep(10 * time.Minute) // of retries
			// The last two of them, of the test and of the retries, may have begun at
			// the same time.
			running, _ := r.store.concurrency()
			assert.GreaterOrEqual(t, running, maxAbandoned, "calls are stuck")
			assert.LessOrEqual(t, running, maxAbandoned+1, "calls are stuck")
			r.store.heal()
			time.Sleep(time.Minute)
			r.expectPending(0)
			r.read("k")
			r.expectRead("k", "1", false)
		})
	}
}

// TestGoexitOfTheStore costs no place among the abandoned calls for ever.
func TestGoexitOfTheStore(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: -1}, 0)
		r.store.fail(faultGoexit, "get")
		for range 3 * maxAbandoned {
			r.read("k")
		}
		r.store.heal()
		r.read("k")
		r.expectRead("k", "1", false)
	})
}

// A caller who has less time than the store's timeout still gets what its load
// returns, and callers like that find out that the store hangs.
func TestHangingStoreAndImpatientCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := hangingStore()
		cache, err := readthrough.New(store, readthrough.Options{OnError: func(*readthrough.OpError) {}})
		require.NoError(t, err)
		scope, err := cache.Scope("impatient", readthrough.ScopeOptions{TTL: time.Hour})
		require.NoError(t, err)
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
			_, err := readthrough.Wrap(ctx, scope, "k", func(ctx context.Context) (int, error) {
				// Two looks at the store leave a quarter of the time: not to the instant.
				time.Sleep(9 * time.Millisecond)
				return 1, nil
			})
			assert.NoError(t, err, "a read failed")
			cancel()
		}
		assert.Less(t, store.count("get"), int64(10), "reads that asked the store: it is never left alone")
		time.Sleep(time.Minute) // for the abandoned calls
		assert.NoError(t, cache.Close())
	})
}

// hangingStore answers no read and no fill for half a minute.
func hangingStore() *double {
	store := plain(provider.Null())
	store.before("get set", func(string) { time.Sleep(30 * time.Second) })
	return store
}
