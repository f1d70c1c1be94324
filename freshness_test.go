package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// TestStaleBoundaries reads a value of version 1 at the boundaries of its life, to
// the nanosecond, from a source that has version 2 or fails.
func TestStaleBoundaries(t *testing.T) {
	const ttl, swr, sie = 10 * time.Second, 5 * time.Second, 20 * time.Second
	const store, load, old = readthrough.FromStore, readthrough.FromLoad, readthrough.FromStale
	both := readthrough.ScopeOptions{StaleWhileRevalidate: swr, StaleIfError: sie}
	for _, test := range []struct {
		name    string
		options readthrough.ScopeOptions
		age     time.Duration
		source  readthrough.Source // of a read, if the source answers
		refresh bool               // it is loaded in the background
		falls   bool               // a read gets the stale value if the source fails, and otherwise the error
	}{
		{"fresh", both, ttl - 1, store, false, true},
		{"stale", both, ttl, old, true, true},
		{"still stale", both, ttl + swr - 1, old, true, true},
		{"fallback", both, ttl + swr, load, false, true},
		{"still fallback", both, ttl + sie - 1, load, false, true},
		{"over", both, ttl + sie, load, false, false},
		{"only while revalidating", readthrough.ScopeOptions{StaleWhileRevalidate: swr}, ttl + swr - 1, old, true, true},
		{"only while revalidating, over", readthrough.ScopeOptions{StaleWhileRevalidate: swr}, ttl + swr, load, false, false},
		{"only on error", readthrough.ScopeOptions{StaleIfError: sie}, ttl, load, false, true},
		{"ahead, fresh", readthrough.ScopeOptions{RefreshAheadFactor: 0.75}, 7500*time.Millisecond - 1, store, false, true},
		{"ahead", readthrough.ScopeOptions{RefreshAheadFactor: 0.75}, 7500 * time.Millisecond, store, true, true},
		{"ahead, over", readthrough.ScopeOptions{RefreshAheadFactor: 0.75}, ttl, load, false, false},
		{"lottery", readthrough.ScopeOptions{XFetchBeta: 1e9}, 0, store, true, true},
	} {
		for name, read := range resultReads[int]() {
			for kind, newStore := range storeKinds() {
				for _, fails := range []bool{false, true} {
					bubble(t, fmt.Sprintf("%s/%s/%s/fails %v", test.name, name, kind, fails), func(t *testing.T) {
						test.options.TTL, test.options.Jitter = ttl, -1
						s := newScope(t, on(newStore(t)), with(func(_ *readthrough.Options, so *readthrough.ScopeOptions) { *so = test.options }))
						src := newSource(1)
						src.take(time.Millisecond)
						_, err := read(t.Context(), s, "k", src.load)
						require.NoError(t, err)
						src.take(0)
						src.set(2)
						wanted := readthrough.Result[int]{Value: 1, Source: test.source, Age: test.age}
						switch {
						case fails && test.source == load:
							src.fail(errDatabase)
							wanted.Source, wanted.Err = old, errDatabase
						case fails:
							src.fail(errDatabase)
						case test.source == load:
							wanted.Value, wanted.Age = 2, 0
						}
						time.Sleep(test.age)
						got, err := read(t.Context(), s, "k", src.load)
						if fails && !test.falls {
							assert.ErrorIs(t, err, errDatabase, "got %+v", got)
							return
						}
						wantResult(t, "the read", got, err, wanted)
						wantRefreshed(t, s, src, test.refresh, test.refresh || test.source == load)
						if test.refresh && !fails {
							got, err := read(t.Context(), s, "k", src.load)
							wantResult(t, "the next read", got, err, readthrough.Result[int]{Value: 2, Source: store})
						}
						wantIdle(t, s)
					})
				}
			}
		}
	}
}

// wantRefreshed compares what a scope and a source count after the first load.
func wantRefreshed(t *testing.T, s *readthrough.CachedScope, src *source[int], refreshed, loaded bool) {
	t.Helper()
	synctest.Wait()
	count := func(b bool) int64 { return map[bool]int64{true: 1}[b] }
	wantLoads(t, &src.loads, 1+count(loaded))
	assert.Equal(t, count(refreshed), s.Stats().Refreshes, "refreshes counted")
}

// What is kept beyond its TTL is kept no longer than it can be served.
func TestStaleValuesLeaveTheStore(t *testing.T) {
	onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Hour }))
		_, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
		require.NoError(t, err)
		time.Sleep(time.Minute + time.Hour - 1)
		_, ok := stored(t, store, "k")
		assert.True(t, ok, "gone before the end")
		time.Sleep(1)
		_, ok = stored(t, store, "k")
		assert.False(t, ok, "still there after the end")
	})
}

