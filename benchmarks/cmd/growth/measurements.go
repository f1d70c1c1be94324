package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

func measurements() []measurement {
	entries := []int{1_000, 100_000, 1_000_000, 10_000_000}
	return []measurement{
		{"A hit", "A read of one of so many stored keys, in random order. What grows is the time of memory: a thousand entries are in the caches of the processor.", "entries", entries, hit},
		{"A miss", "A read of a new key, a load that takes no time, a fill, and an eviction: the cache is full.", "entries", entries, miss},
		{"An invalidation", "An invalidation of one of so many stored keys.", "entries", entries, invalidation},
		{"A prefix", "An invalidation of a prefix with a hundred keys, for each key that it removes.", "entries", entries, prefix},
		{"A scope", "A cache is made, and then so many scopes. The time is that of one scope, with its part of the cache.", "scopes", []int{1, 1_000, 100_000}, scopes},
		{"A hit in one of many scopes", "A read of the only key of a scope, in random order.", "scopes", []int{1, 1_000, 100_000}, hitInScopes},
		{"An invalidation beside pending ones", "The store fails, and so many invalidations of the scope are pending. One more is added. A scope has at most 10,000 pending " +
			"invalidations of its own: after that, all of the scope is pending.", "pending", []int{1, 1_000, 1_000_000}, pending},
		{"A bulk read", "All ids are stored. The time is that of one id.", "ids", []int{10, 1_000, 100_000}, bulk},
		{"Readers that wait", "So many goroutines read one key that is not stored. The time is that of one goroutine, from its start until it has the value.", "readers", []int{10, 1_000, 100_000}, readers},
	}
}

// cache is one with a scope and a family of values.
type cache struct {
	*readthrough.Cache

	scope  *readthrough.CachedScope
	values *readthrough.Family[int, *int]
	store  io.Closer
}

// closable is a store that the cache does not close.
type closable interface {
	provider.CacheProvider
	io.Closer
}

func open(store closable) (*cache, error) {
	c, err := readthrough.New(store, readthrough.Options{OnError: func(*readthrough.OpError) {}})
	if err != nil {
		return nil, err
	}
	scope, err := c.Scope("growth", readthrough.ScopeOptions{TTL: time.Hour})
	if err != nil {
		return nil, err
	}
	value := new(int)
	values, err := readthrough.NewFamily(scope, "value:", readthrough.Loads[int, *int]{
		One: func(context.Context, int) (*int, error) { return value, nil },
		Many: func(_ context.Context, ids []int) (map[int]*int, error) {
			all := make(map[int]*int, len(ids))
			for _, id := range ids {
				all[id] = value
			}
			return all, nil
		},
	})
	return &cache{c, scope, values, store}, err
}

func (c *cache) end() error { return errors.Join(c.Close(), c.store.Close()) }

