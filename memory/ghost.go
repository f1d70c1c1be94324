package memory

// ghostWays is the number of slots in a group. A group fills one cache line, and
// a fingerprint may be in any slot of its group.
const ghostWays = 8

// ghost remembers fingerprints of keys that were removed recently: about half as
// many as the store has entries, see [Store.remembered]. Its slots never exceed
// a small multiple of that. The zero ghost is empty. Store.mu guards it.
//
// A slot holds a fingerprint and the turn in which it was added. The turn tells
// whether the fingerprint still counts, so nothing has to be removed in order.
// If two keys share a fingerprint, or if a group is full, a new entry starts in
// the wrong queue; there is no other effect.
type ghost struct {
	slots []uint64 // fingerprint<<32 | turn; zero: empty; the number of groups is a power of two
	turn  uint32
}

// add remembers a fingerprint, with room for at least limit of them.
func (g *ghost) add(fingerprint uint32, limit int64) {
	if int64(len(g.slots)) < limit {
		g.grow(limit)
	}
	g.turn++
	if g.turn == 0 {
		g.turn = 1 // a used slot is never zero
	}
	g.put(uint64(fingerprint)<<32 | uint64(g.turn))
}

// take forgets a fingerprint. It reports whether it was remembered, that is,
// whether fewer than limit others were added since.
func (g *ghost) take(fingerprint uint32, limit int64) bool {
	for i, slot := range g.group(fingerprint) {
		if slot != 0 && uint32(slot>>32) == fingerprint {
			g.group(fingerprint)[i] = 0
			return int64(g.age(slot)) < limit
		}
	}
	return false
}

// group returns the slots that may hold a fingerprint.
func (g *ghost) group(fingerprint uint32) []uint64 {
	if len(g.slots) == 0 {
		return nil
	}
	groups := uint32(len(g.slots) / ghostWays)
	first := (fingerprint & (groups - 1)) * ghostWays
	return g.slots[first : first+ghostWays]
}

// age returns how many fingerprints were added after slot.
func (g *ghost) age(slot uint64) uint32 { return g.turn - uint32(slot) }

// put stores slot in its group: over a slot with the same fingerprint or an
// empty one, whichever comes first, otherwise over the oldest.
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

// grow makes room for at least limit fingerprints.
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
