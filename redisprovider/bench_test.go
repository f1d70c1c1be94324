package redisprovider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
	if err != nil {
		b.Fatal(err)
	}
	for i := range keys {
		raw[i] = fmt.Sprint("raw:s:name:", i)
		if err := client.Set(b.Context(), raw[i], text, time.Hour).Err(); err != nil {
			b.Fatal(err)
		}
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

// BenchmarkDeletePrefix removes 1,000 entries among 100,000.
func BenchmarkDeletePrefix(b *testing.B) {
	s := redistest.StartReal(b, redistest.Options{})
	client := newServerClient(b, s.Addr())
	for _, count := range []int{100, redisprovider.DefaultScanCount, 10_000} {
		b.Run(fmt.Sprintf("count=%d", count), func(b *testing.B) {
			p := newProvider(b, client, redisprovider.Options{ScanCount: count})
			mustSetMany(b, p, numbered("others", 99_000), "v")
			family := numbered("s", 1000)
			for b.Loop() {
				b.StopTimer()
				mustSetMany(b, p, family, "v")
				b.StartTimer()
				if n, err := p.DeletePrefix(b.Context(), "s", "name:"); n != len(family) || err != nil {
					b.Fatalf("removed %d, %v", n, err)
				}
			}
		})
	}
}
