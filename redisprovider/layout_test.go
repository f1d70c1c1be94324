package redisprovider_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// uses makes every kind of call, and returns their errors.
func uses(t *testing.T, p *redisprovider.Provider) map[string]error {
	t.Helper()
	k := key("s", "k")
	errs := make(map[string]error)
	_, _, errs["Get"] = p.Get(t.Context(), k)
	_, errs["GetMany"] = p.GetMany(t.Context(), numbered("s", 3))
	errs["Set"] = p.Set(t.Context(), k, provider.Entry{Value: "v"}, time.Hour)
	errs["SetMany"] = p.SetMany(t.Context(), []provider.Item{{Key: k, TTL: time.Hour}})
	errs["Delete"] = p.Delete(t.Context(), k)
	_, errs["DeletePrefix"] = p.DeletePrefix(t.Context(), "s", "k")
	_, errs["Acquire"] = p.Acquire(t.Context(), []provider.Key{k}, time.Minute)
	_, errs["Refresh"] = p.Refresh(t.Context(), []provider.RefreshRequest{{Key: k}}, time.Minute)
	_, errs["Fill"] = p.Fill(t.Context(), []provider.Fill{{Lease: provider.Lease{Key: k, Token: "t"}, TTL: time.Hour}})
	_, errs["Renew"] = p.Renew(t.Context(), []provider.Lease{{Key: k, Token: "t"}}, time.Minute)
	errs["Release"] = p.Release(t.Context(), []provider.Lease{{Key: k, Token: "t"}})
	targets := provider.HoldTargets{Scope: "s", Keys: []string{"k"}}
	errs["Hold"] = p.Hold(t.Context(), targets, "t", time.Minute)
	errs["Unhold"] = p.Unhold(t.Context(), targets, "t")
	return errs
}

// TestLayouts has two processes with different layouts use one cluster: the second is refused, by
// each call, until the marker of the first has ended.
func TestLayouts(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	for i, other := range []redisprovider.Options{{KeyPrefix: "a:", Buckets: 16}, {KeyPrefix: "b:", Buckets: 4}} {
		first := newProvider(t, newClusterClient(t, c), redisprovider.Options{KeyPrefix: other.KeyPrefix, Buckets: 16 - 4*i})
		second := newProvider(t, newClusterClient(t, c), redisprovider.Options{KeyPrefix: other.KeyPrefix, Buckets: 12})
		third := newProvider(t, newClusterClient(t, c), other)
		for what, err := range uses(t, first) {
			assert.NoError(t, err, "%s of the first", what)
		}
		for what, err := range uses(t, second) {
			if i == 0 {
				assert.ErrorIs(t, err, redisprovider.ErrLayout, what)
				assert.ErrorContains(t, err, `has "1 cluster 16", and this process has "1 cluster 12"`, what)
			} else {
				assert.NoError(t, err, "%s of one like the first", what)
			}
		}
		for what, err := range uses(t, third) {
			if i == 0 {
				assert.NoError(t, err, "%s of one like the first", what)
			} else {
				assert.ErrorIs(t, err, redisprovider.ErrLayout, what)
			}
		}
		marker := first.MarkerKey()
		c.Nodes[c.NodeOf(marker)].Do("DEL", marker) // as if it had ended
		poll(t, func() bool {
			_, _, err := [...]provider.CacheProvider{second, third}[i].Get(t.Context(), key("s", "k"))
			return err == nil
		})
	}
}

// TestClusterOfOneNode has a client of a cluster and one of a server use the same server, which
// answers both.
func TestClusterOfOneNode(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{Args: []string{"--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"}})
	s.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	poll(t, func() bool {
		info, _ := s.Do("CLUSTER", "INFO").(string)
		return len(info) > 0 && info[:16] == "cluster_state:ok"
	})
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.Addr()}})
	t.Cleanup(func() { _ = cluster.Close() })
	alone := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{})
	mustSet(t, alone, key("s", "k"), "v")
	_, _, err := newProvider(t, cluster, redisprovider.Options{}).Get(t.Context(), key("s", "k"))
	assert.ErrorIs(t, err, redisprovider.ErrLayout)
	_, _, err = newProvider(t, cluster, redisprovider.Options{KeyPrefix: "other:"}).Get(t.Context(), key("s", "k"))
	assert.NoError(t, err, "with another prefix")
}

