package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// writing is a write that takes so long and then puts value into src.
func writing(src *source[int], value int, takes time.Duration) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		time.Sleep(takes)
		src.set(value)
		return value, nil
	}
}

// The value of a put is a hit afterwards, for the TTL of the call, and the old
// value is gone from the beginning.
func TestPut(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s, src := newScope(t, on(store)), newSource(1)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "before", value, err, 1)
		value, err = readthrough.Put(t.Context(), s, "k", func(ctx context.Context) (int, error) {
			v, ok := stored(t, store, "k")
			assert.False(t, ok, "during the write, %v is stored", v)
			return writing(src, 2, time.Second)(ctx)
		}, readthrough.TTL(time.Hour))
		want(t, "Put", value, err, 2)
		got, err := readthrough.WrapResult(t.Context(), s, "k", src.load)
		wantResult(t, "afterwards", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromStore})
		wantLoads(t, &src.loads, 1)
		time.Sleep(time.Hour - 1)
		v, ok := stored(t, store, "k")
		assert.True(t, ok, "gone before its TTL: %v", v)
		time.Sleep(1)
		v, ok = stored(t, store, "k")
		assert.False(t, ok, "still there after its TTL: %v", v)
		wantIdle(t, s)
	})
}

// An invalidation by somebody else during the write wins: nothing is stored, since
// nobody knows which of the two writes was the last.
func TestInvalidationDuringAPutWins(t *testing.T) {
	invalidations := map[string]func(ctx context.Context, s *readthrough.CachedScope) error{
		"key": func(ctx context.Context, s *readthrough.CachedScope) error { return s.Invalidate(ctx, "k") },
		"prefix": func(ctx context.Context, s *readthrough.CachedScope) error {
			_, err := s.InvalidatePrefix(ctx, "")
			return err
		},
		"put": func(ctx context.Context, s *readthrough.CachedScope) error {
			_, err := readthrough.Put(ctx, s, "k", func(context.Context) (int, error) { return 3, nil })
			return err
		},
	}
	for name, invalidate := range invalidations {
		t.Run(name, func(t *testing.T) {
			onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
				s, src := newScope(t, on(store)), newSource(1)
				value, err := readthrough.Put(t.Context(), s, "k", func(ctx context.Context) (int, error) {
					value, err := writing(src, 2, time.Second)(ctx)
					src.set(3) // by another writer
					assert.NoError(t, invalidate(ctx, s))
					return value, err
				})
				want(t, "Put", value, err, 2)
				v, ok := stored(t, store, "k")
				assert.False(t, ok, "%v is stored", v)
				value, err = readthrough.Wrap(t.Context(), s, "k", src.load)
				want(t, "afterwards", value, err, 3)
				assert.Equal(t, int64(1), s.Stats().RefusedFills, "refused fills counted")
				wantIdle(t, s)
			})
		})
	}
}

// The same by another process.
func TestInvalidationByAnotherProcessDuringAPutWins(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		server := newLeaseServer()
		mine, other := newScope(t, on(&leaseStore{server, &network{}})), newScope(t, on(&leaseStore{server, &network{}}))
		_, err := readthrough.Put(t.Context(), mine, "k", func(ctx context.Context) (int, error) { return 2, other.Invalidate(ctx, "k") })
		require.NoError(t, err)
		v, ok := server.peek(provider.Key{Scope: "test", Name: "k"})
		assert.False(t, ok, "%v is stored", v)
	})
}

// A load that begins during the write may read the old value, and even store it:
// no read that begins after the put gets it, wherever the load is by then.
func TestLoadDuringAPut(t *testing.T) {
	for _, end := range []time.Duration{-time.Second, 0, time.Second} { // of the load, from the end of the write
		t.Run(end.String(), func(t *testing.T) {
			onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
				s, src := newScope(t, on(store)), newSource(1)
				src.take(2*time.Second + end) // from a second after the write began
				readers := make(chan (<-chan result[int]), 1)
				time.AfterFunc(time.Second, func() { readers <- wrapAsync(t.Context(), s, "k", src.load) })
				value, err := readthrough.Put(t.Context(), s, "k", writing(src, 2, 3*time.Second))
				want(t, "Put", value, err, 2)
				value, err = readthrough.Wrap(t.Context(), s, "k", src.load)
				want(t, "after the put", value, err, 2)
				r := <-<-readers
				want(t, "during the write", r.value, r.err, 1)
				time.Sleep(5 * time.Second)
				if v, ok := stored(t, store, "k"); ok {
					assert.Equal(t, 2, v, "what is stored")
				}
				wantIdle(t, s)
			})
		})
	}
}

