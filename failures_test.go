package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// tries reads once a second for so long from a source that fails, and returns the
// seconds at which that was asked.
func (p *path) tries(src *source[int], seconds int, check func(got readthrough.Result[int], err error)) (at []int) {
	p.t.Helper()
	for second := range seconds {
		before := src.loads.Load()
		got, err := p.read(src.load)
		check(got, err)
		synctest.Wait()
		if src.loads.Load() > before {
			at = append(at, second)
		}
		time.Sleep(time.Second - 1)
		between := src.loads.Load()
		got, err = p.read(src.load) // a nanosecond too early
		check(got, err)
		synctest.Wait()
		if src.loads.Load() > between {
			at = append(at, -second)
		}
		time.Sleep(1)
	}
	return at
}

// A source that fails is asked again after RetryAfter, and then after twice as
// long each time, up to 16 times, exactly; meanwhile there is a stale value, and
// why.
func TestRetryAfterDoubles(t *testing.T) {
	wanted := []int{0, 2, 6, 14, 30, 62, 94, 126}
	for name, change := range map[string]func(*readthrough.ScopeOptions){
		"on error":           func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour },
		"while revalidating": func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour },
		"ahead":              func(so *readthrough.ScopeOptions) { so.TTL, so.RefreshAheadFactor = time.Hour, 1.0/60 },
	} {
		t.Run(name, func(t *testing.T) {
			retry := func(so *readthrough.ScopeOptions) { change(so); so.RetryAfter = 2 * time.Second }
			onEachPath(t, retry, func(t *testing.T, p *path) {
				src := newSource(1)
				p.fill(src.load)
				check := func(got readthrough.Result[int], err error) {
					t.Helper()
					assert.NoError(t, err)
					assert.Equal(t, 1, got.Value)
					assert.Equal(t, name == "on error", errors.Is(got.Err, errDatabase), "error %v", got.Err)
				}
				for _, after := range []string{"success", "a success"} { // which begins the count anew
					time.Sleep(time.Minute)
					src.fail(errDatabase)
					assert.Equal(t, wanted, p.tries(src, 130, check), "after %s: the seconds in which it asked", after)
					src.fail(nil)
					time.Sleep(time.Minute)
					_, err := p.read(src.load)
					synctest.Wait()
					got, err2 := p.read(src.load)
					wantResult(t, "healed", got, errors.Join(err, err2), readthrough.Result[int]{Value: 1, Source: readthrough.FromStore})
				}
				// An invalidation forgets the failures.
				src.fail(errDatabase)
				time.Sleep(time.Minute)
				p.tries(src, 1, check)
				p.invalidateNow()
				src.fail(nil)
				p.fill(src.load)
			})
		})
	}
}

// The error of a load is returned again for ErrorTTL without a load, and then for
// twice as long each time; not if there is a stale value, nor after an
// invalidation, nor in another process.
func TestErrorTTL(t *testing.T) {
	keep := func(so *readthrough.ScopeOptions) { so.ErrorTTL = 2 * time.Second }
	onEachPath(t, keep, func(t *testing.T, p *path) {
		src := newSource(1)
		src.fail(errDatabase)
		check := func(got readthrough.Result[int], err error) {
			t.Helper()
			assert.Zero(t, got.Value)
			assert.ErrorIs(t, err, errDatabase)
		}
		at, wanted := p.tries(src, 130, check), []int{0, 2, 6, 14, 30, 62, 94, 126}
		assert.Equal(t, wanted, at, "the seconds in which it asked")
		other := newScope(t, on(asAnotherProcess(t, p.store)), serving(keep))
		before := src.loads.Load()
		_, err := p.reading(t.Context(), other, "k:1", src.load)
		assert.ErrorIs(t, err, errDatabase, "another process")
		assert.NotEqual(t, before, src.loads.Load(), "another process asks the source")
		_, err = p.reading(t.Context(), p.scope, "another key", newSource(7).load)
		assert.NoError(t, err, "another key")
		src.fail(nil)
		_, err = p.read(src.load)
		assert.ErrorIs(t, err, errDatabase, "the source is well again: the error until its end")
		p.invalidateNow()
		p.fill(src.load)
		p.invalidateNow()
		src.fail(errDatabase)
		at, wanted = p.tries(src, 3, check), []int{0, 2}
		assert.Equal(t, wanted, at, "after a success: the seconds in which it asked")
	})
}

