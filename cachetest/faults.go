package cachetest

import (
	"errors"
	"fmt"
	"time"
)

// Faults are what goes wrong in a store, each with the probability that it does in
// one call: from 0, never, to 1, always. They are independent of each other. The
// zero value is no fault at all.
//
// Nothing is done that package provider does not permit a store, or the network
// before it, to do. Only requests that the documentation calls safe arrive late or
// twice: deletions, and what belongs to leases and holds. A store without leases
// gets no late Set, since a call of it that has returned has no effect later on.
type Faults struct {
	// Error fails the call before the store has heard of it.
	Error float64

	// LostReply fails the call after the store has done what was asked.
	LostReply float64

	// Delay makes the call wait, before or after the store does its work or both,
	// for a random part of MaxDelay each time, or until its context ends.
	Delay float64

	// Hang makes the call wait for the end of its context before it fails. The store
	// never hears of it. A call whose context does not end hangs until
	// [Chaos.Close].
	Hang float64

	// Stuck makes the call wait beyond the end of its context, for a random part of
	// MaxLate, and only then reach the store.
	Stuck float64

	// Duplicate makes the request arrive twice, the second time up to MaxLate
	// after the first.
	Duplicate float64

	// Late fails the call at once, and lets the request arrive up to MaxLate later.
	Late float64

	// Partial fails a call with several keys for some of them, at random.
	Partial float64

	// Evict removes one of the latest keys that the store was asked about, at random,
	// before or after the call. It takes the lease on it, too.
	Evict float64

	// Corrupt damages an entry that the store returns: its bytes, if it is encoded,
	// or its type; or the store says that it is undecodable. What is stored stays
	// as it is. Damaged bytes begin with 0xff, which is not JSON: a codec that takes
	// them for a value finds out what it is worth. A reader that asks for an
	// interface type takes a live value of any type.
	Corrupt float64

	// MaxDelay and MaxLate bound the times above. Zero means 5 ms and 100 ms;
	// negative is an error.
	MaxDelay, MaxLate time.Duration

	_ struct{}
}

const (
	defaultMaxDelay = 5 * time.Millisecond
	defaultMaxLate  = 100 * time.Millisecond
)

// withDefaults returns a copy with the defaults filled in, or an error that names
// every field with a bad value. waits says whether calls may wait.
func (f Faults) withDefaults(waits bool) (Faults, error) {
	var errs []error
	for _, p := range []struct {
		name  string
		value float64
		waits bool
	}{
		{"Error", f.Error, false},
		{"LostReply", f.LostReply, false},
		{"Delay", f.Delay, true},
		{"Hang", f.Hang, true},
		{"Stuck", f.Stuck, true},
		{"Duplicate", f.Duplicate, false},
		{"Late", f.Late, false},
		{"Partial", f.Partial, false},
		{"Evict", f.Evict, false},
		{"Corrupt", f.Corrupt, false},
	} {
		if !(p.value >= 0 && p.value <= 1) { // which is true for NaN
			errs = append(errs, fmt.Errorf("cachetest: Faults.%s: %v: must be from 0 to 1", p.name, p.value))
		} else if p.value > 0 && p.waits && !waits {
			errs = append(errs, fmt.Errorf("cachetest: Faults.%s: %v: calls of a store in the process never wait; ChaosOptions.Remote makes it one that they wait for", p.name, p.value))
		}
	}
	if f.MaxDelay < 0 {
		errs = append(errs, fmt.Errorf("cachetest: Faults.MaxDelay: %v: must not be negative", f.MaxDelay))
	}
	if f.MaxLate < 0 {
		errs = append(errs, fmt.Errorf("cachetest: Faults.MaxLate: %v: must not be negative", f.MaxLate))
	}
	if f.MaxDelay == 0 {
		f.MaxDelay = defaultMaxDelay
	}
	if f.MaxLate == 0 {
		f.MaxLate = defaultMaxLate
	}
	return f, errors.Join(errs...)
}

// Op is a method of a store, or for [OpInspect] three of them.
type Op uint8

// The methods of a store and its capabilities.
const (
	OpGet Op = iota
	OpSet
	OpDelete
	OpDeletePrefix
	OpGetMany
	OpSetMany
	OpAcquire
	OpFill
	OpRelease
	OpRefresh
	OpHold
	OpUnhold
	OpInspect // Has, Stats and List
	numOps
)

// String returns the name of the method.
func (o Op) String() string {
	names := [numOps]string{
		"Get", "Set", "Delete", "DeletePrefix", "GetMany", "SetMany", "Acquire", "Fill", "Release",
		"Refresh", "Hold", "Unhold", "Inspect",
	}
	if o >= numOps {
		return fmt.Sprintf("op %d", uint8(o))
	}
	return names[o]
}

// mayRepeat reports whether the request of o may arrive late, or twice.
func (o Op) mayRepeat() bool {
	switch o {
	case OpDelete, OpDeletePrefix, OpAcquire, OpFill, OpRelease, OpRefresh, OpHold, OpUnhold:
		return true
	default:
		return false
	}
}

// Injected counts the faults that have happened.
type Injected struct {
	Calls                                           int64
	Errors, LostReplies, Delays, Hangs, Stuck       int64
	Duplicates, Late, Partial, Evictions, Corrupted int64
}
