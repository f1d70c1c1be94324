package readthrough

import "sync"

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
