package redisprovider

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/provider"
)

// trip is a time that a round trip of a fakeServer takes.
const trip = time.Millisecond

// fakeServer answers every read with the name that it was asked for.
type fakeServer struct {
	mu    sync.Mutex // guards following
	trips [][]string
	ends  []time.Duration // in how long the context of the trip ends; 0: never
}

func (s *fakeServer) fetch(ctx context.Context, names []string) []provider.Result {
	s.mu.Lock()
	s.trips = append(s.trips, slices.Clone(names))
	var end time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		end = time.Until(deadline)
	}
	s.ends = append(s.ends, end)
	s.mu.Unlock()
	if len(names) > 1 && slices.Contains(names, "panic") {
		panic("of a hook")
	}
	if len(names) > 1 && slices.Contains(names, "exit") {
		runtime.Goexit()
	}
	select {
	case <-time.After(trip):
	case <-ctx.Done():
		return failedResults(names, ctx.Err())
	}
	results := make([]provider.Result, len(names))
	for i, name := range names {
		results[i] = provider.Result{Found: true, Entry: provider.Entry{Value: name}}
	}
	return results
}

// sizes returns how many reads each round trip had.
func (s *fakeServer) sizes() (sizes []int) {
	for _, names := range s.trips {
		sizes = append(sizes, len(names))
	}
	return sizes
}

// gathering runs test in a bubble, and checks that in its end nothing is under way.
func gathering(t *testing.T, test func(t *testing.T, g *gather, s *fakeServer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeServer)
		g := &gather{fetch: s.fetch, fetchOne: func(ctx context.Context, name string) provider.Result {
			return s.fetch(ctx, []string{name})[0]
		}}
		test(t, g, s)
		synctest.Wait()
		assert.Zero(t, g.flying, "round trips that are under way in the end")
		assert.Nil(t, g.next, "what waits in the end")
	})
}

// read reads name in a goroutine, which has begun to wait when read returns.
func (g *gather) read(ctx context.Context, name string) <-chan provider.Result {
	result := make(chan provider.Result, 1)
	go func() { result <- g.get(ctx, name) }()
	synctest.Wait()
	return result
}

func wantValues(t *testing.T, results []<-chan provider.Result, names []string) {
	t.Helper()
	for i, result := range results {
		r := <-result
		if assert.NoError(t, r.Err) {
			assert.Equal(t, names[i], r.Entry.Value)
		}
	}
}

func readAll(ctx context.Context, g *gather, n int) (results []<-chan provider.Result, names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("name ", i))
		results = append(results, g.read(ctx, names[i]))
	}
	return results, names
}

// TestGather checks how many round trips so many reads at once take, and how long:
// those above gatherAbove wait for the first that returns, and go together.
func TestGather(t *testing.T) {
	t.Parallel()
	few := slices.Repeat([]int{1}, gatherAbove)
	for _, test := range []struct {
		reads int
		trips []int
		took  time.Duration
	}{
		{1, []int{1}, trip},
		{gatherAbove, few, trip},
		{gatherAbove + 1, append(slices.Clone(few), 1), 2 * trip},
		{gatherAbove + 100, append(slices.Clone(few), 100), 2 * trip},
		{gatherAbove + gatherMost, append(slices.Clone(few), gatherMost), trip}, // full: it does not wait
		{gatherAbove + gatherMost + 3, append(slices.Clone(few), gatherMost, 3), 2 * trip},
	} {
		t.Run(fmt.Sprint(test.reads), func(t *testing.T) {
			t.Parallel()
			gathering(t, func(t *testing.T, g *gather, s *fakeServer) {
				began := time.Now()
				results, names := readAll(t.Context(), g, test.reads)
				wantValues(t, results, names)
				assert.Equal(t, test.took, time.Since(began), "the time it took")
				assert.Equal(t, test.trips, s.sizes(), "reads in each round trip")
			})
		})
	}
}

