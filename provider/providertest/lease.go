package providertest

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

func leaseCases() []capabilityCase[provider.Leaser] {
	return []capabilityCase[provider.Leaser]{
		{
			"ends",
			because("A lease that nobody fills ends with its TTL, exactly, however often the key is asked for, and is granted to the next from then on. Until then it is busy: a holder that died must not keep others from loading for ever, and one that lives must not be overtaken."),
			withLeases(func(s leasing) {
				const ttl = 200 * time.Millisecond
				began := now()
				s.leaseFor(k("key"), ttl)
				lease := s.wantFreed(k("key"), provider.LeaseBusy, ttl, began)
				s.fillValue(lease, "value")
				s.want(k("key"), "value")
			}),
		},
		{
			"late-fill",
			because("A lease that has ended fills nothing, whether the key is empty since or somebody else has it. What happened to the key after the end is not known."),
			withLeases(checkLateFill),
		},
		{
			"delete",
			because("Delete removes a lease as it removes an entry: the Fill with it is refused without an error, and the key stays empty. The load began before the invalidation, and what it returns is old."),
			withLeases(func(s leasing) {
				keys := []provider.Key{k("a"), k("b"), k("c")}
				leases := s.leases(keys...)
				s.set(k("entry"), "value", time.Hour)
				s.remove(k("a"), k("entry"), k("c"), k("missing"))
				s.wantRefused(leases[0], "the key was deleted")
				s.wantRefused(leases[2], "the key was deleted")
				s.wantFree(k("a"))
				s.wantFree(k("c"))
				s.wantState(k("b"), provider.LeaseBusy)
				s.fillValue(leases[1], "value")
			}),
		},
		{
			"delete-prefix",
			because("DeletePrefix removes leases as it removes entries, those of keys that never had an entry too: the Fill with one is refused without an error, and the key stays empty."),
			withLeases(checkLeaseDeletePrefix),
		},
		{
			"delete-prefix-count",
			because("DeletePrefix does not count leases, neither those that it removes nor those that have ended: it returns the number of entries."),
			withLeases(func(s leasing) {
				const ttl = 50 * time.Millisecond
				s.leaseFor(k("p:ended"), ttl)
				s.expire(ttl)
				s.leases(k("p:1"), k("p:2"), k("p:3"))
				s.fillValue(s.lease(k("p:filled")), "value")
				s.set(k("p:set"), "value", time.Hour)
				s.wantRemoved("scope", "p:", 2)
				s.leases(k("p:1"), k("p:2"), k("p:ended"))
				s.wantRemoved("scope", "p:", 0)
				s.wantRemoved("scope", "", 0)
			}),
		},
		{
			"set",
			because("Set replaces a lease: the Fill with it is refused without an error and leaves what was set. A Set that is refused for its TTL changes nothing."),
			withLeases(func(s leasing) {
				leases := s.leases(k("set"), k("refused"), k("absent"))
				s.set(k("set"), "set", time.Hour)
				s.setEntry(k("absent"), provider.Entry{Absent: true}, time.Hour)
				if err := s.store.Set(s.ctx(), k("refused"), provider.Entry{Value: "refused"}, 0); err == nil {
					s.errorf("Set with ttl 0 returned nil, want an error")
				}
				s.want(k("set"), "set")
				s.wantRefused(leases[0], "the key was set")
				s.wantRefused(leases[2], "the key was set")
				s.release(leases[0], leases[2])
				s.want(k("set"), "set")
				s.wantAbsent(k("absent"))
				s.fillValue(leases[1], "value")
			}),
		},
		{
			"set-many",
			because("SetMany replaces leases as Set does: a Fill with one is refused and leaves what was set."),
			withLeases(func(s leasing) {
				b, ok := s.store.(provider.Batcher)
				if !ok {
					s.skipf("the store has no provider.Batcher: this case does not apply to it")
				}
				leases := s.leases(k("a"), k("b"))
				s.setMany(b, []provider.Item{item(k("a"), "set a"), item(k("b"), "set b")})
				s.wantRefused(leases[0], "the key was set")
				s.wantRefused(leases[1], "the key was set")
				s.want(k("a"), "set a")
				s.want(k("b"), "set b")
			}),
		},
		{
			"next-lease",
			because("After an invalidation, the next Acquire is granted at once, and the lease from before neither fills nor releases the new one, which fills. If leases of a client look alike, the old load of a process fills in the name of its new load."),
			withLeases(checkNextLease),
		},
		{
			"others-keep-theirs",
			because("Delete and DeletePrefix leave the leases of other keys, other prefixes and other scopes alone: their loads are not overtaken by anything."),
			withLeases(checkLeasesKept),
		},
	}
}

func checkLateFill(s leasing) {
	const ttl = 100 * time.Millisecond
	late := s.leaseFor(k("empty"), ttl)
	old := s.leaseFor(k("leased again"), ttl)
	replaced := s.leaseFor(k("filled again"), ttl)
	s.expire(ttl)
	again := s.leaseSoon(k("leased again"))
	s.fillValue(s.leaseSoon(k("filled again")), "new")

	const ended = "the lease has ended"
	s.wantRefused(late, ended)
	s.wantFree(k("empty"))
	s.wantRefused(old, ended)
	s.wantRefused(replaced, ended)
	s.want(k("filled again"), "new")
	s.wantState(k("leased again"), provider.LeaseBusy)
	s.fillValue(again, "value")
	s.want(k("leased again"), "value")
}

