package readthrough

import (
	"context"
	"fmt"

	"github.com/readthrough/readthrough/provider"
)

// CachedScope is a part of a [Cache] whose entries share their options, such as the TTL, and can be
// invalidated together. Each scope has keys of its own. Entities with one life in one database, such as
// users and the lists of users, are mostly families of one scope; entities with another TTL or another
// source are in another one. One mutation may invalidate several scopes ([Cache.Invalidate]).
//
// Keys are byte strings of 1 to [MaxKeyBytes] bytes. Readable keys, such as "maintenance:42" and "system:7", let a
// prefix name a family. Get a scope from [Cache.Scope]. It is safe for concurrent use.
type CachedScope struct {
	keyspace

	// prefixes are those of its families and lists.
	prefixes prefixes
}

// Name returns the name of the scope; "" for nil.
func (s *CachedScope) Name() string {
	if s == nil {
		return ""
	}
	return s.name
}

// Stats returns the statistics of the scope; the zero Stats for nil. No reader waits for it.
func (s *CachedScope) Stats() Stats {
	if s == nil {
		return Stats{}
	}
	inFlight, pending, since := s.flights.sizes()
	near := s.stats.nearHits.Load()
	stats := Stats{
		Hits: s.stats.hits.Load() + near, NearHits: near, Misses: s.stats.misses.Load(), Joined: s.stats.joined.Load(), Bypassed: s.stats.bypassed.Load(),
		Stale: s.stats.stale.Load(), Refreshes: s.stats.refreshes.Load(),
		Loads: s.stats.loads.Load(), LoadErrors: s.stats.loadErrors.Load(),
		RefusedFills: s.stats.refusedFills.Load(), LostLeases: s.stats.lostLeases.Load(), Invalidations: s.stats.invalidations.Load(),
		Pending: pending, PendingSince: since, ProviderErrors: s.stats.providerErrors.Load(), InFlight: inFlight,
		LoadTime: s.stats.loadTime(),
	}
	s.sampling.addTo(&stats)
	return stats
}

// Has reports whether the store has a live entry under key, a value or an absence. It does not
// count as a read, and it loads nothing. [Options.InvalidateTimeout] bounds it, and while the
// breaker is open it returns an error at once. The error matches [errors.ErrUnsupported] if the
// store is no [provider.Inspector].
func (s *CachedScope) Has(ctx context.Context, key string) (bool, error) {
	if err := s.check(ctx); err != nil {
		return false, err
	}
	if err := checkKey("key", key); err != nil {
		return false, err
	}
	return s.backend.Has(ctx, s.key(key))
}

// Entries lists the live entries of the scope: keys, weights and times, never values. The scope in
// options is ignored. Timeout, breaker and errors are those of [CachedScope.Has].
func (s *CachedScope) Entries(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
	if err := s.check(ctx); err != nil {
		return provider.Page{}, err
	}
	options.Scope = s.name
	return s.backend.List(ctx, options)
}

// isMade reports whether s is a scope of a cache.
func (s *CachedScope) isMade() bool { return s != nil && s.engine != nil }

// check returns an error if s is no scope of a cache, ctx is nil, or the cache is closed.
func (s *CachedScope) check(ctx context.Context) error {
	if !s.isMade() {
		return errNoScope
	}
	return s.checkOpen(ctx)
}

// checkScopeName returns an error that says what is wrong with name, or nil.
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
