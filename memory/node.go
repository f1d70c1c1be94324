package memory

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// never is the end, on the store's clock, of an entry without one.
const never int64 = math.MaxInt64

const (
	creditBits = 3
	maxCredit  = 1<<creditBits - 1 // how many hits an entry gets credit for
	hashBits   = 32 - creditBits
)

// node is a stored entry. There may be millions, so it has room for what nearly
// all entries have; the others come in a box. What a reader looks at comes first,
// and does not change but for next and the credit. A replaced entry gets a new
// node.
type node struct {
	next atomic.Pointer[node] // in the table

	// word is the hash of the key, and in its lowest bits the credit from hits
	// since the policy last looked. Readers raise the credit, writers lower it
	// while they hold mu. That two of them may overwrite each other costs a bit of
	// the policy's knowledge and saves a read-modify-write on every hit.
	word atomic.Uint32

	place  place // the queue that it is in; guarded by Store.mu
	absent bool  // Entry.Absent

	value   any // Entry.Value, or a *box, which has the entry
	name    string
	scope   *scope
	expires int64  // on the store's clock; never: no end
	stored  int64  // when, on the store's clock
	age     uint32 // Entry.LoadedAt, as nanoseconds before stored, plus one; 0: not known
	took    uint32 // Entry.LoadTime in nanoseconds

	newer, older *node // neighbours in the queue; guarded by Store.mu

	// Place in the wheel; guarded by Store.mu. prevSoon is the pointer that
	// points here, nil if the node is not in the wheel.
	soon     *node
	prevSoon **node
}

// box has an entry that needs more room than a node has, or has a weight.
type box struct {
	entry      provider.Entry
	weight     int64
	freshUntil int64 // Entry.FreshUntil on the store's clock; never: it has none
}

// newNode returns a node for an item that is stored now and weighs that much, but
// for its scope and its end.
func (s *Store) newNode(item *provider.Item, weight int64) *node {
	e := &item.Entry
	n := &node{name: item.Key.Name, absent: e.Absent, stored: s.now()}
	n.word.Store(s.hash(&item.Key) << creditBits)
	age, aged := n.ageOf(e.LoadedAt, s.base)
	took := uint32(e.LoadTime)
	if aged && time.Duration(took) == e.LoadTime && e.FreshUntil.IsZero() && e.Validator == "" && s.weigher == nil {
		n.value, n.age, n.took = e.Value, age, took
	} else {
		n.value = &box{entry: *e, weight: weight, freshUntil: s.timeOf(e.FreshUntil)}
	}
	return n
}

// ageOf returns what [node.age] is for an entry that was loaded at that time, and
// whether there is room for it.
func (n *node) ageOf(loaded, base time.Time) (age uint32, fits bool) {
	if loaded.IsZero() {
		return 0, true
	}
	// Sub has bounds. What is beyond them does not fit either.
	since := n.stored - int64(loaded.Sub(base))
	return uint32(since) + 1, 0 <= since && since < math.MaxUint32
}

// expiredAt reports whether the entry has ended by now.
func (n *node) expiredAt(now int64) bool { return now >= n.expires }

// hash returns the hash of the key, of hashBits bits.
func (n *node) hash() uint32 { return n.word.Load() >> creditBits }

// key returns the key.
func (n *node) key() provider.Key { return provider.Key{Scope: n.scope.name, Name: n.name} }

// credit returns the credit of the entry.
func (n *node) credit() uint32 { return n.word.Load() & maxCredit }

// setCredit sets the credit of the entry.
func (n *node) setCredit(credit uint32) { n.word.Store(n.word.Load()&^maxCredit | credit) }

// hit gives the entry credit for having been read. Entries that are read often
// have all the credit they can get, so that this mostly is one load.
func (n *node) hit() {
	if word := n.word.Load(); word&maxCredit != maxCredit {
		n.word.Store(word + 1)
	}
}

// weight returns what the entry weighs; 0 if entries have no weight.
func (n *node) weight() int64 {
	if b, ok := n.value.(*box); ok {
		return b.weight
	}
	return 0
}

// entry returns the entry as it was stored. base is where the store's clock
// counts from.
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

// is reports whether the node is that of key, which has hash.
func (n *node) is(hash uint32, key *provider.Key) bool {
	return n.hash() == hash && n.name == key.Name && n.scope.name == key.Scope
}

// plain returns the value of the entry, if it is one that is fresh at now.
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

// expiry returns when an entry ends that is stored now for ttl. Both are not
// negative. Sums that no clock reaches mean never.
func expiry(now int64, ttl time.Duration) int64 {
	if int64(ttl) > never-now {
		return never
	}
	return now + int64(ttl)
}
