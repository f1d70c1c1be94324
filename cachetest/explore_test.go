package cachetest_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/cachetest"
	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/provider"
)

// The explorer runs small programs, a few callers in one or two processes on
// a store that they share, through their schedules. The cache is the real one: in
// a synctest bubble, the calls of the store and the load functions wait at a gate,
// and when everything waits, the explorer lets one of them pass.
//
// It tries every schedule up to a depth: the number of switches from a caller that
// could have gone on to another one (Musuvathi and Qadeer, "Iterative Context
// Bounding", PLDI 2007). Beyond, it chooses at random. Of programs that are small
// enough it tries every schedule there is, except for those that only swap two
// steps which do not depend on each other (sleep sets, Godefroid 1996). Each
// schedule is a run from the start, and its history goes to the checker.
var (
	exploreDepth = flag.Int("explore.depth", 1, "number of switches up to which all schedules of a program are tried")
	exploreSeed  = flag.Uint64("explore.seed", 0, "seed of the random choices; 0: a random one")
	exploreRuns  = flag.Int("explore.runs", 150, "number of random schedules of each program")
	exploreTime  = flag.Duration("explore.time", 0, "how long to explore each program: half of it up to the depth, the other half at random; 0: all up to the depth, and explore.runs")
)

// program is what the callers do.
type program struct {
	name    string
	callers []caller
	scope   readthrough.ScopeOptions
	// nested has, for a key, the keys that its load reads, at once if there are several. They are in one
	// scope. In a program with nested loads, each first letter of a key is a scope; otherwise there is one.
	nested map[string][]string
	// aged says that all keys are stored before, for so long.
	aged time.Duration
	// losses is how many requests or replies may be lost, and loads fail: of the
	// method in lossy, or "load"; empty: of all.
	losses int
	lossy  string
	// evictions is how often the store may evict what a key holds, or a lease may
	// have come to its end.
	evictions int
	// ticks is how often time may go on although something could happen.
	ticks int
	// withoutLeases says that the store has none; all callers are in one process.
	withoutLeases bool
	// near says that each process has a strict near cache in front of the store; warm, that they have the keys which their
	// process uses.
	near, warm bool
	// depth is the number of switches up to which all schedules are tried, if it is
	// more than that of the flags.
	depth int
	// all says that every schedule is tried, whatever the flags.
	all bool
}

// caller is a sequence of operations in a process.
type caller struct {
	process int
	ops     []operation
}

// operation is one operation of a caller.
type operation struct {
	kind   kind
	keys   []string
	prefix string
}

type kind uint8

const (
	opRead     kind = iota // of one key
	opReadMany             // of all keys
	opRefresh              // of one key
	opWrite                // of all keys, then their invalidation, or that of prefix
	opRemove               // a write that leaves nothing
	opPut                  // of one key
	opMutate               // a write with a hold
)

func reader(process int, key string, more ...string) caller {
	c := caller{process: process}
	for _, k := range append([]string{key}, more...) {
		c.ops = append(c.ops, operation{kind: opRead, keys: []string{k}})
	}
	return c
}

func does(process int, k kind, keys ...string) caller {
	return caller{process, []operation{{kind: k, keys: keys}}}
}

// tick is how far time goes on when everybody waits for it: longer than a reader
// waits before it asks again for a lease.
const tick = 21 * time.Millisecond

// world is one run of a program.
type world struct {
	gate    *gate
	h       *cachetest.History
	source  *cachetest.Source[cachetest.Value]
	program *program
	scopes  []map[string]*readthrough.CachedScope // of each process, by the first letter of a key, or ""
	caches  []*readthrough.Cache
	shared  *server
	nears   *nears       // nil: there are none
	running atomic.Int64 // callers
}

func newWorld(t *testing.T, p *program, f flaws) *world {
	t.Helper()
	w := &world{program: p, gate: newGate(), h: cachetest.NewHistory(cachetest.Options{})}
	w.source = cachetest.NewSource(w.h)
	w.shared = newServer(f)
	if p.near {
		require.Zero(t, p.evictions, "near programs have no evictions")
		w.nears = newNears(w.gate, f)
	}
	scope := p.scope
	if scope.TTL == 0 {
		scope.TTL = time.Hour
	}
	scope.Jitter = -1
	for process := range 2 {
		c := &client{server: w.shared, process: process, gate: w.gate}
		var store provider.CacheProvider = c
		switch {
		case p.near:
			store = w.nears.join(t, process)
		case p.withoutLeases:
			store = leaseless{c}
		}
		cache, err := readthrough.New(store, readthrough.Options{
			OnError:         func(*readthrough.OpError) {},
			ProviderTimeout: time.Hour, InvalidateTimeout: time.Hour, LeaseTTL: 24 * time.Hour,
			LeaseWait: 2 * tick, BreakerFailures: -1,
		})
		require.NoError(t, err)
		scopes := make(map[string]*readthrough.CachedScope)
		for _, name := range p.scopeNames() {
			scopes[name], err = cache.Scope("s"+name, scope)
			require.NoError(t, err)
		}
		w.caches, w.scopes = append(w.caches, cache), append(w.scopes, scopes)
	}
	return w
}

