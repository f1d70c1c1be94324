package readthrough

import "slices"

// scratch is memory that a bulk read works with. The next one gets it if no load
// works with it as well.
type scratch struct {
	keys      []string
	positions []int
	slots     []uint32 // of the keySet
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

// reuse takes memory back. Strings are not kept there for nobody.
func (s *CachedScope) reuse(m *scratch) {
	clear(m.keys[:cap(m.keys)])
	s.scratches.Put(m)
}
