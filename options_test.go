package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// uncomparableError has a type whose values cannot be compared.
type uncomparableError []string

func (uncomparableError) Error() string { return "uncomparable" }

// holdingError has a comparable type, but not all its values can be compared.
type holdingError struct{ cause any }

func (holdingError) Error() string { return "holding" }

// pointerError has methods that need a pointer that is not nil.
type pointerError struct{ text string }

func (e *pointerError) Error() string { return e.text }

func TestBadStoreAndOptions(t *testing.T) {
	store := plain(newStore(t))
	newCache := func(store provider.CacheProvider, options readthrough.Options) func() error {
		return func() error {
			c, err := readthrough.New(store, options)
			assert.Nil(t, c, "New returned a cache beside the error")
			return err
		}
	}
	const negative = "must not be negative"
	for _, b := range []badCall{
		{name: "nil store", call: newCache(nil, readthrough.Options{}), want: "New: store: must not be nil"},
		{name: "nil pointer as the store", call: newCache((*memory.Store)(nil), readthrough.Options{}), want: "New: store: must not be nil"},
		{name: "ProviderTimeout", call: newCache(store, readthrough.Options{ProviderTimeout: -1}), want: "Options.ProviderTimeout: -1ns: " + negative},
		{name: "InvalidateTimeout", call: newCache(store, readthrough.Options{InvalidateTimeout: -1}), want: "Options.InvalidateTimeout: -1ns: " + negative},
		{name: "BreakerCooldown", call: newCache(store, readthrough.Options{BreakerCooldown: -time.Hour}), want: "Options.BreakerCooldown: -1h0m0s: " + negative},
		{name: "MaxPending", call: newCache(store, readthrough.Options{MaxPending: -1}), want: "Options.MaxPending: -1: " + negative},
		{name: "CloseTimeout", call: newCache(store, readthrough.Options{CloseTimeout: -1}), want: "Options.CloseTimeout: -1ns: " + negative},
		{name: "several", call: newCache(store, readthrough.Options{MaxPending: -1, ProviderTimeout: -1}), want: "Options.MaxPending"},
		{name: "several, the other one", call: newCache(store, readthrough.Options{MaxPending: -1, ProviderTimeout: -1}), want: "Options.ProviderTimeout"},
	} {
		b.run(t, func() int64 { return store.count() })
	}
}

// TestHugeOptions: what is only large is fine.
func TestHugeOptions(t *testing.T) {
	s := newScope(t, on(plain(newStore(t))), with(func(o *readthrough.Options, so *readthrough.ScopeOptions) {
		o.ProviderTimeout, o.InvalidateTimeout, o.BreakerCooldown = math.MaxInt64, math.MaxInt64, math.MaxInt64
		o.BreakerFailures, o.MaxPending = math.MaxInt, math.MaxInt
		so.TTL, so.NegativeTTL, so.LoadTimeout, so.Jitter = math.MaxInt64-1, math.MaxInt64, math.MaxInt64, 1
		so.StaleWhileRevalidate, so.StaleIfError, so.SoftLoadTimeout = math.MaxInt64-1, math.MaxInt64, math.MaxInt64-1
		so.RetryAfter, so.ErrorTTL, so.MaxLoads, so.XFetchBeta = math.MaxInt64, math.MaxInt64, math.MaxInt, math.MaxFloat64
	}))
	for range 100 {
		got, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) { return 7, nil })
		want(t, "Wrap", got, err, 7)
		assert.NoError(t, s.Invalidate(t.Context(), "k"))
	}
}

