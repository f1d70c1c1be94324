package redisprovider_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// The tests of this file look at values through a cache on a real server.

type account struct {
	Name string
	Hash string `json:"-"`
}

type price struct{ amount int }

type sparse struct {
	Items []string `json:"items,omitempty"`
}

type owner struct{ ID int }

type owned struct {
	*owner

	Name string
}

type shape interface{ Area() int }

type square struct{ Side int }

func (s square) Area() int { return s.Side * s.Side }

// reports are the errors that a cache has told.
type reports struct {
	mu   sync.Mutex
	errs []error
}

func (r *reports) add(err *readthrough.OpError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func (r *reports) all() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errs
}

// newValues returns a scope on a server.
func newValues(t *testing.T, client redis.UniversalClient, store redisprovider.Options, options readthrough.ScopeOptions) (*readthrough.CachedScope, *reports) {
	t.Helper()
	reported := new(reports)
	cache, err := readthrough.New(newProvider(t, client, store), readthrough.Options{OnError: reported.add, ProviderTimeout: 10 * time.Second, InvalidateTimeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	if options.TTL == 0 {
		options.TTL = time.Hour
	}
	options.Jitter = -1
	scope, err := cache.Scope("values", options)
	require.NoError(t, err)
	return scope, reported
}

// counted returns a load function that counts its runs.
func counted[T any](loads *atomic.Int64, value T) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { loads.Add(1); return value, nil }
}

// comesBack reads a value in all ways, several times, and checks that it is always the loaded one.
// It returns how often it was loaded.
func comesBack[T any](t *testing.T, s *readthrough.CachedScope, name string, value T) (loads int64) {
	t.Helper()
	var n atomic.Int64
	load := counted(&n, value)
	loadMany := func(_ context.Context, ids []string) (map[string]T, error) {
		n.Add(1)
		m := make(map[string]T)
		for _, id := range ids {
			m[id] = value
		}
		return m, nil
	}
	for range 3 {
		got, err := readthrough.Wrap(t.Context(), s, name, load)
		require.NoError(t, err)
		assert.Equal(t, value, got, "Wrap")
		many, err := readthrough.WrapMany(t.Context(), s, []string{name + "1", name + "2"}, func(id string) string { return id }, loadMany)
		require.NoError(t, err)
		assert.Equal(t, map[string]T{name + "1": value, name + "2": value}, many, "WrapMany")
		got, err = readthrough.Refresh(t.Context(), s, name+"3", load)
		require.NoError(t, err)
		assert.Equal(t, value, got, "Refresh")
		got, err = readthrough.Wrap(t.Context(), s, name+"3", load)
		require.NoError(t, err)
		assert.Equal(t, value, got, "after Refresh")
		got, err = readthrough.Put(t.Context(), s, name+"4", load)
		require.NoError(t, err)
		assert.Equal(t, value, got, "Put")
		got, err = readthrough.Wrap(t.Context(), s, name+"4", load)
		require.NoError(t, err)
		assert.Equal(t, value, got, "after Put")
	}
	return n.Load()
}

// TestWhatIsReadIsWhatWasLoaded: or it is not stored, and the cache says so once per type.
func TestWhatIsReadIsWhatWasLoaded(t *testing.T) {
	t.Parallel()
	_, client, _ := newOnServer(t, redisprovider.Options{})
	s, reported := newValues(t, client, redisprovider.Options{}, readthrough.ScopeOptions{})
	const stored = 2 + 6 // the first loads, and the Refreshes and Puts
	assert.EqualValues(t, stored, comesBack(t, s, "kept", account{"ada", ""}), "what loses nothing is stored")
	assert.Empty(t, reported.all())
	comesBack(t, s, "tag", account{"ada", "secret"})
	comesBack(t, s, "tag again", &account{"ada", "secret"})
	comesBack(t, s, "unexported", price{42})
	comesBack(t, s, "empty", sparse{[]string{}})
	comesBack(t, s, "text", "\xff")
	comesBack(t, s, "any", map[string]any{"large": int64(1<<60 + 1)})
	comesBack(t, s, "embedded", owned{&owner{7}, "ada"})
	for i, want := range []string{
		`redisprovider_test.account.Hash has the tag json:"-" and would come back empty: store a type without it, or set redisprovider.Options.Codec`,
		"*redisprovider_test.account.Hash", "redisprovider_test.price.amount is unexported", "redisprovider_test.sparse.Items",
		"string is not valid UTF-8", "would come back as a float64", "redisprovider_test.owned would not come back",
	} {
		if assert.Greater(t, len(reported.all()), i, "reports") {
			assert.ErrorIs(t, reported.all()[i], provider.ErrLossy)
			assert.ErrorContains(t, reported.all()[i], want)
			assert.NotContains(t, reported.all()[i].Error(), "secret")
		}
	}
	assert.Len(t, reported.all(), 7, "one for each type: %v", reported.all())
	assert.Greater(t, s.Stats().ProviderErrors, int64(7*10), "all count")
}

// TestAllowLossy stores it all the same, and says so once.
func TestAllowLossy(t *testing.T) {
	t.Parallel()
	p, client, _ := newOnServer(t, redisprovider.Options{AllowLossy: true})
	s, reported := newValues(t, client, redisprovider.Options{AllowLossy: true}, readthrough.ScopeOptions{})
	var loads atomic.Int64
	for n := range 5 {
		for range 2 {
			_, err := readthrough.Wrap(t.Context(), s, fmt.Sprint(n), counted(&loads, account{"ada", "secret"}))
			require.NoError(t, err)
		}
	}
	assert.EqualValues(t, 5, loads.Load(), "loads")
	if assert.Len(t, reported.all(), 1) {
		assert.ErrorIs(t, reported.all()[0], provider.ErrLossy)
		assert.ErrorContains(t, reported.all()[0], "account.Hash")
	}
	got, err := readthrough.Wrap(t.Context(), s, "0", counted(&loads, account{}))
	require.NoError(t, err)
	assert.Equal(t, account{Name: "ada"}, got, "without what JSON leaves out")
	_, err = readthrough.Put(t.Context(), s, "put", counted(&loads, price{1}))
	require.NoError(t, err)
	n := loads.Load()
	_, err = readthrough.Wrap(t.Context(), s, "put", counted(&loads, price{1}))
	require.NoError(t, err)
	assert.Equal(t, n, loads.Load(), "what was put is stored")
	assert.Len(t, reported.all(), 2, "another type")
	for range 3 {
		got, err := readthrough.Wrap(t.Context(), s, "embedded", counted(&loads, owned{&owner{7}, "ada"}))
		require.NoError(t, err)
		assert.Equal(t, owned{&owner{7}, "ada"}, got)
	}
	assert.Len(t, reported.all(), 3, "what cannot be decoded is not stored")

	assert.NoError(t, p.Set(t.Context(), key("s", "k"), provider.Entry{Value: account{"ada", "secret"}}, time.Hour))
	_, found, err := p.Get(t.Context(), key("s", "k"))
	assert.NoError(t, err)
	assert.True(t, found)
}

// TestLossyLeavesNothing: nor does Set, alone or of many.
func TestLossyLeavesNothing(t *testing.T) {
	t.Parallel()
	p, _, _ := newOnServer(t, redisprovider.Options{})
	keys := numbered("s", 2)
	mustSetMany(t, p, keys, "old")
	lossy := provider.Entry{Value: account{"ada", "secret"}}
	assert.ErrorIs(t, p.Set(t.Context(), keys[0], lossy, time.Hour), provider.ErrLossy)
	assert.ErrorIs(t, p.SetMany(t.Context(), []provider.Item{{Key: keys[1], Entry: lossy, TTL: time.Hour}}), provider.ErrLossy)
	wantMiss(t, p, keys[0])
	wantMiss(t, p, keys[1])
}

// TestInterfaceTypes: bytes do not say which type an interface had held, so every call with one is an error.
func TestInterfaceTypes(t *testing.T) {
	t.Parallel()
	_, client, _ := newOnServer(t, redisprovider.Options{})
	s, reported := newValues(t, client, redisprovider.Options{}, readthrough.ScopeOptions{})
	load := func(context.Context) (shape, error) { t.Error("the load ran"); return square{3}, nil }
	loadOf := func(ctx context.Context, _ string) (shape, error) { return load(ctx) }
	loadMany := func(ctx context.Context, _ []string) (map[string]shape, error) { _, err := load(ctx); return nil, err }
	id := func(id string) string { return id }
	for name, call := range map[string]func() error{
		"Wrap":       func() error { _, err := readthrough.Wrap(t.Context(), s, "k", load); return err },
		"WrapResult": func() error { _, err := readthrough.WrapResult(t.Context(), s, "k", load); return err },
		"Refresh":    func() error { _, err := readthrough.Refresh(t.Context(), s, "k", load); return err },
		"Put":        func() error { _, err := readthrough.Put(t.Context(), s, "k", load); return err },
		"WrapMany": func() error {
			_, err := readthrough.WrapMany(t.Context(), s, []string{"k"}, id, loadMany)
			return err
		},
		"WrapManyResult": func() error {
			_, err := readthrough.WrapManyResult(t.Context(), s, []string{"k"}, id, loadMany)
			return err
		},
		"Memoize": func() error { _, err := readthrough.Memoize(s, id, loadOf)(t.Context(), "k"); return err },
		"MemoizeMany": func() error {
			_, err := readthrough.MemoizeMany(s, id, loadMany)(t.Context(), []string{"k"})
			return err
		},
		"NewFamily": func() error {
			_, err := readthrough.NewFamily(s, "k:", readthrough.Loads[string, shape]{One: loadOf})
			return err
		},
		"NewList": func() error { _, err := readthrough.NewList(s, "list:", loadOf); return err },
	} {
		assert.ErrorContains(t, call(), "readthrough: values of type redisprovider_test.shape: the store encodes values", name)
	}
	_, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (any, error) { return square{3}, nil })
	assert.ErrorContains(t, err, "values of type interface {}")
	assert.Empty(t, reported.all())
	value, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (square, error) { return square{3}, nil })
	assert.NoError(t, err)
	assert.Equal(t, square{3}, value)
}

