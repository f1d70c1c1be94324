package cachetest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/cachetest"
	"github.com/readthrough/readthrough/memory"
)

// homeMade is a cache as it is written by hand: what a slow load brings is stored
// after the deletion that should have removed it.
type homeMade struct {
	mu     sync.Mutex // guards following
	values map[string]cachetest.Value
}

func (c *homeMade) Get(key string, load func(key string) (cachetest.Value, error)) (cachetest.Value, error) {
	c.mu.Lock()
	value, ok := c.values[key]
	c.mu.Unlock()
	if ok {
		return value, nil
	}
	value, err := load(key)
	if err == nil {
		c.mu.Lock()
		c.values[key] = value
		c.mu.Unlock()
	}
	return value, err
}

func (c *homeMade) Delete(key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.values, key)
	return nil
}

// A home-made cache is convicted. Here one schedule is enough; a test would run
// many readers and writers, in a synctest bubble, with a [cachetest.Source.Pause]
// that sleeps.
func Example() {
	h := cachetest.NewHistory(cachetest.Options{})
	source := cachetest.NewSource(h)
	cache := &homeMade{values: map[string]cachetest.Value{}}

	loaded, written, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() { // a reader whose load is slow
		defer close(done)
		_, _ = source.Read("user:7", func() (cachetest.Value, error) {
			return cache.Get("user:7", func(key string) (cachetest.Value, error) {
				value, err := source.Load(context.Background(), key)
				close(loaded)
				<-written
				return value, err
			})
		})
	}()
	<-loaded
	source.Write("user:7")
	_ = h.Invalidate("user:7", func() error { return cache.Delete("user:7") })
	close(written)
	<-done
	source.Sweep(func(key string) (cachetest.Value, error) {
		return cache.Get(key, func(key string) (cachetest.Value, error) { return source.Load(context.Background(), key) })
	})

	_, err := h.Check() // in a test: h.Verify(t)
	if v, ok := errors.AsType[*cachetest.ViolationError](err); ok {
		fmt.Printf("%v of %q\n", v.Kind, v.Key)
		for _, e := range v.Events {
			fmt.Printf("#%-2d %s\n", e.Order, e.What)
		}
	}
	// Output:
	// stale fill of "user:7"
	// #2  load L of "user:7" begins
	// #4  L reads version 3 from the source
	// #5  L returns version 3
	// #6  write W of "user:7" commits version 6
	// #7  invalidation I of "user:7" begins
	// #8  I returns nil
	// #10 read R of "user:7", with all loads stopped, begins
	// #11 R returns version 3: that is stored, though W came before I, and I has returned
}

// A cache of users is checked by putting the versions into the users.
func ExampleNewSourceOf() {
	type User struct {
		ID      string
		Version int64
	}
	h := cachetest.NewHistory(cachetest.Options{})
	users := cachetest.NewSourceOf(h,
		func(v cachetest.Value) *User { return &User{ID: v.Key, Version: v.Version} },
		func(u *User) cachetest.Value { return cachetest.Value{Key: u.ID, Version: u.Version} })

	store, err := memory.New(memory.Options{})
	if err != nil {
		panic(err)
	}
	cache, err := readthrough.New(store, readthrough.Options{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = cache.Close() }()
	scope, err := cache.Scope("users", readthrough.ScopeOptions{TTL: time.Minute})
	if err != nil {
		panic(err)
	}
	getUser := readthrough.Memoize(scope, func(id string) string { return id }, users.Load)

	ctx := context.Background()
	for range 3 {
		_, _ = users.Read("ann", func() (*User, error) { return getUser(ctx, "ann") })
		users.Write("ann")
		_ = h.Invalidate("ann", func() error { return scope.Invalidate(ctx, "ann") })
	}
	users.Sweep(func(id string) (*User, error) { return getUser(ctx, id) })
	fmt.Println(h.Check())
	// Output:
	// consistent: 3 reads of 1 keys (2 after an invalidation, 0 absent, 0 swept), 3 loads, 3 writes, 3 invalidations (0 pending), 1 failed <nil>
}

// A store that loses every reply costs a load, and no read fails.
func ExampleNewChaos() {
	store, err := memory.New(memory.Options{})
	if err != nil {
		panic(err)
	}
	chaos, err := cachetest.NewChaos(store, cachetest.ChaosOptions{Seed: 1, Remote: true, Faults: cachetest.Faults{LostReply: 1}})
	if err != nil {
		panic(err)
	}
	cache, err := readthrough.New(chaos.Store(), readthrough.Options{OnError: func(*readthrough.OpError) {}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = cache.Close() }() // which closes chaos, and store
	scope, err := cache.Scope("numbers", readthrough.ScopeOptions{TTL: time.Minute})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	fmt.Println(readthrough.Wrap(ctx, scope, "seven", func(context.Context) (int, error) { return 7, nil }))
	fmt.Println(errors.Is(scope.Invalidate(ctx, "seven"), readthrough.ErrInvalidationPending))
	// Output:
	// 7 <nil>
	// true
}
