package memory

import (
	"errors"
	"fmt"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// newStore makes a store that is validated and closed when the test ends.
func newStore(tb testing.TB, options Options) *Store {
	tb.Helper()
	s, err := New(options)
	require.NoError(tb, err, "New")
	tb.Cleanup(func() {
		assert.NoError(tb, validate(s), "the store is broken")
		assert.NoError(tb, s.Close(), "Close")
		assert.NoError(tb, validate(s), "the closed store is broken")
	})
	return s
}

// validate checks that all parts of a store agree.
func validate(s *Store) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes, err := validateMap(s)
	if err != nil {
		return err
	}
	return errors.Join(
		validateCounts(s, nodes),
		validateScopes(s, nodes),
		validateQueues(s, nodes),
		validateWheel(s, nodes),
		validateGhost(s),
	)
}

func validateMap(s *Store) (map[*node]bool, error) {
	nodes := map[*node]bool{}
	var err error
	t := s.table.Load()
	size := t.size.Load()
	for i := range size {
		last := uint32(0)
		for n := t.bucket(i).Load(); n != nil; n = n.next.Load() {
			if nodes[n] {
				return nil, fmt.Errorf("table: %v is in it twice", n.key())
			}
			key, rank := n.key(), bits.Reverse32(n.hash())
			switch {
			case n.hash() != s.hash(&key):
				err = fmt.Errorf("table: %v has another hash", key)
			case bucketOf(size, n.hash()) != i:
				err = fmt.Errorf("table: %v is in bucket %d of %d", key, i, size)
			case rank < last:
				err = fmt.Errorf("table: %v is behind others", key)
			case s.find(&key) != n:
				err = fmt.Errorf("table: %v finds another node", key)
			case n.expires <= n.stored:
				err = fmt.Errorf("table: %v ends at %d, was stored at %d", key, n.expires, n.stored)
			}
			last = rank
			nodes[n] = true
		}
	}
	if size < firstBuckets || len(nodes) > int(size/bucketsPerNode) && size < maxBuckets || len(nodes) == 0 && size > firstBuckets {
		err = fmt.Errorf("table: %d buckets for %d nodes", size, len(nodes))
	}
	return nodes, err
}

