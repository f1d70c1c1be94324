package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
)

func TestEachLoadsAtMostLimitAtOnce(t *testing.T) {
	for _, limit := range []int{1, 3, 100} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 10
				var running, most atomic.Int64
				load := readthrough.Each(limit, func(_ context.Context, id int) (int, error) {
					raise(&most, running.Add(1))
					time.Sleep(time.Second)
					running.Add(-1)
					return -id, nil
				})
				ids, wanted := make([]int, n), make(map[int]int)
				for i := range ids {
					ids[i], wanted[i] = i, -i
				}
				s := newScope(t)
				began := time.Now()
				values, err := readthrough.WrapMany(t.Context(), s, ids, func(id int) string { return fmt.Sprint(id) }, load)
				wantMany(t, "bulk", values, err, wanted)
				assert.Equal(t, int64(min(limit, n)), most.Load(), "most that ran at once")
				assert.Equal(t, time.Duration((n+limit-1)/limit)*time.Second, time.Since(began), "took")
				wantIdle(t, s)
			})
		})
	}
}

func TestEachAbsence(t *testing.T) {
	errGone := errors.New("gone")
	for _, c := range []struct {
		name     string
		notFound error // of the scope
		err      error // of the load
	}{
		{"ErrNotFound", nil, readthrough.ErrNotFound},
		{"ErrNotFound, wrapped", nil, fmt.Errorf("load: %w", readthrough.ErrNotFound)},
		{"the scope's own", errGone, fmt.Errorf("load: %w", errGone)},
		{"ErrNotFound in a scope with its own", errGone, readthrough.ErrNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t, with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.NotFound = c.notFound }))
				var loads atomic.Int64
				load := readthrough.Each(2, func(_ context.Context, id string) (int, error) {
					loads.Add(1)
					if id == "none" {
						return 0, c.err
					}
					return 1, nil
				})
				for range 2 {
					values, err := readthrough.WrapMany(t.Context(), s, []string{"a", "none", "b"}, self, load)
					wantMany(t, "bulk", values, err, map[string]int{"a": 1, "b": 1})
				}
				wantLoads(t, &loads, 3)
				wantIdle(t, s)
			})
		})
	}
}

// An id that fails, in whatever way, fails alone: the others are loaded and stored, and the errors come
// back with their ids.
func TestEachFailure(t *testing.T) {
	for _, failure := range failures {
		for _, limit := range []int{1, 2, 10} {
			bubble(t, fmt.Sprint(failure.name, " limit ", limit), func(t *testing.T) {
				s := newScope(t)
				load := readthrough.Each(limit, func(_ context.Context, id string) (int, error) {
					switch id {
					case "x", "y":
						return 0, failure.fail()
					case "none":
						return 0, readthrough.ErrNotFound
					default:
						return len(id), nil
					}
				})
				single := wrapAsync(t.Context(), s, "other", newSource(9).load)
				<-single
				values, err := readthrough.WrapMany(t.Context(), s, []string{"x", "a", "none", "y", "bb", "ccc"}, self, load)
				assert.True(t, failure.check(err), "error %v", err)
				assert.ErrorContains(t, err, "id x: ")
				assert.ErrorContains(t, err, "id y: ")
				assert.Equal(t, map[string]int{"a": 1, "bb": 2, "ccc": 3}, values)
				again := newTable("a", "bb", "ccc", "x", "y", "none")
				_, err = readMany(t.Context(), s, again, "x", "a", "none", "bb", "ccc")
				assert.NoError(t, err)
				again.wantAsked(t, "x") // the others are stored, and the absence
				wantIdle(t, s)
			})
		}
	}
}

// A reader of one id that has joined the bulk load gets the error of that id, or its value.
func TestJoinersOfEachGetTheErrorOfTheirID(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t)
		load := readthrough.Each(2, func(_ context.Context, id string) (int, error) {
			time.Sleep(time.Second)
			if id == "x" {
				return 0, errDatabase
			}
			return 1, nil
		})
		bulk := async(func() (map[string]int, error) {
			return readthrough.WrapMany(t.Context(), s, []string{"a", "x"}, self, load)
		})
		synctest.Wait()
		good, bad := wrapAsync(t.Context(), s, "a", newSource(2).load), wrapAsync(t.Context(), s, "x", newSource(2).load)
		assert.ErrorIs(t, (<-bulk).err, errDatabase)
		r := <-good
		want(t, "the good id", r.value, r.err, 1)
		r = <-bad
		assert.ErrorIs(t, r.err, errDatabase)
		assert.ErrorContains(t, r.err, "id x: ")
		wantIdle(t, s)
	})
}

