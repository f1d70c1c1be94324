package redisprovider_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// TestCluster checks bulk calls and prefixes whose keys lie on every node.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	p := newProvider(t, newClusterClient(t, c), redisprovider.Options{ScanCount: 50})
	keys := numbered("s", 300)
	nodes := make(map[int]int)
	for _, k := range keys[:30] {
		nodes[c.NodeOf(p.KeyOf(k))]++
	}
	require.Len(t, nodes, 3, "the nodes of the keys")
	mustSetMany(t, p, keys, "v")
	mustSetMany(t, p, numbered("t", 30), "v")
	asked := append(numbered("s", 300), key("s", "none"), keys[7], keys[7])
	results, err := p.GetMany(t.Context(), asked)
	require.NoError(t, err, "results")
	require.Len(t, results, len(asked), "results")
	for i, r := range results {
		assert.NoError(t, r.Err, "result %d", i)
		assert.Equal(t, i != 300, r.Found, "result %d", i)
	}
	require.NoError(t, p.Delete(t.Context(), keys[:100]...))
	for i, k := range keys {
		_, found, err := p.Get(t.Context(), k)
		assert.NoError(t, err, "after the delete, key %d", i)
		assert.Equal(t, i >= 100, found, "after the delete, key %d", i)
	}
	wantRemoved(t, p, "s", "name:1", 100) // 100 to 199; 1 and 10 to 19 are deleted
	wantRemoved(t, p, "s", "", 100)
	wantRemoved(t, p, "s", "", 0)
	wantRemoved(t, p, "t", "", 30)
}

// TestHashTags checks names that have braces, as those of list keys do.
func TestHashTags(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	p := newProvider(t, newClusterClient(t, c), redisprovider.Options{})
	var keys []provider.Key
	for i := range 30 {
		keys = append(keys, key("s{x}", fmt.Sprintf(`list:{"page":%d}`, i)), key("s{x}", fmt.Sprintf("{same}%d", i)), key("s{x}", fmt.Sprintf("{}%d", i)))
	}
	mustSetMany(t, p, keys, "v")
	results, err := p.GetMany(t.Context(), keys)
	require.NoError(t, err)
	for i, r := range results {
		assert.NoError(t, r.Err, "%q: %v", keys[i], r.Found)
		assert.True(t, r.Found, "%q: %v", keys[i], r.Found)
	}
	wantRemoved(t, p, "s{x}", "list:{", 30)
	wantRemoved(t, p, "s{x}", "{same}", 30)
	assert.NoError(t, p.Delete(t.Context(), keys...))
	wantRemoved(t, p, "s{x}", "", 0)
}

// TestNodeDown takes one node away: the keys of the others are still answered,
// and nothing claims to have removed what it could not reach.
func TestNodeDown(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{Args: []string{"--cluster-require-full-coverage", "no"}})
	p := newProvider(t, newClusterClient(t, c, func(o *redis.ClusterOptions) {
		o.MaxRedirects, o.DialTimeout = 1, time.Second
	}), redisprovider.Options{})
	keys := numbered("s", 30)
	mustSetMany(t, p, keys, "v")
	down := 1
	c.Nodes[down].Stop()

	results, err := p.GetMany(t.Context(), keys)
	assert.NoError(t, err, "GetMany; want no error, as some keys were answered")
	var lost, kept []provider.Key
	for i, r := range results {
		if c.NodeOf(p.KeyOf(keys[i])) == down {
			lost = append(lost, keys[i])
			assert.Error(t, r.Err, "a key of the node that is down: %v", r.Found)
			assert.NotErrorIs(t, r.Err, provider.ErrUndecodable, "a key of the node that is down: %v", r.Found)
			assert.False(t, r.Found, "a key of the node that is down: %v", r.Found)
			continue
		}
		kept = append(kept, keys[i])
		assert.NoError(t, r.Err, "a key of a node that is up: %v", r.Found)
		assert.True(t, r.Found, "a key of a node that is up: %v", r.Found)
	}
	assert.Error(t, p.Delete(t.Context(), append([]provider.Key{lost[0]}, kept...)...), "Delete of a key that cannot be reached: no error")
	n, err := p.DeletePrefix(t.Context(), "s", "")
	assert.Error(t, err, "DeletePrefix without one node = %d, no error", n)
	items := []provider.Item{{Key: lost[0], TTL: time.Hour}, {Key: kept[0], TTL: time.Hour}}
	assert.Error(t, p.SetMany(t.Context(), items), "SetMany of a key that cannot be reached: no error")
	_, found, err := p.Get(t.Context(), kept[0])
	assert.NoError(t, err, "the other item was not stored")
	assert.True(t, found, "the other item was not stored")

	c.Nodes[down].Restart()
	c.WaitComplete()
	poll(t, func() bool {
		_, err := p.DeletePrefix(t.Context(), "s", "")
		return err == nil
	})
	for _, k := range keys {
		wantMiss(t, p, k)
	}
}

