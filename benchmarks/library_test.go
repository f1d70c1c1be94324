package benchmarks

import (
	"context"
	"flag"
	"fmt"
	"runtime/metrics"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// ttl is what every library that has TTLs is given, so that all pay for them and
// nothing expires.
const ttl = time.Hour

// record is what the benchmarks cache: a pointer to one, in memory.
type record struct {
	ID          string    `json:"id" msgpack:"id"`
	Title       string    `json:"title" msgpack:"title"`
	Description string    `json:"description" msgpack:"description"`
	Status      string    `json:"status" msgpack:"status"`
	Start       time.Time `json:"start" msgpack:"start"`
	Systems     []string  `json:"systems" msgpack:"systems"`
}

// cache is a read-through cache as a workload sees it: read returns what is
// stored under key, or else loads and stores it. A read that fails ends the
// benchmark.
type cache interface {
	read(ctx context.Context, key string) (*record, error)
	close()
}

// What a cache can do besides. A workload leaves out the libraries that lack what
// it is about.
type (
	// builder reads under a key that it makes itself, of a prefix known
	// beforehand and an id. For others the workload makes the key.
	builder interface {
		readID(ctx context.Context, id int) (*record, error)
	}
	// settler waits for what a cache does in the background after writes.
	settler interface {
		settle()
	}
	// single is a cache that loads a key once for all who want it at the same
	// time.
	single interface {
		loadsOnce()
	}
	bulkReader interface {
		readMany(ctx context.Context, keys []string) (map[string]*record, error)
	}
	invalidator interface {
		invalidate(ctx context.Context, key string) error
	}
	prefixRemover interface {
		removePrefix(ctx context.Context, prefix string) (removed int, err error)
	}
)

// source is what the caches read through to.
type source struct {
	load     func(ctx context.Context, key string) (*record, error)
	loadMany func(ctx context.Context, keys []string) (map[string]*record, error)
}

// instant is a source that takes no time.
func instant() source {
	return source{
		load: func(_ context.Context, key string) (*record, error) { return &record{ID: key}, nil },
		loadMany: func(_ context.Context, keys []string) (map[string]*record, error) {
			loaded := make(map[string]*record, len(keys))
			for _, key := range keys {
				loaded[key] = &record{ID: key}
			}
			return loaded, nil
		},
	}
}

// library is a way of caching under its name. open makes a cache for at most
// entries in front of s.
type library struct {
	name string
	open func(b *testing.B, entries int, s source) cache
}

// inMemory are the libraries that keep live values in the process, ours first and
// the limits last: what has no bound, no policy and no loads of its own.
func inMemory() []library {
	return []library{
		{"readthrough", openReadthrough},
		{"otter", openOtter},
		{"otter-raw", openOtterRaw},
		{"theine", openTheine},
		{"ristretto", once(openRistretto)},
		{"sturdyc", openSturdyc},
		{"ttlcache", openTTLCache},
		{"limit-xsync", once(openXsync)},
		{"limit-syncmap", once(openSyncMap)},
		{"limit-rwmutex", once(openRWMutex)},
	}
}

// thatLoad are the libraries of workloads that are about loads: those in memory, and
// two whose readers can leave a load like ours.
func thatLoad() []library {
	return append(inMemory(), library{"otter-leavable", leaving(plainOtter)}, library{"limit-leavable", leaving(openXsync)})
}

// thatHit are the libraries of workloads that are about hits: those in memory, and one
// that counts its hits like ours.
func thatHit() []library {
	return append(inMemory(), library{"otter-counting", openOtterCounting})
}

// bounded is the number of libraries of inMemory before the limits.
const bounded = 7

// rotate shifts the order of the libraries, so that in rounds each has every
// place.
var rotate = flag.Int("rotate", 0, "begin with the library at this place")

// each runs a sub-benchmark for every library, with a cache of its own that is
// there for all of its runs. prepare, which is not measured, makes it ready, and
// returns false if the library lacks what the workload is about.
func each(b *testing.B, libraries []library, entries int, s source, prepare func(b *testing.B, c cache) bool, run func(b *testing.B, c cache)) {
	b.Helper()
	for i := range libraries {
		l := libraries[(i+*rotate)%len(libraries)]
		var c cache
		able := true
		b.Run(l.name, func(b *testing.B) {
			if c == nil {
				c = l.open(b, entries, s)
				able = prepare(b, c)
			}
			if !able {
				b.Skip("lacks it")
			}
			b.ReportAllocs()
			run(b, c)
		})
		if c != nil {
			c.close()
		}
	}
}

// fill reads keys, so that they are stored.
func fill(b *testing.B, c cache, keys []string) {
	b.Helper()
	for _, key := range keys {
		mustRead(b, c, key)
	}
	if c, ok := c.(settler); ok {
		c.settle()
	}
}

func mustRead(b *testing.B, c cache, key string) {
	b.Helper()
	if r, err := c.read(b.Context(), key); err != nil || r == nil {
		b.Fatalf("read %q: %v, %v", key, r, err)
	}
}

// numbered returns the keys of ids 0 to n-1.
func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = keyOf(i)
	}
	return keys
}

const prefix = "maintenance:"

func keyOf(id int) string { return prefix + strconv.Itoa(id) }

// stopwatch measures the processor time of the process, which unlike the wall's
// includes what a library does in the background.
type stopwatch struct{ began time.Duration }

func start(b *testing.B) stopwatch {
	b.Helper()
	b.ResetTimer()
	return stopwatch{processorTime(b)}
}

// stop reports the processor time for each of ops.
func (w stopwatch) stop(b *testing.B, ops int) {
	b.Helper()
	b.StopTimer()
	b.ReportMetric(float64(processorTime(b)-w.began)/float64(ops), "cpu-ns/op")
}

// gcSeconds is the processor time that the garbage collector has taken.
func gcSeconds() float64 {
	sample := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64()
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(fmt.Errorf("getrusage: %w", err))
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
