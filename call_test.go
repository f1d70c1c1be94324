package readthrough_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

func TestLoadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t, with(func(_ *readthrough.Options, so *readthrough.ScopeOptions) { so.LoadTimeout = time.Second }))
		elapsed := took(func() {
			_, err := readthrough.Wrap(t.Context(), s, "k", func(ctx context.Context) (int, error) {
				time.Sleep(time.Minute) // pays no attention to ctx
				return 1, nil
			})
			assert.ErrorIs(t, err, readthrough.ErrLoadTimeout)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
		assert.Equal(t, time.Second, elapsed, "took")
		time.Sleep(2 * time.Minute)
		wantIdle(t, s)
		has, err := s.Has(t.Context(), "k")
		assert.NoError(t, err, "Has: what a load returns too late is not used")
		assert.False(t, has, "Has: what a load returns too late is not used")
	})
}

func TestLoadTimeoutIsExact(t *testing.T) {
	const timeout = 250 * time.Millisecond
	limited := with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.LoadTimeout = timeout })
	for _, stubborn := range []bool{false, true} {
		t.Run(fmt.Sprintf("stubborn=%v", stubborn), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, src := newScope(t, limited), newGated("old")
				load := src.load
				if stubborn {
					load = src.stubborn
				}
				began := time.Now()
				leader := wrapAsync(t.Context(), s, "k", load)
				time.Sleep(100 * time.Millisecond)
				joiner := wrapAsync(t.Context(), s, "k", load)
				bulk := async(func() (map[string]string, error) {
					return readthrough.WrapMany(t.Context(), s, []string{"k"}, self, many(load))
				})
				l, j, b := <-leader, <-joiner, <-bulk
				assert.Equal(t, timeout, time.Since(began), "readers left")
				for who, err := range map[string]error{"leader": l.err, "joiner": j.err, "bulk joiner": b.err} {
					assert.ErrorIs(t, err, readthrough.ErrLoadTimeout, who)
					assert.ErrorIs(t, err, context.DeadlineExceeded, who)
				}
				wantLoads(t, &src.loads, 1)
				// The next reader loads, whether or not the old load has returned, and
				// what that returns late is not stored.
				fresh := newSource("new")
				value, err := readthrough.Wrap(t.Context(), s, "k", fresh.load)
				want(t, "reader after the timeout", value, err, "new")
				close(src.gate)
				wantIdle(t, s)
				value, err = readthrough.Wrap(t.Context(), s, "k", fresh.load)
				want(t, "reader after the late result", value, err, "new")
				wantLoads(t, &fresh.loads, 1)
				stats := s.Stats()
				assert.Equal(t, int64(2), stats.Loads, "loads")
				assert.Equal(t, int64(1), stats.LoadErrors, "load errors counted")
			})
		})
	}
}

// The context of a load ends with it, and whatever the load has begun with it.
func TestContextOfALoadEndsWithIt(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store))
		var ended <-chan struct{}
		value, err := readthrough.Wrap(t.Context(), s, "k", func(ctx context.Context) (int, error) { ended = ctx.Done(); return 7, nil })
		want(t, "reader", value, err, 7)
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Error("the load has ended, and its context has not")
		}
	})
}

// The load ends just before its timeout: its fill has the store's deadline alone.
func TestFillIsNotBoundedByTheLoadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := plain(newStore(t))
		store.around("set", func(ctx context.Context, _ *request, set func() error) error {
			select { // storing takes a while, unless its caller gives up
			case <-time.After(40 * time.Millisecond):
				return set()
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		s := newScope(t, on(store), with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.LoadTimeout = time.Second }))
		var loads atomic.Int64
		load := func(context.Context) (int, error) {
			loads.Add(1)
			time.Sleep(time.Second - 1)
			return 7, nil
		}
		for range 2 {
			value, err := readthrough.Wrap(t.Context(), s, "k", load)
			want(t, "reader", value, err, 7)
			time.Sleep(time.Second)
		}
		wantLoads(t, &loads, 1)
		wantIdle(t, s)
	})
}

// The timeout comes while the result is being stored: it is there, and who comes
// then takes it.
func TestReaderAfterTheTimeoutDuringAFill(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := plain(newStore(t))
		store.before("set", func(string) { time.Sleep(40 * time.Millisecond) })
		s, src := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.LoadTimeout = time.Second })), newSource(7)
		src.take(time.Second - 1)
		first := wrapAsync(t.Context(), s, "k", src.load)
		time.Sleep(time.Second + time.Millisecond)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "after the timeout", value, err, 7)
		r := <-first
		want(t, "first", r.value, r.err, 7)
		wantLoads(t, &src.loads, 1)
		time.Sleep(time.Second)
		wantIdle(t, s)
	})
}

