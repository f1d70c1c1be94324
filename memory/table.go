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
	maxBuckets   = 1 << hashBits  // with more, the hash cannot tell them apart
	maxSegments  = hashBits - firstBits + 1

	// bucketsPerNode is the number of buckets per node. Looking at a node mostly
	// means waiting for memory: with one bucket per node, a reader looks at more
	// than 1.5 nodes until it finds its own, with two at fewer than 1.33.
	bucketsPerNode = 2
)

// bucket is the head of a chain of nodes.
type bucket = atomic.Pointer[node]

// table finds nodes by key. Anyone may read it at any time. Only a holder of
// [Store.mu] changes it.
//
// It grows by one bucket at a time (linear hashing). The lower bits of a key's hash
// name its bucket, as many bits as the number of buckets needs. A new bucket takes
// over a part of the chain of one other bucket. Chains are ordered by the reversed
// bits of the hash, so this part is the end of that chain (Shalev, Shavit:
// "Split-ordered lists", JACM 2006). No node moves, and no writer waits for a
// rebuild of the whole table.
//
// Why a reader needs no lock:
//
//  1. All fields of a node that a reader uses, except next and word, are written
//     before the node is added, and never again. The pointer that leads to the node
//     is atomic.
//  2. A node that is removed, or replaced by another one, keeps its next. A reader
//     on it goes on to the node that was behind it when it left. Every node that a
//     reader meets was in the table at some time since the reader began: the bucket
//     was, and if a node was, then so was the node in its next, at that time or when
//     the first node left. What a reader finds was therefore stored during the call.
//  3. A node that stays in the table is missed only if the chain before it is cut.
//     Only grow cuts a chain. It makes the end of the chain reachable through the
//     new bucket, then changes the size, then cuts. A reader that reached the cut
//     sees the new size and searches again.
//  4. The size only grows, so an equal size means that there was no cut in between.
//     A store that becomes empty switches to a new table. A reader of the old table
//     finds nothing, which was right when the store was empty.
type table struct {
	// size is the number of buckets. It only grows. grow writes it under Store.mu,
	// after it has set the new bucket and its segment; readers load it first.
	size atomic.Uint32

	count int // the number of nodes; guarded by Store.mu

	// segments hold the buckets: the first segment firstBuckets of them, each other
	// segment as many as all before it together. grow sets a segment under Store.mu,
	// before size counts its first bucket. Readers use only buckets below size.
	segments [maxSegments][]bucket
}

func newTable() *table {
	t := new(table)
	t.segments[0] = make([]bucket, firstBuckets)
	t.size.Store(firstBuckets)
	return t
}

// bucket returns bucket number i.
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

// lookahead is the number of keys that findSome looks up together.
const lookahead = 16

// search is the lookup of one key among several.
type search struct {
	hash uint32
	node *node // the node of the key, nil if there is none
}

// findSome is find for several keys; searches[i].hash is the hash of keys[i]. It
// loads the heads of all chains before it follows any of them: independent loads let
// the processor wait for memory once for several keys.
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

// link returns the pointer that points to n, or that would point to n if n were
// added.
func (t *table) link(n *node) *bucket {
	rank := bits.Reverse32(n.hash())
	link := t.bucket(bucketOf(t.size.Load(), n.hash()))
	for other := link.Load(); other != nil && other != n && bits.Reverse32(other.hash()) <= rank; other = link.Load() {
		link = &other.next
	}
	return link
}

// add adds a node. The table has no node of its key.
func (t *table) add(n *node) {
	t.count++
	for size := t.size.Load(); t.count > int(size/bucketsPerNode) && size < maxBuckets; size++ {
		t.grow()
	}
	link := t.link(n)
	n.next.Store(link.Load())
	link.Store(n)
}

// replace puts n in the place of old, which has the same key.
func (t *table) replace(old, n *node) {
	n.next.Store(old.next.Load())
	t.link(old).Store(n)
}

// remove removes a node.
func (t *table) remove(n *node) {
	t.link(n).Store(n.next.Load())
	t.count--
}

// grow adds a bucket. Store.mu is held.
func (t *table) grow() {
	size := t.size.Load()
	top := uint32(1) << (bits.Len32(size) - 1) // the bit that distinguishes the new bucket from the one it splits
	if size == top {
		t.segments[bits.Len32(size>>firstBits)] = make([]bucket, size)
	}
	link := t.bucket(size ^ top)
	n := link.Load()
	for n != nil && n.hash()&top == 0 {
		link = &n.next
		n = link.Load()
	}
	// The order matters: the nodes behind link stay reachable for a reader that does
	// not search again.
	t.bucket(size).Store(n)
	t.size.Store(size + 1)
	link.Store(nil)
}

// walk visits the nodes of a table, a chunk at a time, each chunk under [Store.mu].
// Others may change the table between chunks.
//
// It meets every key that is there from beginning to end, and no key twice. Such a
// key is in a bucket that existed when the walk began, or in a later bucket that
// took over from that one. The walk visits a bucket and its later ones in the same
// chunk.
type walk struct {
	table  *table
	size   uint32 // the size of the table when the walk began
	bucket uint32 // the next bucket
}

func newWalk(t *table) walk { return walk{table: t, size: t.size.Load()} }

// next visits about a chunk of nodes, and reports whether they were the last.
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

// wereIn returns the nodes that were in bucket i when the table had that size: those
// in bucket i now, and those in later buckets that took over from it. Nodes that
// were added since may be among them.
func (t *table) wereIn(i, size uint32) iter.Seq[*node] {
	// The buckets that took over from i have the same lower bits.
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
