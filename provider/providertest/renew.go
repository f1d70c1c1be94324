package providertest

import (
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// withRenewals makes a case for a store that renews leases. Such a store must have
// leases.
func withRenewals(run func(s leasing, r provider.Renewer)) func(*session, provider.Renewer) {
	return func(s *session, r provider.Renewer) {
		l, ok := s.store.(provider.Leaser)
		if !ok {
			s.fatalf("the store has a provider.Renewer and no provider.Leaser: there is nothing to renew")
		}
		run(leasing{s, l}, r)
	}
}

// renew returns the answers of Renew. An error or a wrong number of answers ends the
// case.
func (s leasing) renew(r provider.Renewer, ttl time.Duration, leases ...provider.Lease) []bool {
	s.t.Helper()
	renewed, err := r.Renew(s.ctx(), leases, ttl)
	if err != nil {
		s.fatalf("Renew of %d leases for %v: unexpected error: %v", len(leases), ttl, err)
	}
	if len(renewed) != len(leases) {
		s.fatalf("Renew of %d leases returned %d answers", len(leases), len(renewed))
	}
	return renewed
}

// wantRenewed checks the answers of Renew.
func (s leasing) wantRenewed(got []bool, want ...bool) {
	s.t.Helper()
	if !slices.Equal(got, want) {
		s.errorf("Renew answered %v, want %v", got, want)
	}
}

// renewedFor returns a lease of a key that was taken for ttl and then renewed for
// leaseTime. In real time a loaded machine may delay the case for longer than ttl;
// renewedFor then repeats it.
func (s leasing) renewedFor(r provider.Renewer, ttl time.Duration, take func() provider.Lease) provider.Lease {
	s.t.Helper()
	for {
		began := now()
		lease := take()
		if s.renew(r, leaseTime, lease)[0] {
			return lease
		}
		if s.exact() || time.Now().Before(began.end(ttl-earliness)) {
			s.fatalf("Renew of %s: not renewed; the key holds that lease", show(lease.Key))
		}
		s.remove(lease.Key)
	}
}

func renewCases() []capabilityCase[provider.Renewer] {
	return []capabilityCase[provider.Renewer]{
		{
			"prolongs",
			because("A lease that was renewed ends after the new TTL, and fills until then: a load that takes longer than its lease is stored."),
			withRenewals(func(s leasing, r provider.Renewer) {
				const ttl = 200 * time.Millisecond
				lease := s.renewedFor(r, ttl, func() provider.Lease { return s.leaseFor(k("key"), ttl) })
				s.expire(ttl)
				s.wantState(k("key"), provider.LeaseBusy)
				s.fillValue(lease, "value")
				s.want(k("key"), "value")
			}),
		},
		{
			"ends",
			because("A lease that was renewed ends exactly with its new TTL, which counts from Renew: a holder that dies after it must not keep others from loading."),
			withRenewals(func(s leasing, r provider.Renewer) {
				const ttl = 200 * time.Millisecond
				lease := s.lease(k("key"))
				began := now()
				s.wantRenewed(s.renew(r, ttl, lease), true)
				s.wantFreed(k("key"), provider.LeaseBusy, ttl, began)
				s.wantRefused(lease, "it has ended")
			}),
		},
		{
			"not-the-lease",
			because("Renew changes nothing if the key does not hold that very lease, and says so: neither what has ended, was removed, was filled or was released comes back, nor is the lease of somebody else prolonged. It may come late, or twice."),
			withRenewals(checkRenewOther),
		},
		{
			"several",
			because("Renew answers for each of the leases in their order, whatever became of the others."),
			withRenewals(func(s leasing, r provider.Renewer) {
				leases := s.leases(k("a"), k("b"), k("c"), k("d"))
				s.remove(k("b"))
				s.fillValue(leases[2], "value")
				s.wantRenewed(s.renew(r, leaseTime, leases...), true, false, false, true)
				s.wantRenewed(s.renew(r, leaseTime, leases...), true, false, false, true)
				s.want(k("c"), "value")
				s.wantMiss(k("b"))
				s.fillValue(leases[0], "value")
				s.fillValue(leases[3], "value")
				s.wantRenewed(s.renew(r, leaseTime))
			}),
		},
		{
			"ttl",
			because("Renew with a TTL that is not positive returns an error and changes nothing."),
			withRenewals(func(s leasing, r provider.Renewer) {
				lease := s.lease(k("key"))
				for _, ttl := range []time.Duration{0, -1, -time.Hour} {
					if _, err := r.Renew(s.ctx(), []provider.Lease{lease}, ttl); err == nil {
						s.errorf("Renew with ttl %v returned nil, want an error", ttl)
					}
				}
				s.wantState(k("key"), provider.LeaseBusy)
				s.fillValue(lease, "value")
			}),
		},
		{
			"beside",
			because("A lease beside an entry is renewed like any other. The entry stays as it is and ends when it would have: only a load may prolong it."),
			withRenewals(checkRenewBeside),
		},
	}
}

func checkRenewOther(s leasing, r provider.Renewer) {
	const ttl = 50 * time.Millisecond
	ended := s.leaseFor(k("ended"), ttl)
	s.expire(ttl)
	s.release(s.leaseSoon(k("ended"))) // it has surely ended
	released, removed, filled, replaced := s.lease(k("released")), s.lease(k("removed")), s.lease(k("filled")), s.lease(k("replaced"))
	s.release(released, replaced)
	s.remove(k("removed"))
	s.fillValue(filled, "value")
	s.set(k("set"), "value", time.Hour)
	other := s.lease(k("replaced"))

	got := s.renew(r, leaseTime,
		ended, released, removed, filled, replaced,
		provider.Lease{Key: k("replaced"), Token: ""},
		provider.Lease{Key: k("replaced"), Token: other.Token + "x"},
		provider.Lease{Key: k("set"), Token: other.Token},
		provider.Lease{Key: k("missing"), Token: other.Token},
		provider.Lease{Key: provider.Key{Scope: "other", Name: "replaced"}, Token: other.Token},
	)
	s.wantRenewed(got, make([]bool, len(got))...)
	for _, name := range []string{"ended", "released", "removed", "missing"} {
		s.wantFree(k(name))
	}
	s.want(k("filled"), "value")
	s.want(k("set"), "value")
	s.wantState(k("replaced"), provider.LeaseBusy)

	// Another's lease ends when it would have.
	began := now()
	s.wantRenewed(s.renew(r, ttl, other), true)
	s.renew(r, leaseTime, replaced)
	s.wantFreed(k("replaced"), provider.LeaseBusy, ttl, began)
}

func checkRenewBeside(s leasing, r provider.Renewer) {
	refresher, ok := s.store.(provider.Refresher)
	if !ok {
		s.skipf("the store has no provider.Refresher: this case does not apply to it")
	}
	f := refreshing{s, refresher}
	const ttl = 200 * time.Millisecond
	lease := s.renewedFor(r, ttl, func() provider.Lease {
		f.setLoaded(k("key"), "old", time.Hour)
		return f.besideFor(k("key"), ttl)
	})
	s.expire(ttl)
	f.wantBusy(k("key"), "old")
	s.fillValue(lease, "new")
	s.want(k("key"), "new")

	began := f.setAndLeaseFor(k("ends"), ttl, leaseTime, func(lease provider.Lease) bool { return s.renew(r, leaseTime, lease)[0] })
	s.wantEnd(k("ends"), "value", ttl, began)
}
