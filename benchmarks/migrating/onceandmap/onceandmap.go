// Package onceandmap is the cached repository on a map, a mutex and a single flight.
package onceandmap

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/readthrough/readthrough/benchmarks/migrating/shop"
)

// Products is the repository behind the cache.
type Products struct {
	repo  *shop.Repository
	group singleflight.Group

	mu      sync.Mutex // guards following
	entries map[int64]entry
}

type entry struct {
	product shop.Product
	expires time.Time
}

// New returns repo behind a cache.
func New(repo *shop.Repository) *Products {
	return &Products{repo: repo, entries: make(map[int64]entry)}
}

// Get returns a product.
func (p *Products) Get(ctx context.Context, id int64) (shop.Product, error) {
	p.mu.Lock()
	e, ok := p.entries[id]
	p.mu.Unlock()
	if ok && time.Now().Before(e.expires) {
		return e.product, nil
	}
	loaded, err, _ := p.group.Do(strconv.FormatInt(id, 10), func() (any, error) {
		product, err := p.repo.Get(ctx, id)
		if err == nil {
			p.mu.Lock()
			p.entries[id] = entry{product, time.Now().Add(time.Minute)}
			p.mu.Unlock()
		}
		return product, err
	})
	if product, ok := loaded.(shop.Product); ok {
		return product, err
	}
	return shop.Product{}, err
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
	p.mu.Lock()
	delete(p.entries, product.ID)
	p.mu.Unlock()
	return nil
}
