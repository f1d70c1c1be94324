package readthrough_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// turnstile is a load function that notes which keys were loaded, in order, and how
// many at once.
type turnstile struct {
	takes time.Duration

	mu            sync.Mutex // guards following
	order         []string
	running, most int
}

func (l *turnstile) load(key string) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		l.mu.Lock()
		l.order = append(l.order, key)
		l.running++
		l.most = max(l.most, l.running)
		l.mu.Unlock()
		defer func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.running--
		}()
		select {
		case <-time.After(l.takes):
			return 1, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// want compares what was loaded.
func (l *turnstile) want(t *testing.T, most int, order ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	assert.Equal(t, most, l.most, "loaded at once")
	assert.Equal(t, order, l.order, "loaded")
}

// At most MaxLoads loads run at once, in the order in which they came, and each
// begins in the moment in which a place is free.
func TestLoadsWaitInOrder(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		const limit, n = 3, 10
		s, l := newScope(t, limited(limit)), turnstile{takes: time.Second}
		began := time.Now()
		var readers []<-chan result[int]
		var order []string
		for i := range n {
			key := fmt.Sprint(i)
			order = append(order, key)
			readers = append(readers, wrapAsync(t.Context(), s, key, l.load(key)))
			time.Sleep(time.Millisecond)
		}
		for i, reader := range readers {
			r := <-reader
			want(t, "reader", r.value, r.err, 1)
			took, due := time.Since(began), time.Duration(i/limit+1)*time.Second+time.Duration(i%limit)*time.Millisecond
			assert.Equal(t, due, took, "load %d ended", i)
		}
		l.want(t, limit, order...)
		wantIdle(t, s)
	})
}

// A bulk load is one.
func TestBulkLoadTakesOnePlace(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s, l := newScope(t, limited(1)), turnstile{takes: time.Second}
		elapsed := took(func() {
			single := wrapAsync(t.Context(), s, "a", l.load("a"))
			synctest.Wait()
			values, err := readthrough.WrapMany(t.Context(), s, []string{"b", "c", "d"}, self, many(l.load("b, c, d")))
			want(t, "bulk", len(values), err, 3)
			<-single
		})
		assert.Equal(t, 2*time.Second, elapsed, "took")
		l.want(t, 1, "a", "b, c, d")
		wantIdle(t, s)
	})
}

// However a load ends, and whatever happens to one that waits, no place is lost.
func TestPlacesAreNotLost(t *testing.T) {
	endings := map[string]func(context.Context) (int, error){
		"value":     func(context.Context) (int, error) { return 1, nil },
		"error":     func(context.Context) (int, error) { return 0, errDatabase },
		"panic":     func(context.Context) (int, error) { panic("load") },
		"goexit":    func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
		"cancelled": func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
		"nested":    nil,
	}
	for name, load := range endings {
		for kind, store := range storeKinds() {
			bubble(t, name+"/"+kind, func(t *testing.T) {
				s := newScope(t, on(store(t)), limited(2))
				if name == "nested" {
					load = func(ctx context.Context) (int, error) {
						return readthrough.Wrap(ctx, s, fmt.Sprint(time.Now().UnixNano()), newSource(1).load)
					}
				}
				for i := range 9 { // more than there are places, some of which have to wait
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
					wrapAsync(ctx, s, fmt.Sprint(i), load)
					time.AfterFunc(time.Minute, cancel)
				}
				time.Sleep(time.Hour)
				wantIdle(t, s)
				value, err := readthrough.Wrap(t.Context(), s, "k", newSource(7).load)
				want(t, "afterwards", value, err, 7)
			})
		}
	}
}

// A reader that leaves the queue leaves no place behind, and does not hold up
// those behind it. Its load function is not run, and counts as no load.
func TestLeavingTheQueue(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s, l := newScope(t, limited(1)), turnstile{takes: time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		began := time.Now()
		first := wrapAsync(t.Context(), s, "a", l.load("a"))
		synctest.Wait()
		impatient := wrapAsync(ctx, s, "b", l.load("b"))
		synctest.Wait()
		last := wrapAsync(t.Context(), s, "c", l.load("c"))
		assert.ErrorIs(t, (<-impatient).err, context.DeadlineExceeded, "the impatient reader")
		assert.Equal(t, time.Second/2, time.Since(began), "the impatient reader")
		<-first
		<-last
		assert.Equal(t, 2*time.Second, time.Since(began), "took")
		l.want(t, 1, "a", "c")
		stats := s.Stats()
		assert.Equal(t, int64(2), stats.Loads, "loads")
		assert.Zero(t, stats.LoadErrors, "errors counted")
		wantIdle(t, s)
	})
}

