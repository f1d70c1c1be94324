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
	"github.com/readthrough/readthrough/provider"
)

// No key has ever been invalidated before; the load is under way.
func TestLateFillIsRefused(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		src := newGated(1)
		old := async(func() (int, error) { return e.read(src.load) })
		synctest.Wait()
		src.set(2)
		require.NoError(t, e.invalidate(t.Context(), e.scope))
		close(src.gate)
		r := <-old // it began before: it may have the old value
		want(t, "reader from before", r.value, r.err, 1)
		synctest.Wait()
		_, found, _ := e.store.below.Get(t.Context(), provider.Key{Scope: "test", Name: "k:1"})
		assert.False(t, found, "the old value was stored")
		assert.Positive(t, e.scope.Stats().RefusedFills, "refused fills counted")
		value, err := e.read(src.load)
		want(t, "reader from after", value, err, 2)
	})
}

// The old flight and the new one overlap; whichever ends first, the new value is
// the one that is stored, a third reader joins the new flight, and the old
// flight's end does not take the new flight's place away.
func TestReaderAfterInvalidateStartsANewFlight(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		before, after := newGated(1), newGated(2)
		old := async(func() (int, error) { return e.read(before.load) })
		synctest.Wait()
		require.NoError(t, e.invalidate(t.Context(), e.scope))
		second := async(func() (int, error) { return e.read(after.load) })
		synctest.Wait()
		wantLoads(t, &after.loads, 1)
		close(before.gate)
		r := <-old
		want(t, "reader from before", r.value, r.err, 1)
		synctest.Wait()
		third := wrapAsync(t.Context(), e.scope, "k:1", after.load)
		synctest.Wait()
		wantLoads(t, &after.loads, 1)
		close(after.gate)
		for who, reader := range map[string]<-chan result[int]{"second": second, "third": third} {
			r := <-reader
			want(t, who, r.value, r.err, 2)
		}
		value, err := e.read(after.load)
		want(t, "hit", value, err, 2)
		wantLoads(t, &after.loads, 1)
	})
}

// The new flight ends first, the old one later.
func TestOldFlightEndsLast(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		before, after := newGated(1), newSource(2)
		old := async(func() (int, error) { return e.read(before.load) })
		synctest.Wait()
		require.NoError(t, e.invalidate(t.Context(), e.scope))
		value, err := e.read(after.load)
		want(t, "reader from after", value, err, 2)
		close(before.gate)
		<-old
		synctest.Wait()
		value, err = e.read(after.load)
		want(t, "hit", value, err, 2)
		wantLoads(t, &after.loads, 1)
	})
}

// The store has deleted, and has not said so yet, when a load ends that began
// before: its epoch is over since the invalidation began, not since it returned.
func TestLoadThatEndsDuringTheInvalidationDoesNotFill(t *testing.T) {
	eachInvalidation(t, func(t *testing.T, e invalidationTest) {
		deleted, hold := make(chan struct{}), make(chan struct{})
		e.store.after(removals, func(string) { close(deleted); <-hold })
		src := newGated(1)
		old := async(func() (int, error) { return e.read(src.load) })
		synctest.Wait()
		invalidated := async(func() (int, error) { return 0, e.invalidate(t.Context(), e.scope) })
		<-deleted
		src.set(2)
		close(src.gate)
		<-old
		synctest.Wait()
		close(hold)
		assert.NoError(t, (<-invalidated).err, "the invalidation")
		value, err := e.read(src.load)
		want(t, "reader from after", value, err, 2)
	})
}

