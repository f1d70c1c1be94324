package redisprovider_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

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
// library's defaults unless edit changes them.
func newServerClient(tb testing.TB, addr string, edit ...func(*redis.Options)) *redis.Client {
	tb.Helper()
	options := &redis.Options{Addr: addr}
	for _, e := range edit {
		e(options)
	}
	client := redis.NewClient(options)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

func newClusterClient(tb testing.TB, c *redistest.Cluster, edit ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	tb.Helper()
	options := &redis.ClusterOptions{Addrs: c.Addrs()}
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
	if err != nil {
		tb.Fatal(err)
	}
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
	if err := p.Set(tb.Context(), k, provider.Entry{Value: value}, time.Hour); err != nil {
		tb.Fatal(err)
	}
}

func mustSetMany(tb testing.TB, p provider.Batcher, keys []provider.Key, value any) {
	tb.Helper()
	items := make([]provider.Item, len(keys))
	for i, k := range keys {
		items[i] = provider.Item{Key: k, Entry: provider.Entry{Value: value}, TTL: time.Hour}
	}
	if err := p.SetMany(tb.Context(), items); err != nil {
		tb.Fatal(err)
	}
}

func wantValue(tb testing.TB, p provider.CacheProvider, k provider.Key, want string) {
	tb.Helper()
	entry, found, err := p.Get(tb.Context(), k)
	if err != nil || !found {
		tb.Errorf("Get(%.50q) = %v, %v; want %q", k, found, err, want)
		return
	}
	if got := decoded(tb, entry); got != want {
		tb.Errorf("Get(%.50q) = %.50q, want %.50q", k, got, want)
	}
}

func decoded(tb testing.TB, entry provider.Entry) string {
	tb.Helper()
	encoded, ok := entry.Value.(provider.Encoded)
	if !ok {
		tb.Errorf("the value is a %T", entry.Value)
		return ""
	}
	var s string
	if err := encoded.Decode(&s); err != nil {
		tb.Error(err)
	}
	return s
}

func wantMiss(tb testing.TB, p provider.CacheProvider, k provider.Key) {
	tb.Helper()
	if entry, found, err := p.Get(tb.Context(), k); found || err != nil {
		tb.Errorf("Get(%.50q) = %v, %v, %v; want a miss", k, entry, found, err)
	}
}

func wantUndecodable(tb testing.TB, p provider.CacheProvider, k provider.Key) {
	tb.Helper()
	if _, found, err := p.Get(tb.Context(), k); found || !errors.Is(err, provider.ErrUndecodable) {
		tb.Errorf("Get(%.50q) = %v, %v; want ErrUndecodable", k, found, err)
	}
}

func wantRemoved(tb testing.TB, p provider.CacheProvider, scope, prefix string, want int) {
	tb.Helper()
	if n, err := p.DeletePrefix(tb.Context(), scope, prefix); n != want || err != nil {
		tb.Errorf("DeletePrefix(%q, %q) = %d, %v; want %d", scope, prefix, n, err, want)
	}
}
