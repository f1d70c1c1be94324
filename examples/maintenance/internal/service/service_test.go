package service

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// open returns a seeded service at noon.
func open(t *testing.T, options Options) *Service {
	t.Helper()
	s, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	s.now = func() time.Time { return noon }
	if err := s.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
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
	if err != nil {
		t.Fatal(err)
	}
	return change.Maintenance
}

func TestCreateStoresWhatItReturns(t *testing.T) {
	s := open(t, inMemory(t))
	d := draft()
	d.Title, d.SystemIDs = "  Replace disks ", []string{"storage", "cdn", "storage"}
	d.Start = d.Start.In(time.FixedZone("", 3600)).Add(123456 * time.Nanosecond)
	change, err := s.Create(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	want := Maintenance{
		ID: change.Maintenance.ID, Version: 1, Title: "Replace disks", Status: Planned,
		Start: noon.Add(time.Hour), End: noon.Add(2 * time.Hour),
		SystemIDs: []string{"cdn", "storage"}, Updates: []Update{}, CreatedBy: "lin",
	}
	if !reflect.DeepEqual(change.Maintenance, want) {
		t.Errorf("created %+v\nwant    %+v", change.Maintenance, want)
	}
	got, err := s.Get(t.Context(), want.ID)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("stored %+v, %v\nwant   %+v", got, err, want)
	}
	if want := []string{"cdn", "storage"}; !reflect.DeepEqual(change.AffectedSystems(), want) {
		t.Errorf("affected systems %v, want %v", change.AffectedSystems(), want)
	}
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
			if err := test.call(t.Context()); !errors.As(err, &invalid) || invalid.Field != test.field {
				t.Errorf("got %v, want an InvalidError of %s", err, test.field)
			}
		})
	}
	if m, err := s.Get(t.Context(), id); err != nil || m.Version != 1 {
		t.Errorf("a refused change left its mark: %+v, %v", m, err)
	}
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
				if _, err := s.AddUpdate(t.Context(), id, Report{Author: "lin", Message: "x", Status: status}); err != nil {
					t.Fatal(err)
				}
			}
			change, err := s.AddUpdate(t.Context(), id, Report{Author: "lin", Message: "now", Status: next})
			if slices.Contains(permitted[from], next) {
				if err != nil || change.Maintenance.Status != next {
					t.Errorf("%s to %s: %v, %v", from, next, change.Maintenance.Status, err)
				}
				continue
			}
			if _, ok := errors.AsType[*ConflictError](err); !ok {
				t.Errorf("%s to %s: got %v, want a conflict", from, next, err)
			}
			if m, err := s.Get(t.Context(), id); err != nil || m.Status != from || len(m.Updates) != len(way) {
				t.Errorf("%s to %s was refused but changed something: %+v, %v", from, next, m, err)
			}
		}
	}
}

func TestTimesSayWhatHappened(t *testing.T) {
	s := open(t, inMemory(t))
	id := create(t, s).ID
	started, err := s.AddUpdate(t.Context(), id, Report{Author: "lin", Message: "early", Status: InProgress})
	if err != nil || !started.Maintenance.Start.Equal(noon) {
		t.Fatalf("started early: start %v, %v; want %v", started.Maintenance.Start, err, noon)
	}
	s.now = func() time.Time { return noon.Add(time.Minute) }
	closed, err := s.CloseMaintenance(t.Context(), id, Closing{Author: "lin"})
	if err != nil || !closed.Maintenance.End.Equal(noon.Add(time.Minute)) {
		t.Fatalf("completed early: end %v, %v; want a minute after noon", closed.Maintenance.End, err)
	}
	m, err := s.Get(t.Context(), id)
	if err != nil || !reflect.DeepEqual(m, closed.Maintenance) {
		t.Errorf("stored %+v, %v\nwant   %+v", m, err, closed.Maintenance)
	}
	want := []Update{
		{At: noon, Author: "lin", Message: "early", Status: InProgress},
		{At: noon.Add(time.Minute), Author: "lin", Message: "Maintenance completed.", Status: Completed},
	}
	if !reflect.DeepEqual(m.Updates, want) || m.Version != 3 {
		t.Errorf("version %d with %+v\nwant version 3 with %+v", m.Version, m.Updates, want)
	}
}

