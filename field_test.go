package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
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