// LoadTimeout includes the time in the queue.
func TestLoadTimeoutIncludesTheQueue(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, limited(1), serving(func(so *readthrough.ScopeOptions) { so.LoadTimeout = 3 * time.Second }))
		l := turnstile{takes: 2 * time.Second}
		began := time.Now()
		wrapAsync(t.Context(), s, "a", l.load("a"))
		synctest.Wait()
		b := wrapAsync(t.Context(), s, "b", func(context.Context) (int, error) {
			return l.load("b")(t.Context()) // it does not heed its end, at which it would give c its place
		})
		synctest.Wait()
		c := wrapAsync(t.Context(), s, "c", l.load("c"))
		for key, reader := range map[string]<-chan result[int]{"b": b, "c": c} {
			assert.ErrorIs(t, (<-reader).err, readthrough.ErrLoadTimeout, key)
			assert.Equal(t, 3*time.Second, time.Since(began), key)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		l.want(t, 1, "a", "b") // c's turn never came
		wantIdle(t, s)
	})
}

func TestCloseEmptiesTheQueue(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		cache := newCache(t, newStore(t), readthrough.Options{})
		s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute, MaxLoads: 1})
		require.NoError(t, err)
		l := turnstile{takes: time.Hour}
		var readers []<-chan result[int]
		for i := range 5 {
			readers = append(readers, wrapAsync(t.Context(), s, fmt.Sprint(i), l.load("")))
		}
		synctest.Wait()
		assert.NoError(t, cache.Close())
		for _, reader := range readers {
			assert.ErrorIs(t, (<-reader).err, readthrough.ErrClosed)
		}
		l.want(t, 1, "")
		wantIdle(t, s)
	})
}

// A reader that has a stale value does not wait for a turn, and neither does a load
// in the background, which waits for a pause and then for the next read.
func TestWhoHasAValueDoesNotQueue(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t, limited(1), serving(func(so *readthrough.ScopeOptions) {
				so.StaleWhileRevalidate, so.StaleIfError = time.Minute, time.Hour
			}))
			src := newSource(1)
			_, err := read(t.Context(), s, "k", src.load)
			require.NoError(t, err)
			l := turnstile{takes: 2 * time.Minute}
			time.Sleep(time.Minute) // the TTL
			other := wrapAsync(t.Context(), s, "other", l.load(""))
			synctest.Wait()
			got, err := read(t.Context(), s, "k", src.load)
			wantResult(t, "while revalidating", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStale, Age: time.Minute})
			wantIdleBut(t, s, 1)
			time.Sleep(time.Minute)
			got, err = read(t.Context(), s, "k", src.load)
			wantResult(t, "instead of the queue", got, err, readthrough.Result[int]{
				Value: 1, Source: readthrough.FromStale, Age: 2 * time.Minute, Err: readthrough.ErrStillLoading,
			})
			wantLoads(t, &src.loads, 1)
			assert.Zero(t, s.Stats().Refreshes, "refreshes: none was begun")
			<-other
			src.set(2)
			got, err = read(t.Context(), s, "k", src.load)
			wantResult(t, "when there is a place", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromLoad})
			wantIdle(t, s)
		})
	}
}

// A reader that has a stale value does not wait for a load that has queued, but if
// that has its place by now, it goes on, whoever else leaves it.
func TestLoadThatHasQueuedGoesOn(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, limited(1), serving(func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }))
		src, l := newSource(1), turnstile{takes: time.Second}
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "first", value, err, 1)
		time.Sleep(time.Minute)
		src.set(2)
		src.take(time.Minute)
		other := wrapAsync(t.Context(), s, "other", l.load(""))
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		refreshed := async(func() (int, error) { return readthrough.Refresh(ctx, s, "k", src.load) }) // queues
		<-other
		synctest.Wait() // its turn has come
		got, err := readthrough.WrapResult(t.Context(), s, "k", src.load)
		wantResult(t, "who has a value", got, err, readthrough.Result[int]{
			Value: 1, Source: readthrough.FromStale, Age: time.Minute + time.Second, Err: readthrough.ErrStillLoading,
		})
		cancel()
		<-refreshed
		time.Sleep(time.Minute + time.Second)
		got, err = readthrough.WrapResult(t.Context(), s, "k", src.load)
		wantResult(t, "afterwards", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromStore, Age: time.Second})
		wantIdle(t, s)
	})
}

