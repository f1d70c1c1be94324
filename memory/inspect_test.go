package memory

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

func TestListOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{Weigher: byValue})
		start := time.Now()
		for i, e := range []struct {
			key    provider.Key
			weight int
		}{
			{key("b", "x"), 5}, {key("a", "z"), 5}, {key("a", "p:1"), 9}, {key("a", "p:2"), 1}, {key("b", "p:0"), 5},
		} {
			mustSet(t, s, e.key, e.weight, time.Hour)
			if i%2 == 1 { // pairs are stored at the same moment
				time.Sleep(time.Second)
			}
		}
		mustSet(t, s, key("a", "expired"), 100, time.Second)
		time.Sleep(time.Second)
		for _, c := range []struct {
			options provider.ListOptions
			want    string
			total   int
		}{
			{provider.ListOptions{}, "a/p:1 a/p:2 a/z b/p:0 b/x", 5},
			{provider.ListOptions{Sort: provider.SortBiggest}, "a/p:1 a/z b/p:0 b/x a/p:2", 5},
			{provider.ListOptions{Sort: provider.SortNewest}, "b/p:0 a/p:1 a/p:2 a/z b/x", 5},
			{provider.ListOptions{Scope: "a"}, "a/p:1 a/p:2 a/z", 3},
			{provider.ListOptions{Prefix: "p:"}, "a/p:1 a/p:2 b/p:0", 3},
			{provider.ListOptions{Scope: "a", Prefix: "p:"}, "a/p:1 a/p:2", 2},
			{provider.ListOptions{Scope: "nobody"}, "", 0},
			{provider.ListOptions{Offset: 1, Limit: 2}, "a/p:2 a/z", 5},
			{provider.ListOptions{Offset: 4, Limit: 2}, "b/x", 5},
			{provider.ListOptions{Offset: 5}, "", 5},
			{provider.ListOptions{Offset: math.MaxInt, Limit: math.MaxInt}, "", 5},
			{provider.ListOptions{Offset: 1, Limit: math.MaxInt}, "a/p:2 a/z b/p:0 b/x", 5},
		} {
			page, err := s.List(t.Context(), c.options)
			require.NoError(t, err)
			var names []string
			for _, info := range page.Entries {
				names = append(names, info.Key.Scope+"/"+info.Key.Name)
			}
			assert.Equal(t, c.want, strings.Join(names, " "), "List %+v", c.options)
			assert.Equal(t, c.total, page.Total, "List %+v", c.options)
		}
		page, err := s.List(t.Context(), provider.ListOptions{Scope: "b", Prefix: "x"})
		want := provider.Info{Key: key("b", "x"), Weight: 5, StoredAt: start, ExpiresAt: start.Add(time.Hour)}
		require.NoError(t, err, "List")
		require.Len(t, page.Entries, 1, "List")
		got := page.Entries[0]
		assert.Equal(t, want.Key, got.Key, "List")
		assert.Equal(t, int64(5), got.Weight, "List")
		assert.WithinDuration(t, want.StoredAt, got.StoredAt, 0, "List")
		assert.WithinDuration(t, want.ExpiresAt, got.ExpiresAt, 0, "List")
	})
}

func TestListPages(t *testing.T) {
	s := newStore(t, Options{})
	const n = 2*chunk + 3
	for i := range n {
		mustSet(t, s, key("s", fmt.Sprintf("%05d", i)), i, time.Hour)
	}
	var names []string
	for {
		page, err := s.List(t.Context(), provider.ListOptions{Offset: len(names)})
		require.NoError(t, err, "List")
		require.Equal(t, n, page.Total, "List")
		require.LessOrEqual(t, len(page.Entries), provider.DefaultPageSize, "List")
		if len(page.Entries) == 0 {
			break
		}
		for _, info := range page.Entries {
			names = append(names, info.Key.Name)
			require.Equal(t, provider.Unknown, info.Weight, "the weight without a weigher")
		}
	}
	assert.Len(t, names, n, "names in pages")
	assert.IsNonDecreasing(t, names, "names in pages")
	for _, bad := range []provider.ListOptions{{Offset: -1}, {Limit: -1}, {Sort: -1}, {Sort: provider.SortNewest + 1}} {
		_, err := s.List(t.Context(), bad)
		assert.Regexp(t, `^memory: ListOptions\.`, err, "List %+v", bad)
	}
}

func TestLookingCountsAsNothing(t *testing.T) {
	s := newStore(t, Options{})
	k := key("s", "k")
	mustSet(t, s, k, 1, time.Hour)
	for range 10 {
		ok, err := s.Has(t.Context(), k)
		assert.NoError(t, err, "Has")
		assert.True(t, ok, "Has")
		ok, err = s.Has(t.Context(), key("s", "nobody"))
		assert.NoError(t, err, "Has nobody")
		assert.False(t, ok, "Has nobody")
		_, err = s.List(t.Context(), provider.ListOptions{})
		assert.NoError(t, err)
	}
	n := s.node(k)
	hits, misses := s.hits.Load(), s.misses.Load()
	assert.Zero(t, hits, "looking counted as hits")
	assert.Zero(t, misses, "looking counted as misses")
	assert.Zero(t, n.credit(), "looking gave credit")
	wantGet(t, s, k, 1)
	_, err := s.GetMany(t.Context(), []provider.Key{k, k, key("s", "nobody")})
	assert.NoError(t, err)
	_, _, _ = s.Get(t.Context(), key("s", "nobody"))
	stats, err := s.Stats(t.Context())
	assert.NoError(t, err, "Stats")
	assert.Equal(t, int64(3), stats.Hits, "hits")
	assert.Equal(t, int64(2), stats.Misses, "misses")
	assert.Equal(t, uint32(3), n.credit(), "credit")
}
