package deployments_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

var seedFlag = flag.Int64("deployments.seed", 0, "the seed of the reads and writes; 0: a random one")

var allFlag = flag.Bool("deployments.all", false, "every row of docs/deployments.md, also those that CI does not run")

// onlyAll skips a test that is not for each change: it needs -deployments.all.
func onlyAll(tb testing.TB, what, name string) {
	tb.Helper()
	if !*allFlag {
		tb.Skipf("left out: %s; to run it: go test ./internal/deployments -run ^%s$ -deployments.all", what, name)
	}
}

// rows are those that a run has: all with -deployments.all, otherwise those that CI runs.
func rows[Name comparable, C any](all map[Name]C, inCI func(Name, C) bool) map[Name]C {
	if !*allFlag {
		maps.DeleteFunc(all, func(name Name, c C) bool { return !inCI(name, c) })
	}
	return all
}

// TestMain silences the client's own log, which speaks of every fault.
func TestMain(m *testing.M) {
	logging.Disable()
	os.Exit(m.Run())
}

const (
	keys    = 64
	readers = 4 // of each process
	// pause is what a reader does between two reads, writePause what the writer of a
	// process does between two writes, on average.
	pause, writePause = time.Millisecond, 5 * time.Millisecond
	// slot is the length of the parts of a run whose hits are counted.
	slot = 200 * time.Millisecond
	// patience bounds what takes seconds; a loaded machine needs more.
	patience = time.Minute
)

// A world is a source of truth with versions, and the processes that read it through
// caches on shared servers.
type world struct {
	t    *testing.T
	seed int64
	// silent: nobody writes. A removal has more time than a read, and so it would set up connections for all.
	silent bool
	// near is of the near cache that each process has; nil: none has one.
	near *near.Options

	versions  [keys]atomic.Int64 // of the source
	announced [keys]atomic.Int64 // which everybody has to see
	writing   [keys]sync.Mutex   // one writer of a key at a time

	processes []*process
	ctx       context.Context //nolint:containedctx // of all reads and writes
	end       context.CancelFunc
	running   sync.WaitGroup
	began     time.Time
}

// A process is a cache with a client of its own.
type process struct {
	*readthrough.CachedScope

	world *world
	cache *readthrough.Cache
	own   [keys]atomic.Int64 // what it has announced to itself by pending invalidations

	total counts
	mu    sync.Mutex // guards slots
	slots []counts
	fault atomic.Pointer[string] // the last error that OnError was told
}

// counts are what happened.
type counts struct {
	reads, loads, stale, failed int64
	writes, pending             int64
	worst                       time.Duration // of the reads
}

func (c *counts) add(o *counts) {
	c.reads += o.reads
	c.loads += o.loads
	c.stale += o.stale
	c.failed += o.failed
	c.writes += o.writes
	c.pending += o.pending
	c.worst = max(c.worst, o.worst)
}

// hits is the percentage of reads that needed no load.
func (c *counts) hits() float64 {
	if c.reads == 0 {
		return 0
	}
	return 100 * float64(c.reads-c.loads) / float64(c.reads)
}

func (c *counts) String() string {
	return fmt.Sprintf("reads %d, stale %d, failed %d, hits %.0f %%, writes %d, pending %d, worst read %v",
		c.reads, c.stale, c.failed, c.hits(), c.writes, c.pending, c.worst.Round(time.Millisecond))
}

func newWorld(t *testing.T) *world {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Int64() //nolint:gosec // printed
	}
	t.Logf("-deployments.seed=%d", seed)
	w := &world{t: t, seed: seed}
	w.ctx, w.end = context.WithCancel(t.Context())
	t.Cleanup(w.stop)
	return w
}

// process makes a process. Its scope has an entry for an hour, so that what is stale stays so.
func (w *world) process(client redis.UniversalClient, options redisprovider.Options, edit ...func(*readthrough.Options)) *process {
	w.t.Helper()
	p := &process{world: w}
	far, err := redisprovider.New(client, options)
	require.NoError(w.t, err)
	var store provider.CacheProvider = far
	if w.near != nil {
		store, err = near.New(far, *w.near)
		require.NoError(w.t, err)
	}
	o := readthrough.Options{OnError: func(err *readthrough.OpError) { p.note(err) }}
	for _, e := range edit {
		e(&o)
	}
	p.cache, err = readthrough.New(store, o)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = p.cache.Close() })
	p.CachedScope, err = p.cache.Scope("s", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(w.t, err)
	w.processes = append(w.processes, p)
	return p
}

func (p *process) note(err error) {
	text := err.Error()
	p.fault.Store(&text)
}

// lastFault returns what OnError was told last.
func (p *process) lastFault() string {
	if text := p.fault.Load(); text != nil {
		return *text
	}
	return ""
}

