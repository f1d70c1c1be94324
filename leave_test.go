package readthrough_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

type contextKey struct{}

func TestLoadKeepsValuesAndDropsCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		first, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "first"))
		first, cancelDeadline := context.WithTimeout(first, time.Hour)
		defer cancelDeadline()
		gate := make(chan struct{})
		load := func(ctx context.Context) (string, error) {
			_, ok := ctx.Deadline()
			assert.False(t, ok, "the load has the deadline of its first caller")
			<-gate
			assert.NoError(t, ctx.Err(), "the load was cancelled")
			value, _ := ctx.Value(contextKey{}).(string)
			return value, nil
		}
		leader := wrapAsync(first, s, "k", load)
		synctest.Wait()
		joiner := wrapAsync(context.WithValue(t.Context(), contextKey{}, "second"), s, "k", load)
		synctest.Wait()
		cancel()
		r := <-leader
		assert.ErrorIs(t, r.err, context.Canceled, "the leader got %q and not its own cancellation", r.value)
		synctest.Wait()
		close(gate)
		r = <-joiner
		want(t, "joiner", r.value, r.err, "first")
		value, err := readthrough.Wrap(t.Context(), s, "k", load)
		want(t, "stored", value, err, "first")
		wantIdle(t, s)
	})
}

func TestEachWaiterLeavesAtItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		load := func(context.Context) (int, error) {
			time.Sleep(300 * time.Millisecond)
			return 7, nil
		}
		began := time.Now()
		type leaving struct {
			after time.Duration
			err   error
		}
		read := func(timeout time.Duration) <-chan result[leaving] {
			return async(func() (leaving, error) {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				_, err := readthrough.Wrap(ctx, s, "k", load)
				return leaving{time.Since(began), err}, nil
			})
		}
		leader := read(20 * time.Millisecond)
		synctest.Wait()
		short, long := read(10*time.Millisecond), read(time.Second)
		for _, c := range []struct {
			who    string
			got    leaving
			wanted leaving
		}{
			{"short joiner", (<-short).value, leaving{10 * time.Millisecond, context.DeadlineExceeded}},
			{"leader", (<-leader).value, leaving{20 * time.Millisecond, context.DeadlineExceeded}},
			{"long joiner", (<-long).value, leaving{300 * time.Millisecond, nil}},
		} {
			assert.Equal(t, c.wanted, c.got, c.who)
		}
		wantIdle(t, s)
	})
}

func TestLastReaderOutCancelsTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, src := newScope(t), newGated("old")
		loading := make(chan context.Context, 1)
		stubborn := func(ctx context.Context) (string, error) {
			loading <- ctx
			return src.stubborn(ctx)
		}
		ctx1, cancel1 := context.WithCancel(t.Context())
		ctx2, cancel2 := context.WithCancel(t.Context())
		first := wrapAsync(ctx1, s, "k", stubborn)
		load := <-loading
		second := wrapAsync(ctx2, s, "k", stubborn)
		synctest.Wait()
		cancel1()
		<-first
		synctest.Wait()
		require.NoError(t, load.Err(), "the load was cancelled although a reader waits for it")
		cancel2()
		<-second
		synctest.Wait()
		assert.ErrorIs(t, load.Err(), context.Canceled, "the context of the load that nobody waits for")
		// The load goes on: it pays no attention. A new reader waits for it.
		fresh := newSource("new")
		third := wrapAsync(t.Context(), s, "k", fresh.load)
		synctest.Wait()
		wantLoads(t, &fresh.loads, 0)
		close(src.gate)
		r := <-third
		want(t, "reader after the last one left", r.value, r.err, "old")
		wantIdle(t, s)
		value, err := readthrough.Wrap(t.Context(), s, "k", fresh.load)
		want(t, "reader after the cancelled load returned", value, err, "new")
		wantLoads(t, &fresh.loads, 1)
		assert.Zero(t, s.Stats().RefusedFills, "refused fills: none was because of an invalidation")
	})
}

// A cancelled load must not fill either while nobody has loaded the key again.
func TestCancelledLoadIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := plain(newStore(t))
		s, src := newScope(t, on(store.as(capInProcess))), newGated("old")
		ctx, cancel := context.WithCancel(t.Context())
		reader := wrapAsync(ctx, s, "k", src.stubborn)
		synctest.Wait()
		cancel()
		<-reader
		close(src.gate)
		wantIdle(t, s)
		assert.Zero(t, store.count("set"), "fills")
	})
}

func TestBulkReaderLeavesSeveralCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		var mu sync.Mutex // guards following
		ended := ""
		load := func(name string) func(ctx context.Context, ids []string) (map[string]int, error) {
			return func(ctx context.Context, _ []string) (map[string]int, error) {
				<-ctx.Done()
				mu.Lock()
				ended += name
				mu.Unlock()
				return nil, ctx.Err()
			}
		}
		read := func(name string, ids ...string) context.CancelFunc {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				values, err := readthrough.WrapMany(ctx, s, ids, self, load(name))
				assert.Same(t, context.Canceled, err, name) // once, from however many calls
				assert.Empty(t, values, name)
			}()
			synctest.Wait()
			return cancel
		}
		leaveA := read("A", "a")
		leaveB := read("B", "b")
		leaveC := read("C", "c", "a", "b") // joins A and B, and calls for c
		steps := []struct {
			leave context.CancelFunc
			ended string
		}{{leaveA, ""}, {leaveC, "AC"}, {leaveB, "ACB"}}
		for _, step := range steps {
			step.leave()
			synctest.Wait()
			// A and C end at the same moment, in any order.
			require.Equal(t, step.ended, strings.Replace(ended, "CA", "AC", 1), "ended loads")
		}
		wantIdle(t, s)
	})
}

// A bulk reader whose context ends keeps what the loads brought that had ended.
func TestBulkReaderThatLeavesKeepsWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		quick, slow := newGated(1), newGated(2)
		wrapAsync(t.Context(), s, "quick", quick.load)
		other := wrapAsync(t.Context(), s, "slow", slow.load)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		bulk := async(func() (map[string]int, error) {
			return readthrough.WrapMany(ctx, s, []string{"slow", "quick"}, self, many(quick.load))
		})
		synctest.Wait()
		close(quick.gate)
		synctest.Wait()
		cancel()
		r := <-bulk
		assert.ErrorIs(t, r.err, context.Canceled)
		assert.Equal(t, map[string]int{"quick": 1}, r.value)
		close(slow.gate)
		o := <-other
		want(t, "the other reader of the slow key", o.value, o.err, 2)
		wantIdle(t, s)
	})
}

// The load is done and its result is being stored when the reader's context
// ends: the result is there, and the reader gets it.
func TestResultThatIsThereWinsOverAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storing, hold := make(chan struct{}), make(chan struct{})
		store := plain(newStore(t))
		store.before("set", func(string) { close(storing); <-hold })
		s, src := newScope(t, on(store.as(capInProcess))), newSource(7)
		ctx, cancel := context.WithCancel(t.Context())
		reader := wrapAsync(ctx, s, "k", src.load)
		bulk := async(func() (map[string]int, error) {
			return readthrough.WrapMany(ctx, s, []string{"k"}, self, many(src.load))
		})
		<-storing
		synctest.Wait()
		cancel()
		r := <-reader // although the store has not answered yet
		want(t, "reader", r.value, r.err, 7)
		b := <-bulk
		want(t, "bulk reader", b.value["k"], b.err, 7)
		close(hold)
		wantIdle(t, s)
	})
}

// The same with leases.
func TestResultThatIsBeingFilledWins(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newLeaseStore()
		s := newScope(t, on(store))
		ctx, cancel := context.WithCancel(t.Context())
		reader := wrapAsync(ctx, s, "k", func(context.Context) (int, error) {
			store.network.slowReplies.Store(int64(20 * time.Millisecond)) // to the fill
			return 7, nil
		})
		time.Sleep(time.Millisecond)
		cancel()
		r := <-reader
		want(t, "reader", r.value, r.err, 7)
		time.Sleep(time.Second)
		wantIdle(t, s)
	})
}

// The reader of two keys leaves while its call waits for the lease of one of them,
// and has the value of the other: that one is not loaded any more.
func TestLeavingACallThatHasLoadedAPart(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newLeaseStore()
		s, src := newScope(t, on(store)), newSource(1)
		_, err := store.Acquire(t.Context(), []provider.Key{{Scope: "test", Name: "busy"}}, time.Hour)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err = readthrough.WrapMany(ctx, s, []string{"free", "busy"}, self, many(src.load))
		assert.ErrorIs(t, err, context.Canceled, "the end of the context")
		time.Sleep(time.Minute)
		wantLoads(t, &src.loads, 1)
		wantIdle(t, s)
	})
}

