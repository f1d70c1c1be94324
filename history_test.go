package readthrough_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/singleflight"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/race"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

var historySeed = flag.Uint64("history.seed", 0, "seed of the history tests; 0: a random one")

// historyOps is the number of operations of each history.
const historyOps = 60_000

// TestHistory checks G1 and G2 over random histories of single and bulk reads,
// slow loads, loads in the background, by hand and after soft timeouts, loads that
// fail or only confirm what is stored, writes that store their value, that
// invalidate keys, several keys or a prefix, TTLs that end and entries that are
// evicted, on stores of every kind.
func TestHistory(t *testing.T) {
	stores := map[string]func(*memory.Store) provider.CacheProvider{
		"in process": func(s *memory.Store) provider.CacheProvider { return s },
		"no capabilities": func(s *memory.Store) provider.CacheProvider {
			return struct{ provider.CacheProvider }{s}
		},
		"slow":          func(s *memory.Store) provider.CacheProvider { return slow(s) },
		"batches, slow": func(s *memory.Store) provider.CacheProvider { return plain(slow(s)).as(capBatches) },
		"failing":       func(s *memory.Store) provider.CacheProvider { return failing(s) },
	}
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		for how, options := range historyOptions() {
			t.Run(name+how, func(t *testing.T) {
				seed := pickSeed(t)
				synctest.Test(t, func(t *testing.T) {
					store, err := memory.New(memory.Options{MaxEntries: historyKeys / 2})
					require.NoError(t, err)
					cache, err := readthrough.New(stores[name](store), readthrough.Options{OnError: func(err *readthrough.OpError) {
						assert.Equal(t, "failing", name, "%v", err)
					}})
					require.NoError(t, err)
					scope, err := cache.Scope("history", options)
					require.NoError(t, err)
					h := newHistory(seed, &ours{scope, store})
					h.run(opsOf(how))
					h.verify(t, options, scope)
					pending := h.pending.Load()
					assert.Equal(t, name == "failing", pending > 0, "%d invalidations were pending", pending)
					assert.NoError(t, cache.Close())
				})
			})
		}
	}
}

// historyOptions are the scopes of the histories: a plain one, and those that serve
// stale values, load early and in turns, and remember errors.
func historyOptions() map[string]readthrough.ScopeOptions {
	const ttl = 20 * time.Millisecond
	return map[string]readthrough.ScopeOptions{
		"": {TTL: ttl},
		", serving": {
			TTL: ttl, StaleWhileRevalidate: ttl / 2, StaleIfError: 10 * ttl, SoftLoadTimeout: 2 * time.Millisecond,
			RefreshAheadFactor: 0.5, RetryAfter: time.Millisecond, ErrorTTL: time.Millisecond, MaxLoads: 64,
		},
	}
}

// opsOf returns the number of operations of a history with the options of a name.
func opsOf(options string) int {
	if options == "" && !race.Enabled {
		return proofs.Sized(historyOps, historyOps/3)
	}
	return historyOps / 3 // with fewer, nothing may be stale
}

// verify fails the test if there is a violation, or if the history was too tame
// for finding one. scopes are those of the processes.
func (h *history) verify(t *testing.T, options readthrough.ScopeOptions, scopes ...*readthrough.CachedScope) {
	t.Helper()
	for _, violation := range h.violations {
		t.Error(violation)
	}
	t.Logf("%d reads, %d writes, %d values confirmed", h.reads.Load(), h.writes.Load(), h.confirmed.Load())
	var joined, refused, hits, stale, refreshes int64 // in all processes
	for _, scope := range scopes {
		stats := scope.Stats()
		t.Logf("%+v", stats)
		joined, refused, hits = joined+stats.Joined, refused+stats.RefusedFills, hits+stats.Hits
		stale, refreshes = stale+stats.Stale, refreshes+stats.Refreshes
		assert.Zero(t, stats.InFlight, "left behind: in flight")
		assert.Zero(t, stats.Pending, "left behind: pending")
	}
	const little = "the history has none: it proves little"
	assert.NotZero(t, joined, "joined reads: "+little)
	assert.NotZero(t, refused, "refused fills: "+little)
	assert.NotZero(t, hits, "hits: "+little)
	assert.NotZero(t, h.confirmed.Load(), "values confirmed: "+little)
	serves := options.StaleIfError > 0
	assert.Equal(t, serves, stale > 0, "stale values: %d", stale)
	assert.Equal(t, serves, refreshes > 0, "refreshes: %d", refreshes)
}

