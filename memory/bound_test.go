package memory

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// byValue weighs an entry by its value.
func byValue(_ provider.Key, e provider.Entry) int64 {
	if w, ok := e.Value.(int); ok {
		return int64(w)
	}
	return 1
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		want    string // of the error
		entries int64
		weight  int64
	}{
		{name: "zero", entries: DefaultMaxEntries},
		{name: "entries", options: Options{MaxEntries: 7}, entries: 7},
		{name: "weight", options: Options{MaxWeight: 7, Weigher: byValue}, weight: 7},
		{name: "both", options: Options{MaxEntries: 3, MaxWeight: 7, Weigher: byValue}, entries: 3, weight: 7},
		{name: "weigher only", options: Options{Weigher: byValue}, entries: DefaultMaxEntries},
		{name: "no practical bound", options: Options{MaxEntries: math.MaxInt}, entries: math.MaxInt % math.MaxInt64},
		{name: "negative entries", options: Options{MaxEntries: -1}, want: "memory: Options.MaxEntries -1"},
		{name: "negative weight", options: Options{MaxWeight: -1, Weigher: byValue}, want: "memory: Options.MaxWeight -1"},
		{name: "weight without weigher", options: Options{MaxWeight: 1}, want: "Weigher"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := New(c.options)
			if c.want != "" {
				require.Error(t, err, "New")
				require.Nil(t, s, "New")
				require.ErrorContains(t, err, c.want, "New")
				return
			}
			require.NoError(t, err)
			defer s.Close()
			stats, err := s.Stats(t.Context())
			assert.NoError(t, err, "Stats")
			assert.Equal(t, c.entries, stats.MaxEntries, "Stats")
			assert.Equal(t, c.weight, stats.MaxWeight, "Stats")
			if c.options.Weigher == nil {
				assert.Equal(t, provider.Unknown, stats.Weight, "the weight without a weigher")
			}
		})
	}
}

// TestBoundIsExact has writers fill a store beyond its bounds while others look
// at all its parts, under the lock and without it.
func TestBoundIsExact(t *testing.T) {
	const maxEntries, maxWeight, writers, each = 50, 300, 4, 3000
	for name, options := range map[string]Options{
		"entries": {MaxEntries: maxEntries},
		"weight":  {MaxWeight: maxWeight, Weigher: byValue},
		"both":    {MaxEntries: maxEntries, MaxWeight: maxWeight, Weigher: byValue},
	} {
		t.Run(name, func(t *testing.T) {
			r := random(t)
			s := newStore(t, options)
			var writing, looking sync.WaitGroup
			quit := make(chan struct{})
			looking.Go(func() {
				for {
					select {
					case <-quit:
						return
					default:
					}
					stats, err := s.Stats(t.Context())
					if err != nil || options.MaxEntries > 0 && stats.Entries > maxEntries || stats.Weight > maxWeight {
						t.Errorf("Stats = %+v, %v", stats, err)
						return
					}
					// Whatever the counters say.
					if options.MaxEntries > 0 && s.liveSize() > maxEntries {
						t.Errorf("the table has %d entries", s.liveSize())
						return
					}
				}
			})
			for w := range writers {
				seed := r.Uint64()
				writing.Go(func() {
					for i := range each {
						n := int(seed+uint64(i)*7919) % 200
						if n < 0 {
							n = -n
						}
						k := key("s", fmt.Sprint((i*(w+1))%200))
						if err := s.Set(t.Context(), k, entry(1+n%40), time.Hour); err != nil {
							t.Error(err)
						}
						s.Get(t.Context(), key("s", fmt.Sprint(i%200)))
					}
				})
			}
			writing.Wait()
			close(quit)
			looking.Wait()
		})
	}
}

// liveSize counts the entries of the table while no writer is at it.
func (s *Store) liveSize() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.nodes())
}

