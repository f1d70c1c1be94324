package main

import (
	"context"
	"strconv"
	"time"

	"github.com/readthrough/readthrough"
)

// cached is a Repository in front of another one: the pattern to copy. Whoever
// used the other one uses this, and nothing else changes.
type cached struct {
	next  Repository
	scope *readthrough.CachedScope

	// The reads, wrapped once. Each is a function of the shape of the method that
	// it wraps, so the methods below have nothing left to do.
	get      func(context.Context, string) (Product, error)
	getMany  func(context.Context, []string) (map[string]Product, error)
	cheapest func(context.Context, int) ([]Product, error)
}

// newCached returns next behind cache.
func newCached(cache *readthrough.Cache, next Repository) (*cached, error) {
	scope, err := cache.Scope("product", readthrough.ScopeOptions{
		// The TTL bounds how long a change is not seen that came past this
		// program. Its own changes are seen at once: they invalidate.
		TTL: time.Minute,
		// The repository's own error for "there is none". The cache remembers the
		// absence, too, and returns this error for it.
		NotFound: ErrNoProduct,
	})
	if err != nil {
		return nil, err
	}
	return &cached{
		next:  next,
		scope: scope,
		get:   readthrough.Memoize(scope, productKey, next.Get),
		// The same keys as get: what a bulk read has loaded, a single read finds,
		// and the other way round. A bulk read asks only for what is missing.
		getMany:  readthrough.MemoizeMany(scope, productKey, next.GetMany),
		cheapest: readthrough.Memoize(scope, cheapestKey, next.Cheapest),
	}, nil
}

// The keys, and nothing else in the program builds one. A family has a prefix, so
// that it can be invalidated as a whole.
func productKey(id string) string { return "product:" + id }

func cheapestKey(n int) string { return "cheapest:" + strconv.Itoa(n) }

// Get implements Repository.
func (c *cached) Get(ctx context.Context, id string) (Product, error) { return c.get(ctx, id) }

// GetMany implements Repository.
func (c *cached) GetMany(ctx context.Context, ids []string) (map[string]Product, error) {
	return c.getMany(ctx, ids)
}

// Cheapest implements Repository. The slice is shared with everybody who reads
// it: nobody may sort or change it.
func (c *cached) Cheapest(ctx context.Context, n int) ([]Product, error) { return c.cheapest(ctx, n) }

// Save implements Repository. Mutate keeps the order that is right: first write,
// then invalidate and wait for it, then tell others (nobody here: Emit is nil).
//
// The other way round, a reader between invalidation and write would fill the
// cache with the old product again.
func (c *cached) Save(ctx context.Context, p Product) error {
	_, err := readthrough.Mutate(ctx, c.scope, readthrough.Mutation[Product]{
		Write: func(ctx context.Context) (Product, error) { return p, c.next.Save(ctx, p) },
		Invalidate: func(p Product) readthrough.Targets {
			// What the change makes untrue: the product, be it a value or an
			// absence, and every list, because any may gain, lose or reorder it.
			return readthrough.Targets{Keys: []string{productKey(p.ID)}, Prefixes: []string{"cheapest:"}}
		},
	})
	return err
}
