package readthrough_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// reported is what OnError was told.
type reported struct {
	op         string
	scope, key string
	err        error
}

// rig is a cache on a double, with a source of values that counts its
// loads.
type rig struct {
	t     *testing.T
	store *double
	cache *readthrough.Cache
	scope *readthrough.CachedScope

	mu     sync.Mutex // guards following
	errs   []reported
	events []happened
	loads  []string // the keys loaded, in order
	value  string   // what a load returns
	delay  time.Duration
}

func (r *rig) newScope(name string) *readthrough.CachedScope {
	r.t.Helper()
	scope, err := r.cache.Scope(name, readthrough.ScopeOptions{TTL: 24 * time.Hour, Jitter: -1})
	require.NoError(r.t, err)
	return scope
}

func (r *rig) onError(e *readthrough.OpError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, reported{e.Op, e.Scope, e.Key, e.Err})
}

// observe makes the rig its cache's observer.
func (r *rig) observe(event happened) {
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
func (r *rig) observed(kind string) []happened {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var events []happened
	for _, e := range r.events {
		if e.kind == kind {
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
func (r *rig) expectReports(want ...string) {
	r.t.Helper()
	reports := r.reports()
	var got []string
	for _, report := range reports {
		got = append(got, report.op)
	}
	assert.Equal(r.t, want, got, "the ops of %v", reports)
}

// newRig makes a rig in a bubble, whose store has the capabilities of has alone. It
// clears up after the test: faults end, the cache is closed.
func newRig(t *testing.T, options readthrough.Options, has capabilities) *rig {
	t.Helper()
	r := &rig{t: t, store: plain(newStore(t)), value: "1"}
	options.OnError = r.onError
	options.Observer = observer(r.observe)
	cache, err := readthrough.New(r.store.as(has), options)
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

// readAll reads n keys: one by Wrap, many and minus one by WrapMany.
func (r *rig) readAll(n int) {
	r.t.Helper()
	if n == 1 {
		assert.Equal(r.t, "1", r.read("k0"), "read")
		return
	}
	n = max(n, -n)
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
	}
	got := r.readMany(keys...)
	assert.Len(r.t, got, n, "read")
	for key, value := range got {
		assert.Equal(r.t, "1", value, "read under %q", key)
	}
}

// expectLateFill lets the store return from a fill of key that was stuck, and stores old. The key stays
// pending until that is removed.
func (r *rig) expectLateFill(key, old, want string) {
	r.t.Helper()
	r.store.heal()
	synctest.Wait()
	got, _ := r.store.value("s", key)
	require.Equal(r.t, old, got, "the fill stored")
	r.expectBypassed(key, want)
	time.Sleep(recovery)
	r.expectPending(0)
	r.expectRead(key, want, true)
	r.expectRead(key, want, false)
}

// expectBypassed reads key, whose invalidation is pending, alone and with
// others: the values are loaded, and the store has no part in it.
func (r *rig) expectBypassed(key, want string) {
	r.t.Helper()
	asked := func() (n int) {
		for _, c := range r.store.calls("get", "set", "getMany", "setMany") {
			if slices.Contains(c.names, key) {
				n++
			}
		}
		return n
	}
	before := asked()
	r.expectRead(key, want, true)
	r.expectRead(key, want, true)
	assert.Equal(r.t, want, r.readMany(key, "beside")[key], "bulk read of %q", key)
	r.mu.Lock()
	r.delay = time.Nanosecond
	r.mu.Unlock()
	loads := r.loaded()
	var readers sync.WaitGroup
	for range 50 {
		readers.Go(func() {
			assert.Equal(r.t, want, r.read(key), "read of %q", key)
		})
	}
	readers.Wait()
	r.mu.Lock()
	r.delay = 0
	r.mu.Unlock()
	assert.Equal(r.t, 1, r.loaded()-loads, "loads for 50 readers of %q", key)
	assert.Zero(r.t, asked()-before, "the store was asked about %q, whose invalidation is pending", key)
}