func TestConflicts(t *testing.T) {
	s := open(t, inMemory(t))
	report := func(id int64, status Status) {
		t.Helper()
		if _, err := s.AddUpdate(t.Context(), id, Report{Author: "lin", Message: "x", Status: status}); err != nil {
			t.Fatal(err)
		}
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
			if _, ok := errors.AsType[*ConflictError](err); !ok {
				t.Errorf("got %v, want a conflict", err)
			}
			if !reflect.DeepEqual(change, Change{}) {
				t.Errorf("a refused change reports %+v", change)
			}
		})
	}
	if _, err := s.Update(t.Context(), planned, Patch{Version: new(int64(1)), Title: new("x")}); err != nil {
		t.Errorf("patch of the right version: %v", err)
	}
	if _, err := s.Delete(t.Context(), cancelled); err != nil {
		t.Errorf("delete what is closed: %v", err)
	}
}

func TestAffectedSystems(t *testing.T) {
	s := open(t, inMemory(t))
	id := create(t, s).ID
	moved, err := s.Update(t.Context(), id, Patch{SystemIDs: new([]string{"storage", "mail"})})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"cdn", "mail", "storage"}; !reflect.DeepEqual(moved.AffectedSystems(), want) {
		t.Errorf("moved: affected %v, want %v", moved.AffectedSystems(), want)
	}
	reported, err := s.AddUpdate(t.Context(), id, Report{Author: "lin", Message: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"mail", "storage"}; !reflect.DeepEqual(reported.AffectedSystems(), want) {
		t.Errorf("reported: affected %v, want %v", reported.AffectedSystems(), want)
	}
	deleted, err := s.Delete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"mail", "storage"}; !deleted.Deleted || !reflect.DeepEqual(deleted.AffectedSystems(), want) {
		t.Errorf("deleted: %v, affected %v, want %v", deleted.Deleted, deleted.AffectedSystems(), want)
	}
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
			if changes[i], err = s.Update(t.Context(), id, Patch{SystemIDs: &[]string{system}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.SortFunc(changes, func(a, b Change) int { return int(a.Maintenance.Version - b.Maintenance.Version) })
	before := []string{"cdn", "storage"}
	for i, change := range changes {
		if change.Maintenance.Version != int64(i+2) || !reflect.DeepEqual(change.Before, before) {
			t.Errorf("change %d: version %d from %v, want version %d from %v",
				i, change.Maintenance.Version, change.Before, i+2, before)
		}
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
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
}

func TestIDsAreNotUsedAgain(t *testing.T) {
	s := open(t, inMemory(t))
	first := create(t, s).ID
	if _, err := s.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if second := create(t, s).ID; second <= first {
		t.Errorf("id %d after %d was deleted", second, first)
	}
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
			if err != nil || !reflect.DeepEqual(titles(list), test.want) {
				t.Errorf("got %q, %v; want %q", titles(list), err, test.want)
			}
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
			if list, err := s.List(t.Context(), test.filters); err != nil || len(list) != test.want {
				t.Errorf("got %d, %v; want %d", len(list), err, test.want)
			}
		})
	}
}

func TestBySystems(t *testing.T) {
	s := open(t, inMemory(t))
	found, err := s.BySystems(t.Context(), []string{"auth", "dns", "nosuch", "mail"})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := found["nosuch"]; ok || len(found) != 3 {
		t.Errorf("got %d systems, with nosuch: %v", len(found), ok)
	}
	for system, maintenances := range found {
		single, err := s.BySystem(t.Context(), system)
		if err != nil || len(single) == 0 || !reflect.DeepEqual(single, maintenances) {
			t.Errorf("%s: alone %q, %v; in bulk %q", system, titles(single), err, titles(maintenances))
		}
	}
	if found, err := s.BySystems(t.Context(), nil); err != nil || len(found) != 0 {
		t.Errorf("no systems: %v, %v", found, err)
	}
}