// unmarked is a store that does not say that it encodes.
type unmarked struct{ provider.CacheProvider }

// TestInterfaceTypesWithoutTheMark: a value never comes back as another type.
func TestInterfaceTypesWithoutTheMark(t *testing.T) {
	t.Parallel()
	p, _, _ := newOnServer(t, redisprovider.Options{})
	reported := new(reports)
	cache, err := readthrough.New(unmarked{p}, readthrough.Options{OnError: reported.add, ProviderTimeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	s, err := cache.Scope("values", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(t, err)
	for range 3 {
		value, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (any, error) { return square{3}, nil })
		require.NoError(t, err)
		assert.Equal(t, square{3}, value)
	}
	assert.NotEmpty(t, reported.all())
}

// TestWhatCannotBeStoredLeavesNothingOld: too large, not encodable, lossy, or refused by a server that is
// full, by every way to replace an entry. Redis keeps serving the old entry otherwise.
func TestWhatCannotBeStoredLeavesNothingOld(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 2000)
	type value struct {
		V string
		F func() `json:",omitzero"`
		H string `json:"-"`
	}
	news := map[string]value{"too large": {V: big}, "not encodable": {V: "new", F: func() {}}, "lossy": {V: "new", H: "x"}}
	_, client, _ := newOnServer(t, redisprovider.Options{})
	read := func(s *readthrough.CachedScope, name string, v value) (value, error) {
		return readthrough.Wrap(t.Context(), s, name, func(context.Context) (value, error) { return v, nil })
	}
	readMany := func(s *readthrough.CachedScope, name string, v value) error {
		_, err := readthrough.WrapMany(t.Context(), s, []string{name, name + "2"}, func(id string) string { return id },
			func(_ context.Context, ids []string) (map[string]value, error) {
				m := make(map[string]value)
				for _, id := range ids {
					m[id] = v
				}
				return m, nil
			})
		return err
	}
	for way, test := range map[string]struct {
		options readthrough.ScopeOptions
		replace func(s *readthrough.CachedScope, name string, v value) error
	}{
		"Refresh": {readthrough.ScopeOptions{}, func(s *readthrough.CachedScope, name string, v value) error {
			_, err := readthrough.Refresh(t.Context(), s, name, func(context.Context) (value, error) { return v, nil })
			return err
		}},
		"Put": {readthrough.ScopeOptions{}, func(s *readthrough.CachedScope, name string, v value) error {
			_, err := readthrough.Put(t.Context(), s, name, func(context.Context) (value, error) { return v, nil })
			return err
		}},
		"stale": {readthrough.ScopeOptions{TTL: time.Millisecond, StaleWhileRevalidate: time.Hour}, func(s *readthrough.CachedScope, name string, v value) error {
			_, err := read(s, name, v)
			return err
		}},
		"stale, bulk": {readthrough.ScopeOptions{TTL: time.Millisecond, StaleWhileRevalidate: time.Hour}, readMany},
		"if error": {readthrough.ScopeOptions{TTL: time.Millisecond, StaleIfError: time.Hour}, func(s *readthrough.CachedScope, name string, v value) error {
			_, err := read(s, name, v)
			return err
		}},
		"extended": {readthrough.ScopeOptions{}, func(s *readthrough.CachedScope, name string, v value) error {
			_, err := readthrough.Refresh(t.Context(), s, name, func(ctx context.Context) (value, error) {
				load := readthrough.LoadOf(ctx, name)
				load.NotModified()
				load.SetValidator(big)
				return v, nil
			})
			return err
		}},
	} {
		for what, v := range news {
			if way == "extended" && what != "too large" {
				continue
			}
			t.Run(way+"/"+what, func(t *testing.T) {
				t.Parallel()
				options := redisprovider.Options{MaxValueBytes: 1000, KeyPrefix: strings.NewReplacer(" ", "-", ",", "").Replace(way+what) + ":"}
				s, _ := newValues(t, client, options, test.options)
				require.NoError(t, readMany(s, "k", value{V: "old"}))
				if test.options.TTL == time.Millisecond {
					time.Sleep(2 * time.Millisecond) // until it is stale
				}
				require.NoError(t, test.replace(s, "k", v))
				p := newProvider(t, client, options)
				eventually(t, "nothing is stored", func() bool {
					_, found, err := p.Get(t.Context(), key("values", "k"))
					return !found && err == nil
				})
				got, err := read(s, "k", value{V: "third"})
				require.NoError(t, err)
				assert.Equal(t, "third", got.V, "the next read")
			})
		}
	}
}

// TestFullServerLeavesNothingOld: a server that refuses the new value still removes the old one.
func TestFullServerLeavesNothingOld(t *testing.T) {
	t.Parallel()
	server := redistest.StartReal(t, redistest.Options{})
	client := newServerClient(t, server.Addr())
	s, reported := newValues(t, client, redisprovider.Options{}, readthrough.ScopeOptions{})
	var loads atomic.Int64
	_, err := readthrough.Wrap(t.Context(), s, "k", counted(&loads, "old"))
	require.NoError(t, err)
	_, err = readthrough.Refresh(t.Context(), s, "k", func(ctx context.Context) (string, error) {
		return "new", client.ConfigSet(ctx, "maxmemory", "1").Err() // it is full once the key is leased
	})
	require.NoError(t, err)
	got, err := readthrough.Wrap(t.Context(), s, "k", counted(&loads, "third"))
	require.NoError(t, err)
	assert.Equal(t, "third", got, "the next read")
	assert.NotEmpty(t, reported.all())
}

// TestClockOfAnotherProcess: an entry from a process whose clock is ahead is not fresh by the difference of
// the clocks, and what replaces it is fresh for its TTL. An age is never negative.
func TestClockOfAnotherProcess(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]readthrough.ScopeOptions{
		"while revalidating": {TTL: time.Minute, StaleWhileRevalidate: time.Hour},
		"if error":           {TTL: time.Minute, StaleIfError: time.Hour},
		"ahead":              {TTL: time.Minute, RefreshAheadFactor: 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, client, _ := newOnServer(t, redisprovider.Options{})
			s, reported := newValues(t, client, redisprovider.Options{}, options)
			ahead := time.Now().Add(10 * time.Minute)
			for _, k := range []string{"k", "many"} {
				require.NoError(t, p.Set(t.Context(), key("values", k), provider.Entry{Value: 1, LoadedAt: ahead, FreshUntil: ahead.Add(time.Minute)}, time.Hour))
			}
			var loads atomic.Int64
			first, err := readthrough.WrapResult(t.Context(), s, "k", counted(&loads, 2))
			require.NoError(t, err)
			assert.GreaterOrEqual(t, first.Age, time.Duration(0))
			if options.StaleWhileRevalidate > 0 {
				assert.Equal(t, readthrough.FromStale, first.Source)
				assert.Equal(t, 1, first.Value)
			} else {
				assert.Equal(t, 2, first.Value)
			}
			many := func() map[string]int {
				m, err := readthrough.WrapMany(t.Context(), s, []string{"many"}, func(id string) string { return id }, func(context.Context, []string) (map[string]int, error) {
					loads.Add(1)
					return map[string]int{"many": 2}, nil
				})
				require.NoError(t, err)
				return m
			}
			many()
			for _, k := range []string{"k", "many"} {
				eventually(t, "what is loaded in the background is stored", func() bool {
					entry, found, err := p.Get(t.Context(), key("values", k))
					return found && err == nil && entry.LoadedAt.Before(ahead)
				})
			}
			for range 3 {
				again, err := readthrough.WrapResult(t.Context(), s, "k", counted(&loads, 3))
				require.NoError(t, err)
				assert.Equal(t, 2, again.Value)
				assert.Equal(t, readthrough.FromStore, again.Source)
				assert.GreaterOrEqual(t, again.Age, time.Duration(0))
				assert.Equal(t, map[string]int{"many": 2}, many())
			}
			assert.EqualValues(t, 2, loads.Load(), "one load for each key")
			assert.Empty(t, reported.all())
		})
	}
}
