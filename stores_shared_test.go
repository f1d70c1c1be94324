package readthrough_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// leaseStore is the smallest store with leases and holds, as one process sees it:
// a server, and a network in between on which requests and replies take their
// time, some arrive twice, and some late, after their caller has given up.
type leaseStore struct {
	*leaseServer

	network *network
}

func (s *leaseStore) Get(ctx context.Context, key provider.Key) (entry provider.Entry, found bool, err error) {
	s.gets.Add(1)
	err = s.network.sendTwo(ctx, func(late bool) {
		if late {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		got, ok := s.liveLocked(key)
		entry, found = got.entry, ok && got.hasEntry
	})
	return entry, found && err == nil, err
}

func (s *leaseStore) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	panic("a cache with leases does not Set")
}

func (s *leaseStore) Delete(ctx context.Context, keys ...provider.Key) error {
	return s.network.send(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, key := range keys {
			delete(s.slots, key)
		}
	})
}

func (s *leaseStore) DeletePrefix(ctx context.Context, scope, prefix string) (removed int, err error) {
	err = s.network.sendTwo(ctx, func(late bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if n := s.deletePrefixLocked(scope, prefix); !late {
			removed = n
		}
	})
	return removed, err
}

func (s *leaseStore) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	return s.grants(ctx, len(keys), func(i int) provider.Grant { return s.acquireLocked(keys[i], ttl) })
}

func (s *leaseStore) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	return s.grants(ctx, len(requests), func(i int) provider.Grant { return s.refreshLocked(&requests[i], ttl) })
}

func (s *leaseStore) grants(ctx context.Context, n int, grantLocked func(int) provider.Grant) ([]provider.Grant, error) {
	grants := make([]provider.Grant, n)
	err := s.network.sendTwo(ctx, func(late bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range n {
			grant := grantLocked(i)
			if !late {
				grants[i] = grant // nobody gets the reply to the second copy
			}
		}
	})
	if errors.Is(err, errStore) {
		return nil, err // the reply was lost; one that is late is a reply
	}
	return slices.Clone(grants), err
}

func (s *leaseStore) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	filled := make([]provider.Filled, len(fills))
	err := s.network.sendTwo(ctx, func(late bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, fill := range fills {
			got, ok := s.liveLocked(fill.Lease.Key)
			if !ok || got.token != fill.Lease.Token {
				continue
			}
			entry := fill.Entry
			if fill.Extend {
				if !got.hasEntry {
					continue
				}
				entry.Value, entry.Absent = got.entry.Value, got.entry.Absent
			}
			s.slots[fill.Lease.Key] = slot{entry: entry, hasEntry: true, until: time.Now().Add(fill.TTL)}
			if !late {
				filled[i].Stored = true
			}
		}
	})
	return filled, err
}

func (s *leaseStore) Release(ctx context.Context, leases []provider.Lease) error {
	if err := ctx.Err(); err != nil {
		return err // it is not even sent
	}
	return s.network.send(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, lease := range leases {
			got := s.slots[lease.Key]
			switch {
			case got.token != lease.Token:
			case got.hasEntry:
				got.token = ""
				s.slots[lease.Key] = got
			default:
				delete(s.slots, lease.Key)
			}
		}
	})
}

func (s *leaseStore) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	return s.network.send(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, name := range targets.Keys {
			delete(s.slots, provider.Key{Scope: targets.Scope, Name: name})
		}
		for _, prefix := range targets.Prefixes {
			s.deletePrefixLocked(targets.Scope, prefix)
		}
		s.holds[token] = hold{targets: targets, until: time.Now().Add(ttl)}
	})
}

func (s *leaseStore) Unhold(ctx context.Context, _ provider.HoldTargets, token string) error {
	return s.network.send(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.holds, token)
	})
}

// leaseServer is what the processes share.
type leaseServer struct {
	gets atomic.Int64 // requests

	mu     sync.Mutex // guards following
	slots  map[provider.Key]slot
	holds  map[string]hold // by token
	tokens int
}

// liveLocked returns what is under key now.
func (s *leaseServer) liveLocked(key provider.Key) (slot, bool) {
	found, ok := s.slots[key]
	return found, ok && time.Now().Before(found.until)
}

func (s *leaseServer) deletePrefixLocked(scope, prefix string) (removed int) {
	for key, found := range s.slots {
		if key.Scope != scope || !strings.HasPrefix(key.Name, prefix) {
			continue
		}
		if found.hasEntry && time.Now().Before(found.until) {
			removed++
		}
		delete(s.slots, key)
	}
	return removed
}

