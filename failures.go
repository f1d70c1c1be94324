package readthrough

import (
	"errors"
	"time"
)

// maxFailures bounds the keys whose failures a scope remembers.
const maxFailures = 10_000

// maxBackoff is how often at most the time doubles for which a key whose loads
// fail is left alone: 16 times as long as after the first failure.
const maxBackoff = 4

// errFailedMeanwhile is what a reader is told whose key has failed since it asked
// whether it had: it asks once more, instead of asking the source.
var errFailedMeanwhile = errors.New("readthrough: the load of the key has just failed")

// failures are the keys of a scope whose last load failed. They belong to the
// process: no other learns of them. It has no lock of its own.
type failures struct {
	keys map[string]failure
}

// failure is a key's failures in a row.
type failure struct {
	err     error
	count   int
	retryAt time.Time // until then a value that can be served instead is
	until   time.Time // until then, err
	number  uint64    // what flights.failed was when the last of them was added
}

// add adds a failure of key at now. It returns how many keys there are then.
func (f *failures) add(key string, err error, now time.Time, number uint64, options *ScopeOptions) int {
	if f.keys == nil {
		f.keys = make(map[string]failure)
	}
	count := f.keys[key].count + 1
	f.keys[key] = failure{
		err: err, count: count,
		retryAt: now.Add(backoff(options.RetryAfter, count)),
		until:   now.Add(backoff(options.ErrorTTL, count)),
		number:  number,
	}
	if len(f.keys) > maxFailures {
		f.shrink(now)
	}
	return len(f.keys)
}

// rest leaves key alone for a while without a failure: somebody else is loading it,
// or there are loads enough.
func (f *failures) rest(key string, now time.Time, pause time.Duration) int {
	if f.keys == nil {
		f.keys = make(map[string]failure)
	}
	last := f.keys[key]
	if retryAt := now.Add(pause); last.retryAt.Before(retryAt) {
		last.retryAt = retryAt
	}
	if last.err == nil {
		last.err = ErrStillLoading
	}
	f.keys[key] = last
	if len(f.keys) > maxFailures {
		f.shrink(now)
	}
	return len(f.keys)
}

// shrink drops what is over, and if that is not much, some of the others: their
// keys are asked for again as if they had not failed.
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

// rests reports whether the source is not to be asked for key at now.
func (f *failures) rests(key string, now time.Time) bool {
	return now.Before(f.keys[key].retryAt)
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

// backoff returns how long d is after so many failures in a row.
func backoff(d time.Duration, count int) time.Duration {
	for range min(count-1, maxBackoff) {
		if d > NoExpiry/2 {
			return NoExpiry
		}
		d *= 2
	}
	return d
}

// learnLocked remembers which loads of c have failed, and forgets the failures
// of the others. What was invalidated meanwhile tells nothing.
func (g *flights) learnLocked(c *call) {
	if c.abandoned {
		return
	}
	for _, f := range c.flights {
		switch {
		case f.outcome.err != nil && !f.outcome.entry.Absent:
			g.failedLocked(f, f.outcome.err)
		case f.outcome.known && len(g.failures.keys) > 0:
			delete(g.failures.keys, f.key)
			g.failing.Store(int64(len(g.failures.keys)))
		}
	}
}

// failedLocked remembers that the load of f has failed.
func (g *flights) failedLocked(f *flight, err error) {
	if f.fence.ended || g.options.ErrorTTL == 0 && !g.options.ages() {
		return
	}
	number := g.failed.Load() + 1
	g.failing.Store(int64(g.failures.add(f.key, err, time.Now(), number, g.options)))
	g.failed.Store(number) // last: who sees it finds the failure
}

// rest leaves the key of f alone for a while.
func (g *flights) rest(f *flight, pause time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !f.fence.ended {
		g.failing.Store(int64(g.failures.rest(f.key, time.Now(), pause)))
	}
}

// resting reports whether the source is not to be asked for key although it
// should be, since there is something to serve instead. err is why it is left
// alone.
func (g *flights) resting(key string) (resting bool, err error) {
	if g.failing.Load() == 0 {
		return false, nil
	}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.failures.rests(key, now) {
		return false, nil
	}
	return true, g.failures.keys[key].err
}

// lastError returns the error of the last load of key for as long as it is served;
// nil if there is none.
func (g *flights) lastError(key string) error {
	if g.options.ErrorTTL == 0 || g.failing.Load() == 0 {
		return nil
	}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.failures.keys[key]; now.Before(f.until) {
		return f.err
	}
	return nil
}
