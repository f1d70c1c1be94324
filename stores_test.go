package readthrough_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// errFault is the error of a store that fails because it was told to.
var errFault = errors.New("the store is down")

// fault is what a faulty store does with a call.
type fault int

const (
	faultNone        fault = iota
	faultError             // does nothing and returns errFault
	faultHang              // does nothing and returns when its context ends
	faultStuck             // ignores its context, and does what it was asked for once it is released
	faultPanic             // panics with errFault
	faultGoexit            // ends its goroutine
	faultLost              // does what it was asked for and returns errFault
	faultUndecodable       // returns provider.ErrUndecodable
	faultTooLarge          // returns provider.ErrTooLarge
	faultUnencodable       // returns provider.ErrUnencodable
	faultMiscount          // getMany: returns one result too few
)

// storeCall is a call that a faulty store received.
type storeCall struct {
	op    string // get, set, getMany, setMany, delete, deletePrefix
	names []string
	at    time.Time
}

// shelved is an entry of a faulty store.
type shelved struct {
	entry   provider.Entry
	expires time.Time // zero: never
}

// faulty is a store that does as told: it keeps entries in a map, notes every
// call, and fails in the ways of fault. It has no capabilities, so the cache
// puts a deadline and a breaker around it. It is made to be used in a bubble.
type faulty struct {
	mu       sync.Mutex // guards following
	entries  map[provider.Key]shelved
	faults   map[string]fault
	hooks    map[string]func(ctx context.Context, names []string) error
	log      []storeCall
	released chan struct{} // closed by release
	running  int           // calls that have not returned
	most     int           // the most that running ever was
}

// faultyBatches is a faulty store with [provider.Batcher].
type faultyBatches struct{ *faulty }

// faultyLocal is a faulty store with [provider.InProcess].
type faultyLocal struct{ *faulty }

func (faultyLocal) InProcess() {}

// faultyPunctual is a faulty store with [provider.Punctual], which it is with faultHang.
type faultyPunctual struct{ *faulty }

func (faultyPunctual) Punctual() bool { return true }

func newFaulty() *faulty {
	return &faulty{
		entries: make(map[provider.Key]shelved), faults: make(map[string]fault),
		hooks: make(map[string]func(context.Context, []string) error), released: make(chan struct{}),
	}
}

// fail makes calls of the ops fail by f from now on.
func (s *faulty) fail(f fault, ops ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range ops {
		s.faults[op] = f
	}
}

// failAll makes every call fail by f from now on.
func (s *faulty) failAll(f fault) {
	s.fail(f, "get", "set", "getMany", "setMany", "delete", "deletePrefix")
}

// heal ends all faults and lets the calls that are stuck go on.
func (s *faulty) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
	clear(s.hooks)
	close(s.released)
	s.released = make(chan struct{})
}

// hook has f called at the beginning of every call of op. An error of f is what
// the call returns.
func (s *faulty) hook(op string, f func(ctx context.Context, names []string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[op] = f
}

// calls returns the calls of ops so far; of all ops if there are none.
func (s *faulty) calls(ops ...string) []storeCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []storeCall
	for _, c := range s.log {
		if len(ops) == 0 || slices.Contains(ops, c.op) {
			calls = append(calls, c)
		}
	}
	return calls
}

// concurrency returns the number of calls that have not returned, and the most
// that it ever was.
func (s *faulty) concurrency() (running, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running, s.most
}

// value returns what is stored under key.
func (s *faulty) value(scope, name string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry, ok := s.lookLocked(provider.Key{Scope: scope, Name: name})
	return entry.Value, ok
}

// put stores value under key, past the cache.
func (s *faulty) put(scope, name string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries[provider.Key{Scope: scope, Name: name}] = shelved{entry: provider.Entry{Value: value}}
}

