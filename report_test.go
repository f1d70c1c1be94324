package readthrough_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// captureLog makes the default logger write to a buffer until the test ends.
func captureLog(t *testing.T) (lines func() []string) {
	t.Helper()
	var mu sync.Mutex
	var buffer bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return buffer.Write(p)
	}), nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		text := strings.TrimSuffix(buffer.String(), "\n")
		buffer.Reset()
		if text == "" {
			return nil
		}
		return strings.Split(text, "\n")
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestDefaultLog: an outage does not flood the log, and no error is lost from
// the count.
func TestDefaultLog(t *testing.T) {
	lines := captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		store := newFaulty()
		cache := newCache(t, store, readthrough.Options{BreakerFailures: -1})
		scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
		require.NoError(t, err)
		read := func(key string) {
			t.Helper()
			_, err := readthrough.Wrap(t.Context(), scope, key, func(context.Context) (int, error) { return 1, nil })
			assert.NoError(t, err)
		}
		expect := func(wanted ...[]string) {
			t.Helper()
			synctest.Wait()
			got := lines()
			require.Len(t, got, len(wanted), "logged\n%s", strings.Join(got, "\n"))
			for i, parts := range wanted {
				for _, part := range append(parts, "level=WARN", "scope=s", `error="the store is down"`) {
					assert.Contains(t, got[i], part, "line %d", i)
				}
			}
		}
		store.fail(faultError, "get")
		for range 100 {
			read("k")
		}
		expect([]string{"op=get", "key=k", "suppressed=0"})
		time.Sleep(time.Second - 1)
		read("k")
		expect()
		time.Sleep(1)
		read("k")
		expect([]string{"op=get", "key=k", "suppressed=100"})

		// Each op by itself, and long keys are clipped.
		store.fail(faultError, "set")
		long := strings.Repeat("x", 200)
		read(long)
		expect([]string{"op=set", "key=" + long[:128] + "…", "suppressed=0"})
		store.fail(faultError, "delete", "deletePrefix")
		_ = scope.Invalidate(t.Context(), "k")
		expect([]string{"op=delete ", "key=k"})
		_, _ = scope.InvalidatePrefix(t.Context(), "p")
		expect([]string{"op=deletePrefix ", "key=p"})
		store.heal()
		time.Sleep(recovery)
		require.Zero(t, scope.Stats().Pending, "still pending")
		lines() // of the retries
		time.Sleep(time.Hour)
		expect()
		store.fail(faultError, "get")
		read("k") // stands for itself and for the read of the long key, long ago
		expect([]string{"op=get", "suppressed=1"})
	})
}

// TestPanicsOfCallbacksAreHarmless, whichever of OnError and Observer panics.
func TestPanicsOfCallbacksAreHarmless(t *testing.T) {
	for _, which := range []string{"OnError", "Observer", "both"} {
		bubble(t, which, func(t *testing.T) {
			store := newFaulty()
			var mu sync.Mutex
			told := make(map[string]int)
			options := readthrough.Options{BreakerFailures: -1, OnError: func(e *readthrough.OpError) {
				mu.Lock()
				told[e.Op]++
				mu.Unlock()
				if which != "Observer" {
					panic("OnError")
				}
			}}
			if which != "OnError" {
				options.Observer = observer(func(happened) { panic("the observer") })
			}
			cache := newCache(t, store, options)
			scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
			require.NoError(t, err)
			for _, works := range []bool{true, false} {
				got, err := readthrough.Wrap(t.Context(), scope, "k", func(context.Context) (int, error) { return 1, nil })
				want(t, "Wrap", got, err, 1)
				many, err := readthrough.WrapMany(t.Context(), scope, []string{"k", "l"}, func(k string) string { return k },
					func(_ context.Context, ids []string) (map[string]int, error) {
						return map[string]int{"k": 1, "l": 1, "unexpected": 1}, nil
					})
				assert.NoError(t, err, "WrapMany")
				assert.Len(t, many, 2, "WrapMany")
				err = scope.Invalidate(t.Context(), "m")
				assert.Equal(t, works, err == nil, "%v", err)
				store.failAll(faultError) // the second time
			}
			store.heal()
			time.Sleep(recovery)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if which != "OnError" {
				assert.NotZero(t, told["observe"], "the panics of the observer were not reported")
			}
			for _, op := range []string{"get", "set", "load"} {
				assert.NotZero(t, told[op], "nothing was reported for %v", op)
			}
		})
	}
}

// TestOpErrors: an error that is reported says where it happened, and matches its cause.
func TestOpErrors(t *testing.T) {
	for want, e := range map[string]*readthrough.OpError{
		`readthrough: get of "k" in scope "s": the cause`:                                 {Op: "get", Scope: "s", Key: "k", Err: errCause},
		`readthrough: deletePrefix in scope "s": the cause`:                               {Op: "deletePrefix", Scope: "s", Err: errCause},
		`readthrough: set of "` + strings.Repeat("k", 128) + `…" in scope "s": the cause`: {Op: "set", Scope: "s", Key: strings.Repeat("k", 1000), Err: errCause},
	} {
		require.EqualError(t, e, want)
		require.ErrorIs(t, e, errCause)
	}
}

