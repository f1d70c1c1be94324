//go:build unix

package coherence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/readthrough/readthrough"
)

// config is what a process of a fleet is told.
type config struct {
	Process, Processes int
	Shared             string // the file of the shared memory
	Seed               uint64
	Addrs              []string // of the servers, or of proxies in front of them
	Subject            string
	Fence              bool          // FenceByServer
	Near               string        // the mode of the near cache; empty: there is none
	Window             time.Duration // of a near cache that is bounded
	NearLease          time.Duration // of one that is strict

	Keys, Families int
	Padding        int // bytes
	Skew           int // how uneven the reads of keys are: 1 is even
	Writers        int // the processes below this one write
	Mix            mix
	Hold           int  // percentage of writes that are mutations with a hold
	Slow           int  // percentage of loads that take many times as long
	Patient        bool // no reader leaves early
	Numbered       bool // the source has another value for each load
	Forget         int  // percentage of writes that are not invalidated, and not announced
	SampleOneIn    int  // of the scope
	InFlight       int  // the most operations under way

	Serving                            serving
	TTL, LeaseTTL, LeaseWait           time.Duration
	RetryAfter                         time.Duration
	ProviderTimeout, InvalidateTimeout time.Duration
	BreakerCooldown                    time.Duration
	ContextTimeout                     bool
}

// mix says how many of a hundred operations are bulk reads, bursts of reads of
// one key, writes of one key, of several keys, and of keys under a prefix, loads by
// hand of what may be stored, and writes that store what they have written. The
// others are single reads.
type mix struct{ Bulk, Burst, Write, Writes, Prefix, Refresh, Put int }

// serving are the options of a scope that serves what is older than its TTL, or
// loads ahead of it.
type serving struct {
	StaleWhileRevalidate, StaleIfError, SoftLoadTimeout time.Duration
	RefreshAheadFactor, XFetchBeta                      float64
}

// report is what a process tells at its end. Its numbers are in the shared
// memory.
type report struct{ Violations []string }

// child is a process of a fleet.
type child struct {
	*config
	*shared

	self    *counters
	subject subject
	keys    []string
	index   map[string]int
	padding string

	mu         sync.Mutex // guards following
	violations []string
}

