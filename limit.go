package readthrough

import (
	"container/list"
	"context"
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
