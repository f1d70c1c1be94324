package cachetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// server is what processes share: the smallest store with leases, refresh leases
// and holds. Its flaws take out, one at a time, what its protocol rests on.
type server struct {
	flaws flaws

	mu     sync.Mutex // guards following
	slots  map[provider.Key]slot
	holds  map[string]provider.HoldTargets // by token; these end with Unhold only
	tokens int
}

// slot is what a key holds: an entry, a lease, or both.
type slot struct {
	entry             provider.Entry
	hasEntry          bool
	until, leaseUntil time.Time
	token             string // "": no lease
}

// flaws are mechanisms that a store with leases must not lack.
type flaws struct {
	tokenPerClient     bool // every lease of a client has the same token
	fillWithoutToken   bool // a fill needs no lease
	fillAnyLease       bool // a fill needs some lease, not its own
	sameTokenTwice     bool // a second copy of an Acquire plants the lease of the first again, later
	deleteLeavesLease  bool // a deletion removes entries only
	deleteDoesNotWait  bool // a deletion is answered before it is done
	prefixMissesLeases bool // a deletion by prefix does not see leases
	refreshKeepsLease  bool // a lease on an entry outlives the entry
	holdLeavesLease    bool // a hold does not remove the leases of loads under way
	ignoresHolds       bool // leases are granted under a hold
	deletionEndsHolds  bool // a deletion ends the holds of others
	prefixEndsHolds    bool // a deletion by prefix does
	nearIsBounded      bool // invalidations do not wait for near caches
	nearDropsNothing   bool // near caches acknowledge what they have not dropped
}

func newServer(f flaws) *server {
	return &server{flaws: f, slots: map[provider.Key]slot{}, holds: map[string]provider.HoldTargets{}}
}

// client is the server as a process sees it. gate is where its requests and replies
// wait; nil: they do not.
type client struct {
	*server

	process int
	gate    *gate
}

// errLost is the error of a request or reply that was lost.
var errLost = errors.New("lost")

// send runs a request on the server, between two points at which it waits.
func (c *client) send(ctx context.Context, op string, keys []provider.Key, writes bool, request func()) error {
	if c.gate == nil {
		request()
		return nil
	}
	var touched []string
	for _, key := range keys {
		touched = append(touched, "store:"+key.Name)
	}
	lost := c.gate.wait(ctx, step{name: op, what: "request", process: c.process, touch: touched, writes: writes})
	if lost == loseRequest {
		return errLost
	}
	if op == "Delete" && c.flaws.deleteDoesNotWait {
		go func() {
			c.gate.wait(ctx, step{name: op, what: "late request", process: c.process, touch: touched, writes: writes})
			request()
		}()
	} else {
		request()
	}
	c.gate.wait(ctx, step{name: op, what: "reply", process: c.process, returns: op != "Get" && op != "Acquire"})
	if lost == loseReply {
		return errLost
	}
	return nil
}

func (c *client) liveLocked(key provider.Key) (slot, bool) {
	got, ok := c.slots[key]
	if !ok {
		return slot{}, false
	}
	if got.hasEntry && !time.Now().Before(got.until) {
		got.hasEntry, got.entry = false, provider.Entry{}
	}
	if got.token != "" && !time.Now().Before(got.leaseUntil) {
		got.token = ""
	}
	return got, got.hasEntry || got.token != ""
}

func (c *client) Get(ctx context.Context, key provider.Key) (entry provider.Entry, found bool, err error) {
	err = c.send(ctx, "Get", []provider.Key{key}, false, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		got, _ := c.liveLocked(key)
		entry, found = got.entry, got.hasEntry
	})
	return entry, found && err == nil, err
}

func (c *client) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	err := c.send(ctx, "Get", keys, false, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i, key := range keys {
			got, _ := c.liveLocked(key)
			results[i].Entry, results[i].Found = got.entry, got.hasEntry
		}
	})
	return results, err
}

func (c *client) SetMany(ctx context.Context, items []provider.Item) error {
	var keys []provider.Key
	for _, item := range items {
		keys = append(keys, item.Key)
	}
	return c.send(ctx, "Set", keys, true, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, item := range items {
			c.slots[item.Key] = slot{entry: item.Entry, hasEntry: true, until: after(item.TTL)}
		}
	})
}

