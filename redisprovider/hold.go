package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Hold implements [provider.Holder]. It places all holds in one round trip; a
// hold on a key removes the entry or lease in the same step. Then it deletes
// what is under the prefixes: no new lease is granted there any more, and an
// entry that is filled under an older lease is deleted too.
func (p *Provider) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	removed := removedBy(&targets)
	defer p.channel.Tell(removed)
	if err := p.usable(ctx); err != nil {
		return err
	}
	if err := provider.CheckTTL(ttl); err != nil {
		return fmt.Errorf("redisprovider: hold: %w", err)
	}
	px, _ := pxOf(min(ttl, maxTTL))
	if err := p.place(ctx, targets, token, px, removed.Keys); err != nil {
		return fmt.Errorf("redisprovider: hold in scope %q: %w", targets.Scope, told(err))
	}
	for _, prefix := range targets.Prefixes {
		if _, err := p.DeletePrefix(ctx, targets.Scope, prefix); err != nil {
			return err
		}
	}
	return nil
}

// removedBy returns what a hold removes.
func removedBy(targets *provider.HoldTargets) (removed provider.Removed) {
	for _, name := range targets.Keys {
		removed.Keys = append(removed.Keys, provider.Key{Scope: targets.Scope, Name: name})
	}
	for _, prefix := range targets.Prefixes {
		removed.Prefixes = append(removed.Prefixes, provider.Key{Scope: targets.Scope, Name: prefix})
	}
	return removed
}

// place places a hold. For its keys, which are removed in the same step, it tells near caches and waits
// for them; what is under the prefixes is not removed yet.
func (p *Provider) place(ctx context.Context, targets provider.HoldTargets, token string, px int64, keys []provider.Key) error {
	calls := p.holdCalls(targets, token, px)
	if len(keys) == 0 {
		return p.runAll(ctx, calls)
	}
	removed := provider.Removed{Keys: keys}
	answers, announced := p.runTold(ctx, calls, &removed)
	if err := allOf(answers, calls); err != nil {
		return err
	}
	if announced.Cmd == nil {
		return p.announce(ctx, &removed)
	}
	return p.await(ctx, announced)
}

// holdCalls returns the calls that place a hold.
func (p *Provider) holdCalls(targets provider.HoldTargets, token string, px int64) []call {
	if targets.LeftToTTL {
		token = "" // of all these holds: each key, and each prefix, has one at most
	}
	var calls []call
	for _, name := range targets.Keys {
		b := p.bucketOf(provider.Key{Scope: targets.Scope, Name: name})
		calls = append(calls, call{
			script: p.scripts.hold,
			keys:   []string{b.holds(name), b.value(name)},
			args:   []any{px, token},
		})
	}
	withToken, toTheEnd := prefixMembers(targets, token)
	for _, b := range p.bucketsOf(targets.Scope) {
		if len(toTheEnd) > 0 {
			calls = append(calls, call{script: p.scripts.hold, keys: []string{b.holdsToTheEnd()}, args: append([]any{px}, toTheEnd...)})
		}
		if len(withToken) > 0 {
			calls = append(calls, call{script: p.scripts.hold, keys: []string{b.prefixHolds()}, args: append([]any{px}, withToken...)})
		}
	}
	return calls
}

// Unhold implements [provider.Holder], in one round trip.
func (p *Provider) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	if err := p.usable(ctx); err != nil {
		return err
	}
	var calls []call
	for _, name := range targets.Keys {
		b := p.bucketOf(provider.Key{Scope: targets.Scope, Name: name})
		calls = append(calls, call{args: []any{"zrem", b.holds(name), token}})
	}
	if len(targets.Prefixes) > 0 {
		var members []any
		for _, prefix := range targets.Prefixes {
			members = append(members, prefixMember(token, prefix))
		}
		for _, b := range p.bucketsOf(targets.Scope) {
			calls = append(calls, call{args: append([]any{"zrem", b.prefixHolds()}, members...)})
		}
	}
	if err := p.runAll(ctx, calls); err != nil {
		return fmt.Errorf("redisprovider: unhold in scope %q: %w", targets.Scope, told(err))
	}
	return nil
}

// runAll makes calls that all have to succeed. It returns their distinct errors,
// joined.
func (p *Provider) runAll(ctx context.Context, calls []call) error {
	return allOf(p.runConfirmed(ctx, len(calls), func(i int) call { return calls[i] }), calls)
}

// allOf returns the distinct errors of answers to calls, joined.
func allOf(answers []once, calls []call) error {
	var failures failureGroups
	for i, answer := range answers {
		err := answer.Err()
		if calls[i].script == nil && serverSays(err, "WRONGTYPE") {
			continue // a ZREM, of something that is no holds: none is left
		}
		if err != nil {
			failures.add(strconv.Itoa(i), err)
		}
	}
	var errs []error
	for _, group := range failures.groups {
		errs = append(errs, group.err)
	}
	return errors.Join(errs...)
}

const (
	// longestToTheEnd is LONGEST of lua/held.lua.
	longestToTheEnd = 128
	// mirror is the member of that name in lua/held.lua.
	mirror = "4:\x00lag"
)

// prefixMembers returns the members of the two sorted sets for the holds on the
// prefixes of targets: those that are looked at one by one, because they have
// tokens, and those that are looked up, because nobody gives them up. A long prefix is
// with the former.
func prefixMembers(targets provider.HoldTargets, token string) (withToken, toTheEnd []any) {
	for _, prefix := range targets.Prefixes {
		if targets.LeftToTTL && len(prefix) <= longestToTheEnd {
			toTheEnd = append(toTheEnd, prefix)
		} else {
			withToken = append(withToken, prefixMember(token, prefix))
		}
	}
	if len(toTheEnd) > 0 {
		withToken = append(withToken, mirror)
	}
	return withToken, toTheEnd
}

// prefixMember returns the member of the sorted set for a hold on a prefix.
// Token and prefix may contain any bytes, so the length of the token comes
// first.
func prefixMember(token, prefix string) string {
	return strconv.Itoa(len(token)) + ":" + token + prefix
}
