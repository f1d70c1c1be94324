package readthrough

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/readthrough/readthrough/provider"
)

const (
	// maxAbandoned bounds the calls that the store has not answered although
	// their deadline is over. Past it the store is not asked: a store that hangs
	// for ever costs that many goroutines, those of the calls that had begun by
	// then, and no more.
	maxAbandoned = 64

	// parallelGets is how many entries of a bulk read are asked for at once from
	// a store that cannot be asked for many.
	parallelGets = 16
)

var (
	// errLeftAlone is the error of a call that was not made because the store has
	// failed before.
	errLeftAlone = errors.New("readthrough: the store is left alone after failures")

	// errImpatient is the error of a call whose caller had too little time for its
	// end to tell anything about the store.
	errImpatient = errors.New("readthrough: the caller has no time for the store")

	// errUnanswered is the error of a call that was left behind.
	errUnanswered = errors.New("readthrough: the store did not answer")

	// errStoreGoexit is the error of a call whose goroutine the store has ended.
	errStoreGoexit = errors.New("readthrough: the store called runtime.Goexit")
)

// backend is the store behind a cache, with its capabilities, behind a deadline
// and a circuit breaker. A store in the process needs neither, and is called
// directly.
type backend struct {
	store     provider.CacheProvider
	values    provider.ValueGetter // nil: there are entries only
	batch     provider.Batcher     // nil: entries are asked for one at a time
	inspector provider.Inspector   // nil: the store cannot be looked at
	closer    io.Closer            // nil: nothing to close
	leaser    provider.Leaser      // nil: fills are fenced in this process only
	refresher provider.Refresher   // nil: keys that hold an entry cannot be leased
	holder    provider.Holder      // nil: keys cannot be held
	local     bool
	punctual  bool // calls end at their deadline

	readTimeout   time.Duration
	deleteTimeout time.Duration
	breaker       breaker
	abandoned     atomic.Int64

	// pending counts the scopes with pending invalidations. While there are any,
	// their retries find out whether the store is back, and reads do not: they
	// resume after the entries that they must not see are gone.
	pending atomic.Int64
}

func newBackend(store provider.CacheProvider, o *Options) *backend {
	b := &backend{
		store:         store,
		readTimeout:   o.ProviderTimeout,
		deleteTimeout: o.InvalidateTimeout,
		breaker:       breaker{limit: o.BreakerFailures, cooldown: o.BreakerCooldown},
	}
	if batch, ok := store.(provider.Batcher); ok {
		b.batch = batch
	}
	if inspector, ok := store.(provider.Inspector); ok {
		b.inspector = inspector
	}
	if punctual, ok := store.(provider.Punctual); ok {
		b.punctual = punctual.Punctual()
	}
	if closer, ok := store.(io.Closer); ok {
		b.closer = closer
	}
	if leaser, ok := store.(provider.Leaser); ok {
		b.leaser = leaser
		if refresher, ok := store.(provider.Refresher); ok {
			b.refresher = refresher
		}
		if holder, ok := store.(provider.Holder); ok {
			b.holder = holder
		}
	}
	if _, b.local = store.(provider.InProcess); b.local {
		if values, ok := store.(provider.ValueGetter); ok {
			b.values = values
		}
	}
	return b
}

// lookup is the answer of a Get.
type lookup struct {
	entry provider.Entry
	found bool
}

// get asks the store for an entry. It is the hot path: a hit in a store in the
// process allocates nothing.
func (b *backend) get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	if b.local {
		return b.getLocal(ctx, key)
	}
	if err := b.admit(); err != nil {
		return provider.Entry{}, false, err
	}
	l, err := ask(ctx, b, b.readTimeout, func(ctx context.Context) (lookup, error) {
		entry, found, err := b.store.Get(ctx, key)
		return lookup{entry, found}, err
	})
	return l.entry, l.found, err
}

// getValue asks a store with values for one.
func (b *backend) getValue(key provider.Key) (value any, is provider.Presence, err error) {
	defer recoverStore(&err)
	value, is = b.values.GetValue(key)
	return value, is, nil
}

// getValues asks a store with values for some.
func (b *backend) getValues(keys []provider.Key, values []provider.Value) (err error) {
	defer recoverStore(&err)
	b.values.GetValues(keys, values)
	return nil
}

