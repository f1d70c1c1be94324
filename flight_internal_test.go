package readthrough

import "fmt"

// Leftovers describes what a scope keeps for its flights, for the tests of the
// package from outside; it is empty if there is nothing.
func Leftovers(s *CachedScope) string {
	g := &s.flights
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.live) == 0 && g.size == 0 && g.pending.size() == 0 && g.bypassing.Load() == 0 && g.scopesPending.Load() == 0 {
		return ""
	}
	return fmt.Sprintf("%d keys in flight, size %d, %d pending, bypassing %d, %d scopes pending",
		len(g.live), g.size, g.pending.size(), g.bypassing.Load(), g.scopesPending.Load())
}
