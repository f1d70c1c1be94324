package redisprovider_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// namedCodec is a JSON codec with a name of its own.
type namedCodec struct {
	provider.Codec

	name string
}

func (c namedCodec) Name() string { return c.name }

func newNamedCodec(name string) provider.Codec { return namedCodec{provider.JSON(), name} }

func TestNewRefusesOptions(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { _ = client.Close() })
	for name, c := range map[string]struct {
		options redisprovider.Options
		want    string
	}{
		"space in prefix":        {redisprovider.Options{KeyPrefix: "a b:"}, "Options.KeyPrefix: byte 1"},
		"control byte in prefix": {redisprovider.Options{KeyPrefix: "ab\x00"}, "Options.KeyPrefix: byte 2"},
		"other byte in prefix":   {redisprovider.Options{KeyPrefix: "ü:"}, "Options.KeyPrefix: byte 0"},
		"brace in prefix":        {redisprovider.Options{KeyPrefix: "{a}:"}, "braces"},
		"closing brace":          {redisprovider.Options{KeyPrefix: "a}:"}, "braces"},
		"long prefix":            {redisprovider.Options{KeyPrefix: strings.Repeat("a", 129)}, "has 129 bytes"},
		"nil codec":              {redisprovider.Options{Codec: (*namedCodec)(nil)}, "Options.Codec: a nil"},
		"codec without a name":   {redisprovider.Options{Codec: newNamedCodec("")}, "has 0 bytes"},
		"codec with a long name": {redisprovider.Options{Codec: newNamedCodec(strings.Repeat("n", 33))}, "has 33 bytes"},
		"negative size":          {redisprovider.Options{MaxValueBytes: -1}, "Options.MaxValueBytes: -1"},
		"huge size":              {redisprovider.Options{MaxValueBytes: 500<<20 + 1}, "Options.MaxValueBytes"},
		"negative count":         {redisprovider.Options{ScanCount: -1}, "Options.ScanCount: -1"},
		"huge count":             {redisprovider.Options{ScanCount: 100_001}, "Options.ScanCount: 100001"},
		"negative buckets":       {redisprovider.Options{Buckets: -1}, "Options.Buckets: -1"},
		"many buckets":           {redisprovider.Options{Buckets: 1025}, "Options.Buckets: 1025"},
		"negative replicas":      {redisprovider.Options{WaitReplicas: -1}, "Options.WaitReplicas: -1"},
		"negative wait":          {redisprovider.Options{WaitTimeout: -1}, "Options.WaitTimeout: -1ns"},
		"negative near lease":    {redisprovider.Options{NearLease: -1}, "Options.NearLease: -1ns"},
		"short near lease":       {redisprovider.Options{NearLease: 19 * time.Millisecond}, "Options.NearLease: 19ms: must be from 20ms to 10s"},
		"long near lease":        {redisprovider.Options{NearLease: 11 * time.Second}, "Options.NearLease: 11s"},
		"wait too short":         {redisprovider.Options{WaitTimeout: 999_999}, "Options.WaitTimeout: 999.999µs"},
	} {
		p, err := redisprovider.New(client, c.options)
		assert.Nil(t, p, "%s: New", name)
		assert.Regexp(t, "^redisprovider: ", err, name)
		assert.ErrorContains(t, err, c.want, name)
	}
	_, err := redisprovider.New(nil, redisprovider.Options{KeyPrefix: " ", MaxValueBytes: -1})
	for _, want := range []string{"client", "KeyPrefix", "MaxValueBytes"} {
		assert.ErrorContains(t, err, want)
	}
}

// hidden is a client that does not show what it is.
type hidden struct{ redis.UniversalClient }

// instrumented is a client as wrappers make it.
type instrumented struct{ *redis.Client }

type instrumentedCluster struct{ *redis.ClusterClient }

func TestNewChoosesClients(t *testing.T) {
	t.Parallel()
	const nowhere = "127.0.0.1:1"
	server := redis.NewClient(&redis.Options{Addr: nowhere})
	nodes := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nowhere}})
	byLatency := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nowhere}, RouteByLatency: true})
	randomly := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nowhere}, RouteRandomly: true})
	replicas := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nowhere}, ReadOnly: true})
	caching := redis.NewClient(&redis.Options{Addr: nowhere, Protocol: 3, ClientSideCacheConfig: &redis.ClientSideCacheConfig{}})
	sentinel := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{nowhere}})
	noCluster := redis.NewFailoverClusterClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{nowhere}})
	shards := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": nowhere}})
	t.Cleanup(func() {
		for _, c := range []redis.UniversalClient{server, nodes, byLatency, randomly, replicas, caching, sentinel, noCluster, shards} {
			_ = c.Close()
		}
	})
	for name, c := range map[string]struct {
		client redis.UniversalClient
		want   string // empty: accepted
	}{
		"server":              {server, ""},
		"cluster":             {nodes, ""},
		"sentinel":            {sentinel, ""},
		"embedded server":     {instrumented{server}, ""},
		"embedded cluster":    {instrumentedCluster{nodes}, ""},
		"nil":                 {nil, "client: is nil"},
		"typed nil server":    {(*redis.Client)(nil), "client: is nil"},
		"typed nil cluster":   {(*redis.ClusterClient)(nil), "client: is nil"},
		"ring":                {shards, "a ring is not supported"},
		"hidden":              {hidden{nodes}, "must be, or embed"},
		"replicas by latency": {byLatency, "replica"},
		"replicas randomly":   {randomly, "replica"},
		"replicas":            {replicas, "replica"},
		"sentinel as cluster": {noCluster, "use NewFailoverClient"},
		"client-side cache":   {caching, "ClientSideCache"},
	} {
		p, err := redisprovider.New(c.client, redisprovider.Options{})
		switch {
		case c.want == "" && (p == nil || err != nil):
			t.Errorf("%s: New = %v, %v; want a store, and no round trip", name, p, err)
		case c.want != "" && (p != nil || err == nil || !strings.HasPrefix(err.Error(), "redisprovider: client: ") || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: New = %v, %v; want an error with %q", name, p, err, c.want)
		}
	}
}
