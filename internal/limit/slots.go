package limit

import (
	"container/list"
	"context"
)

// Slots are the places of a scope for loads that run at once. There are at most Limit, and they are
// given away in the order of arrival.
//
// A load that has a place may wait for one that has none, directly or through others: the turn of
// that one would never come. It then borrows the place of the load that waits for it, which does
// nothing meanwhile. A place is lent to one load at a time, so no more than Limit loads run that have
// not lent theirs. A borrower may wait too, and lend the place on. If a lender has waited only for a
// queue that moves on, it may go on before its borrower has ended: then both run.
//
// This is why no loads wait for ever:
//
//  1. A queued load reads nothing: its load function does not run. It waits for all loads of its
//     scope that have a place, and one of them has not lent it.
//  2. Suppose that no load does anything but wait. A load that has not lent its place waits, by
//     reads, for a queued load. That one waits for a load that has not lent its place (1), which
//     waits for a queued load, and so on, in a circle. So each load of the circle that has a place
//     could lend it to the queued load that waits for it.
//  3. What closes such a circle is one of three events, and each looks for the loads that can borrow
//     now. A load begins to read: Begin looks at the queued loads that the reads lead to. A load is
//     queued: Enter looks at that load. A place is not lent any more: Exit looks at the queue.
//  4. A load that gets a place waits for nothing yet, so that closes no circle.
type Slots struct {
	// Limit is how many loads run at once. Set before the first use; positive. 0: the scope has no
	// limit, and its nodes do not know these Slots.
	Limit int

	// The following are guarded by Graph.mu.

	// running has the loads with a place.
	running map[*Node]struct{}
	// queue has the loads that wait, *Node. The first has waited longest.
	queue list.List
}

// Enter waits until n has a place. It returns at once if n has one, or needs none. If ctx ends
// first, it returns the cause. Only the load's goroutine may call it.
//
// The turn and the end of ctx may come at the same moment. Then n has left the queue and counts as
// running, so it keeps the place: Exit gives it back, and the load sees for itself that ctx has
// ended.
func (g *Graph) Enter(ctx context.Context, n *Node) error {
	if n.slots == nil || n.entered {
		return nil
	}
	g.mu.Lock()
	if n.entered = g.startLocked(n); n.entered {
		g.mu.Unlock()
		return nil
	}
	turn := n.slots.enqueueLocked(n)
	g.mu.Unlock()
	select {
	case <-turn:
		n.entered = true
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if n.place == nil { // its turn came at the same moment; the load sees that ctx has ended
		n.entered = true
		return nil
	}
	n.slots.dequeueLocked(n)
	return context.Cause(ctx)
}

// TryEnter takes a place for n if one is free, or n needs none, and reports whether it did. Only the
// load's goroutine may call it.
func (g *Graph) TryEnter(n *Node) bool {
	if n.slots == nil {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	n.entered = g.startLocked(n)
	return n.entered
}

// Exit gives the place of n back, if n has one: to the load that has waited longest, or if it was
// borrowed, to its lender. Only the load's goroutine may call it.
func (g *Graph) Exit(n *Node) {
	if !n.entered {
		return
	}
	n.entered = false
	g.mu.Lock()
	defer g.mu.Unlock()
	n.leaveLocked()
	g.admitQueuedLocked(n.slots)
}

// admitQueuedLocked gives the places of s that are free to the loads that have waited longest, and lends
// places to those that a load with a place waits for. The queue may be long, so it is searched only if
// some load can lend.
func (g *Graph) admitQueuedLocked(s *Slots) {
	var awaited map[*Node]bool
	var next *list.Element
	for e := s.queue.Front(); e != nil; e = next {
		next = e.Next()
		queued, ok := e.Value.(*Node)
		switch {
		case !ok: // it has nothing else
		case s.hasPlaceLocked():
			s.admitLocked(queued)
		default:
			if awaited == nil {
				awaited = g.awaitedLocked(s)
			}
			if len(awaited) == 0 {
				return
			}
			if awaited[queued] && g.borrowLocked(queued) {
				s.admitLocked(queued)
			}
		}
	}
}

// awaitedLocked returns all loads that some load waits for which can lend its place in s. Lending makes
// no load awaited that was not: a load that has just got its place waits for nothing.
func (g *Graph) awaitedLocked(s *Slots) map[*Node]bool {
	awaited := make(map[*Node]bool)
	if len(g.reads) == 0 {
		return awaited
	}
	for holder := range s.running {
		if g.canLendLocked(holder) {
			g.reachesLocked(holder, nil, allEdges, awaited) // there is no such target: it visits all
		}
	}
	return awaited
}

// canLendLocked reports whether holder, which has a place, waits and has not lent it.
func (g *Graph) canLendLocked(holder *Node) bool {
	return holder.borrower == nil && len(g.reads[holder]) > 0
}

// leaveLocked takes n out of the loads that run. A load that still runs in the place of n, because n
// has not waited for its end, then runs in the place of n's lender.
func (n *Node) leaveLocked() {
	delete(n.slots.running, n)
	if n.lender != nil {
		n.lender.borrower = n.borrower
	}
	if n.borrower != nil {
		n.borrower.lender = n.lender
	}
	n.lender, n.borrower = nil, nil
}

// startLocked starts n, if there is a place for it, and reports whether it did.
func (g *Graph) startLocked(n *Node) bool {
	if !g.placeLocked(n) {
		return false
	}
	n.slots.runLocked(n)
	return true
}

// placeLocked reports whether there is a place for n, which may be borrowed.
func (g *Graph) placeLocked(n *Node) bool { return n.slots.hasPlaceLocked() || g.borrowLocked(n) }

// borrowLocked lends n the place of a load that waits for n and has not lent it, and reports whether
// there was one.
func (g *Graph) borrowLocked(n *Node) bool {
	var seen map[*Node]bool // one for all: what one holder has visited in vain, another need not visit again
	for holder := range n.slots.running {
		if !g.canLendLocked(holder) || seen[holder] {
			continue
		}
		if seen == nil {
			seen = make(map[*Node]bool)
		}
		if g.reachesLocked(holder, n, allEdges, seen) {
			holder.borrower, n.lender = n, holder
			return true
		}
	}
	return false
}

func (s *Slots) hasPlaceLocked() bool { return len(s.running) < s.Limit }

func (s *Slots) runLocked(n *Node) {
	if s.running == nil {
		s.running = make(map[*Node]struct{})
	}
	s.running[n] = struct{}{}
}

// enqueueLocked puts n at the end of the queue, and returns the channel that is closed when its turn
// has come.
func (s *Slots) enqueueLocked(n *Node) (turn <-chan struct{}) {
	n.turn, n.place = make(chan struct{}), s.queue.PushBack(n)
	if !n.waited {
		n.waited = true
		close(n.queued)
	}
	return n.turn
}

func (s *Slots) dequeueLocked(n *Node) {
	s.queue.Remove(n.place)
	n.place = nil
}

// admitLocked ends the wait of n, which is queued: its turn has come.
func (s *Slots) admitLocked(n *Node) {
	s.dequeueLocked(n)
	s.runLocked(n)
	close(n.turn)
}
