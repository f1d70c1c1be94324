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

// In caches with a goroutine for the load and no guard in it, a panic of the load
// ends the process; this test would not return. Others panic in every joiner.
func TestFieldPanicOfALoadEndsTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		for _, way := range ways {
			_, err := way.read(t.Context(), s, "k", func(context.Context) (int, error) { panic("boom") })
			assert.True(t, isPanicWith("boom")(err), "%s: %v", way.name, err)
		}
		wantIdle(t, s)
	})
}

// In caches whose bulk flights have no error of their own: those who wait for
// somebody else's bulk load get nothing and no error when it fails.
func TestFieldJoinersOfABulkLoadGetNoError(t *testing.T) {
	for _, failure := range failures {
		t.Run(failure.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				gate := make(chan struct{})
				load := func(context.Context, []string) (map[string]int, error) {
					<-gate
					return nil, failure.fail()
				}
				for range 3 {
					bulk := async(func() (map[string]int, error) {
						return readthrough.WrapMany(t.Context(), s, []string{"a", "b"}, self, load)
					})
					defer func() {
						r := <-bulk
						assert.True(t, failure.check(r.err), "%v and error %v", r.value, r.err)
						wantIdle(t, s)
					}()
					synctest.Wait()
				}
				close(gate)
			})
		})
	}
}

// A cache without a store still loads once for all who ask at the same time.
func TestFieldNoStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, src := newScope(t, on(provider.Null())), newGated(1)
		var readers []<-chan result[int]
		for range 10 {
			readers = append(readers, wrapAsync(t.Context(), s, "k", src.load))
		}
		synctest.Wait()
		close(src.gate)
		for _, reader := range readers {
			r := <-reader
			want(t, "reader", r.value, r.err, 1)
		}
		wantLoads(t, &src.loads, 1)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "next reader", value, err, 1)
		wantLoads(t, &src.loads, 2)
		wantIdle(t, s)
	})
}

// In caches that write when a load fails: an old load's error overwrites, or
// removes, what was stored since.
func TestFieldOldErrorOverwritesNewerData(t *testing.T) {
	for _, failure := range failures {
		synctest.Test(t, func(t *testing.T) {
			s := newScope(t)
			gate := make(chan struct{})
			old := wrapAsync(t.Context(), s, "k", func(context.Context) (int, error) { <-gate; return 1, failure.fail() })
			synctest.Wait()
			require.NoError(t, s.Invalidate(t.Context(), "k"))
			fresh := newSource(2)
			value, err := readthrough.Wrap(t.Context(), s, "k", fresh.load)
			want(t, "fresh", value, err, 2)
			close(gate)
			<-old
			wantIdle(t, s)
			value, err = readthrough.Wrap(t.Context(), s, "k", fresh.load)
			want(t, failure.name, value, err, 2)
			wantLoads(t, &fresh.loads, 1)
		})
	}
}

// An old load that says "not found" is a result like others.
func TestFieldOldAbsenceOverwritesNewerData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, before := newScope(t), newGated(0)
		before.err = readthrough.ErrNotFound
		old := wrapAsync(t.Context(), s, "k", before.load)
		synctest.Wait()
		// it was created
		require.NoError(t, s.Invalidate(t.Context(), "k"))
		close(before.gate)
		assert.ErrorIs(t, (<-old).err, readthrough.ErrNotFound, "old reader")
		value, err := readthrough.Wrap(t.Context(), s, "k", newSource(2).load)
		want(t, "reader from after", value, err, 2)
		wantIdle(t, s)
	})
}

// In caches without Close, or with a goroutine that nothing ends. A goroutine
// that is left would keep the bubble from ending.
func TestFieldUnstoppableGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := plain(newStore(t))
		cache, err := readthrough.New(store, readthrough.Options{})
		require.NoError(t, err)
		s, err := cache.Scope("test", readthrough.ScopeOptions{TTL: time.Second})
		require.NoError(t, err)
		src := newGated(1)
		reader := wrapAsync(t.Context(), s, "k", src.load)
		synctest.Wait()
		bulk := async(func() (map[string]int, error) {
			return readthrough.WrapMany(t.Context(), s, []string{"k", "l"}, self, many(src.load))
		})
		synctest.Wait()
		assert.NoError(t, cache.Close())
		r := <-reader
		assert.ErrorIs(t, r.err, readthrough.ErrClosed, "reader: %v", r.value)
		b := <-bulk
		assert.ErrorIs(t, b.err, readthrough.ErrClosed, "bulk reader: %v", b.value)
		_, err = readthrough.Wrap(t.Context(), s, "k", src.load)
		assert.ErrorIs(t, err, readthrough.ErrClosed, "reader after Close")
		wantLoads(t, &src.loads, 2)
		wantIdle(t, s)
	})
}

// In caches that call the user's code under a lock: code that uses the cache
// itself waits for ever.
func TestFieldUserCodeUnderALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *readthrough.CachedScope
		var uses atomic.Int64
		var depth atomic.Bool
		use := func() {
			if s == nil || !depth.CompareAndSwap(false, true) {
				return
			}
			defer depth.Store(false)
			uses.Add(1)
			ctx := context.WithoutCancel(t.Context())
			_, err := readthrough.Wrap(ctx, s, fmt.Sprint("other ", uses.Load()), newSource(1).load)
			assert.NoError(t, err)
			assert.NoError(t, s.Invalidate(ctx, "other"))
			_ = s.Stats()
		}
		used := func(what string, do func()) {
			t.Helper()
			before := uses.Load()
			do()
			assert.NotEqual(t, before, uses.Load(), "%s did not use the cache", what)
		}
		s = newScope(t, with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.OnError = func(*readthrough.OpError) { use() }
		}))
		quiet := s
		used("the load function", func() {
			_, _ = readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) { use(); return 1, nil })
		})
		used("the key function", func() {
			_, _ = readthrough.WrapMany(t.Context(), s, []string{"k"}, func(id string) string { use(); return id }, many(newSource(1).load))
		})
		used("the context", func() {
			_, _ = readthrough.Wrap(busyContext{t.Context(), use}, s, "context", newSource(1).load)
		})
		used("the error", func() {
			_, _ = readthrough.Wrap(t.Context(), s, "error", func(context.Context) (int, error) { return 0, busyError{use} })
		})
		used("the error of Each", func() {
			_, _ = readthrough.WrapMany(t.Context(), s, []string{"each"}, self, readthrough.Each(1, func(context.Context, string) (int, error) {
				return 0, busyError{use}
			}))
		})
		used("OnError", func() { // a value of another type
			_, _ = readthrough.Wrap(t.Context(), s, "k", newSource("text").load)
		})
		synctest.Wait() // what is told after a load has landed
		s = nil
		observed := newScope(t, with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.Observer = observer(func(happened) { use() })
		}))
		s = observed
		used("the observer", func() {
			_, _ = readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
			_ = s.Invalidate(t.Context(), "k")
		})
		wantIdle(t, quiet)
		wantIdle(t, observed)
	})
}

// busyContext is a context that uses the cache when it is asked for a value.
type busyContext struct {
	context.Context //nolint:containedctx // it is a context

	use func()
}

func (c busyContext) Value(key any) any {
	c.use()
	return c.Context.Value(key)
}

// busyError is an error that uses the cache when it is compared.
type busyError struct{ use func() }

func (busyError) Error() string { return "busy" }

func (e busyError) Is(error) bool { e.use(); return false }
