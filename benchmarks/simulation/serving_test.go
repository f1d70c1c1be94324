package simulation_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
)

// The workload of the serving simulation: 1,000 keys, of which the most popular is
// read 900 times a second, the tenth 70 times, the hundredth 6 times and the last
// every other second.
const (
	keys     = 1000
	exponent = 1.1
	rate     = 5000
	hot      = 10 // so many keys are called hot
	warmUp   = 5 * time.Second

	softTimeout = 10 * time.Millisecond
)

// strategy is a way to serve.
type strategy struct {
	name    string
	options readthrough.ScopeOptions
	// draws says that the cache draws random numbers, which no seed governs: a second
	// run differs a little.
	draws bool
}

func strategies() []strategy {
	return []strategy{
		{name: "plain expiry"},
		{name: "StaleWhileRevalidate", options: readthrough.ScopeOptions{StaleWhileRevalidate: 10 * time.Second}},
		{name: "StaleIfError, SoftLoadTimeout", options: readthrough.ScopeOptions{StaleIfError: 10 * time.Second, SoftLoadTimeout: softTimeout}},
		{name: "RefreshAheadFactor 0.8", options: readthrough.ScopeOptions{RefreshAheadFactor: 0.8}},
		{name: "XFetchBeta 1", options: readthrough.ScopeOptions{XFetchBeta: 1}, draws: true},
		{name: "XFetchBeta 3", options: readthrough.ScopeOptions{XFetchBeta: 3}, draws: true},
		{name: "XFetchBeta 10", options: readthrough.ScopeOptions{XFetchBeta: 10}, draws: true},
		{name: "RefreshAheadFactor 0.8, StaleWhileRevalidate", options: readthrough.ScopeOptions{RefreshAheadFactor: 0.8, StaleWhileRevalidate: 10 * time.Second}},
	}
}

// read is what a read came to.
type read struct {
	rank  int
	waits time.Duration
	age   time.Duration // of the value, when the read got it
}

// stale reports whether the value was served past its TTL.
func (r read) stale() bool { return r.age >= ttl }

// served is what a simulation came to, after the time in which the cache warms up.
type served struct {
	strategy

	length time.Duration
	reads  []read // in the order of their waits
	loads  int64
	peak   int64 // of the loads that ran at once
}

// serve runs a strategy for so long.
func serve(t *testing.T, s strategy, seed uint64, length time.Duration) served {
	t.Helper()
	result := served{strategy: s, length: length}
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 0))
		zipf := rand.NewZipf(random, exponent, 1, keys-1)
		coming := arrivals(random, rate, warmUp+length, func() int { return int(zipf.Uint64()) })
		source := newSource(seed, keys, warmUp+length)
		source.from = warmUp
		reads := make([]read, len(coming))
		play(t, s.options, source, coming, func(i int, got readthrough.Result[time.Time], err error, waited time.Duration) {
			assert.NoError(t, err, "read")
			reads[i] = read{rank: coming[i].rank, waits: waited, age: time.Since(got.Value)}
			assert.Equal(t, got.Source == readthrough.FromStale, reads[i].stale(), "a value that is %v old comes from %v", reads[i].age, got.Source)
		})
		first, _ := slices.BinarySearchFunc(coming, warmUp, func(a arrival, at time.Duration) int { return cmp.Compare(a.at, at) })
		result.reads = reads[first:]
		result.loads, result.peak = source.begun(warmUp, warmUp+length), source.peak.Load()
	})
	slices.SortFunc(result.reads, func(a, b read) int { return cmp.Compare(a.waits, b.waits) })
	return result
}

// wait returns the time that so large a part of the reads does not wait longer than.
func (s *served) wait(part float64) time.Duration {
	return s.reads[min(len(s.reads)-1, int(part*float64(len(s.reads))))].waits
}

// part returns how large a part of the reads that are among is like that.
func (s *served) part(among, like func(read) bool) float64 {
	n, of := 0, 0
	for _, r := range s.reads {
		if among(r) {
			of++
			if like(r) {
				n++
			}
		}
	}
	return float64(n) / float64(max(1, of))
}

func all(read) bool       { return true }
func isHot(r read) bool   { return r.rank < hot }
func waiting(r read) bool { return r.waits > 0 }

// oldest returns the age of the oldest value that was served.
func (s *served) oldest() (oldest time.Duration) {
	for _, r := range s.reads {
		oldest = max(oldest, r.age)
	}
	return oldest
}
