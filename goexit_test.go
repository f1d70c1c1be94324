package readthrough_test

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// ended runs f in a goroutine, which f may end, and waits for its end.
func ended(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// TestReaderThatEndsLeavesTheLoad: a reader whose goroutine ends while it joins a load does not keep it
// running when all others have left.
func TestReaderThatEndsLeavesTheLoad(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.Observer.Join = func(context.Context, readthrough.Event) { runtime.Goexit() }
		}))
		ctx, leave := context.WithCancel(t.Context())
		var cause error
		load := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return 0, cause
		}
		first := wrapAsync(ctx, s, "k", load)
		synctest.Wait()
		ended(func() { _, _ = readthrough.Wrap(t.Context(), s, "k", load) })
		leave()
		assert.ErrorIs(t, (<-first).err, context.Canceled, "the reader that left")
		synctest.Wait()
		assert.ErrorIs(t, cause, context.Canceled, "the load goes on, though nobody waits")
		wantIdle(t, s)
	})
}

// TestGoexitOfAStoreThatIsCalledDirectly: a store in the process, or one that keeps its deadlines, is called
// in the goroutine of its caller, which it may end. What the store was asked to invalidate is pending then,
// and is retried whatever becomes of a retry. The readers of a load get what it has brought, and its
// lease is given back.
func TestGoexitOfAStoreThatIsCalledDirectly(t *testing.T) {
	for name, has := range map[string]capabilities{"in the process": capInProcess, "punctual": capPunctual} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, has)
			r.read("k")
			r.set("2")
			r.store.fail(faultGoexit, "delete")
			ended(func() { _ = r.scope.Invalidate(t.Context(), "k") })
			r.expectPending(1)
			r.expectRead("k", "2", true)
			time.Sleep(recovery)
			r.expectPending(1)
			r.store.heal()
			time.Sleep(recovery)
			r.expectPending(0)
			r.expectRead("k", "2", true)
			r.expectRead("k", "2", false)

			r.store.fail(faultGoexit, "set")
			r.expectRead("l", "2", true)
			r.expectRead("l", "2", true)
			r.store.heal()
			r.expectRead("l", "2", true)
			r.expectRead("l", "2", false)
			wantIdle(t, r.scope)
		})
	}
}

// TestGoexitOfTheProbe: the request that is to find out whether the store is back may end its goroutine. The
// next one is let through.
func TestGoexitOfTheProbe(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: 1, BreakerCooldown: time.Second}, capPunctual)
		r.store.fail(faultError, "get")
		r.read("k")
		time.Sleep(2 * time.Second)
		r.store.fail(faultGoexit, "get")
		ended(func() { _, _ = r.readCtx(t.Context(), r.scope, "k") })
		r.store.heal()
		time.Sleep(2 * time.Second)
		r.read("k")
		r.expectRead("k", "1", false)
	})
}

// exitError is an error that ends the goroutine which asks it what it is.
type exitError struct{}

func (exitError) Error() string { return "exit" }
func (exitError) Is(error) bool { runtime.Goexit(); return false }

// TestGoexitAtTheEndOfALoad: the load panics with an error that ends the goroutine in which the outcome is
// made. The load ends all the same.
func TestGoexitAtTheEndOfALoad(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		cache := newCache(t, newStore(t), readthrough.Options{})
		s, err := cache.Scope("test", readthrough.ScopeOptions{TTL: time.Minute, MaxLoads: 1})
		require.NoError(t, err)
		reader := wrapAsync(t.Context(), s, "k", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			panic(exitError{})
		})
		synctest.Wait()
		require.NoError(t, cache.Close())
		assert.ErrorIs(t, (<-reader).err, readthrough.ErrClosed)
		wantIdle(t, s)
	})
}

