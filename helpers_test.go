package readthrough_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// setup is what newScope makes a scope from.
type setup struct {
	store   provider.CacheProvider
	name    string
	options readthrough.Options
	scope   readthrough.ScopeOptions
}

// on chooses the store; without it, there is a memory store.
func on(store provider.CacheProvider) func(*setup) {
	return func(s *setup) { s.store = store }
}

// with changes the options of the cache and of the scope.
func with(change func(*readthrough.Options, *readthrough.ScopeOptions)) func(*setup) {
	return func(s *setup) { change(&s.options, &s.scope) }
}

// serving changes the options of the scope alone.
func serving(change func(*readthrough.ScopeOptions)) func(*setup) {
	return with(func(_ *readthrough.Options, so *readthrough.ScopeOptions) { change(so) })
}

// limited has at most so many loads run at once.
func limited(loads int) func(*setup) {
	return serving(func(so *readthrough.ScopeOptions) { so.MaxLoads = loads })
}

// keepsStale has stale values served for an hour, and for another one if a load
// fails.
func keepsStale() func(*setup) {
	return serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate, so.StaleIfError = time.Hour, 2*time.Hour })
}

// newScope returns a scope of a cache that is closed when the test ends. Its TTL
// is a minute and exact. An error that is reported and that no other OnError
// takes fails the test.
func newScope(t testing.TB, options ...func(*setup)) *readthrough.CachedScope {
	t.Helper()
	s := setup{name: "test", scope: readthrough.ScopeOptions{TTL: time.Minute, Jitter: -1}}
	s.options.OnError = func(e *readthrough.OpError) {
		assert.Fail(t, "reported", "%v", e)
	}
	for _, option := range options {
		option(&s)
	}
	if s.store == nil {
		s.store = newStore(t)
	}
	scope, err := newCache(t, s.store, s.options).Scope(s.name, s.scope)
	require.NoError(t, err)
	return scope
}

// newFleetScope returns a cache that is closed when the test ends, and a scope of it
// that is called as those of twoProcesses. What is reported fails no test.
func newFleetScope(t *testing.T, store provider.CacheProvider, o readthrough.Options, so readthrough.ScopeOptions) (*readthrough.Cache, *readthrough.CachedScope) {
	t.Helper()
	o.OnError = func(e *readthrough.OpError) { t.Logf("reported: %v", e) }
	cache, err := readthrough.New(store, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cache.Close() })
	if so.TTL == 0 {
		so.TTL = time.Hour
	}
	scope, err := cache.Scope("fleet", so)
	require.NoError(t, err)
	return cache, scope
}

// newCache returns a cache that is closed when the test ends.
func newCache(t testing.TB, store provider.CacheProvider, options readthrough.Options) *readthrough.Cache {
	t.Helper()
	cache, err := readthrough.New(store, options)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, cache.Close(), "Close")
	})
	return cache
}

// newStore returns a memory store that is closed when the test ends.
func newStore(t testing.TB) *memory.Store {
	t.Helper()
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// reports collects what a cache reports.
type reports struct {
	mu   sync.Mutex // guards following
	errs []error
	ops  []string
}

// collect is an option for newScope.
func (r *reports) collect() func(*setup) {
	return with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
		o.OnError = func(e *readthrough.OpError) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.errs = append(r.errs, e.Err)
			r.ops = append(r.ops, fmt.Sprintf("%v %s %s", e.Op, e.Scope, e.Key))
		}
	})
}

// all returns what was reported: the errors, and for each "op scope key".
func (r *reports) all() (errs []error, ops []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.errs...), append([]string(nil), r.ops...)
}

// twoProcesses returns a scope each in two processes that share a server, and
// their networks.
func twoProcesses(t *testing.T, options readthrough.ScopeOptions) (a, b *readthrough.CachedScope, networks [2]*network, server *leaseServer) {
	t.Helper()
	server = newLeaseServer()
	networks = [2]*network{{}, {}}
	var scopes [2]*readthrough.CachedScope
	for i := range scopes {
		cache, err := readthrough.New(&leaseStore{server, networks[i]}, readthrough.Options{
			OnError: func(*readthrough.OpError) {},
		})
		require.NoError(t, err)
		t.Cleanup(func() { _ = cache.Close() })
		scopes[i], err = cache.Scope("fleet", options)
		require.NoError(t, err)
	}
	return scopes[0], scopes[1], networks, server
}

