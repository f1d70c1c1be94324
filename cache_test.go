package readthrough_test

import (
	"context"
	"fmt"
	"runtime"
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

// TestCloseSendsReadersAway at once, whether their load obeys or not.
func TestCloseSendsReadersAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := plain(newStore(t))
		cache, err := readthrough.New(store, readthrough.Options{})
		require.NoError(t, err)
		scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
		require.NoError(t, err)
		stubborn := newGated(2)
		var causes []error
		obeys := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			causes = append(causes, context.Cause(ctx))
			return 0, ctx.Err() // which says nothing of Close
		}
		var readers []<-chan result[int]
		for range 50 {
			readers = append(readers, wrapAsync(t.Context(), scope, "obeys", obeys))
		}
		readers = append(
			readers,
			wrapAsync(t.Context(), scope, "stubborn", stubborn.stubborn),
			wrapAsync(t.Context(), scope, "stubborn", stubborn.stubborn),
			async(func() (int, error) {
				_, err := readthrough.WrapMany(t.Context(), scope, []string{"stubborn", "bulk"}, func(k string) string { return k },
					func(ctx context.Context, _ []string) (map[string]int, error) {
						<-ctx.Done()
						return nil, ctx.Err()
					})
				return 0, err
			}),
		)
		synctest.Wait()
		elapsed := took(func() {
			assert.NoError(t, cache.Close(), "Close")
		})
		assert.Zero(t, elapsed, "Close took")
		for i, reader := range readers {
			assert.ErrorIs(t, (<-reader).err, readthrough.ErrClosed, "reader %d", i)
		}
		synctest.Wait()
		if assert.Len(t, causes, 1, "the load was cancelled") {
			assert.ErrorIs(t, causes[0], readthrough.ErrClosed, "the load was cancelled")
		}
		sets := store.count("set")
		close(stubborn.gate) // its load returns after Close
		synctest.Wait()
		assert.Equal(t, sets, store.count("set"), "fills after Close")
		assert.Zero(t, scope.Stats().InFlight, "in flight after Close")
	})
}

func TestCloseClosesTheStore(t *testing.T) {
	store := plain(provider.Null())
	store.fail(faultError, "close")
	cache, err := readthrough.New(store.as(capCloses), readthrough.Options{})
	require.NoError(t, err)
	assert.ErrorIs(t, cache.Close(), errFault, "Close returns the error of the store")
	assert.NoError(t, cache.Close(), "Close again")
	assert.Equal(t, int64(1), store.count("close"), "the store was closed")
}

func TestCloseConcurrently(t *testing.T) {
	store := plain(newStore(t))
	cache, err := readthrough.New(store.as(capCloses), readthrough.Options{})
	require.NoError(t, err)
	scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
	require.NoError(t, err)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for {
				_, err := readthrough.Wrap(t.Context(), scope, "k", func(context.Context) (int, error) { return 1, nil })
				if err == nil {
					err = scope.Invalidate(t.Context(), "k")
				}
				if err == nil {
					_, err = cache.Scope(string(rune('a'+i)), readthrough.ScopeOptions{TTL: time.Minute})
				}
				if err != nil {
					assert.ErrorIs(t, err, readthrough.ErrClosed)
					return
				}
			}
		})
	}
	for range 3 {
		group.Go(func() {
			assert.NoError(t, cache.Close(), "Close")
		})
	}
	group.Wait()
	assert.Equal(t, int64(1), store.count("close"), "the store was closed")
}

// TestCloseEndsGoroutines, after everything that starts some.
func TestCloseEndsGoroutines(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		goroutines, _ := bubbled()
		r := newRig(t, readthrough.Options{}, capBatches)
		r.readAll(1)
		r.readAll(10)
		r.store.failAll(faultHang)
		r.readAll(3)
		_ = r.scope.Invalidate(t.Context(), "k")
		_, _ = r.scope.InvalidatePrefix(t.Context(), "p")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		r.delay = time.Hour
		_, _ = r.readCtx(ctx, r.scope, "left")
		assert.ErrorIs(t, r.cache.Close(), readthrough.ErrInvalidationPending, "Close")
		time.Sleep(time.Hour) // of the load function that pays no attention
		wantGoroutines(t, goroutines)
	})
}

