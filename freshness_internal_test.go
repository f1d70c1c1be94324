package readthrough

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// TestFreshness: what may be done with an entry, to the nanosecond.
func TestFreshness(t *testing.T) {
	const ttl, swr, sie = 10 * time.Second, 5 * time.Second, 20 * time.Second
	both := ScopeOptions{StaleWhileRevalidate: swr, StaleIfError: sie}
	revalidate := ScopeOptions{StaleWhileRevalidate: swr}
	onError := ScopeOptions{StaleIfError: sie}
	ahead := ScopeOptions{RefreshAheadFactor: 0.8}
	lottery := ScopeOptions{XFetchBeta: 1}
	never := func() float64 { t.Error("a random number is asked for that does not matter"); return 0 }
	half := func() float64 { return 0.5 }
	loaded := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	value := provider.Entry{LoadedAt: loaded, FreshUntil: loaded.Add(ttl), LoadTime: time.Second}
	instant, ageless, endless, absent := value, value, value, value
	instant.LoadTime, ageless.LoadedAt, endless.FreshUntil, absent.Absent = 0, time.Time{}, time.Time{}, true
	// With a draw of 1/2, XFetch loads ahead by ln 2 times the load time.
	const ln2 = 693_147_180 * time.Nanosecond

	for _, test := range []struct {
		name    string
		options ScopeOptions
		entry   provider.Entry
		draw    func() float64
		age     time.Duration
		want    freshness
	}{
		{"nothing", ScopeOptions{}, value, never, ttl - 1, fresh},
		{"nothing, over", ScopeOptions{}, value, never, ttl, expired},
		{"both, fresh", both, value, never, ttl - 1, fresh},
		{"both, stale", both, value, never, ttl, stale},
		{"both, still stale", both, value, never, ttl + swr - 1, stale},
		{"both, fallback", both, value, never, ttl + swr, ifError},
		{"both, still fallback", both, value, never, ttl + sie - 1, ifError},
		{"both, over", both, value, never, ttl + sie, expired},
		{"revalidate, stale", revalidate, value, never, ttl + swr - 1, stale},
		{"revalidate, over", revalidate, value, never, ttl + swr, expired},
		{"on error, fallback", onError, value, never, ttl, ifError},
		{"on error, over", onError, value, never, ttl + sie, expired},
		{"ahead, fresh", ahead, value, never, 8*time.Second - 1, fresh},
		{"ahead, early", ahead, value, never, 8 * time.Second, early},
		{"ahead, still early", ahead, value, never, ttl - 1, early},
		{"ahead, over", ahead, value, never, ttl, expired},
		{"ahead of unknown age", ahead, ageless, never, ttl - 1, fresh},
		{"lottery, fresh", lottery, value, half, ttl - ln2 - 1, fresh},
		{"lottery, early", lottery, value, half, ttl - ln2, early},
		{"lottery of less", lottery, value, func() float64 { return 0 }, ttl - 1, fresh},
		{"lottery of most", lottery, value, func() float64 { return 1 - 0x1p-53 }, 0, early},
		{"lottery of a load that took no time", lottery, instant, func() float64 { return 1 - 0x1p-53 }, ttl - 1, fresh},
		{"lottery, over", lottery, value, never, ttl, expired},
		{"lottery of a large beta", ScopeOptions{XFetchBeta: math.MaxFloat64}, value, half, 0, early},
		{"lottery of a large beta, no load time", ScopeOptions{XFetchBeta: math.MaxFloat64}, instant, func() float64 { return 1 - 0x1p-53 }, ttl - 1, fresh},
		{"no end", both, endless, never, 1000 * time.Hour, fresh},
		{"absent, fresh", both, absent, never, ttl - 1, fresh},
		{"absent, early", ahead, absent, never, ttl - 1, fresh},
		{"absent, over", revalidate, absent, never, ttl, expired},
		{"absent, for errors", both, absent, never, ttl, ifError},
		{"absent, still for errors", onError, absent, never, ttl + sie - 1, ifError},
		{"absent, over for errors", onError, absent, never, ttl + sie, expired},
		{"clock a little ahead", both, value, never, -ttl / 10, fresh},
		{"clock a little ahead, early", ahead, value, never, -ttl / 10, fresh},
		{"clock a little ahead, lottery", lottery, value, half, -ttl / 10, fresh},
		{"clock a little ahead, absent", both, absent, never, -ttl / 10, fresh},
		{"clock ahead", both, value, never, -ttl/10 - 1, stale},
		{"clock ahead, on error", onError, value, never, -ttl/10 - 1, ifError},
		{"clock ahead, nothing", ScopeOptions{}, value, never, -ttl/10 - 1, expired},
		{"clock ahead, early", ahead, value, never, -ttl/10 - 1, expired},
		{"clock ahead, absent", revalidate, absent, never, -ttl/10 - 1, expired},
		{"clock ahead, absent, on error", both, absent, never, -ttl/10 - 1, ifError},
		{"clock far ahead", both, value, never, -1000 * time.Hour, stale},
		{"clock ahead, unknown age", both, ageless, never, -1000 * time.Hour, fresh},
		{"clock ahead, no end", both, endless, never, -1000 * time.Hour, fresh},
		{"clock behind", both, value, never, 1000 * time.Hour, expired},
	} {
		if got := test.options.freshness(&test.entry, loaded.Add(test.age), test.draw); got != test.want {
			t.Errorf("%s: %d after %v, want %d", test.name, got, test.age, test.want)
		}
	}
}

