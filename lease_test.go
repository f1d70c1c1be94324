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

// While one process loads, the others wait for it instead of loading too, and
// take what it stored.
func TestOneLoadAcrossProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		source := versioned{after: make(chan struct{})}
		inA, inB := readLater(t.Context(), a, source.load), readLater(t.Context(), b, source.load)
		time.Sleep(50 * time.Millisecond)
		close(source.after)
		for _, reader := range []<-chan answer{inA, inB} {
			require.NoError(t, (<-reader).err)
		}
		assert.Equal(t, int64(1), source.loads.Load(), "loads")
	})
}

// A process that waits for another's lease does so for LeaseWait and no longer,
// and then serves what it loads without storing it.
func TestLeaseWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, _, server := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		key := provider.Key{Scope: "fleet", Name: "k"}
		holder := &leaseStore{server, &network{}}
		grants, err := holder.Acquire(t.Context(), []provider.Key{key}, time.Minute)
		require.NoError(t, err)
		require.Equal(t, provider.LeaseGranted, grants[0].State)
		source := versioned{}
		began := time.Now()
		readNow(t, b, source.load)
		assert.Equal(t, 200*time.Millisecond, time.Since(began), "the read took")
		_, stored := server.peek(key)
		assert.False(t, stored, "stored without the lease")
		filled, err := holder.Fill(t.Context(), []provider.Fill{{Lease: grants[0].Lease, TTL: time.Hour}})
		if assert.NoError(t, err, "the holder cannot fill") {
			assert.True(t, filled[0].Stored, "the holder cannot fill: %+v", filled)
		}
	})
}

// A load that fails, panics or is abandoned gives its lease back: the next reader
// in another process does not wait.
func TestFailedLoadReleasesTheLease(t *testing.T) {
	loads := map[string]func(context.Context) (int64, error){
		"error": func(context.Context) (int64, error) { return 0, errStore },
		"panic": func(context.Context) (int64, error) { panic("loader") },
		"abandoned": func(ctx context.Context) (int64, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		},
	}
	for name, load := range loads {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				require.Error(t, (<-readLater(ctx, a, load)).err)
				synctest.Wait()
				began := time.Now()
				readNow(t, b, (&versioned{}).load)
				assert.Zero(t, time.Since(began), "the next reader waited for a lease that nobody has")
			})
		})
	}
}

// An invalidation that is pending forbids the fill of a load that was under way,
// although its lease may still be there.
func TestPendingKeyIsNotFilledUnderALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, networks, server := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		source := versioned{after: make(chan struct{})}
		source.version.Store(1)
		reader := readLater(t.Context(), a, source.load)
		synctest.Wait() // it has the lease, and version 1
		source.version.Store(2)
		networks[0].cut.Store(true)
		require.ErrorIs(t, a.Invalidate(t.Context(), "k"), readthrough.ErrInvalidationPending, "Invalidate")
		networks[0].cut.Store(false) // before the retry
		close(source.after)
		require.NoError(t, (<-reader).err)
		entry, stored := server.peek(provider.Key{Scope: "fleet", Name: "k"})
		assert.False(t, stored, "version %v is stored", entry.Value)
	})
}

// A lease whose reply comes after the deadline is given back: nobody would fill
// it, and others would wait for it.
func TestLeaseGrantedTooLateIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, networks, server := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		networks[0].slowReplies.Store(int64(60 * time.Millisecond)) // ProviderTimeout is 50 ms
		readNow(t, a, (&versioned{}).load)
		time.Sleep(time.Second)
		other := &leaseStore{server, &network{}}
		grants, err := other.Acquire(t.Context(), []provider.Key{{Scope: "fleet", Name: "k"}}, time.Minute)
		if assert.NoError(t, err, "it gets the lease") {
			assert.Equal(t, provider.LeaseGranted, grants[0].State, "it gets the lease")
		}
	})
}

// The holder of a lease has died, and LoadTimeout is shorter than LeaseWait.
func TestLoadTimeoutShorterThanLeaseWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer()
		store := &leaseStore{server, &network{}}
		_, scope := newFleetScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{LoadTimeout: 150 * time.Millisecond})
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
		_, scope := newFleetScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{})
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

