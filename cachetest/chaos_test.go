package cachetest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/cachetest"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

var chaosSeeds = flag.Int("chaos.seeds", 4, "number of seeds of each chaos test")

// faultSets are each fault alone, and all of them.
func faultSets() map[string]cachetest.Faults {
	return map[string]cachetest.Faults{
		"none":       {},
		"errors":     {Error: 0.2},
		"lost":       {LostReply: 0.2},
		"delays":     {Delay: 0.7},
		"hangs":      {Hang: 0.05},
		"stuck":      {Stuck: 0.05},
		"duplicates": {Duplicate: 0.3, Delay: 0.3},
		"late":       {Late: 0.2, Delay: 0.3},
		"partial":    {Partial: 0.4, Delay: 0.3},
		"evictions":  {Evict: 0.3, Delay: 0.3},
		"corrupt":    {Corrupt: 0.3, Delay: 0.3},
		"all": {
			Error: 0.03, LostReply: 0.03, Delay: 0.3, Hang: 0.01, Stuck: 0.01, Duplicate: 0.1, Late: 0.03, Partial: 0.1,
			Evict: 0.1, Corrupt: 0.05,
		},
	}
}

// TestChaosHistory runs random operations on the cache over a store that fails in
// every way, alone and as three processes, and checks the history.
func TestChaosHistory(t *testing.T) {
	sets := faultSets()
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		for kind, processes := range map[string]int{"memory": 1, "leases": 3} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				seed := pickSeed(t)
				var injected cachetest.Injected
				swept, reads := 0, 0
				for n := range uint64(*chaosSeeds) {
					synctest.Test(t, func(t *testing.T) {
						c := newCluster(t, processes, seed+n, sets[name])
						report := c.run()
						swept += report.Swept
						reads += report.Reads
						got := c.chaos[0].Injected()
						injected.Calls += got.Calls
						injected.Errors += got.Errors
						injected.LostReplies += got.LostReplies
						injected.Delays += got.Delays
						injected.Hangs += got.Hangs
						injected.Stuck += got.Stuck
						injected.Duplicates += got.Duplicates
						injected.Late += got.Late
						injected.Partial += got.Partial
						injected.Evictions += got.Evictions
						injected.Corrupted += got.Corrupted
					})
				}
				t.Logf("%d reads, %d stored at the end, %+v", reads, swept, injected)
				assert.NotZero(t, swept, "nothing was stored at the end")
				checkInjected(t, sets[name], injected, processes > 1)
			})
		}
	}
}

// checkInjected checks that every fault that was asked for has happened.
func checkInjected(t *testing.T, f cachetest.Faults, n cachetest.Injected, batches bool) {
	t.Helper()
	for name, c := range map[string]struct {
		probability float64
		count       int64
	}{
		"Error": {f.Error, n.Errors}, "LostReply": {f.LostReply, n.LostReplies}, "Delay": {f.Delay, n.Delays},
		"Hang": {f.Hang, n.Hangs}, "Stuck": {f.Stuck, n.Stuck}, "Duplicate": {f.Duplicate, n.Duplicates},
		"Late": {f.Late, n.Late}, "Evict": {f.Evict, n.Evictions}, "Corrupt": {f.Corrupt, n.Corrupted},
		"Partial": {f.Partial, n.Partial},
	} {
		switch {
		case c.probability == 0:
			assert.Zero(t, c.count, "%s with probability 0", name)
		case name != "Partial" || batches:
			assert.NotZero(t, c.count, "%s with probability %v", name, c.probability)
		}
	}
}

// cluster is a number of processes that share a store, each with its own faults.
type cluster struct {
	t      *testing.T
	seed   uint64
	faults cachetest.Faults
	h      *cachetest.History
	source *cachetest.Source[cachetest.Value]
	chaos  []*cachetest.Chaos
	scopes []*readthrough.CachedScope
	caches []*readthrough.Cache
}

