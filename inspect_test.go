package readthrough_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// TestStoreState lets a store fail, stay away and come back.
func TestStoreState(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		assert.Equal(t, readthrough.StoreState{Breaker: "closed", Shards: 1}, r.cache.StoreState(), "before anything has happened")
		r.store.fail(faultError, "get", "set")
		for range breakerFailures - 1 {
			r.read("k")
		}
		began := time.Now()
		state := r.cache.StoreState()
		assert.Equal(t, "open", state.Breaker, "after a read and a fill for each failure but the last")
		assert.Equal(t, began, state.Since)
		assert.ErrorIs(t, state.Failure, errFault)

		time.Sleep(breakerCooldown)
		assert.Equal(t, "half-open", r.cache.StoreState().Breaker, "after the cooldown")
		r.read("k") // the probe, which fails
		state = r.cache.StoreState()
		assert.Equal(t, "open", state.Breaker, "after a probe that failed")
		assert.Equal(t, began, state.Since, "an outage begins once")
		assert.Equal(t, began.Add(breakerCooldown), state.FailedAt)
		assert.EqualValues(t, 1, state.Opens)

		time.Sleep(breakerCooldown)
		r.store.fail(faultNone, "get", "set")
		r.read("k")
		state = r.cache.StoreState()
		assert.Equal(t, "closed", state.Breaker, "after a probe that was answered")
		assert.Zero(t, state.Since)
		assert.ErrorIs(t, state.Failure, errFault, "the last failure is kept")
	})
}

// TestActivity looks at loads that wait, run and store, and at what is pending.
func TestActivity(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		began := time.Now()
		r.delay = time.Second
		for range 3 {
			go r.read("a")
		}
		synctest.Wait()
		time.Sleep(time.Millisecond)
		go r.readMany("b", "c")
		synctest.Wait()
		assert.Equal(t, []readthrough.ActiveLoad{
			{Key: "a", Count: 1, Since: began, Waiters: 3, Stage: "loading", Purpose: "read"},
			{Key: "b", Count: 2, Since: began.Add(time.Millisecond), Waiters: 1, Stage: "loading", Purpose: "read"},
		}, r.scope.Activity(0).Loads)
		assert.Len(t, r.scope.Activity(1).Loads, 1, "at most one")
		assert.Empty(t, r.scope.Activity(-1).Loads, "none")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Empty(t, r.scope.Activity(0).Loads, "after they have ended")

		r.store.fail(faultError, "delete", "deletePrefix")
		assert.Zero(t, r.scope.Stats().PendingSince, "nothing is pending")
		pending := time.Now()
		require.ErrorIs(t, r.scope.Invalidate(t.Context(), "b"), readthrough.ErrInvalidationPending)
		time.Sleep(time.Millisecond)
		_, err := r.scope.InvalidatePrefix(t.Context(), "z")
		require.ErrorIs(t, err, readthrough.ErrInvalidationPending)
		activity := r.scope.Activity(0)
		assert.Equal(t, []readthrough.PendingTarget{{Name: "z", Prefix: true}, {Name: "b"}}, activity.Pending)
		assert.Equal(t, pending, activity.PendingSince, "since the first of them")
		assert.Equal(t, pending, r.scope.Stats().PendingSince)
		assert.Len(t, r.scope.Activity(1).Pending, 1, "at most one")

		r.store.fail(faultNone, "delete", "deletePrefix")
		time.Sleep(time.Minute)
		synctest.Wait()
		activity = r.scope.Activity(0)
		assert.Empty(t, activity.Loads, "after the retries")
		assert.Empty(t, activity.Pending, "after the retries")
		assert.Zero(t, activity.PendingSince, "after the retries")
	})
}

// TestInspectionOfNothing: what was not made has nothing to show.
func TestInspectionOfNothing(t *testing.T) {
	t.Parallel()
	var cache *readthrough.Cache
	var scope *readthrough.CachedScope
	assert.Zero(t, cache.StoreState())
	assert.Zero(t, scope.Activity(0))
	assert.Zero(t, scope.Options())
	made := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.MaxLoads = 3 }))
	assert.Equal(t, 3, made.Options().MaxLoads)
	assert.ErrorIs(t, made.Options().NotFound, readthrough.ErrNotFound, "options have their defaults")
}
