package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

func TestInspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memory.New(memory.Options{MaxEntries: 50, Weigher: func(key provider.Key, _ provider.Entry) int64 {
			return int64(len(key.Name))
		}})
		require.NoError(t, err)
		cache := newCache(t, store, readthrough.Options{})
		options := readthrough.ScopeOptions{TTL: time.Minute, NegativeTTL: time.Second, Jitter: -1}
		scope, err := cache.Scope("s", options)
		require.NoError(t, err)
		other, err := cache.Scope("other", options)
		require.NoError(t, err)
		fill := func(s *readthrough.CachedScope, key string, result error) {
			_, _ = readthrough.Wrap(t.Context(), s, key, func(context.Context) (string, error) { return "value", result })
		}
		fill(scope, "a:1", nil)
		fill(scope, "a:22", nil)
		fill(scope, "b:333", nil)
		fill(scope, "absent", readthrough.ErrNotFound)
		fill(scope, "failed", errFault)
		fill(other, "a:1", nil)
		before := scope.Stats()

		has := func(s *readthrough.CachedScope, key string, wanted bool) {
			t.Helper()
			got, err := s.Has(t.Context(), key)
			want(t, "Has "+key, got, err, wanted)
		}
		has(scope, "a:1", true)
		has(scope, "absent", true)
		has(scope, "failed", false)
		has(scope, "never", false)
		has(other, "a:1", true)
		has(other, "a:22", false)

		list := func(options provider.ListOptions, total int, wanted ...string) {
			t.Helper()
			page, err := scope.Entries(t.Context(), options)
			require.NoError(t, err)
			var names []string
			for _, e := range page.Entries {
				names = append(names, e.Key.Name)
				assert.Equal(t, "s", e.Key.Scope, "entry")
				assert.Equal(t, int64(len(e.Key.Name)), e.Weight, "entry")
				assert.WithinDuration(t, time.Now(), e.StoredAt, 0, "entry")
				assert.Equal(t, e.Key.Name == "absent", e.Absent, "entry")
			}
			assert.Equal(t, total, page.Total, "Entries(%+v)", options)
			assert.Equal(t, fmt.Sprint(wanted), fmt.Sprint(names), "Entries(%+v)", options)
		}
		list(provider.ListOptions{}, 4, "a:1", "a:22", "absent", "b:333")
		list(provider.ListOptions{Scope: "other"}, 4, "a:1", "a:22", "absent", "b:333") // is ignored
		list(provider.ListOptions{Prefix: "a:"}, 2, "a:1", "a:22")
		list(provider.ListOptions{Sort: provider.SortBiggest, Limit: 2}, 4, "absent", "b:333")
		list(provider.ListOptions{Offset: 3}, 4, "b:333")
		list(provider.ListOptions{Offset: 9}, 4)
		for _, bad := range []provider.ListOptions{{Limit: -1}, {Offset: -1}, {Sort: 99}} {
			_, err := scope.Entries(t.Context(), bad)
			assert.Error(t, err, "Entries(%+v)", bad)
		}

		stats, err := cache.StoreStats(t.Context())
		assert.NoError(t, err, "StoreStats")
		assert.Equal(t, int64(5), stats.Entries, "StoreStats")
		assert.Equal(t, int64(50), stats.MaxEntries, "StoreStats")
		assert.Equal(t, int64(21), stats.Weight, "StoreStats")
		after := scope.Stats()
		assert.Equal(t, before.Hits, after.Hits, "looking was counted as reading")
		assert.Equal(t, before.Misses, after.Misses, "looking was counted as reading")
		time.Sleep(time.Second)
		has(scope, "absent", false)
		time.Sleep(time.Minute)
		has(scope, "a:1", false)
		list(provider.ListOptions{}, 0)
	})
}

func TestInspectUnsupported(t *testing.T) {
	for name, store := range map[string]provider.CacheProvider{"plain": plain(newStore(t)), "null": provider.Null()} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, store, readthrough.Options{})
			scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
			require.NoError(t, err)
			_, hasErr := scope.Has(t.Context(), "k")
			_, entriesErr := scope.Entries(t.Context(), provider.ListOptions{})
			_, statsErr := cache.StoreStats(t.Context())
			for what, err := range map[string]error{"Has": hasErr, "Entries": entriesErr, "StoreStats": statsErr} {
				assert.ErrorIs(t, err, errors.ErrUnsupported, what)
			}
		})
	}
}
