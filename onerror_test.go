package readthrough_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
		store := plain(newStore(t))
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
			got := slices.DeleteFunc(lines(), func(line string) bool { return strings.Contains(line, "level=ERROR") }) // TestOutageIsTwoLines
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
		expect([]string{"op=get scope=s error=", "suppressed=0"})
		time.Sleep(time.Second - 1)
		read("k")
		expect()
		time.Sleep(1)
		read("k")
		expect([]string{"op=get", "suppressed=100"})

		// Each op by itself.
		store.fail(faultError, "set")
		read("l")
		expect([]string{"op=set", "suppressed=0"})
		store.fail(faultError, "delete", "deletePrefix")
		_ = scope.Invalidate(t.Context(), "k")
		expect([]string{"op=delete "})
		_, _ = scope.InvalidatePrefix(t.Context(), "p")
		expect([]string{"op=deletePrefix "})
		store.heal()
		time.Sleep(recovery)
		require.Zero(t, scope.Stats().Pending, "still pending")
		lines() // of the retries
		time.Sleep(time.Hour)
		expect()
		store.fail(faultError, "get")
		read("k") // stands for itself and for the read of l, long ago
		expect([]string{"op=get", "suppressed=1"})
	})
}

// secretKey and secretValue must not be in a log.
const (
	secretKey   = "user:ada@example.org"
	secretValue = "hunter2"
)

// secretiveError is an error that quotes all it can, as the errors of codecs and clients do.
type secretiveError struct{ text string }

func (e secretiveError) Error() string        { return e.text }
func (e secretiveError) LogValue() slog.Value { return slog.StringValue("something secret") }

// TestLogSaysNoSecrets: a line of the log is bounded, and has no part of a value. It has the key only if
// that is wanted.
func TestLogSaysNoSecrets(t *testing.T) {
	for name, err := range map[string]error{
		"the key":              fmt.Errorf("get %q: failed", secretKey),
		"the key, bare":        fmt.Errorf("get %s: failed", secretKey),
		"an error in it":       fmt.Errorf("get: %w", secretiveError{secretValue}),
		"one of several":       errors.Join(errFault, fmt.Errorf("get: %w", secretiveError{secretValue})),
		"a panic":              fmt.Errorf("the store panicked: %w", &readthrough.PanicError{Value: secretValue}),
		"a panic with a value": fmt.Errorf("the store panicked: %w", &readthrough.PanicError{Value: errors.New(secretValue)}),
		"a long error":         errors.New(strings.Repeat("x", 1<<20)),
		"a longer key":         errors.New(strings.Repeat("x", 1<<10)),
	} {
		for _, keys := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, keys %v", name, keys), func(t *testing.T) {
				lines := captureLog(t)
				store := plain(newStore(t))
				store.hook("get", func(context.Context, []string) error { return err })
				cache := newCache(t, store, readthrough.Options{LogKeys: keys})
				s, made := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
				require.NoError(t, made)
				value, made := readthrough.Wrap(t.Context(), s, secretKey, func(context.Context) (string, error) { return secretValue, nil })
				want(t, "read", value, made, secretValue)
				got := lines()
				require.Len(t, got, 1)
				assert.Less(t, len(got[0]), 1<<10, "bytes")
				assert.NotContains(t, got[0], secretValue)
				assert.Equal(t, keys, strings.Contains(got[0], secretKey), got[0])
			})
		}
	}
}

// TestOpErrorIsLoggedWithoutSecrets: also by a logger of the user.
func TestOpErrorIsLoggedWithoutSecrets(t *testing.T) {
	lines := captureLog(t)
	e := &readthrough.OpError{Op: "get", Scope: "s", Key: secretKey, Err: fmt.Errorf("get %q: %w", secretKey, secretiveError{secretValue})}
	slog.Warn("failed", slog.Any("err", e))
	got := lines()
	require.Len(t, got, 1)
	assert.Contains(t, got[0], `err.op=get err.scope=s err.error="get the key: something secret"`)
	assert.Contains(t, e.Error(), secretKey, "the text of the error itself")
}

// TestPanicsOfCallbacksAreHarmless, whichever of OnError and Observer panics.
func TestPanicsOfCallbacksAreHarmless(t *testing.T) {
	for _, which := range []string{"OnError", "Observer", "both"} {
		bubble(t, which, func(t *testing.T) {
			store := plain(newStore(t))
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
			store, src := plain(newStore(t)), newSource(1)
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
