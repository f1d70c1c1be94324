package main

import (
	"context"
	"strconv"
	"time"

	"github.com/readthrough/readthrough"
)

// cached is a Repository in front of another Repository: the pattern to copy. A
// program uses it in place of the other one, and nothing else changes.
type cached struct {
	next  Repository
	scope *readthrough.CachedScope

	// The reads, wrapped once. Each has the signature of the method that it
	// wraps, so the methods below only call it.
	get      func(context.Context, string) (Product, error)
	getMany  func(context.Context, []string) (map[string]Product, error)
	cheapest func(context.Context, int) ([]Product, error)
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
	return &cached{
		next:  next,
		scope: scope,
		get:   readthrough.Memoize(scope, productKey, next.Get),
		// getMany has the same keys as get: a single read finds what a bulk read
		// has loaded, and the reverse. A bulk read loads only missing keys.
		getMany:  readthrough.MemoizeMany(scope, productKey, next.GetMany),
		cheapest: readthrough.Memoize(scope, cheapestKey, next.Cheapest),
	}, nil
}

// Only these functions build keys. A family has a prefix, so that it can be
// invalidated as a whole.
func productKey(id string) string { return "product:" + id }

func cheapestKey(n int) string { return "cheapest:" + strconv.Itoa(n) }

// Get implements Repository.
func (c *cached) Get(ctx context.Context, id string) (Product, error) { return c.get(ctx, id) }

// GetMany implements Repository.
func (c *cached) GetMany(ctx context.Context, ids []string) (map[string]Product, error) {
	return c.getMany(ctx, ids)
}

// Cheapest implements Repository. All readers share the slice: nobody may sort or
// change it.
func (c *cached) Cheapest(ctx context.Context, n int) ([]Product, error) { return c.cheapest(ctx, n) }

// Save implements Repository. Mutate keeps the right order: it writes, then
// invalidates and waits for that, then tells others (here nobody: Emit is nil).
//
// In the reverse order, a reader between the invalidation and the write would
// fill the cache with the old product again.
func (c *cached) Save(ctx context.Context, p Product) error {
	_, err := readthrough.Mutate(ctx, c.scope, readthrough.Mutation[Product]{
		Write: func(ctx context.Context) (Product, error) { return p, c.next.Save(ctx, p) },
		Invalidate: func(p Product) readthrough.Targets {
			// What the change makes obsolete: the product, whether a value or an
			// absence is cached, and every list, because the product may enter,
			// leave or move in any of them.
			return readthrough.Targets{Keys: []string{productKey(p.ID)}, Prefixes: []string{"cheapest:"}}
		},
	})
	return err
}
