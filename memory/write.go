package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Set stores entry under key for ttl, counted from when it is stored. The error
// matches [provider.ErrTooLarge] if the entry weighs more than the whole store
// may, and [ErrWeigher] if it cannot be weighed; nothing is kept under key then.
// A ttl that is zero or negative is an error and changes nothing.
func (s *Store) Set(_ context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	item := provider.Item{Key: key, Entry: entry, TTL: ttl}
	put := s.prepare(&item)
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	return s.applyLocked(&put, &item.Key, s.now())
}

// SetMany stores items as Set would, in their order. The errors of those that
// are refused are joined; they do not keep the others from being stored.
func (s *Store) SetMany(_ context.Context, items []provider.Item) error {
	var refused []error
	puts := make([]put, 0, min(len(items), chunk))
	for some := range slices.Chunk(items, chunk) {
		puts = puts[:0]
		for i := range some {
			puts = append(puts, s.prepare(&some[i]))
		}
		errs, err := s.applyAll(puts, some)
		if err != nil {
			return err
		}
		refused = append(refused, errs...)
	}
	if len(items) == 0 && s.closed.Load() {
		return errClosed
	}
	return errors.Join(refused...)
}

// applyAll carries out puts, those of items, under one hold of the lock and returns
// the errors of those that were refused.
func (s *Store) applyAll(puts []put, items []provider.Item) (refused []error, err error) {
	if err := s.lock(); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	now := s.now()
	for i := range puts {
		if err := s.applyLocked(&puts[i], &items[i].Key, now); err != nil {
			refused = append(refused, err)
		}
	}
	return refused, nil
}