// A fill that is under way when the put is to store may end after it: the put then
// stores nothing, waits for the fill and removes what it stored.
func TestFillDuringAPut(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		memory := newStore(t)
		store := plain(memory)
		pause := func(string) { time.Sleep(10 * time.Millisecond) }
		store.before("set", pause)
		store.after("set", pause)
		s, src := newScope(t, on(store)), newSource(1)
		time.AfterFunc(time.Second-5*time.Millisecond, func() { wrapAsync(t.Context(), s, "k", src.load) })
		value, err := readthrough.Put(t.Context(), s, "k", writing(src, 2, time.Second))
		want(t, "Put", value, err, 2)
		v, ok := stored(t, memory, "k")
		assert.False(t, ok, "%v is stored", v)
		value, err = readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "after the put", value, err, 2)
		wantIdle(t, s)
	})
}

// A flight that looks in the store while the put stores may find what is replaced:
// nobody joins it after the put, although what that stored was evicted.
func TestFlightThatFoundTheOldValueDuringAPut(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		memory := newStore(t)
		store := plain(memory)
		s, src := newScope(t, on(store)), newSource(1)
		putting := make(chan struct{})
		var gets, sets atomic.Int64
		store.after("get", func(string) {
			switch gets.Add(1) {
			case 1: // a reader that has found nothing is slow to begin its flight
				<-putting
			case 3: // and its flight to say what it has found
				time.Sleep(30 * time.Millisecond)
			}
		})
		store.before("set", func(string) {
			if sets.Add(1) == 2 { // that of the put
				close(putting)
				time.Sleep(time.Millisecond)
			}
		})
		var slow <-chan result[int]
		_, err := readthrough.Put(t.Context(), s, "k", func(ctx context.Context) (int, error) {
			slow = wrapAsync(ctx, s, "k", src.load)
			time.Sleep(time.Millisecond)
			value, err := readthrough.Wrap(ctx, s, "k", src.load) // stores the old value
			want(t, "during the write", value, err, 1)
			return writing(src, 2, 0)(ctx)
		})
		require.NoError(t, err)
		require.NoError(t, memory.Delete(t.Context(), provider.Key{Scope: "test", Name: "k"}))
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "after the put", value, err, 2)
		r := <-slow
		want(t, "the slow reader", r.value, r.err, 1)
		wantIdle(t, s)
	})
}

// A put goes to its end although the context of its caller has ended: what it has
// written is stored, and what it could not write leaves no lease behind.
func TestPutOutlivesItsContext(t *testing.T) {
	for _, fails := range []error{nil, errDatabase} {
		onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
			s, src := newScope(t, on(store)), newSource(1)
			ctx, cancel := context.WithCancel(t.Context())
			_, err := readthrough.Put(ctx, s, "k", func(context.Context) (int, error) { cancel(); return 2, fails })
			assert.ErrorIs(t, err, fails, "Put")
			v, ok := stored(t, store, "k")
			assert.Equal(t, fails == nil, ok, "%v is stored", v)
			if ok {
				assert.Equal(t, 2, v, "what is stored")
			}
			elapsed := took(func() {
				_, err := readthrough.Wrap(t.Context(), s, "k", src.load)
				assert.NoError(t, err)
			})
			assert.Zero(t, elapsed, "the next read took: it waited for a lease")
		})
	}
}

// A reader that missed before a put takes what that has stored, and does not load. A store in the
// process does not say when it has returned.
func TestReaderThatMissedBeforeAPut(t *testing.T) {
	for _, has := range []capabilities{0, capInProcess} {
		for name, read := range resultReads[int]() {
			bubble(t, fmt.Sprintf("capabilities %b, %s", has, name), func(t *testing.T) {
				store, src := plain(newStore(t)), newSource(1)
				s := newScope(t, on(store.as(has)))
				missed, put := make(chan struct{}), make(chan struct{})
				store.after("get", func(string) {
					if store.count("get") == 1 {
						close(missed)
						<-put
					}
				})
				reader := async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "k", src.load) })
				<-missed
				value, err := readthrough.Put(t.Context(), s, "k", func(context.Context) (int, error) { return 2, nil })
				want(t, "Put", value, err, 2)
				close(put)
				r := <-reader
				wantResult(t, "reader", r.value, r.err, readthrough.Result[int]{Value: 2, Source: readthrough.FromStore})
				wantLoads(t, &src.loads, 0)
			})
		}
	}
}

