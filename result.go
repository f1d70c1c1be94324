package readthrough

import (
	"context"
	"time"
)

// Source is where the value of a [Result] comes from.
type Source uint8

const (
	// FromStore says that it was in the store, and its TTL had not ended.
	FromStore Source = iota
	// FromLoad says that it was loaded in this process, by this read or by one that
	// it joined.
	FromLoad
	// FromStale says that it was in the store, and its TTL had ended. See
	// [ScopeOptions.StaleWhileRevalidate] and [ScopeOptions.StaleIfError].
	FromStale
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
	default:
		return "unknown"
	}
}

// Result is a value with what there is to know about it.
type Result[T any] struct {
	Value T
	// Source is where the value comes from.
	Source Source
	// Age is how long ago a load returned the value, or the source said that it is
	// still right; 0 if the store does not know.
	Age time.Duration
	// Err is why a stale value was served that StaleIfError has kept: the error of
	// the load, of this read or of the last one that failed, or [ErrStillLoading].
	// It is nil for all other values.
	Err error

	_ struct{}
}

// WrapResult is [Wrap] for callers who want to know where the value comes from,
// and how old it is. With an error there is no value.
func WrapResult[T any](ctx context.Context, s *CachedScope, key string, load func(context.Context) (T, error), options ...CallOption) (Result[T], error) {
	lives, err := checkRead(ctx, s, key, load != nil, options)
	if err != nil {
		return Result[T]{}, err
	}
	stored := s.flights.stored.Load()
	entry, found := s.get(ctx, key)
	return newRead(s, key, stored, load, lives).answer(ctx, &entry, found)
}

// WrapManyResult is [WrapMany] for callers who want to know where each value comes
// from, and how old it is.
func WrapManyResult[ID comparable, T any](ctx context.Context, s *CachedScope, ids []ID, key func(ID) string, load func(context.Context, []ID) (map[ID]T, error), options ...CallOption) (map[ID]Result[T], error) {
	lives, err := checkReadMany(ctx, s, key != nil, load != nil, options)
	if err != nil {
		return map[ID]Result[T]{}, err
	}
	r, err := newBulk(s, ids, key, load)
	if err != nil || len(r.ids) == 0 {
		return map[ID]Result[T]{}, err
	}
	r.results = make(map[ID]Result[T], len(r.ids))
	err = r.read(ctx, lives)
	return r.results, err
}