// No load function is called when nobody waits any more.
func TestLoadAfterEverybodyLeft(t *testing.T) {
	for _, how := range []string{"left", "closed"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newLeaseServer()
				store := &leaseStore{server, &network{}}
				cache, scope := newFleetScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{})
				_, err := store.Acquire(t.Context(), []provider.Key{{Scope: "fleet", Name: "k"}}, 10*time.Second)
				require.NoError(t, err)
				var calls, closed atomic.Int64
				ctx, cancel := context.WithCancel(t.Context())
				reader := wrapAsync(ctx, scope, "k", func(ctx context.Context) (int, error) { calls.Add(1); closed.Store(1); return 1, nil })
				time.Sleep(50 * time.Millisecond)
				if how == "left" {
					cancel()
				} else {
					require.NoError(t, cache.Close())
				}
				<-reader
				synctest.Wait()
				cancel()
				assert.Zero(t, calls.Load(), "the load function was called although nobody waits any more")
			})
		})
	}
}

// What an abandoned load returns is not stored, with leases and without.
func TestAbandonedLoadIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer()
		store := &leaseStore{server, &network{}}
		_, scope := newFleetScope(t, store, readthrough.Options{}, readthrough.ScopeOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = readthrough.WrapMany(ctx, scope, []string{"a", "b"}, func(s string) string { return s },
				func(ctx context.Context, ids []string) (map[string]int, error) {
					m := map[string]int{}
					for _, id := range ids {
						select {
						case <-ctx.Done():
							return m, nil // a loader that stops early, as rows.Next does without rows.Err
						case <-time.After(time.Second):
							m[id] = 1
						}
					}
					return m, nil
				})
		}()
		time.Sleep(500 * time.Millisecond)
		cancel()
		<-done
		synctest.Wait()
		e, ok := server.peek(provider.Key{Scope: "fleet", Name: "a"})
		assert.False(t, ok, "stored after everybody left: %+v", e)
	})
}

// A context is anybody's code, and is not asked under a lock.
type nosyContext struct {
	context.Context //nolint:containedctx // it is one

	scope *readthrough.CachedScope
}

func (c nosyContext) Err() error { c.scope.Stats(); return c.Context.Err() }

func TestContextErrUnderLock(t *testing.T) {
	_, scope := newFleetScope(t, newStore(t), readthrough.Options{}, readthrough.ScopeOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	source := newGated(1)
	reader := wrapAsync[int](nosyContext{ctx, scope}, scope, "k", source.load)
	time.Sleep(50 * time.Millisecond)
	cancel()
	select {
	case <-reader:
	case <-time.After(2 * time.Second):
		t.Fatal("deadlock: ctx.Err was called under the scope's lock")
	}
}

// A load that takes longer than SoftLoadTimeout goes on without its readers, and
// fills, unless an invalidation came; the next reader begins another then.
func TestSoftLoadTimeout(t *testing.T) {
	onEachPath(t, func(so *readthrough.ScopeOptions) { so.StaleIfError, so.SoftLoadTimeout = 3*time.Hour, time.Second }, func(t *testing.T, p *path) {
		src := newSource(1)
		expect := func(what string, value int, source readthrough.Source, age, within time.Duration, cause error) {
			t.Helper()
			var got readthrough.Result[int]
			var err error
			assert.Equal(t, within, took(func() { got, err = p.read(src.load) }), "%s: took", what)
			wantResult(t, what, got, err, readthrough.Result[int]{Value: value, Source: source, Age: age, Err: cause})
		}
		expect("first", 1, readthrough.FromLoad, 0, 0, nil)
		time.Sleep(time.Minute)
		src.set(2)
		src.take(time.Second - 1) // which is in time
		expect("a load in time", 2, readthrough.FromLoad, 0, time.Second-1, nil)
		time.Sleep(time.Minute)
		src.set(3)
		src.take(time.Second + 1)
		expect("a slow load", 2, readthrough.FromStale, time.Minute+time.Second, time.Second, readthrough.ErrStillLoading)
		expect("again", 2, readthrough.FromStale, time.Minute+time.Second, 0, readthrough.ErrStillLoading)
		wantLoads(t, &src.loads, 3)
		time.Sleep(2)
		expect("after the load", 3, readthrough.FromStore, 1, 0, nil)
		time.Sleep(time.Minute)
		src.take(time.Hour)
		expect("a load that hangs", 3, readthrough.FromStale, time.Minute+1+time.Second, time.Second, readthrough.ErrStillLoading)
		src.set(4)
		p.invalidateNow()
		src.take(time.Millisecond)
		expect("after an invalidation", 4, readthrough.FromLoad, 0, time.Millisecond, nil)
		time.Sleep(2 * time.Hour) // the load that hung has ended
		wantIdle(t, p.scope)
		v, _ := stored(t, p.store, "k:1")
		assert.Equal(t, 4, v, "what is stored")
	})
}

// A bulk read leaves a slow load only if it has a stale value for all that it
// loads.
func TestSoftLoadTimeoutOfABulkRead(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.StaleIfError, so.SoftLoadTimeout = time.Hour, time.Second }))
		src := newSource(1)
		read := func(ids ...string) (map[string]int, error) {
			return readthrough.WrapMany(t.Context(), s, ids, self, many(src.load))
		}
		_, err := read("a", "b")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		src.set(2)
		src.take(time.Minute / 2)
		elapsed := took(func() {
			values, err := read("a", "new")
			want(t, "with a new id", values["a"]*10+values["new"], err, 22)
		})
		assert.Equal(t, time.Minute/2, elapsed, "with a new id: took what the load takes")
		elapsed = took(func() {
			values, err := read("a", "b")
			want(t, "of what there is", values["a"]*10+values["b"], err, 21)
		})
		assert.Equal(t, time.Second, elapsed, "of what there is: took")
		time.Sleep(time.Minute)
		wantIdle(t, s)
	})
}

