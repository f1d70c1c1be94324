package readthrough_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

func TestMemoizeIsWrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		loads := make(map[int]int)
		get := readthrough.Memoize(s, func(id int) string { return fmt.Sprint("k:", id) },
			func(_ context.Context, id int) (string, error) {
				loads[id]++
				switch id {
				case 1:
					return "", readthrough.ErrNotFound
				case 2:
					return "", errFault
				case 3:
					panic("three")
				default:
					return fmt.Sprint("v", id, ".", loads[id]), nil
				}
			})
		for range 3 {
			got, err := get(t.Context(), 7)
			want(t, "value", got, err, "v7.1")
			_, err = get(t.Context(), 1)
			assert.ErrorIs(t, err, readthrough.ErrNotFound, "absent")
			_, err = get(t.Context(), 2)
			assert.ErrorIs(t, err, errFault, "failed")
			var panicErr *readthrough.PanicError
			_, err = get(t.Context(), 3)
			if assert.ErrorAs(t, err, &panicErr, "panicked") {
				assert.Equal(t, "three", panicErr.Value, "panicked")
			}
		}
		assert.Equal(t, map[int]int{7: 1, 1: 1, 2: 3, 3: 3}, loads, "loads")
		// It is the same key that Wrap reads and that Invalidate removes.
		got, err := readthrough.Wrap(t.Context(), s, "k:7", func(context.Context) (string, error) { return "not loaded", nil })
		want(t, "Wrap", got, err, "v7.1")
		require.NoError(t, s.Invalidate(t.Context(), "k:7"))
		got, err = get(t.Context(), 7)
		want(t, "after the invalidation", got, err, "v7.2")
		wantIdle(t, s)
	})
}

func TestMemoizeStampede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		source := newGated("v")
		get := readthrough.Memoize(s, func(id string) string { return id },
			func(ctx context.Context, _ string) (string, error) { return source.load(ctx) })
		var readers sync.WaitGroup
		for range 1000 {
			readers.Go(func() {
				got, err := get(t.Context(), "k")
				want(t, "reader", got, err, "v")
			})
		}
		synctest.Wait()
		close(source.gate)
		readers.Wait()
		wantLoads(t, &source.loads, 1)
	})
}

// TestMemoizeOptions: the options are those at the time of Memoize, whatever
// becomes of the slice.
func TestMemoizeOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		loads := 0
		options := []readthrough.CallOption{readthrough.TTL(time.Second)}
		get := readthrough.Memoize(s, func(id string) string { return id },
			func(context.Context, string) (int, error) { loads++; return loads, nil }, options...)
		getMany := readthrough.MemoizeMany(s, func(id string) string { return "many:" + id },
			func(_ context.Context, ids []string) (map[string]int, error) {
				loads++
				return map[string]int{ids[0]: loads}, nil
			}, options...)
		options[0] = readthrough.TTL(time.Hour)
		for i := range 3 {
			got, err := get(t.Context(), "k")
			want(t, "read", got, err, 2*i+1)
			many, err := getMany(t.Context(), []string{"k"})
			want(t, "bulk read", many["k"], err, 2*i+2)
			time.Sleep(time.Second)
		}
	})
}

func TestMemoizeManyIsWrapMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		var asked [][]int
		key := func(id int) string { return fmt.Sprint("k:", id) }
		getMany := readthrough.MemoizeMany(s, key, func(_ context.Context, ids []int) (map[int]string, error) {
			asked = append(asked, ids)
			loaded := make(map[int]string)
			for _, id := range ids {
				if id > 0 {
					loaded[id] = fmt.Sprint("v", id)
				}
			}
			return loaded, nil
		})
		read := func(ids []int, wanted map[int]string) {
			t.Helper()
			got, err := getMany(t.Context(), ids)
			assert.NoError(t, err, "read of %v", ids)
			assert.Equal(t, wanted, got, "read of %v", ids)
		}
		read([]int{1, 2, -1}, map[int]string{1: "v1", 2: "v2"})
		read([]int{2, 3, -1, 3}, map[int]string{2: "v2", 3: "v3"})
		read(nil, map[int]string{})
		get := readthrough.Memoize(s, key, func(context.Context, int) (string, error) { return "not loaded", nil })
		got, err := get(t.Context(), 3)
		want(t, "Memoize", got, err, "v3")
		assert.Equal(t, [][]int{{1, 2, -1}, {3}}, asked, "the ids it was asked for")
	})
}
