package readthrough

import "time"

// failed is an item that is not loaded, and why.
type failed struct {
	item
	err error
}

// takeFailedLocked takes those items out that are not loaded since their last load
// failed a short time ago.
func (g *flights) takeFailedLocked(r *request) (out []failed) {
	if len(g.failures.keys) == 0 || r.purpose == toReplace {
		return nil
	}
	now, left := time.Now(), r.items[:0]
	for _, i := range r.items {
		if err := g.failures.instead(i.key, i.hasSpare, now); err != nil {
			out = append(out, failed{i, err})
		} else {
			left = append(left, i)
		}
	}
	r.items = left
	return out
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
		}
	}
}

// failedLocked remembers that the load of f has failed.
func (g *flights) failedLocked(f *flight, err error) {
	if f.fence.ended || g.options.ErrorTTL == 0 && !g.options.ages() {
		return
	}
	g.failures.add(f.key, err, time.Now(), g.options)
}

// rest leaves the key of f alone for a while.
func (g *flights) rest(f *flight, pause time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !f.fence.ended {
		g.failures.rest(f.key, time.Now(), pause)
	}
}

// maxFailures bounds the keys whose failures a scope remembers.
const maxFailures = 10_000

// maxBackoff is how often at most the time doubles for which a key whose loads
// fail is left alone: 16 times as long as after the first failure.
const maxBackoff = 4

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
}

// add adds a failure of key at now.
func (f *failures) add(key string, err error, now time.Time, options *ScopeOptions) {
	if f.keys == nil {
		f.keys = make(map[string]failure)
	}
	count := f.keys[key].count + 1
	f.keys[key] = failure{
		err: err, count: count,
		retryAt: now.Add(backoff(options.RetryAfter, count)),
		until:   now.Add(backoff(options.ErrorTTL, count)),
	}
	if len(f.keys) > maxFailures {
		f.shrink(now)
	}
}

// rest leaves key alone for a while without a failure: somebody else is loading it,
// or there are loads enough.
func (f *failures) rest(key string, now time.Time, pause time.Duration) {
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

// instead returns why key is not loaded at now; nil: it is. A reader with a spare gets
// that instead of a load, another the error of the last one.
func (f *failures) instead(key string, hasSpare bool, now time.Time) error {
	last := f.keys[key]
	if until := last.until; hasSpare && now.Before(last.retryAt) || !hasSpare && now.Before(until) {
		return last.err
	}
	return nil
}