func (c *client) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	return c.SetMany(ctx, []provider.Item{{Key: key, Entry: entry, TTL: ttl}})
}

func (c *client) Delete(ctx context.Context, keys ...provider.Key) error {
	return c.send(ctx, "Delete", keys, true, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, key := range keys {
			c.deleteLocked(key, !c.flaws.deleteLeavesLease)
		}
		if c.flaws.deletionEndsHolds {
			clear(c.holds)
		}
	})
}

func (c *client) deleteLocked(key provider.Key, lease bool) {
	got, ok := c.slots[key]
	switch {
	case !ok:
	case !lease && got.token != "", c.flaws.refreshKeepsLease && got.token != "" && got.hasEntry:
		c.slots[key] = slot{token: got.token, leaseUntil: got.leaseUntil}
	default:
		delete(c.slots, key)
	}
}

func (c *client) DeletePrefix(ctx context.Context, scope, prefix string) (removed int, err error) {
	err = c.send(ctx, "DeletePrefix", []provider.Key{{Scope: scope, Name: "*"}}, true, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		removed = c.deletePrefixLocked(scope, prefix)
		if c.flaws.prefixEndsHolds {
			clear(c.holds)
		}
	})
	return removed, err
}

func (c *client) deletePrefixLocked(scope, prefix string) (removed int) {
	for key := range c.slots {
		if key.Scope != scope || !strings.HasPrefix(key.Name, prefix) {
			continue
		}
		if got, _ := c.liveLocked(key); got.hasEntry {
			removed++
		}
		c.deleteLocked(key, !c.flaws.prefixMissesLeases)
	}
	return removed
}

func (c *client) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	grants := make([]provider.Grant, len(keys))
	err := c.send(ctx, "Acquire", keys, true, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i, key := range keys {
			grants[i] = c.acquireLocked(key, ttl)
		}
	})
	if c.flaws.sameTokenTwice && c.gate != nil {
		go c.again(ctx, grants, ttl)
	}
	return grants, err
}

// again is the second copy of an Acquire, with the tokens of the first.
func (c *client) again(ctx context.Context, grants []provider.Grant, ttl time.Duration) {
	for i := range grants {
		lease := grants[i].Lease
		if grants[i].State != provider.LeaseGranted {
			continue
		}
		c.gate.wait(ctx, step{name: "Acquire", what: "second copy", process: c.process, touch: []string{"store:" + lease.Key.Name}, writes: true})
		c.mu.Lock()
		if _, ok := c.liveLocked(lease.Key); !ok {
			c.slots[lease.Key] = slot{token: lease.Token, leaseUntil: after(ttl)}
		}
		c.mu.Unlock()
	}
}

func (c *client) acquireLocked(key provider.Key, ttl time.Duration) provider.Grant {
	switch got, ok := c.liveLocked(key); {
	case got.hasEntry:
		return provider.Grant{State: provider.LeaseFound, Found: true, Entry: got.entry}
	case ok:
		return provider.Grant{State: provider.LeaseBusy}
	case c.heldLocked(key) && !c.flaws.ignoresHolds:
		return provider.Grant{State: provider.LeaseHeld}
	}
	lease := provider.Lease{Key: key, Token: c.tokenLocked()}
	c.slots[key] = slot{token: lease.Token, leaseUntil: after(ttl)}
	return provider.Grant{State: provider.LeaseGranted, Lease: lease}
}

func (c *client) tokenLocked() string {
	if c.flaws.tokenPerClient {
		return "client " + strconv.Itoa(c.process)
	}
	c.tokens++
	return strconv.Itoa(c.tokens)
}

func (c *client) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	grants := make([]provider.Grant, len(requests))
	var keys []provider.Key
	for i := range requests {
		keys = append(keys, requests[i].Key)
	}
	err := c.send(ctx, "Refresh", keys, true, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := range requests {
			grants[i] = c.refreshLocked(&requests[i], ttl)
		}
	})
	return grants, err
}

func (c *client) refreshLocked(r *provider.RefreshRequest, ttl time.Duration) provider.Grant {
	got, _ := c.liveLocked(r.Key)
	switch {
	case !got.hasEntry:
		return c.acquireLocked(r.Key, ttl)
	case got.token != "":
		return provider.Grant{State: provider.LeaseBusy, Found: true, Entry: got.entry}
	case !r.Force && !r.LoadedAt.Equal(got.entry.LoadedAt):
		return provider.Grant{State: provider.LeaseFound, Found: true, Entry: got.entry}
	}
	got.token, got.leaseUntil = c.tokenLocked(), after(ttl)
	c.slots[r.Key] = got
	return provider.Grant{State: provider.LeaseGranted, Found: true, Entry: got.entry, Lease: provider.Lease{Key: r.Key, Token: got.token}}
}

