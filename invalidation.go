package readthrough

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
// prefixes. An error says that some of targets are pending.
//
// While the breaker is open, it does not ask the store: a writer would wait for a timeout, and
// learn nothing. The retries find out when the store is back. The epochs end all the same, so the
// readers of this process are right when it returns.
func (s *keyspace) invalidate(ctx context.Context, targets Targets) (removed int, err error) {
	began := time.Now()
	s.stats.invalidations.Add(int64(targets.size()))
	begun := s.flights.endEpochs(targets)
	remove := s.remove
	if s.backend.Open() {
		remove = removeNothing // the retries find out when the store is back
	}
	removed, pending, err := s.attempt(ctx, targets, begun, remove)
	return removed, s.invalidated(ctx, targets, pending, began, err)
}

// invalidated ends an invalidation of targets that began at began, and of which pending were not confirmed
// because of err. It starts the retries, tells the observer, and returns the error of the call.
func (s *keyspace) invalidated(ctx context.Context, targets, pending Targets, began time.Time, err error) error {
	if pending.size() > 0 {
		s.retryPending(ctx)
		s.log.unconfirmed(ctx, s.name, pending.size(), err)
		err = fmt.Errorf("%w: %d of %d keys and prefixes in scope %q: %w",
			ErrInvalidationPending, pending.size(), targets.size(), s.name, err)
	}
	s.tell(ctx, s.observer.Invalidate, Event{Key: targets.single(), Count: targets.size(), Duration: time.Since(began), Err: err})
	return err
}

// errStuckFill is the cause of a pending invalidation whose removal the store has confirmed, while
// the store has not returned from an older fill of the key.
var errStuckFill = errors.New("readthrough: the store has not returned from a fill of the key")

// remover asks the store to remove targets. It returns those that the store has not confirmed, with
// the reason. It is a parameter of attempt so that an open breaker is not a second path through it.
type remover func(ctx context.Context, targets Targets) (removed int, failed Targets, err error)

// attempt is what one try to remove something from the store began with.
type attempt struct {
	version uint64             // what the attempt confirms was pending no later
	filling map[*call]struct{} // the calls that were filling such keys
	retry   bool               // it is not the first one
}

// attempt is one try to remove targets from the store: the first one, or a retry. It waits for the
// calls in filling, removes, and concludes. The deadline of a fill (ProviderTimeout) bounds the
// wait, because a call lands when its fill has returned or timed out.
//
// A call may land while its fill is still inside the store. The store may execute that fill after
// the removal:
//
//  1. The fill times out, and its call lands. The store has the request and sleeps.
//  2. The removal is executed and confirmed.
//  3. The store wakes and stores the old value.
//
// So the keys of such fills stay pending although their removal is confirmed, until the store has
// returned. They are collected before the removal. If they were collected after it, the store could
// do step 3 and return in between, and the key would count as clean.
func (s *keyspace) attempt(ctx context.Context, targets Targets, begun attempt, remove remover) (removed int, pending Targets, err error) {
	stuck := s.awaitFills(targets, begun)
	removed, failed, err := remove(ctx, targets)
	pending, err = s.conclude(targets, failed, stuck, begun, err)
	return removed, pending, err
}

// awaitFills is the first step of an attempt. It returns the keys of fills that are stuck.
func (s *keyspace) awaitFills(targets Targets, begun attempt) (stuck []string) {
	for c := range begun.filling {
		s.flights.awaitLanding(c)
	}
	return s.flights.stuckFills(targets, begun.filling) // before the removal, which they may follow
}

// conclude is the last step of an attempt, in which the store has not confirmed failed, because of err. It
// returns what is pending, and why.
func (s *keyspace) conclude(targets, failed Targets, stuck []string, begun attempt, err error) (pending Targets, why error) {
	confirmed := targets.without(failed)
	if len(stuck) > 0 {
		covered := confirmed.covering()
		failed.Keys = append(failed.Keys, slices.DeleteFunc(stuck, func(key string) bool { return !covered(key) })...)
	}
	if err == nil && failed.size() > 0 {
		err = errStuckFill
	}
	s.flights.conclude(confirmed, failed, begun)
	return failed, err
}

