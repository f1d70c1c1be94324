package memory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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
			if n, err := s.DeletePrefix(t.Context(), "s", prefix); n != matching || err != nil {
				t.Errorf("DeletePrefix = %d, %v; want %d", n, err, matching)
			}
			for _, name := range names {
				if strings.HasPrefix(name, prefix) {
					wantMiss(t, s, key("s", name))
				} else {
					wantGet(t, s, key("s", name), name)
				}
				wantGet(t, s, key("", name), name)
				wantGet(t, s, key("s\x00", name), name)
			}
			if n, err := s.DeletePrefix(t.Context(), "s", prefix); n != 0 || err != nil {
				t.Errorf("again: DeletePrefix = %d, %v", n, err)
			}
		})
	}
}

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "a": "b", "ab": "ac", "a\xff": "b", "\xff\xff": "", "a\xfe\xff": "a\xff"} {
		end, bounded := prefixEnd(prefix)
		if end != want || bounded != (want != "") {
			t.Errorf("prefixEnd(%q) = %q, %v; want %q", prefix, end, bounded, want)
		}
	}
}

func TestEmptyPrefixDropsTheScope(t *testing.T) {
	s := newStore(t, Options{})
	for i := range 3 * chunk {
		mustSet(t, s, key("a", strconv.Itoa(i)), i, time.Hour)
		mustSet(t, s, key("b", strconv.Itoa(i)), i, provider.NoExpiry)
	}
	if n, err := s.DeletePrefix(t.Context(), "a", ""); n != 3*chunk || err != nil {
		t.Errorf("DeletePrefix = %d, %v", n, err)
	}
	if s.scopes["a"] != nil {
		t.Error("an empty scope has state")
	}
	if n, err := s.DeletePrefix(t.Context(), "b", ""); n != 3*chunk || err != nil {
		t.Errorf("DeletePrefix = %d, %v", n, err)
	}
	if len(s.scopes) > 0 || s.policy.ghost.slots != nil {
		t.Error("an empty store has state")
	}
}

// TestEmptyStoreHasNoState, nor a memory of what was evicted from it.
func TestEmptyStoreHasNoState(t *testing.T) {
	s := newStore(t, Options{MaxEntries: 10})
	for i := range 30 {
		mustSet(t, s, key("s", strconv.Itoa(i)), i, time.Hour)
	}
	if s.policy.ghost.slots == nil {
		t.Fatal("nothing was evicted: the test tests nothing")
	}
	for i := range 30 {
		if err := s.Delete(t.Context(), key("s", strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.scopes) > 0 || s.policy.ghost.slots != nil || s.table.Load().size.Load() != firstBuckets {
		t.Error("an empty store has state")
	}
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
			if err := s.SetMany(t.Context(), items); err != nil {
				t.Fatal(err)
			}
			items = items[:0]
		}
	}
	for i := range matching {
		mustSet(t, s, key("s", "list:"+strconv.Itoa(i)), i, time.Hour)
	}
	// The first call has to make the index.
	if n, err := s.DeletePrefix(t.Context(), "s", "nothing"); n != 0 || err != nil {
		t.Fatalf("DeletePrefix = %d, %v", n, err)
	}
	c := cursor{scope: "s", prefix: "list:"}
	holds, removed := 0, 0
	for !c.done {
		n, err := s.deletePrefixChunk(&c)
		if err != nil {
			t.Fatal(err)
		}
		if n > chunk {
			t.Errorf("%d entries in one hold of the lock, more than %d", n, chunk)
		}
		if !s.mu.TryLock() {
			t.Fatal("the lock is held between chunks")
		}
		s.mu.Unlock()
		wantGet(t, s, key("s", "maintenance:1"), nil)
		holds++
		removed += n
	}
	if removed != matching || holds != (matching+chunk-1)/chunk {
		t.Errorf("removed %d in %d holds; want %d in %d", removed, holds, matching, (matching+chunk-1)/chunk)
	}
	if s.count != all {
		t.Errorf("%d entries are left, want %d", s.count, all)
	}
}

