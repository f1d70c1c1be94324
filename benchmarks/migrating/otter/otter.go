// Package otter is the cached repository on otter in front of Redis, by hand.
package otter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/benchmarks/migrating/shop"
)

// Products is the repository behind the caches.
type Products struct {
	repo   *shop.Repository
	near   *otter.Cache[int64, shop.Product]
	client *redis.Client
}

// New returns repo behind the caches.
func New(client *redis.Client, repo *shop.Repository) (*Products, error) {
	near, err := otter.New(&otter.Options[int64, shop.Product]{
		MaximumSize:      100_000,
		ExpiryCalculator: otter.ExpiryWriting[int64, shop.Product](10 * time.Second),
	})
	return &Products{repo, near, client}, err
}

func key(id int64) string { return fmt.Sprintf("product:%d", id) }

// Get returns a product.
func (p *Products) Get(ctx context.Context, id int64) (shop.Product, error) {
	product, err := p.near.Get(ctx, id, otter.LoaderFunc[int64, shop.Product](p.load))
	if errors.Is(err, otter.ErrNotFound) {
		err = shop.ErrNoProduct
	}
	return product, err
}

// load reads Redis, and then the database.
func (p *Products) load(ctx context.Context, id int64) (product shop.Product, err error) {
	data, err := p.client.Get(ctx, key(id)).Bytes()
	if err == nil && json.Unmarshal(data, &product) == nil {
		return product, nil
	}
	product, err = p.repo.Get(ctx, id)
	if errors.Is(err, shop.ErrNoProduct) {
		return product, otter.ErrNotFound
	}
	if err != nil {
		return product, err
	}
	if data, err = json.Marshal(product); err == nil {
		err = p.client.Set(ctx, key(id), data, time.Minute).Err()
	}
	if err != nil { // a miss the next time
		slog.WarnContext(ctx, "product is not in Redis", slog.Any("error", err))
	}
	return product, nil
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
	err := p.client.Del(ctx, key(product.ID)).Err()
	p.near.Invalidate(product.ID)
	return err
}
