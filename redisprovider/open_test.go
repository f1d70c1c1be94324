package redisprovider_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// usesOpened stores and reads by a store that Open has made, and closes it.
func usesOpened(t *testing.T, url string) {
	t.Helper()
	p, err := redisprovider.Open(url, redisprovider.Options{})
	require.NoError(t, err)
	assert.True(t, p.Punctual(), "ContextTimeoutEnabled")
	require.NoError(t, p.Set(t.Context(), key("s", "k"), provider.Entry{Value: "v"}, time.Hour))
	_, found, err := p.Get(t.Context(), key("s", "k"))
	require.NoError(t, err)
	assert.True(t, found)
	client := p.Client()
	require.NoError(t, client.Ping(t.Context()).Err())
	require.NoError(t, p.Close())
	assert.ErrorIs(t, client.Ping(t.Context()).Err(), redis.ErrClosed, "the client after Close")
	assert.NoError(t, p.Close(), "Close again")
}

func TestOpenServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	usesOpened(t, "redis://"+s.Addr()+"/0")
	usesOpened(t, "redis://"+s.Addr()+"?cluster=false&pool_size=3")
}

func TestOpenSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t, redistest.Options{})
	addrs := s.Addrs()
	usesOpened(t, "redis://"+addrs[0]+"?master_name="+redistest.MasterName+"&addr="+addrs[1]+"&addr="+addrs[2])
}

func TestOpenCluster(t *testing.T) {
	t.Parallel()
	addrs := redistest.StartCluster(t, redistest.Options{}).Addrs()
	usesOpened(t, "redis://"+addrs[0]+"?cluster=true")
	usesOpened(t, "redis://"+addrs[0]+"?addr="+addrs[1])
}

// TestOpenOptions: what the URL says is what the client has, and the rest is what we recommend.
func TestOpenOptions(t *testing.T) {
	t.Parallel()
	open := func(url string) *redis.Options {
		p, err := redisprovider.Open(url, redisprovider.Options{KeyPrefix: "shop:"})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, p.Close()) })
		client, ok := p.Client().(*redis.Client)
		require.True(t, ok)
		return client.Options()
	}
	o := open("rediss://ada:s%2Fecret@redis.example/3")
	assert.Equal(t, []any{"redis.example:6379", "ada", "s/ecret", 3, true, time.Second, true},
		[]any{o.Addr, o.Username, o.Password, o.DB, o.TLSConfig != nil, o.DialTimeout, o.ContextTimeoutEnabled})
	o = open("redis://127.0.0.1:1?dial_timeout=3s&pool_size=7")
	assert.Equal(t, []any{true, 3 * time.Second, 7}, []any{o.ContextTimeoutEnabled, o.DialTimeout, o.PoolSize})
	o = open("unix:///run/redis.sock?db=2")
	assert.Equal(t, []any{"unix", "/run/redis.sock", 2}, []any{o.Network, o.Addr, o.DB})
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for url, problem := range map[string]string{
		"redis://ada:secret@host:port":                     "redisprovider: Open: url: ",
		"http://ada:secret@host":                           "invalid URL scheme: http",
		"":                                                 "invalid URL scheme",
		"redis://host/a":                                   "invalid database number",
		"redis://host?pool=3":                              "unexpected option: pool",
		"redis://host?cluster=perhaps":                     "url: cluster=perhaps: must be true or false",
		"redis://host?cluster=false&addr=b:1":              "several addresses",
		"redis://host?cluster=true&master_name=m":          "Sentinel does not watch a cluster",
		"redis://host/1?cluster=true":                      "a cluster has database 0 only",
		"redis://host?cluster=true&read_only=true":         "a replica may still have what was deleted",
		"redis://host?master_name=m&route_by_latency=true": "a replica may still have what was deleted",
		"redis://host?master_name=m&replica_only=true":     "a replica may still have what was deleted",
		"redis://host?cluster=true&route_randomly=true":    "a replica may still have what was deleted",
	} {
		_, err := redisprovider.Open(url, redisprovider.Options{})
		assert.ErrorContains(t, err, problem, url)
		assert.False(t, err != nil && strings.Contains(err.Error(), "secret"), "%v has the password", err)
	}
	_, err := redisprovider.Open("redis://host", redisprovider.Options{ScanCount: -1})
	assert.ErrorContains(t, err, "Options.ScanCount")
}
