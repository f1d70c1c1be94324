// Package provider is the contract between the cache and the stores behind it.
//
// Users of the cache need nothing from here. Authors of stores implement
// [CacheProvider], four methods, and whichever of the optional capabilities
// their store has. The cache discovers capabilities once, when it is made:
//
//   - [Batcher]: many entries in one round trip. Without it a bulk read asks
//     for the entries one at a time, a few at once.
//   - [InProcess]: calls never wait for anything. Without it the cache runs
//     every call under a deadline and behind a circuit breaker.
//   - [ValueGetter]: values without their entries, of a store in the process.
//     Without it a hit takes twice as long.
//   - [Punctual]: calls end at their deadline. Without it each has a goroutine.
//   - [Leaser]: leases, which fence fills against the invalidations of other
//     processes. Without it a store that processes share keeps the guarantees of
//     the cache in each process for its own invalidations only.
//   - [Refresher]: leases on keys that hold an entry, which is served meanwhile.
//     Without it a store with leases has no stale entries and no early refresh.
//   - [Holder]: keys that nobody may fill for a while. Without it a mutation
//     cannot announce itself to other processes.
//   - [Inspector]: has, statistics and a listing of entries. Without it those
//     calls on the cache return [errors.ErrUnsupported].
//   - [io.Closer]: the cache closes its store when it is closed itself.
//
// A wrapper around a store hides the capabilities that it does not forward.
//
// A store promises nothing about loads that are under way, and needs no fence
// of its own: the cache never lets a fill and an invalidation of the same key
// overlap in its process; across processes, leases do that. What a store does
// promise is in the comments of the methods, and package providertest checks all
// of it.
package provider

import (
	"context"
	"math"
	"time"
)

// NoExpiry is the TTL of an entry that does not expire.
const NoExpiry time.Duration = math.MaxInt64

// Key names an entry: Name within Scope. Both are byte strings without any
// structure that a store may rely on, and two keys are the same entry exactly
// if both parts are equal: ("a", "b:c") and ("a:b", "c") are different entries.
type Key struct {
	Scope string
	Name  string
}

// Entry is what is stored under a key. Entries are shared between goroutines
// and never changed once stored.
type Entry struct {
	// Value is what the load returned. An in-process store hands back the same
	// Go value that it was given; a store that leaves the process returns an
	// [Encoded], which decodes itself into the type that the reader asks for.
	// nil is an ordinary value.
	Value any

	// Absent says that the source has nothing under this key. It is a property
	// of the entry: no value, whatever its bytes, means absence.
	Absent bool

	// FreshUntil is the wall clock time up to which the entry is fresh; zero:
	// for as long as it is stored. The cache sets it. A store keeps it, to the
	// microsecond at least. Nothing but [ValueGetter] acts on it: an entry is stored
	// for the TTL given to Set.
	FreshUntil time.Time

	// LoadedAt is the wall clock time at which the load had returned the value, or
	// had last said that it is still right; zero: unknown. A store keeps it to the
	// microsecond at least, and returns the same time whenever it is asked.
	LoadedAt time.Time

	// LoadTime is how long the load took that produced the value. A store keeps
	// it to the microsecond at least.
	LoadTime time.Duration

	// Validator is what the source knows this version of the value by, such as an
	// ETag, for load functions that ask whether it has changed; empty: nothing. It
	// is a byte string, which a store keeps as it is.
	Validator string

	_ struct{} // keyed literals only, so that fields can be added
}

// CacheProvider is a store of entries.
//
// All methods are safe for concurrent use. A call that has returned, with
// whatever error, has no effect later on; a store that cannot promise this,
// because its requests cross a network that may deliver them late, says so in
// its documentation. A store honours the deadline of the context that it is
// given; one that is slow to do so costs its readers no more than the deadline,
// but keeps a goroutine busy until it returns.
//
// Keys, prefixes and scopes are byte strings. No byte of them is special: a
// store that would read some as a pattern or a separator escapes them.
type CacheProvider interface {
	// Get returns the live entry under key, and whether there is one. A miss is
	// not an error. Bytes that cannot be read are a miss reported by an error
	// that matches [ErrUndecodable]; every other error means that the store
	// could not be asked.
	Get(ctx context.Context, key Key) (entry Entry, found bool, err error)

	// Set stores entry under key for ttl, in place of what was there. From ttl
	// on, exactly, the entry is not found. [NoExpiry] means no end; zero and
	// negative values of ttl are refused with an error and change nothing.
	//
	// A store that will not keep the entry because of its size returns an error
	// that matches [ErrTooLarge], and keeps nothing under key. A store may drop
	// any entry at any time to stay in its bounds.
	Set(ctx context.Context, key Key, entry Entry, ttl time.Duration) error

	// Delete removes the entries under keys. Keys without an entry, repeated
	// keys and no keys at all are fine. When it returns nil, no Get that begins
	// afterwards finds what was stored before Delete began. On an error, any of
	// the keys may or may not have been removed.
	Delete(ctx context.Context, keys ...Key) error

	// DeletePrefix removes the entries of scope whose names begin with prefix;
	// the empty prefix means all of them. It returns the number of live entries
	// that it removed: expired entries do not count. What holds for Delete
	// after it returned nil holds here, for the keys under the prefix. Entries
	// stored while it runs may or may not be removed.
	DeletePrefix(ctx context.Context, scope, prefix string) (removed int, err error)
}
