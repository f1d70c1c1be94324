package readthrough_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/race"
)

// wantAllocs fails the test if f allocates more often than at most. What f checks,
// it checks by itself: an assertion allocates.
func wantAllocs(t *testing.T, what string, most float64, f func()) {
	t.Helper()
	f()
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, f), most, "%s: allocations", what)
}

func TestAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	type record struct{ id, title string }
	s := newScope(t)
	ctx := t.Context()
	load := func(context.Context) (*record, error) { return &record{"42", "title"}, nil }
	wantAllocs(t, "hit", 0, func() {
		if r, err := readthrough.Wrap(ctx, s, "maintenance:42", load); err != nil || r.id != "42" {
			t.Error(r, err)
		}
	})
	loadValue := func(context.Context) (record, error) { return record{"42", "title"}, nil }
	wantAllocs(t, "hit of a struct", 0, func() {
		if r, err := readthrough.Wrap(ctx, s, "struct", loadValue); err != nil || r.id != "42" {
			t.Error(r, err)
		}
	})
	absent := func(context.Context) (*record, error) { return nil, readthrough.ErrNotFound }
	wantAllocs(t, "hit of an absence", 0, func() {
		if _, err := readthrough.Wrap(ctx, s, "absent", absent); err == nil {
			t.Error("no error")
		}
	})
	get := readthrough.Memoize(s, func(id string) string { return "maintenance:" + id },
		func(ctx context.Context, _ string) (*record, error) { return load(ctx) })
	wantAllocs(t, "memoized hit", 1, func() { // the key
		if r, err := get(ctx, "42"); err != nil || r.id != "42" {
			t.Error(r, err)
		}
	})
	plainKey := readthrough.Memoize(s, func(id string) string { return id },
		func(ctx context.Context, _ string) (*record, error) { return load(ctx) })
	wantAllocs(t, "memoized hit with a key that is there", 0, func() {
		if r, err := plainKey(ctx, "maintenance:42"); err != nil || r.id != "42" {
			t.Error(r, err)
		}
	})

	type memberID struct {
		tenant string
		user   int64
	}
	members := newFamily(t, s, readthrough.Loads[memberID, *record]{One: func(ctx context.Context, _ memberID) (*record, error) { return load(ctx) }})
	appended, err := readthrough.NewFamily(s, "appended:", readthrough.Loads[int, record]{
		One:      func(ctx context.Context, _ int) (record, error) { return loadValue(ctx) },
		AppendID: func(b []byte, id int) []byte { return strconv.AppendInt(b, int64(id), 10) },
	})
	require.NoError(t, err)
	wantAllocs(t, "hit of a family", 0, func() {
		if r, err := members.Get(ctx, memberID{"acme", 4200}); err != nil || r.id != "42" {
			t.Error(r, err)
		}
	})
	wantAllocs(t, "hit of a family whose ids are appended", 0, func() {
		if r, err := appended.Get(ctx, 4200); err != nil || r.id != "42" {
			t.Error(r, err)
		}
	})

	n := 0
	wantAllocs(t, "miss, load and fill", 11, func() {
		n++
		if _, err := readthrough.Wrap(ctx, s, fmt.Sprint("miss:", n), load); err != nil {
			t.Error(err)
		}
	})
	wantAllocs(t, "invalidation", 1, func() {
		if err := s.Invalidate(ctx, "maintenance:43"); err != nil {
			t.Error(err)
		}
	})

	ids := make([]int, 100)
	for i := range ids {
		ids[i] = i
	}
	keys := make(map[int]string)
	for _, id := range ids {
		keys[id] = fmt.Sprint("bulk:", id)
	}
	loadMany := func(_ context.Context, ids []int) (map[int]*record, error) {
		loaded := make(map[int]*record)
		for _, id := range ids {
			loaded[id] = &record{}
		}
		return loaded, nil
	}
	wantAllocs(t, "bulk hit of 100", 6, func() {
		got, err := readthrough.WrapMany(ctx, s, ids, func(id int) string { return keys[id] }, loadMany)
		if err != nil || len(got) != len(ids) {
			t.Error(len(got), err)
		}
	})
}
