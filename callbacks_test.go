package readthrough_test

import (
	"context"
	"encoding/json"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// TestCallbacks: every function, value and error of the user attacks the cache, at everything that a cache
// does, on stores of three kinds. Nobody hangs, the process goes on, and nothing is left behind: no
// lease, no place, no reader, no flight, no invalidation that nobody retries. When the attack is over,
// all is as it was before.
func TestCallbacks(t *testing.T) {
	proofs.Unraced(t, "-run ^TestCallbacks$ .")
	stores := map[string]func(*siege) provider.CacheProvider{
		"memory": memoryUnderSiege, "plain": plainUnderSiege, "shared": sharedUnderSiege, "near": nearUnderSiege,
	}
	for storeName, makeStore := range stores {
		for _, callback := range callbacks {
			if at := callbackStores[callback]; at != "" && !strings.Contains(at, storeName) {
				continue
			}
			for _, attack := range attacks {
				if attack.reads && slices.Contains(inFill, callback) {
					continue // docs: it may not read the key that it is called for
				}
				bubble(t, storeName+"/"+callback+"/"+attack.name, func(t *testing.T) {
					before, _ := bubbled()
					newSiege(t, makeStore, callback, attack).run(before)
				})
			}
		}
	}
}

// callbacks are where the user's code is called.
var callbacks = []string{
	"OnError", "Error", "Hit", "Miss", "Join", "Stale", "LoadStart", "LoadEnd", "RefusedFill", "Invalidate", "Recovered", "Store", "Waited", "MutateStart", "MutateEnd",
	"key", "load", "load of Each", "is", "error text", "unwrap",
	"family key", "clone", "load of a family",
	"write", "targets", "emit", "put", "write error",
	"batch write", "batch targets", "batch emit", "commit error", "shared write", "shared targets", "shared emit",
	"weigher", "marshal", "unmarshal", "value", "done", "err", "deadline",
}

// callbackStores has the stores that have a callback, where not all do.
var callbackStores = map[string]string{
	"weigher": "memory near", "marshal": "plain shared near", "unmarshal": "plain shared", "Stale": "memory plain shared",
}

// inFill are the callbacks that the fill of a key waits for.
var inFill = []string{"weigher", "marshal", "unmarshal", "is", "error text", "unwrap", "write error", "value", "done", "err", "deadline"}

// attack is what a callback does. With reads, it reads the key that it may be called for.
type attack struct {
	name  string
	reads bool
	do    func(ctx context.Context, s *siege)
}

var attacks = []attack{
	{"panic", false, func(context.Context, *siege) { panic("attack") }},
	{"panic with an error", false, func(context.Context, *siege) { panic(errFault) }},
	{"Goexit", false, func(context.Context, *siege) { runtime.Goexit() }},
	{"Wrap", true, func(ctx context.Context, s *siege) { _, _ = s.read(ctx, "k") }},
	{"Wrap of another key", false, func(ctx context.Context, s *siege) { _, _ = s.read(ctx, "other") }},
	{"Invalidate", false, func(ctx context.Context, s *siege) { _ = s.scope.Invalidate(ctx, "k", "e") }},
	{"InvalidatePrefix", false, func(ctx context.Context, s *siege) { _, _ = s.scope.InvalidatePrefix(ctx, "") }},
	{"Stats", false, func(ctx context.Context, s *siege) { _, _ = s.scope.Stats(), s.cache.Scopes() }},
	{"Close", false, func(_ context.Context, s *siege) { _ = s.cache.Close() }},
}

// siege is a cache one of whose callbacks attacks it.
type siege struct {
	t        *testing.T
	callback string
	attack   attack
	store    *double
	server   *leaseServer // of a shared store
	cache    *readthrough.Cache
	scope    *readthrough.CachedScope
	other    *readthrough.CachedScope
	family   *readthrough.Family[int, siegeValue]
	settles  time.Duration // how long the store takes until it is as it is later
	peace    atomic.Bool   // nobody attacks any more
	busy     atomic.Bool   // somebody attacks: it does not attack itself
	fired    atomic.Int64  // the attacks
	failing  atomic.Bool   // the source fails
}

func newSiege(t *testing.T, makeStore func(*siege) provider.CacheProvider, callback string, attack attack) *siege {
	s := &siege{t: t, callback: callback, attack: attack}
	observe := func(name string) func(context.Context, readthrough.Event) {
		return func(ctx context.Context, _ readthrough.Event) { s.called(ctx, name) }
	}
	cache, err := readthrough.New(makeStore(s), readthrough.Options{
		LeaseTTL: 1000 * time.Hour, BreakerFailures: -1,
		OnError: func(*readthrough.OpError) { s.called(t.Context(), "OnError") },
		Observer: readthrough.Observer{
			Hit: observe("Hit"), Miss: observe("Miss"), Join: observe("Join"), Stale: observe("Stale"),
			LoadStart: func(ctx context.Context, _ readthrough.Event) context.Context { s.called(ctx, "LoadStart"); return ctx },
			LoadEnd:   observe("LoadEnd"), RefusedFill: observe("RefusedFill"),
			Invalidate: observe("Invalidate"), Recovered: observe("Recovered"), Store: observe("Store"), Waited: observe("Waited"),
			MutateStart: func(ctx context.Context, _ readthrough.Event) context.Context {
				s.called(ctx, "MutateStart")
				return ctx
			},
			MutateEnd: observe("MutateEnd"),
			Error:     func(ctx context.Context, _ *readthrough.OpError) { s.called(ctx, "Error") },
		},
	})
	require.NoError(t, err)
	s.cache = cache
	s.scope, err = cache.Scope("test", readthrough.ScopeOptions{
		TTL: time.Hour, Jitter: -1, StaleWhileRevalidate: time.Hour, StaleIfError: 2 * time.Hour, RetryAfter: time.Second, MaxLoads: 2,
	})
	require.NoError(t, err)
	s.other, err = cache.Scope("other", readthrough.ScopeOptions{TTL: time.Hour, Jitter: -1, MaxLoads: 1})
	require.NoError(t, err)
	s.family = s.newFamily()
	time.Sleep(s.settles)
	return s
}

// called is called by every callback.
func (s *siege) called(ctx context.Context, name string) {
	if name != s.callback || s.peace.Load() || !s.busy.CompareAndSwap(false, true) {
		return
	}
	defer s.busy.Store(false)
	s.fired.Add(1)
	s.attack.do(ctx, s)
}

// run runs all operations, each in a goroutine of its own, since an attack may end it.
func (s *siege) run(before int) {
	for _, o := range slices.Concat(siegeOperations, siegeBatches) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }() // what panics in the goroutine of the user is the user's
			o.do(s, s.t.Context())
		}()
		select {
		case <-done:
		case <-time.After(24 * time.Hour):
			require.Fail(s.t, "hangs", o.name)
		}
		time.Sleep(time.Second)
	}
	require.Positive(s.t, s.fired.Load(), "attacks")
	s.peace.Store(true)
	s.store.heal()
	time.Sleep(time.Minute)
	if s.attack.name != "Close" {
		wantIdle(s.t, s.scope)
		wantIdle(s.t, s.other)
		s.expectNothingHeld()
		s.expectWell()
	}
	assert.NoError(s.t, s.cache.Close(), "Close")
	wantGoroutines(s.t, before)
}

