package readthrough

import (
	"container/list"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var pendingSeed = flag.Uint64("pending.seed", 0, "seed of the pending set's model test; 0: a random one")

// pendingTwin is what a pendingSet should do, said as plainly as possible: a
// list of invalidations that are not confirmed, searched from end to end.
type pendingTwin struct {
	limit   int
	pending []twinRecord
}

type twinRecord struct {
	prefix  bool
	name    string
	version uint64
}

func (r twinRecord) covers(key string) bool {
	return r.name == key || r.prefix && strings.HasPrefix(key, r.name)
}

func (w *pendingTwin) add(targets Targets, version uint64) {
	for _, key := range targets.Keys {
		w.addOne(twinRecord{false, key, version})
	}
	for _, prefix := range targets.Prefixes {
		w.addOne(twinRecord{true, prefix, version})
	}
	prefixes := 0
	var latest uint64
	for _, r := range w.pending {
		latest = max(latest, r.version)
		if r.prefix {
			prefixes++
		}
	}
	if len(w.pending) > w.limit || prefixes > 64 {
		w.pending = []twinRecord{{true, "", latest}}
	}
}

func (w *pendingTwin) addOne(added twinRecord) {
	for i, r := range w.pending {
		if r.prefix == added.prefix && r.name == added.name {
			w.pending[i].version = max(r.version, added.version)
			return
		}
	}
	w.pending = append(w.pending, added)
}

func (w *pendingTwin) confirm(targets Targets, version uint64) {
	w.pending = slices.DeleteFunc(w.pending, func(r twinRecord) bool {
		if r.version > version {
			return false
		}
		if !r.prefix && slices.Contains(targets.Keys, r.name) {
			return true
		}
		return slices.ContainsFunc(targets.Prefixes, func(prefix string) bool { return strings.HasPrefix(r.name, prefix) })
	})
}

// TestPendingSetAgainstTwin compares a pendingSet after every step of random
// sequences with its twin, and with the truth: as long as an invalidation has
// not been confirmed by an attempt that began no earlier, the keys that it
// covers are covered.
func TestPendingSetAgainstTwin(t *testing.T) {
	seed := *pendingSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run again with -pending.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	universe := []string{""}
	for i := 0; len(universe) < 1+3+9+27; i++ {
		for _, letter := range []string{"a", "b", "c"} {
			universe = append(universe, universe[i]+letter)
		}
	}
	for round := range 400 {
		limit := []int{1, 2, 5, 20, 1000}[round%5]
		set, twin := newPendingSet(limit), pendingTwin{limit: limit}
		var truth []twinRecord
		version := uint64(0)
		for range 60 {
			targets := randomTargets(rng, universe)
			began := version - min(version, rng.Uint64N(4)) // of an attempt that is concluded now
			switch rng.IntN(3) {
			case 0: // another invalidation, or a retry, was not confirmed
				if rng.IntN(2) == 0 {
					version++
					began = version
				}
				set.add(targets, began)
				twin.add(targets, began)
				for _, key := range targets.Keys {
					truth = append(truth, twinRecord{false, key, began})
				}
				for _, prefix := range targets.Prefixes {
					truth = append(truth, twinRecord{true, prefix, began})
				}
			default:
				set.confirm(targets, began)
				twin.confirm(targets, began)
				confirmed := pendingTwin{pending: truth}
				confirmed.confirm(targets, began)
				truth = confirmed.pending
			}
			compareWithTwin(t, &set, &twin, universe)
			for _, r := range truth {
				for _, key := range universe {
					if r.covers(key) && !set.covers(key) {
						t.Fatalf("limit %d: %+v is not confirmed, but %q is not covered", limit, r, key)
					}
				}
			}
		}
	}
}

func randomTargets(rng *rand.Rand, universe []string) (t Targets) {
	for range rng.IntN(4) {
		t.Keys = append(t.Keys, universe[1+rng.IntN(len(universe)-1)])
	}
	for range rng.IntN(3) {
		t.Prefixes = append(t.Prefixes, universe[rng.IntN(len(universe))])
	}
	return t
}

func compareWithTwin(t *testing.T, set *pendingSet, twin *pendingTwin, universe []string) {
	t.Helper()
	if set.size() != len(twin.pending) {
		t.Fatalf("size() = %d, the twin has %v", set.size(), twin.pending)
	}
	for _, key := range universe {
		want := slices.ContainsFunc(twin.pending, func(r twinRecord) bool { return r.covers(key) })
		if got := set.covers(key); got != want {
			t.Fatalf("covers(%q) = %v, the twin has %v", key, got, twin.pending)
		}
	}
	var want Targets
	for _, r := range twin.pending {
		if r.prefix {
			want.Prefixes = append(want.Prefixes, r.name)
		} else {
			want.Keys = append(want.Keys, r.name)
		}
	}
	got := set.targets()
	for _, names := range [][]string{got.Keys, got.Prefixes, want.Keys, want.Prefixes} {
		slices.Sort(names)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("targets() = %v, the twin has %v", got, want)
	}
	if set.size() > max(set.limit, 1) {
		t.Fatalf("size() = %d, over the limit of %d", set.size(), set.limit)
	}
}

// TestPendingVersionIsNotTakenBack: an attempt that began before the latest
// invalidation of a key, and fails after it, does not make it look older.
func TestPendingVersionIsNotTakenBack(t *testing.T) {
	set := newPendingSet(10)
	key := Targets{Keys: []string{"k"}}
	set.add(key, 2) // the latest invalidation
	set.add(key, 1) // a retry that began before it, and failed
	set.confirm(key, 1)
	if !set.covers("k") {
		t.Error("an attempt that began before the latest invalidation confirmed it")
	}

	set = newPendingSet(1)
	set.add(key, 2)
	set.add(Targets{Keys: []string{"l"}}, 1) // over the limit
	set.confirm(Targets{Prefixes: []string{""}}, 1)
	if !set.covers("k") {
		t.Error("an attempt that began before the latest invalidation confirmed it")
	}
}

func TestPendingPrefixesAreBounded(t *testing.T) {
	set := newPendingSet(1000)
	for i := range maxPrefixes {
		set.add(Targets{Prefixes: []string{fmt.Sprint("p", i, ":")}}, 1)
	}
	if set.covers("k") || set.size() != maxPrefixes {
		t.Fatalf("%d pending, want %d prefixes", set.size(), maxPrefixes)
	}
	set.add(Targets{Prefixes: []string{"one more"}}, 2)
	if got := set.targets(); len(got.Keys) != 0 || !slices.Equal(got.Prefixes, []string{""}) {
		t.Fatalf("targets() = %v, want the whole scope", got)
	}
}

func TestTargetChunks(t *testing.T) {
	for n := range 30 {
		for _, size := range []int{1, 2, 7, 10} {
			var targets Targets
			for i := range n {
				targets.Keys = append(targets.Keys, fmt.Sprint(i))
			}
			targets.Prefixes = []string{"a", "b"}
			var got Targets
			for _, part := range targets.chunks(size) {
				if len(part.Keys) > size || len(part.Keys) > 0 && len(part.Prefixes) > 0 || len(part.Prefixes) > 1 {
					t.Fatalf("a part of chunks(%d) is %v", size, part)
				}
				got.Keys = append(got.Keys, part.Keys...)
				got.Prefixes = append(got.Prefixes, part.Prefixes...)
			}
			if fmt.Sprint(got) != fmt.Sprint(targets) {
				t.Fatalf("chunks(%d) of %v add up to %v", size, targets, got)
			}
		}
	}
}

func TestTargetsWithout(t *testing.T) {
	all := Targets{Keys: []string{"k", "l"}, Prefixes: []string{"a", "b", "c"}}
	tests := []struct{ failed, want Targets }{
		{Targets{}, all},
		{Targets{Keys: all.Keys}, Targets{Prefixes: all.Prefixes}},
		{Targets{Prefixes: []string{"b"}}, Targets{Keys: all.Keys, Prefixes: []string{"a", "c"}}},
		{all, Targets{}},
	}
	for _, test := range tests {
		if got := all.without(test.failed); fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("without(%v) = %v, want %v", test.failed, got, test.want)
		}
	}
}

