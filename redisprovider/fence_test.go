package redisprovider_test

import (
	"fmt"
	"os"
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

// bothWays runs f with and without the fence. seen says whether what another master
// has stored is found.
func bothWays(t *testing.T, f func(t *testing.T, options redisprovider.Options, seen bool)) {
	t.Helper()
	for _, fence := range []bool{false, true} {
		t.Run(fmt.Sprintf("fence %v", fence), func(t *testing.T) {
			t.Parallel()
			f(t, redisprovider.Options{FenceByServer: fence}, !fence)
		})
	}
}

// checkOld checks what a new master makes of the entry and the lease of an old
// one.
func checkOld(t *testing.T, p *redisprovider.Provider, value provider.Key, lease provider.Lease, seen bool) {
	t.Helper()
	_, found, err := p.Get(t.Context(), value)
	assert.NoError(t, err, "the old entry")
	assert.Equal(t, seen, found, "the old entry")
	results, err := p.GetMany(t.Context(), []provider.Key{value, key("s", "none")})
	if assert.NoError(t, err, "the old entry, in a bulk read") {
		assert.Equal(t, seen, results[0].Found, "the old entry, in a bulk read")
		assert.False(t, results[1].Found, "the old entry, in a bulk read")
	}
	assert.Equal(t, seen, fill(t, p, lease, "old"), "a fill under the old lease")
	if seen {
		wantState(t, p, value, provider.LeaseFound)
		return
	}
	n, err := p.DeletePrefix(t.Context(), "s", "uncounted")
	assert.NoError(t, err, "old entries count")
	assert.Zero(t, n, "old entries count")
	for _, k := range []provider.Key{value, lease.Key} {
		fresh := mustAcquire(t, p, k)
		wantState(t, p, k, provider.LeaseBusy)
		assert.True(t, fill(t, p, fresh, "new"), "%q was not filled", k.Name)
		wantValue(t, p, k, "new")
		wantState(t, p, k, provider.LeaseFound)
	}
	wantRemoved(t, p, "s", "", 2)
}

// TestOldSnapshot restarts a server from a snapshot of before an invalidation.
func TestOldSnapshot(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options redisprovider.Options, seen bool) {
		t.Helper()
		s := redistest.StartReal(t, redistest.Options{})
		p := newProvider(t, newServerClient(t, s.Addr()), options)
		k := key("s", "value")
		mustSet(t, p, k, "old")
		mustSet(t, p, key("s", "uncounted"), "old")
		lease := mustAcquire(t, p, key("s", "lease"))
		s.Snapshot()
		require.NoError(t, p.Delete(t.Context(), k, lease.Key))
		s.Restart()
		checkOld(t, p, k, lease, seen)
	})
}

// TestFailover promotes a replica that lacks the last invalidation.
func TestFailover(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options redisprovider.Options, seen bool) {
		t.Helper()
		primary := redistest.StartReal(t, redistest.Options{})
		replica := redistest.StartReplica(t, primary, redistest.Options{})
		p := newProvider(t, newServerClient(t, primary.Addr()), options)
		k := key("s", "value")
		mustSet(t, p, k, "old")
		mustSet(t, p, key("s", "uncounted"), "old")
		lease := mustAcquire(t, p, key("s", "lease"))
		poll(t, func() bool { return replica.Do("EXISTS", p.KeyOf(k), p.KeyOf(lease.Key)) == int64(2) })
		replica.Promote() // before the deletion reaches it
		require.NoError(t, p.Delete(t.Context(), k, lease.Key))
		primary.Stop()
		checkOld(t, newProvider(t, newServerClient(t, replica.Addr()), options), k, lease, seen)
	})
}

// TestFailoverAndBack makes the old master, which was never restarted, master
// again, with the data of the other one. Its own identity is the old one; that of
// its mastership is not.
func TestFailoverAndBack(t *testing.T) {
	t.Parallel()
	first := redistest.StartReal(t, redistest.Options{})
	second := redistest.StartReplica(t, first, redistest.Options{})
	options := redisprovider.Options{FenceByServer: true}
	p := newProvider(t, newServerClient(t, first.Addr()), options)
	k := key("s", "value")
	mustSet(t, p, k, "old")
	poll(t, func() bool { return second.Do("EXISTS", p.KeyOf(k)) == int64(1) })
	second.Promote() // and then the deletion at the first is lost
	require.NoError(t, p.Delete(t.Context(), k))
	first.Do("REPLICAOF", "127.0.0.1", fmt.Sprint(second.Port()))
	poll(t, func() bool { return first.Do("EXISTS", p.KeyOf(k)) == int64(1) })
	_, found, err := p.Get(t.Context(), k)
	assert.Error(t, err, "a replica answers")
	assert.False(t, found, "a replica answers")
	first.Promote()
	poll(t, func() bool { _, _, err := p.Get(t.Context(), k); return err == nil }) // connections to the replica
	wantMiss(t, p, k)
	wantState(t, p, k, provider.LeaseGranted)
}