func newCluster(t *testing.T, processes int, seed uint64, faults cachetest.Faults) *cluster {
	t.Helper()
	c := &cluster{t: t, seed: seed, faults: faults, h: cachetest.NewHistory(cachetest.Options{})}
	c.source = cachetest.NewSource(c.h)
	c.source.Pause = func(context.Context) { time.Sleep(rand.N(2 * time.Millisecond)) }
	shared := newServer(flaws{})
	for p := range processes {
		var store provider.CacheProvider = &client{server: shared, process: p}
		if processes == 1 {
			local, err := memory.New(memory.Options{MaxEntries: 20})
			require.NoError(t, err)
			store = local
		}
		chaos, err := cachetest.NewChaos(store, cachetest.ChaosOptions{Seed: seed + uint64(p), Remote: true, Codec: provider.JSON(), Faults: faults})
		require.NoError(t, err)
		cache, err := readthrough.New(chaos.Store(), readthrough.Options{OnError: func(*readthrough.OpError) {}, BreakerCooldown: 50 * time.Millisecond})
		require.NoError(t, err)
		scope, err := cache.Scope("s", scopeOptions(seed, processes == 1))
		require.NoError(t, err)
		c.chaos, c.caches, c.scopes = append(c.chaos, chaos), append(c.caches, cache), append(c.scopes, scope)
	}
	return c
}

// scopeOptions are others for each seed.
func scopeOptions(seed uint64, limit bool) readthrough.ScopeOptions {
	o := readthrough.ScopeOptions{TTL: 20 * time.Millisecond}
	if seed%2 == 0 {
		o.TTL = time.Hour // something is left in the end
	}
	switch seed / 2 % 5 {
	case 0:
		o.StaleWhileRevalidate = 30 * time.Millisecond
	case 1:
		o.StaleIfError, o.SoftLoadTimeout = 50*time.Millisecond, time.Millisecond
	case 2:
		o.RefreshAheadFactor, o.ErrorTTL = 0.5, 5*time.Millisecond
	case 3:
		o.XFetchBeta = 2
		if limit {
			o.MaxLoads = 3
		}
	default:
	}
	return o
}

// run makes random operations, ends the faults, and checks what is left.
func (c *cluster) run() cachetest.Report {
	c.t.Helper()
	c.operations(0, 500, false)
	c.operations(500, 600, true) // when all is invalidated, so that something is left in the end
	for p, scope := range c.scopes {
		c.source.At(process(p)).Sweep(func(key string) (cachetest.Value, error) { return c.get(c.t.Context(), p, scope, key) })
	}
	report, err := c.h.Check()
	assert.NoError(c.t, err, "seed %d", c.seed)
	assert.GreaterOrEqual(c.t, report.Bound, 100, "too few of the reads could have been stale")
	for p, cache := range c.caches {
		stats := c.scopes[p].Stats()
		assert.Zero(c.t, stats.InFlight, "left behind: in flight")
		assert.Zero(c.t, stats.Pending, "left behind: pending")
		assert.NoError(c.t, errors.Join(cache.Close(), c.chaos[p].Close()))
	}
	return report
}

// operations makes the random operations from number begin on up to end, and waits
// until all is over.
func (c *cluster) operations(begin, end uint64, readOnly bool) {
	breakAll := func(chaos *cachetest.Chaos) {
		assert.NoError(c.t, chaos.Break(c.faults))
	}
	c.each(breakAll)
	var group sync.WaitGroup
	for n := begin; n < end; n++ {
		group.Go(func() { c.operate(rand.New(rand.NewPCG(c.seed, n)), readOnly) })
		if n%3 == 0 {
			time.Sleep(rand.N(2 * time.Millisecond))
		}
		switch n % 100 { // faults come and go
		case 50:
			c.each((*cachetest.Chaos).Heal)
		case 70:
			c.each(breakAll)
		}
	}
	group.Wait()
	c.each((*cachetest.Chaos).Heal)
	time.Sleep(time.Minute) // for retries, and for what is late
}

func (c *cluster) each(do func(*cachetest.Chaos)) {
	for _, chaos := range c.chaos {
		do(chaos)
	}
}

