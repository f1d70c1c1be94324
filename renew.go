package readthrough

import (
	"fmt"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// A load may take longer than its leases last. While it runs, and while what it has brought is stored,
// the call renews them. The invariants:
//
//   - A lease is renewed only for a call that is wanted: not after its load was cancelled, and not after
//     the call has ended. So a process that dies, or whose readers have left, keeps no key for longer
//     than one LeaseTTL.
//   - A renewal changes nothing if the key does not hold that very lease, so it may come late or twice.
//   - Nobody waits for a renewal.

// renewalsPerTTL is how often a lease is renewed in its TTL: two renewals may fail.
const renewalsPerTTL = 3

// asksForLeases says that the call is about to ask for leases.
func (c *call) asksForLeases() {
	c.renewal = &renewal{call: c, ttl: c.scope.leaseTTL(), since: time.Now()}
}

// begin begins to renew the leases of flights, if the store can do that. r may be nil.
func (r *renewal) begin(flights []*flight) {
	if r == nil || r.call.scope.backend.Renewer == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flights = flights
	r.timer = time.AfterFunc(time.Until(r.since.Add(r.ttl/renewalsPerTTL)), r.renew)
}

// stop ends the renewals. A renewal that is under way does no harm. r may be nil.
func (r *renewal) stop() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over = true; r.timer != nil {
		r.timer.Stop()
	}
}

// leases returns the leases that are to be renewed; none if nobody wants that any more.
func (r *renewal) leases() (leases []provider.Lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.call.ctx != nil && r.call.ctx.Err() != nil {
		return nil
	}
	r.flights = filter(r.flights, func(f *flight) bool { return f.lease != nil })
	for _, f := range r.flights {
		leases = append(leases, *f.lease)
	}
	return leases
}

// renew renews the leases once, and sees to the next time.
func (r *renewal) renew() {
	leases := r.leases()
	if len(leases) == 0 {
		return
	}
	sent := time.Now()
	err := errGoexit // unless the store returns
	var renewed []bool
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.over {
			return
		}
		if err == nil {
			r.keepLocked(renewed, time.Since(r.since) < r.ttl)
			r.since = sent
		}
		r.timer.Reset(r.ttl / renewalsPerTTL)
	}()
	renewed, err = r.call.scope.backend.Renew(&r.call.values, leases, r.ttl)
}

// keepLocked drops the leases that were not renewed. If it was in time, they were removed; otherwise they
// may have ended.
func (r *renewal) keepLocked(renewed []bool, inTime bool) {
	var kept []*flight
	for i, f := range r.flights {
		switch {
		case renewed[i]:
			kept = append(kept, f)
		case inTime:
			if r.removed == nil {
				r.removed = make(map[*flight]struct{})
			}
			r.removed[f] = struct{}{}
		}
	}
	r.flights = kept
}

// isOver reports whether the lease of f, whose fill was refused, may have ended by itself.
func (r *renewal) isOver(f *flight) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, removed := r.removed[f]
	return !removed && time.Since(r.since) >= r.ttl
}

// countLost counts n values that were not stored because their leases had ended, and tells the user once.
func (c *call) countLost(n int) {
	if n == 0 {
		return
	}
	s := c.scope
	s.stats.lostLeases.Add(int64(n))
	if !s.toldOfLost.Swap(true) {
		c.report(opLoad, keyOf(c.flights), fmt.Errorf(
			"%w: it ended after %v, before the value could be stored; this is reported once, see Stats.LostLeases", errLeaseOver, s.leaseTTL()))
	}
}