// TestRoomIsMadeFirst watches the map during single calls: the victim leaves
// before the new entry comes.
func TestRoomIsMadeFirst(t *testing.T) {
	s := newStore(t, Options{MaxEntries: 10, MaxWeight: 100, Weigher: byValue})
	for i := range 10 {
		mustSet(t, s, key("s", fmt.Sprint(i)), 10, time.Hour)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key("s", "new")
	n := s.newNode(&provider.Item{Key: k}, 35, new(names))
	n.expires = never
	old := s.makeRoomLocked(n, &k, s.now())
	require.Nil(t, old, "it replaces another")
	assert.Equal(t, int64(6), s.count, "entries")
	assert.Equal(t, int64(60), s.weight, "weight")
	assert.Len(t, s.nodes(), 6, "entries in the table")
}

func TestTooLarge(t *testing.T) {
	s := newStore(t, Options{MaxWeight: 10, Weigher: byValue})
	k, other := key("s", "k"), key("s", "other")
	mustSet(t, s, other, 1, time.Hour)
	mustSet(t, s, k, 9, time.Hour)
	for _, weight := range []int{11, math.MaxInt} {
		err := s.Set(t.Context(), k, entry(weight), time.Hour)
		assert.ErrorIs(t, err, provider.ErrTooLarge, "Set of weight %d", weight)
		assert.Regexp(t, "^memory:", err, "Set of weight %d", weight)
		wantMiss(t, s, k)
		wantGet(t, s, other, 1)
	}
	mustSet(t, s, k, 2, time.Hour)
	err := s.SetMany(t.Context(), []provider.Item{
		{Key: key("s", "a"), Entry: entry(1), TTL: time.Hour},
		{Key: k, Entry: entry(11), TTL: time.Hour},
		{Key: key("s", "b"), Entry: entry(2), TTL: time.Hour},
		{Key: key("s", "c"), Entry: entry(2), TTL: 0},
	})
	assert.ErrorIs(t, err, provider.ErrTooLarge, "SetMany returns both refusals")
	assert.ErrorContains(t, err, "ttl", "SetMany returns both refusals")
	wantMiss(t, s, k)
	wantGet(t, s, key("s", "a"), 1)
	wantGet(t, s, key("s", "b"), 2)
	mustSet(t, s, k, 10, time.Hour) // all there is
	wantGet(t, s, k, 10)
	assert.Equal(t, int64(1), s.count, "entries")
	mustSet(t, s, k, 10, time.Hour) // in place of itself
	wantGet(t, s, k, 10)
}

func TestReplacingByAHeavierOneMakesRoom(t *testing.T) {
	s := newStore(t, Options{MaxWeight: 10, Weigher: byValue})
	for i := range 5 {
		mustSet(t, s, key("s", fmt.Sprint(i)), 2, time.Hour)
	}
	mustSet(t, s, key("s", "0"), 9, time.Hour) // the oldest: it is its own victim
	wantGet(t, s, key("s", "0"), 9)
	assert.Equal(t, int64(1), s.count, "entries")
	assert.Equal(t, int64(9), s.weight, "weight")
}

func TestWeigherThatFails(t *testing.T) {
	for name, bad := range map[string]func() int64{
		"negative": func() int64 { return -1 },
		"least":    func() int64 { return math.MinInt64 },
		"panic":    func() int64 { panic("boom") },
		"index":    func() int64 { return []int64{}[len(t.Name())] },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, Options{MaxWeight: 10, Weigher: func(k provider.Key, _ provider.Entry) int64 {
				if k.Name == "bad" {
					return bad()
				}
				return 0 // counts as one
			}})
			mustSet(t, s, key("s", "good"), 1, time.Hour)
			assert.ErrorIs(t, s.Set(t.Context(), key("s", "bad"), entry(1), time.Hour), ErrWeigher, "Set")
			items := []provider.Item{
				{Key: key("s", "bad"), Entry: entry(1), TTL: time.Hour},
				{Key: key("s", "fine"), Entry: entry(1), TTL: time.Hour},
			}
			assert.ErrorIs(t, s.SetMany(t.Context(), items), ErrWeigher, "SetMany")
			wantMiss(t, s, key("s", "bad"))
			wantGet(t, s, key("s", "good"), 1)
			wantGet(t, s, key("s", "fine"), 1)
			assert.Equal(t, int64(2), s.weight, "weight: zero counts as one")
		})
	}
}

func TestWeigherThatFailsLeavesNothingBehind(t *testing.T) {
	fail := false
	s := newStore(t, Options{Weigher: func(provider.Key, provider.Entry) int64 {
		if fail {
			panic("boom")
		}
		return 1
	}})
	mustSet(t, s, key("s", "k"), 1, time.Hour)
	fail = true
	assert.ErrorIs(t, s.Set(t.Context(), key("s", "k"), entry(2), time.Hour), ErrWeigher, "Set")
	wantMiss(t, s, key("s", "k"))
}

// TestWeigherThatEndsItsGoroutine must leave no lock held.
func TestWeigherThatEndsItsGoroutine(t *testing.T) {
	s := newStore(t, Options{Weigher: func(k provider.Key, _ provider.Entry) int64 {
		if k.Name == "bad" {
			runtime.Goexit()
		}
		return 1
	}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Set(t.Context(), key("s", "bad"), entry(1), time.Hour)
	}()
	<-done
	mustSet(t, s, key("s", "k"), 1, time.Hour)
	wantGet(t, s, key("s", "k"), 1)
}

// TestSlowWeigherBlocksNobody: user code that hangs inside one call must not
// hold up any other. (Elsewhere it ran under the lock of a shard.)
func TestSlowWeigherBlocksNobody(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var s *Store
	s = newStore(t, Options{Weigher: func(k provider.Key, _ provider.Entry) int64 {
		if k.Name == "slow" {
			close(entered)
			<-release
			wantGet(t, s, key("s", "k"), 2) // it may even use the store
			mustSet(t, s, key("s", "inner"), 1, time.Hour)
		}
		return 1
	}})
	mustSet(t, s, key("s", "k"), 1, time.Hour)
	done := make(chan error)
	go func() { done <- s.Set(t.Context(), key("s", "slow"), entry(1), time.Hour) }()
	<-entered
	wantGet(t, s, key("s", "k"), 1)
	mustSet(t, s, key("s", "k"), 2, time.Hour)
	n, err := s.DeletePrefix(t.Context(), "s", "nothing")
	assert.NoError(t, err, "DeletePrefix")
	assert.Zero(t, n, "DeletePrefix")
	close(release)
	assert.NoError(t, <-done)
	wantGet(t, s, key("s", "slow"), 1)
	wantGet(t, s, key("s", "inner"), 1)
}
