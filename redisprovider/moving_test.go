package redisprovider_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// inBucket returns n keys that lie in the bucket of the first.
func inBucket(p *redisprovider.Provider, scope string, n int) []provider.Key {
	first := key(scope, "name:0")
	keys := []provider.Key{first}
	for i := 1; len(keys) < n; i++ {
		if k := key(scope, fmt.Sprintf("name:%d", i)); p.IndexOf(k) == p.IndexOf(first) {
			keys = append(keys, k)
		}
	}
	return keys
}

// TestPrefixOfAMovingSlot deletes by prefix while a slot moves, at every state
// that the move can be in: the index still on the old node, or on the new one
// already, and the values on either.
func TestPrefixOfAMovingSlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	client := newClusterClient(t, c)
	for name, moved := range map[string]func(values []string, index string) []string{
		"nothing": func([]string, string) []string { return nil },
		"values":  func(values []string, _ string) []string { return []string{values[0], values[3]} },
		"index":   func(_ []string, index string) []string { return []string{index} },
		"both":    func(values []string, index string) []string { return []string{index, values[1]} },
	} {
		p := newProvider(t, client, redisprovider.Options{Buckets: 4})
		keys := inBucket(p, name, 20)
		others := numbered(name, 3)
		mustSetMany(t, p, append(others, keys...), "v")
		wantRemoved(t, p, name, "none", 0)
		lease := mustAcquire(t, p, key(name, keys[5].Name+"x"))
		moving := newSlotMove(c, p.KeyOf(keys[0]))
		moving.begin()
		var values []string
		for _, k := range keys {
			values = append(values, p.KeyOf(k))
		}
		for _, k := range moved(values, p.IndexOf(keys[0])) {
			moving.move(k)
		}
		// Neither a late fill nor its trimming may strike the living off the index.
		for range 20 {
			_, _ = p.Fill(t.Context(), []provider.Fill{{Lease: lease, Entry: provider.Entry{Value: "v"}, TTL: time.Hour}})
		}
		if _, err := p.Acquire(t.Context(), []provider.Key{key(name, keys[6].Name+"y")}, time.Minute); err != nil {
			assert.NotContains(t, err.Error(), "CROSSSLOT", "%s moved", name)
		}
		n, err := p.DeletePrefix(t.Context(), name, "name:")
		assert.NoError(t, err, "%s moved", name)
		assert.GreaterOrEqual(t, n, 20, "%s moved: DeletePrefix", name)
		for _, k := range keys {
			wantMiss(t, p, k)
		}
		moving.moveAll()
		moving.end()
		for _, k := range keys {
			wantMiss(t, p, k)
		}
		poll(t, func() bool { _, err := p.DeletePrefix(t.Context(), name, ""); return err == nil })
		for _, node := range c.Nodes {
			assert.Empty(t, valueKeys(node), "%s moved: what is left", name)
		}
	}
}

// TestIndexIsWholeAfterAMove fills, and trims, while the index lies on the new
// node and the values on the old one. There they look as if they were gone.
func TestIndexIsWholeAfterAMove(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	p := newProvider(t, newClusterClient(t, c), redisprovider.Options{Buckets: 4})
	keys := inBucket(p, "s", 20)
	mustSetMany(t, p, keys, "v")
	wantRemoved(t, p, "s", "none", 0)
	leases := make([]provider.Lease, 10)
	moving := newSlotMove(c, p.KeyOf(keys[0]))
	for i := range leases {
		leases[i] = mustAcquire(t, p, inBucket(p, "s", 40)[20+i])
	}
	moving.begin()
	moving.move(p.IndexOf(keys[0]))
	for _, l := range leases {
		moving.move(p.KeyOf(l.Key)) // then a fill names no key that the new node lacks
	}
	for _, l := range leases {
		_, _ = p.Fill(t.Context(), []provider.Fill{{Lease: l, Entry: provider.Entry{Value: "v"}, TTL: time.Hour}})
	}
	moving.moveAll()
	moving.end()
	poll(t, func() bool { _, err := p.DeletePrefix(t.Context(), "s", ""); return err == nil })
	for _, k := range keys {
		wantMiss(t, p, k)
	}
}

// TestScanOfAMovingSlot moves keys during the scan that rebuilds the index from a
// node that is not scanned yet to one that has been: the scan misses them, and
// must not count.
func TestScanOfAMovingSlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	client := newClusterClient(t, c)
	p := newProvider(t, client, redisprovider.Options{Buckets: 4, ScanCount: 1})
	keys := inBucket(p, "s", 20)
	mustSetMany(t, p, keys, "v")
	for _, b := range inAllBuckets(p) {
		client.Del(t.Context(), p.IndexOf(b))
	}
	moving := newSlotMove(c, p.KeyOf(keys[0]))
	gate := &scanGate{from: moving.from.Addr(), to: moving.to.Addr(), scanned: make(chan struct{})}
	gate.move = func() {
		moving.begin()
		moving.moveAll()
		moving.end()
	}
	err := client.ForEachMaster(t.Context(), func(_ context.Context, node *redis.Client) error {
		node.AddHook(&nodeGate{gate: gate, addr: node.Options().Addr})
		return nil
	})
	require.NoError(t, err)
	n, err := p.DeletePrefix(t.Context(), "s", "name:")
	t.Logf("DeletePrefix = %d, %v", n, err)
	require.True(t, gate.moved, "nothing moved: the test tests nothing")
	poll(t, func() bool { return err == nil || deleted(t, p) })
	for _, k := range keys {
		wantMiss(t, p, k)
	}
}