// TestHistoryFindsNaiveCaches runs the checker on the caches that people write by
// hand. A checker that finds nothing in them is broken.
func TestHistoryFindsNaiveCaches(t *testing.T) {
	for name, forget := range map[string]bool{"single-flight and delete": false, "with Forget": true} {
		t.Run(name, func(t *testing.T) {
			seed := pickSeed(t)
			synctest.Test(t, func(t *testing.T) {
				h := newHistory(seed, &naive{forget: forget, values: map[string]int64{}})
				h.run(historyOps / 10)
				require.NotEmpty(t, h.violations, "no violation found")
				t.Logf("%d or more violations in %d reads, such as: %s", len(h.violations), h.reads.Load(), h.violations[0])
			})
		})
	}
}

func pickSeed(t *testing.T) uint64 {
	t.Helper()
	seed := *historySeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed: -history.seed=%d", seed)
	return seed
}

const (
	historyKeys     = 120
	historyFamilies = 6
)

// subject is a cache under test.
type subject interface {
	get(ctx context.Context, key string, load func(context.Context) (int64, error)) (int64, error)
	getMany(ctx context.Context, keys []string, load func(context.Context, []string) (map[string]int64, error)) (map[string]int64, error)
	invalidate(ctx context.Context, keys, prefixes []string) error
	peek(key string) (int64, bool) // what is stored
}

// refresher is a subject that also loads by hand, and stores what was written.
type refresher interface {
	refresh(ctx context.Context, key string, load func(context.Context) (int64, error)) (int64, error)
	put(ctx context.Context, key string, write func(context.Context) (int64, error)) (int64, error)
}

// history is a run of random operations on a subject, checked as they happen.
// The source has a version for each key, which writes raise. An invalidation that
// returned announces the versions of its write: no read that begins later may
// return less (G1), and nothing less may be stored (G2). One that is pending
// announces them for the reads (G5), and for the store when it is confirmed.
type history struct {
	seed          uint64
	subjects      []subject // the processes
	keys          []string
	source        []atomic.Int64
	floor         [][]atomic.Int64 // announced to the readers of each process
	storedFloor   []atomic.Int64   // announced for the store
	index         map[string]int
	reads, writes atomic.Int64
	pending       atomic.Int64 // keys whose invalidation was pending when it returned
	confirmed     atomic.Int64 // values that a load has only confirmed

	mu         sync.Mutex // guards following
	violations []string
}

func newHistory(seed uint64, processes ...subject) *history {
	h := &history{
		seed: seed, subjects: processes, keys: make([]string, historyKeys), index: map[string]int{},
		source: make([]atomic.Int64, historyKeys), storedFloor: make([]atomic.Int64, historyKeys),
	}
	for range processes {
		h.floor = append(h.floor, make([]atomic.Int64, historyKeys))
	}
	for i := range h.keys {
		h.keys[i] = fmt.Sprintf("family%d:%d", i%historyFamilies, i)
		h.index[h.keys[i]] = i
		h.source[i].Store(1)
	}
	return h
}

// run begins ops operations. They do not wait for each other: a history in which
// every reader waits for its answer before it reads again hides the holes of
// joining.
func (h *history) run(ops int) {
	var group sync.WaitGroup
	rng := rand.New(rand.NewPCG(h.seed, 0))
	for n := range ops {
		group.Go(func() { h.operate(rand.New(rand.NewPCG(h.seed, uint64(n)+1))) })
		if rng.IntN(4) == 0 {
			time.Sleep(time.Duration(rng.IntN(400)) * time.Microsecond)
		}
	}
	group.Wait()
	time.Sleep(time.Minute) // for loads that nobody waits for any more, and for retries
	for i, key := range h.keys {
		for p := range h.floor {
			raise(&h.storedFloor[i], h.floor[p][i].Load())
		}
		h.peek(i, key)
	}
}

