package benchmarks

import (
	"context"
	"testing"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/stretchr/testify/require"
)

// ristrettoCache has no loads; a single flight is put around it. It stores in the
// background, and drops what it cannot keep up with.
type ristrettoCache struct {
	cache *ristretto.Cache[string, *record]
}

func openRistretto(b *testing.B, entries int) plain {
	b.Helper()
	c, err := ristretto.NewCache(&ristretto.Config[string, *record]{
		NumCounters: 10 * int64(entries), MaxCost: int64(entries), BufferItems: 64, IgnoreInternalCost: true,
	})
	require.NoError(b, err)
	return ristrettoCache{c}
}

func (c ristrettoCache) get(key string) (*record, bool) { return c.cache.Get(key) }

func (c ristrettoCache) set(key string, r *record) { c.cache.SetWithTTL(key, r, 1, ttl) }

func (c ristrettoCache) invalidate(_ context.Context, key string) error {
	c.cache.Del(key)
	return nil
}

func (c ristrettoCache) settle() { c.cache.Wait() }

func (c ristrettoCache) close() { c.cache.Close() }