func deleted(t *testing.T, p *redisprovider.Provider) bool {
	t.Helper()
	_, err := p.DeletePrefix(t.Context(), "s", "name:")
	return err == nil
}

func inAllBuckets(p *redisprovider.Provider) []provider.Key {
	seen := make(map[string]bool)
	var keys []provider.Key
	for i := range 1000 {
		k := key("s", fmt.Sprint(i))
		if index := p.IndexOf(k); !seen[index] {
			seen[index] = true
			keys = append(keys, k)
		}
	}
	return keys
}

// A scanGate lets the scan of one node begin when that of another has ended, and
// moves keys in between.
type scanGate struct {
	from, to string
	scanned  chan struct{} // closed when the other node is scanned
	once     sync.Once
	twice    sync.Once
	move     func()
	moved    bool
}

type nodeGate struct {
	gate *scanGate
	addr string
}

func (h *nodeGate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *nodeGate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if command.Name() != "scan" {
			return next(ctx, command)
		}
		if h.addr == h.gate.from {
			<-h.gate.scanned
			h.gate.twice.Do(func() { h.gate.move(); h.gate.moved = true })
		}
		err := next(ctx, command)
		scan, ok := command.(interface {
			Result() (keys []string, cursor uint64, err error)
		})
		if !ok {
			return err
		}
		if _, cursor, _ := scan.Result(); h.addr == h.gate.to && cursor == 0 {
			h.gate.once.Do(func() { close(h.gate.scanned) })
		}
		return err
	}
}

func (h *nodeGate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestWaitWhileASlotMoves removes keys of a slot that moves, with replicas that confirm: those that are
// still on the old node, those that are on the new one, and those that are nowhere.
func TestWaitWhileASlotMoves(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{Replicas: 1})
	client := newClusterClient(t, c)
	p := newProvider(t, client, redisprovider.Options{Buckets: 4, WaitReplicas: 1, WaitTimeout: storePatience})
	hasty := newProvider(t, client, redisprovider.Options{Buckets: 4, WaitReplicas: 1, WaitTimeout: time.Millisecond})
	keys := inBucket(p, "s", 7)
	others := numbered("s", 8)
	mustSetMany(t, p, append(others, keys...), "v")
	moving := newSlotMove(c, p.KeyOf(keys[0]))
	moving.begin()
	for _, k := range keys[:3] {
		moving.move(p.KeyOf(k))
	}
	targets := provider.HoldTargets{Scope: "s", Keys: []string{keys[2].Name}}
	for what, call := range map[string]func() error{
		"moved and not":        func() error { return p.Delete(t.Context(), keys[0], keys[3]) },
		"moved":                func() error { return p.Delete(t.Context(), keys[1]) },
		"not moved":            func() error { return p.Delete(t.Context(), keys[4]) },
		"nowhere":              func() error { return p.Delete(t.Context(), key("s", "nowhere"), keys[0]) },
		"of all slots":         func() error { return p.Delete(t.Context(), append(others, keys[:5]...)...) },
		"a hold that is given": func() error { return p.Unhold(t.Context(), targets, "t") },
	} {
		for range 2 {
			assert.NoError(t, call(), "removing %s", what)
		}
	}
	for _, k := range append(others, keys[:5]...) {
		wantMiss(t, p, k)
	}
	wantValue(t, p, keys[5], "v")
	replica := c.Replicas[c.NodeOf(p.KeyOf(keys[0]))][0]
	replica.Pause() // what the old node removes is for its replica to confirm
	assert.ErrorContains(t, hasty.Delete(t.Context(), keys[6]), "0 replicas have it", "while the replica of the old node hangs")
	replica.Resume()
	moving.moveAll()
	moving.end()
	assert.NoError(t, p.Delete(t.Context(), keys...), "after the move") // MOVED
	wantMiss(t, p, keys[5])
}

// TestACLWhileASlotMoves runs what it can as a user that may do only what the documentation lists.
func TestACLWhileASlotMoves(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	rules := []string{"ACL", "SETUSER", "user", "on", ">secret", "resetkeys", "~rt:*", "-@all"}
	for _, command := range append([]string{"cluster|nodes", "cluster|slots", "cluster|shards", "asking"}, redisprovider.CommandsForACL...) {
		rules = append(rules, "+"+command)
	}
	for _, node := range c.Nodes {
		node.Do(rules...)
	}
	p := newProvider(t, newClusterClient(t, c, func(o *redis.ClusterOptions) { o.Username, o.Password = "user", "secret" }), redisprovider.Options{})
	keys := inBucket(p, "s", 4)
	mustSetMany(t, p, keys, "v")
	moving := newSlotMove(c, p.KeyOf(keys[0]))
	moving.begin()
	moving.move(p.KeyOf(keys[0]))
	wantValue(t, p, keys[0], "v")
	wantValue(t, p, keys[1], "v")
	assert.NoError(t, p.Delete(t.Context(), keys[0], keys[1]))
	wantMiss(t, p, keys[0])
	wantMiss(t, p, keys[1])
}
