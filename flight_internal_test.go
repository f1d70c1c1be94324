package readthrough

import "fmt"

// Leftovers describes what a scope keeps for its flights, for the tests of the
// package from outside; it is empty if there is nothing.
func Leftovers(s *CachedScope) string {
	g, w := &s.flights, &s.cache.waits
	g.mu.Lock()
	defer g.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(g.live) == 0 && g.size == 0 && len(g.running) == 0 && g.pending.size() == 0 && g.bypassing.Load() == 0 && g.scopesPending.Load() == 0 &&
		len(g.slots.running) == 0 && g.slots.queue.Len() == 0 && len(w.on) == 0 {
		return ""
	}
	return fmt.Sprintf("%d keys in flight, size %d, %d calls, %d pending, bypassing %d, %d scopes pending, %d loads with a place, %d in the queue, %d that wait",
		len(g.live), g.size, len(g.running), g.pending.size(), g.bypassing.Load(), g.scopesPending.Load(),
		len(g.slots.running), g.slots.queue.Len(), len(w.on))
}