// The store hangs, and the callers have less time than its timeout.
func TestImpatientCallerAndHangingLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := hangingStore()
		store.fail(faultError, "acquire", "fill", "release")
		store.before("acquire", func(string) { time.Sleep(30 * time.Second) })
		_, scope := newFleetScope(t, store.as(capLeases), readthrough.Options{}, readthrough.ScopeOptions{})
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
func TestFailedFillLeavesTheLease(t *testing.T) {
	for name, failure := range map[string]error{
		"failed":   errStore,
		"unknown":  fmt.Errorf("fill: %w", context.DeadlineExceeded),
		"refused":  fmt.Errorf("fill: %w", provider.ErrRefused),
		"canceled": context.Canceled,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newLeaseDouble()
				store.around("fill", func(_ context.Context, _ *request, fill func() error) error {
					if store.count("fill") == 1 {
						return failure
					}
					return fill()
				})
				_, scope := newFleetScope(t, store.as(likeShared), readthrough.Options{}, readthrough.ScopeOptions{})
				var source versioned
				readNow(t, scope, source.load)
				start := time.Now()
				readNow(t, scope, source.load)
				assert.Zero(t, time.Since(start), "the store answers at once, the load too: the next read took")
			})
		})
	}
}

// The same, where the store answers for each key by itself.
func TestFillThatFailedForOneKeyGivesItsLeaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newLeaseDouble()
		store.around("fill", func(_ context.Context, r *request, fill func() error) error {
			if store.count("fill") > 1 {
				return fill()
			}
			r.filled = make([]provider.Filled, len(r.fills))
			for i := range r.filled {
				r.filled[i].Err = errStore
			}
			return nil
		})
		_, scope := newFleetScope(t, store.as(likeShared), readthrough.Options{}, readthrough.ScopeOptions{})
		var source versioned
		readNow(t, scope, source.load)
		start := time.Now()
		readNow(t, scope, source.load)
		assert.Zero(t, time.Since(start), "the next read took")
	})
}

// contestedKey is the key that the tests of what others do to it use.
var contestedKey = provider.Key{Scope: "test", Name: "k"}

// onContested runs test in a bubble for each way to read, with a value of 1 that is
// stored, and was stale for so long.
func onContested(t *testing.T, stale time.Duration, test func(t *testing.T, store *leaseDouble, s *readthrough.CachedScope, read func(load func(context.Context) (int, error)) (readthrough.Result[int], error))) {
	t.Helper()
	for name, reading := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			store := newLeaseDouble()
			s := newScope(t, on(store.as(likeShared)), keepsStale())
			read := func(load func(context.Context) (int, error)) (readthrough.Result[int], error) {
				return reading(t.Context(), s, contestedKey.Name, load)
			}
			got, err := read(newSource(1).load)
			wantResult(t, "first", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromLoad})
			store.forget()
			store.server.change(contestedKey, func(s *slot) { s.until = s.until.Add(time.Hour) }) // another process keeps it longer
			time.Sleep(time.Minute + stale)
			test(t, store, s, read)
			wantIdle(t, s)
		})
	}
}

// Who replaces what was found asks for its lease once.
func TestLeaseOfWhatWasFoundIsAskedForOnce(t *testing.T) {
	for _, stale := range []time.Duration{0, time.Hour, 2 * time.Hour} { // replaced in the background, by the reader, and not even a spare
		t.Run(stale.String(), func(t *testing.T) {
			onContested(t, stale, func(t *testing.T, store *leaseDouble, _ *readthrough.CachedScope, read func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
				src := newSource(2)
				_, err := read(src.load)
				assert.NoError(t, err)
				synctest.Wait()
				wantLoads(t, &src.loads, 1)
				assert.Equal(t, int64(1), store.count("refresh"), "asked for a lease")
			})
		})
	}
}

// What others replace each time when a lease for it is asked for is theirs to load,
// and stays.
func TestWhatOthersReplaceIsLeftToThem(t *testing.T) {
	onContested(t, 0, func(t *testing.T, store *leaseDouble, _ *readthrough.CachedScope, read func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
		store.before("refresh", func(string) {
			store.server.change(contestedKey, func(s *slot) { s.entry.LoadedAt = s.entry.LoadedAt.Add(1) })
		})
		src := newSource(2)
		_, err := read(src.load)
		assert.NoError(t, err)
		synctest.Wait()
		wantLoads(t, &src.loads, 0)
		_, ok := store.server.peek(contestedKey)
		assert.True(t, ok, "what others have stored was removed")
	})
}

