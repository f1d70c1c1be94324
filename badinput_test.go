package readthrough_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

var (
	longest = strings.Repeat("k", readthrough.MaxKeyBytes)
	tooLong = longest + "k"
	huge    = strings.Repeat("k", 1<<20)
)

// badCall is a call that cannot be made.
type badCall struct {
	name string
	call func() error
	want string // that its message has, beside the package
	is   error  // that it matches, if not nil
}

// run makes the calls. Each has to return its error and do nothing else.
func (b badCall) run(t *testing.T, touched func() int64) {
	t.Helper()
	t.Run(b.name, func(t *testing.T) {
		before := touched()
		defer func() {
			require.Nil(t, recover(), "panicked")
		}()
		err := b.call()
		require.Error(t, err)
		for line := range strings.Lines(err.Error()) { // several errors, joined
			assert.Regexp(t, "^readthrough: ", line, "error %q does not begin with the name of the package", err)
		}
		assert.ErrorContains(t, err, b.want)
		assert.LessOrEqual(t, len(err.Error()), 1000, "the length of the message")
		if b.is != nil {
			assert.ErrorIs(t, err, b.is)
		}
		assert.Zero(t, touched()-before, "calls of the store or of functions before the error")
	})
}

// functions are arguments of calls that must not happen.
type functions struct{ called atomic.Int64 }

func (f *functions) load(context.Context) (int, error) { f.called.Add(1); return 0, nil }

func (f *functions) loadID(context.Context, int) (int, error) { f.called.Add(1); return 0, nil }

func (f *functions) loadMany(context.Context, []int) (map[int]int, error) {
	f.called.Add(1)
	return nil, nil
}

func (f *functions) mutation() readthrough.Mutation[int] {
	return readthrough.Mutation[int]{
		Write:      f.load,
		Invalidate: func(int) readthrough.Targets { f.called.Add(1); return readthrough.Targets{} },
		Emit:       func(context.Context, int) error { f.called.Add(1); return nil },
	}
}

// readsAndWrites are all functions of a scope that return an error, with good
// arguments but for those given.
func (f *functions) readsAndWrites(ctx context.Context, s *readthrough.CachedScope) map[string]func() error {
	id := func(int) string { return "k" }
	return map[string]func() error{
		"Wrap":     func() error { _, err := readthrough.Wrap(ctx, s, "k", f.load); return err },
		"WrapMany": func() error { _, err := readthrough.WrapMany(ctx, s, []int{1}, id, f.loadMany); return err },
		"WrapMany of none": func() error {
			_, err := readthrough.WrapMany(ctx, s, nil, id, f.loadMany)
			return err
		},
		"Memoize":     func() error { _, err := readthrough.Memoize(s, id, f.loadID)(ctx, 1); return err },
		"MemoizeMany": func() error { _, err := readthrough.MemoizeMany(s, id, f.loadMany)(ctx, []int{1}); return err },
		"Invalidate":  func() error { return s.Invalidate(ctx, "k") },
		"Invalidate of none": func() error {
			return s.Invalidate(ctx)
		},
		"InvalidatePrefix":  func() error { _, err := s.InvalidatePrefix(ctx, "k"); return err },
		"InvalidateTargets": func() error { _, err := s.InvalidateTargets(ctx, keysOf("k")); return err },
		"Mutate":            func() error { _, err := readthrough.Mutate(ctx, s, f.mutation()); return err },
		"Has":               func() error { _, err := s.Has(ctx, "k"); return err },
		"Entries":           func() error { _, err := s.Entries(ctx, provider.ListOptions{}); return err },
	}
}

func TestBadContextAndScope(t *testing.T) {
	var f functions
	store := plain(newStore(t))
	touched := func() int64 { return f.called.Load() + store.count() }
	scope := newScope(t, on(store))
	var none context.Context
	for name, call := range f.readsAndWrites(none, scope) {
		badCall{name: name + "/nil ctx", call: call, want: "ctx: must not be nil"}.run(t, touched)
	}
	for name, call := range f.readsAndWrites(t.Context(), nil) {
		badCall{name: name + "/nil scope", call: call, want: "scope: must not be nil"}.run(t, touched)
	}
	for name, call := range f.readsAndWrites(t.Context(), new(readthrough.CachedScope)) {
		badCall{name: name + "/zero scope", call: call, want: "scope: must not be nil; get it from Cache.Scope"}.run(t, touched)
	}
	for name, s := range map[string]*readthrough.CachedScope{"nil": nil, "zero": new(readthrough.CachedScope)} {
		assert.Empty(t, s.Name(), "Name() of a %s scope", name)
		got := s.Stats()
		assert.Zero(t, got.Hits, "Stats() of a %s scope", name)
		assert.Zero(t, got.InFlight, "Stats() of a %s scope", name)
		assert.Zero(t, got.LoadTime.Count, "Stats() of a %s scope", name)
	}
}

