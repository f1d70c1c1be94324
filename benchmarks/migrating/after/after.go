// Package after is the cached repository on readthrough, whichever cache it had before.
package after

import (
	"context"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/benchmarks/migrating/shop"
	"github.com/readthrough/readthrough/provider"
)

// Products is the repository behind the cache.
type Products struct {
	repo   *shop.Repository
	cache  *readthrough.Cache
	scope  *readthrough.CachedScope
	family *readthrough.Family[int64, shop.Product]
}

// New returns repo behind a cache on store.
func New(store provider.CacheProvider, repo *shop.Repository) (*Products, error) {
	cache, err := readthrough.New(store, readthrough.Options{})
	if err != nil {
		return nil, err
	}
	scope, err := cache.Scope("shop", readthrough.ScopeOptions{TTL: time.Minute, NotFound: shop.ErrNoProduct})
	if err != nil {
		return nil, err
	}
	family, err := readthrough.NewFamily(scope, "product:",
		readthrough.Loads[int64, shop.Product]{One: repo.Get, Many: repo.GetMany})
	return &Products{repo, cache, scope, family}, err
}

// Get returns a product.
func (p *Products) Get(ctx context.Context, id int64) (shop.Product, error) {
	return p.family.Get(ctx, id)
}

// GetMany returns the products that there are.
func (p *Products) GetMany(ctx context.Context, ids []int64) (map[int64]shop.Product, error) {
	return p.family.GetMany(ctx, ids)
}

// Save changes a product.
func (p *Products) Save(ctx context.Context, product shop.Product) error {
	_, err := readthrough.Mutate(ctx, p.scope, readthrough.Mutation[struct{}]{
		Targets: p.family.Of(product.ID),
		Write:   func(ctx context.Context) (struct{}, error) { return struct{}{}, p.repo.Save(ctx, product) },
	})
	return err
}

// Close closes the cache and its store.
func (p *Products) Close() error { return p.cache.Close() }
