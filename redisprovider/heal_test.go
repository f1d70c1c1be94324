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

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

const (
	token32 = "tttttttttttttttttttttttttttttttt"
	distant = "9999999999999999" // the end of a lease, in 300,000 years
)

var (
	leaseBytes       = "\xc1r\x02\x03\x00" + token32
	leasedValueBytes = valueFrame[:4] + "\x02" + token32 + distant + valueFrame[5:]
)

// A plant puts something under a Redis key that no process of ours put there.
type plant struct {
	name string
	put  func(ctx context.Context, c redis.UniversalClient, key string) error
}

// plants are for any key of the store.
func plants() []plant {
	text := func(name, s string) plant {
		return plant{name, func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.Set(ctx, key, s, 0).Err()
		}}
	}
	sorted := func(name string, members ...redis.Z) plant {
		return plant{name, func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.ZAdd(ctx, key, members...).Err()
		}}
	}
	inf := func(sign int) float64 {
		var zero float64
		return float64(sign) / zero
	}
	far := float64(time.Now().Add(200 * 365 * 24 * time.Hour).UnixMilli())
	soon := float64(time.Now().Add(time.Hour).UnixMilli())
	return []plant{
		{"list", func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.RPush(ctx, key, "v").Err()
		}},
		{"hash", func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.HSet(ctx, key, "f", "v").Err()
		}},
		{"set", func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.SAdd(ctx, key, "v").Err()
		}},
		{"stream", func(ctx context.Context, c redis.UniversalClient, key string) error {
			return c.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"f", "v"}}).Err()
		}},
		text("empty string", ""),
		text("random bytes", "\x00\xff\xfe\x81\x01:\n"),
		text("1 MiB", strings.Repeat("\xc1", 1<<20)),
		text("lease without an end", leaseBytes),
		text("leased entry without an end", leasedValueBytes),
		text("entry without an end", valueFrame),
		text("next version", "\xc1r\x03"+leaseBytes[3:]),
		text("next kind", "\xc1r\x02\x07"+leaseBytes[4:]),
		text("next flag", "\xc1r\x02\x03\x08"+leaseBytes[5:]),
		text("bound lease of no server", "\xc1r\x02\x03\x01"+strings.Repeat("f", 16)+token32),
		sorted("scores without an end", redis.Z{Score: inf(1), Member: token32}, redis.Z{Score: inf(1), Member: "1:xk"}, redis.Z{Score: inf(1), Member: "k"}, redis.Z{Score: inf(1), Member: ""}),
		sorted("scores after the longest", redis.Z{Score: far, Member: token32}, redis.Z{Score: far, Member: "1:xk"}, redis.Z{Score: far, Member: "k"}, redis.Z{Score: far, Member: ""}),
		sorted("scores before all", redis.Z{Score: inf(-1), Member: "1:x"}, redis.Z{Score: -1, Member: "c"}),
		sorted("an index that is not in order", redis.Z{Score: 5, Member: "c"}, redis.Z{Score: 3, Member: "nk"}, redis.Z{Score: -1, Member: "nother"}),
		sorted("members that are nothing", redis.Z{Score: soon, Member: "no colon"}, redis.Z{Score: soon, Member: "x:k"}, redis.Z{Score: soon, Member: "99:k"},
			redis.Z{Score: soon, Member: ":"}, redis.Z{Score: soon, Member: "-1:k"}, redis.Z{Score: soon, Member: " 1:xk"}, redis.Z{Score: soon, Member: "0x1:xk"}),
		sorted("members of an index that are nothing", redis.Z{Member: "junk"}, redis.Z{Member: "\xff"}, redis.Z{Member: "z"}, redis.Z{Member: "n"}),
	}
}

// TestHole30WhatIsNotOursHeals is row 30: it plants something under each kind of key, and
// uses the store: after a read, and the time of a lease at most, everything works again.
func TestHole30WhatIsNotOursHeals(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	checkHeals(t, newServerClient(t, s.Addr()), redisprovider.Options{})
}

func TestHole30WhatIsNotOursHealsWithTheFence(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	checkHeals(t, newServerClient(t, s.Addr()), redisprovider.Options{FenceByServer: true})
}

func TestHole30WhatIsNotOursHealsOnCluster(t *testing.T) {
	t.Parallel()
	checkHeals(t, newClusterClient(t, redistest.StartCluster(t, redistest.Options{})), redisprovider.Options{Buckets: 1})
}

