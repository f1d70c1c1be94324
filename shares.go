package readthrough

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// An invalidation of several scopes runs in the order of an invalidation of one (invalidation.go), each
// step for all scopes. So the store removes the keys of all scopes by one request.

// share is the part of an invalidation, or of a hold, that belongs to one scope.
type share struct {
	scope   *keyspace
	targets Targets // of that scope alone
}

// shares returns the shares of targets, each scope once, or the error of bad targets. s is the scope of
// targets that name none; nil: all have to name theirs.
func (e *engine) shares(s *keyspace, targets Targets) (list []share, err error) {
	if err := targets.validate(); err != nil {
		return nil, err
	}
	own := s
	if scope, ok := targets.in.(*keyspace); ok {
		own = scope
	}
	if targets.size() > 0 {
		switch {
		case own == nil:
			return nil, fmt.Errorf("readthrough: targets %q: they name no scope: use CachedScope.Of or CachedScope.Under", clip(targets.single()))
		case own.engine != e:
			return nil, fmt.Errorf("readthrough: targets in scope %q: the scope belongs to another cache", own.name)
		}
		list = append(list, share{own, Targets{Keys: targets.Keys, Prefixes: targets.Prefixes}})
	}
	for _, other := range targets.more {
		more, err := e.shares(s, other) // of the call: what And has joined says nothing about each other
		if err != nil {
			return nil, err
		}
		for _, m := range more {
			list = addShare(list, m)
		}
	}
	return list, nil
}

// addShare adds m to list, and joins it with the share of its scope. It changes no slice of the caller.
func addShare(list []share, m share) []share {
	i := slices.IndexFunc(list, func(other share) bool { return other.scope == m.scope })
	if i < 0 {
		return append(list, m)
	}
	of := &list[i].targets
	of.Keys = slices.Concat(of.Keys, m.targets.Keys)
	of.Prefixes = slices.Concat(of.Prefixes, m.targets.Prefixes)
	return list
}

// invalidateShares invalidates the shares of several scopes. It returns how many live entries the store has
// removed for the prefixes, and for each share its error, as invalidate does.
func (e *engine) invalidateShares(ctx context.Context, list []share) (removed int, errs []error) {
	errs = make([]error, len(list))
	if len(list) == 1 {
		removed, errs[0] = list[0].scope.invalidate(ctx, list[0].targets)
		return removed, errs
	}
	began := time.Now()
	parts := make([]partOfMany, len(list))
	for n, s := range list {
		s.scope.stats.invalidations.Add(int64(s.targets.size()))
		parts[n] = partOfMany{share: s, begun: s.scope.flights.endEpochs(s.targets), removal: removal{failed: s.targets}}
	}
	e.attemptParts(ctx, parts)
	for n := range parts {
		p := &parts[n]
		removed += p.removed
		errs[n] = p.scope.invalidated(ctx, p.targets, &p.removal, began)
	}
	return removed, errs
}

// attemptParts is keyspace.attempt for several scopes. What it does not come to has failed.
func (e *engine) attemptParts(ctx context.Context, parts []partOfMany) {
	defer func() {
		for n := range parts {
			p := &parts[n]
			p.scope.conclude(ctx, p.targets, &p.removal, p.stuck, p.begun)
		}
	}()
	for n := range parts {
		p := &parts[n]
		p.stuck = p.scope.awaitFills(p.targets, p.begun)
	}
	e.removeParts(ctx, parts)
}

// partOfMany is a share of an invalidation that runs.
type partOfMany struct {
	share
	removal // what has become of it; until the store was asked, all has failed

	begun attempt
	stuck []string
}

// removeParts asks the store to remove all parts: their keys by one request, and then each prefix. A scope
// whose source lags holds its keys instead, by a request of its own. While the breaker is open, the store is
// not asked.
func (e *engine) removeParts(ctx context.Context, parts []partOfMany) {
	if e.backend.Open() {
		for n := range parts {
			parts[n].removal = removeNothing(ctx, parts[n].targets)
		}
		return
	}
	var keys []provider.Key
	for n := range parts {
		if p := &parts[n]; !p.scope.lagsThere() {
			for _, name := range p.targets.Keys {
				keys = append(keys, p.scope.key(name))
			}
		}
	}
	var confirmed []bool // of keys; nil: all
	var err error
	began := parts[0].scope.sending()
	if len(keys) > 0 {
		confirmed, err = e.backend.Delete(ctx, keys, false)
	}
	for n := range parts {
		p := &parts[n]
		rest := p.targets
		var ofKeys removal
		if !p.scope.lagsThere() {
			if count := len(p.targets.Keys); err != nil {
				ofKeys = p.keysRemoved(confirmed[:count], err)
				confirmed = confirmed[count:]
			}
			if len(p.targets.Keys) > 0 {
				ofKeys.sent(p.scope, began, opDelete, Targets{Keys: p.targets.Keys}, err)
			}
			rest.Keys = nil
		}
		r := p.scope.remove(ctx, rest)
		r.failed.Keys = append(r.failed.Keys, ofKeys.failed.Keys...)
		r.err, r.notices = joinErrors(ofKeys.err, r.err), append(ofKeys.notices, r.notices...)
		p.removal = r // now, since all has failed until then
	}
}

// keysRemoved returns what has become of the keys of p in a request that has failed with err in part or as a
// whole.
func (p *partOfMany) keysRemoved(confirmed []bool, err error) (r removal) {
	if r.failed.Keys = left(p.targets.Keys, confirmed); len(r.failed.Keys) > 0 {
		r.err = err
		r.report(p.scope, opDelete, Targets{Keys: p.targets.Keys}.single(), err)
	}
	return r
}

// reportShares reports the invalidations that are pending, for those who do not get them as an error.
func reportShares(ctx context.Context, list []share, errs []error) {
	for n, err := range errs {
		if err != nil {
			list[n].scope.reportPending(ctx, list[n].targets, err)
		}
	}
}

// ---- holds

// held is a hold on the share of one scope.
type held struct {
	share

	token string // "": none
}

// holdShares places a hold on each share. It returns an error if one cannot be placed, and then none is left.
func holdShares(ctx context.Context, list []share, holdFor time.Duration) (holds []held, err error) {
	for _, s := range list {
		token, err := s.scope.hold(ctx, s.targets, holdFor)
		if err != nil {
			unholdShares(context.WithoutCancel(ctx), holds)
			return nil, err
		}
		holds = append(holds, held{s, token})
	}
	return holds, nil
}

// unholdShares gives holds up.
func unholdShares(ctx context.Context, holds []held) {
	for _, h := range holds {
		h.scope.unhold(ctx, h.targets, h.token)
	}
}
