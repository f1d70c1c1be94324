package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

var (
	errFault = errors.New("the store is down") // of a double with a fault
	errStore = errors.New("the store failed")  // of a network, and of a store that fails now and then
)

// double is a store that does what a test says. It passes calls on to the store
// below it and notes them; they may fail in the ways of fault, and a test may do
// something before, after and around them.
//
// It has no capabilities, so that a cache puts a deadline and a breaker around it;
// as adds those that a test needs. Doubles can be stacked.
//
// The operations are called as in storeOps. Where ops is one string, it may name
// several: "delete deletePrefix".
type double struct {
	below provider.CacheProvider

	mu       sync.Mutex // guards following
	faults   map[string]fault
	hooks    map[string]hook
	log      []storeCall
	released chan struct{} // closed by heal
	running  int           // calls that have not returned
	most     int           // the most that running ever was
}

// storeOps are the operations of a double.
var storeOps = []string{
	"get", "set", "delete", "deletePrefix", "getMany", "setMany", "getValue", "getValues",
	"acquire", "refresh", "fill", "release", "hold", "unhold", "has", "stats", "list", "close",
}

const (
	basics   = "get set delete deletePrefix" // the operations of a store without capabilities
	removals = "delete deletePrefix"
)

// fault is what a double does with a call.
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
	faultMiscount          // getMany, acquire, fill: answers for one key too few
)

// storeCall is a call that a double received.
type storeCall struct {
	op    string
	names []string // of the keys; the prefix
	at    time.Time
}

// request is a call that a hook sees: what was asked, and what is answered, which
// it may change.
type request struct {
	storeCall

	entry   provider.Entry // to be set; got
	found   bool
	ttl     time.Duration     // of set
	fills   []provider.Fill   // asked
	filled  []provider.Filled // answered
	grants  []provider.Grant
	results []provider.Result
}

// name is the name of the first key, or the prefix.
func (r *request) name() string { return r.names[0] }

// hook is called in place of what a double does with a call, which call does.
type hook func(ctx context.Context, r *request, call func() error) error

// plain returns a double of store, which may have capabilities, without any.
func plain(store provider.CacheProvider) *double {
	return &double{
		below: store, faults: make(map[string]fault), hooks: make(map[string]hook), released: make(chan struct{}),
	}
}

// fail makes calls of the ops fail by f from now on.
func (s *double) fail(f fault, ops ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range known(ops) {
		s.faults[op] = f
	}
}

// failAll makes every call of a store with batches fail by f from now on.
func (s *double) failAll(f fault) {
	s.fail(f, "get", "set", "getMany", "setMany", "delete", "deletePrefix")
}

// heal ends all faults and hooks, and lets the calls that are stuck go on.
func (s *double) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
	clear(s.hooks)
	close(s.released)
	s.released = make(chan struct{})
}

// around has f called around every call of ops, outside of the hooks that there
// are already.
func (s *double) around(ops string, f hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range known(strings.Fields(ops)) {
		inner := s.hooks[op]
		if inner == nil {
			s.hooks[op] = f
			continue
		}
		s.hooks[op] = func(ctx context.Context, r *request, call func() error) error {
			return f(ctx, r, func() error { return inner(ctx, r, call) })
		}
	}
}

// hook has f called at the beginning of every call of ops. An error of f is what
// the call returns.
func (s *double) hook(ops string, f func(ctx context.Context, names []string) error) {
	s.around(ops, func(ctx context.Context, r *request, call func() error) error {
		if err := f(ctx, r.names); err != nil {
			return err
		}
		return call()
	})
}

// before has f called at the beginning of every call of ops.
func (s *double) before(ops string, f func(name string)) {
	s.around(ops, func(_ context.Context, r *request, call func() error) error {
		f(r.name())
		return call()
	})
}

// after has f called at the end of every call of ops.
func (s *double) after(ops string, f func(name string)) {
	s.around(ops, func(_ context.Context, r *request, call func() error) error {
		defer f(r.name())
		return call()
	})
}

