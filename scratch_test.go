package readthrough_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// Whoever calls WrapMany may change the ids when it has returned, also if a load for
// them goes on, for another reader.
func TestBulkLoadKeepsItsIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, src := newScope(t), newTable("a", "b", "c")
		src.gate = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		ids := []string{"a", "b", "b", "c"}[:2]
		first := async(func() (map[string]int, error) { return readMany(ctx, s, src, ids...) })
		synctest.Wait()
		second := wrapAsync(t.Context(), s, "b", src.loadOne(t.Context(), "b"))
		synctest.Wait()
		cancel()
		assert.ErrorIs(t, (<-first).err, context.Canceled, "the reader that has left")
		ids[0], ids[1] = "other", "another"
		// The memory that the first reader has worked with is the next one's.
		third := async(func() (map[string]int, error) { return readMany(t.Context(), s, src, "c", "d") })
		synctest.Wait()
		close(src.gate)
		r := <-second
		want(t, "the reader that has joined", r.value, r.err, 2)
		b := <-third
		wantMany(t, "the next reader", b.value, b.err, map[string]int{"c": 3})
		wantIdle(t, s)
	})
}

// ids are the caller's, and stay as they are.
func TestWrapManyLeavesIDsAlone(t *testing.T) {
	s, src := newScope(t), newTable("a", "b", "c")
	ids := []string{"a", "b", "a", "c", "b", "c"}
	before := slices.Clone(ids)
	for range 2 {
		values, err := readMany(t.Context(), s, src, ids...)
		wantMany(t, "bulk", values, err, map[string]int{"a": 1, "b": 2, "c": 3})
		require.Equal(t, before, ids, "the ids stay as they were")
	}
	src.wantAsked(t, "a b c")
}

// Keys with a pending invalidation are missing without a look at the store. Their
// ids have their places among those that are missing there.
func TestBulkLoadWithPendingInvalidationsInOrder(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		r.store.fail(faultError, "delete")
		require.ErrorIs(t, r.scope.Invalidate(t.Context(), "b", "d"), readthrough.ErrInvalidationPending)
		src := newTable("a", "b", "c", "d")
		values, err := readMany(t.Context(), r.scope, src, "a", "b", "c", "d")
		wantMany(t, "bulk", values, err, map[string]int{"a": 1, "b": 2, "c": 3, "d": 4})
		src.wantAsked(t, "a b c d")
		r.store.heal()
	})
}

// What one bulk read leaves behind is not in the next one.
func TestBulkReadsOneAfterAnother(t *testing.T) {
	s, src := newScope(t), newTable("a", "b", "c", "d", "e")
	for _, ids := range [][]string{{"a", "b", "c", "d", "e"}, {"a"}, {"b", "missing"}, {"missing"}, {"e", "d", "c"}, {}} {
		wanted := make(map[string]int)
		for _, id := range ids {
			if value, ok := src.values[id]; ok {
				wanted[id] = value
			}
		}
		values, err := readMany(t.Context(), s, src, ids...)
		wantMany(t, "bulk", values, err, wanted)
	}
	src.wantAsked(t, "a b c d e", "missing")
}
