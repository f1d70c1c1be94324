// Package providertest is the conformance suite of package provider. It checks
// that a store keeps every promise of [provider.CacheProvider] and of its
// optional capabilities. A cache on such a store can keep its own promises.
//
// The author of a store calls it from a test:
//
//	func TestConformance(t *testing.T) {
//		providertest.Run(t, func(t *testing.T) provider.CacheProvider {
//			store, err := mystore.New(mystore.Options{})
//			if err != nil {
//				t.Fatal(err)
//			}
//			t.Cleanup(func() { _ = store.Close() })
//			return store
//		})
//	}
//
// Every case is a subtest with a name of the form "group/case" and runs on a
// fresh store. A failure shows the broken rule, why a cache needs it, and the
// position of the case in this package.
//
// A store that processes share, and that tells them what was removed, has a second
// suite: [RunShared] checks what two processes see of it.
//
// The suite finds capabilities by type assertion, as the cache does. It skips
// the cases of a capability that the store lacks, and says so.
//
// A store under test must be empty, share nothing with other stores of the same
// function, and have room for 10,000 entries with small values. A store that is
// bounded by weight should have room for 64 MiB. It may refuse large values, as
// the contract permits.
package providertest

import (
	"testing"
	"testing/synctest"

	"github.com/readthrough/readthrough/provider"
)

// Run checks the store that newProvider returns, in real time. It calls
// newProvider once per case, with the t of the case's subtest; newProvider
// cleans up with [testing.T.Cleanup]. Run uses no parallel subtests.
//
// Cases that wait for entries to expire take a few seconds in total. If the
// clock of the store does not run by itself, as in a fake server, newProvider
// has to advance it.
func Run(t *testing.T, newProvider func(t *testing.T) provider.CacheProvider) {
	t.Helper()
	runGroups(t, func(t *testing.T, c testCase) string {
		t.Helper()
		return runCase(t, newProvider(t), c, realTime)
	})
}

// RunSynctest is [Run], but each case runs in a bubble of package
// [testing/synctest]: nothing waits in real time, and every TTL is checked to
// the nanosecond. It is meant for stores in the process. RunSynctest calls
// newProvider inside the bubble. The goroutines and timers of a store must be
// made there, and must have ended when the functions given to
// [testing.T.Cleanup] have returned.
func RunSynctest(t *testing.T, newProvider func(t *testing.T) provider.CacheProvider) {
	t.Helper()
	runGroups(t, func(t *testing.T, c testCase) (skipped string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			t.Helper()
			skipped = runCase(t, newProvider(t), c, exactTime)
		})
		return skipped
	})
}

// runGroups runs each case of each group as a subtest, and skips it if run
// returns a reason.
func runGroups(t *testing.T, run func(t *testing.T, c testCase) (skipped string)) {
	t.Helper()
	runThese(t, groups(), run)
}

func runThese(t *testing.T, groups []group, run func(t *testing.T, c testCase) (skipped string)) {
	t.Helper()
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) {
					t.Helper()
					if reason := run(t, c); reason != "" {
						t.Skip(reason)
					}
				})
			}
		})
	}
}
