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
		if n := testing.AllocsPerRun(1000, func() { _, _, _ = s.Get(ctx, k) }); n != 0 {
			t.Errorf("Get %s allocates %v times", name, n)
		}
		if n := testing.AllocsPerRun(1000, func() { _, _ = s.Has(ctx, k) }); n != 0 {
			t.Errorf("Has %s allocates %v times", name, n)
		}
	}
	keys := make([]provider.Key, 100)
	if n := testing.AllocsPerRun(100, func() { _, _ = s.GetMany(ctx, keys) }); n > 1 {
		t.Errorf("GetMany allocates %v times", n)
	}
	k := key("s", "0")
	if n := testing.AllocsPerRun(1000, func() { _ = s.Set(ctx, k, provider.Entry{}, time.Hour) }); n > 2 {
		t.Errorf("Set allocates %v times; the node and the map's own make 2", n)
	}
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
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
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
		if !errors.Is(err, provider.ErrClosed) || !strings.HasPrefix(err.Error(), "memory:") {
			t.Errorf("%s after Close: %v", call, err)
		}
	}
	if found {
		t.Error("Get after Close found something")
	}
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
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if waited := time.Since(closing); waited != 0 {
				t.Errorf("Close waited %v for the timer", waited)
			}
			if s.timer.Stop() {
				t.Error("the timer is set after Close")
			}
			if len(s.nodes()) != 0 || s.scopes != nil || s.policy.ghost.slots != nil {
				t.Error("the closed store has state")
			}
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
		if closed.Load() {
			t.Error("Close returned while a sweep was under way")
		}
		s.sweeps.Done()
		synctest.Wait()
		if !closed.Load() {
			t.Error("Close did not return after the sweep")
		}
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
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		calls.Wait()
	}
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
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
				if err := s.Delete(t.Context(), k); err != nil {
					t.Fatal(err)
				}
			case 1:
				if _, err := s.DeletePrefix(t.Context(), k.Scope, k.Name); err != nil {
					t.Fatal(err)
				}
			case 2:
				if i%1000 == 2 {
					time.Sleep(10 * time.Millisecond)
				}
			}
			if i%10_000 == 0 && s.liveSize() > budget {
				t.Fatalf("%d entries", s.liveSize())
			}
		}
		for i := range 1000 {
			if _, err := s.DeletePrefix(t.Context(), "scope"+strconv.Itoa(i), ""); err != nil {
				t.Fatal(err)
			}
		}
		if err := validate(s); err != nil {
			t.Error(err)
		}
		if s.count != 0 || len(s.scopes) != 0 || s.policy.ghost.slots != nil || s.wheel.count != 0 {
			t.Errorf("state is left: %d entries, %d scopes", s.count, len(s.scopes))
		}
		if grown := heap() - before; grown > 1<<20 {
			t.Errorf("%d bytes of heap are left", grown)
		}
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
		if err := s.Delete(t.Context(), key("s", strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for freed.Load() < n-kept && time.Now().Before(deadline) {
		runtime.GC()
		time.Sleep(time.Millisecond) // cleanups run in their own goroutine
	}
	if freed.Load() != n-kept {
		t.Errorf("%d values were freed, want %d", freed.Load(), n-kept)
	}
}

func TestLargeKeysAndValues(t *testing.T) {
	s := newStore(t, Options{})
	k := key(strings.Repeat("s", 1<<20), strings.Repeat("k", 1<<20))
	value := make([]byte, 100<<20)
	mustSet(t, s, k, &value, time.Hour)
	wantGet(t, s, k, &value)
	wantMiss(t, s, key(k.Scope, k.Name[1:]))
	if n, err := s.DeletePrefix(t.Context(), k.Scope, k.Name[:1<<19]); n != 1 || err != nil {
		t.Errorf("DeletePrefix = %d, %v", n, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := newStore(t, Options{})
	const n = 3*chunk + 5
	items, keys := make([]provider.Item, n), make([]provider.Key, n)
	for i := range items {
		keys[i] = key("s", strconv.Itoa(i%(n-2))) // two of them twice
		items[i] = provider.Item{Key: keys[i], Entry: entry(i), TTL: time.Hour}
	}
	if err := s.SetMany(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	results, err := s.GetMany(t.Context(), keys)
	if err != nil || len(results) != n {
		t.Fatalf("GetMany: %d results, %v", len(results), err)
	}
	for i, r := range results {
		want := i
		if i < 2 {
			want = n - 2 + i // the last one counts
		}
		if !r.Found || r.Err != nil || r.Entry.Value != want {
			t.Errorf("GetMany %d = %+v, want %d", i, r, want)
		}
	}
	if err := s.Delete(t.Context(), keys...); err != nil || s.count != 0 {
		t.Errorf("Delete: %v, %d are left", err, s.count)
	}
}
