package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
	"golang.org/x/sync/errgroup"
)

// breaker leaves a store alone for a while after failures in a row, so that an
// outage costs a few timeouts and not one on every read.
//
// Closed, it lets every call pass. It opens after limit failures in a row. Open,
// it lets nothing pass until cooldown is over, and then one call at a time: the
// first success closes it, a failure starts another cooldown.
type breaker struct {
	limit    int // not positive: never opens
	cooldown time.Duration

	// open and failures are written under mu and read without it, by the calls
	// that only want to know that all is well.
	open     atomic.Bool
	failures atomic.Int64 // in a row

	mu      sync.Mutex // guards following
	until   time.Time  // the end of the cooldown, while open
	probing bool       // a call that tries the store after the cooldown is under way
}

// verdict is what the outcome of a call tells about the store.
type verdict uint8

const (
	storeAnswered verdict = iota
	storeFailed
	storeUnknown // the call was given up by its caller
)

// allow reports whether a call may be made. With mayProbe, it may be the one
// that finds out whether the store is back. The verdict of a call that is
// allowed has to be recorded.
func (b *breaker) allow(mayProbe bool) bool {
	if !b.open.Load() {
		return true
	}
	if !mayProbe {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open.Load() {
		return true
	}
	if b.probing || time.Now().Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// record takes the verdict of a call, whether it was allowed or made anyway.
func (b *breaker) record(v verdict) {
	if v == storeAnswered && b.failures.Load() == 0 && !b.open.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	switch v {
	case storeAnswered:
		b.failures.Store(0)
		b.open.Store(false)
	case storeFailed:
		if failures := b.failures.Add(1); b.limit > 0 && failures >= int64(b.limit) {
			b.until = time.Now().Add(b.cooldown)
			b.open.Store(true)
		}
	case storeUnknown:
	}
}

// hold asks the store to hold targets. Who calls has made sure that it may be
// asked.
func (b *Backend) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	_, err := ask(ctx, b, b.DeleteTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.Holder.Hold(ctx, targets, token, ttl)
	})
	return err
}

// unhold asks the store to give up a hold.
func (b *Backend) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	if b.Saturated() {
		return ErrOpen
	}
	_, err := ask(ctx, b, b.DeleteTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.Holder.Unhold(ctx, targets, token)
	})
	return err
}

// acquire asks the store for entries and leases.
func (b *Backend) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	return b.grants(ctx, len(keys), func(ctx context.Context) ([]provider.Grant, error) {
		return b.Leaser.Acquire(ctx, keys, ttl)
	})
}

// refresh asks the store for leases on keys that may hold entries.
func (b *Backend) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	return b.grants(ctx, len(requests), func(ctx context.Context) ([]provider.Grant, error) {
		return b.Refresher.Refresh(ctx, requests, ttl)
	})
}

// grants asks the store for n grants. A lease that is granted after the deadline,
// when nobody waits for it any more, is given back.
func (b *Backend) grants(ctx context.Context, n int, call func(context.Context) ([]provider.Grant, error)) ([]provider.Grant, error) {
	if err := b.Admit(); err != nil {
		return nil, err
	}
	return ask(ctx, b, b.ReadTimeout, func(ctx context.Context) ([]provider.Grant, error) {
		grants, err := call(ctx)
		if err == nil && len(grants) != n {
			err = fmt.Errorf("readthrough: the store returned %d grants for %d keys", len(grants), n)
		}
		if ctx.Err() != nil {
			b.giveBack(ctx, grants)
		}
		return grants, err
	})
}

// giveBack releases what was granted to nobody.
func (b *Backend) giveBack(ctx context.Context, grants []provider.Grant) {
	var leases []provider.Lease
	for i := range grants {
		if grants[i].State == provider.LeaseGranted {
			leases = append(leases, grants[i].Lease)
		}
	}
	if len(leases) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.ReadTimeout)
	defer cancel()
	if err := b.Leaser.Release(ctx, leases); err != nil {
		return // they end with their TTL
	}
}

