package readthrough_test

import (
	"context"
	"errors"
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

// source is what load functions load from. Its zero value returns zero values.
type source[T any] struct {
	loads atomic.Int64
	// gate, if not nil, holds up every load until it is closed.
	gate chan struct{}
	// takes is how long every load takes, after it has read the source: a
	// [time.Duration].
	takes atomic.Int64

	mu    sync.Mutex // guards following
	value T
	err   error
}

// newSource returns a source that has value.
func newSource[T any](value T) *source[T] { return &source[T]{value: value} }

// newGated returns a source that has value and a closed gate.
func newGated[T any](value T) *source[T] {
	return &source[T]{value: value, gate: make(chan struct{})}
}

func (s *source[T]) set(value T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = value
}

// take has loads that read the source from now on take that long.
func (s *source[T]) take(d time.Duration) { s.takes.Store(int64(d)) }

// fail has the source return err from now on; nil heals it.
func (s *source[T]) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *source[T]) read() (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.err
}

// load reads the source, then waits at the gate or for the end of ctx.
func (s *source[T]) load(ctx context.Context) (T, error) {
	s.loads.Add(1)
	value, err := s.read()
	time.Sleep(time.Duration(s.takes.Load()))
	if s.gate == nil {
		return value, err
	}
	select {
	case <-s.gate:
		return value, err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// stubborn is load that pays no attention to its context.
func (s *source[T]) stubborn(context.Context) (T, error) {
	s.loads.Add(1)
	value, err := s.read()
	if s.gate != nil {
		<-s.gate
	}
	return value, err
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

// storeKinds are the kinds of stores that a cache treats differently.
func storeKinds() map[string]func(testing.TB) provider.CacheProvider {
	return map[string]func(testing.TB) provider.CacheProvider{
		"in process":      func(t testing.TB) provider.CacheProvider { t.Helper(); return newStore(t) },
		"no capabilities": func(t testing.TB) provider.CacheProvider { t.Helper(); return plain(newStore(t)) },
		"leases":          func(testing.TB) provider.CacheProvider { return newLeaseStore() },
	}
}

// stored returns what the store of a scope made by newScope has under key.
func stored(t testing.TB, store provider.CacheProvider, key string) (value any, found bool) {
	t.Helper()
	entry, found, err := store.Get(t.Context(), provider.Key{Scope: "test", Name: key})
	assert.NoError(t, err)
	return entry.Value, found
}

// serving changes the options of the scope alone.
func serving(change func(*readthrough.ScopeOptions)) func(*setup) {
	return with(func(_ *readthrough.Options, so *readthrough.ScopeOptions) { change(so) })
}

// reading is a way to read one key and learn where the value comes from.
type reading[T any] func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (T, error)) (readthrough.Result[T], error)

// resultReads are the ways of reading.
func resultReads[T any]() map[string]reading[T] {
	return map[string]reading[T]{
		"single": func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (T, error)) (readthrough.Result[T], error) {
			return readthrough.WrapResult(ctx, s, key, load)
		},
		"bulk": func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (T, error)) (readthrough.Result[T], error) {
			results, err := readthrough.WrapManyResult(ctx, s, []string{key}, self, many(load))
			if result, ok := results[key]; ok || err != nil {
				return result, err
			}
			return readthrough.Result[T]{}, readthrough.ErrNotFound
		},
	}
}

// onEachStore runs test in a bubble for each kind of store.
func onEachStore(t *testing.T, test func(t *testing.T, store provider.CacheProvider)) {
	t.Helper()
	for name, store := range storeKinds() {
		bubble(t, name, func(t *testing.T) { test(t, store(t)) })
	}
}

// path is a way to use the key "k:1": a scope on a store, a reading, and an
// invalidation.
type path struct {
	t          *testing.T
	cache      *readthrough.Cache
	scope      *readthrough.CachedScope
	store      provider.CacheProvider
	reading    reading[int]
	invalidate func(context.Context, *readthrough.CachedScope) error
}

