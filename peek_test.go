package readthrough_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// peekStores are the stores that Peek looks into in different ways.
func peekStores() map[string]func(t *testing.T) provider.CacheProvider {
	return map[string]func(t *testing.T) provider.CacheProvider{
		"values":  func(t *testing.T) provider.CacheProvider { return newStore(t) },
		"entries": func(t *testing.T) provider.CacheProvider { t.Helper(); return plain(newStore(t)).as(0) },
		"leases":  func(*testing.T) provider.CacheProvider { return newLeaseStore() },
	}
}

// TestPeek: a look shows what a read would be served at once, and changes nothing.
func TestPeek(t *testing.T) {
	for name, open := range peekStores() {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t, on(open(t)), serving(func(so *readthrough.ScopeOptions) {
				so.StaleWhileRevalidate, so.StaleIfError, so.NegativeTTL = time.Minute, time.Hour, time.Minute
			}))
			var loads atomic.Int64
			f := newFamily(t, s, readthrough.Loads[int, string]{One: func(_ context.Context, id int) (string, error) {
				if loads.Add(1); id < 0 {
					return "", readthrough.ErrNotFound
				}
				return fmt.Sprint("v", id), nil
			}})
			peek := func(id int) string {
				value, ok, err := f.Peek(t.Context(), id)
				many, manyErr := f.PeekMany(t.Context(), []int{id, 100 + id, id})
				assert.NoError(t, manyErr)
				if ok {
					assert.Equal(t, map[int]string{id: value}, many, "PeekMany")
				} else {
					assert.Empty(t, many, "PeekMany")
				}
				return fmt.Sprint(value, " ", ok, " ", err)
			}
			assert.Equal(t, " false <nil>", peek(1), "nothing")
			for _, id := range []int{1, -1} {
				if _, err := f.Get(t.Context(), id); id > 0 {
					require.NoError(t, err)
				}
			}
			before := s.Stats()
			assert.Equal(t, "v1 true <nil>", peek(1), "a value")
			assert.Equal(t, " false readthrough: not found", peek(-1), "an absence")
			_, ok, err := readthrough.Peek[int](t.Context(), newScope(t), "k:1")
			want(t, "another cache", ok, err, false)
			time.Sleep(90 * time.Second)
			assert.Equal(t, "v1 true <nil>", peek(1), "a value that is stale while it is revalidated")
			time.Sleep(90 * time.Second)
			assert.Equal(t, " false <nil>", peek(1), "a value that is kept for errors")
			assert.Equal(t, before, s.Stats(), "statistics")
			wantLoads(t, &loads, 2)
			wantIdle(t, s)
		})
	}
}

// TestPeekWhileTheKeyIsLoaded: a look does not wait for a load, and nobody joins a look.
func TestPeekWhileTheKeyIsLoaded(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t)
		read := wrapAsync(t.Context(), s, "k", func(context.Context) (int, error) { time.Sleep(time.Second); return 1, nil })
		synctest.Wait()
		began := time.Now()
		_, ok, err := readthrough.Peek[int](t.Context(), s, "k")
		want(t, "Peek", ok, err, false)
		assert.Zero(t, time.Since(began), "it has waited")
		assert.Zero(t, s.Stats().Joined)
		want(t, "the reader", (<-read).value, nil, 1)
	})
}

// TestPeekAfterAnInvalidation: a look does not see what an invalidation that is pending has left in the store.
func TestPeekAfterAnInvalidation(t *testing.T) {
	for _, has := range []capabilities{likeMemory, 0} {
		bubble(t, fmt.Sprint(has), func(t *testing.T) {
			r := newRig(t, readthrough.Options{}, has)
			r.read("k:1")
			f := newFamily(t, r.scope, readthrough.Loads[int, string]{One: func(context.Context, int) (string, error) { return r.load("k:1") }})
			r.store.fail(faultError, "delete")
			require.ErrorIs(t, r.scope.Invalidate(t.Context(), "k:1"), readthrough.ErrInvalidationPending)
			_, ok, err := f.Peek(t.Context(), 1)
			want(t, "Peek", ok, err, false)
			many, err := f.PeekMany(t.Context(), []int{1})
			assert.NoError(t, err)
			assert.Empty(t, many)
		})
	}
}