// TestCloseWaitsForRetries: when Close returns, the retry that was under way has.
func TestCloseWaitsForRetries(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		goroutines, _ := bubbled()
		r := newRig(t, readthrough.Options{}, 0)
		r.store.fail(faultError, "delete")
		require.ErrorIs(t, r.scope.Invalidate(t.Context(), "k"), readthrough.ErrInvalidationPending)
		r.store.heal()
		retrying, retried := false, false
		r.store.hook("delete", func(context.Context, []string) error {
			if retrying {
				return nil
			}
			retrying = true
			time.Sleep(300 * time.Millisecond)
			retried = true
			return nil
		})
		time.Sleep(100 * time.Millisecond)
		running, _ := r.store.concurrency()
		require.Equal(t, 1, running, "calls of the store: a retry")
		assert.NoError(t, r.cache.Close(), "Close")
		assert.True(t, retried, "Close has returned before the retry")
		wantGoroutines(t, goroutines)
	})
}

// TestCloseOfAnObedientLoad: a load that returns at once with the error of its
// context does not make a reader, whose own context is fine, believe that it has
// ended.
func TestCloseOfAnObedientLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		holdUp := func(context.Context, readthrough.Event) { <-gate }
		cache, err := readthrough.New(newStore(t), readthrough.Options{Observer: readthrough.Observer{Join: holdUp}})
		require.NoError(t, err)
		scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
		require.NoError(t, err)
		obeys := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
		first := wrapAsync(t.Context(), scope, "k", obeys)
		synctest.Wait()
		second := wrapAsync(t.Context(), scope, "k", obeys) // waits for the load when it is over
		synctest.Wait()
		assert.NoError(t, cache.Close(), "Close")
		synctest.Wait()
		close(gate)
		for i, reader := range []<-chan result[int]{first, second} {
			assert.ErrorIs(t, (<-reader).err, readthrough.ErrClosed, "reader %d", i)
		}
	})
}

// What is closed while a read looks in the store neither loads for it nor in the
// background.
func TestCloseDuringALook(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			store := plain(newStore(t))
			cache := newCache(t, store, readthrough.Options{})
			s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute, StaleWhileRevalidate: time.Hour})
			require.NoError(t, err)
			src := newSource(1)
			_, err = read(t.Context(), s, "stale", src.load)
			require.NoError(t, err)
			time.Sleep(time.Minute)
			looked, closed := make(chan struct{}), make(chan struct{})
			store.after("get", func(string) { looked <- struct{}{}; <-closed })
			missed := async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "missing", src.load) })
			stale := async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "stale", src.load) })
			<-looked
			<-looked
			assert.NoError(t, cache.Close())
			close(closed)
			r := <-missed
			assert.ErrorIs(t, r.err, readthrough.ErrClosed, "a miss: got %+v", r.value)
			r = <-stale
			assert.NoError(t, r.err, "a stale value")
			assert.Equal(t, 1, r.value.Value, "a stale value")
			wantIdle(t, s)
			wantLoads(t, &src.loads, 1)
		})
	}
}

// A reader that has a stale value is told of the end, too.
func TestCloseSendsReadersWithAStaleValueAway(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			cache := newCache(t, plain(newStore(t)), readthrough.Options{})
			s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute, StaleIfError: time.Hour})
			require.NoError(t, err)
			src := newSource(1)
			_, err = read(t.Context(), s, "k", src.load)
			require.NoError(t, err)
			time.Sleep(time.Minute)
			src.gate = make(chan struct{})
			reader := async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "k", src.load) })
			synctest.Wait()
			assert.NoError(t, cache.Close())
			r := <-reader
			assert.ErrorIs(t, r.err, readthrough.ErrClosed, "got %+v", r.value)
			wantIdle(t, s)
		})
	}
}

// Close cancels the loads whose epochs an invalidation has ended, too.
func TestCloseCancelsDetachedLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache, scope := newFleetScope(t, newStore(t), readthrough.Options{}, readthrough.ScopeOptions{})
		release := make(chan struct{})
		reader := wrapAsync(t.Context(), scope, "k", func(ctx context.Context) (int, error) {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-release:
				return 1, nil
			}
		})
		synctest.Wait()
		require.NoError(t, scope.Invalidate(t.Context(), "k"))
		require.NoError(t, cache.Close())
		synctest.Wait()
		select {
		case got := <-reader:
			assert.ErrorIs(t, got.err, readthrough.ErrClosed)
		default:
			t.Error("Close has returned; the reader still waits and its load was not cancelled")
		}
		close(release)
	})
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

