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

// ErrChaos matches the errors that a [Chaos] injects.
var ErrChaos = errors.New("cachetest: chaos")

// ChaosOptions configure a [Chaos]. The zero value injects no faults until
// [Chaos.Break].
type ChaosOptions struct {
	// Faults are the faults of all methods, such as Faults{Error: 0.1}. The zero
	// value means none.
	Faults Faults

	// PerOp are the faults of single methods, in place of Faults. nil means that
	// all methods have Faults.
	PerOp map[Op]Faults

	// Seed determines the faults, such as 1; zero is a seed too. The faults of a
	// call depend on the seed, the method, its first key, and the number of earlier
	// calls with the same method and key. The same schedule therefore has the same
	// faults.
	Seed uint64

	// Remote makes a store in the process, such as the memory store, behave like a
	// store outside it: the wrapper lacks the capability [provider.InProcess], so
	// its calls may wait.
	Remote bool

	// Codec encodes values before they are stored, as a store outside the process
	// does, such as [provider.JSON]. nil leaves them unchanged.
	Codec provider.Codec

	_ struct{}
}

// Chaos injects faults between a cache and its store. [NewChaos] makes one. Its
// methods are safe for concurrent use.
//
// It is open until Close and closed from then on. Close ends every wait of an
// injected fault. No request arrives late once Close has returned.
type Chaos struct {
	inner   innards
	codec   provider.Codec
	checker *provider.Checker
	seed    uint64
	waits   bool
	store   provider.CacheProvider

	closing  chan struct{} // closed by Close, under mu
	injected [numFaults]atomic.Int64

	mu     sync.Mutex // guards following
	faults [numOps]Faults
	calls  map[uint64]uint64 // the number of calls, by hash of method and key
	seen   [64]provider.Key  // a ring of recent keys, which may be evicted
	seenAt int
	closed bool
	late   sync.WaitGroup // late requests; added to under mu, never after closed is set
}

// innards are the store behind a Chaos and its capabilities. A capability that the
// store lacks is nil.
type innards struct {
	provider.CacheProvider

	batcher   provider.Batcher
	leaser    provider.Leaser
	refresher provider.Refresher
	renewer   provider.Renewer
	encoder   provider.Encoder
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

// NewChaos returns a Chaos around store. Give [Chaos.Store] to the cache. In a
// synctest test, call NewChaos inside the bubble. It returns an error if store is
// nil or an option has a bad value.
func NewChaos(store provider.CacheProvider, options ChaosOptions) (*Chaos, error) {
	if isNil(store) {
		return nil, errors.New("cachetest: NewChaos: store: must not be nil")
	}
	set := capabilitiesOf(store)
	if options.Remote {
		set &^= hasInProcess
	}
	if options.Codec != nil {
		set |= hasEncoder
	}
	c := &Chaos{
		codec: options.Codec, checker: provider.NewChecker(options.Codec), seed: options.Seed, waits: set&hasInProcess == 0,
		closing: make(chan struct{}), calls: make(map[uint64]uint64), inner: innards{CacheProvider: store},
	}
	c.inner.batcher, _ = store.(provider.Batcher)     //nolint:errcheck // nil without it
	c.inner.leaser, _ = store.(provider.Leaser)       //nolint:errcheck // nil without it
	c.inner.refresher, _ = store.(provider.Refresher) //nolint:errcheck // nil without it
	c.inner.renewer, _ = store.(provider.Renewer)     //nolint:errcheck // nil without it
	c.inner.encoder, _ = store.(provider.Encoder)     //nolint:errcheck // nil without it
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

// Store returns the store with faults. It has exactly the capabilities of package provider that the
// store behind it has, with three exceptions: [ChaosOptions.Remote]; capabilities whose calls
// cannot fail or hang, [provider.ValueGetter], [provider.Punctual] and [provider.Sharded], which it
// lacks; and what is for near caches, [provider.Announcer], [provider.TTLGetter] and
// [provider.NearCache], which it lacks, too: package near does not take it. It hides all other
// methods. Closing it closes the Chaos, and then the store behind it.
func (c *Chaos) Store() provider.CacheProvider { return c.store }

// Break replaces the faults of ops, or of all methods if there are no ops. Calls
// under way keep their faults. If a fault has a bad value or an op is unknown,
// Break returns an error and changes nothing.
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

// Heal ends all faults. Calls under way keep their faults, and late requests still
// arrive.
func (c *Chaos) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = [numOps]Faults{}
}

// Injected returns how many calls and faults there were.
func (c *Chaos) Injected() Injected {
	n := func(f fault) int64 { return c.injected[f].Load() }
	return Injected{
		Calls: n(faultCall), Errors: n(faultError), LostReplies: n(faultLostReply), Delays: n(faultDelay),
		Hangs: n(faultHang), Stuck: n(faultStuck), Duplicates: n(faultDuplicate), Late: n(faultLate),
		Partial: n(faultPartial), Evictions: n(faultEvict), Corrupted: n(faultCorrupt),
	}
}

// Close ends all faults, and everything that they started: hanging calls fail, and
// late requests no longer arrive. It leaves the store behind open, and calls reach
// that store without faults. It always returns nil.
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

// plan is the faults of one call. The goroutine of the call makes its decisions
// one after the other, in an order that does not depend on other calls: the same
// seed gives the same decisions.
type plan struct {
	chaos  *Chaos
	op     Op
	faults Faults
	rng    *rand.Rand // of this call, so that other calls do not change it
}

// plan chooses the faults of a call with keys.
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

// maxCounted bounds the size of Chaos.calls.
const maxCounted = 100_000

// roll decides whether a fault happens, and counts it.
func (p *plan) roll(f fault, probability float64) bool {
	happens := probability > 0 && p.rng.Float64() < probability
	if happens {
		p.chaos.injected[f].Add(1)
	}
	return happens
}

// part returns a random part of d, from zero to less than d.
func (p *plan) part(d time.Duration) time.Duration { return time.Duration(p.rng.Int64N(int64(d))) }

// err returns an injected error of the call.
func (p *plan) err(what string) error { return fmt.Errorf("%w: %v: %s", ErrChaos, p.op, what) }

// run makes a call with the faults of p. call sends the request and returns the
// reply. It may run more than once; only one result counts.
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

// later makes a request arrive later. Its reply is dropped.
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

// delay waits if the call is to be delayed. It returns an error if ctx ends first.
func (p *plan) delay(ctx context.Context) error {
	if p.rng.IntN(3) > 0 && p.roll(faultDelay, p.faults.Delay) && !p.chaos.sleep(ctx.Done(), p.part(p.faults.MaxDelay)) {
		return ctx.Err()
	}
	return nil
}

// evict removes a recent key, if an eviction is to happen.
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

// sleep waits for d. It returns false if done, which may be nil, or Close comes
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

// waitFor waits for done. It returns false if Close comes first.
func (c *Chaos) waitFor(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-c.closing:
		return false
	}
}

// isNil reports whether v is nil or holds a nil pointer.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
