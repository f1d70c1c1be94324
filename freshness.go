package readthrough

import (
	"math"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// standing is what may be done with an entry that was found in the store.
type standing uint8

const (
	// fresh: serve it.
	fresh standing = iota
	// early: serve it, and load it again ahead of time.
	early
	// stale: serve it, and load it again, since its TTL is over.
	stale
	// fallback: load, and serve it only if that fails or takes long.
	fallback
	// expired: load.
	expired
)

// standing returns that of entry at now. draw is a random number from 0 to less
// than 1, which is asked for only if it matters.
//
// None of this touches G1: an entry that is in the store when a read looks has not
// been invalidated before the read began, however old it is.
func (o *ScopeOptions) standing(entry *provider.Entry, now time.Time, draw func() float64) standing {
	end := entry.FreshUntil
	if end.IsZero() {
		return fresh
	}
	past := now.Sub(end)
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
		return fallback
	default:
		return expired
	}
}

// isEarly reports whether an entry that is fresh is to be loaded again.
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

// keep sets until when entry, which was just loaded, is fresh, and returns for how
// long it is stored. ttl is that of the call, or what the load has decided.
func (o *ScopeOptions) keep(entry *provider.Entry, ttl time.Duration) (storeFor time.Duration) {
	ttl = o.jittered(ttl)
	if ttl == NoExpiry || entry.Absent || !o.ages() {
		return ttl
	}
	entry.FreshUntil = entry.LoadedAt.Add(ttl)
	return min(ttl, NoExpiry-1-o.staleFor()) + o.staleFor()
}
