package readthrough

import (
	"math"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// freshness says what may be done with an entry that was found in the store. An entry goes through
// the states in this order, and the order is used: adopting an entry asks for at most early. The
// terms are those of RFC 9111, section 4.2, and for the stale states those of RFC 5861.
//
//	loaded            FreshUntil - ahead   FreshUntil   + StaleWhileRevalidate   + StaleIfError
//	   |     fresh          |    early         |   stale        |    ifError            |   expired
//
// An absence has two states only, fresh and expired. A stale absence would hide a value that was
// created meanwhile, and a load for an absence costs no more than the load that it replaces.
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
// than 1. It is called only if XFetchBeta decides.
//
// An entry without FreshUntil is fresh for as long as the store has it. That is the entry of a
// scope without stale values and early loads, or one with NoExpiry: the store's own TTL ends it.
//
// G1 does not depend on this. An entry that is in the store when a read looks was not invalidated
// before the read began, however old it is. So a wrong clock makes a value fresh for too long or
// too short a time, but never brings an invalidated value back.
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
	case entry.Absent && past >= o.StaleIfError:
		return expired
	case entry.Absent:
		return ifError
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

// isEarly reports whether an entry that is fresh is loaded again ahead of time. At most one of the
// two options is set (checkStale).
//
// RefreshAheadFactor counts the part of the entry's own TTL, after jitter. An entry whose LoadedAt
// the store does not keep is never early.
//
// XFetchBeta is the rule of Vattani et al., "Optimal Probabilistic Cache Stampede Prevention" (VLDB
// 2015): load if now - LoadTime * beta * log(random) >= end. The random number is 1 - draw, which
// is never 0, so the logarithm is finite.
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

// stamp sets until when entry is fresh, and returns for how long the store keeps it. entry was just
// loaded. ttl is the TTL of the call, or the one that the load function has set; jitter shortens it
// here, the only place where entries get their end.
//
// The store keeps a value for its TTL and the longer of the two stale times. The sum may not reach
// NoExpiry, which would mean for ever, so the TTL is cut first.
func (o *ScopeOptions) stamp(entry *provider.Entry, ttl time.Duration) (storeFor time.Duration) {
	ttl = o.jittered(ttl)
	staleFor := o.staleFor()
	if entry.Absent {
		staleFor = o.StaleIfError
	}
	if ttl == NoExpiry || !o.ages() || entry.Absent && staleFor == 0 {
		return ttl
	}
	entry.FreshUntil = entry.LoadedAt.Add(ttl)
	return min(ttl, NoExpiry-1-staleFor) + staleFor
}