// scopeNames returns the names of the scopes of the program; one that has no name if it has no nested loads.
func (p *program) scopeNames() []string {
	if p.nested == nil {
		return []string{""}
	}
	var names []string
	for key, keys := range p.nested {
		names = append(names, key[:1], keys[0][:1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// scopeOf returns the scope of a key in a process.
func (w *world) scopeOf(p int, key string) *readthrough.CachedScope {
	if w.program.nested == nil {
		return w.scopes[p][""]
	}
	return w.scopes[p][key[:1]]
}

func (w *world) close(t *testing.T) {
	t.Helper()
	for _, cache := range w.caches {
		assert.NoError(t, cache.Close())
	}
}

func process(n int) string { return string(rune('A' + n)) }

// load is a load function: the source is read at one step, and it returns at
// another.
func (w *world) load(ctx context.Context, p int, keys []string) (map[string]cachetest.Value, error) {
	var touched []string
	for _, key := range keys {
		touched = append(touched, "source:"+key)
	}
	if w.gate.wait(ctx, step{name: "load", what: "reads", process: p, touch: touched}) != loseNothing {
		return nil, errLost
	}
	values, err := w.source.At(process(p)).LoadMany(ctx, keys)
	for _, key := range keys {
		if nested := w.program.nested[key]; len(nested) > 1 {
			w.read(ctx, p, operation{kind: opReadMany, keys: nested})
		} else if len(nested) == 1 {
			w.read(ctx, p, operation{kind: opRead, keys: nested})
		}
	}
	w.gate.wait(ctx, step{name: "load", what: "returns", process: p})
	return values, err
}

func (w *world) loadOne(p int, key string) func(context.Context) (cachetest.Value, error) {
	return func(ctx context.Context) (cachetest.Value, error) {
		values, err := w.load(ctx, p, []string{key})
		value, ok := values[key]
		if err == nil && !ok {
			err = readthrough.ErrNotFound
		}
		return value, err
	}
}

// call runs the operations of a caller.
func (w *world) call(ctx context.Context, c caller) {
	defer w.running.Add(-1)
	for _, o := range c.ops {
		switch o.kind {
		case opRead, opReadMany, opRefresh:
			w.gate.wait(ctx, step{name: "read", what: "begins", process: c.process, begins: true})
			w.read(ctx, c.process, o)
		case opPut:
			w.put(ctx, c.process, o.keys[0])
		case opMutate:
			w.mutate(ctx, c.process, o)
		default:
			w.write(ctx, c.process, o)
		}
	}
}

// read makes a read. What it returns goes to the history, and errors need no
// attention here: there are none but those of lost requests.
func (w *world) read(ctx context.Context, p int, o operation) {
	source, scope, key := w.source.At(process(p)), w.scopeOf(p, o.keys[0]), o.keys[0]
	switch o.kind {
	case opReadMany:
		_, _ = source.ReadMany(o.keys, func() (map[string]cachetest.Value, error) {
			return readthrough.WrapMany(ctx, scope, o.keys, func(key string) string { return key },
				func(ctx context.Context, keys []string) (map[string]cachetest.Value, error) {
					return w.load(ctx, p, keys)
				})
		})
	case opRefresh:
		_, _ = source.Read(key, func() (cachetest.Value, error) { return readthrough.Refresh(ctx, scope, key, w.loadOne(p, key)) })
	default:
		_, _ = source.Read(key, func() (cachetest.Value, error) { return readthrough.Wrap(ctx, scope, key, w.loadOne(p, key)) })
	}
}

// commit changes the source, at a step.
func (w *world) commit(ctx context.Context, p int, o operation) {
	var touched []string
	for _, key := range o.keys {
		touched = append(touched, "source:"+key)
	}
	w.gate.wait(ctx, step{name: "write", what: "commits", process: p, touch: touched, writes: true})
	if source := w.source.At(process(p)); o.kind == opRemove {
		source.Delete(o.keys...)
	} else {
		source.Write(o.keys...)
	}
}

func (w *world) write(ctx context.Context, p int, o operation) {
	w.commit(ctx, p, o)
	keys, prefixes, touched := o.keys, []string(nil), "source:"+o.keys[0]
	if o.prefix != "" {
		keys, prefixes = nil, []string{o.prefix}
	}
	if len(keys) != 1 {
		touched = "source:*"
	}
	w.gate.wait(ctx, step{name: "invalidate", what: "begins", process: p, touch: []string{touched}})
	_ = w.h.At(process(p)).InvalidateTargets(keys, prefixes, func() error {
		_, err := w.scopeOf(p, o.keys[0]).InvalidateTargets(ctx, readthrough.Targets{Keys: keys, Prefixes: prefixes})
		return err
	})
}

// put is a write through Put, which does what an invalidation does after it.
func (w *world) put(ctx context.Context, p int, key string) {
	w.gate.wait(ctx, step{name: "put", what: "begins", process: p})
	returned, recorded := make(chan error, 1), make(chan error, 1)
	_, err := readthrough.Put(ctx, w.scopeOf(p, key), key, func(ctx context.Context) (cachetest.Value, error) {
		w.commit(ctx, p, operation{kind: opWrite, keys: []string{key}})
		value, err := w.source.At(process(p)).Load(ctx, key)
		go func() {
			recorded <- w.h.At(process(p)).Invalidate(key, func() error { return <-returned })
		}()
		return value, err
	})
	returned <- err
	<-recorded
}

// mutate is a write with a hold. Its invalidation binds everybody even if the store
// has not confirmed it, unless it was not held either.
func (w *world) mutate(ctx context.Context, p int, o operation) {
	w.gate.wait(ctx, step{name: "mutate", what: "begins", process: p})
	emitted, recorded := make(chan error, 1), make(chan error, 1)
	wrote := false
	_, err := readthrough.Mutate(ctx, w.scopeOf(p, o.keys[0]), readthrough.Mutation[int]{
		Hold: readthrough.Targets{Keys: o.keys},
		Write: func(ctx context.Context) (int, error) {
			w.commit(ctx, p, o)
			wrote = true
			go func() {
				recorded <- w.h.At(process(p)).InvalidateTargets(o.keys, nil, func() error { return <-emitted })
			}()
			return 0, nil
		},
		Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
	})
	if wrote {
		emitted <- err
		<-recorded
	}
}

// explorer runs a program again and again.
type explorer struct {
	outer   *testing.T
	t       *testing.T // of the bubble
	program *program
	flaws   flaws
	rng     *rand.Rand
	depth   int
	random  bool // no choices are tried one after the other
	most    int  // random runs

	frames   []*frame // the choices that all runs share up to now
	taken    []string // the steps of this run
	at       int      // the next choice of this run
	last     string   // the caller whose step was taken last
	switches int      // of this run so far
	asleep   map[string]*choice
	free     bool // this run follows no frames any more
	pruned   bool // all that this run could do next has been tried in another order
	// rank is the order in which callers go in a random run, and demote the steps at
	// which the one that goes is put last; nil: every step is random.
	rank   map[string]float64
	demote map[int]bool

	longest, runs, prunings, strayed int
	complete                         bool // all up to the depth were tried
}

// frame is a choice that was made.
type frame struct {
	options []*choice
	asleep  map[string]*choice // need not be tried here: it makes no difference
	done    map[string]*choice // were tried
	current *choice
}

// choice is a step, and what becomes of it.
type choice struct {
	*step

	lost loss
	cost int // 1 if it is a switch
}

func (c *choice) key() string {
	return c.id + [...]string{"", ", lost", ", and the reply is lost"}[c.lost]
}

// price puts the steps of the caller that went last first, and finds out which
// options are switches: to another caller while that one could go on, a loss, and
// time that goes on.
func (e *explorer) price(options []*choice) {
	slices.SortStableFunc(options, func(a, b *choice) int {
		switch {
		case a.caller == b.caller:
			return 0
		case a.caller == e.last:
			return -1
		case b.caller == e.last:
			return 1
		default:
			return 0
		}
	})
	goesOn := e.last != "" && options[0].caller == e.last
	for i, c := range options {
		if goesOn && i > 0 || c.lost != loseNothing || c.passes == nil {
			c.cost = 1
		}
	}
}

// next returns the choice of this run among options.
func (e *explorer) next(options []*choice) *choice {
	e.price(options)
	c := e.pick(options)
	e.at++
	e.switches += c.cost
	if c.passes != nil { // time that goes on is nobody's step
		e.last = c.caller
	}
	return c
}

func (e *explorer) pick(options []*choice) *choice {
	if e.random {
		return e.pickRandom(options)
	}
	if e.free {
		return options[e.rng.IntN(len(options))]
	}
	if e.at < len(e.frames) {
		f := e.frames[e.at]
		i := slices.IndexFunc(options, func(c *choice) bool { return c.key() == f.current.key() })
		if i < 0 { // the goroutines of the cache came in another order
			e.strayed++
			e.free = true
			return options[e.rng.IntN(len(options))]
		}
		f.current = options[i]
		e.sleep(f)
		return f.current
	}
	allowed := slices.DeleteFunc(slices.Clone(options), func(c *choice) bool { return e.switches+c.cost > e.depth })
	if len(allowed) == 0 { // what was no switch before is one now: retries come at random times
		e.strayed++
		e.free = true
		return options[e.rng.IntN(len(options))]
	}
	options = allowed
	awake := slices.DeleteFunc(slices.Clone(options), func(c *choice) bool { return e.asleep[c.key()] != nil })
	if len(awake) == 0 {
		e.pruned, e.free = true, true
		return options[e.rng.IntN(len(options))]
	}
	f := &frame{options: awake, asleep: e.asleep, done: map[string]*choice{}, current: awake[0]}
	e.frames = append(e.frames, f)
	e.sleep(f)
	return f.current
}

// pickRandom chooses at random: every step, or the order of the callers and a few
// steps at which it changes, which finds more (Burckhardt et al., "A Randomized
// Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010).
func (e *explorer) pickRandom(options []*choice) *choice {
	if e.rank == nil {
		return options[e.rng.IntN(len(options))]
	}
	first := func() *choice {
		return slices.MinFunc(options, func(a, b *choice) int { return cmp.Compare(e.rankOf(a), e.rankOf(b)) })
	}
	c := first()
	if e.demote[e.at] {
		e.rank[c.caller] = float64(1 + e.at)
		c = first()
	}
	return c
}

func (e *explorer) rankOf(c *choice) float64 {
	name := c.caller
	if c.lost != loseNothing || c.passes == nil { // seldom
		name = c.key()
	}
	rank, ok := e.rank[name]
	if !ok {
		rank = e.rng.Float64()
		if name != c.caller {
			rank += 0.7
		}
		e.rank[name] = rank
	}
	return rank
}

// plan makes the plan of a random run.
func (e *explorer) plan() {
	if e.rank = nil; !e.random || e.rng.IntN(4) == 0 {
		return
	}
	e.rank, e.demote = map[string]float64{}, map[int]bool{}
	for range e.rng.IntN(5) {
		e.demote[e.rng.IntN(max(20, e.longest))] = true
	}
}

// sleep finds what need not be tried after the current choice of f: what could
// have come before it as well, and has.
func (e *explorer) sleep(f *frame) {
	e.asleep = map[string]*choice{}
	if e.depth != unlimited {
		return // with a bound, it may have been too many switches in the other order
	}
	for _, from := range []map[string]*choice{f.asleep, f.done} {
		for key, c := range from {
			if independent(c.step, f.current.step) {
				e.asleep[key] = c
			}
		}
	}
}

// back goes to the last choice that has an alternative, and takes it. It reports
// false if there is none: all has been tried.
func (e *explorer) back() bool {
	for len(e.frames) > 0 {
		f := e.frames[len(e.frames)-1]
		f.done[f.current.key()] = f.current
		i := slices.IndexFunc(f.options, func(c *choice) bool { return f.done[c.key()] == nil })
		if i >= 0 {
			f.current = f.options[i]
			return true
		}
		e.frames = e.frames[:len(e.frames)-1]
	}
	return false
}

// run runs the program once, and returns the violation that its history has.
func (e *explorer) run() error {
	e.at, e.switches, e.last, e.free, e.pruned, e.asleep, e.taken = 0, 0, "", false, false, map[string]*choice{}, nil
	e.plan()
	w := newWorld(e.t, e.program, e.flaws)
	e.prepare(w)
	for n, c := range e.program.callers {
		w.running.Add(1)
		name := fmt.Sprintf("%s%d", process(c.process), n+1)
		go w.call(context.WithValue(e.t.Context(), callerKey{}, name), c)
	}
	e.steps(w)
	w.gate.openUp()
	retries := time.Minute
	if e.program.near {
		retries = 10 * time.Second // each second has many heartbeats
	}
	time.Sleep(retries)
	for p := range w.scopes {
		if e.program.withoutLeases && p > 0 {
			break
		}
		source := w.source.At(process(p))
		source.Sweep(func(key string) (cachetest.Value, error) {
			return readthrough.Wrap(e.t.Context(), w.scopeOf(p, key), key, w.loadOne(p, key))
		})
	}
	var left error
	if e.program.losses == 0 && e.flaws == (flaws{}) && !e.program.near { // neartest.Server does not list its leases
		synctest.Wait() // for refreshes
		left = w.shared.idle()
	}
	w.close(e.t)
	e.runs++
	if e.pruned {
		e.prunings++
	}
	e.longest = max(e.longest, len(e.taken))
	report, err := w.h.Check()
	if err == nil && report.Failed > 0 && e.program.losses == 0 {
		require.LessOrEqual(e.t, report.Failed, report.Keys*2, "reads have failed")
	}
	return cmp.Or(err, left)
}

// prepare stores what the program finds.
func (e *explorer) prepare(w *world) {
	if e.program.aged == 0 && !e.program.near {
		return
	}
	w.gate.openUp()
	if e.program.near {
		time.Sleep(settled)
	}
	rounds := 1
	if e.program.warm {
		rounds = 3 // load it, find it, and have it
	}
	for range rounds {
		if e.program.aged > 0 || e.program.warm {
			e.readAll(w)
		}
	}
	if e.program.warm {
		w.nears.wantAll(e.t, e.program)
	}
	time.Sleep(e.program.aged)
	synctest.Wait()
	w.gate.shut()
}

// readAll reads what each caller will use.
func (e *explorer) readAll(w *world) {
	for _, c := range e.program.callers {
		for _, o := range c.ops {
			for _, key := range o.keys {
				w.read(e.t.Context(), c.process, operation{keys: []string{key}})
			}
		}
	}
}

// steps lets one step after the other pass until nothing is left to do.
func (e *explorer) steps(w *world) {
	losses, ticks, evictions, idle := e.program.losses, e.program.ticks, e.program.evictions, 0
	for {
		synctest.Wait()
		enabled := w.gate.enabled()
		if len(enabled) == 0 {
			if w.running.Load() == 0 {
				return
			}
			if idle++; idle > 1000 {
				e.t.Fatalf("the callers do not come to an end:\n%s", strings.Join(e.taken, "\n"))
			}
			time.Sleep(tick)
			continue
		}
		var options []*choice
		for _, s := range enabled {
			options = append(options, &choice{step: s})
			if losses > 0 && (s.what == "request" || s.name == "load" && s.what == "reads") && strings.Contains(s.name, e.program.lossy) {
				options = append(options, &choice{step: s, lost: loseRequest}, &choice{step: s, lost: loseReply})
			}
		}
		if ticks > 0 {
			options = append(options, &choice{step: anybodys(fmt.Sprintf("time goes on #%d", ticks))})
		}
		if evictions > 0 {
			for _, key := range w.shared.keys() {
				s := anybodys(fmt.Sprintf("%s is evicted #%d", key, evictions))
				s.name = key
				options = append(options, &choice{step: s})
			}
		}
		chosen := e.next(options)
		e.taken = append(e.taken, chosen.key())
		switch {
		case chosen.passes != nil:
		case chosen.name != "":
			evictions--
			w.shared.evict(chosen.name)
			continue
		default:
			ticks--
			time.Sleep(tick)
			continue
		}
		if chosen.lost != loseNothing {
			losses--
		}
		w.gate.pass(chosen.step, chosen.lost)
	}
}

// anybodys returns a step that no caller makes, and that depends on all others.
func anybodys(id string) *step {
	return &step{id: id, process: -1, begins: true, returns: true, writes: true, touch: []string{"store:*", "source:*"}}
}

// unlimited is the depth at which every choice of every schedule is tried.
const unlimited = 1 << 30

// explore runs the program until all schedules up to the depth were tried, or its
// share is over, and then again with random choices only. It returns the first
// violation, and whether all there is was tried.
func (e *explorer) explore() (all bool, err error) {
	all, err = e.phase(e.back)
	if err != nil || all && e.depth == unlimited {
		return all, err
	}
	e.complete = all
	e.frames, e.random = nil, true
	_, err = e.phase(func() bool { return true })
	return false, err
}

// deepen explores one depth after the other, so that the first violation has few
// switches, and beyond chooses at random. It returns the first violation.
func (e *explorer) deepen(most int) (err error) {
	for e.depth = 1; e.depth < most; e.depth++ {
		if _, err = e.phase(e.back); err != nil {
			return err
		}
	}
	_, err = e.explore()
	return err
}

// phase runs the program until there is no next schedule, or the share of a phase is
// over.
func (e *explorer) phase(next func() bool) (done bool, err error) {
	began, runs := time.Now(), 0
	for {
		synctest.Test(e.outer, func(t *testing.T) {
			e.t = t
			for range 50 { // the clock of the bubble is not the one that says how long this takes
				if err = e.run(); err != nil {
					return
				}
				runs++
				if done = !next(); done {
					return
				}
			}
		})
		over := e.random && runs >= e.most
		if *exploreTime > 0 && e.depth != unlimited {
			over = time.Since(began) > *exploreTime/2
		}
		if err != nil || done || over {
			return done, err
		}
	}
}

func newExplorer(t *testing.T, p *program, f flaws) *explorer {
	t.Helper()
	seed := *exploreSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed: -explore.seed=%d", seed)
	e := &explorer{outer: t, program: p, flaws: f, rng: rand.New(rand.NewPCG(seed, 0)), depth: max(*exploreDepth, p.depth), most: *exploreRuns}
	switch {
	case p.all:
		e.depth = unlimited
	case p.near: // many steps are of the near caches themselves, so there are many schedules without a switch
		e.depth = max(0, *exploreDepth-1)
	}
	return e
}

// String says how much was explored.
func (e *explorer) String() string {
	depth := fmt.Sprintf("every one with up to %d switches", e.depth)
	switch {
	case e.depth == unlimited:
		depth = "every one there is"
	case !e.complete:
		depth = fmt.Sprintf("a part of those with up to %d switches", e.depth)
	}
	return fmt.Sprintf("%d schedules of up to %d steps, %s; %d only swapped independent steps of others, %d strayed",
		e.runs, e.longest, depth, e.prunings, e.strayed)
}

// programs are what TestExplore runs.
func programs() []program {
	swr := readthrough.ScopeOptions{TTL: time.Millisecond, StaleWhileRevalidate: time.Hour}
	ifError := readthrough.ScopeOptions{TTL: time.Millisecond, StaleIfError: time.Hour}
	soft := ifError
	soft.SoftLoadTimeout = tick / 2
	// What the first reader of these programs has missed, the other caller stores, and
	// so it looks again: it may find what is about to be removed.
	another := caller{0, []operation{{kind: opRead, keys: []string{"a"}}, {kind: opWrite, keys: []string{"a"}}, {kind: opRead, keys: []string{"a"}}}}
	prefixed := caller{1, []operation{{kind: opWrite, keys: []string{"x:a"}, prefix: "x:"}}}
	return slices.Concat(nestedPrograms(), nearPrograms(), []program{
		{name: "a reader and a writer elsewhere", all: true, callers: []caller{reader(0, "a"), does(1, opWrite, "a")}},
		{name: "a reader and a writer", all: true, callers: []caller{reader(0, "a"), does(0, opWrite, "a")}},
		{name: "two readers and a writer elsewhere", callers: []caller{reader(0, "a"), reader(0, "a"), does(1, opWrite, "a")}},
		{name: "a reader before two elsewhere", callers: []caller{reader(1, "a"), reader(0, "a"), reader(0, "a"), does(1, opWrite, "a")}},
		{name: "two readers and a writer", callers: []caller{reader(0, "a", "a"), does(0, opWrite, "a"), reader(1, "a", "a")}, ticks: 2},
		{name: "two writers", callers: []caller{reader(0, "a", "a"), does(0, opWrite, "a"), does(1, opWrite, "a"), reader(1, "a")}, ticks: 1},
		{name: "readers after each other", callers: []caller{reader(0, "a", "a"), does(1, opWrite, "a"), reader(1, "a", "a")}, ticks: 2},
		{name: "a prefix", callers: []caller{reader(0, "x:a"), reader(0, "x:a", "x:b"), prefixed}},
		{name: "a prefix in the process", callers: []caller{reader(1, "x:a"), reader(0, "x:b", "x:a"), prefixed, reader(1, "x:a")}, ticks: 1},
		{name: "bulk reads", callers: []caller{does(0, opReadMany, "a", "b"), reader(0, "b"), does(1, opWrite, "a", "b"), does(1, opReadMany, "b", "c")}},
		{name: "an absence", callers: []caller{reader(0, "a"), does(0, opRemove, "a"), reader(1, "a", "a"), does(1, opWrite, "a")}, ticks: 1},
		{name: "a refresh by hand", callers: []caller{does(0, opRefresh, "a"), reader(0, "a"), does(1, opWrite, "a"), reader(1, "a")}},
		{name: "put", callers: []caller{does(0, opPut, "a"), reader(0, "a", "a"), reader(1, "a", "a")}, ticks: 1},
		{name: "put and a write", callers: []caller{does(0, opPut, "a"), does(1, opWrite, "a"), reader(0, "a"), reader(1, "a")}},
		{name: "put without leases", withoutLeases: true, callers: []caller{does(0, opPut, "a"), does(0, opWrite, "a"), reader(0, "a"), reader(0, "a", "a")}},
		{name: "put without leases, four callers", withoutLeases: true, callers: []caller{reader(0, "a"), reader(0, "a"), does(0, opPut, "a"), reader(0, "a")}},
		{name: "stale while revalidating", scope: swr, aged: time.Minute, callers: []caller{reader(0, "a", "a"), does(1, opWrite, "a"), reader(1, "a")}},
		{name: "stale while revalidating, in the process", scope: swr, aged: time.Minute, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), reader(0, "a", "a"), reader(1, "a")}},
		{name: "stale while revalidating, by put", scope: swr, aged: time.Minute, callers: []caller{reader(0, "a"), does(0, opPut, "a"), reader(1, "a", "a")}},
		{name: "stale if error", scope: ifError, aged: time.Minute, losses: 2, lossy: "load", callers: []caller{reader(0, "a", "a"), does(1, opWrite, "a"), reader(1, "a")}},
		{name: "stale if error, in the process", scope: ifError, aged: time.Minute, losses: 1, lossy: "load", callers: []caller{reader(0, "a"), does(0, opWrite, "a"), reader(0, "a", "a")}},
		{name: "refresh ahead", scope: readthrough.ScopeOptions{RefreshAheadFactor: 0.5}, aged: 45 * time.Minute, callers: []caller{reader(0, "a", "a"), does(1, opWrite, "a"), reader(1, "a")}},
		{name: "soft timeout", scope: soft, aged: time.Minute, ticks: 2, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), reader(0, "a"), reader(1, "a")}},
		{name: "bulk reads of stale values", scope: swr, aged: time.Minute, callers: []caller{does(0, opReadMany, "a", "b"), does(1, opWrite, "a"), does(1, opReadMany, "a", "b"), reader(0, "a")}},
		{name: "put, with losses", losses: 1, ticks: 1, callers: []caller{does(0, opPut, "a"), reader(0, "a"), reader(1, "a", "a")}},
		{name: "evictions", evictions: 1, ticks: 1, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), reader(0, "a"), reader(1, "a")}},
		{name: "evictions while revalidating", scope: swr, aged: time.Minute, evictions: 1, callers: []caller{reader(0, "a", "a"), does(1, opWrite, "a"), reader(1, "a")}},
		{name: "stale, without leases", withoutLeases: true, scope: swr, aged: time.Minute, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), reader(0, "a", "a")}},
		{name: "without leases", withoutLeases: true, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), reader(0, "a", "a")}},
		{name: "without leases, four callers", withoutLeases: true, callers: []caller{reader(0, "a"), reader(0, "a"), does(0, opWrite, "a"), reader(0, "a")}},
		{name: "without leases, a second look", withoutLeases: true, depth: 3, callers: []caller{reader(0, "a"), another}},
		{name: "without leases, a second look, with losses", withoutLeases: true, depth: 4, losses: 1, lossy: "Delete", callers: []caller{reader(0, "a"), another}},
		{name: "without leases, by prefix", withoutLeases: true, callers: []caller{reader(0, "x:a"), {0, prefixed.ops}, reader(0, "x:b", "x:a")}},
		{name: "without leases, with losses", withoutLeases: true, losses: 2, ticks: 2, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), reader(0, "a", "a")}},
		{name: "losses", losses: 1, ticks: 1, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), reader(0, "a"), reader(1, "a")}},
		{name: "losses in two processes", losses: 2, ticks: 2, callers: []caller{reader(0, "a"), does(0, opWrite, "a"), does(1, opWrite, "a"), reader(1, "a", "a")}},
		{name: "a hold", callers: []caller{reader(0, "a", "a"), does(1, opMutate, "a"), reader(1, "a")}, ticks: 1},
		{name: "a hold, with losses", losses: 1, ticks: 1, callers: []caller{reader(0, "a", "a"), does(1, opMutate, "a"), reader(1, "a")}},
	})
}

