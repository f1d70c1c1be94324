package readthrough_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// newFamily returns the family "k:" of s.
func newFamily[ID comparable, T any](t testing.TB, s *readthrough.CachedScope, loads readthrough.Loads[ID, T]) *readthrough.Family[ID, T] {
	t.Helper()
	f, err := readthrough.NewFamily(s, "k:", loads)
	require.NoError(t, err)
	return f
}

// one returns the function Get of a family with load.
func one[T any](t testing.TB, s *readthrough.CachedScope, load func(context.Context, int) (T, error)) func(context.Context, int) (T, error) {
	t.Helper()
	return newFamily(t, s, readthrough.Loads[int, T]{One: load}).Get
}

func keyOfID(id int) string { return fmt.Sprint("k:", id) }

// TestFamilyIsMemoize does the same with both, in front of stores that have
// values and of one that has not, and compares all that there is to see.
func TestFamilyIsMemoize(t *testing.T) {
	stores := map[string]func(t *testing.T) provider.CacheProvider{
		"memory":    func(t *testing.T) provider.CacheProvider { return newStore(t) },
		"no values": func(t *testing.T) provider.CacheProvider { t.Helper(); return plain(newStore(t)) },
	}
	for name, open := range stores {
		for _, aging := range []bool{false, true} {
			bubble(t, fmt.Sprintf("%s, aging %v", name, aging), func(t *testing.T) {
				var seen [2][]string
				for i := range seen {
					seen[i] = transcript(t, open(t), aging, i == 1)
				}
				assert.Equal(t, seen[1], seen[0], "what happens with Memoize and with a family")
			})
		}
	}
}

// transcript is what a test sees of a memoized function.
func transcript(t *testing.T, store provider.CacheProvider, aging, appends bool) (seen []string) {
	t.Helper()
	var events eventLog
	cache := newCache(t, store, readthrough.Options{Observer: observer(events.observe), OnError: func(*readthrough.OpError) {}})
	options := readthrough.ScopeOptions{TTL: time.Minute, Jitter: -1, NegativeTTL: time.Minute}
	if aging {
		options.StaleWhileRevalidate = time.Hour
	}
	s, err := cache.Scope("s", options)
	require.NoError(t, err)
	loads := 0
	load := func(_ context.Context, id int) (string, error) {
		switch loads++; id {
		case 1:
			return "", readthrough.ErrNotFound
		case 2:
			return "", errFault
		default:
			return fmt.Sprint("v", id, ".", loads), nil
		}
	}
	get := readthrough.Memoize(s, keyOfID, load)
	if appends {
		get = one(t, s, load)
	}
	for range 3 {
		for _, id := range []int{0, 1, 2, 33, 4444, 0} {
			value, err := get(t.Context(), id)
			synctest.Wait()
			seen = append(seen, fmt.Sprint(id, value, err, loads))
		}
		require.NoError(t, s.Invalidate(t.Context(), "k:33"))
		time.Sleep(40 * time.Second)
	}
	// A value of another type is loaded anew.
	other := readthrough.Memoize(s, keyOfID, func(context.Context, int) (int, error) { return 7, nil })
	_, err = other(t.Context(), 5)
	require.NoError(t, err)
	value, err := get(t.Context(), 5)
	synctest.Wait()
	seen = append(seen, fmt.Sprint(value, err, loads))
	stats := s.Stats()
	seen = append(seen, fmt.Sprint(stats.Hits, stats.Misses, stats.Loads))
	if i, ok := store.(provider.Inspector); ok {
		below, err := i.Stats(t.Context())
		seen = append(seen, fmt.Sprint(below.Hits, below.Misses, err))
	}
	return append(seen, events.lines()...)
}

// eventLog keeps events as they came, with their keys.
type eventLog struct {
	mu     sync.Mutex // guards following
	events []happened
}

func (l *eventLog) observe(e happened) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *eventLog) lines() (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		lines = append(lines, fmt.Sprint(e.kind, e.Key, e.Count, e.Err))
	}
	slices.Sort(lines) // loads in the background come when they come
	return lines
}

// TestFamilyReportsKeys: what is told about a key does not change when the
// buffer is used for the next.
func TestFamilyReportsKeys(t *testing.T) {
	var keys []string
	store := plain(newStore(t))
	store.fail(faultPanic, "getValue", "getValues") // so that the error is reported
	cache := newCache(t, store.as(likeMemory), readthrough.Options{
		OnError: func(e *readthrough.OpError) { keys = append(keys, e.Key) },
	})
	s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(t, err)
	get := one(t, s, func(_ context.Context, id int) (int, error) { return id, nil })
	for id := range 3 {
		got, err := get(t.Context(), id)
		assert.NoError(t, err, "get(%d)", id)
		assert.Equal(t, id, got, "get(%d)", id)
	}
	assert.Equal(t, []string{"k:0", "k:1", "k:2"}, keys, "the keys of the reports")
}

