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
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// TestStaleBoundaries reads a value of version 1 at the boundaries of its life, to
// the nanosecond, from a source that has version 2 or fails.
func TestStaleBoundaries(t *testing.T) {
	const ttl, swr, sie = 10 * time.Second, 5 * time.Second, 20 * time.Second
	const store, load, old = readthrough.FromStore, readthrough.FromLoad, readthrough.FromStale
	both := readthrough.ScopeOptions{StaleWhileRevalidate: swr, StaleIfError: sie}
	for _, test := range []struct {
		name    string
		options readthrough.ScopeOptions
		age     time.Duration
		source  readthrough.Source // of a read, if the source answers
		refresh bool               // it is loaded in the background
		falls   bool               // a read gets the stale value if the source fails, and otherwise the error
	}{
		{"fresh", both, ttl - 1, store, false, true},
		{"stale", both, ttl, old, true, true},
		{"still stale", both, ttl + swr - 1, old, true, true},
		{"fallback", both, ttl + swr, load, false, true},
		{"still fallback", both, ttl + sie - 1, load, false, true},
		{"over", both, ttl + sie, load, false, false},
		{"only while revalidating", readthrough.ScopeOptions{StaleWhileRevalidate: swr}, ttl + swr - 1, old, true, true},
		{"only while revalidating, over", readthrough.ScopeOptions{StaleWhileRevalidate: swr}, ttl + swr, load, false, false},
		{"only on error", readthrough.ScopeOptions{StaleIfError: sie}, ttl, load, false, true},
		{"ahead, fresh", readthrough.ScopeOptions{RefreshAheadFactor: 0.75}, 7500*time.Millisecond - 1, store, false, true},
		{"ahead", readthrough.ScopeOptions{RefreshAheadFactor: 0.75}, 7500 * time.Millisecond, store, true, true},
		{"ahead, over", readthrough.ScopeOptions{RefreshAheadFactor: 0.75}, ttl, load, false, false},
		{"lottery", readthrough.ScopeOptions{XFetchBeta: 1e9}, 0, store, true, true},
	} {
		for name, read := range resultReads[int]() {
			for kind, newStore := range storeKinds() {
				for _, fails := range []bool{false, true} {
					bubble(t, fmt.Sprintf("%s/%s/%s/fails %v", test.name, name, kind, fails), func(t *testing.T) {
						test.options.TTL, test.options.Jitter = ttl, -1
						s := newScope(t, on(newStore(t)), with(func(_ *readthrough.Options, so *readthrough.ScopeOptions) { *so = test.options }))
						src := newSource(1)
						src.take(time.Millisecond)
						_, err := read(t.Context(), s, "k", src.load)
						require.NoError(t, err)
						src.take(0)
						src.set(2)
						wanted := readthrough.Result[int]{Value: 1, Source: test.source, Age: test.age}
						switch {
						case fails && test.source == load:
							src.fail(errDatabase)
							wanted.Source, wanted.Err = old, errDatabase
						case fails:
							src.fail(errDatabase)
						case test.source == load:
							wanted.Value, wanted.Age = 2, 0
						}
						time.Sleep(test.age)
						got, err := read(t.Context(), s, "k", src.load)
						if fails && !test.falls {
							assert.ErrorIs(t, err, errDatabase, "got %+v", got)
							return
						}
						wantResult(t, "the read", got, err, wanted)
						wantRefreshed(t, s, src, test.refresh, test.refresh || test.source == load)
						if test.refresh && !fails {
							got, err := read(t.Context(), s, "k", src.load)
							wantResult(t, "the next read", got, err, readthrough.Result[int]{Value: 2, Source: store})
						}
						wantIdle(t, s)
					})
				}
			}
		}
	}
}

