package benchmarks

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counted is a source that counts its loads, each of which takes a while.
func counted(loads *atomic.Int64, takes time.Duration) source {
	s := instant()
	load := s.load
	s.load = func(ctx context.Context, key string) (*record, error) {
		loads.Add(1)
		if takes > 0 {
			time.Sleep(takes)
		}
		return load(ctx, key)
	}
	return s
}

// anyCache is the prepare of workloads that begin with an empty cache.
func anyCache(*testing.B, cache) bool { return true }

// BenchmarkMiss reads keys that are not stored, from a source that takes no time:
// a miss, a load, a fill, and soon an eviction. loads/op tells whether they were
// misses.
func BenchmarkMiss(b *testing.B) {
	const n, entries = 1 << 20, 10_000
	keys := numbered(n)
	var loads atomic.Int64
	s := counted(&loads, 0)
	b.Run("one", func(b *testing.B) {
		next := 0
		each(b, thatLoad(), entries, s, anyCache, func(b *testing.B, c cache) {
			b.Helper()
			ctx := b.Context()
			loads.Store(0)
			watch := start(b)
			for range b.N {
				if _, err := c.read(ctx, keys[next%n]); err != nil {
					b.Fatal(err)
				}
				next++
			}
			watch.stop(b, b.N)
			b.ReportMetric(float64(loads.Load())/float64(b.N), "loads/op")
		})
	})
	b.Run("all", func(b *testing.B) {
		var next atomic.Int64
		each(b, thatLoad(), entries, s, anyCache, func(b *testing.B, c cache) {
			b.Helper()
			ctx := b.Context()
			loads.Store(0)
			inParallel(b, n, func(int) error {
				_, err := c.read(ctx, keys[next.Add(1)%n])
				return err
			})
			b.ReportMetric(float64(loads.Load())/float64(b.N), "loads/op")
		})
	})
}

// BenchmarkStampede is a thousand readers at once, of one cold key or of as many.
// A load takes 10 ms.
func BenchmarkStampede(b *testing.B) {
	const readers = 1000
	var loads atomic.Int64
	s := counted(&loads, 10*time.Millisecond)
	able := func(_ *testing.B, c cache) bool {
		_, ok := c.(single)
		return ok
	}
	next := 0
	stampede := func(keys int) func(b *testing.B, c cache) {
		return func(b *testing.B, c cache) {
			b.Helper()
			ctx := b.Context()
			loads.Store(0)
			cold := make([]string, keys)
			watch := start(b)
			for range b.N {
				for i := range cold {
					cold[i] = keyOf(next)
					next++
				}
				var group sync.WaitGroup
				for i := range readers {
					group.Go(func() {
						if _, err := c.read(ctx, cold[i%keys]); err != nil {
							b.Error(err)
						}
					})
				}
				group.Wait()
			}
			watch.stop(b, b.N)
			b.ReportMetric(float64(loads.Load())/float64(b.N), "loads/op")
		}
	}
	b.Run("one key", func(b *testing.B) { each(b, thatLoad(), 10_000, s, able, stampede(1)) })
	b.Run("as many keys", func(b *testing.B) { each(b, thatLoad(), 10_000, s, able, stampede(readers)) })
}

// BenchmarkInvalidate invalidates keys that are stored, as long as there are no
// more runs than keys.
func BenchmarkInvalidate(b *testing.B) {
	const n = 1 << 17
	keys := numbered(n)
	prepare := func(b *testing.B, c cache) bool {
		b.Helper()
		if _, ok := c.(invalidator); !ok {
			return false
		}
		fill(b, c, keys)
		return true
	}
	each(b, inMemory(), 2*n, instant(), prepare, func(b *testing.B, c cache) {
		b.Helper()
		ctx := b.Context()
		invalidate := c.(invalidator).invalidate
		watch := start(b)
		for i := range b.N {
			if err := invalidate(ctx, keys[i%n]); err != nil {
				b.Fatal(err)
			}
		}
		watch.stop(b, b.N)
	})
}