// TestIndexVisitsOnlyMatches counts the names that a walk hands out.
func TestIndexVisitsOnlyMatches(t *testing.T) {
	var x scope
	for i := range 10_000 {
		x.names.Insert(fmt.Sprintf("%05d", i))
	}
	names := x.between(make([]string, 0, 100), "", "012", "\xff")
	if len(names) != 100 || names[0] != "01200" || !slices.IsSorted(names) {
		t.Errorf("names = %d from %q", len(names), names[0])
	}
	if last, ok := x.last("012"); last != "01299" || !ok {
		t.Errorf("last = %q, %v", last, ok)
	}
	if names := x.between(make([]string, 0, 100), "01250", "012", "01260"); len(names) != 11 {
		t.Errorf("%d names from 01250 to 01260", len(names))
	}
}

// TestPrefixDeleteGoesOnFromWhereItWas: names that come in behind it do not keep
// it going, nor do those above what was there when it began.
func TestPrefixDeleteGoesOnFromWhereItWas(t *testing.T) {
	s := newStore(t, Options{})
	if n, err := s.DeletePrefix(t.Context(), "s", ""); n != 0 || err != nil { // from now on there is an index
		t.Fatalf("DeletePrefix = %d, %v", n, err)
	}
	for i := range 3 * chunk {
		mustSet(t, s, key("s", fmt.Sprintf("p:%05d", i)), i, time.Hour)
	}
	c := cursor{scope: "s", prefix: "p:"}
	chunks := 0
	for !c.done {
		if chunks++; chunks > 4 {
			t.Fatal("a writer keeps the removal going")
		}
		if _, err := s.deletePrefixChunk(&c); err != nil {
			t.Fatal(err)
		}
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
	if s.index.begun {
		t.Fatal("there is an index that nobody asked for")
	}
	holds := 0
	for complete := false; !complete; holds++ {
		indexed := s.indexed()
		s.mu.Lock()
		complete = s.indexLocked()
		s.mu.Unlock()
		if did := s.indexed() - indexed; did > 2*chunk {
			t.Errorf("%d names in one hold of the lock", did)
		}
		if err := validate(s); err != nil {
			t.Fatal(err)
		}
		for range chunk / 2 { // some new ones, some of them replaced, and some removed
			entries++
			for _, i := range []int{entries, entries - r.IntN(chunk)} {
				mustSet(t, s, key("s"+strconv.Itoa(i%3), strconv.Itoa(i)), i, time.Hour)
			}
			i := r.IntN(entries)
			if err := s.Delete(t.Context(), key("s"+strconv.Itoa(i%3), strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if holds < 5 {
		t.Errorf("%d holds of the lock", holds)
	}
	if err := validate(s); err != nil {
		t.Error(err)
	}
	for scope, x := range s.scopes {
		want := int(x.entries)
		if n, err := s.DeletePrefix(t.Context(), scope, ""); n != want || err != nil {
			t.Errorf("DeletePrefix = %d, %v; want %d", n, err, want)
		}
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
	if complete {
		t.Fatal("the index was made in one hold of the lock: the test tests nothing")
	}
	if err := s.Delete(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), keys[0], entry(1), time.Hour); err != nil {
		t.Fatal(err)
	}
	if n, err := s.DeletePrefix(t.Context(), "s", ""); n != 1 || err != nil {
		t.Errorf("DeletePrefix = %d, %v; want 1", n, err)
	}
	if !s.index.complete || s.table.Load().size.Load() != firstBuckets {
		t.Errorf("index %+v", s.index)
	}
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
		if n, err := s.DeletePrefix(ctx, "s", "list:"); n != 1000 || err != nil {
			t.Errorf("DeletePrefix = %d, %v; want 1000", n, err)
		}
		if page, err := s.List(ctx, provider.ListOptions{Scope: "s", Prefix: "list:"}); page.Total != 0 || err != nil {
			t.Errorf("List = %+v, %v", page, err)
		}
	}
	close(quit)
	writers.Wait()
}
