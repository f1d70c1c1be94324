package readthrough_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// sampleRig is a cache that samples, with a source.
type sampleRig struct {
	*rig

	sampled *readthrough.CachedScope
	loads   atomic.Int64 // by reads and by samples
}

// newSampleRig makes a cache whose every read is sampled, at most ten in a second.
func newSampleRig(t *testing.T, options readthrough.Options, so readthrough.ScopeOptions) *sampleRig {
	t.Helper()
	r := &sampleRig{rig: newRig(t, options, 0)}
	so.TTL, so.Jitter, so.SampleOneIn = max(so.TTL, time.Minute), -1, 1
	var err error
	r.sampled, err = r.cache.Scope("sampled", so)
	require.NoError(t, err)
	return r
}

func (r *sampleRig) get() string {
	r.t.Helper()
	value, err := readthrough.Wrap(r.t.Context(), r.sampled, "k", func(context.Context) (string, error) {
		r.loads.Add(1)
		value, err := r.load("k")
		if value == "" {
			return "", readthrough.ErrNotFound
		}
		return value, err
	})
	if err != nil {
		require.ErrorIs(r.t, err, readthrough.ErrNotFound)
	}
	return value
}

// readFor reads every 10 ms.
func (r *sampleRig) readFor(d time.Duration) {
	r.t.Helper()
	for range d / (10 * time.Millisecond) {
		r.get()
		time.Sleep(10 * time.Millisecond)
	}
}

func (r *sampleRig) found() (sampled, stale int64) {
	synctest.Wait()
	stats := r.sampled.Stats()
	return stats.Sampled, stats.SampledStale
}

// TestSamplesFindStaleValues: a change that nobody has invalidated is found, with its age, and told. The
// samples read and load for themselves: they change no statistics of reads.
func TestSamplesFindStaleValues(t *testing.T) {
	for name, values := range map[string][2]string{
		"another value": {"1", "2"}, "deleted": {"1", ""}, "created": {"", "2"},
	} {
		bubble(t, name, func(t *testing.T) {
			var told []happened
			r := newSampleRig(t, readthrough.Options{}, readthrough.ScopeOptions{NegativeTTL: time.Minute})
			r.set(values[0])
			r.readFor(3 * time.Second)
			sampled, stale := r.found()
			assert.InDelta(t, 30, sampled, 2, "ten in a second")
			assert.Zero(t, stale, "nothing has changed")
			assert.Empty(t, r.reports())
			stats := r.sampled.Stats()
			assert.EqualValues(t, 1, stats.Loads, "loads of reads")
			assert.EqualValues(t, 300, stats.Hits+stats.Misses)

			r.set(values[1])
			r.readFor(990 * time.Millisecond)
			_, stale = r.found()
			assert.Zero(t, stale, "the change may be on its way")
			r.readFor(time.Second)
			_, stale = r.found()
			assert.Positive(t, stale)
			assert.Equal(t, values[0], r.get(), "a sample changes nothing")
			h := r.sampled.Stats().SampledStaleAge
			assert.Equal(t, stale, h.Count)
			assert.InDelta(t, 4.5, h.Sum.Seconds()/float64(h.Count), 1, "their age")
			reports := r.reports()
			require.Len(t, reports, int(stale))
			assert.Equal(t, "sample", reports[0].op)
			assert.Equal(t, "k", reports[0].key)
			assert.ErrorContains(t, reports[0].err, "the value is stale: the source has had another one for longer than SampleRecheck")
			assert.Zero(t, r.sampled.Stats().ProviderErrors, "it is no error of the store")
			told = r.observed("sampledStale")
			require.Len(t, told, int(stale))
			assert.Greater(t, told[0].Duration, 3*time.Second)
		})
	}
}

