package readthrough

import (
	"slices"

	"github.com/readthrough/readthrough/provider"
)

// scratch is memory that a bulk read works with, and the next one after it. Loads, which
// may take longer than the read, know nothing of it.
type scratch struct {
	keys      []string
	positions []int
	slots     []uint32         // of the keySet
	asked     []provider.Key   // what a store with values was asked for
	values    []provider.Value // its answers
}

// scratch returns memory for n keys: no keys, n positions, and a set without any.
func (s *CachedScope) scratch(n int) *scratch {
	m, ok := s.scratches.Get().(*scratch)
	if !ok {
		m = new(scratch)
	}
	m.keys = slices.Grow(m.keys[:0], n)
	m.positions = slices.Grow(m.positions[:0], n)[:n]
	for i := range m.positions {
		m.positions[i] = i
	}
	size := slotsFor(n)
	m.slots = slices.Grow(m.slots[:0], size)[:size]
	clear(m.slots)
	return m
}

// ask sets asked to the n keys that key returns, and values to as many answers, which
// are to be filled in.
func (m *scratch) ask(n int, key func(int) provider.Key) {
	m.asked = slices.Grow(m.asked[:0], n)[:n]
	for i := range m.asked {
		m.asked[i] = key(i)
	}
	m.values = slices.Grow(m.values[:0], n)[:n]
}

// reuse takes memory back. What it refers to is not kept there for nobody.
func (s *CachedScope) reuse(m *scratch) {
	clear(m.keys[:cap(m.keys)])
	clear(m.asked[:cap(m.asked)])
	clear(m.values[:cap(m.values)])
	s.scratches.Put(m)
}