func TestScopeNames(t *testing.T) {
	cache := newCache(t, newStore(t), readthrough.Options{})
	for _, name := range []string{"a", "Z", "0", "-", "_", ".", "maintenance-v2.1_X", strings.Repeat("s", 128)} {
		s, err := cache.Scope(name, readthrough.ScopeOptions{TTL: time.Minute})
		if !assert.NoError(t, err, "Scope(%q)", name) {
			continue
		}
		assert.Equal(t, name, s.Name(), "Name()")
	}
}

func TestSameScope(t *testing.T) {
	cache := newCache(t, newStore(t), readthrough.Options{})
	base := readthrough.ScopeOptions{TTL: time.Minute, NotFound: holdingError{1}}
	first, err := cache.Scope("s", base)
	require.NoError(t, err)
	spelled := base // the defaults, spelled out
	spelled.Jitter, spelled.NegativeTTL = 0.1, 5*time.Second
	for _, options := range []readthrough.ScopeOptions{base, spelled} {
		again, err := cache.Scope("s", options)
		assert.NoError(t, err, "Scope again returns the same scope")
		assert.Same(t, first, again, "Scope again returns the same scope")
	}
	changes := map[string]struct {
		change func(*readthrough.ScopeOptions)
		says   string
	}{
		"TTL":         {func(o *readthrough.ScopeOptions) { o.TTL++ }, "TTL is 1m0s, not 1m0.000000001s"},
		"NegativeTTL": {func(o *readthrough.ScopeOptions) { o.NegativeTTL = -1 }, "NegativeTTL is 5s, not -1ns"},
		"Jitter":      {func(o *readthrough.ScopeOptions) { o.Jitter = -1 }, "Jitter is 0.1, not -1"},
		"LoadTimeout": {func(o *readthrough.ScopeOptions) { o.LoadTimeout = 1 }, "LoadTimeout is 0s, not 1ns"},
		"NotFound":    {func(o *readthrough.ScopeOptions) { o.NotFound = holdingError{2} }, "NotFound is "},
		"FinishLoads": {func(o *readthrough.ScopeOptions) { o.FinishLoads = true }, "FinishLoads is false, not true"},
		"ErrorTTL":    {func(o *readthrough.ScopeOptions) { o.ErrorTTL = 1 }, "ErrorTTL is 0s, not 1ns"},
		"two":         {func(o *readthrough.ScopeOptions) { o.MaxLoads, o.StaleIfError = 1, time.Hour }, "StaleIfError is 0s, not 1h0m0s, MaxLoads is 0, not 1"},
	}
	for name, change := range changes {
		options := base
		change.change(&options)
		badCall{name: name, want: `scope "s" exists with other options: ` + change.says, call: func() error {
			_, err := cache.Scope("s", options)
			return err
		}}.run(t, func() int64 { return 0 })
	}
	other, err := cache.Scope("s2", base)
	assert.NoError(t, err, "Scope of another name")
	assert.NotSame(t, first, other, "Scope of another name")
}

// Close of many scopes with pending invalidations, on a store that hangs, takes CloseTimeout and not a
// timeout for each scope.
func TestCloseOfManyScopesIsBounded(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{CloseTimeout: 2 * time.Second, BreakerFailures: -1}, 0)
		r.store.fail(faultHang, "delete")
		var group sync.WaitGroup
		for i := range 100 {
			scope := r.newScope(fmt.Sprint("scope", i))
			group.Go(func() {
				assert.ErrorIs(t, scope.Invalidate(t.Context(), "k"), readthrough.ErrInvalidationPending)
			})
		}
		group.Wait()
		elapsed := took(func() { assert.ErrorIs(t, r.cache.Close(), readthrough.ErrInvalidationPending) })
		assert.LessOrEqual(t, elapsed, 2*time.Second+time.Second, "CloseTimeout, and an attempt that was under way")
		r.store.heal()
	})
}

// TestScopesAreSmall: a service may have many scopes, each with few reads. (The bound is twice what they
// take, since other tests may allocate meanwhile.)
func TestScopesAreSmall(t *testing.T) {
	const scopes, most = 4000, 4 << 10
	cache := newCache(t, newStore(t), readthrough.Options{})
	options := readthrough.ScopeOptions{TTL: time.Hour}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range scopes {
		s, err := cache.Scope(fmt.Sprint("tenant", i), options)
		require.NoError(t, err)
		for range 3 {
			_, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) { return 1, nil })
			require.NoError(t, err)
		}
	}
	each := (heap() - before) / scopes
	t.Logf("%d bytes a scope", each)
	assert.Less(t, each, int64(most), "bytes a scope")
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = cache.Scope("tenant7", options) }), "allocations of a scope that exists")
}