// getLocal is get for a store in the process.
func (b *backend) getLocal(ctx context.Context, key provider.Key) (entry provider.Entry, found bool, err error) {
	defer recoverStore(&err)
	return b.store.Get(ctx, key)
}

// getMany asks the store for entries. It returns a result for every key, also
// with an error.
func (b *backend) getMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	if err := b.admit(); err != nil {
		return make([]provider.Result, len(keys)), err
	}
	results, err := ask(ctx, b, b.readTimeout, func(ctx context.Context) ([]provider.Result, error) {
		if b.batch != nil {
			return b.batch.GetMany(ctx, keys)
		}
		return b.getEach(ctx, keys)
	})
	if len(results) != len(keys) {
		if err == nil {
			err = fmt.Errorf("readthrough: the store returned %d results for %d keys", len(results), len(keys))
		}
		results = make([]provider.Result, len(keys))
	}
	return results, err
}

// getEach is getMany for a store without [provider.Batcher].
func (b *backend) getEach(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	var group errgroup.Group
	group.SetLimit(parallelGets)
	if b.local {
		group.SetLimit(1)
	}
	for i, key := range keys {
		group.Go(func() (err error) {
			defer recoverStore(&err)
			r := &results[i]
			r.Entry, r.Found, r.Err = b.store.Get(ctx, key)
			if verdictOn(r.Err) == storeFailed {
				return r.Err
			}
			return nil
		})
	}
	return results, group.Wait()
}

// set asks the store to keep items. If that is not one in the process, it tells
// filler when the store has returned, which is after set did if the store did not
// return in time.
func (b *backend) set(ctx context.Context, items []provider.Item, filler filler) error {
	if b.local {
		return b.setNow(ctx, items)
	}
	if err := b.admit(); err != nil {
		filler.answered()
		return err
	}
	_, err := ask(ctx, b, b.readTimeout, func(ctx context.Context) (struct{}, error) {
		defer filler.answered()
		return struct{}{}, b.setNow(ctx, items)
	})
	return err
}

// setOne is set for one item, of which it keeps nothing.
func (b *backend) setOne(ctx context.Context, item *provider.Item, filler filler) error {
	if b.local {
		return b.setLocal(ctx, item)
	}
	return b.set(ctx, []provider.Item{*item}, filler)
}

// setLocal is setOne for a store in the process.
func (b *backend) setLocal(ctx context.Context, item *provider.Item) (err error) {
	defer recoverStore(&err)
	return b.store.Set(ctx, item.Key, item.Entry, item.TTL)
}

// filler is who asks the store to keep something.
type filler interface {
	// answered is called when the store has returned.
	answered()
}

// setNow is set in the goroutine of its caller.
func (b *backend) setNow(ctx context.Context, items []provider.Item) (err error) {
	defer recoverStore(&err)
	if b.batch != nil && len(items) > 1 {
		return b.batch.SetMany(ctx, items)
	}
	return b.setEach(ctx, items)
}

// setEach stores items one at a time. It goes on after an item that the store
// will not keep, and stops at a failure.
func (b *backend) setEach(ctx context.Context, items []provider.Item) error {
	var refused []error
	for i := range items {
		err := b.store.Set(ctx, items[i].Key, items[i].Entry, items[i].TTL)
		if verdictOn(err) == storeFailed {
			return err
		}
		if err != nil {
			refused = append(refused, err)
		}
	}
	return errors.Join(refused...)
}

// delete asks the store to remove keys. It does so also while the breaker is
// open: who calls has decided.
func (b *backend) delete(ctx context.Context, keys []provider.Key) error {
	if b.unanswering() {
		return errLeftAlone
	}
	_, err := ask(ctx, b, b.deleteTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.store.Delete(ctx, keys...)
	})
	return err
}

// deletePrefix asks the store to remove the keys under a prefix.
func (b *backend) deletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	if b.unanswering() {
		return 0, errLeftAlone
	}
	return ask(ctx, b, b.deleteTimeout, func(ctx context.Context) (int, error) {
		return b.store.DeletePrefix(ctx, scope, prefix)
	})
}

// leftAlone reports whether the store is being left alone.
func (b *backend) leftAlone() bool { return b.breaker.open.Load() }

