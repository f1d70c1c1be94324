package readthrough

import (
	"container/list"
	"strings"
	"time"
)

// maxPrefixes bounds the prefixes of a coverSet. Every question walks through all of them, and a
// read of a scope with pending invalidations asks such a question under flights.mu. A tree of
// prefixes would need no bound, but a service that invalidates more than 64 prefixes while its
// store is away has lost its cache anyway.
const maxPrefixes = 64

// coverSet is a set of keys and prefixes, with a value for each. It covers a key if it has the key,
// or a prefix of the key. pendingSet and laggingSet are built on it.
//
// It has at most limit members, and at most maxPrefixes prefixes (G9). A set that is past a bound
// loses no member: its owner makes it cover the whole scope by one prefix, the empty one. To cover
// too much is safe. It costs loads, and never a stale value.
//
// It has no lock. The sets of a scope are guarded by flights.mu.
type coverSet[V any] struct {
	// limit bounds keys and prefixes together. Set once by keyspace.init.
	limit int
	// keys and prefixes are nil until the first call of set or coverAll. They are never replaced
	// while a caller walks through them, since all of it happens under flights.mu.
	keys     map[string]V
	prefixes map[string]V
}

// size returns the number of keys and prefixes. It is 0 for almost all scopes at almost all times,
// so callers ask it before they walk through maps.
func (c *coverSet[V]) size() int { return len(c.keys) + len(c.prefixes) }

// find reports whether the set has key, or a prefix of key, with a value for which counts reports
// true.
func (c *coverSet[V]) find(key string, counts func(V) bool) bool {
	if v, ok := c.keys[key]; ok && counts(v) {
		return true
	}
	for prefix, v := range c.prefixes {
		if strings.HasPrefix(key, prefix) && counts(v) {
			return true
		}
	}
	return false
}

// member is a key or a prefix of a coverSet.
type member struct {
	name   string
	prefix bool
}

// set adds the members of targets. value returns the new value of a member from its value before,
// which is zero for a new member. set returns false if the set is past a bound now. Then the caller
// has to call coverAll, in the same critical section.
func (c *coverSet[V]) set(targets Targets, value func(m member, before V) V) (fits bool) {
	if c.keys == nil {
		c.keys, c.prefixes = make(map[string]V), make(map[string]V)
	}
	// What the set keeps may be a part of a large string, such as a request.
	for _, key := range targets.Keys {
		key = strings.Clone(key)
		c.keys[key] = value(member{key, false}, c.keys[key])
	}
	for _, prefix := range targets.Prefixes {
		prefix = strings.Clone(prefix)
		c.prefixes[prefix] = value(member{prefix, true}, c.prefixes[prefix])
	}
	return c.size() <= c.limit && len(c.prefixes) <= maxPrefixes
}

// coverAll replaces all members by the empty prefix, which covers every key of the scope, with the
// value v.
func (c *coverSet[V]) coverAll(v V) {
	c.keys, c.prefixes = make(map[string]V), map[string]V{"": v}
}

// remove removes each key and each prefix for which gone reports true.
func (c *coverSet[V]) remove(gone func(name string, v V) bool) {
	for _, m := range []map[string]V{c.keys, c.prefixes} {
		for name, v := range m {
			if gone(name, v) {
				delete(m, name)
			}
		}
	}
}

// pendingSet has the invalidations that the store has not confirmed (G5). For each key and prefix
// it has the version of the latest one: the number of the invalidation in the scope
// (flights.version). While the set covers a key, the process neither reads nor fills the key
// through the store.
//
// The version decides what a confirmation may clear. Without it, this would lose an invalidation:
//
//  1. An invalidation of k becomes pending. A retry begins and asks the store to remove k.
//  2. A load of another process stores k. Then the source is changed, and a second invalidation of
//     k begins. The store does not confirm it, so it becomes pending.
//  3. The answer to the retry of step 1 arrives. The removal was executed before step 2. If the
//     answer cleared k, the process would read the entry of step 2.
//
// So the retry clears only what became pending up to the version at which it began.
type pendingSet struct{ coverSet[uint64] }

