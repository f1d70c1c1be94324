package provider

import (
	"context"
	"time"
)

// Announcer is the capability of a shared store to tell processes what was removed from it. A near
// cache needs it: memory in front of the store, in each process. The mechanism is the lease of Gray
// and Cheriton ("Leases", SOSP 1989): a process may answer from its memory for a limited time, and
// has to prove again and again that it has missed nothing.
//
// Delete, DeletePrefix and Hold tell all members what they remove:
//
//  1. They remove it.
//  2. They tell the members of all processes.
//  3. They wait for the strict members of other processes, until each of them has dropped it, or may no
//     longer answer from its memory. If the time of the call is over before that, the error matches
//     [ErrUnacknowledged].
//  4. They tell the member of their own process, directly, also if the call has failed.
//
// Then they return. providertest.RunShared checks that.
type Announcer interface {
	// Join makes this process a member, until the membership is closed. It returns at once; the
	// member may answer from its memory only after listener was told so. A store has one member at
	// a time: Join returns an error if there is one, or if options have a bad value.
	Join(options JoinOptions, listener Listener) (Membership, error)

	// Announce tells all members that entries were replaced, as if they were removed. It does not
	// wait for other members.
	Announce(ctx context.Context, removed Removed) error
}

// JoinOptions say what a member promises.
type JoinOptions struct {
	// Strict says that removals wait for this member. The store decides for how long at most: that
	// is the lease of the member.
	Strict bool
	// Window is how long after a removal a member that is not strict may still answer from its
	// memory, such as time.Second. It must be at least [MinWindow]. It has no meaning for a strict member.
	Window time.Duration

	_ struct{}
}

// MinWindow is the shortest time that a member may be allowed to answer for: several heartbeats have to fit
// into it.
const MinWindow = 20 * time.Millisecond

// Removed says which entries were removed. Keys and prefixes may repeat, and entries need not have
// been there.
type Removed struct {
	Keys     []Key
	Prefixes []Key // the Name of each is the prefix; "" means the whole scope

	_ struct{}
}

// Listener is what a member does for its store. The store calls the methods one at a time, except that
// Removed may run several times at once. They must not call the store.
type Listener interface {
	// Removed drops what the memory has of removed, and keeps out what was read from the store
	// before this call. When it returns, no read that begins later may find any of it.
	Removed(removed Removed)
	// Lost drops everything in the same way: the member has missed something.
	Lost()
	// ServeUntil says until when the member may answer from its memory, by the monotonic clock. A
	// later call replaces an earlier one. Before the first call it may not, nor after the zero time.
	ServeUntil(t time.Time)
}

// Membership is the place of a process among the members.
type Membership interface {
	// Close ends the membership. Before it returns, the listener was told to answer no more, and
	// nobody waits for this member any longer. If the server does not hear of that, others wait for
	// the rest of its lease. Further calls do nothing.
	Close() error
	// Stats returns what the membership has cost since it began.
	Stats() MembershipStats
}

// MembershipStats are the statistics of a membership and of the calls of its store that announce.
type MembershipStats struct {
	// Beats counts the heartbeats that came back. Lost counts how often the member has dropped
	// everything: after a gap in the messages, or because the server is another one.
	Beats, Lost int64
	// Messages counts the messages of removals that arrived.
	Messages int64
	// Waits counts removals of this process that waited for other members, Waited is how long all
	// of them took together, and Unacknowledged counts those that ended with [ErrUnacknowledged].
	Waits, Unacknowledged int64
	Waited                time.Duration
	// Valid reports whether the member may answer from its memory now.
	Valid bool

	_ struct{}
}

// TTLGetter is the capability of a store to tell how long its entries have left.
type TTLGetter interface {
	// GetTTL is GetMany of [Batcher], with [Result.TTL].
	GetTTL(ctx context.Context, keys []Key) ([]Result, error)
}

// NearCache is the capability of a store that keeps a part of its entries in the memory of the process,
// in front of a store that is outside. The cache asks the memory first, without a deadline and whether
// its breaker is open or not. Its GetValue and GetValues never return [Missing].
type NearCache interface {
	ValueGetter
	// GetNear returns the live entry under key that is in memory, with its Near set, and whether
	// there is one. It does not find an entry whose FreshUntil has passed.
	GetNear(key Key) (entry Entry, found bool)
	// KeepOut keeps the entries of scope out of the memory from now on.
	KeepOut(scope string)
}
