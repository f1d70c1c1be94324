package readthrough_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
)

func TestManyReadersOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const readers = 1000
		s, src := newScope(t), newGated(7)
		var results [readers]<-chan result[int]
		for i := range results {
			results[i] = wrapAsync(t.Context(), s, "k", src.load)
		}
		synctest.Wait()
		stats := s.Stats()
		assert.Equal(t, int64(readers), stats.Misses, "while loading: misses")
		assert.Equal(t, int64(readers-1), stats.Joined, "while loading: joined")
		assert.Equal(t, 1, stats.InFlight, "while loading: in flight")
		close(src.gate)
		for i := range results {
			r := <-results[i]
			want(t, "reader", r.value, r.err, 7)
		}
		wantLoads(t, &src.loads, 1)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "hit", value, err, 7)
		stats = s.Stats()
		assert.Equal(t, int64(1), stats.Loads, "loads")
		assert.Equal(t, int64(1), stats.Hits, "hits counted")
		wantIdle(t, s)
	})
}

func TestBulkAndSingleReadsShareFlights(t *testing.T) {
	t.Run("a bulk read joins single ones", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, src := newScope(t), newTable("a", "b", "c")
			src.gate = make(chan struct{})
			single := wrapAsync(t.Context(), s, "b", src.loadOne(t.Context(), "b"))
			synctest.Wait()
			bulk := async(func() (map[string]int, error) { return readMany(t.Context(), s, src, "a", "b", "c") })
			synctest.Wait()
			close(src.gate)
			r := <-single
			want(t, "single", r.value, r.err, 2)
			b := <-bulk
			wantMany(t, "bulk", b.value, b.err, map[string]int{"a": 1, "b": 2, "c": 3})
			src.wantAsked(t, "b", "a c")
			wantIdle(t, s)
		})
	})
	t.Run("single reads join a bulk one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, src := newScope(t), newTable("a", "b", "c")
			src.gate = make(chan struct{})
			bulk := async(func() (map[string]int, error) { return readMany(t.Context(), s, src, "a", "b", "none") })
			synctest.Wait()
			one := wrapAsync(t.Context(), s, "b", src.loadOne(t.Context(), "b"))
			none := wrapAsync(t.Context(), s, "none", src.loadOne(t.Context(), "none"))
			synctest.Wait()
			close(src.gate)
			b := <-bulk
			wantMany(t, "bulk", b.value, b.err, map[string]int{"a": 1, "b": 2})
			r := <-one
			want(t, "single", r.value, r.err, 2)
			r = <-none
			assert.ErrorIs(t, r.err, readthrough.ErrNotFound, "an id that the bulk load left out: %v", r.value)
			src.wantAsked(t, "a b none")
			wantIdle(t, s)
		})
	})
}

func TestOverlappingBulkReadsLoadEachIDOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ids, width, readers = 60, 20, 200
		var names []string
		for i := range ids {
			names = append(names, fmt.Sprint("id", i))
		}
		s, src := newScope(t), newTable(names...)
		src.gate = make(chan struct{})
		var bulks [readers]<-chan result[map[string]int]
		for r := range readers {
			bulks[r] = async(func() (map[string]int, error) {
				var mine []string
				for i := range width {
					mine = append(mine, names[(r*7+i)%ids])
				}
				return readMany(t.Context(), s, src, mine...)
			})
		}
		synctest.Wait()
		close(src.gate)
		for r, bulk := range bulks {
			b := <-bulk
			wanted := make(map[string]int)
			for i := range width {
				n := (r*7 + i) % ids
				wanted[names[n]] = n + 1
			}
			wantMany(t, fmt.Sprint("reader ", r), b.value, b.err, wanted)
		}
		asked := make(map[string]int)
		for _, loaded := range src.asked {
			for _, id := range loaded {
				asked[id]++
			}
		}
		for id, n := range asked {
			assert.Equal(t, 1, n, "%s was loaded", id)
		}
		assert.Len(t, asked, ids, "ids were loaded")
		wantIdle(t, s)
	})
}

// The store does not return from a fill. Who reads after the load does not join it,
// however long that takes: its result gets old as if it had been stored.
func TestResultOfAStuckFillGetsOld(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store, release := plain(newStore(t)), make(chan struct{})
		store.before("set", func(string) { <-release })
		s, src := newScope(t, on(store), new(reports).collect()), newSource(1)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "first", value, err, 1)
		src.set(2)
		time.Sleep(time.Minute)
		value, err = readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "after its TTL", value, err, 2)
		close(release)
		wantIdle(t, s)
	})
}
