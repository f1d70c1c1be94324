package simulation_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
)

// What all simulations have in common.
const (
	ttl          = time.Second
	shortestLoad = 5 * time.Millisecond
	longestLoad  = 50 * time.Millisecond
)

// arrival is a read: of the key with a rank, 0 being the one that is read most
// often, at a time after the beginning.
type arrival struct {
	at   time.Duration
	rank int
}

func (a arrival) key() string { return "key:" + strconv.Itoa(a.rank) }

// arrivals returns reads at random times, so many in a second on average, whose keys
// pick chooses.
func arrivals(random *rand.Rand, rate float64, length time.Duration, pick func() int) (reads []arrival) {
	mean := float64(time.Second) / rate
	for at := time.Duration(0); ; {
		// Reads come at even nanoseconds and loads end at odd ones, so that no two of
		// them meet and the scheduler has nothing to decide.
		at += 2 * time.Duration(1+random.ExpFloat64()*mean/2)
		if at >= length {
			return reads
		}
		reads = append(reads, arrival{at: at, rank: pick()})
	}
}

// source is what load functions load from. The n-th load of a key takes as long in
// every simulation with the same seed.
type source struct {
	seed uint64
	// down says whether loads fail that end at a time after the beginning.
	down func(at time.Duration) bool
	// from is when peak begins to count.
	from time.Duration

	began    time.Time
	loads    []atomic.Int64 // begun, by rank
	bySecond []atomic.Int64 // begun, by the second after the beginning
	running  atomic.Int64
	peak     atomic.Int64 // of running
}

// newSource returns a source that begins now.
func newSource(seed uint64, keys int, length time.Duration) *source {
	return &source{
		seed: seed, began: time.Now(), down: func(time.Duration) bool { return false },
		loads: make([]atomic.Int64, keys), bySecond: make([]atomic.Int64, length/time.Second+2),
	}
}

var errDown = errors.New("the source is down")

// load returns the load function of a key. A value is the moment when it was loaded.
func (s *source) load(rank int) func(context.Context) (time.Time, error) {
	return func(context.Context) (time.Time, error) {
		at := time.Since(s.began)
		s.bySecond[at/time.Second].Add(1)
		running := s.running.Add(1)
		for peak := s.peak.Load(); at >= s.from && running > peak && !s.peak.CompareAndSwap(peak, running); peak = s.peak.Load() {
		}
		time.Sleep(s.takes(rank, s.loads[rank].Add(1)))
		s.running.Add(-1)
		now := time.Now()
		if s.down(now.Sub(s.began)) {
			return time.Time{}, errDown
		}
		return now, nil
	}
}

// begun returns how many loads began in the seconds between two times.
func (s *source) begun(from, to time.Duration) (loads int64) {
	for second := from / time.Second; second < to/time.Second; second++ {
		loads += s.bySecond[second].Load()
	}
	return loads
}

// takes returns how long the n-th load of a key takes: an odd number of nanoseconds.
func (s *source) takes(rank int, n int64) time.Duration {
	random := rand.New(rand.NewPCG(s.seed, uint64(rank)<<32|uint64(n)))
	return shortestLoad + time.Duration(random.Int64N(int64(longestLoad-shortestLoad))) | 1
}

// play lets the reads of coming happen, each in a goroutine of its own, and calls done
// for each when it has returned. It belongs in a bubble.
func play(t *testing.T, options readthrough.ScopeOptions, source *source, coming []arrival, done func(i int, got readthrough.Result[time.Time], err error, waited time.Duration)) {
	t.Helper()
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	cache, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	options.TTL, options.Jitter = ttl, -1
	scope, err := cache.Scope("simulation", options)
	require.NoError(t, err)
	var group sync.WaitGroup
	for i, a := range coming {
		time.Sleep(a.at - time.Since(source.began))
		group.Go(func() {
			began := time.Now()
			got, err := readthrough.WrapResult(t.Context(), scope, a.key(), source.load(a.rank))
			done(i, got, err, time.Since(began))
		})
	}
	group.Wait()
	time.Sleep(longestLoad) // for loads in the background
	assert.NoError(t, cache.Close())
}