// Nobody looks when the load times out: its only reader, a bulk one, waits for
// another load first. Who comes then must not join the load that is over, and
// its late result must not be stored.
func TestLoadTimeoutWhileItsReaderWaitsForAnotherLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := plain(newStore(t))
		s := newScope(t, on(store.as(capInProcess)), with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.LoadTimeout = time.Second }))
		slow, old, fresh := newGated("slow"), newGated("old"), newSource("new")
		ctx, cancel := context.WithCancel(t.Context())
		wrapAsync(ctx, s, "old", old.stubborn)
		time.Sleep(900 * time.Millisecond)
		wrapAsync(t.Context(), s, "slow", slow.stubborn)
		synctest.Wait()
		bulk := async(func() (map[string]string, error) {
			return readthrough.WrapMany(t.Context(), s, []string{"slow", "old"}, self, many(fresh.load))
		})
		synctest.Wait()
		cancel() // only the bulk reader waits for "old" now, and first for "slow"
		time.Sleep(200 * time.Millisecond)
		value, err := readthrough.Wrap(t.Context(), s, "old", fresh.load)
		want(t, "reader after the timeout", value, err, "new")
		close(old.gate)
		close(slow.gate)
		r := <-bulk
		if r.err != nil {
			assert.ErrorIs(t, r.err, readthrough.ErrLoadTimeout, "the bulk reader")
		}
		assert.NotEqual(t, "old", r.value["old"], "the bulk reader")
		wantIdle(t, s)
		value, err = readthrough.Wrap(t.Context(), s, "old", fresh.load)
		want(t, "reader after the late result", value, err, "new")
		wantLoads(t, &fresh.loads, 1)
	})
}

// A load that ends by its timeout has failed for all who read the key, although
// one reader has left it before.
func TestTimeoutOfALoadThatWasLeft(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, serving(func(so *readthrough.ScopeOptions) {
			so.StaleIfError, so.SoftLoadTimeout, so.LoadTimeout, so.RetryAfter = time.Hour, time.Second, 2*time.Second, time.Minute
		}))
		src := newSource(1)
		read := func(cause error) {
			t.Helper()
			got, err := readthrough.WrapResult(t.Context(), s, "k", src.stubborn)
			assert.NoError(t, err)
			assert.Equal(t, 1, got.Value)
			assert.ErrorIs(t, got.Err, cause)
		}
		read(nil)
		time.Sleep(time.Minute)
		src.gate = make(chan struct{})
		refreshed := async(func() (int, error) {
			time.Sleep(time.Second / 2)
			return readthrough.Refresh(t.Context(), s, "k", src.stubborn) // joins
		})
		read(readthrough.ErrStillLoading)
		assert.ErrorIs(t, (<-refreshed).err, readthrough.ErrLoadTimeout, "Refresh")
		time.Sleep(time.Minute / 2)
		read(readthrough.ErrLoadTimeout)
		wantLoads(t, &src.loads, 2)
		time.Sleep(time.Minute/2 + time.Second) // a pause after the timeout
		read(readthrough.ErrStillLoading)
		wantLoads(t, &src.loads, 3)
		close(src.gate)
		wantIdle(t, s)
	})
}

func TestFailureReachesEveryReaderOnce(t *testing.T) {
	for _, way := range ways {
		for _, failure := range failures {
			t.Run(way.name+"/"+failure.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := plain(newStore(t))
					s := newScope(t, on(store.as(capInProcess)))
					var loads atomic.Int64
					gate := make(chan struct{})
					load := func(context.Context) (int, error) {
						loads.Add(1)
						<-gate
						return 1, failure.fail()
					}
					readers := []<-chan result[int]{async(func() (int, error) { return way.read(t.Context(), s, "k", load) })}
					synctest.Wait()
					for range 20 {
						readers = append(readers, wrapAsync(t.Context(), s, "k", load), async(func() (int, error) {
							values, err := readthrough.WrapMany(t.Context(), s, []string{"k"}, self, many(load))
							return values["k"], err
						}))
					}
					synctest.Wait()
					close(gate)
					for i, reader := range readers {
						r := <-reader
						assert.True(t, failure.check(r.err), "reader %d: %v and error %v", i, r.value, r.err)
					}
					wantLoads(t, &loads, 1)
					wantIdle(t, s)
					assert.Zero(t, store.count("set"), "fills after a failure")
					stats := s.Stats()
					assert.Equal(t, int64(1), stats.Loads, "loads")
					assert.Equal(t, int64(1), stats.LoadErrors, "load errors counted")
					// Nothing stayed behind: the next read loads.
					value, err := way.read(t.Context(), s, "k", newSource(7).load)
					want(t, "reader after the failure", value, err, 7)
				})
			})
		}
	}
}

