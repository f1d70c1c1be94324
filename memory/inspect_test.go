package memory

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, info := range page.Entries {
				names = append(names, info.Key.Scope+"/"+info.Key.Name)
			}
			if got := strings.Join(names, " "); got != c.want || page.Total != c.total {
				t.Errorf("List %+v = %s of %d; want %s of %d", c.options, got, page.Total, c.want, c.total)
			}
		}
		page, err := s.List(t.Context(), provider.ListOptions{Scope: "b", Prefix: "x"})
		want := provider.Info{Key: key("b", "x"), Weight: 5, StoredAt: start, ExpiresAt: start.Add(time.Hour)}
		if err != nil || len(page.Entries) != 1 {
			t.Fatalf("List = %+v, %v", page, err)
		}
		got := page.Entries[0]
		if got.Key != want.Key || got.Weight != 5 || !got.StoredAt.Equal(want.StoredAt) || !got.ExpiresAt.Equal(want.ExpiresAt) {
			t.Errorf("List = %+v; want %+v", got, want)
		}
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
		if err != nil || page.Total != n || len(page.Entries) > provider.DefaultPageSize {
			t.Fatalf("List: %d of %d, %v", len(page.Entries), page.Total, err)
		}
		if len(page.Entries) == 0 {
			break
		}
		for _, info := range page.Entries {
			names = append(names, info.Key.Name)
			if info.Weight != provider.Unknown {
				t.Fatalf("weight %d without a weigher", info.Weight)
			}
		}
	}
	if len(names) != n || !slices.IsSorted(names) {
		t.Errorf("%d names in pages; want %d in order", len(names), n)
	}
	for _, bad := range []provider.ListOptions{{Offset: -1}, {Limit: -1}, {Sort: -1}, {Sort: provider.SortNewest + 1}} {
		if _, err := s.List(t.Context(), bad); err == nil || !strings.HasPrefix(err.Error(), "memory: ListOptions.") {
			t.Errorf("List %+v: %v", bad, err)
		}
	}
}

func TestLookingCountsAsNothing(t *testing.T) {
	s := newStore(t, Options{})
	k := key("s", "k")
	mustSet(t, s, k, 1, time.Hour)
	for range 10 {
		if ok, err := s.Has(t.Context(), k); !ok || err != nil {
			t.Errorf("Has = %v, %v", ok, err)
		}
		if ok, err := s.Has(t.Context(), key("s", "nobody")); ok || err != nil {
			t.Errorf("Has nobody = %v, %v", ok, err)
		}
		if _, err := s.List(t.Context(), provider.ListOptions{}); err != nil {
			t.Error(err)
		}
	}
	n := s.node(k)
	if hits, misses := s.hits.Load(), s.misses.Load(); hits != 0 || misses != 0 || n.credit() != 0 {
		t.Errorf("looking counted as %d hits, %d misses, %d credit", hits, misses, n.credit())
	}
	wantGet(t, s, k, 1)
	if _, err := s.GetMany(t.Context(), []provider.Key{k, k, key("s", "nobody")}); err != nil {
		t.Error(err)
	}
	_, _, _ = s.Get(t.Context(), key("s", "nobody"))
	stats, err := s.Stats(t.Context())
	if err != nil || stats.Hits != 3 || stats.Misses != 2 || n.credit() != 3 {
		t.Errorf("Stats = %+v, %v, credit %d; want 3 hits, 2 misses", stats, err, n.credit())
	}
}
