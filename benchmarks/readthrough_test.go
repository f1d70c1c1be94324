package benchmarks

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// ours is readthrough in front of a store.
type ours struct {
	tb      testing.TB
	cache   *readthrough.Cache
	below   io.Closer
	scope   *readthrough.CachedScope
	get     func(ctx context.Context, key string) (*record, error)
	getID   func(ctx context.Context, id int) (*record, error)
	getMany func(ctx context.Context, keys []string) (map[string]*record, error)
}

func openReadthrough(b *testing.B, entries int, s source) cache {
	b.Helper()
	store, err := memory.New(memory.Options{MaxEntries: entries})
	require.NoError(b, err)
	return newOurs(b, store, store, s, readthrough.Options{})
}

// newOurs closes below after the cache.
func newOurs(b *testing.B, store provider.CacheProvider, below io.Closer, s source, options readthrough.Options) *ours {
	b.Helper()
	c, err := readthrough.New(store, options)
	require.NoError(b, err)
	scope, err := c.Scope("bench", readthrough.ScopeOptions{TTL: ttl})
	require.NoError(b, err)
	itself := func(key string) string { return key }
	records, err := readthrough.NewFamily(scope, prefix, readthrough.Loads[int, *record]{One: func(ctx context.Context, id int) (*record, error) {
		return s.load(ctx, keyOf(id))
	}})
	require.NoError(b, err)
	return &ours{
		tb: b, cache: c, below: below, scope: scope,
		get:     readthrough.Memoize(scope, itself, s.load),
		getID:   records.Get,
		getMany: readthrough.MemoizeMany(scope, itself, s.loadMany),
	}
}

func (o *ours) read(ctx context.Context, key string) (*record, error) { return o.get(ctx, key) }

func (o *ours) readID(ctx context.Context, id int) (*record, error) { return o.getID(ctx, id) }

func (o *ours) readMany(ctx context.Context, keys []string) (map[string]*record, error) {
	return o.getMany(ctx, keys)
}

func (*ours) loadsOnce() {}

func (o *ours) invalidate(ctx context.Context, key string) error { return o.scope.Invalidate(ctx, key) }

func (o *ours) removePrefix(ctx context.Context, prefix string) (int, error) {
	return o.scope.InvalidatePrefix(ctx, prefix)
}

func (o *ours) close() {
	assert.NoError(o.tb, o.cache.Close())
	assert.NoError(o.tb, o.below.Close())
}
