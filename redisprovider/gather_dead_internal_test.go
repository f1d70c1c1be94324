package redisprovider

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/provider"
)

// dying is a server some of whose connections are dead: reads of names that begin with "dead" are answered
// by nothing but the end of their context. The others take some time.
type dying struct {
	takes   atomic.Int64
	under   atomic.Int64 // round trips under way
	most    atomic.Int64
	batches atomic.Int64
}

func (d *dying) fetch(ctx context.Context, names []string) []provider.Result {
	d.batches.Add(1)
	d.most.Store(max(d.most.Load(), d.under.Add(1)))
	defer d.under.Add(-1)
	if strings.HasPrefix(names[0], "dead") {
		<-ctx.Done()
		return failedResults(names, ctx.Err())
	}
	time.Sleep(time.Duration(d.takes.Load()))
	return make([]provider.Result, len(names))
}

// withDying runs test in a bubble.
func withDying(t *testing.T, takes time.Duration, test func(t *testing.T, g *gather, d *dying)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &dying{}
		d.takes.Store(int64(takes))
		g := &gather{fetch: d.fetch, fetchOne: func(ctx context.Context, name string) provider.Result {
			return d.fetch(ctx, []string{name})[0]
		}}
		test(t, g, d)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Zero(t, g.flying, "round trips under way in the end")
		assert.Nil(t, g.next, "a batch that waits in the end")
	})
}

// TestDeadConnectionsStopNoReads: while four round trips never return, other reads take a few round trips'
// time.
func TestDeadConnectionsStopNoReads(t *testing.T) {
	t.Parallel()
	for _, takes := range []time.Duration{100 * time.Microsecond, 3 * time.Millisecond} {
		withDying(t, takes, func(t *testing.T, g *gather, _ *dying) {
			for range recentTrips {
				<-g.read(t.Context(), "known")
			}
			for i := range gatherAbove {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				g.read(ctx, fmt.Sprint("dead ", i))
			}
			for range 20 {
				began := time.Now()
				r := <-g.read(t.Context(), "live")
				assert.NoError(t, r.Err)
				assert.LessOrEqual(t, time.Since(began), max(leastPatience, patienceTrips*takes)+takes, "a read took, and a round trip %v", takes)
			}
		})
	}
	withDying(t, time.Millisecond, func(t *testing.T, g *gather, _ *dying) { // and if no round trip has ever returned
		for i := range gatherAbove {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			g.read(ctx, fmt.Sprint("dead ", i))
		}
		began := time.Now()
		<-g.read(t.Context(), "live")
		assert.Equal(t, firstPatience+time.Millisecond, time.Since(began), "a read took")
	})
}

// TestSlowRoundTripsAreWaitedFor: a batch is not sent early because a server is slower than others: how long
// it waits follows the round trips.
func TestSlowRoundTripsAreWaitedFor(t *testing.T) {
	t.Parallel()
	withDying(t, 40*time.Millisecond, func(t *testing.T, g *gather, d *dying) {
		for range recentTrips {
			<-g.read(t.Context(), "known")
		}
		d.batches.Store(0)
		results, _ := readAll(t.Context(), g, gatherAbove)
		for range 10 { // within the round trips that are under way
			results = append(results, g.read(t.Context(), "later"))
			time.Sleep(2 * leastPatience)
		}
		for _, r := range results {
			<-r
		}
		assert.EqualValues(t, gatherAbove+1, d.batches.Load(), "round trips")
	})
}

// TestServerThatHangsGetsABoundedNumberOfRoundTrips: more reads wait until their batch is full.
func TestServerThatHangsGetsABoundedNumberOfRoundTrips(t *testing.T) {
	t.Parallel()
	withDying(t, 0, func(t *testing.T, g *gather, d *dying) {
		for range gatherFlying + gatherMost/2 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			g.read(ctx, "dead")
			time.Sleep(firstPatience + time.Millisecond)
		}
		assert.EqualValues(t, gatherFlying, d.most.Load(), "round trips at once")
	})
}
