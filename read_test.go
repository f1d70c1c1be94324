package readthrough_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// A reader asks the store and finds nothing. Before it gets to look for a
// flight, the flight that there was stores its result and ends. The reader must
// see that and look in the store again.
func TestReaderThatMissedBeforeTheFlightLandedDoesNotLoad(t *testing.T) {
	for name, read := range map[string]func(context.Context, *readthrough.CachedScope, *source[int]) (int, error){
		"single": func(ctx context.Context, s *readthrough.CachedScope, src *source[int]) (int, error) {
			return readthrough.Wrap(ctx, s, "k", src.load)
		},
		"bulk": func(ctx context.Context, s *readthrough.CachedScope, src *source[int]) (int, error) {
			values, err := readthrough.WrapMany(ctx, s, []string{"k"}, self, many(src.load))
			return values["k"], err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				late, hold := make(chan struct{}), make(chan struct{})
				store := plain(newStore(t))
				var gets atomic.Int64
				store.after("get", func(string) {
					if gets.Add(1) == 2 {
						close(late)
						<-hold
					}
				})
				s, src := newScope(t, on(store.as(capInProcess))), newGated(7)
				first := wrapAsync(t.Context(), s, "k", src.load)
				synctest.Wait()
				second := async(func() (int, error) { return read(t.Context(), s, src) })
				<-late
				close(src.gate)
				r := <-first
				want(t, "first reader", r.value, r.err, 7)
				wantIdle(t, s)
				close(hold)
				r = <-second
				want(t, "second reader", r.value, r.err, 7)
				wantLoads(t, &src.loads, 1)
				assert.Equal(t, int64(1), store.count("set"), "fills")
				wantIdle(t, s)
			})
		})
	}
}

// The look in the store before a load finds an absence as well.
func TestReaderThatMissedBeforeAnAbsenceLandedDoesNotLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late, hold := make(chan struct{}), make(chan struct{})
		store := plain(newStore(t))
		var gets atomic.Int64
		store.after("get", func(string) {
			if gets.Add(1) == 2 {
				close(late)
				<-hold
			}
		})
		s, src := newScope(t, on(store.as(capInProcess))), newGated(0)
		src.err = readthrough.ErrNotFound
		first := wrapAsync(t.Context(), s, "k", src.load)
		synctest.Wait()
		second := wrapAsync(t.Context(), s, "k", src.load)
		<-late
		close(src.gate)
		<-first
		close(hold)
		assert.ErrorIs(t, (<-second).err, readthrough.ErrNotFound)
		wantLoads(t, &src.loads, 1)
		wantIdle(t, s)
	})
}

// A store that panics when it is asked for values costs a load, and is reported.
func TestGetValuesThatPanics(t *testing.T) {
	var reports atomic.Int64
	store := plain(newStore(t))
	store.fail(faultPanic, "getValue", "getValues")
	s := newScope(t, on(store.as(likeMemory)), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
		o.OnError = func(e *readthrough.OpError) {
			if e.Op == "get" {
				reports.Add(1)
			}
		}
	}))
	src := newTable("a", "b")
	values, err := readMany(t.Context(), s, src, "a", "b")
	wantMany(t, "bulk", values, err, map[string]int{"a": 1, "b": 2})
	assert.Equal(t, int64(1), reports.Load(), "reported")
}

// A load of B has read the old version. A invalidates. A reader that begins in B
// afterwards must not take the result of that load.
func TestReaderDoesNotJoinWhatAnotherProcessInvalidated(t *testing.T) {
	for name, read := range resultReads[int64]() {
		bubble(t, name, func(t *testing.T) {
			a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
			source := versioned{after: make(chan struct{})}
			source.version.Store(1)
			early := readLater(t.Context(), b, source.load)
			synctest.Wait() // B has read version 1
			source.version.Store(2)
			require.NoError(t, a.Invalidate(t.Context(), "k"))
			late := async(func() (readthrough.Result[int64], error) { return read(t.Context(), b, "k", source.load) })
			synctest.Wait() // it waits for the same load
			require.Equal(t, int64(1), source.loads.Load(), "loads: the late reader joins")
			close(source.after)
			assert.Equal(t, int64(1), (<-early).version, "the early reader")
			got := <-late
			assert.NoError(t, got.err, "the late reader")
			assert.Equal(t, int64(2), got.value.Value, "the late reader")
			assert.Equal(t, int64(2), readNow(t, a, source.load), "what A reads")
			assert.Equal(t, int64(2), source.loads.Load(), "loads: the late fill was refused, the second one stored")
		})
	}
}

