package providertest

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func refreshFillCases() []capabilityCase[provider.Refresher] {
	return []capabilityCase[provider.Refresher]{
		{
			"replaces",
			because("Fill with the lease beside an entry replaces the entry: the value, all that is kept with it, and its TTL, which counts from the Fill. The lease is used up."),
			withRefreshes(checkRefreshFill),
		},
		{
			"once",
			because("A lease beside an entry is the right to fill the key once: another Fill or extension with it is refused and changes nothing. The second copy of a request that the network repeats must not bring back what was replaced since."),
			withRefreshes(checkRefreshFillOnce),
		},
		{
			"refused",
			because("A Fill that is refused for its size or encoding leaves nothing under the key. The old entry is known to be out of date: it would be served on for as long as it is stored. The lease goes too: others would wait for a refresh that never comes. A Fill that is refused for its TTL changes nothing."),
			withRefreshes(checkRefreshFillRefused),
		},
		{
			"delete",
			because("Delete removes the entry and the lease beside it: the Fill is refused without an error, and the key stays empty. The load began before the invalidation, and what it returns is old."),
			withRefreshes(func(s refreshing) {
				s.checkRemoves(func(keys ...provider.Key) { s.remove(keys...) })
			}),
		},
		{
			"delete-prefix",
			because("DeletePrefix removes entries with the leases beside them: the Fill is refused without an error, and the key stays empty."),
			withRefreshes(func(s refreshing) {
				for _, prefix := range []string{"key", "k", ""} {
					s.checkRemoves(func(keys ...provider.Key) { s.removePrefix(keys[0].Scope, prefix) })
				}
			}),
		},
		{
			"set",
			because("Set replaces an entry with the lease beside it, also by one with the same LoadedAt: the Fill is refused without an error and leaves what was set, which can be leased."),
			withRefreshes(func(s refreshing) {
				s.checkReplaces(func(key provider.Key, entry provider.Entry) { s.setEntry(key, entry, time.Hour) })
			}),
		},
		{
			"set-many",
			because("SetMany replaces entries with the leases beside them, as Set does."),
			withRefreshes(func(s refreshing) {
				b, ok := s.store.(provider.Batcher)
				if !ok {
					s.skipf("the store has no provider.Batcher: this case does not apply to it")
				}
				s.checkReplaces(func(key provider.Key, entry provider.Entry) {
					s.setMany(b, []provider.Item{{Key: key, Entry: entry, TTL: time.Hour}})
				})
			}),
		},
		{
			"hold",
			because("Hold removes entries with the leases beside them, and while it lasts Refresh says that the key is held, whatever it is asked for: a mutation is changing the source."),
			withRefreshes(checkRefreshHeld),
		},
		{
			"next-lease",
			because("A lease from before an invalidation is good for nothing beside the entry that was stored since, even if that one looks the same, whoever has the lease now."),
			withRefreshes(checkNextRefresh),
		},
	}
}

