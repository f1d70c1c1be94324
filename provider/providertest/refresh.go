package providertest

import (
	"fmt"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// A refreshing is a session on a store that leases keys with entries. Its methods
// follow the rules of leasing. Their entries have the fields of loadedEntry, so that
// a request can name the entry that it knows.
type refreshing struct {
	leasing

	refresher provider.Refresher
}

// withRefreshes makes a case for a store with refresh leases. Such a store must have
// leases.
func withRefreshes(run func(s refreshing)) func(*session, provider.Refresher) {
	return func(s *session, r provider.Refresher) {
		l, ok := s.store.(provider.Leaser)
		if !ok {
			s.fatalf("the store has a provider.Refresher and no provider.Leaser: there is nothing to fill with")
		}
		run(refreshing{leasing{s, l}, r})
	}
}

// loadedAt returns the LoadedAt of the entries that cases refresh.
func loadedAt() time.Time { return time.Date(2026, 11, 24, 1, 2, 3, 456_789_000, time.UTC) }

// loadedEntry returns an entry to refresh.
func loadedEntry(value any) provider.Entry {
	return provider.Entry{
		Value: value, FreshUntil: loadedAt().Add(time.Minute), LoadedAt: loadedAt(), LoadTime: time.Millisecond, Validator: `"v1"`,
	}
}

// setLoaded stores an entry to refresh.
func (s refreshing) setLoaded(key provider.Key, value any, ttl time.Duration) {
	s.t.Helper()
	s.setEntry(key, loadedEntry(value), ttl)
}

// refreshFor returns the grants of Refresh. An error or a wrong number of grants
// ends the case.
func (s refreshing) refreshFor(ttl time.Duration, requests ...provider.RefreshRequest) []provider.Grant {
	s.t.Helper()
	grants, err := s.refresher.Refresh(s.ctx(), requests, ttl)
	if err != nil {
		s.fatalf("Refresh of %d keys for %v: unexpected error: %v", len(requests), ttl, err)
	}
	if len(grants) != len(requests) {
		s.fatalf("Refresh of %d keys returned %d grants", len(requests), len(grants))
	}
	for i := range grants {
		s.checkRefreshed(requests[i].Key, &grants[i])
	}
	return grants
}

// checkRefreshed checks that the fields of a grant are consistent.
func (s refreshing) checkRefreshed(key provider.Key, grant *provider.Grant) {
	s.t.Helper()
	switch {
	case grant.State == provider.LeaseFailed:
		s.fatalf("Refresh of %s failed: unexpected error: %v", show(key), grant.Err)
	case grant.Err != nil:
		s.errorf("Refresh of %s: %s and an error: %v", show(key), stateOf(grant.State), grant.Err)
	case grant.State == provider.LeaseGranted && grant.Lease.Key != key:
		s.errorf("Refresh of %s granted a lease of %s", show(key), show(grant.Lease.Key))
	}
}

// refresh requests one lease for leaseTime.
func (s refreshing) refresh(request provider.RefreshRequest) provider.Grant {
	s.t.Helper()
	return s.refreshFor(leaseTime, request)[0]
}

// known returns the request of a caller that has found the entry under key.
func (s refreshing) known(key provider.Key) provider.RefreshRequest {
	s.t.Helper()
	entry, found := s.get(key)
	if !found {
		s.fatalf("Get(%s) found nothing, want the entry to be refreshed", show(key))
	}
	return provider.RefreshRequest{Key: key, LoadedAt: entry.LoadedAt}
}

// beside returns a lease of a key with an entry that the caller knows.
func (s refreshing) beside(key provider.Key) provider.Lease {
	s.t.Helper()
	return s.besideFor(key, leaseTime)
}

func (s refreshing) besideFor(key provider.Key, ttl time.Duration) provider.Lease {
	s.t.Helper()
	grant := s.refreshFor(ttl, s.known(key))[0]
	if grant.State != provider.LeaseGranted || !grant.Found {
		s.fatalf("Refresh of %s, which has an entry that the caller knows: %s, Found %v; want it granted, with the entry", show(key), stateOf(grant.State), grant.Found)
	}
	return grant.Lease
}

// besideSoon is beside for a key whose lease has ended by now. In real time it
// retries for a while: the end may have passed on another clock only.
func (s refreshing) besideSoon(key provider.Key) provider.Lease {
	s.t.Helper()
	if s.exact() {
		return s.beside(key)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pollEvery) {
		if grant := s.refresh(s.known(key)); grant.State == provider.LeaseGranted {
			return grant.Lease
		}
	}
	return s.beside(key)
}

// setAndLease stores an entry for an hour, and returns a lease beside it.
func (s refreshing) setAndLease(key provider.Key, value any) provider.Lease {
	s.t.Helper()
	s.setLoaded(key, value, time.Hour)
	return s.beside(key)
}

// setAndLeaseFor stores an entry for ttl, leases it for leaseTTL and runs more with
// the lease. It returns the time of storing. All this must happen before the entry
// ends. In real time a loaded machine may delay the case for longer; setAndLeaseFor
// then repeats all of it.
func (s refreshing) setAndLeaseFor(key provider.Key, ttl, leaseTTL time.Duration, more func(lease provider.Lease) bool) stamp {
	s.t.Helper()
	for {
		began := now()
		s.setLoaded(key, "value", ttl)
		grant := s.refreshFor(leaseTTL, provider.RefreshRequest{Key: key, LoadedAt: loadedAt()})[0]
		if grant.State == provider.LeaseGranted && grant.Found && more(grant.Lease) {
			return began
		}
		if s.exact() || time.Now().Before(began.end(ttl-earliness)) {
			s.fatalf("Refresh of %s, which has an entry that the caller knows: %s, Found %v; want it granted, with the entry, and its lease good", show(key), stateOf(grant.State), grant.Found)
		}
	}
}

// wantRefresh checks the answer of Refresh and the entry in it; nil means none.
// state must not be LeaseGranted.
func (s refreshing) wantRefresh(request provider.RefreshRequest, state provider.GrantState, entry *provider.Entry) {
	s.t.Helper()
	grant := s.refresh(request)
	s.wantGrant(request.Key, &grant, state, entry)
}

// wantGrant checks a grant of Refresh and the entry in it; nil means none.
func (s refreshing) wantGrant(key provider.Key, grant *provider.Grant, state provider.GrantState, entry *provider.Entry) {
	s.t.Helper()
	if grant.State != state {
		s.errorf("Refresh of %s: %s, want %s", show(key), stateOf(grant.State), stateOf(state))
		return
	}
	if beside := state == provider.LeaseGranted || state == provider.LeaseBusy; beside && grant.Found != (entry != nil) {
		s.errorf("Refresh of %s: %s, Found %v, want %v", show(key), stateOf(state), grant.Found, entry != nil)
		return
	}
	if entry != nil {
		s.wantEntry(key, grant.Entry, *entry)
		s.wantMetadata(grant.Entry, *entry)
	}
}

// wantBusy checks that another caller has the lease beside the entry under key.
func (s refreshing) wantBusy(key provider.Key, value any) {
	s.t.Helper()
	entry := loadedEntry(value)
	s.wantRefresh(provider.RefreshRequest{Key: key, LoadedAt: loadedAt()}, provider.LeaseBusy, &entry)
}

// wantUseless checks that a lease is no longer valid: a Fill, an extension and a
// Release with it change nothing.
func (s refreshing) wantUseless(lease provider.Lease, why string) {
	s.t.Helper()
	s.wantRefused(lease, why)
	s.wantNotExtended(lease, why)
	s.release(lease)
}

// wantNotExtended checks that an extension is refused. The lease does not permit it.
func (s refreshing) wantNotExtended(lease provider.Lease, why string) {
	s.t.Helper()
	filled := s.fillAll(extensionOf(lease))[0]
	if filled.Stored || filled.Err != nil {
		s.errorf("Fill of %s with Extend: Stored %v, error %v; want it refused without an error: %s", show(lease.Key), filled.Stored, filled.Err, why)
	}
}

// extended returns the fields that an extension gives to a loadedEntry. The value
// stays.
func extended() provider.Entry {
	return provider.Entry{
		FreshUntil: loadedAt().Add(time.Hour), LoadedAt: loadedAt().Add(59 * time.Minute), LoadTime: time.Second, Validator: "v2\x00\xff",
	}
}

// extensionOf returns a fill that extends an entry for an hour.
func extensionOf(lease provider.Lease) provider.Fill {
	return provider.Fill{Lease: lease, Entry: extended(), TTL: time.Hour, Extend: true}
}

func refreshCases() []capabilityCase[provider.Refresher] {
	return []capabilityCase[provider.Refresher]{
		{
			"grants-beside",
			because("Refresh of a key whose entry the caller knows grants the lease and returns the entry. Get and Acquire find the entry as before; who asks for the lease is told that it is busy, and gets the entry. What is refreshed is served meanwhile, and loaded once."),
			withRefreshes(checkGrantsBeside),
		},
		{
			"grants-nothing",
			because("Refresh of a key that holds nothing grants the lease without an entry, as Acquire does: an entry may have ended since the caller found it, and who loads it anyway need not ask twice."),
			withRefreshes(func(s refreshing) {
				for _, request := range []provider.RefreshRequest{
					{Key: k("known"), LoadedAt: loadedAt()}, {Key: k("unknown")}, {Key: k("forced"), Force: true},
				} {
					grant := s.refresh(request)
					s.wantGrant(request.Key, &grant, provider.LeaseGranted, nil)
					s.wantState(request.Key, provider.LeaseBusy)
					s.wantRefresh(request, provider.LeaseBusy, nil)
					s.wantMiss(request.Key)
					s.fillValue(grant.Lease, "value")
					s.want(request.Key, "value")
				}
			}),
		},
		{
			"leased-without-entry",
			because("Refresh of a key that holds a lease and no entry is busy, without an entry. Another process is loading it already."),
			withRefreshes(func(s refreshing) {
				lease := s.lease(k("key"))
				s.wantRefresh(provider.RefreshRequest{Key: k("key"), LoadedAt: loadedAt()}, provider.LeaseBusy, nil)
				s.wantRefresh(provider.RefreshRequest{Key: k("key"), Force: true}, provider.LeaseBusy, nil)
				s.fillValue(lease, "value")
			}),
		},
		{
			"other-loaded-at",
			because("An entry with another LoadedAt than the caller's was stored since: Refresh returns it, and leaves no lease. Otherwise everybody who was late loads once more what somebody has just loaded."),
			withRefreshes(checkOtherLoadedAt),
		},
		{
			"zero-loaded-at",
			because("The zero LoadedAt is a value of its own, not a wildcard: a caller that found nothing is given the entry that is there by now, and an entry whose LoadedAt is unknown is refreshed by those who found it so."),
			withRefreshes(func(s refreshing) {
				s.setLoaded(k("loaded"), "value", time.Hour)
				s.set(k("unknown"), "value", time.Hour)
				want := loadedEntry("value")
				s.wantRefresh(provider.RefreshRequest{Key: k("loaded")}, provider.LeaseFound, &want)
				s.wantRefresh(provider.RefreshRequest{Key: k("unknown"), LoadedAt: loadedAt()}, provider.LeaseFound, &provider.Entry{Value: "value"})
				s.wantRefresh(provider.RefreshRequest{Key: k("unknown"), LoadedAt: time.Unix(0, 0)}, provider.LeaseFound, &provider.Entry{Value: "value"})
				s.beside(k("loaded"))
				s.beside(k("unknown"))
			}),
		},
		{
			"force",
			because("With Force, Refresh leases whatever entry there is, and returns it: who wants the newest value does not care which one is stored. A lease of somebody else it does not take."),
			withRefreshes(func(s refreshing) {
				s.setLoaded(k("key"), "value", time.Hour)
				want := loadedEntry("value")
				grant := s.refresh(provider.RefreshRequest{Key: k("key"), LoadedAt: loadedAt().Add(time.Hour), Force: true})
				s.wantGrant(k("key"), &grant, provider.LeaseGranted, &want)
				s.wantRefresh(provider.RefreshRequest{Key: k("key"), Force: true}, provider.LeaseBusy, &want)
				s.fillValue(grant.Lease, "new")
				s.want(k("key"), "new")
			}),
		},
		{
			"ends",
			because("A lease beside an entry ends with its own TTL, exactly, however often the key is asked for, and the entry stays. Until then it is busy, and from then on it is granted to the next: a process that died must not keep an entry from being refreshed."),
			withRefreshes(func(s refreshing) {
				const ttl = 200 * time.Millisecond
				s.setLoaded(k("key"), "value", time.Hour)
				request := s.known(k("key"))
				began := now()
				old := s.besideFor(k("key"), ttl)
				lease := s.wantFreedAsked(k("key"), func() provider.Grant { return s.refresh(request) }, provider.LeaseBusy, ttl, began)
				s.want(k("key"), "value")
				s.wantUseless(old, "it has ended")
				s.fillValue(lease, "new")
				s.want(k("key"), "new")
			}),
		},
		{
			"late-fill",
			because("A lease beside an entry that has ended fills, extends and frees nothing, whether somebody else has leased the key since or not. What happened to the key after the end is not known."),
			withRefreshes(checkLateRefresh),
		},
		{
			"keeps-ttl",
			because("Neither Refresh nor Release changes when the entry ends: it was loaded when it was, and a source that does not answer must not keep it alive."),
			withRefreshes(checkRefreshKeepsTTL),
		},
		{
			"entry-ends",
			because("The end of the entry is the end of the lease beside it: the key holds nothing then, and is leased to the next who asks, though the lease was given for longer. The old one fills nothing."),
			withRefreshes(func(s refreshing) {
				const ttl = 150 * time.Millisecond
				var old, late provider.Lease
				s.setAndLeaseFor(k("key"), ttl, leaseTime, func(lease provider.Lease) bool { old = lease; return true })
				s.setAndLeaseFor(k("empty"), ttl, leaseTime, func(lease provider.Lease) bool { late = lease; return true })
				s.expire(ttl)
				lease := s.leaseSoon(k("key"))
				s.wantUseless(old, "its entry has ended")
				s.wantUseless(late, "its entry has ended")
				s.wantMiss(k("empty"))
				s.wantState(k("key"), provider.LeaseBusy)
				s.fillValue(lease, "new")
			}),
		},
		{
			"release",
			because("Release takes the lease away and leaves the entry, whole. The next who asks is granted the lease, and the old one is good for nothing."),
			withRefreshes(func(s refreshing) {
				for range 3 {
					lease := s.setAndLease(k("key"), "value")
					s.release(lease)
					s.wantUseless(lease, "it was released")
					got, found := s.get(k("key"))
					if !found {
						s.fatalf("Get(%s) found nothing after Release of the lease beside the entry", show(k("key")))
					}
					s.wantEntry(k("key"), got, loadedEntry("value"))
					s.wantMetadata(got, loadedEntry("value"))
					s.fillValue(s.beside(k("key")), "new")
				}
			}),
		},
		{
			"not-the-lease",
			because("Fill, with Extend and without, and Release do nothing unless the key holds that very lease beside its entry: not another one, nor one of another key."),
			withRefreshes(checkRefreshOtherLease),
		},
		{
			"tokens",
			because("Every lease that is granted has another token, beside an entry or not. If the leases of a key look alike, an old load fills in the name of a new one."),
			withRefreshes(func(s refreshing) {
				seen := map[string]bool{}
				for i := range 10 {
					leases := []provider.Lease{s.setAndLease(k("key"), i), s.lease(k(fmt.Sprint("empty ", i))), s.setAndLease(k(fmt.Sprint("key ", i)), i)}
					for _, lease := range leases {
						if seen[lease.Token] {
							s.fatalf("two leases have the token %q", shorten(lease.Token))
						}
						seen[lease.Token] = true
					}
					s.release(leases[0])
				}
			}),
		},
		{
			"in-order",
			because("Refresh answers for each key, in their order, whatever the answers for the others are."),
			withRefreshes(checkRefreshInOrder),
		},
		{
			"many",
			because("Refresh takes more than a thousand keys at once. A list page whose rows are all stale is refreshed as a whole."),
			withRefreshes(checkRefreshMany),
		},
		{
			"none",
			because("Refresh of no keys returns no grants and no error, and leases nothing."),
			withRefreshes(func(s refreshing) {
				s.setLoaded(k("key"), "value", time.Hour)
				for _, requests := range [][]provider.RefreshRequest{nil, {}} {
					if grants, err := s.refresher.Refresh(s.ctx(), requests, leaseTime); len(grants) != 0 || err != nil {
						s.errorf("Refresh of no keys returned %d grants and error %v, want none", len(grants), err)
					}
				}
				s.beside(k("key"))
			}),
		},
		{
			"refused-ttl",
			because("A lease for zero or less is refused with an error, and leaves no lease."),
			withRefreshes(func(s refreshing) {
				s.setLoaded(k("key"), "value", time.Hour)
				for _, ttl := range []time.Duration{0, -1, -time.Hour} {
					grants, err := s.refresher.Refresh(s.ctx(), []provider.RefreshRequest{s.known(k("key"))}, ttl)
					if err == nil || len(grants) != 1 || grants[0].State != provider.LeaseFailed || grants[0].Err == nil {
						s.errorf("Refresh for %v returned %d grants and error %v, want an error, also in the grant", ttl, len(grants), err)
					}
				}
				s.want(k("key"), "value")
				s.beside(k("key"))
			}),
		},
		{
			"names",
			because("Scopes and names are byte strings for Refresh too: every byte counts, and scope and name are apart."),
			withRefreshes(checkRefreshNames),
		},
		{
			"not-aliased",
			because("Entries that Refresh returned never change, as those that Get returned."),
			withRefreshes(func(s refreshing) {
				s.setLoaded(k("a"), "first", time.Hour)
				s.setLoaded(k("b"), "other", time.Hour)
				grant := s.refresh(s.known(k("a")))
				s.refresh(s.known(k("b")))
				s.get(k("b"))
				want := loadedEntry("first")
				s.wantGrant(k("a"), &grant, provider.LeaseGranted, &want)
			}),
		},
		{
			"counted-once",
			because("An entry with a lease beside it is one entry: DeletePrefix counts it once, and so do Has, Stats and List, if the store has them."),
			withRefreshes(checkRefreshCounted),
		},
		{
			"cancelled",
			because("Refresh with a context that has ended returns a grant for each key, and what it has leased or not is over with the lease's TTL. The entry stays."),
			withRefreshes(checkRefreshCancelled),
		},
		{
			"after-close",
			because("After Close, Refresh grants nothing: the error matches ErrClosed, also in the grants."),
			withRefreshes(checkRefreshAfterClose),
		},
	}
}

func checkGrantsBeside(s refreshing) {
	for name, entry := range oddEntries() {
		entry.LoadedAt, entry.Validator = loadedAt(), name+"\x00\xff"
		key := k(name)
		s.setEntry(key, entry, time.Hour)
		request := s.known(key)
		grant := s.refresh(request)
		s.wantGrant(key, &grant, provider.LeaseGranted, &entry)
		if got, found := s.get(key); found {
			s.wantEntry(key, got, entry)
			s.wantMetadata(got, entry)
		} else {
			s.errorf("Get(%s) found nothing while the entry is leased", show(key))
		}
		if b, ok := s.store.(provider.Batcher); ok {
			if result := s.getMany(b, []provider.Key{key})[0]; !result.Found || result.Err != nil {
				s.errorf("GetMany found %s %v, error %v, while the entry is leased", show(key), result.Found, result.Err)
			}
		}
		acquired := s.acquire(key)
		s.wantFoundBy(&acquired, key, entry)
		for range 2 {
			s.wantRefresh(request, provider.LeaseBusy, &entry)
		}
		s.fillValue(grant.Lease, "new")
		s.want(key, "new")
		s.remove(key)
		s.wantFree(key)
	}
}

func checkOtherLoadedAt(s refreshing) {
	want := loadedEntry("value")
	s.setLoaded(k("key"), "value", time.Hour)
	for _, other := range []time.Time{
		loadedAt().Add(time.Microsecond), loadedAt().Add(-time.Microsecond), loadedAt().Add(time.Hour), loadedAt().AddDate(-1, 0, 0),
		loadedAt().Truncate(time.Second), time.Unix(0, 0),
	} {
		s.wantRefresh(provider.RefreshRequest{Key: k("key"), LoadedAt: other}, provider.LeaseFound, &want)
	}
	lease := s.beside(k("key"))
	newer := loadedEntry("newer")
	newer.LoadedAt = loadedAt().Add(time.Microsecond)
	s.fillEntry(provider.Fill{Lease: lease, Entry: newer, TTL: time.Hour})
	s.wantRefresh(provider.RefreshRequest{Key: k("key"), LoadedAt: loadedAt()}, provider.LeaseFound, &newer)
	s.beside(k("key"))
}

func checkLateRefresh(s refreshing) {
	const ttl, ended = 100 * time.Millisecond, "the lease has ended"
	var late []provider.Lease
	for _, name := range []string{"left", "leased again", "filled again"} {
		s.setLoaded(k(name), "value", time.Hour)
		late = append(late, s.besideFor(k(name), ttl))
	}
	s.expire(ttl)
	again := s.besideSoon(k("leased again"))
	s.fillEntry(provider.Fill{Lease: s.besideSoon(k("filled again")), Entry: loadedEntry("new"), TTL: time.Hour})
	for _, lease := range late {
		s.wantUseless(lease, ended)
	}
	s.want(k("left"), "value")
	s.beside(k("left"))
	s.wantBusy(k("leased again"), "value")
	s.want(k("filled again"), "new")
	s.fillValue(again, "newer")
	s.want(k("leased again"), "newer")
}

func checkRefreshKeepsTTL(s refreshing) {
	const ttl = 300 * time.Millisecond
	s.setLoaded(k("for ever"), "value", provider.NoExpiry)
	s.release(s.besideFor(k("for ever"), 50*time.Millisecond))
	s.besideFor(k("for ever"), 50*time.Millisecond)

	for name, c := range map[string]struct {
		leaseTTL time.Duration
		release  bool
	}{
		"released": {leaseTime, true}, "leased": {leaseTime, false}, "for longer than the lease": {20 * time.Millisecond, false},
	} {
		began := s.setAndLeaseFor(k(name), ttl, c.leaseTTL, func(lease provider.Lease) bool {
			if c.release {
				s.release(lease)
			}
			return true
		})
		s.wantEnd(k(name), "value", ttl, began)
	}
	s.want(k("for ever"), "value")
}

func checkRefreshOtherLease(s refreshing) {
	good := s.setAndLease(k("leased"), "value")
	other := s.setAndLease(k("another"), "value")
	plain := s.lease(k("empty"))
	s.setLoaded(k("entry"), "value", time.Hour)
	tokens := []string{"", "0", "*", other.Token, plain.Token, good.Token + "x", "x" + good.Token}
	if n := len(good.Token); n > 0 {
		tokens = append(tokens, good.Token[:n-1])
	}
	for _, token := range tokens {
		s.wantUseless(provider.Lease{Key: k("leased"), Token: token}, "the key holds another lease")
		s.wantUseless(provider.Lease{Key: k("entry"), Token: token}, "the key holds an entry and no lease")
	}
	for _, key := range []provider.Key{k("entry"), k("another"), k("empty"), k("missing"), {Scope: "other", Name: "leased"}} {
		s.wantUseless(provider.Lease{Key: key, Token: good.Token}, "the key does not hold that lease")
	}
	for _, name := range []string{"leased", "another"} {
		s.wantBusy(k(name), "value")
	}
	s.beside(k("entry"))
	s.wantMiss(k("missing"))
	s.fillValue(plain, "value")
	s.fillValue(good, "new")
	s.want(k("leased"), "new")
	s.release(other)
	s.beside(k("another"))
}

func checkRefreshInOrder(s refreshing) {
	value := loadedEntry("value")
	busy := s.setAndLease(k("busy"), "value")
	s.setLoaded(k("known"), "value", time.Hour)
	s.setLoaded(k("other"), "value", time.Hour)
	s.lease(k("leased"))
	s.setEntry(k("absent"), provider.Entry{Absent: true, LoadedAt: loadedAt()}, time.Hour)
	requests := []provider.RefreshRequest{
		{Key: k("missing")},
		{Key: k("busy"), LoadedAt: loadedAt()},
		{Key: k("known"), LoadedAt: loadedAt()},
		{Key: k("other")},
		{Key: k("leased")},
		{Key: k("absent"), LoadedAt: loadedAt()},
		{Key: provider.Key{Scope: "other", Name: "known"}, LoadedAt: loadedAt()},
	}
	grants := s.refreshFor(leaseTime, requests...)
	for i, want := range []struct {
		state provider.GrantState
		entry *provider.Entry
	}{
		{provider.LeaseGranted, nil},
		{provider.LeaseBusy, &value},
		{provider.LeaseGranted, &value},
		{provider.LeaseFound, &value},
		{provider.LeaseBusy, nil},
		{provider.LeaseGranted, &provider.Entry{Absent: true, LoadedAt: loadedAt()}},
		{provider.LeaseGranted, nil},
	} {
		s.wantGrant(requests[i].Key, &grants[i], want.state, want.entry)
	}
	for i, filled := range s.fillAll(fillOf(grants[0].Lease, 0), fillOf(busy, 1), extensionOf(grants[2].Lease), fillOf(grants[3].Lease, 3), extensionOf(grants[5].Lease)) {
		if want := i != 3; filled.Stored != want || filled.Err != nil {
			s.errorf("Fill %d of 5: Stored %v, error %v; want Stored %v", i, filled.Stored, filled.Err, want)
		}
	}
	s.want(k("missing"), 0)
	s.want(k("busy"), 1)
	s.want(k("known"), "value")
	s.want(k("other"), "value")
	s.wantAbsent(k("absent"))
}

func checkRefreshMany(s refreshing) {
	const n = 1200
	requests := make([]provider.RefreshRequest, n)
	for i := range requests {
		requests[i] = provider.RefreshRequest{Key: provider.Key{Scope: fmt.Sprint("scope ", i%3), Name: fmt.Sprint(i)}, LoadedAt: loadedAt()}
		if i%2 == 0 {
			s.setLoaded(requests[i].Key, i, time.Hour)
		}
	}
	fills := make([]provider.Fill, n)
	for i, grant := range s.refreshFor(leaseTime, requests...) {
		if grant.State != provider.LeaseGranted || grant.Found != (i%2 == 0) {
			s.fatalf("Refresh of %s among %d: %s, Found %v; want it granted, Found %v", show(requests[i].Key), n, stateOf(grant.State), grant.Found, i%2 == 0)
		}
		if got, ok := as[int](grant.Entry.Value); grant.Found && (!ok || got != i) {
			s.fatalf("Refresh of %s among %d found %s, want %d", show(requests[i].Key), n, brief(grant.Entry.Value), i)
		}
		if fills[i] = fillOf(grant.Lease, -i); i%4 == 0 {
			fills[i] = extensionOf(grant.Lease)
		}
	}
	for i, filled := range s.fillAll(fills...) {
		if !filled.Stored || filled.Err != nil {
			s.fatalf("Fill of %s among %d: Stored %v, error %v", show(fills[i].Lease.Key), n, filled.Stored, filled.Err)
		}
	}
	for _, i := range []int{0, 1, 2, 3, 4, n - 4, n - 3, n - 2, n - 1} {
		want := -i
		if i%4 == 0 {
			want = i
		}
		s.want(requests[i].Key, want)
	}
}

func checkRefreshNames(s refreshing) {
	var keys []provider.Key
	for _, name := range oddNames() {
		keys = append(keys, k(name))
	}
	keys = append(keys, provider.Key{Scope: "scope:a", Name: "b"}, provider.Key{Name: "scope:a:b"}) // collide with "a:b" of oddNames in a store that joins the parts
	leases := make([]provider.Lease, len(keys))
	for i, key := range keys {
		s.setLoaded(key, i, time.Hour)
	}
	for i, key := range keys {
		leases[i] = s.beside(key)
	}
	for i, key := range keys {
		s.wantBusy(key, i)
		if i%2 == 0 {
			s.fillEntry(extensionOf(leases[i]))
		} else {
			s.fillValue(leases[i], -i)
		}
	}
	for i, key := range keys {
		if i%2 == 0 {
			s.want(key, i)
		} else {
			s.want(key, -i)
		}
	}
}

func checkRefreshCounted(s refreshing) {
	s.setAndLease(k("p:1"), "value")
	s.setAndLease(k("p:2"), "value")
	s.release(s.setAndLease(k("p:3"), "value"))
	s.fillValue(s.setAndLease(k("p:4"), "value"), "value")
	s.lease(k("p:5"))
	s.setAndLease(k("q"), "value")
	if i, ok := s.store.(provider.Inspector); ok {
		for _, name := range []string{"p:1", "p:3", "p:4", "q"} {
			if !s.has(i, k(name)) {
				s.errorf("Has(%s) = false, want true", show(k(name)))
			}
		}
		if n := s.stats(i).Entries; n != 5 && n != provider.Unknown {
			s.errorf("Stats has Entries %d, want 5 or Unknown", n)
		}
		s.wantListed(i, provider.ListOptions{}, k("p:1"), k("p:2"), k("p:3"), k("p:4"), k("q"))
	}
	s.wantRemoved("scope", "p:", 4)
	s.wantRemoved("scope", "", 1)
}

func checkRefreshCancelled(s refreshing) {
	const ttl = 100 * time.Millisecond
	keys := []provider.Key{k("there"), k("missing")}
	s.setLoaded(keys[0], "value", time.Hour)
	requests := []provider.RefreshRequest{s.known(keys[0]), {Key: keys[1]}}
	grants, err := s.refresher.Refresh(s.cancelled(), requests, ttl)
	if len(grants) != len(keys) {
		s.fatalf("Refresh of %d keys with a cancelled context returned %d grants and error %v", len(keys), len(grants), err)
	}
	failed := 0
	for i := range grants {
		if grants[i].State != provider.LeaseFailed {
			s.checkRefreshed(keys[i], &grants[i])
			continue
		}
		failed++
		if grants[i].Err == nil {
			s.errorf("Refresh of %s with a cancelled context: failed, without an error", show(keys[i]))
		}
	}
	if err != nil && failed == 0 {
		s.errorf("Refresh with a cancelled context returned error %v and no grant that failed", err)
	}
	s.want(keys[0], "value")
	s.expire(ttl)
	s.besideSoon(keys[0])
	s.leaseSoon(keys[1])
}
