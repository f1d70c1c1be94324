package readthrough

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

// outcome is what a flight brought.
type outcome struct {
	entry provider.Entry
	err   error // of the load; with entry.Absent: how the load said so
	known bool  // there is an outcome
	// found says that the store had the entry: nothing was loaded.
	found bool
	// extended says that the source has confirmed the stored value, which gets a new TTL.
	extended bool
}

// failed reports whether there is neither a value nor an absence.
func (o *outcome) failed() bool { return o.err != nil && !o.entry.Absent }

// source returns where the value of a flight comes from.
func (o *outcome) source() Source {
	if o.found {
		return FromStore
	}
	return FromLoad
}

// decisions are what a load function has said about an entry, through [Load].
type decisions struct {
	ttl         time.Duration // zero: the TTL of the call
	unstored    bool
	unmodified  bool
	validator   string
	isValidator bool  // validator was set
	err         error // what was said makes no sense
}

// storing is what is to happen in the store with the outcome of a flight.
type storing uint8

const (
	// storeNothing: the load has failed, or its function has said that this value is not stored. What
	// the store has stays.
	storeNothing storing = iota
	// storeEntry: the outcome is stored.
	storeEntry
	// removeEntry: the source has nothing under the key any more, and absences are not stored: what the
	// store has must go.
	removeEntry
)
