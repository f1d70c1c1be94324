package memory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/provider"
)

func TestHitsAllocateNothing(t *testing.T) {
	s := newStore(t, Options{})
	ctx := t.Context()
	for i, ttl := range []time.Duration{time.Hour, provider.NoExpiry} {
		mustSet(t, s, key("s", strconv.Itoa(i)), i, ttl)
	}
	for _, name := range []string{"0", "1", "nobody"} {
		k := key("s", name)
		assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _, _ = s.Get(ctx, k) }), "allocations of Get %s", name)
		assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = s.Has(ctx, k) }), "allocations of Has %s", name)
	}
	keys := make([]provider.Key, 100)
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = s.GetMany(ctx, keys) }), 1.0, "allocations of GetMany")
	k := key("s", "0")
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() { _ = s.Set(ctx, k, provider.Entry{}, time.Hour) }), 2.0, "allocations of Set: the node and the map's own make 2")
}

// TestReadsTakeNoLock reads while the lock is held.
func TestReadsTakeNoLock(t *testing.T) {
	s := newStore(t, Options{})
	mustSet(t, s, key("s", "k"), 1, time.Hour)
	s.mu.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		wantGet(t, s, key("s", "k"), 1)
		wantMiss(t, s, key("s", "nobody"))
	}()
	select {
	case <-done:
	case <-time.After(time.Minute): // only if it hangs
		t.Error("a read waits for the lock")
	}
	s.mu.Unlock()
	<-done
}

func TestClosed(t *testing.T) {
	s := newStore(t, Options{})
	k := key("s", "k")
	mustSet(t, s, k, 1, time.Hour)
	for range 2 {
		require.NoError(t, s.Close())
	}
	ctx := t.Context()
	_, found, getErr := s.Get(ctx, k)
	results, manyErr := s.GetMany(ctx, []provider.Key{k})
	_, hasErr := s.Has(ctx, k)
	_, statsErr := s.Stats(ctx)
	_, listErr := s.List(ctx, provider.ListOptions{})
	_, listScopeErr := s.List(ctx, provider.ListOptions{Scope: "s"})
	_, prefixErr := s.DeletePrefix(ctx, "s", "")
	item := provider.Item{Key: k, TTL: time.Hour}
	for call, err := range map[string]error{
		"Get": getErr, "GetMany": manyErr, "GetMany's result": results[0].Err, "Has": hasErr,
		"Stats": statsErr, "List": listErr, "List of a scope": listScopeErr, "DeletePrefix": prefixErr,
		"Set": s.Set(ctx, k, entry(1), time.Hour), "SetMany": s.SetMany(ctx, []provider.Item{item}),
		"SetMany of nothing": s.SetMany(ctx, nil), "Delete": s.Delete(ctx, k), "Delete of nothing": s.Delete(ctx),
	} {
		assert.ErrorIs(t, err, provider.ErrClosed, "%s after Close", call)
		assert.Regexp(t, "^memory:", err, "%s after Close", call)
	}
	assert.False(t, found, "Get after Close found something")
}

// TestCloseEndsEverything: the bubble fails if a goroutine is left.
func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wait := range []time.Duration{0, time.Second, time.Second + 1<<tickBits, time.Minute} {
			s := newStore(t, Options{})
			for i := range 10 * chunk {
				mustSet(t, s, key("s", strconv.Itoa(i)), i, time.Second)
			}
			time.Sleep(wait)
			closing := time.Now()
			assert.NoError(t, s.Close())
			assert.Zero(t, time.Since(closing), "Close waited for the timer")
			assert.False(t, s.timer.Stop(), "the timer is set after Close")
			assert.Empty(t, s.nodes(), "the closed store has state")
			assert.Nil(t, s.scopes, "the closed store has state")
			assert.Nil(t, s.policy.ghost.slots, "the closed store has state")
		}
	})
}

// TestCloseWaitsForASweep that is under way.
func TestCloseWaitsForASweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{})
		s.sweeps.Add(1) // as one that is under way has it
		var closed atomic.Bool
		go func() {
			_ = s.Close()
			closed.Store(true)
		}()
		synctest.Wait()
		assert.False(t, closed.Load(), "Close returned while a sweep was under way")
		s.sweeps.Done()
		synctest.Wait()
		assert.True(t, closed.Load(), "Close did not return after the sweep")
	})
}