// run begins the reads and writes of all processes.
func (w *world) run() {
	w.began = time.Now()
	for i, p := range w.processes {
		for r := range readers {
			w.running.Go(func() { p.readAll(rand.New(rand.NewPCG(uint64(w.seed), uint64(100*i+r)))) }) //nolint:gosec // reproducible
		}
		if w.silent {
			continue
		}
		w.running.Go(func() { p.writeAll(rand.New(rand.NewPCG(uint64(w.seed), uint64(100*i+99)))) }) //nolint:gosec // reproducible
	}
}

// stop ends the reads and writes.
func (w *world) stop() {
	w.end()
	w.running.Wait()
}

// sleep waits for about d, and returns false at the end of the run.
func (w *world) sleep(random *rand.Rand, d time.Duration) bool {
	select {
	case <-time.After(time.Duration((0.5 + random.Float64()) * float64(d))):
		return true
	case <-w.ctx.Done():
		return false
	}
}

func name(k int) string { return "k:" + strconv.Itoa(k) }

// floor returns the least version of a key that the process may read from now on.
func (p *process) floor(k int) int64 {
	return max(p.world.announced[k].Load(), p.own[k].Load())
}

func (p *process) readAll(random *rand.Rand) {
	for p.world.sleep(random, pause) {
		p.read(random.IntN(keys))
	}
}

// read reads a key, and checks its version.
func (p *process) read(k int) {
	var c counts
	least, began := p.floor(k), time.Now()
	var loads atomic.Int64
	got, err := readthrough.Wrap(p.world.ctx, p.CachedScope, name(k), func(context.Context) (int64, error) {
		loads.Add(1)
		return p.world.versions[k].Load(), nil
	})
	c.worst = time.Since(began)
	if p.world.ctx.Err() != nil {
		return
	}
	c.reads, c.loads = 1, loads.Load()
	switch {
	case err != nil:
		c.failed = 1
		p.note(err)
	case got < least:
		c.stale = 1
	}
	p.count(&c)
}

func (p *process) writeAll(random *rand.Rand) {
	for p.world.sleep(random, writePause) {
		p.write(random.IntN(keys))
	}
}

// write changes a key and invalidates it.
func (p *process) write(k int) {
	w := p.world
	w.writing[k].Lock()
	defer w.writing[k].Unlock()
	version := w.versions[k].Add(1)
	c := counts{writes: 1}
	switch err := p.Invalidate(w.ctx, name(k)); {
	case err == nil:
		w.announced[k].Store(version)
	case errors.Is(err, readthrough.ErrInvalidationPending):
		p.own[k].Store(version) // this process knows of it, others do not
		c.pending = 1
	default:
		c.failed = 1
		p.note(err)
	}
	p.count(&c)
}

func (p *process) count(c *counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total.add(c)
	at := int(time.Since(p.world.began) / slot)
	for len(p.slots) <= at {
		p.slots = append(p.slots, counts{})
	}
	p.slots[at].add(c)
}

// between returns what happened in all processes from one time of the run to another.
func (w *world) between(from, to time.Duration) *counts {
	sum := &counts{}
	for _, p := range w.processes {
		p.mu.Lock()
		for i := int(from / slot); i < min(len(p.slots), int(to/slot)); i++ {
			sum.add(&p.slots[i])
		}
		p.mu.Unlock()
	}
	return sum
}

// now is the time of the run.
func (w *world) now() time.Duration { return time.Since(w.began) }

// total returns all that happened.
func (w *world) total() *counts { return w.between(0, w.now()+slot) }

// recovered returns how long after a fault at from the last part of the run was in which hits
// were not what they were before, nearly.
func (w *world) recovered(from time.Duration, before float64) time.Duration {
	recovered := time.Duration(0)
	for at := from; at+2*slot < w.now(); at += slot {
		if c := w.between(at, at+slot); c.hits() < 0.7*before {
			recovered = at + slot - from
		}
	}
	return recovered
}

// waitHits waits until hits are what they were before, nearly.
func (w *world) waitHits(before *counts) {
	w.t.Helper()
	for began := w.now(); ; time.Sleep(slot) {
		if c := w.between(w.now()-3*slot, w.now()); c.reads > 0 && c.hits() >= 0.7*before.hits() {
			return
		}
		if w.now()-began > patience {
			w.t.Fatalf("hits do not come back: %v; the last error is: %s", w.between(w.now()-time.Second, w.now()), w.processes[0].lastFault())
		}
	}
}

// report prints what happened since a fault at a time, beside what was before. It ends the run,
// when hits are what they were.
func (w *world) report(what string, at time.Duration, before *counts) {
	w.t.Helper()
	w.waitHits(before)
	recovery := w.recovered(at, before.hits())
	w.stop()
	w.t.Logf("%s: %v; hits before %.0f %%, again after %v", what, w.between(at, w.now()+slot), before.hits(), recovery)
}