// runChild is main of a process of a fleet: it reads its configuration, works
// until it is told to stop, and reports.
func runChild(in io.Reader, out io.Writer) error {
	logging.Disable() // the client speaks of every fault
	cfg := new(config)
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(cfg); err != nil {
		return err
	}
	go func() { // the parent keeps it open
		_, _ = io.Copy(io.Discard, in)
		os.Exit(3)
	}()
	s, err := openShared(cfg.Shared, cfg.Keys)
	if err != nil {
		return err
	}
	client := newClient(cfg, s)
	defer client.Close()
	sub, err := newSubject(cfg, client)
	if err != nil {
		return err
	}
	c := &child{
		config: cfg, shared: s, self: &s.process[cfg.Process], subject: sub,
		keys: keyNames(cfg), index: make(map[string]int), padding: strings.Repeat("x", cfg.Padding),
	}
	for i, key := range c.keys {
		c.index[key] = i
	}
	c.self.ready.Store(1)
	for s.phase.Load() == phaseStarting {
		time.Sleep(time.Millisecond)
	}
	c.work()
	c.self.settled.Store(1)
	for s.phase.Load() != phaseOver {
		time.Sleep(time.Millisecond)
	}
	if err := sub.close(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(report{c.violations})
}

// keyNames are the keys of a fleet, in families of different sizes.
func keyNames(cfg *config) []string {
	keys := make([]string, cfg.Keys)
	for i := range keys {
		keys[i] = fmt.Sprintf("family%d:%d", i%cfg.Families, i)
	}
	return keys
}

// work begins operations at full speed until it is told to stop. They do not wait
// for each other: a load in which every reader waits for its answer before it
// reads again hides the holes of joining.
func (c *child) work() {
	stop := make(chan struct{})
	var group, watch sync.WaitGroup
	watch.Go(func() { c.watch(stop) })
	rng := rand.New(rand.NewPCG(c.Seed, uint64(c.Process)))
	slots := make(chan struct{}, c.InFlight)
	for n := uint64(1); c.phase.Load() == phaseRunning; n++ {
		seed := rng.Uint64()
		slots <- struct{}{} // a machine that is too slow delays arrivals, and does not run out of memory
		group.Go(func() {
			defer func() { <-slots }()
			c.operate(rand.New(rand.NewPCG(seed, n)))
		})
		if rng.IntN(6) == 0 {
			time.Sleep(time.Duration(rng.IntN(500)) * time.Microsecond)
		}
	}
	group.Wait()
	for c.subject.pending() > 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(c.LeaseWait) // for loads that nobody waits for any more
	close(stop)
	watch.Wait()
}

// watch keeps the counters of the subject up to date.
func (c *child) watch(stop <-chan struct{}) {
	for {
		c.self.pending.Store(int64(c.subject.pending()))
		c.subject.count(c.self)
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (c *child) operate(rng *rand.Rand) {
	p := rng.IntN(100)
	for _, o := range []struct {
		share int
		run   func(*rand.Rand)
	}{
		{c.Mix.Bulk, c.readMany},
		{c.Mix.Burst, c.burst},
		{c.Mix.Write, func(rng *rand.Rand) { c.write(rng, 1, false) }},
		{c.Mix.Writes, func(rng *rand.Rand) { c.write(rng, 2+rng.IntN(6), false) }},
		{c.Mix.Prefix, func(rng *rand.Rand) { c.write(rng, 1+rng.IntN(4), true) }},
		{c.Mix.Refresh, c.refresh},
		{c.Mix.Put, c.put},
	} {
		if p -= o.share; p < 0 {
			o.run(rng)
			return
		}
	}
	c.read(rng, c.pick(rng))
}

// pick chooses a key, some more often than others.
func (c *child) pick(rng *rand.Rand) int {
	x := 1.0
	for range c.Skew {
		x *= rng.Float64()
	}
	return int(float64(len(c.keys)) * x)
}

// context ends early for some readers.
func (c *child) context(rng *rand.Rand) (context.Context, context.CancelFunc) {
	if !c.Patient && rng.IntN(20) == 0 {
		return context.WithTimeout(context.Background(), time.Duration(rng.IntN(3000))*time.Microsecond)
	}
	return context.Background(), func() {}
}

var errSource = errors.New("the source failed")

// load reads the source, is slow before and after that, and fails now and then. It
// asks only whether a value has changed if it is told which one there is.
func (c *child) load(ctx context.Context, keys []string) (map[string]value, error) {
	delay := func() {
		if rand.IntN(3) > 0 {
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		}
		if rand.IntN(100) < c.Slow {
			time.Sleep(time.Duration(5+rand.IntN(25)) * time.Millisecond)
		}
	}
	delay()
	values := make(map[string]value, len(keys))
	for _, key := range keys {
		values[key] = c.loadValue(readthrough.LoadOf(ctx, key), c.index[key])
	}
	delay()
	if !c.Numbered && rand.IntN(100) == 0 || c.down.Load() != 0 {
		return nil, errSource
	}
	return values, ctx.Err()
}

// loadValue reads the source for one key.
func (c *child) loadValue(load *readthrough.Load, key int) value {
	if c.Numbered {
		return c.loadNumber(load, key)
	}
	version := c.source[key].Load()
	if validator := strconv.FormatInt(version, 10); load.Validator() != validator {
		load.SetValidator(validator)
		return value{Version: version, Padding: c.padding}
	}
	load.NotModified()
	c.self.unmodified.Add(1)
	return value{Version: -1} // is not used
}

// loadNumber is for a source whose value is how often it was asked. Each load then
// replaces the value of the one before, if no two of them are made for one expiry,
// whatever process they are in.
func (c *child) loadNumber(load *readthrough.Load, key int) value {
	number := c.source[key].Add(1)
	if old, found := readthrough.OldValue[value](load); !found || old.Version != number-1 {
		c.self.violations.Add(1)
		c.violate("load %d of %s in process %d replaces the value of load %d (there is one: %v)", number, c.keys[key], c.Process, old.Version, found)
	}
	return value{Version: number}
}

// expectation is what a read that begins now may not fall short of.
type expectation struct {
	key             int
	floor, own, all int64
	began           time.Time
}

func (c *child) expect(key int) expectation {
	return expectation{key, c.floor[key].Load(), c.own[c.Process][key].Load(), c.all[key].Load(), time.Now()}
}

// check checks a read that returned a version.
func (c *child) check(what string, e expectation, version int64) {
	if version < e.all {
		c.self.stale.Add(1)
		raise(&c.self.oldest, int64(c.announced.since(e.key, version, e.all, e.began)))
		if c.faulty.Load() == 0 {
			c.self.staleAfter.Add(1)
			if healed := c.healed.Load(); healed > 0 {
				raise(&c.self.oldestSinceEnd, e.began.UnixNano()-healed)
			}
		}
	}
	if version >= max(e.floor, e.own) {
		return
	}
	if c.Near == nearBounded && version >= e.own {
		age := c.confirmed.since(e.key, version, e.floor, e.began)
		raise(&c.self.oldestNear, int64(age))
		if age <= c.Window {
			c.self.withinWindow.Add(1)
			return
		}
	}
	c.self.violations.Add(1)
	if version < e.own {
		c.self.own.Add(1)
	}
	c.violate("%s in process %d returned version %d of %s; announced were %d to all and %d here, the first of them %v before it began",
		what, c.Process, version, c.keys[e.key], e.floor, e.own, c.announced.since(e.key, version, max(e.floor, e.own), e.began))
}

func (c *child) violate(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.violations) < 10 {
		c.violations = append(c.violations, fmt.Sprintf(format, args...))
	}
}

func (c *child) read(rng *rand.Rand, key int) {
	ctx, cancel := c.context(rng)
	defer cancel()
	c.self.reads.Add(1)
	e := c.expect(key)
	v, err := c.subject.get(ctx, c.keys[key], c.loader(key))
	if err != nil {
		c.readFailed("a read", err)
		return
	}
	c.check("a read", e, v.Version)
}

// loader is load for one key.
func (c *child) loader(key int) loadOne {
	return func(ctx context.Context) (value, error) {
		values, err := c.load(ctx, c.keys[key:key+1])
		return values[c.keys[key]], err
	}
}

// readFailed counts a read that returned an error, which must be that of the
// source or of the reader's own context.
func (c *child) readFailed(what string, err error) {
	c.self.failed.Add(1)
	if errors.Is(err, errSource) {
		c.self.sourceErrors.Add(1)
	}
	if !errors.Is(err, errSource) && !errors.Is(err, context.DeadlineExceeded) {
		c.self.violations.Add(1)
		c.violate("G4: %s in process %d failed: %v", what, c.Process, err)
	}
}

func (c *child) readMany(rng *rand.Rand) {
	ctx, cancel := c.context(rng)
	defer cancel()
	var keys []string
	expected := make(map[string]expectation)
	for range 1 + rng.IntN(20) {
		key := c.pick(rng)
		keys = append(keys, c.keys[key])
		expected[c.keys[key]] = c.expect(key)
	}
	c.self.reads.Add(int64(len(expected)))
	values, err := c.subject.getMany(ctx, keys, c.load)
	for key, v := range values {
		c.check("a bulk read", expected[key], v.Version)
	}
	if err != nil {
		c.readFailed("a bulk read", err)
	} else if len(values) != len(expected) {
		c.self.violations.Add(1)
		c.violate("a bulk read of %d keys in process %d returned %d values and no error", len(expected), c.Process, len(values))
	}
}

// refresh loads a key by hand.
func (c *child) refresh(rng *rand.Rand) {
	o, ok := c.subject.(*ours)
	if !ok {
		return
	}
	key := c.pick(rng)
	c.self.reads.Add(1)
	e := c.expect(key)
	v, err := readthrough.Refresh(context.Background(), o.scope, c.keys[key], c.loader(key))
	if err != nil {
		c.readFailed("a refresh", err)
		return
	}
	c.check("a refresh", e, v.Version)
}

// put raises the version of a key, and stores that.
func (c *child) put(rng *rand.Rand) {
	o, ok := c.subject.(*ours)
	if !ok || c.Process >= c.Writers || c.gate.Load() != 0 && c.atGate.Load() >= mostAtGate {
		return
	}
	key := c.pick(rng)
	written := make(map[int]int64)
	_, err := readthrough.Put(context.Background(), o.scope, c.keys[key], func(context.Context) (value, error) {
		version := c.source[key].Add(1)
		written[key] = version
		c.dwell(rng)
		return value{Version: version, Padding: c.padding}, nil
	})
	c.self.put.Add(1)
	c.wrote(written, ended(err))
}

// burst reads one key several times at once, and once more a little later.
func (c *child) burst(rng *rand.Rand) {
	key := c.pick(rng)
	var group sync.WaitGroup
	for range 3 + rng.IntN(5) {
		seed := rng.Uint64()
		group.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 0))
			time.Sleep(time.Duration(rng.IntN(1500)) * time.Microsecond)
			c.read(rng, key)
		})
	}
	group.Wait()
}

