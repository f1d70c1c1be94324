// Package goredis is the cached repository on go-redis/cache.
package goredis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/benchmarks/migrating/shop"
)

// Products is the repository behind the cache.
type Products struct {
	repo  *shop.Repository
	cache *cache.Cache
}

// New returns repo behind a cache.
func New(client *redis.Client, repo *shop.Repository) *Products {
	return &Products{repo, cache.New(&cache.Options{Redis: client})}
}

func key(id int64) string { return fmt.Sprintf("product:%d", id) }

// Get returns a product.
func (p *Products) Get(ctx context.Context, id int64) (product shop.Product, err error) {
	err = p.cache.Once(&cache.Item{
		Ctx: ctx, Key: key(id), Value: &product, TTL: time.Minute,
		Do: func(item *cache.Item) (any, error) { return p.repo.Get(item.Context(), id) },
	})
	return product, err
}

// GetMany returns the products that there are.
func (p *Products) GetMany(ctx context.Context, ids []int64) (map[int64]shop.Product, error) {
	found := make(map[int64]shop.Product)
	for _, id := range ids {
		switch product, err := p.Get(ctx, id); {
		case err == nil:
			found[id] = product
		case !errors.Is(err, shop.ErrNoProduct):
			return found, err
		}
	}
	return found, nil
}

// Save changes a product.
func (p *Products) Save(ctx context.Context, product shop.Product) error {
	if err := p.repo.Save(ctx, product); err != nil {
		return err
	}
	return p.cache.Delete(ctx, key(product.ID))
}
