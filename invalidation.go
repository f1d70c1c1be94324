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
	r := s.attempt(ctx, targets, begun, remove)
	return r.removed, s.invalidated(ctx, targets, &r, began)
}

// invalidated ends an invalidation of targets that began at began, and of which r has become. It tells the
// user, and returns the error of the call.
func (s *keyspace) invalidated(ctx context.Context, targets Targets, r *removal, began time.Time) (err error) {
	if pending := r.failed.size(); pending > 0 {
		s.log.unconfirmed(ctx, s.name, pending, r.err)
		err = fmt.Errorf("%w: %d of %d keys and prefixes in scope %q: %w",
			ErrInvalidationPending, pending, targets.size(), s.name, r.err)
	}
	if s.observer.Invalidate != nil {
		r.notices = append(r.notices, notice{observe: s.observer.Invalidate, event: Event{
			Key: targets.single(), Count: targets.size(), Duration: time.Since(began), Err: err,
		}})
	}
	s.tellAll(ctx, nil, r.notices)
	return err
}

// errStuckFill is the cause of a pending invalidation whose removal the store has confirmed, while
// the store has not returned from an older fill of the key.
var errStuckFill = errors.New("readthrough: the store has not returned from a fill of the key")

// remover asks the store to remove targets. It is a parameter of attempt so that an open breaker is not a
// second path through it.
type remover func(ctx context.Context, targets Targets) removal

// removal is what became of a removal.
type removal struct {
	removed int      // live entries under the prefixes
	failed  Targets  // what the store has not confirmed
	err     error    // why
	notices []notice // what the user is told when the attempt is concluded
}

// report counts why the store has not confirmed the removal of a key or prefix, "": of several, and keeps
// a notice of it.
func (r *removal) report(s *keyspace, op, key string, err error) {
	if e := s.count(op, key, err); e != nil {
		r.notices = append(r.notices, notice{err: e})
	}
}

// sent keeps the notice of a request of a removal.
func (r *removal) sent(s *keyspace, began time.Time, op string, targets Targets, err error) {
	if of, ok := s.tripOf(began, op, targets.single(), targets.size(), err); ok {
		r.notices = append(r.notices, of)
	}
}

// attempt is what one try to remove something from the store began with.
type attempt struct {
	version uint64             // what the attempt confirms was pending no later
	filling map[*call]struct{} // the calls that were filling such keys; nil: none
	retry   bool               // it is not the first one
}

// awaits adds c to filling.
func (a *attempt) awaits(c *call) {
	if a.filling == nil {
		a.filling = make(map[*call]struct{})
	}
	a.filling[c] = struct{}{}
}

// attempt is one try to remove targets from the store: the first one, or a retry. It waits for the
// calls in filling, removes, and concludes. The deadline of a fill (ProviderTimeout) bounds the
// wait, because a call lands when its fill has returned or timed out; if code of the user that the fill
// calls takes long, InvalidateTimeout does.
//
// A call may land, or be given up, while its fill is still inside the store. The store may execute that
// fill after the removal:
//
//  1. The fill times out, and its call lands. The store has the request and sleeps.
//  2. The removal is executed and confirmed.
//  3. The store wakes and stores the old value.
//
// So the keys of such fills stay pending although their removal is confirmed, until the store has
// returned. They are collected before the removal. If they were collected after it, the store could
// do step 3 and return in between, and the key would count as clean.
//
// If the store ends the goroutine instead of answering, nothing is confirmed, and targets are pending.
func (s *keyspace) attempt(ctx context.Context, targets Targets, begun attempt, remove remover) (r removal) {
	r.failed = targets
	var stuck []string
	defer func() { s.conclude(ctx, targets, &r, stuck, begun) }()
	stuck = s.awaitFills(targets, begun)
	r = remove(ctx, targets)
	return r
}

// awaitFills is the first step of an attempt. It returns the keys of fills that are stuck.
func (s *keyspace) awaitFills(targets Targets, begun attempt) (stuck []string) {
	s.flights.awaitLanding(begun.filling, s.backend.DeleteTimeout)
	return s.flights.stuckFills(targets, begun.filling) // before the removal, which they may follow
}

// conclude is the last step of an attempt, of which r has become. It adds to r what is stuck, and sees to the
// retries of what has failed.
func (s *keyspace) conclude(ctx context.Context, targets Targets, r *removal, stuck []string, begun attempt) {
	confirmed := targets.without(r.failed)
	if len(stuck) > 0 {
		covered := confirmed.covering()
		r.failed.Keys = append(r.failed.Keys, slices.DeleteFunc(stuck, func(key string) bool { return !covered(key) })...)
	}
	if r.err == nil && r.failed.size() > 0 {
		r.err = errStuckFill
	}
	if s.flights.conclude(confirmed, r.failed, begun); r.failed.size() > 0 {
		s.retryPending(ctx)
	}
}

// removeNothing is the remover while the breaker is open: all targets become pending.
func removeNothing(_ context.Context, targets Targets) removal {
	return removal{failed: targets, err: backend.ErrOpen}
}