func extendCases() []capabilityCase[provider.Refresher] {
	return []capabilityCase[provider.Refresher]{
		{
			"keeps-the-value",
			because("A Fill with Extend keeps the value that is stored, whatever it is, and takes FreshUntil, LoadedAt, LoadTime and Validator from the entry that it is given. The source has said that the value is still right, and was not asked for it."),
			withRefreshes(checkExtendKeeps),
		},
		{
			"ignores-the-value",
			because("A Fill with Extend looks neither at Value nor at Absent of the entry that it is given: an absence stays one and a value stays one, and what cannot be encoded need not be."),
			withRefreshes(func(s refreshing) {
				for name, ignored := range map[string]provider.Entry{
					"absence": {Absent: true}, "nil": {}, "other": {Value: "other"}, "unencodable": {Value: make(chan int)}, "panics": {Value: panics{}},
					"large": {Value: strings.Repeat("0123456789abcdef", 1<<20)},
				} {
					fill := extensionOf(s.setAndLease(k(name), "value"))
					fill.Entry.Value, fill.Entry.Absent = ignored.Value, ignored.Absent
					s.fillEntry(fill)
					s.want(k(name), "value")
				}
			}),
		},
		{
			"ttl",
			because("An entry that was extended ends after the TTL of the extension, counted from it, whether that is earlier or later than the old end."),
			withRefreshes(func(s refreshing) {
				const ttl = 200 * time.Millisecond
				s.setAndLeaseFor(k("later"), ttl, leaseTime, func(lease provider.Lease) bool {
					return s.fillAll(extensionOf(lease))[0].Stored
				})
				forEver := extensionOf(s.setAndLease(k("for ever"), "value"))
				forEver.TTL = provider.NoExpiry
				s.fillEntry(forEver)
				fill := extensionOf(s.setAndLease(k("earlier"), "value"))
				fill.TTL = ttl
				s.pause()
				began := now()
				s.fillEntry(fill)
				s.wantEnd(k("earlier"), "value", ttl, began)
				s.want(k("later"), "value")
				if s.exact() {
					time.Sleep(time.Hour)
					s.wantMiss(k("later"))
				}
				s.want(k("for ever"), "value")
			}),
		},
		{
			"needs-an-entry",
			because("A Fill with Extend under a lease without an entry is refused, without an error, and changes nothing: there is no value to keep. The lease is still good for a Fill with a value."),
			withRefreshes(func(s refreshing) {
				lease := s.lease(k("acquired"))
				granted := s.refresh(provider.RefreshRequest{Key: k("refreshed"), LoadedAt: loadedAt()}).Lease
				for _, lease := range []provider.Lease{lease, granted} {
					s.wantNotExtended(lease, "there is no entry")
					s.wantMiss(lease.Key)
					s.wantState(lease.Key, provider.LeaseBusy)
					s.fillValue(lease, "value")
					s.want(lease.Key, "value")
				}
			}),
		},
		{
			"frees",
			because("A Fill with Extend uses the lease up: the next who knows the entry is granted one at once."),
			withRefreshes(func(s refreshing) {
				lease := s.setAndLease(k("key"), "value")
				for range 3 {
					s.fillEntry(extensionOf(lease))
					s.wantUseless(lease, "it was used")
					lease = s.beside(k("key"))
				}
			}),
		},
		{
			"refused-ttl",
			because("A Fill with Extend whose TTL is zero or negative is refused with an error, and leaves the entry as it is."),
			withRefreshes(func(s refreshing) {
				for _, ttl := range []time.Duration{0, -1} {
					fill := extensionOf(s.setAndLease(k("key"), "value"))
					fill.TTL = ttl
					if filled := s.fillAll(fill)[0]; filled.Stored || filled.Err == nil {
						s.errorf("Fill with Extend and ttl %v: Stored %v, error %v; want an error", ttl, filled.Stored, filled.Err)
					}
					got, _ := s.get(k("key"))
					s.wantEntry(k("key"), got, loadedEntry("value"))
					s.wantMetadata(got, loadedEntry("value"))
				}
			}),
		},
	}
}

func checkRefreshFill(s refreshing) {
	const ttl = 200 * time.Millisecond
	for name, entry := range oddEntries() {
		entry.LoadedAt, entry.Validator = loadedAt().Add(time.Hour), "new"
		s.fillEntry(provider.Fill{Lease: s.setAndLease(k(name), "value"), Entry: entry, TTL: time.Hour})
		got, found := s.get(k(name))
		if !found {
			s.errorf("Get(%s) found nothing after Fill", show(k(name)))
			continue
		}
		s.wantEntry(k(name), got, entry)
		s.wantMetadata(got, entry)
		s.beside(k(name))
	}
	s.setAndLeaseFor(k("later"), ttl, leaseTime, func(lease provider.Lease) bool {
		return s.fillAll(fillOf(lease, "new"))[0].Stored
	})
	lease := s.setAndLease(k("earlier"), "value")
	s.pause()
	began := now()
	s.fillEntry(provider.Fill{Lease: lease, Entry: provider.Entry{Value: "new"}, TTL: ttl})
	s.wantEnd(k("earlier"), "new", ttl, began)
	s.want(k("later"), "new")
}

