package memory

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// TestPrefixIsBytes compares the index with a look at every name.
func TestPrefixIsBytes(t *testing.T) {
	names := []string{
		"", "a", "b", "ab", "abc", "a\x00", "a\x00b", "a\xff", "a\xff\xff", "a\xff\xffb", "\xff", "\xff\xff", "\xffa",
		"list:*", "list:?", "list:[a]", "list:%", "list:", "lisu", "\x00", "\x00\x00", "é", "日本",
	}
	for _, prefix := range append(names, "z", "list:[", "a\xff\xff\xff", "\xff\xff\xff") {
		t.Run(fmt.Sprintf("%q", prefix), func(t *testing.T) {
			s := newStore(t, Options{})
			for _, scope := range []string{"s", "", "s\x00", "other"} {
				for _, name := range names {
					mustSet(t, s, key(scope, name), name, time.Hour)
				}
			}
			matching := 0
			for _, name := range names {
				if strings.HasPrefix(name, prefix) {
					matching++
				}
			}
			n, err := s.DeletePrefix(t.Context(), "s", prefix)
			assert.NoError(t, err, "DeletePrefix")
			assert.Equal(t, matching, n, "DeletePrefix")
			for _, name := range names {
				if strings.HasPrefix(name, prefix) {
					wantMiss(t, s, key("s", name))
				} else {
					wantGet(t, s, key("s", name), name)
				}
				wantGet(t, s, key("", name), name)
				wantGet(t, s, key("s\x00", name), name)
			}
			n, err = s.DeletePrefix(t.Context(), "s", prefix)
			assert.NoError(t, err, "again: DeletePrefix")
			assert.Zero(t, n, "again: DeletePrefix")
		})
	}
}

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "a": "b", "ab": "ac", "a\xff": "b", "\xff\xff": "", "a\xfe\xff": "a\xff"} {
		end, bounded := prefixEnd(prefix)
		assert.Equal(t, want, end, "prefixEnd(%q)", prefix)
		assert.Equal(t, want != "", bounded, "prefixEnd(%q)", prefix)
	}
}

func TestEmptyPrefixDropsTheScope(t *testing.T) {
	s := newStore(t, Options{})
	for i := range 3 * chunk {
		mustSet(t, s, key("a", strconv.Itoa(i)), i, time.Hour)
		mustSet(t, s, key("b", strconv.Itoa(i)), i, provider.NoExpiry)
	}
	n, err := s.DeletePrefix(t.Context(), "a", "")
	assert.NoError(t, err, "DeletePrefix")
	assert.Equal(t, 3*chunk, n, "DeletePrefix")
	assert.Nil(t, s.scopes["a"], "an empty scope has state")
	n, err = s.DeletePrefix(t.Context(), "b", "")
	assert.NoError(t, err, "DeletePrefix")
	assert.Equal(t, 3*chunk, n, "DeletePrefix")
	assert.Empty(t, s.scopes, "an empty store has state")
	assert.Nil(t, s.policy.ghost.slots, "an empty store has state")
}

// TestEmptyStoreHasNoState, nor a memory of what was evicted from it.
func TestEmptyStoreHasNoState(t *testing.T) {
	s := newStore(t, Options{MaxEntries: 10})
	for i := range 30 {
		mustSet(t, s, key("s", strconv.Itoa(i)), i, time.Hour)
	}
	require.NotNil(t, s.policy.ghost.slots, "nothing was evicted: the test tests nothing")
	for i := range 30 {
		require.NoError(t, s.Delete(t.Context(), key("s", strconv.Itoa(i))))
	}
	assert.Empty(t, s.scopes, "an empty store has state")
	assert.Nil(t, s.policy.ghost.slots, "an empty store has state")
	assert.Equal(t, uint32(firstBuckets), s.table.Load().size.Load(), "an empty store has state")
}

