package cachetest_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/singleflight"

	"github.com/readthrough/readthrough/cachetest"
)

// naive is a cache as it is written by hand: get, load, set, and an invalidation
// that deletes. With flights, the loads of a key are one.
type naive struct {
	flights *singleflight.Group
	mu      sync.Mutex // guards following
	values  map[string]cachetest.Value
}

func (n *naive) get(key string, load func() (cachetest.Value, error)) (cachetest.Value, error) {
	n.mu.Lock()
	value, ok := n.values[key]
	n.mu.Unlock()
	if ok {
		return value, nil
	}
	fill := func() (any, error) {
		value, err := load()
		if err == nil {
			n.mu.Lock()
			n.values[key] = value
			n.mu.Unlock()
		}
		return value, err
	}
	var filled any
	var err error
	if n.flights == nil {
		filled, err = fill()
	} else {
		filled, err, _ = n.flights.Do(key, fill)
	}
	if err != nil {
		return cachetest.Value{}, err
	}
	return filled.(cachetest.Value), nil
}

func (n *naive) remove(key string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.values, key)
	return nil
}

// TestNaiveCaches convicts the caches that people write by hand. A checker that
// finds nothing in them is broken.
func TestNaiveCaches(t *testing.T) {
	tests := map[string]*naive{
		"get, load, set": {},
		"single-flight":  {flights: new(singleflight.Group)},
	}
	for name, cache := range tests {
		t.Run(name, func(t *testing.T) {
			seed := pickSeed(t)
			synctest.Test(t, func(t *testing.T) {
				cache.values = map[string]cachetest.Value{}
				h := cachetest.NewHistory(cachetest.Options{})
				source := cachetest.NewSource(h)
				source.Pause = func(context.Context) { time.Sleep(rand.N(2 * time.Millisecond)) }
				var group sync.WaitGroup
				for g := range uint64(20) {
					group.Go(func() {
						rng := rand.New(rand.NewPCG(seed, g))
						for range 50 {
							key := fmt.Sprint(rng.IntN(3))
							time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
							if rng.IntN(5) > 0 {
								_, _ = source.Read(key, func() (cachetest.Value, error) {
									return cache.get(key, func() (cachetest.Value, error) { return source.Load(t.Context(), key) })
								})
								continue
							}
							source.Write(key)
							_ = h.Invalidate(key, func() error { return cache.remove(key) })
						}
					})
				}
				group.Wait()
				v := violation(t, h)
				require.NotNil(t, v, "no violation found")
				t.Log(v)
				checkCounterexample(t, v)
			})
		})
	}
}

// checkCounterexample checks that a violation proves what it says: the load read
// the source before the write, the write came before the invalidation began, and
// that had returned before the read began.
func checkCounterexample(t *testing.T, v *cachetest.ViolationError) {
	t.Helper()
	place := func(what string) int64 {
		for _, e := range v.Events {
			if strings.HasPrefix(e.What, what) {
				return e.Order
			}
		}
		t.Errorf("no event %q in\n%v", what, v)
		return 0
	}
	order := []int64{
		place("load L of "), place("L reads "), place("write W of "), place("invalidation I of "),
		place("I returns "), place("read R of "), place("R returns "),
	}
	for i := range order[1:] {
		assert.Less(t, order[i], order[i+1], "event %d is not before the next in\n%v", i, v)
	}
	assert.True(t, slices.IsSortedFunc(v.Events, func(a, b cachetest.Event) int { return cmp.Compare(a.Order, b.Order) }), "the events are not in their order:\n%v", v)
	assert.LessOrEqual(t, len(v.Events), len(order)+1, "events that prove something, and one")
}
