package service

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// open returns a seeded service at noon.
func open(t *testing.T, options Options) *Service {
	t.Helper()
	s, err := Open(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, s.Close())
	})
	s.now = func() time.Time { return noon }
	require.NoError(t, s.Seed(t.Context()))
	return s
}

func draft() Draft {
	return Draft{
		Title: "Replace disks", Start: noon.Add(time.Hour), End: noon.Add(2 * time.Hour),
		SystemIDs: []string{"storage", "cdn"}, CreatedBy: "lin",
	}
}

func create(t *testing.T, s *Service) Maintenance {
	t.Helper()
	change, err := s.Create(t.Context(), draft())
	require.NoError(t, err)
	return change.Maintenance
}

func TestCreateStoresWhatItReturns(t *testing.T) {
	s := open(t, inMemory(t))
	d := draft()
	d.Title, d.SystemIDs = "  Replace disks ", []string{"storage", "cdn", "storage"}
	d.Start = d.Start.In(time.FixedZone("", 3600)).Add(123456 * time.Nanosecond)
	change, err := s.Create(t.Context(), d)
	require.NoError(t, err)
	want := Maintenance{
		ID: change.Maintenance.ID, Version: 1, Title: "Replace disks", Status: Planned,
		Start: noon.Add(time.Hour), End: noon.Add(2 * time.Hour),
		SystemIDs: []string{"cdn", "storage"}, Updates: []Update{}, CreatedBy: "lin",
	}
	assert.Equal(t, want, change.Maintenance, "created")
	got, err := s.Get(t.Context(), want.ID)
	assert.NoError(t, err, "stored")
	assert.Equal(t, want, got, "stored")
	assert.Equal(t, []string{"cdn", "storage"}, change.AffectedSystems(), "affected systems")
}