func checkRefreshFillOnce(s refreshing) {
	lease := s.setAndLease(k("key"), "value")
	s.fillEntry(provider.Fill{Lease: lease, Entry: loadedEntry("first"), TTL: time.Hour})
	s.wantUseless(lease, "it was used")
	s.want(k("key"), "first")
	again := s.beside(k("key"))
	s.wantUseless(lease, "it was used, and another was granted")
	s.wantBusy(k("key"), "first")
	s.release(again)

	lease = s.beside(k("key"))
	filled := s.fillAll(fillOf(lease, "one"), extensionOf(lease), fillOf(lease, "two"))
	stored := 0
	for i, value := range []string{"one", "first", "two"} {
		if filled[i].Stored {
			stored++
			s.want(k("key"), value)
		}
	}
	if stored != 1 {
		s.fatalf("of three entries with one lease, %d were stored, want one", stored)
	}
}

func checkRefreshFillRefused(s refreshing) {
	for name, c := range map[string]struct {
		fill     provider.Fill
		sentinel error // nil: any error
	}{
		"unencodable": {provider.Fill{Entry: provider.Entry{Value: make(chan int)}, TTL: time.Hour}, provider.ErrUnencodable},
		"too large":   {provider.Fill{Entry: provider.Entry{Value: strings.Repeat("0123456789abcdef", 1<<20)}, TTL: time.Hour}, provider.ErrTooLarge},
		"no TTL":      {provider.Fill{Entry: provider.Entry{Value: "new"}}, nil},
	} {
		lease := s.setAndLease(k(name), "value")
		c.fill.Lease = lease
		filled := s.fillAll(c.fill)[0]
		switch {
		case filled.Stored && c.sentinel != nil: // the store does not encode values, or accepts large ones
			continue
		case filled.Stored || filled.Err == nil || c.sentinel != nil && !errors.Is(filled.Err, c.sentinel):
			s.errorf("Fill of %s: Stored %v, error %v; want it refused for what it is", show(k(name)), filled.Stored, filled.Err)
		}
		if c.sentinel != nil {
			s.wantMiss(k(name))
			s.lease(k(name))
			s.wantRefused(lease, "the lease was given back")
			continue
		}
		got, found := s.get(k(name))
		if !found {
			s.errorf("Get(%s) found nothing after a Fill that was refused for its TTL: the entry was to stay", show(k(name)))
			continue
		}
		s.wantEntry(k(name), got, loadedEntry("value"))
		s.wantMetadata(got, loadedEntry("value"))
	}
}

// checkRemoves checks that remove, which removes entries, also removes the
// leases beside them.
func (s refreshing) checkRemoves(remove func(keys ...provider.Key)) {
	s.t.Helper()
	keys := []provider.Key{k("key:1"), k("key:2"), k("key:3")}
	leases := make([]provider.Lease, len(keys))
	for i, key := range keys {
		leases[i] = s.setAndLease(key, "value")
	}
	other := provider.Key{Scope: "other", Name: "key:1"}
	kept := s.setAndLease(other, "value")
	remove(keys...)
	for i, key := range keys {
		s.wantUseless(leases[i], "the entry was removed")
		s.wantFree(key)
		s.wantUseless(leases[i], "the entry was removed")
		s.wantMiss(key)
	}
	s.fillValue(kept, "new")
	s.want(other, "new")
}

// checkReplaces checks that set, which replaces entries, also removes the
// leases beside them.
func (s refreshing) checkReplaces(set func(key provider.Key, entry provider.Entry)) {
	s.t.Helper()
	for name, entry := range map[string]provider.Entry{
		"alike": loadedEntry("value"), "other": {Value: "other", LoadedAt: loadedAt().Add(1)}, "absent": {Absent: true, LoadedAt: loadedAt()},
	} {
		old := s.setAndLease(k(name), "value")
		set(k(name), entry)
		s.wantUseless(old, "the key was set")
		if got, found := s.get(k(name)); found {
			s.wantEntry(k(name), got, entry)
		} else {
			s.errorf("Get(%s) found nothing after the key was set", show(k(name)))
		}
		lease := s.beside(k(name))
		s.wantUseless(old, "the key was set")
		s.fillValue(lease, "new")
	}
}

