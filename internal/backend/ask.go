package backend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// ask makes a request under a deadline, and records what its outcome tells about the store. does is
// what the request does in the store. A panic of the store is an error. The deadline is timeout, and
// more if the process is late, or half of the time that the caller has left, if that is less.
func ask[R any](ctx context.Context, b *Backend, does demand, timeout time.Duration, call func(context.Context) (R, error)) (result R, err error) {
	return askLeaving(ctx, b, does, timeout, call, nil)
}

// askOnly is ask for a request that has no result.
func askOnly(ctx context.Context, b *Backend, does demand, timeout time.Duration, call func(context.Context) error) error {
	_, err := ask(ctx, b, does, timeout, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

// askLeaving is ask for a request whose result must not be lost: left gets the result that nobody
// else gets, since it came after the deadline. left may be nil.
func askLeaving[R any](ctx context.Context, b *Backend, does demand, timeout time.Duration, call func(context.Context) (R, error), left func(R)) (result R, err error) {
	if b.Local {
		result, err = try(ctx, b, call)
		return result, Sane(err)
	}
	allowance := b.late.begin()
	defer b.late.end()
	judged := false
	defer func() {
		if !judged { // the context, the store or its error has ended the goroutine
			b.record(does, storeUnknown)
		}
	}()
	bound, conclusive := Bound(ctx, timeout+allowance)
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if b.punctual.Load() {
		result, err = try(bounded, b, call)
		b.returned(bounded, bound)
	} else {
		result, err = leavable(bounded, b, call, left)
	}
	if err == errUnanswered { //nolint:errorlint // the one of leavable, not one of the store
		if err = ctx.Err(); err == nil {
			err = fmt.Errorf("readthrough: the store did not answer within %v: %w", bound, context.DeadlineExceeded)
		}
	}
	err = b.judge(ctx, bounded, request{does, conclusive, allowance}, err)
	judged = true
	return result, err
}

// leavable makes a request in a goroutine of its own. If the request does not return in time, it
// goes on there as an orphan, and the error is errUnanswered. left gets the result of an orphan, if
// left is not nil.
//
// decided decides between the two ends, which may come at the same moment: the first to set it
// wins. If the caller sets it, the request is an orphan, and the goroutine uncounts it when it
// returns. If the goroutine sets it, the caller gets the reply, although its time may be over. So
// each orphan is counted once and uncounted once, and each result has one owner.
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
		runtime.Gosched() // an answer that is there, and whose goroutine waits for a processor, wins
	}
	if decided.CompareAndSwap(false, true) {
		b.orphans.Add(1)
		var none R
		return none, errUnanswered
	}
	r := <-replies // it came at the same moment
	return r.result, r.err
}

// request is what the verdict on a request depends on, besides its outcome.
type request struct {
	does demand
	// conclusive: the caller had time enough.
	conclusive bool
	// allowance is how much longer it could take, because the process is late.
	allowance time.Duration
}

// judge records what the outcome of a request tells about the store, and returns the error for its
// caller. An outcome tells nothing if the caller has left, or had too little time: impatient
// readers must not open the breaker for the others.
//
// A timeout of a process that is late counts in part only (storeLate).
func (b *Backend) judge(ctx, bounded context.Context, r request, err error) error {
	err = Sane(err)
	v := verdictWithin(ctx, err)
	// The deadline of a connection may be noticed a moment before the deadline of the context.
	if v == storeFailed && !r.conclusive && (bounded.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		v, err = storeUnknown, ErrNoTime
	}
	if v == storeFailed && isTimeout(err) {
		if late, excused := b.late.excuses(r.allowance); excused {
			v, err = storeLate, errProcessLate(late, err)
		}
	}
	if v == storeRefused && r.does.kind == reads {
		v = storeFailed // a store that cannot be read is of no use
	}
	if v == storeFailed || v == storeLate || v == storeIsReplica {
		b.failure.Store(&failure{err, time.Now()})
	}
	b.record(r.does, v)
	return err
}

