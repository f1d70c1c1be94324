package cache

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/maintenance/internal/service"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// broadcaster keeps what was published and calls onPublish.
type broadcaster struct {
	published []Signal
	onPublish func(Signal)
}

func (b *broadcaster) Publish(event string, data any) error {
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
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := database.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := database.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if store == nil {
		if store, err = memory.New(memory.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := readthrough.New(store, readthrough.Options{OnError: func(*readthrough.OpError) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	signals := &broadcaster{}
	m, err := New(c, database, signals)
	if err != nil {
		t.Fatal(err)
	}
	return parts{m, database, signals}
}

// create creates a maintenance of the given systems.
func (p parts) create(t *testing.T, systems ...string) service.Maintenance {
	t.Helper()
	m, err := p.Create(t.Context(), service.Draft{
		Title: "Replace disks", Start: time.Now().Add(time.Hour), End: time.Now().Add(2 * time.Hour),
		SystemIDs: systems, CreatedBy: "lin",
	})
	if err != nil {
		t.Fatal(err)
	}
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
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestTargets(t *testing.T) {
	got := targets(service.Change{
		Maintenance: service.Maintenance{ID: 42},
		Before:      []string{"api", "dns"}, After: []string{"dns", "mail"},
	})
	want := readthrough.Targets{
		Keys:     []string{"maintenance:42", "system:api", "system:dns", "system:mail"},
		Prefixes: []string{"list:"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
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
		if want := (Signal{ID: m.ID, Version: 2, SystemIDs: []string{"dns", "mail"}}); !reflect.DeepEqual(s, want) {
			t.Errorf("signal %+v, want %+v", s, want)
		}
		m2, dns2, mail2, list2 := read()
		if m2.Version != 2 || dns2 != dns-1 || mail2 != mail+1 || list2 != list {
			t.Errorf("version %d, %d of dns, %d of mail, %d listed; want 2, %d, %d, %d",
				m2.Version, dns2, mail2, list2, dns-1, mail+1, list)
		}
	}
	must[service.Maintenance](t)(p.Update(t.Context(), m.ID, service.Patch{SystemIDs: new([]string{"mail"})}))
	if !told {
		t.Error("no signal")
	}
}

// A change that is refused tells nobody and leaves the cache as it is.
func TestRefusedChange(t *testing.T) {
	p := open(t, nil)
	m := p.create(t, "dns")
	must[service.Maintenance](t)(p.Get(t.Context(), m.ID))
	must[[]service.Maintenance](t)(p.List(t.Context(), service.Filters{}))
	p.signals.published = nil
	if _, err := p.Update(t.Context(), m.ID, service.Patch{Title: new("")}); err == nil {
		t.Fatal("an empty title was accepted")
	}
	if len(p.signals.published) > 0 {
		t.Errorf("signals %v", p.signals.published)
	}
	n := p.queries(func() {
		must[service.Maintenance](t)(p.Get(t.Context(), m.ID))
		must[[]service.Maintenance](t)(p.List(t.Context(), service.Filters{}))
	})
	if n != 0 {
		t.Errorf("%d queries after a change that was refused", n)
	}
}

func TestSingleAndBulkReadsShareEntries(t *testing.T) {
	p := open(t, nil)
	must[[]service.Maintenance](t)(p.BySystem(t.Context(), "dns"))
	var found map[string][]service.Maintenance
	if n := p.queries(func() {
		found = must[map[string][]service.Maintenance](t)(p.BySystems(t.Context(), []string{"dns", "api", "auth", "nosuch"}))
	}); n != 1 {
		t.Errorf("a bulk read of three systems that are not cached ran %d queries", n)
	}
	if len(found) != 3 {
		t.Errorf("found %d systems, want 3", len(found))
	}
	if n := p.queries(func() {
		must[[]service.Maintenance](t)(p.BySystem(t.Context(), "api"))
		if _, err := p.BySystem(t.Context(), "nosuch"); !errors.Is(err, service.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}); n != 0 {
		t.Errorf("single reads after the bulk read ran %d queries", n)
	}
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
	if n != 1 {
		t.Errorf("%d queries", n)
	}
	if n := p.queries(func() {
		must[[]service.Maintenance](t)(p.List(t.Context(), service.Filters{From: from.Add(time.Second), Text: "upgrade"}))
	}); n != 1 {
		t.Errorf("other filters: %d queries", n)
	}
}

func TestBadFiltersAreNotCached(t *testing.T) {
	p := open(t, nil)
	var invalid *service.InvalidError
	if _, err := p.List(t.Context(), service.Filters{Limit: -1}); !errors.As(err, &invalid) {
		t.Errorf("got %v", err)
	}
	if s := p.Stats(); s.Misses != 0 {
		t.Errorf("the cache was asked: %+v", s)
	}
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
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	p := open(t, stuck{store})
	m := p.create(t, "dns")
	must[service.Maintenance](t)(p.Get(t.Context(), m.ID))
	p.signals.onPublish = func(s Signal) {
		if got := must[service.Maintenance](t)(p.Get(t.Context(), m.ID)); got.Version != s.Version {
			t.Errorf("told of version %d, read %d", s.Version, got.Version)
		}
	}
	changed := must[service.Maintenance](t)(p.Update(t.Context(), m.ID, service.Patch{Title: new("Replace all disks")}))
	if changed.Version != 2 || len(p.signals.published) != 2 {
		t.Errorf("version %d, signals %v", changed.Version, p.signals.published)
	}
	if p.Stats().Pending == 0 {
		t.Error("nothing is pending")
	}
}
