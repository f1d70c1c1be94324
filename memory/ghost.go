package memory

// ghostWays is the number of slots among which a fingerprint has its place: one
// cache line of them.
const ghostWays = 8

// ghost remembers the fingerprints of keys that were removed lately: about as
// many as the store has entries, and never more than a small multiple of that.
// The zero ghost is empty.
//
// A slot holds a fingerprint and the number of its turn, which together tell
// whether it is still remembered: nothing has to be removed in order. Two keys
// with the same fingerprint, or slots that are all taken, make a new entry start
// in the other queue, and nothing else.
type ghost struct {
	slots []uint64 // fingerprint<<32 | turn; zero: empty; a power of two of groups
	turn  uint32
}

// add remembers a fingerprint, as one of at most about limit.
func (g *ghost) add(fingerprint uint32, limit int64) {
	if int64(len(g.slots)) < limit {
		g.grow(limit)
	}
	g.turn++
	if g.turn == 0 {
		g.turn = 1 // so that no slot that is taken is zero
	}
	g.put(uint64(fingerprint)<<32 | uint64(g.turn))
}

// take forgets a fingerprint and reports whether it was remembered: whether
// fewer than limit others were added since.
func (g *ghost) take(fingerprint uint32, limit int64) bool {
	for i, slot := range g.group(fingerprint) {
		if slot != 0 && uint32(slot>>32) == fingerprint {
			g.group(fingerprint)[i] = 0
			return int64(g.age(slot)) < limit
		}
	}
	return false
}

// group returns the slots in which a fingerprint may be.
func (g *ghost) group(fingerprint uint32) []uint64 {
	if len(g.slots) == 0 {
		return nil
	}
	groups := uint32(len(g.slots) / ghostWays)
	first := (fingerprint & (groups - 1)) * ghostWays
	return g.slots[first : first+ghostWays]
}

// age returns how many were added after slot.
func (g *ghost) age(slot uint64) uint32 { return g.turn - uint32(slot) }

// put stores a slot in place of an empty one, of one with the same
// fingerprint, or of the oldest.
func (g *ghost) put(slot uint64) {
	group := g.group(uint32(slot >> 32))
	oldest := 0
	for i, other := range group {
		if other == 0 || other>>32 == slot>>32 {
			oldest = i
			break
		}
		if g.age(other) > g.age(group[oldest]) {
			oldest = i
		}
	}
	group[oldest] = slot
}

// grow makes room for limit fingerprints.
func (g *ghost) grow(limit int64) {
	old := g.slots
	size := int64(ghostWays)
	for size < limit {
		size *= 2
	}
	g.slots = make([]uint64, size)
	for _, slot := range old {
		if slot != 0 {
			g.put(slot)
		}
	}
}
