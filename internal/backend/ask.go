package backend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// ask calls the store under a deadline, and records what the outcome tells about the store. A panic of
// the store is an error.
func ask[R any](ctx context.Context, b *Backend, timeout time.Duration, call func(context.Context) (R, error)) (result R, err error) {
	return askLeaving(ctx, b, timeout, call, nil)
}

// askLeaving is ask for a call whose result must not be lost: left gets the result that nobody else
// gets, since it came after the deadline. left may be nil.
func askLeaving[R any](ctx context.Context, b *Backend, timeout time.Duration, call func(context.Context) (R, error), left func(R)) (result R, err error) {
	if b.Local {
		return try(ctx, b, call)
	}
	bound, conclusive := Bound(ctx, timeout)
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if b.punctual {
		result, err = try(bounded, b, call)
	} else {
		result, err = leavable(bounded, b, call, left)
	}
	if err == errUnanswered { //nolint:errorlint // the one of leavable, not one of the store
		if err = ctx.Err(); err == nil {
			err = fmt.Errorf("readthrough: the store did not answer within %v: %w", bound, context.DeadlineExceeded)
		}
	}
	return result, b.judge(ctx, bounded, conclusive, err)
}

// leavable makes a call in a goroutine. A call that does not return in time goes on there, as an orphan:
// the error is errUnanswered, and left gets its result, if it is not nil.
func leavable[R any](bounded context.Context, b *Backend, call func(context.Context) (R, error), left func(R)) (R, error) {
	type reply struct {
		result R
		err    error
	}
	replies := make(chan reply, 1)
	var decided atomic.Bool // set by the first of two: the caller gets the reply, the call is an orphan
	go func() {
		r := reply{err: errStoreGoexit} // unless the store returns or panics
		defer func() {
			if decided.CompareAndSwap(false, true) {
				replies <- r
				return
			}
			defer b.orphans.Add(-1)
			if left != nil {
				left(r.result)
			}
		}()
		GrowStack(0)
		r.result, r.err = try(bounded, b, call)
	}()
	select {
	case r := <-replies:
		return r.result, r.err
	case <-bounded.Done():
	}
	if decided.CompareAndSwap(false, true) {
		b.orphans.Add(1)
		var none R
		return none, errUnanswered
	}
	r := <-replies // it came at the same moment
	return r.result, r.err
}

// judge records what the outcome of a call tells about the store, and returns the error for its caller.
// If the caller has left, or had too little time for the outcome to be conclusive, it tells nothing.
func (b *Backend) judge(ctx, bounded context.Context, conclusive bool, err error) error {
	v := verdictWithin(ctx, err)
	// The deadline of a connection may be noticed a moment before the deadline of the context.
	if v == storeFailed && !conclusive && (bounded.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		v, err = storeUnknown, ErrNoTime
	}
	b.breaker.record(v)
	return err
}

// Bound returns how long a call may take for a caller with ctx, if timeout bounds it: a caller that has
// less time than that keeps half of it for the load. conclusive says that the bound is long enough to
// tell something about the store.
func Bound(ctx context.Context, timeout time.Duration) (bound time.Duration, conclusive bool) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return timeout, true
	}
	bound = min(timeout, time.Until(deadline)/2)
	return bound, bound >= timeout/conclusivePart
}

// conclusivePart says which part of a timeout a call must have for its end to be conclusive.
const conclusivePart = 5

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

// verdictOn tells what an error means. A store that refuses an entry, or finds bytes that it cannot
// read, is well.
func verdictOn(err error) verdict {
	switch {
	case err != nil && isTimeout(err): // whatever was there before the deadline
		return storeFailed
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

// verdictWithin is verdictOn for a caller with ctx, who may have given the call up.
func verdictWithin(ctx context.Context, err error) verdict {
	v := verdictOn(err)
	if v == storeFailed && ctx.Err() != nil {
		return storeUnknown
	}
	return v
}

// Failed reports whether an error tells that the store is not well.
func Failed(err error) bool { return verdictOn(err) == storeFailed }

// Refused reports whether an error is an answer of a store that is well.
func Refused(err error) bool { return verdictOn(err) == storeAnswered }

// GrowStack makes room on the stack for a whole load. A goroutine begins with a small stack, and the
// calls from a load to the store need more. To grow the stack when it is that deep takes several times
// as long as the rest of a miss, because every frame has to be moved. n is any number; it is used so
// that the compiler does not see that the room is not.
//
//go:noinline
func GrowStack(n int) byte { //nolint:unparam // the result is a use of the room
	if n >= 0 {
		return 0 // the room need not be cleared
	}
	var room [2 << 10]byte
	return room[-n%len(room)]
}