// dying is a context that ends when it was asked for its error that often.
type dying struct {
	context.Context //nolint:containedctx // it is one

	asked *atomic.Int64
	after int64
}

func (c dying) Err() error {
	if c.asked.Add(1) > c.after {
		return context.Canceled
	}
	return nil
}

// A reader that does not wait for a slow load gets the stale value or the end of
// its context, whenever that comes, and never ErrStillLoading.
func TestStillLoadingIsNotReturned(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.StaleIfError, so.SoftLoadTimeout = time.Hour, time.Second }))
			src := newSource(1)
			_, err := read(t.Context(), s, "k", src.load)
			require.NoError(t, err)
			time.Sleep(time.Minute)
			src.take(time.Minute)
			served := 0
			for after := range int64(20) {
				got, err := read(dying{t.Context(), new(atomic.Int64), after}, s, "k", src.load)
				switch {
				case err == nil && errors.Is(got.Err, readthrough.ErrStillLoading):
					served++
				case !errors.Is(err, context.Canceled):
					t.Errorf("a context that ends after %d questions: got %+v and error %v", after, got, err)
				}
			}
			assert.NotZero(t, served, "no reader was served")
			time.Sleep(time.Hour)
			wantIdle(t, s)
		})
	}
}

// A load that does not look at its context goes on when everybody has left it. A reader that comes then
// waits for it: there is one load of a key at a time (G6), and somebody gets its value.
func TestOneLoadThoughItsReadersHaveLeft(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t)
			var running, most, loads, got int
			var mu sync.Mutex // guards those
			load := func(context.Context) (int, error) {
				mu.Lock()
				running, loads = running+1, loads+1
				most = max(most, running)
				mu.Unlock()
				time.Sleep(400 * time.Millisecond)
				mu.Lock()
				running--
				mu.Unlock()
				return 42, nil
			}
			for range 30 {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				if r, err := read(ctx, s, "k", load); err == nil {
					assert.Equal(t, 42, r.Value)
					got++
				} else {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				}
				cancel()
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Second)
			wantIdle(t, s)
			mu.Lock()
			defer mu.Unlock()
			assert.Equal(t, 1, most, "loads of the key at once")
			assert.NotZero(t, got, "readers that got the value")
			assert.LessOrEqual(t, loads, 5, "loads")
		})
	}
}

