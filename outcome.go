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

// finalize makes the outcome of f final, after a load that took so long and returned err. What the
// load function has decided about the entry comes into it.
func (f *flight) finalize(err error, took time.Duration, now time.Time) {
	f.call.deciding.Lock()
	var d decisions
	if f.decided != nil {
		d = *f.decided
	}
	f.call.deciding.Unlock()
	o := &f.outcome
	if d.unmodified && f.old != nil && (err == nil || len(f.call.flights) > 1) { // the error of a bulk load belongs to others
		*o = outcome{known: true, extended: true, entry: provider.Entry{Value: f.old.Value, Validator: f.old.Validator}}
	}
	if !o.known {
		o.entry = provider.Entry{Absent: err == nil}
		o.err = err
	}
	if d.err != nil && !o.failed() {
		*o = outcome{err: d.err}
	}
	o.known = true
	o.entry.LoadedAt, o.entry.LoadTime = now, took
	if d.isValidator {
		o.entry.Validator = d.validator
	}
}

// discard drops what a load brought after its timeout, and what it decided.
func (f *flight) discard() {
	f.call.deciding.Lock()
	defer f.call.deciding.Unlock()
	f.outcome, f.decided = outcome{}, nil
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

// storing returns what is to happen in the store with the outcome of f, and the TTL of an entry that
// is stored.
func (f *flight) storing() (storing, time.Duration) {
	o := &f.outcome
	if f.bypass || o.failed() {
		return storeNothing, 0
	}
	f.call.deciding.Lock()
	defer f.call.deciding.Unlock()
	ttl := f.call.ttls.of(&o.entry)
	if d := f.decided; d != nil {
		if d.unstored {
			return storeNothing, 0
		}
		if d.ttl != 0 {
			ttl = d.ttl
		}
	}
	switch {
	case ttl > 0:
		return storeEntry, ttl
	case o.entry.Absent && !f.replaces.IsZero():
		return removeEntry, 0
	default:
		return storeNothing, 0
	}
}
