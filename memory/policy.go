package memory

// place says in which queue of the policy a node is.
type place uint8

const (
	nowhere place = iota
	inSmall
	inMain
)

// smallShare is the part of the store, one in so many, from which on the small
// queue is the one that has to give.
const smallShare = 20

// provenHits is the credit with which an entry leaves the small queue for the
// main one.
const provenHits = 1

// maxSteps bounds how many entries an eviction passes over. Each that it passes
// over costs its entry credit, so that the mean is small; this bounds how long a
// single writer can hold the lock for it. The rest is decided by age alone.
const maxSteps = 256

// policy decides which entry goes when there is no room: S3-FIFO. New entries
// join the small queue. Those that were hit while they passed through it move
// on to the main queue; the others go, and leave a ghost. A key that comes back
// while its ghost is remembered joins the main queue at once. The main queue
// gives an entry another round for each hit it has credit for.
type policy struct {
	small, main              queue
	ghost                    ghost
	smallEntries, smallWeigh int64 // from more than this on the small queue gives
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

// candidate returns the entry to look at next when one has to go; nil if there
// is none.
func (p *policy) candidate() *node {
	over := p.small.count > p.smallEntries || p.small.weight > p.smallWeigh
	if p.small.count > 0 && (over || p.main.count == 0) {
		return p.small.oldest
	}
	return p.main.oldest
}

// fate is what happens to a candidate.
type fate uint8

const (
	evict   fate = iota // it goes
	promote             // it moves from the small to the main queue
	retain              // it gets another round in the main queue
)

// judge decides the fate of a candidate with that much credit, of which steps
// were passed over before.
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

// add puts a node into a queue, behind newer or, if that is nil, at the end
// where new nodes join.
func (p *policy) add(n *node, at place, newer *node) {
	n.place = at
	p.queue(at).insert(n, newer)
}

// remove takes a node out of its queue.
func (p *policy) remove(n *node) {
	p.queue(n.place).remove(n)
	n.place = nowhere
}

// queue is a queue of nodes linked through themselves. The zero queue is empty.
type queue struct {
	newest, oldest *node
	count, weight  int64
}

// insert puts n behind newer, or in front of all if that is nil.
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
