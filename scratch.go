package readthrough

import (
	"hash/maphash"
	"math/bits"
	"slices"

	"github.com/readthrough/readthrough/provider"
)

// keySet finds repetitions in a list of keys that grows. It is a hash table of
// positions in the list, which takes less time than a map from the keys, and a
// fifth of its memory.
type keySet struct {
	seed  maphash.Seed
	slots []uint32 // the position in the list plus one; 0: free. At least half are free.
}

// newKeySet returns the set that has slots, which are all free.
func newKeySet(slots []uint32) keySet { return keySet{seed: maphash.MakeSeed(), slots: slots} }

// slotsFor returns how many slots the set for a list of at most n keys has.
func slotsFor(n int) int { return 2 << bits.Len(uint(n)) } //nolint:gosec // n is not negative

// add returns the position of key in list. If it is not there, add returns -1, and
// the caller appends it.
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
func (s *keyspace) reuse(m *scratch) {
	clear(m.keys)
	clear(m.asked)
	clear(m.values)
	m.asked, m.values = m.asked[:0], m.values[:0]
	s.scratches.Put(m)
}
