package readthrough

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// An invalidation runs in this order; epoch.go says why:
//
//	end the epochs of the flights that it covers    endEpochs
//	wait for their fills that are under way         attempt
//	remove what is stored                           remove
//	end the epochs once more                        conclude
//
// What the store does not confirm becomes pending, and is retried in the background until it is
// confirmed.

// invalidate invalidates targets. It returns how many live entries the store has removed for the
// prefixes. An error says that some are pending.
func (s *keyspace) invalidate(ctx context.Context, targets Targets) (removed int, err error) {
	began := time.Now()
	s.stats.invalidations.Add(int64(targets.size()))
	version, filling := s.flights.endEpochs(targets)
	remove := s.remove
	if s.backend.Open() {
		remove = removeNothing // the retries find out when the store is back
	}
	removed, pending, err := s.attempt(ctx, targets, version, filling, remove)
	if pending.size() > 0 {
		s.retryPending(ctx)
		err = fmt.Errorf("%w: %d of %d keys and prefixes in scope %q: %w",
			ErrInvalidationPending, pending.size(), targets.size(), s.name, err)
	}
	s.tell(ctx, s.observer.Invalidate, Event{Key: targets.single(), Count: targets.size(), Duration: time.Since(began), Err: err})
	return removed, err
}

// errStuckFill is the cause of a pending invalidation whose removal the store has confirmed, while it
// has not returned from an older fill.
var errStuckFill = errors.New("readthrough: the store has not returned from a fill of the key")

// remover asks the store to remove targets. It returns those that the store has not confirmed, with the
// reason.
type remover func(ctx context.Context, targets Targets) (removed int, failed Targets, err error)

// attempt waits for the calls in filling, removes targets from the store, and concludes. The timeout of
// a fill bounds the wait.
func (s *keyspace) attempt(ctx context.Context, targets Targets, version uint64, filling map[*call]struct{}, remove remover) (removed int, pending Targets, err error) {
	for c := range filling {
		s.flights.awaitLanding(c)
	}
	stuck := s.flights.stuckFills(targets, filling) // before the removal, which they may follow
	removed, failed, err := remove(ctx, targets)
	confirmed := targets.without(failed)
	if len(stuck) > 0 {
		covered := confirmed.covering()
		failed.Keys = append(failed.Keys, slices.DeleteFunc(stuck, func(key string) bool { return !covered(key) })...)
	}
	if err == nil && failed.size() > 0 {
		err = errStuckFill
	}
	s.flights.conclude(confirmed, failed, version)
	return removed, failed, err
}

// removeNothing is the remover while the breaker is open.
func removeNothing(_ context.Context, targets Targets) (removed int, failed Targets, err error) {
	return 0, targets, backend.ErrOpen
}

