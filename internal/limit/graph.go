// Package limit bounds how many loads of a scope run at once, and keeps loads that wait for each
// other from waiting for ever.
//
// Two kinds of waiting meet here. A load waits for its turn while as many loads of its scope run
// as may run. And a load whose load function reads another key waits for the load of that key. A
// limit alone would deadlock: a load that has a place may wait for one that has none. So one
// [Graph] for all scopes of a cache knows both kinds, under one mutex.
//
// The package knows nothing of caches. A load is a [Node], and a scope's limit are [Slots].
package limit

import (
	"container/list"
	"fmt"
	"sync"
)

// Graph is the wait-for graph of the loads of a cache. It has an edge from a load to each load that
// it waits for:
//
//   - its load function reads what the other one loads ([Graph.Begin]);
//   - it is queued, and the other one has a place in the same [Slots].
//
// Readers outside of load functions wait too, but nobody waits for them: they are not in the graph
// and cost nothing. The zero value is an empty graph.
//
// There are two kinds of cycles, and each is ended in its own way. A cycle of reads only would
// never end, so the read that would close it is refused: Begin returns false. In a cycle with a
// queue, the queued load gets the place of a load that waits for it: [Slots] says how, and why no
// such cycle is missed.
//
// A limit alone, with nested loads exempt from it, was rejected: the limit then means nothing for
// nested loads, and two chains of them can still deadlock.
type Graph struct {
	mu sync.Mutex // guards following, and the Slots and Nodes of all scopes

	// reads has, for each load that reads, the loads that it reads from, with the number of reads.
	// Its load function may read from several goroutines.
	reads map[*Node]map[*Node]int
}

// Node is a load in the graph. Its zero value is a load of a scope without a limit. A Node must not
// be copied.
//
// It is in one of three states: new, queued (place is not nil), or with a place (it is in
// slots.running). It goes back to new by Exit, and may enter again.
type Node struct {
	// slots is nil if there is no limit. Set by Init, before anybody else has the node.
	slots *Slots

	// queued is closed when the load has to wait for its turn for the first time. Made by Init.
	queued chan struct{}

	// entered says that the load has a place. Only the load's goroutine reads and writes it.
	entered bool

	// The following are guarded by Graph.mu.

	// waited: queued is closed.
	waited bool
	// place is the load's element in slots.queue; nil: it is not queued.
	place *list.Element
	// turn is closed when the load leaves the queue because its turn has come.
	turn chan struct{}
	// lender is the load in whose place this one runs; nil: it has its own.
	lender *Node
	// borrower is the load that runs in the place of this one; nil: none.
	borrower *Node
}

// Init makes n a load that needs a place in slots. It is called before the graph knows n.
func (n *Node) Init(slots *Slots) {
	n.slots, n.queued = slots, make(chan struct{})
}

// Queued returns a channel that is closed once the load has to wait for its turn. It is nil, and
// never ready, for a load without a limit.
func (n *Node) Queued() <-chan struct{} { return n.queued }

// Begin records that the load function of n reads what others load, and waits for them. It returns
// false, and records nothing, if one of others waits for n already by reads: the wait would never
// end.
//
// Queues do not count for that. A load that waits for n by a queue gets a place instead: see
// [Slots].
func (g *Graph) Begin(n *Node, others []*Node) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := make(map[*Node]bool) // one for all: what was visited in vain need not be visited again
	for _, other := range others {
		if !seen[other] && g.reachesLocked(other, n, readsOnly, seen) {
			return false
		}
	}
	if g.reads == nil {
		g.reads = make(map[*Node]map[*Node]int)
	}
	if g.reads[n] == nil {
		g.reads[n] = make(map[*Node]int)
	}
	for _, other := range others {
		g.reads[n][other]++
	}
	g.relieveLocked(n, make(map[*Node]bool))
	return true
}

// End takes back what Begin has recorded.
func (g *Graph) End(n *Node, others []*Node) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, other := range others {
		if g.reads[n][other]--; g.reads[n][other] == 0 {
			delete(g.reads[n], other)
		}
	}
	if len(g.reads[n]) == 0 {
		delete(g.reads, n)
	}
}

// edges says which edges of the graph a search follows.
type edges bool

const (
	readsOnly edges = false
	allEdges  edges = true
)

// reachesLocked reports whether from is target, or waits for it, directly or through others. seen
// are the loads that the search has visited.
func (g *Graph) reachesLocked(from, target *Node, which edges, seen map[*Node]bool) bool {
	if from == target {
		return true
	}
	seen[from] = true
	for next := range g.reads[from] {
		if !seen[next] && g.reachesLocked(next, target, which, seen) {
			return true
		}
	}
	if which == readsOnly || from.place == nil {
		return false
	}
	for next := range from.slots.running {
		if !seen[next] && g.reachesLocked(next, target, which, seen) {
			return true
		}
	}
	return false
}

// relieveLocked gives a place to each queued load that n now waits for by reads, directly or through
// others, if a load can lend it one. seen are the loads that were visited.
func (g *Graph) relieveLocked(n *Node, seen map[*Node]bool) {
	seen[n] = true
	for next := range g.reads[n] {
		if seen[next] {
			continue
		}
		if next.place != nil && g.borrowLocked(next) {
			next.slots.admitLocked(next)
		}
		g.relieveLocked(next, seen)
	}
}

// Leftovers describes what the graph keeps, and what is kept of slots: it is empty when no load waits,
// none is queued and none has a place. Tests look for leaks with it.
func (g *Graph) Leftovers(slots *Slots) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.reads) == 0 && len(slots.running) == 0 && slots.queue.Len() == 0 {
		return ""
	}
	return fmt.Sprintf("%d loads wait for others, %d have a place, %d are queued", len(g.reads), len(slots.running), slots.queue.Len())
}