func TestBadCache(t *testing.T) {
	var f functions
	var none context.Context
	for name, c := range map[string]*readthrough.Cache{"nil": nil, "zero": new(readthrough.Cache)} {
		for _, b := range []badCall{
			{name: "Scope", call: func() error { _, err := c.Scope("s", readthrough.ScopeOptions{TTL: 1}); return err }, want: "Scope: the cache was not made by New"},
			{name: "Close", call: c.Close, want: "Close: the cache was not made by New"},
			{name: "StoreStats", call: func() error { _, err := c.StoreStats(t.Context()); return err }, want: "StoreStats: the cache was not made by New"},
		} {
			b.name += "/" + name
			b.run(t, f.called.Load)
		}
	}
	good := newCache(t, newStore(t), readthrough.Options{})
	badCall{
		name: "StoreStats/nil ctx", call: func() error { _, err := good.StoreStats(none); return err },
		want: "ctx: must not be nil",
	}.run(t, f.called.Load)
}

func TestAfterClose(t *testing.T) {
	var f functions
	store := plain(newStore(t))
	touched := func() int64 { return f.called.Load() + store.count() }
	cache, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	scope, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute})
	require.NoError(t, err)
	_, err = readthrough.Wrap(t.Context(), scope, "k", func(context.Context) (int, error) { return 1, nil })
	require.NoError(t, err)
	require.NoError(t, cache.Close())
	calls := f.readsAndWrites(t.Context(), scope)
	calls["Scope"] = func() error { _, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute}); return err }
	calls["Scope of another name"] = func() error { _, err := cache.Scope("s2", readthrough.ScopeOptions{TTL: time.Minute}); return err }
	calls["StoreStats"] = func() error { _, err := cache.StoreStats(t.Context()); return err }
	for name, call := range calls {
		badCall{name: name, call: call, want: "cache closed", is: readthrough.ErrClosed}.run(t, touched)
	}
	assert.NoError(t, cache.Close(), "Close again")
	assert.Equal(t, int64(1), scope.Stats().Loads, "Stats() after Close: loads")
	assert.Equal(t, "s", scope.Name(), "Name() after Close")
}