// TestCloseAmongCalls closes a store while it is in use, with sweeps under way.
func TestCloseAmongCalls(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		s := newStore(t, Options{MaxEntries: 100})
		var calls sync.WaitGroup
		for w := range 4 {
			calls.Go(func() {
				for i := range 500 {
					k := key("s", strconv.Itoa(i*w%300))
					err := s.Set(t.Context(), k, entry(i), time.Duration(1+i%50)*time.Microsecond)
					_, _, getErr := s.Get(t.Context(), k)
					_, delErr := s.DeletePrefix(t.Context(), "s", "1")
					for _, err := range []error{err, getErr, delErr} {
						if err != nil && !errors.Is(err, provider.ErrClosed) {
							t.Error(err)
						}
					}
				}
			})
		}
		runtime.Gosched()
		assert.NoError(t, s.Close())
		calls.Wait()
	}
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before, "goroutines")
}

// TestConcurrentUse has everything at once. Values say under which key they were
// stored and carry a counter that only goes up per key.
func TestConcurrentUse(t *testing.T) {
	type value struct {
		key provider.Key
		n   int64
	}
	r := random(t)
	s := newStore(t, Options{MaxEntries: 200, MaxWeight: 2000, Weigher: func(k provider.Key, _ provider.Entry) int64 {
		return int64(5 + len(k.Name)%10)
	}})
	ctx := t.Context()
	const names = 400
	var stamps [names]atomic.Int64
	var locks [names]sync.Mutex // one writer per key at a time, so that order is known
	var calls sync.WaitGroup
	for range 4 {
		seed := r.Uint64()
		calls.Go(func() {
			r := rand.New(rand.NewPCG(seed, 2))
			for range 10_000 {
				i := r.IntN(names)
				k := key("abc"[i%3:i%3+1], fmt.Sprintf("%c:%d", 'p'+rune(i%5), i))
				switch r.IntN(20) {
				case 0, 1, 2, 3, 4, 5:
					locks[i].Lock()
					stamp := stamps[i].Add(1)
					if err := s.Set(ctx, k, entry(value{k, stamp}), time.Duration(1+r.IntN(1_000_000_000))); err != nil {
						t.Error(err)
					}
					locks[i].Unlock()
				case 6:
					locks[i].Lock()
					if err := s.Delete(ctx, k); err != nil {
						t.Error(err)
					}
					if _, ok, _ := s.Get(ctx, k); ok {
						t.Errorf("%v is there after it was deleted", k)
					}
					locks[i].Unlock()
				case 7:
					if _, err := s.DeletePrefix(ctx, k.Scope, k.Name[:1+r.IntN(2)]); err != nil {
						t.Error(err)
					}
				case 8:
					if _, err := s.List(ctx, provider.ListOptions{Sort: provider.Sort(r.IntN(3))}); err != nil {
						t.Error(err)
					}
				default:
					e, ok, err := s.Get(ctx, k)
					if v, _ := e.Value.(value); err != nil || ok && (v.key != k || v.n < 1 || v.n > stamps[i].Load()) {
						t.Errorf("Get %v = %v, %v, %v", k, e.Value, ok, err)
					}
				}
			}
		})
	}
	calls.Wait()
}

// TestReadersSeeOldOrNew: while an entry is replaced there is no moment without
// it, and what was read once never goes back.
func TestReadersSeeOldOrNew(t *testing.T) {
	s := newStore(t, Options{MaxEntries: 10})
	k := key("s", "k")
	mustSet(t, s, k, 0, time.Hour)
	quit := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			last := 0
			for {
				select {
				case <-quit:
					return
				default:
				}
				e, ok, err := s.Get(t.Context(), k)
				v, _ := e.Value.(int)
				if !ok || err != nil || v < last {
					t.Errorf("Get = %v, %v, %v after %d", e.Value, ok, err, last)
					return
				}
				last = v
			}
		})
	}
	for i := range 20_000 {
		mustSet(t, s, k, i, time.Hour)
	}
	close(quit)
	readers.Wait()
}

