// Package memory is the store that keeps entries in the process.
//
// A [Store] is bounded, by the number of its entries or by their weight, and
// the bound is exact: no moment exists at which it holds more. Values are kept
// as they are, not copied and not encoded, so a reader gets the very value that
// was stored.
//
// Reads take no lock and allocate nothing. Every write takes one mutex for a
// short while, however many entries a call concerns: a call about many entries
// lets go of it every so often. No code of the caller runs under it.
//
// Which entry has to go when there is no room is decided by S3-FIFO (Yang et
// al., "FIFO queues are all you need for cache eviction", SOSP 2023): new
// entries prove themselves in a small queue before they may displace others.
// Expired entries are removed soon after their time by a timer that runs only
// while there is something to expire.
//
// No call ever waits for anything but that mutex. Calls therefore pay no
// attention to their context: an invalidation is carried out even if the
// context of the request that caused it has ended.
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

// chunk is the number of entries that a call about many entries deals with
// before it lets other writers in.
const chunk = 256

// Store keeps entries in the process. [New] makes one. All methods are safe for
// concurrent use. After [Store.Close] each returns an error that matches
// [provider.ErrClosed].
type Store struct {
	weigher    func(provider.Key, provider.Entry) int64 // nil: entries have no weight
	maxEntries int64                                    // math.MaxInt64: unbounded
	maxWeight  int64                                    // math.MaxInt64: unbounded
	base       time.Time                                // the store's clock counts from here
	seed       maphash.Seed                             // for the hashes of keys

	// table has every entry that is stored, expired ones included until they are
	// removed. A store that becomes empty gets a new one. Anybody reads it; mu is
	// held by who changes it.
	table        atomic.Pointer[table]
	hits, misses counter.Counter // of reads

	// closed is set once, after the table was emptied: a reader that finds an
	// entry need not ask.
	closed atomic.Bool

	// sweeps counts the runs of sweep that are scheduled or under way.
	sweeps sync.WaitGroup

	mu sync.Mutex // guards what follows, and every change of table

	count       int64 // number of entries
	weight      int64 // their total weight
	evictions   int64
	expirations int64
	scopes      map[string]*scope // those that have entries
	index       index
	policy      policy
	wheel       wheel
	timer       *time.Timer // runs sweep
	wake        int64       // when timer runs, on the store's clock; never: it is not set
}

var (
	_ provider.CacheProvider = (*Store)(nil)
	_ provider.Batcher       = (*Store)(nil)
	_ provider.InProcess     = (*Store)(nil)
	_ provider.ValueGetter   = (*Store)(nil)
	_ provider.Inspector     = (*Store)(nil)
	_ io.Closer              = (*Store)(nil)
)

// New returns an empty store. It returns an error that names the field if the
// options are not valid. A store that is no longer needed has to be closed.
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
	// The timer is made here and set later, so that it belongs to whatever
	// clock the store was made under.
	s.timer = time.AfterFunc(math.MaxInt64, s.sweep)
	s.timer.Stop()
	return s, nil
}

// InProcess marks the store as one whose calls never wait, and does nothing.
func (s *Store) InProcess() {}

// Close removes all entries, stops the timer, and waits for a sweep that is
// under way, which is short. When it returns nothing of the store is running
// and its memory is free to be collected. It always returns nil; calling it
// again is fine.
func (s *Store) Close() error {
	s.mu.Lock()
	if !s.closed.Load() {
		s.table.Store(newTable())
		s.closed.Store(true)
		s.count, s.weight = 0, 0
		s.scopes, s.index, s.policy, s.wheel = nil, index{}, policy{}, wheel{}
		s.wake = never
		if s.timer.Stop() {
			s.sweeps.Done()
		}
	}
	s.mu.Unlock()
	s.sweeps.Wait()
	return nil
}

// now returns the time on the store's clock: nanoseconds since it was made,
// unaffected by changes of the wall clock.
func (s *Store) now() int64 { return int64(time.Since(s.base)) }

// timeOf returns a time on the store's clock; never for the zero time.
func (s *Store) timeOf(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return int64(t.Sub(s.base)) // Sub has bounds, which no clock reaches
}

// find returns the node under key, nil if there is none.
func (s *Store) find(key *provider.Key) *node { return s.table.Load().find(s.hash(key), key) }

// live is find that leaves out an entry whose end has passed. now is when that was looked at, for an
// entry that has an end; for all others, it is later than every time at which a value is fresh.
func (s *Store) live(key *provider.Key) (n *node, now int64) {
	n, now = s.find(key), never-1
	if n != nil && n.expires != never {
		if now = s.now(); n.expiredAt(now) {
			return nil, now
		}
	}
	return n, now
}

// hash returns the hash of a key, of hashBits bits.
func (s *Store) hash(key *provider.Key) uint32 {
	return uint32((scopeHash(key.Scope) + maphash.String(s.seed, key.Name)) >> (64 - hashBits))
}

// scopeHash tells scopes apart by the length of their names and by the first and the
// last eight bytes. It takes a third of the time of a good hash, and that is enough:
// scopes are few and named by the program, and the keys of two that it takes for one
// are only found a little later.
func scopeHash(scope string) uint64 {
	const golden = 0x9e3779b97f4a7c15 // spreads what differs over the upper bits
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

// lock takes mu, unless the store is closed. Whoever got nil unlocks.
func (s *Store) lock() error {
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return errClosed
	}
	return nil
}
