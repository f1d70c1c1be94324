package memory

import "math/bits"

const (
	// tickBits makes a tick of the wheel: 2^26 ns, about 67 ms. Entries are
	// removed within two ticks of their end; readers do not find them from the
	// end on, whatever the wheel does.
	tickBits = 26

	digitBits = 6 // the wheel counts ticks in digits of this many bits
	digits    = 1 << digitBits
	levels    = 7 // digits enough for 63-tickBits bits
)

// wheel finds the entries whose end has passed, at a cost per entry that does
// not depend on how many there are. The zero wheel is empty.
//
// An entry that ends in tick e has its place by the highest digit in which e
// differs from last: the level is that digit's position, the slot its value in
// e. When time enters a slot of a higher level its entries are placed anew, by
// lower digits, so that an entry is moved at most levels times in its life.
//
//   - last never exceeds the tick in which an entry ends that is in a slot.
//   - On its level, an entry's slot is above last's digit; on level 0 it may be
//     equal to it.
//
// So all entries of a level end before those of the levels above, and within a
// level those of a lower slot before those of a higher one.
type wheel struct {
	last     int64
	count    int64
	slots    [levels][digits]*node
	occupied [levels]uint64 // the slots that may have entries; the others have none

	// due has the entries of a slot that time has entered: some of them have
	// ended, the others will be placed anew.
	due *node
}

func tickOf(t int64) int64 { return t >> tickBits }

// start returns the first tick of a slot.
func (w *wheel) start(level, slot int) int64 {
	below := uint(digitBits * (level + 1))
	return w.last>>below<<below | int64(slot)<<(digitBits*level)
}

// ripe returns from when on, on the store's clock, there is something to do
// with the entries of a slot: on level 0 they all have ended, on the others
// they can be placed anew.
func (w *wheel) ripe(level, slot int) int64 {
	if level == 0 {
		return (w.start(level, slot) + 1) << tickBits
	}
	return w.start(level, slot) << tickBits
}

// add places an entry that has an end, which has not passed at a time that
// advance was told, and returns when there will be something to do with it.
func (w *wheel) add(n *node) (wake int64) {
	e := tickOf(n.expires)
	level := 0
	if differ := uint64(e ^ w.last); differ != 0 {
		level = (bits.Len64(differ) - 1) / digitBits
	}
	slot := int(e>>(digitBits*level)) & (digits - 1)
	push(&w.slots[level][slot], n)
	w.occupied[level] |= 1 << slot
	w.count++
	return w.ripe(level, slot)
}

// remove takes an entry out, if it is in.
func (w *wheel) remove(n *node) {
	if n.prevSoon == nil {
		return
	}
	unlink(n)
	w.count--
}

// advance moves time on to now. It returns an entry to look at: one that has
// ended, to be removed, or one to be taken out and added again. It returns nil
// when there is no more to do by now.
func (w *wheel) advance(now int64) *node {
	tick := tickOf(now)
	for w.due == nil {
		level, slot, ok := w.first()
		if !ok || w.ripe(level, slot) > now {
			w.last = max(w.last, tick)
			return nil
		}
		w.last = max(w.last, w.start(level, slot))
		w.occupied[level] &^= 1 << slot
		w.due, w.slots[level][slot] = w.slots[level][slot], nil
		w.due.prevSoon = &w.due
	}
	return w.due
}

// next returns when there will be something to do, never if there is nothing.
func (w *wheel) next() int64 {
	if w.due != nil {
		return w.last << tickBits
	}
	level, slot, ok := w.first()
	if !ok {
		return never
	}
	return w.ripe(level, slot)
}

// first returns the slot whose entries end first.
func (w *wheel) first() (level, slot int, ok bool) {
	for level := range levels {
		for w.occupied[level] != 0 {
			slot := bits.TrailingZeros64(w.occupied[level])
			if w.slots[level][slot] != nil {
				return level, slot, true
			}
			w.occupied[level] &^= 1 << slot
		}
	}
	return 0, 0, false
}

// push puts n in front of a list.
func push(list **node, n *node) {
	n.soon, n.prevSoon = *list, list
	if n.soon != nil {
		n.soon.prevSoon = &n.soon
	}
	*list = n
}

// unlink takes n out of the list that it is in.
func unlink(n *node) {
	*n.prevSoon = n.soon
	if n.soon != nil {
		n.soon.prevSoon = n.prevSoon
	}
	n.soon, n.prevSoon = nil, nil
}
