package readthrough

import (
	"strings"
	"time"
)

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

// maxPendingPrefixes bounds the pending prefixes, which every read looks through
// while there are any.
const maxPendingPrefixes = 64

// pendingSet holds the invalidations that the store has not confirmed: for each
// key and prefix the version of the latest. It has no lock of its own.
type pendingSet struct {
	limit    int
	keys     map[string]uint64
	prefixes map[string]uint64
}

// size returns the number of pending keys and prefixes.
func (p *pendingSet) size() int { return len(p.keys) + len(p.prefixes) }

// covers reports whether an invalidation of key is pending.
func (p *pendingSet) covers(key string) bool {
	if _, ok := p.keys[key]; ok {
		return true
	}
	for prefix := range p.prefixes {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// add remembers that targets were not confirmed. Past the bounds it remembers
// the whole scope instead.
func (p *pendingSet) add(targets Targets, version uint64) {
	for _, key := range targets.Keys {
		raiseVersion(&p.keys, key, version)
	}
	for _, prefix := range targets.Prefixes {
		raiseVersion(&p.prefixes, prefix, version)
	}
	if p.size() > p.limit || len(p.prefixes) > maxPendingPrefixes {
		p.collapse()
	}
}

// collapse replaces everything by the whole scope, in the latest version.
func (p *pendingSet) collapse() {
	var latest uint64
	for _, version := range p.keys {
		latest = max(latest, version)
	}
	for _, version := range p.prefixes {
		latest = max(latest, version)
	}
	p.keys, p.prefixes = nil, map[string]uint64{"": latest}
}

// confirm forgets what a confirmed invalidation of targets covers, unless it
// became pending after version.
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
		forgetUnder(p.keys, prefix, version)
		forgetUnder(p.prefixes, prefix, version)
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

// raiseVersion sets the version of name, unless it has a later one: an attempt that began
// before that may fail after it.
func raiseVersion(m *map[string]uint64, name string, version uint64) {
	if *m == nil {
		*m = make(map[string]uint64)
	}
	(*m)[name] = max((*m)[name], version)
}

func forgetUnder(m map[string]uint64, prefix string, version uint64) {
	for name, v := range m {
		if v <= version && strings.HasPrefix(name, prefix) {
			delete(m, name)
		}
	}
}