// full returns a cache that has n entries and room for no more.
func full(ctx context.Context, n int) (*cache, error) {
	store, err := memory.New(memory.Options{MaxEntries: n})
	if err != nil {
		return nil, err
	}
	c, err := open(store)
	if err != nil {
		return nil, err
	}
	for id := range n {
		if _, err := c.values.Get(ctx, id); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// each calls do so often, and returns how long one call takes.
func each(times int, do func(i int) error) (time.Duration, error) {
	began := time.Now()
	for i := range times {
		if err := do(i); err != nil {
			return 0, err
		}
	}
	return time.Since(began) / time.Duration(times), nil
}

func hit(ctx context.Context, n int) (func() (time.Duration, error), func() error, error) {
	c, err := full(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	return func() (time.Duration, error) {
		return each(1_000_000, func(int) error {
			_, err := c.values.Get(ctx, rand.IntN(n))
			return err
		})
	}, c.end, nil
}

func miss(ctx context.Context, n int) (func() (time.Duration, error), func() error, error) {
	c, err := full(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	next := n
	return func() (time.Duration, error) {
		return each(50_000, func(int) error {
			next++
			_, err := c.values.Get(ctx, next)
			return err
		})
	}, c.end, nil
}

func invalidation(ctx context.Context, n int) (func() (time.Duration, error), func() error, error) {
	c, err := full(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	return func() (time.Duration, error) {
		ids := make([]int, 1_000)
		keys := make([]string, len(ids))
		for i := range ids {
			ids[i] = rand.IntN(n)
			keys[i] = "value:" + strconv.Itoa(ids[i])
		}
		took, err := each(len(ids), func(i int) error { return c.scope.Invalidate(ctx, keys[i]) })
		if err != nil {
			return 0, err
		}
		_, err = c.values.GetMany(ctx, ids)
		return took, err
	}, c.end, nil
}

// prefix removes a random group of a hundred keys, and loads it again.
func prefix(ctx context.Context, n int) (func() (time.Duration, error), func() error, error) {
	store, err := memory.New(memory.Options{MaxEntries: 2 * n})
	if err != nil {
		return nil, nil, err
	}
	c, err := open(store)
	if err != nil {
		return nil, nil, err
	}
	groups := n / 100
	load := func(group int) error {
		for i := range 100 {
			key := fmt.Sprintf("group:%d:%d", group, i)
			if _, err := readthrough.Wrap(ctx, c.scope, key, func(context.Context) (int, error) { return i, nil }); err != nil {
				return err
			}
		}
		return nil
	}
	for group := range groups {
		if err := load(group); err != nil {
			return nil, nil, err
		}
	}
	if _, err := c.scope.InvalidatePrefix(ctx, "none"); err != nil { // it makes the index
		return nil, nil, err
	}
	return func() (time.Duration, error) {
		const times = 10
		var sum time.Duration
		for range times {
			group := rand.IntN(groups)
			began := time.Now()
			removed, err := c.scope.InvalidatePrefix(ctx, fmt.Sprintf("group:%d:", group))
			sum += time.Since(began)
			if err != nil || removed != 100 {
				return 0, fmt.Errorf("removed %d: %w", removed, err)
			}
			if err := load(group); err != nil {
				return 0, err
			}
		}
		return sum / (times * 100), nil
	}, c.end, nil
}

func newScopes(n int) (*cache, []*readthrough.CachedScope, error) {
	store, err := memory.New(memory.Options{MaxEntries: 2*n + 10})
	if err != nil {
		return nil, nil, err
	}
	c, err := open(store)
	if err != nil {
		return nil, nil, err
	}
	all := make([]*readthrough.CachedScope, n)
	for i := range all {
		if all[i], err = c.Scope("tenant-"+strconv.Itoa(i), readthrough.ScopeOptions{TTL: time.Hour}); err != nil {
			return nil, nil, err
		}
	}
	return c, all, nil
}

func scopes(_ context.Context, n int) (func() (time.Duration, error), func() error, error) {
	return func() (time.Duration, error) {
		began := time.Now()
		c, _, err := newScopes(n)
		took := time.Since(began) / time.Duration(n)
		if err != nil {
			return 0, err
		}
		return took, c.end()
	}, func() error { return nil }, nil
}

func hitInScopes(ctx context.Context, n int) (func() (time.Duration, error), func() error, error) {
	c, all, err := newScopes(n)
	if err != nil {
		return nil, nil, err
	}
	read := func(i int) error {
		_, err := readthrough.Wrap(ctx, all[i], "key", func(context.Context) (int, error) { return i, nil })
		return err
	}
	for i := range all {
		if err := read(i); err != nil {
			return nil, nil, err
		}
	}
	return func() (time.Duration, error) {
		return each(1_000_000, func(int) error { return read(rand.IntN(n)) })
	}, c.end, nil
}

// failing is a store whose removals fail.
type failing struct {
	*memory.Store

	well atomic.Bool
}

var errFailing = errors.New("the store fails")

func (f *failing) Delete(ctx context.Context, keys ...provider.Key) error {
	if f.well.Load() {
		return f.Store.Delete(ctx, keys...)
	}
	return errFailing
}

func pending(ctx context.Context, n int) (func() (time.Duration, error), func() error, error) {
	store, err := memory.New(memory.Options{MaxEntries: 1_000})
	if err != nil {
		return nil, nil, err
	}
	f := &failing{Store: store}
	c, err := open(f)
	if err != nil {
		return nil, nil, err
	}
	next := 0
	one := func(int) error {
		next++
		if err := c.scope.Invalidate(ctx, strconv.Itoa(next)); !errors.Is(err, readthrough.ErrInvalidationPending) {
			return fmt.Errorf("an invalidation is not pending: %w", err)
		}
		return nil
	}
	if _, err := each(n, one); err != nil {
		return nil, nil, err
	}
	return func() (time.Duration, error) { return each(1_000, one) }, func() error {
		f.well.Store(true)
		return c.end()
	}, nil
}

func bulk(ctx context.Context, n int) (func() (time.Duration, error), func() error, error) {
	c, err := full(ctx, n)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]int, n)
	for id := range ids {
		ids[id] = id
	}
	return func() (time.Duration, error) {
		took, err := each(max(1, 100_000/n), func(int) error {
			_, err := c.values.GetMany(ctx, ids)
			return err
		})
		return took / time.Duration(n), err
	}, c.end, nil
}

// readers has n goroutines wait for one load, which ends when the last of them has begun.
func readers(ctx context.Context, n int) (func() (time.Duration, error), func() error, error) {
	c, err := full(ctx, 1)
	if err != nil {
		return nil, nil, err
	}
	next := 0
	return func() (time.Duration, error) {
		next++
		key := "waited:" + strconv.Itoa(next)
		begun := make(chan struct{})
		var left atomic.Int64
		left.Store(int64(n))
		var failed atomic.Pointer[error]
		var all sync.WaitGroup
		began := time.Now()
		for range n {
			all.Go(func() {
				if left.Add(-1) == 0 {
					close(begun)
				}
				if _, err := readthrough.Wrap(ctx, c.scope, key, func(context.Context) (int, error) {
					<-begun
					return 1, nil
				}); err != nil {
					failed.Store(&err)
				}
			})
		}
		all.Wait()
		took := time.Since(began) / time.Duration(n)
		if err := failed.Load(); err != nil {
			return 0, *err
		}
		return took, nil
	}, c.end, nil
}
