package cachetest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/cachetest"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/race"
)

var seedFlag = flag.Uint64("cachetest.seed", 0, "seed of the random tests; 0: a random one")

func pickSeed(t *testing.T) uint64 {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed: -cachetest.seed=%d", seed)
	return seed
}

func nothing() error { return nil }

// load reads a value from the source, as a cache that misses does.
func load(t *testing.T, source *cachetest.Source[cachetest.Value], key string) cachetest.Value {
	t.Helper()
	value, err := source.Load(t.Context(), key)
	require.NoError(t, err)
	return value
}

// returns is a read that returns what it has.
func returns(value cachetest.Value) func() (cachetest.Value, error) {
	return func() (cachetest.Value, error) { return value, nil }
}

func absent() (cachetest.Value, error) {
	return cachetest.Value{}, fmt.Errorf("get: %w", readthrough.ErrNotFound)
}

// violation returns the violation that h has; nil if it is consistent.
func violation(t *testing.T, h *cachetest.History) *cachetest.ViolationError {
	t.Helper()
	_, err := h.Check()
	if err == nil {
		return nil
	}
	v, ok := errors.AsType[*cachetest.ViolationError](err)
	require.True(t, ok, "%v", err)
	return v
}

// TestRule has a history for each part of the rule, and what becomes of it.
func TestRule(t *testing.T) {
	type (
		history = *cachetest.History
		source  = *cachetest.Source[cachetest.Value]
	)
	pending := func() error { return fmt.Errorf("store: %w", readthrough.ErrInvalidationPending) }
	tests := []struct {
		name    string
		options cachetest.Options
		run     func(t *testing.T, h history, s source)
		want    cachetest.Kind // 0: consistent
	}{
		{"nothing at all", cachetest.Options{}, func(*testing.T, history, source) {}, 0},
		{"stale", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.Invalidate("a", nothing)
			_, _ = s.Read("a", returns(old))
		}, cachetest.StaleRead},
		{"not invalidated", cachetest.Options{}, func(t *testing.T, _ history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_, _ = s.Read("a", returns(old))
		}, 0},
		{"invalidated before the write", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			_ = h.Invalidate("a", nothing)
			s.Write("a")
			_, _ = s.Read("a", returns(old))
		}, 0},
		{"written while the invalidation runs", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			_ = h.Invalidate("a", func() error { s.Write("a"); return nil })
			_, _ = s.Read("a", returns(old))
		}, 0},
		{"read while the invalidation runs", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.Invalidate("a", func() error { _, _ = s.Read("a", returns(old)); return nil })
		}, 0},
		{"the read began before the invalidation returned", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			_, _ = s.Read("a", func() (cachetest.Value, error) {
				s.Write("a")
				return old, h.Invalidate("a", nothing)
			})
		}, 0},
		{"the invalidation that began last binds, though another returned later", cachetest.Options{}, func(t *testing.T, h history, s source) {
			s.Write("a")
			old := load(t, s, "a")
			_ = h.Invalidate("a", func() error { s.Write("a"); return h.Invalidate("a", nothing) })
			_, _ = s.Read("a", returns(old))
		}, cachetest.StaleRead},
		{"another key", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a", "b")
			_ = h.Invalidate("b", nothing)
			_, _ = s.Read("a", returns(old))
		}, 0},
		{"by a prefix", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "list:a")
			s.Write("list:a")
			_ = h.InvalidatePrefix("list:", nothing)
			_, _ = s.Read("list:a", returns(old))
		}, cachetest.StaleRead},
		{"by the empty prefix", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.InvalidatePrefix("", nothing)
			_, _ = s.Read("a", returns(old))
		}, cachetest.StaleRead},
		{"by another prefix", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "list:a")
			s.Write("list:a")
			_ = h.InvalidateTargets([]string{"list"}, []string{"list:b", "list:aa"}, nothing)
			_, _ = s.Read("list:a", returns(old))
		}, 0},
		{"an invalidation that failed", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.Invalidate("a", func() error { return errors.New("bad key") })
			_, _ = s.Read("a", returns(old))
		}, 0},
		{"pending, in the process", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.At("A").Invalidate("a", pending)
			_, _ = s.At("A").Read("a", returns(old))
		}, cachetest.StaleRead},
		{"pending, in another process", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.At("A").Invalidate("a", pending)
			_, _ = s.At("B").Read("a", returns(old))
		}, 0},
		{"pending, in another process that is bound too", cachetest.Options{Pending: cachetest.Everybody}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.At("A").Invalidate("a", pending)
			_, _ = s.At("B").Read("a", returns(old))
		}, cachetest.StaleRead},
		{"pending binds nobody", cachetest.Options{Pending: cachetest.Nobody}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.Invalidate("a", pending)
			_, _ = s.Read("a", returns(old))
		}, 0},
		{"confirmed, in another process", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.At("A").Invalidate("a", nothing)
			_, _ = s.At("B").Read("a", returns(old))
		}, cachetest.StaleRead},
		{"confirmed, in another process that is not bound", cachetest.Options{Confirmed: cachetest.ThisProcess}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.At("A").Invalidate("a", nothing)
			_, _ = s.At("B").Read("a", returns(old))
		}, 0},
		{"absent, and was when it was invalidated", cachetest.Options{}, func(_ *testing.T, h history, s source) {
			s.Write("a")
			s.Delete("a")
			_ = h.Invalidate("a", nothing)
			_, _ = s.Read("a", absent)
		}, 0},
		{"absent, deleted after it was invalidated", cachetest.Options{}, func(_ *testing.T, h history, s source) {
			s.Write("a")
			_ = h.Invalidate("a", nothing)
			_, _ = s.Read("a", func() (cachetest.Value, error) { s.Delete("a"); return absent() })
		}, 0},
		{"absent, but written again", cachetest.Options{}, func(_ *testing.T, h history, s source) {
			s.Delete("a")
			s.Write("a")
			_ = h.Invalidate("a", nothing)
			_, _ = s.Read("a", absent)
			s.Delete("a")
		}, cachetest.StaleRead},
		{"there, but deleted", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Delete("a")
			_ = h.Invalidate("a", nothing)
			_, _ = s.Read("a", returns(old))
		}, cachetest.StaleRead},
		{"one of a bulk read", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old, b := load(t, s, "a"), load(t, s, "b")
			s.Write("a")
			_ = h.InvalidateTargets([]string{"b", "a"}, nil, nothing)
			_, _ = s.ReadMany([]string{"a", "b"}, func() (map[string]cachetest.Value, error) {
				return map[string]cachetest.Value{"a": old, "b": b}, nil
			})
		}, cachetest.StaleRead},
		{"absent in a bulk read", cachetest.Options{}, func(_ *testing.T, h history, s source) {
			s.Write("a")
			_ = h.Invalidate("a", nothing)
			_, _ = s.ReadMany([]string{"a"}, func() (map[string]cachetest.Value, error) { return nil, nil })
		}, cachetest.StaleRead},
		{"missing in a bulk read that failed", cachetest.Options{}, func(_ *testing.T, h history, s source) {
			s.Write("a")
			_ = h.Invalidate("a", nothing)
			_, _ = s.ReadMany([]string{"a"}, func() (map[string]cachetest.Value, error) { return nil, errors.New("half") })
		}, 0},
		{"stored at the end", cachetest.Options{}, func(t *testing.T, h history, s source) {
			old := load(t, s, "a")
			s.Write("a")
			_ = h.Invalidate("a", nothing)
			assert.Equal(t, 1, s.Sweep(func(string) (cachetest.Value, error) { return old, nil }), "stored")
		}, cachetest.StaleFill},
		{"nothing stored at the end", cachetest.Options{}, func(t *testing.T, h history, s source) {
			load(t, s, "a")
			s.Write("a")
			_ = h.Invalidate("a", nothing)
			assert.Zero(t, s.Sweep(func(key string) (cachetest.Value, error) { return s.Load(t.Context(), key) }), "stored")
		}, 0},
		{"the value of another key", cachetest.Options{}, func(t *testing.T, _ history, s source) {
			load(t, s, "a")
			_, _ = s.Read("a", returns(load(t, s, "b")))
		}, cachetest.ForeignValue},
		{"a value from nowhere", cachetest.Options{}, func(t *testing.T, _ history, s source) {
			load(t, s, "a")
			_, _ = s.Read("a", returns(cachetest.Value{Key: "a", Version: 4711}))
		}, cachetest.ForeignValue},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := cachetest.NewHistory(tt.options)
			tt.run(t, h, cachetest.NewSource(h))
			switch v := violation(t, h); {
			case v == nil && tt.want != 0:
				report, _ := h.Check()
				t.Errorf("no violation found, want a %v: %v", tt.want, report)
			case v != nil && v.Kind != tt.want:
				t.Errorf("want kind %d, got %v", tt.want, v)
			case v != nil:
				t.Log(v)
			}
		})
	}
}