// remove is the remover that asks the store: for the keys in parts, and once for each prefix. The
// keys of a part fail or succeed together, since the store does not say which it has removed; those
// after a part that has failed are not tried. In a store with shards some of which may be down, each shard for
// itself: its keys fail alone. It goes on to the prefixes after an error, because they may succeed, unless the
// breaker is open now.
func (s *keyspace) remove(ctx context.Context, targets Targets) removal {
	return s.removeFrom(ctx, targets, false)
}

// insist is the remover of retries: it also asks the parts of the store whose breaker is open.
func (s *keyspace) insist(ctx context.Context, targets Targets) removal {
	return s.removeFrom(ctx, targets, true)
}

func (s *keyspace) removeFrom(ctx context.Context, targets Targets, insist bool) (r removal) {
	var errs []error
	if len(targets.Keys) > 0 {
		began := s.sending()
		var err error
		r.failed.Keys, err = s.removeKeys(ctx, targets, insist)
		if r.sent(s, began, opDelete, Targets{Keys: targets.Keys}, err); err != nil {
			r.report(s, opDelete, Targets{Keys: targets.Keys}.single(), err)
			errs = append(errs, err)
		}
	}
	for i, prefix := range targets.Prefixes {
		began := s.sending()
		n, err := s.removePrefix(ctx, prefix, insist)
		r.sent(s, began, opDeletePrefix, Targets{Prefixes: []string{prefix}}, err)
		r.removed += n
		if err == nil {
			continue
		}
		r.failed.Prefixes = append(r.failed.Prefixes, prefix)
		r.report(s, opDeletePrefix, prefix, err)
		errs = append(errs, err)
		if s.backend.Open() { // the others would only wait for the same timeout
			r.failed.Prefixes = append(r.failed.Prefixes, targets.Prefixes[i+1:]...)
			break
		}
	}
	r.err = joinErrors(errs...)
	return r
}

// removeKeys removes the keys of targets from the store. If the source lags, it holds them instead for as long as
// that takes: a hold removes them, too. It returns those that are not removed for sure.
func (s *keyspace) removeKeys(ctx context.Context, targets Targets, insist bool) (failed []string, err error) {
	keys := targets.keys
	if keys == nil {
		keys = make([]provider.Key, len(targets.Keys))
		for i, name := range targets.Keys {
			keys[i] = s.key(name)
		}
	}
	var removed []bool
	if s.lagsThere() {
		removed, err = s.backend.HoldKeys(ctx, keys, newToken(), s.options.ReplicaLag, insist)
	} else {
		removed, err = s.backend.Delete(ctx, keys, insist)
	}
	return left(targets.Keys, removed), err
}

// left returns those of names that a removal has not confirmed; removed is nil if it has confirmed all.
func left(names []string, removed []bool) (left []string) {
	if removed == nil {
		return nil
	}
	for i, name := range names {
		if !removed[i] {
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
		err = s.backend.HoldPrefix(ctx, s.name, prefix, newToken(), s.options.ReplicaLag, insist)
	}
	return removed, err
}

// ---- holds

// lagsThere reports whether the store keeps invalidated keys empty for as long as the source may
// lag. The hold works for all processes. Without holds, laggingSet does so for this process.
func (s *keyspace) lagsThere() bool {
	return s.options.ReplicaLag > 0 && s.backend.Holder != nil
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
	held := s.holdTargets(targets)
	if err := b.AdmitHold(held); err != nil {
		return "", fmt.Errorf("%w: scope %q: %w", ErrNotHeld, s.name, err)
	}
	token = newToken()
	margin := b.DeleteTimeout + b.ReadTimeout + time.Second
	ttl := min(holdFor, provider.NoExpiry-margin) + margin
	began := s.sending()
	_, err = b.Hold(ctx, held, token, ttl)
	if s.tellSent(ctx, began, opHold, targets, err); err != nil {
		s.unhold(ctx, targets, token) // it may have been placed all the same
		s.report(ctx, opHold, targets.single(), err)
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
	began := s.sending()
	err := s.backend.Unhold(context.WithoutCancel(ctx), s.holdTargets(targets), token)
	if s.tellSent(ctx, began, "unhold", targets, err); err != nil {
		s.report(ctx, opHold, targets.single(), err)
	}
}

// holdTargets returns targets as the store wants them. It copies the lists, which are the caller's: a store
// that was left behind at its deadline goes on with them.
func (s *keyspace) holdTargets(targets Targets) provider.HoldTargets {
	return provider.HoldTargets{Scope: s.name, Keys: slices.Clone(targets.Keys), Prefixes: slices.Clone(targets.Prefixes)}
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
	begun.version = g.version
	g.eachLocked(targets, func(f *flight) {
		if g.endLocked(f) {
			begun.awaits(f.call)
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
	begun.version, begun.retry = g.version, true
	g.eachLocked(targets, func(f *flight) {
		if f.fence.phase == phaseFilling {
			begun.awaits(f.call)
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
