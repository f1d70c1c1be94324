package readthrough_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// slowly returns a load function that takes so long, unless its context ends, and counts its runs and how long the
// source was busy.
func slowly(took time.Duration, loads, busy *atomic.Int64) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		loads.Add(1)
		began := time.Now()
		defer func() { busy.Add(int64(time.Since(began))) }()
		select {
		case <-time.After(took):
			return 42, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// finishes lets loads go on that everybody has left.
func finishes(so *readthrough.ScopeOptions) { so.FinishLoads = true }

// TestFinishLoads reads a source that takes 200 ms by 20 readers, one after the other, who wait for 100 ms each; and
// 20 keys by a reader each. docs/decisions.md has the numbers.
func TestFinishLoads(t *testing.T) {
	for name, c := range map[string]struct {
		finishes    bool
		keys        []string // 20 readers of each
		loads, busy int64    // busy in ms
		got         int
	}{
		"one key, cancelled":   {false, []string{"k"}, 20, 2000, 0},
		"one key, finished":    {true, []string{"k"}, 1, 200, 18},
		"many keys, cancelled": {false, nil, 20, 2000, 0},
		"many keys, finished":  {true, nil, 20, 4000, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.FinishLoads = c.finishes }))
			var loads, busy atomic.Int64
			load := slowly(200*time.Millisecond, &loads, &busy)
			got := 0
			for n := range 20 {
				key := "k"
				if c.keys == nil {
					key += string(rune('a' + n))
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				if value, err := readthrough.Wrap(ctx, s, key, load); err == nil {
					assert.Equal(t, 42, value)
					got++
				} else {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				}
				cancel()
				synctest.Wait()
			}
			time.Sleep(time.Second)
			wantLoads(t, &loads, c.loads)
			assert.Equal(t, c.busy, busy.Load()/int64(time.Millisecond), "ms that the source was busy")
			assert.GreaterOrEqual(t, got, c.got, "readers who got a value")
			wantIdle(t, s)
		})
	}
}

// TestFinishedLoadIsShared: who comes after the last reader has left waits for the load, and gets its value.
func TestFinishedLoadIsShared(t *testing.T) {
	for name, reads := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t, serving(finishes))
			var loads, busy atomic.Int64
			load := slowly(time.Second, &loads, &busy)
			ctx, leave := context.WithCancel(t.Context())
			first := async(func() (readthrough.Result[int], error) { return reads(ctx, s, "k", load) })
			synctest.Wait()
			leave()
			require.ErrorIs(t, (<-first).err, context.Canceled)
			got, err := reads(t.Context(), s, "k", load)
			want(t, "the next reader", got.Value, err, 42)
			wantLoads(t, &loads, 1)
			wantIdle(t, s)
		})
	}
}

// TestFinishedLoadIsBounded: LoadTimeout ends it, or 5 minutes, or Close. An invalidation keeps its value out of the
// store.
func TestFinishedLoadIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*readthrough.ScopeOptions)
		during func(t *testing.T, cache *readthrough.Cache, s *readthrough.CachedScope)
		busy   time.Duration
		stored bool
	}{
		"LoadTimeout": {change: func(so *readthrough.ScopeOptions) { so.LoadTimeout = time.Second }, busy: time.Second},
		"5 minutes":   {busy: 5 * time.Minute},
		"Close": {busy: 0, during: func(t *testing.T, cache *readthrough.Cache, _ *readthrough.CachedScope) {
			require.NoError(t, cache.Close())
		}},
		"invalidated": {busy: 5 * time.Minute, during: func(t *testing.T, _ *readthrough.Cache, s *readthrough.CachedScope) {
			require.NoError(t, s.Invalidate(t.Context(), "k"))
		}},
	} {
		bubble(t, name, func(t *testing.T) {
			cache := newCache(t, newStore(t), readthrough.Options{})
			options := readthrough.ScopeOptions{TTL: time.Hour, FinishLoads: true}
			if c.change != nil {
				c.change(&options)
			}
			s, err := cache.Scope("s", options)
			require.NoError(t, err)
			var loads, busy atomic.Int64
			ctx, leave := context.WithCancel(t.Context())
			read := wrapAsync(ctx, s, "k", slowly(time.Hour, &loads, &busy))
			synctest.Wait()
			leave()
			require.ErrorIs(t, (<-read).err, context.Canceled)
			if c.during != nil {
				c.during(t, cache, s)
			}
			time.Sleep(10 * time.Minute)
			assert.Equal(t, c.busy, time.Duration(busy.Load()), "the source was busy")
			wantIdle(t, s)
		})
	}
}

// TestQueuedLoadIsNotFinished: a load that has not begun is cancelled when everybody has left, since it has cost
// nothing.
func TestQueuedLoadIsNotFinished(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, serving(finishes), limited(1))
		var loads, busy atomic.Int64
		load := slowly(time.Second, &loads, &busy)
		first := wrapAsync(t.Context(), s, "first", load)
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		queued := wrapAsync(ctx, s, "queued", load)
		synctest.Wait()
		leave()
		require.ErrorIs(t, (<-queued).err, context.Canceled)
		want(t, "first", (<-first).value, nil, 42)
		time.Sleep(time.Minute)
		wantLoads(t, &loads, 1)
		wantIdle(t, s)
	})
}

// TestLoadIsFinishedThoughItsReaderIsEnded: as if the context of the reader had ended.
func TestLoadIsFinishedThoughItsReaderIsEnded(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var loads, busy atomic.Int64
		started := make(chan struct{})
		s := newScope(t, serving(finishes))
		ended(func() {
			ctx := goexiting{t.Context(), started}
			_, _ = readthrough.Wrap(ctx, s, "k", func(ctx context.Context) (int, error) {
				close(started)
				return slowly(time.Second, &loads, &busy)(ctx)
			})
		})
		time.Sleep(time.Minute)
		value, err := readthrough.Wrap(t.Context(), s, "k", slowly(time.Second, &loads, &busy))
		want(t, "afterwards", value, err, 42)
		wantLoads(t, &loads, 1)
		wantIdle(t, s)
	})
}

// goexiting is a context that ends the goroutine that asks it for its end, once a load has started.
type goexiting struct {
	context.Context //nolint:containedctx // it is a context

	after chan struct{}
}

func (c goexiting) Done() <-chan struct{} {
	<-c.after
	runtime.Goexit()
	return nil
}