// The counterexample has what proves the violation, in its order, and nothing
// else.
func TestCounterexample(t *testing.T) {
	h := cachetest.NewHistory(cachetest.Options{})
	source := cachetest.NewSource(h)
	a, b := source.At("A"), source.At("B")
	other := load(t, b, "other")
	old := load(t, b, "list:a")
	for range 10 { // noise
		load(t, a, "other")
		_, _ = a.Read("other", returns(other))
	}
	a.Write("list:a")
	_ = h.At("A").InvalidateTargets([]string{"other"}, []string{"x", "list:"}, nothing)
	load(t, a, "list:a")
	_, _ = b.Read("list:a", returns(old))
	load(t, a, "list:a")
	v := violation(t, h)
	require.NotNil(t, v, "no violation found")
	t.Log(v)
	var got []string
	for _, e := range v.Events {
		got = append(got, fmt.Sprintf("%s: %s", e.Process, e.What))
	}
	want := []string{
		`B: load L of "list:a" begins`,
		`B: L reads version 6 from the source`,
		`B: L returns version 6`,
		`A: write W of "list:a" commits version 59`,
		`A: invalidation I of prefix "list:" and 2 more begins`,
		`A: I returns nil`,
		`B: read R of "list:a" begins`,
		`B: R returns version 6: stale, since W came before I, and I had returned before R began`,
	}
	assert.Equal(t, want, got)
	assert.True(t, slices.IsSortedFunc(v.Events, func(a, b cachetest.Event) int { return int(a.Order - b.Order) }), "the events are not in their order")
}