// onEachPath runs test in a bubble for each kind of store, way to read, and way to
// invalidate.
func onEachPath(t *testing.T, change func(*readthrough.ScopeOptions), test func(t *testing.T, p *path)) {
	t.Helper()
	for kind, newStore := range storeKinds() {
		for name, read := range resultReads[int]() {
			for _, how := range invalidations {
				bubble(t, kind+"/"+name+"/"+how.name, func(t *testing.T) {
					p := newPath(t, newStore(t), change)
					p.reading, p.invalidate = read, how.do
					test(t, p)
					wantIdle(t, p.scope)
				})
			}
		}
	}
}

// newPath returns a path of single reads and invalidations of the key.
func newPath(t *testing.T, store provider.CacheProvider, change func(*readthrough.ScopeOptions)) *path {
	t.Helper()
	p := &path{t: t, store: store, reading: resultReads[int]()["single"], invalidate: invalidations[0].do}
	p.cache = newCache(t, store, readthrough.Options{OnError: func(err *readthrough.OpError) {
		if !errors.Is(err, errStore) {
			assert.ErrorIs(t, err, errFault, "reported")
		}
	}})
	options := readthrough.ScopeOptions{TTL: time.Minute, Jitter: -1}
	change(&options)
	scope, err := p.cache.Scope("test", options)
	require.NoError(t, err)
	p.scope = scope
	return p
}

func (p *path) read(load func(context.Context) (int, error)) (readthrough.Result[int], error) {
	return p.reading(p.t.Context(), p.scope, "k:1", load)
}

// fill reads a value that is not stored yet.
func (p *path) fill(load func(context.Context) (int, error)) {
	p.t.Helper()
	got, err := p.read(load)
	require.NoError(p.t, err, "a loaded value")
	require.Equal(p.t, readthrough.FromLoad, got.Source, "a loaded value")
}

func (p *path) invalidateNow() {
	p.t.Helper()
	require.NoError(p.t, p.invalidate(p.t.Context(), p.scope))
}

// want fails the test unless value and err are value and nothing.
func want[T comparable](t testing.TB, what string, value T, err error, wanted T) {
	t.Helper()
	assert.NoError(t, err, what)
	assert.Equal(t, wanted, value, what)
}

// wantLoads fails the test unless a count of loads is as wanted.
func wantLoads(t testing.TB, loads *atomic.Int64, wanted int64) {
	t.Helper()
	assert.Equal(t, wanted, loads.Load(), "loads")
}

// wantIdle fails the test unless nothing of the scope's flights is left. It
// belongs in a synctest bubble.
func wantIdle(t testing.TB, s *readthrough.CachedScope) {
	t.Helper()
	synctest.Wait()
	assert.Empty(t, readthrough.Leftovers(s), "left over")
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

// configurations returns every meaningful combination of the options about when a
// value is served and loaded. What is refused is in TestBadScopes.
func configurations() map[string]func(*readthrough.ScopeOptions) {
	type part struct {
		name   string
		change func(*readthrough.ScopeOptions)
	}
	parts := [][]part{
		{
			{"plain", func(*readthrough.ScopeOptions) {}},
			{"revalidate", func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Minute }},
			{"on error", func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }},
			{"revalidate, on error", func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate, so.StaleIfError = time.Minute, time.Hour }},
			{"on error, soft", func(so *readthrough.ScopeOptions) { so.StaleIfError, so.SoftLoadTimeout = time.Hour, time.Second }},
			{"revalidate, on error, soft", func(so *readthrough.ScopeOptions) {
				so.StaleWhileRevalidate, so.StaleIfError, so.SoftLoadTimeout = time.Minute, time.Hour, time.Second
			}},
		},
		{
			{"", func(*readthrough.ScopeOptions) {}},
			{", ahead", func(so *readthrough.ScopeOptions) { so.RefreshAheadFactor = 0.5 }},
			{", lottery", func(so *readthrough.ScopeOptions) { so.XFetchBeta = 1 }},
		},
		{
			{"", func(*readthrough.ScopeOptions) {}},
			{", keeps errors", func(so *readthrough.ScopeOptions) { so.ErrorTTL = time.Minute }},
		},
		{
			{"", func(*readthrough.ScopeOptions) {}},
			{", limited", func(so *readthrough.ScopeOptions) { so.MaxLoads, so.LoadTimeout = 1, 10*time.Minute }},
			{", no absences", func(so *readthrough.ScopeOptions) { so.NegativeTTL = -1 }},
		},
	}
	all := map[string]func(*readthrough.ScopeOptions){"": func(*readthrough.ScopeOptions) {}}
	for _, choices := range parts {
		next := make(map[string]func(*readthrough.ScopeOptions))
		for name, change := range all {
			for _, choice := range choices {
				next[name+choice.name] = func(so *readthrough.ScopeOptions) { change(so); choice.change(so) }
			}
		}
		all = next
	}
	return all
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

