package readthrough_test

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

type userFilter struct {
	Status []string `json:"status,omitempty"`
	Score  float64  `json:"score,omitempty"`
}

type userPage struct {
	Names []string
	Total int
}

func TestList(t *testing.T) {
	s := newScope(t)
	var loads atomic.Int64
	lists, err := readthrough.NewList(s, "list:", func(_ context.Context, f userFilter) (userPage, error) {
		loads.Add(1)
		if len(f.Status) == 0 {
			return userPage{}, errFault
		}
		return userPage{f.Status, int(loads.Load())}, nil
	})
	require.NoError(t, err)
	ctx, active := t.Context(), userFilter{Status: []string{"active"}}
	for range 2 {
		page, err := lists.Get(ctx, userFilter{Status: []string{"active"}})
		want(t, "Get", page.Total, err, 1)
	}
	key, err := lists.Key(active)
	want(t, "Key", key, err, `list:{"status":["active"]}`)
	assert.Same(t, s, lists.Scope())

	page, err := lists.Refresh(ctx, active)
	want(t, "Refresh", page.Total, err, 2)
	page, err = lists.Get(ctx, active)
	want(t, "Get after Refresh", page.Total, err, 2)
	require.NoError(t, lists.Invalidate(ctx))
	page, err = lists.Get(ctx, active)
	want(t, "Get after Invalidate", page.Total, err, 3)

	_, err = lists.Get(ctx, userFilter{})
	assert.ErrorIs(t, err, errFault, "the error of the load")
	assert.NotErrorIs(t, err, readthrough.ErrBadKey)
	before := loads.Load()
	for _, get := range []func(context.Context, userFilter) (userPage, error){lists.Get, lists.Refresh} {
		_, err = get(ctx, userFilter{Score: math.NaN()})
		assert.ErrorIs(t, err, readthrough.ErrBadKey)
		assert.ErrorContains(t, err, "readthrough: List: ")
	}
	assert.Equal(t, before, loads.Load(), "loads for a filter without a key")

	var none *readthrough.List[int, int]
	_, err = none.Get(ctx, 1)
	assert.ErrorContains(t, err, "not made by NewList")
	assert.ErrorContains(t, none.Invalidate(ctx), "not made by NewList")
	assert.Nil(t, none.Scope())
}

// TestListCloned: whoever sorts what it got sorts nobody else's.
func TestListCloned(t *testing.T) {
	var loads int
	shared, err := readthrough.NewList(newScope(t), "list:", func(context.Context, string) ([]int, error) { loads++; return []int{3, 1, 2}, nil })
	require.NoError(t, err)
	lists := shared.Cloned(slices.Clone[[]int])
	peek := func(ctx context.Context, filter string) ([]int, error) {
		result, ok, err := lists.Peek(ctx, filter)
		assert.True(t, ok)
		return result, err
	}
	for _, read := range []func(context.Context, string) ([]int, error){lists.Get, lists.Get, peek, peek, lists.Refresh, lists.Get, shared.Get} {
		result, err := read(t.Context(), "all")
		require.NoError(t, err)
		require.Equal(t, []int{3, 1, 2}, result)
		slices.Sort(result)
	}
	assert.Equal(t, 2, loads, "loads: one for both lists, and Refresh")
	result, err := shared.Cloned(nil).Get(t.Context(), "all")
	want(t, "the first of a shared result, which is sorted by now", result[0], err, 1)

	_, err = (*readthrough.List[int, int])(nil).Cloned(func(n int) int { return n }).Get(t.Context(), 1)
	assert.ErrorContains(t, err, "not made by NewList")
}
