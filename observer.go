package readthrough

import (
	"context"
	"time"
)

// Observer is what a cache calls to tell what it does, for metrics and traces. It is a set of
// functions. Each of them may be nil, and then costs nothing. The zero value observes nothing. For
// counts, [Stats] are cheaper: they cost no call.
//
// The functions must be safe for concurrent use, and should not block: the work of which they are told
// waits for them. They may use the cache, and close it. A panic or a [runtime.Goexit] of one of them is
// reported to [Options.OnError] and goes no further. Hit, Miss, Join, Waited, Stale and those of Mutate are called in the
// goroutine of the reader, which a Goexit ends; the others in goroutines of the cache.
//
// What happens in a load is told after its readers were woken, so it may arrive after they have
// returned. LoadStart is told before. There is no order between events of different goroutines. While
// the cache is being closed, a retry does not wait for the functions that it tells.
type Observer struct {
	// Hit: the store has answered Count keys. ctx is that of the reader, as for Miss, Join and
	// Stale. Hit is on the path of every hit: leave it nil unless each hit has to be seen.
	Hit func(ctx context.Context, event Event)
	// Miss: the store has not answered Count keys.
	Miss func(ctx context.Context, event Event)
	// Join: Count of the keys that missed were being loaded already, and the reader waits for those
	// loads.
	Join func(ctx context.Context, event Event)
	// Waited: the reader has waited for a load that others began, and the load has ended. Count is the
	// number of its keys, Began and Duration say when it joined and for how long it waited, and Load is the
	// context of that load, as LoadEnd gets it: a trace of the reader can refer to the trace that did the work.
	// It is not told if the reader has left before.
	Waited func(ctx context.Context, event Event)
	// Stale: Count stale values were served. Err is the error that they replace; nil for
	// StaleWhileRevalidate.
	Stale func(ctx context.Context, event Event)

	// LoadStart: a load function is about to be run for Count keys. ctx has the values of the first
	// reader's context. The load function gets the context that LoadStart returns, for example one
	// with a span. It must come from ctx; nil means ctx. With Refresh, the load runs in the
	// background, for no reader.
	LoadStart func(ctx context.Context, event Event) context.Context
	// LoadEnd: the load function has returned after Duration, with Err. Its ctx is the one that
	// LoadStart has returned, as for RefusedFill.
	LoadEnd func(ctx context.Context, event Event)
	// RefusedFill: Count loaded values were not stored, because an invalidation came during the
	// load. Values whose leases had ended are counted in [Stats.LostLeases].
	RefusedFill func(ctx context.Context, event Event)

	// MutateStart: [Mutate] is about to hold what has to be held, and then to write. Count is the number of
	// Targets and Hold. The write, the invalidation and the emission get the context that it returns; it must
	// come from ctx, and nil means ctx.
	MutateStart func(ctx context.Context, event Event) context.Context
	// MutateEnd: Mutate is about to return Err after Duration. ctx is the one that MutateStart has returned.
	MutateEnd func(ctx context.Context, event Event)

	// Store: the store was asked to do Op to Count keys and prefixes, which took Duration since Began, and has
	// answered with Err. Op is acquire, fill, release, set, delete, deletePrefix, hold or unhold. Requests that
	// a hit makes are not told. One event may be several requests in parts. It is told when the work that it
	// belongs to is over: a load, an invalidation, a mutation. ctx has the values of its caller's context.
	Store func(ctx context.Context, event Event)

	// Invalidate: an invalidation of Count keys and prefixes has ended after Duration. If Err is
	// not nil, some of them are pending. ctx has the values of the caller's context.
	Invalidate func(ctx context.Context, event Event)
	// Recovered: the store has confirmed Count invalidations that were pending. ctx has the values
	// of the context of the invalidation that started the retries.
	Recovered func(ctx context.Context, event Event)

	// SampledStale: a sample ([ScopeOptions.SampleOneIn]) has found that the value of Key is stale. Duration
	// is how long ago the value was loaded. OnError is told, too.
	SampledStale func(ctx context.Context, event Event)

	// Error: err was given to OnError. Panics of the observer are not among these errors.
	Error func(ctx context.Context, err *OpError)

	_ struct{}
}

// Event is something that a cache did. Which fields are set is said at the functions of [Observer].
type Event struct {
	// Scope is the name of the scope.
	Scope string
	// Key is the key or prefix; "" if the event is about several.
	Key string
	// Count is the number of keys, or of keys and prefixes.
	Count int
	// Duration is how long it took; 0 for events without a duration.
	Duration time.Duration
	// Began is when it began; zero for events that do not say so.
	Began time.Time
	// Op is what the store was asked to do.
	Op string
	// Load is the context of a load that the reader has waited for.
	Load context.Context //nolint:containedctx // it is what the event is about
	// Refresh says that a load replaces what is stored, in the background.
	Refresh bool
	// Err is the error of a load, why an invalidation is pending, or why a stale value was served.
	Err error

	_ struct{}
}
