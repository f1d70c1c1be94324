package benchmarks

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
)

// BenchmarkHit reads what is stored, in random order: few keys, which stay in the
// processor's caches, and many. all is one goroutine for each processor; time is
// then for each read, whoever made it.
func BenchmarkHit(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		keys := numbered(n)
		order := shuffled(keys)
		prepare := func(b *testing.B, c cache) bool {
			b.Helper()
			fill(b, c, keys)
			return true
		}
		b.Run("keys="+strconv.Itoa(n)+"/one", func(b *testing.B) {
			each(b, thatHit(), 2*n, instant(), prepare, readAlone(order))
		})
		b.Run("keys="+strconv.Itoa(n)+"/all", func(b *testing.B) {
			each(b, thatHit(), 2*n, instant(), prepare, readTogether(order))
		})
	}
}

// BenchmarkKeyBuilt is BenchmarkHit with keys that are made in the call, as
// services do: of a prefix and an id.
func BenchmarkKeyBuilt(b *testing.B) {
	const n = 100_000
	ids := rand.New(rand.NewPCG(1, 2)).Perm(n) //nolint:gosec // any order will do
	prepare := func(b *testing.B, c cache) bool {
		b.Helper()
		fill(b, c, numbered(n))
		return true
	}
	b.Run("one", func(b *testing.B) {
		each(b, thatHit(), 2*n, instant(), prepare, func(b *testing.B, c cache) {
			b.Helper()
			ctx, read := b.Context(), readerByID(c)
			watch := start(b)
			for n := range b.N {
				if r, err := read(ctx, ids[n%len(ids)]); err != nil || r == nil {
					b.Fatal(r, err)
				}
			}
			watch.stop(b, b.N)
		})
	})
	b.Run("all", func(b *testing.B) {
		each(b, thatHit(), 2*n, instant(), prepare, func(b *testing.B, c cache) {
			b.Helper()
			ctx, read := b.Context(), readerByID(c)
			inParallel(b, len(ids), func(n int) error {
				_, err := read(ctx, ids[n])
				return err
			})
		})
	})
}

// readerByID reads by id: as the cache does it, or with a key that is made here.
func readerByID(c cache) func(ctx context.Context, id int) (*record, error) {
	if c, ok := c.(builder); ok {
		return c.readID
	}
	return func(ctx context.Context, id int) (*record, error) { return c.read(ctx, keyOf(id)) }
}

// shuffled returns keys in an order that the processor cannot foresee, the same in
// every run.
func shuffled(keys []string) []string {
	order := make([]string, len(keys))
	for i, k := range rand.New(rand.NewPCG(1, 2)).Perm(len(keys)) { //nolint:gosec // any order will do
		order[i] = keys[k]
	}
	return order
}

func readAlone(keys []string) func(b *testing.B, c cache) {
	return func(b *testing.B, c cache) {
		b.Helper()
		ctx := b.Context()
		watch := start(b)
		for n := range b.N {
			if r, err := c.read(ctx, keys[n%len(keys)]); err != nil || r == nil {
				b.Fatal(r, err)
			}
		}
		watch.stop(b, b.N)
	}
}

func readTogether(keys []string) func(b *testing.B, c cache) {
	return func(b *testing.B, c cache) {
		b.Helper()
		ctx := b.Context()
		inParallel(b, len(keys), func(n int) error {
			_, err := c.read(ctx, keys[n])
			return err
		})
	}
}

// inParallel measures do in one goroutine for each processor, or as many as b has
// been told. Each goes through the numbers below n, from another one on, so that
// they do not read the same keys at the same time.
func inParallel(b *testing.B, n int, do func(n int) error) {
	b.Helper()
	var goroutines atomic.Int64
	watch := start(b)
	b.RunParallel(func(pb *testing.PB) {
		for i := int(goroutines.Add(1)) * 7919; pb.Next(); i++ {
			if err := do(i % n); err != nil {
				b.Error(err)
				return
			}
		}
	})
	watch.stop(b, b.N)
}