func known(ops []string) []string {
	for _, op := range ops {
		if !slices.Contains(storeOps, op) {
			panic("a double has no operation " + op)
		}
	}
	return ops
}

// calls returns the calls of ops so far; of all ops if there are none.
func (s *double) calls(ops ...string) []storeCall {
	known(ops)
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

// forget forgets the calls so far.
func (s *double) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
}

// count returns the number of calls.
func (s *double) count(ops ...string) int64 { return int64(len(s.calls(ops...))) }

// concurrency returns the number of calls that have not returned, and the most
// that it ever was.
func (s *double) concurrency() (running, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running, s.most
}

// value returns what is stored under key.
func (s *double) value(scope, name string) (any, bool) {
	entry, found, _ := s.below.Get(context.Background(), provider.Key{Scope: scope, Name: name})
	return entry.Value, found
}

// put stores value under key, past the cache.
func (s *double) put(scope, name string, value any) {
	key := provider.Key{Scope: scope, Name: name}
	if err := s.below.Set(context.Background(), key, provider.Entry{Value: value}, provider.NoExpiry); err != nil {
		panic(err)
	}
}

// do notes a call, and does what hooks and faults make of it.
func (s *double) do(ctx context.Context, op string, names []string, r *request, call func() error) error {
	r.storeCall = storeCall{op: op, names: names, at: time.Now()}
	s.mu.Lock()
	s.log = append(s.log, r.storeCall)
	f, hook, released := s.faults[op], s.hooks[op], s.released
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running--
	}()
	if hook == nil {
		return f.do(ctx, r, call, released)
	}
	return hook(ctx, r, func() error { return f.do(ctx, r, call, released) })
}

func (f fault) do(ctx context.Context, r *request, call func() error, released <-chan struct{}) error {
	switch f {
	case faultNone:
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
		if err := call(); err != nil {
			return errors.Join(errFault, err)
		}
		return errFault
	case faultUndecodable:
		return provider.ErrUndecodable
	case faultTooLarge:
		return provider.ErrTooLarge
	case faultUnencodable:
		return provider.ErrUnencodable
	case faultMiscount:
		err := call()
		r.results, r.grants, r.filled = r.results[min(1, len(r.results)):], r.grants[min(1, len(r.grants)):], r.filled[min(1, len(r.filled)):]
		return err
	}
	return call()
}

func (s *double) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	var r request
	err := s.do(ctx, "get", []string{key.Name}, &r, func() (err error) {
		r.entry, r.found, err = s.below.Get(ctx, key)
		return err
	})
	return r.entry, r.found, err
}

func (s *double) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	r := request{entry: entry, ttl: ttl}
	return s.do(ctx, "set", []string{key.Name}, &r, func() error { return s.below.Set(ctx, key, r.entry, r.ttl) })
}

func (s *double) Delete(ctx context.Context, keys ...provider.Key) error {
	return s.do(ctx, "delete", namesOf(keys), new(request), func() error { return s.below.Delete(ctx, keys...) })
}

func (s *double) DeletePrefix(ctx context.Context, scope, prefix string) (removed int, err error) {
	err = s.do(ctx, "deletePrefix", []string{prefix}, new(request), func() (err error) {
		removed, err = s.below.DeletePrefix(ctx, scope, prefix)
		return err
	})
	return removed, err
}

func namesOf(keys []provider.Key) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = key.Name
	}
	return names
}

// capabilities is a set of capabilities of a double.
type capabilities uint

const (
	capBatches   capabilities = 1 << iota // a provider.Batcher, key by key if the store below is none
	capInProcess                          // a provider.InProcess
	capPunctual                           // a provider.Punctual, which a double is with faultHang
	capValues                             // a provider.ValueGetter
	capLeases                             // a provider.Leaser
	capRefreshes                          // a provider.Refresher
	capHolds                              // a provider.Holder
	capInspects                           // a provider.Inspector
	capCloses                             // an io.Closer, which does not close the store below

	likeMemory = capBatches | capInProcess | capValues | capInspects | capCloses // those of a memory store
	likeShared = capLeases | capRefreshes | capHolds                             // those of a leaseStore
)

