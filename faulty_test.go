package readthrough_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// errFault is the error of a store that fails because it was told to.
var errFault = errors.New("the store is down")

// fault is what a faulty store does with a call.
type fault int

const (
	faultNone        fault = iota
	faultError             // does nothing and returns errFault
	faultHang              // does nothing and returns when its context ends
	faultStuck             // ignores its context, and does what it was asked for once it is released
	faultPanic             // panics with errFault
	faultGoexit            // ends its goroutine
	faultLost              // does what it was asked for and returns errFault
	faultUndecodable       // returns provider.ErrUndecodable
	faultTooLarge          // returns provider.ErrTooLarge
	faultUnencodable       // returns provider.ErrUnencodable
	faultMiscount          // getMany: returns one result too few
)

// storeCall is a call that a faulty store received.
type storeCall struct {
	op    string // get, set, getMany, setMany, delete, deletePrefix
	names []string
	at    time.Time
}

// shelved is an entry of a faulty store.
type shelved struct {
	entry   provider.Entry
	expires time.Time // zero: never
}

// faulty is a store that does as told: it keeps entries in a map, notes every
// call, and fails in the ways of fault. It has no capabilities, so the cache
// puts a deadline and a breaker around it. It is made to be used in a bubble.
type faulty struct {
	mu       sync.Mutex // guards following
	entries  map[provider.Key]shelved
	faults   map[string]fault
	hooks    map[string]func(ctx context.Context, names []string) error
	log      []storeCall
	released chan struct{} // closed by release
	running  int           // calls that have not returned
	most     int           // the most that running ever was
}

// faultyBatches is a faulty store with [provider.Batcher].
type faultyBatches struct{ *faulty }

// faultyLocal is a faulty store with [provider.InProcess].
type faultyLocal struct{ *faulty }

func (faultyLocal) InProcess() {}

// faultyPunctual is a faulty store with [provider.Punctual], which it is with faultHang.
type faultyPunctual struct{ *faulty }

func (faultyPunctual) Punctual() bool { return true }

func newFaulty() *faulty {
	return &faulty{
		entries: make(map[provider.Key]shelved), faults: make(map[string]fault),
		hooks: make(map[string]func(context.Context, []string) error), released: make(chan struct{}),
	}
}

// fail makes calls of the ops fail by f from now on.
func (s *faulty) fail(f fault, ops ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range ops {
		s.faults[op] = f
	}
}

// failAll makes every call fail by f from now on.
func (s *faulty) failAll(f fault) {
	s.fail(f, "get", "set", "getMany", "setMany", "delete", "deletePrefix")
}

// heal ends all faults and lets the calls that are stuck go on.
func (s *faulty) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
	clear(s.hooks)
	close(s.released)
	s.released = make(chan struct{})
}

// hook has f called at the beginning of every call of op. An error of f is what
// the call returns.
func (s *faulty) hook(op string, f func(ctx context.Context, names []string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[op] = f
}

// calls returns the calls of ops so far; of all ops if there are none.
func (s *faulty) calls(ops ...string) []storeCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []storeCall
	for _, c := range s.log {
		if len(ops) == 0 || slices.Contains(ops, c.op) {
			calls = append(calls, c)
		}
	}
	return calls
}

// concurrency returns the number of calls that have not returned, and the most
// that it ever was.
func (s *faulty) concurrency() (running, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running, s.most
}

// value returns what is stored under key.
func (s *faulty) value(scope, name string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry, ok := s.lookLocked(provider.Key{Scope: scope, Name: name})
	return entry.Value, ok
}

// put stores value under key, past the cache.
func (s *faulty) put(scope, name string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries[provider.Key{Scope: scope, Name: name}] = shelved{entry: provider.Entry{Value: value}}
}

