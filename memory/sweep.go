package memory

import "time"

// sweep removes expired entries and sets the timer for the next ones. The timer
// runs it.
func (s *Store) sweep() {
	defer s.sweeps.Done()
	for s.sweepChunk() {
	}
}

// sweepChunk handles up to chunk entries, and reports whether more are due now.
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

// wakeLocked makes a sweep run at the given time or earlier. Never asks for
// none.
func (s *Store) wakeLocked(at, now int64) {
	if at >= s.wake {
		return
	}
	s.wake = at
	// If the timer had stopped or fired, one more run of sweep is now
	// scheduled. If it was pending, the same run only moves.
	if !s.timer.Reset(time.Duration(max(at-now, 0))) {
		s.sweeps.Add(1)
	}
}
