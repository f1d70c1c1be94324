package benchmarks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	grcache "github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// inRedis are the libraries that keep encoded values in the server at addr, ours
// first and the limits last: a command by hand and the decoding of its answer.
// All use JSON, but those whose name says otherwise.
func inRedis(addr string) []library {
	return []library{
		{"readthrough", openOverRedis(addr, provider.JSON())},
		{"readthrough-msgpack", openOverRedis(addr, msgpackCodec{})},
		{"go-redis-cache", openGoRedisCache(addr, json.Marshal, json.Unmarshal)},
		{"go-redis-cache-msgpack", openGoRedisCache(addr, nil, nil)},
		{"rueidis", openRueidis(addr, false)},
		{"near-rueidis", openRueidis(addr, true)},
		{"limit-get", openByHand(addr, provider.JSON(), false)},
		{"limit-get-msgpack", openByHand(addr, msgpackCodec{}, false)},
		{"limit-autopipeline", openByHand(addr, provider.JSON(), true)},
	}
}

// example is a record as services cache it: 295 bytes of JSON.
func example() *record {
	return &record{
		ID: "42", Title: "Replace the switch in rack 7", Status: "planned", Start: time.Unix(1_790_000_000, 0).UTC(),
		Description: "The switch is replaced by a newer one; the systems behind it are out of reach for up to ten minutes meanwhile. Mails are queued.",
		Systems:     []string{"mail", "files", "printers", "directory"},
	}
}

const redisConnections = 64

func newClient(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, PoolSize: redisConnections, ContextTimeoutEnabled: true})
}

func openOverRedis(addr string, codec provider.Codec) func(b *testing.B, entries int, s source) cache {
	return func(b *testing.B, _ int, s source) cache {
		b.Helper()
		client := newClient(addr)
		store, err := redisprovider.New(client, redisprovider.Options{Codec: codec, KeyPrefix: codec.Name() + ":"})
		require.NoError(b, err)
		// A machine that measures is busy: a read must not be given up for that.
		return newOurs(b, store, client, s, readthrough.Options{ProviderTimeout: 10 * time.Second, InvalidateTimeout: time.Minute})
	}
}

// goRedisCache is go-redis/cache without its local cache.
type goRedisCache struct {
	client *redis.Client
	cache  *grcache.Cache
	prefix string
	source source
}

func openGoRedisCache(addr string, marshal grcache.MarshalFunc, unmarshal grcache.UnmarshalFunc) func(b *testing.B, entries int, s source) cache {
	return func(_ *testing.B, _ int, s source) cache {
		client := newClient(addr)
		prefix := "grc:"
		if marshal == nil {
			prefix = "grcm:"
		}
		return &goRedisCache{client, grcache.New(&grcache.Options{Redis: client, Marshal: marshal, Unmarshal: unmarshal}), prefix, s}
	}
}

func (c *goRedisCache) read(ctx context.Context, key string) (*record, error) {
	var r record
	err := c.cache.Once(&grcache.Item{
		Ctx: ctx, Key: c.prefix + key, Value: &r, TTL: ttl,
		Do: func(item *grcache.Item) (any, error) { return c.source.load(item.Ctx, key) },
	})
	return &r, err
}

func (*goRedisCache) loadsOnce() {}

func (c *goRedisCache) invalidate(ctx context.Context, key string) error {
	return c.cache.Delete(ctx, c.prefix+key)
}

func (c *goRedisCache) close() { _ = c.client.Close() }

// rueidisCache reads with rueidis, which always pipelines. With near, it keeps what
// it read in the process, until Redis tells it that it has changed.
type rueidisCache struct {
	client rueidis.Client
	near   bool
	source source
}

func openRueidis(addr string, near bool) func(b *testing.B, entries int, s source) cache {
	return func(b *testing.B, _ int, s source) cache {
		b.Helper()
		client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: !near})
		require.NoError(b, err)
		return &rueidisCache{client, near, s}
	}
}

