package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
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

// This file has a test for each bug that was found in other caches of this kind,
// named after the bug. Where it is cheap, the scenario is a function that also
// runs on a naive cache with that bug, and has to find it there.

// fieldCache is what the scenarios run on.
type fieldCache interface {
	get(ctx context.Context, key string, load func(context.Context) (int, error)) (int, error)
	invalidate(key string)
	invalidatePrefix(prefix string)
	// state is the number of keys for which anything but a value is kept.
	state() int
	// stop ends what hangs.
	stop()
}

type realCache struct {
	scope *readthrough.CachedScope
	t     *testing.T
}

func newReal(t *testing.T) fieldCache { return realCache{newScope(t), t} }

func (c realCache) get(ctx context.Context, key string, load func(context.Context) (int, error)) (int, error) {
	return readthrough.Wrap(ctx, c.scope, key, load)
}

func (c realCache) invalidate(key string) {
	assert.NoError(c.t, c.scope.Invalidate(c.t.Context(), key))
}

func (c realCache) invalidatePrefix(prefix string) {
	_, err := c.scope.InvalidatePrefix(c.t.Context(), prefix)
	assert.NoError(c.t, err)
}

func (c realCache) state() int { return c.scope.Stats().InFlight }

func (c realCache) stop() { wantIdle(c.t, c.scope) }

// flightCache is the usual cache with single-flight: the first caller loads, with
// its own context, and the others wait for it, whatever happens.
type flightCache struct {
	stopped chan struct{}

	mu      sync.Mutex // guards following
	values  map[string]int
	flights map[string]*naiveFlight
}

type naiveFlight struct {
	done  chan struct{}
	value int
	err   error
}

func newFlightCache(*testing.T) fieldCache { return newFlights() }

func newFlights() *flightCache {
	return &flightCache{stopped: make(chan struct{}), values: make(map[string]int), flights: make(map[string]*naiveFlight)}
}

func (c *flightCache) get(ctx context.Context, key string, load func(context.Context) (int, error)) (int, error) {
	c.mu.Lock()
	if value, ok := c.values[key]; ok {
		c.mu.Unlock()
		return value, nil
	}
	if f, ok := c.flights[key]; ok {
		c.mu.Unlock()
		select {
		case <-f.done:
			return f.value, f.err
		case <-c.stopped:
			return 0, errors.New("stopped")
		}
	}
	f := &naiveFlight{done: make(chan struct{})}
	c.flights[key] = f
	c.mu.Unlock()
	f.value, f.err = load(ctx)
	c.mu.Lock()
	if f.err == nil {
		c.values[key] = f.value
	}
	delete(c.flights, key)
	c.mu.Unlock()
	close(f.done)
	return f.value, f.err
}

func (c *flightCache) invalidate(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.values, key)
}

func (c *flightCache) invalidatePrefix(prefix string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.values, func(key string, _ int) bool { return strings.HasPrefix(key, prefix) })
}

func (c *flightCache) state() int { return len(c.flights) }

func (c *flightCache) stop() { close(c.stopped) }

// epochCache is flightCache with an epoch per key, as in the implementation that
// this library replaces: a prefix bumps only the epochs that there are, they are
// never freed, and the end of a flight frees the key's slot, whosever it is.
type epochCache struct {
	*flightCache

	epochs map[string]int
}

func newEpochCache(*testing.T) fieldCache {
	return &epochCache{flightCache: newFlights(), epochs: make(map[string]int)}
}

func (c *epochCache) get(ctx context.Context, key string, load func(context.Context) (int, error)) (int, error) {
	c.mu.Lock()
	if value, ok := c.values[key]; ok {
		c.mu.Unlock()
		return value, nil
	}
	if f, ok := c.flights[key]; ok {
		c.mu.Unlock()
		<-f.done
		return f.value, f.err
	}
	f := &naiveFlight{done: make(chan struct{})}
	c.flights[key] = f
	epoch := c.epochs[key]
	c.mu.Unlock()
	f.value, f.err = load(ctx)
	c.mu.Lock()
	if f.err == nil && c.epochs[key] == epoch {
		c.values[key] = f.value
	}
	delete(c.flights, key)
	c.mu.Unlock()
	close(f.done)
	return f.value, f.err
}

func (c *epochCache) invalidate(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epochs[key]++
	delete(c.values, key)
	delete(c.flights, key)
}

func (c *epochCache) invalidatePrefix(prefix string) {
	c.mu.Lock()
	for key := range c.epochs {
		if strings.HasPrefix(key, prefix) {
			c.epochs[key]++
			delete(c.flights, key)
		}
	}
	c.mu.Unlock()
	c.flightCache.invalidatePrefix(prefix)
}

func (c *epochCache) state() int { return len(c.epochs) }

// tokenCache lets a load store its result if the key still has the token that
// the load put there, but the token is the client's and not the load's own.
type tokenCache struct {
	*flightCache

	tokens map[string]string
}

func newTokenCache(*testing.T) fieldCache {
	return &tokenCache{flightCache: newFlights(), tokens: make(map[string]string)}
}

