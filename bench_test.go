package readthrough_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
)

// benchScope returns a scope on a memory store of at most entries.
func benchScope(b *testing.B, entries int) *readthrough.CachedScope {
	b.Helper()
	return benchScopeWith(b, entries, readthrough.ScopeOptions{TTL: time.Hour})
}

func benchScopeWith(b *testing.B, entries int, options readthrough.ScopeOptions) *readthrough.CachedScope {
	b.Helper()
	store, err := memory.New(memory.Options{MaxEntries: entries})
	require.NoError(b, err)
	cache := newCache(b, store, readthrough.Options{})
	scope, err := cache.Scope("bench", options)
	require.NoError(b, err)
	return scope
}

// record is what the benchmarks cache.
type record struct {
	id    int
	title string
}

func loadRecord(_ context.Context, id int) (*record, error) {
	return &record{id: id, title: "title"}, nil
}

func loadRecords(_ context.Context, ids []int) (map[int]*record, error) {
	loaded := make(map[int]*record, len(ids))
	for _, id := range ids {
		loaded[id] = &record{id: id}
	}
	return loaded, nil
}

// benchKeys are the keys of ids 0 to n-1, so that no benchmark measures fmt.
func benchKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("record:%07d", i)
	}
	return keys
}

func BenchmarkHit(b *testing.B) {
	s := benchScope(b, 1000)
	keys := benchKeys(512)
	load := func(context.Context) (*record, error) { return loadRecord(b.Context(), 1) }
	for _, key := range keys {
		_, err := readthrough.Wrap(b.Context(), s, key, load)
		require.NoError(b, err)
	}
	b.Run("one", func(b *testing.B) {
		ctx := b.Context()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := readthrough.Wrap(ctx, s, keys[i&511], load); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("stale options", func(b *testing.B) {
		ctx := b.Context()
		s := benchScopeWith(b, 1000, readthrough.ScopeOptions{
			TTL: time.Hour, StaleWhileRevalidate: time.Hour, StaleIfError: 2 * time.Hour,
		})
		for _, key := range keys {
			_, err := readthrough.Wrap(ctx, s, key, load)
			require.NoError(b, err)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := readthrough.Wrap(ctx, s, keys[i&511], load); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		ctx := b.Context()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if _, err := readthrough.Wrap(ctx, s, keys[i&511], load); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("memoized", func(b *testing.B) {
		ctx := b.Context()
		get := readthrough.Memoize(s, func(id int) string { return keys[id] }, loadRecord)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := get(ctx, i&511); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMiss is a miss, its load, which takes no time, and its fill.
func BenchmarkMiss(b *testing.B) {
	s := benchScope(b, 10_000)
	ctx := b.Context()
	keys := benchKeys(1 << 16)
	load := func(context.Context) (*record, error) { return loadRecord(ctx, 1) }
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := readthrough.Wrap(ctx, s, keys[i&(1<<16-1)], load); err != nil {
			b.Fatal(err)
		}
	}
	stats := s.Stats()
	b.ReportMetric(float64(stats.Misses)/float64(stats.Hits+stats.Misses), "misses/op")
}

func BenchmarkBulk(b *testing.B) {
	const n = 100
	keys := benchKeys(1 << 16)
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	key := func(id int) string { return keys[id] }
	b.Run("hits", func(b *testing.B) {
		s := benchScope(b, 1000)
		b.ReportAllocs()
		for b.Loop() {
			if got, err := readthrough.WrapMany(b.Context(), s, ids, key, loadRecords); err != nil || len(got) != n {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("half hits", func(b *testing.B) {
		s := benchScope(b, 1000)
		half := make([]int, n)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			for k := range half {
				half[k] = k
				if k%2 == 0 { // was not read for a long time
					half[k] = n + (i*n+k)%(len(keys)-n)
				}
			}
			if got, err := readthrough.WrapMany(b.Context(), s, half, key, loadRecords); err != nil || len(got) != n {
				b.Fatal(len(got), err)
			}
		}
		stats := s.Stats()
		b.ReportMetric(float64(stats.Hits)/float64(stats.Hits+stats.Misses), "hits/read")
	})
}

// BenchmarkStampede is a thousand readers of one cold key.
func BenchmarkStampede(b *testing.B) {
	const readers = 1000
	s := benchScope(b, 1000)
	ctx := b.Context()
	load := func(context.Context) (*record, error) {
		time.Sleep(time.Millisecond)
		return loadRecord(ctx, 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Invalidate(ctx, "k"); err != nil {
			b.Fatal(err)
		}
		var group sync.WaitGroup
		for range readers {
			group.Go(func() {
				if _, err := readthrough.Wrap(ctx, s, "k", load); err != nil {
					b.Error(err)
				}
			})
		}
		group.Wait()
	}
	b.ReportMetric(float64(s.Stats().Loads)/float64(b.N), "loads/op")
}

func BenchmarkInvalidate(b *testing.B) {
	s := benchScope(b, 1000)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Invalidate(ctx, "record:1", "system:7", "system:9"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInvalidatePrefix removes 1,000 entries among 1,000,000 while somebody
// reads, and tells how many reads a second there are meanwhile, and before.
func BenchmarkInvalidatePrefix(b *testing.B) {
	const entries, family = 1_000_000, 1_000
	s := benchScope(b, entries+family)
	ctx := b.Context()
	keys := benchKeys(entries)
	fill := func(ids []int) {
		got, err := readthrough.WrapMany(ctx, s, ids, func(id int) string { return keys[id] }, loadRecords)
		require.NoError(b, err)
		require.Len(b, got, len(ids))
	}
	ids := make([]int, entries)
	for i := range ids {
		ids[i] = i
	}
	for i := 0; i < entries; i += 10_000 {
		fill(ids[i : i+10_000])
	}
	doomed := ids[500*family : 501*family] // record:0500000 to record:0500999
	const prefix = "record:0500"

	var reads atomic.Int64
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		load := func(context.Context) (*record, error) { return nil, errFault }
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := readthrough.Wrap(ctx, s, keys[i%(500*family)], load); err != nil {
				b.Error(err)
				return
			}
			reads.Add(1)
		}
	})
	const pause = 200 * time.Millisecond
	before := reads.Load()
	time.Sleep(pause)
	alone := float64(reads.Load()-before) / pause.Seconds()

	var meanwhile int64
	b.ReportAllocs()
	for b.Loop() {
		before := reads.Load()
		removed, err := s.InvalidatePrefix(ctx, prefix)
		if err != nil || removed != family {
			b.Fatal(removed, err)
		}
		meanwhile += reads.Load() - before
		b.StopTimer()
		fill(doomed)
		b.StartTimer()
	}
	b.ReportMetric(float64(meanwhile)/b.Elapsed().Seconds(), "reads/s")
	b.ReportMetric(alone, "reads/s-before")
	close(stop)
	reader.Wait()
}

// BenchmarkHitWithKey is a hit whose key is made in the call.
func BenchmarkHitWithKey(b *testing.B) {
	const n = 512
	s := benchScope(b, 1000)
	ctx := b.Context()
	run := func(name string, get func(context.Context, int) (*record, error)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := get(ctx, i%n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("string", readthrough.Memoize(s, func(id int) string { return "record:" + strconv.Itoa(id) }, loadRecord))
	run("family", newFamily(b, s, readthrough.Loads[int, *record]{One: loadRecord}).Get)
}