// TestFailureOfTheObserverIsReported: by what it has done.
func TestFailureOfTheObserverIsReported(t *testing.T) {
	for does, f := range map[string]func(){"it panicked: bad": func() { panic("bad") }, "it called runtime.Goexit": runtime.Goexit} {
		bubble(t, does, func(t *testing.T) {
			var all reports
			var requests atomic.Int64
			s := newScope(t, all.collect(), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
				o.Observer.Store = func(context.Context, readthrough.Event) { requests.Add(1) } // told after LoadEnd
				o.Observer.LoadStart = func(context.Context, readthrough.Event) context.Context { f(); return nil }
				o.Observer.LoadEnd = func(context.Context, readthrough.Event) { f() }
				o.Observer.Invalidate = func(context.Context, readthrough.Event) { f() }
			}))
			value, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) { return 1, nil })
			want(t, "read", value, err, 1)
			synctest.Wait()
			assert.Equal(t, int64(1), requests.Load(), "what comes after a failure is told")
			require.NoError(t, s.Invalidate(t.Context(), "k"))
			synctest.Wait()
			errs, ops := all.all()
			require.Equal(t, []string{"observe test k", "observe test k", "observe test k"}, ops)
			for _, err := range errs {
				assert.True(t, strings.HasSuffix(err.Error(), does), "%v", err)
			}
		})
	}
}

// TestStoreThatIsLeftBehindHasItsOwnLists: what a store was asked to hold at its deadline, it goes on with,
// and the caller uses its lists for something else.
func TestStoreThatIsLeftBehindHasItsOwnLists(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		d := newLeaseDouble()
		_, s := newFleetScope(t, d.as(likeShared), readthrough.Options{BreakerFailures: -1}, readthrough.ScopeOptions{ReplicaLag: time.Minute})
		d.fail(faultStuck, "hold")
		d.fail(faultError, "unhold")
		invalidated := []string{"a"}
		require.ErrorIs(t, s.Invalidate(t.Context(), invalidated...), readthrough.ErrInvalidationPending)
		invalidated[0] = "x"
		held := readthrough.Targets{Keys: []string{"a"}, Prefixes: []string{"a:"}}
		_, err := readthrough.Mutate(t.Context(), s, readthrough.Mutation[int]{
			Hold: held, Write: func(context.Context) (int, error) { return 1, nil },
		})
		require.ErrorIs(t, err, readthrough.ErrNotHeld)
		held.Keys[0], held.Prefixes[0] = "x", "x:"
		d.heal()
		synctest.Wait()
		d.server.mu.Lock()
		defer d.server.mu.Unlock()
		require.GreaterOrEqual(t, len(d.server.holds), 2, "holds")
		for _, h := range d.server.holds {
			assert.Equal(t, []string{"a"}, h.targets.Keys, "held keys")
			assert.Subset(t, []string{"a:"}, h.targets.Prefixes, "held prefixes")
		}
	})
}

// TestGoexitOfTheObserverDuringAPut ends neither the put nor the goroutine of its caller.
func TestGoexitOfTheObserverDuringAPut(t *testing.T) {
	for does, f := range map[string]func(){"panic": func() { panic("bad") }, "Goexit": runtime.Goexit} {
		bubble(t, does, func(t *testing.T) {
			var all reports
			s := newScope(t, all.collect(), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
				o.Observer.Store = func(_ context.Context, e readthrough.Event) {
					if e.Op == "set" {
						f()
					}
				}
			}))
			returned := make(chan int, 1)
			go func() {
				value, err := readthrough.Put(t.Context(), s, "k", func(context.Context) (int, error) { return 1, nil })
				assert.NoError(t, err)
				returned <- value
			}()
			synctest.Wait()
			require.Len(t, returned, 1, "the put has not returned")
			value, ok, err := readthrough.Peek[int](t.Context(), s, "k")
			assert.True(t, ok, "what was put is stored")
			want(t, "Peek", value, err, 1)
			_, ops := all.all()
			assert.Equal(t, []string{"observe test k"}, ops)
			wantIdle(t, s)
		})
	}
}