// as returns s with exactly these capabilities, which the store below has to have
// if it is asked. The combinations are those that tests need.
func (s *double) as(has capabilities) provider.CacheProvider {
	store := s.with(has)
	if got := capabilitiesOf(store); got != has {
		panic(fmt.Sprintf("a store with the capabilities %b has %b", has, got))
	}
	return store
}

func capabilitiesOf(store provider.CacheProvider) (has capabilities) {
	add := func(one capabilities, ok bool) {
		if ok {
			has |= one
		}
	}
	_, ok := store.(provider.Batcher)
	add(capBatches, ok)
	_, ok = store.(provider.InProcess)
	add(capInProcess, ok)
	_, ok = store.(provider.Punctual)
	add(capPunctual, ok)
	_, ok = store.(provider.ValueGetter)
	add(capValues, ok)
	_, ok = store.(provider.Leaser)
	add(capLeases, ok)
	_, ok = store.(provider.Refresher)
	add(capRefreshes, ok)
	_, ok = store.(provider.Holder)
	add(capHolds, ok)
	_, ok = store.(provider.Inspector)
	add(capInspects, ok)
	_, ok = store.(io.Closer)
	add(capCloses, ok)
	return has
}

// with embeds the types of InProcess and Punctual, not the interfaces, whose names
// would hide their methods.
func (s *double) with(has capabilities) provider.CacheProvider {
	switch has {
	case 0:
		return s
	case capBatches:
		return struct {
			*double
			provider.Batcher
		}{s, asBatcher{s}}
	case capInProcess:
		return struct {
			*double
			asInProcess
		}{s, asInProcess{}}
	case capPunctual:
		return struct {
			*double
			asPunctual
		}{s, asPunctual{}}
	case capLeases:
		return struct {
			*double
			provider.Leaser
		}{s, asLeaser{s}}
	case capCloses:
		return struct {
			*double
			io.Closer
		}{s, asCloser{s}}
	case likeShared:
		return struct {
			*double
			provider.Leaser
			provider.Refresher
			provider.Holder
		}{s, asLeaser{s}, asRefresher{s}, asHolder{s}}
	case likeMemory:
		return struct {
			*double
			provider.Batcher
			asInProcess
			provider.ValueGetter
			provider.Inspector
			io.Closer
		}{s, asBatcher{s}, asInProcess{}, asValueGetter{s}, asInspector{s}, asCloser{s}}
	default:
		panic("no test has needed these capabilities together: add them")
	}
}

type (
	asInProcess   struct{}
	asPunctual    struct{}
	asBatcher     struct{ s *double }
	asValueGetter struct{ s *double }
	asLeaser      struct{ s *double }
	asRefresher   struct{ s *double }
	asHolder      struct{ s *double }
	asInspector   struct{ s *double }
	asCloser      struct{ s *double }
)

func (asInProcess) InProcess() {}

func (asPunctual) Punctual() bool { return true }

func (b asBatcher) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	r := request{results: make([]provider.Result, len(keys))}
	err := b.s.do(ctx, "getMany", namesOf(keys), &r, func() (err error) {
		if below, ok := b.s.below.(provider.Batcher); ok {
			r.results, err = below.GetMany(ctx, keys)
			return err
		}
		for i, key := range keys {
			r.results[i].Entry, r.results[i].Found, r.results[i].Err = b.s.below.Get(ctx, key)
		}
		return nil
	})
	return r.results, err
}