// wantRefreshed compares what a scope and a source count after the first load.
func wantRefreshed(t *testing.T, s *readthrough.CachedScope, src *source[int], refreshed, loaded bool) {
	t.Helper()
	synctest.Wait()
	count := func(b bool) int64 { return map[bool]int64{true: 1}[b] }
	wantLoads(t, &src.loads, 1+count(loaded))
	assert.Equal(t, count(refreshed), s.Stats().Refreshes, "refreshes counted")
}

// What is kept beyond its TTL is kept no longer than it can be served.
func TestStaleValuesLeaveTheStore(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }))
		_, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
		require.NoError(t, err)
		time.Sleep(time.Minute + time.Hour - 1)
		_, ok := stored(t, store, "k")
		assert.True(t, ok, "gone before the end")
		time.Sleep(1)
		_, ok = stored(t, store, "k")
		assert.False(t, ok, "still there after the end")
	})
}

// However many read a stale key, alone and in bulk, it is loaded once in the
// process, and meanwhile all are served at once.
func TestOneRefreshPerKey(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour }))
		keys := []string{"a", "b"}
		_, err := readthrough.WrapMany(t.Context(), s, keys, self, many(newSource(1).load))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		src := newSource(2)
		src.take(time.Second)
		elapsed := took(func() {
			for i := range 100 {
				if i%2 == 0 {
					value, err := readthrough.Wrap(t.Context(), s, keys[i%4/2], src.load)
					want(t, "single", value, err, 1)
					continue
				}
				values, err := readthrough.WrapMany(t.Context(), s, keys, self, many(src.load))
				want(t, "bulk", values["a"]+values["b"], err, 2)
			}
		})
		time.Sleep(time.Minute)
		wantLoads(t, &src.loads, 2)
		stats := s.Stats()
		assert.Zero(t, elapsed, "took")
		assert.Equal(t, int64(150), stats.Stale, "stale values")
		assert.Equal(t, int64(2), stats.Refreshes, "refreshes counted")
	})
}

// One refresh across processes that share a store with leases.
func TestOneRefreshAcrossProcesses(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		server := newLeaseServer()
		src := newSource(1)
		var processes []*readthrough.CachedScope
		for range 3 {
			processes = append(processes, newScope(t, on(&leaseStore{server, &network{}}), serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour })))
		}
		read := func() (sum int) {
			for range 10 {
				for _, s := range processes {
					value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
					assert.NoError(t, err)
					sum += value
				}
				time.Sleep(10 * time.Millisecond)
			}
			return sum
		}
		read()
		time.Sleep(time.Minute)
		src.set(2)
		src.take(100 * time.Millisecond)
		assert.Equal(t, 30, read(), "the sum of 30 reads while one process loads")
		synctest.Wait()
		assert.Equal(t, 60, read(), "the sum of 30 reads after it")
		wantLoads(t, &src.loads, 2)
	})
}

// G1 and G2 for a load in the background: what it read before an invalidation is
// neither stored nor served after it.
func TestInvalidationDuringARefresh(t *testing.T) {
	onEachPath(t, func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour }, func(t *testing.T, p *path) {
		src := newSource(1)
		p.fill(src.load)
		time.Sleep(time.Minute)
		src.set(2)
		src.gate = make(chan struct{})
		got, err := p.read(src.load)
		wantResult(t, "stale", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStale, Age: time.Minute})
		synctest.Wait()
		src.set(3)
		p.invalidateNow()
		after := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
		synctest.Wait()
		close(src.gate)
		r := <-after
		assert.NoError(t, r.err, "after the invalidation: 3 from a load")
		assert.Equal(t, 3, r.value.Value, "after the invalidation: 3 from a load")
		assert.Equal(t, readthrough.FromLoad, r.value.Source, "after the invalidation: 3 from a load")
		wantIdle(t, p.scope)
		if v, ok := stored(t, p.store, "k:1"); ok {
			assert.Equal(t, 3, v, "what is stored")
		}
		assert.NotZero(t, p.scope.Stats().RefusedFills, "the fill of the refresh was not refused")
	})
}