// A load that began before an invalidation and failed after it tells nothing.
func TestFailureFromBeforeAnInvalidation(t *testing.T) {
	keep := func(so *readthrough.ScopeOptions) { so.ErrorTTL = time.Hour }
	onEachPath(t, keep, func(t *testing.T, p *path) {
		src := newSource(1)
		src.fail(errDatabase)
		src.take(time.Second)
		before := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
		synctest.Wait()
		p.invalidateNow()
		assert.ErrorIs(t, (<-before).err, errDatabase, "the reader of that load")
		src.fail(nil)
		p.fill(src.load)
	})
}

// A value that is put, and one that another process has stored, comes before a
// remembered error.
func TestValueComesBeforeARememberedError(t *testing.T) {
	keep := func(so *readthrough.ScopeOptions) { so.ErrorTTL = time.Hour }
	onEachPath(t, keep, func(t *testing.T, p *path) {
		src := newSource(1)
		src.fail(errDatabase)
		_, err := p.read(src.load)
		require.ErrorIs(t, err, errDatabase)
		src.fail(nil)
		other := newScope(t, on(asAnotherProcess(t, p.store)))
		_, err = p.reading(t.Context(), other, "k:1", src.load)
		require.NoError(t, err)
		got, err := p.read(src.load)
		wantResult(t, "after another process", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStore})
	})
}

// Panics, Goexit and timeouts are failures of the source, too. A load that was
// cancelled because its readers left is none.
func TestWhatIsRemembered(t *testing.T) {
	change := func(so *readthrough.ScopeOptions) { so.ErrorTTL, so.LoadTimeout = time.Hour, time.Minute }
	for _, failure := range failures {
		bubble(t, failure.name, func(t *testing.T) {
			s, src := newScope(t, serving(change)), newSource(1)
			_, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) { return 0, failure.fail() })
			assert.True(t, failure.check(err), "got %v", err)
			_, again := readthrough.Wrap(t.Context(), s, "k", src.load)
			assert.True(t, failure.check(again), "again: %v", again)
			wantLoads(t, &src.loads, 0)
		})
	}
	bubble(t, "timeout", func(t *testing.T) {
		s, src := newScope(t, serving(change)), newGated(1)
		for range 2 {
			_, err := readthrough.Wrap(t.Context(), s, "k", src.stubborn)
			assert.ErrorIs(t, err, readthrough.ErrLoadTimeout)
		}
		wantLoads(t, &src.loads, 1)
		close(src.gate)
	})
	bubble(t, "readers that left", func(t *testing.T) {
		s, src := newScope(t, serving(change)), newGated(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := readthrough.Wrap(ctx, s, "k", src.load)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		close(src.gate)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "the next reader", value, err, 1)
	})
	bubble(t, "a reader that left, and has a stale value", func(t *testing.T) {
		s, src := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.StaleIfError, so.RetryAfter = time.Hour, time.Hour })), newSource(1)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "first", value, err, 1)
		time.Sleep(time.Minute)
		src.gate = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = readthrough.Wrap(ctx, s, "k", src.load)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		close(src.gate)
		src.set(2)
		value, err = readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "the next reader", value, err, 2)
	})
	bubble(t, "an absence is no failure", func(t *testing.T) {
		s, src := newScope(t, serving(change), serving(func(so *readthrough.ScopeOptions) { so.NegativeTTL = -1 })), newSource(1)
		src.fail(readthrough.ErrNotFound)
		_, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		assert.ErrorIs(t, err, readthrough.ErrNotFound)
		src.fail(nil)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "when there is something", value, err, 1)
	})
}

// pausing is a context in which something happens when it is asked for its deadline:
// after a reader has found that its key has not failed, and before it begins a load.
type pausing struct {
	context.Context //nolint:containedctx // it is one

	then func()
}

func (c pausing) Deadline() (time.Time, bool) { c.then(); return c.Context.Deadline() }

