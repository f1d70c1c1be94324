package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// In caches that join the parts of a key with a separator, the bulk reads of
// ["a b"] and of ["a", "b"] share a flight, and one gets the other's result.
func TestFieldKeysThatCollide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		gate := make(chan struct{})
		var bulks []<-chan result[map[string]string]
		lists := [][]string{{"a b"}, {"a", "b"}, {"a,b"}, {"a\x00b"}, {"[a b]"}, {`a" "b`}}
		for _, ids := range lists {
			bulks = append(bulks, async(func() (map[string]string, error) {
				return readthrough.WrapMany(t.Context(), s, ids, self, func(_ context.Context, missing []string) (map[string]string, error) {
					<-gate
					values := make(map[string]string)
					for _, id := range missing {
						values[id] = "value of " + id
					}
					return values, nil
				})
			}))
		}
		synctest.Wait()
		close(gate)
		for i, bulk := range bulks {
			r := <-bulk
			assert.NoError(t, r.err)
			assert.Len(t, r.value, len(lists[i]))
			for _, id := range lists[i] {
				assert.Equal(t, "value of "+id, r.value[id], id)
			}
		}
		assert.Zero(t, s.Stats().Joined, "joined")
	})
}

// In caches that build the key of scope and name with a separator, or whose
// prefixes are patterns: a prefix reaches other scopes and other keys.
func TestFieldPrefixReachesOthers(t *testing.T) {
	cache := newCache(t, newStore(t), readthrough.Options{})
	names := []string{"a", "ab", "a.b", "a-b"}
	keys := []string{"list:[1]", "list:1", "list", "List:", ":list:", "list:*", "*"}
	for _, name := range names {
		s, err := cache.Scope(name, readthrough.ScopeOptions{TTL: time.Minute})
		require.NoError(t, err)
		for _, key := range keys {
			_, _ = readthrough.Wrap(t.Context(), s, key, newSource(1).load)
		}
	}
	s, err := cache.Scope("a", readthrough.ScopeOptions{TTL: time.Minute})
	require.NoError(t, err)
	for _, c := range []struct {
		prefix  string
		removed int
	}{{"list:[", 1}, {"*", 1}, {"list:?", 0}, {"l*", 0}, {"list:", 2}, {"b", 0}, {"", 3}, {"", 0}} {
		n, err := s.InvalidatePrefix(t.Context(), c.prefix)
		assert.NoError(t, err, "prefix %q", c.prefix)
		assert.Equal(t, c.removed, n, "prefix %q", c.prefix)
	}
	for _, name := range names[1:] {
		other, _ := cache.Scope(name, readthrough.ScopeOptions{TTL: time.Minute})
		page, err := other.Entries(t.Context(), provider.ListOptions{})
		assert.NoError(t, err, "entries left in scope %q", name)
		assert.Equal(t, len(keys), page.Total, "entries left in scope %q", name)
	}
}

// In caches where the key of a list depends on the order of a filter's fields,
// or where a null filter differs from none.
func TestFieldListKeys(t *testing.T) {
	s := newScope(t)
	src := newSource(1)
	type filter struct {
		Status string   `json:"status"`
		System []string `json:"system,omitempty"`
	}
	for _, f := range []any{
		filter{Status: "open", System: []string{"1", "2"}},
		map[string]any{"system": []string{"1", "2"}, "status": "open"},
	} {
		key, err := readthrough.Key("list:", f)
		require.NoError(t, err)
		value, err := readthrough.Wrap(t.Context(), s, key, src.load)
		want(t, key, value, err, 1)
	}
	wantLoads(t, &src.loads, 1)
	n, err := s.InvalidatePrefix(t.Context(), "list:")
	assert.NoError(t, err, "removed")
	assert.Equal(t, 1, n, "removed")
}

type customError struct{}

func (*customError) Error() string { return "custom" }

// stays fails the test unless value is loaded once and then comes from the store,
// for single and for bulk reads.
func stays[T any](t *testing.T, value T) {
	t.Helper()
	s := newScope(t)
	src := newSource(value)
	for range 3 {
		got, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		assert.NoError(t, err)
		assert.Equal(t, value, got)
		many, err := readthrough.WrapMany(t.Context(), s, []string{"k"}, self, many(src.load))
		got, ok := many["k"]
		assert.NoError(t, err, "bulk: got %#v", many)
		assert.True(t, ok, "bulk: got %#v", many)
		assert.Equal(t, value, got, "bulk: got %#v", many)
	}
	wantLoads(t, &src.loads, 1)
}

