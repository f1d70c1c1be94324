package providertest

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

const (
	// patience is how long a case in real time waits for an entry to end after
	// its TTL. It is long because a loaded machine may stop any goroutine for
	// seconds.
	patience = 30 * time.Second
	// pollEvery is the pause between two checks of the store.
	pollEvery = 5 * time.Millisecond
	// earliness is how much too early an entry may end in real time: a store in
	// another process has another clock, which may only count milliseconds.
	earliness = 50 * time.Millisecond
)

// stamp is the time at which a Set began.
type stamp time.Time

// now returns the stamp of a Set that is about to begin.
func now() stamp { return stamp(time.Now()) }

// end returns the end of an entry that was stored at the stamp.
func (b stamp) end(ttl time.Duration) time.Time { return time.Time(b).Add(ttl) }

// wantEnd checks that the entry under key is there until its TTL ends, and not
// from then on. A Set that began at began has stored it for ttl. wantEnd reads
// the entry repeatedly, to detect a store that prolongs entries on reads.
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

// wantExactEnd reads the entry at half of ttl, a nanosecond before its end, and
// at its end.
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

// expire waits until every entry that was stored for ttl before the call has
// ended. It does not read those entries, because a store may remove an expired
// entry when it is read.
func (s *session) expire(ttl time.Duration) {
	s.t.Helper()
	if s.exact() {
		time.Sleep(ttl)
		return
	}
	// An entry that is stored later for the same TTL ends later.
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

// pause lets time pass: a little in real time, more in a bubble.
func (s *session) pause() {
	if s.exact() {
		time.Sleep(time.Second)
		return
	}
	time.Sleep(50 * time.Millisecond)
}
