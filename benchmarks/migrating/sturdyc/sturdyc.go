// Package sturdyc is the cached repository on sturdyc.
package sturdyc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/viccon/sturdyc"

	"github.com/readthrough/readthrough/benchmarks/migrating/shop"
)

// Products is the repository behind the cache.
type Products struct {
	repo   *shop.Repository
	client *sturdyc.Client[shop.Product]
	key    sturdyc.KeyFn
}

// New returns repo behind a cache.
func New(repo *shop.Repository) *Products {
	client := sturdyc.New[shop.Product](100_000, 10, time.Minute, 10,
		sturdyc.WithNoContinuousEvictions(), sturdyc.WithMissingRecordStorage())
	return &Products{repo, client, client.BatchKeyFn("product")}
}

// Get returns a product.
func (p *Products) Get(ctx context.Context, id int64) (shop.Product, error) {
	product, err := p.client.GetOrFetch(ctx, p.key(text(id)), func(ctx context.Context) (shop.Product, error) {
		product, err := p.repo.Get(ctx, id)
		if errors.Is(err, shop.ErrNoProduct) {
			err = sturdyc.ErrNotFound
		}
		return product, err
	})
	if errors.Is(err, sturdyc.ErrMissingRecord) {
		err = shop.ErrNoProduct
	}
	return product, err
}

// GetMany returns the products that there are.
func (p *Products) GetMany(ctx context.Context, ids []int64) (map[int64]shop.Product, error) {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = text(id)
	}
	products, err := p.client.GetOrFetchBatch(ctx, texts, p.key, func(ctx context.Context, texts []string) (map[string]shop.Product, error) {
		found, err := p.repo.GetMany(ctx, numbers(texts))
		products := make(map[string]shop.Product, len(found))
		for id, product := range found {
			products[text(id)] = product
		}
		return products, err
	})
	found := make(map[int64]shop.Product, len(products))
	for _, product := range products {
		found[product.ID] = product
	}
	return found, err
}

func text(id int64) string { return strconv.FormatInt(id, 10) }

func numbers(texts []string) []int64 {
	ids := make([]int64, 0, len(texts))
	for _, text := range texts {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// Save changes a product.
func (p *Products) Save(ctx context.Context, product shop.Product) error {
	if err := p.repo.Save(ctx, product); err != nil {
		return err
	}
	p.client.Delete(p.key(text(product.ID)))
	return nil
}
