package redisprovider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// record is a value such as services cache: about 300 bytes of JSON.
type record struct {
	ID          string    `json:"id"`
	Title       string    `json:"title"`
	Description string    `json:"description"`
	Status      string    `json:"status"`
	Start       time.Time `json:"start"`
	Systems     []string  `json:"systems"`
}

func newRecord() record {
	return record{
		ID: "42", Title: "Replace the switch in rack 7", Status: "planned", Start: time.Unix(1_790_000_000, 0).UTC(),
		Description: "The switch is replaced by a newer one; the systems are out of reach for up to ten minutes meanwhile.",
		Systems:     []string{"mail", "files", "printers", "directory"},
	}
}

// BenchmarkRead compares the store with the client used by hand. The two take
// turns, so that whatever else the machine does meets both; the ratio is what
// counts.
func BenchmarkRead(b *testing.B) {
	s := redistest.StartReal(b, redistest.Options{})
	client := newServerClient(b, s.Addr())
	p := newProvider(b, client, redisprovider.Options{})
	keys := numbered("s", 100)
	raw := make([]string, len(keys))
	text, err := json.Marshal(newRecord())
	require.NoError(b, err)
	for i := range keys {
		raw[i] = fmt.Sprint("raw:s:name:", i)
		require.NoError(b, client.Set(b.Context(), raw[i], text, time.Hour).Err())
	}
	mustSetMany(b, p, keys, newRecord())

	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		interleaved(b,
			func(ctx context.Context) error { return readOne(ctx, p, keys[7]) },
			func(ctx context.Context) error { return rawOne(ctx, client, raw[7]) })
	})
	b.Run("GetMany100", func(b *testing.B) {
		b.ReportAllocs()
		interleaved(b,
			func(ctx context.Context) error { return readMany(ctx, p, keys) },
			func(ctx context.Context) error { return rawMany(ctx, client, raw) })
	})
}

// interleaved runs ours and theirs in turns and reports the time of each, and
// their ratio.
func interleaved(b *testing.B, ours, theirs func(ctx context.Context) error) {
	b.Helper()
	var took [2]time.Duration
	turn := 0
	for b.Loop() {
		for i := range took {
			which := (turn + i) % len(took)
			began := time.Now()
			if err := []func(ctx context.Context) error{ours, theirs}[which](b.Context()); err != nil {
				b.Fatal(err)
			}
			took[which] += time.Since(began)
		}
		turn++
	}
	b.ReportMetric(float64(took[0].Nanoseconds())/float64(turn), "ns/ours")
	b.ReportMetric(float64(took[1].Nanoseconds())/float64(turn), "ns/raw")
	b.ReportMetric(float64(took[0])/float64(took[1]), "ours/raw")
}

func readOne(ctx context.Context, p *redisprovider.Provider, k provider.Key) error {
	entry, _, err := p.Get(ctx, k)
	if err != nil {
		return err
	}
	return decodeRecord(entry)
}

func readMany(ctx context.Context, p *redisprovider.Provider, keys []provider.Key) error {
	results, err := p.GetMany(ctx, keys)
	if err != nil {
		return err
	}
	for _, r := range results {
		if err := decodeRecord(r.Entry); err != nil {
			return err
		}
	}
	return nil
}

func decodeRecord(entry provider.Entry) error {
	var r record
	return entry.Value.(provider.Encoded).Decode(&r)
}

func rawOne(ctx context.Context, client *redis.Client, k string) error {
	data, err := client.Get(ctx, k).Bytes()
	if err != nil {
		return err
	}
	var r record
	return json.Unmarshal(data, &r)
}

