package providertest

import (
	"fmt"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// leaseTime is the TTL of leases and holds that must not end during a case.
const leaseTime = time.Hour

// A leasing is a session on a store with leases. Its methods make calls and
// check the answers. A method that needs a certain answer ends the case if it
// gets another one; a method named want… only reports the difference.
type leasing struct {
	*session

	leaser provider.Leaser
}

// withLeases makes a case for a store with leases.
func withLeases(run func(s leasing)) func(*session, provider.Leaser) {
	return func(s *session, l provider.Leaser) { run(leasing{s, l}) }
}

// acquireFor returns the grants of Acquire for keys. An error or a wrong number
// of grants ends the case.
func (s leasing) acquireFor(ttl time.Duration, keys ...provider.Key) []provider.Grant {
	s.t.Helper()
	grants, err := s.leaser.Acquire(s.ctx(), keys, ttl)
	if err != nil {
		s.fatalf("Acquire of %d keys for %v: unexpected error: %v", len(keys), ttl, err)
	}
	if len(grants) != len(keys) {
		s.fatalf("Acquire of %d keys returned %d grants", len(keys), len(grants))
	}
	for i := range grants {
		s.checkGrant(keys[i], &grants[i])
	}
	return grants
}

// checkGrant checks that the fields of a grant are consistent.
func (s leasing) checkGrant(key provider.Key, grant *provider.Grant) {
	s.t.Helper()
	switch {
	case grant.State == provider.LeaseFailed:
		s.fatalf("Acquire of %s failed: unexpected error: %v", show(key), grant.Err)
	case grant.Err != nil:
		s.errorf("Acquire of %s: %s and an error: %v", show(key), stateOf(grant.State), grant.Err)
	case grant.State == provider.LeaseGranted && grant.Lease.Key != key:
		s.errorf("Acquire of %s granted a lease of %s", show(key), show(grant.Lease.Key))
	}
}

// acquireAll acquires keys for leaseTime.
func (s leasing) acquireAll(keys ...provider.Key) []provider.Grant {
	s.t.Helper()
	return s.acquireFor(leaseTime, keys...)
}

// acquire acquires one key for leaseTime.
func (s leasing) acquire(key provider.Key) provider.Grant {
	s.t.Helper()
	return s.acquireAll(key)[0]
}

// lease returns a lease of key, which must be free. Any other answer ends the
// case.
func (s leasing) lease(key provider.Key) provider.Lease {
	s.t.Helper()
	return s.leaseFor(key, leaseTime)
}

// leaseFor is lease with another TTL.
func (s leasing) leaseFor(key provider.Key, ttl time.Duration) provider.Lease {
	s.t.Helper()
	grant := s.acquireFor(ttl, key)[0]
	if grant.State != provider.LeaseGranted {
		s.fatalf("Acquire of %s: %s, want it granted", show(key), stateOf(grant.State))
	}
	return grant.Lease
}

// leases returns leases of keys, which must be free.
func (s leasing) leases(keys ...provider.Key) []provider.Lease {
	s.t.Helper()
	leases := make([]provider.Lease, len(keys))
	for i, grant := range s.acquireAll(keys...) {
		if grant.State != provider.LeaseGranted {
			s.fatalf("Acquire of %s: %s, want it granted", show(keys[i]), stateOf(grant.State))
		}
		leases[i] = grant.Lease
	}
	return leases
}

// wantState checks the answer of Acquire for key. want must not be LeaseGranted,
// because a granted key is no longer free.
func (s leasing) wantState(key provider.Key, want provider.GrantState) {
	s.t.Helper()
	if grant := s.acquire(key); grant.State != want {
		s.errorf("Acquire of %s: %s, want %s", show(key), stateOf(grant.State), stateOf(want))
	}
}

// wantFree checks that key is free. It leaves it free.
func (s leasing) wantFree(key provider.Key) {
	s.t.Helper()
	s.wantMiss(key)
	s.release(s.lease(key))
}

// wantFoundBy checks that a grant has found the entry want.
func (s leasing) wantFoundBy(grant *provider.Grant, key provider.Key, want provider.Entry) {
	s.t.Helper()
	if grant.State != provider.LeaseFound {
		s.errorf("Acquire of %s: %s, want the entry found", show(key), stateOf(grant.State))
		return
	}
	s.wantEntry(key, grant.Entry, want)
}

// fillAll returns the answers of Fill. An error or a wrong number of answers
// ends the case.
func (s leasing) fillAll(fills ...provider.Fill) []provider.Filled {
	s.t.Helper()
	filled, err := s.leaser.Fill(s.ctx(), fills)
	if err != nil {
		s.fatalf("Fill of %d entries: unexpected error: %v", len(fills), err)
	}
	if len(filled) != len(fills) {
		s.fatalf("Fill of %d entries returned %d answers", len(fills), len(filled))
	}
	for i, f := range filled {
		if f.Stored && f.Err != nil {
			s.errorf("Fill of %s: Stored and an error: %v", show(fills[i].Lease.Key), f.Err)
		}
	}
	return filled
}

// fillOf returns a fill of value for an hour.
func fillOf(lease provider.Lease, value any) provider.Fill {
	return provider.Fill{Lease: lease, Entry: provider.Entry{Value: value}, TTL: time.Hour}
}

// fillEntry fills under a valid lease. If the entry is not stored, the case
// ends.
func (s leasing) fillEntry(fill provider.Fill) {
	s.t.Helper()
	if filled := s.fillAll(fill)[0]; !filled.Stored {
		s.fatalf("Fill of %s: Stored false, error %v; the key holds that lease", show(fill.Lease.Key), filled.Err)
	}
}

// fillValue fills value for an hour under a valid lease.
func (s leasing) fillValue(lease provider.Lease, value any) {
	s.t.Helper()
	s.fillEntry(fillOf(lease, value))
}

// wantRefused checks that a fill is refused. The key does not hold the lease.
func (s leasing) wantRefused(lease provider.Lease, why string) {
	s.t.Helper()
	filled := s.fillAll(fillOf(lease, "must not be stored"))[0]
	if filled.Stored || filled.Err != nil {
		s.errorf("Fill of %s: Stored %v, error %v; want it refused without an error: %s", show(lease.Key), filled.Stored, filled.Err, why)
	}
}

// release releases leases. An error ends the case.
func (s leasing) release(leases ...provider.Lease) {
	s.t.Helper()
	if err := s.leaser.Release(s.ctx(), leases); err != nil {
		s.fatalf("Release of %d leases: unexpected error: %v", len(leases), err)
	}
}

// wantFreed checks that Acquire answers state for key until ttl after began, and
// grants a lease from then on. It asks repeatedly, to detect a store that
// prolongs what it is asked for. It returns the lease.
func (s leasing) wantFreed(key provider.Key, state provider.GrantState, ttl time.Duration, began stamp) provider.Lease {
	s.t.Helper()
	return s.wantFreedAsked(key, func() provider.Grant { return s.acquire(key) }, state, ttl, began)
}

// wantFreedAsked is wantFreed with another call than Acquire.
func (s leasing) wantFreedAsked(key provider.Key, ask func() provider.Grant, state provider.GrantState, ttl time.Duration, began stamp) provider.Lease {
	s.t.Helper()
	if s.exact() {
		return s.wantExactlyFreed(key, ask, state, ttl, began)
	}
	for {
		grant := ask()
		looked := time.Now()
		switch {
		case grant.State == state && looked.After(began.end(ttl).Add(patience)):
			s.fatalf("the lease of %s is still %s %v after the end of its TTL of %v", show(key), stateOf(state), patience, ttl)
		case grant.State == state:
		case grant.State != provider.LeaseGranted:
			s.fatalf("the lease of %s is %s, want %s", show(key), stateOf(grant.State), stateOf(state))
		case looked.Before(began.end(ttl - earliness)):
			s.fatalf("the lease of %s is granted %v before the end of its TTL of %v", show(key), began.end(ttl).Sub(looked), ttl)
		default:
			return grant.Lease
		}
		time.Sleep(pollEvery)
	}
}

// wantExactlyFreed asks at half of ttl, a nanosecond before its end, and at its
// end.
func (s leasing) wantExactlyFreed(key provider.Key, ask func() provider.Grant, state provider.GrantState, ttl time.Duration, began stamp) provider.Lease {
	s.t.Helper()
	for _, before := range []time.Duration{ttl / 2, 1} {
		time.Sleep(time.Until(began.end(ttl - before)))
		if grant := ask(); grant.State != state {
			s.errorf("the lease of %s is %s %v before the end of its TTL of %v, want %s", show(key), stateOf(grant.State), before, ttl, stateOf(state))
		}
	}
	time.Sleep(time.Until(began.end(ttl)))
	grant := ask()
	if grant.State != provider.LeaseGranted {
		s.fatalf("the lease of %s is %s at the end of its TTL of %v, want it granted", show(key), stateOf(grant.State), ttl)
	}
	return grant.Lease
}

// leaseSoon returns a lease of key, which must be free by now. In real time it
// retries for a while: the end may have passed on another clock only.
func (s leasing) leaseSoon(key provider.Key) provider.Lease {
	s.t.Helper()
	if s.exact() {
		return s.lease(key)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(pollEvery) {
		grant := s.acquire(key)
		if grant.State == provider.LeaseGranted {
			return grant.Lease
		}
		if time.Now().After(deadline) {
			s.fatalf("Acquire of %s: still %s %v after everything there has ended", show(key), stateOf(grant.State), patience)
		}
	}
}

// stateOf returns the name of a state.
func stateOf(state provider.GrantState) string {
	switch state {
	case provider.LeaseFailed:
		return "failed"
	case provider.LeaseFound:
		return "found"
	case provider.LeaseGranted:
		return "granted"
	case provider.LeaseBusy:
		return "busy"
	case provider.LeaseHeld:
		return "held"
	default:
		return fmt.Sprintf("state %d, which there is not", state)
	}
}
