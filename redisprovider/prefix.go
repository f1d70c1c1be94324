package redisprovider

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

// prefixChunk is the number of index members that one run of a script removes. It
// takes about two milliseconds, during which the server serves no other client.
const prefixChunk = 1000

// errIncomplete is the error of an index that may lack members.
var errIncomplete = errors.New("the index is not complete")

// DeletePrefix implements [provider.CacheProvider]. It removes the entries and
// leases that the index of the scope lists under the prefix, a thousand per round
// trip. Its cost depends only on how many it removes. The prefix is taken
// literally.
//
// If the index is not complete, because the scope is new or the server has lost
// it, DeletePrefix rebuilds it first. A rebuild looks at every key of the server
// with SCAN; on a cluster, of every master. It continues when the context of its
// caller ends, and later calls join it.
//
// DeletePrefix checks the context between steps. If the error is nil, the count is
// exact. With an error, the count is what was confirmed, and another call
// continues from there.
func (p *Provider) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	gone := provider.Removed{Prefixes: []provider.Key{{Scope: scope, Name: prefix}}}
	defer p.channel.Tell(gone)
	if err := p.usable(ctx); err != nil {
		return 0, err
	}
	removed, err := p.deletePrefix(ctx, scope, prefix, &gone)
	if err != nil {
		return removed, failed("delete prefix", string(p.bucketsOf(scope)[0])+valueMark+prefix, err)
	}
	return removed, nil
}

// deletePrefix removes what is under the prefix, announces gone, and waits for near caches.
func (p *Provider) deletePrefix(ctx context.Context, scope, prefix string, gone *provider.Removed) (removed int, err error) {
	for range rebuildAttempts {
		n, announced, err := p.deleteListed(ctx, scope, prefix, gone)
		removed += n
		if err == nil {
			return removed, p.await(ctx, announced)
		}
		if !errors.Is(err, errIncomplete) {
			return removed, err
		}
		if err := p.rebuild(ctx, scope); hopeless(err) {
			break
		} else if err != nil {
			return removed, err
		}
	}
	n, err := p.sweep(ctx, scope, prefix)
	if removed += n; err != nil {
		return removed, err
	}
	return removed, p.announce(ctx, gone)
}

// hopeless reports whether another rebuild would fail in the same way, although
// keys can still be removed.
func hopeless(err error) bool {
	return errors.Is(err, errIndexLost) || serverSays(err, "OOM")
}

// deleteListed removes what the indices list under the prefix, in all buckets at
// the same time, and announces gone. announced is the answer to that. If it returns
// errIncomplete, some keys may be removed.
//
// The announcement is behind the first removals, which mostly are all. If something is removed after that,
// it came too early, and another one follows the last: two messages, and one round trip more, however many
// keys.
func (p *Provider) deleteListed(ctx context.Context, scope, prefix string, gone *provider.Removed) (removed int, announced once, err error) {
	least, beyond := lexRange(prefix)
	remove := p.runTold
	early := false // something was removed after the announcement
	for open := p.bucketsOf(scope); len(open) > 0; {
		if err := ctx.Err(); err != nil {
			return removed, announced, err
		}
		calls := make([]call, len(open))
		for i := range open {
			calls[i] = call{
				script: p.scripts.prefix,
				keys:   p.scriptKeys(open[i], open[i].index()),
				args:   []any{open[i].value(""), least, beyond, prefixChunk},
			}
		}
		answers, answer := remove(ctx, calls, gone)
		first := answer.Cmd != nil
		if first {
			announced = answer
		}
		remove = p.runUntold
		var more []bucket
		var errs []error
		for i, answer := range answers {
			members, entries, err := readRemoved(answer)
			if p.cluster != nil && redis.HasErrorPrefix(err, "TRYAGAIN") {
				entries, err = p.deleteMoving(ctx, open[i], prefix)
				early = true
			}
			early = early || !first && members > 0
			removed += entries
			errs = append(errs, err)
			if members == prefixChunk {
				more = append(more, open[i])
			}
		}
		if err := firstOf(errs); err != nil {
			return removed, announced, err
		}
		open = more
	}
	if announced.Cmd == nil || early {
		announced = p.run(ctx, 1, func(int) call { return p.announcement(gone) })[0]
	}
	return removed, announced, nil
}

// readRemoved interprets the answer of prefix.lua. An incomplete index is reported
// even if too few replicas have confirmed the call.
func readRemoved(answer once) (members, entries int, err error) {
	if numbers, ok := answer.Val().([]any); ok && len(numbers) > 0 && numbers[0] == int64(-1) {
		return 0, 0, errIncomplete
	}
	numbers, err := answer.Int64Slice()
	if err == nil && len(numbers) != 2 { //nolint:mnd // members and entries
		err = errAnswer
	}
	if err != nil {
		return 0, 0, err
	}
	return int(numbers[0]), int(numbers[1]), nil
}

// firstOf returns errIncomplete if errs has it, because the caller can then
// rebuild the index, and otherwise the first error.
func firstOf(errs []error) error {
	var first error
	for _, err := range errs {
		if errors.Is(err, errIncomplete) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// lexRange returns the range, in the syntax of ZRANGEBYLEX, of the index members
// whose names begin with prefix. Redis compares members byte by byte.
func lexRange(prefix string) (least, beyond string) {
	member := []byte("n" + prefix)
	for i, c := range slices.Backward(member) {
		if c < 0xff { // the first byte, 'n', always is
			end := slices.Clone(member[:i+1])
			end[i]++
			return "[" + string(member), "(" + string(end)
		}
	}
	return "", ""
}