func rawMany(ctx context.Context, client *redis.Client, keys []string) error {
	values, err := client.MGet(ctx, keys...).Result()
	if err != nil {
		return err
	}
	for _, value := range values {
		var r record
		if err := json.Unmarshal([]byte(value.(string)), &r); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkHit is BenchmarkRead with many readers at the same time, and with the
// fence, whose hits are scripts.
func BenchmarkHit(b *testing.B) {
	s := redistest.StartReal(b, redistest.Options{})
	client := newServerClient(b, s.Addr(), func(o *redis.Options) { o.PoolSize = 64 })
	text, err := json.Marshal(newRecord())
	require.NoError(b, err)
	require.NoError(b, client.Set(b.Context(), "raw", text, time.Hour).Err())
	for _, fence := range []bool{false, true} {
		p := newProvider(b, client, redisprovider.Options{KeyPrefix: freshPrefix(), FenceByServer: fence})
		mustSet(b, p, key("s", "k"), newRecord())
		for _, readers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("fence=%v/readers=%d", fence, readers), func(b *testing.B) {
				together := func(read func(ctx context.Context) error) func(ctx context.Context) error {
					return func(ctx context.Context) error {
						var all errgroup.Group
						for range readers {
							all.Go(func() error {
								for range 20 {
									if err := read(ctx); err != nil {
										return err
									}
								}
								return nil
							})
						}
						return all.Wait()
					}
				}
				interleaved(b,
					together(func(ctx context.Context) error { return readOne(ctx, p, key("s", "k")) }),
					together(func(ctx context.Context) error { return rawOne(ctx, client, "raw") }))
			})
		}
	}
}

// BenchmarkMiss is the way of a miss: the lease and the fill, against a plain SET.
func BenchmarkMiss(b *testing.B) {
	s := redistest.StartReal(b, redistest.Options{})
	client := newServerClient(b, s.Addr())
	text, err := json.Marshal(newRecord())
	require.NoError(b, err)
	for _, fence := range []bool{false, true} {
		p := newProvider(b, client, redisprovider.Options{KeyPrefix: freshPrefix(), FenceByServer: fence})
		b.Run(fmt.Sprintf("fence=%v", fence), func(b *testing.B) {
			i := 0
			interleaved(b,
				func(ctx context.Context) error {
					i++
					grants, err := p.Acquire(ctx, []provider.Key{key("s", fmt.Sprint(i))}, time.Minute)
					if err != nil {
						return err
					}
					_, err = p.Fill(ctx, []provider.Fill{{Lease: grants[0].Lease, Entry: provider.Entry{Value: newRecord()}, TTL: time.Hour}})
					return err
				},
				func(ctx context.Context) error { return client.Set(ctx, fmt.Sprint("raw", i), text, time.Hour).Err() })
		})
	}
}

// BenchmarkDeletePrefix removes 1,000 entries among others, against SCAN and
// UNLINK by hand.
func BenchmarkDeletePrefix(b *testing.B) {
	for _, others := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) { benchmarkDeletePrefix(b, others) })
	}
}

func benchmarkDeletePrefix(b *testing.B, others int) {
	b.Helper()
	s := redistest.StartReal(b, redistest.Options{})
	client := newServerClient(b, s.Addr())
	p := newProvider(b, client, redisprovider.Options{})
	for part := range slices.Chunk(numbered("s", others), 100_000) {
		mustSetMany(b, p, part, "v")
	}
	family := make([]provider.Key, 1000)
	for i := range family {
		family[i] = key("s", fmt.Sprint("family:", i))
	}
	began := time.Now()
	wantRemoved(b, p, "s", "none", 0)
	rebuilt := time.Since(began)
	var took [2]time.Duration
	rounds := 0
	for b.Loop() {
		for i, remove := range []func() (int, error){
			func() (int, error) { return p.DeletePrefix(b.Context(), "s", "family:") },
			func() (int, error) { return scanAndUnlink(b.Context(), client, p.KeyOf(key("s", "family:"))+"*") },
		} {
			mustSetMany(b, p, family, "v")
			began := time.Now()
			if n, err := remove(); n != len(family) || err != nil {
				b.Fatalf("removed %d, %v", n, err)
			}
			took[i] += time.Since(began)
		}
		rounds++
	}
	b.ReportMetric(float64(took[0].Microseconds())/float64(rounds), "µs/ours")
	b.ReportMetric(float64(took[1].Microseconds())/float64(rounds), "µs/raw")
	b.ReportMetric(float64(took[1])/float64(took[0]), "raw/ours")
	b.ReportMetric(float64(rebuilt.Milliseconds()), "ms/rebuild")
}

func scanAndUnlink(ctx context.Context, client *redis.Client, pattern string) (removed int, err error) {
	for cursor := uint64(0); ; {
		var keys []string
		if keys, cursor, err = client.Scan(ctx, cursor, pattern, 1000).Result(); err != nil {
			return removed, err
		}
		if len(keys) > 0 {
			n, err := client.Unlink(ctx, keys...).Result()
			if removed += int(n); err != nil {
				return removed, err
			}
		}
		if cursor == 0 {
			return removed, nil
		}
	}
}
