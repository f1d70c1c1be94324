package memory

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"github.com/tidwall/btree"

	"github.com/readthrough/readthrough/provider"
)

// newStore makes a store that is validated and closed when the test ends.
func newStore(tb testing.TB, options Options) *Store {
	tb.Helper()
	s, err := New(options)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	tb.Cleanup(func() {
		if err := validate(s); err != nil {
			tb.Errorf("the store is broken: %v", err)
		}
		if err := s.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
		if err := validate(s); err != nil {
			tb.Errorf("the closed store is broken: %v", err)
		}
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
		validateIndex(s, nodes),
		validateQueues(s, nodes),
		validateWheel(s, nodes),
		validateGhost(s),
	)
}

func validateMap(s *Store) (map[*node]bool, error) {
	nodes := map[*node]bool{}
	var err error
	for key, n := range s.entries.All() {
		switch {
		case n == nil:
			return nil, fmt.Errorf("map: no node under %v", key)
		case n.key != key:
			err = fmt.Errorf("map: the node of %v is under %v", n.key, key)
		case n.hits.Load() > maxHits:
			err = fmt.Errorf("map: %v has %d hits", key, n.hits.Load())
		case n.expires <= n.stored:
			err = fmt.Errorf("map: %v ends at %d, was stored at %d", key, n.expires, n.stored)
		}
		nodes[n] = true
	}
	return nodes, err
}

func validateCounts(s *Store, nodes map[*node]bool) error {
	var weight int64
	for n := range nodes {
		if n.weight < 0 || (s.weigher != nil && n.weight < 1) {
			return fmt.Errorf("counts: %v weighs %d", n.key, n.weight)
		}
		weight += n.weight
	}
	count := int64(len(nodes))
	switch {
	case s.count != count || int64(s.entries.Size()) != count:
		return fmt.Errorf("counts: %d entries, the map says %d, the store %d", count, s.entries.Size(), s.count)
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

func validateIndex(s *Store, nodes map[*node]bool) error {
	names := 0
	for scope, tree := range s.index.scopes {
		if tree.Len() == 0 {
			return fmt.Errorf("index: scope %q is empty", scope)
		}
		for _, name := range tree.Keys() {
			if n, _ := s.entries.Load(provider.Key{Scope: scope, Name: name}); !nodes[n] {
				return fmt.Errorf("index: %q %q has no entry", scope, name)
			}
			names++
		}
	}
	if names != len(nodes) {
		return fmt.Errorf("index: %d names, %d entries", names, len(nodes))
	}
	if names == 0 && s.index.scopes != nil {
		return errors.New("index: empty but not released")
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
			weight += n.weight
			switch {
			case !nodes[n]:
				return fmt.Errorf("queue %d: %v is not stored", at, n.key)
			case n.place != at:
				return fmt.Errorf("queue %d: %v says that it is in %d", at, n.key, n.place)
			case n.newer != newer:
				return fmt.Errorf("queue %d: %v is not linked back", at, n.key)
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
			return fmt.Errorf("wheel: %v ends at %d, placed: %v", n.key, n.expires, placed[n])
		}
	}
	for n := range placed {
		if !nodes[n] {
			return fmt.Errorf("wheel: %v is not stored", n.key)
		}
		if tickOf(n.expires) < w.last {
			return fmt.Errorf("wheel: %v ends before the wheel's time", n.key)
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
	for n := w.slots[level][slot]; n != nil && !placed[n]; n = n.next {
		e, want := tickOf(n.expires), 0
		if differ := uint64(e ^ w.last); differ != 0 {
			want = (bits.Len64(differ) - 1) / digitBits
		}
		if level != want || int(e>>(digitBits*level))&(digits-1) != slot {
			return fmt.Errorf("wheel: %v ends in tick %d, but is in slot %d.%d at tick %d", n.key, e, level, slot, w.last)
		}
	}
	return validateList(&w.slots[level][slot], placed)
}

func validateList(list **node, placed map[*node]bool) error {
	for prev, n := list, *list; n != nil; prev, n = &n.next, n.next {
		if placed[n] {
			return fmt.Errorf("wheel: %v is in it twice", n.key)
		}
		if n.prevNext != prev {
			return fmt.Errorf("wheel: %v is not linked back", n.key)
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
		{"map: nil node", "map:", func(s *Store) { s.entries.Store(key("x", "y"), nil) }},
		{"map: wrong key", "map:", func(s *Store) { s.entries.Store(key("x", "y"), any1(s)) }},
		{"map: too many hits", "map:", func(s *Store) { any1(s).hits.Store(maxHits + 1) }},
		{"map: ends before it begins", "map:", func(s *Store) { any1(s).stored = never }},
		{"counts: too many", "counts:", func(s *Store) { s.count++ }},
		{"counts: lost entry", "counts:", func(s *Store) { s.entries.Delete(any1(s).key) }},
		{"counts: weight", "counts:", func(s *Store) { s.weight-- }},
		{"counts: negative weight", "counts:", func(s *Store) { any1(s).weight = -1 }},
		{"counts: unweighed", "counts:", func(s *Store) { any1(s).weight = 0 }},
		{"counts: entry bound", "counts:", func(s *Store) { s.maxEntries = 2 }},
		{"counts: weight bound", "counts:", func(s *Store) { s.maxWeight = 2 }},
		{"counts: closed", "counts:", func(s *Store) { s.closed.Store(true) }},
		{"counts: statistics", "counts:", func(s *Store) { s.evictions = -1 }},
		{"index: missing name", "index:", func(s *Store) { s.index.scopes["a"].Delete(any1(s).key.Name) }},
		{"index: name without entry", "index:", func(s *Store) { s.index.add("a", "nobody") }},
		{"index: empty scope", "index:", func(s *Store) { s.index.scopes["void"] = new(btree.Set[string]) }},
		{"queue: not stored", "queue", func(s *Store) { s.policy.add(&node{}, inMain, nil) }},
		{"queue: lost", "queue", func(s *Store) { n := any1(s); s.policy.remove(n); n.place = inSmall }},
		{"queue: wrong place", "queue", func(s *Store) { any1(s).place = inMain }},
		{"queue: not linked back", "queue", func(s *Store) { any1(s).newer = nil }},
		{"queue: cycle", "queue", func(s *Store) { q := &s.policy.small; q.newest.newer, q.oldest.older = q.oldest, q.newest }},
		{"queue: wrong end", "queue", func(s *Store) { s.policy.small.oldest = any1(s) }},
		{"queue: count", "queue", func(s *Store) { s.policy.main.count++ }},
		{"queue: weight", "queue", func(s *Store) { s.policy.small.weight++ }},
		{"wheel: not placed", "wheel:", func(s *Store) { s.wheel.remove(any1(s)) }},
		{"wheel: not stored", "wheel:", func(s *Store) { s.wheel.add(&node{expires: any1(s).expires}) }},
		{"wheel: without end", "wheel:", func(s *Store) { any1(s).expires = never }},
		{"wheel: wrong slot", "wheel:", func(s *Store) { any1(s).expires += 1 << 50 }},
		{"wheel: wrong level", "wheel:", func(s *Store) { s.wheel.last = tickOf(any1(s).expires) }},
		{"wheel: past", "wheel:", func(s *Store) { s.wheel.last = tickOf(any1(s).expires) + 1 }},
		{"wheel: unmarked", "wheel:", func(s *Store) { s.wheel.occupied = [levels]uint64{} }},
		{"wheel: twice", "wheel:", func(s *Store) { push(&s.wheel.due, any1(s)) }},
		{"wheel: not linked back", "wheel:", func(s *Store) { any1(s).prevNext = &s.wheel.due }},
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
		{"index: not released", "index:", func(s *Store) {
			_, _ = s.DeletePrefix(t.Context(), "a", "")
			_, _ = s.DeletePrefix(t.Context(), "b", "")
			s.index.scopes = map[string]*btree.Set[string]{}
		}},
	}
	for _, b := range breaks {
		t.Run(b.name, func(t *testing.T) {
			s, err := New(Options{MaxEntries: 20, MaxWeight: 1000, Weigher: func(provider.Key, provider.Entry) int64 { return 2 }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.timer.Stop()
			for i := range 10 {
				for _, scope := range []string{"a", "b"} {
					if err := s.Set(t.Context(), key(scope, fmt.Sprint(i)), entry(i), 1e12); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := validate(s); err != nil {
				t.Fatalf("broken from the start: %v", err)
			}
			b.do(s)
			if err := validate(s); err == nil || !strings.Contains(err.Error(), b.want) {
				t.Errorf("validate says %v, want an error with %q", err, b.want)
			}
		})
	}
}
