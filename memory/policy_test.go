package memory

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// zipf draws numbers below n, with the given exponent.
func zipf(n int, exponent float64, seed uint64) func() int {
	sums := make([]float64, n)
	sum := 0.0
	for i := range sums {
		sum += 1 / math.Pow(float64(i+1), exponent)
		sums[i] = sum
	}
	r := rand.New(rand.NewPCG(seed, 99))
	return func() int { return sort.SearchFloat64s(sums, r.Float64()*sum) }
}

// hitRatio reads through a store: what is missed gets stored. The first half of
// the reads warms it up.
func hitRatio(tb testing.TB, capacity int, reads []int) float64 {
	tb.Helper()
	s := newStore(tb, Options{MaxEntries: capacity})
	hits := 0
	for i, read := range reads {
		k := key("s", strconv.Itoa(read))
		_, found, err := s.Get(tb.Context(), k)
		require.NoError(tb, err)
		if found && i >= len(reads)/2 {
			hits++
		}
		if !found {
			mustSet(tb, s, k, i, time.Hour)
		}
	}
	return float64(hits) / float64(len(reads)-len(reads)/2)
}

// times returns what next returns when it is called so many times.
func times(n int, next func(i int) int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = next(i)
	}
	return all
}

func TestJudge(t *testing.T) {
	for _, at := range []place{inSmall, inMain} {
		for hits := range uint32(maxCredit + 1) {
			for _, expired := range []bool{false, true} {
				for _, steps := range []int{0, 1, maxSteps - 1, maxSteps, maxSteps + 1} {
					want := evict
					if hits > 0 && !expired && steps < maxSteps {
						want = map[place]fate{inSmall: promote, inMain: retain}[at]
					}
					assert.Equal(t, want, judge(at, hits, expired, steps), "judge(%d, %d, %v, %d)", at, hits, expired, steps)
				}
			}
		}
	}
}

// TestHitRatio sends reads of several kinds through a store that has room for a
// tenth of the keys. The reads are always the same, and the ratio is, but for the
// loop alone, to a tenth of a point: what is wanted is half a point less than it.
// The best that any policy can do with the first kind that does not know what comes
// is 0.756, the share of the most popular tenth.
func TestHitRatio(t *testing.T) {
	const keys, capacity, reads = 10_000, 1_000, 120_000
	draw := zipf(keys, 0.99, 7)
	for _, c := range []struct {
		name string
		want float64
		next func(i int) int
	}{
		{"popular keys", 0.732, func(int) int { return draw() }},
		{"popular keys among scans", 0.548, func(i int) int {
			if i/capacity%4 == 0 {
				return keys + i
			}
			return draw()
		}},
		{"popular keys among a loop", 0.482, func(i int) int {
			if i%3 == 0 {
				return keys + i/3%(3*capacity/2)
			}
			return draw()
		}},
		{"a loop", 0.55, func(i int) int { return i % (5 * capacity / 4) }},
		{"other keys become popular", 0.639, func(i int) int {
			return (draw() + i/(2*keys)*keys/3) % keys
		}},
	} {
		assert.GreaterOrEqual(t, hitRatio(t, capacity, times(reads, c.next)), c.want, "%s: hit ratio", c.name)
	}
}

// TestScanLeavesWhatIsRead: keys that come once must not displace those that are
// read.
func TestScanLeavesWhatIsRead(t *testing.T) {
	s := newStore(t, Options{MaxEntries: 100})
	for i := range 50 {
		mustSet(t, s, key("s", strconv.Itoa(i)), i, time.Hour)
		wantGet(t, s, key("s", strconv.Itoa(i)), i)
	}
	for i := range 10_000 {
		mustSet(t, s, key("scan", strconv.Itoa(i)), i, time.Hour)
	}
	for i := range 50 {
		wantGet(t, s, key("s", strconv.Itoa(i)), i)
	}
}

// TestWhatComesBackIsKept: a key whose ghost is remembered goes to the main
// queue, where a scan does not reach it.
func TestWhatComesBackIsKept(t *testing.T) {
	s := newStore(t, Options{MaxEntries: 100})
	k := key("s", "k")
	fill := func(from, to int) {
		for i := from; i < to; i++ {
			mustSet(t, s, key("scan", strconv.Itoa(i)), i, time.Hour)
		}
	}
	mustSet(t, s, k, 1, time.Hour)
	fill(0, 120)
	wantMiss(t, s, k)
	mustSet(t, s, k, 2, time.Hour)
	fill(120, 1000)
	wantGet(t, s, k, 2)
}

// TestInvalidatedKeyKeepsItsStanding: an entry of the main queue that is deleted
// or expires comes back to the main queue.
func TestInvalidatedKeyKeepsItsStanding(t *testing.T) {
	s := newStore(t, Options{MaxEntries: 100})
	k := key("s", "k")
	mustSet(t, s, k, 1, time.Hour)
	wantGet(t, s, k, 1)
	for i := range 200 {
		mustSet(t, s, key("scan", strconv.Itoa(i)), i, time.Hour)
	}
	n := s.node(k)
	require.NotNil(t, n, "%v is not in the main queue", k)
	require.Equal(t, inMain, n.place, "%v is not in the main queue", k)
	require.NoError(t, s.Delete(t.Context(), k))
	mustSet(t, s, k, 2, time.Hour)
	assert.Equal(t, inMain, s.node(k).place, "a deleted entry came back to the small queue")
}

