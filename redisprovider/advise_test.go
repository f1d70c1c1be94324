package redisprovider_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// punctually is what Open sets.
func punctually(o *redis.Options) { o.ContextTimeoutEnabled = true }

// TestAdvise says what should be changed, nothing if all is well, and leaves nothing behind.
func TestAdvise(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	documented := []string{"resetkeys", "~rt:*", "-@all"}
	for _, command := range redisprovider.CommandsForACL {
		documented = append(documented, "+"+command)
	}
	without := func(rules []string, gone ...string) []string {
		return slices.DeleteFunc(slices.Clone(rules), func(rule string) bool { return slices.Contains(gone, rule) })
	}
	mayAsk := []string{"+acl|whoami", "+acl|dryrun"}
	for _, c := range []struct {
		name    string
		rules   []string // of the user shop; nil: the default user
		config  [2]string
		options redisprovider.Options
		about   string // "" if there is no advice
		problem string // a part of it
		do      string
	}{
		{name: "all is well"},
		{name: "the documented rules, tried", rules: documented},
		{name: "the documented rules, asked for", rules: slices.Concat(documented, mayAsk)},
		{
			name: "two commands are missing, tried", rules: without(documented, "+evalsha", "+zadd"),
			about: "permissions", problem: "+evalsha +zadd", do: "ACL SETUSER shop +evalsha +zadd",
		},
		{
			name: "two commands are missing, asked for", rules: slices.Concat(without(documented, "+evalsha", "+zadd"), mayAsk),
			about: "permissions", problem: `the user "shop" of the server lacks +evalsha +zadd: `, do: "ACL SETUSER shop +evalsha +zadd",
		},
		{
			name: "other keys, tried", rules: append(without(documented, "~rt:*"), "~other:*"),
			about: "permissions", problem: "lacks ~rt:*", do: "ACL SETUSER shop ~rt:*",
		},
		{
			name: "other keys, asked for", rules: slices.Concat(without(documented, "~rt:*"), []string{"~other:*"}, mayAsk),
			about: "permissions", problem: "lacks ~rt:*", do: "ACL SETUSER shop ~rt:*",
		},
		{
			name: "no INFO with a fence", rules: documented, options: redisprovider.Options{FenceByServer: true},
			about: "permissions", problem: "lacks +info", do: "ACL SETUSER shop +info",
		},
		{
			name: "it evicts nothing", config: [2]string{"100mb", "noeviction"},
			about: "eviction", problem: "noeviction: when the memory is full, nothing is stored", do: "CONFIG SET maxmemory-policy allkeys-lru",
		},
		{
			name: "it evicts leases first", config: [2]string{"100mb", "volatile-ttl"},
			about: "eviction", problem: "leases and holds first", do: "CONFIG SET maxmemory-policy allkeys-lru",
		},
		{name: "it evicts by LRU", config: [2]string{"100mb", "allkeys-lru"}},
		{name: "no bound", config: [2]string{"0", "noeviction"}},
		{name: "it evicts nothing, and forbids INFO", rules: documented, config: [2]string{"100mb", "noeviction"}},
		{
			name: "no replicas", options: redisprovider.Options{WaitReplicas: 1},
			about: "replicas", problem: "WaitReplicas is 1, and a master has 0 replicas: every invalidation is pending", do: "start the replicas",
		},
	} {
		if c.config[0] == "" {
			c.config = [2]string{"0", "noeviction"}
		}
		s.Do("CONFIG", "SET", "maxmemory", c.config[0])
		s.Do("CONFIG", "SET", "maxmemory-policy", c.config[1])
		user := "default"
		if c.rules != nil {
			user = "shop"
			s.Do(append([]string{"ACL", "SETUSER", user, "reset", "on", ">secret"}, c.rules...)...)
		}
		client := newServerClient(t, s.Addr(), punctually, func(o *redis.Options) {
			if c.rules != nil {
				o.Username, o.Password = user, "secret"
			}
		})
		p := newProvider(t, client, c.options)
		advice, err := p.Advise(t.Context())
		require.NoError(t, err, c.name)
		if c.about == "" {
			assert.Empty(t, advice, c.name)
		} else if assert.Len(t, advice, 1, c.name) {
			assert.Equal(t, c.about, advice[0].About, c.name)
			assert.Contains(t, advice[0].Problem, c.problem, c.name)
			assert.Contains(t, advice[0].Do, c.do, c.name)
		}
		if !strings.HasPrefix(c.name, "other keys") {
			assert.Equal(t, []any{p.MarkerKey()}, s.Do("KEYS", "*"), "%s: keys that are left", c.name)
		}
		s.Do("FLUSHALL")
	}
	client := newServerClient(t, s.Addr())
	advice, err := newProvider(t, client, redisprovider.Options{}).Advise(t.Context())
	require.NoError(t, err)
	if assert.Len(t, advice, 1, "a client without ContextTimeoutEnabled") {
		assert.Equal(t, "client", advice[0].About)
		assert.Contains(t, advice[0].Do, "ContextTimeoutEnabled: true")
	}
	s.Stop()
	_, err = newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{}).Advise(t.Context())
	assert.Error(t, err, "a server that is away is asked again")
}

