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

func (c *engine) inspector() (provider.Inspector, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if c.backend.Inspector == nil {
		return nil, fmt.Errorf("readthrough: the store %T cannot be looked at: %w", c.backend.Store, errors.ErrUnsupported)
	}
	return c.backend.Inspector, nil
}

// CachedScope is a named keyspace of a [Cache]. Its keys are plain byte strings
// of 1 to [MaxKeyBytes] bytes; readable ones, such as "maintenance:42" and
// "system:7", let a prefix name a family. Get it from [Cache.Scope]; it is safe
// for concurrent use.
type CachedScope struct{ keyspace }

func newScope(c *engine, name string, options ScopeOptions) *CachedScope {
	s := &CachedScope{keyspace{cache: c, name: name, options: options, absent: ErrNotFound}}
	if !errors.Is(options.NotFound, ErrNotFound) {
		s.absent = &absentError{cause: options.NotFound, scope: options.NotFound}
	} else if options.NotFound != ErrNotFound { //nolint:errorlint // it wraps ErrNotFound and is returned as it is
		s.absent = options.NotFound
	}
	s.values = c.backend.Values != nil && !options.ages()
	s.flights.scopesPending = &c.backend.Pending
	s.flights.options = &s.options
	s.flights.slots.limit = options.MaxLoads
	s.flights.live = make(map[string]*flight)
	s.flights.running = make(map[*call]struct{})
	s.flights.pending.limit = c.options.MaxPending
	s.flights.lagging.limit = c.options.MaxPending
	s.flights.inProcess, s.flights.lagsHere = c.backend.Local, c.backend.Holder == nil
	return s
}

// Name returns the scope's name; "" for nil.
func (s *CachedScope) Name() string {
	if s == nil {
		return ""
	}
	return s.name
}

// isMade reports whether s is a scope of a cache.
func (s *CachedScope) isMade() bool { return s != nil && s.cache != nil }

// check returns the error of a call on s that cannot be made.
func (s *CachedScope) check(ctx context.Context) error {
	switch {
	case !s.isMade():
		return errNoScope
	case ctx == nil:
		return errNoContext
	default:
		return nil
	}
}

var (
	errNoScope   = errors.New("readthrough: scope: must not be nil; get it from Cache.Scope")
	errNoContext = errors.New("readthrough: ctx: must not be nil")
)

// checkOpen returns the error of a call on s, a scope of a cache, that cannot be made.
func (s *keyspace) checkOpen(ctx context.Context) error {
	switch {
	case ctx == nil:
		return errNoContext
	case s.cache.closed.Load():
		return ErrClosed
	default:
		return nil
	}
}

// checkKey is checkOpen for a call with a key.
func (s *keyspace) checkKey(ctx context.Context, key string) error {
	if err := checkKey("key", key); err != nil {
		return err
	}
	return s.checkOpen(ctx)
}

// Stats returns the scope's statistics, which are zero for nil. It stops no
// reader.
func (s *CachedScope) Stats() Stats {
	if s == nil {
		return Stats{}
	}
	inFlight, pending := s.flights.sizes()
	return Stats{
		Hits: s.stats.hits.Load(), Misses: s.stats.misses.Load(), Joined: s.stats.joined.Load(),
		Stale: s.stats.stale.Load(), Refreshes: s.stats.refreshes.Load(),
		Loads: s.stats.loads.Load(), LoadErrors: s.stats.loadErrors.Load(),
		RefusedFills: s.stats.refusedFills.Load(), Invalidations: s.stats.invalidations.Load(),
		Pending: pending, ProviderErrors: s.stats.providerErrors.Load(), InFlight: inFlight,
		LoadTime: s.stats.loadTime(),
	}
}
