package readthrough

import (
	"math"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// freshness is what may be done with an entry that was found in the store (RFC 9111, section 4.2; for
// the stale states RFC 5861). The states are in the order in which an entry goes through them.
type freshness uint8

const (
	// fresh: serve it.
	fresh freshness = iota
	// early: serve it, and load it again ahead of time.
	early
	// stale: its TTL is over. Serve it, and load it again.
	stale
	// ifError: its TTL is over. Load, and serve it only if the load fails or takes long.
	ifError
	// expired: load.
	expired
)

// freshness returns what may be done with entry at now. draw returns a random number from 0 to less
// than 1. It is asked only if it matters.
//
// G1 does not depend on this. An entry that is in the store when a read looks was not invalidated
// before the read began, however old it is.
func (o *ScopeOptions) freshness(entry *provider.Entry, now time.Time, draw func() float64) freshness {
	end := entry.FreshUntil
	if end.IsZero() {
		return fresh
	}
	past := now.Sub(end)
	if past < 0 && isAhead(entry, now) {
		past = 0
	}
	switch {
	case past < 0 && (entry.Absent || !o.isEarly(entry, now, draw)):
		return fresh
	case past < 0:
		return early
	case entry.Absent:
		return expired
	case past < o.StaleWhileRevalidate:
		return stale
	case past < o.StaleIfError:
		return ifError
	default:
		return expired
	}
}

// isAhead reports whether entry was loaded so far in the future of now that its age is not known: the
// clock of the process that loaded it is ahead, or that of this one is behind. By FreshUntil it would be
// fresh for the difference of the clocks, whatever its TTL. A reader has no other clock to ask, and
// remembers no entries, so it takes the TTL for over: the entry is loaded again, and what is then stored
// has a time of this clock.
//
// Clocks are never the same. A difference of up to a tenth of the TTL, which is as much as the default
// jitter, is let pass: the entry is then fresh for that much longer.
func isAhead(entry *provider.Entry, now time.Time) bool {
	const tolerated = 10
	return !entry.LoadedAt.IsZero() && entry.LoadedAt.Sub(now) > entry.FreshUntil.Sub(entry.LoadedAt)/tolerated
}

// isEarly reports whether an entry that is fresh is loaded again ahead of time.
func (o *ScopeOptions) isEarly(entry *provider.Entry, now time.Time, draw func() float64) bool {
	switch {
	case o.RefreshAheadFactor > 0:
		ttl := entry.FreshUntil.Sub(entry.LoadedAt)
		return !entry.LoadedAt.IsZero() && now.Sub(entry.LoadedAt) >= time.Duration(o.RefreshAheadFactor*float64(ttl))
	case o.XFetchBeta > 0:
		ahead := -math.Log(1-draw()) * o.XFetchBeta * float64(entry.LoadTime)
		return ahead >= float64(entry.FreshUntil.Sub(now))
	default:
		return false
	}
}

// stamp sets until when entry, which was just loaded, is fresh. It returns for how long the entry is
// stored. ttl is the TTL of the call, or what the load function has decided.
func (o *ScopeOptions) stamp(entry *provider.Entry, ttl time.Duration) (storeFor time.Duration) {
	ttl = o.jittered(ttl)
	if ttl == NoExpiry || entry.Absent || !o.ages() {
		return ttl
	}
	entry.FreshUntil = entry.LoadedAt.Add(ttl)
	return min(ttl, NoExpiry-1-o.staleFor()) + o.staleFor()
}