// A refresh that found no place is not tried again for a while, which costs a
// goroutine each time.
func TestRefreshWithoutAPlaceRests(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, limited(1), serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Minute }))
		src, l := newSource(1), turnstile{takes: 50 * time.Millisecond}
		read := func() int {
			value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
			assert.NoError(t, err)
			synctest.Wait()
			return value
		}
		read()
		src.set(2)
		time.Sleep(time.Minute)
		other := wrapAsync(t.Context(), s, "other", l.load(""))
		synctest.Wait()
		read()
		<-other
		time.Sleep(50*time.Millisecond - 1)
		read()
		wantLoads(t, &src.loads, 1)
		time.Sleep(1)
		read()
		wantLoads(t, &src.loads, 2)
		assert.Equal(t, 2, read())
	})
}

// Loads that a load function waits for do not wait for its place, over any number
// of steps and scopes.
func TestNestedLoadsDoNotWaitForTheirOwnPlace(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		cache := newCache(t, newStore(t), readthrough.Options{})
		scope := func(name string, limit int) *readthrough.CachedScope {
			s, err := cache.Scope(name, readthrough.ScopeOptions{TTL: time.Minute, MaxLoads: limit})
			require.NoError(t, err)
			return s
		}
		one, free := scope("one", 1), scope("free", 0)
		// first reads through another scope what waits in the queue of its own, and
		// reads it in bulk with what it reads alone.
		first := func(ctx context.Context) (int, error) {
			time.Sleep(time.Second)
			return readthrough.Wrap(ctx, free, "between", func(ctx context.Context) (int, error) {
				values, err := readthrough.WrapMany(ctx, one, []string{"second", "third"}, self, many(newSource(3).load))
				return values["second"] + values["third"], err
			})
		}
		reader := wrapAsync(t.Context(), one, "first", first)
		synctest.Wait()
		queued := wrapAsync(t.Context(), one, "second", newSource(4).load)
		stranger := turnstile{takes: time.Second}
		waiting := wrapAsync(t.Context(), one, "stranger", stranger.load("stranger"))
		r := <-reader
		want(t, "nested", r.value, r.err, 4+3)
		r = <-queued
		want(t, "queued", r.value, r.err, 4)
		<-waiting
		wantIdle(t, one)
		wantIdle(t, free)
	})
}

// The same if the load in between is waiting for the queue already.
func TestLoadThatComesToWaitForTheQueue(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		cache := newCache(t, newStore(t), readthrough.Options{})
		scope := func(name string, limit int) *readthrough.CachedScope {
			s, err := cache.Scope(name, readthrough.ScopeOptions{TTL: time.Minute, MaxLoads: limit})
			require.NoError(t, err)
			return s
		}
		one, free := scope("one", 1), scope("free", 0)
		between := func(ctx context.Context) (int, error) {
			return readthrough.Wrap(ctx, one, "queued", newSource(3).load)
		}
		first := wrapAsync(t.Context(), one, "first", func(ctx context.Context) (int, error) {
			time.Sleep(time.Second)
			return readthrough.Wrap(ctx, free, "between", between)
		})
		synctest.Wait() // it has the place
		second := wrapAsync(t.Context(), free, "between", between)
		for name, reader := range map[string]<-chan result[int]{"first": first, "between": second} {
			r := <-reader
			want(t, name, r.value, r.err, 3)
		}
		wantIdle(t, one)
		wantIdle(t, free)
	})
}

