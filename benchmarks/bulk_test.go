package benchmarks

import (
	"context"
	"testing"
)

// BenchmarkBulk reads 100 keys at a time: all of them stored, or every other one
// never read before.
func BenchmarkBulk(b *testing.B) {
	const n, size = 100_000, 100
	keys := shuffled(numbered(n))
	prepare := func(b *testing.B, c cache) bool {
		b.Helper()
		if _, ok := c.(bulkReader); !ok {
			return false
		}
		fill(b, c, keys)
		return true
	}
	readMany := func(ctx context.Context, c cache, keys []string) error {
		got, err := c.(bulkReader).readMany(ctx, keys)
		if err == nil && len(got) != len(keys) {
			return errNotLoaded
		}
		return err
	}
	b.Run("hits/one", func(b *testing.B) {
		each(b, inMemory(), 2*n, instant(), prepare, func(b *testing.B, c cache) {
			b.Helper()
			ctx := b.Context()
			watch := start(b)
			for i := range b.N {
				from := i * size % n
				if err := readMany(ctx, c, keys[from:from+size]); err != nil {
					b.Fatal(err)
				}
			}
			watch.stop(b, b.N)
		})
	})
	b.Run("hits/all", func(b *testing.B) {
		each(b, inMemory(), 2*n, instant(), prepare, func(b *testing.B, c cache) {
			b.Helper()
			ctx := b.Context()
			inParallel(b, n/size, func(i int) error { return readMany(ctx, c, keys[i*size:(i+1)*size]) })
		})
	})
	b.Run("half/one", func(b *testing.B) {
		ids := 0
		each(b, inMemory(), 2*n, instant(), prepare, func(b *testing.B, c cache) {
			b.Helper()
			ctx := b.Context()
			half := make([]string, size)
			watch := start(b)
			for i := range b.N {
				for k := range half {
					half[k] = keys[(i*size+k)%n]
					if k%2 == 1 {
						half[k] = keyOf(n + ids)
						ids++
					}
				}
				if err := readMany(ctx, c, half); err != nil {
					b.Fatal(err)
				}
			}
			watch.stop(b, b.N)
		})
	})
}