func (h *history) operate(rng *rand.Rand) {
	switch p := rng.IntN(100); {
	case p < 60:
		h.read(rng)
	case p < 80:
		h.readMany(rng)
	case p < 85:
		i := h.pick(rng)
		h.peek(i, h.keys[i])
	case p < 93:
		h.write(rng, 1, false)
	case p < 95:
		h.write(rng, 2+rng.IntN(6), false)
	case p < 96:
		h.refresh(rng)
	case p < 97:
		h.put(rng)
	default:
		h.write(rng, 1+rng.IntN(4), true)
	}
}

// pick chooses a key, some much more often than others.
func (h *history) pick(rng *rand.Rand) int {
	return int(float64(historyKeys) * rng.Float64() * rng.Float64() * rng.Float64())
}

// context ends early for some readers.
func (h *history) context(rng *rand.Rand) (context.Context, context.CancelFunc) {
	ctx := context.Background()
	if rng.IntN(10) == 0 {
		return context.WithTimeout(ctx, time.Duration(rng.IntN(3000))*time.Microsecond)
	}
	return ctx, func() {}
}

// load is slow before and after it reads the source, and fails now and then.
func (h *history) load(ctx context.Context, keys []string) (map[string]int64, error) {
	rng := rand.New(rand.NewPCG(h.seed, rand.Uint64()))
	pause := func() {
		if rng.IntN(3) > 0 {
			time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
		}
	}
	pause()
	values := map[string]int64{}
	for _, key := range keys {
		values[key] = h.source[h.index[key]].Load()
		h.say(rng, readthrough.LoadOf(ctx, key), values, key)
	}
	pause()
	if rng.IntN(50) == 0 {
		return nil, errors.New("the source failed")
	}
	return values, ctx.Err()
}

// say tells the cache what there is to say about a version that was loaded: that it
// is the one that is stored, if it is.
func (h *history) say(rng *rand.Rand, load *readthrough.Load, values map[string]int64, key string) {
	version := strconv.FormatInt(values[key], 10)
	switch {
	case load.Validator() == version:
		h.confirmed.Add(1)
		load.NotModified()
		values[key] = 0 // which is not used
	case rng.IntN(20) == 0:
		load.DoNotStore()
	default:
		load.SetValidator(version)
	}
}

// refresh loads by hand: what it returns is no older than the source was when it
// began.
func (h *history) refresh(rng *rand.Rand) {
	i, p := h.pick(rng), rng.IntN(len(h.subjects))
	subject, ok := h.subjects[p].(refresher)
	if !ok {
		return
	}
	h.reads.Add(1)
	ctx, cancel := h.context(rng)
	defer cancel()
	floor := h.source[i].Load()
	value, err := subject.refresh(ctx, h.keys[i], h.loadOne(i))
	if err == nil && value < floor {
		h.violate("a refresh of %s returned version %d, but the source had %d when it began", h.keys[i], value, floor)
	}
}

// put raises the version of a key by a write that stores it.
func (h *history) put(rng *rand.Rand) {
	i, p := h.pick(rng), rng.IntN(len(h.subjects))
	subject, ok := h.subjects[p].(refresher)
	if !ok {
		return
	}
	h.writes.Add(1)
	version, err := subject.put(context.Background(), h.keys[i], func(context.Context) (int64, error) {
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
		version := h.source[i].Add(1)
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
		return version, nil
	})
	h.announce(p, map[string]int64{h.keys[i]: version}, err)
}

func (h *history) loadOne(i int) func(context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {
		values, err := h.load(ctx, h.keys[i:i+1])
		return values[h.keys[i]], err
	}
}

func (h *history) read(rng *rand.Rand) {
	h.reads.Add(1)
	ctx, cancel := h.context(rng)
	defer cancel()
	i, p := h.pick(rng), rng.IntN(len(h.subjects))
	floor := h.floor[p][i].Load()
	value, err := h.subjects[p].get(ctx, h.keys[i], h.loadOne(i))
	if err == nil && value < floor {
		h.violate("G1: a read of %s returned version %d, but %d was announced before it began", h.keys[i], value, floor)
	}
}