// TestReplacedEntryKeepsItsPlace in its queue, with its credit, and in the index.
func TestReplacedEntryKeepsItsPlace(t *testing.T) {
	s := newStore(t, Options{MaxEntries: 100})
	for i := range 10 {
		mustSet(t, s, key("s", strconv.Itoa(i)), i, time.Hour)
	}
	order := func() (names []string) {
		for n := s.policy.small.newest; n != nil; n = n.older {
			names = append(names, n.name)
		}
		return names
	}
	before := fmt.Sprint(order())
	for _, i := range []int{0, 5, 9} { // oldest, middle, newest
		k := key("s", strconv.Itoa(i))
		wantGet(t, s, k, i)
		credit := s.node(k).credit()
		mustSet(t, s, k, -i, time.Hour)
		got := s.node(k).credit()
		assert.Equal(t, credit, got, "the credit after replacing %v", k)
		assert.NotZero(t, got, "the credit after replacing %v", k)
	}
	assert.Equal(t, before, fmt.Sprint(order()), "the queue")
	n, err := s.DeletePrefix(t.Context(), "s", "")
	assert.NoError(t, err, "DeletePrefix")
	assert.Equal(t, 10, n, "DeletePrefix")
}

// TestEvictionPrefersWhatExpired among the candidates, whatever its credit, and
// counts it as expired.
func TestEvictionPrefersWhatExpired(t *testing.T) {
	s := newStore(t, Options{MaxEntries: 10})
	mustSet(t, s, key("s", "old"), 1, time.Nanosecond)
	if n := s.node(key("s", "old")); n != nil {
		n.setCredit(maxCredit)
	}
	for i := range 10 {
		mustSet(t, s, key("s", strconv.Itoa(i)), i, time.Hour)
	}
	for i := range 10 {
		wantGet(t, s, key("s", strconv.Itoa(i)), i)
	}
	stats, err := s.Stats(t.Context())
	assert.NoError(t, err, "Stats: one expiration and no eviction")
	assert.Equal(t, int64(1), stats.Expirations, "Stats: one expiration and no eviction")
	assert.Zero(t, stats.Evictions, "Stats: one expiration and no eviction")
}

// TestEvictionIsShort: one Set passes over a bounded number of entries, even if
// all have all the credit there is.
func TestEvictionIsShort(t *testing.T) {
	const size = 20 * maxSteps
	s := newStore(t, Options{MaxEntries: size})
	for i := range size {
		mustSet(t, s, key("s", strconv.Itoa(i)), i, time.Hour)
	}
	for _, n := range s.nodes() {
		n.setCredit(maxCredit)
	}
	mustSet(t, s, key("s", "new"), 1, time.Hour)
	touched := 0
	for _, n := range s.nodes() {
		if n.name != "new" && (n.place == inMain || n.credit() < maxCredit) {
			touched++
		}
	}
	assert.LessOrEqual(t, touched, maxSteps, "entries that one Set passed over")
}

func TestGhost(t *testing.T) {
	var g ghost
	assert.False(t, g.take(1, 10), "an empty ghost remembers")
	const limit = 1000
	for i := range uint32(limit) {
		g.add(i*2654435761, limit)
	}
	remembered := 0
	for i := range uint32(limit) {
		if g.take(i*2654435761, limit) {
			remembered++
		}
		require.False(t, g.take(i*2654435761, limit), "taken twice")
	}
	assert.GreaterOrEqual(t, remembered, limit*3/4, "remembered of %d", limit)
	g.add(7, limit)
	for i := range uint32(limit) {
		g.add(1<<31|i<<8, limit)
	}
	assert.False(t, g.take(7, limit), "one is remembered after as many others as the limit")
	assert.Len(t, g.slots, 1024, "slots for %d", limit)
	g.turn = math.MaxUint32
	g.add(9, limit)
	assert.True(t, g.take(9, limit), "forgotten when the turn wraps")
}

func TestGhostGrows(t *testing.T) {
	var g ghost
	g.add(1, 1)
	g.add(2, 2)
	g.add(3, 500)
	for i := range uint32(3) {
		assert.True(t, g.take(i+1, 500), "%d was forgotten by growing", i+1)
	}
}

// TestSmallStores have no room for shares.
func TestSmallStores(t *testing.T) {
	for size := range 12 {
		s := newStore(t, Options{MaxEntries: size + 1, MaxWeight: int64(size + 1), Weigher: func(provider.Key, provider.Entry) int64 { return 1 }})
		for i := range 100 {
			mustSet(t, s, key("s", strconv.Itoa(i)), i, time.Hour)
			wantGet(t, s, key("s", strconv.Itoa(i)), i)
		}
		assert.Equal(t, int64(size+1), s.count, "entries in a store of %d", size+1)
	}
}
