package readthrough

import (
	"fmt"
	"sync"
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

// renewal renews the leases of a load.
type renewal struct {
	call *call
	ttl  time.Duration

	mu      sync.Mutex // guards following
	flights []*flight  // whose leases are renewed
	since   time.Time  // all of them last at least a TTL from then on, unless they are removed
	timer   *time.Timer
	over    bool
}

// keepLeases begins to renew the leases of flights. It returns nil if there is nothing to renew.
func (c *call) keepLeases(flights []*flight) *renewal {
	if c.scope.backend.Renewer == nil || c.leased.IsZero() {
		return nil
	}
	r := &renewal{call: c, ttl: c.scope.leaseTTL(), flights: flights, since: c.leased}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = time.AfterFunc(time.Until(r.since.Add(r.ttl/renewalsPerTTL)), r.renew)
	return r
}

// stop ends the renewals. A renewal that is under way does no harm. r may be nil.
func (r *renewal) stop() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.timer.Stop()
	r.call.leased = r.since
}

// lastingSince returns since when the leases last a TTL.
func (r *renewal) lastingSince() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since
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
	renewed, err := r.call.scope.backend.Renew(&r.call.values, leases, r.ttl)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	if err == nil {
		r.since = sent
		kept := r.flights[:0:0]
		for i, f := range r.flights {
			if renewed[i] { // the others were removed, or have ended
				kept = append(kept, f)
			}
		}
		r.flights = kept
	}
	r.timer.Reset(r.ttl / renewalsPerTTL)
}

// leasesAreOver reports whether the leases of the call may have ended by themselves.
func (c *call) leasesAreOver() bool {
	since := c.leased
	if c.renewal != nil {
		since = c.renewal.lastingSince()
	}
	return time.Since(since) >= c.scope.leaseTTL()
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