// A recorder works with a source of the test's own, whose commits it does not see.
func TestRecorder(t *testing.T) {
	type row struct{ version int64 }
	h := cachetest.NewHistory(cachetest.Options{})
	r := cachetest.NewRecorder(h, func(r row) int64 { return r.version })
	db := row{1}
	old, err := r.Load("k", func() (row, error) { return db, nil })
	require.NoError(t, err)
	write := func() error {
		return r.Write("k", func() (int64, error) { db.version++; return db.version, nil })
	}
	require.NoError(t, errors.Join(write(), h.Invalidate("k", nothing)))
	_, err = r.Read("k", func() (row, error) { return row{}, readthrough.ErrNotFound })
	require.ErrorIs(t, err, readthrough.ErrNotFound)
	require.Error(t, r.Write("k", func() (int64, error) { return 99, errors.New("rolled back") }), "the error of the write was lost")
	_ = h.Invalidate("k", nothing)
	require.Nil(t, violation(t, h))
	_, err = r.ReadMany([]string{"k"}, func() (map[string]row, error) { return map[string]row{"k": old}, nil })
	require.NoError(t, err)
	v := violation(t, h)
	require.NotNil(t, v, "a stale read")
	require.Equal(t, cachetest.StaleRead, v.Kind, "a stale read")
	t.Log(v)
	assert.Len(t, v.Events, 8, "events")
}

// Of writes that end in another order than they commit, the highest version counts.
func TestRecorderOfConcurrentWrites(t *testing.T) {
	h := cachetest.NewHistory(cachetest.Options{})
	r := cachetest.NewRecorder(h, func(version int64) int64 { return version })
	err := r.Write("k", func() (int64, error) { // commits first, and ends last
		return 2, r.Write("k", func() (int64, error) { return 3, nil })
	})
	require.NoError(t, err)
	_ = h.Invalidate("k", nothing)
	_, _ = r.Read("k", func() (int64, error) { return 3, nil })
	require.Nil(t, violation(t, h))
	_, _ = r.Read("k", func() (int64, error) { return 2, nil })
	assert.NotNil(t, violation(t, h), "version 2 is older than version 3, whenever their writes returned")
}

