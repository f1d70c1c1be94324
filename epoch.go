package readthrough

// A key's epoch ends with every invalidation that covers the key. A flight belongs to the epoch in
// which it began. Only in that epoch may readers join the flight, and only in that epoch may its
// result be stored. The epoch of a key matters to the key's flights alone. So it is kept in each of
// them, as a fence, and costs nothing for a key that is not in flight.
//
// This file decides and does nothing: it has no lock, no map and no store. The scope's mutex guards
// every fence that is read and replaced. G1 and G2 (see doc.go) then rest on this, for an
// invalidation I and a flight F of a key that I covers:
//
//  1. F began before I. Then I ends F's epoch, in one critical section. If F had not begun to fill,
//     it never will. If F was filling, I waits for that fill and removes the entry after it.
//  2. F began after I had ended the epochs. Then F's load began after I began: its result may be
//     stored, before the removal or after it. But F may have found the old entry in the store, before
//     the removal. So I ends the epochs once more after the removal, and no reader that begins after
//     I returned joins F.
//
// Other processes invalidate what is in a shared store, and they end no epochs here. The leases of
// the store refuse the fill. For readers that join there is a second rule: every result has a point
// of the scope's logical clock, validBefore, and only a reader that began before it may take the
// result.
//
//   - A result that was found in the store is valid for readers that began before the store was
//     asked. The entry was there after that point, so no invalidation that had returned by then had
//     removed it.
//   - A result that was loaded is valid for readers that began before the load.
//   - A result that was loaded and then stored under the lease is valid for readers that began before
//     the fill was sent. The key held the lease from before the load until the fill, so nothing was
//     invalidated in between.
//
// A reader that began later reads again, at most once: the next flight of the key begins after the
// reader has joined this one.

// seq is a point of a scope's logical clock, which orders what happens to the scope's flights. It is
// no time.
type seq uint64

// always is the validBefore of a result in a store that only this process invalidates: every reader
// that may join the flight may take its result.
const always = ^seq(0)

// mayTake reports whether a reader that began at began may take a result that is valid for readers
// from before validBefore.
func mayTake(began, validBefore seq) bool { return began < validBefore }

// phase is how far a flight has come on its way to the store.
type phase uint8

const (
	// phaseLoading: there is no result yet, or it is not on its way to the store.
	phaseLoading phase = iota
	// phaseFilling: the store was asked to keep the result, and has not answered.
	phaseFilling
	// phaseClosed: the flight does not change the store any more.
	phaseClosed
)

// fence stands between a flight and the store, and between a flight and the readers that want to
// join it. The zero value is the fence of a flight that begins.
//
// The phase only goes forward, and ended is never taken back. A flight is filling at most once.
type fence struct {
	phase phase
	// ended says that the flight's epoch is over: because of an invalidation, or because the flight's
	// load was cancelled.
	ended bool
}

// mayJoin reports whether a reader that begins now may take the flight's result.
func (f fence) mayJoin() bool {
	return !f.ended && f.phase != phaseClosed
}

// end ends the flight's epoch. await says that a fill is under way. What it stores can only be
// removed after it is over.
func (f fence) end() (next fence, await bool) {
	return fence{phase: f.phase, ended: true}, f.phase == phaseFilling
}

// fill decides whether the flight's result may be stored. If so, the flight is filling.
func (f fence) fill() (next fence, store bool) {
	if f.ended || f.phase != phaseLoading {
		return f, false
	}
	return fence{phase: phaseFilling}, true
}

// close ends the flight's way to the store, whether the result was stored or not.
func (f fence) close() fence {
	return fence{phase: phaseClosed, ended: f.ended}
}