// do notes a call, does what its fault is, and unless that is nothing, apply.
func (s *faulty) do(ctx context.Context, op string, names []string, applyLocked func()) error {
	s.mu.Lock()
	s.log = append(s.log, storeCall{op: op, names: names, at: time.Now()})
	f, hook, released := s.faults[op], s.hooks[op], s.released
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if hook != nil {
		if err := hook(ctx, names); err != nil {
			return err
		}
	}
	var err error
	switch f {
	case faultNone, faultMiscount:
	case faultError:
		return errFault
	case faultHang:
		<-ctx.Done()
		return ctx.Err()
	case faultStuck:
		<-released
	case faultPanic:
		panic(errFault)
	case faultGoexit:
		runtime.Goexit()
	case faultLost:
		err = errFault
	case faultUndecodable:
		return provider.ErrUndecodable
	case faultTooLarge:
		return provider.ErrTooLarge
	case faultUnencodable:
		return provider.ErrUnencodable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	applyLocked()
	return err
}

func (s *faulty) lookLocked(key provider.Key) (provider.Entry, bool) {
	e, ok := s.entries[key]
	if !ok || !e.expires.IsZero() && !time.Now().Before(e.expires) {
		return provider.Entry{}, false
	}
	return e.entry, true
}

func (s *faulty) storeLocked(item provider.Item) {
	e := shelved{entry: item.Entry}
	if item.TTL != provider.NoExpiry {
		e.expires = time.Now().Add(item.TTL)
	}
	s.entries[item.Key] = e
}

func (s *faulty) Get(ctx context.Context, key provider.Key) (entry provider.Entry, found bool, err error) {
	err = s.do(ctx, "get", []string{key.Name}, func() { entry, found = s.lookLocked(key) })
	return entry, found, err
}

func (s *faulty) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	return s.do(ctx, "set", []string{key.Name}, func() {
		s.storeLocked(provider.Item{Key: key, Entry: entry, TTL: ttl})
	})
}

func (s *faulty) Delete(ctx context.Context, keys ...provider.Key) error {
	return s.do(ctx, "delete", namesOf(keys), func() {
		for _, key := range keys {
			delete(s.entries, key)
		}
	})
}

func (s *faulty) DeletePrefix(ctx context.Context, scope, prefix string) (removed int, err error) {
	err = s.do(ctx, "deletePrefix", []string{prefix}, func() {
		for key := range s.entries {
			if key.Scope == scope && strings.HasPrefix(key.Name, prefix) {
				if _, live := s.lookLocked(key); live {
					removed++
				}
				delete(s.entries, key)
			}
		}
	})
	return removed, err
}

func (s faultyBatches) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	err := s.do(ctx, "getMany", namesOf(keys), func() {
		for i, key := range keys {
			results[i].Entry, results[i].Found = s.lookLocked(key)
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults["getMany"] == faultMiscount {
		results = results[1:]
	}
	return results, err
}

func (s faultyBatches) SetMany(ctx context.Context, items []provider.Item) error {
	names := make([]string, len(items))
	for i := range items {
		names[i] = items[i].Key.Name
	}
	return s.do(ctx, "setMany", names, func() {
		for _, item := range items {
			s.storeLocked(item)
		}
	})
}

func namesOf(keys []provider.Key) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = key.Name
	}
	return names
}

func withBatches(s *faulty) provider.CacheProvider { return faultyBatches{s} }

func punctual(s *faulty) provider.CacheProvider { return faultyPunctual{s} }

func inProcess(s *faulty) provider.CacheProvider { return faultyLocal{s} }

var errStore = errors.New("the store failed")

// plainStore is a store without any capability, around one that may have some:
// no [provider.InProcess] and no [provider.Batcher]. It counts the calls, and
// can be made to do something before and after them. Set the functions before
// the store is used.
type plainStore struct {
	provider.CacheProvider

	gets, sets, deletes, prefixes atomic.Int64

	beforeGet, afterGet       func(key string)
	beforeSet, afterSet       func(key string)
	beforeDelete, afterDelete func()
}

func (s *plainStore) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	s.gets.Add(1)
	call(s.beforeGet, key.Name)
	defer call(s.afterGet, key.Name)
	return s.CacheProvider.Get(ctx, key)
}

func (s *plainStore) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	s.sets.Add(1)
	call(s.beforeSet, key.Name)
	defer call(s.afterSet, key.Name)
	return s.CacheProvider.Set(ctx, key, entry, ttl)
}

func (s *plainStore) Delete(ctx context.Context, keys ...provider.Key) error {
	s.deletes.Add(1)
	s.before()
	defer s.after()
	return s.CacheProvider.Delete(ctx, keys...)
}

func (s *plainStore) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	s.prefixes.Add(1)
	s.before()
	defer s.after()
	return s.CacheProvider.DeletePrefix(ctx, scope, prefix)
}

// calls returns the number of all calls.
func (s *plainStore) calls() int64 {
	return s.gets.Load() + s.sets.Load() + s.deletes.Load() + s.prefixes.Load()
}

func (s *plainStore) before() {
	if s.beforeDelete != nil {
		s.beforeDelete()
	}
}

func (s *plainStore) after() {
	if s.afterDelete != nil {
		s.afterDelete()
	}
}

// plain returns store without its capabilities.
func plain(store provider.CacheProvider) *plainStore { return &plainStore{CacheProvider: store} }

func call(f func(string), key string) {
	if f != nil {
		f(key)
	}
}

// localStore is a plainStore that says that its calls never wait.
type localStore struct{ *plainStore }

func (localStore) InProcess() {}

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