func (h *history) readMany(rng *rand.Rand) {
	ctx, cancel := h.context(rng)
	defer cancel()
	var keys []string
	p := rng.IntN(len(h.subjects))
	floors := map[string]int64{}
	for range 1 + rng.IntN(20) {
		i := h.pick(rng)
		keys = append(keys, h.keys[i])
		floors[h.keys[i]] = h.floor[p][i].Load()
	}
	h.reads.Add(int64(len(keys)))
	values, err := h.subjects[p].getMany(ctx, keys, h.load)
	for key, value := range values {
		if value < floors[key] {
			h.violate("G1: a bulk read returned version %d of %s, but %d was announced before it began", value, key, floors[key])
		}
	}
	if err == nil && len(values) != len(floors) {
		h.violate("a bulk read of %d keys returned %d values and no error", len(floors), len(values))
	}
}

// write raises the version of n keys, of one family if byPrefix, and announces
// them after the invalidation.
func (h *history) write(rng *rand.Rand, n int, byPrefix bool) {
	h.writes.Add(1)
	prefix := fmt.Sprintf("family%d:", rng.IntN(historyFamilies))
	versions := map[string]int64{}
	for len(versions) < n {
		i := h.pick(rng)
		if byPrefix && !strings.HasPrefix(h.keys[i], prefix) {
			continue
		}
		versions[h.keys[i]] = h.source[i].Add(1)
	}
	if rng.IntN(2) == 0 {
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
	}
	var err error
	p := rng.IntN(len(h.subjects))
	if byPrefix {
		err = h.subjects[p].invalidate(context.Background(), nil, []string{prefix})
	} else {
		err = h.subjects[p].invalidate(context.Background(), slices.Collect(maps.Keys(versions)), nil)
	}
	h.announce(p, versions, err)
}

// announce announces versions after an invalidation in process p that returned err.
func (h *history) announce(p int, versions map[string]int64, err error) {
	if err != nil && !errors.Is(err, readthrough.ErrInvalidationPending) {
		h.violate("an invalidation failed: %v", err)
	}
	for key, version := range versions {
		i := h.index[key]
		if err != nil { // announced in this process only
			raise(&h.floor[p][i], version)
			h.pending.Add(1)
			continue
		}
		for p := range h.floor {
			raise(&h.floor[p][i], version)
		}
		raise(&h.storedFloor[i], version)
	}
}

func (h *history) peek(i int, key string) {
	floor := h.storedFloor[i].Load()
	if value, ok := h.subjects[0].peek(key); ok && value < floor {
		h.violate("G2: version %d of %s is stored, but %d was announced", value, key, floor)
	}
}

func (h *history) violate(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.violations) < 10 {
		h.violations = append(h.violations, fmt.Sprintf(format, args...))
	}
}

func raise(n *atomic.Int64, to int64) {
	for {
		old := n.Load()
		if old >= to || n.CompareAndSwap(old, to) {
			return
		}
	}
}

// ours is the library as a subject.
type ours struct {
	scope *readthrough.CachedScope
	store *memory.Store
}

func (o *ours) get(ctx context.Context, key string, load func(context.Context) (int64, error)) (int64, error) {
	return readthrough.Wrap(ctx, o.scope, key, load)
}

func (o *ours) getMany(ctx context.Context, keys []string, load func(context.Context, []string) (map[string]int64, error)) (map[string]int64, error) {
	return readthrough.WrapMany(ctx, o.scope, keys, func(key string) string { return key }, load)
}

func (o *ours) invalidate(ctx context.Context, keys, prefixes []string) error {
	_, err := o.scope.InvalidateTargets(ctx, readthrough.Targets{Keys: keys, Prefixes: prefixes})
	return err
}

func (o *ours) refresh(ctx context.Context, key string, load func(context.Context) (int64, error)) (int64, error) {
	return readthrough.Refresh(ctx, o.scope, key, load)
}

func (o *ours) put(ctx context.Context, key string, write func(context.Context) (int64, error)) (int64, error) {
	return readthrough.Put(ctx, o.scope, key, write)
}

func (o *ours) peek(key string) (int64, bool) {
	entry, found, err := o.store.Get(context.Background(), provider.Key{Scope: "history", Name: key})
	if err != nil || !found {
		return 0, false
	}
	value, ok := entry.Value.(int64)
	return value, ok
}