// TestSamplesFindNothingWhereThereIsNothing: what an invalidation, the end of the entry or a refresh
// explains is not told, however often the source changes; and nothing is said if the source fails.
func TestSamplesFindNothingWhereThereIsNothing(t *testing.T) {
	for name, change := range map[string]func(r *sampleRig, n int){
		"changes with an invalidation soon after": func(r *sampleRig, n int) {
			r.set([]string{"1", "2"}[n%2])
			r.readFor(900 * time.Millisecond)
			require.NoError(r.t, r.sampled.Invalidate(r.t.Context(), "k"))
			r.readFor(100 * time.Millisecond)
		},
		"changes with an invalidation of the prefix": func(r *sampleRig, n int) {
			r.set([]string{"1", ""}[n%2])
			r.readFor(300 * time.Millisecond)
			_, err := r.sampled.InvalidatePrefix(r.t.Context(), "k")
			require.NoError(r.t, err)
			r.get()
		},
		"a change that is taken back": func(r *sampleRig, _ int) {
			r.get()
			r.set("2")
			r.readFor(500 * time.Millisecond)
			r.set("1")
			r.readFor(3 * time.Second)
		},
		"a refresh": func(r *sampleRig, n int) {
			r.set([]string{"1", "2"}[n%2])
			r.readFor(500 * time.Millisecond)
			_, err := readthrough.Refresh(r.t.Context(), r.sampled, "k", func(context.Context) (string, error) { return r.load("k") })
			require.NoError(r.t, err)
		},
		"a pending invalidation": func(r *sampleRig, n int) {
			r.readFor(500 * time.Millisecond)
			r.store.fail(faultError, "delete")
			r.set([]string{"1", "2"}[n%2])
			r.readFor(500 * time.Millisecond) // samples that see the difference
			require.ErrorIs(r.t, r.sampled.Invalidate(r.t.Context(), "k"), readthrough.ErrInvalidationPending)
			r.readFor(2 * time.Second)
			r.store.fail(faultNone, "delete")
			time.Sleep(3 * time.Second)
		},
	} {
		bubble(t, name, func(t *testing.T) {
			r := newSampleRig(t, readthrough.Options{BreakerFailures: -1}, readthrough.ScopeOptions{NegativeTTL: time.Minute})
			for n := range 20 {
				change(r, n)
			}
			sampled, stale := r.found()
			assert.Positive(t, sampled)
			assert.Zero(t, stale)
		})
	}
	bubble(t, "the end of the entry", func(t *testing.T) {
		r := newSampleRig(t, readthrough.Options{SampleRecheck: 59 * time.Second}, readthrough.ScopeOptions{})
		r.get()
		time.Sleep(2 * time.Second)
		r.set("2")
		r.readFor(10 * time.Second)
		time.Sleep(2 * time.Minute)
		_, stale := r.found()
		assert.Zero(t, stale)
	})
	bubble(t, "a replica that lags", func(t *testing.T) {
		r := newSampleRig(t, readthrough.Options{}, readthrough.ScopeOptions{ReplicaLag: 5 * time.Second})
		r.readFor(time.Second)
		r.set("0") // what the replica still has
		r.readFor(4 * time.Second)
		r.set("1")
		r.readFor(10 * time.Second)
		_, stale := r.found()
		assert.Zero(t, stale)
	})
	bubble(t, "the source fails", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		s, err := r.cache.Scope("sampled", readthrough.ScopeOptions{TTL: time.Hour, SampleOneIn: 1})
		require.NoError(t, err)
		loads := 0
		for range 100 {
			_, err := readthrough.Wrap(t.Context(), s, "k", func(context.Context) (int, error) {
				if loads++; loads > 1 {
					return 0, errFault
				}
				return 1, nil
			})
			require.NoError(t, err)
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		assert.Greater(t, loads, 50)
		assert.Zero(t, s.Stats().Sampled)
		assert.Empty(t, r.reports())
	})
}

// TestSampleEqual: the user says what is equal, and a panic of it is told.
func TestSampleEqual(t *testing.T) {
	bubble(t, "equal", func(t *testing.T) {
		r := newSampleRig(t, readthrough.Options{SampleEqual: func(scope string, cached, fresh any) bool {
			assert.Equal(t, "sampled", scope)
			return len(cached.(string)) == len(fresh.(string))
		}}, readthrough.ScopeOptions{})
		r.get()
		r.set("2")
		r.readFor(3 * time.Second)
		_, stale := r.found()
		assert.Zero(t, stale, "values of one length")
		r.set("three")
		r.readFor(3 * time.Second)
		_, stale = r.found()
		assert.Positive(t, stale)
	})
	bubble(t, "panics", func(t *testing.T) {
		r := newSampleRig(t, readthrough.Options{SampleEqual: func(string, any, any) bool { panic("oh") }}, readthrough.ScopeOptions{})
		r.readFor(time.Second)
		sampled, _ := r.found()
		assert.Zero(t, sampled)
		require.NotEmpty(t, r.reports())
		assert.ErrorContains(t, r.reports()[0].err, "a load function or Options.SampleEqual failed: it panicked: oh")
	})
}