// TestGatherContexts checks that a reader leaves a batch by its own context, that
// the others go on without it, and that a batch has the longest time that one of
// them has.
func TestGatherContexts(t *testing.T) {
	t.Parallel()
	gathering(t, func(t *testing.T, g *gather, s *fakeServer) {
		alone, names := readAll(t.Context(), g, gatherAbove)
		short, cancelShort := context.WithTimeout(t.Context(), trip/2)
		defer cancelShort()
		long, cancelLong := context.WithTimeout(t.Context(), 5*trip)
		defer cancelLong()
		first, second := g.read(short, "first"), g.read(long, "second")
		r := <-first
		assert.ErrorIs(t, r.Err, context.DeadlineExceeded, "want that the time of the first is over")
		assert.ErrorContains(t, r.Err, "first", "want that the time of the first is over")
		wantValues(t, append(alone, second), append(names, "second"))
		assert.Equal(t, 4*trip, s.ends[gatherAbove], "the time that the batch had") // one has passed
	})
	gathering(t, func(t *testing.T, g *gather, s *fakeServer) {
		alone, names := readAll(t.Context(), g, gatherAbove)
		short, cancel := context.WithTimeout(t.Context(), 3*trip)
		defer cancel()
		patient := g.read(context.WithoutCancel(t.Context()), "patient")
		wantValues(t, append(alone, g.read(short, "short"), patient), append(names, "short", "patient"))
		assert.Zero(t, s.ends[gatherAbove], "the time that the batch had: no end")
	})
}

// An answer that is there wins over a context that has ended: a reader that waits
// for a processor finds both.
func TestGatheredAnswerWins(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &gathered{results: []provider.Result{{Found: true}}, done: make(chan struct{})}
	assert.ErrorIs(t, b.wait(ctx, "name", 0).Err, context.Canceled, "there is no answer")
	close(b.done)
	for range 100 { // select chooses at random
		assert.NoError(t, b.wait(ctx, "name", 0).Err)
	}
}

// TestGatherPanic checks that a panic or a Goexit in a batch reaches its readers as
// an error, and that reads go on.
func TestGatherPanic(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{"panic": "panicked: of a hook", "exit": "called runtime.Goexit"} {
		gathering(t, func(t *testing.T, g *gather, _ *fakeServer) {
			alone, names := readAll(t.Context(), g, gatherAbove)
			for _, result := range []<-chan provider.Result{g.read(t.Context(), name), g.read(t.Context(), "beside it")} {
				assert.ErrorContains(t, (<-result).Err, says)
			}
			wantValues(t, alone, names)
			wantValues(t, []<-chan provider.Result{g.read(t.Context(), "later")}, []string{"later"})
		})
	}
}

// TestGatherAsksAgain checks that a read never takes what a round trip brings that
// was under way before it: that may be from before an invalidation.
func TestGatherAsksAgain(t *testing.T) {
	t.Parallel()
	gathering(t, func(t *testing.T, g *gather, s *fakeServer) {
		var results []<-chan provider.Result
		names := slices.Repeat([]string{"same"}, gatherAbove+2)
		for _, name := range names {
			results = append(results, g.read(t.Context(), name))
		}
		wantValues(t, results, names)
		assert.Equal(t, append(slices.Repeat([]int{1}, gatherAbove), 2), s.sizes(), "reads in each round trip")
	})
	gathering(t, func(t *testing.T, g *gather, s *fakeServer) {
		results, names := readAll(t.Context(), g, gatherAbove+2)
		time.Sleep(trip + trip/2) // the last two are under way together
		more, moreNames := readAll(t.Context(), g, gatherAbove-1+2)
		wantValues(t, append(results, more...), append(names, moreNames...))
		want := slices.Concat(slices.Repeat([]int{1}, gatherAbove), []int{2}, slices.Repeat([]int{1}, gatherAbove-1), []int{2})
		assert.Equal(t, want, s.sizes(), "reads in each round trip")
	})
}