// Absences are not served stale, and one that the source reports replaces a stale
// value, also where it is not stored itself.
func TestStaleValueAndAbsence(t *testing.T) {
	for _, negative := range []time.Duration{time.Hour, -1} {
		t.Run(fmt.Sprint(negative), func(t *testing.T) {
			onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
				s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) {
					so.StaleWhileRevalidate, so.StaleIfError, so.NegativeTTL = time.Hour, 2*time.Hour, negative
				}))
				src := newSource(1)
				read := func() (int, error) { return readthrough.Wrap(t.Context(), s, "k", src.load) }
				value, err := read()
				want(t, "first", value, err, 1)
				src.fail(readthrough.ErrNotFound)
				time.Sleep(time.Minute)
				value, err = read()
				want(t, "stale", value, err, 1)
				synctest.Wait()
				_, err = read()
				assert.ErrorIs(t, err, readthrough.ErrNotFound, "after the refresh")
				if negative > 0 { // which the refresh has stored
					wantLoads(t, &src.loads, 2)
				}
				src.fail(nil)
				time.Sleep(time.Minute) // the TTL bounds that of absences
				value, err = read()
				want(t, "after the absence", value, err, 1)
			})
		})
	}
}

// A value that another process keeps for longer is served no longer for that.
func TestValueThatOthersKeepForLonger(t *testing.T) {
	for name, read := range resultReads[int]() {
		t.Run(name, func(t *testing.T) {
			onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
				keep := func(d time.Duration) func(*setup) {
					return serving(func(so *readthrough.ScopeOptions) { so.StaleIfError = d })
				}
				other, s := newScope(t, on(asAnotherProcess(t, store)), keep(time.Hour)), newScope(t, on(store), keep(time.Minute))
				src := newSource(1)
				_, err := readthrough.Wrap(t.Context(), other, "k", src.load)
				require.NoError(t, err)
				time.Sleep(2 * time.Minute)
				src.fail(errDatabase)
				got, err := read(t.Context(), s, "k", src.load)
				assert.ErrorIs(t, err, errDatabase, "got %+v", got)
			})
		})
	}
}

// A known absence survives an outage of the source, as a stale value does.
func TestAbsenceSurvivesAnOutage(t *testing.T) {
	onEachPath(t, func(so *readthrough.ScopeOptions) { so.StaleIfError, so.NegativeTTL = time.Hour, time.Second }, func(t *testing.T, p *path) {
		absent := func(context.Context) (int, error) { return 0, readthrough.ErrNotFound }
		down := func(context.Context) (int, error) { return 0, errDatabase }
		first, firstErr := p.read(absent)
		time.Sleep(2 * time.Second)
		got, err := p.read(down)
		assert.Equal(t, first, got, "during the outage")
		assert.Equal(t, errors.Is(firstErr, readthrough.ErrNotFound), errors.Is(err, readthrough.ErrNotFound), "during the outage: %v", err)
		assert.NotErrorIs(t, err, errDatabase, "during the outage")
		time.Sleep(2 * time.Hour)
		_, err = p.read(down)
		assert.ErrorIs(t, err, errDatabase, "after StaleIfError")
		_, err = p.read(func(context.Context) (int, error) { return 1, nil })
		_ = err // within RetryAfter it may be the error of before
	})
}

// countedEntries is a memory store that counts the entries that it is asked for: a value alone is none.
type countedEntries struct {
	*memory.Store

	entries *atomic.Int64
}

func (s countedEntries) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	s.entries.Add(1)
	return s.Store.Get(ctx, key)
}

func (s countedEntries) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	s.entries.Add(int64(len(keys)))
	return s.Store.GetMany(ctx, keys)
}

// A hit asks for the value alone, but not where values are loaded ahead of time, since only the entry
// tells when.
func TestHitsAskForValues(t *testing.T) {
	reads := map[string]func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) (int, error){
		"single": func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) (int, error) {
			return readthrough.Wrap(ctx, s, "k", load)
		},
		"bulk": func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) (int, error) {
			values, err := readthrough.WrapMany(ctx, s, []string{"k"}, self, many(load))
			return values["k"], err
		},
	}
	for name, scope := range map[string]struct {
		change func(*readthrough.ScopeOptions)
		ahead  bool
	}{
		"revalidate": {func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate = time.Minute }, false},
		"on error":   {func(so *readthrough.ScopeOptions) { so.StaleIfError = time.Minute }, false},
		"ahead":      {func(so *readthrough.ScopeOptions) { so.RefreshAheadFactor = 0.5 }, true},
		"lottery":    {func(so *readthrough.ScopeOptions) { so.XFetchBeta = 1 << 40 }, true}, // which everybody wins
	} {
		for kind, read := range reads {
			bubble(t, name+"/"+kind, func(t *testing.T) {
				store, src := countedEntries{newStore(t), new(atomic.Int64)}, newSource(1)
				src.take(time.Second)
				s := newScope(t, on(store), serving(scope.change))
				_, err := read(t.Context(), s, src.load)
				require.NoError(t, err)
				before := store.entries.Load()
				time.Sleep(59 * time.Second)
				value, err := read(t.Context(), s, src.load)
				want(t, "a hit", value, err, 1)
				if !scope.ahead {
					assert.Equal(t, before, store.entries.Load(), "it has asked for an entry")
				}
				time.Sleep(2 * time.Second)
				if scope.ahead {
					wantLoads(t, &src.loads, 2)
				} else {
					wantLoads(t, &src.loads, 1)
				}
				wantIdle(t, s)
			})
		}
	}
}