// Sane returns err, or an error in its place if err panics when it is asked what it is, as a nil
// *net.OpError does. An error is the user's code, so nobody asks it before Sane has.
func Sane(err error) (same error) {
	if err == nil {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			same = fmt.Errorf("readthrough: an error of type %T panics when it is asked what it is: %v", err, r)
		}
	}()
	_ = err.Error()
	_ = errors.Is(err, errUnanswered)
	return err
}

// refusal is the verdict for the breaker of refused writes. Only a refusal counts as a failure
// there.
func refusal(v verdict) verdict {
	switch v {
	case storeRefused:
		return storeFailed
	case storeAnswered:
		return storeAnswered
	default:
		return storeUnknown
	}
}

// Bound returns how long a request may take for a caller with ctx. It is timeout, or half of the
// caller's time if that is less: the other half is for the load, which answers if the store does
// not (G4). conclusive says that a timeout tells something about the store: the request has at
// least a fifth of timeout.
func Bound(ctx context.Context, timeout time.Duration) (bound time.Duration, conclusive bool) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return timeout, true
	}
	bound = min(timeout, time.Until(deadline)/2)
	return bound, bound >= timeout/conclusivePart
}

// conclusivePart is the part of its timeout that a request must have for its end to be conclusive:
// a fifth.
const conclusivePart = 5

// try calls the store in the caller's goroutine, and turns a panic into an error.
func try[R any](ctx context.Context, b *Backend, call func(context.Context) (R, error)) (result R, err error) {
	defer b.recoverStore(&err)
	return call(ctx)
}

// recoverStore is deferred around every call of the store.
func (b *Backend) recoverStore(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("readthrough: the store panicked: %w", b.panicked(r))
	}
}

// verdictOn returns what a sane error means for the breaker. A store that refuses an entry, or
// finds bytes that it cannot read, is well. If a deadline has ended, too, the store is slow, whatever
// else it said before.
func verdictOn(err error) verdict {
	switch {
	case err == nil:
		return storeAnswered
	case errors.Is(err, provider.ErrReadOnly):
		return storeIsReplica
	case isTimeout(err):
		return storeFailed
	case errors.Is(err, provider.ErrRefused), errors.Is(err, provider.ErrUnacknowledged):
		return storeRefused
	case errors.Is(err, provider.ErrUndecodable),
		errors.Is(err, provider.ErrTooLarge),
		errors.Is(err, provider.ErrUnencodable),
		errors.Is(err, provider.ErrLossy):
		return storeAnswered
	case errors.Is(err, context.Canceled):
		return storeUnknown
	default:
		return storeFailed
	}
}

// verdictWithin is verdictOn for a caller with ctx. If ctx has ended, a failure may be its own
// doing.
func verdictWithin(ctx context.Context, err error) verdict {
	v := verdictOn(err)
	if v == storeFailed && ctx.Err() != nil {
		return storeUnknown
	}
	return v
}

// Failed reports whether an error means that the store is not well.
func Failed(err error) bool {
	v := verdictOn(err)
	return v == storeFailed || v == storeIsReplica
}

// Answered reports whether an error is an answer of a store that is well.
func Answered(err error) bool {
	v := verdictOn(err)
	return v == storeAnswered || v == storeRefused
}

// OfEntry reports whether an error says something about one entry, and nothing about the store.
func OfEntry(err error) bool { return err != nil && verdictOn(err) == storeAnswered }

// Replied reports whether an error is the answer of a store, though it may not be well. It is not if the
// call was not made, or the answer did not come in time.
func Replied(err error) bool {
	return !errors.Is(err, ErrOpen) && !errors.Is(err, ErrNoTime) && !errors.Is(err, context.Canceled) && !isTimeout(err)
}

// GrowStack makes room on the stack for a whole load. A goroutine begins with a small stack, and
// the calls from a load to the store need more. To grow the stack when it is that deep takes
// several times as long as the rest of a miss, because every frame has to be moved. n is any number
// that is not negative: it only keeps the compiler from dropping room.
//
//go:noinline
func GrowStack(n int) byte { // the result is a use of the room
	if n >= 0 {
		return 0 // the room need not be cleared
	}
	var room [2 << 10]byte
	return room[-n%len(room)]
}