// remove is the remover that asks the store.
func (s *keyspace) remove(ctx context.Context, targets Targets) (removed int, failed Targets, err error) {
	var keysErr error
	if len(targets.Keys) > 0 {
		var confirmed int
		if confirmed, keysErr = s.removeKeys(ctx, targets.Keys); keysErr != nil {
			failed.Keys = slices.Clip(targets.Keys[confirmed:]) // the slice is the caller's
			s.report(ctx, opDelete, Targets{Keys: targets.Keys}.single(), keysErr)
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
		s.report(ctx, opDeletePrefix, prefix, err)
		errs = append(errs, err)
		if s.backend.Open() { // the others would only wait for the same timeout
			failed.Prefixes = append(failed.Prefixes, targets.Prefixes[i+1:]...)
			break
		}
	}
	return removed, failed, joinErrors(errs...)
}

// removeKeys returns how many of names are removed, from the first on; with a nil error, all.
func (s *keyspace) removeKeys(ctx context.Context, names []string) (removed int, err error) {
	if s.lagsThere() {
		return s.holdLagging(ctx, Targets{Keys: names}) // which removes them, too
	}
	keys := make([]provider.Key, len(names))
	for i, name := range names {
		keys[i] = s.key(name)
	}
	return s.backend.Delete(ctx, keys)
}

func (s *keyspace) removePrefix(ctx context.Context, prefix string) (removed int, err error) {
	removed, err = s.backend.DeletePrefix(ctx, s.name, prefix)
	if err == nil && s.lagsThere() {
		_, err = s.holdLagging(ctx, Targets{Prefixes: []string{prefix}})
	}
	return removed, err
}

// ---- holds

// lagsThere reports whether the store holds what was invalidated, for as long as the source may lag
// behind.
func (s *keyspace) lagsThere() bool {
	return s.options.ReplicaLag > 0 && s.backend.Holder != nil
}

func (s *keyspace) holdLagging(ctx context.Context, targets Targets) (keys int, err error) {
	if s.backend.Saturated() {
		return 0, backend.ErrOpen
	}
	return s.backend.Hold(ctx, s.holdTargets(targets), newToken(), s.options.ReplicaLag)
}

// hold places a hold on targets in the store, for a write that ends within holdFor. It returns the
// token of the hold; "" if there is nothing to hold: no targets, or a store whose entries no other
// process sees.
func (s *keyspace) hold(ctx context.Context, targets Targets, holdFor time.Duration) (token string, err error) {
	b := s.backend
	if targets.size() == 0 || b.Holder == nil {
		return "", nil
	}
	if err := b.Admit(); err != nil {
		return "", fmt.Errorf("%w: scope %q: %w", ErrNotHeld, s.name, err)
	}
	token = newToken()
	// The hold has to outlast the write and the invalidation that follows it.
	margin := b.DeleteTimeout + b.ReadTimeout + time.Second
	ttl := min(holdFor, provider.NoExpiry-margin) + margin
	if _, err := b.Hold(ctx, s.holdTargets(targets), token, ttl); err != nil {
		s.report(ctx, opHold, targets.single(), err)
		s.unhold(ctx, targets, token) // it may have been placed all the same
		return "", fmt.Errorf("%w: scope %q: %w", ErrNotHeld, s.name, err)
	}
	return token, nil
}

// unhold gives a hold up. If that fails, the hold ends with its TTL: until then the keys are loaded on
// every read.
func (s *keyspace) unhold(ctx context.Context, targets Targets, token string) {
	if token == "" || s.backend.Open() {
		return
	}
	if err := s.backend.Unhold(context.WithoutCancel(ctx), s.holdTargets(targets), token); err != nil {
		s.report(ctx, opHold, targets.single(), err)
	}
}

func (s *keyspace) holdTargets(targets Targets) provider.HoldTargets {
	return provider.HoldTargets{Scope: s.name, Keys: targets.Keys, Prefixes: targets.Prefixes}
}

// newToken returns a token that no other hold has.
func newToken() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }

// ---- the flights' part

// endEpochs begins an invalidation: it ends the epochs of all keys that targets cover. It returns the
// version of the invalidation, and the calls that fill such keys.
func (g *flights) endEpochs(targets Targets) (version uint64, filling map[*call]struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.version++
	g.failures.forget(targets)
	if lag := g.options.ReplicaLag; lag > 0 && g.lagsHere {
		now := time.Now()
		g.lagging.add(targets, now, now.Add(lag))
	}
	filling = make(map[*call]struct{})
	g.eachLocked(targets, func(f *flight) {
		if g.endLocked(f) {
			filling[f.call] = struct{}{}
		}
	})
	return g.version, filling
}

// retry begins another attempt at what is pending. It ends no epochs: while an invalidation is pending,
// the flights of its keys neither ask nor fill the store.
func (g *flights) retry() (targets Targets, version uint64, filling map[*call]struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	targets = g.pending.targets()
	filling = make(map[*call]struct{})
	g.eachLocked(targets, func(f *flight) {
		if f.fence.phase == phaseFilling {
			filling[f.call] = struct{}{}
		}
	})
	return targets, g.version, filling
}

