package memory

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// TestEntryIsKept as it was given, whether there is room for it in the node or not.
func TestEntryIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain := newStore(t, Options{})
		weighed := newStore(t, Options{Weigher: func(provider.Key, provider.Entry) int64 { return 7 }})
		time.Sleep(time.Hour) // so that their clocks are not at their beginnings
		now := time.Now()
		for _, c := range []struct {
			name  string
			entry provider.Entry
			boxed bool
		}{
			{name: "nothing"},
			{name: "value", entry: provider.Entry{Value: 1}},
			{name: "absent", entry: provider.Entry{Absent: true}},
			{name: "absent with a value", entry: provider.Entry{Absent: true, Value: "v"}},
			{name: "loaded now", entry: provider.Entry{Value: 1, LoadedAt: now, LoadTime: time.Microsecond}},
			{name: "loaded before", entry: provider.Entry{Value: 1, LoadedAt: now.Add(-4 * time.Second)}},
			{name: "loaded elsewhere", entry: provider.Entry{Value: 1, LoadedAt: now.UTC().Round(0)}},
			{name: "took as long as there is room for", entry: provider.Entry{LoadTime: 1<<32 - 1}},
			{name: "took longer", entry: provider.Entry{Value: 1, LoadTime: 1 << 32}, boxed: true},
			{name: "took less than nothing", entry: provider.Entry{Value: 1, LoadTime: -1}, boxed: true},
			{name: "loaded as early as there is room for", entry: provider.Entry{LoadedAt: now.Add(-(1<<32 - 2))}},
			{name: "loaded earlier", entry: provider.Entry{LoadedAt: now.Add(-(1<<32 - 1))}, boxed: true},
			{name: "loaded before the store", entry: provider.Entry{LoadedAt: now.Add(-24 * time.Hour)}, boxed: true},
			{name: "loaded later", entry: provider.Entry{LoadedAt: now.Add(1)}, boxed: true},
			{name: "loaded in the first year", entry: provider.Entry{LoadedAt: time.Time{}.Add(1)}, boxed: true},
			{name: "loaded in the last", entry: provider.Entry{LoadedAt: time.Unix(1<<40, 0)}, boxed: true},
			{name: "fresh until", entry: provider.Entry{Value: 1, FreshUntil: now.Add(time.Second)}, boxed: true},
			{name: "validator", entry: provider.Entry{Value: 1, Validator: "v", Absent: true}, boxed: true},
		} {
			for _, s := range []*Store{plain, weighed} {
				k := key("s", "k")
				require.NoError(t, s.Set(t.Context(), k, c.entry, time.Hour))
				n := s.node(k)
				_, boxed := n.value.(*box)
				assert.Equal(t, c.boxed || s == weighed, boxed, "%s: boxed", c.name)
				assert.Equal(t, s.weight, n.weight(), "%s: weight", c.name)
				got, found, err := s.Get(t.Context(), k)
				assert.NoError(t, err, "%s: Get", c.name)
				assert.True(t, found, "%s: Get", c.name)
				assert.True(t, sameEntry(got, c.entry), "%s: Get = %+v, want %+v", c.name, got, c.entry)
			}
		}
	})
}

// TestNodeIsSmall: there may be millions. The next size that the runtime has is 128
// bytes.
func TestNodeIsSmall(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(node{}), uintptr(112), "bytes of a node")
}

// sameEntry reports whether two entries are the same but for the form of their
// times.
func sameEntry(a, b provider.Entry) bool {
	same := a.FreshUntil.Equal(b.FreshUntil) && a.LoadedAt.Equal(b.LoadedAt)
	a.FreshUntil, a.LoadedAt = b.FreshUntil, b.LoadedAt
	return same && a == b
}

// TestNamesAreCopies: no name that the store keeps is memory of its caller, and one that outlives
// the others of its piece keeps little of theirs.
func TestNamesAreCopies(t *testing.T) {
	s := newStore(t, Options{})
	const n = 40
	var items []provider.Item
	for i := range n {
		size := i + 1
		if i == n/2 {
			size = pieceSize // takes memory of its own
		}
		items = append(items, provider.Item{Key: key("s", strings.Repeat(string(rune('0'+i)), size)), TTL: time.Hour})
	}
	alone := key("s", "alone")
	require.NoError(t, s.SetMany(t.Context(), items))
	require.NoError(t, s.Set(t.Context(), alone, provider.Entry{}, time.Hour))
	items = append(items, provider.Item{Key: alone})

	pieces, size := 0, 0
	var end uintptr // of the name before
	for _, item := range items {
		given, kept := item.Key.Name, s.node(item.Key).name
		require.Equal(t, given, kept)
		require.NotSame(t, unsafe.StringData(given), unsafe.StringData(kept), "the caller's memory is kept")
		begin := uintptr(unsafe.Pointer(unsafe.StringData(kept)))
		if begin != end {
			pieces, size = pieces+1, 0
		}
		end = begin + uintptr(len(kept))
		size += len(kept)
		assert.LessOrEqual(t, size, 2*pieceSize, "a piece that one name keeps alive")
	}
	assert.Less(t, pieces, n, "names that are stored together share pieces")
}
