package readthrough

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// defaultHoldFor bounds a write whose targets are held.
const defaultHoldFor = 10 * time.Second

// hold places a hold on targets in the store for a write that ends within
// holdFor. It returns the hold's token, "" if there is nothing to hold: no
// targets, or a store whose entries no other process sees.
func (s *CachedScope) hold(ctx context.Context, targets Targets, holdFor time.Duration) (token string, err error) {
	b := s.cache.backend
	if targets.size() == 0 || b.holder == nil {
		return "", nil
	}
	if err := b.admit(); err != nil {
		return "", fmt.Errorf("%w: scope %q: %w", ErrNotHeld, s.name, err)
	}
	token = newToken()
	// The hold has to outlast the write and the invalidation that follows it.
	margin := b.deleteTimeout + b.readTimeout + time.Second
	ttl := min(holdFor, provider.NoExpiry-margin) + margin
	if err := b.hold(ctx, s.holdTargets(targets), token, ttl); err != nil {
		s.report(OpHold, targets.single(), err)
		s.unhold(ctx, targets, token) // it may have been placed all the same
		return "", fmt.Errorf("%w: scope %q: %w", ErrNotHeld, s.name, err)
	}
	return token, nil
}

// unhold gives up a hold. If that fails, the hold ends with its TTL: until then
// the keys are loaded on every read.
func (s *CachedScope) unhold(ctx context.Context, targets Targets, token string) {
	if token == "" || s.cache.backend.leftAlone() {
		return
	}
	if err := s.cache.backend.unhold(context.WithoutCancel(ctx), s.holdTargets(targets), token); err != nil {
		s.report(OpHold, targets.single(), err)
	}
}

func (s *CachedScope) holdTargets(targets Targets) provider.HoldTargets {
	return provider.HoldTargets{Scope: s.name, Keys: targets.Keys, Prefixes: targets.Prefixes}
}

// newToken returns a token that no other hold has.
func newToken() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }

// hold asks the store to hold targets. Who calls has made sure that it may be
// asked.
func (b *backend) hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	_, err := ask(ctx, b, b.deleteTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.holder.Hold(ctx, targets, token, ttl)
	})
	return err
}

// unhold asks the store to give up a hold.
func (b *backend) unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	if b.unanswering() {
		return errLeftAlone
	}
	_, err := ask(ctx, b, b.deleteTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.holder.Unhold(ctx, targets, token)
	})
	return err
}

// lagging are the keys and prefixes that were invalidated so short a time ago
// that the source, a replica that lags behind, may not have the change. What is
// loaded meanwhile is not stored. It is kept by the process where the store has
// no holds, and has no lock of its own.
type lagging struct {
	limit    int
	keys     map[string]time.Time // until when
	prefixes map[string]time.Time
}

// size returns the number of keys and prefixes.
func (l *lagging) size() int { return len(l.keys) + len(l.prefixes) }

// add adds targets until a time. Past the bound it keeps the whole scope
// instead.
func (l *lagging) add(targets Targets, now, until time.Time) {
	l.forget(now)
	if l.keys == nil {
		l.keys, l.prefixes = make(map[string]time.Time), make(map[string]time.Time)
	}
	for _, key := range targets.Keys {
		l.keys[key] = until
	}
	for _, prefix := range targets.Prefixes {
		l.prefixes[prefix] = until
	}
	if l.size() > l.limit || len(l.prefixes) > maxPendingPrefixes {
		// No other ends later: the lag of a scope is always the same.
		l.keys, l.prefixes = make(map[string]time.Time), map[string]time.Time{"": until}
	}
}

// forget drops what is over.
func (l *lagging) forget(now time.Time) {
	for key, until := range l.keys {
		if !now.Before(until) {
			delete(l.keys, key)
		}
	}
	for prefix, until := range l.prefixes {
		if !now.Before(until) {
			delete(l.prefixes, prefix)
		}
	}
}

// covers reports whether a load of key that begins now may not be stored.
func (l *lagging) covers(key string) bool {
	if len(l.keys) == 0 && len(l.prefixes) == 0 {
		return false
	}
	now := time.Now()
	if until, ok := l.keys[key]; ok && now.Before(until) {
		return true
	}
	for prefix, until := range l.prefixes {
		if now.Before(until) && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
