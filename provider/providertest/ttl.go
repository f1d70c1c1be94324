package providertest

import (
	"fmt"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func ttlCases() []testCase {
	return []testCase{
		{
			"ends",
			because("From its TTL on, exactly, an entry is not found, and until then it is, however often it is read. The TTL is the bound on how long a change that bypasses the cache goes unseen; a store that prolongs what is read has no such bound."),
			func(s *session) {
				const ttl = 300 * time.Millisecond
				began := now()
				s.set(k("key"), "value", ttl)
				s.wantEnd(k("key"), "value", ttl, began)
				s.wantMiss(k("key"))
			},
		},
		{
			"sub-second",
			because("A TTL is not rounded to seconds: 500 ms are neither 1 s nor nothing, and 1.5 s are neither 1 s nor 2 s."),
			checkSubSecond,
		},
		{
			"fractions",
			because("A TTL is kept to the resolution of the clock: a millisecond, a microsecond and odd numbers of nanoseconds are no other TTL and not \"for ever\"."),
			func(s *session) {
				for _, ttl := range []time.Duration{
					time.Millisecond, time.Microsecond, 999 * time.Microsecond, 1999999, 100*time.Millisecond + 1,
				} {
					key := k(fmt.Sprintf("for %v", ttl))
					began := now()
					s.set(key, "value", ttl)
					s.wantEnd(key, "value", ttl, began)
				}
			},
		},
		{
			"nanosecond",
			because("The shortest TTL is a nanosecond: it is accepted, takes the place of what was there, and ends. Rounded to zero it is refused, or lasts for ever, or leaves the old entry."),
			func(s *session) {
				s.set(k("key"), "old", time.Hour)
				began := now()
				s.set(k("key"), "new", 1)
				s.wantEnd(k("key"), "new", 1, began)
			},
		},
		{
			"long",
			because("A long TTL does not overflow: the sum of the time and the TTL may be beyond what 64 bits of nanoseconds count, and the entry is there nevertheless."),
			func(s *session) {
				for _, ttl := range []time.Duration{
					24 * time.Hour, 50 * 24 * time.Hour, 100 * 365 * 24 * time.Hour, provider.NoExpiry - 1,
				} {
					key := k(fmt.Sprintf("for %v", ttl))
					s.set(key, "value", ttl)
					s.want(key, "value")
					s.pause()
					s.want(key, "value")
				}
			},
		},
		{
			"no-expiry",
			because("NoExpiry means that the entry does not end."),
			func(s *session) {
				s.set(k("key"), "value", provider.NoExpiry)
				s.want(k("key"), "value")
				s.pause()
				s.want(k("key"), "value")
				if s.exact() {
					time.Sleep(25 * time.Hour)
					s.want(k("key"), "value")
				}
			},
		},
		{
			"each-its-own",
			because("Every entry has its own TTL: the end of one ends no other, whatever the order of the ends."),
			func(s *session) {
				ttls := []time.Duration{time.Hour, 100 * time.Millisecond, provider.NoExpiry, 200 * time.Millisecond, 2 * time.Hour}
				for i, ttl := range ttls {
					s.set(k(fmt.Sprint(i)), fmt.Sprint("value ", i), ttl)
				}
				s.expire(200 * time.Millisecond)
				for i, ttl := range ttls {
					if ttl < time.Hour {
						s.wantMiss(k(fmt.Sprint(i)))
						continue
					}
					s.want(k(fmt.Sprint(i)), fmt.Sprint("value ", i))
				}
			},
		},
		{
			"set-after-end",
			because("A key whose entry has ended can be set again: what has ended does not shadow the new entry, and tidying it up does not remove the new one."),
			func(s *session) {
				const ttl = 100 * time.Millisecond
				s.set(k("key"), "old", ttl)
				s.expire(ttl)
				s.set(k("key"), "new", time.Hour)
				s.want(k("key"), "new")
				s.pause()
				s.want(k("key"), "new")
			},
		},
	}
}

// checkSubSecond checks in a bubble when exactly the entries end. In real time
// it checks only an order, which no slow machine can change.
func checkSubSecond(s *session) {
	for _, ttl := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} {
		if s.exact() {
			began := now()
			s.set(k("key"), "value", ttl)
			s.wantEnd(k("key"), "value", ttl, began)
			continue
		}
		s.checkOrderOfEnds(ttl)
	}
}

// checkOrderOfEnds stores an entry for ttl, 0.2 s after another that lasts until
// the next full second:
//
//	0.0 s  Set of the other for 1 s (or 2 s)
//	0.2 s  Set of the entry for 0.5 s (or 1.5 s)
//	0.7 s  the entry ends; rounded up, it ends at 1.2 s
//	1.0 s  the other ends
//
// Once the other is gone, the entry must be gone too. An entry whose TTL was
// rounded down ends too early.
func (s *session) checkOrderOfEnds(ttl time.Duration) {
	s.t.Helper()
	other := k("until the full second")
	s.set(other, "other", ttl.Truncate(time.Second)+time.Second)
	time.Sleep(200 * time.Millisecond)
	began := now()
	s.set(k("key"), "value", ttl)
	for deadline := time.Now().Add(ttl + patience); ; time.Sleep(pollEvery) {
		_, otherFound := s.get(other)
		_, found := s.get(k("key"))
		looked := time.Now()
		switch {
		case found && !otherFound:
			s.errorf("an entry stored for %v outlives one that ended at the next full second: the TTL was rounded up", ttl)
			return
		case !found && looked.Before(began.end(ttl-earliness)):
			s.errorf("an entry stored for %v is gone %v too early", ttl, began.end(ttl).Sub(looked))
			return
		case !otherFound:
			return
		case looked.After(deadline):
			s.errorf("an entry is still found %v after it should have ended", patience)
			return
		}
	}
}
