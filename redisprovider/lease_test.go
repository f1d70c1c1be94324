package redisprovider_test

import (
	"fmt"
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

// acquire asks for one key.
func acquire(tb testing.TB, p provider.Leaser, k provider.Key) provider.Grant {
	tb.Helper()
	grants, err := p.Acquire(tb.Context(), []provider.Key{k}, time.Minute)
	require.NoError(tb, err, "Acquire(%.50q)", k)
	require.Len(tb, grants, 1, "Acquire(%.50q)", k)
	return grants[0]
}

func mustAcquire(tb testing.TB, p provider.Leaser, k provider.Key) provider.Lease {
	tb.Helper()
	g := acquire(tb, p, k)
	require.Equal(tb, provider.LeaseGranted, g.State, "Acquire(%.50q), want a lease", k)
	return g.Lease
}

func wantState(tb testing.TB, p provider.Leaser, k provider.Key, want provider.GrantState) {
	tb.Helper()
	assert.Equal(tb, want, acquire(tb, p, k).State, "Acquire(%.50q)", k)
}

// fill reports whether a value was stored under its lease.
func fill(tb testing.TB, p provider.Leaser, l provider.Lease, value any) bool {
	tb.Helper()
	filled, err := p.Fill(tb.Context(), []provider.Fill{{Lease: l, Entry: provider.Entry{Value: value}, TTL: time.Hour}})
	require.NoError(tb, err, "Fill(%.50q)", l.Key)
	require.Len(tb, filled, 1, "Fill(%.50q)", l.Key)
	require.NoError(tb, filled[0].Err, "Fill(%.50q)", l.Key)
	return filled[0].Stored
}

// isAcquire reports whether a command is a run of the script that grants leases:
// no other has a lease and no value behind its keys.
func isAcquire(c redistest.Command) bool {
	return c.Name() == "EVALSHA" && len(c.Args) > 4 && strings.HasPrefix(c.Args[len(c.Args)-2], "\xc1r\x02\x03") &&
		!strings.HasPrefix(c.Args[len(c.Args)-3], "\xc1r\x02")
}

// tokenOf returns the token that such a command carries.
func tokenOf(c redistest.Command) string { return c.Args[len(c.Args)-2][5:] }

// TestTokenPerTransmission has the server forget its scripts, so that an acquire
// is sent a second time.
func TestTokenPerTransmission(t *testing.T) {
	t.Parallel()
	p, proxy, s := newOnProxy(t)
	mustAcquire(t, p, key("s", "warm"))
	s.Do("SCRIPT", "FLUSH")
	tap := proxy.Record(isAcquire)
	grants, err := p.Acquire(t.Context(), numbered("s", 3), time.Minute)
	require.NoError(t, err)
	sent := tap.Wait(t, 6)
	seen := make(map[string]bool)
	for _, c := range sent {
		seen[tokenOf(c)] = true
	}
	assert.Len(t, sent, 6, "commands")
	assert.Len(t, seen, 6, "tokens")
	for i, g := range grants {
		assert.Equal(t, provider.LeaseGranted, g.State, "grant %d: the token of the second transmission", i)
		assert.Equal(t, tokenOf(sent[3+i])[:16], g.Lease.Token[:16], "grant %d: the token of the second transmission", i)
		assert.True(t, fill(t, p, g.Lease, "v"), "grant %d cannot be filled", i)
	}
}

// TestZombieAcquire holds up a request for a lease until its caller has given up
// and an invalidation has come. The client library would have sent it again with
// the same token: then the late copy brings a lease back that a load of before
// the invalidation can fill.
func TestZombieAcquire(t *testing.T) {
	t.Parallel()
	p, proxy, s := newOnProxy(t, repeats)
	k := key("s", "k")
	mustAcquire(t, p, key("s", "warm"))
	proxy.Withhold(is(opAbandon)) // else it may give the late lease back
	tap := proxy.Withhold(isAcquire)
	var g []provider.Grant
	err := lost(t, func() (err error) {
		g, err = p.Acquire(t.Context(), []provider.Key{k}, time.Minute)
		return err
	}, captured(1, tap), proxy)
	require.Error(t, err, "Acquire without an answer")
	require.Equal(t, provider.LeaseFailed, g[0].State, "Acquire without an answer")
	require.Len(t, tap.Captured(), 1, "how often the request was sent")
	late := provider.Lease{Key: k, Token: tokenOf(tap.Captured()[0])}
	tap.Stop()

	old := mustAcquire(t, p, k) // a second attempt of the same load
	require.NotEqual(t, late.Token, old.Token, "two requests have the same token")
	require.NoError(t, p.Delete(t.Context(), k))
	tap.Replay(t)
	require.Equal(t, int64(1), s.Do("EXISTS", p.KeyOf(k)), "the late copy planted no lease: the test tests nothing")
	assert.False(t, fill(t, p, old, "old"), "a load of before the invalidation was stored")
	wantMiss(t, p, k)
}

// TestLateFill delivers the copy of a fill after an invalidation.
func TestLateFill(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t, repeats)
	k := key("s", "k")
	require.True(t, fill(t, p, mustAcquire(t, p, key("s", "warm")), "v"), "cannot fill")
	lease := mustAcquire(t, p, k)
	tap := proxy.Withhold(func(c redistest.Command) bool { return c.Name() == "EVALSHA" })
	var filled []provider.Filled
	err := lost(t, func() (err error) {
		filled, err = p.Fill(t.Context(), []provider.Fill{{Lease: lease, Entry: provider.Entry{Value: "old"}, TTL: time.Hour}})
		return err
	}, captured(1, tap), proxy)
	require.Error(t, err, "Fill without an answer = %v", filled)
	require.False(t, filled[0].Stored, "Fill without an answer = %v", filled)
	require.Len(t, tap.Captured(), 1, "Fill without an answer = %v", filled)
	tap.Stop()
	require.NoError(t, p.Delete(t.Context(), k))
	again := mustAcquire(t, p, k)
	tap.Replay(t)
	wantMiss(t, p, k)
	assert.True(t, fill(t, p, again, "new"), "the late fill destroyed the lease of another")
	tap.Replay(t)
	wantValue(t, p, k, "new")
}