func (c *cluster) get(ctx context.Context, p int, scope *readthrough.CachedScope, key string) (cachetest.Value, error) {
	return readthrough.Wrap(ctx, scope, key, func(ctx context.Context) (cachetest.Value, error) {
		return c.source.At(process(p)).Load(ctx, key)
	})
}

// operate makes a random operation. With readOnly, it is a read.
func (c *cluster) operate(rng *rand.Rand, readOnly bool) {
	p := rng.IntN(len(c.scopes))
	scope, source, h := c.scopes[p], c.source.At(process(p)), c.h.At(process(p))
	ctx := context.Background()
	if rng.IntN(10) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(3000))*time.Microsecond)
		defer cancel()
	}
	pick := func() string { return fmt.Sprintf("f%d:%d", rng.IntN(2), rng.IntN(3)) }
	key := pick()
	n := rng.IntN(100)
	if readOnly {
		n = rng.IntN(75)
	}
	switch {
	case n < 45:
		_, _ = source.Read(key, func() (cachetest.Value, error) { return c.get(ctx, p, scope, key) })
	case n < 55:
		_, _ = source.Read(key, func() (cachetest.Value, error) {
			result, err := readthrough.WrapResult(ctx, scope, key, func(ctx context.Context) (cachetest.Value, error) {
				if n == 45 {
					return cachetest.Value{}, errors.New("the source failed")
				}
				return source.Load(ctx, key)
			})
			return result.Value, err
		})
	case n < 70:
		keys := []string{key, pick(), pick()}
		_, _ = source.ReadMany(slices.Compact(slices.Sorted(slices.Values(keys))), func() (map[string]cachetest.Value, error) {
			return readthrough.WrapMany(ctx, scope, keys, func(k string) string { return k }, source.LoadMany)
		})
	case n < 75:
		_, _ = source.Read(key, func() (cachetest.Value, error) {
			return readthrough.Refresh(ctx, scope, key, func(ctx context.Context) (cachetest.Value, error) { return source.Load(ctx, key) })
		})
	case n < 77:
		source.Delete(key)
		_ = h.Invalidate(key, func() error { return scope.Invalidate(ctx, key) })
	case n < 80:
		c.put(ctx, p, key)
	case n < 90:
		source.Write(key)
		_ = h.Invalidate(key, func() error { return scope.Invalidate(ctx, key) })
	case n < 95:
		keys := []string{key, pick()}
		source.Write(keys...)
		_ = h.InvalidateTargets(keys, nil, func() error { return scope.Invalidate(ctx, keys...) })
	default:
		source.Write(key)
		_ = h.InvalidatePrefix(key[:3], func() error {
			_, err := scope.InvalidatePrefix(ctx, key[:3])
			return err
		})
	}
}

// put writes through Put, which does what an invalidation does after the write.
func (c *cluster) put(ctx context.Context, p int, key string) {
	returned, recorded := make(chan error, 1), make(chan error, 1)
	wrote := false
	_, err := readthrough.Put(ctx, c.scopes[p], key, func(ctx context.Context) (cachetest.Value, error) {
		source := c.source.At(process(p))
		source.Write(key)
		wrote = true
		go func() {
			recorded <- c.h.At(process(p)).Invalidate(key, func() error { return <-returned })
		}()
		return source.Load(context.WithoutCancel(ctx), key)
	})
	if wrote {
		returned <- err
		<-recorded
	}
}

// recording is a store that says what reaches it.
type recording struct {
	provider.CacheProvider

	mu    sync.Mutex // guards following
	calls []string
}

