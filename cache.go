package readthrough

import (
	"context"
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

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

// close ends the scope's flights and tries what is pending once more.
func (s *keyspace) close() error {
	if s.flights.close() == 0 {
		return nil
	}
	s.retryOnce(context.Background()) //nolint:forbidigo // Close has no caller's context
	_, pending := s.flights.sizes()
	if pending == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d keys and prefixes in scope %q: the cache is closed, they are not retried",
		ErrInvalidationPending, pending, s.name)
}

// Cache is a store and the scopes in it. Make it with [New]; all its methods are
// safe for concurrent use.
type Cache struct {
	engine

	scopes map[string]*CachedScope // guarded by mu
}

// New returns a cache on store, which from then on belongs to it: [Cache.Close]
// closes it if it can be closed. [provider.Null] is the store of a cache that
// keeps nothing. Two caches on one store do not know of each other's
// invalidations: make one.
//
// It returns an error if store is nil or an option has a bad value.
func New(store provider.CacheProvider, options Options) (*Cache, error) {
	if isNil(store) {
		return nil, errors.New("readthrough: New: store: must not be nil")
	}
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cache{
		engine: engine{
			backend: backend.New(store, backend.Config{ReadTimeout: options.ProviderTimeout, DeleteTimeout: options.InvalidateTimeout, BreakerFailures: options.BreakerFailures, BreakerCooldown: options.BreakerCooldown, Panicked: func(r any) error { return &PanicError{Value: r, Stack: stack()} }}), observer: options.Observer, onError: options.OnError, options: options,
			closing: make(chan struct{}),
		},
		scopes: make(map[string]*CachedScope),
	}
	if isNil(c.observer) {
		c.observer = nil
	}
	if c.onError == nil {
		c.onError = new(errorLog).onError
	}
	return c, nil
}

// Scope returns the scope of that name, a keyspace of its own with its defaults.
// The same name is the same scope: asking again with the same options returns
// it, with other options an error.
//
// A name consists of 1 to 128 ASCII letters, digits, dots, hyphens and
// underscores.
func (c *Cache) Scope(name string, options ScopeOptions) (*CachedScope, error) {
	if c == nil || c.backend == nil {
		return nil, errors.New("readthrough: Scope: the cache was not made by New")
	}
	if err := checkScopeName(name); err != nil {
		return nil, err
	}
	if err := options.fillDefaults(); err != nil {
		return nil, err
	}
	if b := c.backend; options.ages() && b.Leaser != nil && b.Refresher == nil {
		return nil, fmt.Errorf("readthrough: scope %q: stale values and early loads: the store has leases but is no provider.Refresher", name)
	}
	created := newScope(&c.engine, name, options) // before the lock: NotFound may be anybody's code
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if s, ok := c.scopes[name]; ok {
		if s.options != options {
			return nil, fmt.Errorf("readthrough: scope %q exists with other options", name)
		}
		return s, nil
	}
	c.scopes[name] = created
	return created, nil
}

// Close ends the cache. Readers that wait for a load get [ErrClosed], and the
// context of the load is cancelled. Invalidations that are pending are tried
// once more; if any is not confirmed then, the error matches
// [ErrInvalidationPending], and other processes may read what they should have
// removed until its TTL ends. Then the store is closed, if it can be.
//
// When Close has returned, no goroutine of the cache is left but those inside a
// load function or a store that has not returned. Further calls do nothing and
// return nil.
func (c *Cache) Close() error {
	if c == nil || c.backend == nil {
		return errors.New("readthrough: Close: the cache was not made by New")
	}
	c.mu.Lock()
	if c.closed.Swap(true) {
		c.mu.Unlock()
		return nil
	}
	close(c.closing)
	c.mu.Unlock()
	c.background.Wait()

	var errs []error
	for _, s := range c.scopes { // nothing is added any more
		errs = append(errs, s.close())
	}
	if c.backend.Closer != nil {
		errs = append(errs, c.backend.Closer.Close())
	}
	return errors.Join(errs...)
}

// checkScopeName returns an error that says what is wrong with name.
func checkScopeName(name string) error {
	if name == "" || len(name) > maxScopeNameBytes {
		return fmt.Errorf("readthrough: scope name: %d bytes: must be 1 to %d", len(name), maxScopeNameBytes)
	}
	for i := range len(name) {
		switch b := name[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '.', b == '-', b == '_':
		default:
			return fmt.Errorf("readthrough: scope name %q: byte %q: only ASCII letters, digits, '.', '-' and '_'", name, b)
		}
	}
	return nil
}
