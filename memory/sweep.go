package memory

import "time"

// sweep removes the entries that have ended, and sets the timer for the next
// ones. The timer runs it.
func (s *Store) sweep() {
	defer s.sweeps.Done()
	for s.sweepChunk() {
	}
}

// sweepChunk deals with up to chunk entries and reports whether there are more
// to deal with now.
func (s *Store) sweepChunk() (more bool) {
	if s.lock() != nil {
		return false
	}
	defer s.mu.Unlock()
	now := s.now()
	for range chunk {
		n := s.wheel.advance(now)
		if n == nil {
			s.wake = never
			s.wakeLocked(s.wheel.next(), now)
			return false
		}
		if n.expiredAt(now) {
			s.removeLocked(n, swept, now)
			continue
		}
		s.wheel.remove(n)
		s.wheel.add(n)
	}
	return true
}

// wakeLocked makes sure that a sweep runs at the given time or before. Never
// asks for none.
func (s *Store) wakeLocked(at, now int64) {
	if at >= s.wake {
		return
	}
	s.wake = at
	// A timer that had stopped or run out has one more run of sweep before it;
	// one that was pending has the same run at another time.
	if !s.timer.Reset(time.Duration(max(at-now, 0))) {
		s.sweeps.Add(1)
	}
}