// TestPrefixAmongMany: what DeletePrefix does depends on what matches, not on
// how much there is. It looks at the matching names and no others, and lets
// others in after every chunk.
func TestPrefixAmongMany(t *testing.T) {
	const matching, all = 1_000, 50_000
	s := newStore(t, Options{MaxEntries: all + matching})
	items := make([]provider.Item, 0, 1000)
	for i := range all {
		items = append(items, provider.Item{Key: key("s", "maintenance:"+strconv.Itoa(i)), TTL: time.Hour})
		if len(items) == cap(items) {
			require.NoError(t, s.SetMany(t.Context(), items))
			items = items[:0]
		}
	}
	for i := range matching {
		mustSet(t, s, key("s", "list:"+strconv.Itoa(i)), i, time.Hour)
	}
	// The first call has to make the index.
	n, err := s.DeletePrefix(t.Context(), "s", "nothing")
	require.NoError(t, err, "DeletePrefix")
	require.Zero(t, n, "DeletePrefix")
	c := cursor{scope: "s", prefix: "list:"}
	holds, removed := 0, 0
	for !c.done {
		n, err := s.deletePrefixChunk(&c)
		require.NoError(t, err)
		assert.LessOrEqual(t, n, chunk, "entries in one hold of the lock")
		require.True(t, s.mu.TryLock(), "the lock is held between chunks")
		s.mu.Unlock()
		wantGet(t, s, key("s", "maintenance:1"), nil)
		holds++
		removed += n
	}
	assert.Equal(t, matching, removed, "removed")
	assert.Equal(t, (matching+chunk-1)/chunk, holds, "holds of the lock")
	assert.Equal(t, int64(all), s.count, "entries left")
}

// TestIndexVisitsOnlyMatches counts the names that a walk hands out.
func TestIndexVisitsOnlyMatches(t *testing.T) {
	var x scope
	for i := range 10_000 {
		x.names.Insert(fmt.Sprintf("%05d", i))
	}
	names := x.between(make([]string, 0, 100), "", "012", "\xff")
	if assert.Len(t, names, 100, "names") {
		assert.Equal(t, "01200", names[0], "names")
		assert.IsNonDecreasing(t, names, "names")
	}
	last, ok := x.last("012")
	assert.Equal(t, "01299", last, "last")
	assert.True(t, ok, "last")
	assert.Len(t, x.between(make([]string, 0, 100), "01250", "012", "01260"), 11, "names from 01250 to 01260")
}

// TestPrefixDeleteGoesOnFromWhereItWas: names that come in behind it do not keep
// it going, nor do those above what was there when it began.
func TestPrefixDeleteGoesOnFromWhereItWas(t *testing.T) {
	s := newStore(t, Options{})
	// from now on there is an index
	n, err := s.DeletePrefix(t.Context(), "s", "")
	require.NoError(t, err, "DeletePrefix")
	require.Zero(t, n, "DeletePrefix")
	for i := range 3 * chunk {
		mustSet(t, s, key("s", fmt.Sprintf("p:%05d", i)), i, time.Hour)
	}
	c := cursor{scope: "s", prefix: "p:"}
	chunks := 0
	for !c.done {
		chunks++
		require.LessOrEqual(t, chunks, 4, "a writer keeps the removal going")
		_, err := s.deletePrefixChunk(&c)
		require.NoError(t, err)
		for i := range 2 * chunk {
			mustSet(t, s, key("s", fmt.Sprintf("p:!%d", i)), i, time.Hour)             // behind
			mustSet(t, s, key("s", fmt.Sprintf("p:9%d%05d", chunks, i)), i, time.Hour) // ahead
		}
	}
	for i := range 3 * chunk {
		wantMiss(t, s, key("s", fmt.Sprintf("p:%05d", i)))
	}
}

