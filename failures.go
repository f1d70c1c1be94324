package readthrough

import (
	"strings"
	"time"
)

// maxFailures bounds the keys whose failures a scope remembers.
const maxFailures = 10_000

// maxDoublings is how often the back-off of a key doubles: to 16 times its length.
const maxDoublings = 4

// failures are the keys of a scope whose last load has failed, and how long the source is not asked
// again for them. They belong to the process: no other process learns of them. The set is guarded by
// flights.mu.
type failures struct {
	keys map[string]failure
}

// failure is what is known of a key whose loads fail.
type failure struct {
	err     error     // of the last load
	count   int       // failures in a row
	retryAt time.Time // before it, a reader with a fallback does not load
	until   time.Time // before it, a reader without a fallback gets err
}

// add adds a failure of key at now.
func (f *failures) add(key string, err error, now time.Time, options *ScopeOptions) {
	count := f.keys[key].count + 1
	f.put(key, failure{
		err: err, count: count,
		retryAt: now.Add(doubled(options.RetryAfter, count)),
		until:   now.Add(doubled(options.ErrorTTL, count)),
	}, now)
}

// backOff sets when key is tried again, though its load has not failed: another process is loading it,
// or enough loads are under way.
func (f *failures) backOff(key string, now time.Time, pause time.Duration) {
	last := f.keys[key]
	if retryAt := now.Add(pause); last.retryAt.Before(retryAt) {
		last.retryAt = retryAt
	}
	if last.err == nil {
		last.err = ErrStillLoading
	}
	f.put(key, last, now)
}

func (f *failures) put(key string, last failure, now time.Time) {
	if f.keys == nil {
		f.keys = make(map[string]failure)
	}
	f.keys[strings.Clone(key)] = last // key may be a part of a large string, such as a request
	if len(f.keys) > maxFailures {
		f.shrink(now)
	}
}

// shrink drops what is over; if that is not enough, some of the others, which are loaded again as if
// they had not failed.
func (f *failures) shrink(now time.Time) {
	for key, failure := range f.keys {
		if !now.Before(failure.retryAt) && !now.Before(failure.until) {
			delete(f.keys, key)
		}
	}
	for key := range f.keys {
		if len(f.keys) <= maxFailures-maxFailures/8 {
			return
		}
		delete(f.keys, key)
	}
}

// backsOff reports whether key is not loaded in the background at now.
func (f *failures) backsOff(key string, now time.Time) bool {
	return now.Before(f.keys[key].retryAt)
}

// instead returns the error that a reader of key gets at now instead of a load; nil: it loads. A reader
// with a fallback serves that in place of the error.
func (f *failures) instead(key string, hasFallback bool, now time.Time) error {
	last := f.keys[key]
	until := last.until
	if hasFallback {
		until = last.retryAt
	}
	if now.Before(until) {
		return last.err
	}
	return nil
}

// forget forgets the keys that targets cover.
func (f *failures) forget(targets Targets) {
	if len(f.keys) == 0 {
		return
	}
	for _, key := range targets.Keys {
		delete(f.keys, key)
	}
	if len(targets.Prefixes) == 0 {
		return
	}
	for key := range f.keys {
		if targets.coverByPrefix(key) {
			delete(f.keys, key)
		}
	}
}

// doubled returns d, doubled with every failure in a row after the first.
func doubled(d time.Duration, count int) time.Duration {
	for range min(count-1, maxDoublings) {
		if d > NoExpiry/2 {
			return NoExpiry
		}
		d *= 2
	}
	return d
}