func TestBadScopes(t *testing.T) {
	store := plain(newStore(t))
	cache := newCache(t, store, readthrough.Options{})
	good := readthrough.ScopeOptions{TTL: time.Minute}
	scope := func(name string, options readthrough.ScopeOptions) func() error {
		return func() error {
			s, err := cache.Scope(name, options)
			assert.Nil(t, s, "Scope returned a scope beside the error")
			return err
		}
	}
	changed := func(change func(*readthrough.ScopeOptions)) func() error {
		options := good
		change(&options)
		return scope("s", options)
	}
	const ttl, jitter = "must be positive, or NoExpiry", "must not be more than 1"
	tests := []badCall{
		{name: "empty name", call: scope("", good), want: "scope name: 0 bytes: must be 1 to 128"},
		{name: "long name", call: scope(strings.Repeat("s", 129), good), want: "scope name: 129 bytes: must be 1 to 128"},
		{name: "huge name", call: scope(huge, good), want: "scope name: 1048576 bytes: must be 1 to 128"},
		{name: "no TTL", call: scope("s", readthrough.ScopeOptions{}), want: "ScopeOptions.TTL: 0s: " + ttl},
		{name: "negative TTL", call: scope("s", readthrough.ScopeOptions{TTL: -1}), want: "ScopeOptions.TTL: -1ns: " + ttl},
		{name: "Jitter", call: changed(func(o *readthrough.ScopeOptions) { o.Jitter = 1.01 }), want: "ScopeOptions.Jitter: 1.01: " + jitter},
		{name: "Jitter NaN", call: changed(func(o *readthrough.ScopeOptions) { o.Jitter = math.NaN() }), want: "ScopeOptions.Jitter: NaN: " + jitter},
		{name: "Jitter infinite", call: changed(func(o *readthrough.ScopeOptions) { o.Jitter = math.Inf(1) }), want: "ScopeOptions.Jitter: +Inf: " + jitter},
		{name: "TTL without a unit", call: changed(func(o *readthrough.ScopeOptions) { o.TTL = 60 }), want: "ScopeOptions.TTL: 60ns: must not be shorter than 1ms: did you mean 60 * time.Second?"},
		{name: "TTL of some microseconds", call: changed(func(o *readthrough.ScopeOptions) { o.TTL = time.Millisecond - 1 }), want: "ScopeOptions.TTL: 999.999µs: must not be shorter than 1ms"},
		{name: "NegativeTTL without a unit", call: changed(func(o *readthrough.ScopeOptions) { o.NegativeTTL = 5 }), want: "ScopeOptions.NegativeTTL: 5ns: must not be shorter than 1ms: did you mean 5 * time.Second?"},
		{name: "LoadTimeout", call: changed(func(o *readthrough.ScopeOptions) { o.LoadTimeout = -1 }), want: "ScopeOptions.LoadTimeout: -1ns: must not be negative"},
		{name: "NotFound uncomparable", call: changed(func(o *readthrough.ScopeOptions) { o.NotFound = uncomparableError{"a"} }), want: "ScopeOptions.NotFound: readthrough_test.uncomparableError: must be comparable"},
		{name: "NotFound with an uncomparable value", call: changed(func(o *readthrough.ScopeOptions) { o.NotFound = holdingError{[]int{1}} }), want: "ScopeOptions.NotFound: readthrough_test.holdingError: must be comparable"},
		{name: "NotFound nil pointer", call: changed(func(o *readthrough.ScopeOptions) { o.NotFound = (*pointerError)(nil) }), want: "ScopeOptions.NotFound: must not be a nil *readthrough_test.pointerError"},
		{name: "StaleWhileRevalidate", call: changed(func(o *readthrough.ScopeOptions) { o.StaleWhileRevalidate = -1 }), want: "ScopeOptions.StaleWhileRevalidate: -1ns: must not be negative"},
		{name: "StaleIfError", call: changed(func(o *readthrough.ScopeOptions) { o.StaleIfError = -1 }), want: "ScopeOptions.StaleIfError: -1ns: must not be negative"},
		{name: "SoftLoadTimeout", call: changed(func(o *readthrough.ScopeOptions) { o.SoftLoadTimeout = -1 }), want: "ScopeOptions.SoftLoadTimeout: -1ns: must not be negative"},
		{name: "RetryAfter", call: changed(func(o *readthrough.ScopeOptions) { o.RetryAfter = -1 }), want: "ScopeOptions.RetryAfter: -1ns: must not be negative"},
		{name: "ErrorTTL", call: changed(func(o *readthrough.ScopeOptions) { o.ErrorTTL = -1 }), want: "ScopeOptions.ErrorTTL: -1ns: must not be negative"},
		{name: "MaxLoads", call: changed(func(o *readthrough.ScopeOptions) { o.MaxLoads = -1 }), want: "ScopeOptions.MaxLoads: -1: must not be negative"},
		{name: "ReplicaLag", call: changed(func(o *readthrough.ScopeOptions) { o.ReplicaLag = -1 }), want: "ScopeOptions.ReplicaLag: -1ns: must not be negative"},
		{name: "RefreshAheadFactor 1", call: changed(func(o *readthrough.ScopeOptions) { o.RefreshAheadFactor = 1 }), want: "ScopeOptions.RefreshAheadFactor: 1: must be at least 0 and less than 1"},
		{name: "RefreshAheadFactor negative", call: changed(func(o *readthrough.ScopeOptions) { o.RefreshAheadFactor = -0.1 }), want: "ScopeOptions.RefreshAheadFactor: -0.1: must be at least 0 and less than 1"},
		{name: "RefreshAheadFactor NaN", call: changed(func(o *readthrough.ScopeOptions) { o.RefreshAheadFactor = math.NaN() }), want: "ScopeOptions.RefreshAheadFactor: NaN: must be at least 0 and less than 1"},
		{name: "XFetchBeta negative", call: changed(func(o *readthrough.ScopeOptions) { o.XFetchBeta = -1 }), want: "ScopeOptions.XFetchBeta: -1: must be a number that is not negative"},
		{name: "XFetchBeta NaN", call: changed(func(o *readthrough.ScopeOptions) { o.XFetchBeta = math.NaN() }), want: "ScopeOptions.XFetchBeta: NaN: must be a number that is not negative"},
		{name: "XFetchBeta infinite", call: changed(func(o *readthrough.ScopeOptions) { o.XFetchBeta = math.Inf(1) }), want: "ScopeOptions.XFetchBeta: +Inf: must be a number that is not negative"},
		{name: "StaleIfError not longer than StaleWhileRevalidate", call: changed(func(o *readthrough.ScopeOptions) { o.StaleWhileRevalidate, o.StaleIfError = 2, 2 }), want: "ScopeOptions.StaleIfError: 2ns: has no effect: must be longer than StaleWhileRevalidate"},
		{name: "SoftLoadTimeout without a stale value", call: changed(func(o *readthrough.ScopeOptions) { o.StaleWhileRevalidate, o.SoftLoadTimeout = 1, 1 }), want: "ScopeOptions.SoftLoadTimeout: 1ns: has no effect without StaleIfError"},
		{name: "SoftLoadTimeout not less than LoadTimeout", call: changed(func(o *readthrough.ScopeOptions) { o.StaleIfError, o.SoftLoadTimeout, o.LoadTimeout = 1, 2, 2 }), want: "ScopeOptions.SoftLoadTimeout: 2ns: has no effect: must be less than LoadTimeout"},
		{name: "both kinds of early loads", call: changed(func(o *readthrough.ScopeOptions) { o.RefreshAheadFactor, o.XFetchBeta = 0.5, 1 }), want: "ScopeOptions.XFetchBeta: 1: is an alternative to RefreshAheadFactor: choose one"},
		{name: "RetryAfter without anything to serve", call: changed(func(o *readthrough.ScopeOptions) { o.RetryAfter, o.ErrorTTL = 1, 1 }), want: "ScopeOptions.RetryAfter: 1ns: has no effect without StaleWhileRevalidate, StaleIfError, RefreshAheadFactor or XFetchBeta"},
		{name: "several", call: scope("s", readthrough.ScopeOptions{Jitter: 2}), want: "ScopeOptions.TTL"},
		{name: "several, the other one", call: scope("s", readthrough.ScopeOptions{Jitter: 2}), want: "ScopeOptions.Jitter"},
	}
	for name, change := range map[string]func(*readthrough.ScopeOptions){
		"StaleWhileRevalidate": func(o *readthrough.ScopeOptions) { o.StaleWhileRevalidate = 1 },
		"StaleIfError":         func(o *readthrough.ScopeOptions) { o.StaleIfError = 1 },
		"RefreshAheadFactor":   func(o *readthrough.ScopeOptions) { o.RefreshAheadFactor = 0.5 },
		"XFetchBeta":           func(o *readthrough.ScopeOptions) { o.XFetchBeta = 1 },
	} {
		tests = append(tests, badCall{
			name: name + " of what does not expire", want: "ScopeOptions.TTL: NoExpiry: has no effect together with",
			call: changed(func(o *readthrough.ScopeOptions) { o.TTL = readthrough.NoExpiry; change(o) }),
		})
	}
	for _, name := range []string{" ", "a b", "a/b", "a:b", "ä", "\x00", "\xff", "a*", "{a}", "a\n"} {
		tests = append(tests, badCall{name: fmt.Sprintf("name %q", name), call: scope(name, good), want: "only ASCII letters"})
	}
	for _, b := range tests {
		b.run(t, func() int64 { return store.count() })
	}
}

