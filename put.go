package readthrough

import (
	"context"
	"errors"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// Put runs write, which changes what the source has under key and returns the new value. It stores
// that value, so the next read is a hit. It is for writes that already have what a load would
// bring. What else they made stale is invalidated as after any write:
//
//	Write: func(ctx context.Context) (*Maintenance, error) {
//		return readthrough.Put(ctx, scope, maintenanceKey(id), func(ctx context.Context) (*Maintenance, error) {
//			return repo.Close(ctx, id)
//		})
//	},
//
// The value is stored as if a load had begun before write did and returned it: an invalidation of
// key that begins meanwhile, by any process, wins, and nothing is stored. In every case the old
// value is gone when Put returns: Put does what [CachedScope.Invalidate] does, too. It takes two
// round trips more than an invalidation. In a store with leases, what reads of the key load
// meanwhile is not stored.
//
// The errors:
//
//   - [ErrInvalidationPending], with the value: write has happened, and what holds then is said
//     there
//   - [ErrClosed], with the value, if the cache was closed meanwhile: write has happened
//   - the error of write. If it matches [ErrUnchanged], nothing was changed. Otherwise nobody knows,
//     and key is invalidated; if that is pending, the error matches [ErrInvalidationPending], too
//   - a bad argument, or [ErrClosed] without a value: write was not run
//
// If write panics or calls [runtime.Goexit], key is invalidated, too. write runs with ctx, in the
// goroutine of the caller.
//
// Nothing is stored with a context of an open [Batch], before whose end the value is not committed,
// and in a scope with [ScopeOptions.ReplicaLag]: until the lag is over, the value could not be told
// from one that a load has read too early.
func Put[T any](ctx context.Context, s *CachedScope, key string, write func(context.Context) (T, error), options ...CallOption) (T, error) {
	var none T
	ttls, err := checkRead[T](ctx, "Put", s, key, write != nil, options)
	if err != nil {
		return none, err
	}
	p := newPut(ctx, &s.keyspace, key, ttls)
	whole := false
	defer func() {
		if !whole { // something has panicked or ended its goroutine: write, its error, or the store
			p.abort(s)
		}
	}()
	value, err := write(ctx)
	err = backend.Sane(err)
	unchanged := err != nil && errors.Is(err, ErrUnchanged)
	if err == nil && p.store(value) {
		whole = true
		return value, nil
	}
	p.drop()
	whole = true
	switch {
	case unchanged:
		return none, err
	case err != nil:
		return none, joinErrors(err, s.Invalidate(p.ctx, key))
	default:
		return value, s.Invalidate(p.ctx, key)
	}
}

// put is one run of [Put]. Its call is nil, or one of purpose toPut, which this goroutine lands.
//
// It does what an invalidation does, without one that follows the write. If the store has leases:
// from before the write until the fill, the key holds the lease of the put, or the fill is refused.
// While it does, no load gets a lease, so no load stores anything, and what was stored before was
// removed when the lease was acquired. A reader that begins after Put does not take what a load
// brings that began before, by its bound. Without leases:
//
//  1. The invalidation before the write ends the epochs of all flights, and removes what is stored.
//  2. A flight that begins during the write may load the old value, and may store it. When the
//     write is done, the put ends the epochs of all such flights, in the critical section in which
//     it decides to store its own value. If one of them fills at that moment, the put would have to
//     wait for it: it invalidates instead.
//  3. What such a flight has stored is replaced by the new value.
//  4. A flight that begins after that critical section loads what the write wrote, or newer. But it
//     may have found what is replaced in step 3. So the put ends the epochs once more, after it has
//     stored.
type put struct {
	scope *keyspace
	ctx   context.Context //nolint:containedctx // a run of Put has one, without the cancellation of its caller's
	// call is nil if the value will not be stored.
	call *call
	key  string
	// began is when the write began, for the load time of the entry.
	began time.Time
}

// newPut makes the put of a write that begins after it.
func newPut(ctx context.Context, s *keyspace, key string, ttls ttls) *put {
	p := &put{scope: s, ctx: context.WithoutCancel(ctx), key: key, began: time.Now()}
	if s.collector(ctx) != nil {
		return p // what is not committed is not stored
	}
	if _, err := s.invalidate(p.ctx, Targets{Keys: []string{key}}); err != nil {
		return p
	}
	p.call = s.flights.startPut(p.ctx, key)
	if p.call != nil {
		p.call.scope, p.call.ttls = s, ttls
		p.lease()
	}
	return p
}

// lease gets the lease of the key, in a store with leases. Without the lease nothing is stored.
func (p *put) lease() {
	f := p.call.flights[0]
	if p.scope.backend.Leaser == nil || f.bypass {
		return
	}
	p.call.asksForLeases()
	began := p.scope.sending()
	grants := p.scope.backend.Acquire(p.ctx, []provider.Key{p.scope.key(p.key)}, p.scope.leaseTTL())
	p.call.sent(began, "acquire", p.call.flights, grants[0].Err)
	switch grants[0].State {
	case provider.LeaseGranted:
		f.lease = &grants[0].Lease
		p.call.renewal.begin(p.call.flights)
	case provider.LeaseFailed:
		p.call.reportGet(p.ctx, p.key, grants[0].Err)
	default: // nothing is stored
	}
}

// drop ends a put, whatever it has stored. It may be called again.
func (p *put) drop() {
	c := p.call
	if c == nil {
		return
	}
	defer func() {
		p.call = nil
		c.scope.flights.land(c)
		c.scope.tellAll(c.loadCtx, nil, c.notices) // apart: the goroutine is that of the user
	}()
	c.renewal.stop()
	c.settle()
}

// abort ends a put of which nobody knows what it has written.
func (p *put) abort(s *CachedScope) {
	defer func() { // after drop, however that ends: an invalidation waits for the fill
		if err := s.Invalidate(p.ctx, p.key); err != nil {
			s.reportPending(p.ctx, Targets{Keys: []string{p.key}}, err)
		}
	}()
	p.drop()
}

// store stores value, and ends the put. It reports whether the store has confirmed that, so that nothing
// older can be read any more. If it returns false, the caller has to invalidate.
func (p *put) store(value any) (stored bool) {
	c := p.call
	if c == nil {
		return false
	}
	defer p.drop()
	f := c.flights[0]
	f.outcome = outcome{known: true, entry: provider.Entry{Value: value}}
	now := time.Now()
	f.finalize(nil, now.Sub(p.began), now)
	leases := p.scope.backend.Leaser != nil
	switch {
	case !isStorable(f) || leases && f.lease == nil:
		return false
	case leases:
		return c.fillLeased(c.flights, nil, true) == 1
	case p.scope.flights.fillPut(f):
		stored = c.store(c.flights)
		p.scope.flights.endOthers(f)
		return stored
	default:
		c.countRefused(1)
		return false
	}
}
