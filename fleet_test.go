package readthrough_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		for how, options := range historyOptions() {
			t.Run(name+how, func(t *testing.T) {
				seed := pickSeed(t)
				synctest.Test(t, func(t *testing.T) {
					server := newLeaseServer()
					var processes []subject
					var scopes []*readthrough.CachedScope
					for range 3 {
						scope := newProcess(t, &leaseStore{server, networks[name]}, options)
						scopes = append(scopes, scope)
						processes = append(processes, &fleetProcess{ours{scope: scope}, server})
					}
					h := newHistory(seed, processes...)
					h.run(opsOf(how) / 2)
					h.verify(t, options, scopes...)
				})
			})
		}
	}
}

// newProcess returns a scope of a cache of its own on store.
func newProcess(t *testing.T, store provider.CacheProvider, options readthrough.ScopeOptions) *readthrough.CachedScope {
	t.Helper()
	cache, err := readthrough.New(store, readthrough.Options{OnError: func(readthrough.Op, string, string, error) {}})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, cache.Close())
	})
	scope, err := cache.Scope("history", options)
	require.NoError(t, err)
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