func TestInputIsChecked(t *testing.T) {
	s := open(t, inMemory(t))
	id := create(t, s).ID
	creating := func(edit func(*Draft)) func(context.Context) error {
		d := draft()
		edit(&d)
		return func(ctx context.Context) error { _, err := s.Create(ctx, d); return err }
	}
	patching := func(p Patch) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.Update(ctx, id, p); return err }
	}
	reporting := func(r Report) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.AddUpdate(ctx, id, r); return err }
	}
	listing := func(f Filters) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.List(ctx, f); return err }
	}
	many := make([]string, maxSystems+1)
	for i := range many {
		many[i] = fmt.Sprintf("s%d", i)
	}
	for name, test := range map[string]struct {
		field string
		call  func(context.Context) error
	}{
		"no title":            {"title", creating(func(d *Draft) { d.Title = " " })},
		"long title":          {"title", creating(func(d *Draft) { d.Title = strings.Repeat("ä", maxTitle+1) })},
		"NUL in title":        {"title", creating(func(d *Draft) { d.Title = "a\x00b" })},
		"not UTF-8":           {"description", creating(func(d *Draft) { d.Description = "\xff" })},
		"long description":    {"description", creating(func(d *Draft) { d.Description = strings.Repeat("x", maxDescription+1) })},
		"no start":            {"start", creating(func(d *Draft) { d.Start = time.Time{} })},
		"no end":              {"end", creating(func(d *Draft) { d.End = time.Time{} })},
		"end before start":    {"end", creating(func(d *Draft) { d.Start, d.End = d.End, d.Start })},
		"end at start":        {"end", creating(func(d *Draft) { d.End = d.Start })},
		"over in the past":    {"end", creating(func(d *Draft) { d.Start, d.End = noon.Add(-2*time.Hour), noon.Add(-time.Hour) })},
		"too long":            {"end", creating(func(d *Draft) { d.End = d.Start.Add(maxDuration + time.Second) })},
		"year 10000":          {"end", creating(func(d *Draft) { d.End = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) })},
		"no systems":          {"system_ids", creating(func(d *Draft) { d.SystemIDs = nil })},
		"too many systems":    {"system_ids", creating(func(d *Draft) { d.SystemIDs = many })},
		"bad system":          {"system_ids", creating(func(d *Draft) { d.SystemIDs = []string{"'; DROP TABLE maintenance"} })},
		"unknown system":      {"system_ids", creating(func(d *Draft) { d.SystemIDs = []string{"api", "nosuch"} })},
		"no user":             {"created_by", creating(func(d *Draft) { d.CreatedBy = "" })},
		"bad user":            {"created_by", creating(func(d *Draft) { d.CreatedBy = "a b" })},
		"empty patch":         {"body", patching(Patch{})},
		"patch to no title":   {"title", patching(Patch{Title: new("")})},
		"patch to past":       {"end", patching(Patch{End: new(noon.Add(-time.Hour)), Start: new(noon.Add(-2 * time.Hour))})},
		"patch to bad order":  {"end", patching(Patch{Start: new(noon.Add(3 * time.Hour))})},
		"patch to unknown":    {"system_ids", patching(Patch{SystemIDs: new([]string{"nosuch"})})},
		"patch to no systems": {"system_ids", patching(Patch{SystemIDs: new([]string{})})},
		"empty message":       {"message", reporting(Report{Author: "lin", Message: " "})},
		"long message":        {"message", reporting(Report{Author: "lin", Message: strings.Repeat("x", maxMessage+1)})},
		"no author":           {"author", reporting(Report{Message: "hello"})},
		"unknown status":      {"status", reporting(Report{Author: "lin", Message: "hello", Status: "done"})},
		"outcome not final": {"outcome", func(ctx context.Context) error {
			_, err := s.CloseMaintenance(ctx, id, Closing{Author: "lin", Outcome: InProgress})
			return err
		}},
		"list: status":       {"status", listing(Filters{Statuses: []Status{"open"}})},
		"list: system":       {"system", listing(Filters{Systems: []string{"A"}})},
		"list: many systems": {"system", listing(Filters{Systems: many})},
		"list: times":        {"to", listing(Filters{From: noon, To: noon})},
		"list: text":         {"text", listing(Filters{Text: "\xff"})},
		"list: limit":        {"limit", listing(Filters{Limit: MaxLimit + 1})},
		"list: negative":     {"limit", listing(Filters{Limit: -1})},
	} {
		t.Run(name, func(t *testing.T) {
			var invalid *InvalidError
			if assert.ErrorAs(t, test.call(t.Context()), &invalid) {
				assert.Equal(t, test.field, invalid.Field)
			}
		})
	}
	m, err := s.Get(t.Context(), id)
	assert.NoError(t, err, "a refused change left its mark")
	assert.Equal(t, int64(1), m.Version, "a refused change left its mark")
}

func TestStatusTransitions(t *testing.T) {
	s := open(t, inMemory(t))
	permitted := map[Status][]Status{
		Planned:    {InProgress, Cancelled},
		InProgress: {Completed, Cancelled},
	}
	// The way to each status from Planned.
	ways := map[Status][]Status{
		Planned: {}, InProgress: {InProgress}, Completed: {InProgress, Completed}, Cancelled: {Cancelled},
	}
	for from, way := range ways {
		for next := range ways {
			id := create(t, s).ID
			for _, status := range way {
				_, err := s.AddUpdate(t.Context(), id, Report{Author: "lin", Message: "x", Status: status})
				require.NoError(t, err)
			}
			change, err := s.AddUpdate(t.Context(), id, Report{Author: "lin", Message: "now", Status: next})
			if slices.Contains(permitted[from], next) {
				assert.NoError(t, err, "%s to %s", from, next)
				assert.Equal(t, next, change.Maintenance.Status, "%s to %s", from, next)
				continue
			}
			_, ok := errors.AsType[*ConflictError](err)
			assert.True(t, ok, "%s to %s: got %v, want a conflict", from, next, err)
			m, err := s.Get(t.Context(), id)
			assert.NoError(t, err, "%s to %s was refused but changed something", from, next)
			assert.Equal(t, from, m.Status, "%s to %s was refused but changed something", from, next)
			assert.Len(t, m.Updates, len(way), "%s to %s was refused but changed something", from, next)
		}
	}
}

