package readthrough

import (
	"context"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

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
	if len(keys) == 1 {
		return s.invalidateOne(ctx, keys[0])
	}
	_, err := s.InvalidateTargets(ctx, Targets{Keys: slices.Clone(keys)}) // so that the caller's slice stays on its stack
	return err
}

// invalidateOne is Invalidate for one key.
func (s *CachedScope) invalidateOne(ctx context.Context, key string) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if s.directives.Load() != 0 { // a batch may collect it
		_, err := s.InvalidateTargets(ctx, Targets{Keys: []string{key}})
		return err
	}
	if err := checkKey("key", key); err != nil {
		return err
	}
	r := &removing{Context: ctx, names: [1]string{key}, keys: [1]provider.Key{s.key(key)}}
	_, err := s.invalidate(r, Targets{Keys: r.names[:], keys: r.keys[:]})
	return err
}

// removing is all that the invalidation of one key needs on the heap, in one allocation. As a context, it is
// that of the caller without its end.
type removing struct {
	context.Context //nolint:containedctx // it is a context

	names [1]string
	keys  [1]provider.Key
}

func (*removing) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (*removing) Done() <-chan struct{}                   { return nil }
func (*removing) Err() error                              { return nil }

// InvalidatePrefix is [CachedScope.Invalidate] for all keys that begin with prefix: those stored,
// and those that are only being loaded. The prefix is a byte string of at most [MaxKeyBytes] bytes;
// "" stands for the whole scope. Example: "list:". It returns the number of live entries that the
// store removed.
func (s *CachedScope) InvalidatePrefix(ctx context.Context, prefix string) (removed int, err error) {
	return s.InvalidateTargets(ctx, Targets{Prefixes: []string{prefix}})
}

// InvalidateTargets is [CachedScope.Invalidate] for several keys and prefixes at once. They may be
// of other scopes of the cache, too. It asks the store once for all keys and once for each prefix,
// and [Options.InvalidateTimeout] bounds each of these requests. It returns the number of live
// entries that the store removed for the prefixes. If it returns an error, the store may have
// confirmed some of the targets.
func (s *CachedScope) InvalidateTargets(ctx context.Context, targets Targets) (removed int, err error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	list, err := s.shares(&s.keyspace, targets)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	removed, errs := s.settle(ctx, list, nil)
	return removed, joinErrors(errs...)
}

// Of returns keys of the scope as targets that name it.
func (s *CachedScope) Of(keys ...string) Targets { return s.named(Targets{Keys: keys}) }

// Under returns all keys of the scope that begin with prefix as targets that name it; "" stands for the whole
// scope. Example: scope.Under("list:").
func (s *CachedScope) Under(prefix string) Targets {
	return s.named(Targets{Prefixes: []string{prefix}})
}

// named returns targets that name s.
func (s *CachedScope) named(t Targets) Targets {
	if !s.isMade() {
		return Targets{err: errNoScope}
	}
	t.in = &s.keyspace
	return t
}

// Invalidate removes what targets cover, in all scopes that they name, as [CachedScope.Invalidate] does in
// one:
//
//	err := cache.Invalidate(ctx, users.Of(42), lists.All())
//
// The store is asked once for the keys of all scopes, and once for each prefix. When Invalidate returns nil,
// all of them are invalidated. An error that matches [ErrInvalidationPending] names the scopes in which some
// of them are pending; the others are invalidated.
//
// A bad argument is an error before anything is invalidated: a nil ctx, a bad key, and targets without a scope
// or with one of another cache. After Close it is [ErrClosed].
func (c *Cache) Invalidate(ctx context.Context, targets ...Targets) error {
	switch {
	case !c.isMade():
		return errNoCache("Invalidate")
	case ctx == nil:
		return errNoContext
	case c.closed.Load():
		return ErrClosed
	}
	list, err := c.shares(nil, Targets{}.And(targets...))
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return nil
	}
	_, errs := c.settle(ctx, list, nil)
	return joinErrors(errs...)
}
