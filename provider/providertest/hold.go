package providertest

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// A holding is a session on a store with leases and holds. Its methods follow the
// rules of leasing.
type holding struct {
	leasing

	holder provider.Holder
}

// withHolds makes a case for a store with holds. Such a store must have leases.
func withHolds(run func(s holding)) func(*session, provider.Holder) {
	return func(s *session, h provider.Holder) {
		l, ok := s.store.(provider.Leaser)
		if !ok {
			s.fatalf("the store has a provider.Holder and no provider.Leaser: there is nothing to hold")
		}
		run(holding{leasing{s, l}, h})
	}
}

// holdFor places a hold for ttl. An error ends the case.
func (s holding) holdFor(targets provider.HoldTargets, token string, ttl time.Duration) {
	s.t.Helper()
	if err := s.holder.Hold(s.ctx(), targets, token, ttl); err != nil {
		s.fatalf("Hold of %s for %v: unexpected error: %v", showTargets(targets), ttl, err)
	}
}

// hold places a hold for leaseTime.
func (s holding) hold(targets provider.HoldTargets, token string) {
	s.t.Helper()
	s.holdFor(targets, token, leaseTime)
}

// unhold ends a hold. An error ends the case.
func (s holding) unhold(targets provider.HoldTargets, token string) {
	s.t.Helper()
	if err := s.holder.Unhold(s.ctx(), targets, token); err != nil {
		s.fatalf("Unhold of %s: unexpected error: %v", showTargets(targets), err)
	}
}

// wantHeld checks that keys are held and that no entry is found under them.
func (s holding) wantHeld(keys ...provider.Key) {
	s.t.Helper()
	for i, grant := range s.acquireAll(keys...) {
		if grant.State != provider.LeaseHeld {
			s.errorf("Acquire of %s: %s, want held", show(keys[i]), stateOf(grant.State))
		}
		s.wantMiss(keys[i])
	}
}

// showTargets formats targets for a message, shortened if they are many.
func showTargets(targets provider.HoldTargets) string {
	return shorten(fmt.Sprintf("scope %q, keys %q, prefixes %q", targets.Scope, targets.Keys, targets.Prefixes))
}

// holdKeys returns keys of the scope that most cases use, as targets.
func holdKeys(names ...string) provider.HoldTargets {
	return provider.HoldTargets{Scope: "scope", Keys: names}
}

// holdPrefixes returns prefixes of the scope that most cases use, as targets.
func holdPrefixes(prefixes ...string) provider.HoldTargets {
	return provider.HoldTargets{Scope: "scope", Prefixes: prefixes}
}

// eachKind runs check twice: for a key that is held itself, and for a key under a
// held prefix.
func eachKind(check func(s holding, key provider.Key, targets provider.HoldTargets)) func(*session, provider.Holder) {
	return withHolds(func(s holding) {
		check(s, k("key"), holdKeys("key"))
		check(s, k("family:key"), holdPrefixes("family:"))
	})
}

