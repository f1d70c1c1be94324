package memory

// place is the queue that a node is in.
type place uint8

const (
	nowhere place = iota
	inSmall
	inMain
)

// smallShare is the share of the small queue: one part in smallShare of the
// store. Above it, evictions take from the small queue.
const smallShare = 20

// provenHits is the credit that moves an entry from the small queue to the main
// queue.
const provenHits = 1

// maxSteps bounds how many entries one eviction passes over. Passing over an
// entry costs it credit, so the mean is small; maxSteps bounds the time that a
// single writer can hold the lock. After maxSteps, the eviction takes the next
// candidate whatever its credit.
const maxSteps = 256

// policy chooses the entry to evict, by S3-FIFO. New entries join the small
// queue. When an entry reaches the old end of that queue, it moves to the main
// queue if it was hit, and is evicted otherwise. The ghost remembers removed
// keys; a key that returns in time joins the main queue at once. In the main
// queue, each hit of credit gives an entry one more round. Store.mu guards the
// policy and its queues.
type policy struct {
	small, main              queue
	ghost                    ghost
	smallEntries, smallWeigh int64 // the small queue is over its share above either
}

func newPolicy(maxEntries, maxWeight int64) policy {
	return policy{smallEntries: maxEntries / smallShare, smallWeigh: maxWeight / smallShare}
}

// queue returns the queue of a place.
func (p *policy) queue(at place) *queue {
	if at == inMain {
		return &p.main
	}
	return &p.small
}

// candidate returns the entry to judge next, nil if there is none.
func (p *policy) candidate() *node {
	over := p.small.count > p.smallEntries || p.small.weight > p.smallWeigh
	if p.small.count > 0 && (over || p.main.count == 0) {
		return p.small.oldest
	}
	return p.main.oldest
}

// fate is the verdict on a candidate.
type fate uint8

const (
	evict   fate = iota // it leaves the store
	promote             // it moves from the small to the main queue
	retain              // it gets another round in the main queue
)

// judge decides the fate of a candidate in queue at with that credit. steps is
// the number of candidates that this eviction has passed over.
func judge(at place, credit uint32, expired bool, steps int) fate {
	switch {
	case expired || steps >= maxSteps:
		return evict
	case at == inSmall && credit >= provenHits:
		return promote
	case at == inMain && credit > 0:
		return retain
	default:
		return evict
	}
}

// add puts a node into a queue: behind newer, or at the new end if newer is nil.
func (p *policy) add(n *node, at place, newer *node) {
	n.place = at
	p.queue(at).insert(n, newer)
}

// remove takes a node out of its queue.
func (p *policy) remove(n *node) {
	p.queue(n.place).remove(n)
	n.place = nowhere
}

// queue is a queue of nodes, linked through the nodes. The zero queue is empty.
type queue struct {
	newest, oldest *node
	count, weight  int64
}

// insert puts n behind newer, or at the new end if newer is nil.
func (q *queue) insert(n, newer *node) {
	n.newer = newer
	if newer == nil {
		n.older, q.newest = q.newest, n
	} else {
		n.older, newer.older = newer.older, n
	}
	if n.older == nil {
		q.oldest = n
	} else {
		n.older.newer = n
	}
	q.count++
	q.weight += n.weight()
}

func (q *queue) remove(n *node) {
	if n.newer == nil {
		q.newest = n.older
	} else {
		n.newer.older = n.older
	}
	if n.older == nil {
		q.oldest = n.newer
	} else {
		n.older.newer = n.newer
	}
	n.newer, n.older = nil, nil
	q.count--
	q.weight -= n.weight()
}
