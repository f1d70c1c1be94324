package limit

import (
	"container/list"
	"context"
)

// Slots are the places of a scope for loads that run at once. There are at most Limit, and they are
// given away in the order of arrival.
//
// A load may get a place beyond the limit: if a load that has a place waits for it, directly or
// through others, its turn would never come. It then runs in the place of that one, which does
// nothing but wait. So the number of loads that do work stays within the limit.
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

// Exit gives the place of n back, if n has one, and gives it to the load that has waited longest.
// Only the load's goroutine may call it.
func (g *Graph) Exit(n *Node) {
	if !n.entered {
		return
	}
	n.entered = false
	g.mu.Lock()
	defer g.mu.Unlock()
	s := n.slots
	delete(s.running, n)
	for next := s.firstLocked(); next != nil && s.hasPlaceLocked(); next = s.firstLocked() {
		s.admitLocked(next)
	}
}

// startLocked gives n a place if one is free, or if n may run beyond the limit, and reports whether
// it did.
func (g *Graph) startLocked(n *Node) bool {
	if !n.slots.hasPlaceLocked() && !g.blockedLocked(n) {
		return false
	}
	n.slots.runLocked(n)
	return true
}

// blockedLocked reports whether a load that has a place waits for n. Then the turn of n would never
// come.
func (g *Graph) blockedLocked(n *Node) bool {
	for holder := range n.slots.running {
		if holder != n && g.reachesLocked(holder, n, allEdges, make(map[*Node]bool)) {
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

// firstLocked returns the load that has waited longest, or nil if none waits.
func (s *Slots) firstLocked() *Node {
	if e := s.queue.Front(); e != nil {
		if n, ok := e.Value.(*Node); ok {
			return n
		}
	}
	return nil
}