// TestSamplesAreBounded by their rate and by their number, and by Close; off, there is none.
func TestSamplesAreBounded(t *testing.T) {
	bubble(t, "rate", func(t *testing.T) {
		r := newSampleRig(t, readthrough.Options{SampleRate: 2}, readthrough.ScopeOptions{})
		r.readFor(10 * time.Second)
		assert.InDelta(t, 20, r.loads.Load(), 2)
	})
	bubble(t, "number", func(t *testing.T) {
		r := newSampleRig(t, readthrough.Options{SampleLoads: 3, SampleRate: 1000}, readthrough.ScopeOptions{})
		r.get()
		r.mu.Lock()
		r.delay = time.Hour
		r.mu.Unlock()
		before := r.loads.Load()
		for range 100 {
			r.get()
			time.Sleep(time.Millisecond)
		}
		assert.EqualValues(t, 3, r.loads.Load()-before, "loads under way")
		began := time.Now()
		require.NoError(t, r.cache.Close())
		assert.Zero(t, time.Since(began), "Close waits for no load function")
		time.Sleep(2 * time.Hour)
	})
	bubble(t, "closed in the pause", func(t *testing.T) {
		before, _ := bubbled()
		r := newSampleRig(t, readthrough.Options{SampleRecheck: time.Hour}, readthrough.ScopeOptions{TTL: 2 * time.Hour})
		r.get()
		r.set("2")
		r.get()
		synctest.Wait()
		require.NoError(t, r.cache.Close())
		if n, stacks := bubbled(); n > before {
			t.Error("goroutines are left:\n" + stacks)
		}
	})
	bubble(t, "a load that hangs is left", func(t *testing.T) {
		r := newSampleRig(t, readthrough.Options{SampleLoads: 1}, readthrough.ScopeOptions{LoadTimeout: time.Second})
		r.get()
		before, _ := r.found()
		hang := func(context.Context) (string, error) { time.Sleep(30 * time.Second); return "2", nil }
		for range 50 { // one sample at a time, each of a second
			_, err := readthrough.Wrap(t.Context(), r.sampled, "k", hang)
			require.NoError(t, err)
			time.Sleep(500 * time.Millisecond)
		}
		sampled, _ := r.found()
		assert.Equal(t, before, sampled)
		r.readFor(3 * time.Second)
		sampled, _ = r.found()
		assert.Greater(t, sampled, before, "the places are free again")
		time.Sleep(time.Minute)
	})
	bubble(t, "off", func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		for range 1000 {
			r.read("k")
			time.Sleep(10 * time.Millisecond)
		}
		assert.Equal(t, 1, r.loaded())
		assert.Zero(t, r.scope.Stats().Sampled)
		assert.Empty(t, r.scope.Stats().SampledStaleAge.Buckets)
	})
}

