package cachetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is a kind of violation.
type Kind uint8

const (
	// StaleRead is a read of an old value: it was loaded before an invalidation began
	// that had returned before the read began.
	StaleRead Kind = iota + 1
	// StaleFill is an old value that was still stored at the end, see [Source.Sweep].
	StaleFill
	// ForeignValue is a read of a value that the source never had under the key.
	ForeignValue
)

// String returns the name of the kind.
func (k Kind) String() string {
	switch k {
	case StaleRead:
		return "stale read"
	case StaleFill:
		return "stale fill"
	case ForeignValue:
		return "foreign value"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// ViolationError is the error of [History.Check] for a history that is not consistent.
// It describes one of the [Report.Violations]: the one that spans the fewest steps.
type ViolationError struct {
	Kind Kind
	Key  string
	// Events prove the violation, in their order, and contain nothing else.
	Events []Event
	Report Report

	_ struct{}
}

// Event is one step of a counterexample.
type Event struct {
	// Order is the place of the step in the order of all recorded steps.
	Order int64
	// At is the time of the step since the history began.
	At time.Duration
	// Process is the process of the step; empty without [History.At].
	Process string
	// What describes the step.
	What string
}

// Error returns the counterexample as a timeline.
func (v *ViolationError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cachetest: %v of %q\n%v\n", v.Kind, v.Key, v.Report)
	var places, times, processes int
	for _, e := range v.Events {
		places = max(places, len(fmt.Sprint(e.Order)))
		times = max(times, len(e.At.String()))
		processes = max(processes, len(e.Process))
	}
	for _, e := range v.Events {
		process := ""
		if processes > 0 {
			process = fmt.Sprintf("%-*s  ", processes, e.Process)
		}
		fmt.Fprintf(&b, "  #%-*d  %*v  %s%s\n", places, e.Order, times, e.At, process, e.What)
	}
	return b.String()
}

// tell sets the events of a violation. inv, newer and load are nil if they are unknown
// or do not belong to it.
func (v *ViolationError) tell(c *checker, s *suspect, inv *invalidation, newer, load *operation) {
	add := func(place int64, at time.Duration, process int32, format string, args ...any) {
		v.Events = append(v.Events, Event{Order: place, At: at, Process: c.processes[process], What: fmt.Sprintf(format, args...)})
	}
	read := s.read
	answer := func(o *operation) string {
		if o.absent {
			return "that there is nothing"
		}
		return fmt.Sprintf("version %d", o.version)
	}
	if load != nil {
		add(load.begin, load.beganAt, load.process, "load L of %q begins", s.key)
		if load.point != 0 {
			add(load.point, load.pointAt, load.process, "L reads %s from the source", answer(load))
		}
		add(load.end, load.endedAt, load.process, "L returns %s", answer(load))
	}
	if newer != nil {
		if newer.begin != newer.end {
			add(newer.begin, newer.beganAt, newer.process, "write W of %q begins", s.key)
		}
		what := "commits " + answer(newer)
		if newer.absent {
			what = "deletes it"
		}
		add(newer.end, newer.endedAt, newer.process, "write W of %q %s", s.key, what)
	}
	if inv != nil {
		outcome := "nil"
		if inv.pending {
			outcome = "that it is pending"
		}
		add(inv.begin, inv.beganAt, inv.process, "invalidation I %s begins", inv.covers(s.key))
		add(inv.end, inv.endedAt, inv.process, "I returns %s", outcome)
	}
	how := ""
	if read.swept {
		how = ", with all loads stopped,"
	}
	add(read.begin, read.beganAt, read.process, "read R of %q%s begins", s.key, how)
	switch {
	case v.Kind == ForeignValue:
		add(read.end, read.endedAt, read.process, "R returns a value that the source has never had under that key")
	case read.swept:
		add(read.end, read.endedAt, read.process, "R returns %s: that is stored, though W came before I, and I has returned", answer(&read))
	default:
		add(read.end, read.endedAt, read.process, "R returns %s: stale, since W came before I, and I had returned before R began", answer(&read))
	}
	slices.SortFunc(v.Events, func(a, b Event) int { return cmp.Compare(a.Order, b.Order) })
}
