package redisprovider_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
		{"a delete", func() error { return p.Delete(t.Context(), ten...) }, map[string]int{"UNLINK": 1}},
		{"a delete of nothing", func() error { return p.Delete(t.Context()) }, map[string]int{}},
		{"a bulk get of nothing", func() error { _, err := p.GetMany(t.Context(), nil); return err }, map[string]int{}},
		{"a bulk set of nothing", func() error { return p.SetMany(t.Context(), nil) }, map[string]int{}},
	} {
		proxy.ResetCounts()
		if err := c.call(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := proxy.Counts(); !maps.Equal(got, c.want) {
			t.Errorf("%s sends %v, want %v", c.name, got, c.want)
		}
		if got, want := proxy.Trips(), min(1, len(c.want)); got != want {
			t.Errorf("%s takes %d round trips, want %d", c.name, got, want)
		}
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
		call          func() error
	}{
		{"a bulk get", "GET", func() error { _, err := p.GetMany(t.Context(), keys); return err }},
		{"a bulk set", "EVALSHA", func() error { mustSetMany(t, p, keys, "v"); return nil }},
		{"a delete", "UNLINK", func() error { return p.Delete(t.Context(), keys...) }},
	} {
		c.resetCounts()
		if err := call.call(); err != nil {
			t.Errorf("%s: %v", call.name, err)
		}
		if got := c.count(call.command); got != len(keys) {
			t.Errorf("%s sends %d times %s, want one for each key", call.name, got, call.command)
		}
		for i, proxy := range c.proxies {
			// Another connection may ask for the nodes of the cluster now and then.
			background := proxy.Count("CLUSTER") + proxy.Count("HELLO") + proxy.Count("COMMAND")
			if got := proxy.Trips(); got < 1 || got > 1+background {
				t.Errorf("%s takes %d round trips to node %d, want 1; it sends %v", call.name, got, i, proxy.Counts())
			}
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
	if err != nil || len(results) != len(keys)+1 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for i, r := range results {
		if r.Err != nil || r.Found != (i < len(keys)) {
			t.Fatalf("result %d: %v, %v", i, r.Found, r.Err)
		}
	}
	if err := p.Delete(t.Context(), keys...); err != nil {
		t.Error(err)
	}
	if proxy.Count("MGET") != 3 || proxy.Count("UNLINK") != 3 {
		t.Errorf("sent %v, want 3 MGET and 3 UNLINK", proxy.Counts())
	}
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
	if _, err := p.GetMany(t.Context(), keys); err != nil {
		t.Error(err)
	}
	if err := p.Delete(t.Context(), keys[:10]...); err != nil {
		t.Error(err)
	}
	wantRemoved(t, p, "s", "name:", 40)
	wantRemoved(t, p, "s", "", 0)
	allowed := []string{
		"GET", "SET", "MGET", "UNLINK", "SCAN", "EVALSHA", "SCRIPT|LOAD",
		"ZADD", "ZSCORE", "ZREM", "ZRANGEBYLEX", "ZREMRANGEBYLEX", "ZRANDMEMBER", "EXISTS", "GETRANGE", "PTTL", "PEXPIRE", "TYPE", "TIME",
		"HELLO", "CLIENT|SETINFO", "CLIENT|MAINT_NOTIFICATIONS", "CONFIG|RESETSTAT", "INFO", // the client's and this test's own
	}
	for command, calls := range s.CommandStats() {
		if !slices.Contains(allowed, command) {
			t.Errorf("%d calls of %s", calls, command)
		}
	}
}