func (c *rueidisCache) get(ctx context.Context, key string) rueidis.RedisResult {
	get := c.client.B().Get().Key("rueidis:" + key)
	if c.near {
		return c.client.DoCache(ctx, get.Cache(), ttl)
	}
	return c.client.Do(ctx, get.Build())
}

func (c *rueidisCache) read(ctx context.Context, key string) (*record, error) {
	var r record
	err := c.get(ctx, key).DecodeJSON(&r)
	if !rueidis.IsRedisNil(err) {
		return &r, err
	}
	loaded, err := c.source.load(ctx, key)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(loaded)
	if err != nil {
		return nil, err
	}
	return loaded, c.client.Do(ctx, c.client.B().Set().Key("rueidis:"+key).Value(rueidis.BinaryString(data)).Ex(ttl).Build()).Error()
}

func (c *rueidisCache) readMany(ctx context.Context, keys []string) (map[string]*record, error) {
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = "rueidis:" + key
	}
	answers, err := rueidis.MGet(c.client, ctx, full)
	if c.near {
		answers, err = rueidis.MGetCache(c.client, ctx, ttl, full)
	}
	found := make(map[string]*record, len(keys))
	for i, key := range keys {
		var r record
		answer := answers[full[i]]
		if err == nil {
			err = answer.DecodeJSON(&r)
		}
		found[key] = &r
	}
	return found, err
}

func (c *rueidisCache) close() { c.client.Close() }

// byHand is a client and a codec.
type byHand struct {
	client *redis.Client
	get    func(ctx context.Context, key string) *redis.StringCmd
	codec  provider.Codec
	source source
}

func openByHand(addr string, codec provider.Codec, pipelined bool) func(b *testing.B, entries int, s source) cache {
	return func(b *testing.B, _ int, s source) cache {
		b.Helper()
		client := newClient(addr)
		get := client.Get
		if pipelined {
			pipeline, err := client.AutoPipeline()
			require.NoError(b, err)
			get = pipeline.Get
		}
		return &byHand{client, get, codec, s}
	}
}

func (c *byHand) keyOf(key string) string { return "raw:" + c.codec.Name() + ":" + key }

func (c *byHand) read(ctx context.Context, key string) (*record, error) {
	data, err := c.get(ctx, c.keyOf(key)).Bytes()
	if err == redis.Nil { //nolint:errorlint // the client returns it as it is
		return c.load(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	var r record
	return &r, c.codec.Unmarshal(data, &r)
}

func (c *byHand) load(ctx context.Context, key string) (*record, error) {
	r, err := c.source.load(ctx, key)
	if err != nil {
		return nil, err
	}
	data, err := c.codec.Marshal(r)
	if err != nil {
		return nil, err
	}
	return r, c.client.Set(ctx, c.keyOf(key), data, ttl).Err()
}

func (c *byHand) readMany(ctx context.Context, keys []string) (map[string]*record, error) {
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = c.keyOf(key)
	}
	values, err := c.client.MGet(ctx, full...).Result()
	if err != nil {
		return nil, err
	}
	found := make(map[string]*record, len(keys))
	var missing []string
	for i, key := range keys {
		text, ok := values[i].(string)
		if !ok {
			missing = append(missing, key)
			continue
		}
		var r record
		if err := c.codec.Unmarshal([]byte(text), &r); err != nil {
			return nil, err
		}
		found[key] = &r
	}
	if len(missing) == 0 {
		return found, nil
	}
	return found, c.loadMany(ctx, missing, found)
}

func (c *byHand) loadMany(ctx context.Context, keys []string, found map[string]*record) error {
	loaded, err := c.source.loadMany(ctx, keys)
	if err != nil {
		return err
	}
	_, err = c.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for key, r := range loaded {
			data, err := c.codec.Marshal(r)
			if err != nil {
				return err
			}
			pipe.Set(ctx, c.keyOf(key), data, ttl)
			found[key] = r
		}
		return nil
	})
	return err
}

