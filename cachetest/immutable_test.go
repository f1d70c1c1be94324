package cachetest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/cachetest"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/provider/providertest"
	"github.com/readthrough/readthrough/redisprovider"
)

// judged is a test that may fail.
type judged struct {
	*testing.T

	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (j *judged) Errorf(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failures = append(j.failures, fmt.Sprintf(format, args...))
}

func (j *judged) Fatalf(format string, args ...any) { j.Errorf(format, args...) }

func (j *judged) Cleanup(f func()) { j.cleanups = append(j.cleanups, f) }

// end ends the test, and returns how it has failed.
func (j *judged) end() []string {
	for i := range j.cleanups {
		j.cleanups[len(j.cleanups)-1-i]()
	}
	return j.failures
}

type inner struct {
	Street string
	zip    int
}

type profile struct {
	Name    string
	Tags    []string
	Limits  map[string]int
	Address *inner
	Free    any
	Raw     []byte
	At      time.Time
	private []inner
	mu      *sync.Mutex
}

func (p *profile) lock() { p.mu.Lock() }

func newProfile() *profile {
	return &profile{
		Name: "ada", Tags: []string{"admin", "navy"}, Limits: map[string]int{"a": 1, "b": 2}, Address: &inner{"Harvard Yard", 2138}, Free: []int{1, 2},
		Raw: []byte("raw"), At: time.Now(), private: []inner{{"x", 1}}, mu: new(sync.Mutex),
	}
}

// watchedScope returns a scope over memory that is watched, and its test.
func watchedScope(t *testing.T, options readthrough.ScopeOptions) (*readthrough.CachedScope, *judged) {
	t.Helper()
	held, err := memory.New(memory.Options{})
	require.NoError(t, err)
	j := &judged{T: t}
	return scopeOn(t, cachetest.Immutable(j, held), options), j
}

func scopeOn(t *testing.T, store provider.CacheProvider, options readthrough.ScopeOptions) *readthrough.CachedScope {
	t.Helper()
	cache, err := readthrough.New(store, readthrough.Options{ProviderTimeout: 5 * time.Second, InvalidateTimeout: 5 * time.Second, OnError: func(*readthrough.OpError) {}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	if options.TTL == 0 {
		options.TTL = time.Hour
	}
	options.Jitter = -1
	scope, err := cache.Scope("users", options)
	require.NoError(t, err)
	return scope
}

func read[T any](t *testing.T, s *readthrough.CachedScope, key string, load func() T) T {
	t.Helper()
	v, err := readthrough.Wrap(t.Context(), s, key, func(context.Context) (T, error) { return load(), nil })
	require.NoError(t, err)
	return v
}

// TestImmutable: each way to change a value is found at the next hit, with its key and what is different.
func TestImmutable(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(p *profile){
		`cachetest_test.profile.Name: it was "ada", now it is "bob"`:                           func(p *profile) { p.Name = "bob" },
		`cachetest_test.profile.Tags[1]: it was "navy", now it is "guest"`:                     func(p *profile) { p.Tags[1] = "guest" },
		`cachetest_test.profile.Tags: it was of 2 elements, now it is of 1 elements`:           func(p *profile) { p.Tags = p.Tags[:1] },
		`cachetest_test.profile.Limits["b"]: it was 2, now it is 3`:                            func(p *profile) { p.Limits["b"] = 3 },
		`cachetest_test.profile.Limits: it was of 2 elements, now it is of 1 elements`:         func(p *profile) { delete(p.Limits, "a") },
		`cachetest_test.profile.Address.Street: it was "Harvard Yard", now it is "Elm Street"`: func(p *profile) { p.Address.Street = "Elm Street" },
		`cachetest_test.profile.Address.zip: it was 2138, now it is 1`:                         func(p *profile) { p.Address.zip = 1 },
		`cachetest_test.profile.Free.([]int)[0]: it was 1, now it is 9`:                        func(p *profile) { p.Free.([]int)[0] = 9 },
		`cachetest_test.profile.Free: it was a []int, now it is a string`:                      func(p *profile) { p.Free = "text" },
		`cachetest_test.profile.Raw: it was "raw", now it is "rat"`:                            func(p *profile) { p.Raw[2] = 't' },
		`cachetest_test.profile.At.`:                                                           func(p *profile) { p.At = p.At.Add(time.Second) },
		`cachetest_test.profile.private[0].Street: it was "x", now it is "y"`:                  func(p *profile) { p.private[0].Street = "y" },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s, j := watchedScope(t, readthrough.ScopeOptions{})
			for range 2 {
				read(t, s, "user:42", newProfile).lock() // which is no change of the value
				read(t, s, "user:42", newProfile).mu.Unlock()
			}
			assert.Empty(t, j.failures)
			change(read(t, s, "user:42", newProfile))
			read(t, s, "user:42", newProfile)
			if assert.Len(t, j.failures, 1) {
				assert.Contains(t, j.failures[0], `the value of "user:42" in the scope "users"`)
				assert.Contains(t, j.failures[0], want)
			}
			read(t, s, "user:42", newProfile)
			assert.Len(t, j.end(), 1, "it is told once")
		})
	}
}

// TestImmutableOfOtherTypes: values that are no pointers have parts that are shared.
func TestImmutableOfOtherTypes(t *testing.T) {
	t.Parallel()
	s, j := watchedScope(t, readthrough.ScopeOptions{})
	list := read(t, s, "list", func() []int { return []int{1, 2} })
	list[0] = 9
	byName := read(t, s, "map", func() map[string]*inner { return map[string]*inner{"a": {"x", 1}} })
	byName["a"].zip = 2
	plain := read(t, s, "struct", func() profile { return *newProfile() })
	plain.Address.zip = 3
	array := read(t, s, "array", func() [2]*inner { return [2]*inner{{"x", 1}, {"y", 2}} })
	array[1].zip = 4
	text := strings.Join(j.end(), "\n")
	for _, want := range []string{
		"[]int[0]: it was 1, now it is 9", `map[string]*cachetest_test.inner["a"].zip: it was 1, now it is 2`,
		"cachetest_test.profile.Address.zip: it was 2138, now it is 3", "[2]*cachetest_test.inner[1].zip: it was 2, now it is 4",
	} {
		assert.Contains(t, text, want)
	}
	assert.Len(t, j.failures, 4)
}

// TestImmutableLooksAtTheEnd: a value that nobody reads again is looked at when it is removed, replaced or forgotten.
func TestImmutableLooksAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *readthrough.CachedScope, j *judged) error{
		"invalidated": func(s *readthrough.CachedScope, _ *judged) error { return s.Invalidate(t.Context(), "user:42") },
		"by prefix": func(s *readthrough.CachedScope, _ *judged) error {
			_, err := s.InvalidatePrefix(t.Context(), "user:")
			return err
		},
		"replaced": func(s *readthrough.CachedScope, _ *judged) error {
			_, err := readthrough.Refresh(t.Context(), s, "user:42", func(context.Context) (*profile, error) { return newProfile(), nil })
			return err
		},
		"ended": func(_ *readthrough.CachedScope, j *judged) error { j.end(); return nil },
	} {
		s, j := watchedScope(t, readthrough.ScopeOptions{})
		read(t, s, "user:42", newProfile).Name = "bob"
		assert.Empty(t, j.failures, name)
		require.NoError(t, end(s, j), name)
		assert.Len(t, j.failures, 1, name)
	}
}