// A value that was removed after the load's process has found it is none that the
// load could ask about or confirm.
func TestWhatWasRemovedIsNoOldValue(t *testing.T) {
	onContested(t, 0, func(t *testing.T, store *leaseDouble, _ *readthrough.CachedScope, read func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
		store.before("refresh", func(string) {
			if store.count("refresh") == 1 { // replaced, so that it is asked for once more
				store.server.change(contestedKey, func(s *slot) { s.entry.LoadedAt, s.entry.Validator = s.entry.LoadedAt.Add(1), "v" })
			} else {
				assert.NoError(t, store.server.Delete(t.Context(), contestedKey))
			}
		})
		loaded := false
		_, err := read(func(ctx context.Context) (int, error) {
			load := readthrough.LoadOf(ctx, contestedKey.Name)
			old, ok := readthrough.OldValue[int](load)
			assert.False(t, ok, "there is an old value %d", old)
			assert.Empty(t, load.Validator(), "the validator of an old value")
			loaded = true
			return 2, nil
		})
		synctest.Wait()
		assert.NoError(t, err)
		assert.True(t, loaded, "it did not load")
	})
}

// A value that another process has stored meanwhile is taken, also if its lease is
// somebody's already.
func TestFreshValueBesideALease(t *testing.T) {
	onContested(t, time.Hour, func(t *testing.T, store *leaseDouble, _ *readthrough.CachedScope, read func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
		store.before("refresh", func(string) {
			store.server.change(contestedKey, func(s *slot) {
				s.entry.Value, s.entry.LoadedAt, s.entry.FreshUntil = 2, time.Now(), time.Now().Add(time.Minute)
				s.token, s.tokenUntil = "another's", time.Now().Add(time.Minute)
			})
		})
		src := newSource(3)
		elapsed := took(func() {
			got, err := read(src.load)
			wantResult(t, "read", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromStore})
		})
		wantLoads(t, &src.loads, 0)
		assert.Zero(t, elapsed, "took: it waited for the lease")
	})
}

// What cannot be read makes room for what is loaded, which is stored at once.
func TestWhatCannotBeReadIsReplaced(t *testing.T) {
	kinds := map[string]func(store *leaseDouble){
		"damaged": func(store *leaseDouble) { // until it was removed
			store.around("acquire", func(_ context.Context, r *request, acquire func() error) error {
				if store.count("delete") > 0 {
					return acquire()
				}
				r.grants = []provider.Grant{{State: provider.LeaseFailed, Err: provider.ErrUndecodable}}
				return nil
			})
		},
		"of another type, and of unknown age": func(store *leaseDouble) {
			store.server.change(contestedKey, func(s *slot) { *s = slot{hasEntry: true, until: time.Now().Add(time.Hour)}; s.entry.Value = "text" })
		},
	}
	for name, damage := range kinds {
		for way, read := range resultReads[int]() {
			bubble(t, name+"/"+way, func(t *testing.T) {
				store, reported := newLeaseDouble(), new(reports)
				damage(store)
				s := newScope(t, on(store.as(likeShared)), reported.collect())
				elapsed := took(func() {
					got, err := read(t.Context(), s, contestedKey.Name, newSource(2).load)
					wantResult(t, "read", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromLoad})
				})
				v, _ := stored(t, store, contestedKey.Name)
				assert.Equal(t, 2, v, "what is stored")
				assert.Zero(t, elapsed, "stored at once")
			})
		}
	}
}

// Without a lease nothing is sent that the store would have to refuse.
func TestNothingIsFilledWithoutALease(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newLeaseDouble()
		s := newScope(t, on(store.as(likeShared)))
		require.NoError(t, store.server.Hold(t.Context(), provider.HoldTargets{Scope: "test", Keys: []string{"k"}}, "token", time.Hour))
		value, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
		want(t, "read", value, err, 1)
		assert.Zero(t, store.count("fill"), "fills were sent")
	})
}

// A lease lasts as long as the load may take.
func TestLeaseLastsAsLongAsItsLoad(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newLeaseDouble()
		s := newScope(t, on(store.as(likeShared)), serving(func(so *readthrough.ScopeOptions) { so.TTL, so.LoadTimeout = time.Hour, time.Hour }))
		src := newSource(1)
		src.take(time.Hour - 1)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "read", value, err, 1)
		_, ok := store.server.peek(contestedKey)
		assert.True(t, ok, "what a slow load brought is not stored")
	})
}