// TestScriptsAreLoadedAgain takes the scripts away in every way there is, before
// each of the calls that need one.
func TestScriptsAreLoadedAgain(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	for _, fence := range []bool{false, true} {
		p := newProvider(t, newServerClient(t, s.Addr(), resigned), redisprovider.Options{FenceByServer: fence})
		for name, forget := range map[string]func(){
			"flush":   func() { s.Do("SCRIPT", "FLUSH") },
			"restart": s.Restart,
		} {
			checkScripts(t, fmt.Sprintf("%s, fence %v", name, fence), p, forget)
		}
	}
}

func TestScriptsAreLoadedAgainOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	p := newProvider(t, newClusterClient(t, c), redisprovider.Options{})
	checkScripts(t, "cluster", p, func() {
		for _, node := range c.Nodes {
			node.Do("SCRIPT", "FLUSH")
		}
	})
}

func checkScripts(t *testing.T, name string, p *redisprovider.Provider, forget func()) {
	t.Helper()
	keys := numbered("s", 20)
	calls := []struct {
		name string
		call func() error
	}{
		{"acquire", func() error { _, err := p.Acquire(t.Context(), keys, time.Minute); return err }},
		{"fill", func() error {
			_, err := p.Fill(t.Context(), []provider.Fill{{Lease: provider.Lease{Key: keys[0]}, TTL: time.Hour}})
			return err
		}},
		{"release", func() error { return p.Release(t.Context(), []provider.Lease{{Key: keys[0]}, {Key: keys[1]}}) }},
		{"set", func() error { return p.Set(t.Context(), keys[0], provider.Entry{}, time.Hour) }},
		{"get", func() error { _, _, err := p.Get(t.Context(), keys[0]); return err }},
		{"get many", func() error { _, err := p.GetMany(t.Context(), keys); return err }},
		{"hold", func() error {
			return p.Hold(t.Context(), provider.HoldTargets{Scope: "s", Keys: []string{"a"}, Prefixes: []string{"b"}}, "t", time.Minute)
		}},
		{"delete prefix", func() error { _, err := p.DeletePrefix(t.Context(), "s", ""); return err }},
		{"rebuild", func() error { _, err := p.DeletePrefix(t.Context(), "other "+name, ""); return err }},
	}
	for _, c := range calls {
		forget()
		assert.NoError(t, c.call(), "%s, after %s", c.name, name)
	}
}