// TestImmutableIsQuiet: what is no change of a value in the cache is no error.
func TestImmutableIsQuiet(t *testing.T) {
	t.Parallel()
	t.Run("removed", func(t *testing.T) {
		t.Parallel()
		s, j := watchedScope(t, readthrough.ScopeOptions{})
		p := read(t, s, "user:42", newProfile)
		require.NoError(t, s.Invalidate(t.Context(), "user:42"))
		p.Name = "bob"
		assert.Equal(t, "ada", read(t, s, "user:42", newProfile).Name)
		assert.Empty(t, j.end())
	})
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, j := watchedScope(t, readthrough.ScopeOptions{TTL: time.Minute})
			p := read(t, s, "user:42", newProfile)
			time.Sleep(time.Hour)
			p.Name = "bob"
			assert.Empty(t, j.end())
		})
	})
	t.Run("cloned", func(t *testing.T) {
		t.Parallel()
		s, j := watchedScope(t, readthrough.ScopeOptions{})
		users, err := readthrough.NewFamily(s, "user:", readthrough.Loads[int, *profile]{
			One:   func(context.Context, int) (*profile, error) { return newProfile(), nil },
			Clone: func(p *profile) *profile { return &profile{Name: p.Name, Tags: append([]string(nil), p.Tags...)} },
		})
		require.NoError(t, err)
		for range 3 {
			p, err := users.Get(t.Context(), 42)
			require.NoError(t, err)
			assert.Equal(t, "admin", p.Tags[0])
			p.Name, p.Tags[0] = "bob", "guest"
		}
		assert.Empty(t, j.end())
	})
	t.Run("many readers", func(t *testing.T) {
		t.Parallel()
		s, j := watchedScope(t, readthrough.ScopeOptions{TTL: time.Millisecond, StaleWhileRevalidate: time.Millisecond})
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				for i := range 200 {
					read(t, s, fmt.Sprint("user:", i%3), newProfile)
					if i%50 == n {
						assert.NoError(t, s.Invalidate(t.Context(), fmt.Sprint("user:", i%3)))
					}
				}
			})
		}
		wg.Wait()
		assert.Empty(t, j.end())
	})
	t.Run("absent and nil", func(t *testing.T) {
		t.Parallel()
		s, j := watchedScope(t, readthrough.ScopeOptions{NegativeTTL: time.Minute})
		for range 2 {
			assert.Nil(t, read(t, s, "nil", func() *profile { return nil }))
			_, err := readthrough.Wrap(t.Context(), s, "absent", func(context.Context) (int, error) { return 0, readthrough.ErrNotFound })
			require.ErrorIs(t, err, readthrough.ErrNotFound)
		}
		assert.Empty(t, j.end())
	})
}