// wantGoroutines fails the test unless the bubble has as many goroutines as
// before, once everybody is still.
func wantGoroutines(t *testing.T, before int) {
	t.Helper()
	n, stacks := bubbled()
	assert.Equal(t, before, n, "goroutines:\n%s", stacks)
}

// self is the key of an id that is a key.
func self(id string) string { return id }

// many is the bulk load function that loads each id with load, one after the
// other, but counts as one load of the first.
func many[T any](load func(context.Context) (T, error)) func(context.Context, []string) (map[string]T, error) {
	return func(ctx context.Context, ids []string) (map[string]T, error) {
		value, err := load(ctx)
		if errors.Is(err, readthrough.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		values := make(map[string]T, len(ids))
		for _, id := range ids {
			values[id] = value
		}
		return values, nil
	}
}

var errDatabase = errors.New("the database is down")

// failures are the ways in which a load function can fail to return a value.
var failures = []struct {
	name  string
	fail  func() error
	check func(err error) bool
}{
	{"error", func() error { return errDatabase }, func(err error) bool { return errors.Is(err, errDatabase) }},
	{"panic", func() error { panic("boom") }, isPanicWith("boom")},
	{"panic with error", func() error { panic(errDatabase) }, func(err error) bool {
		return isPanicWith(errDatabase)(err) && errors.Is(err, errDatabase)
	}},
	{"panic with nil", func() error { panic(nil) }, func(err error) bool {
		var inner *runtime.PanicNilError
		return errors.As(err, &inner)
	}},
	{"Goexit", func() error { runtime.Goexit(); return nil }, func(err error) bool {
		return errors.Is(err, readthrough.ErrGoexit)
	}},
}

func isPanicWith(value any) func(error) bool {
	return func(err error) bool {
		var p *readthrough.PanicError
		return errors.As(err, &p) && p.Value == value && strings.Contains(string(p.Stack), "_test.go") &&
			strings.Contains(p.Error(), fmt.Sprint(value))
	}
}

// ways are the ways to load with a function for one key.
var ways = []struct {
	name string
	read func(context.Context, *readthrough.CachedScope, string, func(context.Context) (int, error)) (int, error)
}{
	{"single", func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (int, error)) (int, error) {
		return readthrough.Wrap(ctx, s, key, load)
	}},
	{"bulk", func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (int, error)) (int, error) {
		values, err := readthrough.WrapMany(ctx, s, []string{key}, self, many(load))
		return values[key], err
	}},
	{"Each", func(ctx context.Context, s *readthrough.CachedScope, key string, load func(context.Context) (int, error)) (int, error) {
		values, err := readthrough.WrapMany(ctx, s, []string{key}, self, readthrough.Each(2,
			func(ctx context.Context, _ string) (int, error) { return load(ctx) }))
		return values[key], err
	}},
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

func interplayScope(t *testing.T, store provider.CacheProvider, o readthrough.Options, so readthrough.ScopeOptions) (*readthrough.Cache, *readthrough.CachedScope) {
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