// expectWell reads some keys: each is loaded once.
func (s *siege) expectWell() {
	s.t.Helper()
	_, err := s.scope.InvalidatePrefix(s.t.Context(), "")
	require.NoError(s.t, err, "InvalidatePrefix")
	loads := s.scope.Stats().Loads
	for range 2 {
		for _, key := range []string{"k", "m1", "e", "other"} {
			value, err := s.read(s.t.Context(), key)
			want(s.t, "read of "+key, value, err, "value")
		}
	}
	assert.Equal(s.t, int64(4), s.scope.Stats().Loads-loads, "loads")
	assert.Equal(s.t, 0, s.scope.Stats().Pending, "Stats().Pending")
}

// expectNothingHeld fails the test if there is a lease or a hold.
func (s *siege) expectNothingHeld() {
	s.t.Helper()
	if s.server == nil {
		return
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	for key, slot := range s.server.slots {
		assert.False(s.t, slot.leased(), "%v is leased", key)
	}
	assert.Empty(s.t, s.server.holds, "holds")
}

// read reads key.
func (s *siege) read(ctx context.Context, key string) (string, error) {
	value, err := readthrough.Wrap(ctx, s.scope, key, func(ctx context.Context) (siegeValue, error) {
		s.called(ctx, "load")
		time.Sleep(10 * time.Millisecond)
		if s.failing.Load() {
			return "", siegeError{s}
		}
		return "value", nil
	})
	return string(value), err
}

// siegeValue is what is stored.
type siegeValue string

// siegeError is an error whose methods attack.
type siegeError struct{ *siege }

func (e siegeError) Error() string   { e.called(e.t.Context(), "error text"); return "siege" }
func (e siegeError) Is(error) bool   { e.called(e.t.Context(), "is"); return false }
func (e siegeError) Unwrap() error   { e.called(e.t.Context(), "unwrap"); return nil }
func (e siegeError) Temporary() bool { return true }

// writeError is siegeError for writes.
type writeError struct{ *siege }

func (e writeError) Error() string { e.called(e.t.Context(), "write error"); return "siege" }
func (e writeError) Is(error) bool { e.called(e.t.Context(), "write error"); return false }

// siegeContext is a reader's context whose methods attack.
// It is not made of one of package context, which would go past these methods.
type siegeContext struct {
	context.Context //nolint:containedctx // it is a context

	s    *siege
	done chan struct{}
}

// newContext returns such a context that ends after d.
func (s *siege) newContext(ctx context.Context, d time.Duration) siegeContext {
	c := siegeContext{ctx, s, make(chan struct{})}
	time.AfterFunc(d, func() { close(c.done) })
	return c
}

func (c siegeContext) Value(key any) any {
	c.s.called(c.Context, "value")
	return c.Context.Value(key)
}

func (c siegeContext) Done() <-chan struct{} {
	c.s.called(c.Context, "done")
	return c.done
}

func (c siegeContext) Err() error {
	c.s.called(c.Context, "err")
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

func (c siegeContext) Deadline() (time.Time, bool) {
	c.s.called(c.Context, "deadline")
	return c.Context.Deadline()
}

// ---- what a cache does

type siegeOperation struct {
	name string
	do   func(s *siege, ctx context.Context)
}

// siegeOperations are run one after the other.
var siegeOperations = []siegeOperation{
	{"a miss, and readers that join", func(s *siege, ctx context.Context) {
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				defer func() { _ = recover() }()
				_, _ = s.read(ctx, "k")
			})
		}
		readers.Wait()
	}},
	{"a hit", func(s *siege, ctx context.Context) { _, _ = s.read(ctx, "k") }},
	{"a bulk read", func(s *siege, ctx context.Context) { s.readMany(ctx, "k", "m1", "m2") }},
	{"reads of memoized functions", func(s *siege, ctx context.Context) {
		key := func(n int) string { s.called(ctx, "key"); return strconv.Itoa(n) }
		load := func(context.Context, int) (siegeValue, error) { return "value", nil }
		_, _ = readthrough.Memoize(s.scope, key, load)(ctx, 1)
	}},
	{"a refresh that reads wait for", func(s *siege, ctx context.Context) {
		_, _ = readthrough.Refresh(ctx, s.scope, "k", func(context.Context) (siegeValue, error) { return "value", nil })
	}},
	{"a stale value", func(s *siege, ctx context.Context) { time.Sleep(time.Hour + time.Minute); _, _ = s.read(ctx, "k") }},
	{"a stale value in place of an error", func(s *siege, ctx context.Context) {
		time.Sleep(time.Second)
		s.failing.Store(true)
		defer s.failing.Store(false)
		time.Sleep(2*time.Hour + time.Minute)
		_, _ = s.read(ctx, "k")
		s.readMany(ctx, "k", "m1")
	}},
	{"a failed load", func(s *siege, ctx context.Context) {
		s.failing.Store(true)
		defer s.failing.Store(false)
		_, _ = s.read(ctx, "e")
		s.readMany(ctx, "e", "f")
	}},
	{"a load that panics with an error of the user", func(s *siege, ctx context.Context) {
		_, _ = readthrough.Wrap(ctx, s.scope, "p", func(context.Context) (siegeValue, error) { panic(siegeError{s}) })
	}},
	{"a fill that is refused", func(s *siege, ctx context.Context) {
		reading := s.readSlowly(ctx, "r")
		time.Sleep(time.Millisecond)
		_ = s.scope.Invalidate(ctx, "r")
		<-reading
	}},
	{"reads of a store that fails", func(s *siege, ctx context.Context) {
		s.store.fail(faultError, "get", "set", "acquire", "fill")
		_, _ = s.read(ctx, "x")
		s.readMany(ctx, "x", "y")
	}},
	{"no more of that", func(s *siege, _ context.Context) { s.store.heal() }},
	{"invalidations that the store does not confirm", func(s *siege, ctx context.Context) {
		s.store.fail(faultError, "delete", "deletePrefix")
		_ = s.scope.Invalidate(ctx, "k", "e")
	}},
	{"and by prefix", func(s *siege, ctx context.Context) { _, _ = s.scope.InvalidatePrefix(ctx, "m") }},
	{"no more of that, too", func(s *siege, _ context.Context) { s.store.heal() }},
	{"recovery", func(*siege, context.Context) { time.Sleep(recovery) }},
	{"a put", func(s *siege, ctx context.Context) {
		_, _ = readthrough.Put(ctx, s.scope, "k", func(ctx context.Context) (siegeValue, error) { s.called(ctx, "put"); return "value", nil })
	}},
	{"a put that fails", func(s *siege, ctx context.Context) {
		_, _ = readthrough.Put(ctx, s.scope, "k", func(context.Context) (siegeValue, error) { return "", writeError{s} })
	}},
	{"a change", func(s *siege, ctx context.Context) { s.mutate(ctx, nil) }},
	{"a change that fails", func(s *siege, ctx context.Context) { s.mutate(ctx, writeError{s}) }},
	{"a change that is not held", func(s *siege, ctx context.Context) {
		s.store.fail(faultLost, "hold")
		defer s.store.heal()
		s.mutate(ctx, nil)
	}},
	{"reads with a context of the user", func(s *siege, ctx context.Context) {
		_, _ = s.read(s.newContext(ctx, time.Second), "c")
	}},
	{"joins with a context of the user", func(s *siege, ctx context.Context) {
		reading := s.readSlowly(ctx, "d")
		time.Sleep(time.Millisecond)
		defer func() { <-reading }()
		_, _ = s.read(s.newContext(ctx, time.Millisecond), "d")
	}},
}

