package readthrough_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// Refresh loads whatever is stored, serves that meanwhile, and stores what it
// loaded for a new TTL.
func TestRefresh(t *testing.T) {
	onEachPath(t, func(*readthrough.ScopeOptions) {}, func(t *testing.T, p *path) {
		src := newSource(1)
		value, err := readthrough.Refresh(t.Context(), p.scope, "k:1", src.load)
		want(t, "of nothing", value, err, 1)
		time.Sleep(time.Second)
		src.set(2)
		src.take(time.Second)
		refreshed := async(func() (int, error) {
			return readthrough.Refresh(t.Context(), p.scope, "k:1", src.load, readthrough.TTL(time.Hour))
		})
		synctest.Wait()
		got, err := p.read(src.load)
		wantResult(t, "meanwhile", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStore, Age: time.Second})
		r := <-refreshed
		want(t, "Refresh", r.value, r.err, 2)
		got, err = p.read(src.load)
		wantResult(t, "afterwards", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromStore})
		wantLoads(t, &src.loads, 2)
		wantStoredFor(t, p.store, "k:1", time.Hour)
	})
}

// A refresh that fails returns the error and no stale value, and leaves what is
// stored, whose failure does not keep the next refresh from asking.
func TestRefreshThatFails(t *testing.T) {
	change := func(so *readthrough.ScopeOptions) { so.StaleIfError, so.ErrorTTL = time.Hour, time.Hour }
	onEachPath(t, change, func(t *testing.T, p *path) {
		src := newSource(1)
		p.fill(src.load)
		src.fail(errDatabase)
		for range 3 {
			value, err := readthrough.Refresh(t.Context(), p.scope, "k:1", src.load)
			assert.Zero(t, value)
			assert.ErrorIs(t, err, errDatabase)
		}
		wantLoads(t, &src.loads, 4)
		got, err := p.read(src.load)
		wantResult(t, "what is stored", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStore})
		wantStoredFor(t, p.store, "k:1", time.Minute+time.Hour)
	})
}

// A refresh takes what others load only if that load began after the refresh did;
// of two loads of a key never more than one runs at once. Reads join its load.
func TestRefreshAndTheLoadsOfOthers(t *testing.T) {
	onEachPath(t, func(*readthrough.ScopeOptions) {}, func(t *testing.T, p *path) {
		src := newSource(1)
		src.take(time.Second)
		began := time.Now()
		reader := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
		synctest.Wait()
		src.set(2)
		refresh := func() (int, error) { return readthrough.Refresh(t.Context(), p.scope, "k:1", src.load) }
		first, second := async(refresh), async(refresh)
		if r := <-reader; assert.NoError(t, r.err, "the reader") {
			assert.Equal(t, 1, r.value.Value, "the reader")
		}
		for name, refreshed := range map[string]<-chan result[int]{"first": first, "second": second} {
			r := <-refreshed
			want(t, name, r.value, r.err, 2)
			assert.Equal(t, 2*time.Second, time.Since(began), "the %s refresh took", name)
		}
		wantLoads(t, &src.loads, 2)
		require.NoError(t, p.scope.Invalidate(t.Context(), "k:1"))
		third := async(refresh)
		synctest.Wait()
		got, err := p.read(src.load)
		wantResult(t, "a reader that joins", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromLoad})
		r := <-third
		want(t, "third", r.value, r.err, 2)
		wantLoads(t, &src.loads, 3)
	})
}

// A refresh that finds a load in the background, which began before it, waits for
// that and loads again.
func TestRefreshAndALoadInTheBackground(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour }))
		src := newSource(1)
		_, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		src.take(time.Second)
		_, err = readthrough.Wrap(t.Context(), s, "k", src.load)
		require.NoError(t, err)
		synctest.Wait()
		src.set(2)
		value, err := readthrough.Refresh(t.Context(), s, "k", src.load)
		want(t, "Refresh", value, err, 2)
		wantLoads(t, &src.loads, 3)
		wantIdle(t, s)
	})
}

// An invalidation wins over a refresh: what was loaded before it is not stored.
func TestInvalidationDuringARefreshByHand(t *testing.T) {
	onEachPath(t, func(*readthrough.ScopeOptions) {}, func(t *testing.T, p *path) {
		src := newSource(1)
		p.fill(src.load)
		src.take(time.Second)
		refreshed := async(func() (int, error) { return readthrough.Refresh(t.Context(), p.scope, "k:1", src.load) })
		synctest.Wait()
		src.set(2)
		p.invalidateNow()
		after := async(func() (int, error) { return readthrough.Refresh(t.Context(), p.scope, "k:1", src.load) })
		r := <-refreshed
		want(t, "before", r.value, r.err, 1)
		r = <-after
		want(t, "after", r.value, r.err, 2)
		v, _ := stored(t, p.store, "k:1")
		assert.Equal(t, 2, v, "what is stored")
	})
}