func TestTimesSayWhatHappened(t *testing.T) {
	s := open(t, inMemory(t))
	id := create(t, s).ID
	started, err := s.AddUpdate(t.Context(), id, Report{Author: "lin", Message: "early", Status: InProgress})
	require.NoError(t, err, "started early: the start")
	require.WithinDuration(t, noon, started.Maintenance.Start, 0, "started early: the start")
	s.now = func() time.Time { return noon.Add(time.Minute) }
	closed, err := s.CloseMaintenance(t.Context(), id, Closing{Author: "lin"})
	require.NoError(t, err, "completed early: the end")
	require.WithinDuration(t, noon.Add(time.Minute), closed.Maintenance.End, 0, "completed early: the end")
	m, err := s.Get(t.Context(), id)
	assert.NoError(t, err, "stored")
	assert.Equal(t, closed.Maintenance, m, "stored")
	want := []Update{
		{At: noon, Author: "lin", Message: "early", Status: InProgress},
		{At: noon.Add(time.Minute), Author: "lin", Message: "Maintenance completed.", Status: Completed},
	}
	assert.Equal(t, want, m.Updates, "updates")
	assert.Equal(t, int64(3), m.Version, "version")
}

func TestConflicts(t *testing.T) {
	s := open(t, inMemory(t))
	report := func(id int64, status Status) {
		t.Helper()
		_, err := s.AddUpdate(t.Context(), id, Report{Author: "lin", Message: "x", Status: status})
		require.NoError(t, err)
	}
	planned, running, cancelled := create(t, s).ID, create(t, s).ID, create(t, s).ID
	report(running, InProgress)
	report(cancelled, Cancelled)
	for name, call := range map[string]func(ctx context.Context) (Change, error){
		"other version": func(ctx context.Context) (Change, error) {
			return s.Update(ctx, planned, Patch{Version: new(int64(7)), Title: new("x")})
		},
		"complete what is planned": func(ctx context.Context) (Change, error) {
			return s.CloseMaintenance(ctx, planned, Closing{Author: "lin"})
		},
		"move a past start": func(ctx context.Context) (Change, error) {
			return s.Update(ctx, running, Patch{Start: new(noon.Add(time.Minute))})
		},
		"delete what is running": func(ctx context.Context) (Change, error) { return s.Delete(ctx, running) },
		"patch what is closed":   func(ctx context.Context) (Change, error) { return s.Update(ctx, cancelled, Patch{Title: new("x")}) },
		"report on what is closed": func(ctx context.Context) (Change, error) {
			return s.AddUpdate(ctx, cancelled, Report{Author: "lin", Message: "x"})
		},
		"close what is closed": func(ctx context.Context) (Change, error) {
			return s.CloseMaintenance(ctx, cancelled, Closing{Author: "lin", Outcome: Cancelled})
		},
	} {
		t.Run(name, func(t *testing.T) {
			change, err := call(t.Context())
			_, ok := errors.AsType[*ConflictError](err)
			assert.True(t, ok, "got %v, want a conflict", err)
			assert.Equal(t, Change{}, change, "a refused change reports")
		})
	}
	_, err := s.Update(t.Context(), planned, Patch{Version: new(int64(1)), Title: new("x")})
	assert.NoError(t, err, "patch of the right version")
	_, err = s.Delete(t.Context(), cancelled)
	assert.NoError(t, err, "delete what is closed")
}