func TestBadKeysAndFunctions(t *testing.T) {
	var f functions
	store := plain(newStore(t))
	touched := func() int64 { return f.called.Load() + store.count() }
	s := newScope(t, on(store))
	ctx := t.Context()
	wrap := func(key string, options ...readthrough.CallOption) func() error {
		return func() error { _, err := readthrough.Wrap(ctx, s, key, f.load, options...); return err }
	}
	wrapMany := func(ids []int, key func(int) string, options ...readthrough.CallOption) func() error {
		return func() error {
			got, err := readthrough.WrapMany(ctx, s, ids, key, f.loadMany, options...)
			assert.NotNil(t, got, "WrapMany returned a nil map")
			return err
		}
	}
	constant := func(key string) func(int) string { return func(int) string { return key } }
	const empty, long = "must not be empty", "must not be longer than 8192"
	noLoad := (func(context.Context) (int, error))(nil)
	noLoadID := (func(context.Context, int) (int, error))(nil)
	noLoadMany := (func(context.Context, []int) (map[int]int, error))(nil)
	tests := []badCall{
		{name: "Wrap/empty key", call: wrap(""), want: "key: " + empty},
		{name: "Wrap/long key", call: wrap(tooLong), want: "key: 8193 bytes: " + long},
		{name: "Wrap/huge key", call: wrap(huge), want: "key: 1048576 bytes: " + long},
		{name: "Wrap/nil load", call: func() error { _, err := readthrough.Wrap(ctx, s, "k", noLoad); return err }, want: "load: must not be nil"},
		{name: "Wrap/zero TTL", call: wrap("k", readthrough.TTL(0)), want: "TTL: 0s: must be positive"},
		{name: "Wrap/negative TTL", call: wrap("k", readthrough.TTL(-1)), want: "TTL: -1ns: must be positive"},
		{name: "Wrap/TTL without a unit", call: wrap("k", readthrough.TTL(60)), want: "TTL: 60ns: must not be shorter than 1ms: did you mean 60 * time.Second?"},
		{name: "Wrap/bad TTL before a good one", call: wrap("k", readthrough.TTL(-1), readthrough.TTL(1)), want: "TTL: -1ns: must be positive"},

		{name: "WrapMany/nil key", call: wrapMany([]int{1}, nil), want: "key: must not be nil"},
		{name: "WrapMany/nil key, no ids", call: wrapMany(nil, nil), want: "key: must not be nil"},
		{name: "WrapMany/nil load", call: func() error {
			_, err := readthrough.WrapMany(ctx, s, []int{1}, constant("k"), noLoadMany)
			return err
		}, want: "load: must not be nil"},
		{name: "WrapMany/empty key", call: wrapMany([]int{7}, constant("")), want: "key: " + empty + " (of id 7)"},
		{name: "WrapMany/huge key", call: wrapMany([]int{7}, constant(huge)), want: "key: 1048576 bytes: " + long + " (of id 7)"},
		{name: "WrapMany/one key for two ids", call: wrapMany([]int{7, 8}, constant("k")), want: `key: "k" for both id 7 and id 8: must differ`},
		{name: "WrapMany/a long key for two ids", call: wrapMany([]int{7, 8}, constant(longest)), want: "for both id 7 and id 8: must differ"},
		{name: "WrapMany/zero TTL", call: wrapMany([]int{1}, constant("k"), readthrough.TTL(0)), want: "TTL: 0s: must be positive"},

		{name: "Memoize/nil key", call: func() error {
			_, err := readthrough.Memoize(s, nil, f.loadID)(ctx, 1)
			return err
		}, want: "key: must not be nil"},
		{name: "Memoize/nil load", call: func() error { _, err := readthrough.Memoize(s, constant("k"), noLoadID)(ctx, 1); return err }, want: "load: must not be nil"},
		{name: "Memoize/empty key", call: func() error { _, err := readthrough.Memoize(s, constant(""), f.loadID)(ctx, 1); return err }, want: "key: " + empty},
		{name: "Memoize/huge key", call: func() error { _, err := readthrough.Memoize(s, constant(huge), f.loadID)(ctx, 1); return err }, want: "key: 1048576 bytes: " + long},
		{name: "Memoize/negative TTL", call: func() error {
			_, err := readthrough.Memoize(s, constant("k"), f.loadID, readthrough.TTL(-1))(ctx, 1)
			return err
		}, want: "TTL: -1ns: must be positive"},
		{name: "MemoizeMany/nil key", call: func() error {
			_, err := readthrough.MemoizeMany(s, nil, f.loadMany)(ctx, []int{1})
			return err
		}, want: "key: must not be nil"},
		{name: "MemoizeMany/nil load", call: func() error {
			_, err := readthrough.MemoizeMany(s, constant("k"), noLoadMany)(ctx, []int{1})
			return err
		}, want: "load: must not be nil"},

		{name: "Each/limit 0", call: func() error { _, err := readthrough.Each(0, f.loadID)(ctx, []int{1}); return err }, want: "Each: limit: 0: must be at least 1"},
		{name: "Each/negative limit", call: func() error { _, err := readthrough.Each(-5, f.loadID)(ctx, []int{1}); return err }, want: "Each: limit: -5: must be at least 1"},
		{name: "Each/nil load", call: func() error { _, err := readthrough.Each(1, noLoadID)(ctx, []int{1}); return err }, want: "Each: load: must not be nil"},

		{name: "Invalidate/empty key", call: func() error { return s.Invalidate(ctx, "k", "") }, want: "key: " + empty},
		{name: "Invalidate/huge key", call: func() error { return s.Invalidate(ctx, "k", huge) }, want: "key: 1048576 bytes: " + long},
		{name: "InvalidatePrefix/long prefix", call: func() error { _, err := s.InvalidatePrefix(ctx, tooLong); return err }, want: "prefix: 8193 bytes: " + long},
		{name: "InvalidateTargets/empty key", call: func() error {
			_, err := s.InvalidateTargets(ctx, readthrough.Targets{Keys: []string{"k", ""}, Prefixes: []string{"p"}})
			return err
		}, want: "key: " + empty},
		{name: "InvalidateTargets/huge prefix", call: func() error {
			_, err := s.InvalidateTargets(ctx, readthrough.Targets{Keys: []string{"k"}, Prefixes: []string{"p", huge}})
			return err
		}, want: "prefix: 1048576 bytes: " + long},

		{name: "Has/empty key", call: func() error { _, err := s.Has(ctx, ""); return err }, want: "key: " + empty},
		{name: "Has/huge key", call: func() error { _, err := s.Has(ctx, huge); return err }, want: "key: 1048576 bytes: " + long},
	}
	mutation := func(change func(*readthrough.Mutation[int])) func() error {
		return func() error {
			m := f.mutation()
			change(&m)
			_, err := readthrough.Mutate(ctx, s, m)
			return err
		}
	}
	tests = append(
		tests,
		badCall{name: "Mutate/nil Write", call: mutation(func(m *readthrough.Mutation[int]) { m.Write = nil }), want: "Mutation.Write: must not be nil"},
		badCall{name: "Mutate/nil Invalidate", call: mutation(func(m *readthrough.Mutation[int]) { m.Invalidate = nil }), want: "Mutation.Invalidate: must not be nil"},
		badCall{name: "Mutate/all nil", call: func() error {
			_, err := readthrough.Mutate(ctx, s, readthrough.Mutation[int]{})
			return err
		}, want: "Mutation.Write: must not be nil"},
	)
	for _, b := range tests {
		b.run(t, touched)
	}
	got := s.Stats()
	assert.Zero(t, got.Misses, "calls that cannot be made were counted")
	assert.Zero(t, got.Invalidations, "calls that cannot be made were counted")
	assert.Zero(t, got.Loads, "calls that cannot be made were counted")
}