func (c *tokenCache) get(ctx context.Context, key string, load func(context.Context) (int, error)) (int, error) {
	const client = "client"
	c.mu.Lock()
	value, ok := c.values[key]
	if !ok {
		c.tokens[key] = client
	}
	c.mu.Unlock()
	if ok {
		return value, nil
	}
	value, err := load(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.tokens[key] == client {
		delete(c.tokens, key)
		c.values[key] = value
	}
	return value, err
}

func (c *tokenCache) invalidate(key string) {
	c.flightCache.invalidate(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tokens, key)
}

// scenario runs on a cache and says which bug it has; "" if none.
type scenario struct {
	bug   string
	run   func(ctx context.Context, c fieldCache) string
	naive map[string]func(*testing.T) fieldCache // who has it
}

func getAsync(ctx context.Context, c fieldCache, key string, load func(context.Context) (int, error)) <-chan result[int] {
	return async(func() (int, error) { return c.get(ctx, key, load) })
}

var scenarios = []scenario{
	{
		// In caches whose delete only deletes: the load that is under way fills the
		// old value afterwards.
		bug: "delete during a load, then the load fills the old value",
		run: func(ctx context.Context, c fieldCache) string {
			old := newGated(1)
			reader := getAsync(ctx, c, "k", old.load)
			synctest.Wait()
			c.invalidate("k")
			close(old.gate)
			<-reader
			synctest.Wait()
			value, _ := c.get(ctx, "k", newSource(2).load)
			return unless(value == 2, "a read after the invalidation got the old value")
		},
		naive: map[string]func(*testing.T) fieldCache{"flights only": newFlightCache},
	},
	{
		// In caches that keep epochs for the keys that were invalidated before, and
		// have a prefix bump those: a key that never was is not fenced.
		bug: "a prefix fences only keys that were invalidated before",
		run: func(ctx context.Context, c fieldCache) string {
			old := newGated(1)
			reader := getAsync(ctx, c, "list:1", old.load)
			synctest.Wait()
			c.invalidatePrefix("list:")
			close(old.gate)
			<-reader
			synctest.Wait()
			value, _ := c.get(ctx, "list:1", newSource(2).load)
			return unless(value == 2, "a read after the invalidation got the old value")
		},
		naive: map[string]func(*testing.T) fieldCache{"flights only": newFlightCache, "epochs": newEpochCache},
	},
	{
		// In caches with single-flight whose delete leaves the flights alone.
		bug: "a reader that starts after the invalidation joins the old flight",
		run: func(ctx context.Context, c fieldCache) string {
			old := newGated(1)
			reader := getAsync(ctx, c, "k", old.load)
			synctest.Wait()
			c.invalidate("k")
			after := getAsync(ctx, c, "k", newSource(2).load)
			synctest.Wait()
			close(old.gate)
			<-reader
			return unless((<-after).value == 2, "it got the old value")
		},
		naive: map[string]func(*testing.T) fieldCache{"flights only": newFlightCache},
	},
	{
		// In caches that free the flight's slot by key: the old flight's end frees the
		// new flight's slot, and a third reader loads beside it.
		bug: "the old flight's clean-up removes the new flight's slot",
		run: func(ctx context.Context, c fieldCache) string {
			old, fresh, third := newGated(1), newGated(2), newSource(3)
			first := getAsync(ctx, c, "k", old.load)
			synctest.Wait()
			c.invalidate("k")
			second := getAsync(ctx, c, "k", fresh.load)
			synctest.Wait()
			close(old.gate)
			<-first
			synctest.Wait()
			last := getAsync(ctx, c, "k", third.load)
			synctest.Wait()
			close(fresh.gate)
			<-second
			<-last
			return unless(third.loads.Load() == 0, "a third load started")
		},
		naive: map[string]func(*testing.T) fieldCache{"epochs": newEpochCache},
	},
	{
		// In caches that keep an epoch for every key.
		bug: "the epoch map grows with every key ever invalidated",
		run: func(ctx context.Context, c fieldCache) string {
			for i := range 1000 {
				key := fmt.Sprint("k", i)
				_, _ = c.get(ctx, key, newSource(i).load)
				c.invalidate(key)
				c.invalidate("never read " + key)
			}
			c.invalidatePrefix("k")
			synctest.Wait()
			return unless(c.state() == 0, fmt.Sprintf("%d keys have state", c.state()))
		},
		naive: map[string]func(*testing.T) fieldCache{"epochs": newEpochCache},
	},
	{
		// In caches whose token names the client and not the load (ABA): the old load
		// finds the token of the new one, takes it for its own and stores the old
		// value; the new one finds none and is refused.
		bug: "one token for all loads of a client",
		run: func(ctx context.Context, c fieldCache) string {
			old, fresh := newGated(1), newGated(2)
			first := getAsync(ctx, c, "k", old.load)
			synctest.Wait()
			c.invalidate("k")
			second := getAsync(ctx, c, "k", fresh.load)
			synctest.Wait()
			close(old.gate)
			<-first
			close(fresh.gate)
			<-second
			synctest.Wait()
			value, _ := c.get(ctx, "k", newSource(3).load)
			return unless(value == 2, fmt.Sprintf("%d is stored: the old value, or not the new one", value))
		},
		naive: map[string]func(*testing.T) fieldCache{"token per client": newTokenCache},
	},
	{
		// In caches that load with the context of the first caller.
		bug: "the first caller's cancellation fails healthy joiners",
		run: func(ctx context.Context, c fieldCache) string {
			src := newGated(1)
			first, cancel := context.WithCancel(ctx)
			leader := getAsync(first, c, "k", src.load)
			synctest.Wait()
			joiner := getAsync(ctx, c, "k", src.load)
			synctest.Wait()
			cancel()
			<-leader
			synctest.Wait()
			close(src.gate)
			r := <-joiner
			return unless(r.err == nil && r.value == 1, fmt.Sprintf("the joiner got error %v", r.err))
		},
		naive: map[string]func(*testing.T) fieldCache{"flights only": newFlightCache},
	},
	{
		// In caches whose joiners wait for the load and not for their context.
		bug: "a joiner with a deadline of 10 ms returns after 300 ms",
		run: func(ctx context.Context, c fieldCache) string {
			slow := func(context.Context) (int, error) { time.Sleep(300 * time.Millisecond); return 1, nil }
			leader := getAsync(ctx, c, "k", slow)
			synctest.Wait()
			short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := c.get(short, "k", slow)
			took := time.Since(began)
			<-leader
			return unless(took == 10*time.Millisecond && errors.Is(err, context.DeadlineExceeded), fmt.Sprintf("it returned after %v with %v", took, err))
		},
		naive: map[string]func(*testing.T) fieldCache{"flights only": newFlightCache},
	},
	{
		// In caches without a guard around the load: the flight never ends.
		bug: "joiners of a load that panics hang, and so does the key",
		run: func(ctx context.Context, c fieldCache) string {
			return failedLoadHangs(ctx, c, func() { panic("boom") })
		},
		naive: map[string]func(*testing.T) fieldCache{"flights only": newFlightCache},
	},
	{
		// In caches that guard against panics alone: recover sees no Goexit.
		bug: "joiners of a load that calls Goexit hang, and so does the key",
		run: func(ctx context.Context, c fieldCache) string {
			return failedLoadHangs(ctx, c, runtime.Goexit)
		},
		naive: map[string]func(*testing.T) fieldCache{"flights only": newFlightCache},
	},
	{
		// In caches that lock for the time of a load: here, for all keys.
		bug: "one slow load blocks unrelated hits",
		run: func(ctx context.Context, c fieldCache) string {
			if _, err := c.get(ctx, "hit", newSource(1).load); err != nil {
				return err.Error()
			}
			src := newGated(1)
			slow := getAsync(ctx, c, "slow", src.load)
			synctest.Wait()
			hit, miss := getAsync(ctx, c, "hit", src.load), getAsync(ctx, c, "miss", newSource(2).load)
			synctest.Wait()
			blocked := len(hit) == 0 || len(miss) == 0
			close(src.gate)
			<-slow
			return unless(!blocked, "reads of other keys waited for the load")
		},
		naive: map[string]func(*testing.T) fieldCache{"lock around the load": newLockedCache},
	},
}

// failedLoadHangs lets a load fail in the way that fail does.
func failedLoadHangs(ctx context.Context, c fieldCache, fail func()) string {
	gate := make(chan struct{})
	load := func(context.Context) (int, error) {
		<-gate
		fail()
		return 1, nil
	}
	go func() {
		defer func() { _ = recover() }() // a twin panics here
		_, _ = c.get(ctx, "k", load)
	}()
	synctest.Wait()
	joiner := getAsync(ctx, c, "k", load)
	synctest.Wait()
	close(gate)
	synctest.Wait()
	later := getAsync(ctx, c, "k", newSource(2).load)
	synctest.Wait()
	if len(joiner) == 0 || len(later) == 0 {
		return "readers hang"
	}
	if r := <-joiner; r.err == nil {
		return fmt.Sprintf("the joiner got %d without an error", r.value)
	}
	r := <-later
	return unless(r.value == 2, fmt.Sprintf("a later reader got %d and error %v", r.value, r.err))
}

// lockedCache loads under its lock.
type lockedCache struct{ *flightCache }

func newLockedCache(*testing.T) fieldCache {
	return &lockedCache{newFlights()}
}

func (c *lockedCache) get(ctx context.Context, key string, load func(context.Context) (int, error)) (int, error) {
	for !c.mu.TryLock() { // a mutex would not let the bubble notice
		select {
		case <-time.After(time.Second):
		case <-c.stopped:
			return 0, nil
		}
	}
	defer c.mu.Unlock()
	if value, ok := c.values[key]; ok {
		return value, nil
	}
	value, err := load(ctx)
	c.values[key] = value
	return value, err
}

func unless(fine bool, bug string) string {
	if fine {
		return ""
	}
	return bug
}

func TestField(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.bug, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newReal(t)
				assert.Empty(t, sc.run(t.Context(), c))
				c.stop()
			})
		})
		for name, make := range sc.naive {
			t.Run(sc.bug+"/found in "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := make(t)
					assert.NotEmpty(t, sc.run(t.Context(), c), "the test does not find the bug in a cache that has it")
					c.stop()
				})
			})
		}
		assert.NotEmpty(t, sc.naive, "%s: no cache shows that the test can fail", sc.bug)
	}
}

