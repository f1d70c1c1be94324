package readthrough

import "time"

// Source is where the value of a [Result] comes from.
type Source uint8

const (
	// FromStore says that it was in the store, and its TTL had not ended.
	FromStore Source = iota
	// FromLoad says that it was loaded in this process, by this read or by one that this read
	// joined.
	FromLoad
	// FromStale says that it was in the store, and its TTL had ended. See
	// [ScopeOptions.StaleWhileRevalidate] and [ScopeOptions.StaleIfError].
	FromStale
	// FromNear says that it was in the memory of this process, in front of the shared store, and its
	// TTL had not ended. See package near.
	FromNear
)

// String returns the name of the source, such as "stale".
func (s Source) String() string {
	switch s {
	case FromStore:
		return "store"
	case FromLoad:
		return "load"
	case FromStale:
		return "stale"
	case FromNear:
		return "near"
	default:
		return "unknown"
	}
}

// Result is a value with what is known about it.
type Result[T any] struct {
	Value T
	// Source is where the value comes from.
	Source Source
	// Age is the time since a load returned the value, or since the source said that it is still
	// right; 0 if the store does not know.
	Age time.Duration
	// Err is why a stale value was served that StaleIfError has kept: the error of the load of this
	// read, the error of the last load that failed, or [ErrStillLoading]. It is nil for all other
	// values.
	Err error

	_ struct{}
}
