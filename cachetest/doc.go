// Package cachetest checks, in tests of code that uses a cache, that the cache keeps
// the two guarantees of this library. It works with any cache.
//
//   - No stale read: a read that begins after an invalidation returned never gets a
//     value that was loaded before the invalidation began.
//   - No stale fill: no such value is stored any more.
//
// # History
//
// A [History] records what the callers of a cache do and what they get. A [Source]
// stands for the database: it numbers the versions of its keys, so every value shows
// how old it is.
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
// The check is exact. Every step has a place in one order, and the version of a value
// is the place of its commit. A read of version v is stale if a later version had
// committed before an invalidation of the key began, and that invalidation had
// returned nil before the read began. A read that overlaps the invalidation may
// return either version.
//
// A consistent history proves nothing about schedules that did not happen.
// [Report.Bound] is the number of reads that could have been stale. A useful test has
// many callers, slow loads ([Source.Pause]) and few keys.
//
// # Chaos
//
// [NewChaos] injects faults between a cache and its store: errors, delays, hangs,
// lost replies, late and duplicated requests, partial batches, evictions and damaged
// entries. Each fault has a probability; a seed determines them.
//
// # Time
//
// This package has no fake clock, because package testing/synctest has one. In a
// bubble, time stands still while a goroutine runs and advances when all wait. Delays
// then cost nothing, and TTLs end at the exact nanosecond:
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
// Make the store, the cache, the History and the Chaos inside the bubble, and close
// there what has a Close. [Chaos.Close] ends all goroutines of the Chaos.
package cachetest
