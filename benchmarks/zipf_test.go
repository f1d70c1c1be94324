package benchmarks

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
)

const (
	// universe is the number of keys that are read by popularity, capacity how many
	// of them a cache holds.
	universe = 100_000
	capacity = universe / 10
	// requests is the length of a trace. A cache sees one before the measured one.
	requests = 1 << 20
)

// zipf returns a trace of requests in which the n-th most popular key is read as
// often as 1/n^0.99 says.
func zipf(seed uint64) []string {
	sums := make([]float64, universe)
	sum := 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -0.99)
		sums[i] = sum
	}
	keys := shuffled(numbered(universe))     // which key is popular has nothing to do with its number
	random := rand.New(rand.NewPCG(seed, 5)) //nolint:gosec // not a secret
	trace := make([]string, requests)
	for i := range trace {
		n, _ := slices.BinarySearch(sums, random.Float64()*sum)
		trace[i] = keys[min(n, universe-1)]
	}
	return trace
}

// scanned is zipf in which every other request is one of a long scan, which
// reads every key once.
func scanned(seed uint64) []string {
	trace := zipf(seed)
	for i := 0; i < len(trace); i += 2 {
		trace[i] = keyOf(universe + int(seed)*requests + i) //nolint:gosec // the seeds are small
	}
	return trace
}

// loop reads a few more keys than a cache holds, in a row, again and again.
func loop(uint64) []string {
	keys := numbered(capacity + capacity/4)
	trace := make([]string, requests)
	for i := range trace {
		trace[i] = keys[i%len(keys)]
	}
	return trace
}

// BenchmarkPolicy reads traces of 100,000 keys through caches of 10,000 and tells
// how many were hits. An operation is one read, with its load where it misses.
func BenchmarkPolicy(b *testing.B) {
	for _, workload := range []struct {
		name  string
		trace func(seed uint64) []string
	}{{"zipf", zipf}, {"scan", scanned}, {"loop", loop}} {
		b.Run(workload.name, func(b *testing.B) { benchmarkPolicy(b, workload.trace(1), workload.trace(2)) })
	}
}

func benchmarkPolicy(b *testing.B, before, measured []string) {
	b.Helper()
	var loads atomic.Int64
	s := counted(&loads, 0)
	libraries := append(inMemory()[:bounded], library{"limit-optimum", openOptimum(before, measured)})
	prepare := func(b *testing.B, c cache) bool {
		b.Helper()
		fill(b, c, before)
		return true
	}
	each(b, libraries, capacity, s, prepare, func(b *testing.B, c cache) {
		b.Helper()
		ctx := b.Context()
		loads.Store(0)
		watch := start(b)
		for i := range b.N {
			if _, err := c.read(ctx, measured[i%len(measured)]); err != nil {
				b.Fatal(err)
			}
		}
		watch.stop(b, b.N)
		b.ReportMetric(100*(1-float64(loads.Load())/float64(b.N)), "hit-%")
	})
}

// optimum holds the keys that are read most often, and never another one. No cache
// without foresight does better where popularity does not change.
type optimum struct {
	values map[string]*record
	source source
}

func openOptimum(traces ...[]string) func(b *testing.B, entries int, s source) cache {
	return func(_ *testing.B, entries int, s source) cache {
		reads := make(map[string]int)
		for _, trace := range traces {
			for _, key := range trace {
				reads[key]++
			}
		}
		popular := make([]string, 0, len(reads))
		for key := range reads {
			popular = append(popular, key)
		}
		slices.SortFunc(popular, func(a, b string) int { return reads[b] - reads[a] })
		o := optimum{make(map[string]*record), s}
		for _, key := range popular[:min(entries, len(popular))] {
			o.values[key] = &record{ID: key}
		}
		return o
	}
}

func (o optimum) read(ctx context.Context, key string) (*record, error) {
	if r := o.values[key]; r != nil {
		return r, nil
	}
	return o.source.load(ctx, key)
}

func (optimum) close() {}
