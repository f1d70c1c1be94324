package readthrough

import (
	"context"
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/provider"
)

// Has reports whether the store has a live entry under key, be it a value or an
// absence. It counts as no read. The error matches [errors.ErrUnsupported] if the
// store cannot be looked at.
func (s *CachedScope) Has(ctx context.Context, key string) (bool, error) {
	if err := s.check(ctx); err != nil {
		return false, err
	}
	if err := checkKey("key", key); err != nil {
		return false, err
	}
	inspector, err := s.cache.inspector()
	if err != nil {
		return false, err
	}
	return inspector.Has(ctx, provider.Key{Scope: s.name, Name: key})
}

// Entries lists the live entries of the scope: keys, weights and times, never
// values. The scope in options is ignored. The error matches
// [errors.ErrUnsupported] if the store cannot be looked at.
func (s *CachedScope) Entries(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
	if err := s.check(ctx); err != nil {
		return provider.Page{}, err
	}
	inspector, err := s.cache.inspector()
	if err != nil {
		return provider.Page{}, err
	}
	options.Scope = s.name
	return inspector.List(ctx, options)
}

// StoreStats returns the statistics of the store. The error matches
// [errors.ErrUnsupported] if the store has none.
func (c *Cache) StoreStats(ctx context.Context) (provider.Stats, error) {
	if c == nil || c.backend == nil {
		return provider.Stats{}, errors.New("readthrough: StoreStats: the cache was not made by New")
	}
	if ctx == nil {
		return provider.Stats{}, errors.New("readthrough: ctx: must not be nil")
	}
	inspector, err := c.inspector()
	if err != nil {
		return provider.Stats{}, err
	}
	return inspector.Stats(ctx)
}

func (c *Cache) inspector() (provider.Inspector, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if c.backend.inspector == nil {
		return nil, fmt.Errorf("readthrough: the store %T cannot be looked at: %w", c.backend.store, errors.ErrUnsupported)
	}
	return c.backend.inspector, nil
}
