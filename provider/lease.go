package provider

import (
	"context"
	"time"
)

// Leaser is the capability of a store that processes share to refuse fills that
// an invalidation has overtaken, whoever made it: G1 and G2 then hold across
// processes. It is the lease of "Scaling Memcache at Facebook" (NSDI 2013).
//
// A key holds an entry, or a lease, or nothing. A reader that misses acquires a
// lease, loads, and fills: the entry is stored only if the key still holds that
// very lease. Delete and DeletePrefix remove entries and leases alike, so a load
// that began before an invalidation cannot fill after it. Get does not find
// leases, Set replaces them, and DeletePrefix does not count them.
//
// Every method must be safe when its request arrives late, or twice: each
// transmission of an Acquire has a token of its own, and Fill and Release change
// nothing if the key does not hold their lease. A lease that nobody fills ends
// with its TTL.
type Leaser interface {
	// Acquire asks for each key, in one step, for its entry, and if there is none
	// for a lease that ends after ttl. It returns a [Grant] for each key, in their
	// order; keys are not repeated. An error that concerns the whole call is also
	// set in the grants of the keys that it concerns.
	Acquire(ctx context.Context, keys []Key, ttl time.Duration) ([]Grant, error)

	// Fill stores entries under their leases, and returns for each whether it was
	// stored. One that is refused for its size or encoding gives its lease back.
	Fill(ctx context.Context, fills []Fill) ([]Filled, error)

	// Release gives leases back whose keys will not be filled.
	Release(ctx context.Context, leases []Lease) error
}

// Lease is the right to fill a key, once.
type Lease struct {
	Key   Key
	Token string // what the store knows the lease by
}

// GrantState is the answer of [Leaser.Acquire] for a key.
type GrantState uint8

const (
	// LeaseFailed says that the store could not be asked. The error says why; one that
	// matches [ErrUndecodable] says that the key holds what cannot be read, which
	// has to be deleted before the key can be filled.
	LeaseFailed GrantState = iota
	// LeaseFound says that there is an entry.
	LeaseFound
	// LeaseGranted says that there is none, and that the caller has the lease.
	LeaseGranted
	// LeaseBusy says that somebody else has the lease.
	LeaseBusy
	// LeaseHeld says that the key is held, see [Holder]. Nobody may fill it.
	LeaseHeld
)

// Grant is the answer of [Leaser.Acquire] for one key.
type Grant struct {
	State GrantState
	Found bool  // of Refresh: that there is an Entry, beside the lease
	Entry Entry // if found
	Lease Lease // if granted
	Err   error // if failed
}

// Fill is an entry to be stored under a lease.
type Fill struct {
	Lease Lease
	Entry Entry
	TTL   time.Duration

	// Extend says that the value is the one that is stored already, which the
	// source has confirmed: the store keeps it, and takes FreshUntil, LoadedAt,
	// LoadTime and Validator from Entry, whose Value and Absent it ignores. Only a
	// lease that [Refresher.Refresh] granted together with an entry permits it; a
	// key without an entry refuses it.
	Extend bool
}

// Filled is the answer of [Leaser.Fill] for one entry. Stored is true only if
// the store has confirmed it: from Acquire on, the key held the lease, so nothing
// has invalidated it meanwhile.
type Filled struct {
	Stored bool
	Err    error
}

// Refresher is the capability of a leasing store to lease a key that holds an
// entry, so that the entry is replaced without being missed meanwhile. The key then
// holds both, and whatever removes the entry removes the lease: Delete,
// DeletePrefix, Hold, the end of the entry's TTL, and Set, which replaces it. The
// lease ends with its own TTL, without the entry. Get finds the entry.
//
// Fill replaces the entry if the key still holds that very lease; Release takes the
// lease away and leaves the entry with the TTL that it has. Acquire finds the
// entry, whether the key is leased or not.
type Refresher interface {
	// Refresh asks for each key, in one step, for a lease that ends after ttl. It
	// returns a [Grant] for each, in their order; keys are not repeated.
	//
	//   - LeaseGranted: the caller has the lease. With Found, Entry is what the
	//     key holds; without, it holds nothing but the lease, as after Acquire.
	//   - LeaseFound: Entry is not the one that the caller knows, see
	//     [RefreshRequest]. No lease was granted.
	//   - LeaseBusy: somebody else has the lease. With Found, Entry is what the
	//     key holds.
	//   - LeaseHeld, LeaseFailed: as from Acquire.
	Refresh(ctx context.Context, requests []RefreshRequest, ttl time.Duration) ([]Grant, error)
}

// RefreshRequest is a key to be leased.
type RefreshRequest struct {
	Key Key
	// LoadedAt is that of the entry which the caller has found and wants to
	// replace, exactly as Get returned it; zero if it has found none. An entry with
	// another LoadedAt was stored since, and is found instead of leased.
	LoadedAt time.Time
	// Force leases the key whatever entry it holds.
	Force bool
}

// Holder is the capability of a leasing store to hold keys and prefixes: nobody
// gets an entry or a lease for them until the hold is given up or ends. A key may
// be held several times at once; each hold has its token. Delete and DeletePrefix
// leave holds alone.
//
// A hold that is placed before a change of the source, and given up after the
// invalidation that follows it, closes the gap between the two for other
// processes; one that just ends keeps a source that lags behind from being
// cached. Both methods are safe when their request arrives twice; a Hold that
// arrives after its Unhold ends with its TTL.
type Holder interface {
	// Hold removes the entries and leases that targets cover, and holds them for
	// ttl under token. The same token and targets again renew the hold; others
	// have a token of their own.
	Hold(ctx context.Context, targets HoldTargets, token string, ttl time.Duration) error

	// Unhold gives up the hold that was placed with the same targets and token.
	Unhold(ctx context.Context, targets HoldTargets, token string) error
}

// HoldTargets are keys and prefixes of a scope.
type HoldTargets struct {
	Scope    string
	Keys     []string
	Prefixes []string
}
