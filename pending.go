package readthrough

import (
	"strings"
	"time"
)

// maxPrefixes bounds the prefixes of a coverSet: every question walks through them.
const maxPrefixes = 64

// coverSet has keys and prefixes, with a value each. It covers a key that it has, and every key that
// begins with a prefix that it has. It has no lock of its own.
type coverSet[V any] struct {
	limit    int // of keys and prefixes together; past it the set covers the whole scope
	keys     map[string]V
	prefixes map[string]V
}

// size returns the number of keys and prefixes.
func (c *coverSet[V]) size() int { return len(c.keys) + len(c.prefixes) }

// find reports whether the set covers key by a key or prefix whose value counts.
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

// set gives each of targets the value that value returns for the one it had before. It reports false
// if the set is too large now: the caller then has it cover the whole scope.
func (c *coverSet[V]) set(targets Targets, value func(before V) V) (fits bool) {
	if c.keys == nil {
		c.keys, c.prefixes = make(map[string]V), make(map[string]V)
	}
	// What the set keeps may be a part of a large string, such as a request.
	for _, key := range targets.Keys {
		c.keys[strings.Clone(key)] = value(c.keys[key])
	}
	for _, prefix := range targets.Prefixes {
		c.prefixes[strings.Clone(prefix)] = value(c.prefixes[prefix])
	}
	return c.size() <= c.limit && len(c.prefixes) <= maxPrefixes
}

// coverAll has the set cover the whole scope, with the value v, and nothing else.
func (c *coverSet[V]) coverAll(v V) {
	c.keys, c.prefixes = make(map[string]V), map[string]V{"": v}
}

// remove removes the keys and prefixes for which gone reports true.
func (c *coverSet[V]) remove(gone func(name string, v V) bool) {
	for _, m := range []map[string]V{c.keys, c.prefixes} {
		for name, v := range m {
			if gone(name, v) {
				delete(m, name)
			}
		}
	}
}

// pendingSet has the invalidations that the store has not confirmed: for each key and prefix the
// version of the latest one. While it covers a key, the process bypasses the store for that key.
type pendingSet struct{ coverSet[uint64] }

// covers reports whether an invalidation of key is pending.
func (p *pendingSet) covers(key string) bool {
	return p.find(key, func(uint64) bool { return true })
}

// add remembers that the store has not confirmed an invalidation of targets. An attempt that began
// earlier may fail later, so the version never goes back.
func (p *pendingSet) add(targets Targets, version uint64) {
	if targets.size() == 0 {
		return
	}
	if p.set(targets, func(before uint64) uint64 { return max(before, version) }) {
		return
	}
	var latest uint64
	p.remove(func(_ string, v uint64) bool { latest = max(latest, v); return false })
	p.coverAll(latest)
}

// confirm forgets what a confirmed invalidation of targets covers, unless it became pending after
// version.
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

// targets returns what is pending.
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

// laggingSet has the keys and prefixes that were invalidated so recently that the source, a replica
// that lags behind, may not have the change: for each the time at which it has. What is loaded before
// is not stored. The process keeps the set if the store has no holds.
type laggingSet struct{ coverSet[time.Time] }

// covers reports whether a load of key that begins now may not be stored.
func (l *laggingSet) covers(key string) bool {
	if l.size() == 0 {
		return false
	}
	now := time.Now()
	return l.find(key, func(until time.Time) bool { return now.Before(until) })
}

// add adds targets until a time, and drops what is over.
func (l *laggingSet) add(targets Targets, now, until time.Time) {
	l.remove(func(_ string, until time.Time) bool { return !now.Before(until) })
	if !l.set(targets, func(time.Time) time.Time { return until }) {
		l.coverAll(until) // no other ends later: the lag of a scope is always the same
	}
}