func holdCases() []capabilityCase[provider.Holder] {
	return []capabilityCase[provider.Holder]{
		{
			"removes",
			because("Hold removes the entry and the lease of what it covers: while it is there, Get finds nothing, Acquire says that the key is held, and a lease from before fills nothing and gives nothing free."),
			eachKind(checkHoldRemoves),
		},
		{
			"unhold-frees",
			because("Unhold frees the key at once, and leaves it empty: no entry and no lease from before comes back, and the next who asks is granted the lease. The key was uncached as long as the change took, and not longer."),
			eachKind(checkUnholdFrees),
		},
		{
			"two-holds",
			because("A key may be held several times at once; each hold has its token, and the key is free when all of them are given up. Otherwise the first of two changes that is done lets readers cache what the second is about to change."),
			eachKind(func(s holding, key provider.Key, targets provider.HoldTargets) {
				for _, order := range [][]string{{"one", "two", "three"}, {"three", "two", "one"}, {"two", "one", "three"}} {
					for _, token := range []string{"one", "two", "three"} {
						s.hold(targets, token)
					}
					for _, token := range order {
						s.wantHeld(key)
						s.unhold(targets, token)
					}
					s.wantFree(key)
				}
			}),
		},
		{
			"own-ttl",
			because("Each hold has its own TTL: the end of a short one ends no other, and one that has ended does not keep the key after the others were given up."),
			eachKind(checkHoldOwnTTL),
		},
		{
			"twice",
			because("Hold is safe when its request arrives twice: two holds with one token are one, which the first Unhold gives up, and which lasts as long as the later request says."),
			eachKind(checkHoldTwice),
		},
		{
			"not-the-token",
			because("Unhold gives up what is held under its token and nothing else: no hold of another token, no lease and no entry."),
			withHolds(checkUnholdOther),
		},
		{
			"tokens",
			because("Tokens are compared as a whole: one that is a part of another is another token."),
			eachKind(checkHoldTokens),
		},
		{
			"out-of-order",
			because("Unhold is safe when its request arrives twice, or first: a second one changes nothing, neither the lease nor the entry that is there by then, and a Hold that arrives after its Unhold ends with its TTL."),
			eachKind(checkHoldOutOfOrder),
		},
		{
			"ends",
			because("A hold that nobody gives up ends with its TTL, exactly, however often the key is asked for. A process that died between hold and invalidation leaves the key uncached so long, and not for ever."),
			eachKind(func(s holding, key provider.Key, targets provider.HoldTargets) {
				const ttl = 150 * time.Millisecond
				s.set(key, "value", time.Hour)
				began := now()
				s.holdFor(targets, "token", ttl)
				lease := s.wantFreed(key, provider.LeaseHeld, ttl, began)
				s.wantMiss(key)
				s.fillValue(lease, "new")
				s.want(key, "new")
			}),
		},
		{
			"left-to-ttl",
			because("A hold that nobody will give up lasts as long as it was placed for, whatever other holds there are of its kind and of others: one that ends earlier, and one that is given up, end nothing but themselves. A store may keep one for all of its kind, but not the shortest."),
			eachKind(checkHoldLeft),
		},
		{
			"delete-leaves-it",
			because("Delete and DeletePrefix leave holds alone: the invalidation of one writer does not take away the hold of another, whose change is still to come."),
			eachKind(func(s holding, key provider.Key, targets provider.HoldTargets) {
				s.hold(targets, "token")
				s.remove(key)
				s.wantHeld(key)
				s.removePrefix(key.Scope, key.Name)
				s.wantHeld(key)
				s.removePrefix(key.Scope, key.Name[:2])
				s.wantHeld(key)
				s.removePrefix(key.Scope, "")
				s.wantHeld(key)
				s.unhold(targets, "token")
				s.wantFree(key)
			}),
		},
		{
			"invisible",
			because("A hold is no entry: Get and GetMany do not find it, Has, List and Stats do not show it, and DeletePrefix does not count it."),
			withHolds(func(s holding) {
				s.hold(provider.HoldTargets{Scope: "scope", Keys: []string{"key", "p:1"}, Prefixes: []string{"family:", "p:"}}, "token")
				keys := []provider.Key{k("key"), k("p:1"), k("family:1"), k("family:")}
				s.wantHeld(keys...)
				s.wantNothingSeen(keys...)
				s.set(k("entry"), "value", time.Hour)
				s.wantRemoved("scope", "p:", 0)
				s.wantRemoved("scope", "", 1)
				s.wantRemoved("scope", "", 0)
			}),
		},
		{
			"several",
			because("One call holds, and gives up, all its keys and prefixes: each of them, and nothing else."),
			withHolds(checkHoldSeveral),
		},
		{
			"many",
			because("Hold and Unhold take thousands of keys at once. A change of many rows announces all of them."),
			withHolds(checkHoldMany),
		},
		{
			"none",
			because("Hold and Unhold of nothing do nothing: a scope without keys and prefixes is not the whole scope."),
			withHolds(checkHoldNone),
		},
		{
			"in-order",
			because("Among many keys, Acquire says of each whether it is held; the others are found, granted or busy as if there were no hold."),
			withHolds(checkAcquireAmongHeld),
		},
		{
			"names",
			because(bytesAreBytes + " That holds for keys that are held."),
			withHolds(checkHoldNames),
		},
		{
			"scopes",
			because("A hold covers keys of its scope only: those of other scopes are found, leased and filled as if there were none."),
			withHolds(checkHoldScopes),
		},
		{
			"cancelled",
			because("Hold with a context that has ended returns an error or holds, and Unhold returns an error or has given up. A writer that was told that a key is held changes the source."),
			withHolds(checkHoldCancelled),
		},
		{
			"after-close",
			because("After Close, Hold and Unhold return an error that matches ErrClosed. A Hold that returned nil would be taken for an announcement that all have heard."),
			withHolds(func(s holding) {
				c, ok := s.store.(io.Closer)
				if !ok {
					s.skipf("the store has no io.Closer: this case does not apply to it")
				}
				s.close(c)
				s.wantClosed("Hold", s.holder.Hold(s.ctx(), holdKeys("key"), "token", leaseTime))
				s.wantClosed("Unhold", s.holder.Unhold(s.ctx(), holdKeys("key"), "token"))
			}),
		},
	}
}

