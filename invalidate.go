package readthrough

import "context"

// Invalidate removes the values under keys, after the source was changed. When it has returned nil,
// no read that begins afterwards gets a value that was loaded before Invalidate began, and no such
// value is stored any more, however slow its load is.
//
// It works even if ctx has ended, since the write before it has happened: it uses only the values
// of ctx. It takes no longer than [Options.ProviderTimeout], for fills that are under way, and
// [Options.InvalidateTimeout] together. A codec or a weigher that takes long in such a fill is waited
// for, too, for InvalidateTimeout.
//
// If the store does not confirm, the error matches [ErrInvalidationPending], which says what holds
// then. A bad argument is an error before anything is invalidated: a nil ctx, or a key that is
// empty or longer than [MaxKeyBytes]. After Close it is [ErrClosed]. No keys at all are no error.
// Invalidate is safe for concurrent use, also inside load functions and observers.
func (s *CachedScope) Invalidate(ctx context.Context, keys ...string) error {
	_, err := s.InvalidateTargets(ctx, Targets{Keys: keys})
	return err
}

// InvalidatePrefix is [CachedScope.Invalidate] for all keys that begin with prefix: those stored,
// and those that are only being loaded. The prefix is a byte string of at most [MaxKeyBytes] bytes;
// "" stands for the whole scope. Example: "list:". It returns the number of live entries that the
// store removed.
func (s *CachedScope) InvalidatePrefix(ctx context.Context, prefix string) (removed int, err error) {
	return s.InvalidateTargets(ctx, Targets{Prefixes: []string{prefix}})
}

// InvalidateTargets is [CachedScope.Invalidate] for several keys and prefixes at once. It asks the
// store once for all keys and once for each prefix, and [Options.InvalidateTimeout] bounds each of
// these requests. It returns the number of live entries that the store removed for the prefixes. If
// it returns an error, the store may have confirmed some of the targets.
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