func checkRefreshHeld(s refreshing) {
	h, ok := s.store.(provider.Holder)
	if !ok {
		s.skipf("the store has no provider.Holder: this case does not apply to it")
	}
	holds := holding{s.leasing, h}
	for _, targets := range []provider.HoldTargets{{Scope: "scope", Keys: []string{"key", "never"}}, {Scope: "scope", Prefixes: []string{"ke", "n"}}} {
		old := s.setAndLease(k("key"), "value")
		kept := s.setAndLease(k("other"), "value")
		request := s.known(k("key"))
		holds.hold(targets, "token")
		for _, r := range []provider.RefreshRequest{request, {Key: k("key")}, {Key: k("key"), Force: true}, {Key: k("never")}} {
			s.wantRefresh(r, provider.LeaseHeld, nil)
		}
		s.wantUseless(old, "the key is held")
		s.wantMiss(k("key"))
		s.fillValue(kept, "new")
		holds.unhold(targets, "token")
		s.wantUseless(old, "the key was held")
		s.wantFree(k("key"))
		s.setAndLease(k("key"), "value")
		s.remove(k("key"), k("other"))
	}
}

func checkNextRefresh(s refreshing) {
	const why = "it is of before the invalidation"
	for name, invalidate := range map[string]func(key provider.Key){
		"Delete":       func(key provider.Key) { s.remove(key) },
		"DeletePrefix": func(key provider.Key) { s.removePrefix(key.Scope, key.Name[:1]) },
	} {
		key := k(name)
		old := s.setAndLease(key, "old")
		invalidate(key)
		lease := s.lease(key)
		s.wantUseless(old, why)
		s.wantState(key, provider.LeaseBusy)
		s.fillEntry(provider.Fill{Lease: lease, Entry: loadedEntry("new"), TTL: time.Hour})
		s.wantUseless(old, why)
		s.wantUseless(lease, "it was used")
		s.want(key, "new")
		again := s.beside(key)
		s.wantUseless(old, why)
		s.wantUseless(lease, "it was used")
		s.wantBusy(key, "new")
		s.fillEntry(extensionOf(again))
		s.want(key, "new")
	}
}

func checkExtendKeeps(s refreshing) {
	for name, entry := range oddEntries() {
		for _, validator := range []string{"", "\x00", strings.Repeat("v", 3000)} {
			entry.LoadedAt, entry.Validator = loadedAt(), validator
			s.setEntry(k(name), entry, time.Hour)
			fill := extensionOf(s.beside(k(name)))
			for _, next := range []string{"v2", "", strings.Repeat("\xff", 3000)} {
				fill.Entry.Validator = next
				s.fillEntry(fill)
				got, found := s.get(k(name))
				if !found {
					s.errorf("Get(%s) found nothing after a Fill with Extend", show(k(name)))
					continue
				}
				s.wantEntry(k(name), got, entry)
				s.wantMetadata(got, fill.Entry)
				fill.Lease = s.beside(k(name))
			}
			s.release(fill.Lease)
		}
	}
}

func checkRefreshAfterClose(s refreshing) {
	c, ok := s.store.(io.Closer)
	if !ok {
		s.skipf("the store has no io.Closer: this case does not apply to it")
	}
	s.setLoaded(k("key"), "value", time.Hour)
	requests := []provider.RefreshRequest{s.known(k("key")), {Key: k("missing")}}
	s.close(c)
	grants, err := s.refresher.Refresh(s.ctx(), requests, leaseTime)
	s.wantClosed("Refresh", err)
	if len(grants) != len(requests) {
		s.errorf("Refresh of %d keys after Close returned %d grants", len(requests), len(grants))
	}
	for i := range grants {
		if grants[i].State != provider.LeaseFailed {
			s.errorf("Refresh after Close: %s", stateOf(grants[i].State))
		}
		s.wantClosed("the grant of Refresh", grants[i].Err)
	}
}