func (c *client) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	filled := make([]provider.Filled, len(fills))
	var keys []provider.Key
	for i := range fills {
		keys = append(keys, fills[i].Lease.Key)
	}
	err := c.send(ctx, "Fill", keys, true, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := range fills {
			filled[i].Stored = c.fillLocked(&fills[i])
		}
	})
	return filled, err
}

func (c *client) fillLocked(f *provider.Fill) (stored bool) {
	got, _ := c.liveLocked(f.Lease.Key)
	mine := got.token == f.Lease.Token
	if c.flaws.fillAnyLease {
		mine = got.token != ""
	}
	if !mine && !c.flaws.fillWithoutToken || f.Extend && !got.hasEntry {
		return false
	}
	entry := f.Entry
	if f.Extend {
		entry.Value, entry.Absent = got.entry.Value, got.entry.Absent
	}
	c.slots[f.Lease.Key] = slot{entry: entry, hasEntry: true, until: after(f.TTL)}
	return true
}

func (c *client) Release(ctx context.Context, leases []provider.Lease) error {
	var keys []provider.Key
	for i := range leases {
		keys = append(keys, leases[i].Key)
	}
	return c.send(ctx, "Release", keys, true, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := range leases {
			got, _ := c.liveLocked(leases[i].Key)
			if got.token != leases[i].Token {
				continue
			}
			if got.token = ""; got.hasEntry {
				c.slots[leases[i].Key] = got
			} else {
				delete(c.slots, leases[i].Key)
			}
		}
	})
}

func (c *client) Hold(ctx context.Context, targets provider.HoldTargets, token string, _ time.Duration) error {
	return c.send(ctx, "Hold", []provider.Key{{Name: "*"}}, true, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, name := range targets.Keys {
			c.deleteLocked(provider.Key{Scope: targets.Scope, Name: name}, !c.flaws.holdLeavesLease)
		}
		for _, prefix := range targets.Prefixes {
			c.deletePrefixLocked(targets.Scope, prefix)
		}
		c.holds[token] = targets
	})
}

func (c *client) Unhold(ctx context.Context, _ provider.HoldTargets, token string) error {
	return c.send(ctx, "Unhold", []provider.Key{{Name: "*"}}, true, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.holds, token)
	})
}

func (c *client) heldLocked(key provider.Key) bool {
	for _, h := range c.holds {
		if h.Scope == key.Scope && (slices.Contains(h.Keys, key.Name) ||
			slices.ContainsFunc(h.Prefixes, func(p string) bool { return strings.HasPrefix(key.Name, p) })) {
			return true
		}
	}
	return false
}

// keys returns the keys that hold something.
func (s *server) keys() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.slots {
		names = append(names, key.Name)
	}
	slices.Sort(names)
	return names
}

// idle returns an error if a key still holds a lease, although nothing was lost and
// nobody is loading: who wants the key would wait for nothing.
func (s *server) idle() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, got := range s.slots {
		if got.token != "" {
			return fmt.Errorf("the lease of %q was neither used nor released", key.Name)
		}
	}
	return nil
}

// evict removes what a key holds, an entry or a lease.
func (s *server) evict(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.slots {
		if key.Name == name {
			delete(s.slots, key)
		}
	}
}

// after returns the time in d.
func after(d time.Duration) time.Time {
	if d == provider.NoExpiry {
		return time.Now().Add(10 * 365 * 24 * time.Hour)
	}
	return time.Now().Add(d)
}

// leaseless is the client without leases: a store of one process.
type leaseless struct{ c *client }

func (l leaseless) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	return l.c.Get(ctx, key)
}

func (l leaseless) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	return l.c.Set(ctx, key, entry, ttl)
}

func (l leaseless) Delete(ctx context.Context, keys ...provider.Key) error {
	return l.c.Delete(ctx, keys...)
}

func (l leaseless) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	return l.c.DeletePrefix(ctx, scope, prefix)
}