// A reader that asked whether its key has failed just before it did asks the source
// no second time.
func TestFailureJustBeforeALoad(t *testing.T) {
	for kind, change := range map[string]func(*readthrough.ScopeOptions){
		"stale value": func(so *readthrough.ScopeOptions) { so.StaleIfError, so.RetryAfter = time.Hour, time.Minute },
		"error":       func(so *readthrough.ScopeOptions) { so.ErrorTTL = time.Minute },
	} {
		for name, read := range resultReads[int]() {
			bubble(t, kind+"/"+name, func(t *testing.T) {
				s, src := newScope(t, serving(change)), newSource(1)
				_, err := read(t.Context(), s, "k", src.load)
				require.NoError(t, err)
				time.Sleep(time.Minute)
				src.fail(errDatabase)
				src.gate = make(chan struct{})
				first := async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "k", src.load) })
				synctest.Wait()
				fails := sync.OnceFunc(func() { close(src.gate); <-first })
				got, err := read(pausing{t.Context(), fails}, s, "k", src.load)
				switch kind {
				case "error":
					assert.ErrorIs(t, err, errDatabase, "got %+v", got)
				case "stale value":
					wantResult(t, "read", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStale, Age: time.Minute, Err: errDatabase})
				}
				wantLoads(t, &src.loads, 2)
				wantIdle(t, s)
			})
		}
	}
}

// Where there is a value to be served, the source is asked again after RetryAfter,
// and its error is not returned, however long ErrorTTL is.
func TestStaleValueComesBeforeARememberedError(t *testing.T) {
	change := func(so *readthrough.ScopeOptions) {
		so.StaleIfError, so.RetryAfter, so.ErrorTTL = time.Hour, time.Second, time.Hour
	}
	onEachPath(t, change, func(t *testing.T, p *path) {
		src := newSource(1)
		p.fill(src.load)
		src.fail(errDatabase)
		for range 2 {
			time.Sleep(time.Minute)
			got, err := p.read(src.load)
			assert.NoError(t, err)
			assert.Equal(t, 1, got.Value)
			assert.ErrorIs(t, got.Err, errDatabase)
		}
		wantLoads(t, &src.loads, 3)
	})
}

// A load that failed for many ids is one error, also when it is remembered.
func TestRememberedErrorOfABulkLoad(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s, src := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.ErrorTTL = time.Hour })), newSource(1)
		src.fail(errDatabase)
		for range 2 {
			_, err := readthrough.WrapMany(t.Context(), s, []string{"a", "b", "c"}, self, many(src.load))
			assert.Same(t, errDatabase, err) // that and nothing else
		}
		wantLoads(t, &src.loads, 1)
	})
}

// That there was no place for a load in the background says nothing about the
// source: who has to load gets the error that it returned.
func TestErrorIsRememberedWhileARefreshRests(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, limited(1), serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate, so.ErrorTTL = time.Minute, time.Hour }))
		src, l := newSource(1), turnstile{takes: time.Second}
		read := func() error {
			_, err := readthrough.Wrap(t.Context(), s, "k", src.load)
			synctest.Wait()
			return err
		}
		stale := []error{read()}
		time.Sleep(time.Minute)
		src.fail(errDatabase)
		stale = append(stale, read()) // is refreshed, which fails
		time.Sleep(10 * time.Second)  // longer than RetryAfter
		wrapAsync(t.Context(), s, "other", l.load(""))
		synctest.Wait()
		stale = append(stale, read()) // there is no place
		assert.NoError(t, errors.Join(stale...))
		time.Sleep(time.Minute)
		assert.ErrorIs(t, read(), errDatabase, "after the stale window: the error of the source")
		wantLoads(t, &src.loads, 2)
	})
}

// A process does not ask for what another one is loading already: not for the
// store either, for a while.
func TestRefreshOfAnotherProcessIsLeftAlone(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newLeaseStore()
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour }))
		src := newSource(1)
		_, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		entry, _ := store.peek(provider.Key{Scope: "test", Name: "k"})
		busy := plain(store)
		other := newScope(t, on(busy.as(likeShared)), serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Hour }))
		grants, err := store.Refresh(t.Context(), []provider.RefreshRequest{{Key: provider.Key{Scope: "test", Name: "k"}, LoadedAt: entry.LoadedAt}}, time.Hour)
		require.NoError(t, err)
		require.Equal(t, provider.LeaseGranted, grants[0].State)
		var at []time.Duration
		began := time.Now()
		for range 30 {
			before := busy.count("refresh")
			value, err := readthrough.Wrap(t.Context(), other, "k", src.load)
			want(t, "stale", value, err, 1)
			synctest.Wait()
			if busy.count("refresh") > before {
				at = append(at, time.Since(began))
			}
			time.Sleep(10 * time.Millisecond)
		}
		assert.Equal(t, []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond}, at, "when it asked for a lease")
		wantLoads(t, &src.loads, 1)
	})
}

