package cachetest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// ErrChaos matches the errors that a [Chaos] makes up.
var ErrChaos = errors.New("cachetest: chaos")

// ChaosOptions configure a [Chaos]. The zero value has no faults, until
// [Chaos.Break].
type ChaosOptions struct {
	// Faults are those of all methods.
	Faults Faults

	// PerOp are those of single methods, in place of Faults.
	PerOp map[Op]Faults

	// Seed chooses the faults. The faults of a call depend on the seed, the method,
	// the first key, and how many calls with these came before: the same schedule
	// has the same faults.
	Seed uint64

	// Remote makes a store in the process, such as the memory store, behave like one
	// outside of it: the wrapper does not have the capability
	// [provider.InProcess], so that its calls may wait.
	Remote bool

	// Codec encodes the values on their way into the store, as a store outside the
	// process does. nil leaves them as they are.
	Codec provider.Codec

	_ struct{}
}

// Chaos puts faults between a cache and its store. Make it with [NewChaos]; its
// methods are safe for concurrent use.
type Chaos struct {
	inner innards
	codec provider.Codec
	seed  uint64
	waits bool
	store provider.CacheProvider

	closing  chan struct{} // closed under mu
	injected [numFaults]atomic.Int64

	mu     sync.Mutex // guards following
	faults [numOps]Faults
	calls  map[uint64]uint64 // by hash of method and key
	seen   [64]provider.Key  // a ring of keys that may be evicted
	seenAt int
	closed bool
	late   sync.WaitGroup // added to under mu, and not after closed was set
}

// innards are the store behind a Chaos, with its capabilities; nil: it lacks it.
type innards struct {
	provider.CacheProvider

	batcher   provider.Batcher
	leaser    provider.Leaser
	refresher provider.Refresher
	holder    provider.Holder
	inspector provider.Inspector
	closer    io.Closer
}

type fault uint8

const (
	faultCall fault = iota
	faultError
	faultLostReply
	faultDelay
	faultHang
	faultStuck
	faultDuplicate
	faultLate
	faultPartial
	faultEvict
	faultCorrupt
	numFaults
)

// NewChaos returns faults for store. [Chaos.Store] is the store to give to the
// cache. In a synctest bubble it has to be made inside of it. It returns an error
// if store is nil or an option has a bad value.
func NewChaos(store provider.CacheProvider, options ChaosOptions) (*Chaos, error) {
	if isNil(store) {
		return nil, errors.New("cachetest: NewChaos: store: must not be nil")
	}
	set := capabilitiesOf(store)
	if options.Remote {
		set &^= hasInProcess
	}
	c := &Chaos{
		codec: options.Codec, seed: options.Seed, waits: set&hasInProcess == 0,
		closing: make(chan struct{}), calls: make(map[uint64]uint64), inner: innards{CacheProvider: store},
	}
	c.inner.batcher, _ = store.(provider.Batcher)     //nolint:errcheck // nil without it
	c.inner.leaser, _ = store.(provider.Leaser)       //nolint:errcheck // nil without it
	c.inner.refresher, _ = store.(provider.Refresher) //nolint:errcheck // nil without it
	c.inner.holder, _ = store.(provider.Holder)       //nolint:errcheck // nil without it
	c.inner.inspector, _ = store.(provider.Inspector) //nolint:errcheck // nil without it
	c.inner.closer, _ = store.(io.Closer)             //nolint:errcheck // nil without it
	errs := []error{c.Break(options.Faults)}
	for op, faults := range options.PerOp {
		errs = append(errs, c.Break(faults, op))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.store = withCapabilities(&chaosStore{c}, set)
	return c, nil
}

// Store returns the store with the faults. It has exactly the capabilities of
// package provider that the store behind it has, but for [ChaosOptions.Remote], and
// for those whose calls cannot fail or hang: [provider.ValueGetter] and
// [provider.Punctual]. Other methods are hidden. Closing it closes the Chaos, and
// then the store behind it.
func (c *Chaos) Store() provider.CacheProvider { return c.store }

// Break replaces the faults of ops, or without any, those of all methods. Calls
// that are under way keep theirs. It returns an error, and does nothing, if
// a fault has a bad value.
func (c *Chaos) Break(faults Faults, ops ...Op) error {
	faults, err := faults.withDefaults(c.waits)
	for _, op := range ops {
		if op >= numOps {
			err = errors.Join(err, fmt.Errorf("cachetest: Op: %d: no such method", op))
		}
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for op := range numOps {
		if len(ops) == 0 {
			c.faults[op] = faults
		}
	}
	for _, op := range ops {
		c.faults[op] = faults
	}
	return nil
}

// Heal ends all faults. Calls that are under way keep theirs, and requests that
// are late still arrive.
func (c *Chaos) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = [numOps]Faults{}
}

// Injected returns how many faults there were.
func (c *Chaos) Injected() Injected {
	n := func(f fault) int64 { return c.injected[f].Load() }
	return Injected{
		Calls: n(faultCall), Errors: n(faultError), LostReplies: n(faultLostReply), Delays: n(faultDelay),
		Hangs: n(faultHang), Stuck: n(faultStuck), Duplicates: n(faultDuplicate), Late: n(faultLate),
		Partial: n(faultPartial), Evictions: n(faultEvict), Corrupted: n(faultCorrupt),
	}
}

// Close ends all faults and everything that belongs to them: what hangs fails, and
// requests that are late do not arrive any more. The store behind is left open and
// calls reach it without faults. It always returns nil.
func (c *Chaos) Close() error {
	c.Heal()
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.closing)
	}
	c.mu.Unlock()
	c.late.Wait()
	return nil
}