var staleSeed = flag.Uint64("stale.seed", 0, "seed of the tests of early loads; 0: a random one")

// TestXFetchDistribution: a value is loaded early with the probability of the
// paper, exp(-left / (beta * load time)).
func TestXFetchDistribution(t *testing.T) {
	seed := *staleSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed: -stale.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	const n = 50_000
	now := time.Now()
	for _, test := range []struct {
		beta           float64
		loadTime, left time.Duration
	}{
		{1, time.Second, time.Second / 2},
		{1, time.Second, time.Second},
		{1, time.Second, 3 * time.Second},
		{2, time.Second, time.Second},
		{0.5, 20 * time.Millisecond, 10 * time.Millisecond},
	} {
		options := ScopeOptions{XFetchBeta: test.beta}
		entry := provider.Entry{LoadedAt: now, FreshUntil: now.Add(test.left), LoadTime: test.loadTime}
		loads := 0
		for range n {
			if options.freshness(&entry, now, rng.Float64) == early {
				loads++
			}
		}
		p := math.Exp(-float64(test.left) / (test.beta * float64(test.loadTime)))
		if off := math.Abs(float64(loads)/n - p); off > 6*math.Sqrt(p*(1-p)/n) {
			t.Errorf("%+v: %d of %d reads load, want a part of %.4f", test, loads, n, p)
		}
	}
}

// TestKeep: the stale window comes after the TTL, jitter shortens the TTL alone,
// and durations do not overflow.
func TestKeep(t *testing.T) {
	const long = math.MaxInt64
	now := time.Now()
	for _, test := range []struct {
		name         string
		options      ScopeOptions
		ttl          time.Duration
		absent       bool
		shortest     time.Duration // of the time for which it is fresh; 0: for as long as it is stored
		storedBeyond time.Duration // the time for which it is fresh
	}{
		{"plain", ScopeOptions{}, time.Minute, false, 0, 0},
		{"revalidate", ScopeOptions{StaleWhileRevalidate: time.Hour}, time.Minute, false, time.Minute, time.Hour},
		{"on error", ScopeOptions{StaleIfError: time.Hour}, time.Minute, false, time.Minute, time.Hour},
		{"both", ScopeOptions{StaleWhileRevalidate: time.Second, StaleIfError: time.Hour}, time.Minute, false, time.Minute, time.Hour},
		{"ahead", ScopeOptions{RefreshAheadFactor: 0.5}, time.Minute, false, time.Minute, 0},
		{"jitter", ScopeOptions{StaleIfError: time.Hour, Jitter: 0.5}, time.Minute, false, 30 * time.Second, time.Hour},
		{"one nanosecond", ScopeOptions{StaleIfError: 1, Jitter: 1}, 1, false, 1, 1},
		{"absent", ScopeOptions{StaleWhileRevalidate: time.Hour}, time.Minute, true, 0, 0},
		{"absent, on error", ScopeOptions{StaleIfError: time.Hour}, time.Minute, true, time.Minute, time.Hour},
		{"absent, both", ScopeOptions{StaleWhileRevalidate: time.Second, StaleIfError: time.Hour}, time.Minute, true, time.Minute, time.Hour},
		{"no expiry", ScopeOptions{StaleIfError: time.Hour}, NoExpiry, false, 0, 0},
	} {
		for range 100 {
			entry := provider.Entry{LoadedAt: now, Absent: test.absent}
			storeFor := test.options.stamp(&entry, test.ttl)
			if test.shortest == 0 {
				if !entry.FreshUntil.IsZero() || storeFor != test.ttl {
					t.Errorf("%s: fresh until %v, stored for %v, want no end and %v", test.name, entry.FreshUntil, storeFor, test.ttl)
				}
				continue
			}
			freshFor := entry.FreshUntil.Sub(now)
			if freshFor < test.shortest || freshFor > test.ttl || storeFor-freshFor != test.storedBeyond {
				t.Errorf("%s: fresh for %v, stored for %v, want %v to %v, and %v more", test.name, freshFor, storeFor, test.shortest, test.ttl, test.storedBeyond)
			}
		}
	}
	for _, ttl := range []time.Duration{1, time.Minute, long - 1} {
		for _, staleFor := range []time.Duration{1, time.Minute, long - 1, long} {
			options := ScopeOptions{StaleIfError: staleFor, Jitter: -1}
			entry := provider.Entry{LoadedAt: now}
			if storeFor := options.stamp(&entry, ttl); storeFor < max(ttl, staleFor)-1 || storeFor == NoExpiry || !entry.FreshUntil.After(now) {
				t.Errorf("TTL %d and %d: stored for %d, fresh until %v", ttl, staleFor, storeFor, entry.FreshUntil)
			}
		}
	}
}