func TestAffectedSystems(t *testing.T) {
	s := open(t, inMemory(t))
	id := create(t, s).ID
	moved, err := s.Update(t.Context(), id, Patch{SystemIDs: new([]string{"storage", "mail"})})
	require.NoError(t, err)
	assert.Equal(t, []string{"cdn", "mail", "storage"}, moved.AffectedSystems(), "moved: affected")
	reported, err := s.AddUpdate(t.Context(), id, Report{Author: "lin", Message: "x"})
	require.NoError(t, err)
	assert.Equal(t, []string{"mail", "storage"}, reported.AffectedSystems(), "reported: affected")
	deleted, err := s.Delete(t.Context(), id)
	require.NoError(t, err)
	assert.True(t, deleted.Deleted, "it is not deleted")
	assert.Equal(t, []string{"mail", "storage"}, deleted.AffectedSystems(), "deleted: affected")
}

// Two moves at the same time: whatever their order, every system that the
// maintenance ever affected is reported by one that left it.
func TestConcurrentMovesReportEverySystem(t *testing.T) {
	s := open(t, inMemory(t))
	id := create(t, s).ID
	systems := []string{"api", "auth", "billing", "dns", "mail", "queue", "search"}
	changes := make([]Change, len(systems))
	var wg sync.WaitGroup
	for i, system := range systems {
		wg.Go(func() {
			var err error
			changes[i], err = s.Update(t.Context(), id, Patch{SystemIDs: &[]string{system}})
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	slices.SortFunc(changes, func(a, b Change) int { return int(a.Maintenance.Version - b.Maintenance.Version) })
	before := []string{"cdn", "storage"}
	for i, change := range changes {
		assert.Equal(t, int64(i+2), change.Maintenance.Version, "change %d: version", i)
		assert.Equal(t, before, change.Before, "change %d: before", i)
		before = change.After
	}
}

func TestNotFound(t *testing.T) {
	s := open(t, inMemory(t))
	_, getErr := s.Get(t.Context(), 999)
	_, systemErr := s.BySystem(t.Context(), "nosuch")
	_, updateErr := s.Update(t.Context(), 999, Patch{Title: new("x")})
	_, deleteErr := s.Delete(t.Context(), 999)
	for _, err := range []error{getErr, systemErr, updateErr, deleteErr} {
		assert.ErrorIs(t, err, ErrNotFound)
	}
}

func TestIDsAreNotUsedAgain(t *testing.T) {
	s := open(t, inMemory(t))
	first := create(t, s).ID
	_, err := s.Delete(t.Context(), first)
	require.NoError(t, err)
	assert.Greater(t, create(t, s).ID, first, "the id after one that was deleted")
}

func titles(list []Maintenance) []string {
	found := []string{}
	for _, m := range list {
		found = append(found, m.Title)
	}
	return found
}

func TestList(t *testing.T) {
	s := open(t, inMemory(t))
	for name, test := range map[string]struct {
		filters Filters
		want    []string
	}{
		"status": {Filters{Statuses: []Status{InProgress}}, []string{"Upgrade the orders database"}},
		"two":    {Filters{Statuses: []Status{InProgress, Cancelled}}, []string{"Move the message queue to new hosts", "Upgrade the orders database"}},
		"system": {Filters{Systems: []string{"dns", "search"}}, []string{"Rebuild the search index", "Test the failover of the name servers", "Upgrade of the public API gateway"}},
		"time":   {Filters{From: noon, To: noon.Add(25 * time.Hour)}, []string{"Upgrade the orders database", "Clean up outgoing mail", "Rotate the signing keys"}},
		"text":   {Filters{Text: " SIGNING Keys "}, []string{"Rotate the signing keys"}},
		"wild":   {Filters{Text: "%"}, []string{}},
		"all":    {Filters{Text: "upgrade", Statuses: []Status{Planned}, Systems: []string{"auth"}, From: noon.Add(72 * time.Hour)}, []string{"Upgrade of the public API gateway"}},
		"limit":  {Filters{Limit: 1}, []string{"Replace expiring certificates"}},
		"none":   {Filters{Systems: []string{"nosuch"}}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := s.List(t.Context(), test.filters)
			assert.NoError(t, err)
			assert.Equal(t, test.want, titles(list))
		})
	}
}

func TestTimeRangeIsHalfOpen(t *testing.T) {
	s := open(t, inMemory(t))
	m := create(t, s)
	for name, test := range map[string]struct {
		filters Filters
		want    int
	}{
		"ends where it starts": {Filters{Systems: m.SystemIDs, Text: m.Title, To: m.Start}, 0},
		"begins where it ends": {Filters{Systems: m.SystemIDs, Text: m.Title, From: m.End}, 0},
		"touches its start":    {Filters{Systems: m.SystemIDs, Text: m.Title, To: m.Start.Add(time.Millisecond)}, 1},
		"touches its end":      {Filters{Systems: m.SystemIDs, Text: m.Title, From: m.End.Add(-time.Millisecond)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := s.List(t.Context(), test.filters)
			assert.NoError(t, err)
			assert.Len(t, list, test.want)
		})
	}
}

func TestBySystems(t *testing.T) {
	s := open(t, inMemory(t))
	found, err := s.BySystems(t.Context(), []string{"auth", "dns", "nosuch", "mail"})
	require.NoError(t, err)
	_, ok := found["nosuch"]
	assert.False(t, ok, "nosuch was found")
	assert.Len(t, found, 3, "systems")
	for system, maintenances := range found {
		single, err := s.BySystem(t.Context(), system)
		assert.NoError(t, err, "%s: alone", system)
		assert.NotEmpty(t, single, "%s: alone", system)
		assert.Equal(t, maintenances, single, "%s: alone and in bulk", system)
	}
	found, err = s.BySystems(t.Context(), nil)
	assert.NoError(t, err, "no systems")
	assert.Empty(t, found, "no systems")
}

// A system without maintenances is there and empty, not absent.
func TestSystemWithoutMaintenances(t *testing.T) {
	s := open(t, inMemory(t))
	list, err := s.List(t.Context(), Filters{Systems: []string{"dns"}})
	require.NoError(t, err)
	require.Len(t, list, 1)
	_, err = s.Delete(t.Context(), list[0].ID)
	require.NoError(t, err)
	found, err := s.BySystem(t.Context(), "dns")
	assert.NoError(t, err, "an empty list")
	assert.NotNil(t, found, "an empty list")
	assert.Empty(t, found, "an empty list")
}

func TestEveryReadIsOneQuery(t *testing.T) {
	s := open(t, inMemory(t))
	id := create(t, s).ID
	for name, read := range map[string]func(context.Context) error{
		"get":        func(ctx context.Context) error { _, err := s.Get(ctx, id); return err },
		"list":       func(ctx context.Context) error { _, err := s.List(ctx, Filters{}); return err },
		"by system":  func(ctx context.Context) error { _, err := s.BySystem(ctx, "cdn"); return err },
		"by systems": func(ctx context.Context) error { _, err := s.BySystems(ctx, []string{"cdn", "api", "dns"}); return err },
	} {
		before := s.Usage()
		require.NoError(t, read(t.Context()), name)
		after := s.Usage()
		assert.Equal(t, int64(1), after.Queries-before.Queries, "%s: from %+v to %+v", name, before, after)
		assert.Equal(t, before.Statements, after.Statements, "%s: from %+v to %+v", name, before, after)
	}
}

func TestFiltersThatMeanTheSameAreEqual(t *testing.T) {
	a, errA := Filters{Statuses: []Status{Planned, InProgress, Planned}, Systems: []string{"b", "a"}, Text: " Disk ", From: noon.Add(1)}.Normalize()
	b, errB := Filters{
		Statuses: []Status{InProgress, Planned}, Systems: []string{"a", "b", "b"}, Text: "disk",
		From: noon.In(time.FixedZone("", 7200)), Limit: DefaultLimit,
	}.Normalize()
	assert.NoError(t, errA)
	assert.NoError(t, errB)
	assert.Equal(t, b, a)
	again, err := a.Normalize()
	assert.NoError(t, err, "normalized again")
	assert.Equal(t, a, again, "normalized again")
}

// A decision must not write into the slices of the maintenance that it got.
func TestDecisionsShareNothing(t *testing.T) {
	backing := make([]Update, 1, 4)
	m := Maintenance{Status: Planned, Updates: backing}
	_, err := reported(m, Report{Author: "lin", Message: "x"}, noon)
	require.NoError(t, err)
	assert.Equal(t, Update{}, backing[:2][1], "reported wrote into the updates of the maintenance that it was given")
}

func TestDatabaseInFile(t *testing.T) {
	// The name has everything that means something in a URI.
	file := filepath.Join(t.TempDir(), "a b?c=d#e%41.db")
	first := open(t, Options{Database: file})
	m := create(t, first)
	second := open(t, Options{Database: file})
	got, err := second.Get(t.Context(), m.ID)
	assert.NoError(t, err)
	assert.Equal(t, m, got)
	assert.NotEmpty(t, first.ID(), "ids of one database")
	assert.Equal(t, second.ID(), first.ID(), "ids of one database")
	found, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.db"))
	assert.NoError(t, err, "files")
	assert.Contains(t, found, file, "files")
	assert.NotEqual(t, first.ID(), open(t, inMemory(t)).ID(), "two databases have one id")
}

func TestDatabaseThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nosuch", "file.db")
	_, err := Open(t.Context(), Options{Database: file})
	assert.ErrorContains(t, err, file, "an error with the file")
}

// Readers and writers on all connections, with calls that are given up in the
// middle: nothing is locked for long, lost, or half done.
func TestManyConnections(t *testing.T) {
	for name, options := range map[string]Options{
		"memory": inMemory(t), "file": {Database: filepath.Join(t.TempDir(), "maintenance.db")},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, options)
			kept, given := create(t, s).ID, create(t, s).ID
			const writers, rounds = 4, 25
			var done atomic.Int64
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for range rounds {
						patch := Patch{Title: new(fmt.Sprintf("title %d", w))}
						if _, err := s.Update(t.Context(), kept, patch); err != nil {
							t.Error("update:", err)
						}
						ctx, cancel := context.WithCancel(t.Context())
						go cancel()
						if _, err := s.Update(ctx, given, patch); err == nil {
							done.Add(1)
						} else if ctx.Err() == nil {
							t.Error("update that may be given up:", err)
						}
						if _, err := s.List(ctx, Filters{}); err != nil && ctx.Err() == nil {
							t.Error("list that may be given up:", err)
						}
					}
				})
				wg.Go(func() {
					for range rounds {
						if _, err := s.BySystems(t.Context(), []string{"cdn", "storage"}); err != nil {
							t.Error("by systems:", err)
						}
					}
				})
			}
			wg.Wait()
			m, err := s.Get(t.Context(), kept)
			assert.NoError(t, err, "version")
			assert.Equal(t, int64(1+writers*rounds), m.Version, "version")
			m, err = s.Get(t.Context(), given)
			assert.NoError(t, err, "version")
			assert.Equal(t, 1+done.Load(), m.Version, "version")
		})
	}
}

func TestCallerThatGivesUpDoesNotWait(t *testing.T) {
	s := open(t, inMemory(t))
	s.SetLatency(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, 1)
	assert.ErrorIs(t, err, context.Canceled)
	s.SetLatency(0)
	_, err = s.Get(t.Context(), 1)
	assert.NoError(t, err, "the next caller")
}

func TestSeedHappensOnce(t *testing.T) {
	s := open(t, inMemory(t))
	before, err := s.List(t.Context(), Filters{Limit: MaxLimit})
	require.NoError(t, err, "maintenances")
	require.GreaterOrEqual(t, len(before), 10, "maintenances")
	require.NoError(t, s.Seed(t.Context()))
	after, err := s.List(t.Context(), Filters{Limit: MaxLimit})
	assert.NoError(t, err, "maintenances after seeding again")
	assert.Len(t, after, len(before), "maintenances after seeding again")
}