var errCause = errors.New("the cause")

// TestLoadStart: the load function gets the context that LoadStart returns, and so do LoadEnd and
// RefusedFill. A LoadStart that returns nil or panics changes nothing.
func TestLoadStart(t *testing.T) {
	type spanKey struct{}
	for name, bulk := range map[string]bool{"single": false, "bulk": true} {
		bubble(t, name, func(t *testing.T) {
			var got []string
			note := func(what string) func(context.Context, readthrough.Event) {
				return func(ctx context.Context, e readthrough.Event) {
					got = append(got, fmt.Sprintf("%s %s %d %v %v", what, e.Key, e.Count, ctx.Value(spanKey{}), ctx.Value(contextKey{})))
				}
			}
			start := func(ctx context.Context, e readthrough.Event) context.Context {
				note("start")(ctx, e)
				return context.WithValue(ctx, spanKey{}, "span")
			}
			observe := readthrough.Observer{
				LoadStart: func(ctx context.Context, e readthrough.Event) context.Context { return start(ctx, e) },
				LoadEnd:   note("end"), RefusedFill: note("refused"),
			}
			s := newScope(t, with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) { o.Observer = observe }),
				with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) { o.OnError = func(*readthrough.OpError) {} }))
			ctx := context.WithValue(t.Context(), contextKey{}, "reader")
			read := func() {
				t.Helper()
				load := func(ctx context.Context) (int, error) {
					got = append(got, fmt.Sprint("load ", ctx.Value(spanKey{})))
					return 1, s.Invalidate(ctx, "k")
				}
				if bulk {
					values, err := readthrough.WrapMany(ctx, s, []string{"k"}, self, many(load))
					require.NoError(t, err)
					require.Equal(t, map[string]int{"k": 1}, values)
				} else {
					value, err := readthrough.Wrap(ctx, s, "k", load)
					want(t, "Wrap", value, err, 1)
				}
				synctest.Wait()
			}
			read()
			require.Equal(t, []string{"start k 1 <nil> reader", "load span", "end k 1 span reader", "refused k 1 span reader"}, got)
			for _, start = range []func(context.Context, readthrough.Event) context.Context{
				func(context.Context, readthrough.Event) context.Context { return nil },
				func(context.Context, readthrough.Event) context.Context { panic("LoadStart") },
			} {
				got = nil
				read()
				require.Equal(t, []string{"load <nil>", "end k 1 <nil> reader", "refused k 1 <nil> reader"}, got)
			}
		})
	}
}

// TestObserverUsesTheCache: the observer is told after the call has landed, so that an invalidation of
// the key in it does not wait for itself.
func TestObserverUsesTheCache(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newFaulty()
		store.fail(faultError, "set")
		var s *readthrough.CachedScope
		told := 0
		s = newScope(t, on(store), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.OnError = func(e *readthrough.OpError) {
				told++
				assert.NoError(t, s.Invalidate(t.Context(), e.Key), "in OnError")
			}
			o.Observer.Error = func(ctx context.Context, e *readthrough.OpError) {
				told++
				assert.NoError(t, s.Invalidate(ctx, e.Key), "in the observer")
			}
		}))
		value, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
		want(t, "Wrap", value, err, 1)
		synctest.Wait()
		assert.Equal(t, 2, told, "told of the fill that failed")
		wantIdle(t, s)
	})
}

// TestWhatIsNoErrorOfTheStore: a request that was not made because the breaker is open, or that ended
// because the reader had no time, is neither reported nor counted.
func TestWhatIsNoErrorOfTheStore(t *testing.T) {
	for name, test := range map[string]struct {
		fault fault
		time  time.Duration // that the reader has
		want  []string      // what is reported
	}{
		"breaker open": {faultError, time.Hour, []string{"get test k"}},
		"no time":      {faultHang, time.Millisecond, nil},
	} {
		bubble(t, name, func(t *testing.T) {
			store, src := newFaulty(), newSource(1)
			store.fail(test.fault, "get")
			var told reports
			s := newScope(t, on(store), told.collect(), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
				o.BreakerFailures = 1
			}))
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), test.time)
				value, err := readthrough.Wrap(ctx, s, "k", src.load)
				want(t, "Wrap", value, err, 1)
				cancel()
			}
			synctest.Wait()
			_, ops := told.all()
			assert.Equal(t, test.want, ops, "reported")
			assert.Equal(t, int64(len(test.want)), s.Stats().ProviderErrors, "counted")
		})
	}
}
