package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
			if _, err := get(t.Context(), 1); !errors.Is(err, readthrough.ErrNotFound) {
				t.Errorf("absent: %v", err)
			}
			if _, err := get(t.Context(), 2); !errors.Is(err, errFault) {
				t.Errorf("failed: %v", err)
			}
			var panicErr *readthrough.PanicError
			if _, err := get(t.Context(), 3); !errors.As(err, &panicErr) || panicErr.Value != "three" {
				t.Errorf("panicked: %v", err)
			}
		}
		if wanted := map[int]int{7: 1, 1: 1, 2: 3, 3: 3}; !maps.Equal(loads, wanted) {
			t.Errorf("loads %v, want %v", loads, wanted)
		}
		// It is the same key that Wrap reads and that Invalidate removes.
		got, err := readthrough.Wrap(t.Context(), s, "k:7", func(context.Context) (string, error) { return "not loaded", nil })
		want(t, "Wrap", got, err, "v7.1")
		if err := s.Invalidate(t.Context(), "k:7"); err != nil {
			t.Fatal(err)
		}
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
			if err != nil || !maps.Equal(got, wanted) {
				t.Errorf("read of %v: %v, %v, want %v", ids, got, err, wanted)
			}
		}
		read([]int{1, 2, -1}, map[int]string{1: "v1", 2: "v2"})
		read([]int{2, 3, -1, 3}, map[int]string{2: "v2", 3: "v3"})
		read(nil, map[int]string{})
		get := readthrough.Memoize(s, key, func(context.Context, int) (string, error) { return "not loaded", nil })
		got, err := get(t.Context(), 3)
		want(t, "Memoize", got, err, "v3")
		if wanted := [][]int{{1, 2, -1}, {3}}; !slices.EqualFunc(asked, wanted, slices.Equal) {
			t.Errorf("asked for %v, want %v", asked, wanted)
		}
	})
}