// The reader that waits for the end of such a load gets no error of those who have left it, and no
// value from before an invalidation. It waits no longer than LoadTimeout allows the load.
func TestLoadThatIsLeftHarmsNobody(t *testing.T) {
	leave := func(t *testing.T, s *readthrough.CachedScope, load func(context.Context) (string, error)) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		first := wrapAsync(ctx, s, "k", load)
		synctest.Wait()
		cancel()
		<-first
	}
	bubble(t, "an error", func(t *testing.T) {
		s, fresh := newScope(t), newSource("new")
		leave(t, s, func(ctx context.Context) (string, error) { <-ctx.Done(); time.Sleep(time.Second); return "", ctx.Err() })
		value, err := readthrough.Wrap(t.Context(), s, "k", fresh.load)
		want(t, "the next reader", value, err, "new")
		wantIdle(t, s)
	})
	for name, invalidate := range map[string]func(s *readthrough.CachedScope) error{
		"an invalidation":          func(s *readthrough.CachedScope) error { return s.Invalidate(t.Context(), "k") },
		"a prefix invalidation":    func(s *readthrough.CachedScope) error { _, err := s.InvalidatePrefix(t.Context(), ""); return err },
		"an invalidation, earlier": nil,
	} {
		bubble(t, name, func(t *testing.T) {
			s, fresh := newScope(t), newSource("new")
			old := newGated("old")
			if invalidate == nil { // between the load and the end of its last reader
				ctx, cancel := context.WithCancel(t.Context())
				first := wrapAsync(ctx, s, "k", old.stubborn)
				synctest.Wait()
				require.NoError(t, s.Invalidate(t.Context(), "k"))
				cancel()
				<-first
			} else {
				leave(t, s, old.stubborn)
				require.NoError(t, invalidate(s))
			}
			reader := wrapAsync(t.Context(), s, "k", fresh.load)
			synctest.Wait()
			close(old.gate)
			r := <-reader
			want(t, "the reader after the invalidation", r.value, r.err, "new")
			wantIdle(t, s)
			value, err := readthrough.Wrap(t.Context(), s, "k", fresh.load)
			want(t, "what is stored", value, err, "new")
		})
	}
	bubble(t, "LoadTimeout", func(t *testing.T) {
		s, fresh := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.LoadTimeout = time.Minute })), newSource("new")
		old := newGated("old")
		leave(t, s, old.stubborn)
		began := time.Now()
		value, err := readthrough.Wrap(t.Context(), s, "k", fresh.load)
		want(t, "the next reader", value, err, "new")
		assert.Equal(t, time.Minute, time.Since(began), "it has waited")
		close(old.gate)
		wantIdle(t, s)
	})
}

// A Refresh during the fill of a load whose time is over loads for itself: it neither takes the older
// outcome, nor joins that load again and again without waiting.
func TestRefreshDuringAFillDoesNotSpin(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := plain(newStore(t))
		store.before("set", func(string) { time.Sleep(40 * time.Millisecond) })
		s, src := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.LoadTimeout = time.Second })), newSource(7)
		src.take(time.Second - 1)
		first := wrapAsync(t.Context(), s, "k", src.load)
		time.Sleep(time.Second + time.Millisecond)
		src.take(0)
		src.set(8)
		value, err := readthrough.Refresh(t.Context(), s, "k", src.load)
		want(t, "Refresh", value, err, 8)
		<-first
		wantLoads(t, &src.loads, 2)
		assert.Zero(t, s.Stats().Joined, "joins")
		time.Sleep(time.Second)
		wantIdle(t, s)
	})
}

// A load that no reader waits for and that hangs does not keep its key from being loaded for ever, also
// without LoadTimeout.
func TestBackgroundLoadThatHangsIsBounded(t *testing.T) {
	for name, change := range map[string]func(*readthrough.ScopeOptions){
		"refresh":      func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = 24 * time.Hour },
		"soft timeout": func(so *readthrough.ScopeOptions) { so.StaleIfError, so.SoftLoadTimeout = 24*time.Hour, time.Second },
	} {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t, serving(change))
			src := newSource(1)
			value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
			want(t, "first", value, err, 1)
			time.Sleep(2 * time.Minute) // the TTL is over
			hung := make(chan struct{})
			value, err = readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) { <-hung; return 9, nil })
			want(t, "while the load hangs", value, err, 1)
			time.Sleep(5*time.Minute + time.Second)
			src.set(2)
			for range 2 { // the first read finds that the load has timed out, and the next one loads
				_, err = readthrough.Wrap(t.Context(), s, "k", src.load)
				require.NoError(t, err)
				time.Sleep(2 * time.Second) // RetryAfter
			}
			value, err = readthrough.Wrap(t.Context(), s, "k", src.load)
			want(t, "after its time", value, err, 2)
			close(hung)
			wantIdle(t, s)
		})
	}
}

