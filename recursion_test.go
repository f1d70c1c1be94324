package readthrough_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

func TestRecursiveLoad(t *testing.T) {
	type wrap = func(context.Context, *readthrough.CachedScope, string, func(context.Context) (int, error)) (int, error)
	for _, outer := range ways {
		for _, inner := range ways {
			t.Run(outer.name+" in "+inner.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newScope(t)
					load := func(key string, read wrap, next func(context.Context) (int, error)) func(context.Context) (int, error) {
						return func(ctx context.Context) (int, error) { return read(ctx, s, key, next) }
					}
					leaf := newSource(7).load
					_, err := outer.read(t.Context(), s, "a", load("a", inner.read, leaf))
					assert.ErrorIs(t, err, readthrough.ErrRecursiveLoad, "directly")
					_, err = readthrough.Wrap(t.Context(), s, "a", load("b", outer.read, load("a", inner.read, leaf)))
					assert.ErrorIs(t, err, readthrough.ErrRecursiveLoad, "through another key")
					wantIdle(t, s)
				})
			})
		}
	}
}

// A load waits for another twice, and one of the two reads leaves: it still waits.
func TestRecursiveLoadOfTwoReaders(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s, wait := newScope(t), make(chan struct{})
		b := func(ctx context.Context) (int, error) {
			<-wait
			return readthrough.Wrap(ctx, s, "a", newSource(7).load)
		}
		a := func(ctx context.Context) (int, error) {
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			leaves, stays := wrapAsync(short, s, "b", b), wrapAsync(ctx, s, "b", b)
			assert.ErrorIs(t, (<-leaves).err, context.DeadlineExceeded, "who leaves")
			synctest.Wait()
			close(wait)
			r := <-stays
			return r.value, r.err
		}
		_, err := readthrough.Wrap(t.Context(), s, "a", a)
		assert.ErrorIs(t, err, readthrough.ErrRecursiveLoad)
		wantIdle(t, s)
	})
}

// A read that would close a circle leaves the loads that it has begun, which end.
func TestRecursiveLoadLeavesItsOtherLoads(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s, src := newScope(t), newGated(1)
		_, err := readthrough.Wrap(t.Context(), s, "k", func(ctx context.Context) (int, error) {
			_, err := readthrough.WrapMany(ctx, s, []string{"k", "other"}, self, many(src.load))
			return 0, err
		})
		assert.ErrorIs(t, err, readthrough.ErrRecursiveLoad)
		wantIdle(t, s)
	})
}

// A load in the background that reads its own key does not end itself: its readers
// are none that it was for.
func TestRecursiveRefreshGoesOn(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newStore(t)
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour }))
		value, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
		want(t, "first", value, err, 1)
		time.Sleep(time.Minute)
		value, err = readthrough.Wrap(t.Context(), s, "k", func(ctx context.Context) (int, error) {
			// so that there is nothing to serve
			assert.NoError(t, store.Delete(ctx, provider.Key{Scope: "test", Name: "k"}))
			_, err := readthrough.Wrap(ctx, s, "k", newSource(3).load)
			assert.ErrorIs(t, err, readthrough.ErrRecursiveLoad, "in the load")
			return 2, ctx.Err()
		})
		want(t, "stale", value, err, 1)
		synctest.Wait()
		v, _ := stored(t, store, "k")
		assert.Equal(t, 2, v, "what is stored")
	})
}

// Two loads that read each other's key would wait for each other for ever.
func TestLoadsThatReadEachOthersKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		crossed := func(other string) func(context.Context) (int, error) {
			return func(ctx context.Context) (int, error) {
				time.Sleep(time.Second)
				return readthrough.Wrap(ctx, s, other, newSource(1).load)
			}
		}
		a, b := wrapAsync(ctx, s, "a", crossed("b")), wrapAsync(ctx, s, "b", crossed("a"))
		for who, r := range map[string]result[int]{"a": <-a, "b": <-b} {
			assert.ErrorIs(t, r.err, readthrough.ErrRecursiveLoad, "%s: %v", who, r.value)
		}
		assert.Equal(t, time.Second, time.Since(began), "the readers waited")
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