// probe asks the store for something, only to find out whether it answers.
func (b *backend) probe(ctx context.Context, key provider.Key) {
	if b.unanswering() {
		return
	}
	if _, err := ask(ctx, b, b.readTimeout, func(ctx context.Context) (struct{}, error) {
		_, _, err := b.store.Get(ctx, key)
		return struct{}{}, err
	}); err != nil {
		return // the breaker knows
	}
}

// unanswering reports whether as many calls as there may be were abandoned.
func (b *backend) unanswering() bool { return b.abandoned.Load() >= maxAbandoned }

// admit returns the error with which a read or a fill is not made.
func (b *backend) admit() error {
	if b.local || !b.unanswering() && b.breaker.allow(b.pending.Load() == 0) {
		return nil
	}
	return errLeftAlone
}

// ask calls the store under a deadline and records what that tells about it. A
// panic of the store is an error.
func ask[R any](ctx context.Context, b *backend, timeout time.Duration, call func(context.Context) (R, error)) (result R, err error) {
	if b.local {
		return try(ctx, call)
	}
	bound, telling := boundFor(ctx, timeout)
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if b.punctual {
		result, err = try(bounded, call)
	} else {
		result, err = leavable(bounded, b, call)
	}
	if err == errUnanswered { //nolint:errorlint // that of leavable is meant
		if err = ctx.Err(); err == nil {
			err = fmt.Errorf("readthrough: the store did not answer within %v: %w", bound, context.DeadlineExceeded)
		}
	}
	return result, b.settle(ctx, bounded, telling, err)
}

// leavable makes a call in a goroutine. One that does not return in time goes on
// there, and its result is dropped: the error is errUnanswered.
func leavable[R any](bounded context.Context, b *backend, call func(context.Context) (R, error)) (R, error) {
	type reply struct {
		result R
		err    error
	}
	replies := make(chan reply, 1)
	var over atomic.Bool // set by the first of the two: the call has returned, it is abandoned
	go func() {
		defer func() {
			if !over.CompareAndSwap(false, true) {
				b.abandoned.Add(-1)
			}
		}()
		growStack(0)
		r := reply{err: errStoreGoexit} // unless the store returns or panics
		defer func() { replies <- r }()
		r.result, r.err = try(bounded, call)
	}()
	select {
	case r := <-replies:
		return r.result, r.err
	case <-bounded.Done():
	}
	if over.CompareAndSwap(false, true) {
		b.abandoned.Add(1)
	}
	select {
	case r := <-replies: // it was there at the same moment
		return r.result, r.err
	default:
		var none R
		return none, errUnanswered
	}
}

// settle records what the end of a call tells about the store, and returns the
// error of its caller, who has ctx and whose patience may have been too short to
// tell.
func (b *backend) settle(ctx, bounded context.Context, telling bool, err error) error {
	v := verdictWithin(ctx, err)
	// The deadline of a connection may be noticed a moment before that of the context.
	if v == storeFailed && !telling && (bounded.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		v, err = storeUnknown, errImpatient
	}
	b.breaker.record(v)
	return err
}

// boundFor returns how long a call may take that is bounded by timeout, for a
// caller with ctx: a caller who has less time than that keeps half of it for the
// load. telling says that the bound is long enough for its end to tell something
// about the store.
func boundFor(ctx context.Context, timeout time.Duration) (bound time.Duration, telling bool) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return timeout, true
	}
	bound = min(timeout, time.Until(deadline)/2)
	return bound, bound >= timeout/5
}

// try calls the store and turns a panic into an error.
func try[R any](ctx context.Context, call func(context.Context) (R, error)) (result R, err error) {
	defer recoverStore(&err)
	return call(ctx)
}

func recoverStore(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("readthrough: the store panicked: %w", &PanicError{Value: r, Stack: stack()})
	}
}

// verdictOn tells what an error of the store means. A store that refuses an
// entry, or finds bytes that it cannot read, is in good health.
func verdictOn(err error) verdict {
	switch {
	case err == nil,
		errors.Is(err, provider.ErrUndecodable),
		errors.Is(err, provider.ErrTooLarge),
		errors.Is(err, provider.ErrUnencodable):
		return storeAnswered
	case errors.Is(err, context.Canceled):
		return storeUnknown
	default:
		return storeFailed
	}
}

// verdictWithin is verdictOn for a call whose caller may have given up.
func verdictWithin(ctx context.Context, err error) verdict {
	v := verdictOn(err)
	if v == storeFailed && ctx.Err() != nil {
		return storeUnknown
	}
	return v
}
