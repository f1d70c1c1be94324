package readthrough

import (
	"slices"
	"testing"

	"github.com/readthrough/readthrough/provider"
)

// The memory of a read refers to nothing of it when the next one gets it.
func TestScratchKeepsNothing(t *testing.T) {
	var s CachedScope
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