func (c *byHand) invalidate(ctx context.Context, key string) error {
	return c.client.Unlink(ctx, c.keyOf(key)).Err()
}

// removePrefix looks at every key of the server.
func (c *byHand) removePrefix(ctx context.Context, prefix string) (removed int, err error) {
	const step = 1000
	for cursor := uint64(0); ; {
		var keys []string
		if keys, cursor, err = c.client.Scan(ctx, cursor, c.keyOf(prefix)+"*", step).Result(); err != nil {
			return removed, err
		}
		if len(keys) > 0 {
			n, err := c.client.Unlink(ctx, keys...).Result()
			if removed += int(n); err != nil {
				return removed, err
			}
		}
		if cursor == 0 {
			return removed, nil
		}
	}
}

func (c *byHand) close() { _ = c.client.Close() }

// BenchmarkRedisHit reads what is stored in Redis, with so many goroutines at a
// time.
func BenchmarkRedisHit(b *testing.B) {
	addr := redistest.StartReal(b, redistest.Options{}).Addr()
	keys := numbered(1000)
	for _, goroutines := range []int{1, 64, 256} {
		prepare := func(b *testing.B, c cache) bool {
			b.Helper()
			fill(b, c, keys)
			var readers sync.WaitGroup // so that the connections are there
			for range goroutines {
				readers.Go(func() {
					for i := range 20 {
						if _, err := c.read(b.Context(), keys[i]); err != nil {
							b.Error(err)
						}
					}
				})
			}
			readers.Wait()
			return true
		}
		b.Run("goroutines="+strconv.Itoa(goroutines), func(b *testing.B) {
			each(b, inRedis(addr), 0, constant(example()), prepare, func(b *testing.B, c cache) {
				b.Helper()
				if goroutines == 1 {
					readAlone(keys)(b, c)
					return
				}
				b.SetParallelism(goroutines / 2) // times the number of processors
				readTogether(keys)(b, c)
			})
		})
	}
}

// BenchmarkRedisBulk reads 100 keys in one trip.
func BenchmarkRedisBulk(b *testing.B) {
	const size = 100
	addr := redistest.StartReal(b, redistest.Options{}).Addr()
	keys := numbered(1000)
	prepare := func(b *testing.B, c cache) bool {
		b.Helper()
		_, able := c.(bulkReader)
		if able {
			fill(b, c, keys)
		}
		return able
	}
	libraries := slices.DeleteFunc(inRedis(addr), func(l library) bool { return l.name == "limit-autopipeline" })
	each(b, libraries, 0, constant(example()), prepare, func(b *testing.B, c cache) {
		b.Helper()
		ctx := b.Context()
		watch := start(b)
		for i := range b.N {
			from := i * size % len(keys)
			got, err := c.(bulkReader).readMany(ctx, keys[from:from+size])
			if err != nil || len(got) != size {
				b.Fatal(len(got), err)
			}
		}
		watch.stop(b, b.N)
	})
}

// BenchmarkRedisMiss reads keys that are not stored.
func BenchmarkRedisMiss(b *testing.B) {
	addr := redistest.StartReal(b, redistest.Options{}).Addr()
	next := 0
	each(b, inRedis(addr)[:7], 0, constant(example()), anyCache, func(b *testing.B, c cache) {
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
}

// BenchmarkRedisPrefix is BenchmarkPrefix in Redis, where the others have nothing
// but a scan.
func BenchmarkRedisPrefix(b *testing.B) {
	for _, family := range []int{1_000, million / 2} {
		b.Run(fmt.Sprintf("remove=%d", family), func(b *testing.B) {
			libraries := func(addr string) []library {
				all := inRedis(addr)
				return []library{all[0], {"limit-get", all[6].open}}
			}
			for i := range libraries("") {
				addr := redistest.StartReal(b, redistest.Options{}).Addr()
				benchmarkPrefix(b, libraries(addr)[i:i+1], family, constant(&record{ID: "shared"}))
			}
		})
	}
}