// TestEveryReadIsSampled: by Wrap, by what is made of it, and in bulk; but none that a load or a
// transaction makes.
func TestEveryReadIsSampled(t *testing.T) {
	load := func(context.Context) (int, error) { return 1, nil }
	loadID := func(context.Context, int) (int, error) { return 1, nil }
	loadIDs := func(_ context.Context, ids []int) (map[int]int, error) {
		values := make(map[int]int)
		for _, id := range ids {
			values[id] = 1
		}
		return values, nil
	}
	key := func(int) string { return "k" }
	for name, read := range map[string]func(t *testing.T, ctx context.Context, c *readthrough.Cache, s *readthrough.CachedScope){
		"Wrap": func(t *testing.T, ctx context.Context, _ *readthrough.Cache, s *readthrough.CachedScope) {
			_, err := readthrough.Wrap(ctx, s, "k", load)
			require.NoError(t, err)
		},
		"WrapResult": func(t *testing.T, ctx context.Context, _ *readthrough.Cache, s *readthrough.CachedScope) {
			_, err := readthrough.WrapResult(ctx, s, "k", load)
			require.NoError(t, err)
		},
		"Memoize": func(t *testing.T, ctx context.Context, _ *readthrough.Cache, s *readthrough.CachedScope) {
			_, err := readthrough.Memoize(s, key, loadID)(ctx, 1)
			require.NoError(t, err)
		},
		"WrapMany": func(t *testing.T, ctx context.Context, _ *readthrough.Cache, s *readthrough.CachedScope) {
			_, err := readthrough.WrapMany(ctx, s, []int{1}, key, loadIDs)
			require.NoError(t, err)
		},
		"none inside of a load": func(t *testing.T, ctx context.Context, _ *readthrough.Cache, s *readthrough.CachedScope) {
			_, err := readthrough.Refresh(ctx, s, "outer", func(ctx context.Context) (int, error) { return readthrough.Wrap(ctx, s, "k", load) })
			require.NoError(t, err)
		},
		"none of a context that bypasses the cache": func(t *testing.T, ctx context.Context, c *readthrough.Cache, s *readthrough.CachedScope) {
			_, err := readthrough.Wrap(c.Bypass(ctx), s, "k", load)
			require.NoError(t, err)
		},
	} {
		for kind, newStore := range storeKinds() {
			bubble(t, name+"/"+kind, func(t *testing.T) {
				cache := newCache(t, newStore(t), readthrough.Options{})
				s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour, SampleOneIn: 1})
				require.NoError(t, err)
				for range 5 {
					read(t, t.Context(), cache, s)
					time.Sleep(time.Second)
				}
				synctest.Wait()
				switch sampled := s.Stats().Sampled; name[:4] {
				case "none":
					assert.Zero(t, sampled)
				default:
					assert.GreaterOrEqual(t, sampled, int64(4))
				}
			})
		}
	}
	bubble(t, "Family", func(t *testing.T) {
		cache := newCache(t, newStore(t), readthrough.Options{})
		s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour, SampleOneIn: 1})
		require.NoError(t, err)
		family, err := readthrough.NewFamily(s, "f:", readthrough.Loads[int, int]{One: loadID, Many: loadIDs})
		require.NoError(t, err)
		for range 5 {
			_, err := family.Get(t.Context(), 1)
			require.NoError(t, err)
			time.Sleep(time.Second)
			_, err = family.GetMany(t.Context(), []int{1, 2, 3})
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		assert.GreaterOrEqual(t, s.Stats().Sampled, int64(8))
	})
}

// TestSamplingOptions that make no sense are refused, and what is not sampled costs a hit nothing.
func TestSamplingOptions(t *testing.T) {
	cache := newCache(t, newStore(t), readthrough.Options{})
	_, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Second, SampleOneIn: 10})
	assert.EqualError(t, err, `readthrough: scope "s": ScopeOptions.SampleOneIn: 10: has no effect: the TTL 1s must be longer than Options.SampleRecheck, 1s`)
	_, err = cache.Scope("s", readthrough.ScopeOptions{TTL: time.Minute, SampleOneIn: -1})
	assert.ErrorContains(t, err, "readthrough: ScopeOptions.SampleOneIn: -1: must not be negative")
	_, err = readthrough.New(newStore(t), readthrough.Options{SampleRecheck: -1, SampleLoads: -1, SampleRate: -1})
	for _, field := range []string{"SampleRecheck", "SampleLoads", "SampleRate"} {
		assert.ErrorContains(t, err, "readthrough: Options."+field+": ")
	}
	s, err := cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour, SampleOneIn: 1 << 40})
	require.NoError(t, err)
	family, err := readthrough.NewFamily(s, "f:", readthrough.Loads[int, string]{One: func(context.Context, int) (string, error) { return "v", nil }})
	require.NoError(t, err)
	read := func() { _, _ = family.Get(t.Context(), 7) }
	read()
	assert.Zero(t, testing.AllocsPerRun(1000, read), "allocations of a hit")
}

