package redisprovider_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// together delays answers, so that the commands of a pipeline all arrive before
// the first answer comes back.
const together = 30 * time.Millisecond

// TestRoundTrips counts what the store sends, on one server.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t, func(o *redis.Options) { o.PoolSize = 1 })
	ten, hundred := numbered("s", 10), numbered("s", 100)
	mustSet(t, p, ten[0], "warm the connection up")
	mustSetMany(t, p, ten[:1], "and that of pipelines")
	mustSetMany(t, p, ten, "and the script")
	proxy.Delay(redistest.ToClient, together)
	for _, c := range []struct {
		name string
		call func() error
		want map[string]int
	}{
		{"a hit", func() error { _, _, err := p.Get(t.Context(), ten[0]); return err }, map[string]int{"GET": 1}},
		{"a miss", func() error { _, _, err := p.Get(t.Context(), key("s", "none")); return err }, map[string]int{"GET": 1}},
		{"a set", func() error {
			return p.Set(t.Context(), ten[0], provider.Entry{Value: 1}, time.Second)
		}, map[string]int{"EVALSHA": 1}},
		{"a set for ever", func() error {
			return p.Set(t.Context(), ten[0], provider.Entry{Value: 1}, provider.NoExpiry)
		}, map[string]int{"EVALSHA": 1}},
		{"a bulk set", func() error { mustSetMany(t, p, hundred, "v"); return nil }, map[string]int{"EVALSHA": 100}},
		{"a bulk get", func() error { _, err := p.GetMany(t.Context(), hundred); return err }, map[string]int{"MGET": 1}},
		{"a delete", func() error { return p.Delete(t.Context(), ten...) }, map[string]int{"UNLINK": 1, "EVALSHA": 1}},
		{"a delete of nothing", func() error { return p.Delete(t.Context()) }, map[string]int{}},
		{"a bulk get of nothing", func() error { _, err := p.GetMany(t.Context(), nil); return err }, map[string]int{}},
		{"a bulk set of nothing", func() error { return p.SetMany(t.Context(), nil) }, map[string]int{}},
	} {
		proxy.ResetCounts()
		assert.NoError(t, c.call(), c.name)
		assert.Equal(t, c.want, proxy.Counts(), "%s sends", c.name)
		got, want := proxy.Trips(), min(1, len(c.want))
		assert.Equal(t, want, got, "%s: round trips", c.name)
	}
}

// TestRoundTripsOnCluster counts what the store sends to the nodes of a cluster.
func TestRoundTripsOnCluster(t *testing.T) {
	t.Parallel()
	c := startProxiedCluster(t, redistest.Options{})
	p := newProvider(t, c.client(t, func(o *redis.ClusterOptions) { o.PoolSize = 1 }), redisprovider.Options{})
	keys := numbered("s", 60)
	mustSetMany(t, p, keys, "warm the connections up")
	for _, proxy := range c.proxies {
		proxy.Delay(redistest.ToClient, together)
	}
	for _, call := range []struct {
		name, command string
		most          int // round trips
		call          func() error
	}{
		{"a bulk get", "GET", 1, func() error { _, err := p.GetMany(t.Context(), keys); return err }},
		{"a bulk set", "EVALSHA", 1, func() error { mustSetMany(t, p, keys, "v"); return nil }},
		{"a delete, and what tells near caches", "UNLINK", 2, func() error { return p.Delete(t.Context(), keys...) }},
	} {
		c.resetCounts()
		assert.NoError(t, call.call(), call.name)
		assert.Equal(t, len(keys), c.count(call.command), "%s: how often it sends %s, which is once for each key", call.name, call.command)
		for i, proxy := range c.proxies {
			// Another connection may ask for the nodes of the cluster now and then.
			background := proxy.Count("CLUSTER") + proxy.Count("HELLO") + proxy.Count("COMMAND") + min(1, proxy.Count("CLIENT"))
			got := proxy.Trips()
			assert.Positive(t, got, "%s: round trips to node %d; it sends %v", call.name, i, proxy.Counts())
			assert.LessOrEqual(t, got, call.most+background, "%s: round trips to node %d; it sends %v", call.name, i, proxy.Counts())
		}
	}
}

// TestParts checks that bulk calls beyond what a round trip carries are cut into
// parts and put together again.
func TestParts(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t)
	keys := numbered("s", 25_000)
	mustSetMany(t, p, keys, "v")
	proxy.ResetCounts()
	results, err := p.GetMany(t.Context(), append(slices.Clone(keys), key("s", "none")))
	require.NoError(t, err, "results")
	require.Len(t, results, len(keys)+1, "results")
	for i, r := range results {
		require.NoError(t, r.Err, "result %d", i)
		require.Equal(t, i < len(keys), r.Found, "result %d", i)
	}
	assert.NoError(t, p.Delete(t.Context(), keys...))
	assert.Equal(t, 3, proxy.Count("MGET"), "sent %v", proxy.Counts())
	assert.Equal(t, 3, proxy.Count("UNLINK"), "sent %v", proxy.Counts())
	wantRemoved(t, p, "s", "", 0)
}

// TestNothingForbiddenIsSent looks at the statistics of the server itself.
func TestNothingForbiddenIsSent(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	p := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{})
	s.ResetStats()
	keys := numbered("s", 50)
	mustSetMany(t, p, keys, "v")
	mustSet(t, p, keys[0], "v")
	wantValue(t, p, keys[0], "v")
	_, err := p.GetMany(t.Context(), keys)
	assert.NoError(t, err)
	assert.NoError(t, p.Delete(t.Context(), keys[:10]...))
	wantRemoved(t, p, "s", "name:", 40)
	wantRemoved(t, p, "s", "", 0)
	allowed := []string{
		"GET", "SET", "MGET", "UNLINK", "SCAN", "EVALSHA", "SCRIPT|LOAD",
		"ZADD", "ZSCORE", "ZCOUNT", "ZREM", "ZRANGEBYLEX", "ZREMRANGEBYLEX", "ZRANDMEMBER", "EXISTS", "GETRANGE", "PTTL", "PEXPIRE", "TYPE", "TIME",
		"HELLO", "CLIENT|SETINFO", "CLIENT|MAINT_NOTIFICATIONS", "CONFIG|RESETSTAT", "INFO", // the client's and this test's own
	}
	for command, calls := range s.CommandStats() {
		assert.Contains(t, allowed, command, "called %d times", calls)
	}
}
