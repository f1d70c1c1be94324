package readthrough_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// TestCloseSendsReadersAway at once, whether their load obeys or not.
func TestCloseSendsReadersAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := plain(newStore(t))
		cache, err := readthrough.New(store, readthrough.Options{})
		if err != nil {
			t.Fatal(err)
		}
		scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
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
		if elapsed := took(func() {
			if err := cache.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}); elapsed != 0 {
			t.Errorf("Close took %v", elapsed)
		}
		for i, reader := range readers {
			if got := <-reader; !errors.Is(got.err, readthrough.ErrClosed) {
				t.Errorf("reader %d: %v, want ErrClosed", i, got.err)
			}
		}
		synctest.Wait()
		if len(causes) != 1 || !errors.Is(causes[0], readthrough.ErrClosed) {
			t.Errorf("the load was cancelled because of %v", causes)
		}
		sets := store.sets.Load()
		close(stubborn.gate) // its load returns after Close
		synctest.Wait()
		if n := store.sets.Load(); n != sets {
			t.Errorf("%d fills after Close", n-sets)
		}
		if got := scope.Stats().InFlight; got != 0 {
			t.Errorf("%d in flight after Close", got)
		}
	})
}

// closer counts how often it is closed.
type closer struct {
	provider.CacheProvider

	closed int
	err    error
}

func (c *closer) Close() error { c.closed++; return c.err }

func TestCloseClosesTheStore(t *testing.T) {
	store := &closer{CacheProvider: provider.Null(), err: errFault}
	cache, err := readthrough.New(store, readthrough.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := cache.Close(); !errors.Is(err, errFault) {
		t.Errorf("Close: %v, want the error of the store", err)
	}
	if err := cache.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	if store.closed != 1 {
		t.Errorf("the store was closed %d times, want once", store.closed)
	}
}

func TestCloseConcurrently(t *testing.T) {
	store := &closer{CacheProvider: newStore(t)}
	cache, err := readthrough.New(store, readthrough.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
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
					if !errors.Is(err, readthrough.ErrClosed) {
						t.Errorf("error %v, want ErrClosed", err)
					}
					return
				}
			}
		})
	}
	for range 3 {
		group.Go(func() {
			if err := cache.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	group.Wait()
	if store.closed != 1 {
		t.Errorf("the store was closed %d times, want once", store.closed)
	}
}

// TestCloseEndsGoroutines, after everything that starts some.
func TestCloseEndsGoroutines(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		goroutines, _ := bubbled()
		r := newRig(t, readthrough.Options{}, withBatches)
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
		if err := r.cache.Close(); !errors.Is(err, readthrough.ErrInvalidationPending) {
			t.Errorf("Close: %v", err)
		}
		time.Sleep(time.Hour) // of the load function that pays no attention
		wantGoroutines(t, goroutines)
	})
}

// TestCloseWaitsForRetries: when Close returns, the retry that was under way has.
func TestCloseWaitsForRetries(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		goroutines, _ := bubbled()
		r := newRig(t, readthrough.Options{}, nil)
		r.store.fail(faultError, "delete")
		if err := r.scope.Invalidate(t.Context(), "k"); !errors.Is(err, readthrough.ErrInvalidationPending) {
			t.Fatalf("error %v", err)
		}
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
		if running, _ := r.store.concurrency(); running != 1 {
			t.Fatalf("%d calls of the store, want a retry", running)
		}
		if err := r.cache.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if !retried {
			t.Error("Close has returned before the retry")
		}
		wantGoroutines(t, goroutines)
	})
}

// joinGate is an observer that holds up the readers that join a load.
type joinGate struct{ gate chan struct{} }

func (g joinGate) Observe(event readthrough.Event) {
	if event.Kind == readthrough.EventJoin {
		<-g.gate
	}
}

// TestCloseOfAnObedientLoad: a load that returns at once with the error of its
// context does not make a reader, whose own context is fine, believe that it has
// ended.
func TestCloseOfAnObedientLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		cache, err := readthrough.New(newStore(t), readthrough.Options{Observer: joinGate{gate}})
		if err != nil {
			t.Fatal(err)
		}
		scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		obeys := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
		first := wrapAsync(t.Context(), scope, "k", obeys)
		synctest.Wait()
		second := wrapAsync(t.Context(), scope, "k", obeys) // waits for the load when it is over
		synctest.Wait()
		if err := cache.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		synctest.Wait()
		close(gate)
		for i, reader := range []<-chan result[int]{first, second} {
			if got := <-reader; !errors.Is(got.err, readthrough.ErrClosed) {
				t.Errorf("reader %d: %v, want ErrClosed", i, got.err)
			}
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
			if err != nil {
				t.Fatal(err)
			}
			src := newSource(1)
			if _, err := read(t.Context(), s, "stale", src.load); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			looked, closed := make(chan struct{}), make(chan struct{})
			store.afterGet = func(string) { looked <- struct{}{}; <-closed }
			missed := async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "missing", src.load) })
			stale := async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "stale", src.load) })
			<-looked
			<-looked
			if err := cache.Close(); err != nil {
				t.Error(err)
			}
			close(closed)
			if r := <-missed; !errors.Is(r.err, readthrough.ErrClosed) {
				t.Errorf("a miss: got %+v and error %v", r.value, r.err)
			}
			if r := <-stale; r.err != nil || r.value.Value != 1 {
				t.Errorf("a stale value: got %+v and error %v", r.value, r.err)
			}
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
			if err != nil {
				t.Fatal(err)
			}
			src := newSource(1)
			if _, err := read(t.Context(), s, "k", src.load); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			src.gate = make(chan struct{})
			reader := async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "k", src.load) })
			synctest.Wait()
			if err := cache.Close(); err != nil {
				t.Error(err)
			}
			if r := <-reader; !errors.Is(r.err, readthrough.ErrClosed) {
				t.Errorf("got %+v and error %v, want ErrClosed", r.value, r.err)
			}
			wantIdle(t, s)
		})
	}
}