// slow returns a store outside the process: every call takes its time, before and
// after it does its work.
func slow(store *memory.Store) *double {
	pause := func(string) { time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond) }
	s := plain(store)
	s.before(basics, pause)
	s.after(basics, pause)
	return s
}

// failing returns a store that fails now and then: before or after it has done its
// work, or by doing it long after its deadline.
func failing(store *memory.Store) *double {
	s := slow(store)
	s.around(basics, func(_ context.Context, _ *request, work func() error) error {
		switch p := rand.IntN(200); {
		case p < 3:
			return errStore
		case p < 6:
			return errors.Join(errStore, work())
		case p < 8:
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		}
		return work()
	})
	return s
}

// naive is a cache as it is written by hand: single-flight around get, load and
// set; an invalidation deletes, and at best forgets the flight.
type naive struct {
	forget bool
	group  singleflight.Group
	mu     sync.Mutex // guards following
	values map[string]int64
}

func (n *naive) peek(key string) (int64, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	value, ok := n.values[key]
	return value, ok
}

func (n *naive) get(ctx context.Context, key string, load func(context.Context) (int64, error)) (int64, error) {
	if value, ok := n.peek(key); ok {
		return value, nil
	}
	value, err, _ := n.group.Do(key, func() (any, error) {
		value, err := load(ctx)
		if err == nil {
			n.mu.Lock()
			n.values[key] = value
			n.mu.Unlock()
		}
		return value, err
	})
	if err != nil {
		return 0, err
	}
	return value.(int64), nil
}

func (n *naive) getMany(ctx context.Context, keys []string, load func(context.Context, []string) (map[string]int64, error)) (map[string]int64, error) {
	values := map[string]int64{}
	var errs []error
	for _, key := range keys {
		value, err := n.get(ctx, key, func(ctx context.Context) (int64, error) {
			loaded, err := load(ctx, []string{key})
			return loaded[key], err
		})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		values[key] = value
	}
	return values, errors.Join(errs...)
}

func (n *naive) invalidate(_ context.Context, keys, prefixes []string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key := range n.values {
		if slices.Contains(keys, key) || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			delete(n.values, key)
		}
	}
	if n.forget {
		for _, key := range keys {
			n.group.Forget(key)
		}
	}
	return nil
}

// TestFleet is TestHistory for three processes that share a store with leases,
// over networks of every kind.
func TestFleet(t *testing.T) {
	networks := map[string]*network{
		"no network":   {},
		"slow":         {delay: 2 * time.Millisecond},
		"duplicates":   {delay: time.Millisecond, duplicates: true},
		"losses":       {delay: time.Millisecond, losses: true},
		"all of these": {delay: 4 * time.Millisecond, duplicates: true, losses: true},
	}
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		for how, options := range historyOptions() {
			t.Run(name+how, func(t *testing.T) {
				seed := pickSeed(t)
				synctest.Test(t, func(t *testing.T) {
					server := newLeaseServer()
					var processes []subject
					var scopes []*readthrough.CachedScope
					for range 3 {
						scope := newProcess(t, &leaseStore{server, networks[name]}, options)
						scopes = append(scopes, scope)
						processes = append(processes, &fleetProcess{ours{scope: scope}, server})
					}
					h := newHistory(seed, processes...)
					h.run(opsOf(how) / 2)
					h.verify(t, options, scopes...)
				})
			})
		}
	}
}

// newProcess returns a scope of a cache of its own on store.
func newProcess(t *testing.T, store provider.CacheProvider, options readthrough.ScopeOptions) *readthrough.CachedScope {
	t.Helper()
	cache, err := readthrough.New(store, readthrough.Options{OnError: func(*readthrough.OpError) {}})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, cache.Close())
	})
	scope, err := cache.Scope("history", options)
	require.NoError(t, err)
	return scope
}

// fleetProcess is one of several processes as a subject.
type fleetProcess struct {
	ours

	server *leaseServer
}

func (p *fleetProcess) peek(key string) (int64, bool) {
	entry, ok := p.server.peek(provider.Key{Scope: "history", Name: key})
	if !ok {
		return 0, false
	}
	value, ok := entry.Value.(int64)
	return value, ok
}
