package readthrough

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
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

// standing returns that of an entry now.
func (s *CachedScope) standing(entry *provider.Entry) standing {
	if entry.FreshUntil.IsZero() {
		return fresh
	}
	return s.options.standing(entry, time.Now(), rand.Float64)
}

// ages reports whether entries of the scope end before they leave the store, or
// are looked at before they end.
func (o *ScopeOptions) ages() bool {
	return o.staleFor() > 0 || o.loadsAhead()
}

// staleFor returns for how long after its TTL a value stays in the store.
func (o *ScopeOptions) staleFor() time.Duration {
	return max(o.StaleWhileRevalidate, o.StaleIfError)
}

// loadsAhead reports whether values are loaded before they expire.
func (o *ScopeOptions) loadsAhead() bool {
	return o.RefreshAheadFactor > 0 || o.XFetchBeta > 0
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

// checkStale returns an error for every bad value of the options about stale
// values and early loads, and for those that would have no effect.
func (o *ScopeOptions) checkStale() error {
	errs := []error{
		notNegative("ScopeOptions.StaleWhileRevalidate", o.StaleWhileRevalidate),
		notNegative("ScopeOptions.StaleIfError", o.StaleIfError),
		notNegative("ScopeOptions.SoftLoadTimeout", o.SoftLoadTimeout),
		notNegative("ScopeOptions.RetryAfter", o.RetryAfter),
		notNegative("ScopeOptions.ErrorTTL", o.ErrorTTL),
	}
	refuse := func(when bool, field string, value any, problem string) {
		if when {
			errs = append(errs, fmt.Errorf("readthrough: ScopeOptions.%s: %v: %s", field, value, problem))
		}
	}
	refuse(!(o.RefreshAheadFactor >= 0 && o.RefreshAheadFactor < 1), "RefreshAheadFactor", o.RefreshAheadFactor, "must be at least 0 and less than 1")
	refuse(!(o.XFetchBeta >= 0 && o.XFetchBeta <= math.MaxFloat64), "XFetchBeta", o.XFetchBeta, "must be a number that is not negative")
	if err := errors.Join(errs...); err != nil {
		return err
	}
	refuse(o.StaleIfError > 0 && o.StaleIfError <= o.StaleWhileRevalidate, "StaleIfError", o.StaleIfError, "has no effect: must be longer than StaleWhileRevalidate")
	refuse(o.SoftLoadTimeout > 0 && o.StaleIfError == 0, "SoftLoadTimeout", o.SoftLoadTimeout, "has no effect without StaleIfError")
	refuse(o.LoadTimeout > 0 && o.SoftLoadTimeout >= o.LoadTimeout, "SoftLoadTimeout", o.SoftLoadTimeout, "has no effect: must be less than LoadTimeout")
	refuse(o.RefreshAheadFactor > 0 && o.XFetchBeta > 0, "XFetchBeta", o.XFetchBeta, "is an alternative to RefreshAheadFactor: choose one")
	refuse(o.RetryAfter > 0 && !o.ages(), "RetryAfter", o.RetryAfter, "has no effect without StaleWhileRevalidate, StaleIfError, RefreshAheadFactor or XFetchBeta")
	refuse(o.TTL == NoExpiry && o.ages(), "TTL", "NoExpiry", "has no effect together with StaleWhileRevalidate, StaleIfError, RefreshAheadFactor or XFetchBeta")
	return errors.Join(errs...)
}