// nodes returns the nodes of a store that nobody changes.
func (s *Store) nodes() (nodes []*node) {
	t := s.table.Load()
	for i := range t.size.Load() {
		for n := t.bucket(i).Load(); n != nil; n = n.next.Load() {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// node returns the node under a key, nil if there is none.
func (s *Store) node(k provider.Key) *node { return s.find(&k) }

func validateCounts(s *Store, nodes map[*node]bool) error {
	var weight int64
	for n := range nodes {
		if n.weight() < 0 || (s.weigher != nil && n.weight() < 1) {
			return fmt.Errorf("counts: %v weighs %d", n.key(), n.weight())
		}
		weight += n.weight()
	}
	count := int64(len(nodes))
	switch {
	case s.count != count || int64(s.table.Load().count) != count:
		return fmt.Errorf("counts: %d entries, the table says %d, the store %d", count, s.table.Load().count, s.count)
	case s.weight != weight:
		return fmt.Errorf("counts: the weights are %d, the store says %d", weight, s.weight)
	case count > s.maxEntries || weight > s.maxWeight:
		return fmt.Errorf("counts: %d entries of weight %d exceed %d of %d", count, weight, s.maxEntries, s.maxWeight)
	case s.closed.Load() && count > 0:
		return fmt.Errorf("counts: closed with %d entries", count)
	case s.evictions < 0 || s.expirations < 0:
		return errors.New("counts: negative statistics")
	}
	return nil
}

func validateScopes(s *Store, nodes map[*node]bool) error {
	entries, indexed := map[*scope]int64{}, map[*scope]int{}
	for n := range nodes {
		if s.scopes[n.scope.name] != n.scope {
			return fmt.Errorf("scopes: that of %v is not there", n.key())
		}
		entries[n.scope]++
		if n.scope.names.Contains(n.name) {
			indexed[n.scope]++
		}
	}
	for name, x := range s.scopes {
		switch {
		case x.name != name || x.entries != entries[x] || x.entries == 0:
			return fmt.Errorf("scopes: %q has %d entries, says %d as %q", name, entries[x], x.entries, x.name)
		case x.names.Len() != indexed[x]:
			return fmt.Errorf("index: %q has %d names, %d of them have entries", name, x.names.Len(), indexed[x])
		case s.index.complete && int64(x.names.Len()) != x.entries:
			return fmt.Errorf("index: %q has %d names, %d entries", name, x.names.Len(), x.entries)
		case !s.index.begun && x.names.Len() > 0:
			return fmt.Errorf("index: %q has one, the store does not", name)
		}
	}
	if x := &s.index; x.complete && !x.begun || (x.begun && !x.complete) != (x.rest.table != nil) {
		return fmt.Errorf("index: %+v", x)
	}
	return nil
}

func validateQueues(s *Store, nodes map[*node]bool) error {
	queued := 0
	for at, q := range map[place]*queue{inSmall: &s.policy.small, inMain: &s.policy.main} {
		var count, weight int64
		var newer *node
		for n := q.newest; n != nil; newer, n = n, n.older {
			count++
			weight += n.weight()
			switch {
			case !nodes[n]:
				return fmt.Errorf("queue %d: %v is not stored", at, n.key())
			case n.place != at:
				return fmt.Errorf("queue %d: %v says that it is in %d", at, n.key(), n.place)
			case n.newer != newer:
				return fmt.Errorf("queue %d: %v is not linked back", at, n.key())
			case count > int64(len(nodes)):
				return fmt.Errorf("queue %d: a cycle", at)
			}
		}
		if q.oldest != newer {
			return fmt.Errorf("queue %d: the oldest is not at its end", at)
		}
		if q.count != count || q.weight != weight {
			return fmt.Errorf("queue %d: %d of weight %d, it says %d of %d", at, count, weight, q.count, q.weight)
		}
		queued += int(count)
	}
	if queued != len(nodes) {
		return fmt.Errorf("queue: %d queued, %d stored", queued, len(nodes))
	}
	return nil
}

func validateWheel(s *Store, nodes map[*node]bool) error {
	w := &s.wheel
	placed := map[*node]bool{}
	for level := range levels {
		for slot := range digits {
			if w.slots[level][slot] != nil && w.occupied[level]>>slot&1 == 0 {
				return fmt.Errorf("wheel: slot %d.%d is occupied, but not marked", level, slot)
			}
			if err := validateSlot(s, level, slot, placed); err != nil {
				return err
			}
		}
	}
	if err := validateList(&w.due, placed); err != nil {
		return err
	}
	for n := range nodes {
		if (n.expires != never) != placed[n] {
			return fmt.Errorf("wheel: %v ends at %d, placed: %v", n.key(), n.expires, placed[n])
		}
	}
	for n := range placed {
		if !nodes[n] {
			return fmt.Errorf("wheel: %v is not stored", n.key())
		}
		if tickOf(n.expires) < w.last {
			return fmt.Errorf("wheel: %v ends before the wheel's time", n.key())
		}
	}
	if w.count != int64(len(placed)) {
		return fmt.Errorf("wheel: %d placed, it says %d", len(placed), w.count)
	}
	// Whatever there is to do, a sweep will come for it.
	if next := s.wheel.next(); s.wake > next {
		return fmt.Errorf("wheel: the timer is set for %d, there is something to do at %d", s.wake, next)
	}
	return nil
}

func validateSlot(s *Store, level, slot int, placed map[*node]bool) error {
	w := &s.wheel
	for n := w.slots[level][slot]; n != nil && !placed[n]; n = n.soon {
		e, want := tickOf(n.expires), 0
		if differ := uint64(e ^ w.last); differ != 0 {
			want = (bits.Len64(differ) - 1) / digitBits
		}
		if level != want || int(e>>(digitBits*level))&(digits-1) != slot {
			return fmt.Errorf("wheel: %v ends in tick %d, but is in slot %d.%d at tick %d", n.key(), e, level, slot, w.last)
		}
	}
	return validateList(&w.slots[level][slot], placed)
}

func validateList(list **node, placed map[*node]bool) error {
	for prev, n := list, *list; n != nil; prev, n = &n.soon, n.soon {
		if placed[n] {
			return fmt.Errorf("wheel: %v is in it twice", n.key())
		}
		if n.prevSoon != prev {
			return fmt.Errorf("wheel: %v is not linked back", n.key())
		}
		placed[n] = true
	}
	return nil
}

func validateGhost(s *Store) error {
	g := &s.policy.ghost
	size := len(g.slots)
	switch {
	case s.count == 0 && size > 0:
		return errors.New("ghost: an empty store has one")
	case size > 0 && (size < ghostWays || size&(size-1) != 0):
		return fmt.Errorf("ghost: %d slots", size)
	case size > ghostWays && int64(size/2) >= s.maxEntries:
		return fmt.Errorf("ghost: %d slots for %d entries", size, s.maxEntries)
	}
	for i, slot := range g.slots {
		group := uint32(slot>>32) & uint32(size/ghostWays-1)
		if slot != 0 && int(group) != i/ghostWays {
			return fmt.Errorf("ghost: the fingerprint of slot %d belongs into group %d", i, group)
		}
	}
	return nil
}

func key(scope, name string) provider.Key { return provider.Key{Scope: scope, Name: name} }

func entry(v any) provider.Entry { return provider.Entry{Value: v} }

// TestValidate breaks a store in each way that there is and expects to be told.
func TestValidate(t *testing.T) {
	any1 := func(s *Store) *node { // a node in the small queue with an end and two neighbours
		return s.policy.small.newest.older
	}
	breaks := []struct {
		name, want string
		do         func(s *Store)
	}{
		{"table: wrong hash", "table:", func(s *Store) { any1(s).word.Add(1 << creditBits) }},
		{"table: wrong bucket", "table:", func(s *Store) {
			t := s.table.Load()
			i := bucketOf(t.size.Load(), any1(s).hash())
			other := t.bucket((i + 1) % t.size.Load())
			other.Store(t.bucket(i).Swap(other.Load()))
		}},
		{"table: not in order", "table:", func(s *Store) {
			for _, n := range s.nodes() {
				behind := n.next.Load()
				if behind == nil || n.hash() == behind.hash() {
					continue
				}
				link := s.table.Load().link(n)
				n.next.Store(behind.next.Load())
				behind.next.Store(n)
				link.Store(behind)
				return
			}
			t.Error("no bucket has two nodes")
		}},
		{"table: twice", "table:", func(s *Store) { n := any1(s); n.next.Store(n) }},
		{"table: same key", "table:", func(s *Store) {
			n := &node{name: any1(s).name, scope: any1(s).scope, expires: never}
			n.word.Store(any1(s).word.Load())
			s.table.Load().add(n)
		}},
		{"table: ends before it begins", "table:", func(s *Store) { any1(s).stored = never }},
		{"table: too big", "table:", func(s *Store) {
			_, _ = s.DeletePrefix(t.Context(), "a", "")
			_, _ = s.DeletePrefix(t.Context(), "b", "")
			s.table.Load().grow()
		}},
		{"counts: too many", "counts:", func(s *Store) { s.count++ }},
		{"counts: lost entry", "counts:", func(s *Store) { s.table.Load().remove(any1(s)) }},
		{"counts: the table", "counts:", func(s *Store) { s.table.Load().count++ }},
		{"counts: weight", "counts:", func(s *Store) { s.weight-- }},
		{"counts: negative weight", "counts:", func(s *Store) { any1(s).value.(*box).weight = -1 }},
		{"counts: unweighed", "counts:", func(s *Store) { any1(s).value.(*box).weight = 0 }},
		{"counts: entry bound", "counts:", func(s *Store) { s.maxEntries = 2 }},
		{"counts: weight bound", "counts:", func(s *Store) { s.maxWeight = 2 }},
		{"counts: closed", "counts:", func(s *Store) { s.closed.Store(true) }},
		{"counts: statistics", "counts:", func(s *Store) { s.evictions = -1 }},
		{"scopes: lost", "scopes:", func(s *Store) { delete(s.scopes, "a") }},
		{"scopes: another", "scopes:", func(s *Store) { any1(s).scope = &scope{name: any1(s).scope.name} }},
		{"scopes: entries", "scopes:", func(s *Store) { s.scopes["a"].entries++ }},
		{"scopes: empty", "scopes:", func(s *Store) { s.scopes["void"] = &scope{name: "void"} }},
		{"scopes: another name", "scopes:", func(s *Store) { s.scopes["c"] = s.scopes["b"] }},
		{"index: missing name", "index:", func(s *Store) { s.scopes["a"].names.Delete(any1(s).name) }},
		{"index: name without entry", "index:", func(s *Store) { s.scopes["a"].names.Insert("nobody") }},
		{"index: other name", "index:", func(s *Store) {
			s.scopes["a"].names.Delete("1")
			s.scopes["a"].names.Insert("nobody")
		}},
		{"index: not begun", "index:", func(s *Store) { s.index = index{} }},
		{"index: complete from the start", "index:", func(s *Store) { s.index.begun = false }},
		{"index: something left", "index:", func(s *Store) { s.index.rest = newWalk(s.table.Load()) }},
		{"queue: not stored", "queue", func(s *Store) { s.policy.add(&node{scope: &scope{}}, inMain, nil) }},
		{"queue: lost", "queue", func(s *Store) { n := any1(s); s.policy.remove(n); n.place = inSmall }},
		{"queue: wrong place", "queue", func(s *Store) { any1(s).place = inMain }},
		{"queue: not linked back", "queue", func(s *Store) { any1(s).newer = nil }},
		{"queue: cycle", "queue", func(s *Store) { q := &s.policy.small; q.newest.newer, q.oldest.older = q.oldest, q.newest }},
		{"queue: wrong end", "queue", func(s *Store) { s.policy.small.oldest = any1(s) }},
		{"queue: count", "queue", func(s *Store) { s.policy.main.count++ }},
		{"queue: weight", "queue", func(s *Store) { s.policy.small.weight++ }},
		{"wheel: not placed", "wheel:", func(s *Store) { s.wheel.remove(any1(s)) }},
		{"wheel: not stored", "wheel:", func(s *Store) { s.wheel.add(&node{expires: any1(s).expires, scope: &scope{}}) }},
		{"wheel: without end", "wheel:", func(s *Store) { any1(s).expires = never }},
		{"wheel: wrong slot", "wheel:", func(s *Store) { any1(s).expires += 1 << 50 }},
		{"wheel: wrong level", "wheel:", func(s *Store) { s.wheel.last = tickOf(any1(s).expires) }},
		{"wheel: past", "wheel:", func(s *Store) { s.wheel.last = tickOf(any1(s).expires) + 1 }},
		{"wheel: unmarked", "wheel:", func(s *Store) { s.wheel.occupied = [levels]uint64{} }},
		{"wheel: twice", "wheel:", func(s *Store) { push(&s.wheel.due, any1(s)) }},
		{"wheel: not linked back", "wheel:", func(s *Store) { any1(s).prevSoon = &s.wheel.due }},
		{"wheel: count", "wheel:", func(s *Store) { s.wheel.count++ }},
		{"wheel: timer too late", "wheel:", func(s *Store) { s.wake = never }},
		{"ghost: in an empty store", "ghost:", func(s *Store) {
			_, _ = s.DeletePrefix(t.Context(), "a", "")
			_, _ = s.DeletePrefix(t.Context(), "b", "")
			s.policy.ghost.add(1, 1)
		}},
		{"ghost: size", "ghost:", func(s *Store) { s.policy.ghost.slots = make([]uint64, 12) }},
		{"ghost: too big", "ghost:", func(s *Store) { s.policy.ghost.grow(1000) }},
		{"ghost: wrong group", "ghost:", func(s *Store) {
			s.policy.ghost.grow(16)
			s.policy.ghost.slots[0] = 1<<32 | 1
		}},
	}
	for _, b := range breaks {
		t.Run(b.name, func(t *testing.T) {
			s, err := New(Options{MaxEntries: 20, MaxWeight: 1000, Weigher: func(provider.Key, provider.Entry) int64 { return 2 }})
			require.NoError(t, err)
			defer s.timer.Stop()
			for i := range 10 {
				for _, scope := range []string{"a", "b"} {
					require.NoError(t, s.Set(t.Context(), key(scope, fmt.Sprint(i)), entry(i), 1e12))
				}
			}
			_, err = s.DeletePrefix(t.Context(), "a", "nothing")
			require.NoError(t, err)
			require.NoError(t, validate(s), "broken from the start")
			b.do(s)
			assert.ErrorContains(t, validate(s), b.want, "what validate says")
		})
	}
}