// Several loads of one bulk read may have to wait for a turn one after the other:
// what another process was loading is loaded later.
func TestCallThatQueuesTwice(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newLeaseStore()
		s, l := newScope(t, on(store), limited(1)), turnstile{takes: time.Second}
		_, err := store.Acquire(t.Context(), []provider.Key{{Scope: "test", Name: "busy"}}, time.Hour)
		require.NoError(t, err)
		wrapAsync(t.Context(), s, "x", l.load("x"))
		synctest.Wait()
		bulk := async(func() (map[string]int, error) {
			return readthrough.WrapMany(t.Context(), s, []string{"free", "busy"}, self, func(ctx context.Context, ids []string) (map[string]int, error) {
				return many(l.load(fmt.Sprint(ids)))(ctx, ids)
			})
		})
		time.Sleep(1500 * time.Millisecond)
		wrapAsync(t.Context(), s, "y", l.load("y")) // gets its turn while the bulk read waits for the lease
		r := <-bulk
		want(t, "bulk", len(r.value), r.err, 2)
		l.want(t, 1, "x", "[free]", "y", "[busy]")
		wantIdle(t, s)
	})
}

// The same in the load function of one that has the place, and waits.
func TestNestedCallThatQueuesTwice(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newLeaseStore()
		s := newScope(t, on(store), limited(1))
		_, err := store.Acquire(t.Context(), []provider.Key{{Scope: "test", Name: "busy"}}, time.Hour)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		value, err := readthrough.Wrap(ctx, s, "k", func(ctx context.Context) (int, error) {
			values, err := readthrough.WrapMany(ctx, s, []string{"free", "busy"}, self, many(newSource(1).load))
			return len(values), err
		})
		want(t, "nested", value, err, 2)
		wantIdle(t, s)
	})
}

// A lease is taken when the load may begin, not while it waits: it would end, and
// what is loaded could not be stored, for as long as there is a queue.
func TestLeaseDoesNotWaitInTheQueue(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		server := newLeaseServer()
		s := newScope(t, on(&leaseStore{server, &network{}}), limited(1))
		l := turnstile{takes: time.Minute} // longer than a lease
		wrapAsync(t.Context(), s, "first", l.load("first"))
		synctest.Wait()
		src := newSource(1)
		queued := wrapAsync(t.Context(), s, "k", src.load)
		synctest.Wait()
		server.mu.Lock()
		_, leased := server.liveLocked(provider.Key{Scope: "test", Name: "k"})
		server.mu.Unlock()
		assert.False(t, leased, "the load has a lease while it waits in the queue")
		r := <-queued
		want(t, "queued", r.value, r.err, 1)
		_, ok := server.peek(provider.Key{Scope: "test", Name: "k"})
		assert.True(t, ok, "what was loaded after the queue is not stored")
	})
}

// wantIdleBut fails the test unless so many keys of the scope are in flight.
func wantIdleBut(t *testing.T, s *readthrough.CachedScope, inFlight int) {
	t.Helper()
	synctest.Wait()
	assert.Equal(t, inFlight, s.Stats().InFlight, "keys in flight")
}

var limitSeed = flag.Uint64("limit.seed", 0, "seed of the random programs of nested loads; 0: a random one")

// nest has scopes of one cache with a limit, whose loads read keys of each other. It counts the loads
// that run at once in a scope. A load that has begun to read does not count: others may run in its place.
type nest struct {
	limit  int
	read   reading[int]
	scopes []*readthrough.CachedScope

	mu      sync.Mutex // guards following
	running []int
	most    []int
}

func newNest(t *testing.T, scopes, limit int, read reading[int]) *nest {
	t.Helper()
	n := &nest{limit: limit, read: read, running: make([]int, scopes), most: make([]int, scopes)}
	cache := newCache(t, newStore(t), readthrough.Options{})
	for i := range scopes {
		s, err := cache.Scope(fmt.Sprint("s", i), readthrough.ScopeOptions{TTL: time.Hour, MaxLoads: limit})
		require.NoError(t, err)
		n.scopes = append(n.scopes, s)
	}
	return n
}

// count counts a load that begins, or that ends or reads for the first time.
func (n *nest) count(scope, by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running[scope] += by
	n.most[scope] = max(n.most[scope], n.running[scope])
}

// load returns a load function of a scope, which takes that long before each of its steps and at its
// end.
func (n *nest) load(scope int, takes time.Duration, steps ...func(context.Context) error) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		n.count(scope, 1)
		left := sync.OnceFunc(func() { n.count(scope, -1) })
		defer left()
		for _, step := range steps {
			time.Sleep(takes)
			left()
			if err := step(ctx); err != nil {
				return 0, err
			}
		}
		time.Sleep(takes)
		return 1, nil
	}
}

