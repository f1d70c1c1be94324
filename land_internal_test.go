package readthrough

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/memory"
)

// These tests build an interleaving at flights.mu: they hold the lock until those whose order matters wait for it.

// waiting returns how many goroutines wait for a mutex in the method of flights with that name.
func waiting(method string) (n int) {
	buffer := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
		head, calls, _ := strings.Cut(stack, "\n")
		if strings.Contains(head, "[sync.Mutex.Lock") && strings.Contains(calls, "(*flights)."+method+"(") {
			n++
		}
	}
	return n
}

// until waits for something, outside of bubbles: who waits for a mutex keeps the time of a bubble from going on.
func until(done func() bool) {
	for !done() {
		runtime.Gosched()
	}
}

// newFlights returns the flights of a scope, and a call for one key whose goroutine is not started.
func newFlights(t *testing.T) (g *flights, c *call, r *request) {
	t.Helper()
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	cache, err := New(store, Options{})
	require.NoError(t, err)
	s, err := cache.Scope("s", ScopeOptions{TTL: time.Hour, ErrorTTL: time.Hour})
	require.NoError(t, err)
	g = &s.flights
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	r = &request{items: []item{{key: "k"}}}
	j, err := g.join(t.Context(), r)
	require.NoError(t, err)
	require.NotNil(t, j.own)
	return g, j.own, r
}

// TestFailureIsKnownWhenItsFlightIsGone: a reader that comes while a load fails finds the flight, or the failure. If it
// found neither, it would load: one load too many.
//
// The reader waits for the lock behind land. A mutex for which somebody has waited for a millisecond and has lost it to
// another goroutine is handed over in the order of the waiters: if land took the lock twice, the reader would have it
// in between.
func TestFailureIsKnownWhenItsFlightIsGone(t *testing.T) {
	for range 10 { // seldom, nobody loses the lock
		g, c, _ := newFlights(t)
		c.flights[0].outcome = outcome{known: true, err: errors.New("the source fails")}
		var second joined
		var both sync.WaitGroup
		g.mu.Lock()
		both.Go(func() { g.land(c) })
		until(func() bool { return waiting("land") == 1 })
		both.Go(func() {
			var err error
			second, err = g.join(t.Context(), &request{items: []item{{key: "k"}}})
			assert.NoError(t, err)
		})
		until(func() bool { return waiting("join") == 1 })
		for began := time.Now(); time.Since(began) < 2*time.Millisecond; {
			runtime.Gosched()
		}
		g.mu.Unlock() // land wakes,
		g.mu.Lock()   // and comes too late
		until(func() bool { return waiting("land") == 1 || c.final.Load() })
		g.mu.Unlock()
		both.Wait()
		require.Nil(t, second.own, "the reader has made a call of its own")
		require.Len(t, second.failed, 1, "the reader gets the failure")
	}
}

// TestOutcomesThatMayChangeAreReadUnderTheLock: a reader looks at the outcome of a call that has not landed, or at those
// of several calls, under the lock: they may change.
func TestOutcomesThatMayChangeAreReadUnderTheLock(t *testing.T) {
	for name, prepare := range map[string]func(g *flights, c *call, r *request){
		"a call that has not landed": func(*flights, *call, *request) {},
		"several": func(g *flights, c *call, r *request) {
			g.land(c)
			r.items = append(r.items, r.items[0])
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, c, r := newFlights(t)
			c.flights[0].outcome = outcome{known: true}
			prepare(g, c, r)
			marked := make(chan struct{})
			g.mu.Lock()
			go func() {
				defer close(marked)
				g.markLate(r, nil)
			}()
			isMarked := func() bool {
				select {
				case <-marked:
					return true
				default:
					return false
				}
			}
			until(func() bool { return waiting("markLate") == 1 || isMarked() })
			assert.False(t, isMarked(), "the reader did not wait for the lock")
			g.mu.Unlock()
			<-marked
			if c.stage != stageLanded {
				g.land(c)
			}
		})
	}
}
