package memory

import "time"

// ServeUntil lets the store answer until t only: after that, its entries stay and are not found. A
// later call replaces t, whether it is earlier or later. The zero time means at once. Without a call the
// store answers for ever. A near cache calls it: it may answer for as long as it knows that it has missed
// no invalidation.
//
// t has to have a reading of the monotonic clock, as the result of [time.Now] has. A read costs no more
// than before: it compares one clock reading with the end of the entry and with t.
//
// Let t be moved to t2 when it is known that everything was removed that had to be before t2 was set. A
// read then finds nothing that was to be removed by t2, because it takes t before it takes the entry:
//
//  1. t ends, and an entry has to be removed.
//  2. A read takes the entry.
//  3. The entry is removed, and t2 is set.
//  4. The read looks at the deadline. If it took t2 here, it would return what it has.
func (s *Store) ServeUntil(t time.Time) {
	if t.IsZero() {
		s.deadline.Store(-1)
		return
	}
	s.deadline.Store(int64(t.Sub(s.base)))
}

// Clear removes all entries. It takes the same time however many there are, and counts none of them in
// the statistics. A closed store stays closed.
func (s *Store) Clear() {
	if s.lock() != nil {
		return
	}
	defer s.mu.Unlock()
	indexed := s.index.begun
	s.clearLocked()
	s.policy, s.scopes = newPolicy(s.maxEntries, s.maxWeight), make(map[string]*scope)
	s.index = index{begun: indexed, complete: indexed} // nothing is missing in it
}

// clearLocked removes all entries. The caller makes what an open store needs for others.
func (s *Store) clearLocked() {
	s.table.Store(newTable())
	s.count, s.weight = 0, 0
	s.scopes, s.index, s.policy, s.wheel = nil, index{}, policy{}, wheel{}
	s.wake = never
	if s.timer.Stop() {
		s.sweeps.Done()
	}
}