// TestFenceOnCluster checks that each node counts for itself.
func TestFenceOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	p := newProvider(t, newClusterClient(t, c), redisprovider.Options{FenceByServer: true})
	keys := numbered("s", 60)
	mustSetMany(t, p, keys, "v")
	restarted := 1
	c.Nodes[restarted].Snapshot()
	c.Nodes[restarted].Restart()
	c.WaitComplete()
	var results []provider.Result
	poll(t, func() bool {
		var err error
		results, err = p.GetMany(t.Context(), keys)
		for _, r := range results {
			if r.Err != nil {
				return false
			}
		}
		return err == nil
	})
	for i, r := range results {
		assert.Equal(t, c.NodeOf(p.KeyOf(keys[i])) != restarted, r.Found, keys[i].Name)
	}
}

// TestFenceOfSomeProcesses has two processes share a server of which one has the
// option: that one takes nothing from the other.
func TestFenceOfSomeProcesses(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	with := newProvider(t, client, redisprovider.Options{FenceByServer: true})
	without := newProvider(t, client, redisprovider.Options{})
	a, b := key("s", "a"), key("s", "b")
	mustSet(t, with, a, "v")
	wantValue(t, without, a, "v")
	mustSet(t, without, b, "v")
	wantMiss(t, with, b)
	lease := mustAcquire(t, with, b)
	wantMiss(t, without, b)
	wantState(t, without, b, provider.LeaseBusy)
	assert.True(t, fill(t, with, lease, "w"), "not filled")
	wantValue(t, without, b, "w")
}

// TestWaitForReplicas checks that a removal counts only when the replicas have
// it, and goes on not to count when it is repeated. Replicas that run get all the
// time that they need; one that is stopped does not answer, however short the wait.
func TestWaitForReplicas(t *testing.T) {
	t.Parallel()
	primary := redistest.StartReal(t, redistest.Options{})
	replica := redistest.StartReplica(t, primary, redistest.Options{})
	client := newServerClient(t, primary.Addr(), func(o *redis.Options) { o.ReadTimeout = 2 * time.Minute })
	patient := newProvider(t, client, redisprovider.Options{WaitReplicas: 1, WaitTimeout: time.Minute})
	hasty := newProvider(t, client, redisprovider.Options{WaitReplicas: 1, WaitTimeout: time.Millisecond})
	keys := numbered("s", 20)
	fillScope := func() {
		mustSetMany(t, patient, keys, "v")
		wantRemoved(t, patient, "s", "none", 0)
	}
	fillScope()
	for name, call := range removals(t, patient, keys) {
		assert.NoError(t, call(), name)
	}
	fillScope()
	replica.Pause()
	for name, call := range removals(t, hasty, keys) {
		for range 2 {
			assert.ErrorContains(t, call(), "0 replicas have it after 1ms, 1 are wanted", "%s while the replica hangs", name)
		}
	}
	replica.Resume()
	for name, call := range removals(t, patient, keys) {
		assert.NoError(t, call(), "%s after the replica hung", name)
	}
	for _, k := range keys {
		assert.Equal(t, int64(0), replica.Do("EXISTS", patient.KeyOf(k)), "the replica has %q", k.Name)
	}
	two := newProvider(t, client, redisprovider.Options{WaitReplicas: 2, WaitTimeout: time.Millisecond})
	assert.ErrorContains(t, two.Delete(t.Context(), key("s", "k")), "2 are wanted", "two replicas of one have confirmed")
}

