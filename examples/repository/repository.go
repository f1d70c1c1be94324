package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Product is a product of the shop.
type Product struct {
	ID    string
	Name  string
	Cents int
}

// ErrNoProduct is the error for a product that does not exist.
var ErrNoProduct = errors.New("no such product")

// Repository is the interface that a service already has. It does not know of a
// cache, and does not change for one.
type Repository interface {
	// Get returns a product, or ErrNoProduct.
	Get(ctx context.Context, id string) (Product, error)
	// GetMany returns those of the products that exist.
	GetMany(ctx context.Context, ids []string) (map[string]Product, error)
	// Cheapest returns the n cheapest products.
	Cheapest(ctx context.Context, n int) ([]Product, error)
	// Save creates or changes a product.
	Save(ctx context.Context, p Product) error
}

// database is the existing repository: it stands for yours, with SQL. It prints
// what it is asked.
type database struct {
	mu       sync.Mutex // guards products
	products map[string]Product
}

// Get implements Repository.
func (d *database) Get(_ context.Context, id string) (Product, error) {
	fmt.Println("  database: get", id)
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.products[id]
	if !ok {
		return Product{}, fmt.Errorf("product %s: %w", id, ErrNoProduct)
	}
	return p, nil
}

// GetMany implements Repository.
func (d *database) GetMany(_ context.Context, ids []string) (map[string]Product, error) {
	fmt.Println("  database: get many", ids)
	d.mu.Lock()
	defer d.mu.Unlock()
	found := map[string]Product{}
	for _, id := range ids {
		if p, ok := d.products[id]; ok {
			found[id] = p
		}
	}
	return found, nil
}

// Cheapest implements Repository.
func (d *database) Cheapest(_ context.Context, n int) ([]Product, error) {
	fmt.Println("  database: the cheapest", n)
	d.mu.Lock()
	defer d.mu.Unlock()
	return cheapest(d.products, n), nil
}

// Save implements Repository.
func (d *database) Save(_ context.Context, p Product) error {
	fmt.Println("  database: save", p.ID)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.products[p.ID] = p
	return nil
}