func checkHoldRemoves(s holding, key provider.Key, targets provider.HoldTargets) {
	s.set(key, "old", time.Hour)
	s.hold(targets, "first")
	s.wantHeld(key)
	s.unhold(targets, "first")

	lease := s.lease(key)
	s.hold(targets, "second")
	s.wantHeld(key)
	s.wantRefused(lease, "the key is held")
	s.release(lease)
	s.wantHeld(key)
	s.wantRefused(provider.Lease{Key: key, Token: "second"}, "the key is held")
	s.release(provider.Lease{Key: key, Token: "second"})
	s.wantHeld(key)
}

func checkUnholdFrees(s holding, key provider.Key, targets provider.HoldTargets) {
	s.set(key, "old", time.Hour)
	s.hold(targets, "first")
	s.wantHeld(key)
	s.unhold(targets, "first")
	s.wantFree(key)

	old := s.lease(key)
	s.hold(targets, "second")
	s.wantHeld(key) // Acquire leaves no lease on a held key
	s.unhold(targets, "second")
	s.wantRefused(old, "the key was held since")
	lease := s.lease(key)
	s.wantRefused(old, "the key was held since")
	s.fillValue(lease, "new")
	s.want(key, "new")
}

func checkHoldOwnTTL(s holding, key provider.Key, targets provider.HoldTargets) {
	const short = 100 * time.Millisecond
	for _, ttls := range [][2]time.Duration{{short, leaseTime}, {leaseTime, short}} {
		s.holdFor(targets, "first", ttls[0])
		s.holdFor(targets, "second", ttls[1])
		s.wantHeld(key)
		s.expire(short)
		s.wantHeld(key)
		if ttls[0] == short {
			s.unhold(targets, "second")
		} else {
			s.unhold(targets, "first")
		}
		s.release(s.leaseSoon(key))
	}
}

func checkHoldTwice(s holding, key provider.Key, targets provider.HoldTargets) {
	const short = 100 * time.Millisecond
	s.hold(targets, "token")
	s.hold(targets, "token")
	s.wantHeld(key)
	s.unhold(targets, "token")
	s.wantFree(key)

	s.holdFor(targets, "token", short)
	s.hold(targets, "token")
	s.expire(short)
	s.wantHeld(key)
	s.unhold(targets, "token")
	s.wantFree(key)
}

