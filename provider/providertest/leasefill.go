package providertest

import (
	"errors"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func fillCases() []capabilityCase[provider.Leaser] {
	return []capabilityCase[provider.Leaser]{
		{
			"stores",
			because("Fill with the lease that the key holds stores the entry, says so, and Get and Acquire find it. Stored is true only if it was stored: the cache hands the value to readers that began after the load did."),
			withLeases(func(s leasing) {
				s.fillValue(s.lease(k("key")), "value")
				s.want(k("key"), "value")
				grant := s.acquire(k("key"))
				s.wantFoundBy(&grant, k("key"), provider.Entry{Value: "value"})
				if b, ok := s.store.(provider.Batcher); ok {
					s.wantResult(k("key"), s.getMany(b, []provider.Key{k("key")})[0], "value")
				}
				s.wantRemoved("scope", "", 1)
			}),
		},
		{
			"like-set",
			because("Fill stores entries as Set does: values, nil and absences, with FreshUntil and LoadTime."),
			withLeases(func(s leasing) {
				for name, entry := range oddEntries() {
					s.fillEntry(provider.Fill{Lease: s.lease(k(name)), Entry: entry, TTL: time.Hour})
					got, found := s.get(k(name))
					if !found {
						s.errorf("Get(%s) found nothing after Fill", show(k(name)))
						continue
					}
					s.wantEntry(k(name), got, entry)
					s.wantMetadata(got, entry)
				}
			}),
		},
		{
			"ttl",
			because("A filled entry ends after its own TTL, counted from the Fill: not that of the lease, nor counted from Acquire. A load takes time, and the TTL is for what it returned."),
			withLeases(checkFillTTL),
		},
		{
			"once",
			because("A lease is the right to fill a key once: another Fill with it is refused and changes nothing. The second copy of a request that the network repeats must not bring back what was replaced since."),
			withLeases(checkFillOnce),
		},
		{
			"not-the-lease",
			because("Fill stores only if the key still holds that very lease: not another lease, nor an entry, nor nothing. A store that only looks whether there is a lease takes an old load for a new one."),
			withLeases(checkFillOtherLease),
		},
		{
			"in-order",
			because("Fill answers for each entry, in their order, whatever becomes of the others: those whose lease is gone are refused, the others stored."),
			withLeases(checkFillInOrder),
		},
		{
			"refused-ttl",
			because("A Fill whose TTL is zero or negative is refused with an error and stores nothing, as Set would, and keeps no other entry from being stored."),
			withLeases(checkFillRefusedTTL),
		},
		{
			"unencodable",
			because("A Fill that is refused for its encoding returns an error that matches ErrUnencodable, leaves the key empty, and gives the lease back: others would wait for a fill that never comes."),
			withLeases(func(s leasing) {
				s.checkFillRefused(make(chan int), provider.ErrUnencodable)
				s.checkFillRefused(panics{}, provider.ErrUnencodable)
			}),
		},
		{
			"too-large",
			because("A Fill that is refused for its size returns an error that matches ErrTooLarge, leaves the key empty, and gives the lease back: others would wait for a fill that never comes."),
			withLeases(func(s leasing) {
				s.checkFillRefused(strings.Repeat("0123456789abcdef", 1<<20), provider.ErrTooLarge)
			}),
		},
		{
			"cancelled",
			because("Fill with a context that has ended stores the entry and says so, or returns an error, and has no effect after it returned."),
			withLeases(checkFillCancelled),
		},
	}
}

func checkFillTTL(s leasing) {
	const ttl = 200 * time.Millisecond
	after := s.leaseFor(k("after the lease"), 5*time.Second)
	before := s.lease(k("before the lease"))
	forEver := s.lease(k("for ever"))
	s.pause() // stands for the load
	s.fillEntry(provider.Fill{Lease: after, Entry: provider.Entry{Value: "value"}, TTL: time.Hour})
	s.fillEntry(provider.Fill{Lease: forEver, Entry: provider.Entry{Value: "value"}, TTL: provider.NoExpiry})
	began := now()
	s.fillEntry(provider.Fill{Lease: before, Entry: provider.Entry{Value: "value"}, TTL: ttl})
	s.wantEnd(k("before the lease"), "value", ttl, began)
	s.wantFree(k("before the lease"))
	if s.exact() {
		time.Sleep(30 * time.Minute) // the lease ended long ago
	}
	s.want(k("after the lease"), "value")
	if s.exact() {
		time.Sleep(30 * time.Minute)
		s.wantMiss(k("after the lease"))
	}
	s.want(k("for ever"), "value")
}

func checkFillOnce(s leasing) {
	lease := s.lease(k("key"))
	s.fillValue(lease, "first")
	s.wantRefused(lease, "it was filled before")
	s.want(k("key"), "first")
	s.set(k("key"), "set", time.Hour)
	s.wantRefused(lease, "it was filled before, and set since")
	s.want(k("key"), "set")
	s.remove(k("key"))
	s.wantRefused(lease, "it was filled before, and deleted since")
	s.wantMiss(k("key"))

	lease = s.lease(k("key"))
	filled := s.fillAll(fillOf(lease, "one"), fillOf(lease, "two"))
	if filled[0].Stored == filled[1].Stored {
		s.fatalf("two entries with one lease: Stored %v and %v, want true for one of them", filled[0].Stored, filled[1].Stored)
	}
	if filled[0].Stored {
		s.want(k("key"), "one")
	} else {
		s.want(k("key"), "two")
	}
}

func checkFillOtherLease(s leasing) {
	good := s.lease(k("leased"))
	other := s.lease(k("another"))
	s.set(k("entry"), good.Token, time.Hour)
	tokens := []string{"", "0", "*", other.Token, good.Token + "x", "x" + good.Token, strings.Repeat("f", 32)}
	if n := len(good.Token); n > 0 {
		tokens = append(tokens, good.Token[:n-1])
	}
	for _, token := range tokens {
		s.wantRefused(provider.Lease{Key: k("leased"), Token: token}, "the key holds another lease")
		s.wantRefused(provider.Lease{Key: k("empty"), Token: token}, "the key holds nothing")
		s.wantRefused(provider.Lease{Key: k("entry"), Token: token}, "the key holds an entry")
	}
	s.wantRefused(provider.Lease{Key: k("empty"), Token: good.Token}, "the key holds nothing")
	s.wantRefused(provider.Lease{Key: k("entry"), Token: good.Token}, "the key holds an entry")
	s.wantRefused(provider.Lease{Key: provider.Key{Scope: "other", Name: "leased"}, Token: good.Token}, "the key holds nothing")
	s.want(k("entry"), good.Token)
	s.wantMiss(k("empty"))
	s.fillValue(good, "value")
	s.want(k("leased"), "value")
	s.fillValue(other, "another value")
}

func checkFillInOrder(s leasing) {
	names := []string{"a", "deleted", "b", "released", "leased again", "set", "c"}
	fills := make([]provider.Fill, len(names))
	for i, name := range names {
		fills[i] = fillOf(s.lease(k(name)), valueOf(name))
	}
	s.remove(k("deleted"), k("leased again"))
	s.release(fills[3].Lease)
	again := s.lease(k("leased again"))
	s.set(k("set"), "set", time.Hour)

	for i, filled := range s.fillAll(fills...) {
		if want := len(names[i]) == 1; filled.Stored != want || filled.Err != nil {
			s.errorf("Fill of %s among others: Stored %v, error %v; want Stored %v", show(k(names[i])), filled.Stored, filled.Err, want)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		s.want(k(name), valueOf(name))
	}
	s.wantMiss(k("deleted"))
	s.wantMiss(k("released"))
	s.want(k("set"), "set")
	s.fillValue(again, "value")
}

func checkFillRefusedTTL(s leasing) {
	for _, ttl := range []time.Duration{0, -1, -time.Hour} {
		leases := s.leases(k("first"), k("refused"), k("last"))
		fills := []provider.Fill{fillOf(leases[0], "value"), fillOf(leases[1], "refused"), fillOf(leases[2], "value")}
		fills[1].TTL = ttl
		filled := s.fillAll(fills...)
		if filled[1].Stored || filled[1].Err == nil {
			s.errorf("Fill with ttl %v: Stored %v, error %v; want an error", ttl, filled[1].Stored, filled[1].Err)
		}
		if !filled[0].Stored || !filled[2].Stored {
			s.errorf("Fill of 3 entries, one with ttl %v: Stored %v and %v for the others, want true", ttl, filled[0].Stored, filled[2].Stored)
		}
		s.want(k("first"), "value")
		s.wantMiss(k("refused"))
		s.want(k("last"), "value")
		s.release(leases[1])
		s.wantFree(k("refused"))
		s.remove(k("first"), k("last"))
	}
}

// checkFillRefused fills value together with other values. The store may refuse
// value with an error that matches sentinel.
func (s leasing) checkFillRefused(value any, sentinel error) {
	s.t.Helper()
	leases := s.leases(k("first"), k("odd"), k("last"))
	filled := s.fillAll(fillOf(leases[0], "value"), fillOf(leases[1], value), fillOf(leases[2], "value"))
	switch odd := filled[1]; {
	case odd.Stored: // the store does not encode values, or accepts large ones
		if entry, found := s.get(k("odd")); found {
			s.wantEntry(k("odd"), entry, provider.Entry{Value: value})
		}
	case !errors.Is(odd.Err, sentinel):
		s.errorf("Fill of a %T: Stored false, error %v, which does not match %v", value, odd.Err, sentinel)
	default:
		s.wantFree(k("odd"))
		s.wantRefused(leases[1], "the lease was given back")
	}
	for _, i := range []int{0, 2} {
		if !filled[i].Stored {
			s.errorf("Fill of %s beside a %T: Stored false, error %v", show(leases[i].Key), value, filled[i].Err)
		}
		s.want(leases[i].Key, "value")
	}
	s.remove(k("first"), k("odd"), k("last"))
}

func checkFillCancelled(s leasing) {
	lease := s.lease(k("key"))
	filled, err := s.leaser.Fill(s.cancelled(), []provider.Fill{fillOf(lease, "value")})
	if err == nil && len(filled) != 1 {
		s.fatalf("Fill of 1 entry with a cancelled context returned %d answers and no error", len(filled))
	}
	switch {
	case len(filled) == 1 && filled[0].Stored:
		s.want(k("key"), "value")
	case err == nil && filled[0].Err == nil:
		s.errorf("Fill with a cancelled context refused an entry without an error, although the key held the lease")
	}
	s.remove(k("key"))
	s.pause()
	s.wantFree(k("key"))
	s.wantRefused(lease, "the key was deleted")
}