func checkLeaseDeletePrefix(s leasing) {
	var keys []provider.Key
	for _, name := range oddNames() {
		keys = append(keys, k("list:"+name))
	}
	for _, prefix := range []string{"list:", "l", ""} {
		leases := s.leases(keys...)
		s.set(k("list"), "value", time.Hour)
		s.removePrefix("scope", prefix)
		for _, lease := range leases {
			s.wantRefused(lease, "its prefix was deleted")
		}
		for _, key := range keys {
			s.wantMiss(key)
		}
		s.release(s.leases(keys...)...)
	}
}

func checkNextLease(s leasing) {
	for name, invalidate := range map[string]func(key provider.Key){
		"Delete":          func(key provider.Key) { s.remove(key) },
		"DeletePrefix":    func(key provider.Key) { s.removePrefix(key.Scope, key.Name[:1]) },
		"Set and Delete":  func(key provider.Key) { s.set(key, "set", time.Hour); s.remove(key) },
		"Delete, 3 times": func(key provider.Key) { s.remove(key, key); s.remove(key) },
	} {
		key := k(name)
		old := s.lease(key)
		invalidate(key)
		lease := s.lease(key)
		s.wantRefused(old, "it is of before the "+name)
		s.wantMiss(key)
		s.wantState(key, provider.LeaseBusy)
		s.release(old)
		s.wantState(key, provider.LeaseBusy)
		s.fillValue(lease, "new")
		s.want(key, "new")
		s.wantRefused(old, "it is of before the "+name)
		s.release(old)
		s.want(key, "new")
	}
}

func checkLeasesKept(s leasing) {
	keys := []provider.Key{
		k("key"), k("ke"), k("key:1"), k("KEY"), k("list"), k("lis"), k("xlist:1"), k("*"), k("[k]ey"),
		{Scope: "other", Name: "deleted"},
		{Scope: "other", Name: "list:1"},
		{Scope: "scope:list", Name: "1"},
		{Scope: "", Name: "list:1"},
	}
	leases := s.leases(keys...)
	s.lease(k("deleted"))
	s.remove(k("deleted"), k("k"), k("key:"), k("?ey"))
	s.removePrefix("scope", "list:")
	s.removePrefix("scope", "key:2")
	s.removePrefix("scope", "[k-z]")
	s.removePrefix("scope", "k*y")
	s.removePrefix("another", "")
	for i, grant := range s.acquireAll(keys...) {
		if grant.State != provider.LeaseBusy {
			s.errorf("Acquire of %s, whose lease nobody removed: %s", show(keys[i]), stateOf(grant.State))
		}
		s.fillValue(leases[i], "value")
	}
}

func releaseCases() []capabilityCase[provider.Leaser] {
	return []capabilityCase[provider.Leaser]{
		{
			"frees",
			because("A lease that was given back is granted to the next who asks, at once, and fills nothing any more. A load that failed must not make others wait for the end of its lease."),
			withLeases(func(s leasing) {
				for range 3 {
					lease := s.lease(k("key"))
					s.release(lease)
					s.wantRefused(lease, "it was released")
					s.wantMiss(k("key"))
				}
				s.fillValue(s.lease(k("key")), "value")
			}),
		},
		{
			"not-the-lease",
			because("Release changes nothing if the key does not hold that very lease: neither an entry, nor the lease of somebody else. It may come late, or twice."),
			withLeases(checkReleaseOther),
		},
		{
			"several",
			because("Release gives back each of the leases, whatever became of the others, and no other lease."),
			withLeases(func(s leasing) {
				leases := s.leases(k("a"), k("b"), k("c"), k("d"), k("kept"))
				s.remove(k("b"))
				s.fillValue(leases[2], "value")
				s.release(leases[:4]...)
				s.wantFree(k("a"))
				s.wantFree(k("b"))
				s.want(k("c"), "value")
				s.wantFree(k("d"))
				s.wantState(k("kept"), provider.LeaseBusy)
				s.fillValue(leases[4], "value")
			}),
		},
		{
			"cancelled",
			because("Release with a context that has ended returns an error or has given the lease back, and the key can be used in either case."),
			withLeases(func(s leasing) {
				lease := s.lease(k("key"))
				if err := s.leaser.Release(s.cancelled(), []provider.Lease{lease}); err == nil {
					s.wantFree(k("key"))
				}
				s.remove(k("key"))
				s.fillValue(s.lease(k("key")), "value")
				s.pause()
				s.want(k("key"), "value")
			}),
		},
	}
}

func checkReleaseOther(s leasing) {
	filled := s.lease(k("filled"))
	s.fillValue(filled, "value")
	old := s.lease(k("leased again"))
	s.release(old)
	again := s.lease(k("leased again"))
	good := s.lease(k("leased"))
	s.set(k("set"), "value", time.Hour)

	s.release(filled, old, old)
	s.release(
		provider.Lease{Key: k("leased"), Token: ""},
		provider.Lease{Key: k("leased"), Token: again.Token},
		provider.Lease{Key: k("leased"), Token: good.Token + "x"},
		provider.Lease{Key: provider.Key{Scope: "other", Name: "leased"}, Token: good.Token},
		provider.Lease{Key: k("set"), Token: good.Token},
		provider.Lease{Key: k("set"), Token: ""},
		provider.Lease{Key: k("missing"), Token: good.Token},
	)
	s.want(k("filled"), "value")
	s.want(k("set"), "value")
	s.wantState(k("leased again"), provider.LeaseBusy)
	s.fillValue(again, "value")
	s.wantState(k("leased"), provider.LeaseBusy)
	s.fillValue(good, "value")
}