func (r *recording) said(call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

func (r *recording) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

func (r *recording) Get(context.Context, provider.Key) (provider.Entry, bool, error) {
	r.said("Get")
	return provider.Entry{Value: 1}, true, nil
}

func (r *recording) Set(context.Context, provider.Key, provider.Entry, time.Duration) error {
	r.said("Set")
	return nil
}

func (r *recording) Delete(_ context.Context, keys ...provider.Key) error {
	for range keys {
		r.said("Delete")
	}
	return nil
}

// TestFaults checks of each fault what reaches the store, and what the caller gets,
// and when.
func TestFaults(t *testing.T) {
	const timeout = 50 * time.Millisecond
	key := provider.Key{Scope: "s", Name: "k"}
	tests := []struct {
		name      string
		faults    cachetest.Faults
		reaches   int           // the store, before the call returns
		later     int           // and until a second later
		fails     bool          // with an error of chaos
		takesMost time.Duration // at most
		takes     time.Duration // exactly; 0: unknown
	}{
		{name: "none", reaches: 1, later: 1},
		{name: "error", faults: cachetest.Faults{Error: 1}, fails: true},
		{name: "lost reply", faults: cachetest.Faults{LostReply: 1}, reaches: 1, later: 1, fails: true},
		{name: "delay", faults: cachetest.Faults{Delay: 1, MaxDelay: 10 * time.Millisecond}, reaches: 1, later: 1, takesMost: 20 * time.Millisecond},
		{name: "hang", faults: cachetest.Faults{Hang: 1}, fails: true, takes: timeout},
		{name: "stuck", faults: cachetest.Faults{Stuck: 1, MaxLate: time.Second}, reaches: 1, later: 1, takesMost: timeout + time.Second},
		{name: "late", faults: cachetest.Faults{Late: 1}, later: 1, fails: true},
		{name: "duplicate", faults: cachetest.Faults{Duplicate: 1}, reaches: 1, later: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &recording{CacheProvider: provider.Null()}
				chaos, err := cachetest.NewChaos(struct{ provider.CacheProvider }{store}, cachetest.ChaosOptions{Faults: tt.faults})
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				began := time.Now()
				err = chaos.Store().Delete(ctx, key)
				took, reached := time.Since(began), store.count()
				time.Sleep(time.Second)
				synctest.Wait()
				assert.Equal(t, tt.fails, errors.Is(err, cachetest.ErrChaos), "error %v", err)
				if !tt.fails {
					assert.NoError(t, err)
				}
				assert.Equal(t, tt.reaches, reached, "requests")
				assert.Equal(t, tt.later, store.count(), "requests later")
				assert.LessOrEqual(t, took, max(tt.takes, tt.takesMost), "it took")
				assert.GreaterOrEqual(t, took, tt.takes, "it took")
				if tt.name == "stuck" {
					assert.GreaterOrEqual(t, took, timeout, "it took")
				}
				chaos.Heal()
				assert.NoError(t, chaos.Store().Delete(t.Context(), key), "healed")
				assert.NoError(t, chaos.Close())
			})
		})
	}
}

// Only requests that may arrive late or twice do.
func TestSetsAreNeverLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &recording{CacheProvider: provider.Null()}
		chaos, err := cachetest.NewChaos(struct{ provider.CacheProvider }{store}, cachetest.ChaosOptions{Faults: cachetest.Faults{Late: 1, Duplicate: 1}})
		require.NoError(t, err)
		assert.NoError(t, chaos.Store().Set(t.Context(), provider.Key{Name: "k"}, provider.Entry{}, time.Second))
		time.Sleep(time.Minute)
		assert.Equal(t, 1, store.count(), "requests")
	})
}

