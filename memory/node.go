package memory

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// never is the end, on the store's clock, of an entry without one.
const never int64 = math.MaxInt64

// maxHits is how many hits an entry gets credit for.
const maxHits = 7

// node is a stored entry. What a hit touches comes first, close together. A
// replaced entry gets a new node, so nothing of that part changes but the number
// of hits.
type node struct {
	entry   provider.Entry
	expires int64 // on the store's clock; never: no end

	// hits is the credit from hits since the policy last looked, at most
	// maxHits. Readers raise it, writers lower it while they hold mu. That two
	// of them may overwrite each other costs a bit of the policy's knowledge and
	// saves a read-modify-write on every hit.
	hits atomic.Uint32

	place  place // the queue that it is in; guarded by Store.mu
	stored int64 // when, on the store's clock
	weight int64
	key    provider.Key

	newer, older *node // neighbours in the queue; guarded by Store.mu

	// Place in the wheel; guarded by Store.mu. prevNext is the pointer that
	// points here, nil if the node is not in the wheel.
	next     *node
	prevNext **node
}

// expiredAt reports whether the entry has ended by now.
func (n *node) expiredAt(now int64) bool { return now >= n.expires }

// hit gives the entry credit for having been read. Entries that are read often
// have all the credit they can get, so that this mostly is one load.
func (n *node) hit() {
	if hits := n.hits.Load(); hits < maxHits {
		n.hits.Store(hits + 1)
	}
}

// expiry returns when an entry ends that is stored now for ttl. Both are not
// negative. Sums that no clock reaches mean never.
func expiry(now int64, ttl time.Duration) int64 {
	if int64(ttl) > never-now {
		return never
	}
	return now + int64(ttl)
}