// The end of the load's context ends the run: ids that were not begun are neither loaded nor absent.
func TestEachEndsWithItsContext(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var begun atomic.Int64
		load := readthrough.Each(1, func(ctx context.Context, id string) (int, error) {
			if begun.Add(1) == 2 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 1, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		values, err := load(ctx, []string{"a", "b", "c", "d"})
		assert.Equal(t, map[string]int{"a": 1}, values)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, int64(2), begun.Load(), "begun")
	})
}

// Goexit in one id and an error in another: the load has failed, whichever is told.
func TestEachGoexitBesideAnError(t *testing.T) {
	values, err := readthrough.Each(2, func(_ context.Context, id int) (int, error) {
		if id == 0 {
			runtime.Goexit()
		}
		return 0, errDatabase
	})(t.Context(), []int{0, 1})
	assert.Empty(t, values)
	if !errors.Is(err, errDatabase) {
		assert.ErrorIs(t, err, readthrough.ErrGoexit)
	}
}

// The context ends and the load functions do not say so.
func TestEachWithAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	values, err := readthrough.Each(1, func(_ context.Context, id int) (int, error) {
		if id == 1 {
			cancel()
		}
		return id, nil
	})(ctx, []int{0, 1, 2, 3})
	assert.ErrorIs(t, err, context.Canceled, "the ids that were not begun would be absent")
	assert.Equal(t, map[int]int{0: 0, 1: 1}, values, "the ids that were not begun would be absent")
}

func TestEachAlone(t *testing.T) {
	load := readthrough.Each(2, func(_ context.Context, id int) (int, error) { return -id, nil })
	values, err := load(t.Context(), nil)
	wantMany(t, "no ids", values, err, map[int]int{})
	values, err = load(t.Context(), []int{1, 1, 2})
	wantMany(t, "an id twice", values, err, map[int]int{1: -1, 2: -2})
}

func TestEachBadArguments(t *testing.T) {
	one := func(context.Context, string) (int, error) { return 1, nil }
	s := newScope(t)
	for says, load := range map[string]func(context.Context, []string) (map[string]int, error){
		"readthrough: Each: limit: 0: must be at least 1":  readthrough.Each(0, one),
		"readthrough: Each: limit: -1: must be at least 1": readthrough.Each(-1, one),
		"readthrough: Each: load: must not be nil":         readthrough.Each[string, int](1, nil),
	} {
		values, err := readthrough.WrapMany(t.Context(), s, []string{"a"}, self, load)
		assert.EqualError(t, err, says)
		assert.Empty(t, values)
	}
}

// A load that splits its ids over several runs of Each: no id is absent because another run has failed.
func TestEachInParts(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t)
		part := readthrough.Each(2, func(_ context.Context, id string) (int, error) {
			switch id {
			case "none":
				return 0, readthrough.ErrNotFound
			case "a":
				return 1, nil
			default:
				return 0, errDatabase
			}
		})
		load := func(ctx context.Context, _ []string) (map[string]int, error) {
			values, err := part(ctx, []string{"a", "none", "x"})
			_, other := part(ctx, []string{"y"})
			return values, errors.Join(err, other)
		}
		joined := make(chan struct{})
		bulk := async(func() (map[string]int, error) {
			return readthrough.WrapMany(t.Context(), s, []string{"a", "none", "x", "y", "lost"}, self, func(ctx context.Context, ids []string) (map[string]int, error) {
				<-joined
				return load(ctx, ids)
			})
		})
		synctest.Wait()
		single := wrapAsync(t.Context(), s, "y", newSource(2).load)
		synctest.Wait()
		close(joined)
		assert.ErrorIs(t, (<-single).err, errDatabase, "an id of the other run")
		r := <-bulk
		assert.ErrorIs(t, r.err, errDatabase)
		assert.ErrorContains(t, r.err, "id y: ")
		assert.Equal(t, map[string]int{"a": 1}, r.value)
		again := newTable("a", "x", "y", "none", "lost")
		_, err := readMany(t.Context(), s, again, "a", "none", "x", "y", "lost")
		assert.NoError(t, err)
		again.wantAsked(t, "x y lost") // only the absence that a run has reported is one
		wantIdle(t, s)
	})
}