// TestFamilyTogether: buffers are not shared by calls under way.
func TestFamilyTogether(t *testing.T) {
	s := newScope(t)
	get := one(t, s, func(_ context.Context, id int) (int, error) { return id, nil })
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 2000 {
				id := (i*7 + g) % 300
				if got, err := get(t.Context(), id); err != nil || got != id { // no assertion: its lock would hide races
					t.Errorf("get(%d) = %d, %v", id, got, err)
					return
				}
			}
		})
	}
	group.Wait()
}

// TestFamilyStoresKeys: what is stored under a key is not under another one when
// the buffer is used for the next, while the load of the first runs.
func TestFamilyStoresKeys(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t)
		var loads atomic.Int64
		gate := make(chan struct{})
		get := one(t, s, func(_ context.Context, id int) (int, error) {
			loads.Add(1)
			<-gate
			return id, nil
		})
		var reads []<-chan result[int]
		for id := range 10 {
			reads = append(reads, async(func() (int, error) { return get(t.Context(), id) }))
			synctest.Wait()
		}
		close(gate)
		for id, read := range reads {
			r := <-read
			want(t, fmt.Sprintf("get(%d)", id), r.value, r.err, id)
		}
		require.NoError(t, s.Invalidate(t.Context(), "k:3"))
		for id := range 10 {
			got, err := get(t.Context(), id)
			want(t, fmt.Sprintf("get(%d)", id), got, err, id)
		}
		wantLoads(t, &loads, 11) // one for each id and one after the invalidation
		wantIdle(t, s)
	})
}

type memberID struct {
	Tenant string
	User   int64
}

func TestFamilyReadsAndChangesOneKindOfEntity(t *testing.T) {
	s := newScope(t)
	source := map[memberID]string{{"acme", 1}: "ada", {"acme", 10}: "bob", {"a/c", 1}: "cy"}
	var asked [][]memberID
	members := newFamily(t, s, readthrough.Loads[memberID, string]{
		Many: func(_ context.Context, ids []memberID) (map[memberID]string, error) {
			asked = append(asked, ids)
			found := make(map[memberID]string)
			for _, id := range ids {
				if name, ok := source[id]; ok {
					found[id] = name
				}
			}
			return found, nil
		},
	})
	ctx := t.Context()
	ada, bob, nobody := memberID{"acme", 1}, memberID{"acme", 10}, memberID{"acme", 2}
	got, err := members.Get(ctx, ada)
	want(t, "Get", got, err, "ada")
	_, err = members.Get(ctx, nobody)
	assert.ErrorIs(t, err, readthrough.ErrNotFound, "Get of what the source has not")
	many, err := members.GetMany(ctx, []memberID{ada, bob, nobody, {"a/c", 1}, bob})
	require.NoError(t, err)
	assert.Equal(t, map[memberID]string{ada: "ada", bob: "bob", {"a/c", 1}: "cy"}, many)
	assert.Equal(t, [][]memberID{{ada}, {nobody}, {bob, {"a/c", 1}}}, asked, "what was loaded")

	source[ada], asked = "Ada", nil
	require.NoError(t, members.Invalidate(ctx, ada))
	many, err = members.GetMany(ctx, []memberID{ada, bob})
	require.NoError(t, err)
	assert.Equal(t, map[memberID]string{ada: "Ada", bob: "bob"}, many)
	assert.Equal(t, [][]memberID{{ada}}, asked, "acme/1 does not cover acme/10")

	source[bob] = "Bob"
	got, err = members.Refresh(ctx, bob)
	want(t, "Refresh", got, err, "Bob")
	got, err = members.Put(ctx, bob, func(context.Context) (string, error) { return "Bobby", nil })
	want(t, "Put", got, err, "Bobby")
	got, err = members.Get(ctx, bob)
	want(t, "Get after Put", got, err, "Bobby")
	assert.Equal(t, "k:acme/10", members.Key(bob))
	assert.Same(t, s, members.Scope())
	has, err := s.Has(ctx, members.Key(bob))
	assert.NoError(t, err)
	assert.True(t, has, "the key")
}

func TestFamilyWithoutManyLoadsEach(t *testing.T) {
	var loads atomic.Int64
	squares := newFamily(t, newScope(t), readthrough.Loads[int, int]{One: func(_ context.Context, id int) (int, error) {
		loads.Add(1)
		if id < 0 {
			return 0, readthrough.ErrNotFound
		}
		return id * id, nil
	}})
	for range 2 {
		got, err := squares.GetMany(t.Context(), []int{1, -2, 3})
		require.NoError(t, err)
		assert.Equal(t, map[int]int{1: 1, 3: 9}, got)
	}
	wantLoads(t, &loads, 3)
}

// TestFamilyClones: whoever changes what it got changes nobody else's.
func TestFamilyClones(t *testing.T) {
	type user struct{ Roles []string }
	users := newFamily(t, newScope(t), readthrough.Loads[int, *user]{
		One:   func(context.Context, int) (*user, error) { return &user{[]string{"reader"}}, nil },
		Clone: func(u *user) *user { return &user{slices.Clone(u.Roles)} },
	})
	write := func(context.Context) (*user, error) { return &user{[]string{"reader"}}, nil }
	many := func(ctx context.Context, id int) (*user, error) {
		found, err := users.GetMany(ctx, []int{id})
		return found[id], err
	}
	put := func(ctx context.Context, id int) (*user, error) { return users.Put(ctx, id, write) }
	for _, read := range []func(context.Context, int) (*user, error){users.Get, users.Get, many, many, users.Get, users.Refresh, users.Get, put, users.Get, many} {
		u, err := read(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, []string{"reader"}, u.Roles)
		u.Roles[0] = "admin"
	}
}