// The context of a load that has ended is no longer the context of a load: a read with it may wait for
// the key.
func TestContextOfAnEndedLoad(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t)
		var kept context.Context
		value, err := readthrough.Wrap(t.Context(), s, "k", func(ctx context.Context) (int, error) {
			kept = context.WithoutCancel(ctx) //nolint:fatcontext // kept beyond the load, which is what is tested
			return 1, nil
		})
		want(t, "first", value, err, 1)
		require.NoError(t, s.Invalidate(t.Context(), "k"))
		src := newGated(2)
		other := wrapAsync(t.Context(), s, "k", src.load)
		synctest.Wait()
		again := wrapAsync(kept, s, "k", src.load)
		synctest.Wait()
		close(src.gate)
		for _, reader := range []<-chan result[int]{other, again} {
			r := <-reader
			want(t, "reader", r.value, r.err, 2)
		}
		wantIdle(t, s)
	})
}

// A load that has ended waits for nobody, though the load that has waited for it still waits for others. So a read
// with its context may wait for that one: it is no circle (ErrRecursiveLoad).
func TestContextOfAnEndedLoadClosesNoCircle(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t)
		var kept context.Context
		other := newGated(2)
		ended := make(chan struct{})
		first := wrapAsync(t.Context(), s, "ended", func(ctx context.Context) (int, error) {
			kept = context.WithoutCancel(ctx) //nolint:fatcontext // kept beyond the load, which is what is tested
			<-ended
			return 1, nil
		})
		second := wrapAsync(t.Context(), s, "other", other.load)
		synctest.Wait()
		waiting := func(ctx context.Context) (int, error) {
			values, err := readthrough.WrapMany(ctx, s, []string{"ended", "other"}, self, many(newSource(9).load))
			return len(values), err
		}
		reader := wrapAsync(t.Context(), s, "waiting", waiting)
		synctest.Wait()
		close(ended)
		want(t, "the load that ends", (<-first).value, nil, 1)
		synctest.Wait()
		again := wrapAsync(kept, s, "waiting", waiting)
		synctest.Wait()
		close(other.gate)
		<-second
		for _, reader := range []<-chan result[int]{reader, again} {
			r := <-reader
			want(t, "reader", r.value, r.err, 2)
		}
		wantIdle(t, s)
	})
}

// A reader that has joined a load of another type loads for itself like any other: within LoadTimeout
// and MaxLoads, and its panics and Goexits are its own.
func TestReaderOfAnotherTypeLoadsLikeOthers(t *testing.T) {
	for _, failure := range failures {
		bubble(t, failure.name, func(t *testing.T) {
			var reported reports
			s, src := newScope(t, reported.collect()), newGated("text")
			first := wrapAsync(t.Context(), s, "k", src.load)
			synctest.Wait()
			other := wrapAsync(t.Context(), s, "k", func(context.Context) (int, error) { return 0, failure.fail() })
			synctest.Wait()
			close(src.gate)
			<-first
			assert.True(t, failure.check((<-other).err))
			wantIdle(t, s)
		})
	}
	bubble(t, "LoadTimeout, MaxLoads", func(t *testing.T) {
		var reported reports
		s := newScope(t, reported.collect(), serving(func(so *readthrough.ScopeOptions) { so.LoadTimeout, so.MaxLoads = time.Minute, 1 }))
		src := newGated("text")
		first := wrapAsync(t.Context(), s, "k", src.load)
		synctest.Wait()
		hung := make(chan struct{})
		var began atomic.Int64
		load := func(context.Context) (int, error) { began.Add(1); <-hung; return 1, nil }
		others := []<-chan result[int]{wrapAsync(t.Context(), s, "k", load), wrapAsync(t.Context(), s, "k", load)}
		synctest.Wait()
		close(src.gate)
		<-first
		for _, other := range others {
			assert.ErrorIs(t, (<-other).err, readthrough.ErrLoadTimeout)
		}
		assert.EqualValues(t, 1, began.Load(), "loads at once")
		close(hung)
		wantIdle(t, s)
	})
}

