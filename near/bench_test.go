package near_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/neartest"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/race"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
)

// newHot returns a scope whose hundred keys are in memory: that of a near cache, or a memory store.
func newHot(tb testing.TB, isNear bool) (*readthrough.CachedScope, []string) {
	tb.Helper()
	var store provider.CacheProvider
	held, err := memory.New(memory.Options{})
	require.NoError(tb, err)
	store = held
	if isNear {
		cached, err := near.New(neartest.NewStore(tb.Context(), neartest.NewServer(), time.Hour), near.Options{Strict: true, TTL: time.Hour})
		require.NoError(tb, err)
		require.Eventually(tb, func() bool { return cached.NearStats().Membership.Valid }, proofs.Patience(), time.Millisecond)
		store = cached
	}
	cache, err := readthrough.New(store, readthrough.Options{})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = cache.Close() })
	scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(tb, err)
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprint("maintenance:", i)
		_, err := readthrough.Wrap(tb.Context(), scope, keys[i], loadBox)
		require.NoError(tb, err)
	}
	return scope, keys
}

func loadBox(context.Context) (*box, error) { return &box{1}, nil }

func loadBoxes(_ context.Context, keys []string) (map[string]*box, error) {
	all := make(map[string]*box)
	for _, k := range keys {
		all[k] = &box{1}
	}
	return all, nil
}

// TestHitAllocatesNothing: neither does one in a memory store.
func TestHitAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	scope, keys := newHot(t, true)
	ctx := t.Context()
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		_, _ = readthrough.Wrap(ctx, scope, keys[7], loadBox)
	}))
	assert.NotZero(t, scope.Stats().NearHits)
}

func BenchmarkHit(b *testing.B) {
	for _, isNear := range []bool{false, true} {
		name := map[bool]string{false: "memory", true: "near"}[isNear]
		b.Run(name, func(b *testing.B) {
			scope, keys := newHot(b, isNear)
			ctx := b.Context()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, _ = readthrough.Wrap(ctx, scope, keys[i%len(keys)], loadBox)
			}
		})
		b.Run(name+" parallel", func(b *testing.B) {
			scope, keys := newHot(b, isNear)
			ctx := b.Context()
			var next atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := int(next.Add(7)); pb.Next(); i++ {
					_, _ = readthrough.Wrap(ctx, scope, keys[i%len(keys)], loadBox)
				}
			})
		})
		b.Run(name+" bulk", func(b *testing.B) {
			scope, keys := newHot(b, isNear)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				_, _ = readthrough.WrapMany(ctx, scope, keys, func(k string) string { return k }, loadBoxes)
			}
		})
	}
}
