package readthrough

import (
	"context"
	"time"
)

// Observer is what a cache calls to tell what it does, for metrics and traces: a set of functions, each
// of which may be nil and then costs nothing. The zero value observes nothing. For counts, [Stats] are
// cheaper: they cost no call.
//
// The functions are called from the goroutines that do the work, so they must be safe for concurrent use
// and should not block. They may use the cache, but must not close it. A panic in one of them is
// reported to [Options.OnError] and goes no further.
type Observer struct {
	// Hit: the store has answered Count keys. ctx is the reader's, as for Miss, Join and Stale. It is the
	// one function on the path of every hit: leave it nil unless each hit has to be seen.
	Hit func(ctx context.Context, event Event)
	// Miss: the store has not answered Count keys.
	Miss func(ctx context.Context, event Event)
	// Join: Count of the keys that missed were being loaded already, and the reader waits for that.
	Join func(ctx context.Context, event Event)
	// Stale: Count stale values were served; because of Err, if that is not nil.
	Stale func(ctx context.Context, event Event)

	// LoadStart: a load function is about to be run for Count keys. The load function gets the context
	// that LoadStart returns, which must come from ctx: with a span in it, for example. ctx has the values
	// of the first reader's context. With Refresh, the load runs in the background, for no reader.
	LoadStart func(ctx context.Context, event Event) context.Context
	// LoadEnd: the load function has returned after Duration, with Err. It is called after the readers
	// were woken, with the context that LoadStart has returned, like RefusedFill.
	LoadEnd func(ctx context.Context, event Event)
	// RefusedFill: Count loaded values were not stored, because an invalidation came during the load.
	RefusedFill func(ctx context.Context, event Event)

	// Invalidate: an invalidation of Count keys and prefixes has ended after Duration. With Err it is
	// pending. ctx has the values of the caller's context.
	Invalidate func(ctx context.Context, event Event)
	// Recovered: the store has confirmed Count invalidations that were pending. ctx has the values of the
	// context of the first of them.
	Recovered func(ctx context.Context, event Event)

	// Error: the error was told to OnError.
	Error func(ctx context.Context, err *OpError)

	_ struct{}
}

// Event is something that a cache did.
type Event struct {
	// Scope is the name of the scope.
	Scope string
	// Key is the key or prefix; empty if the event is about several.
	Key string
	// Count is the number of keys, or of keys and prefixes.
	Count int
	// Duration is how long it took; 0 for events that take no time.
	Duration time.Duration
	// Refresh says of a load that it replaces what is stored, in the background.
	Refresh bool
	// Err is the error of a load, or why an invalidation is pending, or why a stale value was served.
	Err error

	_ struct{}
}
