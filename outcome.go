package readthrough

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

// outcome is what a flight brought. It has four shapes, and the zero value means that there is none
// yet:
//
//	known, entry.Value             a value, loaded (found: in the store)
//	known, entry.Absent            the source has nothing; err is how the load said so, if it did
//	known, err, not entry.Absent   the load has failed
//	not known                      none: the load was not run, or left to another process
//
// The goroutine of the call writes it. It is final when the call is at stageLoaded, and never
// changes after that, since readers then read it without the lock.
type outcome struct {
	entry provider.Entry
	// err is the error of the load. With entry.Absent, it is the error by which the load said that
	// the source has nothing; nil for an absence from the store or from a bulk load.
	err error
	// private: the load function has said DoNotStore. Only the reader that began the load gets it.
	private bool
	// known: there is an outcome.
	known bool
	// found: the store had the entry, and nothing was loaded.
	found bool
	// extended: the source has confirmed the stored value (Load.NotModified). The entry gets a new
	// TTL, and a store with leases does not get the value again.
	extended bool
}

// failed reports whether there is neither a value nor an absence. An absence that a load reports by
// an error is a result, not a failure: it is stored, and it ends a pause of the key.
func (o *outcome) failed() bool { return o.err != nil && !o.entry.Absent }

// source returns where the value of a flight comes from.
func (o *outcome) source() Source {
	if o.found {
		return FromStore
	}
	return FromLoad
}

// decisions are what a load function has said about an entry through [Load]. The load function may
// use its Load from several goroutines, so call.deciding guards them. finalize and storing read
// them after the load function has returned.
//
// They are kept outside of outcome for two reasons. A load that ends after its timeout must leave
// nothing behind (discard), and most loads decide nothing, so most flights have only a nil pointer.
type decisions struct {
	// ttl replaces the TTL of the call, if isTTL. Not positive: the entry is over already.
	ttl   time.Duration
	isTTL bool
	// unstored: the outcome is served and not stored.
	unstored bool
	// unmodified: the stored value is still right.
	unmodified bool
	validator  string
	// isValidator: validator was set, if only to "".
	isValidator bool
	// err: what was said makes no sense, such as NotModified without a value. The flight then
	// fails.
	err error
}

// storing is what happens in the store with the outcome of a flight, as far as the outcome decides.
// Whether a storeEntry is really stored is up to the fence, or to the lease (fence.go).
type storing uint8

const (
	// storeNothing: the load has failed, the load function has said DoNotStore, or the flight
	// bypasses the store. The store keeps what it has.
	storeNothing storing = iota
	// storeEntry: the outcome may be stored.
	storeEntry
	// removeEntry: the outcome is not stored, but what the flight was to replace is over: the source
	// has nothing under the key any more and the scope does not store absences, or the load function
	// has said that the value is over, too. The old entry must go, or it would be served on until its
	// stale time ends.
	removeEntry
)