// TestImmutableNear: a near cache shares values, whether they were loaded here or decoded; Redis does not.
func TestImmutableNear(t *testing.T) {
	t.Parallel()
	redistest.Require(t)
	server := redistest.Start(t, redistest.Options{})
	open := func() *redisprovider.Provider {
		far, err := redisprovider.Open("redis://"+server.Addr(), redisprovider.Options{})
		require.NoError(t, err)
		return far
	}
	type row struct{ Tags []string }
	load := func() *row { return &row{[]string{"admin"}} }
	other := scopeOn(t, open(), readthrough.ScopeOptions{})
	read(t, other, "decoded", load)

	far := open()
	plain := &judged{T: t}
	assert.Same(t, far, cachetest.Immutable(plain, far), "a store that keeps bytes is returned as it is")
	store, err := near.New(far, near.Options{})
	require.NoError(t, err)
	j := &judged{T: t}
	s := scopeOn(t, cachetest.Immutable(j, store), readthrough.ScopeOptions{})
	require.Eventually(t, func() bool {
		read(t, s, "probe", load)
		_, found := store.GetNear(provider.Key{Scope: "users", Name: "probe"})
		return found
	}, proofs.Patience(), time.Millisecond, "the near cache answers")
	for n, key := range []string{"loaded", "decoded"} {
		read(t, s, key, load)
		assert.Len(t, j.failures, n, key)
		read(t, s, key, load).Tags[0] = "guest"
		read(t, s, key, load)
		if assert.Len(t, j.failures, n+1, key) {
			assert.Contains(t, j.failures[n], `the value of "`+key+`" in the scope "users"`)
			assert.Contains(t, j.failures[n], `row.Tags[0]: it was "admin", now it is "guest"`)
		}
	}
	row1 := read(t, s, "dropped", load)
	require.NoError(t, other.Invalidate(t.Context(), "dropped"))
	row1.Tags[0] = "guest"
	assert.Equal(t, "admin", read(t, s, "dropped", load).Tags[0])
	assert.Len(t, j.end(), 2, "what another process has removed is no error")
}

// TestImmutableStores: a watched store is the store that it was.
func TestImmutableStores(t *testing.T) {
	t.Parallel()
	s, j := watchedScope(t, readthrough.ScopeOptions{})
	read(t, s, "user:42", newProfile)
	has, err := s.Has(t.Context(), "user:42")
	require.NoError(t, err)
	assert.True(t, has)
	assert.Empty(t, j.end())
	bare := &judged{T: t}
	cachetest.Immutable(bare, nil)
	assert.Contains(t, strings.Join(bare.failures, ""), "cachetest: Immutable: store: must not be nil")
	providertest.RunSynctest(t, func(t *testing.T) provider.CacheProvider {
		t.Helper()
		held, err := memory.New(memory.Options{})
		require.NoError(t, err)
		return cachetest.Immutable(t, held)
	})
}