// The value of another key is noticed also where not everything was recorded.
func TestForeignValueInAFullHistory(t *testing.T) {
	h := cachetest.NewHistory(cachetest.Options{MaxOperations: 5})
	source := cachetest.NewSource(h)
	a, b := load(t, source, "a"), load(t, source, "b")
	_, _ = source.Read("b", returns(a))
	_, _ = source.Read("b", returns(b))
	v := violation(t, h)
	if assert.NotNil(t, v) {
		assert.Equal(t, cachetest.ForeignValue, v.Kind)
		assert.Equal(t, 1, v.Report.Dropped)
	}
}

// Bad options and full histories are said.
func TestOptions(t *testing.T) {
	_, err := cachetest.NewHistory(cachetest.Options{MaxOperations: -1, Pending: 7, Confirmed: 8}).Check()
	for _, want := range []string{"cachetest: Options.MaxOperations: -1", "Options.Pending: 7", "Options.Confirmed: 8"} {
		assert.ErrorContains(t, err, want)
	}
	h := cachetest.NewHistory(cachetest.Options{MaxOperations: 10})
	source := cachetest.NewSource(h)
	for range 10 {
		source.Write("a")
		value := load(t, source, "a")
		_ = h.Invalidate("a", nothing)
		_, _ = source.Read("a", returns(value))
	}
	report, err := h.Check()
	require.NoError(t, err)
	assert.Equal(t, 30, report.Dropped, "10 are recorded and 30 are not")
	assert.Equal(t, 9, report.Reads+report.Loads+report.Invalidations+report.Writes, "10 are recorded and 30 are not")
}

// fakeT keeps what Verify says.
type fakeT struct {
	logged string
	fatal  string
}

func (f *fakeT) Helper()                         {}
func (f *fakeT) Logf(format string, args ...any) { f.logged += fmt.Sprintf(format, args...) }
func (f *fakeT) Fatal(args ...any)               { f.fatal += fmt.Sprint(args...) }

func TestVerify(t *testing.T) {
	h := cachetest.NewHistory(cachetest.Options{})
	source := cachetest.NewSource(h)
	old := load(t, source, "a")
	var good, bad fakeT
	h.Verify(&good)
	assert.Empty(t, good.fatal)
	assert.Regexp(t, "^consistent: 0 reads of 1 keys", good.logged)
	source.Write("a")
	_ = h.Invalidate("a", nothing)
	_, _ = source.Read("a", returns(old))
	h.Verify(&bad)
	assert.Regexp(t, `^cachetest: stale read of "a"`, bad.fatal)
}

// TestCheckerAgainstTwin compares the checker with one that applies the rule as it
// is written, on random histories with everything in them.
func TestCheckerAgainstTwin(t *testing.T) {
	seed := pickSeed(t)
	stale := 0
	for n := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, n))
		options := cachetest.Options{Pending: cachetest.Reach(rng.IntN(4)), Confirmed: cachetest.Reach(rng.IntN(4))}
		twin := newTwin(rng, options)
		twin.run(60)
		report, err := twin.h.Check()
		got, want := report.Violations, twin.stale()
		require.Equal(t, want, got, "history %d: stale; %v", n, err)
		require.Equal(t, got > 0, err != nil, "history %d: stale; %v", n, err)
		stale += got
	}
	t.Logf("%d stale reads in 3000 histories", stale)
	assert.GreaterOrEqual(t, stale, 1000, "these histories have too few stale reads to prove anything")
}

// twin makes a random history and remembers it in its own way: as points in time.
type twin struct {
	rng     *rand.Rand
	options cachetest.Options
	h       *cachetest.History
	source  *cachetest.Source[cachetest.Value]
	clock   int
	known   map[string][]cachetest.Value // by key, what was loaded
	commits map[string][]commit
	invs    []twinInvalidation
	reads   []twinRead
}

type commit struct {
	at      int
	version int64 // 0: absent
}

type twinInvalidation struct {
	begin, end     int
	keys, prefixes []string
	process        string
	pending        bool
}