// TestSourceThatFails: a source fails for 30 s, at 1,000 reads a second of 100 keys.
// With StaleIfError no read fails, and the source is asked for a key, at most, at
// the beginning and each time that RetryAfter and its double and so on are over.
func TestSourceThatFails(t *testing.T) {
	const keys, reads, outage, retryAfter = 100, 30_000, 30 * time.Second, time.Second
	perKey := 0
	for next, pause := time.Duration(0), retryAfter; next < outage; pause *= 2 {
		perKey++
		next += pause
	}
	for name, change := range map[string]func(*readthrough.ScopeOptions){
		"on error":               func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour },
		"and while revalidating": func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate, so.StaleIfError = time.Minute, time.Hour },
		"and a soft timeout": func(so *readthrough.ScopeOptions) {
			so.StaleIfError, so.SoftLoadTimeout = time.Hour, 5*time.Millisecond
		},
		"and a limit": func(so *readthrough.ScopeOptions) { so.StaleIfError, so.MaxLoads = time.Hour, 2 },
		"and early loads": func(so *readthrough.ScopeOptions) {
			so.TTL, so.RefreshAheadFactor, so.StaleIfError = 5*time.Second, 0.5, time.Hour
		},
	} {
		t.Run(name, func(t *testing.T) {
			seed := pickSeed(t)
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.TTL, so.RetryAfter = time.Second, retryAfter; change(so) }))
				src := newSource(1)
				src.take(10 * time.Millisecond)
				for i := range keys {
					_, err := readthrough.Wrap(t.Context(), s, fmt.Sprint(i), src.load)
					require.NoError(t, err)
				}
				time.Sleep(time.Second)
				src.fail(errDatabase)
				rng := rand.New(rand.NewPCG(seed, 0))
				before := src.loads.Load()
				var failed atomic.Int64
				var readers sync.WaitGroup
				for range reads {
					key := fmt.Sprint(rng.IntN(keys))
					readers.Go(func() {
						if _, err := readthrough.Wrap(t.Context(), s, key, src.load); err != nil {
							failed.Add(1)
						}
					})
					time.Sleep(outage / reads)
				}
				readers.Wait()
				tries := src.loads.Load() - before
				t.Logf("%d reads, %d of them failed; the source was asked %d times, at most %d were allowed", reads, failed.Load(), tries, keys*perKey)
				assert.Zero(t, failed.Load(), "reads that failed")
				assert.LessOrEqual(t, tries, int64(keys*perKey), "tries")
				assert.GreaterOrEqual(t, tries, int64(keys), "tries")
				src.fail(nil)
				src.set(2)
				time.Sleep(16 * retryAfter)
				for i := range keys {
					value, err := readthrough.Refresh(t.Context(), s, fmt.Sprint(i), src.load)
					want(t, "afterwards", value, err, 2)
				}
				wantIdle(t, s)
			})
		})
	}
}

// A reader that has joined a load of another type loads for itself. If that fails, an invalidation that
// came meanwhile has ended what the failure says.
func TestFailureOfALoadAloneFromBeforeAnInvalidation(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var reported reports
		s, text := newScope(t, reported.collect(), serving(func(so *readthrough.ScopeOptions) { so.ErrorTTL = time.Minute })), newGated("text")
		first := wrapAsync(t.Context(), s, "k", text.load)
		synctest.Wait()
		gate := make(chan struct{})
		other := wrapAsync(t.Context(), s, "k", func(context.Context) (int, error) { <-gate; return 0, errDatabase })
		synctest.Wait()
		close(text.gate)
		<-first
		synctest.Wait()
		require.NoError(t, s.Invalidate(t.Context(), "k"))
		close(gate)
		assert.ErrorIs(t, (<-other).err, errDatabase)
		value, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
		want(t, "after the invalidation", value, err, 1)
		wantIdle(t, s)
	})
}
