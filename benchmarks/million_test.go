package benchmarks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const million = 1_000_000

// shared is a source whose values cost nothing, so that memory is that of the
// caches alone.
func shared() source {
	r := &record{ID: "shared"}
	return constant(r)
}

// constant is a source of one value, which takes no time.
func constant(r *record) source {
	return source{
		load: func(context.Context, string) (*record, error) { return r, nil },
		loadMany: func(_ context.Context, keys []string) (map[string]*record, error) {
			loaded := make(map[string]*record, len(keys))
			for _, key := range keys {
				loaded[key] = r
			}
			return loaded, nil
		},
	}
}

// BenchmarkHeap fills a cache with a million entries, whose keys and values are
// there already, and tells what the cache has on the heap for each. How much of
// the processors' time the garbage collector takes, and for how much of all time
// it stops everything, is measured while the cache is filled and then read, with a
// miss in ten reads.
func BenchmarkHeap(b *testing.B) {
	keys := numbered(million + million/2)
	var before runtime.MemStats
	run := func(b *testing.B, c cache) {
		b.Helper()
		var gc collector
		since := collected()
		fill(b, c, keys[:million])
		gc.add(since)
		after := settled()
		since = collected()
		watch := start(b)
		random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // any order will do
		for i := range million {
			k := keys[random.IntN(million)]
			if i%10 == 0 {
				k = keys[million+i/10]
			}
			mustRead(b, c, k)
		}
		watch.stop(b, million)
		gc.add(since)
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/million, "B/entry")
		b.ReportMetric(100*gc.pauses.Seconds()/gc.wall.Seconds(), "pause-%")
		b.ReportMetric(100*gc.processor/(gc.wall.Seconds()*float64(runtime.GOMAXPROCS(0))), "gc-%")
	}
	able := func(*testing.B, cache) bool {
		return true
	}
	for _, l := range inMemory() {
		before = settled()
		each(b, []library{l}, million+million/4, shared(), able, run)
	}
}

// collector is what the garbage collector took in some time.
type collector struct {
	wall      time.Duration
	pauses    time.Duration
	processor float64 // seconds
}

// collected is what it has taken since the process began.
func collected() collector {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return collector{time.Since(clock), time.Duration(stats.PauseTotalNs), gcSeconds()} //nolint:gosec // it is not that long
}

// add adds what it has taken since then.
func (c *collector) add(then collector) {
	now := collected()
	c.wall += now.wall - then.wall
	c.pauses += now.pauses - then.pauses
	c.processor += now.processor - then.processor
}

// settled returns the statistics of the heap after everything unreachable is gone.
func settled() runtime.MemStats {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return stats
}

// BenchmarkPrefix removes a family of entries among a million while somebody reads
// others, and tells how long the slowest of a thousand of those reads takes.
func BenchmarkPrefix(b *testing.B) {
	for _, family := range []int{1_000, million / 2} {
		b.Run(fmt.Sprintf("remove=%d", family), func(b *testing.B) { benchmarkPrefix(b, inMemory(), family, shared()) })
	}
}

func benchmarkPrefix(b *testing.B, libraries []library, family int, s source) {
	b.Helper()
	doomed, others := make([]string, family), make([]string, million-family)
	for i := range doomed {
		doomed[i] = fmt.Sprintf("list:%06d", i)
	}
	for i := range others {
		others[i] = keyOf(i)
	}
	prepare := func(b *testing.B, c cache) bool {
		b.Helper()
		if _, ok := c.(prefixRemover); !ok {
			return false
		}
		fillMany(b, c, others)
		return true
	}
	each(b, libraries, million+million/4, s, prepare, func(b *testing.B, c cache) {
		b.Helper()
		var all []time.Duration
		b.ResetTimer()
		b.StopTimer()
		for range b.N {
			fillMany(b, c, doomed)
			reads := readMeanwhile(b, c, others)
			b.StartTimer()
			removed, err := c.(prefixRemover).removePrefix(b.Context(), "list:")
			b.StopTimer()
			all = append(all, reads()...)
			if err != nil || removed != family {
				b.Fatal(removed, err)
			}
		}
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)*999/1000]), "p99.9-ns")
	})
}

// fillMany is fill with bulk reads, if there are any.
func fillMany(b *testing.B, c cache, keys []string) {
	b.Helper()
	many, ok := c.(bulkReader)
	if !ok {
		fill(b, c, keys)
		return
	}
	for part := range slices.Chunk(keys, 1000) {
		got, err := many.readMany(b.Context(), part)
		require.NoError(b, err)
		require.Len(b, got, len(part))
	}
}

// readMeanwhile reads keys until the function that it returns is called, which
// returns how long each read took.
func readMeanwhile(b *testing.B, c cache, keys []string) func() []time.Duration {
	b.Helper()
	stop, running := make(chan struct{}), make(chan struct{})
	took := make([]time.Duration, 0, 1<<20)
	var reader sync.WaitGroup
	reader.Go(func() {
		close(running)
		for i := 0; len(took) < cap(took); i++ {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			if _, err := c.read(b.Context(), keys[i*7919%len(keys)]); err != nil {
				b.Error(err)
				return
			}
			took = append(took, time.Since(began))
		}
	})
	<-running
	return func() []time.Duration {
		close(stop)
		reader.Wait()
		return took
	}
}