// A write that fails, in whatever way, stores nothing, and nothing that was loaded
// during it stays stored: nobody knows what it did.
func TestPutOfAWriteThatFails(t *testing.T) {
	writes := map[string]func(context.Context) (int, error){
		"error":  func(context.Context) (int, error) { return 2, errDatabase },
		"panic":  func(context.Context) (int, error) { panic("write") },
		"goexit": func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
				s, src := newScope(t, on(store)), newSource(1)
				done := make(chan any)
				go func() {
					defer func() { done <- recover() }()
					value, err := readthrough.Put(t.Context(), s, "k", func(ctx context.Context) (int, error) {
						_, _ = readthrough.Wrap(ctx, s, "k", src.load) // stores the old value, where it can
						src.set(2)                                     // of which a panic tells nothing
						return write(ctx)
					})
					assert.Zero(t, value)
					assert.ErrorIs(t, err, errDatabase)
				}()
				r := <-done
				assert.Equal(t, name == "panic", r != nil, "panicked with %v", r)
				wantIdle(t, s)
				_, left := stored(t, store, "k")
				assert.False(t, left, "what was stored during a write that may have changed anything is still stored")
				elapsed := took(func() {
					_, err := readthrough.Wrap(t.Context(), s, "k", src.load)
					assert.NoError(t, err)
				})
				assert.Zero(t, elapsed, "the next read took: it waited for a lease")
				_, ok := stored(t, store, "k")
				assert.True(t, ok, "the next read stored nothing")
			})
		})
	}
}

// Readers share the load of a key that is being put; the put does not hide it.
func TestPutHidesNoLoad(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		src := newGated(1)
		var s *readthrough.CachedScope
		var first <-chan result[int]
		s = newScope(t, with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.Observer = observer(func(e happened) {
				if e.kind == "invalidate" && first == nil { // before the put has a flight
					first = wrapAsync(t.Context(), s, "k", src.load)
					for s.Stats().InFlight == 0 {
						runtime.Gosched()
					}
				}
			})
		}))
		_, err := readthrough.Put(t.Context(), s, "k", func(ctx context.Context) (int, error) {
			second := wrapAsync(ctx, s, "k", src.load)
			synctest.Wait()
			wantLoads(t, &src.loads, 1)
			close(src.gate)
			<-second
			return 2, nil
		})
		require.NoError(t, err)
		r := <-first
		want(t, "first", r.value, r.err, 1)
		wantIdle(t, s)
	})
}

// What a put does not store, because the source lags behind, is invalidated.
func TestPutWithReplicaLag(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.ReplicaLag = time.Second }))
		value, err := readthrough.Put(t.Context(), s, "k", func(context.Context) (int, error) { return 2, nil })
		want(t, "Put", value, err, 2)
		v, ok := stored(t, store, "k")
		assert.False(t, ok, "%v is stored", v)
		wantIdle(t, s)
	})
}

// A store that cannot be reached makes a put pending, with its value.
func TestPutPending(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.store.fail(faultError, "delete")
		written := false
		value, err := readthrough.Put(t.Context(), r.scope, "k", func(context.Context) (string, error) { written = true; return "2", nil })
		assert.Equal(t, "2", value)
		assert.True(t, written, "the write did not happen")
		assert.ErrorIs(t, err, readthrough.ErrInvalidationPending)
		r.expectPending(1)
		assert.Empty(t, r.store.calls("set"), "something was stored")
		r.store.heal()
	})
}

// A store that refuses the value, or fails while it stores it, has nothing after
// the put.
func TestPutThatCannotStore(t *testing.T) {
	for name, f := range map[string]fault{"error": faultError, "too large": faultTooLarge, "lost reply": faultLost} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, 0)
			r.store.fail(f, "set")
			value, err := readthrough.Put(t.Context(), r.scope, "k", func(context.Context) (string, error) { return "2", nil })
			want(t, "Put", value, err, "2")
			v, ok := r.store.value("s", "k")
			assert.False(t, ok, "%v is stored", v)
			wantIdle(t, r.scope)
		})
	}
}

func TestPutAndClose(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		cache := newCache(t, store, readthrough.Options{OnError: func(*readthrough.OpError) {}})
		s, err := cache.Scope("test", readthrough.ScopeOptions{TTL: time.Minute})
		require.NoError(t, err)
		value, err := readthrough.Put(t.Context(), s, "k", func(context.Context) (int, error) { return 2, cache.Close() })
		assert.Equal(t, 2, value, "closed during the write")
		assert.ErrorIs(t, err, readthrough.ErrClosed, "closed during the write")
		wantIdle(t, s)
		_, err = readthrough.Put(t.Context(), s, "k", func(context.Context) (int, error) { t.Error("written"); return 0, nil })
		assert.ErrorIs(t, err, readthrough.ErrClosed, "closed before")
	})
}