// In caches with a goroutine for the load and no guard in it, a panic of the load
// ends the process; this test would not return. Others panic in every joiner.
func TestFieldPanicOfALoadEndsTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		for _, way := range ways {
			_, err := way.read(t.Context(), s, "k", func(context.Context) (int, error) { panic("boom") })
			assert.True(t, isPanicWith("boom")(err), "%s: %v", way.name, err)
		}
		wantIdle(t, s)
	})
}

// In caches whose bulk flights have no error of their own: those who wait for
// somebody else's bulk load get nothing and no error when it fails.
func TestFieldJoinersOfABulkLoadGetNoError(t *testing.T) {
	for _, failure := range failures {
		t.Run(failure.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t)
				gate := make(chan struct{})
				load := func(context.Context, []string) (map[string]int, error) {
					<-gate
					return nil, failure.fail()
				}
				for range 3 {
					bulk := async(func() (map[string]int, error) {
						return readthrough.WrapMany(t.Context(), s, []string{"a", "b"}, self, load)
					})
					defer func() {
						r := <-bulk
						assert.True(t, failure.check(r.err), "%v and error %v", r.value, r.err)
						wantIdle(t, s)
					}()
					synctest.Wait()
				}
				close(gate)
			})
		})
	}
}

// In caches that join the parts of a key with a separator, the bulk reads of
// ["a b"] and of ["a", "b"] share a flight, and one gets the other's result.
func TestFieldKeysThatCollide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		gate := make(chan struct{})
		var bulks []<-chan result[map[string]string]
		lists := [][]string{{"a b"}, {"a", "b"}, {"a,b"}, {"a\x00b"}, {"[a b]"}, {`a" "b`}}
		for _, ids := range lists {
			bulks = append(bulks, async(func() (map[string]string, error) {
				return readthrough.WrapMany(t.Context(), s, ids, self, func(_ context.Context, missing []string) (map[string]string, error) {
					<-gate
					values := make(map[string]string)
					for _, id := range missing {
						values[id] = "value of " + id
					}
					return values, nil
				})
			}))
		}
		synctest.Wait()
		close(gate)
		for i, bulk := range bulks {
			r := <-bulk
			assert.NoError(t, r.err)
			assert.Len(t, r.value, len(lists[i]))
			for _, id := range lists[i] {
				assert.Equal(t, "value of "+id, r.value[id], id)
			}
		}
		assert.Zero(t, s.Stats().Joined, "joined")
	})
}