// TestIndexIsMadeInChunks, the first time that somebody asks for a prefix, while
// entries come and go and the table grows, and has all names then.
func TestIndexIsMadeInChunks(t *testing.T) {
	r := random(t)
	s := newStore(t, Options{})
	entries := 5*chunk + r.IntN(chunk)
	for i := range entries {
		mustSet(t, s, key("s"+strconv.Itoa(i%3), strconv.Itoa(i)), i, time.Hour)
	}
	require.False(t, s.index.begun, "there is an index that nobody asked for")
	holds := 0
	for complete := false; !complete; holds++ {
		indexed := s.indexed()
		s.mu.Lock()
		complete = s.indexLocked()
		s.mu.Unlock()
		assert.LessOrEqual(t, s.indexed()-indexed, 2*chunk, "names in one hold of the lock")
		require.NoError(t, validate(s))
		for range chunk / 2 { // some new ones, some of them replaced, and some removed
			entries++
			for _, i := range []int{entries, entries - r.IntN(chunk)} {
				mustSet(t, s, key("s"+strconv.Itoa(i%3), strconv.Itoa(i)), i, time.Hour)
			}
			i := r.IntN(entries)
			require.NoError(t, s.Delete(t.Context(), key("s"+strconv.Itoa(i%3), strconv.Itoa(i))))
		}
	}
	assert.GreaterOrEqual(t, holds, 5, "holds of the lock")
	assert.NoError(t, validate(s))
	for scope, x := range s.scopes {
		want := int(x.entries)
		n, err := s.DeletePrefix(t.Context(), scope, "")
		assert.NoError(t, err, "DeletePrefix")
		assert.Equal(t, want, n, "DeletePrefix")
	}
}

// indexed returns how many names the index has.
func (s *Store) indexed() (names int) {
	for _, x := range s.scopes {
		names += x.names.Len()
	}
	return names
}

// TestIndexOfAStoreThatBecomesEmpty while its index is made.
func TestIndexOfAStoreThatBecomesEmpty(t *testing.T) {
	s := newStore(t, Options{})
	keys := make([]provider.Key, 4*chunk)
	for i := range keys {
		keys[i] = key("s", strconv.Itoa(i))
		mustSet(t, s, keys[i], i, time.Hour)
	}
	s.mu.Lock()
	complete := s.indexLocked()
	s.mu.Unlock()
	require.False(t, complete, "the index was made in one hold of the lock: the test tests nothing")
	require.NoError(t, s.Delete(t.Context(), keys...))
	require.NoError(t, s.Set(t.Context(), keys[0], entry(1), time.Hour))
	n, err := s.DeletePrefix(t.Context(), "s", "")
	assert.NoError(t, err, "DeletePrefix")
	assert.Equal(t, 1, n, "DeletePrefix")
	assert.True(t, s.index.complete, "index %+v", s.index)
	assert.Equal(t, uint32(firstBuckets), s.table.Load().size.Load(), "index %+v", s.index)
}

// TestPrefixDeleteAmongWriters: what was there when it began is gone when it
// returns, exactly that is counted, and nobody else's entries are touched.
func TestPrefixDeleteAmongWriters(t *testing.T) {
	s := newStore(t, Options{})
	ctx := t.Context()
	var writers sync.WaitGroup
	quit := make(chan struct{})
	for w := range 3 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-quit:
					return
				default:
				}
				k := key("s", fmt.Sprintf("other:%d:%d", w, i%500))
				if err := s.Set(ctx, k, entry(i), time.Hour); err != nil {
					t.Error(err)
				}
				if e, ok, err := s.Get(ctx, k); !ok || e.Value != i || err != nil {
					t.Errorf("Get %v = %v, %v, %v; want %d", k, e.Value, ok, err, i)
				}
			}
		})
	}
	for range 20 {
		for i := range 1000 {
			mustSet(t, s, key("s", fmt.Sprintf("list:%d", i)), i, time.Hour)
		}
		n, err := s.DeletePrefix(ctx, "s", "list:")
		assert.NoError(t, err, "DeletePrefix")
		assert.Equal(t, 1000, n, "DeletePrefix")
		page, err := s.List(ctx, provider.ListOptions{Scope: "s", Prefix: "list:"})
		assert.NoError(t, err, "List")
		assert.Zero(t, page.Total, "List")
	}
	close(quit)
	writers.Wait()
}