// A store with leases that cannot lease what it has refuses what needs that.
func TestStaleNeedsARefresher(t *testing.T) {
	cache := newCache(t, plain(newLeaseStore()).as(capLeases), readthrough.Options{})
	badCall{
		name: "StaleIfError", want: `scope "s": stale values and early loads: the store has leases but is no provider.Refresher`,
		call: func() error {
			_, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute, StaleIfError: time.Hour})
			return err
		},
	}.run(t, func() int64 { return 0 })
	s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
	require.NoError(t, err)
	src := newSource(1)
	value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
	want(t, "Wrap", value, err, 1)
	src.set(2)
	value, err = readthrough.Refresh(t.Context(), s, "k", src.load)
	want(t, "Refresh", value, err, 2)
	value, err = readthrough.Wrap(t.Context(), s, "k", src.load)
	want(t, "Wrap", value, err, 2)
	wantLoads(t, &src.loads, 2)
}

// TestLifetimes stores with every combination of TTLs and looks when the entry
// is gone, to the nanosecond.
func TestLifetimes(t *testing.T) {
	const never = readthrough.NoExpiry
	tests := []struct {
		name         string
		options      readthrough.ScopeOptions
		call         []readthrough.CallOption
		value, empty time.Duration // 0: not stored
	}{
		{"defaults", readthrough.ScopeOptions{TTL: time.Minute}, nil, time.Minute, 5 * time.Second},
		{"a short TTL", readthrough.ScopeOptions{TTL: time.Second}, nil, time.Second, time.Second},
		{"one millisecond", readthrough.ScopeOptions{TTL: time.Millisecond}, nil, time.Millisecond, time.Millisecond},
		{"500 ms", readthrough.ScopeOptions{TTL: 500 * time.Millisecond}, nil, 500 * time.Millisecond, 500 * time.Millisecond},
		{"no expiry", readthrough.ScopeOptions{TTL: never}, nil, never, 5 * time.Second},
		{"negative TTL set", readthrough.ScopeOptions{TTL: time.Minute, NegativeTTL: time.Second}, nil, time.Minute, time.Second},
		{"negative TTL longer", readthrough.ScopeOptions{TTL: time.Minute, NegativeTTL: time.Hour}, nil, time.Minute, time.Minute},
		{"absence not cached", readthrough.ScopeOptions{TTL: time.Minute, NegativeTTL: -1}, nil, time.Minute, 0},
		{"TTL of the call", readthrough.ScopeOptions{TTL: time.Minute}, []readthrough.CallOption{readthrough.TTL(time.Hour)}, time.Hour, 5 * time.Second},
		{"short TTL of the call", readthrough.ScopeOptions{TTL: time.Minute}, []readthrough.CallOption{readthrough.TTL(time.Second)}, time.Second, time.Second},
		{"the last one counts", readthrough.ScopeOptions{TTL: time.Minute}, []readthrough.CallOption{readthrough.TTL(time.Second), {}, readthrough.TTL(time.Hour)}, time.Hour, 5 * time.Second},
		{"no expiry for the call", readthrough.ScopeOptions{TTL: time.Minute}, []readthrough.CallOption{readthrough.TTL(never)}, never, 5 * time.Second},
	}
	for _, test := range tests {
		bubble(t, test.name, func(t *testing.T) {
			test.options.Jitter = -1
			cache := newCache(t, newStore(t), readthrough.Options{})
			s, err := cache.Scope("s", test.options)
			require.NoError(t, err)
			for _, absent := range []bool{false, true} {
				key, lives := fmt.Sprint(absent), test.value
				if absent {
					lives = test.empty
				}
				_, err := readthrough.Wrap(t.Context(), s, key, func(context.Context) (int, error) {
					if absent {
						return 0, readthrough.ErrNotFound
					}
					return 1, nil
				}, test.call...)
				require.Equal(t, absent, errors.Is(err, readthrough.ErrNotFound), "%v", err)
				has := func() bool {
					t.Helper()
					found, err := s.Has(t.Context(), key)
					assert.NoError(t, err)
					return found
				}
				switch lives {
				case 0:
					assert.False(t, has(), "absent = %v: stored", absent)
				case never:
					time.Sleep(100 * 365 * 24 * time.Hour)
					assert.True(t, has(), "absent = %v: gone after 100 years", absent)
				default:
					time.Sleep(lives - 1)
					assert.True(t, has(), "absent = %v: gone before %v", absent, lives)
					time.Sleep(1)
					assert.False(t, has(), "absent = %v: still there after %v", absent, lives)
				}
			}
		})
	}
}

