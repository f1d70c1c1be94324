package benchmarks

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jellydator/ttlcache/v3"
)

// ttlcacheCache loads through its loader, which takes no context. Hits do not
// prolong the TTL, as with the others.
type ttlcacheCache struct {
	cache *ttlcache.Cache[string, *record]
}

func openTTLCache(b *testing.B, entries int, s source) cache {
	b.Helper()
	loader := ttlcache.LoaderFunc[string, *record](func(c *ttlcache.Cache[string, *record], key string) *ttlcache.Item[string, *record] {
		r, err := s.load(b.Context(), key)
		if err != nil {
			return nil
		}
		return c.Set(key, r, ttlcache.DefaultTTL)
	})
	c := ttlcache.New(
		ttlcache.WithTTL[string, *record](ttl),
		ttlcache.WithCapacity[string, *record](uint64(entries)), //nolint:gosec // it is positive
		ttlcache.WithDisableTouchOnHit[string, *record](),
		ttlcache.WithLoader(ttlcache.NewSuppressedLoader(loader, nil)),
	)
	return ttlcacheCache{c}
}

var errNotLoaded = errors.New("not loaded")

func (c ttlcacheCache) read(_ context.Context, key string) (*record, error) {
	item := c.cache.Get(key)
	if item == nil {
		return nil, errNotLoaded
	}
	return item.Value(), nil
}

func (ttlcacheCache) loadsOnce() {}

func (c ttlcacheCache) invalidate(_ context.Context, key string) error {
	c.cache.Delete(key)
	return nil
}

// removePrefix is what its users do for want of better.
func (c ttlcacheCache) removePrefix(_ context.Context, prefix string) (removed int, err error) {
	for _, key := range c.cache.Keys() {
		if strings.HasPrefix(key, prefix) {
			c.cache.Delete(key)
			removed++
		}
	}
	return removed, nil
}

func (c ttlcacheCache) close() { c.cache.DeleteAll() }