func checkUnholdOther(s holding) {
	all := provider.HoldTargets{Scope: "scope", Keys: []string{"entry", "leased", "held", "missing", "p:held"}, Prefixes: []string{"p:", "q:", ""}}
	s.hold(holdKeys("held"), "one")
	s.hold(holdPrefixes("p:"), "two")
	s.set(k("entry"), "value", time.Hour)
	s.set(k("q:entry"), "value", time.Hour)
	leases := s.leases(k("leased"), k("q:leased"))
	s.unhold(all, "unknown")
	s.unhold(all, leases[0].Token)
	s.wantHeld(k("held"), k("p:held"))
	s.want(k("entry"), "value")
	s.want(k("q:entry"), "value")
	s.wantState(k("leased"), provider.LeaseBusy)
	s.fillValue(leases[0], "value")
	s.fillValue(leases[1], "value")
	s.wantFree(k("missing"))
}

func checkHoldLeft(s holding, key provider.Key, targets provider.HoldTargets) {
	const ttl, short = 150 * time.Millisecond, 50 * time.Millisecond
	left := targets
	left.LeftToTTL = true
	s.set(key, "value", time.Hour)
	began := now()
	s.holdFor(left, "one", ttl)
	s.holdFor(left, "two", short)
	lease := s.wantFreed(key, provider.LeaseHeld, ttl, began)
	s.fillValue(lease, "new")
	s.want(key, "new")

	s.hold(left, "three")
	s.holdFor(left, "four", short)
	s.hold(targets, "five")
	s.unhold(targets, "five")
	s.expire(short)
	s.wantHeld(key)
}

func checkHoldTokens(s holding, key provider.Key, targets provider.HoldTargets) {
	tokens := []string{"ab", "a", "b", "abc", "ba", "aba", "1", "11", "111", "A"}
	for _, token := range tokens {
		s.hold(targets, token)
	}
	for _, token := range []string{"bab", "c", "1111", "B"} {
		s.unhold(targets, token)
	}
	for _, token := range tokens {
		s.wantHeld(key)
		s.unhold(targets, token)
	}
	s.wantFree(key)
	s.hold(targets, "abc")
	for _, token := range []string{"a", "ab", "bc", "c", "ABC", "abcd"} {
		s.unhold(targets, token)
		s.wantHeld(key)
	}
	s.unhold(targets, "abc")
	s.wantFree(key)
}

func checkHoldOutOfOrder(s holding, key provider.Key, targets provider.HoldTargets) {
	const ttl = 100 * time.Millisecond
	s.hold(targets, "token")
	s.unhold(targets, "token")
	lease := s.lease(key)
	s.unhold(targets, "token")
	s.wantState(key, provider.LeaseBusy)
	s.fillValue(lease, "value")
	s.unhold(targets, "token")
	s.want(key, "value")

	s.unhold(targets, "early")
	s.want(key, "value")
	s.holdFor(targets, "early", ttl)
	s.expire(ttl)
	s.remove(key)
	s.fillValue(s.leaseSoon(key), "new")
	s.want(key, "new")
}

func checkHoldSeveral(s holding) {
	targets := provider.HoldTargets{Scope: "scope", Keys: []string{"a", "b", "p:b"}, Prefixes: []string{"p:", "q:", "r:1"}}
	held := []provider.Key{k("a"), k("b"), k("p:b"), k("p:"), k("p:never seen"), k("q:1"), k("r:1"), k("r:10")}
	others := []provider.Key{k("c"), k("aa"), k("p"), k("r:"), k("r:2"), k("xp:")}
	for _, key := range slices.Concat(held, others) {
		s.set(key, "value", time.Hour)
	}
	s.hold(targets, "token")
	s.wantHeld(held...)
	grants := s.acquireAll(others...)
	for i := range grants {
		s.wantFoundBy(&grants[i], others[i], provider.Entry{Value: "value"})
	}
	s.unhold(targets, "token")
	for _, key := range held {
		s.wantFree(key)
	}
	for _, key := range others {
		s.want(key, "value")
	}
}