// TestJitter: every path that stores shortens the TTL by up to the jitter, to
// the nanosecond, and never lengthens it.
func TestJitter(t *testing.T) {
	paths := map[string]func(ctx context.Context, s *readthrough.CachedScope, key string) error{
		"Wrap": func(ctx context.Context, s *readthrough.CachedScope, key string) error {
			_, err := readthrough.Wrap(ctx, s, key, func(context.Context) (int, error) { return 1, nil })
			return err
		},
		"WrapMany": func(ctx context.Context, s *readthrough.CachedScope, key string) error {
			_, err := readthrough.WrapMany(ctx, s, []string{key}, func(k string) string { return k },
				func(context.Context, []string) (map[string]int, error) { return map[string]int{key: 1}, nil })
			return err
		},
		"absence": func(ctx context.Context, s *readthrough.CachedScope, key string) error {
			_, err := readthrough.Wrap(ctx, s, key, func(context.Context) (int, error) { return 1, readthrough.ErrNotFound })
			if errors.Is(err, readthrough.ErrNotFound) {
				return nil
			}
			return err
		},
	}
	for name, store := range paths {
		for _, jitter := range []float64{-1, 0, 0.5, 1} {
			bubble(t, fmt.Sprintf("%s/%v", name, jitter), func(t *testing.T) {
				const ttl, n = time.Second, 300
				cache := newCache(t, newStore(t), readthrough.Options{})
				s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: ttl, Jitter: jitter})
				require.NoError(t, err)
				for i := range n {
					require.NoError(t, store(t.Context(), s, fmt.Sprint(i)))
				}
				page, err := s.Entries(t.Context(), provider.ListOptions{Limit: n})
				require.NoError(t, err)
				shortest, longest, odd := ttl, time.Duration(0), 0
				for _, e := range page.Entries {
					lives := e.ExpiresAt.Sub(e.StoredAt)
					shortest, longest = min(shortest, lives), max(longest, lives)
					if lives%time.Millisecond != 0 {
						odd++
					}
				}
				part := jitter
				switch {
				case jitter < 0:
					part = 0
				case jitter == 0:
					part = 0.1
				}
				lowest := ttl - time.Duration(part*float64(ttl))
				assert.LessOrEqual(t, longest, ttl, "TTLs")
				assert.GreaterOrEqual(t, shortest, lowest, "TTLs")
				if part == 0 {
					return
				}
				assert.GreaterOrEqual(t, longest-shortest, time.Duration(0.8*part*float64(ttl)), "TTLs from %v to %v: that is no spread", shortest, longest)
				assert.GreaterOrEqual(t, odd, n/2, "TTLs of %d that are finer than a millisecond", n)
			})
		}
	}
}
