package provider

import (
	"context"
	"time"
)

// Batcher is the capability of a store to read and write many entries in few round
// trips.
type Batcher interface {
	// GetMany looks up keys and returns one [Result] per key, in the order of keys. Keys
	// may repeat. If the call fails as a whole, GetMany returns an error and still one
	// result per key: the results that it has, and the error in the result of every key
	// that it could not ask for.
	GetMany(ctx context.Context, keys []Key) ([]Result, error)

	// SetMany stores each item as Set does. An item that is refused does not stop the
	// others: SetMany joins the errors of all items. An item whose error matches
	// [ErrTooLarge] leaves nothing under its key.
	SetMany(ctx context.Context, items []Item) error
}

// Result is the answer of [Batcher.GetMany] for one key. Its fields mean what the
// results of [CacheProvider.Get] mean.
type Result struct {
	Entry Entry
	Found bool
	Err   error
	// TTL is how long the entry had left when the store was asked, or longer by what the store
	// rounds. Only [TTLGetter] sets it.
	TTL time.Duration
}

// Item is an entry that [Batcher.SetMany] is to store.
type Item struct {
	Key   Key
	Entry Entry
	TTL   time.Duration
}

// InProcess is the capability of a store whose calls never wait for a network or a disk.
// The cache calls such a store directly: without a deadline, a goroutine or a circuit
// breaker.
type InProcess interface {
	// InProcess marks the store and does nothing.
	InProcess()
}

// Punctual is the capability of a store to return from every call soon after the
// deadline of its context, whatever its network does. The cache calls such a store in
// the caller's goroutine. Any other store gets a goroutine per call, which the cache can
// leave behind when the call does not return; that doubles the cost of a hit in this
// process.
//
// A store that says so, and once returns much too late, is treated as one that does not.
//
// A canceled context need not end a call. A reader that has left may then wait for the
// store until the deadline, at most Options.ProviderTimeout of the cache (50 ms by
// default).
type Punctual interface {
	// Punctual reports whether this store returns at the deadline. The cache asks once,
	// in New; the answer may depend on how the store was made.
	Punctual() bool
}

// Sharded is the capability of a store whose keys lie on several servers, which fail one at
// a time. The cache then has a circuit breaker for each shard: while one of them is down,
// keys of the others are still cached, and their invalidations are confirmed.
type Sharded interface {
	// Shards returns the number of shards, such as 32. The cache asks once, in New. One or
	// less means that the store fails as a whole.
	Shards() int
	// Shard returns the shard of a key, from 0 to Shards()-1, always the same. It makes no
	// round trip.
	Shard(key Key) int
}

// Encoder is the capability of a store outside the process to keep values as bytes, and to
// return each as an [Encoded].
//
// The cache refuses to read and store values as an interface type in such a store, with an
// error: bytes do not say which type the interface had held. It encodes each entry before
// the deadline of the call begins, and gives the call more time for large values: a value
// of 8 MiB does not count as a failure of the store because it takes long to encode or to
// send.
type Encoder interface {
	// Encode returns entry with an [Encoded] as its Value, which Set, SetMany and Fill then
	// take as it is. An entry that is Absent comes back unchanged; so does one whose value
	// the store has to see to tell what is lost of it. With an error, the cache gives the
	// entry to the store as it was, which then refuses it.
	Encode(entry Entry) (Entry, error)
}

// ValueGetter is the capability of an [InProcess] store, or of a [NearCache], to return a value
// without the rest of its entry. It exists for speed: most reads are hits that need only the value,
// and an [Entry] is a large struct.
type ValueGetter interface {
	// GetValue returns the Value of the live entry under key, and [Present], if the
	// entry is not Absent and has no FreshUntil, or one in the future. If there is no
	// live entry, it returns [Missing]. Present and Missing are as reliable as the
	// answers of Get, and count in the statistics in the same way. In all other cases,
	// and whenever the store cannot tell, GetValue returns [Unsure], and the cache calls
	// Get. GetValue must not keep the strings of key: they may point into a buffer that
	// the caller reuses.
	GetValue(key Key) (value any, is Presence)

	// GetValues sets values[i] to what GetValue returns for keys[i] at some moment
	// during the call. Both slices have the same length. GetValues must not keep them:
	// the caller reuses them.
	GetValues(keys []Key, values []Value)
}

