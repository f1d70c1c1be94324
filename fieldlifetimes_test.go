package readthrough_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

func TestNegativeTTLIsExact(t *testing.T) {
	for name, c := range map[string]struct {
		ttl, negative time.Duration
		call          []readthrough.CallOption
		lives         time.Duration // 0: not at all
	}{
		"default":                         {time.Minute, 0, nil, 5 * time.Second},
		"default with a shorter TTL":      {time.Second, 0, nil, time.Second},
		"own":                             {time.Minute, 20 * time.Second, nil, 20 * time.Second},
		"longer than TTL":                 {time.Second, time.Minute, nil, time.Second},
		"longer than the TTL of the call": {time.Minute, 20 * time.Second, []readthrough.CallOption{readthrough.TTL(time.Second)}, time.Second},
		"none":                            {time.Minute, -1, nil, 0},
		"default without expiry":          {readthrough.NoExpiry, 0, nil, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t, with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.TTL, o.NegativeTTL = c.ttl, c.negative }))
				src := newSource(0)
				src.err = readthrough.ErrNotFound
				read := func(loads int64) {
					t.Helper()
					_, err := readthrough.Wrap(t.Context(), s, "k", src.load, c.call...)
					assert.ErrorIs(t, err, readthrough.ErrNotFound)
					wantLoads(t, &src.loads, loads)
				}
				read(1)
				if c.lives > 0 {
					time.Sleep(c.lives - 1)
					read(1)
					time.Sleep(1)
				}
				read(2)
				wantIdle(t, s)
			})
		})
	}
}

// In caches that count in seconds, or that subtract a fixed time from every TTL:
// 500 ms become 1 s, or 1 h, or no time at all.
func TestFieldTTLArithmetic(t *testing.T) {
	for _, ttl := range []time.Duration{time.Millisecond, 500 * time.Millisecond, 1500 * time.Millisecond, 10 * time.Second, 24 * time.Hour, 150 * 365 * 24 * time.Hour} {
		for _, perCall := range []bool{false, true} {
			for _, way := range []string{"single", "bulk"} {
				t.Run(fmt.Sprintf("%v perCall=%v %s", ttl, perCall, way), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						var options []readthrough.CallOption
						s := newScope(t, with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) {
							o.TTL = ttl
							if perCall {
								o.TTL, options = time.Minute, []readthrough.CallOption{readthrough.TTL(ttl)}
							}
						}))
						src := newSource(1)
						read := func(loads int64) {
							t.Helper()
							var err error
							if way == "single" {
								_, err = readthrough.Wrap(t.Context(), s, "k", src.load, options...)
							} else {
								_, err = readthrough.WrapMany(t.Context(), s, []string{"k"}, self, many(src.load), options...)
							}
							assert.NoError(t, err)
							wantLoads(t, &src.loads, loads)
						}
						read(1)
						time.Sleep(ttl - 1)
						read(1)
						time.Sleep(1)
						read(2)
					})
				})
			}
		}
	}
}

func TestNoExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jittered := with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.TTL, o.Jitter = readthrough.NoExpiry, 1 })
		s, src := newScope(t, jittered), newSource(1)
		other := newScope(t)
		for range 3 {
			value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
			want(t, "scope", value, err, 1)
			value, err = readthrough.Wrap(t.Context(), other, "k", src.load, readthrough.TTL(readthrough.NoExpiry))
			want(t, "call", value, err, 1)
			time.Sleep(100 * 365 * 24 * time.Hour)
		}
		wantLoads(t, &src.loads, 2)
	})
}

// In caches whose jitter is truncated to seconds, or not applied where a load
// fills: everything that was filled together expires together.
func TestFieldJitterThatDoesNotWork(t *testing.T) {
	for name, c := range map[string]struct {
		jitter, most float64
		ttl          time.Duration
	}{
		"default":             {0, 0.1, time.Second},
		"default, short":      {0, 0.1, time.Millisecond},
		"half":                {0.5, 0.5, time.Minute},
		"all":                 {1, 1, time.Second},
		"none":                {-1, 0, time.Second},
		"a TTL of a moment":   {1, 1, time.Millisecond},
		"the longest TTL":     {0.5, 0.5, readthrough.NoExpiry - 1},
		"more negative":       {math.Inf(-1), 0, time.Second},
		"very small":          {1e-18, 1e-18, time.Second},
		"default of absences": {0, 0.1, -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 2000
				store := plain(newStore(t))
				var mu sync.Mutex // guards ttls
				var ttls []time.Duration
				store.around("set", func(_ context.Context, r *request, set func() error) error {
					mu.Lock()
					ttls = append(ttls, r.ttl)
					mu.Unlock()
					if !r.entry.FreshUntil.IsZero() || !r.entry.LoadedAt.Equal(time.Now()) {
						return fmt.Errorf("fresh until %v, loaded at %v", r.entry.FreshUntil, r.entry.LoadedAt)
					}
					return set()
				})
				s := newScope(t, on(store.as(capInProcess)), with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) {
					o.Jitter = c.jitter
					if o.TTL = c.ttl; c.ttl < 0 {
						o.TTL = time.Minute
					}
				}))
				ids := make([]string, 0, n)
				load := newSource(1).load
				if c.ttl < 0 {
					c.ttl = 5 * time.Second
					load = func(context.Context) (int, error) { return 0, readthrough.ErrNotFound }
				}
				for i := range n {
					ids = append(ids, fmt.Sprint("bulk ", i))
					_, _ = readthrough.Wrap(t.Context(), s, fmt.Sprint(i), load)
				}
				_, err := readthrough.WrapMany(t.Context(), s, ids, self, func(_ context.Context, ids []string) (map[string]int, error) {
					values := make(map[string]int)
					if _, err := load(t.Context()); err == nil {
						for _, id := range ids {
							values[id] = 1
						}
					}
					return values, nil
				})
				require.NoError(t, err)
				require.Len(t, ttls, 2*n, "fills")
				lowest := max(1, c.ttl-time.Duration(c.most*float64(c.ttl))-1)
				for _, half := range [][]time.Duration{ttls[:n], ttls[n:]} {
					wantSpread(t, half, lowest, c.ttl)
				}
			})
		})
	}
}

// wantSpread fails the test unless ttls are spread over all of lowest to highest.
func wantSpread(t *testing.T, ttls []time.Duration, lowest, highest time.Duration) {
	t.Helper()
	low, high := slices.Min(ttls), slices.Max(ttls)
	assert.GreaterOrEqual(t, low, lowest, "TTLs")
	assert.LessOrEqual(t, high, highest, "TTLs")
	width := highest - lowest
	if width < 100 {
		return
	}
	distinct := make(map[time.Duration]bool)
	var quarters [4]int
	for _, ttl := range ttls {
		distinct[ttl] = true
		quarters[min(3, int((ttl-lowest)/(width/4)))]++
	}
	assert.GreaterOrEqual(t, len(distinct), len(ttls)/2, "different TTLs of %d", len(ttls))
	for i, n := range quarters {
		// a quarter expected; an eighth is off by more than 12 standard deviations
		assert.GreaterOrEqual(t, n, len(ttls)/8, "TTLs of %d in quarter %d", len(ttls), i)
	}
}
