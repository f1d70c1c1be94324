package memory

import (
	"iter"
	"math/bits"
	"sync/atomic"

	"github.com/readthrough/readthrough/provider"
)

const (
	firstBits    = 3
	firstBuckets = 1 << firstBits // the size of the first segment
	maxBuckets   = 1 << hashBits  // with more, the hash does not tell them apart
	maxSegments  = hashBits - firstBits + 1

	// bucketsPerNode is how many buckets there are for each node. To look at a node
	// is to wait for memory, mostly: with one, a reader looks at more than one and a
	// half until it has found its own; with two, at less than one and a third.
	bucketsPerNode = 2
)

// bucket is the beginning of a chain of nodes.
type bucket = atomic.Pointer[node]

// table finds nodes by key. Anybody reads it at any time; [Store.mu] is held by
// who changes it.
//
// It grows by one bucket at a time (linear hashing): a key is in the bucket that
// the lower bits of its hash name, as many bits as there are buckets for. A new
// bucket takes over a part of the chain of one other bucket. Chains are ordered
// by the reversed bits of the hash, so that this part is the end of that chain
// (Shalev, Shavit: "Split-ordered lists", JACM 2006). No node has to be moved,
// and no writer ever waits for the whole table to be rebuilt.
//
// Why a reader needs no lock:
//
//  1. What it reads of a node but next and word is written before the node is
//     added, and never again. The pointer through which it gets to the node is
//     atomic.
//  2. A node that leaves, or makes way for another one in place, keeps its next.
//     So whoever stands on it goes on to what was behind it when it left. Every
//     node that a reader meets was in the table at some time since it began: the
//     bucket was, and if a node was, so was the one that next names, at that time
//     or when the node left. What is found was there during the call.
//  3. A node that is there all the time is missed only if the chain before it was
//     cut, which nothing does but grow. It makes the end of the chain reachable
//     through the new bucket, then changes the size, then cuts. A reader that came
//     to the cut sees the new size, and looks again.
//  4. The size only grows, so that equal sizes mean that there was no cut in
//     between. A store that becomes empty starts with another table; who still
//     reads the old one finds nothing, which was right when the store was empty.
type table struct {
	// size is the number of buckets. It only grows, after the new bucket and its
	// segment were set.
	size atomic.Uint32

	count int // number of nodes; guarded by Store.mu

	// segments have the buckets: the first firstBuckets of them, and each other
	// one as many as all before it together.
	segments [maxSegments][]bucket
}

func newTable() *table {
	t := new(table)
	t.segments[0] = make([]bucket, firstBuckets)
	t.size.Store(firstBuckets)
	return t
}

// bucket returns the bucket of that number.
func (t *table) bucket(i uint32) *bucket {
	segment := bits.Len32(i >> firstBits)
	if segment == 0 {
		return &t.segments[0][i]
	}
	return &t.segments[segment][i-firstBuckets>>1<<segment]
}

// bucketOf returns the number of the bucket of a hash in a table of that size.
func bucketOf(size, hash uint32) uint32 {
	mask := uint32(1)<<bits.Len32(size-1) - 1
	if i := hash & mask; i < size {
		return i
	}
	return hash & (mask >> 1)
}

// find returns the node of a key, nil if there is none.
func (t *table) find(hash uint32, key *provider.Key) *node {
	for {
		size := t.size.Load()
		for n := t.bucket(bucketOf(size, hash)).Load(); n != nil; n = n.next.Load() {
			if n.is(hash, key) {
				return n
			}
		}
		if t.size.Load() == size {
			return nil
		}
	}
}

// lookahead is how many keys are looked up at once.
const lookahead = 16

// search is the search for one key among several.
type search struct {
	hash uint32
	node *node // the node of the key; nil: there is none
}

// findSome is find for keys, of which searches have the hashes. It first goes to the
// beginnings of all chains and then to the nodes: a processor waits for memory once for
// several, if these do not depend on each other.
func (t *table) findSome(searches []search, keys []provider.Key) {
	size := t.size.Load()
	for i := range searches {
		s := &searches[i]
		s.node = t.bucket(bucketOf(size, s.hash)).Load()
	}
	for i := range searches {
		s, key := &searches[i], &keys[i]
		n := s.node
		for n != nil && !n.is(s.hash, key) {
			n = n.next.Load()
		}
		if n == nil && t.size.Load() != size {
			n = t.find(s.hash, key)
		}
		s.node = n
	}
}

// link returns the pointer that leads to n, or to where n belongs.
func (t *table) link(n *node) *bucket {
	rank := bits.Reverse32(n.hash())
	link := t.bucket(bucketOf(t.size.Load(), n.hash()))
	for other := link.Load(); other != nil && other != n && bits.Reverse32(other.hash()) <= rank; other = link.Load() {
		link = &other.next
	}
	return link
}

// add adds a node whose key is not there.
func (t *table) add(n *node) {
	t.count++
	for size := t.size.Load(); t.count > int(size/bucketsPerNode) && size < maxBuckets; size++ {
		t.grow()
	}
	link := t.link(n)
	n.next.Store(link.Load())
	link.Store(n)
}

// replace puts n in the place of a node of the same key.
func (t *table) replace(old, n *node) {
	n.next.Store(old.next.Load())
	t.link(old).Store(n)
}

// remove removes a node.
func (t *table) remove(n *node) {
	t.link(n).Store(n.next.Load())
	t.count--
}

// grow adds a bucket.
func (t *table) grow() {
	size := t.size.Load()
	top := uint32(1) << (bits.Len32(size) - 1) // the bit that the new bucket adds to the name of the old
	if size == top {
		t.segments[bits.Len32(size>>firstBits)] = make([]bucket, size)
	}
	link := t.bucket(size ^ top)
	n := link.Load()
	for n != nil && n.hash()&top == 0 {
		link = &n.next
		n = link.Load()
	}
	// In this order: the nodes behind link are never out of reach of a reader that
	// does not look again.
	t.bucket(size).Store(n)
	t.size.Store(size + 1)
	link.Store(nil)
}

// walk goes over the nodes of a table, some at a time, each time under
// [Store.mu]. Others may change the table in between.
//
// It meets every key that is there from beginning to end, and none twice: a key is
// in one bucket of those that there were when the walk began, or in one that came
// later and took over from that one. All these are dealt with at once.
type walk struct {
	table  *table
	size   uint32 // of the table when the walk began
	bucket uint32 // the next one
}

func newWalk(t *table) walk { return walk{table: t, size: t.size.Load()} }

// next visits about a chunk of nodes and reports whether these were the last.
func (w *walk) next(visit func(*node)) (done bool) {
	for steps := 0; w.bucket < w.size; w.bucket++ {
		if steps >= chunk {
			return false
		}
		steps++
		for n := range w.table.wereIn(w.bucket, w.size) {
			visit(n)
			steps++
		}
	}
	return true
}

// wereIn returns the nodes that are in bucket i of a table of that size, or have
// been and are now in buckets that came later. There may be new ones among them.
func (t *table) wereIn(i, size uint32) iter.Seq[*node] {
	// The buckets that take over from i have the same lower bits.
	step := uint32(1) << bits.Len32(size-1)
	if half := step / 2; i < half && i+half >= size {
		step = half
	}
	return func(yield func(*node) bool) {
		for ; i < t.size.Load(); i += step {
			for n := t.bucket(i).Load(); n != nil; n = n.next.Load() {
				if !yield(n) {
					return
				}
			}
		}
	}
}
