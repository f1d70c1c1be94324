package redisprovider_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
)

// evict has the server evict everything.
func (w *world) evict() {
	w.t.Helper()
	w.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
	w.Do("CONFIG", "SET", "maxmemory", "1")
	eventually(w.t, "the server to evict everything", func() bool { return w.Do("DBSIZE") == int64(0) })
	w.Do("CONFIG", "SET", "maxmemory", "0")
}

// loseIndex deletes the index of the scope, as an eviction would that picks it.
func (w *world) loseIndex(p *proc) {
	w.t.Helper()
	assert.Equal(w.t, int64(1), w.Do("DEL", p.store.IndexOf(key(holeScope, "k"))), "there was no index")
}

// TestHole10EvictedLease is row 10: the lease of a load is evicted, another
// process loads, or invalidates, and then the load comes to its end.
func TestHole10EvictedLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	for name, between := range map[string]func(name string){
		"invalidated": func(name string) { b.invalidate(name) },
		"replaced": func(name string) {
			b.invalidate(name)
			b.wantRead(w, "another process", name, "v2")
		},
		"invalidated by prefix": func(name string) { b.invalidatePrefix(name) },
	} {
		w.write(name, "v1")
		g := newGate(t)
		slow := a.begin(name, w.loadSlowly(name, g))
		g.wait()
		w.wantRaw(a, name, "lease")
		w.evict()
		w.write(name, "v2")
		between(name)
		g.open()
		await(t, slow)
		assert.NotEqual(t, "v1", w.raw(a, name), "%s: a load whose lease was evicted was stored", name)
		b.wantRead(w, "another process", name, "v2")
	}
}

// TestHole10EvictedIndex is row 10: the index is evicted, and values and leases
// are not. An invalidation of a prefix must find them all the same.
func TestHole10EvictedIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	a.invalidatePrefix("") // the index is complete now
	w.write("k:value", "v1")
	w.write("k:lease", "v1")
	a.wantRead(w, "a reader", "k:value", "v1")
	g := newGate(t)
	slow := b.begin("k:lease", w.loadSlowly("k:lease", g))
	g.wait()
	w.loseIndex(a)
	w.write("k:value", "v2")
	w.write("k:lease", "v2")
	assert.Equal(t, 1, a.invalidatePrefix("k:"), "values that the invalidation removed")
	g.open()
	await(t, slow)
	w.wantRaw(a, "k:value", "")
	w.wantRaw(a, "k:lease", "")
	b.wantRead(w, "another process", "k:value", "v2")
	b.wantRead(w, "another process", "k:lease", "v2")
	assert.Equal(t, 2, a.invalidatePrefix("k:"), "values that the second invalidation removed")
}

// TestHole12LeaseDuringScan is row 12: B takes a lease while A scans the server to
// rebuild the index, behind the place where the scan is. The index counts as
// complete then: the next invalidation must destroy that lease.
func TestHole12LeaseDuringScan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	w.write("k", "v1")
	a.wantRead(w, "a reader of something else", "other", "")
	w.loseIndex(a)
	scanned := a.holdAnswer(opScan)
	rebuilt := make(chan answer, 1)
	go func() {
		_, err := a.InvalidatePrefix(t.Context(), "no key")
		rebuilt <- answer{err: err}
	}()
	scanned.wait()
	g := newGate(t)
	slow := b.begin("k", w.loadSlowly("k", g))
	g.wait()
	scanned.open()
	wantAnswer(t, "the invalidation that rebuilds", rebuilt, "")
	w.write("k", "v2")
	a.proxy.ResetCounts()
	a.invalidatePrefix("k")
	assert.Zero(t, a.proxy.Count("SCAN"), "SCANs: the index was rebuilt again, and the test tests nothing")
	g.open()
	await(t, slow)
	w.wantRaw(a, "k", "")
	b.wantRead(w, "another process", "k", "v2")
}

// TestHole12IndexLostDuringScan is row 12: the index is evicted while A scans the
// server to rebuild it, and begun anew by others. It must not count as complete.
func TestHole12IndexLostDuringScan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	w.write("k", "v1")
	a.wantRead(w, "a reader of something else", "other", "")
	w.loseIndex(a)
	scanned := a.holdAnswer(opScan)
	rebuilt := make(chan answer, 1)
	go func() {
		_, err := a.InvalidatePrefix(t.Context(), "no key")
		rebuilt <- answer{err: err}
	}()
	scanned.wait()
	b.wantRead(w, "another process", "k", "v1") // behind the scan
	w.loseIndex(a)
	b.wantRead(w, "another process", "yet another key", "")
	scanned.open()
	wantAnswer(t, "the invalidation that rebuilds", rebuilt, "")
	w.write("k", "v2")
	a.invalidatePrefix("k")
	w.wantRaw(a, "k", "")
	b.wantRead(w, "another process", "k", "v2")
}