// TestPeekErrors: a store that fails is reported, and what is no key is an error.
func TestPeekErrors(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, readthrough.Options{BreakerFailures: -1}, capBatches)
		f := newFamily(t, r.scope, readthrough.Loads[string, int]{One: func(context.Context, string) (int, error) { return 1, nil }})
		_, ok, err := f.Peek(t.Context(), "of another type")
		want(t, "Peek", ok, err, false)
		r.read("k:s") // a string
		_, ok, err = f.Peek(t.Context(), "s")
		want(t, "Peek of another type", ok, err, false)
		r.expectReports("get")
		r.store.failAll(faultError)
		_, ok, err = f.Peek(t.Context(), "s")
		want(t, "Peek", ok, err, false)
		many, err := f.PeekMany(t.Context(), []string{"s"})
		assert.NoError(t, err)
		assert.Empty(t, many)
		r.expectReports("get", "get", "get")

		long := string(make([]byte, readthrough.MaxKeyBytes))
		_, _, err = f.Peek(t.Context(), long)
		assert.ErrorIs(t, err, readthrough.ErrBadKey)
		_, err = f.PeekMany(t.Context(), []string{"s", long})
		assert.ErrorIs(t, err, readthrough.ErrBadKey)
		_, _, err = readthrough.Peek[int](t.Context(), nil, "k")
		assert.ErrorContains(t, err, "scope: must not be nil")
		_, err = f.PeekMany(nil, []string{"s"}) //nolint:staticcheck // on purpose
		assert.ErrorContains(t, err, "ctx: must not be nil")
		var none *readthrough.Family[int, int]
		_, _, err = none.Peek(t.Context(), 1)
		assert.ErrorContains(t, err, "not made by NewFamily")
		_, err = none.PeekMany(t.Context(), nil)
		assert.ErrorContains(t, err, "not made by NewFamily")
		_, err = none.RefreshMany(t.Context(), nil)
		assert.ErrorContains(t, err, "not made by NewFamily")
	})
}

// TestRefreshMany: one load brings all ids, whatever is stored. Ids that are gone are removed, and after an error what
// is stored stays.
func TestRefreshMany(t *testing.T) {
	for name, open := range peekStores() {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t, on(open(t)))
			source := map[int]string{1: "a", 2: "b", 3: "c"}
			var asked [][]int
			var fails error
			f := newFamily(t, s, readthrough.Loads[int, string]{Many: func(_ context.Context, ids []int) (map[int]string, error) {
				asked = append(asked, ids)
				found := make(map[int]string)
				for _, id := range ids {
					if value, ok := source[id]; ok && (fails == nil || id == 1) {
						found[id] = value
					}
				}
				return found, fails
			}})
			read := func(method func(context.Context, []int) (map[int]string, error)) map[int]string {
				values, err := method(t.Context(), []int{1, 2, 3, 1})
				require.NoError(t, err)
				return values
			}
			assert.Equal(t, source, read(f.GetMany))
			source[1], asked = "A", nil
			delete(source, 3)
			assert.Equal(t, map[int]string{1: "a", 2: "b", 3: "c"}, read(f.GetMany), "nobody has announced the change")
			assert.Equal(t, source, read(f.RefreshMany))
			assert.Equal(t, [][]int{{1, 2, 3}}, asked, "loads")
			assert.Equal(t, source, read(f.GetMany))
			assert.Len(t, asked, 1, "loads")

			source[1], source[2], fails = "AA", "BB", errFault
			values, err := f.RefreshMany(t.Context(), []int{1, 2})
			require.ErrorIs(t, err, errFault)
			assert.Equal(t, map[int]string{1: "AA"}, values)
			values, err = f.GetMany(t.Context(), []int{1, 2})
			require.NoError(t, err)
			assert.Equal(t, map[int]string{1: "AA", 2: "b"}, values, "what has failed stays as it was")

			_, err = f.RefreshMany(nil, []int{1}) //nolint:staticcheck // on purpose
			assert.ErrorContains(t, err, "ctx: must not be nil")
			values, err = f.RefreshMany(t.Context(), nil)
			assert.NoError(t, err)
			assert.NotNil(t, values)
			wantIdle(t, s)
		})
	}
}

// TestRefreshManyLoadsAnew: it does not take what a load brings that began before it.
func TestRefreshManyLoadsAnew(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t)
		value := "old"
		f := newFamily(t, s, readthrough.Loads[int, string]{Many: func(_ context.Context, ids []int) (map[int]string, error) {
			loaded := map[int]string{ids[0]: value}
			time.Sleep(time.Second)
			return loaded, nil
		}})
		first := async(func() (string, error) { return f.Get(t.Context(), 1) })
		synctest.Wait()
		value = "new"
		values, err := f.RefreshMany(t.Context(), []int{1})
		require.NoError(t, err)
		assert.Equal(t, map[int]string{1: "new"}, values)
		assert.Equal(t, "old", (<-first).value)
		got, err := f.Get(t.Context(), 1)
		want(t, "Get", got, err, "new")
	})
}
