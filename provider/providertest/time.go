package providertest

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

const (
	// patience is how long a case in real time waits for an entry to end beyond
	// its TTL. It is long because a loaded machine may stop anybody for seconds.
	patience = 30 * time.Second
	// pollEvery is the pause between two looks at the store.
	pollEvery = 5 * time.Millisecond
	// earliness is by how much an entry may end too early in real time: a store
	// in another process has another clock, and may keep milliseconds only.
	earliness = 50 * time.Millisecond
)

// stamp is when a Set began.
type stamp time.Time

// now is the stamp of a Set that is about to begin.
func now() stamp { return stamp(time.Now()) }

// end is when an entry stored at the stamp ends.
func (b stamp) end(ttl time.Duration) time.Time { return time.Time(b).Add(ttl) }

// wantEnd checks that the entry under key, which was stored for ttl by a Set that
// began at began, is there until its TTL ends and not from then on. It looks at
// the entry all the time, so that a store that prolongs what is read is caught.
func (s *session) wantEnd(key provider.Key, value any, ttl time.Duration, began stamp) {
	s.t.Helper()
	if s.exact() {
		s.wantExactEnd(key, value, ttl, began)
		return
	}
	for {
		entry, found := s.get(key)
		looked := time.Now()
		switch {
		case !found && looked.Before(began.end(ttl-earliness)):
			s.errorf("Get(%s) found nothing %v before the end of its TTL of %v", show(key), began.end(ttl).Sub(looked), ttl)
			return
		case !found:
			return
		case looked.After(began.end(ttl).Add(patience)):
			s.errorf("Get(%s) still finds an entry %v after the end of its TTL of %v", show(key), patience, ttl)
			return
		}
		s.wantEntry(key, entry, provider.Entry{Value: value})
		time.Sleep(pollEvery)
	}
}

// wantExactEnd looks halfway, a nanosecond before the end, and at the end.
func (s *session) wantExactEnd(key provider.Key, value any, ttl time.Duration, began stamp) {
	s.t.Helper()
	time.Sleep(time.Until(began.end(ttl / 2)))
	s.want(key, value)
	time.Sleep(time.Until(began.end(ttl - 1)))
	if _, found := s.get(key); !found {
		s.errorf("Get(%s) found nothing a nanosecond before the end of its TTL of %v", show(key), ttl)
	}
	time.Sleep(time.Until(began.end(ttl)))
	if _, found := s.get(key); found {
		s.errorf("Get(%s) found an entry at the end of its TTL of %v", show(key), ttl)
	}
}

// expire waits until every entry that was stored for ttl before has ended,
// without looking at those entries: a store may tidy up what it looks at.
func (s *session) expire(ttl time.Duration) {
	s.t.Helper()
	if s.exact() {
		time.Sleep(ttl)
		return
	}
	// An entry stored later, for as long, ends later.
	last := provider.Key{Scope: "the last to expire", Name: "entry"}
	s.set(last, "last", ttl)
	for deadline := time.Now().Add(ttl + patience); ; time.Sleep(pollEvery) {
		if _, found := s.get(last); !found {
			return
		}
		if time.Now().After(deadline) {
			s.fatalf("Get(%s) still finds an entry %v after the end of its TTL of %v", show(last), patience, ttl)
		}
	}
}

// pause lets time pass: a little in real time, a lot in a bubble.
func (s *session) pause() {
	if s.exact() {
		time.Sleep(time.Second)
		return
	}
	time.Sleep(50 * time.Millisecond)
}