// During the invalidation, after the epochs were ended and before the deletion,
// a reader begins, looks again, and finds the old value in the store. Who begins
// after the invalidation returned must not join that flight.
func TestFlightThatFoundTheOldValueDuringInvalidationIsNotJoinedAfterwards(t *testing.T) {
	for _, invalidation := range invalidations {
		for _, store := range stores {
			t.Run(invalidation.name+"/"+store.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, hooks := store.make(t)
					// A reader whose first look misses and whose second finds the old value:
					// between them another flight stores it.
					missed, goOn := make(chan struct{}), make(chan struct{})
					found, land := make(chan struct{}), make(chan struct{})
					var armed atomic.Bool
					var gets atomic.Int64
					hooks.after("get", func(key string) {
						if key != "k:1" || !armed.Load() {
							return
						}
						switch gets.Add(1) {
						case 1:
							close(missed)
							<-goOn
						case 2:
							close(found)
							<-land
						}
					})
					deleting, remove := make(chan struct{}), make(chan struct{})
					hooks.before(removals, func(string) { close(deleting); <-remove })
					s := newScope(t, on(p))

					armed.Store(true)
					odd := wrapAsync(t.Context(), s, "k:1", newSource(8).load)
					<-missed
					armed.Store(false)
					value, err := readthrough.Wrap(t.Context(), s, "k:1", newSource(1).load)
					want(t, "the old value", value, err, 1)
					armed.Store(true)
					invalidated := async(func() (int, error) { return 0, invalidation.do(t.Context(), s) })
					<-deleting
					close(goOn)
					<-found
					close(remove)
					assert.NoError(t, (<-invalidated).err, "the invalidation")
					after := wrapAsync(t.Context(), s, "k:1", newSource(2).load)
					synctest.Wait()
					close(land)
					r := <-after
					want(t, "reader from after", r.value, r.err, 2)
					r = <-odd
					want(t, "reader from before", r.value, r.err, 1)
					value, err = readthrough.Wrap(t.Context(), s, "k:1", newSource(3).load)
					want(t, "hit", value, err, 2)
					wantIdle(t, s)
				})
			})
		}
	}
}

// TestFlightThatFoundTheOldEntry: a flight that began while an invalidation was
// under way may have found the old entry in the store. Who begins after the
// invalidation has returned, though pending, does not join it.
func TestFlightThatFoundTheOldEntry(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.read("k")
		r.set("2")
		first, second, deletion := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var gets atomic.Int64
		r.store.hook("get", func(_ context.Context, names []string) error {
			if names[0] != "k" {
				return nil
			}
			switch gets.Add(1) {
			case 1: // misses
				<-first
				return errFault
			case 2: // of the flight, which looks again
				<-second
			}
			return nil
		})
		r.store.hook("delete", func(context.Context, []string) error { <-deletion; return errFault })

		invalidated := async(func() (int, error) { return 0, r.scope.Invalidate(t.Context(), "k") })
		synctest.Wait()
		old := async(func() (string, error) { return r.readCtx(t.Context(), r.scope, "k") })
		synctest.Wait()
		r.read("another") // stores something, so that the flight looks again
		close(first)
		synctest.Wait()
		require.Equal(t, int64(2), gets.Load(), "the store was asked: the flight looks again")
		close(deletion)
		require.ErrorIs(t, (<-invalidated).err, readthrough.ErrInvalidationPending)
		after := async(func() (string, error) { return r.readCtx(t.Context(), r.scope, "k") })
		synctest.Wait()
		close(second)
		got := <-after
		assert.NoError(t, got.err, "who began after the invalidation")
		assert.Equal(t, "2", got.value, "who began after the invalidation")
		assert.NoError(t, (<-old).err)
	})
}

// TestFlightBeforePending: a load that began before its key became pending does
// not fill either.
func TestFlightBeforePending(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.store.fail(faultError, "delete")
		r.delay = time.Millisecond
		old := async(func() (string, error) { return r.readCtx(t.Context(), r.scope, "k") })
		synctest.Wait()
		r.set("2")
		_ = r.scope.Invalidate(t.Context(), "k")
		r.expectRead("k", "2", true) // does not join the load of the old value
		got := <-old
		assert.NoError(t, got.err, "the reader that came before")
		assert.Equal(t, "1", got.value, "the reader that came before")
		assert.Empty(t, r.store.calls("set", "setMany"), "fills of a pending key")
		assert.Equal(t, int64(1), r.scope.Stats().RefusedFills, "Stats().RefusedFills")
	})
}
