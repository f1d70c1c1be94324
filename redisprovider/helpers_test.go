package redisprovider_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// TestMain silences the client's own log, which speaks of every fault that the
// tests cause. The tests wait most of the time, for servers and for what ends: more of
// them run at once than there are processors, unless -parallel says otherwise.
func TestMain(m *testing.M) {
	logging.Disable()
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// newServerClient returns a client of the server at addr, with the client
// library's defaults unless edit changes them; but it waits for answers for as long as
// a busy machine may take, which is longer than the library's 3 seconds.
func newServerClient(tb testing.TB, addr string, edit ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	options := &redis.Options{Addr: addr, ReadTimeout: time.Minute}
	for _, e := range edit {
		e(options)
	}
	client := redis.NewClient(options)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

func newClusterClient(tb testing.TB, c *redistest.Cluster, edit ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	tb.Helper()
	options := &redis.ClusterOptions{Addrs: c.Addrs(), ReadTimeout: time.Minute}
	for _, e := range edit {
		e(options)
	}
	client := redis.NewClusterClient(options)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

func newProvider(tb testing.TB, client redis.UniversalClient, options redisprovider.Options) *redisprovider.Provider {
	tb.Helper()
	p, err := redisprovider.New(client, options)
	require.NoError(tb, err)
	return p
}

// newOnServer returns a store on a server of its own, and a client of it.
func newOnServer(tb testing.TB, options redisprovider.Options) (*redisprovider.Provider, *redis.Client, *redistest.Server) {
	tb.Helper()
	s := redistest.Start(tb, redistest.Options{})
	client := newServerClient(tb, s.Addr())
	return newProvider(tb, client, options), client, s
}

// newOnProxy is newOnServer with a proxy between the store's client and the
// server.
func newOnProxy(tb testing.TB, edit ...func(*redis.Options)) (*redisprovider.Provider, *redistest.Proxy, *redistest.Server) {
	tb.Helper()
	s := redistest.Start(tb, redistest.Options{})
	proxy := redistest.NewProxy(tb, s.Addr())
	return newProvider(tb, newServerClient(tb, proxy.Addr(), edit...), redisprovider.Options{}), proxy, s
}

// A proxiedCluster is a cluster with a proxy in front of each node.
type proxiedCluster struct {
	*redistest.Cluster

	proxies []*redistest.Proxy
}

func startProxiedCluster(tb testing.TB, options redistest.Options) *proxiedCluster {
	tb.Helper()
	c := &proxiedCluster{Cluster: redistest.StartCluster(tb, options)}
	for _, addr := range c.Addrs() {
		c.proxies = append(c.proxies, redistest.NewProxy(tb, addr))
	}
	return c
}

// client returns a client whose connections go through the proxies.
func (c *proxiedCluster) client(tb testing.TB, edit ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	tb.Helper()
	dialer := redistest.Dialer(c.proxies...)
	return newClusterClient(tb, c.Cluster, append([]func(*redis.ClusterOptions){func(o *redis.ClusterOptions) {
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) { return dialer(ctx, network, addr) }
	}}, edit...)...)
}

func (c *proxiedCluster) count(name string) int {
	n := 0
	for _, p := range c.proxies {
		n += p.Count(name)
	}
	return n
}

func (c *proxiedCluster) resetCounts() {
	for _, p := range c.proxies {
		p.ResetCounts()
	}
}

// nextPrefix makes key prefixes that are different for each store on a shared
// server.
var nextPrefix atomic.Int64

func freshPrefix() string { return fmt.Sprintf("t%d:", nextPrefix.Add(1)) }

func key(scope, name string) provider.Key { return provider.Key{Scope: scope, Name: name} }

func numbered(scope string, n int) []provider.Key {
	keys := make([]provider.Key, n)
	for i := range keys {
		keys[i] = key(scope, fmt.Sprintf("name:%d", i))
	}
	return keys
}

func mustSet(tb testing.TB, p provider.CacheProvider, k provider.Key, value any) {
	tb.Helper()
	require.NoError(tb, p.Set(tb.Context(), k, provider.Entry{Value: value}, time.Hour))
}

func mustSetMany(tb testing.TB, p provider.Batcher, keys []provider.Key, value any) {
	tb.Helper()
	items := make([]provider.Item, len(keys))
	for i, k := range keys {
		items[i] = provider.Item{Key: k, Entry: provider.Entry{Value: value}, TTL: time.Hour}
	}
	require.NoError(tb, p.SetMany(tb.Context(), items))
}

func wantValue(tb testing.TB, p provider.CacheProvider, k provider.Key, want string) {
	tb.Helper()
	entry, found, err := p.Get(tb.Context(), k)
	if !assert.NoError(tb, err, "Get(%.50q); want %q", k, want) || !assert.True(tb, found, "Get(%.50q); want %q", k, want) {
		return
	}
	assert.Equal(tb, want, decoded(tb, entry), "Get(%.50q)", k)
}

func decoded(tb testing.TB, entry provider.Entry) string {
	tb.Helper()
	encoded, ok := entry.Value.(provider.Encoded)
	if !assert.True(tb, ok, "the value is a %T", entry.Value) {
		return ""
	}
	var s string
	assert.NoError(tb, encoded.Decode(&s))
	return s
}

func wantMiss(tb testing.TB, p provider.CacheProvider, k provider.Key) {
	tb.Helper()
	entry, found, err := p.Get(tb.Context(), k)
	assert.NoError(tb, err, "Get(%.50q) = %v; want a miss", k, entry)
	assert.False(tb, found, "Get(%.50q) = %v; want a miss", k, entry)
}

func wantUndecodable(tb testing.TB, p provider.CacheProvider, k provider.Key) {
	tb.Helper()
	_, found, err := p.Get(tb.Context(), k)
	assert.False(tb, found, "Get(%.50q)", k)
	assert.ErrorIs(tb, err, provider.ErrUndecodable, "Get(%.50q)", k)
}

func wantRemoved(tb testing.TB, p provider.CacheProvider, scope, prefix string, want int) {
	tb.Helper()
	n, err := p.DeletePrefix(tb.Context(), scope, prefix)
	assert.NoError(tb, err, "DeletePrefix(%q, %q)", scope, prefix)
	assert.Equal(tb, want, n, "DeletePrefix(%q, %q)", scope, prefix)
}
