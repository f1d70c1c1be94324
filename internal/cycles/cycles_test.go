package cycles

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

type tree struct {
	Children []*tree
	Labels   map[string]any
}

// TestDeep: a type is deep if it contains itself or an interface.
func TestDeep(t *testing.T) {
	t.Parallel()
	for _, v := range []any{tree{}, []any(nil), map[string]*tree(nil), [2]*tree{}, struct{ E error }{}} {
		assert.True(t, Deep(reflect.TypeOf(v)), "%T", v)
	}
	for _, v := range []any{1, "a", time.Time{}, []map[string][]int(nil), struct{ A, B *time.Time }{}, func() {}} {
		assert.False(t, Deep(reflect.TypeOf(v)), "%T", v)
	}
}

// TestCheck: a value that contains itself is an error, in whichever way; one that has a part twice is none.
func TestCheck(t *testing.T) {
	t.Parallel()
	byPointer := &tree{}
	byPointer.Children = []*tree{{}, {Children: []*tree{byPointer}}}
	bySlice := []any{nil}
	bySlice[0] = bySlice
	byMap := map[string]any{}
	byMap["a"] = map[string]any{"b": byMap}
	byField := tree{Labels: map[string]any{}}
	byField.Labels["self"] = byField.Labels
	for _, v := range []any{byPointer, bySlice, byMap, byField} {
		assert.ErrorIs(t, Check(v), errCycle, "%T", v)
	}
	leaf := &tree{}
	for _, v := range []any{nil, 1, (*tree)(nil), tree{}, &tree{Children: []*tree{leaf, leaf, nil}}, []any{1, nil, leaf, leaf}, map[any]any{1: "a"}} {
		assert.NoError(t, Check(v), "%T", v)
	}
	deep := &tree{}
	for range MaxDepth {
		deep = &tree{Children: []*tree{deep}}
	}
	assert.ErrorIs(t, Check(deep), errDeep)
}