// removals are the calls of p that wait for replicas. Delete removes half of keys.
func removals(t *testing.T, p *redisprovider.Provider, keys []provider.Key) map[string]func() error {
	t.Helper()
	hold := provider.HoldTargets{Scope: "s", Keys: []string{"k"}}
	return map[string]func() error{
		"Delete": func() error { return p.Delete(t.Context(), keys[:len(keys)/2]...) },
		"DeletePrefix": func() error {
			_, err := p.DeletePrefix(t.Context(), "s", "name:")
			return err
		},
		"Hold":   func() error { return p.Hold(t.Context(), hold, "t", time.Minute) },
		"Unhold": func() error { return p.Unhold(t.Context(), hold, "t") },
	}
}

// TestWaitOnCluster checks that each master waits for its own replicas: it has
// none here.
func TestWaitOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	p := newProvider(t, newClusterClient(t, c), redisprovider.Options{WaitReplicas: 1, WaitTimeout: time.Millisecond})
	keys := numbered("s", 30)
	mustSetMany(t, p, keys, "v")
	assert.ErrorContains(t, p.Delete(t.Context(), keys[:15]...), "0 replicas", "Delete")
	n, err := p.DeletePrefix(t.Context(), "s", "")
	assert.ErrorContains(t, err, "0 replicas", "DeletePrefix = %d", n)
	for _, k := range keys {
		wantMiss(t, p, k) // removed they are
	}
}

// TestACLIsDocumented checks that the documentation lists what the next test
// permits.
func TestACLIsDocumented(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, text, _ := strings.Cut(string(source), "# Permissions")
	listed := make(map[string]bool)
	for word := range strings.FieldsSeq(text) {
		if command, ok := strings.CutPrefix(word, "+"); ok {
			listed[command] = true
		}
	}
	others := append([]string{"eval", "wait", "cluster|nodes", "asking"}, redisprovider.NearCommandsForACL...)
	for _, command := range append(others, redisprovider.CommandsForACL...) {
		assert.True(t, listed[command], "+%s is not documented", command)
		delete(listed, command)
	}
	assert.Empty(t, listed, "documented and not needed")
}

// TestACL runs everything as a user that may do only what the documentation
// lists.
func TestACL(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	redistest.StartReplica(t, s, redistest.Options{})
	for name, c := range map[string]struct {
		options  redisprovider.Options
		commands []string
	}{
		"plain":   {redisprovider.Options{}, redisprovider.CommandsForACL},
		"fence":   {redisprovider.Options{FenceByServer: true}, append([]string{"info"}, redisprovider.CommandsForACL...)},
		"waiting": {redisprovider.Options{WaitReplicas: 1, WaitTimeout: time.Second}, append([]string{"eval", "wait"}, redisprovider.CommandsForACL...)},
	} {
		user := strings.ToLower(name)
		rules := []string{"ACL", "SETUSER", user, "on", ">secret", "resetkeys", "~rt:*", "-@all"}
		for _, command := range c.commands {
			rules = append(rules, "+"+command)
		}
		s.Do(rules...)
		client := newServerClient(t, s.Addr(), func(o *redis.Options) { o.Username, o.Password = user, "secret" })
		p := newProvider(t, client, c.options)
		s.Do("SCRIPT", "FLUSH")
		checkCount(t, name, p, func(k provider.Key) { s.Do("DEL", p.IndexOf(k)) })
		targets := provider.HoldTargets{Scope: "s", Keys: []string{"k"}, Prefixes: []string{"p"}}
		mustHold(t, p, targets, "t", time.Minute)
		wantState(t, p, key("s", "k"), provider.LeaseHeld)
		wantState(t, p, key("s", "pk"), provider.LeaseHeld)
		mustUnhold(t, p, targets, "t")
		lease := mustAcquire(t, p, key("s", "k"))
		assert.NoError(t, p.Release(t.Context(), []provider.Lease{lease}))
		assert.True(t, fill(t, p, mustAcquire(t, p, key("s", "k")), "v"), "not filled")
		_, err := p.GetMany(t.Context(), numbered("s", 3))
		assert.NoError(t, err)
		assert.NoError(t, p.Set(t.Context(), key("s", "k"), provider.Entry{}, provider.NoExpiry))
		page, err := p.List(t.Context(), provider.ListOptions{Scope: "s"})
		assert.NoError(t, err)
		assert.Len(t, page.Entries, 1)
		s.Do("SET", p.IndexOf(key("s", "")), "no index")
		wantRemoved(t, p, "s", "", 1)
		s.Do("FLUSHALL")
	}
}
