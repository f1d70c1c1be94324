//go:build unix

package coherence_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

var attackTime = flag.Duration("attacks.time", time.Second, "how long each store is attacked")

// TestAttacks: functions of the user panic, exit and use the cache, loads of scopes with limits read each
// other, some keys and values are large, and connections die. No reader gets a value that is older than an
// invalidation which had returned before the read began, nobody hangs, and afterwards nothing is left.
func TestAttacks(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	stores := map[string]func(*attacks) provider.CacheProvider{"memory": (*attacks).memory, "redis": (*attacks).redis}
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			a := &attacks{t: t, seed: seed, disturb: func(*rand.Rand) {}}
			a.run(store(a))
		})
	}
}

// attacks is a cache under attack, and the source of its values.
type attacks struct {
	t       *testing.T
	seed    uint64
	scopes  []*readthrough.CachedScope
	cache   *readthrough.Cache
	disturb func(r *rand.Rand) // does something to the store
	peace   atomic.Bool
	// source has the version of each value, and announced the version of the last change that was announced.
	source, announced [attackedKeys]atomic.Int64

	reads, writes, pending, attacked, failed atomic.Int64
}

const attackedKeys = 48

func (a *attacks) memory() provider.CacheProvider {
	store, err := memory.New(memory.Options{MaxEntries: attackedKeys, Weigher: func(provider.Key, provider.Entry) int64 {
		a.attack(rand.IntN(40))
		return 1
	}})
	require.NoError(a.t, err)
	return store
}

func (a *attacks) redis() provider.CacheProvider {
	server := redistest.StartReal(a.t, redistest.Options{})
	proxy := redistest.NewProxy(a.t, server.Addr())
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true, Protocol: 2})
	a.t.Cleanup(func() { _ = client.Close() })
	store, err := redisprovider.New(client, redisprovider.Options{})
	require.NoError(a.t, err)
	a.disturb = func(r *rand.Rand) {
		switch r.IntN(3) {
		case 0:
			proxy.CutAll()
		case 1: // connections that are dead and look alive
			proxy.Hold(redistest.ToClient)
			time.Sleep(time.Duration(r.IntN(200)) * time.Millisecond)
			proxy.CutAll()
			proxy.Release(redistest.ToClient)
		default:
			proxy.Refuse(true)
			proxy.CutAll()
			time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
			proxy.Refuse(false)
		}
	}
	return store
}

// attack panics or ends the goroutine, for some n.
func (a *attacks) attack(n int) {
	if a.peace.Load() {
		return
	}
	switch n {
	case 0:
		a.attacked.Add(1)
		panic("attack")
	case 1:
		a.attacked.Add(1)
		runtime.Goexit()
	}
}

// called is called by functions of the observer and OnError.
func (a *attacks) called(ctx context.Context) {
	n := rand.IntN(60)
	a.attack(n)
	if a.peace.Load() || n > 4 {
		return
	}
	a.attacked.Add(1)
	key := rand.IntN(attackedKeys)
	switch n {
	case 2:
		_ = a.scope(key).Invalidate(ctx, a.key(key))
	case 3:
		_ = a.scope(key).Stats()
	default:
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_, _ = a.load(ctx, key, 1)
	}
}

func (a *attacks) event(ctx context.Context, _ readthrough.Event) { a.called(ctx) }

// scope returns the scope of a key.
func (a *attacks) scope(key int) *readthrough.CachedScope { return a.scopes[key%len(a.scopes)] }

// key returns the name of a key. Some are long.
func (*attacks) key(key int) string {
	if key%8 == 0 {
		return fmt.Sprintf("%d:%s", key, strings.Repeat("x", 8000))
	}
	return fmt.Sprintf("%d:", key)
}

// attackedValue is what is stored: a version, and sometimes much else.
type attackedValue struct {
	Version int64
	More    []byte
}

// load reads a key, whose load reads others, depth times.
func (a *attacks) load(ctx context.Context, key, depth int) (int64, error) {
	v, err := readthrough.Wrap(ctx, a.scope(key), a.key(key), func(ctx context.Context) (attackedValue, error) {
		version := a.source[key].Load()
		if rand.IntN(8) == 0 {
			time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		}
		a.attack(rand.IntN(60))
		if depth > 0 && rand.IntN(3) == 0 {
			_, _ = a.load(ctx, rand.IntN(attackedKeys), depth-1)
		}
		v := attackedValue{Version: version}
		if key%12 == 0 {
			v.More = make([]byte, 100<<10)
		}
		return v, nil
	})
	return v.Version, err
}

