package memory

import (
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// never is the end, on the store's clock, of an entry without one.
const never int64 = math.MaxInt64

const (
	creditBits = 3
	maxCredit  = 1<<creditBits - 1 // the most credit that hits can give
	hashBits   = 32 - creditBits
)

// node is a stored entry. There may be millions of nodes, so a node has fields for
// what nearly every entry has; any other entry is in a box. The fields that readers
// use come first. Except for next and word, they are written before the node is
// added to the table, and never after that. An entry that replaces another one gets
// a node of its own.
type node struct {
	next atomic.Pointer[node] // in the table; written under Store.mu

	// word is the hash of the key and, in the lowest bits, the credit: hits since
	// the policy last looked. Readers raise the credit without a lock. Writers
	// lower it under Store.mu. Either may overwrite the other's store: the policy
	// then loses a hit, and no hit costs a read-modify-write.
	word atomic.Uint32

	place  place // the queue that the node is in; guarded by Store.mu
	absent bool  // Entry.Absent

	value   any // Entry.Value, or a *box with the whole entry
	name    string
	scope   *scope
	expires int64  // on the store's clock; never: no end
	stored  int64  // when it was stored, on the store's clock
	age     uint32 // Entry.LoadedAt, in nanoseconds before stored, plus one; 0: unknown
	took    uint32 // Entry.LoadTime in nanoseconds

	newer, older *node // neighbours in the queue; guarded by Store.mu

	// soon and prevSoon are the place in the wheel; guarded by Store.mu. prevSoon
	// is the pointer that points to this node, nil if the node is not in the wheel.
	soon     *node
	prevSoon **node
}

// box holds an entry that does not fit into the fields of a node, or that has a
// weight.
type box struct {
	entry      provider.Entry
	weight     int64
	freshUntil int64 // Entry.FreshUntil on the store's clock; never: it has none
}

// newNode returns a node for item, stored now, with the given weight. names makes the
// store's own copy of the name. The caller sets the node's scope and its end.
func (s *Store) newNode(item *provider.Item, weight int64, names *names) *node {
	e := &item.Entry
	hash := s.hash(&item.Key)
	n := &node{absent: e.Absent, stored: s.now()}
	n.word.Store(hash << creditBits)
	if old := s.table.Load().find(hash, &item.Key); old != nil {
		n.name = old.name // the store's own already
	} else {
		n.name = names.own(item.Key.Name)
	}
	age, aged := n.ageOf(e.LoadedAt, s.base)
	took := uint32(e.LoadTime)
	if aged && time.Duration(took) == e.LoadTime && e.FreshUntil.IsZero() && e.Validator == "" && s.weigher == nil {
		n.value, n.age, n.took = e.Value, age, took
	} else {
		b := &box{entry: *e, weight: weight, freshUntil: s.timeOf(e.FreshUntil)}
		b.entry.Validator = strings.Clone(e.Validator)
		n.value = b
	}
	return n
}

// names makes the copies of names that a store keeps. The caller's string may be a part
// of a large one, such as a request, which it would keep alive for as long as the entry
// is stored.
//
// Short names that are stored together share pieces of memory: fifty names are then six
// allocations and not fifty. An entry that outlives the others of its piece keeps the
// whole piece, so a piece is small.
type names struct {
	piece strings.Builder
	// left is the number of names that are still to come, with the next one. It bounds
	// the size of a piece.
	left int
}

// pieceSize is the largest size of a piece in bytes. A name that takes more than half
// of one has memory of its own.
const pieceSize = 128

// own returns a copy of name.
func (c *names) own(name string) string {
	left := c.left
	c.left--
	if left <= 1 || len(name) > pieceSize/2 {
		return strings.Clone(name)
	}
	if c.piece.Cap()-c.piece.Len() < len(name) {
		c.piece = strings.Builder{}
		c.piece.Grow(min(pieceSize, left*len(name)))
	}
	begin := c.piece.Len()
	c.piece.WriteString(name)
	return c.piece.String()[begin:]
}

// ageOf returns [node.age] for an entry that was loaded at that time, and whether
// the age fits.
func (n *node) ageOf(loaded, base time.Time) (age uint32, fits bool) {
	if loaded.IsZero() {
		return 0, true
	}
	// Sub saturates. A saturated difference does not fit either.
	since := n.stored - int64(loaded.Sub(base))
	return uint32(since) + 1, 0 <= since && since < math.MaxUint32
}

// expiredAt reports whether the entry has ended by now.
func (n *node) expiredAt(now int64) bool { return now >= n.expires }

// hash returns the hash of the key. It has hashBits bits.
func (n *node) hash() uint32 { return n.word.Load() >> creditBits }

// key returns the key.
func (n *node) key() provider.Key { return provider.Key{Scope: n.scope.name, Name: n.name} }

// credit returns the credit of the entry.
func (n *node) credit() uint32 { return n.word.Load() & maxCredit }

// setCredit sets the credit of the entry.
func (n *node) setCredit(credit uint32) { n.word.Store(n.word.Load()&^maxCredit | credit) }

// hit adds credit for a read. An entry that is read often has full credit, so hit
// usually costs one atomic load.
func (n *node) hit() {
	if word := n.word.Load(); word&maxCredit != maxCredit {
		n.word.Store(word + 1)
	}
}

// weight returns the weight of the entry; 0 if entries have no weight.
func (n *node) weight() int64 {
	if b, ok := n.value.(*box); ok {
		return b.weight
	}
	return 0
}

// entry returns the entry as it was stored. base is the origin of the store's
// clock.
func (n *node) entry(base time.Time) provider.Entry {
	if b, ok := n.value.(*box); ok {
		return b.entry
	}
	e := provider.Entry{Value: n.value, Absent: n.absent, LoadTime: time.Duration(n.took)}
	if n.age > 0 {
		e.LoadedAt = base.Add(time.Duration(n.stored - int64(n.age-1)))
	}
	return e
}

// is reports whether the node has that key. hash is the hash of key.
func (n *node) is(hash uint32, key *provider.Key) bool {
	return n.hash() == hash && n.name == key.Name && n.scope.name == key.Scope
}

// plain returns the value of the entry, and whether it is one that is fresh at now:
// false for an absence and for an entry whose FreshUntil is over.
func (n *node) plain(now int64) (value any, ok bool) {
	value = n.value
	if b, ok := value.(*box); ok {
		if now >= b.freshUntil {
			return nil, false
		}
		value = b.entry.Value
	}
	return value, !n.absent
}

// expiry returns the end of an entry that is stored at now for ttl. Neither is
// negative. A sum that overflows means never.
func expiry(now int64, ttl time.Duration) int64 {
	if int64(ttl) > never-now {
		return never
	}
	return now + int64(ttl)
}
