package readthrough_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// processOn returns a scope in a process of its own that shares a server.
func processOn(t *testing.T, server *leaseServer, options readthrough.ScopeOptions) *readthrough.CachedScope {
	t.Helper()
	cache, err := readthrough.New(&leaseStore{server, &network{}}, readthrough.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = cache.Close() })
	options.TTL, options.Jitter = 10*time.Second, -1
	scope, err := cache.Scope("fleet", options)
	require.NoError(t, err)
	return scope
}

// During a deploy, two processes have different options. An entry that one of them keeps and the other
// may not serve is replaced like any other: its reader waits for nobody, and what it loads is stored.
func TestEntryThatAnotherProcessKeepsIsReplaced(t *testing.T) {
	keeps := map[string]readthrough.ScopeOptions{
		"nothing":              {},
		"StaleIfError":         {StaleIfError: time.Hour},
		"StaleWhileRevalidate": {StaleWhileRevalidate: time.Hour},
		"RefreshAheadFactor":   {RefreshAheadFactor: 0.5},
	}
	for before, old := range keeps {
		for after, young := range keeps {
			for way, read := range resultReads[int]() {
				bubble(t, before+" to "+after+", "+way, func(t *testing.T) {
					server := newLeaseServer()
					first, second := processOn(t, server, old), processOn(t, server, young)
					load := func(value int) func(context.Context) (int, error) {
						return func(context.Context) (int, error) { return value, nil }
					}
					_, err := read(t.Context(), first, "k", load(1))
					require.NoError(t, err)
					time.Sleep(time.Minute) // the TTL is over; what is served stale depends on the process
					began := time.Now()
					_, err = read(t.Context(), second, "k", load(2))
					require.NoError(t, err)
					synctest.Wait()
					assert.Zero(t, time.Since(began), "the read has waited")
					got, err := read(t.Context(), second, "k", load(3))
					require.NoError(t, err)
					assert.Equal(t, 2, got.Value, "what was loaded was not stored")
					assert.Equal(t, readthrough.FromStore, got.Source)
					got, err = read(t.Context(), first, "k", load(4))
					require.NoError(t, err)
					assert.Equal(t, 2, got.Value, "the other process")
					wantIdle(t, first)
					wantIdle(t, second)
				})
			}
		}
	}
}