type twinRead struct {
	begin, end   int
	key, process string
	version      int64 // 0: absent
}

func newTwin(rng *rand.Rand, options cachetest.Options) *twin {
	h := cachetest.NewHistory(options)
	return &twin{rng: rng, options: options, h: h, source: cachetest.NewSource(h), known: map[string][]cachetest.Value{}, commits: map[string][]commit{}}
}

func (w *twin) tick() int { w.clock++; return w.clock }

func (w *twin) key() string {
	return []string{"a", "ab", "abc", "b"}[w.rng.IntN(4)]
}

func (w *twin) process() string { return []string{"A", "B"}[w.rng.IntN(2)] }

// run does n things, some of them while others are under way.
func (w *twin) run(n int) {
	for range n {
		w.one(0)
	}
}

func (w *twin) one(depth int) {
	inside := func() {
		for depth < 3 && w.rng.IntN(2) == 0 {
			w.one(depth + 1)
		}
	}
	switch key := w.key(); w.rng.IntN(6) {
	case 0, 1:
		w.load(key)
	case 2:
		w.load(key) // so that there is a first version
		if w.rng.IntN(5) == 0 {
			w.source.Delete(key)
			w.commits[key] = append(w.commits[key], commit{at: w.tick()})
			return
		}
		w.source.Write(key)
		w.load(key)
	case 3:
		w.invalidate(inside)
	default:
		w.read(key, inside)
	}
}

// load finds out the version that a key has, if it is new.
func (w *twin) load(key string) {
	value, err := w.source.Load(context.Background(), key)
	if err != nil {
		return
	}
	if n := len(w.known[key]); n == 0 || w.known[key][n-1] != value {
		w.known[key] = append(w.known[key], value)
		w.commits[key] = append(w.commits[key], commit{w.tick(), value.Version})
	}
}

func (w *twin) invalidate(inside func()) {
	i := twinInvalidation{process: w.process(), pending: w.rng.IntN(3) == 0}
	for range 1 + w.rng.IntN(2) {
		if w.rng.IntN(2) == 0 {
			i.keys = append(i.keys, w.key())
		} else {
			i.prefixes = append(i.prefixes, []string{"", "a", "ab", "b", "zz"}[w.rng.IntN(5)])
		}
	}
	i.begin = w.tick()
	failed := w.rng.IntN(6) == 0
	_ = w.h.At(i.process).InvalidateTargets(i.keys, i.prefixes, func() error {
		inside()
		switch {
		case failed:
			return errors.New("failed")
		case i.pending:
			return readthrough.ErrInvalidationPending
		default:
			return nil
		}
	})
	i.end = w.tick()
	if !failed {
		w.invs = append(w.invs, i)
	}
}

func (w *twin) read(key string, inside func()) {
	r := twinRead{key: key, process: w.process(), begin: w.tick()}
	_, _ = w.source.At(r.process).Read(key, func() (cachetest.Value, error) {
		inside()
		known := w.known[key]
		if len(known) == 0 || w.rng.IntN(8) == 0 {
			return absent()
		}
		r.version = known[max(0, len(known)-1-w.rng.IntN(3))].Version
		return cachetest.Value{Key: key, Version: r.version}, nil
	})
	r.end = w.tick()
	w.reads = append(w.reads, r)
}

func (w *twin) binds(i twinInvalidation, r twinRead) bool {
	reach := w.options.Confirmed
	if i.pending {
		reach = w.options.Pending
	}
	if reach == cachetest.DefaultReach {
		reach = cachetest.Everybody
		if i.pending {
			reach = cachetest.ThisProcess
		}
	}
	covers := slices.Contains(i.keys, r.key) || slices.ContainsFunc(i.prefixes, func(p string) bool { return strings.HasPrefix(r.key, p) })
	return covers && i.end < r.begin && (reach == cachetest.Everybody || reach == cachetest.ThisProcess && i.process == r.process)
}

// stale counts the reads for which there is no commit that they may return: one
// that was current at some time after the begin of every invalidation that binds
// the read, and was there before the read ended.
func (w *twin) stale() (n int) {
	for _, r := range w.reads {
		for _, i := range w.invs {
			if w.binds(i, r) && !w.allowed(i, r) {
				n++
				break
			}
		}
	}
	return n
}

