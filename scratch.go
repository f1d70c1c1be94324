package readthrough

import (
	"hash/maphash"
	"math/bits"
	"slices"

	"github.com/readthrough/readthrough/provider"
)

// keySet finds repetitions in a list of keys that grows. It is an open hash table of positions in
// the list. It takes less time than a map from the keys, and a fifth of its memory. Its slots come
// from scratch, so a bulk read allocates nothing for it.
type keySet struct {
	// seed is drawn for each read, so that no caller can choose keys that collide.
	seed maphash.Seed
	// slots have the position in the list plus one; 0: free. Their number is a power of two, and at
	// least half of them are free, so a search ends soon.
	slots []uint32
}

// newKeySet returns the set that has slots, which are all free.
func newKeySet(slots []uint32) keySet { return keySet{seed: maphash.MakeSeed(), slots: slots} }

// slotsFor returns the number of slots for a list of at most n keys.
func slotsFor(n int) int { return 2 << bits.Len(uint(n)) } //nolint:gosec // n is not negative

// add returns the position of key in list. If key is not there, it takes a slot for the end of the
// list and returns -1. The caller then appends key.
func (s *keySet) add(key string, list []string) int {
	mask := uint64(len(s.slots) - 1)
	for slot := maphash.String(s.seed, key) & mask; ; slot = (slot + 1) & mask {
		i := s.slots[slot]
		if i == 0 {
			s.slots[slot] = uint32(len(list)) + 1 //nolint:gosec // a list of 4 billion keys does not fit
			return -1
		}
		if list[i-1] == key {
			return int(i - 1)
		}
	}
}

// scratch is the memory that a bulk read works with. The next bulk read of the cache uses it again.
// It is only for what the read itself needs: a load may take longer than the read, so loads never
// see it.
type scratch struct {
	keys      []string
	positions []int
	// slots are those of the keySet.
	slots []uint32
	// asked and values are what a store with values was asked for, and its answers. Both have the
	// same length.
	asked  []provider.Key
	values []provider.Value
}

// scratch returns memory for n keys: an empty list of keys, the positions 0 to n-1, and n slots or
// more, all free.
func (s *keyspace) scratch(n int) *scratch {
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

// ask returns the n keys that key returns, and room for as many answers.
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

// reuse takes memory back. It clears the slices, so that pooled memory keeps no keys and no values
// alive.
func (s *keyspace) reuse(m *scratch) {
	clear(m.keys)
	clear(m.asked)
	clear(m.values)
	m.asked, m.values = m.asked[:0], m.values[:0]
	s.scratches.Put(m)
}