// do notes a call, does what its fault is, and unless that is nothing, apply.
func (s *faulty) do(ctx context.Context, op string, names []string, applyLocked func()) error {
	s.mu.Lock()
	s.log = append(s.log, storeCall{op: op, names: names, at: time.Now()})
	f, hook, released := s.faults[op], s.hooks[op], s.released
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if hook != nil {
		if err := hook(ctx, names); err != nil {
			return err
		}
	}
	var err error
	switch f {
	case faultNone, faultMiscount:
	case faultError:
		return errFault
	case faultHang:
		<-ctx.Done()
		return ctx.Err()
	case faultStuck:
		<-released
	case faultPanic:
		panic(errFault)
	case faultGoexit:
		runtime.Goexit()
	case faultLost:
		err = errFault
	case faultUndecodable:
		return provider.ErrUndecodable
	case faultTooLarge:
		return provider.ErrTooLarge
	case faultUnencodable:
		return provider.ErrUnencodable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	applyLocked()
	return err
}

func (s *faulty) lookLocked(key provider.Key) (provider.Entry, bool) {
	e, ok := s.entries[key]
	if !ok || !e.expires.IsZero() && !time.Now().Before(e.expires) {
		return provider.Entry{}, false
	}
	return e.entry, true
}

func (s *faulty) storeLocked(item provider.Item) {
	e := shelved{entry: item.Entry}
	if item.TTL != provider.NoExpiry {
		e.expires = time.Now().Add(item.TTL)
	}
	s.entries[item.Key] = e
}

func (s *faulty) Get(ctx context.Context, key provider.Key) (entry provider.Entry, found bool, err error) {
	err = s.do(ctx, "get", []string{key.Name}, func() { entry, found = s.lookLocked(key) })
	return entry, found, err
}

func (s *faulty) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	return s.do(ctx, "set", []string{key.Name}, func() {
		s.storeLocked(provider.Item{Key: key, Entry: entry, TTL: ttl})
	})
}

func (s *faulty) Delete(ctx context.Context, keys ...provider.Key) error {
	return s.do(ctx, "delete", namesOf(keys), func() {
		for _, key := range keys {
			delete(s.entries, key)
		}
	})
}

func (s *faulty) DeletePrefix(ctx context.Context, scope, prefix string) (removed int, err error) {
	err = s.do(ctx, "deletePrefix", []string{prefix}, func() {
		for key := range s.entries {
			if key.Scope == scope && strings.HasPrefix(key.Name, prefix) {
				if _, live := s.lookLocked(key); live {
					removed++
				}
				delete(s.entries, key)
			}
		}
	})
	return removed, err
}

func (s faultyBatches) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	err := s.do(ctx, "getMany", namesOf(keys), func() {
		for i, key := range keys {
			results[i].Entry, results[i].Found = s.lookLocked(key)
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults["getMany"] == faultMiscount {
		results = results[1:]
	}
	return results, err
}

func (s faultyBatches) SetMany(ctx context.Context, items []provider.Item) error {
	names := make([]string, len(items))
	for i := range items {
		names[i] = items[i].Key.Name
	}
	return s.do(ctx, "setMany", names, func() {
		for _, item := range items {
			s.storeLocked(item)
		}
	})
}

func namesOf(keys []provider.Key) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = key.Name
	}
	return names
}

// reported is what OnError was told.
type reported struct {
	op         readthrough.Op
	scope, key string
	err        error
}

// rig is a cache on a faulty store, with a source of values that counts its
// loads.
type rig struct {
	t     *testing.T
	store *faulty
	cache *readthrough.Cache
	scope *readthrough.CachedScope

	mu     sync.Mutex // guards following
	errs   []reported
	events []readthrough.Event
	loads  []string // the keys loaded, in order
	value  string   // what a load returns
	delay  time.Duration
}

