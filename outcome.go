package readthrough

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

// decisions are what a load function has said about an entry.
type decisions struct {
	ttl         time.Duration // zero: the call's
	unstored    bool
	unmodified  bool
	validator   string
	isValidator bool  // validator was set
	err         error // what was said makes no sense
}

// settle makes the outcome of f final, after a load that returned err and took so
// long: what the load function said beside that comes into it.
func (f *flight) settle(err error, took time.Duration, now time.Time) {
	f.call.deciding.Lock()
	var d decisions
	if f.decided != nil {
		d = *f.decided
	}
	f.call.deciding.Unlock()
	o := &f.outcome
	if d.unmodified && f.old != nil && (err == nil || len(f.call.flights) > 1) { // an error of a bulk load is one of the others
		*o = outcome{known: true, extended: true, entry: provider.Entry{Value: f.old.Value, Validator: f.old.Validator}}
	}
	if !o.known {
		o.entry = provider.Entry{Absent: err == nil}
		o.err = err
	}
	if d.err != nil && (o.err == nil || o.entry.Absent) {
		*o = outcome{err: d.err}
	}
	o.known = true
	o.entry.LoadedAt, o.entry.LoadTime = now, took
	if d.isValidator {
		o.entry.Validator = d.validator
	}
}

// ttl returns how long the outcome of f may be stored, by what its load has
// decided or by what its call has. Zero: this one is not stored; negative: nothing
// of its kind is.
func (f *flight) ttl() time.Duration {
	f.call.deciding.Lock()
	defer f.call.deciding.Unlock()
	switch d := f.decided; {
	case d != nil && d.unstored:
		return 0
	case d != nil && d.ttl != 0:
		return d.ttl
	default:
		return f.call.lives.of(&f.outcome.entry)
	}
}

// source returns where a value comes from that a flight has brought.
func (o *outcome) source() Source {
	if o.found {
		return FromStore
	}
	return FromLoad
}

// outcome is what a flight brought.
type outcome struct {
	entry provider.Entry
	err   error // of the load; with entry.Absent, the load's way to say so
	known bool  // there is one
	// found says that the store had the entry: nothing was loaded.
	found bool
	// extended says that the source has confirmed the value that is stored.
	extended bool
}