// A put whose write fails invalidates its key, unless nothing was changed for certain.
func TestPutInvalidatesAfterAWriteThatFails(t *testing.T) {
	errWrite := errors.New("nobody knows")
	for name, outcome := range map[string]struct {
		end       func() error
		unchanged bool
	}{
		"error":     {func() error { return errWrite }, false},
		"panic":     {func() error { panic(errWrite) }, false},
		"Goexit":    {func() error { runtime.Goexit(); return nil }, false},
		"unchanged": {func() error { return fmt.Errorf("%w: %w", readthrough.ErrUnchanged, errWrite) }, true},
	} {
		bubble(t, name, func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, 0)
			r.read("k")
			before := r.scope.Stats().Invalidations
			go func() {
				defer func() { _ = recover() }()
				_, err := readthrough.Put(t.Context(), r.scope, "k", func(context.Context) (string, error) {
					r.read("k") // a reader stores the old value meanwhile
					r.set("2")
					return "", outcome.end()
				})
				assert.ErrorIs(t, err, errWrite)
			}()
			synctest.Wait()
			invalidations := r.scope.Stats().Invalidations - before
			if outcome.unchanged {
				assert.Equal(t, int64(1), invalidations, "invalidations: that before the write")
				return
			}
			assert.Equal(t, int64(2), invalidations, "invalidations")
			r.expectRead("k", "2", true)
		})
	}
}

// Reads inside of a put's write, and beside it in the process, do not wait for the lease that the put
// has: nobody will fill it for them.
func TestReadsDuringAPutDoNotWait(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			a, _, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
			began := time.Now()
			value, err := readthrough.Put(t.Context(), a, "k", func(ctx context.Context) (int, error) {
				inside, err := read(ctx, a, "k", newSource(1).load)
				require.NoError(t, err)
				assert.Equal(t, 1, inside.Value, "inside")
				beside := async(func() (readthrough.Result[int], error) { return read(t.Context(), a, "k", newSource(1).load) })
				r := <-beside
				assert.NoError(t, r.err)
				assert.Equal(t, 1, r.value.Value, "beside")
				return 2, nil
			})
			want(t, "Put", value, err, 2)
			assert.Zero(t, time.Since(began), "somebody has waited")
			got, err := read(t.Context(), a, "k", newSource(3).load)
			require.NoError(t, err)
			assert.Equal(t, 2, got.Value, "what the put has stored")
			wantIdle(t, a)
		})
	}
}

// A put whose context has ended before it begins stores what it has written all the same.
func TestPutWithAnEndedContext(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		value, err := readthrough.Put(ctx, s, "k", func(context.Context) (int, error) { return 2, nil })
		want(t, "Put", value, err, 2)
		v, ok := stored(t, store, "k")
		assert.True(t, ok, "nothing is stored")
		assert.Equal(t, 2, v, "what is stored")
		wantIdle(t, s)
	})
}

// A put whose fill does not return may store later than an invalidation removes: its key is pending
// until the store has returned.
func TestPutThatIsStuck(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.store.fail(faultStuck, "set")
		value, err := readthrough.Put(t.Context(), r.scope, "k", func(context.Context) (string, error) { return "put", nil })
		assert.Equal(t, "put", value)
		require.ErrorIs(t, err, readthrough.ErrInvalidationPending, "the fill may come after the deletion")
		r.expectPending(1)
		r.set("2")
		r.expectBypassed("k", "2")
		r.expectLateFill("k", "put", "2")
	})
}

// A put whose write has changed nothing gives its lease back: the next read waits for nobody, and
// stores what it loads.
func TestPutOfNoChangeLeavesNoLease(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s, src := newScope(t, on(store)), newSource(1)
		_, err := readthrough.Put(t.Context(), s, "k", func(context.Context) (int, error) { return 0, readthrough.ErrUnchanged })
		require.ErrorIs(t, err, readthrough.ErrUnchanged)
		elapsed := took(func() {
			value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
			want(t, "the next read", value, err, 1)
		})
		assert.Zero(t, elapsed, "the next read took: it waited for a lease")
		_, ok := stored(t, store, "k")
		assert.True(t, ok, "what it loaded is not stored")
	})
}

// A load that began during the write and was left goes on when Put has returned. A reader that comes then
// does not get what it brings, also if what Put has stored is gone by then.
func TestPutAndALoadThatIsLeft(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s, old := newScope(t), newGated("old")
		value, err := readthrough.Put(t.Context(), s, "k", func(context.Context) (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := readthrough.Wrap(ctx, s, "k", old.stubborn)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			return "new", nil
		}, readthrough.TTL(time.Second))
		want(t, "Put", value, err, "new")
		time.Sleep(2 * time.Second)
		reader := wrapAsync(t.Context(), s, "k", newSource("newer").load)
		synctest.Wait()
		close(old.gate)
		r := <-reader
		want(t, "the reader after the put", r.value, r.err, "newer")
		wantIdle(t, s)
	})
}