// nestedPrograms are those whose loads read keys of other scopes, each with one or two places for loads. A load that
// has a place reads what is queued in another scope, behind loads that do the same, and so on in a circle. With leases,
// these are long programs: most of them are for -explore.depth=2.
func nestedPrograms() []program {
	one, two := readthrough.ScopeOptions{MaxLoads: 1}, readthrough.ScopeOptions{MaxLoads: 2}
	circle := map[string][]string{"a1": {"b1"}, "b2": {"a2"}}
	twice := map[string][]string{"a1": {"b1"}, "a2": {"b2"}, "b3": {"a3"}, "b4": {"a4"}}
	three := map[string][]string{"a1": {"b1"}, "b2": {"c1"}, "c2": {"a2"}}
	bulk := map[string][]string{"a1": {"b1", "b2"}, "b3": {"a2", "a3"}}
	deep := map[string][]string{"a1": {"b1"}, "b1": {"a2"}, "b2": {"a3"}, "a3": {"b3"}}
	programs := []program{{
		name: "scopes that read each other, with leases", scope: one, nested: circle,
		callers: []caller{reader(0, "a1"), reader(0, "b2"), reader(0, "a2")},
	}}
	for _, leaseless := range []bool{true, false} {
		if !leaseless && *exploreDepth < 2 {
			break
		}
		name := func(what string) string {
			if leaseless {
				return what + ", without leases"
			}
			return what
		}
		programs = append(programs,
			program{
				name: name("scopes that read each other"), scope: one, nested: circle, withoutLeases: leaseless,
				callers: []caller{reader(0, "a1"), reader(0, "b2"), reader(0, "b1"), reader(0, "a2")},
			},
			program{
				name: name("scopes that read each other, two places"), scope: two, nested: twice, withoutLeases: leaseless,
				callers: []caller{reader(0, "a1"), reader(0, "a2"), reader(0, "b3"), reader(0, "b4")},
			},
			program{
				name: name("three scopes"), scope: one, nested: three, withoutLeases: leaseless,
				callers: []caller{reader(0, "a1"), reader(0, "b2"), reader(0, "c2")},
			},
			program{
				name: name("bulk reads in loads"), scope: one, nested: bulk, withoutLeases: leaseless,
				callers: []caller{reader(0, "a1"), reader(0, "b3"), does(0, opReadMany, "a2", "a3")},
			},
			program{
				name: name("loads in loads in loads"), scope: one, nested: deep, withoutLeases: leaseless,
				callers: []caller{reader(0, "a1"), reader(0, "b2"), does(0, opWrite, "b1")},
			},
			program{
				name: name("nested loads that fail"), scope: one, nested: circle, withoutLeases: leaseless, losses: 1, lossy: "load",
				callers: []caller{reader(0, "a1"), reader(0, "b2"), reader(0, "a2")},
			},
		)
	}
	return programs
}