// stuckFills returns the keys among targets that calls in filling still fill, although the calls have
// landed: the store should have returned long ago. Whatever is removed before it returns, what it
// stores may come after that.
func (g *flights) stuckFills(targets Targets, filling map[*call]struct{}) (keys []string) {
	if len(filling) == 0 {
		return nil
	}
	covered := targets.covering()
	stuck := make(map[string]bool)
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range filling {
		for _, f := range c.flights {
			if f.fence.phase == phaseFilling && covered(f.key) && !stuck[f.key] {
				stuck[f.key] = true
				keys = append(keys, f.key)
			}
		}
	}
	return keys
}

// conclude ends an attempt that began with version. The store has removed confirmed, and has not said
// so for failed.
//
// It ends the epochs of both once more: a flight that began after the first time may have found an old
// entry in the store.
func (g *flights) conclude(confirmed, failed Targets, version uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.pending.size()
	g.pending.confirm(confirmed, version)
	g.pending.add(failed, version)
	after := g.pending.size()
	g.bypassing.Store(int64(after))
	switch {
	case before == 0 && after > 0:
		g.scopesPending.Add(1)
	case before > 0 && after == 0:
		g.scopesPending.Add(-1)
	}
	g.eachLocked(confirmed, func(f *flight) { g.endLocked(f) })
	g.eachLocked(failed, func(f *flight) { g.endLocked(f) })
}

// ---- retries

const (
	firstRetry = 25 * time.Millisecond
	lastRetry  = time.Second
	// retryChunk is how many pending keys are retried in one removal.
	retryChunk = 1000
)

// retryPending starts the goroutine that retries the scope's pending invalidations, if there is none.
// It ends when nothing is pending.
func (s *keyspace) retryPending(ctx context.Context) {
	if s.retrying.CompareAndSwap(false, true) && !s.spawn(func() { s.retryLoop(ctx) }) {
		s.retrying.Store(false) // closed
	}
}

func (s *keyspace) retryLoop(ctx context.Context) {
	pause := firstRetry
	for {
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-s.closing:
			timer.Stop()
			return
		}
		pause = min(2*pause, lastRetry)
		if s.retryOnce(ctx); s.flights.bypassing.Load() > 0 {
			continue
		}
		// An invalidation that becomes pending now either sees retrying unset, and starts a loop, or was
		// pending before retrying was unset, and is seen here.
		s.retrying.Store(false)
		if s.flights.bypassing.Load() == 0 || !s.retrying.CompareAndSwap(false, true) {
			return
		}
		pause = firstRetry
	}
}

// retryOnce tries everything that is pending, until the store fails.
func (s *keyspace) retryOnce(ctx context.Context) {
	targets, version, filling := s.flights.retry()
	for _, part := range targets.chunks(retryChunk) {
		_, pending, err := s.attempt(ctx, part, version, filling, s.remove)
		if confirmed := part.size() - pending.size(); confirmed > 0 {
			s.tell(ctx, s.observer.Recovered, Event{Key: part.single(), Count: confirmed})
		}
		if err != nil && s.backend.Open() {
			// Reads do not probe while something is pending. If only this removal keeps failing, the others
			// do not wait for it.
			s.backend.Probe(ctx, s.key("-"))
			return
		}
	}
}

// reportPending reports a pending invalidation that nobody gets as an error, unless the failure of the
// store that is its cause was reported.
func (s *keyspace) reportPending(ctx context.Context, targets Targets, err error) {
	if !errors.Is(err, backend.ErrOpen) && !errors.Is(err, errStuckFill) {
		return
	}
	op := opDelete
	if len(targets.Keys) == 0 {
		op = opDeletePrefix
	}
	s.tellError(ctx, &OpError{op, s.name, targets.single(), err})
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
