package memory

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

const benchKeys = 1 << 16

func benchNames(n int) []provider.Key {
	keys := make([]provider.Key, n)
	for i := range keys {
		keys[i] = key("maintenance", "maintenance:"+strconv.Itoa(i))
	}
	return keys
}

func benchStore(b *testing.B, maxEntries int, keys []provider.Key) *Store {
	b.Helper()
	s, err := New(Options{MaxEntries: maxEntries})
	require.NoError(b, err)
	b.Cleanup(func() { _ = s.Close() })
	for i, k := range keys {
		mustSet(b, s, k, i, time.Hour)
	}
	return s
}

// bare is what a hit is compared with: a map under a lock and a look at the clock.
type bare struct {
	mu      sync.RWMutex
	entries map[provider.Key]*bareEntry
	base    time.Time
}

type bareEntry struct {
	entry   provider.Entry
	expires int64
}

func newBare(keys []provider.Key) *bare {
	m := &bare{entries: make(map[provider.Key]*bareEntry), base: time.Now()}
	for i, k := range keys {
		m.entries[k] = &bareEntry{entry: entry(i), expires: int64(time.Hour)}
	}
	return m
}

//go:noinline
func (m *bare) get(k provider.Key) (provider.Entry, bool) {
	m.mu.RLock()
	e, ok := m.entries[k]
	m.mu.RUnlock()
	if !ok || int64(time.Since(m.base)) >= e.expires {
		return provider.Entry{}, false
	}
	return e.entry, true
}

// BenchmarkHit has the bare map in the same run, for the ratio.
func BenchmarkHit(b *testing.B) {
	keys := benchNames(benchKeys)
	s, m := benchStore(b, benchKeys, keys), newBare(keys)
	ctx := b.Context()
	hot := keys[:64]
	for _, set := range []struct {
		name string
		keys []provider.Key
	}{{"hot", hot}, {"spread", keys}} {
		mask := len(set.keys) - 1
		b.Run("bare/"+set.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if e, ok := m.get(set.keys[i*7919&mask]); !ok || e.Absent {
					b.Fatal("miss")
				}
			}
		})
		b.Run("store/"+set.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if e, ok, _ := s.Get(ctx, set.keys[i*7919&mask]); !ok || e.Absent {
					b.Fatal("miss")
				}
			}
		})
		b.Run("bare-parallel/"+set.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for i := rand.IntN(1 << 20); p.Next(); i++ {
					if _, ok := m.get(set.keys[i*7919&mask]); !ok {
						b.Error("miss")
					}
				}
			})
		})
		b.Run("store-parallel/"+set.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for i := rand.IntN(1 << 20); p.Next(); i++ {
					if _, ok, _ := s.Get(ctx, set.keys[i*7919&mask]); !ok {
						b.Error("miss")
					}
				}
			})
		})
	}
}

func BenchmarkMiss(b *testing.B) {
	s := benchStore(b, benchKeys, benchNames(benchKeys))
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = s.Get(b.Context(), provider.Key{Scope: "maintenance", Name: "nobody"})
	}
}

// BenchmarkSet stores new keys, replaces, and stores new keys into a full store.
func BenchmarkSet(b *testing.B) {
	b.Run("replace", func(b *testing.B) {
		keys := benchNames(benchKeys)
		s := benchStore(b, benchKeys, keys)
		b.ReportAllocs()
		for i := range b.N {
			_ = s.Set(b.Context(), keys[i&(benchKeys-1)], provider.Entry{}, time.Hour)
		}
	})
	b.Run("new", func(b *testing.B) {
		keys := benchNames(b.N)
		s := benchStore(b, b.N, nil)
		b.ReportAllocs()
		b.ResetTimer()
		for _, k := range keys {
			_ = s.Set(b.Context(), k, provider.Entry{}, time.Hour)
		}
	})
	b.Run("evict", func(b *testing.B) {
		keys := benchNames(8 * benchKeys)
		s := benchStore(b, benchKeys, keys[:benchKeys])
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			_ = s.Set(b.Context(), keys[(benchKeys+i)&(8*benchKeys-1)], provider.Entry{}, time.Hour)
		}
	})
}

func BenchmarkGetMany100(b *testing.B) {
	keys := benchNames(benchKeys)
	s := benchStore(b, benchKeys, keys)
	b.ReportAllocs()
	for i := range b.N {
		_, _ = s.GetMany(b.Context(), keys[i&(benchKeys-1)/128*128:][:100])
	}
}

// BenchmarkDeletePrefix removes 1,000 entries among 1,000,000 while a reader
// goes on, and reports how many hits it had per removal.
func BenchmarkDeletePrefix(b *testing.B) {
	const all, matching = 1_000_000, 1_000
	s := benchStore(b, all+matching, benchNames(all))
	ctx := b.Context()
	_, _ = s.DeletePrefix(ctx, "maintenance", "nothing") // makes the index
	reader := func() (stop func() int64) {
		var reads atomic.Int64
		done, quit := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			k := key("maintenance", "maintenance:1")
			for {
				select {
				case <-quit:
					return
				default:
				}
				for range 64 {
					if _, ok, _ := s.Get(ctx, k); !ok {
						b.Error("a reader was disturbed")
					}
				}
				reads.Add(64)
			}
		}()
		return func() int64 { close(quit); <-done; return reads.Load() }
	}
	var reads int64
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		for i := range matching {
			mustSet(b, s, key("maintenance", "list:"+strconv.Itoa(i)), i, time.Hour)
		}
		stop := reader()
		runtime.Gosched()
		b.StartTimer()
		n, err := s.DeletePrefix(ctx, "maintenance", "list:")
		b.StopTimer()
		reads += stop()
		if n != matching || err != nil {
			b.Fatalf("removed %d, %v", n, err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(reads)/float64(b.N), "hits/op")
}

// BenchmarkHeap reports the heap bytes of an entry, without key and value, before
// and after the index was made, and how long that takes.
func BenchmarkHeap(b *testing.B) {
	const n = 1_000_000
	keys := benchNames(n)
	rand.Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for range b.N {
		before := heap()
		s := benchStore(b, n, nil)
		for _, k := range keys {
			_ = s.Set(b.Context(), k, provider.Entry{}, time.Hour)
		}
		b.ReportMetric(float64(heap()-before)/n, "heap-B/entry")
		start := time.Now()
		_, _ = s.DeletePrefix(b.Context(), "maintenance", "nothing")
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "index-ms")
		b.ReportMetric(float64(heap()-before)/n, "indexed-B/entry")
		_ = s.Close()
	}
	runtime.KeepAlive(keys)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkHitRatio reads a Zipf distribution through stores of a tenth of the
// keys, and reports the share of hits.
func BenchmarkHitRatio(b *testing.B) {
	for _, keys := range []int{100_000, 500_000} {
		b.Run(fmt.Sprintf("zipf0.99/keys=%d", keys), func(b *testing.B) {
			draw := zipf(keys, 0.99, 1)
			reads := times(20*keys, func(int) int { return draw() })
			for range b.N {
				b.ReportMetric(100*hitRatio(b, keys/10, reads), "hit-%")
			}
		})
	}
}
