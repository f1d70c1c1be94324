package backend

import "time"

// failure is a request that the store has failed.
type failure struct {
	err error
	at  time.Time
}

// State is how the backend gets on with its store at one moment.
type State struct {
	// Breaker is [Closed], [Open] or [HalfOpen]: of several shards, the worst.
	Breaker string
	// Since is when the first of the breakers that are not closed was opened; zero: all are closed.
	Since time.Time
	// Opens is how often breakers were opened.
	Opens int64
	// Shards is the number of shards, 1 for a store without, and Away the number of those whose
	// breaker is not closed.
	Shards, Away int
	// Refusing: the store is read, and refuses writes.
	Refusing bool
	// Unanswered is the number of requests that the store has not answered although their deadline
	// is over.
	Unanswered int
	// Failure is the error of the last request that failed, at FailedAt; nil: none has failed.
	Failure  error
	FailedAt time.Time
}

// The states of a breaker.
const (
	Closed   = "closed"
	Open     = "open"
	HalfOpen = "half-open"
)

// State returns how the backend gets on with its store.
func (b *Backend) State() State {
	s := State{Breaker: Closed, Unanswered: int(b.orphans.Load()), Shards: 1}
	if b.shards == nil {
		s.add(&b.breaker, &b.refusals)
	} else {
		s.Shards = len(b.shards.all)
		for i := range b.shards.all {
			s.add(&b.shards.all[i].breaker, &b.shards.all[i].refusals)
		}
	}
	if f := b.failure.Load(); f != nil {
		s.Failure, s.FailedAt = f.err, f.at
	}
	return s
}

// add adds the breakers of a shard.
func (s *State) add(requests, refusals *breaker) {
	state, since, opens := requests.state()
	s.Opens += opens
	s.Refusing = s.Refusing || refusals.open.Load()
	if state == Closed {
		return
	}
	s.Away++
	if s.Breaker != Open {
		s.Breaker = state
	}
	if s.Since.IsZero() || since.Before(s.Since) {
		s.Since = since
	}
}

// state returns the state of the breaker, since when it is not closed, and how often it was opened.
// After the cooldown it is half-open, whether a request has noticed that or not.
func (b *breaker) state() (state string, since time.Time, opens int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open.Load():
		return Closed, time.Time{}, b.opens
	case b.probing || !time.Now().Before(b.until):
		return HalfOpen, b.since, b.opens
	default:
		return Open, b.since, b.opens
	}
}