// In caches that build the key of scope and name with a separator, or whose
// prefixes are patterns: a prefix reaches other scopes and other keys.
func TestFieldPrefixReachesOthers(t *testing.T) {
	cache := newCache(t, newStore(t), readthrough.Options{})
	names := []string{"a", "ab", "a.b", "a-b"}
	keys := []string{"list:[1]", "list:1", "list", "List:", ":list:", "list:*", "*"}
	for _, name := range names {
		s, err := cache.Scope(name, readthrough.ScopeOptions{TTL: time.Minute})
		require.NoError(t, err)
		for _, key := range keys {
			_, _ = readthrough.Wrap(t.Context(), s, key, newSource(1).load)
		}
	}
	s, err := cache.Scope("a", readthrough.ScopeOptions{TTL: time.Minute})
	require.NoError(t, err)
	for _, c := range []struct {
		prefix  string
		removed int
	}{{"list:[", 1}, {"*", 1}, {"list:?", 0}, {"l*", 0}, {"list:", 2}, {"b", 0}, {"", 3}, {"", 0}} {
		n, err := s.InvalidatePrefix(t.Context(), c.prefix)
		assert.NoError(t, err, "prefix %q", c.prefix)
		assert.Equal(t, c.removed, n, "prefix %q", c.prefix)
	}
	for _, name := range names[1:] {
		other, _ := cache.Scope(name, readthrough.ScopeOptions{TTL: time.Minute})
		page, err := other.Entries(t.Context(), provider.ListOptions{})
		assert.NoError(t, err, "entries left in scope %q", name)
		assert.Equal(t, len(keys), page.Total, "entries left in scope %q", name)
	}
}

// In caches where the key of a list depends on the order of a filter's fields,
// or where a null filter differs from none.
func TestFieldListKeys(t *testing.T) {
	s := newScope(t)
	src := newSource(1)
	type filter struct {
		Status string   `json:"status"`
		System []string `json:"system,omitempty"`
	}
	for _, f := range []any{
		filter{Status: "open", System: []string{"1", "2"}},
		map[string]any{"system": []string{"1", "2"}, "status": "open"},
	} {
		key, err := readthrough.Key("list:", f)
		require.NoError(t, err)
		value, err := readthrough.Wrap(t.Context(), s, key, src.load)
		want(t, key, value, err, 1)
	}
	wantLoads(t, &src.loads, 1)
	n, err := s.InvalidatePrefix(t.Context(), "list:")
	assert.NoError(t, err, "removed")
	assert.Equal(t, 1, n, "removed")
}

