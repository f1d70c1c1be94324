package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Set stores entry under key for ttl, counted from the moment of storing. The
// error matches [provider.ErrTooLarge] if the entry weighs more than the store may
// hold, and [ErrWeigher] if the weigher fails; the store then keeps nothing under
// key. A zero or negative ttl is an error and changes nothing. [provider.NoExpiry]
// means no end.
func (s *Store) Set(_ context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	item := provider.Item{Key: key, Entry: entry, TTL: ttl}
	put := s.prepare(&item, new(names))
	if err := s.lock(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	return s.applyLocked(&put, &item.Key, s.now())
}

// SetMany stores each item as Set does, in their order. An item that is refused
// does not stop the others. The error joins those of all refused items.
func (s *Store) SetMany(_ context.Context, items []provider.Item) error {
	var refused []error
	puts := make([]put, 0, min(len(items), chunk))
	names := names{left: len(items)}
	for some := range slices.Chunk(items, chunk) {
		puts = puts[:0]
		for i := range some {
			puts = append(puts, s.prepare(&some[i], &names))
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

// applyAll carries out puts under one hold of the lock. puts[i] belongs to
// items[i]. It returns the errors of refused items.
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

// put is an entry to store, prepared as far as possible without the lock.
type put struct {
	node   *node // nil: store nothing
	ttl    time.Duration
	err    error // why nothing is stored
	refuse bool  // with err: also remove the entry under the key
}

// prepare checks and weighs an entry, and makes its node. It calls the weigher, so it
// runs without the lock.
func (s *Store) prepare(item *provider.Item, names *names) put {
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
	p.node = s.newNode(item, weight, names)
	return p
}

// weigh calls the weigher, which may panic or return anything.
func weigh(weigher func(provider.Key, provider.Entry) int64, item *provider.Item) (weight int64, err error) {
	defer func() {
		if r := recover(); r != nil {
			weight, err = 0, fmt.Errorf("%w: %w", ErrWeigher, &weigherError{r})
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

// storeLocked stores n, in place of the entry under its key. It makes room first,
// so the store never holds more than the bounds allow.
func (s *Store) storeLocked(n *node, key *provider.Key, now int64) {
	at, newer := inSmall, (*node)(nil)
	if old := s.makeRoomLocked(n, key, now); old != nil {
		// n takes over the queue position and the credit of the old entry. Readers
		// find one of the two, never neither.
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

// makeRoomLocked evicts entries until n fits. It returns the entry that n will
// replace, nil if there is none: that entry may be evicted too.
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

// evictLocked evicts one entry, which the policy chooses. The store is not empty.
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

// deleteLocked removes the entry under key, if there is one, and reports whether
// it was live.
func (s *Store) deleteLocked(key *provider.Key, now int64) (live bool) {
	n := s.find(key)
	return n != nil && s.removeLocked(n, deleted, now)
}

// reason says why an entry leaves the store. An entry whose end has passed counts
// as expired, whichever reason is given.
type reason uint8

const (
	evicted  reason = iota // to make room
	swept                  // its end has passed
	deleted                // a call deletes it
	replaced               // the caller stores another entry under its key in the same critical section
)

// removeLocked removes an entry; no entry leaves an open store in another way. It
// reports whether the entry was live. A replaced entry leaves its key in the
// table, the scope and the index, for its successor.
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

// rememberLocked adds the key of an entry that leaves to the ghost in two cases:
// the entry was evicted from the small queue, where it had little time; or it
// leaves the main queue for another reason than eviction. A popular entry expires
// and is invalidated like any other, and is soon stored again.
func (s *Store) rememberLocked(n *node, forWantOfRoom bool) {
	switch {
	case s.count == 1: // the last entry: an empty store keeps no state
		s.policy.ghost = ghost{}
		s.scopes = make(map[string]*scope) // a map never gives memory back
		if s.table.Load().size.Load() > firstBuckets {
			s.table.Store(newTable())
		}
	case forWantOfRoom == (n.place == inSmall):
		s.policy.ghost.add(n.hash(), s.remembered())
	}
}

// remembered returns how many removed keys the ghost remembers: half as many as
// there are entries. More would let too many rarely read entries into the main
// queue: with as many as there are entries, the hit ratio for a fixed set of
// popular keys is half a point lower. With fewer, the hit ratio drops by as much
// when other keys become popular. With half of them, a loop over a quarter more
// keys than fit has no hits at all.
func (s *Store) remembered() int64 { return s.count/2 + 1 }