func TestFamilyOfBadArguments(t *testing.T) {
	s := newScope(t)
	load := func(_ context.Context, id int) (int, error) { return id, nil }
	loads := readthrough.Loads[int, int]{One: load}
	_, err := readthrough.NewFamily(s, "user:", loads)
	require.NoError(t, err)
	_, err = readthrough.NewList(s, "list:", load)
	require.NoError(t, err)
	ofFloat := readthrough.Loads[float64, int]{One: func(context.Context, float64) (int, error) { return 0, nil }}
	for _, c := range []struct {
		name string
		make func() error
		want string
	}{
		{"no scope", func() error { _, err := readthrough.NewFamily(nil, "a:", loads); return err }, "scope: must not be nil"},
		{"no loads", func() error { _, err := readthrough.NewFamily(s, "a:", readthrough.Loads[int, int]{}); return err }, `NewFamily: scope "test": Loads.One and Loads.Many both: must not be nil`},
		{"no prefix", func() error { _, err := readthrough.NewFamily(s, "", loads); return err }, `NewFamily: scope "test": prefix: must not be empty, such as "user:"`},
		{"a long prefix", func() error { _, err := readthrough.NewFamily(s, strings.Repeat("a", 9000), loads); return err }, "prefix: 9000 bytes"},
		{"part of a prefix", func() error { _, err := readthrough.NewFamily(s, "us", loads); return err }, `prefix "us": the prefix "user:" of another`},
		{"a longer prefix", func() error { _, err := readthrough.NewFamily(s, "user:admin:", loads); return err }, `prefix "user:admin:": the prefix "user:" of another`},
		{"a prefix of a list", func() error { _, err := readthrough.NewFamily(s, "list:", loads); return err }, `prefix "list:": another family or list has it`},
		{"other types", func() error {
			_, err := readthrough.NewFamily(s, "user:", readthrough.Loads[int, string]{One: func(context.Context, int) (string, error) { return "", nil }})
			return err
		}, `prefix "user:": another family or list has it, with ids or values of another type`},
		{"ids without a text", func() error { _, err := readthrough.NewFamily(s, "a:", ofFloat); return err }, `NewFamily: "a:" in scope "test": ids: float64 is a float64, which has no text of its own: set Loads.AppendID`},
		{"a bad option", func() error { _, err := readthrough.NewFamily(s, "a:", loads, readthrough.TTL(-1)); return err }, "TTL: -1ns: must be positive"},
		{"a list without a load", func() error { _, err := readthrough.NewList[int, int](s, "a:", nil); return err }, `NewList: scope "test": load: must not be nil`},
		{"a list without a prefix", func() error { _, err := readthrough.NewList(s, "", load); return err }, "NewList: scope \"test\": prefix: must not be empty"},
		{"a list without a scope", func() error { _, err := readthrough.NewList(nil, "a:", load); return err }, "scope: must not be nil"},
	} {
		assert.ErrorContains(t, c.make(), c.want, c.name)
	}
	_, err = readthrough.NewFamily(s, "user:", loads)
	assert.NoError(t, err, "the same family again")

	var none *readthrough.Family[int, int]
	_, err = none.Get(t.Context(), 1)
	assert.ErrorContains(t, err, "not made by NewFamily")
	_, err = none.GetMany(t.Context(), []int{1})
	assert.ErrorContains(t, err, "not made by NewFamily")
	_, err = none.Put(t.Context(), 1, nil)
	assert.ErrorContains(t, err, "not made by NewFamily")
	_, err = none.Refresh(t.Context(), 1)
	assert.ErrorContains(t, err, "not made by NewFamily")
	assert.ErrorContains(t, none.Invalidate(t.Context(), 1), "not made by NewFamily")
	assert.Empty(t, none.Key(1))
	assert.Nil(t, none.Scope())
}

// TestFamilyOfBadIDs: an id whose key is bad is told apart from a load that has failed.
func TestFamilyOfBadIDs(t *testing.T) {
	names := newFamily(t, newScope(t), readthrough.Loads[string, int]{One: func(context.Context, string) (int, error) { return 0, errFault }})
	long := strings.Repeat("a", readthrough.MaxKeyBytes)
	_, err := names.Get(t.Context(), long)
	assert.ErrorIs(t, err, readthrough.ErrBadKey)
	assert.ErrorContains(t, err, "must not be longer than")
	_, err = names.GetMany(t.Context(), []string{"a", long})
	assert.ErrorIs(t, err, readthrough.ErrBadKey)
	assert.ErrorIs(t, names.Invalidate(t.Context(), long), readthrough.ErrBadKey)
	_, err = names.Get(t.Context(), "a")
	assert.ErrorIs(t, err, errFault)
	assert.NotErrorIs(t, err, readthrough.ErrBadKey)
}