// A stale value that a reader has for want of another is its own: it may take it
// although it was invalidated since it looked, and a reader that begins after the
// invalidation may not.
func TestInvalidationAndAStaleValueInHand(t *testing.T) {
	onEachPath(t, func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }, func(t *testing.T, p *path) {
		src := newSource(1)
		p.fill(src.load)
		time.Sleep(time.Minute)
		src.fail(errDatabase)
		src.gate = make(chan struct{})
		before := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
		synctest.Wait()
		p.invalidateNow()
		after := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
		synctest.Wait()
		close(src.gate)
		r := <-before
		wantResult(t, "before", r.value, r.err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStale, Age: time.Minute, Err: errDatabase})
		r = <-after
		assert.ErrorIs(t, r.err, errDatabase, "after the invalidation: got %+v", r.value)
		wantIdle(t, p.scope)
	})
}

// A load that takes longer than SoftLoadTimeout goes on without its readers, and
// fills, unless an invalidation came; the next reader begins another then.
func TestSoftLoadTimeout(t *testing.T) {
	onEachPath(t, func(so *readthrough.ScopeOptions) { so.StaleIfError, so.SoftLoadTimeout = 3*time.Hour, time.Second }, func(t *testing.T, p *path) {
		src := newSource(1)
		expect := func(what string, value int, source readthrough.Source, age, within time.Duration, cause error) {
			t.Helper()
			var got readthrough.Result[int]
			var err error
			assert.Equal(t, within, took(func() { got, err = p.read(src.load) }), "%s: took", what)
			wantResult(t, what, got, err, readthrough.Result[int]{Value: value, Source: source, Age: age, Err: cause})
		}
		expect("first", 1, readthrough.FromLoad, 0, 0, nil)
		time.Sleep(time.Minute)
		src.set(2)
		src.take(time.Second - 1) // which is in time
		expect("a load in time", 2, readthrough.FromLoad, 0, time.Second-1, nil)
		time.Sleep(time.Minute)
		src.set(3)
		src.take(time.Second + 1)
		expect("a slow load", 2, readthrough.FromStale, time.Minute+time.Second, time.Second, readthrough.ErrStillLoading)
		expect("again", 2, readthrough.FromStale, time.Minute+time.Second, 0, readthrough.ErrStillLoading)
		wantLoads(t, &src.loads, 3)
		time.Sleep(2)
		expect("after the load", 3, readthrough.FromStore, 1, 0, nil)
		time.Sleep(time.Minute)
		src.take(time.Hour)
		expect("a load that hangs", 3, readthrough.FromStale, time.Minute+1+time.Second, time.Second, readthrough.ErrStillLoading)
		src.set(4)
		p.invalidateNow()
		src.take(time.Millisecond)
		expect("after an invalidation", 4, readthrough.FromLoad, 0, time.Millisecond, nil)
		time.Sleep(2 * time.Hour) // the load that hung has ended
		wantIdle(t, p.scope)
		v, _ := stored(t, p.store, "k:1")
		assert.Equal(t, 4, v, "what is stored")
	})
}

// A bulk read leaves a slow load only if it has a stale value for all that it
// loads.
func TestSoftLoadTimeoutOfABulkRead(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.StaleIfError, so.SoftLoadTimeout = time.Hour, time.Second }))
		src := newSource(1)
		read := func(ids ...string) (map[string]int, error) {
			return readthrough.WrapMany(t.Context(), s, ids, self, many(src.load))
		}
		_, err := read("a", "b")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		src.set(2)
		src.take(time.Minute / 2)
		elapsed := took(func() {
			values, err := read("a", "new")
			want(t, "with a new id", values["a"]*10+values["new"], err, 22)
		})
		assert.Equal(t, time.Minute/2, elapsed, "with a new id: took what the load takes")
		elapsed = took(func() {
			values, err := read("a", "b")
			want(t, "of what there is", values["a"]*10+values["b"], err, 21)
		})
		assert.Equal(t, time.Second, elapsed, "of what there is: took")
		time.Sleep(time.Minute)
		wantIdle(t, s)
	})
}

