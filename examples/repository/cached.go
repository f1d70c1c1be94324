package main

import (
	"context"
	"time"

	"github.com/readthrough/readthrough"
)

// cached is a Repository in front of another Repository: the pattern to copy. A
// program uses it in place of the other one, and nothing else changes.
type cached struct {
	next Repository

	// What is cached, and how it is loaded, said once. Get and GetMany have the
	// signatures of the methods that they wrap.
	products *readthrough.Family[string, Product]
	cheapest *readthrough.List[int, []Product]
}

// newCached returns next behind cache.
func newCached(cache *readthrough.Cache, next Repository) (*cached, error) {
	scope, err := cache.Scope("product", readthrough.ScopeOptions{
		// The TTL bounds how long a change stays unseen if another program makes
		// it. Changes of this program are seen at once, because they invalidate.
		TTL: time.Minute,
		// The repository's error for a missing product. The cache also remembers
		// the absence, and returns this error for it.
		NotFound: ErrNoProduct,
	})
	if err != nil {
		return nil, err
	}
	// A single read finds what a bulk read has loaded, and the reverse. A bulk read
	// loads only what is missing.
	products, err := readthrough.NewFamily(scope, "product:", readthrough.Loads[string, Product]{One: next.Get, Many: next.GetMany})
	if err != nil {
		return nil, err
	}
	cheapest, err := readthrough.NewList(scope, "cheapest:", next.Cheapest)
	if err != nil {
		return nil, err
	}
	return &cached{next, products, cheapest}, nil
}

// Get implements Repository.
func (c *cached) Get(ctx context.Context, id string) (Product, error) { return c.products.Get(ctx, id) }

// GetMany implements Repository.
func (c *cached) GetMany(ctx context.Context, ids []string) (map[string]Product, error) {
	return c.products.GetMany(ctx, ids)
}

// Cheapest implements Repository. All readers share the slice: nobody may sort or
// change it.
func (c *cached) Cheapest(ctx context.Context, n int) ([]Product, error) {
	return c.cheapest.Get(ctx, n)
}

// Save implements Repository. Mutate keeps the right order: it writes, then
// invalidates and waits for that, then tells others (here nobody: Emit is nil).
//
// In the reverse order, a reader between the invalidation and the write would
// fill the cache with the old product again.
func (c *cached) Save(ctx context.Context, p Product) error {
	_, err := readthrough.Mutate(ctx, c.products.Scope(), readthrough.Mutation[Product]{
		// What the change makes obsolete: the product, whether a value or an
		// absence is cached, and every list, because the product may enter, leave
		// or move in any of them.
		Targets: c.products.Of(p.ID).And(c.cheapest.All()),
		Write:   func(ctx context.Context) (Product, error) { return p, c.next.Save(ctx, p) },
	})
	return err
}