// TestMarkerIsNoticedLater has the marker get lost: a process that comes then sets its own, and the
// one that was there before finds it at its next look.
func TestMarkerIsNoticedLater(t *testing.T) {
	t.Parallel()
	p, _, s := newOnServer(t, redisprovider.Options{})
	wantMiss(t, p, key("s", "k"))
	s.Do("SET", p.MarkerKey(), "1 cluster 16")
	wantMiss(t, p, key("s", "k")) // it does not look each time
	p.LookAgain()
	poll(t, func() bool { _, _, err := p.Get(t.Context(), key("s", "k")); return err != nil })
	for what, err := range uses(t, p) {
		assert.ErrorIs(t, err, redisprovider.ErrLayout, what)
	}
}

// TestMarkerThatCannotBeSet has a server refuse the marker, as it refuses to store anything else:
// that says nothing about the layout.
func TestMarkerThatCannotBeSet(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{Args: []string{"--maxmemory", "1"}})
	p := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{})
	_, _, err := p.Get(t.Context(), key("s", "k"))
	assert.NoError(t, err, "a read of a server that is full")
	assert.NoError(t, p.Delete(t.Context(), key("s", "k")), "a removal from a server that is full")
}

// TestReaderEndpoint has an address lead to the master or to a replica, as that of a balancer does.
// After the first refusal of a write, no read is answered by the replica.
func TestReaderEndpoint(t *testing.T) {
	t.Parallel()
	primary := redistest.StartReal(t, redistest.Options{})
	replica := redistest.StartReplica(t, primary, redistest.Options{})
	var toReplica atomic.Bool
	client := newServerClient(t, primary.Addr(), func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			addr := primary.Addr()
			if toReplica.Load() {
				addr = replica.Addr()
			}
			return dialer.DialContext(ctx, network, addr)
		}
		o.PoolSize, o.PipelinePoolSize = 2, -1
	})
	p := newProvider(t, client, redisprovider.Options{})
	k := key("s", "k")
	mustSet(t, p, k, "v") // its only connection leads to the master
	poll(t, func() bool { return replica.Do("EXISTS", p.KeyOf(k)) == int64(1) })
	held := client.Conn() // which takes it
	require.NoError(t, held.Ping(t.Context()).Err())
	toReplica.Store(true)
	wantValue(t, p, k, "v") // of the replica: nothing tells
	assert.ErrorIs(t, p.Set(t.Context(), key("s", "other"), provider.Entry{}, time.Hour), provider.ErrReadOnly, "a write")
	for range 3 {
		_, _, err := p.Get(t.Context(), k)
		assert.ErrorIs(t, err, provider.ErrReadOnly, "a read of the replica")
		_, err = p.GetMany(t.Context(), []provider.Key{k, key("s", "other")})
		assert.ErrorIs(t, err, provider.ErrReadOnly, "a bulk read of the replica")
	}
	require.NoError(t, held.Close())
	wantValue(t, p, k, "v") // of the master
	results, err := p.GetMany(t.Context(), []provider.Key{k, key("s", "none"), k})
	require.NoError(t, err)
	assert.True(t, results[0].Found && !results[1].Found && results[2].Found, "a bulk read of the master: %v", results)
}

// TestReplicaOnly has a Sentinel client whose servers are replicas, which its options do not show.
func TestReplicaOnly(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t, redistest.Options{})
	writer := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: s.Addrs()})
	reader := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: s.Addrs(), ReplicaOnly: true})
	t.Cleanup(func() { _, _ = writer.Close(), reader.Close() })
	mustSet(t, newProvider(t, writer, redisprovider.Options{}), key("s", "k"), "v")
	p := newProvider(t, reader, redisprovider.Options{})
	for what, err := range uses(t, p) {
		assert.ErrorIs(t, err, provider.ErrReadOnly, what)
	}
}
