// Package rueidisaside is the cached repository on rueidisaside.
package rueidisaside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidisaside"

	"github.com/readthrough/readthrough/benchmarks/migrating/shop"
)

// Products is the repository behind the cache.
type Products struct {
	repo   *shop.Repository
	client rueidisaside.CacheAsideClient
}

// New returns repo behind a cache.
func New(addr string, repo *shop.Repository) (*Products, error) {
	client, err := rueidisaside.NewClient(rueidisaside.ClientOption{
		ClientOption: rueidis.ClientOption{InitAddress: []string{addr}},
	})
	return &Products{repo, client}, err
}

func key(id int64) string { return fmt.Sprintf("product:%d", id) }

// Get returns a product.
func (p *Products) Get(ctx context.Context, id int64) (product shop.Product, err error) {
	text, err := p.client.Get(ctx, time.Minute, key(id), func(ctx context.Context, _ string) (string, error) {
		product, err := p.repo.Get(ctx, id)
		if err != nil {
			return "", err
		}
		data, err := json.Marshal(product)
		return string(data), err
	})
	if err != nil {
		return product, err
	}
	return product, json.Unmarshal([]byte(text), &product)
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
	return p.client.Del(ctx, key(product.ID))
}

// Close closes the client.
func (p *Products) Close() { p.client.Close() }
