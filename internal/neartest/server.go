package neartest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/provider"
)

// Server has what all processes share. [NewServer] makes one.
type Server struct {
	onMessage atomic.Pointer[OnMessage]

	mu sync.Mutex // guards following

	slots  map[provider.Key]slot
	holds  map[string]hold
	tokens int
	epochs int
	record *record // nil: there is none
	subs   map[string]*subscription
}

// OnMessage says what is delivered to a subscriber in place of a message: nothing if it is lost, two if it
// comes twice. It runs in the goroutine of the subscription, so a message that it holds up holds up those
// behind it.
type OnMessage func(to *Store, message membership.Message) []membership.Message

// OnMessage sets what is delivered from now on; nil: all messages are.
func (s *Server) OnMessage(f OnMessage) {
	if f == nil {
		f = func(_ *Store, message membership.Message) []membership.Message { return []membership.Message{message} }
	}
	s.onMessage.Store(&f)
}

// slot is what a key has: an entry, a lease, or both.
type slot struct {
	entry     provider.Entry
	has       bool
	ends      time.Time // of the entry; zero: never
	token     string    // of the lease; "": none
	leaseEnds time.Time
}

type hold struct {
	targets provider.HoldTargets
	ends    time.Time
}

// record is the record of the members.
type record struct {
	epoch   string
	born    time.Time
	seq     int64
	stamps  int64
	members map[string]membership.Member
}

// subscription is a connection that messages come by.
type subscription struct {
	to    *Store
	queue chan membership.Message
	cut   chan struct{} // closed: the connection is lost
	once  sync.Once
}

// NewServer returns an empty server.
func NewServer() *Server {
	s := &Server{slots: make(map[provider.Key]slot), holds: make(map[string]hold), subs: make(map[string]*subscription)}
	s.OnMessage(nil)
	return s
}

// Restart loses all entries, leases, holds and members, and all subscriptions. With keep, it comes back
// with the entries and the record that it has, as a replica that is promoted.
func (s *Server) Restart(keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !keep {
		s.slots, s.holds, s.record = make(map[provider.Key]slot), make(map[string]hold), nil
	} else if s.record != nil {
		s.record.epoch = "" // of another server: the next step makes a new one
	}
	for _, sub := range s.subs {
		sub.end()
	}
}

// NewEpoch loses the record, and keeps the subscriptions, as a server does whose record was evicted.
func (s *Server) NewEpoch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record = nil
}

// Seq returns the number of the last announcement.
func (s *Server) Seq() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record == nil {
		return 0
	}
	return s.record.seq
}

// Members returns how many members the record has.
func (s *Server) Members() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record == nil {
		return 0
	}
	return len(s.record.members)
}

func (u *subscription) end() { u.once.Do(func() { close(u.cut) }) }

// ---- the record; each of these is a step of the protocol, as the scripts of redisprovider are

// currentLocked returns the record of this run of the server. It makes one if there is none.
func (s *Server) currentLocked() *record {
	if s.record == nil || s.record.epoch == "" {
		s.epochs++
		s.record = &record{epoch: fmt.Sprint("epoch ", s.epochs), born: time.Now(), members: make(map[string]membership.Member)}
	}
	return s.record
}

func (s *Server) rollLocked() membership.Roll {
	r := s.currentLocked()
	roll := membership.Roll{Epoch: r.epoch, Seq: r.seq, Age: time.Since(r.born)}
	for _, m := range r.members {
		roll.Members = append(roll.Members, m)
	}
	return roll
}

// announceLocked publishes removed, if there is a record or create says that there was one.
func (s *Server) announceLocked(removed provider.Removed, sender string, create bool) (roll membership.Roll, announced bool) {
	if s.record == nil && !create {
		return roll, false
	}
	r := s.currentLocked()
	r.seq++
	for _, sub := range s.subs {
		sub.send(membership.Message{Epoch: r.epoch, Seq: r.seq, Removed: removed, Sender: sender})
	}
	return s.rollLocked(), true
}

// send queues a message. A subscriber that is too slow loses its connection, as on a server whose
// output buffer is full.
func (u *subscription) send(message membership.Message) {
	select {
	case u.queue <- message:
	default:
		u.end()
	}
}

func (s *Server) beat(b membership.Beat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.currentLocked()
	if b.Lease > 0 {
		r.stamps++
		m := membership.Member{ID: b.Member, Stamp: r.stamps, Lease: b.Lease}
		if m.Acked = r.members[b.Member].Acked; b.Epoch == r.epoch {
			m.Acked = max(m.Acked, b.Seen)
		}
		r.members[b.Member] = m
	}
	if sub := s.subs[b.Member]; sub != nil {
		sub.send(membership.Message{Epoch: r.epoch, Seq: r.seq, Beat: b.Number, Renewed: b.Lease > 0})
	}
}

func (s *Server) ack(id, epoch string, seq int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record == nil || s.record.epoch != epoch {
		return
	}
	if m, ok := s.record.members[id]; ok {
		m.Acked = max(m.Acked, seq)
		s.record.members[id] = m
	}
}

func (s *Server) remove(id, epoch string, stamp int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record == nil {
		return
	}
	if m, ok := s.record.members[id]; ok && (stamp == 0 || m.Stamp == stamp && s.record.epoch == epoch) {
		delete(s.record.members, id)
	}
}

// ---- entries

// liveLocked returns what a key has now.
func (s *Server) liveLocked(key provider.Key) slot {
	at, now := s.slots[key], time.Now()
	if at.has && !at.ends.IsZero() && !now.Before(at.ends) {
		at = slot{} // the lease beside it ends, too
	}
	if at.token != "" && !now.Before(at.leaseEnds) {
		at.token = ""
	}
	s.slots[key] = at
	return at
}

func (s *Server) heldLocked(key provider.Key) bool {
	for _, h := range s.holds {
		if h.targets.Scope != key.Scope || !time.Now().Before(h.ends) {
			continue
		}
		if slices.Contains(h.targets.Keys, key.Name) ||
			slices.ContainsFunc(h.targets.Prefixes, func(p string) bool { return strings.HasPrefix(key.Name, p) }) {
			return true
		}
	}
	return false
}

func (s *Server) removeLocked(removed provider.Removed) (entries int) {
	for _, key := range removed.Keys {
		delete(s.slots, key)
	}
	for key := range s.slots {
		for _, prefix := range removed.Prefixes {
			if key.Scope == prefix.Scope && strings.HasPrefix(key.Name, prefix.Name) {
				if s.liveLocked(key).has {
					entries++
				}
				delete(s.slots, key)
				break
			}
		}
	}
	return entries
}

// leaseLocked puts a lease under key, beside the entry if there is one.
func (s *Server) leaseLocked(key provider.Key, ttl time.Duration) provider.Lease {
	s.tokens++
	at := s.slots[key]
	at.token, at.leaseEnds = fmt.Sprint("token ", s.tokens), time.Now().Add(ttl)
	s.slots[key] = at
	return provider.Lease{Key: key, Token: at.token}
}

func endOf(ttl time.Duration) time.Time {
	if ttl == provider.NoExpiry {
		return time.Time{}
	}
	return time.Now().Add(ttl)
}