// TestExplore runs the programs on the cache: there is no schedule in which it
// breaks a guarantee.
func TestExplore(t *testing.T) {
	if *exploreTime == 0 {
		proofs.Unraced(t, "-run ^TestExplore$ ./cachetest")
	}
	total := 0
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			e := newExplorer(t, &p, flaws{})
			all, err := e.explore()
			total += e.runs
			require.NoError(t, err, "in the schedule\n  %s\nafter %v", strings.Join(e.taken, "\n  "), e)
			t.Log(e)
			if p.all {
				assert.True(t, all, "not every schedule was tried")
			}
			assert.LessOrEqual(t, e.strayed*5, e.runs, "too many schedules strayed from their plan")
		})
	}
	t.Logf("%d schedules", total)
}

// TestExploreConvicts takes out what a store with leases rests on, one thing at
// a time. The explorer has to find a schedule that shows it.
func TestExploreConvicts(t *testing.T) {
	proofs.Unraced(t, "-run ^TestExploreConvicts$ ./cachetest")
	aba := program{callers: []caller{reader(0, "a"), does(0, opWrite, "a"), reader(0, "a"), reader(1, "a")}}
	twoReaders := program{callers: []caller{reader(0, "a"), does(1, opWrite, "a"), reader(1, "a", "a")}}
	prefix := program{callers: []caller{reader(0, "x:a"), {1, []operation{{kind: opWrite, keys: []string{"x:a"}, prefix: "x:"}}}, reader(1, "x:a")}}
	swr := program{
		scope: readthrough.ScopeOptions{TTL: time.Millisecond, StaleWhileRevalidate: time.Hour}, aged: time.Minute,
		callers: []caller{reader(0, "a"), does(1, opWrite, "a"), reader(1, "a")},
	}
	warm := program{near: true, warm: true, callers: []caller{reader(0, "a"), does(1, opWrite, "a")}}
	hold := program{callers: []caller{reader(0, "a"), does(1, opMutate, "a"), reader(0, "a")}, losses: 1, lossy: "Delete"}
	tests := []struct {
		name    string // with the hole of PROTOCOL.md part 4 where it is one
		flaws   flaws
		program program
	}{
		{"one token for each client (ABA)", flaws{tokenPerClient: true}, aba},
		{"a fill needs no lease", flaws{fillWithoutToken: true}, twoReaders},
		{"a fill needs any lease", flaws{fillAnyLease: true}, program{callers: append(slices.Clone(twoReaders.callers), reader(1, "a"))}},
		{"an acquire that arrives twice with one token (zombie)", flaws{sameTokenTwice: true}, twoReaders},
		{"a deletion leaves the lease", flaws{deleteLeavesLease: true}, twoReaders},
		{"a deletion is answered before it is done", flaws{deleteDoesNotWait: true}, twoReaders},
		{"a deletion by prefix does not see leases", flaws{prefixMissesLeases: true}, prefix},
		{"a lease on an entry outlives it", flaws{refreshKeepsLease: true}, swr},
		{"a hold leaves leases", flaws{holdLeavesLease: true}, hold},
		{"leases under a hold", flaws{ignoresHolds: true}, hold},
		{"a deletion ends the hold of another", flaws{deletionEndsHolds: true}, program{
			callers: []caller{does(1, opMutate, "a"), does(0, opWrite, "b"), reader(0, "a", "a")}, losses: 1, lossy: "Delete",
		}},
		{"a near cache that is not strict", flaws{nearIsBounded: true}, warm},
		{"an acknowledgement of what was not dropped", flaws{nearDropsNothing: true}, warm},
		{"a deletion by prefix ends the hold of another", flaws{prefixEndsHolds: true}, program{
			callers: []caller{does(1, opMutate, "x:a"), {0, []operation{{kind: opWrite, keys: []string{"x:b"}, prefix: "x:"}}}, reader(0, "x:a", "x:a")}, losses: 1, lossy: "Delete",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newExplorer(t, &tt.program, tt.flaws)
			e.most = 30_000
			err := e.deepen(2)
			v, ok := errors.AsType[*cachetest.ViolationError](err)
			require.True(t, ok, "no violation found: %v, %v", err, e)
			t.Logf("%v: %v\nin the schedule\n  %s", e, v, strings.Join(e.taken, "\n  "))
		})
	}
}
