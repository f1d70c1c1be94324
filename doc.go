// Package readthrough is a read-through cache that is put around the repository
// methods that a service already has.
//
//	store, err := memory.New(memory.Options{})
//	cache, err := readthrough.New(store, readthrough.Options{})
//	scope, err := cache.Scope("maintenance", readthrough.ScopeOptions{TTL: 15 * time.Second})
//
//	getMaintenance := readthrough.Memoize(scope, maintenanceKey, repo.Get)
//
// From then on a value is read from the store, a cold key is loaded once however
// many ask for it, and bulk reads are cached for each entity. Every change of the
// source is followed by an invalidation, which is waited for, and only then does
// anybody hear of it: write, invalidate, emit. [Mutate] keeps that order.
//
// # What is promised
//
// No stale read: a read that begins after an invalidation returned never gets a
// value that was loaded before the invalidation began, neither from the store nor
// from a load that was under way. And no stale fill: such a value is not stored
// any more, nor is it ever again.
//
// With the memory store this holds for every goroutine of the process. With a
// store that has leases, as redisprovider does, it holds for every process that
// shares it, and docs/consistency.md says what remains of it under which fault.
// With another store that processes share it holds for the invalidations and the
// reads of each process by itself: a process that is loading a value while
// another one invalidates it may store the old value, for at most the TTL.
//
// A store that fails, hangs, or returns what cannot be decoded never fails a
// read. An invalidation that the store does not confirm is never forgotten: see
// [ErrInvalidationPending].
//
// Not promised is anything about writers that do not invalidate, and about load
// functions that read from a replica which lags behind.
package readthrough
