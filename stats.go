package readthrough

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/internal/counter"
)

// Stats are the statistics of a scope since it was made. They are read one after the other, and no
// reader waits for that. So while reads are under way, the numbers need not add up.
type Stats struct {
	// Hits and Misses count keys that were read: answered by the store, or not.
	// Keys read while the store is bypassed are misses.
	Hits, Misses int64
	// NearHits counts the hits that the memory in front of a shared store has answered, see package
	// near. They count as hits, too.
	NearHits int64
	// Bypassed counts the keys whose reads bypassed the cache because of their context ([Cache.Bypass],
	// [Batch.In]). They are neither hits nor misses, and their loads do not count.
	Bypassed int64
	// Joined counts the misses that waited for a load which was already under way.
	Joined int64
	// Stale counts the keys whose stale values were served. Those because of StaleWhileRevalidate
	// count as hits, too, and those because of StaleIfError as misses.
	Stale int64
	// Refreshes counts the loads that were begun in the background, for no reader.
	Refreshes int64
	// Loads counts the runs of load functions; a bulk load is one. LoadErrors
	// counts those that failed, panicked or timed out.
	Loads, LoadErrors int64
	// RefusedFills counts loaded values that were not stored, because an invalidation came while
	// they were loaded, or because their leases had ended.
	RefusedFills int64
	// LostLeases counts loaded values that were not stored because their load took
	// longer than its lease. A store that renews leases, a [provider.Renewer], has
	// such loads only if it does not answer.
	LostLeases int64
	// Invalidations counts keys and prefixes invalidated.
	Invalidations int64
	// Pending is the number of keys and prefixes whose invalidation the store has
	// not confirmed yet. One prefix, "", stands for the whole scope.
	Pending int
	// PendingSince is since when something is pending, without a break; zero: nothing is. It is the
	// figure to alert on: until the store confirms, other processes may read what was invalidated.
	PendingSince time.Time
	// ProviderErrors counts errors of the store, with entries that could not be read and values
	// that it would not keep. Requests that the breaker stopped do not count.
	ProviderErrors int64
	// InFlight is the number of keys that are being loaded or stored. A key counts once for each
	// load.
	InFlight int
	// LoadTime is the distribution of the durations of loads.
	LoadTime Histogram
	// Sampled counts the stored values that were compared with the source, because of
	// [ScopeOptions.SampleOneIn]. SampledStale counts those of them that were stale, which should be
	// none, and SampledStaleAge is the distribution of their ages: how long ago they were loaded.
	Sampled, SampledStale int64
	SampledStaleAge       Histogram

	_ struct{}
}

// Histogram is a distribution of durations.
type Histogram struct {
	// Count is the number of durations, and Sum their sum.
	Count int64
	Sum   time.Duration
	// Buckets count the durations up to and including a bound, and above the
	// bound before it. They are in rising order, and the last has no bound.
	Buckets []Bucket
}

// Bucket is a part of a [Histogram].
type Bucket struct {
	// UpTo is the bound; the last bucket has [NoExpiry].
	UpTo  time.Duration
	Count int64
}

// The bounds of load time buckets are powers of two, from firstBound.
const (
	firstBound  = 64 * time.Microsecond
	bucketCount = 22 // the last bound is 64 µs · 2^20, 67 s
)

// scopeStats are the counters behind [Stats]. Each is written without a lock, by whichever
// goroutine does the work.
type scopeStats struct {
	hits           counter.Counter // without nearHits; on the path of a hit there is one of the two
	nearHits       counter.Counter
	misses         atomic.Int64
	bypassed       atomic.Int64
	joined         atomic.Int64
	stale          atomic.Int64
	refreshes      atomic.Int64
	loads          atomic.Int64
	loadErrors     atomic.Int64
	refusedFills   atomic.Int64
	lostLeases     atomic.Int64
	invalidations  atomic.Int64
	providerErrors atomic.Int64
	loadSum        atomic.Int64
	loadBuckets    [bucketCount]atomic.Int64
}

// loaded counts a run of a load function.
func (s *scopeStats) loaded(took time.Duration, err error) {
	s.loads.Add(1)
	if err != nil {
		s.loadErrors.Add(1)
	}
	s.loadSum.Add(int64(took))
	s.loadBuckets[bucketOf(took)].Add(1)
}

// bucketOf returns the index of the first bucket whose bound is at least d.
func bucketOf(d time.Duration) int {
	if d <= firstBound {
		return 0
	}
	return min(bits.Len64(uint64((d-1)/firstBound)), bucketCount-1)
}

// loadTime returns the distribution of the durations of loads.
func (s *scopeStats) loadTime() Histogram {
	h := Histogram{Sum: time.Duration(s.loadSum.Load()), Buckets: make([]Bucket, bucketCount)}
	for i := range h.Buckets {
		h.Buckets[i] = Bucket{UpTo: firstBound << i, Count: s.loadBuckets[i].Load()}
		h.Count += h.Buckets[i].Count
	}
	h.Buckets[bucketCount-1].UpTo = NoExpiry
	return h
}