// A load that was left, does not end, and returns just after its LoadTimeout: the reader that has
// waited for it does not look at what it writes. For the race detector.
func TestLoadThatIsLeftEndsAtItsTimeout(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s, fresh := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.LoadTimeout = time.Second })), newSource(2)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		first := wrapAsync(ctx, s, "k", func(context.Context) (int, error) { time.Sleep(time.Second + 1); return 1, nil })
		assert.ErrorIs(t, (<-first).err, context.DeadlineExceeded)
		value, err := readthrough.Wrap(t.Context(), s, "k", fresh.load)
		want(t, "the next reader", value, err, 2)
		time.Sleep(time.Second)
		wantIdle(t, s)
	})
}

// A load that was cancelled may end early and without an error, as rows.Next does without rows.Err. What it
// has not brought is not absent.
func TestLoadThatIsLeftBringsNoAbsence(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s, fresh := newScope(t), newSource(2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := readthrough.WrapMany(ctx, s, []string{"a", "b"}, self, func(ctx context.Context, _ []string) (map[string]int, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // to notice it
			return map[string]int{"a": 1}, nil
		})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		value, err := readthrough.Wrap(t.Context(), s, "b", fresh.load)
		want(t, "the next reader", value, err, 2)
		wantIdle(t, s)
	})
}

// Close sends readers away that wait for the end of a load that others have left.
func TestCloseWhileALoadIsEnding(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		cache, s := newFleetScope(t, newStore(t), readthrough.Options{}, readthrough.ScopeOptions{})
		old := newGated("old")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := readthrough.Wrap(ctx, s, "k", old.stubborn)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		next := wrapAsync(t.Context(), s, "k", old.stubborn)
		synctest.Wait()
		require.NoError(t, cache.Close())
		synctest.Wait()
		select {
		case r := <-next:
			assert.ErrorIs(t, r.err, readthrough.ErrClosed)
		default:
			t.Error("the reader waits on")
		}
		close(old.gate)
		wantIdle(t, s)
	})
}

// A load that was left and hangs keeps its key from being loaded for some minutes at most, however short
// the patience of the readers is, and whether anything is served meanwhile or not.
func TestLoadThatIsLeftAndHangs(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s, fresh := newScope(t), newSource("new")
		old := newGated("old")
		for range 5*60 + 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := readthrough.Wrap(ctx, s, "k", old.stubborn)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
			if old.loads.Load() > 1 {
				break
			}
		}
		wantLoads(t, &old.loads, 2)
		time.Sleep(6 * time.Minute)
		value, err := readthrough.Wrap(t.Context(), s, "k", fresh.load)
		want(t, "after that", value, err, "new")
		close(old.gate)
		wantIdle(t, s)
	})
}

// A reader with a stale value that does not wait for a load that others have left is told that it is
// still loading.
func TestFallbackBesideALoadThatIsLeft(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.StaleIfError, so.SoftLoadTimeout = time.Hour, 2*time.Second }))
		value, err := readthrough.Wrap(t.Context(), s, "k", newSource("old").load)
		want(t, "first", value, err, "old")
		time.Sleep(2 * time.Minute)
		hung := newGated("new")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = readthrough.Wrap(ctx, s, "k", hung.stubborn)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		for range 20 { // the order of two ends at once is random
			time.Sleep(2 * time.Second)
			began := time.Now()
			r, err := readthrough.WrapResult(t.Context(), s, "k", hung.stubborn)
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Since(began), 2*time.Second)
			assert.Equal(t, "old", r.Value)
			assert.ErrorIs(t, r.Err, readthrough.ErrStillLoading)
		}
		close(hung.gate)
		wantIdle(t, s)
	})
}

// While a load that was left has not ended, no load in the background begins beside it: not until it should
// have ended long ago.
func TestRefreshBesideALoadThatIsLeft(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newStore(t)
		stale := serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour })
		s, other := newScope(t, on(store), stale), newScope(t, on(asAnotherProcess(t, store)), stale)
		hung, fresh := newGated("hung"), newSource("fresh")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := readthrough.Wrap(ctx, s, "k", hung.stubborn)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		value, err := readthrough.Wrap(t.Context(), other, "k", newSource("stored").load)
		want(t, "another cache", value, err, "stored")
		for _, wanted := range []int64{0, 1} {
			time.Sleep(2*time.Minute + 50*time.Second)
			value, err = readthrough.Wrap(t.Context(), s, "k", fresh.load)
			want(t, "stale", value, err, "stored")
			synctest.Wait()
			wantLoads(t, &fresh.loads, wanted)
		}
		close(hung.gate)
		wantIdle(t, s)
	})
}