// plan is what happens to one call.
type plan struct {
	chaos  *Chaos
	op     Op
	faults Faults
	rng    *rand.Rand // of the call, so that others do not change it
}

// plan decides about a call with keys.
func (c *Chaos) plan(op Op, keys ...provider.Key) *plan {
	c.injected[faultCall].Add(1)
	hash := fnv.New64a()
	_, _ = hash.Write([]byte{byte(op)})
	if len(keys) > 0 {
		_, _ = io.WriteString(hash, keys[0].Scope+"\x00"+keys[0].Name) //nolint:errcheck // a hash never fails
	}
	which := hash.Sum64()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) > maxCounted {
		clear(c.calls)
	}
	c.calls[which]++
	for _, key := range keys[:min(len(keys), 4)] {
		c.seen[c.seenAt%len(c.seen)] = key
		c.seenAt++
	}
	return &plan{chaos: c, op: op, faults: c.faults[op], rng: rand.New(rand.NewPCG(c.seed^which, c.calls[which]))}
}

// maxCounted bounds the methods and keys whose calls are counted.
const maxCounted = 100_000

// roll decides whether a fault happens, and counts it.
func (p *plan) roll(f fault, probability float64) bool {
	happens := probability > 0 && p.rng.Float64() < probability
	if happens {
		p.chaos.injected[f].Add(1)
	}
	return happens
}

// part returns a random part of d.
func (p *plan) part(d time.Duration) time.Duration { return time.Duration(p.rng.Int64N(int64(d))) }

// err returns an error of the call.
func (p *plan) err(what string) error { return fmt.Errorf("%w: %v: %s", ErrChaos, p.op, what) }

// run makes a call with the faults of p. call is the request with its reply; it
// may run several times, and its result counts once.
func run[R any](ctx context.Context, p *plan, call func(context.Context) (R, error)) (R, error) {
	var none R
	f := &p.faults
	p.evict(ctx)
	if err := p.delay(ctx); err != nil {
		return none, err
	}
	switch {
	case p.roll(faultError, f.Error):
		return none, p.err("failed")
	case p.roll(faultHang, f.Hang):
		if p.chaos.waitFor(ctx.Done()) {
			return none, fmt.Errorf("%w: %w", p.err("hung"), ctx.Err())
		}
		return none, p.err("hung until Close")
	case p.roll(faultStuck, f.Stuck):
		if !p.chaos.waitFor(ctx.Done()) || !p.chaos.sleep(nil, p.part(f.MaxLate)) {
			return none, p.err("stuck until Close")
		}
		return call(context.WithoutCancel(ctx))
	case p.op.mayRepeat() && p.roll(faultLate, f.Late):
		later(ctx, p, call)
		return none, p.err("late")
	}
	result, err := call(ctx)
	if p.op.mayRepeat() && p.roll(faultDuplicate, f.Duplicate) {
		later(ctx, p, call)
	}
	if delayed := p.delay(ctx); delayed != nil {
		return none, delayed
	}
	p.evict(ctx)
	if p.roll(faultLostReply, f.LostReply) {
		return none, p.err("the reply was lost")
	}
	return result, err
}

// later lets a request arrive later. Nobody gets its reply.
func later[R any](ctx context.Context, p *plan, call func(context.Context) (R, error)) {
	c, after := p.chaos, p.part(p.faults.MaxLate)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.late.Go(func() {
		if c.sleep(nil, after) {
			_, _ = call(context.WithoutCancel(ctx)) //nolint:errcheck // nobody waits for it
		}
	})
}

// delay waits, if the call is to be delayed.
func (p *plan) delay(ctx context.Context) error {
	if p.rng.IntN(3) > 0 && p.roll(faultDelay, p.faults.Delay) && !p.chaos.sleep(ctx.Done(), p.part(p.faults.MaxDelay)) {
		return ctx.Err()
	}
	return nil
}

// evict removes a key, if one is to be evicted.
func (p *plan) evict(ctx context.Context) {
	if p.rng.IntN(2) > 0 || !p.roll(faultEvict, p.faults.Evict) {
		return
	}
	c := p.chaos
	c.mu.Lock()
	key := c.seen[p.rng.IntN(max(1, min(c.seenAt, len(c.seen))))]
	c.mu.Unlock()
	if err := c.inner.Delete(context.WithoutCancel(ctx), key); err != nil {
		return // it was not evicted
	}
}

// sleep waits for d. It reports false if done, which may be nil, or Close came
// first.
func (c *Chaos) sleep(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	case <-c.closing:
		return false
	}
}

// waitFor waits for done. It reports false if Close came first.
func (c *Chaos) waitFor(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-c.closing:
		return false
	}
}

// isNil reports whether v is nil, or a nil pointer in an interface.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
