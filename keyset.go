package readthrough

import (
	"hash/maphash"
	"math/bits"
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
