// Package providertest is the conformance suite of package provider. It checks
// that a store keeps every promise that [provider.CacheProvider] and the
// optional capabilities make, so that a cache on it keeps its own.
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
// Every case is a subtest named "group/case", runs on a fresh store, and when it
// fails says which rule was broken, why a cache needs that rule, and where in
// this package the case stands.
//
// Capabilities are found by type assertion, as the cache finds them. The cases
// of a capability that the store lacks are skipped and say so.
//
// A store given to the suite is empty, shares nothing with the other stores that
// the same function returned, and has room for 10,000 entries with small values;
// a store that is bounded by weight should have room for 64 MiB. It may refuse
// large values, as the contract permits.
package providertest

import (
	"testing"
	"testing/synctest"

	"github.com/readthrough/readthrough/provider"
)

// Run checks the store that newProvider returns, in real time. It calls
// newProvider once for each case, with the t of the case's subtest; newProvider
// cleans up with [testing.T.Cleanup]. Run uses no parallel subtests.
//
// Cases that wait for entries to expire take a few seconds together. A store
// whose clock does not run by itself, such as a fake server, is no use here
// unless newProvider makes it run.
func Run(t *testing.T, newProvider func(t *testing.T) provider.CacheProvider) {
	t.Helper()
	runGroups(t, func(t *testing.T, c testCase) string {
		t.Helper()
		return runCase(t, newProvider(t), c, realTime)
	})
}

// RunSynctest checks the store that newProvider returns as [Run] does, but each
// case runs in a bubble of package [testing/synctest], where nothing waits and
// every TTL is checked to the nanosecond. It is meant for stores that live in
// the process. newProvider is called inside the bubble: goroutines and timers
// that a store starts must be made there, and must have ended when the functions
// given to [testing.T.Cleanup] have returned.
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

// runGroups runs each case of each group as a subtest, and skips it if run returns
// a reason.
func runGroups(t *testing.T, run func(t *testing.T, c testCase) (skipped string)) {
	t.Helper()
	for _, g := range groups() {
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