// A cache without a store still loads once for all who ask at the same time.
func TestFieldNoStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, src := newScope(t, on(provider.Null())), newGated(1)
		var readers []<-chan result[int]
		for range 10 {
			readers = append(readers, wrapAsync(t.Context(), s, "k", src.load))
		}
		synctest.Wait()
		close(src.gate)
		for _, reader := range readers {
			r := <-reader
			want(t, "reader", r.value, r.err, 1)
		}
		wantLoads(t, &src.loads, 1)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "next reader", value, err, 1)
		wantLoads(t, &src.loads, 2)
		wantIdle(t, s)
	})
}

// ---- values

type customError struct{}

func (*customError) Error() string { return "custom" }

// stays fails the test unless value is loaded once and then comes from the store,
// for single and for bulk reads.
func stays[T any](t *testing.T, value T) {
	t.Helper()
	s := newScope(t)
	src := newSource(value)
	for range 3 {
		got, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		assert.NoError(t, err)
		assert.Equal(t, value, got)
		many, err := readthrough.WrapMany(t.Context(), s, []string{"k"}, self, many(src.load))
		got, ok := many["k"]
		assert.NoError(t, err, "bulk: got %#v", many)
		assert.True(t, ok, "bulk: got %#v", many)
		assert.Equal(t, value, got, "bulk: got %#v", many)
	}
	wantLoads(t, &src.loads, 1)
}

// In caches where nil, zero and empty stand for "not there": they are loaded
// again and again, read as absent, or become a type error.
func TestFieldNilAndZeroAreOrdinaryValues(t *testing.T) {
	t.Run("nil pointer", func(t *testing.T) { stays[*int](t, nil) })
	t.Run("zero", func(t *testing.T) { stays(t, 0) })
	t.Run("zero struct", func(t *testing.T) { stays(t, struct{ A, B string }{}) })
	t.Run("empty slice", func(t *testing.T) { stays(t, []int{}) })
	t.Run("nil slice", func(t *testing.T) { stays[[]int](t, nil) })
	t.Run("nil map", func(t *testing.T) { stays[map[string]int](t, nil) })
	t.Run("nil any", func(t *testing.T) { stays[any](t, nil) })
	t.Run("nil error", func(t *testing.T) { stays[error](t, nil) })
	t.Run("typed nil error", func(t *testing.T) { stays[error](t, (*customError)(nil)) })
	t.Run("error value", func(t *testing.T) { stays[error](t, readthrough.ErrNotFound) })
	t.Run("any with a value", func(t *testing.T) { stays[any](t, []string{"x"}) })
	t.Run("any with a nil pointer", func(t *testing.T) { stays[any](t, (*int)(nil)) })
	t.Run("func-free interface", func(t *testing.T) { stays[fmt.Stringer](t, time.Second) })
	t.Run("an entry", func(t *testing.T) { stays(t, provider.Entry{Absent: true}) })
}

// In caches that mark absence by a value of their own, such as "*" or "" or a
// prefix: those values cannot be cached, or read as absent.
func TestFieldAbsentMarkerInTheValueSpace(t *testing.T) {
	for _, value := range []string{"*", "", "null", "nil", "<absent>", "\x00", "placeholder:1", "__not_found__"} {
		t.Run(value, func(t *testing.T) {
			stays(t, value)
			stays(t, []byte(value))
		})
	}
}

// In caches for interface types, (nil, err) becomes a type error.
func TestFieldNilInterfaceWithAnError(t *testing.T) {
	s := newScope(t)
	for range 2 {
		value, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (fmt.Stringer, error) { return nil, errDatabase })
		assert.Nil(t, value)
		assert.Same(t, errDatabase, err) // the very error
	}
}

// In caches without a check of types, a value of another type reads as zero and
// no error, or panics. See TestStoredValueOfAnotherType for what happens here.
func TestFieldValueOfAnotherTypeReadsAsZero(t *testing.T) {
	var reported reports
	s := newScope(t, reported.collect())
	type a struct{ N int }
	type b struct{ N int }
	_, _ = readthrough.Wrap(t.Context(), s, "k", newSource(a{1}).load)
	value, err := readthrough.Wrap(t.Context(), s, "k", newSource(b{2}).load)
	want(t, "another type of the same shape", value, err, b{2})
	anything, err := readthrough.Wrap[any](t.Context(), s, "k", func(context.Context) (any, error) { return nil, errDatabase })
	assert.NoError(t, err, "read as any")
	assert.Equal(t, b{2}, anything, "read as any")
	text, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (fmt.Stringer, error) { return time.Second, nil })
	assert.NoError(t, err, "read as an interface that it does not implement")
	assert.Equal(t, fmt.Stringer(time.Second), text, "read as an interface that it does not implement")
	value, err = readthrough.Wrap(t.Context(), s, "nil", func(context.Context) (b, error) { return b{3}, nil })
	want(t, "value", value, err, b{3})
	_, err = readthrough.Wrap(t.Context(), s, "nil any", func(context.Context) (any, error) { return nil, nil })
	assert.NoError(t, err)
	value, err = readthrough.Wrap(t.Context(), s, "nil any", newSource(b{4}).load)
	want(t, "a stored nil read as a struct", value, err, b{4})
	errs, _ := reported.all()
	assert.Len(t, errs, 3, "reported")
	for _, err := range errs {
		assert.ErrorIs(t, err, readthrough.ErrTypeMismatch, "reported")
	}
}

