package readthrough

import "time"

// Observer is told what a cache does, for metrics and traces. It is called from
// the goroutines that do the work, so it must be safe for concurrent use and
// must not block. A panic of it is reported to [Options.OnError] and goes no
// further.
type Observer interface {
	Observe(event Event)
}

// Event is something that a cache did.
type Event struct {
	Kind EventKind
	// Scope is the name of the scope.
	Scope string
	// Key is the key or prefix; empty where the event concerns several.
	Key string
	// Count is the number of keys concerned, or of entries removed.
	Count int
	// Duration is how long a load or an invalidation took.
	Duration time.Duration
	// Err is the error of a load, of the store, or of an invalidation.
	Err error

	_ struct{}
}

// EventKind is the kind of an [Event].
type EventKind uint8

// The kinds of events.
const (
	// EventHit: Count keys were answered by the store.
	EventHit EventKind = iota
	// EventMiss: Count keys were not.
	EventMiss
	// EventJoin: Count of those that missed were already being loaded.
	EventJoin
	// EventStale: the stale values of Count keys were served, because of Err if that
	// is not nil.
	EventStale
	// EventRefresh: a load of Count keys was begun in the background.
	EventRefresh
	// EventLoad: a load of Count keys ended after Duration, with Err.
	EventLoad
	// EventRefusedFill: Count loaded values were not stored, because an
	// invalidation came while they were loaded.
	EventRefusedFill
	// EventInvalidate: an invalidation of Count keys and prefixes ended after
	// Duration. With Err it is pending.
	EventInvalidate
	// EventRecovered: Count pending invalidations were confirmed by the store.
	EventRecovered
	// EventError: Err was reported to [Options.OnError].
	EventError
)

// String returns the kind's name, such as "refusedFill".
func (k EventKind) String() string {
	names := [...]string{"hit", "miss", "join", "stale", "refresh", "load", "refusedFill", "invalidate", "recovered", "error"}
	if int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}
