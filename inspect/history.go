package inspect

import (
	"sync"
	"time"

	"github.com/readthrough/readthrough"
)

const (
	// sampleEvery is how often the statistics are looked at, and samples how many looks are kept:
	// those of the last five minutes.
	sampleEvery = 10 * time.Second
	samples     = 31
)

// history has the statistics of the last minutes.
type history struct {
	mu sync.Mutex // guards following
	// looks are in the order of time, at most samples of them.
	looks []look
}

// look is what the statistics of all scopes were at a moment.
type look struct {
	at    time.Time
	stats map[string]readthrough.Stats
}

// add adds a look at scopes, and drops the oldest one if there are too many.
func (h *history) add(now time.Time, scopes []*readthrough.CachedScope) {
	l := look{now, make(map[string]readthrough.Stats, len(scopes))}
	for _, s := range scopes {
		l.stats[s.Name()] = s.Stats()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.looks) == samples {
		h.looks = append(h.looks[:0], h.looks[1:]...)
	}
	h.looks = append(h.looks, l)
}

// window is what has happened in a scope between two moments.
type window struct {
	Seconds     float64  `json:"seconds"`
	Reads       int64    `json:"reads"`
	HitRatio    *float64 `json:"hit_ratio"` // nil: there were no reads
	Loads       int64    `json:"loads"`
	LoadErrors  int64    `json:"load_errors"`
	Stale       int64    `json:"stale"`
	StoreErrors int64    `json:"store_errors"`
	// LoadMillis are bounds: half of the loads, and 99 of 100, took no longer.
	LoadP50Millis *float64 `json:"load_p50_ms"`
	LoadP99Millis *float64 `json:"load_p99_ms"`

	loads []readthrough.Bucket
}

// since returns what has happened in a scope until now, since the oldest look, and the hit ratios
// between all looks. A scope that a look does not know had no statistics then.
func (h *history) since(now time.Time, scope string, stats readthrough.Stats) (whole window, ratios []*float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, l := range h.looks {
		until := stats
		if i+1 < len(h.looks) {
			until = h.looks[i+1].stats[scope]
		}
		ratios = append(ratios, hitRatio(l.stats[scope], until))
	}
	first := h.looks[0]
	return between(first.stats[scope], stats, now.Sub(first.at)), ratios
}

// hitRatio returns the part of the reads between two statistics that were hits; nil: there were no reads.
func hitRatio(a, b readthrough.Stats) *float64 {
	if reads := b.Hits + b.Misses - a.Hits - a.Misses; reads > 0 {
		return new(float64(b.Hits-a.Hits) / float64(reads))
	}
	return nil
}

// between returns what has happened between two statistics of a scope.
func between(a, b readthrough.Stats, took time.Duration) window {
	w := window{
		Seconds: took.Seconds(), Reads: b.Hits + b.Misses - a.Hits - a.Misses,
		Loads: b.Loads - a.Loads, LoadErrors: b.LoadErrors - a.LoadErrors, Stale: b.Stale - a.Stale,
		StoreErrors: b.ProviderErrors - a.ProviderErrors,
	}
	w.HitRatio = hitRatio(a, b)
	w.loads = make([]readthrough.Bucket, len(b.LoadTime.Buckets))
	for i, bucket := range b.LoadTime.Buckets {
		if i < len(a.LoadTime.Buckets) {
			bucket.Count -= a.LoadTime.Buckets[i].Count
		}
		w.loads[i] = bucket
	}
	w.LoadP50Millis, w.LoadP99Millis = quantile(w.loads, 0.5), quantile(w.loads, 0.99) //nolint:mnd // half, and 99 of 100
	return w
}

// quantile returns the bound of the bucket, in milliseconds, up to which a part of all durations
// lies; nil: there are none, or it lies in the last bucket, which has no bound.
func quantile(buckets []readthrough.Bucket, part float64) *float64 {
	var all, sum int64
	for _, b := range buckets {
		all += b.Count
	}
	for _, b := range buckets {
		if sum += b.Count; all > 0 && float64(sum) >= part*float64(all) {
			if b.UpTo == readthrough.NoExpiry {
				return nil
			}
			return new(b.UpTo.Seconds() * 1e3) //nolint:mnd // milliseconds
		}
	}
	return nil
}