// mostAtGate is how many writes wait at the gate, so that reads go on.
const mostAtGate = 24

// write raises the version of n keys, of one family if byPrefix, invalidates, and
// announces the versions.
func (c *child) write(rng *rand.Rand, n int, byPrefix bool) {
	if c.Process >= c.Writers || c.gate.Load() != 0 && c.atGate.Load() >= mostAtGate {
		c.read(rng, c.pick(rng))
		return
	}
	prefix := fmt.Sprintf("family%d:", rng.IntN(c.Families))
	keys := make(map[int]int64)
	var t targets
	for len(keys) < n {
		key := c.pick(rng)
		if byPrefix && !strings.HasPrefix(c.keys[key], prefix) {
			continue
		}
		if _, ok := keys[key]; !ok {
			keys[key] = 0
			t.Keys = append(t.Keys, c.keys[key])
		}
	}
	if byPrefix {
		t = targets{Prefixes: []string{prefix}}
	}
	change := func() {
		for key := range keys {
			keys[key] = c.source[key].Add(1)
		}
		c.dwell(rng)
	}
	var err error
	if rng.IntN(100) < c.Forget {
		change()
		return
	}
	if rng.IntN(100) < c.Hold {
		err = c.subject.mutate(context.Background(), t, change)
	} else {
		change()
		err = c.subject.invalidate(context.Background(), t)
	}
	c.wrote(keys, err)
}

// dwell is the time between a change of the source and its invalidation.
func (c *child) dwell(rng *rand.Rand) {
	if c.gate.Load() != 0 {
		c.atGate.Add(1)
		for began := time.Now(); c.gate.Load() != 0 && time.Since(began) < holdFor/2; {
			time.Sleep(time.Millisecond)
		}
		c.atGate.Add(-1)
	}
	if rng.IntN(2) == 0 {
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
	}
}

// wrote announces what was written, according to how its invalidation ended.
func (c *child) wrote(keys map[int]int64, err error) {
	if errors.Is(err, errNotHeld) {
		c.self.notHeld.Add(1)
		for _, version := range keys {
			if version != 0 {
				c.self.violations.Add(1)
				c.violate("a mutation in process %d wrote although it was not held", c.Process)
			}
		}
		return
	}
	c.self.writes.Add(1)
	switch {
	case err == nil:
		c.self.confirmed.Add(1)
	case errors.Is(err, errPending):
		c.self.unconfirmed.Add(1)
	default:
		c.self.violations.Add(1)
		c.violate("in process %d: %v", c.Process, err)
		return
	}
	for key, version := range keys {
		c.announce(c.Process, key, version, err == nil)
	}
}
