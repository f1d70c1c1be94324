package redisprovider_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// listAll returns the names of a scope, page by page, and the number of pages.
func listAll(t *testing.T, p *redisprovider.Provider, options provider.ListOptions) (names []string, pages int) {
	t.Helper()
	for {
		page, err := p.List(t.Context(), options)
		require.NoError(t, err)
		for _, e := range page.Entries {
			names = append(names, e.Key.Name)
		}
		pages++
		if options.Cursor = page.Next; page.Next == "" || pages > 10_000 {
			return names, pages
		}
	}
}

// TestListCostsAPage: however much the server holds, a page is one script in each bucket, and never a
// look at the server.
func TestListCostsAPage(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	p := newProvider(t, client, redisprovider.Options{})
	var want []string
	var items []provider.Item
	for i := range 2500 {
		name := fmt.Sprintf("n:%05d", i)
		want = append(want, name)
		items = append(items, provider.Item{Key: provider.Key{Scope: "s", Name: name}, Entry: provider.Entry{Value: i}, TTL: time.Hour})
	}
	require.NoError(t, p.SetMany(t.Context(), items))
	require.NoError(t, p.Set(t.Context(), provider.Key{Scope: "s", Name: "other"}, provider.Entry{Value: 1}, time.Hour))
	require.NoError(t, client.ConfigResetStat(t.Context()).Err())
	page, err := p.List(t.Context(), provider.ListOptions{Scope: "s", Prefix: "n:", Limit: 10})
	require.NoError(t, err)
	assert.Len(t, page.Entries, 10)
	commands, err := client.InfoMap(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	assert.NotContains(t, commands["Commandstats"], "cmdstat_scan", "a page has scanned the server")
	assert.Contains(t, commands["Commandstats"]["cmdstat_getrange"], "calls=10,", "keys that a page of 10 has looked at")

	names, pages := listAll(t, p, provider.ListOptions{Scope: "s", Prefix: "n:", Limit: 1_000_000})
	assert.Equal(t, want, names)
	assert.Equal(t, 3, pages, "a page has at most 1,000 entries")
}

// TestListOnCluster: a scope that is spread over buckets is listed in one order, without a gap. The buckets have as
// many leases as entries: in each, a page looks at other names, and finds another number of entries.
func TestListOnCluster(t *testing.T) {
	t.Parallel()
	p := newProvider(t, newClusterClient(t, redistest.StartCluster(t, redistest.Options{})), redisprovider.Options{Buckets: 5})
	var want []string
	var leased []provider.Key
	for i := range 200 {
		name := fmt.Sprint(i)
		want = append(want, name)
		require.NoError(t, p.Set(t.Context(), provider.Key{Scope: "s", Name: name}, provider.Entry{Value: i}, time.Hour))
		leased = append(leased, provider.Key{Scope: "s", Name: name + " leased"})
	}
	_, err := p.Acquire(t.Context(), leased, time.Hour)
	require.NoError(t, err)
	slices.Sort(want)
	for _, limit := range []int{1, 7, 100, 1000} {
		names, _ := listAll(t, p, provider.ListOptions{Scope: "s", Limit: limit})
		assert.Equal(t, want, names, "in pages of %d", limit)
	}
	stats, err := p.Stats(t.Context())
	require.NoError(t, err)
	assert.Positive(t, stats.Weight, "the memory of all masters")
}

// TestListSaysWhatItKnows: leases and what belongs to another server are no entries, and an index that is
// not complete says so.
func TestListSaysWhatItKnows(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	p := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{FenceByServer: true})
	_, err := p.Acquire(t.Context(), []provider.Key{{Scope: "s", Name: "leased"}}, time.Minute)
	require.NoError(t, err)
	require.NoError(t, p.Set(t.Context(), provider.Key{Scope: "s", Name: "stored"}, provider.Entry{Value: 1}, time.Hour))
	page, err := p.List(t.Context(), provider.ListOptions{Scope: "s"})
	require.NoError(t, err)
	require.Len(t, page.Entries, 1, "a lease is no entry")
	assert.Equal(t, "stored", page.Entries[0].Key.Name)
	assert.True(t, page.Partial, "nothing has completed the index")

	_, err = p.DeletePrefix(t.Context(), "s", "nothing:")
	require.NoError(t, err)
	page, err = p.List(t.Context(), provider.ListOptions{Scope: "s"})
	require.NoError(t, err)
	assert.False(t, page.Partial, "the prefix has completed it")

	stats, err := p.Stats(t.Context())
	require.NoError(t, err)
	assert.Positive(t, stats.Weight)
	assert.Zero(t, stats.MaxWeight, "the server has no limit")
	assert.Equal(t, provider.Unknown, stats.Entries)
	for _, options := range []provider.ListOptions{{}, {Scope: "s", Sort: provider.SortBiggest}, {Scope: "s", Offset: 1}} {
		_, err := p.List(t.Context(), options)
		assert.ErrorIs(t, err, errors.ErrUnsupported, "%+v", options)
	}
}
