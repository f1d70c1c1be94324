package provider

import (
	"context"
	"time"
)

// Leaser is the capability of a shared store to refuse a fill that an invalidation
// has overtaken, whichever process invalidates. With it, G1 and G2 hold across
// processes. The mechanism is the lease of "Scaling Memcache at Facebook" (NSDI
// 2013).
//
// A key holds an entry, or a lease, or nothing. A reader that misses acquires a
// lease, loads, and fills. The store keeps the entry only if the key still holds
// that lease. Delete and DeletePrefix remove entries and leases alike, so a load
// that began before an invalidation cannot fill after it. Get does not find leases.
// Set replaces them. DeletePrefix does not count them.
//
// Every method is safe if its request arrives late or twice: each transmission of
// an Acquire gets a token of its own, and Fill and Release change nothing if the
// key does not hold their lease. A lease that nobody fills ends with its TTL.
type Leaser interface {
	// Acquire asks for the entry of each key, in one step per key. For a key
	// without an entry it grants a lease that ends after ttl, unless the key is
	// leased or held. It returns one [Grant] per key, in the order of keys. Keys
	// must not repeat. If an error concerns the whole call, the grants of the
	// affected keys have it too.
	Acquire(ctx context.Context, keys []Key, ttl time.Duration) ([]Grant, error)

	// Fill stores each entry under its lease, and reports for each whether it was
	// stored. An entry that is refused because of its size or encoding leaves nothing
	// under its key: neither its lease nor an older entry.
	Fill(ctx context.Context, fills []Fill) ([]Filled, error)

	// Release gives up leases of keys that will not be filled.
	Release(ctx context.Context, leases []Lease) error
}

// Lease is the right to fill a key once.
type Lease struct {
	Key   Key
	Token string // identifies the lease in the store
}

// GrantState is the answer of [Leaser.Acquire] for a key.
type GrantState uint8

const (
	// LeaseFailed means that the store could not be asked; [Grant.Err] says why. If
	// that error matches [ErrUndecodable], the key holds something unreadable,
	// which has to be deleted before the key can be filled.
	LeaseFailed GrantState = iota
	// LeaseFound means that there is an entry.
	LeaseFound
	// LeaseGranted means that there is no entry and that the caller has the lease.
	LeaseGranted
	// LeaseBusy means that another caller has the lease.
	LeaseBusy
	// LeaseHeld means that the key is held, see [Holder]. Nobody may fill it.
	LeaseHeld
)

// Grant is the answer of [Leaser.Acquire] for one key.
type Grant struct {
	State GrantState
	Found bool  // only set by Refresh: there is an Entry beside the lease
	Entry Entry // if State is LeaseFound, or Found is set
	Lease Lease // if State is LeaseGranted
	Err   error // if State is LeaseFailed
}

// Fill is an entry to store under a lease.
type Fill struct {
	Lease Lease
	Entry Entry
	TTL   time.Duration

	// Extend means that the source has confirmed the stored value. The store keeps
	// Value and Absent as they are, and takes FreshUntil, LoadedAt, LoadTime and
	// Validator from Entry. Extend needs a lease that [Refresher.Refresh] granted
	// together with an entry. The store refuses it for a key without an entry.
	Extend bool
}

// Filled is the answer of [Leaser.Fill] for one entry. Stored is true only if the
// store has confirmed it. The key has then held the lease ever since Acquire, so no
// invalidation came in between. An Err beside Stored says what is wrong with the entry
// that was stored all the same, see [ErrLossy].
type Filled struct {
	Stored bool
	Err    error
}

// Refresher is the capability of a leasing store to lease a key that holds an
// entry, so that readers get the old entry until the new one replaces it. The key
// then holds both. Whatever removes the entry removes the lease: Delete,
// DeletePrefix, Hold, the end of the entry's TTL, and a Set that replaces the
// entry. The lease has a TTL of its own; its end leaves the entry in place. Get
// finds the entry.
//
// Fill replaces the entry if the key still holds that lease. Release removes the
// lease and leaves the entry and its TTL unchanged. Acquire finds the entry,
// whether the key is leased or not.
type Refresher interface {
	// Refresh asks for a lease on each key, in one step per key. The lease ends
	// after ttl. Refresh returns one [Grant] per request, in the order of requests.
	// Keys must not repeat.
	//
	//   - LeaseGranted: the caller has the lease. With Found, Entry is what the key
	//     holds. Without Found, the key holds nothing but the lease, as after
	//     Acquire.
	//   - LeaseFound: Entry is not the one that the caller knows, see
	//     [RefreshRequest]. No lease was granted.
	//   - LeaseBusy: another caller has the lease. With Found, Entry is what the
	//     key holds.
	//   - LeaseHeld, LeaseFailed: as from Acquire.
	Refresh(ctx context.Context, requests []RefreshRequest, ttl time.Duration) ([]Grant, error)
}

// RefreshRequest names a key to lease.
type RefreshRequest struct {
	Key Key
	// LoadedAt is the LoadedAt of the entry that the caller wants to replace,
	// exactly as Get returned it; zero if the caller has found none. An entry with
	// another LoadedAt was stored later: the store returns it, and grants no lease.
	LoadedAt time.Time
	// Force leases the key whichever entry it holds.
	Force bool
}

// Holder is the capability of a leasing store to hold keys and prefixes. While a
// key is held, nobody gets an entry or a lease for it. The hold ends with Unhold or
// with its TTL. Several holds may cover a key at the same time; each has its token.
// Delete and DeletePrefix do not end holds.
//
// A hold closes the gap between a change of the source and the invalidation after
// it, for other processes: the writer places the hold before the change, and ends
// it after the invalidation. A hold that is left to its TTL keeps values from a
// lagging source out of the store for that time. Both methods are safe if their
// request arrives twice. A Hold that arrives after its Unhold ends with its TTL.
type Holder interface {
	// Hold removes the entries and leases that targets cover, and holds the targets
	// for ttl under token. A call with the same token and targets renews the hold. A
	// store may leave a renewed hold the end that it had, if that is later. Different
	// holds need different tokens.
	Hold(ctx context.Context, targets HoldTargets, token string, ttl time.Duration) error

	// Unhold ends the hold of the same targets and token.
	Unhold(ctx context.Context, targets HoldTargets, token string) error
}

// Renewer is the capability of a leasing store to prolong leases. Without it, a load
// that takes longer than its lease cannot be stored. A renewal is safe if its
// request arrives late or twice: it changes nothing if the key does not hold that
// very lease.
type Renewer interface {
	// Renew has each lease end after ttl from now, and reports for each whether its
	// key still holds it. It prolongs no entry: a lease beside an entry ends with the
	// entry, whatever ttl is. It returns one answer per lease, in the order of leases.
	// With an error, an answer that is false says nothing.
	Renew(ctx context.Context, leases []Lease, ttl time.Duration) (renewed []bool, err error)
}

// HoldTargets are keys and prefixes of one scope.
type HoldTargets struct {
	Scope    string
	Keys     []string
	Prefixes []string

	// LeftToTTL says that nobody will give the hold up: it ends with its TTL. The store
	// may then ignore its token, and keep one hold for all that are placed on a key or
	// a prefix in this way, which ends when the last of them would. A store may also
	// ignore LeftToTTL.
	LeftToTTL bool
}
