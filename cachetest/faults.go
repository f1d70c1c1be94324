package cachetest

import (
	"errors"
	"fmt"
	"time"
)

// Faults are the faults of a store. Most fields are the probability of a fault in
// one call, from 0, never, to 1, always; for example 0.05. Other values are errors,
// and so are Delay, Hang and Stuck for a store in the process, see
// [ChaosOptions.Remote]. The zero value means no faults.
//
// Each fault is decided on its own, but the first of Error, Hang, Stuck and Late
// that happens excludes the others, Duplicate and LostReply.
//
// All faults are such that package provider permits them to a store or to its
// network. Only requests that are documented as safe arrive late or twice:
// deletions, and those of leases and holds. A Set never arrives late, because a Set
// that has returned must have no later effect.
type Faults struct {
	// Error fails the call before the request reaches the store.
	Error float64

	// LostReply fails the call after the store has carried it out.
	LostReply float64

	// Delay makes the call wait for a random part of MaxDelay, or until its context
	// ends. It is decided twice, before and after the store does its work, with two
	// thirds of the probability each.
	Delay float64

	// Hang makes the call wait until its context ends, and then fails it. The
	// request never reaches the store. If the context does not end, the call hangs
	// until [Chaos.Close].
	Hang float64

	// Stuck makes the call wait beyond the end of its context, for a random part of
	// MaxLate. Only then does the request reach the store.
	Stuck float64

	// Duplicate makes the request arrive twice, the second time up to MaxLate after
	// the first.
	Duplicate float64

	// Late fails the call at once. Its request arrives up to MaxLate later.
	Late float64

	// Partial fails a call with several keys for some of them, chosen at random.
	Partial float64

	// Evict removes one of the 64 latest keys of calls, chosen at random, and its
	// lease. It is decided twice, before and after the call, with half of the
	// probability each.
	Evict float64

	// Corrupt damages an entry that the store returns: the bytes or the type of an
	// encoded value, or the type of a live value; or the store returns an error that
	// matches [provider.ErrUndecodable]. The stored entry does not change. Damaged
	// bytes begin with 0xff, which is not JSON; another codec may accept them. A
	// reader that asks for an interface type accepts a live value of any type.
	Corrupt float64

	// MaxDelay and MaxLate bound the times above, such as 20*time.Millisecond. Zero
	// means 5 ms for MaxDelay and 100 ms for MaxLate. Negative is an error.
	MaxDelay, MaxLate time.Duration

	_ struct{}
}

const (
	defaultMaxDelay = 5 * time.Millisecond
	defaultMaxLate  = 100 * time.Millisecond
)

// withDefaults returns a copy with defaults in place of zero values, or an error
// that names every field with a bad value. waits reports whether calls may wait.
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
		if !(p.value >= 0 && p.value <= 1) { // true for NaN
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

// Op is a method of a store; [OpInspect] stands for three.
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
	OpRenew
	OpInspect // Has, Stats and List
	numOps
)

// String returns the name of the method.
func (o Op) String() string {
	names := [numOps]string{
		"Get", "Set", "Delete", "DeletePrefix", "GetMany", "SetMany", "Acquire", "Fill", "Release",
		"Refresh", "Hold", "Unhold", "Renew", "Inspect",
	}
	if o >= numOps {
		return fmt.Sprintf("op %d", uint8(o))
	}
	return names[o]
}

// mayRepeat reports whether a request of o may arrive late or twice.
func (o Op) mayRepeat() bool {
	switch o {
	case OpDelete, OpDeletePrefix, OpAcquire, OpFill, OpRelease, OpRefresh, OpHold, OpUnhold, OpRenew:
		return true
	default:
		return false
	}
}

// Injected counts the calls, and the faults that happened.
type Injected struct {
	Calls                                           int64
	Errors, LostReplies, Delays, Hangs, Stuck       int64
	Duplicates, Late, Partial, Evictions, Corrupted int64
}