// Value is the answer of [ValueGetter.GetValues] for one key.
type Value struct {
	Value any
	Is    Presence
}

// Presence says what a [ValueGetter] knows about a key.
type Presence uint8

const (
	// Unsure means that the cache has to call Get.
	Unsure Presence = iota
	// Missing means that there is no live entry.
	Missing
	// Present means that there is a live entry with a value that is fresh.
	Present
)

// Inspector is the capability of a store to show what it holds. Inspecting counts as no
// hit, does not prolong the life of an entry, and returns no values.
type Inspector interface {
	// Has reports whether there is a live entry under key.
	Has(ctx context.Context, key Key) (bool, error)

	// Stats returns the statistics of the store.
	Stats(ctx context.Context) (Stats, error)

	// List returns a page of the live entries. The error matches [errors.ErrUnsupported] if the
	// store cannot list in this way: a store that other processes share may list only one scope,
	// by name and with a Cursor, because everything else would cost it as much as all its entries.
	List(ctx context.Context, options ListOptions) (Page, error)
}

// Unknown is the value of a number that the store does not know.
const Unknown int64 = -1

// Stats are the statistics of a store. A field is [Unknown] if the store cannot tell.
type Stats struct {
	// Entries is the number of stored entries. A store that removes expired entries
	// lazily may count some of them.
	Entries int64
	// Weight is the total weight of the entries, in the unit of the store's bound:
	// bytes, or the unit of its weigher.
	Weight int64
	// MaxEntries and MaxWeight are the bounds; zero means no bound.
	MaxEntries, MaxWeight int64
	// Hits and Misses count answers of Get since the store was made.
	Hits, Misses int64
	// Evictions counts entries that were removed to stay within the bounds. Expirations
	// counts entries that were removed because their TTL had ended.
	Evictions, Expirations int64

	_ struct{}
}

// Sort is the order of a listing.
type Sort int

// The orders of a listing. Entries that compare equal are sorted by scope and name.
const (
	// SortName sorts by scope and name.
	SortName Sort = iota
	// SortBiggest sorts by weight, the heaviest first.
	SortBiggest
	// SortNewest sorts by the time of storing, the latest first.
	SortNewest
)

// ListOptions select a page of a listing. The zero value selects the first
// [DefaultPageSize] entries of all scopes, sorted by name.
type ListOptions struct {
	// Scope limits the listing to one scope, such as "maintenance". Empty means all
	// scopes.
	Scope string
	// Prefix limits the listing to names that begin with it, such as "list:". Empty
	// means all names.
	Prefix string
	// Sort is the order of the listing. The zero value is [SortName].
	Sort Sort
	// Offset is the number of entries to skip, such as 100 for the second page. Zero
	// means the first page. A negative Offset is an error.
	Offset int
	// Cursor continues a listing: it is the Next of the page before, whose other options
	// were the same. Empty means the first page. Every store that lists has cursors. It is
	// an error together with an Offset, and if the store did not make it.
	Cursor string
	// Limit is the size of the page, such as 50. Zero means [DefaultPageSize]. A
	// negative Limit is an error.
	Limit int

	_ struct{}
}

// DefaultPageSize is the size of a page if [ListOptions.Limit] is zero.
const DefaultPageSize = 100

// Page is one page of a listing.
type Page struct {
	// Entries are the entries of the page.
	Entries []Info
	// Total is the number of entries of the whole listing, or -1 if the store cannot tell.
	Total int
	// Next is the Cursor of the page that follows; empty: this is the last one. A page with a
	// Next may have fewer entries than the Limit, even none.
	Next string
	// Partial says that the store cannot tell whether the listing has all entries.
	Partial bool
}

// Info describes a stored entry.
type Info struct {
	Key Key
	// Weight is the weight of the entry in the unit of the store's bound, or [Unknown].
	Weight int64
	// Absent is the entry's Absent.
	Absent bool
	// StoredAt is when the entry was stored, ExpiresAt when it expires. A zero ExpiresAt
	// means never. A store that does not keep the time of storing returns the LoadedAt of
	// the entry, which is zero if that is unknown.
	StoredAt, ExpiresAt time.Time
}