// readSlowly begins to read key, whose load takes a second. It returns a channel that is closed when the
// reader has ended.
func (s *siege) readSlowly(ctx context.Context, key string) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		_, _ = readthrough.Wrap(ctx, s.scope, key, func(context.Context) (siegeValue, error) { time.Sleep(time.Second); return "value", nil })
	}()
	return done
}

// readMany reads keys with the load function of Each.
func (s *siege) readMany(ctx context.Context, keys ...string) {
	key := func(key string) string { s.called(ctx, "key"); return key }
	_, _ = readthrough.WrapMany(ctx, s.scope, keys, key, readthrough.Each(2, func(ctx context.Context, _ string) (siegeValue, error) {
		s.called(ctx, "load of Each")
		time.Sleep(10 * time.Millisecond)
		if s.failing.Load() {
			return "", siegeError{s}
		}
		return "value", nil
	}))
}

// mutate changes something whose write returns err.
func (s *siege) mutate(ctx context.Context, err error) {
	_, _ = readthrough.Mutate(ctx, s.scope, readthrough.Mutation[int]{
		Write: func(ctx context.Context) (int, error) { s.called(ctx, "write"); return 1, err },
		Invalidate: func(int) readthrough.Targets {
			s.called(ctx, "targets")
			return readthrough.Targets{Keys: []string{"k"}}
		},
		Emit:    func(ctx context.Context, _ int) error { s.called(ctx, "emit"); return nil },
		Hold:    readthrough.Targets{Keys: []string{"k"}, Prefixes: []string{"m"}},
		HoldFor: 1000 * time.Hour,
	})
}

