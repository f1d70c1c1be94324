package cache

import (
	"math"
	"sync/atomic"
	"time"
)

// The bounds of latency buckets grow by the fourth root of two, from 1 µs to
// about a minute. A percentile from them is off by a tenth at most.
const (
	firstBound     = time.Microsecond
	boundsPerPower = 4
	latencyBuckets = 26*boundsPerPower + 1
)

// Latencies says how long reads took since the start. The latency of the last
// second is the difference of two Latencies.
type Latencies struct {
	Count   int64
	Buckets []LatencyBucket
}

// LatencyBucket counts the reads that took at most UpTo, and longer than the
// UpTo of the bucket before.
type LatencyBucket struct {
	UpTo  time.Duration
	Count int64
}

// latencies counts reads by their duration. It is safe for concurrent use.
type latencies struct {
	counts [latencyBuckets]atomic.Int64
}

// measure counts a read that began at began and ends now.
func (l *latencies) measure(began time.Time) {
	l.counts[latencyBucket(time.Since(began))].Add(1)
}

// snapshot returns the buckets that are not empty.
func (l *latencies) snapshot() Latencies {
	s := Latencies{Buckets: []LatencyBucket{}}
	for i := range l.counts {
		if n := l.counts[i].Load(); n > 0 {
			s.Count += n
			s.Buckets = append(s.Buckets, LatencyBucket{latencyBound(i), n})
		}
	}
	return s
}

func latencyBound(bucket int) time.Duration {
	return time.Duration(float64(firstBound) * math.Exp2(float64(bucket)/boundsPerPower))
}

// latencyBucket returns the first bucket whose bound is at least d.
func latencyBucket(d time.Duration) int {
	if d <= firstBound {
		return 0
	}
	bucket := int(math.Ceil(math.Log2(float64(d)/float64(firstBound)) * boundsPerPower))
	return min(bucket, latencyBuckets-1)
}
