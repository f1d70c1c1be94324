package readthrough

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Targets are what an invalidation covers.
type Targets struct {
	// Keys are single keys.
	Keys []string
	// Prefixes stand for all keys that begin with one of them; the empty prefix
	// for the whole scope.
	Prefixes []string
}

// size returns the number of keys and prefixes.
func (t Targets) size() int { return len(t.Keys) + len(t.Prefixes) }

// cover reports whether t covers key.
func (t Targets) cover(key string) bool {
	return slices.Contains(t.Keys, key) || t.coverByPrefix(key)
}

func (t Targets) coverByPrefix(key string) bool {
	for _, prefix := range t.Prefixes {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func (t Targets) validate() error {
	for _, key := range t.Keys {
		if err := checkKey("key", key); err != nil {
			return err
		}
	}
	for _, prefix := range t.Prefixes {
		if len(prefix) > MaxKeyBytes {
			return fmt.Errorf("readthrough: prefix: %d bytes: must not be longer than %d", len(prefix), MaxKeyBytes)
		}
	}
	return nil
}

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
	if s.cache.closed.Load() {
		return 0, ErrClosed
	}
	if targets.size() == 0 {
		return 0, nil
	}
	return s.invalidate(context.WithoutCancel(ctx), targets)
}

func (s *CachedScope) invalidate(ctx context.Context, targets Targets) (removed int, err error) {
	began := time.Now()
	s.stats.invalidations.Add(int64(targets.size()))
	version, filling := s.flights.endEpochs(targets)
	remove := s.remove
	if s.cache.backend.leftAlone() {
		remove = leaveAlone // the retries find out when the store is back
	}
	removed, pending, err := s.attempt(ctx, targets, version, filling, remove)
	if pending.size() > 0 {
		s.retryPending(ctx)
		err = fmt.Errorf("%w: %d of %d keys and prefixes in scope %q: %w",
			ErrInvalidationPending, pending.size(), targets.size(), s.name, err)
	}
	s.observe(Event{Kind: EventInvalidate, Key: targets.single(), Count: targets.size(), Duration: time.Since(began), Err: err})
	return removed, err
}

// errStuckFill is the cause of a pending invalidation whose deletion the store
// has confirmed, but not the end of a fill that came before.
var errStuckFill = errors.New("readthrough: the store has not returned from a fill of the key")

// remover asks the store to remove targets. It returns those that the store did
// not confirm, with the reason.
type remover func(ctx context.Context, targets Targets) (removed int, failed Targets, err error)

// attempt waits for the calls in filling, removes targets from the store, and
// concludes. The wait is bounded by the timeout of a fill.
func (s *CachedScope) attempt(ctx context.Context, targets Targets, version uint64, filling map[*call]struct{}, remove remover) (removed int, pending Targets, err error) {
	for c := range filling {
		s.flights.awaitLanding(c)
	}
	stuck := s.flights.stuck(targets, filling) // before the deletion: a fill that ends after it may follow it
	removed, failed, err := remove(ctx, targets)
	confirmed := targets.without(failed)
	for _, key := range stuck {
		if confirmed.cover(key) {
			failed.Keys = append(failed.Keys, key)
		}
	}
	if err == nil && failed.size() > 0 {
		err = errStuckFill
	}
	s.flights.conclude(confirmed, failed, version)
	return removed, failed, err
}

// leaveAlone is the remover for a store that is left alone.
func leaveAlone(_ context.Context, targets Targets) (removed int, failed Targets, err error) {
	return 0, targets, errLeftAlone
}

// remove is the remover that asks.
func (s *CachedScope) remove(ctx context.Context, targets Targets) (removed int, failed Targets, err error) {
	var keysErr error
	if len(targets.Keys) > 0 {
		if keysErr = s.removeKeys(ctx, targets.Keys); keysErr != nil {
			failed.Keys = slices.Clip(targets.Keys) // which are the caller's
			s.report(OpDelete, Targets{Keys: targets.Keys}.single(), keysErr)
		}
	}
	errs := []error{keysErr}
	for i, prefix := range targets.Prefixes {
		n, err := s.removePrefix(ctx, prefix)
		removed += n
		if err == nil {
			continue
		}
		failed.Prefixes = append(failed.Prefixes, prefix)
		s.report(OpDeletePrefix, prefix, err)
		errs = append(errs, err)
		if s.cache.backend.leftAlone() { // the others would only wait for the same timeout
			failed.Prefixes = append(failed.Prefixes, targets.Prefixes[i+1:]...)
			break
		}
	}
	return removed, failed, join(errs...)
}

func (s *CachedScope) removeKeys(ctx context.Context, names []string) error {
	if s.lagsThere() {
		return s.holdLagging(ctx, Targets{Keys: names}) // which removes them, too
	}
	keys := make([]provider.Key, len(names))
	for i, name := range names {
		keys[i] = s.key(name)
	}
	return s.cache.backend.delete(ctx, keys)
}

func (s *CachedScope) removePrefix(ctx context.Context, prefix string) (removed int, err error) {
	removed, err = s.cache.backend.deletePrefix(ctx, s.name, prefix)
	if err == nil && s.lagsThere() {
		err = s.holdLagging(ctx, Targets{Prefixes: []string{prefix}})
	}
	return removed, err
}

// lagsThere reports whether the store holds what was invalidated, for as long as
// the source may lag behind.
func (s *CachedScope) lagsThere() bool {
	return s.options.ReplicaLag > 0 && s.cache.backend.holder != nil
}

func (s *CachedScope) holdLagging(ctx context.Context, targets Targets) error {
	if s.cache.backend.unanswering() {
		return errLeftAlone
	}
	return s.cache.backend.hold(ctx, s.holdTargets(targets), newToken(), s.options.ReplicaLag)
}

// without returns the keys of t if none of other are among them, and the
// prefixes of t that other lacks: a deletion of keys is confirmed as a whole.
func (t Targets) without(other Targets) Targets {
	rest := Targets{Keys: t.Keys}
	if len(other.Keys) > 0 {
		rest.Keys = nil
	}
	failed := make(map[string]bool, len(other.Prefixes))
	for _, prefix := range other.Prefixes {
		failed[prefix] = true
	}
	for _, prefix := range t.Prefixes {
		if !failed[prefix] {
			rest.Prefixes = append(rest.Prefixes, prefix)
		}
	}
	return rest
}

// single returns the key or prefix that t consists of, and "" if there are more.
func (t Targets) single() string {
	switch {
	case t.size() != 1:
		return ""
	case len(t.Keys) == 1:
		return t.Keys[0]
	default:
		return t.Prefixes[0]
	}
}
