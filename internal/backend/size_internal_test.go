package backend

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// encodingStore encodes slowly, and takes time for each byte that it stores.
type encodingStore struct {
	*slowStore

	encodes time.Duration
	rate    int     // bytes a second
	sizes   [][]int // of the values of each request
}

func (s *encodingStore) Encode(entry provider.Entry) (provider.Entry, error) {
	time.Sleep(s.encodes)
	switch v := entry.Value.(type) {
	case int:
		entry.Value = provider.Encoded{Data: make([]byte, v)}
		return entry, nil
	case error:
		return entry, v
	default:
		panic(v)
	}
}

func (s *encodingStore) store(ctx context.Context, n int, entry func(i int) provider.Entry) error {
	total, sizes := 0, make([]int, n)
	for i := range n {
		if e, ok := entry(i).Value.(provider.Encoded); ok {
			sizes[i] = len(e.Data)
			total += sizes[i]
		}
	}
	s.sizes = append(s.sizes, sizes)
	select {
	case <-time.After(time.Duration(total) * (time.Second / time.Duration(s.rate))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *encodingStore) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	err := s.store(ctx, len(fills), func(i int) provider.Entry { return fills[i].Entry })
	filled := make([]provider.Filled, len(fills))
	for i := range filled {
		filled[i] = provider.Filled{Stored: err == nil, Err: err}
	}
	return filled, err
}

func (s *encodingStore) SetMany(ctx context.Context, items []provider.Item) error {
	return s.store(ctx, len(items), func(i int) provider.Entry { return items[i].Entry })
}

func (s *encodingStore) Set(ctx context.Context, _ provider.Key, entry provider.Entry, _ time.Duration) error {
	return s.store(ctx, 1, func(int) provider.Entry { return entry })
}

// stores are the calls that store values; each returns the error of the first.
func stores() map[string]func(b *Backend, values ...any) error {
	return map[string]func(b *Backend, values ...any) error{
		"fill": func(b *Backend, values ...any) error {
			fills := make([]provider.Fill, len(values))
			for i := range fills {
				fills[i].Entry.Value = values[i]
			}
			var errs []error
			for _, filled := range b.Fill(context.Background(), fills) {
				errs = append(errs, filled.Err)
			}
			return errors.Join(errs...)
		},
		"set": func(b *Backend, values ...any) error {
			items := make([]provider.Item, len(values))
			for i := range items {
				items[i] = provider.Item{Entry: provider.Entry{Value: values[i]}, TTL: time.Hour}
			}
			return b.Set(context.Background(), items, fillerFunc(func() {}))
		},
	}
}

// storing runs test in bubbles, for each call that stores.
func storing(t *testing.T, make func() *encodingStore, test func(t *testing.T, b *Backend, s *encodingStore, store func(values ...any) error)) {
	t.Helper()
	for name, store := range stores() {
		for _, punctual := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", punctual ", punctual), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := make()
					s.slowStore = &slowStore{CacheProvider: provider.Null(), punctual: punctual}
					b := New(s, Config{
						ReadTimeout: slowTimeout, BreakerFailures: 5, BreakerCooldown: time.Second,
						Panicked: func(v any) error { return fmt.Errorf("%v", v) },
					})
					test(t, b, s, func(values ...any) error { return store(b, values...) })
				})
			})
		}
	}
}

// TestLargeValueGetsMoreTime: 8 MiB cannot be sent in 50 ms. The deadline grows with the size, and has an end.
func TestLargeValueGetsMoreTime(t *testing.T) {
	storing(t, func() *encodingStore { return &encodingStore{rate: 20 << 20} }, func(t *testing.T, b *Backend, _ *encodingStore, store func(...any) error) {
		for range 10 {
			require.NoError(t, store(8<<20))
		}
		assert.False(t, b.Open(), "the breaker is open")
	})
	storing(t, func() *encodingStore { return &encodingStore{rate: 1 << 20} }, func(t *testing.T, _ *Backend, _ *encodingStore, store func(...any) error) {
		began := time.Now()
		require.ErrorIs(t, store(8<<20), context.DeadlineExceeded)
		assert.Less(t, time.Since(began), slowTimeout+time.Second, "took")
	})
}

// TestEncodingIsNotTheStoresTime: it does not count to the deadline, however long it takes.
func TestEncodingIsNotTheStoresTime(t *testing.T) {
	storing(t, func() *encodingStore { return &encodingStore{rate: 100 << 20, encodes: time.Second} }, func(t *testing.T, b *Backend, _ *encodingStore, store func(...any) error) {
		require.NoError(t, store(1000, 1000, 1000))
		assert.Zero(t, b.breaker.failures.Load(), "failures")
	})
}

// TestPartsAreBoundedInBytes: many large values are not one request.
func TestPartsAreBoundedInBytes(t *testing.T) {
	storing(t, func() *encodingStore { return &encodingStore{rate: 100 << 20} }, func(t *testing.T, _ *Backend, s *encodingStore, store func(...any) error) {
		const large = 3 << 20
		require.NoError(t, store(large, large, large, 10, 8<<20, 10))
		assert.Equal(t, [][]int{{large, large}, {large, 10, 8 << 20}, {10}}, s.sizes)
	})
}

// TestValueThatCannotBeEncodedGoesToTheStore: which refuses it, and gives the lease back. The others are
// stored.
func TestValueThatCannotBeEncodedGoesToTheStore(t *testing.T) {
	storing(t, func() *encodingStore { return &encodingStore{rate: 100 << 20} }, func(t *testing.T, _ *Backend, s *encodingStore, store func(...any) error) {
		require.NoError(t, store(10, errBroken, "a panic", 20))
		assert.Equal(t, [][]int{{10, 0, 0, 20}}, s.sizes)
	})
}
