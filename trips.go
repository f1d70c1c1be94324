package readthrough

import (
	"context"
	"errors"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
)

// What the observer is told of requests to the store ([Observer.Store]). If it does not want to know, a request
// costs one comparison more. It is told when the work around the request is over, like all that may use
// the cache.

// sending returns the time for a notice of a request that begins now; zero: nobody wants one.
func (s *keyspace) sending() (began time.Time) {
	if s.observer.Store != nil {
		began = time.Now()
	}
	return began
}

// tripOf returns the notice of a request; ok is false if nobody wants one. A request that was not made, since
// the breaker is open, is none.
func (s *keyspace) tripOf(began time.Time, op, key string, n int, err error) (of notice, ok bool) {
	if began.IsZero() || errors.Is(err, backend.ErrOpen) {
		return notice{}, false
	}
	return notice{observe: s.observer.Store, event: Event{Op: op, Key: key, Count: n, Began: began, Duration: time.Since(began), Err: err}}, true
}

// tellSent tells of a request for whose end nobody waits but its caller.
func (s *keyspace) tellSent(ctx context.Context, began time.Time, op string, targets Targets, err error) {
	if of, ok := s.tripOf(began, op, targets.single(), targets.size(), err); ok {
		s.tellAll(ctx, nil, []notice{of})
	}
}
