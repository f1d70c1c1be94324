package readthrough_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// table is a source of many values that records what it was asked for.
type table struct {
	gate chan struct{} // nil: open

	mu     sync.Mutex // guards following
	values map[string]int
	err    error
	asked  [][]string
}

func newTable(ids ...string) *table {
	t := &table{values: make(map[string]int)}
	for i, id := range ids {
		t.values[id] = i + 1
	}
	return t
}

func (t *table) load(_ context.Context, ids []string) (map[string]int, error) {
	t.mu.Lock()
	t.asked = append(t.asked, slices.Clone(ids))
	found := make(map[string]int)
	for _, id := range ids {
		if value, ok := t.values[id]; ok {
			found[id] = value
		}
	}
	err := t.err
	t.mu.Unlock()
	if t.gate != nil {
		<-t.gate
	}
	return found, err
}

func (t *table) loadOne(ctx context.Context, id string) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		values, err := t.load(ctx, []string{id})
		if value, ok := values[id]; ok || err != nil {
			return value, err
		}
		return 0, readthrough.ErrNotFound
	}
}

// wantAsked fails the test unless the table was asked exactly for these, each
// "a b c".
func (t *table) wantAsked(tb testing.TB, wanted ...string) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	var asked []string
	for _, ids := range t.asked {
		asked = append(asked, strings.Join(ids, " "))
	}
	assert.Equal(tb, wanted, asked, "the source was asked for")
}

func readMany(ctx context.Context, s *readthrough.CachedScope, t *table, ids ...string) (map[string]int, error) {
	return readthrough.WrapMany(ctx, s, ids, self, t.load)
}

func wantMany[ID comparable](t testing.TB, what string, values map[ID]int, err error, wanted map[ID]int) {
	t.Helper()
	assert.NoError(t, err, what)
	assert.Equal(t, wanted, values, what)
	assert.NotNil(t, values, what)
}

func TestWrapManyLoadsWhatIsMissingInOneCallInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, src := newScope(t), newTable("a", "b", "c", "d")
		value, err := readthrough.Wrap(t.Context(), s, "b", src.loadOne(t.Context(), "b"))
		want(t, "single", value, err, 2)
		values, err := readMany(t.Context(), s, src, "d", "b", "a", "d", "a", "c", "b")
		wantMany(t, "bulk", values, err, map[string]int{"a": 1, "b": 2, "c": 3, "d": 4})
		values, err = readMany(t.Context(), s, src, "a", "b", "c", "d")
		wantMany(t, "bulk hits", values, err, map[string]int{"a": 1, "b": 2, "c": 3, "d": 4})
		src.wantAsked(t, "b", "d a c")
		stats := s.Stats()
		assert.Equal(t, int64(2), stats.Loads, "loads")
		assert.Equal(t, int64(5), stats.Hits, "hits")
		assert.Equal(t, int64(4), stats.Misses, "misses counted")
		wantIdle(t, s)
	})
}

func TestWrapManyOfNothingTouchesNothing(t *testing.T) {
	store := plain(newStore(t))
	s, src := newScope(t, on(store)), newTable()
	for _, ids := range [][]string{nil, {}} {
		values, err := readMany(t.Context(), s, src, ids...)
		wantMany(t, "no ids", values, err, map[string]int{})
	}
	assert.Zero(t, store.count(), "calls of the store")
	src.wantAsked(t)
	stats := s.Stats()
	assert.Zero(t, stats.Hits+stats.Misses+stats.Loads, "counted")
}

func TestWrapManyIgnoresAndReportsUnexpectedIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reported reports
		s := newScope(t, reported.collect())
		values, err := readthrough.WrapMany(t.Context(), s, []string{"a", "b"}, self, func(context.Context, []string) (map[string]int, error) {
			return map[string]int{"a": 1, "x": 8, "y": 9}, nil
		})
		wantMany(t, "bulk", values, err, map[string]int{"a": 1})
		synctest.Wait() // a call tells its user after it has landed
		errs, ops := reported.all()
		if assert.Len(t, errs, 1, "reported") {
			assert.ErrorIs(t, errs[0], readthrough.ErrUnexpectedID, "reported")
			assert.Equal(t, "load test ", ops[0], "reported")
			assert.ErrorContains(t, errs[0], "2 of 3", "reported")
		}
		assert.Zero(t, s.Stats().ProviderErrors, "errors of the store counted")
		value, err := readthrough.Wrap(t.Context(), s, "x", newSource(3).load)
		want(t, "an id that was not asked for", value, err, 3)
		wantIdle(t, s)
	})
}

