package benchmarks

import (
	"context"
	"testing"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
)

// ours is readthrough in front of a store.
type ours struct {
	cache   *readthrough.Cache
	store   interface{ Close() error }
	scope   *readthrough.CachedScope
	get     func(ctx context.Context, key string) (*record, error)
	getID   func(ctx context.Context, id int) (*record, error)
	getMany func(ctx context.Context, keys []string) (map[string]*record, error)
	tb      testing.TB
}

func openReadthrough(b *testing.B, entries int, s source) cache {
	b.Helper()
	store, err := memory.New(memory.Options{MaxEntries: entries})
	if err != nil {
		b.Fatal(err)
	}
	c, err := readthrough.New(store, readthrough.Options{})
	if err != nil {
		b.Fatal(err)
	}
	scope, err := c.Scope("bench", readthrough.ScopeOptions{TTL: ttl})
	if err != nil {
		b.Fatal(err)
	}
	itself := func(key string) string { return key }
	return &ours{
		tb: b, cache: c, store: store, scope: scope,
		get: readthrough.Memoize(scope, itself, s.load),
		getID: readthrough.Memoize(scope, keyOf, func(ctx context.Context, id int) (*record, error) {
			return s.load(ctx, keyOf(id))
		}),
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
	if err := o.cache.Close(); err != nil {
		o.tb.Error(err)
	}
	if err := o.store.Close(); err != nil {
		o.tb.Error(err)
	}
}
