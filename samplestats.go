package readthrough

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// sampler is the budget of the samples of a cache.
type sampler struct {
	mu      sync.Mutex // guards following
	running int
	next    time.Time // when the next may begin
}

// admit reports whether a sample may begin. The sample has to call done.
func (b *sampler) admit(o *Options, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running >= o.SampleLoads || now.Before(b.next) {
		return false
	}
	b.running++
	b.next = now.Add(time.Second / time.Duration(o.SampleRate))
	return true
}

func (b *sampler) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running--
}

// sampleStats are the counters of samples. A scope that has none has no memory for them.
type sampleStats struct {
	// A hit is sampled if the mix of its number and the seed is at most limit: see picks.
	seed, limit uint64

	sampled atomic.Int64
	stale   atomic.Int64
	ageSum  atomic.Int64
	ages    [ageBuckets]atomic.Int64
}

// The bounds of the ages of stale values are powers of two, from a second to about nine hours.
const (
	firstAge   = time.Second
	ageBuckets = 17
)

// newSampleStats returns nil if one in 0 is sampled: none.
func newSampleStats(oneIn int) *sampleStats {
	if oneIn == 0 {
		return nil
	}
	return &sampleStats{seed: rand.Uint64(), limit: math.MaxUint64 / uint64(oneIn)} //nolint:gosec // unpredictable is not needed
}

// picks reports whether the nth hit of a counter is one that is sampled. It is on the path of every hit, so it mixes n with
// one multiplication: a random number costs several times as much. Each scope of
// each process has a seed of its own. Without one, no scope would sample its first hits.
func (s *sampleStats) picks(n int64) bool {
	if s == nil {
		return false
	}
	const golden = 0x9e3779b97f4a7c15
	high, low := bits.Mul64(uint64(n)^s.seed, uint64(n)^golden) // as wyrand does
	return high^low <= s.limit
}

// found counts a value that was found stale.
func (s *sampleStats) found(age time.Duration) {
	i := 0
	for i < ageBuckets-1 && age > firstAge<<i {
		i++
	}
	s.stale.Add(1)
	s.ageSum.Add(int64(age))
	s.ages[i].Add(1)
}

// addTo adds the counters to the statistics of a scope.
func (s *sampleStats) addTo(stats *Stats) {
	if s == nil {
		return
	}
	stats.Sampled, stats.SampledStale = s.sampled.Load(), s.stale.Load()
	h := Histogram{Sum: time.Duration(s.ageSum.Load()), Buckets: make([]Bucket, ageBuckets)}
	for i := range h.Buckets {
		h.Buckets[i] = Bucket{UpTo: firstAge << i, Count: s.ages[i].Load()}
		h.Count += h.Buckets[i].Count
	}
	h.Buckets[ageBuckets-1].UpTo = NoExpiry
	stats.SampledStaleAge = h
}
