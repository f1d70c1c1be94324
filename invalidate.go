package readthrough

import "context"

// Invalidate removes the values under keys, after the source was changed. When
// it has returned nil, no read that begins afterwards gets a value that was
// loaded before Invalidate began, and no such value is stored any more, by
// whatever load was under way.
//
// It does so even if ctx has ended, since the write that it follows has
// happened; only the values of ctx are used. It takes no longer than
// [Options.ProviderTimeout], for fills that are under way, and
// [Options.InvalidateTimeout] together; with several prefixes, the latter for
// each.
//
// If the store does not confirm, the error matches [ErrInvalidationPending],
// which says what holds then. No keys at all are fine; an empty or too long key
// is an error, and then nothing is invalidated. It is safe for concurrent use.
func (s *CachedScope) Invalidate(ctx context.Context, keys ...string) error {
	_, err := s.InvalidateTargets(ctx, Targets{Keys: keys})
	return err
}

// InvalidatePrefix is [CachedScope.Invalidate] for all keys that begin with
// prefix: those stored, and those that are only being loaded. The empty prefix
// stands for the whole scope. It returns the number of live entries that the
// store removed.
func (s *CachedScope) InvalidatePrefix(ctx context.Context, prefix string) (removed int, err error) {
	return s.InvalidateTargets(ctx, Targets{Prefixes: []string{prefix}})
}

// InvalidateTargets is [CachedScope.Invalidate] for several keys and prefixes at
// once. It returns the number of live entries that the store removed for the
// prefixes. On an error some of the targets may have been confirmed.
func (s *CachedScope) InvalidateTargets(ctx context.Context, targets Targets) (removed int, err error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	if err := targets.validate(); err != nil {
		return 0, err
	}
	if targets.size() == 0 {
		return 0, nil
	}
	return s.invalidate(context.WithoutCancel(ctx), targets)
}
