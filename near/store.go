// Package near keeps entries of a shared store in the memory of the process, and drops them when any
// process invalidates them.
//
//	far, err := redisprovider.New(client, redisprovider.Options{})
//	store, err := near.New(far, near.Options{})
//	cache, err := readthrough.New(store, readthrough.Options{})
//
// A hit in memory takes a hundred nanoseconds in place of a round trip. docs/near.md says what that
// costs, what the two modes promise, and what happens under which fault.
//
// # Sharing
//
// The memory keeps decoded values, and all readers of the process get the same one. What a value points
// to must not be changed, as in a store in the process. A value that was loaded here is kept as it was
// loaded, and not as it would come back from its bytes.
package near

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/internal/counter"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// Store is memory in front of a shared store. [New] makes one. All methods are safe for concurrent use.
// To the cache it is the shared store: with its leases, its holds, its deadlines and its errors. Only
// hits are answered here.
//
// An entry comes into the memory in two ways, each of which the fence may refuse: it was found in the far
// store, or the far store has confirmed that it keeps it. It leaves by a message, by the end of its TTL,
// by eviction, or together with all others when the member has missed something.
type Store struct {
	far        far
	inspector  provider.Inspector // nil: the far store is none
	punctual   bool
	sharded    provider.Sharded // nil: far fails as a whole
	ttl        time.Duration
	memory     *memory.Store
	fence      fence
	membership provider.Membership

	// weigher is the user's; nil: entries have no weight. It runs before the put, and weight is what it has
	// returned, guarded by fence.mu: the memory asks for it in the put.
	weigher func(provider.Key, provider.Entry) int64
	weight  int64

	// keptOut are the scopes that stay out of the memory. KeepOut replaces the map.
	keptOut atomic.Pointer[map[string]bool]

	farHits counter.Counter
	// peeks counts the hits of the memory that were for no reader.
	peeks, dropped, lost, refused atomic.Int64
}

// far is the shared store, by the capabilities that it has to have.
type far struct {
	provider.CacheProvider
	provider.Announcer
	provider.TTLGetter
	provider.Leaser
	provider.Refresher
	provider.Renewer
	provider.Holder
	provider.Batcher
	provider.Encoder
}

// farOf returns store as a far, or an error that names what store lacks.
func farOf(store provider.CacheProvider) (f far, err error) {
	of := reflect.ValueOf(store)
	if store == nil || of.Kind() == reflect.Pointer && of.IsNil() {
		return f, errors.New("near: New: store: must not be nil")
	}
	var lacks []string
	for _, capability := range reflect.ValueOf(&f).Elem().Fields() {
		if of.Type().Implements(capability.Type()) {
			capability.Set(of)
		} else {
			lacks = append(lacks, capability.Type().String())
		}
	}
	if len(lacks) > 0 {
		return f, fmt.Errorf("near: New: store: a %T is no %s: a near cache needs a shared store that announces what is removed, such as redisprovider",
			store, strings.Join(lacks, ", "))
	}
	return f, nil
}

var (
	_ provider.CacheProvider = (*Store)(nil)
	_ provider.Batcher       = (*Store)(nil)
	_ provider.Encoder       = (*Store)(nil)
	_ provider.Leaser        = (*Store)(nil)
	_ provider.Refresher     = (*Store)(nil)
	_ provider.Renewer       = (*Store)(nil)
	_ provider.Holder        = (*Store)(nil)
	_ provider.NearCache     = (*Store)(nil)
	_ provider.Punctual      = (*Store)(nil)
	_ provider.Inspector     = (*Store)(nil)
	_ provider.Pinger        = (*Store)(nil)
	_ provider.Advisor       = (*Store)(nil)
	_ provider.Sharded       = (*Store)(nil)
	_ io.Closer              = (*Store)(nil)
)

// New returns memory in front of store, which from then on belongs to it: Close closes it. The memory
// answers nothing until the process is a member, which takes some round trips. New itself makes none, so
// the server need not be running.
//
// New returns an error that names the field for bad options. It returns one, too, if store lacks a
// capability that a near cache needs, or has a near cache already.
func New(store provider.CacheProvider, options Options) (*Store, error) {
	shared, farErr := farOf(store)
	options, err := options.withDefaults()
	if err = errors.Join(farErr, err); err != nil {
		return nil, err
	}
	s := &Store{far: shared, ttl: options.TTL, weigher: options.Weigher}
	held, err := memory.New(s.memoryOptions(&options))
	if err != nil {
		return nil, fmt.Errorf("near: Options: %w", err)
	}
	s.memory = held
	s.fence.seed = maphash.MakeSeed()
	if p, ok := store.(provider.Punctual); ok {
		s.punctual = p.Punctual()
	}
	s.sharded, _ = store.(provider.Sharded)     //nolint:errcheck // nil if it is none
	s.inspector, _ = store.(provider.Inspector) //nolint:errcheck // nil without the capability
	s.keptOut.Store(&map[string]bool{})
	held.ServeUntil(time.Time{})
	// From here on the memory keeps its index of names: to make it later takes longer.
	_, _ = held.DeletePrefix(nobody(), "", "") //nolint:errcheck // it is open
	s.membership, err = shared.Join(provider.JoinOptions{Strict: options.Strict, Window: options.Window}, (*listener)(s))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("near: New: %w", err), held.Close())
	}
	return s, nil
}

// Punctual implements [provider.Punctual]. It is what the far store says.
func (s *Store) Punctual() bool { return s.punctual }

// Shards implements [provider.Sharded]. It is what the far store says.
func (s *Store) Shards() int {
	if s.sharded == nil {
		return 1
	}
	return s.sharded.Shards()
}

// Shard implements [provider.Sharded]. It is what the far store says.
func (s *Store) Shard(key provider.Key) int {
	if s.sharded == nil {
		return 0
	}
	return s.sharded.Shard(key)
}

// Close leaves the members, so that nobody waits for this process, empties the memory, and closes the far
// store, if it is an [io.Closer]. If the server does not answer, the error says so: invalidations of other
// processes then wait once for the lease of this one.
func (s *Store) Close() error {
	errs := []error{s.membership.Close(), s.memory.Close()}
	if closer, ok := s.far.CacheProvider.(io.Closer); ok {
		errs = append(errs, closer.Close())
	}
	return errors.Join(errs...)
}

// nobody is the context of calls of the memory, which asks none: they wait for nothing.
func nobody() context.Context { return context.Background() } //nolint:forbidigo // see above