func (w *twin) allowed(i twinInvalidation, r twinRead) bool {
	commits := w.commits[r.key]
	before := false
	for n, c := range commits {
		before = before || c.at < i.begin
		until := 1 << 30
		if n+1 < len(commits) {
			until = commits[n+1].at
		}
		if c.version == r.version && until > i.begin && c.at < r.end {
			return true
		}
	}
	return !before // nothing was written before it
}

// heap returns how much memory is in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRead measures what it costs to record a read, many at once of a few keys.
func BenchmarkRead(b *testing.B) {
	h := cachetest.NewHistory(cachetest.Options{MaxOperations: math.MaxInt})
	source := cachetest.NewSource(h)
	keys := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	source.Write(keys...)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			key := keys[i%len(keys)]
			_, _ = source.Read(key, func() (cachetest.Value, error) { return cachetest.Value{Key: key, Version: 1}, nil })
		}
	})
}

// TestMillion checks a history of a million operations, or of a fifth of that, most of them of a few hot
// keys, with many prefixes. With a quadratic checker it would take hours.
func TestMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("records a million operations")
	}
	operations := proofs.Sized(200_000, 150_000)
	if race.Enabled {
		operations = 200_000
	}
	seed := pickSeed(t)
	before := heap()
	h := cachetest.NewHistory(cachetest.Options{})
	source := cachetest.NewSource(h)
	began := time.Now()
	var group sync.WaitGroup
	for g := range uint64(8) {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(seed, g))
			for range operations / 8 {
				key := fmt.Sprintf("family%d:%d", rng.IntN(10), int(1000*rng.Float64()*rng.Float64()*rng.Float64()))
				switch p := rng.IntN(100); {
				case p < 80:
					_, _ = source.Read(key, func() (cachetest.Value, error) { return source.Load(context.Background(), key) })
				case p < 90:
					source.Write(key)
				case p < 97:
					_ = h.Invalidate(key, nothing)
				default:
					_ = h.InvalidatePrefix(key[:rng.IntN(len(key))], nothing)
				}
			}
		})
	}
	group.Wait()
	recorded := time.Since(began)
	size := heap() - before
	began = time.Now()
	report := h.Verify(t)
	n := report.Reads + report.Loads + report.Writes + report.Invalidations
	t.Logf("recorded in %v, %d bytes for each of %d operations; checked in %v", recorded, int(size)/n, n, time.Since(began))
	assert.GreaterOrEqual(t, report.Bound, operations/3, "too few of the reads could have been stale")
	// One stale read among them is found.
	hot := "family0:0"
	old := cachetest.Value{Key: hot}
	old.Version = load(t, source, hot).Version
	source.Write(hot)
	_ = h.Invalidate(hot, nothing)
	_, _ = source.Read(hot, returns(old))
	v := violation(t, h)
	if assert.NotNil(t, v, "one stale read") {
		assert.Equal(t, 1, v.Report.Violations, "one stale read")
	}
}

// A Recorder takes reads and writes whose keys are known only afterwards.
func TestRecorderOfUnknownKeys(t *testing.T) {
	h := cachetest.NewHistory(cachetest.Options{})
	r := cachetest.NewRecorder(h, func(version int64) int64 { return version })
	require.NoError(t, r.WriteMany(func() (map[string]int64, error) { return map[string]int64{"a": 2, "b": 2}, nil }))
	assert.ErrorIs(t, r.WriteMany(func() (map[string]int64, error) { return map[string]int64{"a": 3}, assert.AnError }), assert.AnError)
	require.NoError(t, h.InvalidateTargets([]string{"a", "b"}, nil, func() error { return nil }))
	read := func(a, b int64) {
		_, err := r.ReadMany(nil, func() (map[string]int64, error) { return map[string]int64{"a": a, "b": b}, nil })
		require.NoError(t, err)
	}
	read(2, 3)
	report, err := h.Check()
	require.NoError(t, err)
	assert.Equal(t, 2, report.Bound, "reads that could have been stale")
	read(2, 1)
	_, err = h.Check()
	var violation *cachetest.ViolationError
	require.ErrorAs(t, err, &violation)
	assert.Equal(t, "b", violation.Key)
}