// TestMovedSlot moves a key's slot to another node behind the client's back.
func TestMovedSlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	p := newProvider(t, newClusterClient(t, c), redisprovider.Options{})
	keys := numbered("s", 20)
	mustSetMany(t, p, keys, "v")
	moving := newSlotMove(c, p.KeyOf(keys[0]))
	moving.begin()
	moving.move(p.KeyOf(keys[0]))

	wantValue(t, p, keys[0], "v") // ASK
	results, err := p.GetMany(t.Context(), keys)
	if assert.NoError(t, err, "a bulk read while the slot moves: %v", results[0].Found) {
		if assert.NoError(t, results[0].Err, "a bulk read while the slot moves: %v", results[0].Found) {
			assert.True(t, results[0].Found, "a bulk read while the slot moves: %v", results[0].Found)
		}
	}
	moving.moveAll()
	moving.end()
	results, err = p.GetMany(t.Context(), keys) // MOVED
	if assert.NoError(t, err, "a bulk read after the slot moved: %v", results[0].Found) {
		if assert.NoError(t, results[0].Err, "a bulk read after the slot moved: %v", results[0].Found) {
			assert.True(t, results[0].Found, "a bulk read after the slot moved: %v", results[0].Found)
		}
	}
	mustSetMany(t, p, keys, "new")
	wantValue(t, p, keys[0], "new")
	assert.NoError(t, p.Delete(t.Context(), keys[:10]...))
	wantMiss(t, p, keys[0])
	wantRemoved(t, p, "s", "", 10)
}

// A slotMove is the migration of a slot from its node to the next one.
type slotMove struct {
	from, to     *redistest.Server
	fromID, toID string
	slot         string
}

func newSlotMove(c *redistest.Cluster, key string) *slotMove {
	i := c.NodeOf(key)
	m := &slotMove{from: c.Nodes[i], to: c.Nodes[(i+1)%len(c.Nodes)]}
	m.slot = fmt.Sprint(m.from.Do("CLUSTER", "KEYSLOT", key))
	m.fromID, _ = m.from.Do("CLUSTER", "MYID").(string)
	m.toID, _ = m.to.Do("CLUSTER", "MYID").(string)
	return m
}

func (m *slotMove) begin() {
	m.to.Do("CLUSTER", "SETSLOT", m.slot, "IMPORTING", m.fromID)
	m.from.Do("CLUSTER", "SETSLOT", m.slot, "MIGRATING", m.toID)
}

// move moves a key.
func (m *slotMove) move(key string) {
	m.from.Do("MIGRATE", "127.0.0.1", fmt.Sprint(m.to.Port()), key, "0", "5000")
}

// moveAll moves the keys that are left.
func (m *slotMove) moveAll() {
	keys, _ := m.from.Do("CLUSTER", "GETKEYSINSLOT", m.slot, "100000").([]any)
	for _, key := range keys {
		m.move(fmt.Sprint(key))
	}
}

func (m *slotMove) end() {
	for _, node := range []*redistest.Server{m.to, m.from} {
		node.Do("CLUSTER", "SETSLOT", m.slot, "NODE", m.toID)
	}
}

// TestShards checks that keys of a cluster are in shards, those of a bucket in one, and those of a server
// in none.
func TestShards(t *testing.T) {
	t.Parallel()
	const nowhere = "127.0.0.1:1"
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nowhere}})
	t.Cleanup(func() { _ = cluster.Close() })
	p := newProvider(t, cluster, redisprovider.Options{Buckets: 64})
	shards := make(map[int]bool)
	for _, k := range numbered("s", 1000) {
		n := p.Shard(k)
		assert.GreaterOrEqual(t, n, 0)
		assert.Less(t, n, p.Shards())
		shards[n] = true
	}
	assert.Greater(t, len(shards), p.Shards()/2, "shards that have keys")
	for _, k := range inBucket(p, "s", 10) {
		assert.Equal(t, p.Shard(key("s", "name:0")), p.Shard(k), k.Name)
	}
	assert.Equal(t, 1, newProvider(t, newServerClient(t, nowhere), redisprovider.Options{}).Shards(), "shards of a server")
}
