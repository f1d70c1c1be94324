package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

func appendID(b []byte, id int) []byte { return strconv.AppendInt(append(b, "k:"...), int64(id), 10) }

// TestMemoizeAppendIsMemoize does the same with both, in front of stores that have
// values and of one that has not, and compares all that there is to see.
func TestMemoizeAppendIsMemoize(t *testing.T) {
	stores := map[string]func(t *testing.T) provider.CacheProvider{
		"memory":    func(t *testing.T) provider.CacheProvider { return newStore(t) },
		"no values": func(*testing.T) provider.CacheProvider { return newFaulty() },
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
	cache := newCache(t, store, readthrough.Options{Observer: &events, OnError: func(readthrough.Op, string, string, error) {}})
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
	events []readthrough.Event
}

func (l *eventLog) Observe(e readthrough.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *eventLog) lines() (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		lines = append(lines, fmt.Sprint(e.Kind, e.Key, e.Count, e.Err))
	}
	slices.Sort(lines) // loads in the background come when they come
	return lines
}

// keepingStore is a store with values that panics, so that its error is reported.
type keepingStore struct{ *memory.Store }

func (keepingStore) GetValue(provider.Key) (any, provider.Presence) { panic("no values today") }

func (keepingStore) GetValues([]provider.Key, []provider.Value) { panic("no values today") }

// TestMemoizeAppendReportsKeys: what is told about a key does not change when the
// buffer is used for the next.
func TestMemoizeAppendReportsKeys(t *testing.T) {
	var keys []string
	cache := newCache(t, keepingStore{newStore(t)}, readthrough.Options{
		OnError: func(_ readthrough.Op, _, key string, _ error) { keys = append(keys, key) },
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
// the buffer is used for the next.
func TestMemoizeAppendStoresKeys(t *testing.T) {
	s := newScope(t)
	loads := 0
	get := readthrough.MemoizeAppend(s, appendID, func(_ context.Context, id int) (int, error) {
		loads++
		return id, nil
	})
	for range 2 {
		for id := range 10 {
			got, err := get(t.Context(), id)
			assert.NoError(t, err, "get(%d)", id)
			assert.Equal(t, id, got, "get(%d)", id)
		}
		require.NoError(t, s.Invalidate(t.Context(), "k:3"))
	}
	assert.Equal(t, 11, loads, "loads: one for each id and one after the invalidation")
}
