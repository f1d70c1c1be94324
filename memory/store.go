// Package memory is the store that keeps entries in the process.
//
// A [Store] is bounded by the number of its entries, by their weight, or by both.
// The bound is exact: the store never holds more, not even for a moment. It keeps
// values as they are, without copying or encoding them, so a reader gets the very
// value that was stored.
//
// Reads take no lock and allocate nothing. Every write takes one mutex for a short
// time. A call about many entries unlocks it after each few hundred. No code of the
// caller runs under the mutex.
//
// S3-FIFO chooses the entry to evict (Yang et al., "FIFO queues are all you need for
// cache eviction", SOSP 2023): new entries have to be hit in a small queue before
// they may displace others. A timer removes expired entries soon after their end; it
// runs only while some entry has an end.
//
// Calls wait for nothing but that mutex. They therefore ignore their context: an
// invalidation happens even if the context of its request has ended.
package memory

import (
	"encoding/binary"
	"hash/maphash"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/internal/counter"
	"github.com/readthrough/readthrough/provider"
)

// chunk is the number of entries that a call about many entries handles before it
// lets other writers in.
const chunk = 256

// Store keeps entries in the process. [New] makes one. All methods are safe for
// concurrent use. After [Store.Close], GetValue and GetValues return
// [provider.Unsure], and all methods that return an error, except Close, return one
// that matches [provider.ErrClosed].
//
// A store is open until Close and closed from then on. While it is open, every entry
// is in the table, in its scope, in a queue of the policy and, if it has an end, in
// the wheel. One critical section adds it to all of them, or removes it. count and
// weight are exact and never above the bounds.
type Store struct {
	weigher    func(provider.Key, provider.Entry) int64 // nil: entries have no weight
	maxEntries int64                                    // math.MaxInt64: no bound
	maxWeight  int64                                    // math.MaxInt64: no bound
	base       time.Time                                // the origin of the store's clock
	seed       maphash.Seed                             // of the hashes of keys
	deadline   atomic.Int64                             // see ServeUntil; on the store's clock; never: none

	// table holds every stored entry; an expired one stays until the sweep removes
	// it. Anyone may read the table. Only a holder of mu changes it. A store that
	// becomes empty gets a new table if the old one had grown, and a closed store
	// always does.
	table        atomic.Pointer[table]
	hits, misses counter.Counter // of reads; added to without a lock

	// closed is set once, under mu, after the table was emptied. Only a reader that
	// finds no entry has to check it.
	closed atomic.Bool

	// sweeps counts runs of sweep that are scheduled or running. It is raised under
	// mu.
	sweeps sync.WaitGroup

	mu sync.Mutex // guards following, and every change of table

	count       int64 // number of entries
	weight      int64 // their total weight
	evictions   int64
	expirations int64
	scopes      map[string]*scope // the scopes that have entries
	index       index
	policy      policy
	wheel       wheel
	timer       *time.Timer // runs sweep
	wake        int64       // when timer fires, on the store's clock; never: not set
}

var (
	_ provider.CacheProvider = (*Store)(nil)
	_ provider.Batcher       = (*Store)(nil)
	_ provider.InProcess     = (*Store)(nil)
	_ provider.ValueGetter   = (*Store)(nil)
	_ provider.Inspector     = (*Store)(nil)
	_ io.Closer              = (*Store)(nil)
)

// New returns an empty store. If an option is not valid, it returns an error that
// names the field. The caller closes a store that it no longer needs.
func New(options Options) (*Store, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	maxEntries, maxWeight := options.bounds()
	s := &Store{
		weigher:    options.Weigher,
		maxEntries: maxEntries,
		maxWeight:  maxWeight,
		base:       time.Now(),
		seed:       maphash.MakeSeed(),
		policy:     newPolicy(maxEntries, maxWeight),
		wake:       never,
		scopes:     make(map[string]*scope),
	}
	s.table.Store(newTable())
	// New creates the timer and wakeLocked sets it, so that the timer uses the clock
	// under which the store was made: in a synctest bubble, that of the bubble.
	s.deadline.Store(never)
	s.timer = time.AfterFunc(math.MaxInt64, s.sweep)
	s.timer.Stop()
	return s, nil
}

// InProcess marks the store as one whose calls never wait. It does nothing.
func (s *Store) InProcess() {}

// Close removes all entries, stops the timer, and waits for a running sweep, which
// is short. When it returns, nothing of the store is running, and its memory can be
// collected. It always returns nil. Further calls do nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if !s.closed.Load() {
		s.clearLocked()
		s.closed.Store(true)
	}
	s.mu.Unlock()
	s.sweeps.Wait()
	return nil
}

// now returns the time on the store's clock: nanoseconds since the store was made.
// Changes of the wall clock do not affect it.
func (s *Store) now() int64 { return int64(time.Since(s.base)) }

// timeOf returns a time on the store's clock; never for the zero time.
func (s *Store) timeOf(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return int64(t.Sub(s.base)) // Sub has bounds, which no clock reaches
}

// find returns the node of key, nil if there is none.
func (s *Store) find(key *provider.Key) *node { return s.table.Load().find(s.hash(key), key) }

// live is find without entries that have expired, or that may not be served any more. It reads the clock
// only for an entry with an end, or if there is a deadline. ServeUntil says why that comes first.
func (s *Store) live(key *provider.Key) *node {
	end := s.deadline.Load()
	n := s.find(key)
	if n != nil {
		if end = min(end, n.expires); end != never && s.now() >= end {
			return nil
		}
	}
	return n
}

// hash returns the hash of a key. It has hashBits bits.
func (s *Store) hash(key *provider.Key) uint32 {
	return uint32((scopeHash(key.Scope) + maphash.String(s.seed, key.Name)) >> (64 - hashBits))
}

// scopeHash hashes the length of a scope's name and its first and last eight bytes.
// It takes a third of the time of a good hash. That is enough: scopes are few, and
// the program names them. If two scopes have the same hash, lookups of their keys
// take a little longer.
func scopeHash(scope string) uint64 {
	const golden = 0x9e3779b97f4a7c15 // spreads differences over the upper bits
	h := uint64(len(scope))
	if len(scope) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64([]byte(scope[:8]))) * golden
		return (h ^ binary.LittleEndian.Uint64([]byte(scope[len(scope)-8:]))) * golden
	}
	for i := range len(scope) {
		h = h<<8 | uint64(scope[i])
	}
	return h * golden
}

// lock locks mu, or returns an error if the store is closed. After nil, the caller
// unlocks.
func (s *Store) lock() error {
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return errClosed
	}
	return nil
}