// Ids that a load leaves out are absent, from the store too, for exactly the
// negative TTL. A nil map leaves out all.
func TestWrapManyMissingIDsAreAbsent(t *testing.T) {
	const negative = 3 * time.Second
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t, with(func(_ *readthrough.Options, o *readthrough.ScopeOptions) { o.NegativeTTL = negative }))
		src := newTable("a")
		for range 2 {
			values, err := readMany(t.Context(), s, src, "a", "b")
			wantMany(t, "bulk", values, err, map[string]int{"a": 1})
		}
		time.Sleep(negative - 1)
		_, err := readthrough.Wrap(t.Context(), s, "b", src.loadOne(t.Context(), "b"))
		assert.ErrorIs(t, err, readthrough.ErrNotFound, "single read of a cached absence")
		src.wantAsked(t, "a b")
		time.Sleep(1)
		values, err := readMany(t.Context(), s, src, "a", "b")
		wantMany(t, "bulk", values, err, map[string]int{"a": 1})
		src.wantAsked(t, "a b", "b")
		wantIdle(t, s)
	})
}

func TestWrapManyNilResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		var loads atomic.Int64
		for range 2 {
			values, err := readthrough.WrapMany(t.Context(), s, []string{"a", "b"}, self, func(context.Context, []string) (map[string]int, error) {
				loads.Add(1)
				return nil, nil
			})
			wantMany(t, "nil", values, err, map[string]int{})
		}
		wantLoads(t, &loads, 1)
		wantIdle(t, s)
	})
}

func TestWrapManyErrorKeepsHitsAndPartialValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, src := newScope(t), newTable("hit", "partial")
		_, err := readMany(t.Context(), s, src, "hit")
		require.NoError(t, err)
		src.err = errDatabase
		src.gate = make(chan struct{})
		bulk := async(func() (map[string]int, error) { return readMany(t.Context(), s, src, "hit", "partial", "missing") })
		synctest.Wait()
		joiner := wrapAsync(t.Context(), s, "missing", src.loadOne(t.Context(), "missing"))
		lucky := wrapAsync(t.Context(), s, "partial", src.loadOne(t.Context(), "partial"))
		synctest.Wait()
		close(src.gate)
		r := <-bulk
		assert.ErrorIs(t, r.err, errDatabase)
		assert.Equal(t, map[string]int{"hit": 1, "partial": 2}, r.value)
		j := <-joiner
		assert.ErrorIs(t, j.err, errDatabase, "joiner of the missing id: %v", j.value)
		l := <-lucky
		want(t, "joiner of the id that was loaded", l.value, l.err, 2)
		src.err = nil
		src.values["missing"] = 3
		values, err := readMany(t.Context(), s, src, "hit", "partial", "missing")
		wantMany(t, "after the error", values, err, map[string]int{"hit": 1, "partial": 2, "missing": 3})
		src.wantAsked(t, "hit", "partial missing", "missing") // what was loaded is kept, what failed is not absent
		wantIdle(t, s)
	})
}

// An error that says "not found" is, for a bulk load, an error like others: it
// does not say which ids it means.
func TestWrapManyNotFoundErrorIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, src := newScope(t), newTable("a")
		src.err = readthrough.ErrNotFound
		values, err := readMany(t.Context(), s, src, "a", "b")
		assert.ErrorIs(t, err, readthrough.ErrNotFound)
		assert.Equal(t, 1, values["a"])
		src.err, src.values["b"] = nil, 2
		values, err = readMany(t.Context(), s, src, "a", "b")
		wantMany(t, "after the error", values, err, map[string]int{"a": 1, "b": 2})
	})
}

func TestWrapManyBadKeys(t *testing.T) {
	store := plain(newStore(t))
	s := newScope(t, on(store))
	for name, c := range map[string]struct {
		ids  []float64
		key  func(float64) string
		says string
	}{
		"two ids with one key":       {[]float64{1, 2}, func(float64) string { return "same" }, `"same"`},
		"an id that equals none":     {[]float64{math.NaN(), math.NaN()}, func(f float64) string { return fmt.Sprint(f) }, `"NaN"`},
		"an empty key":               {[]float64{1}, func(float64) string { return "" }, "must not be empty"},
		"an empty key after others":  {[]float64{1, 0}, func(f float64) string { return strings.Repeat("k", int(f)) }, "of id 0"},
		"a key that is too long":     {[]float64{1}, func(float64) string { return strings.Repeat("k", readthrough.MaxKeyBytes+1) }, "8193 bytes"},
		"two long ids with one key":  {[]float64{1, 2}, func(float64) string { return strings.Repeat("k", 1000) }, "…"},
		"two zeros are one id":       {[]float64{0, math.Copysign(0, -1)}, func(f float64) string { return fmt.Sprint(1 / f) }, ""},
		"a key for each of two ids":  {[]float64{1, 2}, func(f float64) string { return fmt.Sprint(f) }, ""},
		"an id twice with its key":   {[]float64{1, 1}, func(float64) string { return "same" }, ""},
		"a key of the longest sort":  {[]float64{1}, func(float64) string { return strings.Repeat("k", readthrough.MaxKeyBytes) }, ""},
		"a key that is not readable": {[]float64{1}, func(float64) string { return "\x00\xff" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := store.count()
			var loads atomic.Int64
			values, err := readthrough.WrapMany(t.Context(), s, c.ids, c.key, func(context.Context, []float64) (map[float64]int, error) {
				loads.Add(1)
				return nil, nil
			})
			assert.NotNil(t, values, "the result is nil")
			if c.says == "" {
				assert.NoError(t, err)
				return
			}
			assert.Regexp(t, "^readthrough: key: ", err)
			if assert.ErrorContains(t, err, c.says) {
				assert.LessOrEqual(t, len(err.Error()), 500, "the length of the message")
			}
			wantLoads(t, &loads, 0)
			assert.Equal(t, before, store.count(), "calls of the store")
		})
	}
}

