package readthrough_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// A result says where its value comes from and how old it is, to the nanosecond,
// whichever way the reader got it.
func TestResultOfEachSource(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate, so.StaleIfError = time.Second, time.Hour }))
			src := newSource(1)
			src.take(time.Second)
			expect := func(what string, value int, source readthrough.Source, age time.Duration, cause error) {
				t.Helper()
				got, err := read(t.Context(), s, "k", src.load)
				wantResult(t, what, got, err, readthrough.Result[int]{Value: value, Source: source, Age: age, Err: cause})
			}
			expect("a load", 1, readthrough.FromLoad, 0, nil)
			time.Sleep(17)
			expect("a hit", 1, readthrough.FromStore, 17, nil)
			time.Sleep(time.Minute - 17)
			src.fail(errDatabase)
			expect("stale", 1, readthrough.FromStale, time.Minute, nil)
			time.Sleep(time.Minute)
			expect("stale because of an error", 1, readthrough.FromStale, 2*time.Minute+time.Second, errDatabase)
			src.fail(nil)
			time.Sleep(time.Hour)
			src.fail(errDatabase)
			got, err := read(t.Context(), s, "k", src.load)
			assert.ErrorIs(t, err, errDatabase, "too old")
			assert.Equal(t, readthrough.Result[int]{}, got, "too old")
		})
	}
}

// A joined load is a load. What a flight finds in the store, because another
// process has put it there, is not.
func TestResultOfAFlight(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, "joined/"+name, func(t *testing.T) {
			s, src := newScope(t), newGated(1)
			wrapAsync(t.Context(), s, "k", src.load)
			synctest.Wait()
			time.AfterFunc(time.Second, func() { close(src.gate) })
			got, err := read(t.Context(), s, "k", src.load)
			wantResult(t, "joined", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromLoad})
		})
		bubble(t, "found/"+name, func(t *testing.T) {
			server := newLeaseServer()
			mine := newScope(t, on(&leaseStore{server, &network{}}))
			other := newScope(t, on(&leaseStore{server, &network{}}))
			src := newSource(1)
			src.take(100 * time.Millisecond)
			loading := wrapAsync(t.Context(), other, "k", src.load)
			synctest.Wait()
			got, err := read(t.Context(), mine, "k", src.load)
			assert.NoError(t, err, "1 from the store, with its age")
			assert.Equal(t, 1, got.Value, "1 from the store, with its age")
			assert.Equal(t, readthrough.FromStore, got.Source, "1 from the store, with its age")
			assert.Positive(t, got.Age, "1 from the store, with its age")
			wantLoads(t, &src.loads, 1)
			<-loading
		})
	}
}

// An absence is no result, from wherever it comes.
func TestResultOfAnAbsence(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			s, src := newScope(t), newSource(1)
			src.fail(readthrough.ErrNotFound)
			for _, from := range []string{"load", "store"} {
				got, err := read(t.Context(), s, "k", src.load)
				assert.ErrorIs(t, err, readthrough.ErrNotFound, "from the %s", from)
				assert.Equal(t, readthrough.Result[int]{}, got, "from the %s", from)
			}
			wantLoads(t, &src.loads, 1)
		})
	}
}

func TestResultOfUnknownAge(t *testing.T) {
	for name, read := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			store := plain(newStore(t))
			store.around("get", func(_ context.Context, r *request, get func() error) error {
				err := get()
				r.entry.LoadedAt = time.Time{} // as in a store that does not know
				return err
			})
			s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }))
			src := newSource(1)
			_, err := read(t.Context(), s, "k", src.load)
			require.NoError(t, err)
			time.Sleep(time.Second)
			got, err := read(t.Context(), s, "k", src.load)
			wantResult(t, "a hit", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStore})
			time.Sleep(time.Minute)
			src.fail(errDatabase)
			got, err = read(t.Context(), s, "k", src.load)
			wantResult(t, "stale", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStale, Err: errDatabase})
		})
	}
}

// A bulk read has a result for each id, and no error if a stale value stands for
// what could not be loaded.
func TestResultsOfABulkRead(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s := newScope(t, serving(func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }))
		src := newSource(1)
		read := func(ids ...string) (map[string]readthrough.Result[int], error) {
			return readthrough.WrapManyResult(t.Context(), s, ids, self, many(src.load))
		}
		_, err := read("old")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		_, err = read("young")
		require.NoError(t, err)
		src.fail(errDatabase)
		got, err := read("old", "young")
		wantResult(t, "old", got["old"], err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStale, Age: time.Minute, Err: errDatabase})
		wantResult(t, "young", got["young"], err, readthrough.Result[int]{Value: 1, Source: readthrough.FromStore})
		got, err = read("old", "young", "never loaded")
		assert.Len(t, got, 2, "with an id that has no value")
		assert.ErrorIs(t, err, errDatabase, "with an id that has no value")
		got, err = read()
		assert.NoError(t, err)
		assert.Empty(t, got)
		assert.NotNil(t, got)
		assert.Equal(t, int64(2), s.Stats().Stale, "stale values counted")
	})
}

func TestSourceNames(t *testing.T) {
	for source, name := range map[readthrough.Source]string{
		readthrough.FromStore: "store", readthrough.FromLoad: "load", readthrough.FromStale: "stale", 200: "unknown",
	} {
		assert.Equal(t, name, source.String(), "source %d", source)
	}
}