// covers reports whether an invalidation of key is pending.
func (p *pendingSet) covers(key string) bool {
	return p.size() > 0 && // to walk through maps takes stack, even if they are empty
		p.find(key, func(uint64) bool { return true })
}

// add adds targets, whose invalidation of that version the store has not confirmed. An attempt that
// began earlier may fail later, so the version of a member never goes back.
//
// If the set does not fit, it covers the whole scope with the latest of all versions. An earlier
// one would let a retry that began before the latest invalidation clear it.
func (p *pendingSet) add(targets Targets, version uint64) {
	if targets.size() == 0 {
		return
	}
	if p.set(targets, func(_ member, before uint64) uint64 { return max(before, version) }) {
		return
	}
	var latest uint64
	p.remove(func(_ string, v uint64) bool { latest = max(latest, v); return false })
	p.coverAll(latest)
}

// confirm removes the members that a confirmed invalidation of targets covers. version is the
// scope's version when the attempt began. A member with a later version stays. A confirmed key
// removes the key only. A confirmed prefix removes all keys and prefixes that begin with it.
func (p *pendingSet) confirm(targets Targets, version uint64) {
	if p.size() == 0 {
		return
	}
	for _, key := range targets.Keys {
		if v, ok := p.keys[key]; ok && v <= version {
			delete(p.keys, key)
		}
	}
	for _, prefix := range targets.Prefixes {
		p.remove(func(name string, v uint64) bool { return v <= version && strings.HasPrefix(name, prefix) })
	}
}

// targets returns all members, for a retry.
func (p *pendingSet) targets() Targets {
	var t Targets
	for key := range p.keys {
		t.Keys = append(t.Keys, key)
	}
	for prefix := range p.prefixes {
		t.Prefixes = append(t.Prefixes, prefix)
	}
	return t
}

// laggingSet has the keys and prefixes that were invalidated within ScopeOptions.ReplicaLag, each
// with the end of that time. The source of the load functions is a replica, and may not have the
// change yet. A flight that begins before the end bypasses the store: its result is served and not
// stored (G2).
//
// The process keeps this set only if its store has no holds. A store with holds keeps the same fact
// for all processes (provider.Holder), so there the set stays empty.
//
// Members that are over are not removed when they end. The next add drops them, so the set is never
// larger than the invalidations of one lag, or its bound. The lag of a scope is always the same, so the
// members end in the order in which they were added last. order has them in that order: an add looks at
// those that are over and at one more, since it is under flights.mu.
type laggingSet struct {
	coverSet[*list.Element]

	order list.List // of *lag
}

// lag is a member of a laggingSet.
type lag struct {
	member

	until time.Time
}

// untilOf returns the end of a member.
func untilOf(e *list.Element) time.Time { return e.Value.(*lag).until } //nolint:errcheck,forcetypeassert // the order has nothing else

// covers reports whether what a load of key brings may not be stored, if the load begins now.
func (l *laggingSet) covers(key string) bool {
	if l.size() == 0 {
		return false
	}
	now := time.Now()
	return l.find(key, func(e *list.Element) bool { return now.Before(untilOf(e)) })
}

// add adds targets until a time, and drops the members whose time is over at now.
func (l *laggingSet) add(targets Targets, now, until time.Time) {
	l.dropUntil(now)
	fits := l.set(targets, func(m member, known *list.Element) *list.Element {
		if known == nil {
			return l.order.PushBack(&lag{m, until})
		}
		known.Value.(*lag).until = until //nolint:errcheck,forcetypeassert // see untilOf
		l.order.MoveToBack(known)
		return known
	})
	if !fits {
		l.order.Init()
		l.coverAll(l.order.PushBack(&lag{member{"", true}, until})) // no other ends later
	}
}

// dropUntil drops the members whose time is over at now.
func (l *laggingSet) dropUntil(now time.Time) {
	for e := l.order.Front(); e != nil && !now.Before(untilOf(e)); e = l.order.Front() {
		m := l.order.Remove(e).(*lag).member //nolint:errcheck,forcetypeassert // see untilOf
		if m.prefix {
			delete(l.prefixes, m.name)
		} else {
			delete(l.keys, m.name)
		}
	}
}