func checkHeals(t *testing.T, client redis.UniversalClient, options redisprovider.Options) {
	t.Helper()
	for _, where := range []string{"value", "holds of the key", "holds of prefixes", "holds to the end", "index", "all"} {
		for _, what := range plants() {
			// An end of hold after the longest is the only nonsense that a hold on
			// a key can have as a sorted set: any member is a token.
			if strings.HasPrefix(what.name, "members that are nothing") && (where == "holds of the key" || where == "all") {
				continue
			}
			t.Run(where+"/"+what.name, func(t *testing.T) {
				t.Parallel()
				options := options
				options.KeyPrefix = freshPrefix()
				p := newProvider(t, client, options)
				k := key("s", "k")
				keyHolds, prefixHolds := p.HoldsOf(k)
				keys := map[string][]string{
					"value": {p.KeyOf(k)}, "holds of the key": {keyHolds}, "holds of prefixes": {prefixHolds},
					"holds to the end": {p.HoldsToTheEndOf(k)}, "index": {p.IndexOf(k)},
				}[where]
				if keys == nil {
					keys = []string{p.KeyOf(k), keyHolds, prefixHolds, p.HoldsToTheEndOf(k), p.IndexOf(k)}
				}
				plantAll := func() {
					for _, name := range keys {
						client.Del(t.Context(), name)
						require.NoError(t, what.put(t.Context(), client, name))
					}
				}
				plantAll()
				healedByReads(t, p, k)
				plantAll()
				healedByInvalidations(t, p, client, k)
				plantAll()
				healedByHolds(t, p, k)
			})
		}
	}
}

// healedByReads has a cache read a key until it hits. One read should do, or one
// lease; on a slow machine, a lease may end before its fill.
func healedByReads(t *testing.T, p *redisprovider.Provider, k provider.Key) {
	t.Helper()
	scope := newHealScope(t, p, k.Scope)
	const enough = 50
	loads := 0
	for read := range enough {
		value, err := readthrough.Wrap(t.Context(), scope, k.Name, func(context.Context) (string, error) {
			loads++
			return "loaded", nil
		})
		require.NoError(t, err)
		assert.Equal(t, "loaded", value)
		if loads <= read {
			break
		}
	}
	assert.Less(t, loads, enough, "no read hits")
	entry, found, err := p.Get(t.Context(), k)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "loaded", decoded(t, entry))
}

// healedByInvalidations invalidates a key and a prefix. Both must confirm, and
// nothing may be left; what a read stores afterwards must be removed by prefix.
func healedByInvalidations(t *testing.T, p *redisprovider.Provider, client redis.UniversalClient, k provider.Key) {
	t.Helper()
	scope := newHealScope(t, p, k.Scope)
	require.NoError(t, scope.Invalidate(t.Context(), k.Name))
	wantMiss(t, p, k)
	_, err := scope.InvalidatePrefix(t.Context(), k.Name[:1])
	require.NoError(t, err)
	assert.Equal(t, int64(0), client.Exists(t.Context(), p.KeyOf(k)).Val())
	assert.True(t, fill(t, p, mustAcquire(t, p, k), "v"))
	wantRemoved(t, p, k.Scope, k.Name[:1], 1)
	assert.True(t, fill(t, p, mustAcquire(t, p, k), "v"))
	wantRemoved(t, p, k.Scope, "", 1)
	wantMiss(t, p, k)
}

// healedByHolds places holds of each kind, and ends them.
func healedByHolds(t *testing.T, p *redisprovider.Provider, k provider.Key) {
	t.Helper()
	for _, targets := range []provider.HoldTargets{
		{Scope: k.Scope, Keys: []string{k.Name}},
		{Scope: k.Scope, Prefixes: []string{k.Name[:1]}},
		{Scope: k.Scope, Keys: []string{k.Name}, Prefixes: []string{""}},
	} {
		mustUnhold(t, p, targets, "t") // of a writer that is late
		mustHold(t, p, targets, "t", time.Hour)
		wantState(t, p, k, provider.LeaseHeld)
		mustUnhold(t, p, targets, "t")
		assert.True(t, fill(t, p, mustAcquire(t, p, k), "v"))
		wantValue(t, p, k, "v")
		require.NoError(t, p.Delete(t.Context(), k))
	}
	for _, targets := range []provider.HoldTargets{
		{Scope: k.Scope, Keys: []string{k.Name}, LeftToTTL: true},
		{Scope: k.Scope, Prefixes: []string{k.Name[:1]}, LeftToTTL: true},
	} {
		mustHold(t, p, targets, "t", 20*time.Millisecond)
		eventually(t, "the end of a hold", func() bool { return acquire(t, p, k).State == provider.LeaseGranted })
		require.NoError(t, p.Delete(t.Context(), k))
	}
}

func newHealScope(t *testing.T, p *redisprovider.Provider, name string) *readthrough.CachedScope {
	t.Helper()
	o := newProcOptions(nil)
	o.cache.LeaseTTL, o.cache.LeaseWait = 50*time.Millisecond, 100*time.Millisecond
	// One value may be the store of one cache. Each of these caches is a process of its own.
	cache, err := readthrough.New(struct{ *redisprovider.Provider }{p}, o.cache)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cache.Close() })
	o.scope.StaleWhileRevalidate = time.Hour
	scope, err := cache.Scope(name, o.scope)
	require.NoError(t, err)
	return scope
}