// TestRefusedFillGivesItsLeaseBack checks entries that cannot be stored.
func TestRefusedFillGivesItsLeaseBack(t *testing.T) {
	t.Parallel()
	p, _, s := newOnServer(t, redisprovider.Options{MaxValueBytes: 100})
	keys := numbered("s", 4)
	grants, err := p.Acquire(t.Context(), keys, time.Minute)
	require.NoError(t, err)
	fills := make([]provider.Fill, 4)
	for i, g := range grants {
		fills[i] = provider.Fill{Lease: g.Lease, Entry: provider.Entry{Value: "v"}, TTL: time.Hour}
	}
	fills[1].Entry.Value = strings.Repeat("x", 200)
	fills[2].Entry.Value = func() {}
	fills[3].TTL = 0
	filled, err := p.Fill(t.Context(), fills)
	require.NoError(t, err)
	if assert.NoError(t, filled[0].Err, "filled") {
		assert.True(t, filled[0].Stored, "filled")
		assert.ErrorIs(t, filled[1].Err, provider.ErrTooLarge, "filled")
		assert.ErrorIs(t, filled[2].Err, provider.ErrUnencodable, "filled")
		assert.Error(t, filled[3].Err, "filled")
	}
	for i, k := range keys[1:] {
		assert.False(t, filled[i+1].Stored, "%q was not given back", k)
		assert.Equal(t, int64(0), s.Do("EXISTS", p.KeyOf(k)), "%q was not given back", k)
	}
}

// TestUnreadableKeysGetNoLease checks what is under a key and no entry.
func TestUnreadableKeysGetNoLease(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	for _, fence := range []bool{false, true} {
		p := newProvider(t, client, redisprovider.Options{FenceByServer: fence})
		for name, f := range foreigners() {
			if fence && name != "hash" && name != "JSON" {
				continue // what looks like a frame is of another run
			}
			k := key("s", name)
			client.Del(t.Context(), p.KeyOf(k))
			require.NoError(t, f.put(t.Context(), client, p.KeyOf(k)))
			grants, err := p.Acquire(t.Context(), []provider.Key{k}, time.Minute)
			if assert.NoError(t, err, name) {
				assert.Equal(t, provider.LeaseFailed, grants[0].State, name)
				assert.ErrorIs(t, grants[0].Err, provider.ErrUndecodable, name)
			}
			assert.False(t, fill(t, p, provider.Lease{Key: k, Token: "t"}, "v"), "%s: filled", name)
			assert.NoError(t, p.Release(t.Context(), []provider.Lease{{Key: k, Token: "t"}}), "%s: Release", name)
			assert.NoError(t, p.Delete(t.Context(), k))
			assert.True(t, fill(t, p, mustAcquire(t, p, k), "v"), "%s: not filled after it was deleted", name)
		}
	}
}

// TestLeasesEnd checks the server's part of a lease's end.
func TestLeasesEnd(t *testing.T) {
	t.Parallel()
	p, _, s := newOnServer(t, redisprovider.Options{})
	for ttl, most := range map[time.Duration]int64{
		time.Minute: 60_000, 300 * time.Microsecond: 1, provider.NoExpiry: 100 * 365 * 24 * 3_600_000,
	} {
		k := key("s", ttl.String())
		_, err := p.Acquire(t.Context(), []provider.Key{k}, ttl)
		require.NoError(t, err)
		left, _ := s.Do("PTTL", p.KeyOf(k)).(int64)
		assert.NotEqual(t, int64(-1), left, "the ms until a lease for %v ends", ttl)
		assert.LessOrEqual(t, left, most, "the ms until a lease for %v ends", ttl)
	}
	for _, ttl := range []time.Duration{0, -1} {
		grants, err := p.Acquire(t.Context(), numbered("s", 2), ttl)
		assert.Error(t, err, "Acquire for %v", ttl)
		assert.Error(t, grants[1].Err, "Acquire for %v", ttl)
	}
}

// TestOutOfMemory checks a server that refuses to store: nothing is granted, and
// everything can be removed, with an index and without.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	for _, indexed := range []bool{true, false} {
		p, _, s := newOnServer(t, redisprovider.Options{})
		if !s.Real() {
			t.Skip("the imitation has no limit")
		}
		keys := numbered("s", 50)
		mustSetMany(t, p, keys, "v")
		leased := mustAcquire(t, p, key("s", "name:leased"))
		wantRemoved(t, p, "s", "none", 0)
		if !indexed {
			s.Do("DEL", p.IndexOf(keys[0]))
		}
		s.Do("CONFIG", "SET", "maxmemory", "1")
		g, err := p.Acquire(t.Context(), []provider.Key{key("s", "new")}, time.Minute)
		assert.Error(t, err, "Acquire = %v, no error", g)
		filled, err := p.Fill(t.Context(), []provider.Fill{{Lease: leased, TTL: time.Hour}})
		assert.Error(t, err, "Fill = %v, no error", filled)
		assert.NoError(t, p.Delete(t.Context(), keys[:10]...), "Delete")
		assert.NoError(t, p.Hold(t.Context(), provider.HoldTargets{Scope: "s", Keys: []string{"name:10"}}, "t", time.Minute), "Hold")
		wantRemoved(t, p, "s", "name:", 39)
		assert.Empty(t, valueKeys(s), "keys are left")
		s.Do("CONFIG", "SET", "maxmemory", "0")
		wantState(t, p, key("s", "name:10"), provider.LeaseHeld)
		wantState(t, p, key("s", "name:11"), provider.LeaseGranted)
	}
}

