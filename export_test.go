package readthrough

import "fmt"

// What is reported and never returned, for the tests of the package from outside.
var (
	ErrTypeMismatch = errTypeMismatch
	ErrUnexpectedID = errUnexpectedID
)

// Leftovers describes what a scope keeps for its flights, for the tests of the
// package from outside; it is empty if there is nothing.
func Leftovers(s *CachedScope) string {
	g := &s.flights
	g.mu.Lock()
	defer g.mu.Unlock()
	waits := s.graph.Leftovers(&g.slots)
	if len(g.live) == 0 && g.size == 0 && len(g.running) == 0 && len(g.ending) == 0 && g.pending.size() == 0 && g.bypassing.Load() == 0 && g.scopesPending.Load() == 0 &&
		waits == "" {
		return ""
	}
	return fmt.Sprintf("%d keys in flight, size %d, %d calls, %d that end, %d pending, bypassing %d, %d scopes pending, %s",
		len(g.live), g.size, len(g.running), len(g.ending), g.pending.size(), g.bypassing.Load(), g.scopesPending.Load(),
		waits)
}