func newPendingSet(limit int) pendingSet { return pendingSet{coverSet[uint64]{limit: limit}} }

// TestLaggingSetAgainstTwin compares a laggingSet, in random sequences and at the nanosecond, with a
// list of invalidations that is searched from end to end.
func TestLaggingSetAgainstTwin(t *testing.T) {
	seed := *pendingSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("run again with -pending.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	universe := []string{"", "a", "b", "aa", "ab", "ba", "aab", "abc"}
	const lag = 10 * time.Second
	type record struct {
		twinRecord

		until time.Time
	}
	for round := range 200 {
		synctest.Test(t, func(t *testing.T) {
			limit := []int{1, 2, 5, 1000}[round%4]
			set := laggingSet{coverSet: coverSet[*list.Element]{limit: limit}}
			var twin []record
			for range 40 {
				now := time.Now()
				targets, until := randomTargets(rng, universe), now.Add(lag)
				set.add(targets, now, until)
				for _, key := range targets.Keys {
					twin = append(twin, record{twinRecord{name: key}, until})
				}
				for _, prefix := range targets.Prefixes {
					twin = append(twin, record{twinRecord{prefix: true, name: prefix}, until})
				}
				twin = slices.DeleteFunc(twin, func(r record) bool { return !now.Before(r.until) })
				names := make(map[twinRecord]bool)
				for _, r := range twin {
					names[r.twinRecord] = true
				}
				if len(names) > limit {
					twin = []record{{twinRecord{prefix: true}, until}}
					names = map[twinRecord]bool{{prefix: true}: true}
				}
				if set.size() != len(names) {
					t.Fatalf("size() = %d, the twin has %v", set.size(), twin)
				}
				for _, pause := range []time.Duration{0, lag - 1, 1}[:1+2*rng.IntN(2)] {
					time.Sleep(pause)
					for _, key := range universe[1:] {
						want := slices.ContainsFunc(twin, func(r record) bool { return time.Now().Before(r.until) && r.covers(key) })
						if got := set.covers(key); got != want {
							t.Fatalf("covers(%q) = %v, the twin has %v", key, got, twin)
						}
					}
				}
				time.Sleep(time.Duration(rng.IntN(5)) * time.Second)
			}
		})
	}
}

// TestStuckFillsOfManyKeys: that a store does not return from the fills of many keys, which are then
// invalidated, takes time in proportion to their number. With their square, 64 times as many keys
// would take 4096 times as long. The limit lies far from both, and only the fastest of several runs
// counts: the machine may be busy.
func TestStuckFillsOfManyKeys(t *testing.T) {
	takes := func(n int) time.Duration {
		c, created := newCall(n)
		var targets Targets
		for i := range created {
			created[i].key, created[i].fence = fmt.Sprint("key ", i), fence{phase: phaseFilling}
			c.flights[i] = &created[i]
			targets.Keys = append(targets.Keys, created[i].key)
		}
		var g flights
		least := time.Hour
		for range 9 {
			began := time.Now()
			if got := g.stuckFills(targets, map[*call]struct{}{c: {}}); len(got) != n {
				t.Fatalf("%d keys, want %d", len(got), n)
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	if few, many := takes(500), takes(32_000); many > 1024*few {
		t.Errorf("500 keys take %v, and 32,000 keys %v", few, many)
	}
}

// TestRetriesLookASecondTime: an invalidation that becomes pending after the loop of the retries has seen
// that nothing is, and before it says that it ends, starts no loop of its own. The loop goes on.
func TestRetriesLookASecondTime(t *testing.T) {
	s := &keyspace{engine: new(engine)}
	s.retrying.Store(true)
	require.True(t, s.stopRetrying(), "nothing is pending")
	require.False(t, s.retrying.Load(), "a loop runs")

	s.retrying.Store(true)
	s.flights.bypassing.Store(1)
	require.False(t, s.stopRetrying(), "something is pending")
	require.True(t, s.retrying.Load(), "no loop runs")
}

// TestInvalidateAmongManyRecentKeys: what an invalidation notes about a source that lags, under the lock of
// the scope, takes about as long however many keys were invalidated in the last ReplicaLag. Only the
// fastest of several runs counts: the machine may be busy.
func TestInvalidateAmongManyRecentKeys(t *testing.T) {
	const lag = time.Hour
	takes := func(n int) time.Duration {
		set := laggingSet{coverSet: coverSet[*list.Element]{limit: 2 * n}}
		now := time.Now()
		for i := range n {
			set.add(Targets{Keys: []string{fmt.Sprint("key ", i)}}, now, now.Add(lag))
		}
		least := time.Hour
		for range 100 {
			began := time.Now()
			set.add(Targets{Keys: []string{"other"}}, now, now.Add(lag))
			least = min(least, time.Since(began))
		}
		return least
	}
	if few, many := takes(20), takes(10_000); many > 50*few {
		t.Errorf("among 20 recent keys it takes %v, among 500 times as many %v", few, many)
	}
}
