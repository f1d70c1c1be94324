package readthrough

import (
	"container/list"
	"context"
	"sync"
)

// slots are the places for the loads of a scope that run at once, at most
// [ScopeOptions.MaxLoads] in the order of their arrival. They are guarded by
// waits.mu of the cache, which knows who waits for whom.
//
// A load that has a place and waits, in its load function, for another load of
// the scope which has none would do so for ever. That one does not wait for a
// place: it runs in that of the load that waits for it.
type slots struct {
	limit   int
	running map[*call]struct{}
	queue   list.List // of the calls that wait
}

// turn is a call's place among the loads of its scope.
type turn struct {
	slots  *slots
	queued chan struct{} // closed when the call has had to wait for its turn

	// The following are guarded by waits.mu.

	waited bool          // queued is closed
	place  *list.Element // the call's in slots.queue; nil: it is not in it
	come   chan struct{} // closed when the call leaves the queue because its turn has come
}

func newTurn(s *slots) *turn { return &turn{slots: s, queued: make(chan struct{})} }

// enter waits for the turn of c. It returns the cause of the end of ctx if that
// comes first. With now, it does not wait, and reports false instead.
func (w *waits) enter(ctx context.Context, c *call, now bool) (entered bool, err error) {
	t, s := c.turn, c.turn.slots
	w.mu.Lock()
	if len(s.running) < s.limit || w.stuckLocked(c) {
		s.startLocked(c)
		w.mu.Unlock()
		return true, nil
	}
	if now {
		w.mu.Unlock()
		return false, nil
	}
	come := make(chan struct{})
	t.come, t.place = come, s.queue.PushBack(c)
	if !t.waited {
		t.waited = true
		close(t.queued)
	}
	w.mu.Unlock()
	select {
	case <-come:
		return true, nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.place == nil {
		return true, nil // its turn came at the same moment; the load sees that ctx has ended
	}
	s.queue.Remove(t.place)
	t.place = nil
	return false, context.Cause(ctx)
}

// exit ends the turn of c and begins that of the next.
func (w *waits) exit(c *call) {
	s := c.turn.slots
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(s.running, c)
	for next := s.firstLocked(); next != nil && len(s.running) < s.limit; next = s.firstLocked() {
		w.callLocked(next)
	}
}

// firstLocked returns the call that waits longest; nil if none does.
func (s *slots) firstLocked() *call {
	if e := s.queue.Front(); e != nil {
		if c, ok := e.Value.(*call); ok {
			return c
		}
	}
	return nil
}

func (s *slots) startLocked(c *call) {
	if s.running == nil {
		s.running = make(map[*call]struct{})
	}
	s.running[c] = struct{}{}
}

// callLocked lets c, which is queued, have its turn.
func (w *waits) callLocked(c *call) {
	c.turn.slots.queue.Remove(c.turn.place)
	c.turn.place = nil
	c.turn.slots.startLocked(c)
	close(c.turn.come)
}

// stuckLocked reports whether a load that runs in the scope of c waits for c.
func (w *waits) stuckLocked(c *call) bool {
	for holder := range c.turn.slots.running {
		if holder != c && w.reachesLocked(holder, c, make(map[*call]bool)) {
			return true
		}
	}
	return false
}

// relieveLocked lets those calls have their turn that c has come to wait for, if
// their turn would never come.
func (w *waits) relieveLocked(c *call, seen map[*call]bool) {
	seen[c] = true
	for next := range w.on[c] {
		if seen[next] {
			continue
		}
		if next.turn != nil && next.turn.place != nil && w.stuckLocked(next) {
			w.callLocked(next)
		}
		w.relieveLocked(next, seen)
	}
}

// waits knows which loads wait for which others, because their load functions
// read what the others load. Loads that wait for each other in a circle would do
// so for ever: the read that would close the circle fails instead. Readers
// outside of load functions are not in it and cost nothing.
type waits struct {
	mu sync.Mutex              // guards following, and the slots of all scopes
	on map[*call]map[*call]int // how many reads of a load wait for another
}

// begin says that a read in the load function of c waits for others. It reports
// false, and says nothing, if one of them waits for c already.
func (w *waits) begin(c *call, others []*call) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, other := range others {
		if w.reachesLocked(other, c, make(map[*call]bool)) {
			return false
		}
	}
	if w.on == nil {
		w.on = make(map[*call]map[*call]int)
	}
	if w.on[c] == nil {
		w.on[c] = make(map[*call]int)
	}
	for _, other := range others {
		w.on[c][other]++
	}
	w.relieveLocked(c, make(map[*call]bool))
	return true
}

// end takes back what begin has said.
func (w *waits) end(c *call, others []*call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, other := range others {
		if w.on[c][other]--; w.on[c][other] == 0 {
			delete(w.on[c], other)
		}
	}
	if len(w.on[c]) == 0 {
		delete(w.on, c)
	}
}

// reachesLocked reports whether from is target, or waits for it, if only through
// others. seen are the calls that were looked at.
func (w *waits) reachesLocked(from, target *call, seen map[*call]bool) bool {
	if from == target {
		return true
	}
	seen[from] = true
	for next := range w.on[from] {
		if !seen[next] && w.reachesLocked(next, target, seen) {
			return true
		}
	}
	return false
}