// TestKeysLeaveNoState stores many times as many keys as there is room for and
// gets rid of them in every way that there is.
func TestKeysLeaveNoState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget, keys = 5_000, 200_000
		s := newStore(t, Options{MaxEntries: budget})
		before := heap()
		for i := range keys {
			k := key("scope"+strconv.Itoa(i%1000), strconv.Itoa(i))
			ttl := time.Duration(1+i%1000) * time.Millisecond
			if i%5 == 0 {
				ttl = provider.NoExpiry
			}
			mustSet(t, s, k, i, ttl)
			switch i % 4 {
			case 0:
				require.NoError(t, s.Delete(t.Context(), k))
			case 1:
				_, err := s.DeletePrefix(t.Context(), k.Scope, k.Name)
				require.NoError(t, err)
			case 2:
				if i%1000 == 2 {
					time.Sleep(10 * time.Millisecond)
				}
			}
			if i%10_000 == 0 {
				require.LessOrEqual(t, s.liveSize(), budget, "entries")
			}
		}
		for i := range 1000 {
			_, err := s.DeletePrefix(t.Context(), "scope"+strconv.Itoa(i), "")
			require.NoError(t, err)
		}
		assert.NoError(t, validate(s))
		assert.Zero(t, s.count, "entries left")
		assert.Empty(t, s.scopes, "scopes left")
		assert.Nil(t, s.policy.ghost.slots, "state of the policy left")
		assert.Zero(t, s.wheel.count, "timers left")
		assert.LessOrEqual(t, heap()-before, int64(1<<20), "bytes of heap that are left")
	})
}

// TestRemovedValuesAreFreed: the parts of a store must not keep values that are
// no longer stored. (The nodes of the ordered index share arrays after a split,
// so that what was removed from one can be reachable through another.)
func TestRemovedValuesAreFreed(t *testing.T) {
	s := newStore(t, Options{})
	const n = 20_000
	var freed atomic.Int64
	r := random(t)
	for _, i := range r.Perm(n) {
		value := new([64]byte)
		runtime.AddCleanup(value, func(int) { freed.Add(1) }, 0)
		mustSet(t, s, key("s", strconv.Itoa(i)), value, time.Hour)
	}
	kept := int64(0)
	for i := range n {
		if i%10 >= 3 { // most stay, so that the nodes of the index do too
			kept++
			continue
		}
		require.NoError(t, s.Delete(t.Context(), key("s", strconv.Itoa(i))))
	}
	deadline := time.Now().Add(proofs.Patience())
	for freed.Load() < n-kept && time.Now().Before(deadline) {
		runtime.GC()
		time.Sleep(time.Millisecond) // cleanups run in their own goroutine
	}
	assert.Equal(t, n-kept, freed.Load(), "values that were freed")
}

func TestLargeKeysAndValues(t *testing.T) {
	s := newStore(t, Options{})
	k := key(strings.Repeat("s", 1<<20), strings.Repeat("k", 1<<20))
	value := make([]byte, 100<<20)
	mustSet(t, s, k, &value, time.Hour)
	if e, found, err := s.Get(t.Context(), k); err != nil || !found || e.Value != &value { // which nobody wants printed
		t.Errorf("Get = %v, %v; want the very value", found, err)
	}
	wantMiss(t, s, key(k.Scope, k.Name[1:]))
	n, err := s.DeletePrefix(t.Context(), k.Scope, k.Name[:1<<19])
	assert.NoError(t, err, "DeletePrefix")
	assert.Equal(t, 1, n, "DeletePrefix")
}

func TestManyAtOnce(t *testing.T) {
	s := newStore(t, Options{})
	const n = 3*chunk + 5
	items, keys := make([]provider.Item, n), make([]provider.Key, n)
	for i := range items {
		keys[i] = key("s", strconv.Itoa(i%(n-2))) // two of them twice
		items[i] = provider.Item{Key: keys[i], Entry: entry(i), TTL: time.Hour}
	}
	require.NoError(t, s.SetMany(t.Context(), items))
	results, err := s.GetMany(t.Context(), keys)
	require.NoError(t, err, "GetMany")
	require.Len(t, results, n, "GetMany")
	for i, r := range results {
		want := i
		if i < 2 {
			want = n - 2 + i // the last one counts
		}
		assert.NoError(t, r.Err, "GetMany %d", i)
		assert.True(t, r.Found, "GetMany %d", i)
		assert.Equal(t, want, r.Entry.Value, "GetMany %d", i)
	}
	assert.NoError(t, s.Delete(t.Context(), keys...), "Delete")
	assert.Zero(t, s.count, "entries left")
}
