package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

func TestMemoizeIsWrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		loads := make(map[int]int)
		get := readthrough.Memoize(s, func(id int) string { return fmt.Sprint("k:", id) },
			func(_ context.Context, id int) (string, error) {
				loads[id]++
				switch id {
				case 1:
					return "", readthrough.ErrNotFound
				case 2:
					return "", errFault
				case 3:
					panic("three")
				default:
					return fmt.Sprint("v", id, ".", loads[id]), nil
				}
			})
		for range 3 {
			got, err := get(t.Context(), 7)
			want(t, "value", got, err, "v7.1")
			_, err = get(t.Context(), 1)
			assert.ErrorIs(t, err, readthrough.ErrNotFound, "absent")
			_, err = get(t.Context(), 2)
			assert.ErrorIs(t, err, errFault, "failed")
			var panicErr *readthrough.PanicError
			_, err = get(t.Context(), 3)
			if assert.ErrorAs(t, err, &panicErr, "panicked") {
				assert.Equal(t, "three", panicErr.Value, "panicked")
			}
		}
		assert.Equal(t, map[int]int{7: 1, 1: 1, 2: 3, 3: 3}, loads, "loads")
		// It is the same key that Wrap reads and that Invalidate removes.
		got, err := readthrough.Wrap(t.Context(), s, "k:7", func(context.Context) (string, error) { return "not loaded", nil })
		want(t, "Wrap", got, err, "v7.1")
		require.NoError(t, s.Invalidate(t.Context(), "k:7"))
		got, err = get(t.Context(), 7)
		want(t, "after the invalidation", got, err, "v7.2")
		wantIdle(t, s)
	})
}

func TestMemoizeStampede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		source := newGated("v")
		get := readthrough.Memoize(s, func(id string) string { return id },
			func(ctx context.Context, _ string) (string, error) { return source.load(ctx) })
		var readers sync.WaitGroup
		for range 1000 {
			readers.Go(func() {
				got, err := get(t.Context(), "k")
				want(t, "reader", got, err, "v")
			})
		}
		synctest.Wait()
		close(source.gate)
		readers.Wait()
		wantLoads(t, &source.loads, 1)
	})
}

// TestMemoizeOptions: the options are those at the time of Memoize, whatever
// becomes of the slice.
func TestMemoizeOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		loads := 0
		options := []readthrough.CallOption{readthrough.TTL(time.Second)}
		get := readthrough.Memoize(s, func(id string) string { return id },
			func(context.Context, string) (int, error) { loads++; return loads, nil }, options...)
		getMany := readthrough.MemoizeMany(s, func(id string) string { return "many:" + id },
			func(_ context.Context, ids []string) (map[string]int, error) {
				loads++
				return map[string]int{ids[0]: loads}, nil
			}, options...)
		options[0] = readthrough.TTL(time.Hour)
		for i := range 3 {
			got, err := get(t.Context(), "k")
			want(t, "read", got, err, 2*i+1)
			many, err := getMany(t.Context(), []string{"k"})
			want(t, "bulk read", many["k"], err, 2*i+2)
			time.Sleep(time.Second)
		}
	})
}

func TestMemoizeManyIsWrapMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		var asked [][]int
		key := func(id int) string { return fmt.Sprint("k:", id) }
		getMany := readthrough.MemoizeMany(s, key, func(_ context.Context, ids []int) (map[int]string, error) {
			asked = append(asked, ids)
			loaded := make(map[int]string)
			for _, id := range ids {
				if id > 0 {
					loaded[id] = fmt.Sprint("v", id)
				}
			}
			return loaded, nil
		})
		read := func(ids []int, wanted map[int]string) {
			t.Helper()
			got, err := getMany(t.Context(), ids)
			assert.NoError(t, err, "read of %v", ids)
			assert.Equal(t, wanted, got, "read of %v", ids)
		}
		read([]int{1, 2, -1}, map[int]string{1: "v1", 2: "v2"})
		read([]int{2, 3, -1, 3}, map[int]string{2: "v2", 3: "v3"})
		read(nil, map[int]string{})
		get := readthrough.Memoize(s, key, func(context.Context, int) (string, error) { return "not loaded", nil })
		got, err := get(t.Context(), 3)
		want(t, "Memoize", got, err, "v3")
		assert.Equal(t, [][]int{{1, 2, -1}, {3}}, asked, "the ids it was asked for")
	})
}

func appendID(b []byte, id int) []byte { return strconv.AppendInt(append(b, "k:"...), int64(id), 10) }

// TestMemoizeAppendIsMemoize does the same with both, in front of stores that have
// values and of one that has not, and compares all that there is to see.
func TestMemoizeAppendIsMemoize(t *testing.T) {
	stores := map[string]func(t *testing.T) provider.CacheProvider{
		"memory":    func(t *testing.T) provider.CacheProvider { return newStore(t) },
		"no values": func(t *testing.T) provider.CacheProvider { t.Helper(); return plain(newStore(t)) },
	}
	for name, open := range stores {
		for _, aging := range []bool{false, true} {
			bubble(t, fmt.Sprintf("%s, aging %v", name, aging), func(t *testing.T) {
				var seen [2][]string
				for i := range seen {
					seen[i] = transcript(t, open(t), aging, i == 1)
				}
				assert.Equal(t, seen[1], seen[0], "what happens with Memoize and with MemoizeAppend")
			})
		}
	}
}