// TestHole14PrefixCost is row 14: what an invalidation of a prefix costs depends on
// what it removes, and not on what else the server has.
func TestHole14PrefixCost(t *testing.T) {
	t.Parallel()
	const matching, others = 1000, 20_000
	w := newWorld(t)
	a := w.proc()
	names := make([]int, matching)
	for i := range names {
		names[i] = i
	}
	load := func(_ context.Context, ids []int) (map[int]string, error) {
		values := make(map[int]string)
		for _, id := range ids {
			values[id] = "v"
		}
		return values, nil
	}
	w.Do("EVAL", fmt.Sprintf("for i = 1, %d do redis.call('SET', 'other:' .. i, 'v') end", others), "0")
	a.invalidatePrefix("") // the index is complete now
	for _, family := range []string{"k:", "l:"} {
		_, err := readthrough.WrapMany(t.Context(), a.CachedScope, names, func(i int) string { return fmt.Sprint(family, i) }, load)
		require.NoError(t, err)
	}
	a.proxy.ResetCounts()
	w.ResetStats()
	assert.Equal(t, matching, a.invalidatePrefix("k:"), "values removed")
	commands := 0
	for _, calls := range w.CommandStats() {
		commands += calls
	}
	assert.LessOrEqual(t, a.proxy.Trips(), 4, "round trips: %v", a.proxy.Counts())
	assert.Zero(t, a.proxy.Count("SCAN"), "round trips: %v", a.proxy.Counts())
	assert.LessOrEqual(t, commands, 3*matching, "commands that the server executed: %v", w.CommandStats())
}

// TestHole20HoldsSurviveInvalidations is row 20: A holds a key and a prefix for a
// write; B invalidates both, C reads the value of before the write, and then A
// writes and cannot invalidate.
func TestHole20HoldsSurviveInvalidations(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]readthrough.Targets{
		"a key":    {Keys: []string{"k"}},
		"a prefix": {Prefixes: []string{"k"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a, b, c := w.proc(severed), w.proc(), w.proc()
			w.write("k", "v1")
			c.wantRead(w, "the first reader", "k", "v1")
			g := newGate(t)
			written := make(chan answer, 1)
			go func() {
				_, err := readthrough.Mutate(t.Context(), a.CachedScope, readthrough.Mutation[int]{
					Write: func(context.Context) (int, error) {
						g.pass()
						w.write("k", "v2")
						a.cutOff()
						return 0, nil
					},
					Invalidate:      func(int) readthrough.Targets { return hold },
					Hold:            hold,
					FailWhenPending: true,
				})
				written <- answer{err: err}
			}()
			g.wait()
			b.invalidate("k")
			b.invalidatePrefix("k")
			b.invalidatePrefix("")
			c.wantRead(w, "a reader during the write", "k", "v1")
			w.wantRaw(c, "k", "")
			g.open()
			wantPending(t, await(t, written).err)
			for range 3 {
				c.wantRead(w, "a reader after the write", "k", "v2")
			}
		})
	}
}

// TestHole21OutOfMemory is row 21: the server is out of memory and evicts nothing.
// Invalidations pass.
func TestHole21OutOfMemory(t *testing.T) {
	t.Parallel()
	for _, indexed := range []bool{true, false} {
		w := newWorld(t, "--maxmemory-policy", "noeviction")
		a, b := w.proc(), w.proc()
		if indexed {
			a.invalidatePrefix("") // the index is complete now
		}
		for _, name := range []string{"k", "list:1", "list:2"} {
			w.write(name, "v1")
			b.wantRead(w, "the first reader", name, "v1")
			w.write(name, "v2")
		}
		g := newGate(t)
		w.write("list:3", "v1")
		slow := b.begin("list:3", w.loadSlowly("list:3", g))
		g.wait()
		w.write("list:3", "v2")
		w.Do("CONFIG", "SET", "maxmemory", "1")
		a.invalidate("k")
		assert.Equal(t, 2, a.invalidatePrefix("list:"), "values removed")
		w.Do("CONFIG", "SET", "maxmemory", "0")
		g.open()
		await(t, slow)
		for _, name := range []string{"k", "list:1", "list:2", "list:3"} {
			w.wantRaw(a, name, "")
			b.wantRead(w, "another process", name, "v2")
		}
	}
}

// TestHole21TooFewReplicas is row 21: the server has too few replicas to take
// writes, and goes on to answer reads. Invalidations must say so, and this process
// must not read what it could not remove.
func TestHole21TooFewReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	for _, name := range []string{"k", "list:1"} {
		w.write(name, "v1")
		b.wantRead(w, "the first reader", name, "v1")
		w.write(name, "v2")
	}
	a.invalidatePrefix("no key") // the index is complete now
	w.Do("CONFIG", "SET", "min-replicas-to-write", "1")
	wantPending(t, a.Invalidate(t.Context(), "k"))
	_, err := a.InvalidatePrefix(t.Context(), "list:")
	wantPending(t, err)
	a.wantRead(w, "a reader of the same process", "k", "v2")
	a.wantRead(w, "a reader of the same process", "list:1", "v2")
	w.Do("CONFIG", "SET", "min-replicas-to-write", "0")
	a.waitSettled()
	b.wantRead(w, "another process, afterwards,", "k", "v2")
	b.wantRead(w, "another process, afterwards,", "list:1", "v2")
}
