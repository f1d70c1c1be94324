package readthrough_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// TestFleet is TestHistory for three processes that share a store with leases,
// over networks of every kind.
func TestFleet(t *testing.T) {
	networks := map[string]*network{
		"no network":   {},
		"slow":         {delay: 2 * time.Millisecond},
		"duplicates":   {delay: time.Millisecond, duplicates: true},
		"losses":       {delay: time.Millisecond, losses: true},
		"all of these": {delay: 4 * time.Millisecond, duplicates: true, losses: true},
	}
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		t.Run(name, func(t *testing.T) {
			seed := pickSeed(t)
			synctest.Test(t, func(t *testing.T) {
				server := newLeaseServer()
				var processes []subject
				var scopes []*readthrough.CachedScope
				for range 3 {
					scope := newProcess(t, &leaseStore{server, networks[name]})
					scopes = append(scopes, scope)
					processes = append(processes, &fleetProcess{ours{scope: scope}, server})
				}
				h := newHistory(seed, processes...)
				h.run(historyOps / 2)
				for _, violation := range h.violations {
					t.Error(violation)
				}
				for _, scope := range scopes {
					stats := scope.Stats()
					t.Logf("%d hits, %d misses, %d joined, %d loads, %d fills refused", stats.Hits, stats.Misses, stats.Joined, stats.Loads, stats.RefusedFills)
					if stats.Joined == 0 || stats.RefusedFills == 0 || stats.Hits == 0 {
						t.Error("the history has no joined reads, refused fills or hits: it proves little")
					}
					if stats.InFlight != 0 || stats.Pending != 0 {
						t.Errorf("left behind: %d in flight, %d pending", stats.InFlight, stats.Pending)
					}
				}
			})
		})
	}
}

// newProcess returns a scope of a cache of its own on store.
func newProcess(t *testing.T, store provider.CacheProvider) *readthrough.CachedScope {
	t.Helper()
	cache, err := readthrough.New(store, readthrough.Options{OnError: func(readthrough.Op, string, string, error) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cache.Close(); err != nil {
			t.Error(err)
		}
	})
	scope, err := cache.Scope("history", readthrough.ScopeOptions{TTL: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return scope
}

// fleetProcess is one of several processes as a subject.
type fleetProcess struct {
	ours

	server *leaseServer
}

func (p *fleetProcess) peek(key string) (int64, bool) {
	entry, ok := p.server.peek(provider.Key{Scope: "history", Name: key})
	if !ok {
		return 0, false
	}
	value, ok := entry.Value.(int64)
	return value, ok
}
