package near

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/readthrough/readthrough/provider"
)

// fence decides whether what was read from the far store may be put into the memory. It is the rule of
// epoch.go of the cache for a third party, the message of another process:
//
//  1. A read takes its position before its request is sent to the far store.
//  2. A removal was carried out in the far store before any message about it is sent.
//  3. When a message is there, the fence moves first, and then the memory drops.
//  4. A put compares its position with the fence and stores, in one critical section with the move.
//
// So if a put stores what was removed, then its request was executed before the removal, its position is
// older than the message, and the message has not moved the fence yet: it drops the value after that, in
// step 3. This holds for keys that the memory never had, and for those of a prefix: no list of
// keys is asked.
//
// The positions of keys are counters that many keys share, and one that all share, for prefixes and
// losses. That two keys share a counter costs a put now and then, and never a stale value. A counter for
// each key was rejected: it would have to live for keys that are not there.
type fence struct {
	seed    maphash.Seed
	all     atomic.Uint64
	stripes [stripes]atomic.Uint64

	// mu makes a move, and the decision of a put with the put, one step each. Positions are taken
	// without it.
	mu sync.Mutex
}

const stripes = 1024

// position is a point of the fence, for one key.
type position struct{ all, stripe uint64 }

func (f *fence) stripe(key provider.Key) *atomic.Uint64 {
	return &f.stripes[maphash.Comparable(f.seed, key)%stripes]
}

// at returns the position of key now.
func (f *fence) at(key provider.Key) position {
	return position{f.all.Load(), f.stripe(key).Load()}
}

// move makes all positions old that removed covers.
func (f *fence) move(removed *provider.Removed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(removed.Prefixes) > 0 {
		f.all.Add(1)
	}
	for _, key := range removed.Keys {
		f.stripe(key).Add(1)
	}
}

// moveAll makes all positions old.
func (f *fence) moveAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all.Add(1)
}

// put runs store if the position of key is still p, and reports whether it did.
func (f *fence) put(key provider.Key, p position, store func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at(key) != p {
		return false
	}
	store()
	return true
}