// Corrupt entries cannot be read, and stay as they are in the store.
func TestCorrupt(t *testing.T) {
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	defer func() { _ = store.Close() }()
	chaos, err := cachetest.NewChaos(store, cachetest.ChaosOptions{Codec: provider.JSON()})
	require.NoError(t, err)
	key := provider.Key{Scope: "s", Name: "k"}
	read := func() (int, error) {
		entry, found, err := chaos.Store().Get(t.Context(), key)
		if err != nil || !found {
			return 0, errors.Join(err, errors.New("not found"))
		}
		encoded, ok := entry.Value.(provider.Encoded)
		if !ok {
			return 0, fmt.Errorf("a %T", entry.Value)
		}
		var value int
		err = encoded.Decode(&value)
		return value, err
	}
	require.NoError(t, chaos.Store().Set(t.Context(), key, provider.Entry{Value: 123456}, time.Hour))
	require.NoError(t, chaos.Break(cachetest.Faults{Corrupt: 1}, cachetest.OpGet))
	ways := map[string]bool{}
	for range 200 {
		value, err := read()
		require.ErrorIs(t, err, provider.ErrUndecodable, "read %d", value)
		ways[strings.SplitN(err.Error(), " ", 8)[3]] = true
	}
	assert.GreaterOrEqual(t, len(ways), 3, "ways in which it is damaged: %v", ways)
	chaos.Heal()
	value, err := read()
	assert.NoError(t, err, "healed")
	assert.Equal(t, 123456, value, "healed: read")
}

// Evictions take entries away, and partial batches fail for some keys.
func TestEvictAndPartial(t *testing.T) {
	ctx, server := t.Context(), newServer(flaws{})
	chaos, err := cachetest.NewChaos(&client{server: server}, cachetest.ChaosOptions{})
	require.NoError(t, err)
	keys := []provider.Key{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	leaser, ok := chaos.Store().(provider.Leaser)
	require.True(t, ok, "the leases are hidden")
	require.NoError(t, chaos.Break(cachetest.Faults{Partial: 1}, cachetest.OpAcquire))
	states := map[provider.GrantState]int{}
	whole := 0
	for range 50 {
		grants, err := leaser.Acquire(ctx, keys, time.Minute)
		if err != nil {
			whole++
		}
		var leases []provider.Lease
		for i, g := range grants {
			states[g.State]++
			if g.State == provider.LeaseFailed {
				assert.ErrorIs(t, g.Err, cachetest.ErrChaos, "key %d failed", i)
			}
			if g.State == provider.LeaseGranted {
				leases = append(leases, g.Lease)
			}
		}
		require.NoError(t, leaser.Release(ctx, leases))
	}
	assert.GreaterOrEqual(t, states[provider.LeaseFailed], 50, "keys that failed")
	assert.GreaterOrEqual(t, states[provider.LeaseGranted], 50, "keys that were granted")
	assert.NotZero(t, whole, "errors of the call")
	assert.NotEqual(t, 50, whole, "errors of the call")
	chaos.Heal()
	require.NoError(t, chaos.Store().Set(ctx, keys[0], provider.Entry{Value: 1}, time.Hour))
	require.NoError(t, chaos.Break(cachetest.Faults{Evict: 1}, cachetest.OpGet))
	for range 1000 {
		_, found, err := chaos.Store().Get(ctx, keys[0])
		require.NoError(t, err)
		if !found {
			return
		}
	}
	t.Error("it was never evicted")
}

// The same seed has the same faults, another has others.
func TestChaosIsRepeatable(t *testing.T) {
	run := func(seed uint64) (trace string) {
		chaos, err := cachetest.NewChaos(&client{server: newServer(flaws{})}, cachetest.ChaosOptions{
			Seed: seed, PerOp: map[cachetest.Op]cachetest.Faults{cachetest.OpGet: {Error: 0.3, LostReply: 0.3}},
		})
		require.NoError(t, err)
		for i := range 100 {
			_, _, err := chaos.Store().Get(t.Context(), provider.Key{Name: fmt.Sprint(i % 7)})
			trace += fmt.Sprintln(err)
		}
		return trace
	}
	first := run(1)
	assert.Equal(t, first, run(1), "the same seed has other faults")
	assert.NotEqual(t, first, run(2), "another seed has the same faults")
}

// Close ends what hangs, what is stuck and what is late; a bubble would not end
// otherwise.
func TestChaosCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &recording{CacheProvider: provider.Null()}
		chaos, err := cachetest.NewChaos(struct{ provider.CacheProvider }{store}, cachetest.ChaosOptions{
			PerOp: map[cachetest.Op]cachetest.Faults{
				cachetest.OpGet: {Hang: 1}, cachetest.OpSet: {Stuck: 1}, cachetest.OpDelete: {Late: 1, MaxLate: time.Hour},
			},
		})
		require.NoError(t, err)
		key := provider.Key{Name: "k"}
		errs := make(chan error, 2)
		go func() {
			_, _, err := chaos.Store().Get(t.Context(), key)
			errs <- err
		}()
		go func() { errs <- chaos.Store().Set(t.Context(), key, provider.Entry{}, time.Second) }()
		assert.ErrorIs(t, chaos.Store().Delete(t.Context(), key), cachetest.ErrChaos)
		synctest.Wait()
		assert.NoError(t, errors.Join(chaos.Close(), chaos.Close()))
		for range 2 {
			assert.ErrorIs(t, <-errs, cachetest.ErrChaos)
		}
		assert.Zero(t, store.count(), "requests that arrived")
		_, found, err := chaos.Store().Get(t.Context(), key)
		assert.NoError(t, err, "after Close")
		assert.True(t, found, "after Close")
	})
}

