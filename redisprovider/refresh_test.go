package redisprovider_test

import (
	"context"
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

// loaded is the LoadedAt of the entries that are refreshed here.
var loaded = time.Date(2026, 11, 24, 1, 2, 3, 456_789_012, time.UTC)

// request asks for a lease of k to replace the entry that was loaded then.
func request(k provider.Key) provider.RefreshRequest {
	return provider.RefreshRequest{Key: k, LoadedAt: loaded}
}

// refresh asks for one lease.
func refresh(tb testing.TB, p provider.Refresher, r provider.RefreshRequest) provider.Grant {
	tb.Helper()
	grants, err := p.Refresh(tb.Context(), []provider.RefreshRequest{r}, time.Minute)
	require.NoError(tb, err, "Refresh(%.50q)", r.Key)
	require.Len(tb, grants, 1, "Refresh(%.50q)", r.Key)
	return grants[0]
}

// mustRefresh returns the lease of k, beside an entry that was loaded at loaded.
func mustRefresh(tb testing.TB, p provider.Refresher, k provider.Key) provider.Lease {
	tb.Helper()
	g := refresh(tb, p, request(k))
	require.Equal(tb, provider.LeaseGranted, g.State, "Refresh(%.50q), want a lease beside the entry", k)
	require.True(tb, g.Found, "Refresh(%.50q), want a lease beside the entry", k)
	return g.Lease
}

func wantRefresh(tb testing.TB, p provider.Refresher, r provider.RefreshRequest, state provider.GrantState, value string) {
	tb.Helper()
	g := refresh(tb, p, r)
	if !assert.Equal(tb, state, g.State, "Refresh(%.50q), which finds %q", r.Key, value) || !assert.Equal(tb, value != "", g.Entry.Value != nil, "Refresh(%.50q), which finds %q", r.Key, value) {
		return
	}
	if value == "" {
		return
	}
	assert.Equal(tb, value, decoded(tb, g.Entry), "Refresh(%.50q) found", r.Key)
	if !g.Found {
		assert.NotEqual(tb, provider.LeaseGranted, state, "Refresh(%.50q), with an entry and without Found", r.Key)
		assert.NotEqual(tb, provider.LeaseBusy, state, "Refresh(%.50q), with an entry and without Found", r.Key)
	}
}

// setLoaded stores an entry that was loaded at loaded.
func setLoaded(tb testing.TB, p provider.CacheProvider, k provider.Key, value string, ttl time.Duration) {
	tb.Helper()
	entry := provider.Entry{Value: value, LoadedAt: loaded, Validator: "v1"}
	require.NoError(tb, p.Set(tb.Context(), k, entry, ttl))
}

// extend reports whether an entry was extended under its lease.
func extend(tb testing.TB, p provider.Leaser, l provider.Lease, entry provider.Entry) bool {
	tb.Helper()
	filled, err := p.Fill(tb.Context(), []provider.Fill{{Lease: l, Entry: entry, TTL: time.Hour, Extend: true}})
	require.NoError(tb, err, "Fill(%.50q)", l.Key)
	require.Len(tb, filled, 1, "Fill(%.50q)", l.Key)
	require.NoError(tb, filled[0].Err, "Fill(%.50q)", l.Key)
	return filled[0].Stored
}

func mustRelease(tb testing.TB, p provider.Leaser, l provider.Lease) {
	tb.Helper()
	require.NoError(tb, p.Release(tb.Context(), []provider.Lease{l}))
}

// stored is what a server has under a key, and when that ends.
type stored struct {
	frame string
	ends  time.Duration // since 1970; -1: never
}

func (s stored) String() string { return fmt.Sprintf("%.300q until %v", s.frame, s.ends) }

func storedOn(tb testing.TB, c *redis.Client, key string) stored {
	tb.Helper()
	frame, err := c.Get(tb.Context(), key).Result()
	require.NoError(tb, err, key)
	ends, err := c.PExpireTime(tb.Context(), key).Result()
	if err != nil { // Redis 6: not exactly, but nothing that takes milliseconds for seconds passes
		left := c.PTTL(tb.Context(), key).Val()
		ends = min(left, 0)
	}
	return stored{frame, ends}
}

// endLease has the lease of an entry end.
func endLease(tb testing.TB, c *redis.Client, key string, fence bool) {
	tb.Helper()
	at := 5 + 32
	if fence {
		at += 16
	}
	frame := storedOn(tb, c, key).frame
	require.GreaterOrEqual(tb, len(frame), at+16, "%q has no lease", key)
	require.NotZero(tb, frame[4]&2, "%q has no lease", key)
	frame = frame[:at] + "0000000000000001" + frame[at+16:]
	require.NoError(tb, c.Set(tb.Context(), key, frame, redis.KeepTTL).Err())
}

// refreshBothWays runs f on a server with and without the fence.
func refreshBothWays(t *testing.T, f func(t *testing.T, p *redisprovider.Provider, c *redis.Client, fence bool)) {
	t.Helper()
	s := redistest.StartReal(t, redistest.Options{})
	c := newServerClient(t, s.Addr())
	for _, fence := range []bool{false, true} {
		t.Run(fmt.Sprintf("fence %v", fence), func(t *testing.T) {
			t.Parallel()
			f(t, newProvider(t, c, redisprovider.Options{KeyPrefix: freshPrefix(), FenceByServer: fence, AllowLossy: true}), c, fence) // some values have all bytes
		})
	}
}

// TestRefreshKeepsTheEntry checks that a lease changes nothing of an entry: neither
// what is found, nor when it ends, to the millisecond; and that a release leaves
// the bytes of before.
func TestRefreshKeepsTheEntry(t *testing.T) {
	t.Parallel()
	refreshBothWays(t, func(t *testing.T, p *redisprovider.Provider, c *redis.Client, _ bool) {
		t.Helper()
		for name, ttl := range map[string]time.Duration{"hour": time.Hour, "odd": 123_456_789 * time.Millisecond, "ever": provider.NoExpiry} {
			k := key("s", name)
			setLoaded(t, p, k, name, ttl)
			before := storedOn(t, c, p.KeyOf(k))
			for range 3 {
				lease := mustRefresh(t, p, k)
				during := storedOn(t, c, p.KeyOf(k))
				assert.Equal(t, before.ends, during.ends, "%s: what is stored", name)
				assert.Len(t, during.frame, len(before.frame)+48, "%s: what is stored", name)
				wantValue(t, p, k, name)
				wantState(t, p, k, provider.LeaseFound)
				wantRefresh(t, p, request(k), provider.LeaseBusy, name)
				wantRefresh(t, p, provider.RefreshRequest{Key: k, Force: true}, provider.LeaseBusy, name)
				wantRefresh(t, p, provider.RefreshRequest{Key: k}, provider.LeaseBusy, name)
				assert.Equal(t, during, storedOn(t, c, p.KeyOf(k)), "%s: asking changed it", name)
				mustRelease(t, p, provider.Lease{Key: k, Token: strings.Repeat("0", 32)})
				mustRelease(t, p, lease)
				assert.Equal(t, before, storedOn(t, c, p.KeyOf(k)), "%s: what is stored", name)
			}
			assert.True(t, fill(t, p, mustRefresh(t, p, k), "new"), "%s: not filled", name)
			wantValue(t, p, k, "new")
			after := storedOn(t, c, p.KeyOf(k))
			assert.Zero(t, after.frame[4]&2, "%s: filled", name)
			assert.Positive(t, after.ends, "%s: filled", name)
			left := c.PTTL(t.Context(), p.KeyOf(k)).Val()
			assert.Positive(t, left, "%s: what was filled ends in", name)
			assert.LessOrEqual(t, left, time.Hour, "%s: what was filled ends in", name)
		}
		wantRemoved(t, p, "s", "", 3)
	})
}

// TestRefreshAnswers checks the answer for everything that a key may have.
func TestRefreshAnswers(t *testing.T) {
	t.Parallel()
	refreshBothWays(t, func(t *testing.T, p *redisprovider.Provider, c *redis.Client, fence bool) {
		t.Helper()
		k := key("s", "nothing")
		g := refresh(t, p, request(k))
		assert.Equal(t, provider.LeaseGranted, g.State)
		assert.False(t, g.Found)
		assert.Nil(t, g.Entry.Value)
		wantRefresh(t, p, request(k), provider.LeaseBusy, "")
		wantState(t, p, k, provider.LeaseBusy)
		assert.True(t, fill(t, p, g.Lease, "v"), "not filled")

		k = key("s", "entry")
		setLoaded(t, p, k, "v", time.Hour)
		for _, other := range []time.Time{{}, loaded.Add(1), loaded.Add(-1), loaded.Add(time.Hour), time.Unix(0, 0)} {
			wantRefresh(t, p, provider.RefreshRequest{Key: k, LoadedAt: other}, provider.LeaseFound, "v")
		}
		entry, _, err := p.Get(t.Context(), k)
		assert.NoError(t, err, "Get")
		assert.WithinDuration(t, loaded, entry.LoadedAt, 0, "Get")
		assert.Equal(t, "v1", entry.Validator, "Get")
		wantRefresh(t, p, provider.RefreshRequest{Key: k, LoadedAt: entry.LoadedAt}, provider.LeaseGranted, "v")
		endLease(t, c, p.KeyOf(k), fence)
		wantRefresh(t, p, provider.RefreshRequest{Key: k}, provider.LeaseFound, "v")
		wantRefresh(t, p, provider.RefreshRequest{Key: k, Force: true}, provider.LeaseGranted, "v")

		k = key("s", "unknown")
		mustSet(t, p, k, "v")
		wantRefresh(t, p, request(k), provider.LeaseFound, "v")
		wantRefresh(t, p, provider.RefreshRequest{Key: k}, provider.LeaseGranted, "v")

		held := provider.HoldTargets{Scope: "s", Keys: []string{"held"}, Prefixes: []string{"un"}}
		setLoaded(t, p, key("s", "held"), "v", time.Hour)
		mustHold(t, p, held, "t", time.Minute)
		// A hold on a prefix comes before its entries are removed.
		c.Set(t.Context(), p.KeyOf(k), storedOn(t, c, p.KeyOf(key("s", "entry"))).frame, time.Hour)
		for _, k := range []provider.Key{key("s", "held"), key("s", "unheard of"), k} {
			wantRefresh(t, p, provider.RefreshRequest{Key: k, Force: true}, provider.LeaseHeld, "")
		}
	})
}

// TestRefreshOfAnAbsence checks that an absence is leased as a value is.
func TestRefreshOfAnAbsence(t *testing.T) {
	t.Parallel()
	refreshBothWays(t, func(t *testing.T, p *redisprovider.Provider, c *redis.Client, _ bool) {
		t.Helper()
		k := key("s", "k")
		require.NoError(t, p.Set(t.Context(), k, provider.Entry{Absent: true, LoadedAt: loaded}, time.Hour))
		before := storedOn(t, c, p.KeyOf(k))
		g := refresh(t, p, request(k))
		require.Equal(t, provider.LeaseGranted, g.State, "Refresh")
		require.True(t, g.Found, "Refresh")
		require.True(t, g.Entry.Absent, "Refresh")
		mustRelease(t, p, g.Lease)
		assert.Equal(t, before, storedOn(t, c, p.KeyOf(k)), "what is stored")
		assert.True(t, extend(t, p, mustRefresh(t, p, k), provider.Entry{LoadedAt: loaded.Add(1), Validator: "v2"}), "not extended")
		entry, found, err := p.Get(t.Context(), k)
		assert.NoError(t, err, "extended to")
		assert.True(t, found, "extended to")
		assert.True(t, entry.Absent, "extended to")
		assert.Equal(t, "v2", entry.Validator, "extended to")
		assert.WithinDuration(t, loaded.Add(1), entry.LoadedAt, 0, "extended to")
	})
}

// TestExtend checks what an extension keeps and what it replaces.
func TestExtend(t *testing.T) {
	t.Parallel()
	refreshBothWays(t, func(t *testing.T, p *redisprovider.Provider, c *redis.Client, _ bool) {
		t.Helper()
		long := strings.Repeat("validator\x00", 10_000)
		for name, validators := range map[string][2]string{
			"same": {"v1", "v1"}, "longer": {"", long}, "shorter": {long, ""}, "binary": {"\xff\x00", "\x00\x00"},
		} {
			k := key("s", name)
			value := strings.Repeat(name+"\x00\xff", 1000)
			old := provider.Entry{Value: value, LoadedAt: loaded, LoadTime: time.Second, FreshUntil: loaded, Validator: validators[0]}
			require.NoError(t, p.Set(t.Context(), k, old, time.Minute))
			want := provider.Entry{
				Value: "ignored", Absent: true,
				LoadedAt: loaded.Add(time.Hour + 1), LoadTime: time.Millisecond, FreshUntil: loaded.Add(-1), Validator: validators[1],
			}
			lease := mustRefresh(t, p, k)
			require.True(t, extend(t, p, lease, want), "%s: not extended", name)
			wantValue(t, p, k, strings.ToValidUTF8(value, "\ufffd")) // JSON
			got, _, err := p.Get(t.Context(), k)
			assert.NoError(t, err, name)
			assert.False(t, got.Absent, "%s: extended to", name)
			assert.WithinDuration(t, want.LoadedAt, got.LoadedAt, 0, "%s: extended to", name)
			assert.Equal(t, want.LoadTime, got.LoadTime, "%s: extended to", name)
			assert.WithinDuration(t, want.FreshUntil, got.FreshUntil, 0, "%s: extended to", name)
			assert.Equal(t, want.Validator, got.Validator, "%s: extended to", name)
			left := c.PTTL(t.Context(), p.KeyOf(k)).Val()
			assert.Greater(t, left, time.Minute, "%s: its end is in an hour", name)
			assert.LessOrEqual(t, left, time.Hour, "%s: its end is in an hour", name)
			// The frame is the one that Set writes for the same entry.
			after := storedOn(t, c, p.KeyOf(k)).frame
			want.Value, want.Absent = value, false
			require.NoError(t, p.Set(t.Context(), k, want, time.Minute))
			assert.Equal(t, after, storedOn(t, c, p.KeyOf(k)).frame, "%s: what it was extended to, and set to", name)
			assert.False(t, extend(t, p, lease, want), "%s: extended twice with a lease", name)
		}
	})
}

// TestExtendNeedsAnEntry checks that a lease without an entry extends nothing, and
// is not lost by that.
func TestExtendNeedsAnEntry(t *testing.T) {
	t.Parallel()
	refreshBothWays(t, func(t *testing.T, p *redisprovider.Provider, _ *redis.Client, _ bool) {
		t.Helper()
		for name, lease := range map[string]provider.Lease{
			"acquire": mustAcquire(t, p, key("s", "a")), "refresh": refresh(t, p, request(key("s", "r"))).Lease,
		} {
			assert.False(t, extend(t, p, lease, provider.Entry{LoadedAt: loaded}), "%s: extended", name)
			wantMiss(t, p, lease.Key)
			wantState(t, p, lease.Key, provider.LeaseBusy)
			assert.True(t, fill(t, p, lease, "v"), "%s: not filled afterwards", name)
		}
		assert.False(t, extend(t, p, provider.Lease{Key: key("s", "none"), Token: strings.Repeat("0", 32)}, provider.Entry{}), "extended nothing")
	})
}

// TestEncodedValuesAreStoredAsTheyAre stores what a Get has returned.
func TestEncodedValuesAreStoredAsTheyAre(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	odd := provider.Encoded{Data: []byte(" \x00 not what JSON writes "), Type: "some.Type", Codec: provider.JSON()}
	for name, store := range map[string]func(k provider.Key, entry provider.Entry){
		"set": func(k provider.Key, entry provider.Entry) {
			assert.NoError(t, p.Set(t.Context(), k, entry, time.Hour))
		},
		"fill": func(k provider.Key, entry provider.Entry) {
			setLoaded(t, p, k, "v", time.Hour)
			filled, err := p.Fill(t.Context(), []provider.Fill{{Lease: mustRefresh(t, p, k), Entry: entry, TTL: time.Hour}})
			if assert.NoError(t, err, "Fill = %v", filled) {
				assert.True(t, filled[0].Stored, "Fill = %v", filled)
			}
		},
	} {
		k := key("s", name)
		store(k, provider.Entry{Value: odd})
		first, _, err := p.Get(t.Context(), k)
		require.NoError(t, err)
		got, ok := first.Value.(provider.Encoded)
		assert.True(t, ok, "%s: found %+v", name, first.Value)
		assert.Equal(t, string(odd.Data), string(got.Data), "%s: found %+v", name, first.Value)
		assert.Equal(t, odd.Type, got.Type, "%s: found %+v", name, first.Value)
		before := client.Get(t.Context(), p.KeyOf(k)).Val()
		store(k, first)
		assert.Equal(t, before, client.Get(t.Context(), p.KeyOf(k)).Val(), "%s: what is stored", name)
	}
}

// overtakings are what may happen to an entry and its lease. Each returns whether
// the key has a value then, and which.
func overtakings(t *testing.T, p *redisprovider.Provider, c *redis.Client, fence bool) map[string]func(k provider.Key) string {
	t.Helper()
	remove := func(k provider.Key) {
		t.Helper()
		require.NoError(t, p.Delete(t.Context(), k))
	}
	return map[string]func(k provider.Key) string{
		"deleted": func(k provider.Key) string { remove(k); return "" },
		"deleted by prefix": func(k provider.Key) string {
			wantRemoved(t, p, k.Scope, k.Name, 1)
			return ""
		},
		"deleted and leased": func(k provider.Key) string { remove(k); mustAcquire(t, p, k); return "" },
		"deleted and filled": func(k provider.Key) string {
			remove(k)
			assert.True(t, fill(t, p, mustAcquire(t, p, k), "new"), "not filled")
			return "new"
		},
		"deleted, set alike, and refreshed": func(k provider.Key) string {
			remove(k)
			setLoaded(t, p, k, "new", time.Hour)
			mustRefresh(t, p, k)
			return "new"
		},
		"set": func(k provider.Key) string { setLoaded(t, p, k, "new", time.Hour); return "new" },
		"held": func(k provider.Key) string {
			targets := provider.HoldTargets{Scope: k.Scope, Keys: []string{k.Name}}
			mustHold(t, p, targets, "t", time.Minute)
			mustUnhold(t, p, targets, "t")
			return ""
		},
		"its prefix held": func(k provider.Key) string {
			targets := provider.HoldTargets{Scope: k.Scope, Prefixes: []string{k.Name}}
			mustHold(t, p, targets, "t", time.Minute)
			mustUnhold(t, p, targets, "t")
			return ""
		},
		"ended": func(k provider.Key) string { endLease(t, c, p.KeyOf(k), fence); return "old" },
		"ended, and refreshed by another": func(k provider.Key) string {
			endLease(t, c, p.KeyOf(k), fence)
			assert.True(t, fill(t, p, mustRefresh(t, p, k), "new"), "not filled")
			return "new"
		},
		"ended, and leased by another": func(k provider.Key) string {
			endLease(t, c, p.KeyOf(k), fence)
			mustRefresh(t, p, k)
			return "old"
		},
		"released": func(k provider.Key) string { // a copy of the release came first
			frame := storedOn(t, c, p.KeyOf(k)).frame
			token := frame[5:37]
			if fence {
				token = frame[21:53]
			}
			mustRelease(t, p, provider.Lease{Key: k, Token: token})
			return "old"
		},
		"filled": func(k provider.Key) string {
			frame := storedOn(t, c, p.KeyOf(k)).frame
			token := frame[5:37]
			if fence {
				token = frame[21:53]
			}
			assert.True(t, fill(t, p, provider.Lease{Key: k, Token: token}, "first"), "not filled")
			return "first"
		},
		"entry ended": func(k provider.Key) string {
			c.PExpire(t.Context(), p.KeyOf(k), time.Millisecond)
			poll(t, func() bool { return c.Exists(t.Context(), p.KeyOf(k)).Val() == 0 })
			return ""
		},
		"evicted": func(k provider.Key) string { c.Del(t.Context(), p.KeyOf(k)); return "" },
		"replaced by a hash": func(k provider.Key) string {
			c.Del(t.Context(), p.KeyOf(k))
			c.HSet(t.Context(), p.KeyOf(k), "a", "b")
			return "a hash"
		},
	}
}

// TestLateUseOfARefreshLease checks that a lease beside an entry is good for
// nothing once anything has happened to the key: a fill, an extension and a release
// that come late change nothing.
func TestLateUseOfARefreshLease(t *testing.T) {
	t.Parallel()
	refreshBothWays(t, func(t *testing.T, p *redisprovider.Provider, c *redis.Client, fence bool) {
		t.Helper()
		for name, overtake := range overtakings(t, p, c, fence) {
			k := key("s", "k:"+name)
			setLoaded(t, p, k, "old", time.Hour)
			old := mustRefresh(t, p, k)
			value := overtake(k)
			before := c.Dump(t.Context(), p.KeyOf(k)).Val()
			assert.False(t, fill(t, p, old, "late"), "%s: stored", name)
			assert.False(t, extend(t, p, old, provider.Entry{LoadedAt: loaded}), "%s: stored", name)
			mustRelease(t, p, old)
			assert.Equal(t, before, c.Dump(t.Context(), p.KeyOf(k)).Val(), "%s: what is stored", name)
			switch value {
			case "":
				wantMiss(t, p, k)
			case "a hash":
				wantUndecodable(t, p, k)
			default:
				wantValue(t, p, k, value)
			}
		}
	})
}

// TestZombieRefresh is TestZombieAcquire for the lease of a key with an entry.
func TestZombieRefresh(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t)
	k := key("s", "k")
	setLoaded(t, p, k, "old", time.Hour)
	mustRelease(t, p, mustRefresh(t, p, k)) // so that the server knows the scripts
	tap := proxy.Record(func(c redistest.Command) bool { return c.Name() == "EVALSHA" })
	old := mustRefresh(t, p, k)
	tap.Stop()
	require.Len(t, tap.Captured(), 1, "how often the request was sent")
	require.NoError(t, p.Delete(t.Context(), k))
	setLoaded(t, p, k, "new", time.Hour)
	tap.Replay(t)
	wantRefresh(t, p, request(k), provider.LeaseBusy, "new") // the late copy has got the lease
	assert.False(t, fill(t, p, old, "old"), "a load of before the invalidation was stored")
	wantValue(t, p, k, "new")
}

