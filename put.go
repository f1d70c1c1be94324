package readthrough

import (
	"context"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Put runs write, which changes what the source has under key and returns the new
// value, and stores that value, so that the next read is a hit. It is for writes
// that already have what a load would bring; what else they made stale is
// invalidated as after any write:
//
//	Write: func(ctx context.Context) (*Maintenance, error) {
//		return readthrough.Put(ctx, scope, maintenanceKey(id), func(ctx context.Context) (*Maintenance, error) {
//			return repo.Close(ctx, id)
//		})
//	},
//
// The value is stored like that of a load which began before write did: an
// invalidation of key that begins meanwhile, by whomever, wins, and nothing is
// stored. In every case the old value is gone when Put returns: it does what
// [CachedScope.Invalidate] does, too.
//
// It takes two round trips more than an invalidation, and in a store with leases
// what reads of the key load meanwhile is not stored.
//
// An error that matches [ErrInvalidationPending] comes with the value: write has
// happened, and what holds then is said there. So does [ErrClosed] if the cache was
// closed meanwhile. Any other error is that of write, which has changed nothing, or
// names a bad argument, and then write was not run. If write panics, what it has
// changed is not known, and key is invalidated. write is run with ctx, in the
// goroutine of the caller.
//
// Nothing is stored in a scope with [ScopeOptions.ReplicaLag]: until the lag is
// over, what is stored could not be told from what a load has read too early.
func Put[T any](ctx context.Context, s *CachedScope, key string, write func(context.Context) (T, error), options ...CallOption) (T, error) {
	var none T
	ttls, err := checkRead(ctx, s, key, write != nil, options)
	if err != nil {
		return none, err
	}
	p := newPut(ctx, &s.keyspace, key, ttls)
	returned := false
	defer func() {
		if !returned { // write panicked
			p.drop()
			if err := s.Invalidate(p.ctx, key); err != nil {
				return // it is pending, which was reported
			}
		}
	}()
	value, err := write(ctx)
	returned = true
	if err != nil {
		p.drop()
		return none, err
	}
	if p.store(value) {
		return value, nil
	}
	return value, s.Invalidate(p.ctx, key)
}

// put is one run of [Put].
//
// That it does what an invalidation does, without one that follows the write, is
// argued like this. If the store has leases: from before the write until the fill,
// the key holds the lease of the put, or the fill is refused. While it does, nobody
// else gets one, so no load stores anything, and what was stored before had been
// removed when the lease was acquired. A reader that begins after Put does not take
// what a load brings that began before, by the bound of its result. Without leases:
//
//  1. The invalidation before the write ends the epochs of all flights, and removes
//     what is stored.
//  2. A flight that begins during the write may load the old value, and may store
//     it. When the write is done, the put ends the epochs of all such flights, in
//     the critical section in which it decides to store its own value. Those that
//     store at that moment would have to be waited for: the put invalidates instead.
//  3. What such a flight has stored is replaced by the new value.
//  4. A flight that begins after that critical section loads what the write wrote,
//     or newer. But it may have found what is replaced in step 3: so the put ends
//     the epochs once more, after it has stored.
type put struct {
	scope *keyspace
	ctx   context.Context //nolint:containedctx // a run of Put has one, without the cancellation of its caller's
	call  *call           // nil: the value will not be stored
	key   string
	began time.Time
}

// newPut makes the put of a write that begins after it.
func newPut(ctx context.Context, s *keyspace, key string, ttls ttls) *put {
	p := &put{scope: s, ctx: context.WithoutCancel(ctx), key: key, began: time.Now()}
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

// lease gets the lease of the key, in a store with leases. Without it nothing is stored.
func (p *put) lease() {
	f := p.call.flights[0]
	if p.scope.backend.Leaser == nil || f.bypass {
		return
	}
	p.call.asksForLeases()
	grants := p.scope.backend.Acquire(p.ctx, []provider.Key{p.scope.key(p.key)}, p.scope.leaseTTL())
	switch grants[0].State {
	case provider.LeaseGranted:
		f.lease = &grants[0].Lease
		p.call.renewal.begin(p.call.flights)
	case provider.LeaseFailed:
		p.call.reportGet(p.ctx, p.key, grants[0].Err)
	default: // nothing is stored
	}
}

// drop ends a put that stores nothing.
func (p *put) drop() {
	if p.call == nil {
		return
	}
	p.call.renewal.stop()
	if p.call.flights[0].lease != nil {
		p.call.release(p.call.flights)
	}
	p.call.land()
}

// store stores value. It reports whether the store has confirmed that, and nothing older can be read
// any more.
func (p *put) store(value any) (stored bool) {
	c := p.call
	if c == nil {
		return false
	}
	defer c.renewal.stop()
	f := c.flights[0]
	f.outcome = outcome{known: true, entry: provider.Entry{Value: value}}
	now := time.Now()
	f.finalize(nil, now.Sub(p.began), now)
	leases := p.scope.backend.Leaser != nil
	if !isStorable(f) || leases && f.lease == nil {
		p.drop()
		return false
	}
	c.returned = true
	if leases {
		stored = c.fillLeased(c.flights, nil, true) == 1
	} else if p.scope.flights.fillPut(f) {
		stored = c.store(c.flights)
		p.scope.flights.endOthers(f)
	} else {
		c.countRefused(1)
	}
	c.end()
	return stored
}