// TestOneInSoManyHitsIsSampled, however they are read, and no miss.
func TestOneInSoManyHitsIsSampled(t *testing.T) {
	const oneIn, reads = 10, 2000
	id := func(id string) string { return id }
	load := func(_ context.Context, id string) (string, error) { return id, nil }
	loadMany := func(_ context.Context, ids []string) (map[string]string, error) {
		found := make(map[string]string)
		for _, id := range ids {
			found[id] = id
		}
		return found, nil
	}
	one := func(context.Context) (string, error) { return "k", nil }
	for name, reader := range map[string]func(*testing.T, *readthrough.CachedScope) func(ctx context.Context) error{
		"Wrap": func(_ *testing.T, s *readthrough.CachedScope) func(context.Context) error {
			return func(ctx context.Context) error { _, err := readthrough.Wrap(ctx, s, "k", one); return err }
		},
		"WrapResult": func(_ *testing.T, s *readthrough.CachedScope) func(context.Context) error {
			return func(ctx context.Context) error { _, err := readthrough.WrapResult(ctx, s, "k", one); return err }
		},
		"Memoize": func(_ *testing.T, s *readthrough.CachedScope) func(context.Context) error {
			get := readthrough.Memoize(s, id, load)
			return func(ctx context.Context) error { _, err := get(ctx, "k"); return err }
		},
		"Family.Get": func(t *testing.T, s *readthrough.CachedScope) func(context.Context) error {
			t.Helper()
			family := newFamily(t, s, readthrough.Loads[string, string]{One: load})
			return func(ctx context.Context) error { _, err := family.Get(ctx, "k"); return err }
		},
		"WrapMany": func(_ *testing.T, s *readthrough.CachedScope) func(context.Context) error {
			ids := []string{"a", "b", "c"}
			return func(ctx context.Context) error { _, err := readthrough.WrapMany(ctx, s, ids, id, loadMany); return err }
		},
		"an absence": func(_ *testing.T, s *readthrough.CachedScope) func(context.Context) error {
			return func(ctx context.Context) error {
				_, err := readthrough.Wrap(ctx, s, "k", func(context.Context) (string, error) { return "", readthrough.ErrNotFound })
				if errors.Is(err, readthrough.ErrNotFound) {
					return nil
				}
				return err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEachStore(t, func(t *testing.T, store provider.CacheProvider) {
				s := newScope(t, on(store), with(func(o *readthrough.Options, so *readthrough.ScopeOptions) {
					o.SampleRate, o.SampleLoads = 1_000_000, reads
					so.TTL, so.NegativeTTL, so.SampleOneIn = time.Hour, time.Hour, oneIn
				}))
				read := reader(t, s)
				for range reads {
					require.NoError(t, read(t.Context()))
					time.Sleep(time.Millisecond)
				}
				assert.InDelta(t, reads/oneIn, s.Stats().Sampled, reads/oneIn/2)
			})
		})
	}
}

// TestSamplesOfABulkReadAreOfHits: what was missing was loaded a moment ago.
func TestSamplesOfABulkReadAreOfHits(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		sampled := make(map[int]int)
		s := newScope(t, with(func(o *readthrough.Options, so *readthrough.ScopeOptions) {
			o.SampleRate, o.SampleEqual = 1_000_000, func(_ string, cached, _ any) bool { sampled[cached.(int)]++; return true }
			so.TTL, so.SampleOneIn = time.Hour, 1
		}))
		read := func(ids ...int) {
			_, err := readthrough.WrapMany(t.Context(), s, ids, strconv.Itoa, func(_ context.Context, ids []int) (map[int]int, error) {
				found := make(map[int]int)
				for _, id := range ids {
					found[id] = id
				}
				return found, nil
			})
			require.NoError(t, err)
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		read(3, 5)
		for next := 100; next < 2100; next += 4 {
			read(next, next+1, 3, next+2, 5, next+3)
		}
		assert.Len(t, sampled, 2, "keys that were sampled: %v", sampled)
		assert.InDelta(t, 250, sampled[3], 100)
		assert.InDelta(t, 250, sampled[5], 100)
	})
}