// check waits for readers, and fails the test if something is left over.
func (n *nest) check(t *testing.T, what string, readers []<-chan result[readthrough.Result[int]]) {
	t.Helper()
	for _, reader := range readers {
		select {
		case r := <-reader:
			want(t, what, r.value.Value, r.err, 1)
		case <-time.After(time.Hour):
			require.Fail(t, "a read does not end", what)
		}
	}
	for i, s := range n.scopes {
		wantIdle(t, s)
		assert.LessOrEqual(t, n.most[i], n.limit, "%s: loads of scope %d that ran at once", what, i)
	}
}

// A load that has a place of one scope reads a key that is queued in the next one, behind loads that
// do the same, and so on in a circle. In whatever order that comes about, all reads end.
func TestLoadsThatQueueForEachOther(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for name, read := range resultReads[int]() {
		for _, size := range []struct{ scopes, limit int }{{2, 1}, {3, 1}, {2, 2}, {3, 2}} {
			bubble(t, fmt.Sprintf("%s/%d scopes, %d places", name, size.scopes, size.limit), func(t *testing.T) {
				for range 50 {
					n := newNest(t, size.scopes, size.limit, read)
					order := rng.Perm(2 * size.scopes * size.limit) // when each of the following happens
					at := func(i int) time.Duration { return time.Duration(order[i]+1) * time.Second }
					var readers []<-chan result[readthrough.Result[int]]
					for i := range size.scopes * size.limit {
						scope, next, queued := i%size.scopes, (i+1)%size.scopes, fmt.Sprint("queued ", i)
						load := n.load(next, time.Minute)
						readers = append(readers, async(func() (readthrough.Result[int], error) { // it has a place
							return read(t.Context(), n.scopes[scope], fmt.Sprint("holder ", i), n.load(scope, at(2*i), func(ctx context.Context) error {
								_, err := read(ctx, n.scopes[next], queued, load)
								return err
							}))
						}), async(func() (readthrough.Result[int], error) {
							time.Sleep(at(2*i + 1))
							return read(t.Context(), n.scopes[next], queued, load)
						}))
					}
					n.check(t, fmt.Sprint(order), readers)
				}
			})
		}
	}
}

// Loads of a few scopes come at random times, take a while, and read keys that are loaded later or
// already, alone or several at once. All reads end, and no more loads run at once than may.
func TestRandomNestedLoads(t *testing.T) {
	if *limitSeed == 0 {
		*limitSeed = rand.Uint64()
	}
	t.Logf("run again with -limit.seed=%d", *limitSeed)
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			for round := range 100 {
				rng := rand.New(rand.NewPCG(*limitSeed, uint64(round))) //nolint:gosec // not negative
				n := newNest(t, 1+rng.IntN(3), 1+rng.IntN(3), read)
				keys := 3 + rng.IntN(12)
				scopeOf := func(i int) int { return i * 7 % 5 % len(n.scopes) }
				var readers []<-chan result[readthrough.Result[int]]
				for i := range keys { // each reads only keys that come after it
					var steps []func(context.Context) error
					for range rng.IntN(3) {
						scope := rng.IntN(len(n.scopes))
						var ids []string
						for j := i + 1; j < keys; j++ {
							if scopeOf(j) == scope && rng.IntN(2) == 0 {
								ids = append(ids, fmt.Sprint(j))
							}
						}
						steps = append(steps, func(ctx context.Context) error {
							// What it loads itself reads nothing: with it, keys of one load could wait for each other.
							_, err := readthrough.WrapMany(ctx, n.scopes[scope], ids, self, many(n.load(scope, time.Second)))
							return err
						})
					}
					load := n.load(scopeOf(i), time.Duration(rng.IntN(3))*time.Second, steps...)
					comes := time.Duration(rng.IntN(10)) * time.Second
					readers = append(readers, async(func() (readthrough.Result[int], error) {
						time.Sleep(comes)
						return read(t.Context(), n.scopes[scopeOf(i)], fmt.Sprint(i), load)
					}))
				}
				n.check(t, fmt.Sprint("round ", round), readers)
			}
		})
	}
}