func (b asBatcher) SetMany(ctx context.Context, items []provider.Item) error {
	names := make([]string, len(items))
	for i := range items {
		names[i] = items[i].Key.Name
	}
	return b.s.do(ctx, "setMany", names, new(request), func() error {
		if below, ok := b.s.below.(provider.Batcher); ok {
			return below.SetMany(ctx, items)
		}
		for i := range items {
			if err := b.s.below.Set(ctx, items[i].Key, items[i].Entry, items[i].TTL); err != nil {
				return err
			}
		}
		return nil
	})
}

// GetValue has no error to return: only the faults that do not return make a
// difference.
func (v asValueGetter) GetValue(key provider.Key) (value any, is provider.Presence) {
	_ = v.s.do(context.Background(), "getValue", []string{key.Name}, new(request), func() error {
		value, is = v.s.below.(provider.ValueGetter).GetValue(key)
		return nil
	})
	return value, is
}

func (v asValueGetter) GetValues(keys []provider.Key, values []provider.Value) {
	_ = v.s.do(context.Background(), "getValues", namesOf(keys), new(request), func() error {
		v.s.below.(provider.ValueGetter).GetValues(keys, values)
		return nil
	})
}

func (l asLeaser) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	r := request{ttl: ttl}
	err := l.s.do(ctx, "acquire", namesOf(keys), &r, func() (err error) {
		r.grants, err = l.s.below.(provider.Leaser).Acquire(ctx, keys, r.ttl)
		return err
	})
	return r.grants, err
}

func (l asLeaser) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	names := make([]string, len(fills))
	for i := range fills {
		names[i] = fills[i].Lease.Key.Name
	}
	r := request{fills: fills}
	err := l.s.do(ctx, "fill", names, &r, func() (err error) {
		r.filled, err = l.s.below.(provider.Leaser).Fill(ctx, fills)
		return err
	})
	return r.filled, err
}

func (l asLeaser) Release(ctx context.Context, leases []provider.Lease) error {
	names := make([]string, len(leases))
	for i := range leases {
		names[i] = leases[i].Key.Name
	}
	return l.s.do(ctx, "release", names, new(request), func() error {
		return l.s.below.(provider.Leaser).Release(ctx, leases)
	})
}

func (f asRefresher) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	names := make([]string, len(requests))
	for i := range requests {
		names[i] = requests[i].Key.Name
	}
	r := request{ttl: ttl}
	err := f.s.do(ctx, "refresh", names, &r, func() (err error) {
		r.grants, err = f.s.below.(provider.Refresher).Refresh(ctx, requests, r.ttl)
		return err
	})
	return r.grants, err
}

func (h asHolder) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	r := request{ttl: ttl}
	return h.s.do(ctx, "hold", slices.Concat(targets.Keys, targets.Prefixes), &r, func() error {
		return h.s.below.(provider.Holder).Hold(ctx, targets, token, r.ttl)
	})
}

func (h asHolder) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	return h.s.do(ctx, "unhold", slices.Concat(targets.Keys, targets.Prefixes), new(request), func() error {
		return h.s.below.(provider.Holder).Unhold(ctx, targets, token)
	})
}

func (i asInspector) Has(ctx context.Context, key provider.Key) (has bool, err error) {
	err = i.s.do(ctx, "has", []string{key.Name}, new(request), func() (err error) {
		has, err = i.s.below.(provider.Inspector).Has(ctx, key)
		return err
	})
	return has, err
}

func (i asInspector) Stats(ctx context.Context) (stats provider.Stats, err error) {
	err = i.s.do(ctx, "stats", []string{""}, new(request), func() (err error) {
		stats, err = i.s.below.(provider.Inspector).Stats(ctx)
		return err
	})
	return stats, err
}

func (i asInspector) List(ctx context.Context, options provider.ListOptions) (page provider.Page, err error) {
	err = i.s.do(ctx, "list", []string{options.Prefix}, new(request), func() (err error) {
		page, err = i.s.below.(provider.Inspector).List(ctx, options)
		return err
	})
	return page, err
}

func (c asCloser) Close() error {
	return c.s.do(context.Background(), "close", []string{""}, new(request), func() error { return nil })
}