// A refresh belongs to the key like any load: who leaves last cancels it, panics
// and Goexit come back as errors, and Close ends it.
func TestHowARefreshEnds(t *testing.T) {
	for _, failure := range failures {
		bubble(t, failure.name, func(t *testing.T) {
			s := newScope(t)
			_, err := readthrough.Refresh(t.Context(), s, "k", func(context.Context) (int, error) { return 0, failure.fail() })
			assert.True(t, failure.check(err), "got %v", err)
			wantIdle(t, s)
		})
	}
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s, src := newScope(t, on(store)), newGated(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := readthrough.Refresh(ctx, s, "k", src.load)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		wantIdle(t, s) // its load was cancelled
	})
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		cache := newCache(t, store, readthrough.Options{OnError: func(*readthrough.OpError) {}})
		s, err := cache.Scope("test", readthrough.ScopeOptions{TTL: time.Minute})
		require.NoError(t, err)
		src := newGated(1)
		refreshed := async(func() (int, error) { return readthrough.Refresh(t.Context(), s, "k", src.load) })
		synctest.Wait()
		assert.NoError(t, cache.Close())
		assert.ErrorIs(t, (<-refreshed).err, readthrough.ErrClosed)
		wantIdle(t, s)
	})
}

// Refreshes of several processes at once take what the others store, as long as it
// was loaded after they began.
func TestRefreshInSeveralProcesses(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		server := newLeaseServer()
		src := newSource(1)
		src.take(time.Second)
		one, other := newScope(t, on(&leaseStore{server, &network{}})), newScope(t, on(&leaseStore{server, &network{}}))
		refreshed := async(func() (int, error) { return readthrough.Refresh(t.Context(), one, "k", src.load) })
		synctest.Wait()
		src.set(2)
		value, err := readthrough.Refresh(t.Context(), other, "k", src.load)
		want(t, "the later one", value, err, 2)
		r := <-refreshed
		want(t, "the earlier one", r.value, r.err, 1)
		wantLoads(t, &src.loads, 2)
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

// Refresh gets the lease whatever others store meanwhile.
func TestRefreshOfWhatOthersReplace(t *testing.T) {
	onContested(t, 0, func(t *testing.T, store *leaseDouble, s *readthrough.CachedScope, _ func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
		store.before("refresh", func(string) {
			store.server.change(contestedKey, func(s *slot) { s.entry.LoadedAt = s.entry.LoadedAt.Add(1) })
		})
		elapsed := took(func() {
			value, err := readthrough.Refresh(t.Context(), s, contestedKey.Name, newSource(2).load)
			want(t, "Refresh", value, err, 2)
		})
		entry, _ := store.server.peek(contestedKey)
		assert.Equal(t, 2, entry.Value, "what is stored")
		assert.Zero(t, elapsed, "stored at once")
	})
}

// A Refresh whose call ends before its load begins has failed: it does not try again without end.
func TestRefreshThatEndsBeforeItsLoad(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := plain(newStore(t))
		s := newScope(t, on(store.as(likeMemory)))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store.before("getMany", func(string) {
			if store.count("getMany") > 10 {
				cancel()
			}
			runtime.Goexit()
		})
		_, err := readthrough.Refresh(ctx, s, "k", newSource(1).load)
		assert.ErrorIs(t, err, readthrough.ErrGoexit)
		assert.Equal(t, int64(1), store.count("getMany"), "looks")
		wantIdle(t, s)
	})
}

// What the second look of a load reports is told after the load has landed: OnError may read the key.
func TestOnErrorOfASecondLookReadsTheKey(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := plain(newStore(t))
		src := newSource(1)
		var s *readthrough.CachedScope
		var told []error
		s = newScope(t, on(store.as(0)), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.OnError = func(*readthrough.OpError) {
				store.heal()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := readthrough.Wrap(ctx, s, "k", src.load)
				told = append(told, err)
			}
		}))
		store.fail(faultError, "get")
		value, err := readthrough.Refresh(t.Context(), s, "k", src.load)
		want(t, "Refresh", value, err, 1)
		wantIdle(t, s)
		assert.Equal(t, []error{nil}, told, "reads by OnError")
	})
}
