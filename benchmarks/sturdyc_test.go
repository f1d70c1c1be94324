package benchmarks

import (
	"context"
	"testing"

	"github.com/viccon/sturdyc"
)

// sturdycCache has the number of shards and the share of evictions that its README
// uses. It has no way to end its goroutine, so that there is no evicting in the
// background.
type sturdycCache struct {
	client *sturdyc.Client[*record]
	source source
}

func openSturdyc(b *testing.B, entries int, s source) cache {
	b.Helper()
	return &sturdycCache{sturdyc.New[*record](entries, 10, ttl, 10, sturdyc.WithNoContinuousEvictions()), s}
}

func (c *sturdycCache) read(ctx context.Context, key string) (*record, error) {
	return c.client.GetOrFetch(ctx, key, func(ctx context.Context) (*record, error) { return c.source.load(ctx, key) })
}

func (c *sturdycCache) readMany(ctx context.Context, keys []string) (map[string]*record, error) {
	itself := func(key string) string { return key }
	return c.client.GetOrFetchBatch(ctx, keys, itself, c.source.loadMany)
}

func (*sturdycCache) loadsOnce() {}

func (c *sturdycCache) invalidate(_ context.Context, key string) error {
	c.client.Delete(key)
	return nil
}

func (*sturdycCache) close() {}