// transcript is what a test sees of a memoized function.
func transcript(t *testing.T, store provider.CacheProvider, aging, appends bool) (seen []string) {
	t.Helper()
	var events eventLog
	cache := newCache(t, store, readthrough.Options{Observer: observer(events.observe), OnError: func(*readthrough.OpError) {}})
	options := readthrough.ScopeOptions{TTL: time.Minute, Jitter: -1, NegativeTTL: time.Minute}
	if aging {
		options.StaleWhileRevalidate = time.Hour
	}
	s, err := cache.Scope("s", options)
	require.NoError(t, err)
	loads := 0
	load := func(_ context.Context, id int) (string, error) {
		switch loads++; id {
		case 1:
			return "", readthrough.ErrNotFound
		case 2:
			return "", errFault
		default:
			return fmt.Sprint("v", id, ".", loads), nil
		}
	}
	get := readthrough.Memoize(s, func(id int) string { return string(appendID(nil, id)) }, load)
	if appends {
		get = readthrough.MemoizeAppend(s, appendID, load)
	}
	for range 3 {
		for _, id := range []int{0, 1, 2, 33, 4444, 0} {
			value, err := get(t.Context(), id)
			synctest.Wait()
			seen = append(seen, fmt.Sprint(id, value, err, loads))
		}
		require.NoError(t, s.Invalidate(t.Context(), "k:33"))
		time.Sleep(40 * time.Second)
	}
	// A value of another type is loaded anew.
	other := readthrough.Memoize(s, func(id int) string { return string(appendID(nil, id)) }, func(context.Context, int) (int, error) { return 7, nil })
	_, err = other(t.Context(), 5)
	require.NoError(t, err)
	value, err := get(t.Context(), 5)
	synctest.Wait()
	seen = append(seen, fmt.Sprint(value, err, loads))
	stats := s.Stats()
	seen = append(seen, fmt.Sprint(stats.Hits, stats.Misses, stats.Loads))
	if i, ok := store.(provider.Inspector); ok {
		below, err := i.Stats(t.Context())
		seen = append(seen, fmt.Sprint(below.Hits, below.Misses, err))
	}
	return append(seen, events.lines()...)
}

// eventLog keeps events as they came, with their keys.
type eventLog struct {
	mu     sync.Mutex // guards following
	events []happened
}

func (l *eventLog) observe(e happened) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *eventLog) lines() (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		lines = append(lines, fmt.Sprint(e.kind, e.Key, e.Count, e.Err))
	}
	slices.Sort(lines) // loads in the background come when they come
	return lines
}

// TestMemoizeAppendReportsKeys: what is told about a key does not change when the
// buffer is used for the next.
func TestMemoizeAppendReportsKeys(t *testing.T) {
	var keys []string
	store := plain(newStore(t))
	store.fail(faultPanic, "getValue", "getValues") // so that the error is reported
	cache := newCache(t, store.as(likeMemory), readthrough.Options{
		OnError: func(e *readthrough.OpError) { keys = append(keys, e.Key) },
	})
	s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(t, err)
	get := readthrough.MemoizeAppend(s, appendID, func(_ context.Context, id int) (int, error) { return id, nil })
	for id := range 3 {
		got, err := get(t.Context(), id)
		assert.NoError(t, err, "get(%d)", id)
		assert.Equal(t, id, got, "get(%d)", id)
	}
	assert.Equal(t, []string{"k:0", "k:1", "k:2"}, keys, "the keys of the reports")
}

// TestMemoizeAppendTogether: buffers are not shared by calls under way.
func TestMemoizeAppendTogether(t *testing.T) {
	s := newScope(t)
	get := readthrough.MemoizeAppend(s, appendID, func(_ context.Context, id int) (int, error) { return id, nil })
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 2000 {
				id := (i*7 + g) % 300
				if got, err := get(t.Context(), id); err != nil || got != id { // no assertion: its lock would hide races
					t.Errorf("get(%d) = %d, %v", id, got, err)
					return
				}
			}
		})
	}
	group.Wait()
}

func TestMemoizeAppendOfBadArguments(t *testing.T) {
	s := newScope(t)
	load := func(context.Context, int) (int, error) { return 0, errors.New("loaded") }
	for name, get := range map[string]func(context.Context, int) (int, error){
		"key: must not be nil":   readthrough.MemoizeAppend(s, nil, load),
		"load: must not be nil":  readthrough.MemoizeAppend[int, int](s, appendID, nil),
		"scope: must not be nil": readthrough.MemoizeAppend(nil, appendID, load),
		"key: must not be empty": readthrough.MemoizeAppend(s, func(b []byte, _ int) []byte { return b }, load),
		"must not be longer than": readthrough.MemoizeAppend(s, func(b []byte, _ int) []byte {
			return append(b, make([]byte, readthrough.MaxKeyBytes+1)...)
		}, load),
	} {
		_, err := get(t.Context(), 1)
		assert.ErrorContains(t, err, name)
	}
}

// TestMemoizeAppendStoresKeys: what is stored under a key is not under another one when
// the buffer is used for the next, while the load of the first runs.
func TestMemoizeAppendStoresKeys(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t)
		var loads atomic.Int64
		gate := make(chan struct{})
		get := readthrough.MemoizeAppend(s, appendID, func(_ context.Context, id int) (int, error) {
			loads.Add(1)
			<-gate
			return id, nil
		})
		var reads []<-chan result[int]
		for id := range 10 {
			reads = append(reads, async(func() (int, error) { return get(t.Context(), id) }))
			synctest.Wait()
		}
		close(gate)
		for id, read := range reads {
			r := <-read
			want(t, fmt.Sprintf("get(%d)", id), r.value, r.err, id)
		}
		require.NoError(t, s.Invalidate(t.Context(), "k:3"))
		for id := range 10 {
			got, err := get(t.Context(), id)
			want(t, fmt.Sprintf("get(%d)", id), got, err, id)
		}
		wantLoads(t, &loads, 11) // one for each id and one after the invalidation
		wantIdle(t, s)
	})
}
