package benchmarks

import (
	"context"
	"testing"

	"github.com/Yiling-J/theine-go"
	"github.com/stretchr/testify/require"
)

type theineCache struct {
	cache *theine.LoadingCache[string, *record]
}

func openTheine(b *testing.B, entries int, s source) cache {
	b.Helper()
	c, err := theine.NewBuilder[string, *record](int64(entries)).Loading(
		func(ctx context.Context, key string) (theine.Loaded[*record], error) {
			r, err := s.load(ctx, key)
			return theine.Loaded[*record]{Value: r, Cost: 1, TTL: ttl}, err
		}).Build()
	require.NoError(b, err)
	return theineCache{c}
}

func (c theineCache) read(ctx context.Context, key string) (*record, error) {
	return c.cache.Get(ctx, key)
}

func (theineCache) loadsOnce() {}

func (c theineCache) invalidate(_ context.Context, key string) error {
	c.cache.Delete(key)
	return nil
}

func (c theineCache) settle() { c.cache.Wait() }

func (c theineCache) close() { c.cache.Close() }
