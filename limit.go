package readthrough

import (
	"context"
	"slices"
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
	queue   []*call
}

// turn is a call's place among the loads of its scope. The zero value is that of a
// scope without a limit.
type turn struct {
	slots  *slots        // nil: no limit
	queued chan struct{} // closed when the call has to wait for its turn
	come   chan struct{} // closed when its turn has come
}

func newTurn(s *slots) turn {
	return turn{slots: s, queued: make(chan struct{}), come: make(chan struct{})}
}

// enter waits for the turn of c. It returns the cause of the end of ctx if that
// comes first. With now, it does not wait, and reports false instead.
func (w *waits) enter(ctx context.Context, c *call, now bool) (entered bool, err error) {
	s := c.turn.slots
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
	s.queue = append(s.queue, c)
	close(c.turn.queued)
	w.mu.Unlock()
	select {
	case <-c.turn.come:
		return true, nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(s.queue, c); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		return false, context.Cause(ctx)
	}
	return true, nil // its turn came at the same moment; the load sees that ctx has ended
}

// exit ends the turn of c and begins that of the next.
func (w *waits) exit(c *call) {
	s := c.turn.slots
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(s.running, c)
	for len(s.running) < s.limit && len(s.queue) > 0 {
		w.callLocked(s.queue[0])
	}
}

func (s *slots) startLocked(c *call) {
	if s.running == nil {
		s.running = make(map[*call]struct{})
	}
	s.running[c] = struct{}{}
}

// callLocked lets c, which is queued, have its turn.
func (w *waits) callLocked(c *call) {
	s := c.turn.slots
	i := slices.Index(s.queue, c)
	s.queue = slices.Delete(s.queue, i, i+1)
	s.startLocked(c)
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
		if s := next.turn.slots; s != nil && slices.Contains(s.queue, next) && w.stuckLocked(next) {
			w.callLocked(next)
		}
		w.relieveLocked(next, seen)
	}
}