// ---- the stores

func memoryUnderSiege(s *siege) provider.CacheProvider {
	store, err := memory.New(memory.Options{Weigher: func(provider.Key, provider.Entry) int64 { s.called(s.t.Context(), "weigher"); return 1 }})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = store.Close() })
	s.store = plain(store)
	return s.store.as(likeMemory)
}

func plainUnderSiege(s *siege) provider.CacheProvider {
	s.store = plain(newStore(s.t))
	return struct {
		*double
		siegeCodec
	}{s.store, siegeCodec{s}}
}

func sharedUnderSiege(s *siege) provider.CacheProvider {
	below := newLeaseStore()
	s.server, s.store = below.leaseServer, plain(below)
	return struct {
		*double
		provider.Leaser
		provider.Refresher
		provider.Holder
		siegeCodec
	}{s.store, asLeaser{s.store}, asRefresher{s.store}, asHolder{s.store}, siegeCodec{s}}
}

// siegeCodec is a codec that attacks, and the provider.Encoder of a store that uses it.
type siegeCodec struct{ s *siege }

func (siegeCodec) Name() string { return "siege" }

func (c siegeCodec) Marshal(v any) ([]byte, error) {
	c.s.called(c.s.t.Context(), "marshal")
	return json.Marshal(v)
}

func (c siegeCodec) Unmarshal(data []byte, v any) error {
	c.s.called(c.s.t.Context(), "unmarshal")
	return json.Unmarshal(data, v)
}

func (c siegeCodec) Encode(entry provider.Entry) (provider.Entry, error) {
	if entry.Absent {
		return entry, nil
	}
	encoded, err := provider.Encode(c, entry.Value)
	entry.Value = encoded
	return entry, err
}
