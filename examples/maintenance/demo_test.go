package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/examples/internal/postgres"
	"github.com/readthrough/readthrough/examples/maintenance/internal/tour"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// The demo keeps its promises, on each kind of store and database.
func TestDemo(t *testing.T) { //nolint:tparallel // one part sets the environment
	t.Run("memory", func(t *testing.T) {
		if !*update { // what is recorded has the machine for itself
			t.Parallel()
		}
		var stdout, stderr bytes.Buffer
		args := []string{"-demo"}
		if !*update { // what is recorded is what a user gets
			args = append(args, "-latency", "5ms")
		}
		code := run(t.Context(), args, &stdout, &stderr)
		require.Zero(t, code, "exit code; it said\n%s%s", &stdout, &stderr)
		require.Contains(t, stdout.String(), kept, "it complained:\n%s", &stderr)
		if redistest.Installed() {
			checkRecorded(t, stdout.String())
		}
	})
	t.Run("no redis-server", func(t *testing.T) {
		t.Setenv("PATH", "")
		var stdout bytes.Buffer
		c := config{latency: 2 * time.Millisecond, tour: tour.Options{Readers: 50, Rounds: 4}}
		err := runDemo(t.Context(), c, &stdout)
		assert.NoError(t, err, "ended\n%s", &stdout)
		assert.Contains(t, stdout.String(), "left out")
		assert.Contains(t, stdout.String(), kept)
	})
	for name, configure := range map[string]func(t *testing.T, c *config){
		"file": func(t *testing.T, c *config) {
			t.Helper()
			c.database = filepath.Join(t.TempDir(), "maintenance.db")
		},
		"redis": func(t *testing.T, c *config) {
			t.Helper()
			c.redisURL = "redis://" + redistest.Start(t, redistest.Options{}).Addr()
		},
		"postgres": func(t *testing.T, c *config) {
			t.Helper()
			c.database = startPostgres(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config{latency: 2 * time.Millisecond, tour: tour.Options{Readers: 100, Rounds: 10}}
			configure(t, &c)
			var stdout bytes.Buffer
			assert.NoError(t, runDemo(t.Context(), c, &stdout), "ended\n%s", &stdout)
			assert.Contains(t, stdout.String(), kept)
		})
	}
}

// startPostgres starts a PostgreSQL server and returns its URL.
func startPostgres(t *testing.T) string {
	t.Helper()
	server, err := postgres.Start(t.Context())
	if errors.Is(err, postgres.ErrNotInstalled) {
		require.NotEqual(t, "1", os.Getenv("READTHROUGH_REQUIRE_POSTGRES"), "READTHROUGH_REQUIRE_POSTGRES=1: %v", err)
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, server.Stop())
	})
	return server.URL()
}

// kept is what the demo says when it is content.
const kept = "Every promise was kept."

// takeTour takes a short tour of a service on the store that wrap makes of one
// in memory, and returns what it printed.
func takeTour(t *testing.T, wrap func(provider.CacheProvider) provider.CacheProvider) (string, error) {
	t.Helper()
	c := config{
		latency: 2 * time.Millisecond, storeTimeout: demoStoreTimeout, tour: tour.Options{Readers: 50, Rounds: 5},
	}
	a := &app{}
	database, err := a.openDatabase(t.Context(), c)
	require.NoError(t, err)
	entries, err := memory.New(memory.Options{})
	require.NoError(t, err)
	require.NoError(t, a.connect(t.Context(), c, database, store{CacheProvider: wrap(entries), kind: "memory"}))
	var out bytes.Buffer
	err = a.demo(t.Context(), c, &out)
	assert.NoError(t, errors.Join(a.close(), entries.Close()))
	return out.String(), err
}

// forgetful is a store that does not delete some of what it is told to: what the
// service is left with is a mutation that skips a part of its invalidation.
type forgetful struct {
	provider.CacheProvider

	// key reports whether to forget the key at the given place of those to be
	// deleted. nil forgets none.
	key func(i int, names []string) bool
	// prefixes says to forget the prefixes.
	prefixes bool
}