// result is what a read returned.
type result[T any] struct {
	value T
	err   error
}

// async runs f in a goroutine and returns where its result will be.
func async[T any](f func() (T, error)) <-chan result[T] {
	results := make(chan result[T], 1)
	go func() {
		value, err := f()
		results <- result[T]{value, err}
	}()
	return results
}

// wrapAsync is Wrap in a goroutine.
func wrapAsync[T any](ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (T, error)) <-chan result[T] {
	return async(func() (T, error) { return readthrough.Wrap(ctx, s, key, load) })
}

type answer struct {
	version int64
	err     error
}

func readLater(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int64, error)) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		version, err := readthrough.Wrap(ctx, s, "k", load)
		answers <- answer{version, err}
	}()
	return answers
}

func readNow(t *testing.T, s *readthrough.CachedScope, load func(context.Context) (int64, error)) int64 {
	t.Helper()
	version, err := readthrough.Wrap(t.Context(), s, "k", load)
	require.NoError(t, err)
	return version
}

// stored returns what the store of a scope made by newScope has under key.
func stored(t testing.TB, store provider.CacheProvider, key string) (value any, found bool) {
	t.Helper()
	entry, found, err := store.Get(t.Context(), provider.Key{Scope: "test", Name: key})
	assert.NoError(t, err)
	return entry.Value, found
}

// took returns how long f takes on the bubble's clock.
func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// bubble runs f in a bubble, as a subtest if it has a name.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	if name == "" {
		synctest.Test(t, f)
		return
	}
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// bubbled returns the goroutines of the caller's bubble: how many, and their
// stacks. Unlike [runtime.NumGoroutine] it does not count those that are just
// ending, nor those of others.
func bubbled() (n int, stacks string) {
	synctest.Wait()
	buffer := make([]byte, 1<<20)
	all := strings.Split(string(buffer[:runtime.Stack(buffer, true)]), "\n\n")
	_, bubble, _ := strings.Cut(strings.SplitN(all[0], "\n", 2)[0], "synctest bubble ") // the first is the caller
	for _, stack := range all {
		if strings.Contains(strings.SplitN(stack, "\n", 2)[0], "synctest bubble "+bubble) {
			n++
			stacks += stack + "\n\n"
		}
	}
	return n, stacks
}

// want fails the test unless value and err are value and nothing.
func want[T comparable](t testing.TB, what string, value T, err error, wanted T) {
	t.Helper()
	assert.NoError(t, err, what)
	assert.Equal(t, wanted, value, what)
}

// wantResult compares a result with all that it says.
func wantResult[T comparable](t *testing.T, what string, got readthrough.Result[T], err error, wanted readthrough.Result[T]) {
	t.Helper()
	assert.NoError(t, err, what)
	assert.Equal(t, wanted.Value, got.Value, what)
	assert.Equal(t, wanted.Source, got.Source, what)
	assert.Equal(t, wanted.Age, got.Age, what)
	assert.ErrorIs(t, got.Err, wanted.Err, what)
}

// wantLoads fails the test unless a count of loads is as wanted.
func wantLoads(t testing.TB, loads *atomic.Int64, wanted int64) {
	t.Helper()
	assert.Equal(t, wanted, loads.Load(), "loads")
}

// wantStoredFor fails the test unless key leaves the store in exactly d.
func wantStoredFor(t *testing.T, store provider.CacheProvider, key string, d time.Duration) {
	t.Helper()
	if d > 0 {
		time.Sleep(d - 1)
		_, ok := stored(t, store, key)
		assert.True(t, ok, "gone before %v", d)
		time.Sleep(1)
	}
	_, ok := stored(t, store, key)
	assert.False(t, ok, "still stored after %v", d)
}

// wantIdle fails the test unless nothing of the scope's flights is left. It
// belongs in a synctest bubble.
func wantIdle(t testing.TB, s *readthrough.CachedScope) {
	t.Helper()
	synctest.Wait()
	assert.Empty(t, readthrough.Leftovers(s), "left over")
}

// wantGoroutines fails the test unless the bubble has as many goroutines as
// before, once everybody is still.
func wantGoroutines(t *testing.T, before int) {
	t.Helper()
	n, stacks := bubbled()
	assert.Equal(t, before, n, "goroutines:\n%s", stacks)
}