// TestAdviseOfACluster, and of a near cache on it.
func TestAdviseOfACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	p := newProvider(t, newClusterClient(t, c, func(o *redis.ClusterOptions) { o.ContextTimeoutEnabled = true }), redisprovider.Options{})
	advice, err := p.Advise(t.Context())
	require.NoError(t, err)
	assert.Empty(t, advice)
	require.NoError(t, p.Ping(t.Context()))
	n, err := near.New(p, near.Options{})
	require.NoError(t, err)
	defer n.Close()
	advice, err = n.Advise(t.Context())
	require.NoError(t, err)
	assert.Empty(t, advice)
	assert.NoError(t, n.Ping(t.Context()))
}

// TestPing: the error has the address and the cause, and names no key.
func TestPing(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	s.Do("ACL", "SETUSER", "shop", "on", ">secret", "~rt:*", "-@all", "+set", "+get", "+pexpire")
	as := func(user, password string) *readthrough.Cache {
		client := newServerClient(t, s.Addr(), punctually, func(o *redis.Options) { o.Username, o.Password = user, password })
		cache, err := readthrough.New(newProvider(t, client, redisprovider.Options{}), readthrough.Options{InvalidateTimeout: 10 * time.Second})
		require.NoError(t, err)
		t.Cleanup(func() { _ = cache.Close() })
		return cache
	}
	well, limited := as("", ""), as("shop", "secret")
	require.NoError(t, well.Ping(t.Context()))
	require.NoError(t, limited.Ping(t.Context()), "a user who may not PING is answered")
	assert.ErrorContains(t, as("shop", "wrong").Ping(t.Context()), "readthrough: Ping: redisprovider: ping: "+s.Addr()+": WRONGPASS ")

	s.Do("SET", "rt:{#}:layout", "another")
	other := as("", "")
	err := other.Ping(t.Context())
	assert.ErrorIs(t, err, redisprovider.ErrLayout)
	s.Do("DEL", "rt:{#}:layout")

	s.Do("REPLICAOF", "127.0.0.1", "1")
	assert.ErrorIs(t, as("", "").Ping(t.Context()), provider.ErrReadOnly, "a replica")
	s.Do("REPLICAOF", "NO", "ONE")

	s.Pause()
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, well.Ping(short), context.DeadlineExceeded, "a server that hangs")
	s.Resume()

	s.Stop()
	err = well.Ping(t.Context())
	assert.ErrorContains(t, err, "dial tcp "+s.Addr()+": connect: connection refused")
	assert.NotContains(t, err.Error(), "layout", "keys are nobody's business")
}
