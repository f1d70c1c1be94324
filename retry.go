package readthrough

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstRetry = 25 * time.Millisecond
	lastRetry  = time.Second
	// retryChunk is how many pending keys are retried in one deletion.
	retryChunk = 1000
)

// retryPending starts the goroutine that retries the scope's pending
// invalidations, if there is none. It ends when nothing is pending.
func (s *CachedScope) retryPending(ctx context.Context) {
	if s.retrying.CompareAndSwap(false, true) && !s.cache.spawn(func() { s.retryLoop(ctx) }) {
		s.retrying.Store(false) // closed
	}
}

func (s *CachedScope) retryLoop(ctx context.Context) {
	backoff := firstRetry
	for {
		timer := time.NewTimer(backoff/2 + rand.N(backoff))
		select {
		case <-timer.C:
		case <-s.cache.closing:
			timer.Stop()
			return
		}
		backoff = min(2*backoff, lastRetry)
		if s.retryOnce(ctx); s.flights.bypassing.Load() > 0 {
			continue
		}
		// An invalidation that becomes pending now either sees retrying unset, and
		// starts a loop, or was pending before it was unset, and is seen here.
		s.retrying.Store(false)
		if s.flights.bypassing.Load() == 0 || !s.retrying.CompareAndSwap(false, true) {
			return
		}
		backoff = firstRetry
	}
}

// retryOnce tries everything that is pending, until the store fails.
func (s *CachedScope) retryOnce(ctx context.Context) {
	targets, version, filling := s.flights.retry()
	for _, part := range targets.chunks(retryChunk) {
		_, pending, err := s.attempt(ctx, part, version, filling, s.remove)
		if confirmed := part.size() - pending.size(); confirmed > 0 {
			s.happened(EventRecovered, part.single(), confirmed, nil)
		}
		if err != nil && s.cache.backend.leftAlone() {
			// Reads do not probe while something is pending. What keeps failing may be
			// this deletion alone, and then the others shall not wait for it.
			s.cache.backend.probe(ctx, s.key("-"))
			return
		}
	}
}

// chunks splits t into parts of at most size keys or one prefix.
func (t Targets) chunks(size int) []Targets {
	var parts []Targets
	for keys := t.Keys; len(keys) > 0; {
		n := min(size, len(keys))
		parts = append(parts, Targets{Keys: keys[:n:n]})
		keys = keys[n:]
	}
	for i := range t.Prefixes {
		parts = append(parts, Targets{Prefixes: t.Prefixes[i : i+1 : i+1]})
	}
	return parts
}