func (f forgetful) Delete(ctx context.Context, keys ...provider.Key) error {
	if f.key == nil {
		return f.CacheProvider.Delete(ctx, keys...)
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = key.Name
	}
	var kept []provider.Key
	for i, key := range keys {
		if !f.key(i, names) {
			kept = append(kept, key)
		}
	}
	return f.CacheProvider.Delete(ctx, kept...)
}

func (f forgetful) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	if f.prefixes {
		return 0, nil
	}
	return f.CacheProvider.DeletePrefix(ctx, scope, prefix)
}

// noAbsences is a store that keeps no absences.
type noAbsences struct{ provider.CacheProvider }

func (n noAbsences) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	if entry.Absent {
		return nil
	}
	return n.CacheProvider.Set(ctx, key, entry, ttl)
}

// late is a store that is done with a deletion only after it has said so, when the
// tour is over: what the service is left with is an invalidation that it does not
// wait for.
type late struct{ provider.CacheProvider }

func (l late) Delete(ctx context.Context, keys ...provider.Key) error {
	ctx = context.WithoutCancel(ctx)
	time.AfterFunc(2*patience, func() { _ = l.CacheProvider.Delete(ctx, keys...) })
	return nil
}

// A service that breaks a promise does not get through the tour.
func TestDemoFindsBrokenPromises(t *testing.T) {
	forget := func(key func(i int, names []string) bool) func(provider.CacheProvider) provider.CacheProvider {
		return func(s provider.CacheProvider) provider.CacheProvider { return forgetful{s, key, false} }
	}
	system := func(name string) bool { return strings.HasPrefix(name, "system:") }
	for name, test := range map[string]struct {
		station string // where it is found; empty: that depends
		wrap    func(provider.CacheProvider) provider.CacheProvider
	}{
		"no invalidation": {"bulk", func(s provider.CacheProvider) provider.CacheProvider {
			return forgetful{s, func(int, []string) bool { return true }, true}
		}},
		"maintenances": {"absence", forget(func(i int, names []string) bool { return !system(names[i]) })},
		"systems":      {"bulk", forget(func(i int, names []string) bool { return system(names[i]) })},
		// A change that deletes three keys is of a maintenance that has two systems,
		// or moved from one to another.
		"the first of two systems":  {"moves", forget(func(i int, names []string) bool { return len(names) == 3 && i == 1 })},
		"the second of two systems": {"moves", forget(func(i int, names []string) bool { return len(names) == 3 && i == 2 })},
		// More than ten are of the tour's own maintenance, which has all systems.
		"one maintenance":     {"signals", forget(func(i int, names []string) bool { return len(names) > 10 && i == 0 })},
		"one of many systems": {"signals", forget(func(i int, names []string) bool { return len(names) > 10 && i == 1 })},
		"lists":               {"lists", func(s provider.CacheProvider) provider.CacheProvider { return forgetful{s, nil, true} }},
		"not waited for":      {"bulk", func(s provider.CacheProvider) provider.CacheProvider { return late{s} }},
		// How many of the stampede share a load is then a matter of timing.
		"nothing is cached":    {"", func(provider.CacheProvider) provider.CacheProvider { return provider.Null() }},
		"no absence is cached": {"bulk", func(s provider.CacheProvider) provider.CacheProvider { return noAbsences{s} }},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := takeTour(t, test.wrap)
			require.ErrorIs(t, err, tour.ErrBroken, "the tour ended\n%s", out)
			assert.True(t, strings.HasPrefix(err.Error(), test.station), "found at another station than %s: %v", test.station, err)
		})
	}
	t.Run("none", func(t *testing.T) {
		out, err := takeTour(t, forget(nil))
		assert.NoError(t, err, "the tour ended\n%s", out)
	})
}

// plain is a store that can do no more than every store: it has no leases.
type plain struct{ provider.CacheProvider }

// startPlain starts a service on a plain store and returns its URL.
func startPlain(t *testing.T, c config) string {
	t.Helper()
	a := &app{}
	database, err := a.openDatabase(t.Context(), c)
	require.NoError(t, err)
	s, err := a.openStore(t.Context(), c, database.ID())
	require.NoError(t, err)
	s.CacheProvider = plain{s.CacheProvider}
	require.NoError(t, a.connect(t.Context(), c, database, s))
	return serve(t, a)
}