// One reader waits for three calls, of which one panics.
func TestPanicAffectsOnlyTheKeysOfItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, good := newScope(t), newGated(7)
		gate := make(chan struct{})
		wrapAsync(t.Context(), s, "good", good.load)
		go func() {
			_, _ = readthrough.WrapMany(t.Context(), s, []string{"bad1", "bad2"}, self, func(context.Context, []string) (map[string]int, error) {
				<-gate
				panic("boom")
			})
		}()
		synctest.Wait()
		bulk := async(func() (map[string]int, error) {
			return readthrough.WrapMany(t.Context(), s, []string{"bad1", "good", "own", "bad2"}, self, many(newSource(8).load))
		})
		synctest.Wait()
		close(gate)
		close(good.gate)
		r := <-bulk
		assert.True(t, isPanicWith("boom")(r.err), "error %v", r.err)
		assert.Equal(t, map[string]int{"good": 7, "own": 8}, r.value)
		var p *readthrough.PanicError
		_, ok := r.err.(interface{ Unwrap() []error })
		assert.False(t, ok, "one load that failed is one error")
		assert.ErrorAs(t, r.err, &p, "one load that failed is one error")
		wantIdle(t, s)
	})
}

// A fill that ends in a panic, or with its goroutine, is reported and over: an
// invalidation that comes after it does not wait for it.
func TestFillThatDoesNotReturnNormally(t *testing.T) {
	for name, store := range map[string]hanging{
		"panic": {faultPanic, 0}, "panic in the process": {faultPanic, capInProcess}, "Goexit": {faultGoexit, 0},
	} {
		for _, keys := range [][]string{{"a"}, {"a", "b"}} {
			bubble(t, fmt.Sprint(name, len(keys)), func(t *testing.T) {
				r := newRig(t, readthrough.Options{BreakerFailures: -1}, store.has)
				r.store.fail(store.fault, "set")
				assert.Equal(t, "1", r.readMany(keys...)["a"])
				r.expectReports("set")
				r.store.heal()
				assert.NoError(t, r.scope.Invalidate(t.Context(), keys...), "Invalidate")
			})
		}
	}
}

// askedError is an error that panics when it is asked what it is, as a nil *net.OpError does.
type askedError struct{}

func (*askedError) Error() string { return "asked" }

func (*askedError) Is(error) bool { panic("Is") }

// Whatever an error of a load does when it is asked what it is: the process does not die, and every
// reader gets an error.
func TestErrorOfALoadThatPanics(t *testing.T) {
	var dead *net.OpError
	loads := map[string]func() error{
		"Is":         func() error { return &askedError{} },
		"Unwrap":     func() error { return dead },
		"wrapped":    func() error { return fmt.Errorf("wrapped: %w", &askedError{}) },
		"panic":      func() error { panic(&askedError{}) },
		"nil, panic": func() error { panic(dead) },
	}
	changes := map[string]func(*readthrough.ScopeOptions){
		"plain": func(*readthrough.ScopeOptions) {},
		"serving": func(so *readthrough.ScopeOptions) {
			so.StaleIfError, so.ErrorTTL, so.LoadTimeout = time.Hour, time.Second, time.Second
		},
	}
	for name, fail := range loads {
		for how, change := range changes {
			for kind, read := range resultReads[int]() {
				bubble(t, name+", "+how+", "+kind, func(t *testing.T) {
					s := newScope(t, serving(change))
					load := func(context.Context) (int, error) { time.Sleep(2 * time.Second); return 0, fail() }
					first := async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "k", load) })
					synctest.Wait()
					_, err := read(t.Context(), s, "k", load)
					assert.Error(t, err)
					assert.Error(t, (<-first).err)
					time.Sleep(time.Minute)
					each := readthrough.Each(2, func(context.Context, string) (int, error) { return 0, fail() })
					_, err = readthrough.WrapMany(t.Context(), s, []string{"a", "b"}, self, each)
					assert.Error(t, err)
					wantIdle(t, s)
				})
			}
		}
	}
}