// ---- absence

// A scope whose repository has its own error for "not there": readers get errors
// that match it, and ErrNotFound, on the first read and from the store.
func TestFieldAbsenceInTheServicesOwnTerms(t *testing.T) {
	errNoRows := errors.New("no rows")
	for name, c := range map[string]struct {
		own    error // ScopeOptions.NotFound
		err    error // of the load
		absent bool
	}{
		"ErrNotFound":                       {nil, readthrough.ErrNotFound, true},
		"ErrNotFound, wrapped":              {nil, fmt.Errorf("get: %w", readthrough.ErrNotFound), true},
		"own":                               {errNoRows, errNoRows, true},
		"own, wrapped":                      {errNoRows, fmt.Errorf("get: %w", errNoRows), true},
		"ErrNotFound where there is an own": {errNoRows, readthrough.ErrNotFound, true},
		"an own that wraps ErrNotFound":     {fmt.Errorf("%w", readthrough.ErrNotFound), readthrough.ErrNotFound, true},
		"an error like others":              {nil, errNoRows, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t, with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.NotFound = c.own }))
				src := newSource(5)
				src.err = c.err
				for _, read := range []string{"first", "second"} {
					value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
					assert.Zero(t, value, "%s read: error %v", read, err)
					assert.Equal(t, c.absent, errors.Is(err, readthrough.ErrNotFound), "%s read: error %v", read, err)
					if c.own != nil {
						assert.ErrorIs(t, err, c.own, "%s read: the scope's own error", read)
					}
				}
				if c.absent {
					wantLoads(t, &src.loads, 1)
				} else {
					wantLoads(t, &src.loads, 2)
				}
				wantIdle(t, s)
			})
		})
	}
}

func TestNegativeTTLIsExact(t *testing.T) {
	for name, c := range map[string]struct {
		ttl, negative time.Duration
		call          []readthrough.CallOption
		lives         time.Duration // 0: not at all
	}{
		"default":                         {time.Minute, 0, nil, 5 * time.Second},
		"default with a shorter TTL":      {time.Second, 0, nil, time.Second},
		"own":                             {time.Minute, 20 * time.Second, nil, 20 * time.Second},
		"longer than TTL":                 {time.Second, time.Minute, nil, time.Second},
		"longer than the TTL of the call": {time.Minute, 20 * time.Second, []readthrough.CallOption{readthrough.TTL(time.Second)}, time.Second},
		"none":                            {time.Minute, -1, nil, 0},
		"default without expiry":          {readthrough.NoExpiry, 0, nil, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t, with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.TTL, o.NegativeTTL = c.ttl, c.negative }))
				src := newSource(0)
				src.err = readthrough.ErrNotFound
				read := func(loads int64) {
					t.Helper()
					_, err := readthrough.Wrap(t.Context(), s, "k", src.load, c.call...)
					assert.ErrorIs(t, err, readthrough.ErrNotFound)
					wantLoads(t, &src.loads, loads)
				}
				read(1)
				if c.lives > 0 {
					time.Sleep(c.lives - 1)
					read(1)
					time.Sleep(1)
				}
				read(2)
				wantIdle(t, s)
			})
		})
	}
}

// ---- TTLs

// In caches that count in seconds, or that subtract a fixed time from every TTL:
// 500 ms become 1 s, or 1 h, or no time at all.
func TestFieldTTLArithmetic(t *testing.T) {
	for _, ttl := range []time.Duration{1, time.Microsecond, time.Millisecond, 500 * time.Millisecond, 1500 * time.Millisecond, 10 * time.Second, 24 * time.Hour, 150 * 365 * 24 * time.Hour} {
		for _, perCall := range []bool{false, true} {
			for _, way := range []string{"single", "bulk"} {
				t.Run(fmt.Sprintf("%v perCall=%v %s", ttl, perCall, way), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						var options []readthrough.CallOption
						s := newScope(t, with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) {
							o.TTL = ttl
							if perCall {
								o.TTL, options = time.Minute, []readthrough.CallOption{readthrough.TTL(ttl)}
							}
						}))
						src := newSource(1)
						read := func(loads int64) {
							t.Helper()
							var err error
							if way == "single" {
								_, err = readthrough.Wrap(t.Context(), s, "k", src.load, options...)
							} else {
								_, err = readthrough.WrapMany(t.Context(), s, []string{"k"}, self, many(src.load), options...)
							}
							assert.NoError(t, err)
							wantLoads(t, &src.loads, loads)
						}
						read(1)
						time.Sleep(ttl - 1)
						read(1)
						time.Sleep(1)
						read(2)
					})
				})
			}
		}
	}
}

func TestNoExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jittered := with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.TTL, o.Jitter = readthrough.NoExpiry, 1 })
		s, src := newScope(t, jittered), newSource(1)
		other := newScope(t)
		for range 3 {
			value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
			want(t, "scope", value, err, 1)
			value, err = readthrough.Wrap(t.Context(), other, "k", src.load, readthrough.TTL(readthrough.NoExpiry))
			want(t, "call", value, err, 1)
			time.Sleep(100 * 365 * 24 * time.Hour)
		}
		wantLoads(t, &src.loads, 2)
	})
}

// ttlStore records the TTLs that it is given.
type ttlStore struct {
	provider.CacheProvider

	mu   sync.Mutex // guards following
	ttls []time.Duration
}

func (s *ttlStore) InProcess() {}

func (s *ttlStore) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	s.mu.Lock()
	s.ttls = append(s.ttls, ttl)
	s.mu.Unlock()
	if !entry.FreshUntil.IsZero() || !entry.LoadedAt.Equal(time.Now()) {
		return fmt.Errorf("fresh until %v, loaded at %v", entry.FreshUntil, entry.LoadedAt)
	}
	return s.CacheProvider.Set(ctx, key, entry, ttl)
}

// In caches whose jitter is truncated to seconds, or not applied where a load
// fills: everything that was filled together expires together.
func TestFieldJitterThatDoesNotWork(t *testing.T) {
	for name, c := range map[string]struct {
		jitter, most float64
		ttl          time.Duration
	}{
		"default":             {0, 0.1, time.Second},
		"default, short":      {0, 0.1, 100 * time.Microsecond},
		"half":                {0.5, 0.5, time.Minute},
		"all":                 {1, 1, time.Second},
		"none":                {-1, 0, time.Second},
		"a TTL of a moment":   {1, 1, 1},
		"the longest TTL":     {0.5, 0.5, readthrough.NoExpiry - 1},
		"more negative":       {math.Inf(-1), 0, time.Second},
		"very small":          {1e-18, 1e-18, time.Second},
		"default of absences": {0, 0.1, -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 2000
				store := &ttlStore{CacheProvider: newStore(t)}
				s := newScope(t, on(store), with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) {
					o.Jitter = c.jitter
					if o.TTL = c.ttl; c.ttl < 0 {
						o.TTL = time.Minute
					}
				}))
				ids := make([]string, 0, n)
				load := newSource(1).load
				if c.ttl < 0 {
					c.ttl = 5 * time.Second
					load = func(context.Context) (int, error) { return 0, readthrough.ErrNotFound }
				}
				for i := range n {
					ids = append(ids, fmt.Sprint("bulk ", i))
					_, _ = readthrough.Wrap(t.Context(), s, fmt.Sprint(i), load)
				}
				_, err := readthrough.WrapMany(t.Context(), s, ids, self, func(_ context.Context, ids []string) (map[string]int, error) {
					values := make(map[string]int)
					if _, err := load(t.Context()); err == nil {
						for _, id := range ids {
							values[id] = 1
						}
					}
					return values, nil
				})
				require.NoError(t, err)
				require.Len(t, store.ttls, 2*n, "fills")
				lowest := max(1, c.ttl-time.Duration(c.most*float64(c.ttl))-1)
				for _, half := range [][]time.Duration{store.ttls[:n], store.ttls[n:]} {
					wantSpread(t, half, lowest, c.ttl)
				}
			})
		})
	}
}

// wantSpread fails the test unless ttls are spread over all of lowest to highest.
func wantSpread(t *testing.T, ttls []time.Duration, lowest, highest time.Duration) {
	t.Helper()
	low, high := slices.Min(ttls), slices.Max(ttls)
	assert.GreaterOrEqual(t, low, lowest, "TTLs")
	assert.LessOrEqual(t, high, highest, "TTLs")
	width := highest - lowest
	if width < 100 {
		return
	}
	distinct := make(map[time.Duration]bool)
	var quarters [4]int
	for _, ttl := range ttls {
		distinct[ttl] = true
		quarters[min(3, int((ttl-lowest)/(width/4)))]++
	}
	assert.GreaterOrEqual(t, len(distinct), len(ttls)/2, "different TTLs of %d", len(ttls))
	for i, n := range quarters {
		// a quarter expected; an eighth is off by more than 12 standard deviations
		assert.GreaterOrEqual(t, n, len(ttls)/8, "TTLs of %d in quarter %d", len(ttls), i)
	}
}

// ---- stale after all

// In caches that write when a load fails: an old load's error overwrites, or
// removes, what was stored since.
func TestFieldOldErrorOverwritesNewerData(t *testing.T) {
	for _, failure := range failures {
		synctest.Test(t, func(t *testing.T) {
			s := newScope(t)
			gate := make(chan struct{})
			old := wrapAsync(t.Context(), s, "k", func(context.Context) (int, error) { <-gate; return 1, failure.fail() })
			synctest.Wait()
			require.NoError(t, s.Invalidate(t.Context(), "k"))
			fresh := newSource(2)
			value, err := readthrough.Wrap(t.Context(), s, "k", fresh.load)
			want(t, "fresh", value, err, 2)
			close(gate)
			<-old
			wantIdle(t, s)
			value, err = readthrough.Wrap(t.Context(), s, "k", fresh.load)
			want(t, failure.name, value, err, 2)
			wantLoads(t, &fresh.loads, 1)
		})
	}
}