// In caches where nil, zero and empty stand for "not there": they are loaded
// again and again, read as absent, or become a type error.
func TestFieldNilAndZeroAreOrdinaryValues(t *testing.T) {
	t.Run("nil pointer", func(t *testing.T) { stays[*int](t, nil) })
	t.Run("zero", func(t *testing.T) { stays(t, 0) })
	t.Run("zero struct", func(t *testing.T) { stays(t, struct{ A, B string }{}) })
	t.Run("empty slice", func(t *testing.T) { stays(t, []int{}) })
	t.Run("nil slice", func(t *testing.T) { stays[[]int](t, nil) })
	t.Run("nil map", func(t *testing.T) { stays[map[string]int](t, nil) })
	t.Run("nil any", func(t *testing.T) { stays[any](t, nil) })
	t.Run("nil error", func(t *testing.T) { stays[error](t, nil) })
	t.Run("typed nil error", func(t *testing.T) { stays[error](t, (*customError)(nil)) })
	t.Run("error value", func(t *testing.T) { stays[error](t, readthrough.ErrNotFound) })
	t.Run("any with a value", func(t *testing.T) { stays[any](t, []string{"x"}) })
	t.Run("any with a nil pointer", func(t *testing.T) { stays[any](t, (*int)(nil)) })
	t.Run("func-free interface", func(t *testing.T) { stays[fmt.Stringer](t, time.Second) })
	t.Run("an entry", func(t *testing.T) { stays(t, provider.Entry{Absent: true}) })
}

// In caches that mark absence by a value of their own, such as "*" or "" or a
// prefix: those values cannot be cached, or read as absent.
func TestFieldAbsentMarkerInTheValueSpace(t *testing.T) {
	for _, value := range []string{"*", "", "null", "nil", "<absent>", "\x00", "placeholder:1", "__not_found__"} {
		t.Run(value, func(t *testing.T) {
			stays(t, value)
			stays(t, []byte(value))
		})
	}
}

// In caches for interface types, (nil, err) becomes a type error.
func TestFieldNilInterfaceWithAnError(t *testing.T) {
	s := newScope(t)
	for range 2 {
		value, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (fmt.Stringer, error) { return nil, errDatabase })
		assert.Nil(t, value)
		assert.Same(t, errDatabase, err) // the very error
	}
}

// In caches without a check of types, a value of another type reads as zero and
// no error, or panics. See TestStoredValueOfAnotherType for what happens here.
func TestFieldValueOfAnotherTypeReadsAsZero(t *testing.T) {
	var reported reports
	s := newScope(t, reported.collect())
	type a struct{ N int }
	type b struct{ N int }
	_, _ = readthrough.Wrap(t.Context(), s, "k", newSource(a{1}).load)
	value, err := readthrough.Wrap(t.Context(), s, "k", newSource(b{2}).load)
	want(t, "another type of the same shape", value, err, b{2})
	anything, err := readthrough.Wrap[any](t.Context(), s, "k", func(context.Context) (any, error) { return nil, errDatabase })
	assert.NoError(t, err, "read as any")
	assert.Equal(t, b{2}, anything, "read as any")
	text, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (fmt.Stringer, error) { return time.Second, nil })
	assert.NoError(t, err, "read as an interface that it does not implement")
	assert.Equal(t, fmt.Stringer(time.Second), text, "read as an interface that it does not implement")
	value, err = readthrough.Wrap(t.Context(), s, "nil", func(context.Context) (b, error) { return b{3}, nil })
	want(t, "value", value, err, b{3})
	_, err = readthrough.Wrap(t.Context(), s, "nil any", func(context.Context) (any, error) { return nil, nil })
	assert.NoError(t, err)
	value, err = readthrough.Wrap(t.Context(), s, "nil any", newSource(b{4}).load)
	want(t, "a stored nil read as a struct", value, err, b{4})
	errs, _ := reported.all()
	assert.Len(t, errs, 3, "reported")
	for _, err := range errs {
		assert.ErrorIs(t, err, readthrough.ErrTypeMismatch, "reported")
	}
}

// A scope whose repository has its own error for "not there": readers get errors
// that match it, and ErrNotFound, on the first read and from the store.
func TestFieldAbsenceInTheServicesOwnTerms(t *testing.T) {
	errNoRows := errors.New("no rows")
	for name, c := range map[string]struct {
		own    error // ScopeOptions.NotFound
		err    error // of the load
		absent bool
	}{
		"ErrNotFound":                       {nil, readthrough.ErrNotFound, true},
		"ErrNotFound, wrapped":              {nil, fmt.Errorf("get: %w", readthrough.ErrNotFound), true},
		"own":                               {errNoRows, errNoRows, true},
		"own, wrapped":                      {errNoRows, fmt.Errorf("get: %w", errNoRows), true},
		"ErrNotFound where there is an own": {errNoRows, readthrough.ErrNotFound, true},
		"an own that wraps ErrNotFound":     {fmt.Errorf("%w", readthrough.ErrNotFound), readthrough.ErrNotFound, true},
		"an error like others":              {nil, errNoRows, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScope(t, with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.NotFound = c.own }))
				src := newSource(5)
				src.err = c.err
				for _, read := range []string{"first", "second"} {
					value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
					assert.Zero(t, value, "%s read: error %v", read, err)
					assert.Equal(t, c.absent, errors.Is(err, readthrough.ErrNotFound), "%s read: error %v", read, err)
					if c.own != nil {
						assert.ErrorIs(t, err, c.own, "%s read: the scope's own error", read)
					}
				}
				if c.absent {
					wantLoads(t, &src.loads, 1)
				} else {
					wantLoads(t, &src.loads, 2)
				}
				wantIdle(t, s)
			})
		})
	}
}
