// Package shop is the service that is moved from one cache to another: a repository of products, in memory,
// that counts its queries and whose reads a test can hold up.
package shop

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// ErrNoProduct says that there is no such product.
var ErrNoProduct = errors.New("shop: no such product")

// Product is a row.
type Product struct {
	ID    int64
	Name  string
	Cents int
}

// Repository has the products. The zero value is an empty one.
type Repository struct {
	// Queries counts the reads.
	Queries atomic.Int64

	mu sync.Mutex // guards following

	rows map[int64]Product
	// read is called by each read, after it has seen its rows and before it returns them.
	read func(ctx context.Context) error
}

// OnRead calls f in each read, after it has seen its rows and before it returns them. nil ends that.
func (r *Repository) OnRead(f func(ctx context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read = f
}

// Get returns the product with an id, or ErrNoProduct.
func (r *Repository) Get(ctx context.Context, id int64) (Product, error) {
	found, err := r.GetMany(ctx, []int64{id})
	if err != nil {
		return Product{}, err
	}
	product, ok := found[id]
	if !ok {
		return Product{}, ErrNoProduct
	}
	return product, nil
}

// GetMany returns the products with ids. It is one query.
func (r *Repository) GetMany(ctx context.Context, ids []int64) (map[int64]Product, error) {
	r.Queries.Add(1)
	r.mu.Lock()
	found, read := make(map[int64]Product), r.read
	for _, id := range ids {
		if product, ok := r.rows[id]; ok {
			found[id] = product
		}
	}
	r.mu.Unlock()
	if read != nil {
		if err := read(ctx); err != nil {
			return nil, err
		}
	}
	return found, ctx.Err()
}

// Save stores a product.
func (r *Repository) Save(_ context.Context, product Product) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows == nil {
		r.rows = make(map[int64]Product)
	}
	r.rows[product.ID] = product
	return nil
}
