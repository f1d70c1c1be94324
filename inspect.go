package readthrough

import "time"

// StoreState is how a cache gets on with its store at one moment. [Cache.StoreState] returns it. It
// describes a store outside of the process: the breaker of one in the process is always closed.
type StoreState struct {
	// Breaker is "closed" while the store is asked, "open" while it is not, and "half-open" while
	// one request at a time asks whether it is back. Of several shards it is the worst.
	Breaker string
	// Shards is the number of shards of the store ([provider.Sharded]), each with a breaker of its
	// own; 1 for a store without. Away is the number of those whose breaker is not closed.
	Shards, Away int
	// Since is when the first of the breakers that are not closed was opened; zero: all are closed.
	Since time.Time
	// Opens is how often the breaker was opened.
	Opens int64
	// Refusing says that the store is read, and refuses to store anything: its memory is full, say.
	Refusing bool
	// Unanswered is the number of requests that the store has not answered although their deadline
	// is over. At 64 it is not asked any more.
	Unanswered int
	// Failure is the error of the last request that failed, and FailedAt its time; nil if none has
	// failed. It may be old: Breaker says how the store is now.
	Failure  error
	FailedAt time.Time
	// Closed says that [Cache.Close] was called.
	Closed bool

	_ struct{}
}

// StoreState returns how the cache gets on with its store. It asks nothing of the store, and no
// reader waits for it. It is the zero value for a Cache that was not made by [New].
func (c *Cache) StoreState() StoreState {
	if !c.isMade() {
		return StoreState{}
	}
	s := c.backend.State()
	return StoreState{
		Breaker: s.Breaker, Shards: s.Shards, Away: s.Away, Since: s.Since, Opens: s.Opens, Refusing: s.Refusing, Unanswered: s.Unanswered,
		Failure: s.Failure, FailedAt: s.FailedAt, Closed: c.closed.Load(),
	}
}

// Options returns the options of the scope, with their defaults; the zero value for nil.
func (s *CachedScope) Options() ScopeOptions {
	if !s.isMade() {
		return ScopeOptions{}
	}
	return s.options
}

// Activity returns what is under way in the scope: at most limit loads, the oldest first, and at
// most limit pending targets. Zero means 100; negative means none. It looks at everything that is
// under way while reads that miss wait: about 0.1 µs for each load. It is for pages that people
// look at; [CachedScope.Stats] has the numbers alone.
func (s *CachedScope) Activity(limit int) Activity {
	if !s.isMade() {
		return Activity{}
	}
	orDefault(&limit, defaultActivity)
	return s.flights.activity(max(limit, 0))
}

// defaultActivity is how many loads and pending targets Activity returns at most.
const defaultActivity = 100
