package benchmarks

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/Yiling-J/theine-go"
	grcache "github.com/go-redis/cache/v9"
	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/viccon/sturdyc"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// inTwoTiers are the libraries that keep a part of what is in the server at addr in the process. Ours alone hears of
// every invalidation by others: theine, sturdyc, go-redis/cache and the pair by hand hear of none, and rueidis may miss
// some. readthrough is our store in memory, which the others are compared with.
func inTwoTiers(addr string) []library {
	return []library{
		{"readthrough-near", openNear(addr, near.Options{Strict: true})},
		{"readthrough", openReadthrough},
		{"sturdyc-redis", openSturdycRedis(addr)},
		{"theine-hybrid", openTheineHybrid(addr)},
		{"go-redis-cache-local", openGoRedisCacheLocal(addr)},
		{"rueidis-docache", openRueidis(addr, true)},
		{"otter-redis-by-hand", openOtterRedis(addr)},
	}
}

// openNear opens our near cache, and waits until its memory may answer.
func openNear(addr string, options near.Options) func(b *testing.B, entries int, s source) cache {
	return func(b *testing.B, entries int, s source) cache {
		b.Helper()
		client := newClient(addr)
		far, err := redisprovider.New(client, redisprovider.Options{KeyPrefix: "near:"})
		require.NoError(b, err)
		options.MaxEntries, options.TTL = entries, ttl
		store, err := near.New(far, options)
		require.NoError(b, err)
		require.Eventually(b, func() bool { return store.NearStats().Membership.Valid }, time.Minute, time.Millisecond)
		return newOurs(b, store, client, s, readthrough.Options{ProviderTimeout: 10 * time.Second, InvalidateTimeout: time.Minute})
	}
}

// redisTier is a server with JSON, as the second tier of other libraries.
type redisTier struct {
	b      *testing.B
	client *redis.Client
	prefix string
}

func (t redisTier) get(ctx context.Context, key string) (*record, bool) {
	data, err := t.client.Get(ctx, t.prefix+key).Bytes()
	if err != nil {
		return nil, false
	}
	var r record
	assert.NoError(t.b, json.Unmarshal(data, &r))
	return &r, true
}

func (t redisTier) set(ctx context.Context, key string, r *record) {
	data, err := json.Marshal(r)
	assert.NoError(t.b, err)
	assert.NoError(t.b, t.client.Set(ctx, t.prefix+key, data, ttl).Err())
}

// sturdycTier is a redisTier as sturdyc has it.
type sturdycTier struct{ redisTier }

func (t sturdycTier) Get(ctx context.Context, key string) ([]byte, bool) {
	data, err := t.client.Get(ctx, t.prefix+key).Bytes()
	return data, err == nil
}

func (t sturdycTier) Set(ctx context.Context, key string, value []byte) {
	assert.NoError(t.b, t.client.Set(ctx, t.prefix+key, value, ttl).Err())
}

func (t sturdycTier) GetBatch(ctx context.Context, keys []string) map[string][]byte {
	found := make(map[string][]byte)
	for _, key := range keys {
		if data, ok := t.Get(ctx, key); ok {
			found[key] = data
		}
	}
	return found
}

func (t sturdycTier) SetBatch(ctx context.Context, records map[string][]byte) {
	for key, data := range records {
		t.Set(ctx, key, data)
	}
}

type sturdycRedis struct {
	*sturdycCache

	client *redis.Client
}

func openSturdycRedis(addr string) func(b *testing.B, entries int, s source) cache {
	return func(b *testing.B, entries int, s source) cache {
		b.Helper()
		client := newClient(addr)
		tier := sturdycTier{redisTier{b, client, "sturdyc:"}}
		return sturdycRedis{&sturdycCache{sturdyc.New[*record](entries, 10, ttl, 10,
			sturdyc.WithNoContinuousEvictions(), sturdyc.WithDistributedStorage(tier)), s}, client}
	}
}

func (c sturdycRedis) close() { _ = c.client.Close() }

// theineTier is a redisTier as theine has it, which asks it without a context.
type theineTier struct{ redisTier }

func (t theineTier) Get(key string) (*record, int64, int64, bool, error) {
	r, ok := t.get(t.b.Context(), key)
	return r, 1, 0, ok, nil
}

func (t theineTier) Set(key string, r *record, _, _ int64) error {
	t.set(t.b.Context(), key, r)
	return nil
}

func (t theineTier) Delete(key string) error {
	return t.client.Unlink(t.b.Context(), t.prefix+key).Err()
}

func (t theineTier) HandleAsyncError(err error) { assert.NoError(t.b, err) }

type theineHybrid struct {
	cache  *theine.HybridLoadingCache[string, *record]
	client *redis.Client
}

