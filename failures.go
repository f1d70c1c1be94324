package readthrough

import (
	"strings"
	"time"

	"github.com/readthrough/readthrough/internal/sortedset"
)

// maxFailures bounds the keys whose failures a scope remembers (G9). A source that is down makes
// every key fail, and nothing but this bound would limit the map then.
const maxFailures = 10_000

// maxDoublings is how often the pause of a key doubles: up to 16 times its first length. It is
// small because the pause is also the time in which the cache does not notice that the source is
// back.
const maxDoublings = 4

// failures has the keys of a scope whose last load has failed, and for each the times before which
// the source is not asked again. A key is in one of three states:
//
//   - not in the map: its last load succeeded, or nothing is known. Readers load.
//   - now is before retryAt: loads in the background do not run, and a reader with a fallback gets
//     the fallback.
//   - now is before until: a reader without a fallback gets the last error.
//
// The times are set together, but they are independent: retryAt comes from RetryAfter, until from
// ErrorTTL, which is 0 by default. A key whose times are over stays in the map, since its count
// decides how long the next pause is. A load that succeeds removes it, and so does an invalidation:
// the source was changed, so the old error says nothing about it (G1 for errors).
//
// The set belongs to this process. No other process learns of it, and nothing of it is in the
// store. It is guarded by flights.mu, like all that a reader decides on when it joins.
type failures struct {
	// keys is nil until the first failure. It keeps copies of the keys, and its values are pointers: to
	// assign to a key replaces the string of the key, too.
	keys map[string]*failure
	// names has the keys of keys, for prefixes.
	names sortedset.Set
}

// failure is what is known of a key whose loads fail.
type failure struct {
	// err is the error of the last load, or ErrStillLoading if no load has failed (backOff).
	// Readers share it.
	err error
	// count is the number of failures in a row.
	count int
	// retryAt: before it, a reader with a fallback does not load, and no refresh begins.
	retryAt time.Time
	// until: before it, a reader without a fallback gets err.
	until time.Time
}

// add records that a load of key has failed at now. Both pauses begin at now and double with every
// failure in a row.
func (f *failures) add(key string, err error, now time.Time, options *ScopeOptions) {
	count := f.of(key).count + 1
	f.put(key, failure{
		err: err, count: count,
		retryAt: now.Add(doubled(options.RetryAfter, count)),
		until:   now.Add(doubled(options.ErrorTTL, count)),
	}, now)
}

// backOff sets that key is not loaded in the background for pause, although no load of it has
// failed: another process is loading it, or all places of MaxLoads are taken. It never shortens a
// pause, and it does not count as a failure. until stays, so a reader without a fallback still
// loads.
func (f *failures) backOff(key string, now time.Time, pause time.Duration) {
	last := f.of(key)
	if retryAt := now.Add(pause); last.retryAt.Before(retryAt) {
		last.retryAt = retryAt
	}
	if last.err == nil {
		last.err = ErrStillLoading
	}
	f.put(key, last, now)
}

// put records the state of key, and keeps the map within its bound.
func (f *failures) put(key string, last failure, now time.Time) {
	if known := f.keys[key]; known != nil {
		*known = last
		return
	}
	if f.keys == nil {
		f.keys = make(map[string]*failure)
	}
	key = strings.Clone(key) // it may be a part of a large string, such as a request
	known := new(failure)
	*known = last
	f.keys[key] = known
	f.names.Add(key)
	if len(f.keys) > maxFailures {
		f.shrink(now)
	}
}

// shrink makes room. It drops the keys whose times are over. If that is not enough, it drops others
// until an eighth of the map is free: those keys are loaded again as if they had not failed. Map
// iteration chooses them, which is as good as any order, and needs no second structure. An eighth
// at a time keeps the cost of a failure constant on average, although one shrink walks through the
// whole map.
func (f *failures) shrink(now time.Time) {
	for key, failure := range f.keys {
		if !now.Before(failure.retryAt) && !now.Before(failure.until) {
			f.drop(key)
		}
	}
	for key := range f.keys {
		if len(f.keys) <= maxFailures-maxFailures/8 {
			return
		}
		f.drop(key)
	}
}

// drop forgets key.
func (f *failures) drop(key string) {
	if f.keys[key] != nil {
		delete(f.keys, key)
		f.names.Remove(key)
	}
}

// of returns what is known of key.
func (f *failures) of(key string) failure {
	if known := f.keys[key]; known != nil {
		return *known
	}
	return failure{}
}

// backsOff reports whether no refresh of key may begin at now.
func (f *failures) backsOff(key string, now time.Time) bool {
	return now.Before(f.of(key).retryAt)
}

// instead returns the error that a reader of key gets at now instead of a load, or nil if the
// reader loads. A reader with a fallback serves the fallback in place of the error.
func (f *failures) instead(key string, hasFallback bool, now time.Time) error {
	last := f.of(key)
	until := last.until
	if hasFallback {
		until = last.retryAt
	}
	if now.Before(until) {
		return last.err
	}
	return nil
}

// forget removes the keys that targets cover. It is a part of every invalidation, under flights.mu, so it
// does not walk through the others.
func (f *failures) forget(targets Targets) {
	if len(f.keys) == 0 {
		return
	}
	for _, key := range targets.Keys {
		f.drop(key)
	}
	for _, prefix := range targets.Prefixes {
		f.names.RemovePrefix(prefix, func(key string) { delete(f.keys, key) })
	}
}

// doubled returns the pause after count failures in a row. d is the first pause, and each failure
// after the first doubles it, maxDoublings times at most. A pause that would overflow is NoExpiry.
func doubled(d time.Duration, count int) time.Duration {
	for range min(count-1, maxDoublings) {
		if d > NoExpiry/2 {
			return NoExpiry
		}
		d *= 2
	}
	return d
}