func checkHoldMany(s holding) {
	const n = 2000
	var names []string
	var keys []provider.Key
	for i := range n {
		names = append(names, fmt.Sprint("key ", i))
		keys = append(keys, k(names[i]))
	}
	s.set(keys[n-1], "value", time.Hour)
	s.lease(keys[n-2])
	s.hold(holdKeys(names...), "token")
	for i, grant := range s.acquireAll(keys...) {
		if grant.State != provider.LeaseHeld {
			s.fatalf("Acquire of %s, held with %d others: %s", show(keys[i]), n-1, stateOf(grant.State))
		}
	}
	s.unhold(holdKeys(names...), "token")
	s.leases(keys...)
}

func checkHoldNone(s holding) {
	s.set(k("key"), "value", time.Hour)
	lease := s.lease(k("leased"))
	for _, none := range []provider.HoldTargets{{Scope: "scope"}, {}, {Scope: "scope", Keys: []string{}, Prefixes: []string{}}} {
		s.hold(none, "token")
		s.want(k("key"), "value")
		s.wantState(k("leased"), provider.LeaseBusy)
		s.wantFree(k("free"))
		s.wantFree(provider.Key{})
		s.unhold(none, "token")
	}
	s.fillValue(lease, "value")
}

func checkAcquireAmongHeld(s holding) {
	s.hold(provider.HoldTargets{Scope: "scope", Keys: []string{"held"}, Prefixes: []string{"family:"}}, "token")
	s.set(k("found"), "value", time.Hour)
	s.lease(k("busy"))
	names := []string{"held", "free", "family:1", "found", "busy", "family:2", "fam", "family:", "found too"}
	s.setEntry(k("found too"), provider.Entry{Absent: true}, time.Hour)
	keys := make([]provider.Key, len(names))
	for i, name := range names {
		keys[i] = k(name)
	}
	grants := s.acquireAll(keys...)
	for i, want := range []provider.GrantState{
		provider.LeaseHeld, provider.LeaseGranted, provider.LeaseHeld, provider.LeaseFound, provider.LeaseBusy,
		provider.LeaseHeld, provider.LeaseGranted, provider.LeaseHeld, provider.LeaseFound,
	} {
		if grants[i].State != want {
			s.errorf("Acquire of %s among others: %s, want %s", show(keys[i]), stateOf(grants[i].State), stateOf(want))
		}
	}
	s.fillValue(grants[1].Lease, "value")
	s.fillValue(grants[6].Lease, "value")
	s.wantHeld(k("held"), k("family:1"))
}

func checkHoldNames(s holding) {
	var keys []provider.Key
	var held []string
	names := oddNames()
	for b := range 256 {
		names = append(names, string([]byte{'x', byte(b), 'y'}))
	}
	for i, name := range names {
		keys = append(keys, k(name))
		if i%2 == 0 {
			held = append(held, name)
		}
	}
	s.hold(holdKeys(held...), "token")
	grants := s.acquireAll(keys...)
	for i := range grants {
		want := provider.LeaseHeld
		if i%2 == 1 {
			want = provider.LeaseGranted
		}
		if grants[i].State != want {
			s.errorf("Acquire of %s: %s, want %s", show(keys[i]), stateOf(grants[i].State), stateOf(want))
		}
		if grants[i].State == provider.LeaseGranted {
			s.release(grants[i].Lease)
		}
	}
	s.unhold(holdKeys(held...), "token")
	s.leases(keys...)
}

