package readthrough

import (
	"fmt"
	"slices"
	"testing"

	"github.com/readthrough/readthrough/provider"
)

// The memory of a read refers to nothing of it when the next one gets it.
func TestScratchKeepsNothing(t *testing.T) {
	s := keyspace{engine: new(engine)}
	m := s.scratch(3)
	m.keys = append(m.keys, "a", "b", "c")
	keySet := newKeySet(m.slots)
	keySet.add("a", nil)
	for _, n := range []int{3, 1} { // what was asked first is more than what was asked last
		_, values := m.ask(n, func(i int) provider.Key { return provider.Key{Scope: "s", Name: m.keys[i]} })
		for i := range values {
			values[i] = provider.Value{Value: "v", Is: provider.Present}
		}
	}
	s.reuse(m)
	for _, key := range m.keys[:cap(m.keys)] {
		if key != "" {
			t.Errorf("key %q is kept", key)
		}
	}
	for _, key := range m.asked[:cap(m.asked)] {
		if key != (provider.Key{}) {
			t.Errorf("key %v is kept", key)
		}
	}
	for _, value := range m.values[:cap(m.values)] {
		if value != (provider.Value{}) {
			t.Errorf("value %v is kept", value)
		}
	}
	for range 2 { // the same memory, or another one
		m = s.scratch(2)
		if len(m.keys) != 0 || !slices.Equal(m.positions, []int{0, 1}) || slices.Max(m.slots) != 0 {
			t.Errorf("%d keys, positions %v, slots %v", len(m.keys), m.positions, m.slots)
		}
		s.reuse(m)
	}
}

// Every key is in a set of few slots, so that many share one and go round its end.
func TestKeySetFindsRepetitions(t *testing.T) {
	const n = 1000
	s := newKeySet(make([]uint32, slotsFor(n)))
	var list []string
	for round := range 2 {
		for i := range n {
			key := fmt.Sprint("key:", i)
			got := s.add(key, list)
			if round == 0 {
				if got != -1 {
					t.Fatalf("%q, for the first time: found at %d", key, got)
				}
				list = append(list, key)
			} else if got != i {
				t.Fatalf("%q, again: found at %d, want %d", key, got, i)
			}
		}
	}
}

func TestKeySetsOfFew(t *testing.T) {
	for n := range 20 {
		s := newKeySet(make([]uint32, slotsFor(n)))
		var list []string
		for i := range n {
			if got := s.add(fmt.Sprint(i), list); got != -1 {
				t.Fatalf("%d keys: the new key %d was found at %d", n, i, got)
			}
			list = append(list, fmt.Sprint(i))
		}
	}
}