// An old load that says "not found" is a result like others.
func TestFieldOldAbsenceOverwritesNewerData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, before := newScope(t), newGated(0)
		before.err = readthrough.ErrNotFound
		old := wrapAsync(t.Context(), s, "k", before.load)
		synctest.Wait()
		// it was created
		require.NoError(t, s.Invalidate(t.Context(), "k"))
		close(before.gate)
		assert.ErrorIs(t, (<-old).err, readthrough.ErrNotFound, "old reader")
		value, err := readthrough.Wrap(t.Context(), s, "k", newSource(2).load)
		want(t, "reader from after", value, err, 2)
		wantIdle(t, s)
	})
}

// ---- what runs where

// In caches without Close, or with a goroutine that nothing ends. A goroutine
// that is left would keep the bubble from ending.
func TestFieldUnstoppableGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := plain(newStore(t))
		cache, err := readthrough.New(store, readthrough.Options{})
		require.NoError(t, err)
		s, err := cache.Scope("test", readthrough.ScopeOptions{TTL: time.Second})
		require.NoError(t, err)
		src := newGated(1)
		reader := wrapAsync(t.Context(), s, "k", src.load)
		synctest.Wait()
		bulk := async(func() (map[string]int, error) {
			return readthrough.WrapMany(t.Context(), s, []string{"k", "l"}, self, many(src.load))
		})
		synctest.Wait()
		assert.NoError(t, cache.Close())
		r := <-reader
		assert.ErrorIs(t, r.err, readthrough.ErrClosed, "reader: %v", r.value)
		b := <-bulk
		assert.ErrorIs(t, b.err, readthrough.ErrClosed, "bulk reader: %v", b.value)
		_, err = readthrough.Wrap(t.Context(), s, "k", src.load)
		assert.ErrorIs(t, err, readthrough.ErrClosed, "reader after Close")
		wantLoads(t, &src.loads, 2)
		wantIdle(t, s)
	})
}

// busyContext is a context that uses the cache when it is asked for a value.
type busyContext struct {
	context.Context //nolint:containedctx // it is a context

	use func()
}

func (c busyContext) Value(key any) any {
	c.use()
	return c.Context.Value(key)
}

// busyError is an error that uses the cache when it is compared.
type busyError struct{ use func() }

func (busyError) Error() string { return "busy" }

func (e busyError) Is(error) bool { e.use(); return false }

type busyObserver struct{ use func() }

func (o busyObserver) Observe(readthrough.Event) { o.use() }

// In caches that call the user's code under a lock: code that uses the cache
// itself waits for ever.
func TestFieldUserCodeUnderALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *readthrough.CachedScope
		var uses atomic.Int64
		var depth atomic.Bool
		use := func() {
			if s == nil || !depth.CompareAndSwap(false, true) {
				return
			}
			defer depth.Store(false)
			uses.Add(1)
			ctx := context.WithoutCancel(t.Context())
			_, err := readthrough.Wrap(ctx, s, fmt.Sprint("other ", uses.Load()), newSource(1).load)
			assert.NoError(t, err)
			assert.NoError(t, s.Invalidate(ctx, "other"))
			_ = s.Stats()
		}
		used := func(what string, do func()) {
			t.Helper()
			before := uses.Load()
			do()
			assert.NotEqual(t, before, uses.Load(), "%s did not use the cache", what)
		}
		s = newScope(t, with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.OnError = func(readthrough.Op, string, string, error) { use() }
		}))
		quiet := s
		used("the load function", func() {
			_, _ = readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) { use(); return 1, nil })
		})
		used("the key function", func() {
			_, _ = readthrough.WrapMany(t.Context(), s, []string{"k"}, func(id string) string { use(); return id }, many(newSource(1).load))
		})
		used("the context", func() {
			_, _ = readthrough.Wrap(busyContext{t.Context(), use}, s, "context", newSource(1).load)
		})
		used("the error", func() {
			_, _ = readthrough.Wrap(t.Context(), s, "error", func(context.Context) (int, error) { return 0, busyError{use} })
		})
		used("the error of Each", func() {
			_, _ = readthrough.WrapMany(t.Context(), s, []string{"each"}, self, readthrough.Each(1, func(context.Context, string) (int, error) {
				return 0, busyError{use}
			}))
		})
		used("OnError", func() { // a value of another type
			_, _ = readthrough.Wrap(t.Context(), s, "k", newSource("text").load)
		})
		s = nil
		observed := newScope(t, with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) { o.Observer = busyObserver{use} }))
		s = observed
		used("the observer", func() {
			_, _ = readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
			_ = s.Invalidate(t.Context(), "k")
		})
		wantIdle(t, quiet)
		wantIdle(t, observed)
	})
}