func checkHoldScopes(s holding) {
	held := provider.HoldTargets{Scope: "a:b", Keys: []string{"key", "c:d"}, Prefixes: []string{"p:"}}
	others := []provider.Key{
		{Scope: "a", Name: "b:key"},
		{Scope: "a", Name: "key"},
		{Scope: "a", Name: "b:p:1"},
		{Scope: "a:b:c", Name: "d"},
		{Scope: "a:b:p", Name: "1"},
		{Scope: "a:b:p:", Name: ""},
		{Scope: "", Name: "a:b:key"},
		{Scope: "", Name: "p:1"},
		{Scope: "A:B", Name: "key"},
		{Scope: "*", Name: "key"},
	}
	for _, key := range others {
		s.set(key, "value", time.Hour)
	}
	s.hold(held, "token")
	s.hold(provider.HoldTargets{Scope: "a:b:", Prefixes: []string{""}}, "another")
	covered := []provider.Key{{Scope: "a:b", Name: "key"}, {Scope: "a:b", Name: "c:d"}, {Scope: "a:b", Name: "p:1"}, {Scope: "a:b:", Name: "any"}}
	s.wantHeld(covered...)
	for _, key := range others {
		s.want(key, "value")
		s.remove(key)
		s.wantFree(key)
	}
	s.wantHeld(covered...)
}

func checkHoldCancelled(s holding) {
	targets := provider.HoldTargets{Scope: "scope", Keys: []string{"key"}, Prefixes: []string{"p:"}}
	s.set(k("key"), "value", time.Hour)
	s.set(k("p:1"), "value", time.Hour)
	if err := s.holder.Hold(s.cancelled(), targets, "token", leaseTime); err == nil {
		s.wantHeld(k("key"), k("p:1"))
	}
	s.hold(targets, "token")
	s.wantHeld(k("key"), k("p:1"))
	if err := s.holder.Unhold(s.cancelled(), targets, "token"); err == nil {
		s.wantFree(k("key"))
		s.wantFree(k("p:1"))
	}
	s.unhold(targets, "token")
	s.pause()
	s.wantFree(k("key"))
	s.wantFree(k("p:1"))
}

func holdPrefixCases() []capabilityCase[provider.Holder] {
	return []capabilityCase[provider.Holder]{
		{
			"covers",
			because("A prefix that is held covers all names that begin with it, itself among them, and also those that nobody has ever asked for; and no others. A list that is loaded for the first time while the source changes is as old as one that was loaded before."),
			withHolds(checkHoldPrefixCovers),
		},
		{
			"empty-prefix",
			because("The empty prefix holds the whole scope, and no other."),
			withHolds(func(s holding) {
				s.set(k("entry"), "value", time.Hour)
				lease := s.lease(k("leased"))
				s.set(provider.Key{Scope: "other", Name: "entry"}, "value", time.Hour)
				s.hold(holdPrefixes(""), "token")
				for _, name := range oddNames() {
					s.wantHeld(k(name))
				}
				s.wantHeld(k("entry"), k("leased"))
				s.wantRefused(lease, "the scope is held")
				s.want(provider.Key{Scope: "other", Name: "entry"}, "value")
				s.wantFree(provider.Key{Scope: "other", Name: "free"})
				s.unhold(holdPrefixes(""), "token")
				s.wantFree(k("entry"))
				s.wantFree(k("leased"))
			}),
		},
		{
			"any-bytes",
			because(bytesAreBytes + " That holds for prefixes that are held."),
			withHolds(checkHoldPrefixBytes),
		},
		{
			"nested",
			because("Prefixes that are held at once may begin with each other, and may cover a key that is held itself: each is given up by itself, and a key is free when nothing that covers it is held."),
			withHolds(checkHoldNested),
		},
		{
			"many",
			because("Many prefixes may be held at once, in one call or in several, and each covers its own names."),
			withHolds(checkHoldManyPrefixes),
		},
	}
}