// TestUnreadableKeysAreNotRefreshed checks what is under a key and no entry: no
// lease is put into it.
func TestUnreadableKeysAreNotRefreshed(t *testing.T) {
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
			before := client.Dump(t.Context(), p.KeyOf(k)).Val()
			r := provider.RefreshRequest{Key: k, Force: true}
			grants, err := p.Refresh(t.Context(), []provider.RefreshRequest{r}, time.Minute)
			if assert.NoError(t, err, name) {
				assert.Equal(t, provider.LeaseFailed, grants[0].State, name)
				assert.False(t, grants[0].Found, name)
				assert.ErrorIs(t, grants[0].Err, provider.ErrUndecodable, name)
			}
			lease := provider.Lease{Key: k, Token: strings.Repeat("t", 32)}
			assert.False(t, extend(t, p, lease, provider.Entry{}), "%s: filled", name)
			assert.False(t, fill(t, p, lease, "v"), "%s: filled", name)
			mustRelease(t, p, lease)
			assert.Equal(t, before, client.Dump(t.Context(), p.KeyOf(k)).Val(), "%s: what is stored", name)
			assert.NoError(t, p.Delete(t.Context(), k))
			wantRefresh(t, p, request(k), provider.LeaseGranted, "")
		}
	}
}

// TestRefreshOfOldServers checks that with the fence the entry of another run of
// the server is none.
func TestRefreshOfOldServers(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	with := newProvider(t, client, redisprovider.Options{FenceByServer: true})
	without := newProvider(t, client, redisprovider.Options{})
	k := key("s", "k")
	setLoaded(t, without, k, "v", time.Hour)
	g := refresh(t, with, request(k))
	assert.Equal(t, provider.LeaseGranted, g.State, "Refresh, want a lease and no entry")
	assert.False(t, g.Found, "Refresh, want a lease and no entry")
	setLoaded(t, with, k, "v", time.Hour)
	wantRefresh(t, without, request(k), provider.LeaseGranted, "v") // frames that are bound are leased too
	wantRefresh(t, with, request(k), provider.LeaseBusy, "v")
	s.Snapshot()
	s.Restart()
	poll(t, func() bool { return client.Ping(context.WithoutCancel(t.Context())).Err() == nil })
	wantRefresh(t, without, request(k), provider.LeaseBusy, "v")
	g = refresh(t, with, request(k))
	assert.Equal(t, provider.LeaseGranted, g.State, "Refresh after a restart, want a lease and no entry")
	assert.False(t, g.Found, "Refresh after a restart, want a lease and no entry")
}