func TestBadKeyArguments(t *testing.T) {
	type cycle struct{ Next *cycle }
	loop := new(cycle)
	loop.Next = loop
	for _, test := range []struct {
		name, family string
		v            any
		want         string
	}{
		{"empty family", "", 1, "Key: family: must not be empty"},
		{"NaN", "list:", math.NaN(), "Key: "},
		{"infinity", "list:", math.Inf(-1), "Key: "},
		{"channel", "list:", make(chan int), "Key: "},
		{"function", "list:", func() {}, "Key: "},
		{"function in a map", "list:", map[string]any{"f": func() {}}, "Key: "},
		{"cycle", "list:", loop, "Key: "},
		{"long family", tooLong, 1, "Key: "},
		{"huge family", huge, 1, "must not be longer than 8192"},
		{"huge filter", "list:", huge, "must not be longer than 8192"},
	} {
		badCall{
			name: test.name, want: test.want,
			call: func() error { _, err := readthrough.Key(test.family, test.v); return err },
		}.run(t, func() int64 { return 0 })
	}
}

// TestIDsThatCannotBeCompared: their type can be compared, and what an interface in it holds cannot, however
// deep it is. Maps of such ids would panic.
func TestIDsThatCannotBeCompared(t *testing.T) {
	type inner struct{ of [1]any }
	type deep struct {
		n  int
		in inner
	}
	s := newScope(t)
	key := func(id deep) string { return fmt.Sprint(id.n) }
	load := readthrough.Each(2, func(_ context.Context, id deep) (int, error) { return id.n, nil })
	good, bad := deep{1, inner{[1]any{"a"}}}, deep{2, inner{[1]any{[]int{1}}}}
	values, err := readthrough.WrapMany(t.Context(), s, []deep{good}, key, load)
	require.NoError(t, err)
	assert.Equal(t, map[deep]int{good: 1}, values)
	for name, ids := range map[string][]deep{"alone": {bad}, "twice": {bad, bad}, "beside another": {good, bad}} {
		_, err := readthrough.WrapMany(t.Context(), s, ids, key, load)
		assert.ErrorContains(t, err, "id of type readthrough_test.deep: must be comparable", name)
		_, err = readthrough.WrapManyResult(t.Context(), s, ids, key, load)
		assert.ErrorContains(t, err, "id of type readthrough_test.deep: must be comparable", name)
		_, err = load(t.Context(), ids)
		assert.ErrorContains(t, err, "id of type readthrough_test.deep: must be comparable", name)
	}
	_, err = readthrough.WrapMany(t.Context(), s, []any{nil, "a", []int{1}}, func(id any) string { return fmt.Sprint(id) },
		readthrough.Each(2, func(context.Context, any) (int, error) { return 1, nil }))
	assert.ErrorContains(t, err, "id of type []int: must be comparable")
}