func (s *leaseServer) acquireLocked(key provider.Key, ttl time.Duration) provider.Grant {
	got, ok := s.liveLocked(key)
	switch {
	case ok && got.hasEntry:
		return provider.Grant{State: provider.LeaseFound, Found: true, Entry: got.entry}
	case ok:
		return provider.Grant{State: provider.LeaseBusy}
	case s.heldLocked(key):
		return provider.Grant{State: provider.LeaseHeld}
	}
	s.slots[key] = slot{token: s.newTokenLocked(), until: time.Now().Add(ttl)}
	return provider.Grant{State: provider.LeaseGranted, Lease: provider.Lease{Key: key, Token: s.slots[key].token}}
}

func (s *leaseServer) refreshLocked(r *provider.RefreshRequest, ttl time.Duration) provider.Grant {
	got, ok := s.liveLocked(r.Key)
	switch {
	case !ok || !got.hasEntry:
		return s.acquireLocked(r.Key, ttl)
	case got.leased():
		return provider.Grant{State: provider.LeaseBusy, Found: true, Entry: got.entry}
	case !r.Force && !r.LoadedAt.Equal(got.entry.LoadedAt):
		return provider.Grant{State: provider.LeaseFound, Found: true, Entry: got.entry}
	}
	got.token, got.tokenUntil = s.newTokenLocked(), time.Now().Add(ttl)
	s.slots[r.Key] = got
	return provider.Grant{State: provider.LeaseGranted, Found: true, Entry: got.entry, Lease: provider.Lease{Key: r.Key, Token: got.token}}
}

func (s *leaseServer) newTokenLocked() string {
	s.tokens++
	return strconv.Itoa(s.tokens)
}

func (s *leaseServer) heldLocked(key provider.Key) bool {
	for token, h := range s.holds {
		if !time.Now().Before(h.until) {
			delete(s.holds, token)
			continue
		}
		if h.targets.Scope == key.Scope && (slices.Contains(h.targets.Keys, key.Name) ||
			slices.ContainsFunc(h.targets.Prefixes, func(p string) bool { return strings.HasPrefix(key.Name, p) })) {
			return true
		}
	}
	return false
}

// change has another process change what is stored.
func (s *leaseServer) change(key provider.Key, change func(*slot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.slots[key]
	change(&got)
	s.slots[key] = got
}

// peek returns what is stored, past the network.
func (s *leaseServer) peek(key provider.Key) (provider.Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, ok := s.liveLocked(key)
	return got.entry, ok && got.hasEntry
}

// slot is what a key holds: an entry, a lease, or both.
type slot struct {
	entry      provider.Entry
	hasEntry   bool
	until      time.Time // the end of the entry, or of a lease alone
	token      string    // of a lease; "": none
	tokenUntil time.Time // the end of a lease beside an entry
}

// leased reports whether somebody has the lease of a slot that is live.
func (s *slot) leased() bool {
	return s.token != "" && (!s.hasEntry || time.Now().Before(s.tokenUntil))
}

type hold struct {
	targets provider.HoldTargets
	until   time.Time
}

// newLeaseStore returns a store of its own, on a network that does nothing.
func newLeaseStore() *leaseStore { return &leaseStore{newLeaseServer(), &network{}} }

// leaseDouble is a double of a store with leases.
type leaseDouble struct {
	*double

	server *leaseStore // the store below
}

func newLeaseDouble() *leaseDouble {
	store := newLeaseStore()
	return &leaseDouble{plain(store), store}
}

func newLeaseServer() *leaseServer {
	return &leaseServer{slots: map[provider.Key]slot{}, holds: map[string]hold{}}
}

// network is what lies between a process and the store.
type network struct {
	delay      time.Duration // at most, for each way
	duplicates bool          // some requests arrive twice, the second time late
	losses     bool          // some requests or replies are lost
	cut        atomic.Bool   // nothing arrives

	slowReplies atomic.Int64 // how long replies take, in nanoseconds
}

// send runs a request on the server, and returns an error if no reply came. The
// request must be one that may run twice.
func (n *network) send(ctx context.Context, request func()) error {
	return n.sendTwo(ctx, func(bool) { request() })
}

func (n *network) sendTwo(ctx context.Context, request2 func(late bool)) error {
	request := func() { request2(false) }
	lateRequest := func() { request2(true) }
	pause := func(most time.Duration) {
		if most > 0 {
			time.Sleep(rand.N(most))
		}
	}
	pause(n.delay)
	if n.cut.Load() {
		return errStore
	}
	lost := n.losses && rand.IntN(40) == 0
	if lost && rand.IntN(2) == 0 {
		return errStore // before it arrived, or so it seems
	}
	if lost && rand.IntN(2) == 0 {
		go func() {
			time.Sleep(rand.N(100 * time.Millisecond))
			lateRequest()
		}()
		return errStore
	}
	request()
	if n.duplicates && rand.IntN(20) == 0 {
		go func() {
			time.Sleep(rand.N(20 * time.Millisecond))
			lateRequest()
		}()
	}
	if lost {
		return errStore
	}
	pause(n.delay)
	time.Sleep(time.Duration(n.slowReplies.Load()))
	return ctx.Err()
}
