// Package cachetest checks that a cache keeps the two guarantees of the library,
// in tests of the code that uses it: of this cache, or of any other.
//
//   - No stale read: a read that begins after an invalidation returned never gets
//     what was loaded before the invalidation began.
//   - No stale fill: nothing of that kind is stored any more.
//
// # History
//
// A [History] records what the callers of a cache do and what they get. A
// [Source] stands for the database: it numbers the versions of its keys, so that
// every value tells how old it is.
//
//	h := cachetest.NewHistory(cachetest.Options{})
//	source := cachetest.NewSource(h)
//
//	// readers, as many and as often as you like
//	source.Read("a", func() (cachetest.Value, error) {
//		return readthrough.Wrap(ctx, scope, "a", func(ctx context.Context) (cachetest.Value, error) {
//			return source.Load(ctx, "a")
//		})
//	})
//
//	// writers
//	source.Write("a")
//	h.Invalidate("a", func() error { return scope.Invalidate(ctx, "a") })
//
//	// at the end
//	source.Sweep(func(key string) (cachetest.Value, error) { return get(ctx, key) })
//	h.Verify(t)
//
// [History.Verify] fails the test with the smallest counterexample: the load, the
// write, the invalidation and the read that prove the violation, in their order.
//
// What is checked is exact and never guesses. All that happens has a place in one
// order, and the version of a value is the place of its commit. A read of version v
// is stale if a write of a later version had committed before an invalidation of
// the key began, and the invalidation had returned nil before the read began. Reads
// that overlap the invalidation may return either version.
//
// A history that is consistent proves nothing about schedules that did not happen.
// [Report.Bound] says how many reads could have been stale at all, and a test that
// is worth something has many callers, slow loads ([Source.Pause]) and few keys.
//
// # Chaos
//
// [NewChaos] puts faults between a cache and its store: errors, delays, hangs, lost
// replies, late and duplicated requests, partial batches, evictions and damaged
// entries, each with its probability, from a seed.
//
// # Time
//
// There is no fake clock here, because package testing/synctest has one. In
// a bubble, time stands still while anything runs and jumps ahead when all wait, so
// that delays cost nothing and TTLs end at the nanosecond:
//
//	func TestUsers(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			h := cachetest.NewHistory(cachetest.Options{})
//			source := cachetest.NewSource(h)
//			source.Pause = func(context.Context) { time.Sleep(rand.N(5 * time.Millisecond)) }
//			...
//			time.Sleep(time.Hour) // is over at once
//			h.Verify(t)
//		})
//	}
//
// The store, the cache, History and Chaos are made inside the bubble, and what has
// a Close is closed there; [Chaos.Close] ends all goroutines that belong to it.
package cachetest
