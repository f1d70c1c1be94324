package redisprovider_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// refusing are servers that are well and refuse to store anything. NOREPLICAS and
// MISCONF refuse removals too, and NOPERM to tell of them; these are then pending.
var refusing = map[string]struct {
	refuse func(ctx context.Context, client *redis.Client) error
	as     error
	remove bool // removals are carried out
}{
	"OOM": {func(ctx context.Context, client *redis.Client) error {
		return client.ConfigSet(ctx, "maxmemory", "1").Err()
	}, provider.ErrRefused, true},
	"NOPERM": {func(ctx context.Context, client *redis.Client) error {
		return client.Do(ctx, "acl", "setuser", "default", "-evalsha").Err()
	}, provider.ErrRefused, false}, // it cannot know whether there are near caches to tell
	"NOREPLICAS": {func(ctx context.Context, client *redis.Client) error {
		return client.ConfigSet(ctx, "min-replicas-to-write", "1").Err()
	}, provider.ErrRefused, false},
	"READONLY": {func(ctx context.Context, client *redis.Client) error {
		return client.ReplicaOf(ctx, "127.0.0.1", "1").Err()
	}, provider.ErrReadOnly, false},
}

// An error of a server that refuses to store says so, on every path that stores.
func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	for name, server := range refusing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, client, _ := newOnServer(t, redisprovider.Options{})
			key := provider.Key{Scope: "s", Name: "k"}
			granted, err := p.Acquire(t.Context(), []provider.Key{{Scope: "s", Name: "leased"}}, time.Minute)
			require.NoError(t, err)
			require.NoError(t, server.refuse(t.Context(), client))
			assert.ErrorIs(t, p.Set(t.Context(), key, provider.Entry{Value: "v"}, time.Minute), server.as, "Set")
			_, err = p.Acquire(t.Context(), []provider.Key{key}, time.Minute)
			assert.ErrorIs(t, err, server.as, "Acquire")
			_, err = p.Refresh(t.Context(), []provider.RefreshRequest{{Key: key, Force: true}}, time.Minute)
			assert.ErrorIs(t, err, server.as, "Refresh")
			_, err = p.Fill(t.Context(), []provider.Fill{{Lease: granted[0].Lease, Entry: provider.Entry{Value: "v"}, TTL: time.Minute}})
			assert.ErrorIs(t, err, server.as, "Fill")
			if name != "OOM" { // a script that has removed something may store something
				assert.ErrorIs(t, p.Hold(t.Context(), provider.HoldTargets{Scope: "s", Keys: []string{"k"}}, "token", time.Minute), server.as, "Hold")
			}
			if err := p.Delete(t.Context(), key); server.remove {
				assert.NoError(t, err, "Delete")
			} else {
				assert.ErrorIs(t, err, server.as, "Delete")
			}
			_, _, err = p.Get(t.Context(), key)
			if server.as == provider.ErrReadOnly { //nolint:errorlint // the table has the very error
				assert.ErrorIs(t, err, server.as, "a read, after the replica has said so")
			} else {
				assert.NoError(t, err, "a read")
			}
		})
	}
}

// A server that refuses to store is read from: the keys that it has are not loaded. A
// replica is not read from: it does not have what others have removed.
func TestReadsGoOnWhileWritesAreRefused(t *testing.T) {
	t.Parallel()
	for name, server := range refusing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, client, _ := newOnServer(t, redisprovider.Options{})
			cache, err := readthrough.New(p, readthrough.Options{
				ProviderTimeout: 10 * time.Second, BreakerCooldown: time.Hour, OnError: func(*readthrough.OpError) {},
			})
			require.NoError(t, err)
			defer cache.Close()
			scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour})
			require.NoError(t, err)
			read := func(key string) readthrough.Source {
				t.Helper()
				r, err := readthrough.WrapResult(t.Context(), scope, key, func(context.Context) (string, error) { return "v", nil })
				require.NoError(t, err)
				require.Equal(t, "v", r.Value)
				return r.Source
			}
			read("hot")
			require.NoError(t, server.refuse(t.Context(), client))
			for i := range 20 { // more than open a breaker
				require.Equal(t, readthrough.FromLoad, read(fmt.Sprint("cold ", i)))
			}
			want := readthrough.FromStore
			if server.as == provider.ErrReadOnly { //nolint:errorlint // the table has the very error
				want = readthrough.FromLoad
			}
			for range 20 {
				require.Equal(t, want, read("hot"))
			}
		})
	}
}

// Words in an entry or a key do not make a refusal of another error.
func TestOtherErrorsAreNoRefusals(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	key := provider.Key{Scope: "s", Name: "READONLY OOM NOPERM " + strings.Repeat("x", 10)}
	require.NoError(t, p.Set(t.Context(), key, provider.Entry{Value: "v"}, time.Minute))
	keys, err := client.Keys(t.Context(), "*READONLY*").Result()
	require.NoError(t, err)
	for _, name := range keys {
		require.NoError(t, client.Del(t.Context(), name).Err())
		require.NoError(t, client.LPush(t.Context(), name, "no string").Err())
	}
	_, _, err = p.Get(t.Context(), key)
	require.ErrorIs(t, err, provider.ErrUndecodable)
	assert.NotErrorIs(t, err, provider.ErrReadOnly)
	assert.NotErrorIs(t, err, provider.ErrRefused)
}