// newRig makes a rig in a bubble. wrap, which may be nil, chooses the
// capabilities. It clears up after the test: faults end, the cache is closed.
func newRig(t *testing.T, options readthrough.Options, wrap func(*faulty) provider.CacheProvider) *rig {
	t.Helper()
	r := &rig{t: t, store: newFaulty(), value: "1"}
	options.OnError = r.onError
	options.Observer = r
	var store provider.CacheProvider = r.store
	if wrap != nil {
		store = wrap(r.store)
	}
	cache, err := readthrough.New(store, options)
	require.NoError(t, err)
	r.cache = cache
	r.scope = r.newScope("s")
	t.Cleanup(func() {
		r.store.heal()
		synctest.Wait()
		assert.NoError(t, cache.Close(), "Close")
	})
	return r
}

func withBatches(s *faulty) provider.CacheProvider { return faultyBatches{s} }

func punctual(s *faulty) provider.CacheProvider { return faultyPunctual{s} }

func inProcess(s *faulty) provider.CacheProvider { return faultyLocal{s} }

func (r *rig) newScope(name string) *readthrough.CachedScope {
	r.t.Helper()
	scope, err := r.cache.Scope(name, readthrough.ScopeOptions{TTL: 24 * time.Hour, Jitter: -1})
	require.NoError(r.t, err)
	return scope
}

func (r *rig) onError(op readthrough.Op, scope, key string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, reported{op, scope, key, err})
}

// Observe makes the rig its cache's observer.
func (r *rig) Observe(event readthrough.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

// reports returns what OnError was told, once everybody is still.
func (r *rig) reports() []reported {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.errs)
}

// observed returns the events of a kind, once everybody is still.
func (r *rig) observed(kind readthrough.EventKind) []readthrough.Event {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var events []readthrough.Event
	for _, e := range r.events {
		if e.Kind == kind {
			events = append(events, e)
		}
	}
	return events
}

// set changes the source.
func (r *rig) set(value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value = value
}

// loaded returns how many keys were loaded.
func (r *rig) loaded() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.loads)
}

func (r *rig) load(key string) (string, error) {
	r.mu.Lock()
	r.loads = append(r.loads, key)
	value, delay := r.value, r.delay
	r.mu.Unlock()
	time.Sleep(delay)
	return value, nil
}

// read reads key, which must not fail.
func (r *rig) read(key string) string {
	r.t.Helper()
	value, err := r.readCtx(r.t.Context(), r.scope, key)
	assert.NoError(r.t, err, "read of %q", key)
	return value
}

func (r *rig) readCtx(ctx context.Context, scope *readthrough.CachedScope, key string) (string, error) {
	return readthrough.Wrap(ctx, scope, key, func(context.Context) (string, error) { return r.load(key) })
}

// readMany reads keys, which must not fail.
func (r *rig) readMany(keys ...string) map[string]string {
	r.t.Helper()
	values, err := readthrough.WrapMany(r.t.Context(), r.scope, keys, func(key string) string { return key },
		func(_ context.Context, keys []string) (map[string]string, error) {
			loaded := make(map[string]string)
			for _, key := range keys {
				loaded[key], _ = r.load(key)
			}
			return loaded, nil
		})
	assert.NoError(r.t, err, "read of %q", keys)
	return values
}

// expectRead reads key and compares the value, and whether it was loaded.
func (r *rig) expectRead(key, want string, wantLoad bool) {
	r.t.Helper()
	before := r.loaded()
	got := r.read(key)
	assert.Equal(r.t, want, got, "read of %q", key)
	assert.Equal(r.t, wantLoad, r.loaded() > before, "read of %q: loaded", key)
}

func (r *rig) expectPending(want int) {
	r.t.Helper()
	assert.Equal(r.t, want, r.scope.Stats().Pending, "Stats().Pending")
}

// expectReports compares the ops of what OnError was told.
func (r *rig) expectReports(want ...readthrough.Op) {
	r.t.Helper()
	reports := r.reports()
	var got []readthrough.Op
	for _, report := range reports {
		got = append(got, report.op)
	}
	assert.Equal(r.t, want, got, "the ops of %v", reports)
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