// Answers that cannot be told apart are none, and fail no read.
func TestWrongNumberOfGrants(t *testing.T) {
	for name, op := range map[string]string{"grants": "acquire", "fills": "fill"} {
		bubble(t, name, func(t *testing.T) {
			store := newLeaseDouble()
			store.fail(faultMiscount, op)
			reported := new(reports)
			s := newScope(t, on(store.as(likeShared)), reported.collect())
			values, err := readthrough.WrapMany(t.Context(), s, []string{"a", "b"}, self, many(newSource(1).load))
			want(t, "read", values["a"]+values["b"], err, 2)
			synctest.Wait() // a call tells its user after it has landed
			errs, _ := reported.all()
			assert.Len(t, errs, 1, "reported")
		})
	}
}

// A store that fails is asked for no leases either, nor to keep anything or to take
// a lease back.
func TestLeasesOfAFailingStore(t *testing.T) {
	for name, fails := range map[string]error{"fill": nil, "release": errDatabase} {
		bubble(t, name, func(t *testing.T) {
			store, reported := newLeaseDouble(), new(reports)
			s := newScope(t, on(store.as(likeShared)), reported.collect(), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) { o.BreakerCooldown = time.Hour }))
			src := newGated(1)
			src.fail(fails)
			before := wrapAsync(t.Context(), s, "k", src.load)
			synctest.Wait() // it has the lease
			store.server.network.cut.Store(true)
			for range 10 {
				value, err := readthrough.Wrap(t.Context(), s, "other", newSource(2).load)
				want(t, "in the outage", value, err, 2)
			}
			acquires := store.count("acquire")
			close(src.gate)
			r := <-before
			assert.ErrorIs(t, r.err, fails, "got %d", r.value)
			value, err := readthrough.Wrap(t.Context(), s, "other", newSource(2).load)
			want(t, "afterwards", value, err, 2)
			synctest.Wait()
			sent := [3]int64{store.count("acquire") - acquires, store.count("fill"), store.count("release")}
			assert.Zero(t, sent, "then requests for leases, fills and releases were sent")
			assert.LessOrEqual(t, acquires, int64(5), "requests for leases at first")
			store.server.network.cut.Store(false)
		})
	}
}

// processOn returns a scope in a process of its own that shares a server.
func processOn(t *testing.T, server *leaseServer, options readthrough.ScopeOptions) *readthrough.CachedScope {
	t.Helper()
	cache, err := readthrough.New(&leaseStore{server, &network{}}, readthrough.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = cache.Close() })
	options.TTL, options.Jitter = 10*time.Second, -1
	scope, err := cache.Scope("fleet", options)
	require.NoError(t, err)
	return scope
}

// During a deploy, two processes have different options. An entry that one of them keeps and the other
// may not serve is replaced like any other: its reader waits for nobody, and what it loads is stored.
func TestEntryThatAnotherProcessKeepsIsReplaced(t *testing.T) {
	keeps := map[string]readthrough.ScopeOptions{
		"nothing":              {},
		"StaleIfError":         {StaleIfError: time.Hour},
		"StaleWhileRevalidate": {StaleWhileRevalidate: time.Hour},
		"RefreshAheadFactor":   {RefreshAheadFactor: 0.5},
	}
	for before, old := range keeps {
		for after, young := range keeps {
			for way, read := range resultReads[int]() {
				bubble(t, before+" to "+after+", "+way, func(t *testing.T) {
					server := newLeaseServer()
					first, second := processOn(t, server, old), processOn(t, server, young)
					load := func(value int) func(context.Context) (int, error) {
						return func(context.Context) (int, error) { return value, nil }
					}
					_, err := read(t.Context(), first, "k", load(1))
					require.NoError(t, err)
					time.Sleep(time.Minute) // the TTL is over; what is served stale depends on the process
					began := time.Now()
					_, err = read(t.Context(), second, "k", load(2))
					require.NoError(t, err)
					synctest.Wait()
					assert.Zero(t, time.Since(began), "the read has waited")
					got, err := read(t.Context(), second, "k", load(3))
					require.NoError(t, err)
					assert.Equal(t, 2, got.Value, "what was loaded was not stored")
					assert.Equal(t, readthrough.FromStore, got.Source)
					got, err = read(t.Context(), first, "k", load(4))
					require.NoError(t, err)
					assert.Equal(t, 2, got.Value, "the other process")
					wantIdle(t, first)
					wantIdle(t, second)
				})
			}
		}
	}
}
