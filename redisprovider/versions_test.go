package redisprovider_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/redisprovider"
)

// readOldUser reads as the process of the last version does.
func readOldUser(t *testing.T, s *readthrough.CachedScope, loads *int) string {
	t.Helper()
	type user struct{ Name string }
	u, err := readthrough.Wrap(t.Context(), s, "user:1", func(context.Context) (user, error) { *loads++; return user{"Ada"}, nil })
	require.NoError(t, err)
	return u.Name
}

// TestTwoVersionsOfAStruct: processes of two versions do not read each other's entries, and invalidate them all the
// same.
func TestTwoVersionsOfAStruct(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Options{})
	scope := func() *readthrough.CachedScope {
		store, err := redisprovider.Open("redis://"+server.Addr(), redisprovider.Options{})
		require.NoError(t, err)
		cache, err := readthrough.New(store, readthrough.Options{ProviderTimeout: 5 * time.Second, OnError: func(*readthrough.OpError) {}})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, cache.Close()) })
		s, err := cache.Scope("users", readthrough.ScopeOptions{TTL: time.Hour})
		require.NoError(t, err)
		return s
	}
	type user struct {
		Name  string
		Limit int
	}
	before, after, loads := scope(), scope(), 0
	read := func(limit int) user {
		u, err := readthrough.Wrap(t.Context(), after, "user:1", func(context.Context) (user, error) { loads++; return user{"Ada", limit}, nil })
		require.NoError(t, err)
		return u
	}
	for range 2 {
		assert.Equal(t, "Ada", readOldUser(t, before, &loads))
	}
	assert.Equal(t, 1, loads, "loads of the old version")
	for range 2 {
		assert.Equal(t, user{"Ada", 100}, read(100), "the new version")
	}
	assert.Equal(t, 2, loads, "loads of the new version")
	require.NoError(t, before.Invalidate(t.Context(), "user:1"))
	assert.Equal(t, user{"Ada", 200}, read(200), "after an invalidation by the old version")
	assert.Equal(t, "Ada", readOldUser(t, before, &loads))
}

// signal is a writer that says that something was written.
type signal chan struct{}

func (s signal) Write(text []byte) (int, error) {
	select {
	case s <- struct{}{}:
	default:
	}
	return len(text), nil
}

// TestPeekAndRefreshMany are looks and bulk refreshes on a server: one round trip each, and what they bring.
func TestPeekAndRefreshMany(t *testing.T) {
	t.Parallel()
	// A second after New, the cache asks what the server allows. It warns of this policy, and asks no more.
	server := redistest.StartReal(t, redistest.Options{Args: []string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"}})
	proxy := redistest.NewProxy(t, server.Addr())
	store, err := redisprovider.Open("redis://"+proxy.Addr(), redisprovider.Options{})
	require.NoError(t, err)
	warned := make(signal, 1)
	cache, err := readthrough.New(store, readthrough.Options{ProviderTimeout: 5 * time.Second, Logger: slog.New(slog.NewTextHandler(warned, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	s, err := cache.Scope("users", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(t, err)
	names := map[int]string{1: "Ada", 2: "Bob"}
	users, err := readthrough.NewFamily(s, "user:", readthrough.Loads[int, string]{Many: func(_ context.Context, ids []int) (map[int]string, error) {
		found := make(map[int]string)
		for _, id := range ids {
			if name, ok := names[id]; ok {
				found[id] = name
			}
		}
		return found, nil
	}})
	require.NoError(t, err)
	ids := []int{1, 2, 3}
	none, err := users.PeekMany(t.Context(), ids)
	require.NoError(t, err)
	assert.Empty(t, none)
	for _, read := range []func(context.Context, []int) (map[int]string, error){users.GetMany, users.PeekMany, users.RefreshMany, users.PeekMany} {
		got, err := read(t.Context(), ids)
		require.NoError(t, err)
		assert.Equal(t, names, got)
	}
	<-warned // what follows are the trips of the read alone
	proxy.ResetCounts()
	_, err = users.PeekMany(t.Context(), ids)
	require.NoError(t, err)
	assert.Equal(t, 1, proxy.Trips(), "round trips of PeekMany")
	_, ok, err := users.Peek(t.Context(), 3)
	assert.False(t, ok)
	assert.ErrorIs(t, err, readthrough.ErrNotFound, "an absence")

	names[1] = "Ada L."
	name, ok, err := users.Peek(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, []any{"Ada", true}, []any{name, ok}, "nobody has announced the change")
	_, err = users.RefreshMany(t.Context(), ids)
	require.NoError(t, err)
	name, _, err = users.Peek(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "Ada L.", name)

	// Several scopes, one request for their keys.
	lists, err := cache.Scope("lists", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(t, err)
	proxy.ResetCounts()
	require.NoError(t, cache.Invalidate(t.Context(), users.Of(1, 2), lists.Of("list:a")))
	assert.Equal(t, 1, proxy.Count("UNLINK"), "requests that remove keys")
	none, err = users.PeekMany(t.Context(), []int{1, 2})
	require.NoError(t, err)
	assert.Empty(t, none)
}
