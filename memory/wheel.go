package memory

import "math/bits"

const (
	// tickBits makes a tick of the wheel 2^26 ns, about 67 ms. The sweep
	// removes an entry within two ticks of its end. Readers do not find it from
	// its end on, whatever the wheel does.
	tickBits = 26

	digitBits = 6 // the wheel counts ticks in digits of so many bits
	digits    = 1 << digitBits
	levels    = 7 // enough digits for 63-tickBits bits
)

// wheel finds the entries whose end has passed. Its cost per entry does not
// depend on the number of entries. The zero wheel is empty. Store.mu guards it.
//
// The place of an entry that ends in tick e follows from the highest digit in
// which e differs from last: the position of that digit is the level, its value
// in e is the slot. When time enters a slot of a higher level, the entries of
// the slot are placed again, by lower digits. An entry therefore moves at most
// levels times in its life.
//
//   - No entry in a slot ends in a tick before last.
//   - On its level, the slot of an entry is above the digit of last; on level 0
//     it may be equal.
//
// So all entries of a level end before those of the levels above, and within a
// level, those of a lower slot end before those of a higher slot.
type wheel struct {
	last     int64
	count    int64
	slots    [levels][digits]*node
	occupied [levels]uint64 // a bit per slot; if it is not set, the slot is empty

	// due holds the entries of a slot that time has entered. Some have ended;
	// the others will be placed again.
	due *node
}

func tickOf(t int64) int64 { return t >> tickBits }

// start returns the first tick of a slot.
func (w *wheel) start(level, slot int) int64 {
	below := uint(digitBits * (level + 1))
	return w.last>>below<<below | int64(slot)<<(digitBits*level)
}

// ripe returns the time on the store's clock from which a slot needs work: on
// level 0 all its entries have ended, on the other levels they can be placed
// again.
func (w *wheel) ripe(level, slot int) int64 {
	if level == 0 {
		return (w.start(level, slot) + 1) << tickBits
	}
	return w.start(level, slot) << tickBits
}

// add places an entry that has an end. The end is not before the last tick that
// advance has seen. add returns when the entry's slot needs work.
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

// remove takes an entry out of the wheel, if it is in.
func (w *wheel) remove(n *node) {
	if n.prevSoon == nil {
		return
	}
	unlink(n)
	w.count--
}

// advance moves time on to now. It returns an entry for the caller to handle:
// one that has ended, to remove, or one to take out and add again. It returns
// nil if no entry needs work by now.
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

// next returns when an entry next needs work, never if none does.
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

// first returns the slot whose entries end first, and false if there are no
// entries.
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

// push puts n at the front of a list.
func push(list **node, n *node) {
	n.soon, n.prevSoon = *list, list
	if n.soon != nil {
		n.soon.prevSoon = &n.soon
	}
	*list = n
}

// unlink takes n out of its list.
func unlink(n *node) {
	*n.prevSoon = n.soon
	if n.soon != nil {
		n.soon.prevSoon = n.prevSoon
	}
	n.soon, n.prevSoon = nil, nil
}