// fill asks the store to keep entries under their leases.
func (b *Backend) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	if err := b.Admit(); err != nil {
		return nil, err
	}
	return ask(ctx, b, b.ReadTimeout, func(ctx context.Context) ([]provider.Filled, error) {
		filled, err := b.Leaser.Fill(ctx, fills)
		if err == nil && len(filled) != len(fills) {
			err = fmt.Errorf("readthrough: the store returned %d answers for %d fills", len(filled), len(fills))
		}
		return filled, err
	})
}

// release asks the store to take leases back.
func (b *Backend) Release(ctx context.Context, leases []provider.Lease) error {
	if err := b.Admit(); err != nil {
		return err
	}
	_, err := ask(ctx, b, b.ReadTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.Leaser.Release(ctx, leases)
	})
	return err
}

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
	// ErrOpen is the error of a call that was not made because the store has
	// failed before.
	ErrOpen = errors.New("readthrough: the store is left alone after failures")

	// ErrNoTime is the error of a call whose caller had too little time for its
	// end to tell anything about the store.
	ErrNoTime = errors.New("readthrough: the caller has no time for the store")

	// errUnanswered is the error of a call that was left behind.
	errUnanswered = errors.New("readthrough: the store did not answer")

	// errStoreGoexit is the error of a call whose goroutine the store has ended.
	errStoreGoexit = errors.New("readthrough: the store called runtime.Goexit")
)

// Backend is the store behind a cache, with its capabilities, behind a deadline
// and a circuit breaker. A store in the process needs neither, and is called
// directly.
type Backend struct {
	Store     provider.CacheProvider
	Values    provider.ValueGetter // nil: there are entries only
	batch     provider.Batcher     // nil: entries are asked for one at a time
	Inspector provider.Inspector   // nil: the store cannot be looked at
	Closer    io.Closer            // nil: nothing to close
	Leaser    provider.Leaser      // nil: fills are fenced in this process only
	Refresher provider.Refresher   // nil: keys that hold an entry cannot be leased
	Holder    provider.Holder      // nil: keys cannot be held
	Local     bool
	punctual  bool // calls end at their deadline

	ReadTimeout   time.Duration
	DeleteTimeout time.Duration
	panicked      func(any) error
	breaker       breaker
	abandoned     atomic.Int64

	// pending counts the scopes with pending invalidations. While there are any,
	// their retries find out whether the store is back, and reads do not: they
	// resume after the entries that they must not see are gone.
	Pending atomic.Int64
}

// Config is how a store is called.
type Config struct {
	ReadTimeout, DeleteTimeout time.Duration
	BreakerFailures            int
	BreakerCooldown            time.Duration
	Panicked                   func(recovered any) error // of the store
}

