package readthrough_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// checkOptionsError checks that an error of options names the package and a field.
func checkOptionsError(t *testing.T, err error, kind string) {
	t.Helper()
	for line := range strings.Lines(err.Error()) {
		assert.True(t, strings.HasPrefix(line, "readthrough: "+kind+"."), "%q names no field of %s", line, kind)
	}
}

// FuzzScopeOptions makes scopes of any options. They are refused with an error that
// names a field, or the scope keeps what every scope promises.
func FuzzScopeOptions(f *testing.F) {
	const minute = int64(time.Minute)
	f.Add(minute, int64(0), 0.0, int64(0), int64(0), int64(0), int64(0), 0.0, 0.0, int64(0), int64(0), 0, int64(0))
	f.Add(minute, int64(-1), -1.0, minute, minute, 2*minute, int64(time.Second), 0.8, 0.0, int64(1), int64(time.Second), 1, int64(0))
	f.Add(minute, int64(1), 1.0, int64(1), int64(1), int64(2), int64(0), 0.0, 1.5, int64(0), int64(1), 0, int64(time.Second))
	f.Add(int64(1), int64(math.MaxInt64), 0.5, int64(math.MaxInt64), int64(math.MaxInt64-1), int64(math.MaxInt64), int64(math.MaxInt64-1), 0.0, math.MaxFloat64, int64(math.MaxInt64), int64(math.MaxInt64), math.MaxInt, int64(math.MaxInt64))
	f.Add(int64(math.MaxInt64), int64(0), 0.0, int64(0), int64(0), int64(0), int64(0), 0.0, 0.0, int64(0), int64(1), 1, int64(1))
	f.Add(int64(0), int64(math.MinInt64), math.NaN(), int64(-1), int64(-1), int64(-1), int64(-1), math.NaN(), math.Inf(1), int64(-1), int64(-1), -1, int64(-1))
	f.Fuzz(func(t *testing.T, ttl, negativeTTL int64, jitter float64, loadTimeout, staleWhile, staleIfError, soft int64, ahead, beta float64, retryAfter, errorTTL int64, maxLoads int, lag int64) {
		options := readthrough.ScopeOptions{
			TTL: time.Duration(ttl), NegativeTTL: time.Duration(negativeTTL), Jitter: jitter, LoadTimeout: time.Duration(loadTimeout),
			StaleWhileRevalidate: time.Duration(staleWhile), StaleIfError: time.Duration(staleIfError), SoftLoadTimeout: time.Duration(soft),
			RefreshAheadFactor: ahead, XFetchBeta: beta, RetryAfter: time.Duration(retryAfter), ErrorTTL: time.Duration(errorTTL),
			MaxLoads: maxLoads, ReplicaLag: time.Duration(lag),
		}
		synctest.Test(t, func(t *testing.T) {
			store, err := memory.New(memory.Options{})
			require.NoError(t, err)
			cache := newCache(t, store, readthrough.Options{})
			scope, err := cache.Scope("fuzz", options)
			if err != nil {
				checkOptionsError(t, err, "ScopeOptions")
				return
			}
			checkScope(t, scope, options)
		})
	})
}

// checkScope reads, invalidates and lets time go by.
func checkScope(t *testing.T, scope *readthrough.CachedScope, options readthrough.ScopeOptions) {
	t.Helper()
	version := 0
	errDown := errors.New("the source is down")
	down := false
	read := func() (int, error) {
		return readthrough.Wrap(t.Context(), scope, "k", func(context.Context) (int, error) {
			if down {
				return 0, errDown
			}
			return version, nil
		})
	}
	for range 3 {
		version++
		require.NoError(t, scope.Invalidate(t.Context(), "k"))
		for _, pause := range []time.Duration{0, 1, options.TTL / 2, options.TTL, options.StaleWhileRevalidate, options.StaleIfError} {
			time.Sleep(min(pause, 1000*time.Hour))
			down = pause == options.StaleIfError
			got, err := read()
			if err != nil {
				assert.ErrorIs(t, err, errDown, "after %v", pause)
			}
			if err == nil {
				assert.Equal(t, version, got, "after %v", pause)
			}
			synctest.Wait() // for what is refreshed
		}
		down = false
		time.Sleep(min(options.ErrorTTL, 100*365*24*time.Hour))
	}
	stats := scope.Stats()
	assert.Zero(t, stats.InFlight, "left behind: in flight")
	assert.Zero(t, stats.Pending, "left behind: pending")
}

// FuzzOptions makes caches of any options, on a store that hangs for a while. They
// are refused with an error that names a field, or reads come to an end and are
// right, and so does Close.
func FuzzOptions(f *testing.F) {
	f.Add(int64(0), int64(0), 0, int64(0), int64(0), int64(0), 0)
	f.Add(int64(time.Second), int64(1), 1, int64(1), int64(1), int64(1), 1)
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), math.MaxInt, int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), math.MaxInt)
	f.Add(int64(-1), int64(math.MinInt64), -1, int64(-1), int64(-1), int64(-1), -1)
	f.Fuzz(func(t *testing.T, providerTimeout, invalidateTimeout int64, failures int, cooldown, leaseTTL, leaseWait int64, maxPending int) {
		options := readthrough.Options{
			ProviderTimeout: time.Duration(providerTimeout), InvalidateTimeout: time.Duration(invalidateTimeout),
			BreakerFailures: failures, BreakerCooldown: time.Duration(cooldown),
			LeaseTTL: time.Duration(leaseTTL), LeaseWait: time.Duration(leaseWait), MaxPending: maxPending,
			OnError: func(readthrough.Op, string, string, error) {},
		}
		for _, leases := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var store provider.CacheProvider = &leaseStore{newLeaseServer(), &network{delay: time.Millisecond, losses: true}}
				if !leases {
					store = struct{ provider.CacheProvider }{store}
				}
				cache, err := readthrough.New(store, options)
				if err != nil {
					checkOptionsError(t, err, "Options")
					return
				}
				scope, err := cache.Scope("history", readthrough.ScopeOptions{TTL: time.Minute})
				require.NoError(t, err)
				for version := range 5 {
					err := scope.Invalidate(t.Context(), "k")
					if err != nil {
						assert.ErrorIs(t, err, readthrough.ErrInvalidationPending, "Invalidate")
					}
					for range 2 {
						got, err := readthrough.Wrap(t.Context(), scope, "k", func(context.Context) (int64, error) { return int64(version), nil })
						assert.NoError(t, err, "read")
						assert.Equal(t, int64(version), got, "read")
					}
				}
				if err := cache.Close(); err != nil {
					assert.ErrorIs(t, err, readthrough.ErrInvalidationPending, "Close")
				}
				time.Sleep(time.Hour) // of what the store has not answered
			})
		}
	})
}
