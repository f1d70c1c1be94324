package limit

import (
	"container/list"
	"context"
)

// Slots are the places of a scope for loads that run at once: at most Limit, which are given away
// in the order of arrival.
//
// A load that has a place may wait for one that has none, directly or through others: then the turn of
// that one would never come. It runs in the place of the load that waits for it, which does nothing
// meanwhile. A place is lent to one load at a time, so no more than Limit loads run that have not lent
// theirs. The load that has borrowed a place may wait too, and lend it on. A lender may go on before
// its borrower has ended, if it waited for a queue that has moved on: then both run.
//
// That is enough for no load to wait for ever. Suppose that all loads wait. A load that has not lent its
// place waits by reads for a queued load. That one waits for every load of its scope that has a place,
// and so for one that has not lent it. That load waits by reads for another queued one, and so on in a
// circle: each queued load in it could have borrowed the place that it waits for. Who closes the circle
// notices that: Begin, by a read, for the queued loads that the read leads to; Enter, by a load that is
// queued, for that load; and Exit, by a place that is not lent any more, for the queue of its scope.
type Slots struct {
	// Limit is how many loads run at once. Set before the first use; positive.
	Limit int

	// The following are guarded by Graph.mu.

	running map[*Node]struct{}
	queue   list.List // of *Node; the first has waited longest
}

// Enter waits until n has a place; it returns at once if n has one, or needs none. It returns the
// cause of the end of ctx if that comes first. Only the load's goroutine may call it.
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
	var next *list.Element
	for e := n.slots.queue.Front(); e != nil; e = next {
		next = e.Next()
		if queued, ok := e.Value.(*Node); ok && g.placeLocked(queued) {
			n.slots.admitLocked(queued)
		}
	}
}

// leaveLocked takes n out of the loads that run. A load that still runs in its place, because n did not
// wait to its end, runs in that of n's lender then.
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

// borrowLocked borrows for n the place of a load that waits for n, if one has not lent it.
func (g *Graph) borrowLocked(n *Node) bool {
	for holder := range n.slots.running {
		if holder.borrower == nil && holder != n && g.reachesLocked(holder, n, allEdges, make(map[*Node]bool)) {
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
