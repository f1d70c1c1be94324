package provider

import (
	"context"
	"time"
)

// Batcher is the capability of a store to read and write many entries in as
// few round trips as it can.
type Batcher interface {
	// GetMany looks up keys and returns one [Result] for each, in their order.
	// Repeated keys are fine. With an error that concerns the whole call it
	// still returns a result for each key, as far as it got: the error of a key
	// that could not be asked for is set in its result.
	GetMany(ctx context.Context, keys []Key) ([]Result, error)

	// SetMany stores items, each as Set would. One item that is refused does not
	// keep the others from being stored: the errors of all are joined, and
	// those that match [ErrTooLarge] leave nothing under their key.
	SetMany(ctx context.Context, items []Item) error
}

// Result is the answer of [Batcher.GetMany] for one key, with the meaning of
// the results of [CacheProvider.Get].
type Result struct {
	Entry Entry
	Found bool
	Err   error
}

// Item is an entry to be stored by [Batcher.SetMany].
type Item struct {
	Key   Key
	Entry Entry
	TTL   time.Duration
}

// InProcess is the capability of a store whose calls never wait: neither for a
// network nor for a disk. The cache calls such a store directly, without a
// deadline, a goroutine or a circuit breaker around it.
type InProcess interface {
	// InProcess marks the store and does nothing.
	InProcess()
}

// Punctual is the capability of a store to return from every call soon after the
// deadline of its context, whatever its network does. The cache calls such a store
// in the goroutine of its caller. For a store that may not return, each call has a
// goroutine, which can be left behind: that costs about as much as all else that a
// hit takes in the process.
//
// The end of a context by cancellation need not end a call: a reader that has left
// may have to wait for the store until the deadline, which is no later than
// Options.ProviderTimeout of the cache, 50 ms by default.
type Punctual interface {
	// Punctual reports whether the store is. It is asked once, and may depend on how
	// the store was made.
	Punctual() bool
}

// ValueGetter is the capability of an [InProcess] store to return a value without
// the rest of its entry. It is there for speed: most reads are hits that need
// nothing else, and an [Entry] is big.
type ValueGetter interface {
	// GetValue returns the Value of the live entry under key, [Present], if the entry is
	// a value and fresh: it is not Absent, and has no FreshUntil or one in the future. It
	// returns [Missing] if there is no entry. Both are as true, and count in the
	// statistics, as if Get had said so. In all other cases, and whenever it cannot
	// tell, it returns [Unsure]: the cache then asks Get. It must not keep the strings
	// of key, which may be a buffer that is used again.
	GetValue(key Key) (value any, is Presence)

	// GetValues sets each of values, of which there are as many as keys, to what GetValue
	// would return for the key at the same place, at some moment of the call. It must not
	// keep the slices, which are used again.
	GetValues(keys []Key, values []Value)
}

// Value is what [ValueGetter.GetValues] tells about a key.
type Value struct {
	Value any
	Is    Presence
}

// Presence is what a [ValueGetter] tells about a key.
type Presence uint8

const (
	// Unsure says that Get has to be asked.
	Unsure Presence = iota
	// Missing says that there is no live entry.
	Missing
	// Present says that there is one, which is fresh.
	Present
)

// Inspector is the capability of a store to be looked at. Looking counts as no
// hit, keeps no entry alive and returns no values.
type Inspector interface {
	// Has reports whether there is a live entry under key.
	Has(ctx context.Context, key Key) (bool, error)

	// Stats returns the store's statistics.
	Stats(ctx context.Context) (Stats, error)

	// List returns a page of the live entries.
	List(ctx context.Context, options ListOptions) (Page, error)
}

// Unknown stands for a number that a store does not know.
const Unknown int64 = -1

// Stats are the statistics of a store. Each is [Unknown] where the store
// cannot tell.
type Stats struct {
	// Entries is the number of entries stored. A store that removes expired
	// entries lazily may count some of those.
	Entries int64
	// Weight is their total weight, in the unit of the store's bound: bytes, or
	// what its weigher returns.
	Weight int64
	// MaxEntries and MaxWeight are the bounds; zero means unbounded.
	MaxEntries, MaxWeight int64
	// Hits and Misses count answers of Get since the store was made.
	Hits, Misses int64
	// Evictions counts entries removed to stay within the bounds, and
	// Expirations those removed because their TTL had ended.
	Evictions, Expirations int64

	_ struct{}
}

// Sort is the order of a listing.
type Sort int

// Orders of a listing. Ties are broken by scope and name.
const (
	// SortName sorts by scope and name.
	SortName Sort = iota
	// SortBiggest sorts by weight, the heaviest first.
	SortBiggest
	// SortNewest sorts by the time of storing, the latest first.
	SortNewest
)

// ListOptions choose a page of a listing. The zero value lists the first
// [DefaultPageSize] entries of all scopes by name.
type ListOptions struct {
	// Scope limits the listing to one scope; empty: all scopes.
	Scope string
	// Prefix limits the listing to names that begin with it.
	Prefix string
	// Sort is the order.
	Sort Sort
	// Offset skips that many entries; negative is an error.
	Offset int
	// Limit is the size of the page; zero means [DefaultPageSize], negative is
	// an error.
	Limit int

	_ struct{}
}

// DefaultPageSize is the size of a page of a listing where none is given.
const DefaultPageSize = 100

// Page is a part of a listing.
type Page struct {
	// Entries are the entries of the page.
	Entries []Info
	// Total is the number of entries that the whole listing has.
	Total int
}

// Info describes a stored entry.
type Info struct {
	Key Key
	// Weight is the entry's weight in the unit of the store's bound, or
	// [Unknown].
	Weight int64
	// Absent is that of the entry.
	Absent bool
	// StoredAt is when the entry was stored, ExpiresAt when it expires; the zero
	// ExpiresAt means never.
	StoredAt, ExpiresAt time.Time
}