// slowDelete is a store whose deletions take a second, whatever their context says.
type slowDelete struct{ provider.CacheProvider }

func (slowDelete) Delete(context.Context, ...provider.Key) error {
	time.Sleep(time.Second)
	return nil
}

// Close waits for a late request that has reached the store.
func TestChaosCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chaos, err := cachetest.NewChaos(struct{ provider.CacheProvider }{slowDelete{provider.Null()}}, cachetest.ChaosOptions{
			Faults: cachetest.Faults{Late: 1, MaxLate: time.Millisecond},
		})
		require.NoError(t, err)
		require.ErrorIs(t, chaos.Store().Delete(t.Context(), provider.Key{Name: "k"}), cachetest.ErrChaos)
		time.Sleep(time.Millisecond)
		synctest.Wait() // it is on its way
		began := time.Now()
		require.NoError(t, chaos.Close())
		assert.GreaterOrEqual(t, time.Since(began), 900*time.Millisecond, "it waited")
	})
}

// Options with bad values are refused, each by its name.
func TestChaosOptions(t *testing.T) {
	local, err := memory.New(memory.Options{})
	require.NoError(t, err)
	defer func() { _ = local.Close() }()
	var none *memory.Store
	tests := []struct {
		store   provider.CacheProvider
		options cachetest.ChaosOptions
		want    []string
	}{
		{nil, cachetest.ChaosOptions{}, []string{"cachetest: NewChaos: store: must not be nil"}},
		{none, cachetest.ChaosOptions{}, []string{"store: must not be nil"}},
		{local, cachetest.ChaosOptions{Faults: cachetest.Faults{Error: 1.5, Evict: -1, Late: math.NaN(), MaxDelay: -1, MaxLate: -1}}, []string{
			"Faults.Error: 1.5: must be from 0 to 1", "Faults.Evict: -1", "Faults.Late: NaN", "Faults.MaxDelay: -1ns: must not be negative", "Faults.MaxLate",
		}},
		{local, cachetest.ChaosOptions{Faults: cachetest.Faults{Delay: 0.1, Hang: 0.1, Stuck: 0.1}}, []string{"Faults.Delay: 0.1: calls of a store in the process never wait", "Hang", "Stuck"}},
		{local, cachetest.ChaosOptions{PerOp: map[cachetest.Op]cachetest.Faults{99: {}}}, []string{"Op: 99: no such method"}},
		{local, cachetest.ChaosOptions{PerOp: map[cachetest.Op]cachetest.Faults{cachetest.OpGet: {Error: 2}}}, []string{"Faults.Error: 2"}},
	}
	for _, tt := range tests {
		_, err := cachetest.NewChaos(tt.store, tt.options)
		for _, want := range tt.want {
			assert.ErrorContains(t, err, want)
		}
	}
	_, err = cachetest.NewChaos(local, cachetest.ChaosOptions{Remote: true, Faults: cachetest.Faults{Delay: 1, Hang: 1}})
	assert.NoError(t, err)
}