func checkHoldPrefixCovers(s holding) {
	held := []provider.Key{k("list:"), k("list:1"), k("list:10"), k("list:entry"), k("list:leased"), k("list:\xff\xff")}
	others := []provider.Key{k("list"), k("lis"), k("lists:1"), k("List:1"), k("xlist:1"), k("list;"), k("list9"), k("")}
	s.set(k("list:entry"), "value", time.Hour)
	s.setEntry(k("list:"), provider.Entry{Absent: true}, time.Hour)
	lease := s.lease(k("list:leased"))
	other := s.lease(k("list-leased"))
	for _, key := range others {
		s.set(key, "value", time.Hour)
	}
	s.hold(holdPrefixes("list:"), "token")
	s.wantHeld(held...)
	s.wantRefused(lease, "its prefix is held")
	for _, key := range others {
		s.want(key, "value")
		s.remove(key)
		s.wantFree(key)
	}
	s.wantState(k("list-leased"), provider.LeaseBusy)
	s.fillValue(other, "value")
	s.unhold(holdPrefixes("list:"), "token")
	for _, key := range held {
		s.wantFree(key)
	}
}

func checkHoldPrefixBytes(s holding) {
	var names []string
	for _, name := range oddNames() {
		names = append(names, name, "!"+name)
	}
	for _, prefix := range oddNames() {
		s.checkHeldPrefix(names, prefix)
		s.checkHeldPrefix([]string{prefix, prefix + "\x00", prefix + "x", prefix + "\xff", "x" + prefix + "x"}, prefix)
	}
}

// checkHeldPrefix holds prefix, and checks which of names are held. Names may
// repeat.
func (s holding) checkHeldPrefix(names []string, prefix string) {
	s.t.Helper()
	var keys []provider.Key
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		keys = append(keys, k(name))
	}
	s.hold(holdPrefixes(prefix), "token")
	var leases []provider.Lease
	for i, grant := range s.acquireAll(keys...) {
		want := provider.LeaseGranted
		if strings.HasPrefix(keys[i].Name, prefix) {
			want = provider.LeaseHeld
		}
		if grant.State != want {
			s.errorf("Acquire of %s, while prefix %q is held: %s, want %s", show(keys[i]), prefix, stateOf(grant.State), stateOf(want))
		}
		if grant.State == provider.LeaseGranted {
			leases = append(leases, grant.Lease)
		}
	}
	s.release(leases...)
	s.unhold(holdPrefixes(prefix), "token")
}

func checkHoldNested(s holding) {
	key := k("a:b:c")
	all := []provider.HoldTargets{holdPrefixes(""), holdPrefixes("a:"), holdPrefixes("a:b:"), holdPrefixes("a:b:c"), holdKeys("a:b:c")}
	token := func(i int) string { return fmt.Sprint("token-", i) }
	for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 0, 3, 1}} {
		for i, targets := range all {
			s.hold(targets, token(i))
		}
		for _, i := range order {
			s.wantHeld(key)
			s.unhold(all[i], token(i))
		}
		s.wantFree(key)
	}
	s.hold(all[1], token(1))
	s.hold(all[2], token(2))
	s.wantHeld(k("a:1"), k("a:b:1"))
	s.unhold(all[1], token(1))
	s.wantFree(k("a:1"))
	s.wantHeld(k("a:b:1"))
}

func checkHoldManyPrefixes(s holding) {
	const n = 200
	var prefixes []string
	var keys, others []provider.Key
	for i := range n {
		prefixes = append(prefixes, fmt.Sprintf("family %d:", i))
		keys = append(keys, k(fmt.Sprintf("family %d:%d", i, i)))
		others = append(others, k(fmt.Sprintf("family %d.%d", i, i)))
	}
	s.hold(holdPrefixes(prefixes[:n/2]...), "token")
	for _, prefix := range prefixes[n/2:] {
		s.hold(holdPrefixes(prefix), "token "+prefix)
	}
	s.wantHeld(keys...)
	s.release(s.leases(others...)...)
	s.unhold(holdPrefixes(prefixes[:n/2]...), "token")
	s.leases(keys[:n/2]...)
	s.wantHeld(keys[n/2:]...)
	for _, prefix := range prefixes[n/2:] {
		s.unhold(holdPrefixes(prefix), "token "+prefix)
	}
	s.leases(keys[n/2:]...)
}