// TestEndsOfLeases checks what becomes of leases that end too late: another caller
// has them end as its own would, and does not wait for them in vain. Leases that end
// in time are left alone.
func TestEndsOfLeases(t *testing.T) {
	t.Parallel()
	p, client, s := newOnServer(t, redisprovider.Options{})
	ask := map[string]func(k provider.Key) provider.Grant{
		"Acquire": func(k provider.Key) provider.Grant { return acquire(t, p, k) },
		"Refresh": func(k provider.Key) provider.Grant {
			grants, err := p.Refresh(t.Context(), []provider.RefreshRequest{{Key: k, Force: true}}, time.Minute)
			require.NoError(t, err)
			return grants[0]
		},
	}
	for name, get := range ask {
		k := key("s", name)
		for ttl, shortened := range map[time.Duration]bool{0: true, 100 * 24 * time.Hour: true, 23 * time.Hour: false, time.Second: false} {
			require.NoError(t, client.Set(t.Context(), p.KeyOf(k), leaseBytes, ttl).Err())
			assert.Equal(t, provider.LeaseBusy, get(k).State, "%s: the state of a lease that ends after %v", name, ttl)
			left := client.PTTL(t.Context(), p.KeyOf(k)).Val()
			assert.Positive(t, left, "%s: what a lease that ends after %v has left", name, ttl)
			if shortened {
				assert.LessOrEqual(t, left, time.Minute, "%s: what a lease that ends after %v has left", name, ttl)
			} else if ttl > time.Minute {
				assert.Greater(t, left, time.Minute, "%s: what a lease that ends after %v has left", name, ttl)
			}
		}
		// Who asks for longer leases does not shorten those of others.
		require.NoError(t, client.Set(t.Context(), p.KeyOf(k), leaseBytes, 40*24*time.Hour).Err())
		_, err := p.Acquire(t.Context(), []provider.Key{k}, 50*24*time.Hour)
		require.NoError(t, err)
		assert.Greater(t, client.PTTL(t.Context(), p.KeyOf(k)).Val(), 39*24*time.Hour)
	}
	k := key("s", "leased")
	for end, busy := range map[time.Duration]bool{time.Hour: true, 23 * time.Hour: true, 25 * time.Hour: false, 1000 * 24 * time.Hour: false} {
		digits := fmt.Sprintf("%016d", time.Now().Add(end).UnixMilli())
		s.Do("SET", p.KeyOf(k), valueFrame[:4]+"\x02"+token32+digits+valueFrame[5:])
		g := ask["Refresh"](k)
		assert.Equal(t, busy, g.State == provider.LeaseBusy, "whether an entry whose lease ends after %v is leased", end)
		assert.True(t, g.Found)
		if !busy {
			assert.True(t, fill(t, p, g.Lease, "refreshed"))
		}
	}
}

// TestIndexOutOfOrder checks that an index whose members are not in the order of
// their names does not count: a removal by prefix would miss some.
func TestIndexOutOfOrder(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	keys := numbered("s", 10)
	for score, k := range map[float64]provider.Key{1: keys[0], -1: keys[9]} {
		mustSetMany(t, p, keys, "v")
		wantRemoved(t, p, "s", "none", 0) // the index is complete
		moved := []redis.Z{{Score: score, Member: "n" + k.Name}, {Score: score, Member: "nnothing is there"}}
		require.NoError(t, client.ZAdd(t.Context(), p.IndexOf(k), moved...).Err())
		wantRemoved(t, p, "s", k.Name, 1)
		wantMiss(t, p, k)
		listed := client.ZRangeWithScores(t.Context(), p.IndexOf(k), 0, -1).Val()
		assert.Contains(t, listed, redis.Z{Member: "c"}, "the index is not complete")
		assert.Len(t, listed, len(keys), "the index has the marker, and what is left")
		wantRemoved(t, p, "s", "name:", len(keys)-1)
	}
}

// TestIndexInPlaceOfAnother checks that what makes room for an index leaves it its
// end, and that what is no member goes in time.
func TestIndexInPlaceOfAnother(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{})
	k := key("s", "k")
	require.NoError(t, client.Set(t.Context(), p.IndexOf(k), "no index", 0).Err())
	mustSet(t, p, k, "v")
	assert.Positive(t, client.PTTL(t.Context(), p.IndexOf(k)).Val(), "the index does not end")
	for i := range 10 {
		require.NoError(t, client.ZAdd(t.Context(), p.IndexOf(k), redis.Z{Member: fmt.Sprint(i, " is no member")}).Err())
	}
	eventually(t, "the junk to be trimmed", func() bool {
		mustSet(t, p, k, "v")
		return client.ZCard(t.Context(), p.IndexOf(k)).Val() == 1
	})
}