// run attacks for a while, and then looks at what is left.
func (a *attacks) run(store provider.CacheProvider) {
	t := a.t
	var err error
	a.cache, err = readthrough.New(store, readthrough.Options{
		OnError: func(*readthrough.OpError) { a.called(context.WithoutCancel(t.Context())) },
		Observer: readthrough.Observer{
			Miss: a.event, Join: a.event, Stale: a.event, LoadEnd: a.event, RefusedFill: a.event, Invalidate: a.event, Recovered: a.event,
			LoadStart: func(ctx context.Context, _ readthrough.Event) context.Context { a.called(ctx); return nil },
			Error:     func(ctx context.Context, _ *readthrough.OpError) { a.called(ctx) },
		},
	})
	require.NoError(t, err)
	for i, limit := range []int{0, 1, 2} {
		s, err := a.cache.Scope(fmt.Sprint("s", i), readthrough.ScopeOptions{TTL: 300 * time.Millisecond, MaxLoads: limit, LoadTimeout: 5 * time.Second, StaleWhileRevalidate: 100 * time.Millisecond})
		require.NoError(t, err)
		a.scopes = append(a.scopes, s)
	}
	var all sync.WaitGroup
	end := time.Now().Add(*attackTime)
	for i := range 12 {
		r := rand.New(rand.NewPCG(a.seed, uint64(i)))
		all.Go(func() {
			for time.Now().Before(end) {
				a.step(r, i)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(*attackTime + time.Minute):
		buffer := make([]byte, 1<<20)
		require.Fail(t, "hangs", "%s", buffer[:runtime.Stack(buffer, true)])
	}
	a.expectWell()
	require.NoError(t, a.cache.Close(), "Close")
	assert.Eventually(t, func() bool { return left() == "" }, proofs.Patience(), 10*time.Millisecond, "goroutines are left")
	assert.Empty(t, left(), "goroutines are left")
	t.Logf("%d reads (%d failed), %d writes (%d pending), %d attacks", a.reads.Load(), a.failed.Load(), a.writes.Load(), a.pending.Load(), a.attacked.Load())
}

// left returns the stacks of the goroutines that the cache and the stores have left.
func left() (stacks string) {
	buffer := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
		if strings.Contains(stack, "created by github.com/readthrough/readthrough.") ||
			strings.Contains(stack, "created by github.com/readthrough/readthrough/internal/backend.") ||
			strings.Contains(stack, "created by github.com/readthrough/readthrough/redisprovider.") {
			stacks += stack + "\n\n"
		}
	}
	return stacks
}

// step does one thing, in a goroutine that an attack may end.
func (a *attacks) step(r *rand.Rand, worker int) {
	ended := make(chan struct{})
	key, what := r.IntN(attackedKeys), r.IntN(100)
	go func() {
		defer close(ended)
		defer func() { _ = recover() }() // of the user's own goroutine
		switch {
		case worker == 0 && what < 2:
			a.disturb(r)
		case what < 12:
			a.write(key)
		default:
			a.read(key)
		}
	}()
	<-ended
}

// read reads a key, and checks the version.
func (a *attacks) read(key int) {
	least := a.announced[key].Load()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	version, err := a.load(ctx, key, 2)
	a.reads.Add(1)
	if err != nil {
		a.failed.Add(1)
		var panicked *readthrough.PanicError
		ours := errors.As(err, &panicked) || errors.Is(err, readthrough.ErrGoexit) || errors.Is(err, readthrough.ErrRecursiveLoad) ||
			errors.Is(err, readthrough.ErrLoadTimeout)
		assert.True(a.t, ours, "read: %v", err)
		return
	}
	assert.GreaterOrEqual(a.t, version, least, "a stale read of key %d", key)
}

// write changes a key, invalidates, and announces.
func (a *attacks) write(key int) {
	version := a.source[key].Add(1)
	err := a.scope(key).Invalidate(context.Background(), a.key(key))
	a.writes.Add(1)
	if err != nil {
		assert.ErrorIs(a.t, err, readthrough.ErrInvalidationPending)
		a.pending.Add(1)
	}
	for { // readers of this process are right also while it is pending
		known := a.announced[key].Load()
		if known >= version || a.announced[key].CompareAndSwap(known, version) {
			return
		}
	}
}

// expectWell waits until nothing is pending, and reads all keys.
func (a *attacks) expectWell() {
	a.peace.Store(true)
	for _, s := range a.scopes {
		require.Eventually(a.t, func() bool { stats := s.Stats(); return stats.Pending == 0 && stats.InFlight == 0 }, proofs.Patience(), 10*time.Millisecond,
			"%s: pending or in flight: %+v", s.Name(), s.Stats())
	}
	for key := range attackedKeys {
		version, err := a.load(a.t.Context(), key, 0)
		require.NoError(a.t, err)
		assert.Equal(a.t, a.source[key].Load(), version, "key %d", key)
	}
}