// Delete removes the entries under keys.
func (s *Store) Delete(_ context.Context, keys ...provider.Key) error {
	if len(keys) == 0 && s.closed.Load() {
		return errClosed
	}
	for some := range slices.Chunk(keys, chunk) {
		if err := s.deleteSome(some); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) deleteSome(keys []provider.Key) error {
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	now := s.now()
	for i := range keys {
		s.deleteLocked(&keys[i], now)
	}
	return nil
}

// put is an entry on its way into the store, prepared as far as can be done
// without the lock.
type put struct {
	node   *node // nil: nothing is stored
	ttl    time.Duration
	err    error // why nothing is stored
	refuse bool  // with err: nothing is kept under key either
}

// prepare checks and weighs an entry. It runs the weigher, so no lock is held.
func (s *Store) prepare(item *provider.Item) put {
	if err := provider.CheckTTL(item.TTL); err != nil {
		return put{err: err}
	}
	p := put{ttl: item.TTL}
	var weight int64
	if s.weigher != nil {
		weight, p.err = weigh(s.weigher, item)
		if p.err == nil && weight > s.maxWeight {
			p.err = fmt.Errorf("memory: the entry weighs %d, the store holds %d: %w",
				weight, s.maxWeight, provider.ErrTooLarge)
		}
		if p.err != nil {
			p.refuse = true
			return p
		}
	}
	p.node = s.newNode(item, weight)
	return p
}

// weigh calls the weigher, which may do anything.
func weigh(weigher func(provider.Key, provider.Entry) int64, item *provider.Item) (weight int64, err error) {
	defer func() {
		if r := recover(); r != nil {
			weight, err = 0, fmt.Errorf("%w: panic: %v", ErrWeigher, r)
		}
	}()
	weight = weigher(item.Key, item.Entry)
	if weight < 0 {
		return 0, fmt.Errorf("%w: weight %d: must not be negative", ErrWeigher, weight)
	}
	return max(weight, 1), nil
}

// applyLocked carries out the put of an entry under key.
func (s *Store) applyLocked(p *put, key *provider.Key, now int64) error {
	if p.err != nil {
		if p.refuse {
			s.deleteLocked(key, now)
		}
		return p.err
	}
	p.node.expires = expiry(now, p.ttl)
	s.storeLocked(p.node, key, now)
	return nil
}

// storeLocked stores n, in place of what is there under its key. Room is made
// before, so that at no moment there is more than the bounds allow.
func (s *Store) storeLocked(n *node, key *provider.Key, now int64) {
	at, newer := inSmall, (*node)(nil)
	if old := s.makeRoomLocked(n, key, now); old != nil {
		// The new one takes over the old one's place in its queue and its
		// credit. Readers find one or the other, never neither.
		at, newer = old.place, old.newer
		n.scope = old.scope
		n.setCredit(old.credit())
		s.removeLocked(old, replaced, now)
		s.table.Load().replace(old, n)
	} else {
		if s.policy.ghost.take(n.hash(), s.remembered()) {
			at = inMain
		}
		s.enterLocked(n, key.Scope)
		s.table.Load().add(n)
	}
	s.policy.add(n, at, newer)
	s.count++
	s.weight += n.weight()
	if n.expires != never {
		s.wakeLocked(s.wheel.add(n), now)
	}
}

// makeRoomLocked removes entries until n fits in, and returns the one that n
// will replace, nil if there is none. That one may have to go as well.
func (s *Store) makeRoomLocked(n *node, key *provider.Key, now int64) (old *node) {
	old = s.table.Load().find(n.hash(), key)
	for {
		count, weight := s.count, s.weight
		if old != nil {
			count, weight = count-1, weight-old.weight()
		}
		if count < s.maxEntries && weight <= s.maxWeight-n.weight() {
			return old
		}
		s.evictLocked(now)
		if old != nil && old.place == nowhere {
			old = nil
		}
	}
}

// evictLocked removes one entry, which the policy chooses. There is one.
func (s *Store) evictLocked(now int64) {
	for steps := 0; ; steps++ {
		n := s.policy.candidate()
		credit := n.credit()
		switch judge(n.place, credit, n.expiredAt(now), steps) {
		case promote:
			n.setCredit(0)
		case retain:
			n.setCredit(credit - 1)
		default:
			s.removeLocked(n, evicted, now)
			return
		}
		s.policy.remove(n)
		s.policy.add(n, inMain, nil)
	}
}

// deleteLocked removes the entry under key, if there is one, and reports
// whether it was live.
func (s *Store) deleteLocked(key *provider.Key, now int64) (live bool) {
	n := s.find(key)
	return n != nil && s.removeLocked(n, deleted, now)
}

// reason says why an entry leaves the store. If its end has passed, that is the
// reason, whatever led to its being noticed.
type reason uint8

const (
	evicted  reason = iota // for want of room
	swept                  // its end has passed
	deleted                // somebody asked for it
	replaced               // the caller stores another one under its key, at once
)

// removeLocked is the one way out of the store. It reports whether the entry was
// live. One that is replaced leaves its key in the table and in the index, for its
// successor.
func (s *Store) removeLocked(n *node, why reason, now int64) (live bool) {
	live = !n.expiredAt(now)
	if why != replaced {
		s.table.Load().remove(n)
		s.leaveLocked(n)
		s.rememberLocked(n, live && why == evicted)
	}
	s.policy.remove(n)
	s.wheel.remove(n)
	s.count--
	s.weight -= n.weight()
	switch {
	case !live:
		s.expirations++
	case why == evicted:
		s.evictions++
	}
	return live
}

// rememberLocked gives the key of an entry that leaves another chance, if it
// had to go from the small queue, where it had little time, or if it leaves the
// main queue for another reason than want of room: an entry that is read a lot
// expires and gets invalidated like any other, and will be back.
func (s *Store) rememberLocked(n *node, forWantOfRoom bool) {
	switch {
	case s.count == 1: // the last entry: an empty store has no state
		s.policy.ghost = ghost{}
		s.scopes = make(map[string]*scope) // a map keeps the room for all it ever had
		if s.table.Load().size.Load() > firstBuckets {
			s.table.Store(newTable())
		}
	case forWantOfRoom == (n.place == inSmall):
		s.policy.ghost.add(n.hash(), s.remembered())
	}
}

// remembered returns how many of those that left the ghost remembers: half as
// many as there are entries. More lets too much into the main queue that is not
// read often enough: with as many as there are entries, the hit ratio of popular
// keys is half a point less. With fewer, other keys that become popular have as
// much less, and a loop that is a quarter bigger than the store has no hits at all
// with half of them.
func (s *Store) remembered() int64 { return s.count/2 + 1 }