// A system without maintenances is there and empty, not absent.
func TestSystemWithoutMaintenances(t *testing.T) {
	s := open(t, inMemory(t))
	list, err := s.List(t.Context(), Filters{Systems: []string{"dns"}})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if _, err := s.Delete(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	if found, err := s.BySystem(t.Context(), "dns"); err != nil || found == nil || len(found) != 0 {
		t.Errorf("got %v, %v; want an empty list", found, err)
	}
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
		if err := read(t.Context()); err != nil {
			t.Fatal(name, err)
		}
		after := s.Usage()
		if after.Queries-before.Queries != 1 || after.Statements != before.Statements {
			t.Errorf("%s: from %+v to %+v", name, before, after)
		}
	}
}

func TestFiltersThatMeanTheSameAreEqual(t *testing.T) {
	a, errA := Filters{Statuses: []Status{Planned, InProgress, Planned}, Systems: []string{"b", "a"}, Text: " Disk ", From: noon.Add(1)}.Normalize()
	b, errB := Filters{
		Statuses: []Status{InProgress, Planned}, Systems: []string{"a", "b", "b"}, Text: "disk",
		From: noon.In(time.FixedZone("", 7200)), Limit: DefaultLimit,
	}.Normalize()
	if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("%+v, %v\n%+v, %v", a, errA, b, errB)
	}
	if again, err := a.Normalize(); err != nil || !reflect.DeepEqual(again, a) {
		t.Errorf("normalized again: %+v, %v", again, err)
	}
}

// A decision must not write into the slices of the maintenance that it got.
func TestDecisionsShareNothing(t *testing.T) {
	backing := make([]Update, 1, 4)
	m := Maintenance{Status: Planned, Updates: backing}
	if _, err := reported(m, Report{Author: "lin", Message: "x"}, noon); err != nil {
		t.Fatal(err)
	}
	if backing[:2][1] != (Update{}) {
		t.Error("reported wrote into the updates of the maintenance that it was given")
	}
}

func TestDatabaseInFile(t *testing.T) {
	// The name has everything that means something in a URI.
	file := filepath.Join(t.TempDir(), "a b?c=d#e%41.db")
	first := open(t, Options{Database: file})
	m := create(t, first)
	second := open(t, Options{Database: file})
	if got, err := second.Get(t.Context(), m.ID); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("got %+v, %v; want %+v", got, err, m)
	}
	if first.DatabaseID() == "" || first.DatabaseID() != second.DatabaseID() {
		t.Errorf("ids %q and %q of one database", first.DatabaseID(), second.DatabaseID())
	}
	if found, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.db")); err != nil || !slices.Contains(found, file) {
		t.Errorf("files %q, %v; want %q", found, err, file)
	}
	if other := open(t, inMemory(t)); other.DatabaseID() == first.DatabaseID() {
		t.Error("two databases have one id")
	}
}

func TestDatabaseThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nosuch", "file.db")
	if _, err := Open(t.Context(), Options{Database: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want an error with the file", err)
	}
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
			if m, err := s.Get(t.Context(), kept); err != nil || m.Version != 1+writers*rounds {
				t.Errorf("version %d, %v; want %d", m.Version, err, 1+writers*rounds)
			}
			if m, err := s.Get(t.Context(), given); err != nil || m.Version != 1+done.Load() {
				t.Errorf("version %d, %v; want %d", m.Version, err, 1+done.Load())
			}
		})
	}
}

func TestCallerThatGivesUpDoesNotWait(t *testing.T) {
	s := open(t, inMemory(t))
	s.meter.latency = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.meter.latency = 0
	if _, err := s.Get(t.Context(), 1); err != nil {
		t.Errorf("the next caller got %v", err)
	}
}

func TestSeedHappensOnce(t *testing.T) {
	s := open(t, inMemory(t))
	before, err := s.List(t.Context(), Filters{Limit: MaxLimit})
	if err != nil || len(before) < 10 {
		t.Fatalf("%d maintenances, %v", len(before), err)
	}
	if err := s.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := s.List(t.Context(), Filters{Limit: MaxLimit}); err != nil || len(after) != len(before) {
		t.Errorf("%d maintenances after seeding again, %d before; %v", len(after), len(before), err)
	}
}