// Two processes that are not coherent do not get through their tour either.
func TestDemoFindsIncoherentProcesses(t *testing.T) {
	for name, test := range map[string]struct {
		station string // where it is found
		redis   bool
	}{
		"a cache each": {"sharing", false},
		"no leases":    {"stampede", true},
	} {
		t.Run(name, func(t *testing.T) {
			c := config{
				database: filepath.Join(t.TempDir(), "maintenance.db"),
				latency:  20 * time.Millisecond, storeTimeout: demoStoreTimeout,
			}
			if test.redis {
				c.redisURL = "redis://" + redistest.Start(t, redistest.Options{}).Addr()
			}
			one, other := startPlain(t, c), startPlain(t, c)
			err := tour.RunTwo(t.Context(), one, other, func(string) {}, tour.Options{Readers: 50, Rounds: 4})
			if assert.ErrorIs(t, err, tour.ErrBroken, "a promise broken at %s", test.station) {
				assert.True(t, strings.HasPrefix(err.Error(), test.station), "a promise broken at %s: %v", test.station, err)
			}
		})
	}
}

// deaf is Redis for a near cache that hears of removals by other processes later, or never, and trusts its
// memory all the same.
type deaf struct {
	*redisprovider.Provider

	hears time.Duration // how much later; 0: never
}

func (d deaf) Join(options provider.JoinOptions, listener provider.Listener) (provider.Membership, error) {
	options.Strict, options.Window = false, time.Minute
	return d.Provider.Join(options, deafListener{listener, d.hears})
}

type deafListener struct {
	provider.Listener

	hears time.Duration
}

func (d deafListener) Removed(removed provider.Removed) {
	if d.hears > 0 {
		time.AfterFunc(d.hears, func() { d.Listener.Removed(removed) })
	}
}

// startNear starts a service with a near cache on what wrap makes of its Redis, and returns its URL.
func startNear(t *testing.T, c config, mode nearflag.Mode, wrap func(*redisprovider.Provider) provider.CacheProvider) string {
	t.Helper()
	a := &app{}
	database, err := a.openDatabase(t.Context(), c)
	require.NoError(t, err)
	s, err := a.openStore(t.Context(), c, database.ID())
	require.NoError(t, err)
	far, ok := s.CacheProvider.(*redisprovider.Provider)
	require.True(t, ok)
	s.near, err = mode.Open(wrap(far))
	require.NoError(t, err)
	s.CacheProvider = s.near
	require.NoError(t, a.connect(t.Context(), c, database, s))
	return serve(t, a)
}

// The tour of near caches passes both modes, and finds memories that do not keep what theirs promises.
func TestDemoOfNearCaches(t *testing.T) {
	for name, test := range map[string]struct {
		mode    nearflag.Mode
		wrap    func(*redisprovider.Provider) provider.CacheProvider
		station string // where it is found; "": it is right
	}{
		"bounded":                 {mode: nearflag.Bounded},
		"strict":                  {mode: nearflag.Strict},
		"bounded, never told":     {nearflag.Bounded, func(p *redisprovider.Provider) provider.CacheProvider { return deaf{p, 0} }, "both ways"},
		"strict, told afterwards": {nearflag.Strict, func(p *redisprovider.Provider) provider.CacheProvider { return deaf{p, 2 * time.Second} }, "both ways"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config{
				database: filepath.Join(t.TempDir(), "maintenance.db"), storeTimeout: demoStoreTimeout,
				redisURL: "redis://" + redistest.StartReal(t, redistest.Options{}).Addr(),
			}
			if test.wrap == nil {
				test.wrap = func(p *redisprovider.Provider) provider.CacheProvider { return p }
			}
			one, other := startNear(t, c, test.mode, test.wrap), startNear(t, c, test.mode, test.wrap)
			var report []string
			err := tour.RunNear(t.Context(), one, other, test.mode.Window(), func(line string) { report = append(report, line) }, tour.Options{Rounds: 4})
			if test.station == "" {
				require.NoError(t, err, "after %q", report)
				return
			}
			require.ErrorIs(t, err, tour.ErrBroken, "after %q", report)
			assert.True(t, strings.HasPrefix(err.Error(), test.station), "a promise broken at %s: %v", test.station, err)
		})
	}
}