// removeNothing is the remover while the breaker is open: all targets become pending.
func removeNothing(_ context.Context, targets Targets) (removed int, failed Targets, err error) {
	return 0, targets, backend.ErrOpen
}

// remove is the remover that asks the store: for the keys in parts, and once for each prefix. The
// keys of a part fail or succeed together, since the store does not say which it has removed; those
// after a part that has failed are not tried. It goes on to the prefixes after an error, because they
// may succeed, unless the breaker is open now.
func (s *keyspace) remove(ctx context.Context, targets Targets) (removed int, failed Targets, err error) {
	return s.removeFrom(ctx, targets, false)
}

// insist is the remover of retries: it also asks the parts of the store whose breaker is open.
func (s *keyspace) insist(ctx context.Context, targets Targets) (removed int, failed Targets, err error) {
	return s.removeFrom(ctx, targets, true)
}

func (s *keyspace) removeFrom(ctx context.Context, targets Targets, insist bool) (removed int, failed Targets, err error) {
	var keysErr error
	if len(targets.Keys) > 0 {
		if failed.Keys, keysErr = s.removeKeys(ctx, targets.Keys, insist); keysErr != nil {
			s.report(ctx, opDelete, Targets{Keys: targets.Keys}.single(), keysErr)
		}
	}
	errs := []error{keysErr}
	for i, prefix := range targets.Prefixes {
		n, err := s.removePrefix(ctx, prefix, insist)
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

// removeKeys removes keys from the store. If the source lags, it holds them instead for as long as
// that takes: a hold removes them, too. It returns those of names that are not removed for sure.
func (s *keyspace) removeKeys(ctx context.Context, names []string, insist bool) (failed []string, err error) {
	if s.lagsThere() {
		held, err := s.holdLagging(ctx, Targets{Keys: names}) // which removes them, too
		if err == nil {
			return nil, nil
		}
		return slices.Clip(names[held:]), err // the slice is the caller's
	}
	keys := make([]provider.Key, len(names))
	for i, name := range names {
		keys[i] = s.key(name)
	}
	removed, err := s.backend.Delete(ctx, keys, insist)
	return left(names, removed, err), err
}

// left returns those of names that a removal has not confirmed.
func left(names []string, removed []bool, err error) (left []string) {
	for i, name := range names {
		if err != nil && !removed[i] {
			left = append(left, name)
		}
	}
	return left
}

// removePrefix removes the keys under a prefix, and returns how many live entries that were. A hold
// does not count entries. So if the source lags, the prefix is held in a second request; if that
// one fails, the prefix is pending.
func (s *keyspace) removePrefix(ctx context.Context, prefix string, insist bool) (removed int, err error) {
	removed, err = s.backend.DeletePrefix(ctx, s.name, prefix, insist)
	if err == nil && s.lagsThere() {
		_, err = s.holdLagging(ctx, Targets{Prefixes: []string{prefix}})
	}
	return removed, err
}

// ---- holds

// lagsThere reports whether the store keeps invalidated keys empty for as long as the source may
// lag. The hold works for all processes. Without holds, laggingSet does so for this process.
func (s *keyspace) lagsThere() bool {
	return s.options.ReplicaLag > 0 && s.backend.Holder != nil
}

// holdLagging holds targets for ReplicaLag. Nobody gives this hold up: it ends by itself. It returns
// how many keys are held, from the first on; with a nil error, all.
func (s *keyspace) holdLagging(ctx context.Context, targets Targets) (keys int, err error) {
	if s.backend.Saturated() {
		return 0, backend.ErrOpen
	}
	held := s.holdTargets(targets)
	held.LeftToTTL = true
	return s.backend.Hold(ctx, held, newToken(), s.options.ReplicaLag)
}

// hold places a hold on targets, for a write that ends within holdFor, and returns its token. The
// token is "" if there is nothing to hold: no targets, or a store without holds.
//
// A hold that the store has not confirmed is an error, and the caller must not write: it wants the
// guarantee more than the write. It may have been placed all the same, so it is given up.
//
// The hold outlasts the write and the invalidation after it: holdFor, DeleteTimeout, ReadTimeout
// and a second. If it ended earlier, another process could load between the commit and the removal,
// and a crash of this process would leave that value.
func (s *keyspace) hold(ctx context.Context, targets Targets, holdFor time.Duration) (token string, err error) {
	b := s.backend
	if targets.size() == 0 || b.Holder == nil {
		return "", nil
	}
	if err := b.AdmitHold(); err != nil {
		return "", fmt.Errorf("%w: scope %q: %w", ErrNotHeld, s.name, err)
	}
	token = newToken()
	margin := b.DeleteTimeout + b.ReadTimeout + time.Second
	ttl := min(holdFor, provider.NoExpiry-margin) + margin
	if _, err := b.Hold(ctx, s.holdTargets(targets), token, ttl); err != nil {
		s.report(ctx, opHold, targets.single(), err)
		s.unhold(ctx, targets, token) // it may have been placed all the same
		return "", fmt.Errorf("%w: scope %q: %w", ErrNotHeld, s.name, err)
	}
	return token, nil
}

// unhold gives a hold up. If that fails, or if the breaker is open, the hold ends by its TTL. Until
// then every read of the keys loads, in all processes: that is slow, and never stale.
func (s *keyspace) unhold(ctx context.Context, targets Targets, token string) {
	if token == "" || s.backend.Open() {
		return
	}
	if err := s.backend.Unhold(context.WithoutCancel(ctx), s.holdTargets(targets), token); err != nil {
		s.report(ctx, opHold, targets.single(), err)
	}
}

// holdTargets returns targets as the store wants them.
func (s *keyspace) holdTargets(targets Targets) provider.HoldTargets {
	return provider.HoldTargets{Scope: s.name, Keys: targets.Keys, Prefixes: targets.Prefixes}
}

// newToken returns a token that no other hold has: 128 random bits.
func newToken() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }

// ---- the flights' part

// endEpochs begins an invalidation. It ends the epochs of all flights of the keys that targets
// cover, in one critical section: those that have not begun to fill never will, and no reader joins
// them any more. It returns the first attempt.
//
// The failures of the keys are forgotten here, too. The source was changed, so an old error says
// nothing about the next load. And if the source lags, the lag begins here.
func (g *flights) endEpochs(targets Targets) (begun attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.version++
	g.failures.forget(targets)
	if lag := g.options.ReplicaLag; lag > 0 && g.lagsHere {
		now := time.Now()
		g.lagging.add(targets, now, now.Add(lag))
	}
	begun = attempt{version: g.version, filling: make(map[*call]struct{})}
	g.eachLocked(targets, func(f *flight) {
		if g.endLocked(f) {
			begun.filling[f.call] = struct{}{}
		}
	})
	g.forgetEndingOfLocked(targets)
	return begun
}

// retry begins another attempt at everything that is pending. It returns the version up to which
// the attempt may clear what it confirms.
//
// It ends no epochs, because there is nothing to end. The invalidation has ended the epochs of all
// older flights when it became pending (conclude). Every flight that has begun since bypasses the
// store: it has not seen the old entry, and will not fill.
func (g *flights) retry() (targets Targets, begun attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	targets = g.pending.targets()
	begun = attempt{version: g.version, filling: make(map[*call]struct{}), retry: true}
	g.eachLocked(targets, func(f *flight) {
		if f.fence.phase == phaseFilling {
			begun.filling[f.call] = struct{}{}
		}
	})
	return targets, begun
}

// stuckFills returns the keys among targets that calls in filling still fill, although these calls
// have landed: the store should have returned long ago. attempt says why the question comes before
// the removal.
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

// conclude ends an attempt that began with version. The store has removed confirmed, and has not
// said so for failed. The changes of the pending set become visible to readers in the same critical
// section in which epochs end.
//
// It ends the epochs of both once more. This is the interleaving, in a store without leases:
//
//  1. A reader asks the store and misses. Then the old value is stored.
//  2. endEpochs ends the epochs of the key.
//  3. The reader joins. It finds no flight, so it makes one. The new call looks into the store
//     again (recheck), and finds the old entry.
//  4. The store removes the entry.
//  5. The invalidation returns. A reader that begins now would join the flight of step 3, and take
//     the old value (G1).
//
// What failed needs it as much. The old entry may still be in the store, and from here on the
// readers of this process must not see it: they bypass the store, and they must not join a flight
// that has found the entry before. But the first attempt has done that. The flights that a retry finds
// began after it and bypass the store: to end them would start another load with every retry (G6).
func (g *flights) conclude(confirmed, failed Targets, begun attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.pending.size()
	g.pending.confirm(confirmed, begun.version)
	g.pending.add(failed, begun.version)
	after := g.pending.size()
	g.bypassing.Store(int64(after))
	switch {
	case before == 0 && after > 0:
		g.scopesPending.Add(1)
		g.since = time.Now()
	case before > 0 && after == 0:
		g.scopesPending.Add(-1)
		g.since = time.Time{}
	}
	g.eachLocked(confirmed, func(f *flight) { g.endLocked(f) })
	g.forgetEndingOfLocked(confirmed)
	if !begun.retry {
		g.eachLocked(failed, func(f *flight) { g.endLocked(f) })
		g.forgetEndingOfLocked(failed)
	}
}

// forgetEndingOfLocked keeps readers that come now from waiting for loads that targets cover and that
// everybody has left.
func (g *flights) forgetEndingOfLocked(targets Targets) {
	if len(g.ending) == 0 {
		return
	}
	for _, key := range targets.Keys {
		delete(g.ending, key)
	}
	if len(targets.Prefixes) > 0 {
		maps.DeleteFunc(g.ending, func(key string, _ *flight) bool { return targets.coverByPrefix(key) })
	}
}

// ---- retries

const (
	firstRetry = 25 * time.Millisecond
	lastRetry  = time.Second
	// retryChunk is how many pending keys are retried in one removal.
	retryChunk = 1000
)

// retryPending starts the goroutine that retries what is pending in this scope, if there is none.
// One for each scope is enough, since an attempt takes all that is pending. It ends when nothing is
// pending, so an idle cache has no goroutines (G9).
func (s *keyspace) retryPending(ctx context.Context) {
	if s.retrying.CompareAndSwap(false, true) && !s.spawn(func() { s.retryLoop(ctx) }) {
		s.retrying.Store(false) // closed
	}
}

// retryLoop is that goroutine. The pause doubles from firstRetry to lastRetry, and each is drawn at
// random around its length, so that processes do not retry in step.
//
// Before it ends, it looks a second time, after it has unset retrying. Without that look, an
// invalidation could be forgotten:
//
//  1. The loop sees that nothing is pending.
//  2. An invalidation becomes pending. It finds retrying set, and starts no loop.
//  3. The loop unsets retrying and ends. Nobody retries.
//
// With the second look there are two orders. Either the invalidation is pending before retrying is
// unset, and the loop sees it. Or it comes later, finds retrying unset, and starts a loop. If both
// see it, CompareAndSwap lets one of them go on.
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
		s.retrying.Store(false)
		if s.flights.bypassing.Load() == 0 || !s.retrying.CompareAndSwap(false, true) {
			return
		}
		pause = firstRetry
	}
}

// retryOnce tries everything that is pending, in chunks. It stops when a removal has failed and the
// breaker is open. The chunks keep a request within its deadline after a long outage.
//
// While anything is pending, reads do not probe the store (backend.Pending). So the retries have
// to: if a removal has failed, the probe tells whether the store is down or only this removal
// fails. The old entries are removed before reads through the store resume (G5).
func (s *keyspace) retryOnce(ctx context.Context) {
	targets, begun := s.flights.retry()
	for _, part := range targets.chunks(retryChunk) {
		_, pending, err := s.attempt(ctx, part, begun, s.insist)
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

// reportPending reports a pending invalidation that nobody gets as an error (Mutate without
// FailWhenPending). It reports the two causes that nobody has reported yet: an open breaker, and a
// fill that is stuck. A failure of the store was reported when it happened.
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

// close ends the scope's flights, and tries what is pending once more. The retry loop has ended
// before.
func (s *keyspace) close(ctx context.Context) error {
	if s.flights.close() == 0 {
		return nil
	}
	s.retryOnce(ctx)
	_, pending, _ := s.flights.sizes()
	if pending == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d keys and prefixes in scope %q: the cache is closed, they are not retried",
		ErrInvalidationPending, pending, s.name)
}
