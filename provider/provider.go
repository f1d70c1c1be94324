// Package provider is the contract between the cache and the stores behind it.
//
// Users of the cache do not need this package. The author of a store implements
// [CacheProvider], which has four methods, and those optional capabilities that
// the store has. The cache finds the capabilities once, in New:
//
//   - [Batcher]: many entries in one round trip. Without it, a bulk read asks for
//     single entries, a few at once.
//   - [InProcess]: calls never wait. Without it, the cache runs every call under a
//     deadline and behind a circuit breaker.
//   - [ValueGetter]: values without their entries, from a store in the process.
//     Without it, a hit takes twice as long.
//   - [Punctual]: calls end at their deadline. Without it, each call gets a
//     goroutine.
//   - [Sharded]: keys lie on servers that fail one at a time. Without it, one circuit
//     breaker is for all keys.
//   - [Encoder]: values are kept as bytes, and encoded before their entries are
//     stored. Without it, encoding takes its time from the deadline of the call, and
//     reads as an interface type are never a hit in such a store.
//   - [Leaser]: leases, which fence fills against the invalidations of other
//     processes. Without it, a shared store keeps the guarantees of the cache in
//     each process for the invalidations of that process only.
//   - [Refresher]: leases on keys that hold an entry, which readers get meanwhile.
//     Without it, a store with leases has no stale entries and no early refresh.
//   - [Renewer]: leases that last as long as their loads. Without it, what a load
//     brings that takes longer than its lease is served and not stored.
//   - [Holder]: keys that nobody may fill for a while. Without it, a mutation
//     cannot announce itself to other processes.
//   - [Announcer] and [TTLGetter]: what a near cache in front of the store needs.
//   - [NearCache]: entries in the memory of the process, in front of a store outside.
//     Without it, every hit of a shared store is a round trip.
//   - [Inspector]: presence, statistics and a listing of entries. Without it,
//     these calls of the cache return [errors.ErrUnsupported].
//   - [io.Closer]: the cache closes the store when it is closed itself.
//
// A wrapper around a store hides the capabilities that it does not forward.
//
// A store promises nothing about loads under way and needs no fence of its own. In
// its process, the cache never lets a fill and an invalidation of the same key
// overlap; across processes, leases do the same. The comments of the methods say
// what a store does promise. Package providertest checks all of it.
package provider

import (
	"context"
	"math"
	"time"
)

// NoExpiry is the TTL of an entry that does not expire.
const NoExpiry time.Duration = math.MaxInt64

// Key names an entry: Name within Scope. Both parts are byte strings without a
// structure that a store may rely on. Two keys name the same entry only if both
// parts are equal: ("a", "b:c") and ("a:b", "c") are different keys.
type Key struct {
	Scope string
	Name  string
}

// Entry is what a store keeps under a key. Goroutines share entries, so nobody
// changes an entry after it was stored.
type Entry struct {
	// Value is the result of the load. A store in the process returns the same Go
	// value that it was given. A store outside the process returns an [Encoded],
	// which the reader decodes into its type. nil is an ordinary value.
	Value any

	// Absent means that the source has nothing under this key. It is a property of
	// the entry: no value, whatever its bytes, means absence.
	Absent bool

	// Near says that the entry comes from the memory of a [NearCache]. Only such a store sets it, and
	// no store keeps it.
	Near bool

	// FreshUntil is the wall clock time until which the entry is fresh. Zero means
	// as long as it is stored. The cache sets it. A store keeps it with a
	// precision of at least a microsecond. It does not end the entry: only the TTL of
	// Set does. Only the answers of a [ValueGetter] depend on it.
	FreshUntil time.Time

	// LoadedAt is the wall clock time at which the load returned the value or last
	// confirmed it. Zero means unknown. A store keeps it with a precision of at
	// least a microsecond, and returns the same time on every read.
	LoadedAt time.Time

	// LoadTime is the duration of the load that returned the value. A store keeps
	// it with a precision of at least a microsecond.
	LoadTime time.Duration

	// Validator identifies this version of the value in the source, for example an
	// ETag. Load functions use it to ask whether the value has changed. Empty
	// means none. It is a byte string; a store keeps it unchanged.
	Validator string

	_ struct{} // allows keyed literals only, so that fields can be added
}

// CacheProvider is a store of entries.
//
// All methods are safe for concurrent use. A call has no effect after it has
// returned, with or without an error. A store that cannot promise this, because
// its network may deliver requests late, says so in its documentation. A store
// honours the deadline of its context. If it returns later, its readers wait no
// longer than the deadline, but a goroutine stays busy until it returns.
//
// An error may name keys, or quote a part of a value. If it is a [log/slog.LogValuer],
// the log of the cache has that text instead, also if other errors wrap it.
//
// Keys, prefixes and scopes are byte strings. No byte is special: a store whose
// server reads some bytes as a pattern or a separator escapes them.
type CacheProvider interface {
	// Get returns the live entry under key, and whether there is one. A miss is
	// not an error. Unreadable bytes are a miss with an error that matches
	// [ErrUndecodable]. Any other error means that the store could not be asked.
	Get(ctx context.Context, key Key) (entry Entry, found bool, err error)

	// Set stores entry under key for ttl, in place of an older entry. From the
	// exact end of ttl on, the entry is not found. [NoExpiry] means no end. If ttl
	// is zero or negative, Set returns an error and changes nothing.
	//
	// If the store does not keep the entry because of its size, Set returns an
	// error that matches [ErrTooLarge] and keeps nothing under key. A store that
	// encodes values does the same with [ErrUnencodable] and [ErrLossy]. A store may
	// drop any entry at any time to stay within its bounds.
	Set(ctx context.Context, key Key, entry Entry, ttl time.Duration) error

	// Delete removes the entries under keys. Keys may be missing from the store,
	// may repeat, and may be empty. After Delete returned nil, no Get that begins
	// later finds an entry that was stored before Delete began. After an error,
	// any of the keys may have been removed or not.
	Delete(ctx context.Context, keys ...Key) error

	// DeletePrefix removes the entries of scope whose names begin with prefix; the
	// empty prefix means all entries. It returns the number of live entries that
	// it removed, without expired ones. After it returned nil, the promise of
	// Delete holds for every key under the prefix. Entries that are stored while
	// it runs may be removed or not.
	DeletePrefix(ctx context.Context, scope, prefix string) (removed int, err error)
}