// Two ids that are equal have one key however the key function spells them, and
// the values of both have one place in the result.
func TestWrapManyKeyFunctionThatIsNotAFunctionOfTheID(t *testing.T) {
	s := newScope(t)
	var n atomic.Int64
	values, err := readthrough.WrapMany(t.Context(), s, []int{5, 5}, func(int) string { return fmt.Sprint("k", n.Add(1)) },
		func(_ context.Context, ids []int) (map[int]int, error) {
			return map[int]int{5: 7}, nil
		})
	wantMany(t, "one id with two keys", values, err, map[int]int{5: 7})
}

func TestWrapManyOfTenThousandIDs(t *testing.T) {
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 10_000
				p, hooks := store.make(t)
				most, before := 0, runtime.NumGoroutine()
				var mu sync.Mutex
				look := func(string) {
					mu.Lock()
					defer mu.Unlock()
					most = max(most, runtime.NumGoroutine()-before)
				}
				hooks.before("get set", look)
				s := newScope(t, on(p))
				ids, wanted := make([]int, n), make(map[int]int, n)
				for i := range ids {
					ids[i], wanted[i] = i, -i
				}
				var loads atomic.Int64
				for range 2 {
					values, err := readthrough.WrapMany(t.Context(), s, ids, func(id int) string { return fmt.Sprint("id:", id) },
						func(_ context.Context, ids []int) (map[int]int, error) {
							look("")
							loads.Add(1)
							values := make(map[int]int, len(ids))
							for _, id := range ids {
								values[id] = -id
							}
							return values, nil
						})
					wantMany(t, "bulk", values, err, wanted)
				}
				wantLoads(t, &loads, 1)
				assert.LessOrEqual(t, most, 64, "goroutines for one call")
				wantIdle(t, s)
			})
		})
	}
}

func TestWrapManyLoadMayChangeItsIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScope(t)
		ids := []string{"c", "a", "b"}
		values, err := readthrough.WrapMany(t.Context(), s, ids, self, func(_ context.Context, missing []string) (map[string]int, error) {
			slices.Sort(missing)
			values := map[string]int{missing[0]: 1, missing[1]: 2, missing[2]: 3}
			clear(missing)
			_ = append(missing[:0], "x", "y")
			return values, nil
		})
		wantMany(t, "bulk", values, err, map[string]int{"a": 1, "b": 2, "c": 3})
		assert.Equal(t, []string{"c", "a", "b"}, ids, "the caller's ids")
		for id, wanted := range values {
			value, err := readthrough.Wrap(t.Context(), s, id, newSource(9).load)
			want(t, "stored "+id, value, err, wanted)
		}
	})
}

// The result is the caller's own: changing it changes no other reader's.
func TestWrapManyResultIsTheCallersOwn(t *testing.T) {
	s, src := newScope(t), newTable("a", "b")
	first, err := readMany(t.Context(), s, src, "a", "b")
	wantMany(t, "first", first, err, map[string]int{"a": 1, "b": 2})
	first["a"] = 9
	second, err := readMany(t.Context(), s, src, "a", "b")
	wantMany(t, "second", second, err, map[string]int{"a": 1, "b": 2})
}

// A store that cannot read one entry costs that id a load, and no other.
func TestWrapManyOfWhichOneIsUndecodable(t *testing.T) {
	var reported reports
	store := plain(newStore(t))
	store.around("get", func(_ context.Context, r *request, get func() error) error {
		if r.name() == "b" {
			return provider.ErrUndecodable
		}
		return get()
	})
	s, src := newScope(t, on(store.as(capInProcess)), reported.collect()), newTable("a", "b", "c")
	for range 2 {
		values, err := readMany(t.Context(), s, src, "a", "b", "c")
		wantMany(t, "bulk", values, err, map[string]int{"a": 1, "b": 2, "c": 3})
	}
	src.wantAsked(t, "a b c", "b")
	errs, ops := reported.all()
	if assert.GreaterOrEqual(t, len(errs), 2, "reported") {
		assert.ErrorIs(t, errs[0], provider.ErrUndecodable, "reported")
		assert.Equal(t, "get test b", ops[0], "reported")
	}
}