// Absences are not served stale, and one that the source reports replaces a stale
// value, also where it is not stored itself.
func TestStaleValueAndAbsence(t *testing.T) {
	for _, negative := range []time.Duration{time.Hour, -1} {
		t.Run(fmt.Sprint(negative), func(t *testing.T) {
			onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
				s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) {
					so.StaleWhileRevalidate, so.StaleIfError, so.NegativeTTL = time.Hour, 2*time.Hour, negative
				}))
				src := newSource(1)
				read := func() (int, error) { return readthrough.Wrap(t.Context(), s, "k", src.load) }
				value, err := read()
				want(t, "first", value, err, 1)
				src.fail(readthrough.ErrNotFound)
				time.Sleep(time.Minute)
				value, err = read()
				want(t, "stale", value, err, 1)
				synctest.Wait()
				_, err = read()
				assert.ErrorIs(t, err, readthrough.ErrNotFound, "after the refresh")
				if negative > 0 { // which the refresh has stored
					wantLoads(t, &src.loads, 2)
				}
				src.fail(nil)
				time.Sleep(time.Minute) // the TTL bounds that of absences
				value, err = read()
				want(t, "after the absence", value, err, 1)
			})
		})
	}
}

// Who has to load gets the absence that the source reports, and no stale value.
func TestAbsenceComesBeforeAStaleValue(t *testing.T) {
	onEachPath(t, func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }, func(t *testing.T, p *path) {
		src := newSource(1)
		p.fill(src.load)
		time.Sleep(time.Minute)
		src.fail(readthrough.ErrNotFound)
		got, err := p.read(src.load)
		assert.ErrorIs(t, err, readthrough.ErrNotFound, "got %+v", got)
	})
}

// A refresh by hand that finds an absence, where absences are not stored.
func TestRefreshOfWhatIsGone(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.NegativeTTL = -1 }))
		src := newSource(1)
		_, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		require.NoError(t, err)
		src.fail(readthrough.ErrNotFound)
		_, err = readthrough.Refresh(t.Context(), s, "k", src.load)
		assert.ErrorIs(t, err, readthrough.ErrNotFound, "Refresh")
		v, ok := stored(t, store, "k")
		assert.False(t, ok, "%v is still stored", v)
	})
}

// The same, but the load wants that nothing changes.
func TestRefreshOfWhatIsGoneThatIsNotStored(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.NegativeTTL = -1 }))
		_, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
		require.NoError(t, err)
		_, err = readthrough.Refresh(t.Context(), s, "k", func(ctx context.Context) (int, error) {
			readthrough.LoadOf(ctx, "k").DoNotStore()
			return 0, readthrough.ErrNotFound
		})
		assert.ErrorIs(t, err, readthrough.ErrNotFound, "Refresh")
		v, _ := stored(t, store, "k")
		assert.Equal(t, 1, v, "what is stored")
	})
}

// A value that another process keeps for longer is served no longer for that.
func TestValueThatOthersKeepForLonger(t *testing.T) {
	for name, read := range resultReads[int]() {
		t.Run(name, func(t *testing.T) {
			onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
				keep := func(d time.Duration) func(*setup) {
					return serving(func(so *readthrough.ScopeOptions) { so.StaleIfError = d })
				}
				other, s := newScope(t, on(store), keep(time.Hour)), newScope(t, on(store), keep(time.Minute))
				src := newSource(1)
				_, err := readthrough.Wrap(t.Context(), other, "k", src.load)
				require.NoError(t, err)
				time.Sleep(2 * time.Minute)
				src.fail(errDatabase)
				got, err := read(t.Context(), s, "k", src.load)
				assert.ErrorIs(t, err, errDatabase, "got %+v", got)
			})
		})
	}
}

