package readthrough

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// Cache is a store and the scopes in it. Make it with [New]. All its methods are safe for
// concurrent use.
type Cache struct {
	engine

	// scopes has the scopes by name, guarded by engine.mu. After Close no scope is added.
	scopes map[string]*CachedScope

	// claimed is the store, if it has an identity; dropped gives it back if the cache is dropped without
	// Close. Both are set by New and not changed.
	claimed provider.CacheProvider
	dropped runtime.Cleanup
}

// New returns a cache on store, which from then on belongs to it: [Cache.Close] closes the store if
// it is an [io.Closer]. [provider.Null] is the store of a cache that keeps nothing.
//
// Make one cache for each store in a process, and scopes for what differs. Two caches on one store
// would not know of each other's loads and invalidations, so New refuses the store of a cache that
// is not closed, if the store is a pointer. Two stores may share a server: two values of
// redisprovider.New, for example, see each other as two processes do.
//
// New looks for the optional interfaces of the store once, here. If the store is a [provider.Advisor],
// such as redisprovider, New asks it a second later, in the background, how its servers are set up, and
// logs once what should be changed. It returns an error if store is
// nil or the store of another cache, or if an option has a bad value; the error names each such
// field.
func New(store provider.CacheProvider, options Options) (*Cache, error) {
	if isNil(store) {
		return nil, errors.New("readthrough: New: store: must not be nil")
	}
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cache{scopes: make(map[string]*CachedScope)}
	if err := c.claim(store); err != nil {
		return nil, err
	}
	c.log.logger = options.Logger
	c.backend = backend.New(store, backend.Config{
		ReadTimeout: options.ProviderTimeout, DeleteTimeout: options.InvalidateTimeout,
		BreakerFailures: options.BreakerFailures, BreakerCooldown: options.BreakerCooldown,
		Panicked: func(value any) error { return panicError(value) },
		Changed:  c.storeChanged,
	})
	c.observer, c.onError, c.options = options.Observer, options.OnError, options
	c.closing = make(chan struct{})
	if c.onError == nil {
		c.onError = (&errorLog{logger: options.Logger, keys: options.LogKeys}).onError
	}
	c.adviseLater()
	return c, nil
}

// Scope returns the scope of that name, a keyspace of its own with its own options. A scope is made
// once: asking again with the same options returns it.
//
// A name has 1 to 128 ASCII letters, digits, dots, hyphens and underscores. Example: "maintenance".
//
// A scope stays until the cache is closed, and takes less than 2 KiB. Use one for each kind of data, not
// one for each tenant or user: their number belongs into the keys ("tenant:7:maintenance:42"), which
// leave nothing behind, and a prefix invalidates all of one tenant.
//
// It returns an error for a bad name, for options with bad values or without an effect (the error
// names each field), for other options than the scope was made with, for options about stale values
// if the store has leases and is no [provider.Refresher], and [ErrClosed].
func (c *Cache) Scope(name string, options ScopeOptions) (*CachedScope, error) {
	if !c.isMade() {
		return nil, errNoCache("Scope")
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
	if recheck := c.options.SampleRecheck; options.SampleOneIn > 0 && options.TTL <= recheck {
		return nil, fmt.Errorf("readthrough: scope %q: ScopeOptions.SampleOneIn: %d: has no effect: the TTL %v must be longer than Options.SampleRecheck, %v",
			name, options.SampleOneIn, options.TTL, recheck)
	}
	s, err := c.addScope(name, nil)
	if s == nil && err == nil {
		name = strings.Clone(name) // it may be a part of a large string
		created := new(CachedScope)
		created.init(&c.engine, name, options) // without the lock: NotFound may be the user's code
		if s, err = c.addScope(name, created); s == created && options.FarOnly {
			c.backend.KeepOut(name)
		}
	}
	if err != nil {
		return nil, err
	}
	if s.options != options { // without the lock: the text of NotFound may be the user's code
		return nil, fmt.Errorf("readthrough: scope %q exists with other options: %s", name, s.options.differences(options))
	}
	return s, nil
}

// addScope returns the scope of that name. If there is none, it adds created, unless that is nil, and returns
// it.
func (c *Cache) addScope(name string, created *CachedScope) (*CachedScope, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if s, ok := c.scopes[name]; ok {
		return s, nil
	}
	if created != nil {
		c.scopes[name] = created
	}
	return created, nil
}

// Scopes returns the scopes that were made, sorted by name; nil for a nil Cache. It is for pages
// and metrics that show all scopes. A closed cache keeps its scopes.
func (c *Cache) Scopes() []*CachedScope {
	if !c.isMade() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	scopes := make([]*CachedScope, 0, len(c.scopes))
	for _, name := range slices.Sorted(maps.Keys(c.scopes)) {
		scopes = append(scopes, c.scopes[name])
	}
	return scopes
}

// StoreStats returns the statistics of the store. [Options.InvalidateTimeout] bounds it, and while
// the breaker is open it returns an error at once. The error matches [errors.ErrUnsupported] if the
// store is no [provider.Inspector]; [ErrClosed] after Close.
func (c *Cache) StoreStats(ctx context.Context) (provider.Stats, error) {
	switch {
	case !c.isMade():
		return provider.Stats{}, errNoCache("StoreStats")
	case ctx == nil:
		return provider.Stats{}, errNoContext
	case c.closed.Load():
		return provider.Stats{}, ErrClosed
	default:
		return c.backend.Stats(ctx)
	}
}

// Close ends the cache. Readers that wait for a load get [ErrClosed], and the context of the load
// is cancelled. Pending invalidations are tried once more. If the store does not confirm one, the
// error matches [ErrInvalidationPending], and other processes may read the old entry until its TTL
// ends. Then the store is closed, if it is an [io.Closer].
//
// When Close has returned, no goroutine of the cache is left, except those inside a load function,
// a function of [Observer], [Options.OnError], [Options.Logger] or a store that has not returned. Further calls do
// nothing and return nil.
func (c *Cache) Close() error {
	if !c.isMade() {
		return errNoCache("Close")
	}
	c.mu.Lock()
	if c.closed.Swap(true) {
		c.mu.Unlock()
		return nil
	}
	close(c.closing)
	c.mu.Unlock()
	c.background.Wait()
	defer c.giveStoreBack()

	errs := c.closeScopes()
	if c.backend.Closer != nil {
		errs = append(errs, c.backend.Closer.Close())
	}
	return errors.Join(errs...)
}

// closeScopes closes all scopes, some at once, so that a store that hangs costs CloseTimeout and not
// a timeout for each scope.
func (c *Cache) closeScopes() (errs []error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.CloseTimeout) //nolint:forbidigo // Close has no caller's context
	defer cancel()
	errs = make([]error, len(c.scopes))
	var group errgroup.Group
	group.SetLimit(closedAtOnce)
	n := 0
	for _, s := range c.scopes { // none is added any more
		err := &errs[n]
		n++
		group.Go(func() error {
			*err = fmt.Errorf("%w: scope %q: %w", ErrInvalidationPending, s.name, errGoexit) // unless the store returns
			*err = s.close(ctx)
			return nil
		})
	}
	group.Wait() //nolint:errcheck // the errors are in errs
	return errs
}

// closedAtOnce is how many scopes Close closes at once.
const closedAtOnce = 16

// isMade reports whether c was made by New.
func (c *Cache) isMade() bool { return c != nil && c.backend != nil }

func errNoCache(method string) error {
	return fmt.Errorf("readthrough: %s: the cache was not made by New", method)
}
