package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// Values of several types live in one scope, as long as each key has one.
func TestMixedTypes(t *testing.T) {
	type point struct{ X, Y int }
	s := newScope(t)
	for range 2 {
		n, err := readthrough.Wrap(t.Context(), s, "int", newSource(1).load)
		want(t, "int", n, err, 1)
		text, err := readthrough.Wrap(t.Context(), s, "string", newSource("text").load)
		want(t, "string", text, err, "text")
		p, err := readthrough.Wrap(t.Context(), s, "point", newSource(point{1, 2}).load)
		want(t, "struct", p, err, point{1, 2})
		points, err := readthrough.WrapMany(t.Context(), s, []string{"point", "other"}, self, many(newSource(point{3, 4}).load))
		assert.NoError(t, err, "bulk")
		assert.Equal(t, point{1, 2}, points["point"], "bulk")
		assert.Equal(t, point{3, 4}, points["other"], "bulk")
		anything, err := readthrough.WrapMany(t.Context(), s, []any{1, "one", point{1, 1}}, func(id any) string { return fmt.Sprintf("any:%T", id) },
			func(_ context.Context, ids []any) (map[any]any, error) {
				values := make(map[any]any)
				for _, id := range ids {
					values[id] = id
				}
				return values, nil
			})
		assert.NoError(t, err, "bulk of mixed ids")
		assert.Len(t, anything, 3, "bulk of mixed ids")
		assert.Equal(t, "one", anything["one"], "bulk of mixed ids")
		assert.Equal(t, point{1, 1}, anything[point{1, 1}], "bulk of mixed ids")
	}
	assert.Equal(t, int64(5), s.Stats().Loads, "loads")
}

// A value of another type under the key is reported, is a miss, and is
// overwritten.
func TestStoredValueOfAnotherType(t *testing.T) {
	for name, read := range map[string]func(context.Context, *readthrough.CachedScope, func(context.Context) (string, error)) (string, error){
		"single": func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (string, error)) (string, error) {
			return readthrough.Wrap(ctx, s, "k", load)
		},
		"bulk": func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (string, error)) (string, error) {
			values, err := readthrough.WrapMany(ctx, s, []string{"k"}, self, many(load))
			return values["k"], err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var reported reports
				s := newScope(t, reported.collect())
				_, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
				require.NoError(t, err)
				src := newSource("text")
				for range 2 {
					value, err := read(t.Context(), s, src.load)
					want(t, "reader of another type", value, err, "text")
				}
				wantLoads(t, &src.loads, 1)
				errs, ops := reported.all()
				if assert.Len(t, errs, 1, "reported") {
					assert.ErrorIs(t, errs[0], readthrough.ErrTypeMismatch, "reported")
					assert.Equal(t, "get test k", ops[0], "reported")
					assert.ErrorContains(t, errs[0], "int", "reported")
					assert.ErrorContains(t, errs[0], "string", "reported")
				}
				wantIdle(t, s)
			})
		})
	}
}

// The flight that a reader joins, or that lands before it looks again, loads
// another type: the reader loads for itself.
func TestFlightOfAnotherType(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var reported reports
				s, text := newScope(t, reported.collect()), newGated("text")
				first := wrapAsync(t.Context(), s, "k", text.load)
				synctest.Wait()
				second := async(func() (int, error) { return way.read(t.Context(), s, "k", newSource(7).load) })
				failing := async(func() (int, error) {
					return way.read(t.Context(), s, "k", func(context.Context) (int, error) { return 0, errDatabase })
				})
				panicking := async(func() (int, error) {
					return way.read(t.Context(), s, "k", func(context.Context) (int, error) { panic("boom") })
				})
				synctest.Wait()
				close(text.gate)
				r := <-first
				want(t, "first", r.value, r.err, "text")
				i := <-second
				want(t, "second", i.value, i.err, 7)
				i = <-failing
				assert.ErrorIs(t, i.err, errDatabase, "the reader whose load fails: %v", i.value)
				i = <-panicking
				assert.True(t, isPanicWith("boom")(i.err), "the reader whose load panics: %v and error %v", i.value, i.err)
				synctest.Wait() // a call tells its user after it has landed
				errs, _ := reported.all()
				if assert.Len(t, errs, 3, "reported") {
					assert.ErrorIs(t, errs[0], readthrough.ErrTypeMismatch, "reported")
				}
				wantIdle(t, s)
			})
		})
	}
}

// A reader that looks again finds a value of another type.
func TestSecondLookFindsAnotherType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		missed, goOn := make(chan struct{}), make(chan struct{})
		store := plain(newStore(t))
		var gets atomic.Int64
		store.after("get", func(string) {
			if gets.Add(1) == 1 {
				close(missed)
				<-goOn
			}
		})
		var reported reports
		s, src := newScope(t, on(store.as(capInProcess)), reported.collect()), newSource(7)
		reader := wrapAsync(t.Context(), s, "k", src.load)
		<-missed
		_, err := readthrough.Wrap(t.Context(), s, "k", newSource("text").load)
		require.NoError(t, err)
		close(goOn)
		r := <-reader
		want(t, "reader", r.value, r.err, 7)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "hit", value, err, 7)
		synctest.Wait() // a call tells its user after it has landed
		errs, _ := reported.all()
		if assert.Len(t, errs, 1, "reported") {
			assert.ErrorIs(t, errs[0], readthrough.ErrTypeMismatch, "reported")
		}
		wantIdle(t, s)
	})
}

// TestWrongTypes: a value of another type under a key is a miss. One cache
// library returns the zero value and no error for it.
func TestWrongTypes(t *testing.T) {
	var told reports
	s := newScope(t, told.collect())
	got, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) { return 7, nil })
	want(t, "int", got, err, 7)
	text, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (string, error) { return "seven", nil })
	want(t, "string", text, err, "seven")
	text, err = readthrough.Wrap(t.Context(), s, "k", func(context.Context) (string, error) { return "", errors.New("not cached") })
	want(t, "string again", text, err, "seven")
	errs, ops := told.all()
	if assert.Len(t, errs, 1, "reported: one mismatch") {
		assert.ErrorIs(t, errs[0], readthrough.ErrTypeMismatch, "reported: one mismatch")
		assert.Equal(t, "get test k", ops[0], "reported: one mismatch")
	}
}