func New(store provider.CacheProvider, o Config) *Backend {
	b := &Backend{
		Store:         store,
		ReadTimeout:   o.ReadTimeout,
		DeleteTimeout: o.DeleteTimeout,
		panicked:      o.Panicked,
		breaker:       breaker{limit: o.BreakerFailures, cooldown: o.BreakerCooldown},
	}
	if batch, ok := store.(provider.Batcher); ok {
		b.batch = batch
	}
	if inspector, ok := store.(provider.Inspector); ok {
		b.Inspector = inspector
	}
	if punctual, ok := store.(provider.Punctual); ok {
		b.punctual = punctual.Punctual()
	}
	if closer, ok := store.(io.Closer); ok {
		b.Closer = closer
	}
	if leaser, ok := store.(provider.Leaser); ok {
		b.Leaser = leaser
		if refresher, ok := store.(provider.Refresher); ok {
			b.Refresher = refresher
		}
		if holder, ok := store.(provider.Holder); ok {
			b.Holder = holder
		}
	}
	if _, b.Local = store.(provider.InProcess); b.Local {
		if values, ok := store.(provider.ValueGetter); ok {
			b.Values = values
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
func (b *Backend) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	if b.Local {
		return b.getLocal(ctx, key)
	}
	if err := b.Admit(); err != nil {
		return provider.Entry{}, false, err
	}
	l, err := ask(ctx, b, b.ReadTimeout, func(ctx context.Context) (lookup, error) {
		entry, found, err := b.Store.Get(ctx, key)
		return lookup{entry, found}, err
	})
	return l.entry, l.found, err
}

// getValue asks a store with values for one.
func (b *Backend) GetValue(key provider.Key) (value any, is provider.Presence, err error) {
	defer b.recoverStore(&err)
	value, is = b.Values.GetValue(key)
	return value, is, nil
}

// getValues asks a store with values for some.
func (b *Backend) GetValues(keys []provider.Key, values []provider.Value) (err error) {
	defer b.recoverStore(&err)
	b.Values.GetValues(keys, values)
	return nil
}

// getLocal is get for a store in the process.
func (b *Backend) getLocal(ctx context.Context, key provider.Key) (entry provider.Entry, found bool, err error) {
	defer b.recoverStore(&err)
	return b.Store.Get(ctx, key)
}

// getMany asks the store for entries. It returns a result for every key, also
// with an error.
func (b *Backend) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	if err := b.Admit(); err != nil {
		return make([]provider.Result, len(keys)), err
	}
	results, err := ask(ctx, b, b.ReadTimeout, func(ctx context.Context) ([]provider.Result, error) {
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
func (b *Backend) getEach(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	var group errgroup.Group
	group.SetLimit(parallelGets)
	if b.Local {
		group.SetLimit(1)
	}
	for i, key := range keys {
		group.Go(func() (err error) {
			defer b.recoverStore(&err)
			r := &results[i]
			r.Entry, r.Found, r.Err = b.Store.Get(ctx, key)
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
func (b *Backend) Set(ctx context.Context, items []provider.Item, filler Filler) error {
	if b.Local {
		return b.setNow(ctx, items)
	}
	if err := b.Admit(); err != nil {
		filler.StoreReturned()
		return err
	}
	_, err := ask(ctx, b, b.ReadTimeout, func(ctx context.Context) (struct{}, error) {
		defer filler.StoreReturned()
		return struct{}{}, b.setNow(ctx, items)
	})
	return err
}

// setOne is set for one item, of which it keeps nothing.
func (b *Backend) SetOne(ctx context.Context, item *provider.Item, filler Filler) error {
	if b.Local {
		return b.setLocal(ctx, item)
	}
	return b.Set(ctx, []provider.Item{*item}, filler)
}

// setLocal is setOne for a store in the process.
func (b *Backend) setLocal(ctx context.Context, item *provider.Item) (err error) {
	defer b.recoverStore(&err)
	return b.Store.Set(ctx, item.Key, item.Entry, item.TTL)
}

// Filler is who asks the store to keep something.
type Filler interface {
	// answered is called when the store has returned.
	StoreReturned()
}

// setNow is set in the goroutine of its caller.
func (b *Backend) setNow(ctx context.Context, items []provider.Item) (err error) {
	defer b.recoverStore(&err)
	if b.batch != nil && len(items) > 1 {
		return b.batch.SetMany(ctx, items)
	}
	return b.setEach(ctx, items)
}

// setEach stores items one at a time. It goes on after an item that the store
// will not keep, and stops at a failure.
func (b *Backend) setEach(ctx context.Context, items []provider.Item) error {
	var refused []error
	for i := range items {
		err := b.Store.Set(ctx, items[i].Key, items[i].Entry, items[i].TTL)
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
func (b *Backend) Delete(ctx context.Context, keys []provider.Key) error {
	if b.Saturated() {
		return ErrOpen
	}
	_, err := ask(ctx, b, b.DeleteTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.Store.Delete(ctx, keys...)
	})
	return err
}

// deletePrefix asks the store to remove the keys under a prefix.
func (b *Backend) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	if b.Saturated() {
		return 0, ErrOpen
	}
	return ask(ctx, b, b.DeleteTimeout, func(ctx context.Context) (int, error) {
		return b.Store.DeletePrefix(ctx, scope, prefix)
	})
}

// leftAlone reports whether the store is being left alone.
func (b *Backend) Open() bool { return b.breaker.open.Load() }

// probe asks the store for something, only to find out whether it answers.
func (b *Backend) Probe(ctx context.Context, key provider.Key) {
	if b.Saturated() {
		return
	}
	if _, err := ask(ctx, b, b.ReadTimeout, func(ctx context.Context) (struct{}, error) {
		_, _, err := b.Store.Get(ctx, key)
		return struct{}{}, err
	}); err != nil {
		return // the breaker knows
	}
}

// unanswering reports whether as many calls as there may be were abandoned.
func (b *Backend) Saturated() bool { return b.abandoned.Load() >= maxAbandoned }

// admit returns the error with which a read or a fill is not made.
func (b *Backend) Admit() error {
	if b.Local || !b.Saturated() && b.breaker.allow(b.Pending.Load() == 0) {
		return nil
	}
	return ErrOpen
}

// ask calls the store under a deadline and records what that tells about it. A
// panic of the store is an error.
func ask[R any](ctx context.Context, b *Backend, timeout time.Duration, call func(context.Context) (R, error)) (result R, err error) {
	if b.Local {
		return try(ctx, b, call)
	}
	bound, telling := Bound(ctx, timeout)
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if b.punctual {
		result, err = try(bounded, b, call)
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
func leavable[R any](bounded context.Context, b *Backend, call func(context.Context) (R, error)) (R, error) {
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
		GrowStack(0)
		r := reply{err: errStoreGoexit} // unless the store returns or panics
		defer func() { replies <- r }()
		r.result, r.err = try(bounded, b, call)
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
func (b *Backend) settle(ctx, bounded context.Context, telling bool, err error) error {
	v := verdictWithin(ctx, err)
	// The deadline of a connection may be noticed a moment before that of the context.
	if v == storeFailed && !telling && (bounded.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		v, err = storeUnknown, ErrNoTime
	}
	b.breaker.record(v)
	return err
}

// Bound returns how long a call may take that is bounded by timeout, for a
// caller with ctx: a caller who has less time than that keeps half of it for the
// load. telling says that the bound is long enough for its end to tell something
// about the store.
func Bound(ctx context.Context, timeout time.Duration) (bound time.Duration, telling bool) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return timeout, true
	}
	bound = min(timeout, time.Until(deadline)/2)
	return bound, bound >= timeout/5
}

// try calls the store and turns a panic into an error.
func try[R any](ctx context.Context, b *Backend, call func(context.Context) (R, error)) (result R, err error) {
	defer b.recoverStore(&err)
	return call(ctx)
}

func (b *Backend) recoverStore(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("readthrough: the store panicked: %w", b.panicked(r))
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

// GrowStack makes room for a whole run at once. A goroutine begins with a small
// stack, and the calls from run to the store need more. To grow it when it is that
// deep takes several times as long as the rest of a miss, because every frame has
// to be moved. n is any number; that it is used keeps the compiler from seeing
// that the room is not.
//
//go:noinline
func GrowStack(n int) byte { //nolint:unparam // to return it is a use of the room, which nobody else has for it
	if n >= 0 {
		return 0 // the room need not be cleared
	}
	var room [2 << 10]byte
	return room[-n%len(room)]
}

// Failed reports whether an error tells that the store is in bad health.
func Failed(err error) bool { return verdictOn(err) == storeFailed }

// Refused reports whether an error is an answer of a store in good health.
func Refused(err error) bool { return verdictOn(err) == storeAnswered }