// Nor may it take that there was nothing, but an error it takes: that is of the
// source, and no older than the reader's own would be.
func TestWhatALateReaderTakes(t *testing.T) {
	for name, read := range resultReads[int]() {
		for _, outcome := range []error{readthrough.ErrNotFound, errDatabase} {
			bubble(t, name+"/"+outcome.Error(), func(t *testing.T) {
				a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
				src := newGated(1)
				src.fail(outcome)
				early := async(func() (readthrough.Result[int], error) { return read(t.Context(), b, "k", src.load) })
				synctest.Wait()
				src.fail(nil)
				require.NoError(t, a.Invalidate(t.Context(), "k"))
				late := async(func() (readthrough.Result[int], error) { return read(t.Context(), b, "k", src.load) })
				synctest.Wait()
				close(src.gate)
				r := <-early
				assert.ErrorIs(t, r.err, outcome, "the early reader got %+v", r.value)
				r = <-late
				if outcome == errDatabase { //nolint:errorlint // which of the two it is
					wantLoads(t, &src.loads, 1)
					assert.ErrorIs(t, r.err, outcome, "the late reader got %+v", r.value)
					return
				}
				wantResult(t, "the late reader", r.value, r.err, readthrough.Result[int]{Value: 1, Source: readthrough.FromLoad})
			})
		}
	}
}

// The same, but A has stored the new version already: the late reader finds it.
func TestReaderThatIsTooLateLooksInTheStore(t *testing.T) {
	for name, read := range resultReads[int64]() {
		bubble(t, name, func(t *testing.T) {
			a, b, _, _ := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
			old, current := versioned{after: make(chan struct{})}, versioned{}
			current.version.Store(2)
			readLater(t.Context(), b, old.load)
			synctest.Wait()
			require.NoError(t, a.Invalidate(t.Context(), "k"))
			late := async(func() (readthrough.Result[int64], error) { return read(t.Context(), b, "k", old.load) })
			synctest.Wait()
			readNow(t, a, current.load)
			close(old.after)
			got := <-late
			wantResult(t, "the late reader", got.value, got.err, readthrough.Result[int64]{Value: 2, Source: readthrough.FromStore})
			assert.Equal(t, int64(1), old.loads.Load(), "loads in B")
		})
	}
}

// Two readers are too late to take a load. One of them loads again, and the other
// joins that when its load is under way: it began before that load did, and takes
// what it brings, even if that is not stored.
func TestReaderIsTooLateOnce(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			store := newLeaseDouble()
			s, src := newScope(t, on(store.as(likeShared))), newSource(1)
			src.take(time.Second)
			load := func(ctx context.Context) (int, error) {
				readthrough.LoadOf(ctx, "k").SetTTL(0) // it is served, and not stored
				return src.load(ctx)
			}
			first := wrapAsync(t.Context(), s, "k", load)
			synctest.Wait()
			var late []<-chan result[readthrough.Result[int]]
			for range 2 {
				late = append(late, async(func() (readthrough.Result[int], error) { return read(t.Context(), s, "k", load) }))
				synctest.Wait()
			}
			var looks atomic.Int64
			store.before("get", func(string) {
				if looks.Add(1) == 2 { // the second look takes a moment
					time.Sleep(time.Millisecond)
				}
			})
			<-first
			for _, reader := range late {
				r := <-reader
				wantResult(t, "late", r.value, r.err, readthrough.Result[int]{Value: 1, Source: readthrough.FromLoad})
			}
			wantLoads(t, &src.loads, 2)
		})
	}
}

// What the fill confirmed may be taken by all who began before it was sent: who
// joined during the load need not ask the store again.
func TestConfirmedFillServesAllJoiners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b, _, server := twoProcesses(t, readthrough.ScopeOptions{TTL: time.Hour})
		source := versioned{after: make(chan struct{})}
		var readers []<-chan answer
		for range 100 {
			readers = append(readers, readLater(t.Context(), b, source.load))
			synctest.Wait()
		}
		close(source.after)
		for _, reader := range readers {
			require.NoError(t, (<-reader).err)
		}
		loads, gets := source.loads.Load(), server.gets.Load()
		assert.Equal(t, int64(1), loads, "loads")
		assert.Equal(t, int64(100), gets, "looks at the store")
	})
}

// A stale value that a reader has for want of another is its own: it may take it
// although it was invalidated since it looked, and a reader that begins after the
// invalidation may not.
func TestInvalidationAndAStaleValueInHand(t *testing.T) {
	onEachPath(t, func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }, func(t *testing.T, p *path) {
		src := newSource(1)
		p.fill(src.load)
		time.Sleep(time.Minute)
		src.fail(errDatabase)
		src.gate = make(chan struct{})
		before := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
		synctest.Wait()
		p.invalidateNow()
		after := async(func() (readthrough.Result[int], error) { return p.read(src.load) })
		synctest.Wait()
		close(src.gate)
		r := <-before
		wantResult(t, "before", r.value, r.err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStale, Age: time.Minute, Err: errDatabase})
		r = <-after
		assert.ErrorIs(t, r.err, errDatabase, "after the invalidation: got %+v", r.value)
		wantIdle(t, p.scope)
	})
}

// Who has to load gets the absence that the source reports, and no stale value.
func TestAbsenceComesBeforeAStaleValue(t *testing.T) {
	onEachPath(t, func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }, func(t *testing.T, p *path) {
		src := newSource(1)
		p.fill(src.load)
		time.Sleep(time.Minute)
		src.fail(readthrough.ErrNotFound)
		got, err := p.read(src.load)
		assert.ErrorIs(t, err, readthrough.ErrNotFound, "got %+v", got)
	})
}