func openTheineHybrid(addr string) func(b *testing.B, entries int, s source) cache {
	return func(b *testing.B, entries int, s source) cache {
		b.Helper()
		client := newClient(addr)
		c, err := theine.NewBuilder[string, *record](int64(entries)).
			Hybrid(theineTier{redisTier{b, client, "theine:"}}).
			Loading(func(ctx context.Context, key string) (theine.Loaded[*record], error) {
				r, err := s.load(ctx, key)
				return theine.Loaded[*record]{Value: r, Cost: 1, TTL: ttl}, err
			}).Build()
		require.NoError(b, err)
		return theineHybrid{c, client}
	}
}

func (c theineHybrid) read(ctx context.Context, key string) (*record, error) {
	return c.cache.Get(ctx, key)
}

func (c theineHybrid) close() {
	c.cache.Close()
	_ = c.client.Close()
}

// openGoRedisCacheLocal opens go-redis/cache with its local cache, which keeps bytes.
func openGoRedisCacheLocal(addr string) func(b *testing.B, entries int, s source) cache {
	return func(_ *testing.B, entries int, s source) cache {
		client := newClient(addr)
		return &goRedisCache{client, grcache.New(&grcache.Options{
			Redis: client, Marshal: json.Marshal, Unmarshal: json.Unmarshal, LocalCache: grcache.NewTinyLFU(entries, ttl),
		}), "grcl:", s}
	}
}

// otterRedis is otter, whose loads ask Redis first: what many services write.
type otterRedis struct {
	*otterCache

	tier redisTier
}

func openOtterRedis(addr string) func(b *testing.B, entries int, s source) cache {
	return func(b *testing.B, entries int, s source) cache {
		b.Helper()
		return &otterRedis{&otterCache{newOtter(b, entries, nil), s}, redisTier{b, newClient(addr), "otter:"}}
	}
}

func (o *otterRedis) load(ctx context.Context, key string) (*record, error) {
	if r, ok := o.tier.get(ctx, key); ok {
		return r, nil
	}
	r, err := o.source.load(ctx, key)
	if err == nil {
		o.tier.set(ctx, key, r)
	}
	return r, err
}

func (o *otterRedis) read(ctx context.Context, key string) (*record, error) {
	return o.cache.Get(ctx, key, otter.LoaderFunc[string, *record](o.load))
}

func (o *otterRedis) close() {
	o.otterCache.close()
	_ = o.tier.client.Close()
}

// nearKeys are read by the benchmarks of near caches.
const nearKeys = 1000

func fillNear(b *testing.B, c cache) bool {
	b.Helper()
	fill(b, c, numbered(nearKeys))
	fill(b, c, numbered(nearKeys)) // rueidis keeps what it reads, and not what it stores
	return true
}

// BenchmarkNearHit reads what is in memory in front of Redis.
func BenchmarkNearHit(b *testing.B) {
	addr := redistest.StartReal(b, redistest.Options{}).Addr()
	order := shuffled(numbered(nearKeys))
	b.Run("one", func(b *testing.B) {
		each(b, inTwoTiers(addr), 2*nearKeys, constant(example()), fillNear, readAlone(order))
	})
	b.Run("all", func(b *testing.B) {
		each(b, inTwoTiers(addr), 2*nearKeys, constant(example()), fillNear, readTogether(order))
	})
}

// BenchmarkNearBulk reads 100 keys at a time that are in memory in front of Redis.
func BenchmarkNearBulk(b *testing.B) {
	const size = 100
	addr := redistest.StartReal(b, redistest.Options{}).Addr()
	keys := shuffled(numbered(nearKeys))
	libraries := inTwoTiers(addr)
	libraries = append(libraries[:3:3], libraries[5]) // the others have no call for several keys of both tiers
	each(b, libraries, 2*nearKeys, constant(example()), fillNear, func(b *testing.B, c cache) {
		b.Helper()
		ctx := b.Context()
		watch := start(b)
		for i := range b.N {
			from := i * size % nearKeys
			if got, err := c.(bulkReader).readMany(ctx, keys[from:from+size]); err != nil || len(got) != size {
				b.Fatal(len(got), err)
			}
		}
		watch.stop(b, b.N)
	})
}

// BenchmarkNearFar reads what the memory does not have: keys that are in Redis, because the memory is small; and keys
// that are nowhere. With a near cache, and with Redis alone.
func BenchmarkNearFar(b *testing.B) {
	const entries = 100
	addr := redistest.StartReal(b, redistest.Options{}).Addr()
	libraries := []library{
		{"readthrough-near", openNear(addr, near.Options{Strict: true})},
		{"readthrough", openOverRedis(addr, provider.JSON())},
	}
	keys := numbered(nearKeys) // in order: none of them is among the last hundred
	b.Run("hit", func(b *testing.B) {
		each(b, libraries, entries, constant(example()), fillNear, readAlone(keys))
	})
	b.Run("miss", func(b *testing.B) {
		next := nearKeys
		each(b, libraries, entries, constant(example()), anyCache, func(b *testing.B, c cache) {
			b.Helper()
			ctx := b.Context()
			watch := start(b)
			for range b.N {
				next++
				if _, err := c.read(ctx, keyOf(next)); err != nil {
					b.Fatal(err)
				}
			}
			watch.stop(b, b.N)
		})
	})
}
