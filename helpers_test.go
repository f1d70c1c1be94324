package readthrough_test

import (
	"context"
	"errors"
	"fmt"
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
	s.options.OnError = func(op readthrough.Op, _, key string, err error) {
		t.Errorf("reported: %v %q: %v", op, key, err)
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

// plainStore is a store without any capability, around one that may have some:
// no [provider.InProcess] and no [provider.Batcher]. It counts the calls, and
// can be made to do something before and after them. Set the functions before
// the store is used.
type plainStore struct {
	provider.CacheProvider

	gets, sets, deletes, prefixes atomic.Int64

	beforeGet, afterGet       func(key string)
	beforeSet, afterSet       func(key string)
	beforeDelete, afterDelete func()
}

// plain returns store without its capabilities.
func plain(store provider.CacheProvider) *plainStore { return &plainStore{CacheProvider: store} }

func (s *plainStore) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	s.gets.Add(1)
	call(s.beforeGet, key.Name)
	defer call(s.afterGet, key.Name)
	return s.CacheProvider.Get(ctx, key)
}

func (s *plainStore) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	s.sets.Add(1)
	call(s.beforeSet, key.Name)
	defer call(s.afterSet, key.Name)
	return s.CacheProvider.Set(ctx, key, entry, ttl)
}

func (s *plainStore) Delete(ctx context.Context, keys ...provider.Key) error {
	s.deletes.Add(1)
	s.before()
	defer s.after()
	return s.CacheProvider.Delete(ctx, keys...)
}

func (s *plainStore) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	s.prefixes.Add(1)
	s.before()
	defer s.after()
	return s.CacheProvider.DeletePrefix(ctx, scope, prefix)
}

// calls returns the number of all calls.
func (s *plainStore) calls() int64 {
	return s.gets.Load() + s.sets.Load() + s.deletes.Load() + s.prefixes.Load()
}

func (s *plainStore) before() {
	if s.beforeDelete != nil {
		s.beforeDelete()
	}
}

func (s *plainStore) after() {
	if s.afterDelete != nil {
		s.afterDelete()
	}
}

func call(f func(string), key string) {
	if f != nil {
		f(key)
	}
}

// localStore is a plainStore that says that its calls never wait.
type localStore struct{ *plainStore }

func (localStore) InProcess() {}

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
		"leases":          func(testing.TB) provider.CacheProvider { return &leaseStore{newLeaseServer(), &network{}} },
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
	p.cache = newCache(t, store, readthrough.Options{OnError: func(op readthrough.Op, _, key string, err error) {
		if !errors.Is(err, errStore) {
			assert.ErrorIs(t, err, errFault, "reported: %v %q", op, key)
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
		o.OnError = func(op readthrough.Op, scope, key string, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.errs = append(r.errs, err)
			r.ops = append(r.ops, fmt.Sprintf("%v %s %s", op, scope, key))
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