// A load in the background goes on, whoever has joined and left it.
func TestRefreshThatWasJoinedGoesOn(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s, src := newScope(t, on(store), keepsStale()), newSource(1)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "first", value, err, 1)
		time.Sleep(time.Minute)
		src.set(2)
		src.gate = make(chan struct{})
		value, err = readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "stale", value, err, 1)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = readthrough.Refresh(ctx, s, "k", src.load)
		assert.ErrorIs(t, err, context.DeadlineExceeded, "who joined and left")
		close(src.gate)
		synctest.Wait()
		v, _ := stored(t, store, "k")
		assert.Equal(t, 2, v, "what is stored")
	})
}

// A load that ends by its timeout has failed for all who read the key, although
// one reader has left it before.
func TestTimeoutOfALoadThatWasLeft(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, serving(func(so *readthrough.ScopeOptions) {
			so.StaleIfError, so.SoftLoadTimeout, so.LoadTimeout, so.RetryAfter = time.Hour, time.Second, 2*time.Second, time.Minute
		}))
		src := newSource(1)
		read := func(cause error) {
			t.Helper()
			got, err := readthrough.WrapResult(t.Context(), s, "k", src.stubborn)
			assert.NoError(t, err)
			assert.Equal(t, 1, got.Value)
			assert.ErrorIs(t, got.Err, cause)
		}
		read(nil)
		time.Sleep(time.Minute)
		src.gate = make(chan struct{})
		refreshed := async(func() (int, error) {
			time.Sleep(time.Second / 2)
			return readthrough.Refresh(t.Context(), s, "k", src.stubborn) // joins
		})
		read(readthrough.ErrStillLoading)
		assert.ErrorIs(t, (<-refreshed).err, readthrough.ErrLoadTimeout, "Refresh")
		time.Sleep(time.Minute / 2)
		read(readthrough.ErrLoadTimeout)
		wantLoads(t, &src.loads, 2)
		time.Sleep(time.Minute/2 + time.Second) // a pause after the timeout
		read(readthrough.ErrStillLoading)
		wantLoads(t, &src.loads, 3)
		close(src.gate)
		wantIdle(t, s)
	})
}

// A load function that reads its own key does not get the value that it is to
// replace.
func TestRefreshThatReadsItsOwnKey(t *testing.T) {
	for name, read := range resultReads[int]() {
		for _, by := range []string{"single", "bulk"} {
			bubble(t, name+" in "+by, func(t *testing.T) {
				s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour }))
				_, err := read(t.Context(), s, "k", newSource(1).load)
				require.NoError(t, err)
				time.Sleep(time.Minute)
				var got atomic.Pointer[error]
				_, err = resultReads[int]()[by](t.Context(), s, "k", func(ctx context.Context) (int, error) {
					_, err := read(ctx, s, "k", newSource(2).load)
					got.Store(&err)
					return 3, err
				})
				assert.NoError(t, err, "the stale read")
				synctest.Wait()
				if err := got.Load(); assert.NotNil(t, err, "the read in the load") {
					assert.ErrorIs(t, *err, readthrough.ErrRecursiveLoad, "the read in the load")
				}
				wantIdle(t, s)
			})
		}
	}
}

// Nor does one that reads its own key while its readers wait, and have that value
// for want of another.
func TestLoadThatReadsItsOwnKey(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }))
			_, err := read(t.Context(), s, "k", newSource(1).load)
			require.NoError(t, err)
			time.Sleep(time.Minute)
			got, err := read(t.Context(), s, "k", func(ctx context.Context) (int, error) {
				got, err := read(ctx, s, "k", newSource(2).load)
				assert.ErrorIs(t, err, readthrough.ErrRecursiveLoad, "in the load: got %+v", got)
				return 3, nil
			})
			wantResult(t, "read", got, err, readthrough.Result[int]{Value: 3, Source: readthrough.FromLoad})
			wantIdle(t, s)
		})
	}
}

