package cache

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// broadcaster keeps what was published and calls onPublish.
type broadcaster struct {
	published []Signal
	onPublish func(Signal)
}

func (b *broadcaster) Publish(event string, data any) error {
	if event == "resync" {
		return nil
	}
	s, ok := data.(Signal)
	if event != Updated || !ok {
		return errors.New("an unexpected signal: " + event)
	}
	b.published = append(b.published, s)
	if b.onPublish != nil {
		b.onPublish(s)
	}
	return nil
}

type parts struct {
	*Maintenances

	database *service.Service
	signals  *broadcaster
}

// open returns maintenances of a seeded database, cached in store, or in memory
// if it is nil.
func open(t *testing.T, store provider.CacheProvider) parts {
	t.Helper()
	database, err := service.Open(t.Context(), service.Options{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, database.Close())
	})
	require.NoError(t, database.Seed(t.Context()))
	if store == nil {
		store, err = memory.New(memory.Options{})
		require.NoError(t, err)
	}
	c, err := readthrough.New(store, readthrough.Options{OnError: func(*readthrough.OpError) {}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	signals := &broadcaster{}
	m, err := New(c, database, signals)
	require.NoError(t, err)
	return parts{m, database, signals}
}

// create creates a maintenance of the given systems.
func (p parts) create(t *testing.T, systems ...string) service.Maintenance {
	t.Helper()
	m, err := p.Create(t.Context(), service.Draft{
		Title: "Replace disks", Start: time.Now().Add(time.Hour), End: time.Now().Add(2 * time.Hour),
		SystemIDs: systems, CreatedBy: "lin",
	})
	require.NoError(t, err)
	return m
}

// queries returns the number of queries that f runs.
func (p parts) queries(f func()) int64 {
	before := p.database.Usage().Queries
	f()
	return p.database.Usage().Queries - before
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		require.NoError(t, err)
		return value
	}
}

// Whoever is told of a change and reads at once sees it, in every family.
func TestSignalFollowsInvalidation(t *testing.T) {
	p := open(t, nil)
	m := p.create(t, "dns")
	filters := service.Filters{Systems: []string{"dns", "mail"}}
	read := func() (byID service.Maintenance, dns, mail, list int) {
		byID = must[service.Maintenance](t)(p.Get(t.Context(), m.ID))
		dns = len(must[[]service.Maintenance](t)(p.BySystem(t.Context(), "dns")))
		mail = len(must[map[string][]service.Maintenance](t)(p.BySystems(t.Context(), []string{"mail"}))["mail"])
		list = len(must[[]service.Maintenance](t)(p.List(t.Context(), filters)))
		return byID, dns, mail, list
	}
	_, dns, mail, list := read()
	told := false
	p.signals.onPublish = func(s Signal) {
		told = true
		assert.Equal(t, Signal{ID: m.ID, Version: 2, SystemIDs: []string{"dns", "mail"}}, s, "signal")
		m2, dns2, mail2, list2 := read()
		assert.Equal(t, int64(2), m2.Version, "version")
		assert.Equal(t, dns-1, dns2, "of dns")
		assert.Equal(t, mail+1, mail2, "of mail")
		assert.Equal(t, list, list2, "listed")
	}
	must[service.Maintenance](t)(p.Update(t.Context(), m.ID, service.Patch{SystemIDs: new([]string{"mail"})}))
	assert.True(t, told, "no signal")
}

// A change that is refused tells nobody and leaves the cache as it is.
func TestRefusedChange(t *testing.T) {
	p := open(t, nil)
	m := p.create(t, "dns")
	must[service.Maintenance](t)(p.Get(t.Context(), m.ID))
	must[[]service.Maintenance](t)(p.List(t.Context(), service.Filters{}))
	p.signals.published = nil
	_, err := p.Update(t.Context(), m.ID, service.Patch{Title: new("")})
	require.Error(t, err, "an empty title was accepted")
	assert.Empty(t, p.signals.published, "signals")
	n := p.queries(func() {
		must[service.Maintenance](t)(p.Get(t.Context(), m.ID))
		must[[]service.Maintenance](t)(p.List(t.Context(), service.Filters{}))
	})
	assert.Zero(t, n, "queries after a change that was refused")
}

func TestSingleAndBulkReadsShareEntries(t *testing.T) {
	p := open(t, nil)
	must[[]service.Maintenance](t)(p.BySystem(t.Context(), "dns"))
	var found map[string][]service.Maintenance
	n := p.queries(func() {
		found = must[map[string][]service.Maintenance](t)(p.BySystems(t.Context(), []string{"dns", "api", "auth", "nosuch"}))
	})
	assert.Equal(t, int64(1), n, "queries of a bulk read of three systems that are not cached")
	assert.Len(t, found, 3, "systems found")
	n = p.queries(func() {
		must[[]service.Maintenance](t)(p.BySystem(t.Context(), "api"))
		_, err := p.BySystem(t.Context(), "nosuch")
		assert.ErrorIs(t, err, service.ErrNotFound)
	})
	assert.Zero(t, n, "queries of single reads after the bulk read")
}

func TestEqualFiltersShareAnEntry(t *testing.T) {
	p := open(t, nil)
	from := time.Now()
	n := p.queries(func() {
		for _, filters := range []service.Filters{
			{Statuses: []service.Status{service.Planned, service.InProgress}, From: from, Text: "Upgrade"},
			{Statuses: []service.Status{service.InProgress, service.Planned, service.Planned}, From: from.UTC(), Text: "upgrade "},
			{Statuses: []service.Status{service.InProgress, service.Planned}, From: from, Text: "upgrade", Limit: service.DefaultLimit},
		} {
			must[[]service.Maintenance](t)(p.List(t.Context(), filters))
		}
	})
	assert.Equal(t, int64(1), n, "queries")
	n = p.queries(func() {
		must[[]service.Maintenance](t)(p.List(t.Context(), service.Filters{From: from.Add(time.Second), Text: "upgrade"}))
	})
	assert.Equal(t, int64(1), n, "queries of other filters")
}

func TestBadFiltersAreNotCached(t *testing.T) {
	p := open(t, nil)
	var invalid *service.InvalidError
	_, err := p.List(t.Context(), service.Filters{Limit: -1})
	assert.ErrorAs(t, err, &invalid)
	assert.Zero(t, p.Stats().Misses, "the cache was asked")
}

// stuck is a store that cannot delete.
type stuck struct{ provider.CacheProvider }

var errStuck = errors.New("the store is stuck")

func (stuck) Delete(context.Context, ...provider.Key) error { return errStuck }

func (stuck) DeletePrefix(context.Context, string, string) (int, error) { return 0, errStuck }

// When the store does not confirm, the write stands, clients are told, and what
// they read here is true.
func TestStoreThatCannotDelete(t *testing.T) {
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	defer store.Close()
	p := open(t, stuck{store})
	m := p.create(t, "dns")
	must[service.Maintenance](t)(p.Get(t.Context(), m.ID))
	p.signals.onPublish = func(s Signal) {
		assert.Equal(t, s.Version, must[service.Maintenance](t)(p.Get(t.Context(), m.ID)).Version, "the version that was read is the one that was told of")
	}
	changed := must[service.Maintenance](t)(p.Update(t.Context(), m.ID, service.Patch{Title: new("Replace all disks")}))
	assert.Equal(t, int64(2), changed.Version, "version")
	assert.Len(t, p.signals.published, 2, "signals")
	assert.NotZero(t, p.Stats().Pending, "nothing is pending")
}
