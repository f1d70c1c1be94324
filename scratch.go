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
	asked     []provider.Key   // what a store with values was asked for, and maybe before
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

// ask returns the n keys that key returns, and memory for as many answers.
func (m *scratch) ask(n int, key func(int) provider.Key) (keys []provider.Key, values []provider.Value) {
	if more := n - len(m.asked); more > 0 {
		m.asked = slices.Grow(m.asked, more)[:n]
		m.values = slices.Grow(m.values, more)[:n]
	}
	keys = m.asked[:n]
	for i := range keys {
		keys[i] = key(i)
	}
	return keys, m.values[:n]
}

// reuse takes memory back. What it refers to is not kept there for nobody: beyond their
// lengths, the slices refer to nothing.
func (s *CachedScope) reuse(m *scratch) {
	clear(m.keys)
	clear(m.asked)
	clear(m.values)
	m.asked, m.values = m.asked[:0], m.values[:0]
	s.scratches.Put(m)
}