// A load in the background has the values of the context of the read that began
// it, but not its end, and the TTL of that read.
func TestRefreshBelongsToNoReader(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour }))
			_, err := read(t.Context(), s, "k", newSource(1).load)
			require.NoError(t, err)
			time.Sleep(time.Minute)
			type name struct{}
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), name{}, "of the reader"))
			_, err = read(ctx, s, "k", func(ctx context.Context) (int, error) {
				time.Sleep(time.Second)
				assert.Equal(t, "of the reader", ctx.Value(name{}), "the value of the reader's context is missing")
				return 2, ctx.Err()
			})
			cancel()
			assert.NoError(t, err)
			time.Sleep(time.Second)
			synctest.Wait()
			got, err := read(t.Context(), s, "k", newSource(3).load)
			wantResult(t, "the next read", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromStore})
		})
	}
}

// Close ends the loads in the background.
func TestCloseEndsRefreshes(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		cache := newCache(t, store, readthrough.Options{OnError: func(*readthrough.OpError) {}})
		s, err := cache.Scope("test", readthrough.ScopeOptions{TTL: time.Minute, StaleWhileRevalidate: time.Hour, Jitter: -1})
		require.NoError(t, err)
		src := newSource(1)
		_, err = readthrough.Wrap(t.Context(), s, "k", src.load)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		src.gate = make(chan struct{}) // never opened
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "stale", value, err, 1)
		synctest.Wait()
		assert.NoError(t, cache.Close())
		wantIdle(t, s)
		wantLoads(t, &src.loads, 2)
	})
}

// countedEntries is a memory store that counts the entries that it is asked for: a value alone is none.
type countedEntries struct {
	*memory.Store

	entries *atomic.Int64
}

func (s countedEntries) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	s.entries.Add(1)
	return s.Store.Get(ctx, key)
}

func (s countedEntries) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	s.entries.Add(int64(len(keys)))
	return s.Store.GetMany(ctx, keys)
}

// A hit asks for the value alone, but not where values are loaded ahead of time, since only the entry
// tells when.
func TestHitsAskForValues(t *testing.T) {
	reads := map[string]func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) (int, error){
		"single": func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) (int, error) {
			return readthrough.Wrap(ctx, s, "k", load)
		},
		"bulk": func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) (int, error) {
			values, err := readthrough.WrapMany(ctx, s, []string{"k"}, self, many(load))
			return values["k"], err
		},
	}
	for name, scope := range map[string]struct {
		change func(*readthrough.ScopeOptions)
		ahead  bool
	}{
		"revalidate": {func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Minute }, false},
		"on error":   {func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Minute }, false},
		"ahead":      {func(so *readthrough.ScopeOptions) { so.RefreshAheadFactor = 0.5 }, true},
		"lottery":    {func(so *readthrough.ScopeOptions) { so.XFetchBeta = 1 << 40 }, true}, // which everybody wins
	} {
		for kind, read := range reads {
			bubble(t, name+"/"+kind, func(t *testing.T) {
				store, src := countedEntries{newStore(t), new(atomic.Int64)}, newSource(1)
				src.take(time.Second)
				s := newScope(t, on(store), serving(scope.change))
				_, err := read(t.Context(), s, src.load)
				require.NoError(t, err)
				before := store.entries.Load()
				time.Sleep(59 * time.Second)
				value, err := read(t.Context(), s, src.load)
				want(t, "a hit", value, err, 1)
				if !scope.ahead {
					assert.Equal(t, before, store.entries.Load(), "it has asked for an entry")
				}
				time.Sleep(2 * time.Second)
				if scope.ahead {
					wantLoads(t, &src.loads, 2)
				} else {
					wantLoads(t, &src.loads, 1)
				}
				wantIdle(t, s)
			})
		}
	}
}