// TestHookErrorsOfLeases checks that a client's hook that ends a call is not
// taken for the server's answer.
func TestHookErrorsOfLeases(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	client.AddHook(refuseAll{})
	for n := 1; n < 3; n++ {
		keys := numbered("s", n)
		g, err := p.Acquire(t.Context(), keys, time.Minute)
		assert.ErrorIs(t, err, errRefused, "Acquire")
		assert.ErrorIs(t, g[0].Err, errRefused, "Acquire")
		fills := make([]provider.Fill, n)
		for i := range fills {
			fills[i].TTL = time.Hour
		}
		f, err := p.Fill(t.Context(), fills)
		assert.ErrorIs(t, err, errRefused, "Fill = %v", f)
		assert.False(t, f[0].Stored, "Fill = %v", f)
		assert.ErrorIs(t, p.Release(t.Context(), make([]provider.Lease, n)), errRefused, "Release")
		targets := provider.HoldTargets{Scope: "s", Keys: make([]string, n)}
		assert.ErrorIs(t, p.Hold(t.Context(), targets, "t", time.Minute), errRefused, "Hold")
		assert.ErrorIs(t, p.Unhold(t.Context(), targets, "t"), errRefused, "Unhold")
	}
}

// TestMissTakesThreeTrips counts the round trips of the flows of a cache.
func TestMissTakesThreeTrips(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t, func(o *redis.Options) { o.PoolSize = 1 })
	for _, k := range numbered("warm", 2) {
		fill(t, p, mustAcquire(t, p, k), "v")
	}
	wantRemoved(t, p, "warm", "", 2)
	mustSetMany(t, p, numbered("s", 1000), "v")
	wantRemoved(t, p, "s", "none", 0)
	proxy.Delay(redistest.ToClient, together)
	hundred := numbered("t", 100)
	var leases []provider.Lease
	for _, c := range []struct {
		name string
		call func() error
		most int
	}{
		{"a miss: get", func() error { wantMiss(t, p, key("m", "k")); return nil }, 1},
		{"a miss: acquire and fill", func() error {
			assert.True(t, fill(t, p, mustAcquire(t, p, key("m", "k")), "v"), "not filled")
			return nil
		}, 2},
		{"a hit", func() error { wantValue(t, p, key("m", "k"), "v"); return nil }, 1},
		{"a bulk get", func() error { _, err := p.GetMany(t.Context(), hundred); return err }, 1},
		{"a bulk acquire", func() error {
			grants, err := p.Acquire(t.Context(), hundred, time.Minute)
			for _, g := range grants {
				leases = append(leases, g.Lease)
			}
			return err
		}, 1},
		{"a bulk fill", func() error {
			fills := make([]provider.Fill, 50)
			for i := range fills {
				fills[i] = provider.Fill{Lease: leases[i], Entry: provider.Entry{Value: "v"}, TTL: time.Hour}
			}
			filled, err := p.Fill(t.Context(), fills)
			assert.True(t, filled[49].Stored, "not filled")
			return err
		}, 1},
		{"a bulk release", func() error { return p.Release(t.Context(), leases[50:]) }, 1},
		{"a delete of ten", func() error { return p.Delete(t.Context(), hundred[:10]...) }, 1},
		{"a prefix of a thousand", func() error { wantRemoved(t, p, "s", "name:", 1000); return nil }, 2},
		{"a prefix of nothing", func() error { wantRemoved(t, p, "s", "name:", 0); return nil }, 1},
		{"a hold", func() error {
			return p.Hold(t.Context(), provider.HoldTargets{Scope: "t", Keys: []string{"a", "b"}}, "t", time.Minute)
		}, 1},
		{"the end of a hold", func() error {
			return p.Unhold(t.Context(), provider.HoldTargets{Scope: "t", Keys: []string{"a", "b"}}, "t")
		}, 1},
	} {
		proxy.ResetCounts()
		assert.NoError(t, c.call(), c.name)
		first := c.name == "a hold" || c.name == "a bulk get" // loads a script, makes a connection
		got := proxy.Trips()
		if !first {
			assert.LessOrEqual(t, got, c.most, "%s: round trips: %v", c.name, proxy.Counts())
		}
		assert.NotZero(t, got, "%s: round trips: %v", c.name, proxy.Counts())
	}
}
