package readthrough

// A key's epoch ends with every invalidation that covers the key. A flight
// belongs to the epoch in which it began: only in that epoch may readers join
// it, and only in that epoch may its result be stored. Since the epoch of a key
// matters to its flights alone, it is kept with them, in a fence each, and costs
// nothing for keys that are not in flight.
//
// This file decides and does nothing: it has no lock, no map and no store. The
// decisions rest on the scope's mutex, under which every fence is read and
// replaced. What carries G1 and G2 is then this, for an invalidation I and a
// flight F of a key that it covers:
//
//  1. F began before I did. I ends F's epoch in one critical section. Either F
//     had not begun to fill: then it never will. Or it was filling: then I
//     waits for that fill, and deletes after it.
//  2. F began after I had ended the epochs. Then its load began after I began,
//     and its result may be stored before or after the deletion. But F may have
//     found the old entry in the store, before the deletion: so I ends the
//     epochs a second time, after it, and who begins after I returned does not
//     join F.

// A store that processes share is invalidated by others, too, and they end no
// epochs here. Its leases refuse the fill; for the joiners there is a second
// rule. Every result has a bound, a moment of the process, and only a reader that
// began before it may take the result:
//
//   - what was found in the store may be taken by who began before the store was
//     asked: it was there after that, so no invalidation that had returned by then
//     had removed it;
//   - what was loaded, by who began before the load;
//   - what was loaded and then stored under the lease, by who began before the
//     fill was sent: the key has held the lease from before the load until the
//     fill, so nothing was invalidated in between.
//
// A reader that began later tries again, at most once: the next flight of the key
// begins after the reader has joined this one.

// moment is a point in the order of what happens to the flights of a scope. It is
// not a time.
type moment uint64

// unbounded is the bound of a result in a store that nobody else invalidates:
// there, a reader that may join a flight may take what it brings.
const unbounded = ^moment(0)

// mayTake reports whether a reader that began at the moment began may take a
// result with bound.
func mayTake(began, bound moment) bool { return began < bound }

// phase is how far a flight has come on its way to the store.
type phase uint8

const (
	// phaseLoading: the result is not there, or not yet on its way.
	phaseLoading phase = iota
	// phaseFilling: the store has been asked to keep the result and has not
	// answered.
	phaseFilling
	// phaseSettled: the flight will not change the store any more.
	phaseSettled
)

// fence stands between a flight and the store, and between a flight and its
// joiners. Its zero value is that of a flight that begins.
type fence struct {
	phase phase
	// ended says that the flight's epoch is over, because of an invalidation or
	// because nobody waits for the flight any more. It is never taken back.
	ended bool
}

// mayJoin reports whether a reader that begins now may take the flight's result.
func (f fence) mayJoin() bool {
	return !f.ended && f.phase != phaseSettled
}

// end ends the flight's epoch. With await, a fill is under way that has to be
// over before what it stores can be deleted.
func (f fence) end() (next fence, await bool) {
	return fence{phase: f.phase, ended: true}, f.phase == phaseFilling
}

// fill decides whether the flight's result may be stored, and if so, says that
// it is on its way.
func (f fence) fill() (next fence, store bool) {
	if f.ended || f.phase != phaseLoading {
		return f, false
	}
	return fence{phase: phaseFilling}, true
}

// settle ends the flight's way to the store, whether it got there or not.
func (f fence) settle() fence {
	return fence{phase: phaseSettled, ended: f.ended}
}
