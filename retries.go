package readthrough

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
)

// What the store has not confirmed is retried in the background, until it is confirmed or the cache is closed.

const (
	firstRetry = 25 * time.Millisecond
	lastRetry  = time.Second
	// retryChunk is how many pending keys are retried in one removal.
	retryChunk = 1000
)

// retryPending starts the goroutine that retries what is pending in this scope, if there is none.
// One for each scope is enough, since an attempt takes all that is pending. It ends when nothing is
// pending, so an idle cache has no goroutines (G9).
func (s *keyspace) retryPending(ctx context.Context) {
	if s.retrying.CompareAndSwap(false, true) {
		s.retryLater(ctx, firstRetry)
	}
}

// retryLater starts the retry loop. Its caller has set retrying.
func (s *keyspace) retryLater(ctx context.Context, pause time.Duration) {
	if !s.spawn(func() { s.retryLoop(ctx, pause) }) {
		s.retrying.Store(false) // closed
	}
}

// retryLoop is that goroutine. The pause doubles from firstRetry to lastRetry, and each is drawn at
// random around its length, so that processes do not retry in step.
//
// Before it ends, it looks a second time, after it has unset retrying. Without that look, an
// invalidation could be forgotten:
//
//  1. The loop sees that nothing is pending.
//  2. An invalidation becomes pending. It finds retrying set, and starts no loop.
//  3. The loop unsets retrying and ends. Nobody retries.
//
// With the second look there are two orders. Either the invalidation is pending before retrying is
// unset, and the loop sees it. Or it comes later, finds retrying unset, and starts a loop. If both
// see it, CompareAndSwap lets one of them go on.
//
// A store that ends the goroutine ends only this loop: another one goes on.
func (s *keyspace) retryLoop(ctx context.Context, pause time.Duration) {
	ended := false
	defer func() {
		if !ended {
			s.retryLater(ctx, pause)
		}
	}()
	for {
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-s.closing:
			timer.Stop()
			ended = true
			return
		}
		pause = min(2*pause, lastRetry)
		if s.retryOnce(ctx, s.closing); s.flights.bypassing.Load() > 0 {
			continue
		}
		if ended = s.stopRetrying(); ended {
			return
		}
		pause = firstRetry
	}
}

// stopRetrying unsets retrying, and reports whether the loop ends: nothing became pending before that, or
// another loop has it.
func (s *keyspace) stopRetrying() bool {
	s.retrying.Store(false)
	return s.flights.bypassing.Load() == 0 || !s.retrying.CompareAndSwap(false, true)
}

// retryOnce tries everything that is pending, in chunks. It stops when a removal has failed and the
// breaker is open. The chunks keep a request within its deadline after a long outage.
//
// While anything is pending, reads do not probe the store (backend.Pending). So the retries have
// to: if a removal has failed, the probe tells whether the store is down or only this removal
// fails. The old entries are removed before reads through the store resume (G5).
//
// It does not wait for functions of the user when over is closed: such a function may be waiting for
// Close, which waits for the retries.
func (s *keyspace) retryOnce(ctx context.Context, over <-chan struct{}) {
	targets, begun := s.flights.retry()
	for _, part := range targets.chunks(retryChunk) {
		r := s.attempt(ctx, part, begun, s.insist)
		if confirmed := part.size() - r.failed.size(); confirmed > 0 {
			r.notices = append(r.notices, notice{observe: s.observer.Recovered, event: Event{Key: part.single(), Count: confirmed}})
		}
		s.tellAll(ctx, over, r.notices)
		if r.err != nil && s.backend.Open() {
			// Reads do not probe while something is pending. If only this removal keeps failing, the others
			// do not wait for it.
			s.backend.Probe(ctx, s.key("-"))
			return
		}
	}
}

// reportPending reports a pending invalidation that nobody gets as an error (Mutate without
// FailWhenPending). It reports the two causes that nobody has reported yet: an open breaker, and a
// fill that is stuck. A failure of the store was reported when it happened.
func (s *keyspace) reportPending(ctx context.Context, targets Targets, err error) {
	if !errors.Is(err, backend.ErrOpen) && !errors.Is(err, errStuckFill) {
		return
	}
	op := opDelete
	if len(targets.Keys) == 0 {
		op = opDeletePrefix
	}
	s.tellError(ctx, nil, &OpError{op, s.name, targets.single(), err})
}

// close ends the scope's flights, and tries what is pending once more. The retry loop has ended
// before.
func (s *keyspace) close(ctx context.Context) error {
	if s.flights.close() == 0 {
		return nil
	}
	s.retryOnce(ctx, nil)
	_, pending, _ := s.flights.sizes()
	if pending == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d keys and prefixes in scope %q: the cache is closed, they are not retried",
		ErrInvalidationPending, pending, s.name)
}
