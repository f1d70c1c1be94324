package readthrough

import (
	"context"
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/internal/backend"
)

// ErrNotFound says that the source has nothing under the key. A load function returns it, alone or
// wrapped, to have the absence cached for [ScopeOptions.NegativeTTL]. While the absence is cached,
// [Wrap] returns an error that matches it. A bulk load does not return it: it leaves the id out of
// its result, and an ErrNotFound from it is an error of the whole load. Test with [errors.Is].
var ErrNotFound = errors.New("readthrough: not found")

// ErrInvalidationPending says that the store could not confirm an invalidation.
// [CachedScope.Invalidate] and its kin, [Put], [Mutate] with FailWhenPending, and [Cache.Close]
// return it: when the store failed or did not answer in time, when the breaker is open, or when the
// store has not returned from an older fill.
//
// The invalidation is not lost. It is retried until the store confirms it. Until then this process
// neither reads nor fills the keys through the store, so its own readers are right from the moment
// that the call returns. Other processes that share the store may read the old entry until the
// retry succeeds, at most until its TTL ends. Test with [errors.Is]; the cause is wrapped, too.
var ErrInvalidationPending = errors.New("readthrough: invalidation pending")

// ErrNotHeld says that the store could not confirm a hold on [Mutation.Hold]. Only [Mutate] returns
// it, and then Write was not run. Test with [errors.Is]; the cause is wrapped, too.
var ErrNotHeld = errors.New("readthrough: not held, nothing was written")

// ErrUnchanged says that a write has changed nothing, for certain: its input was refused, or its
// transaction was rolled back. The write of [Mutate] and [Put] returns it, alone or wrapped, and
// then nothing is invalidated. After every other error of a write, what it may have changed is
// invalidated. Test with [errors.Is].
//
//	return nil, fmt.Errorf("%w: %w", readthrough.ErrUnchanged, errNoSuchSystem)
var ErrUnchanged = errors.New("readthrough: nothing was changed")

// ErrClosed is returned by every call on a closed cache and its scopes, except [Cache.Close]
// itself, and to readers whose loads were under way when the cache was closed. Test with
// [errors.Is].
var ErrClosed = errors.New("readthrough: cache closed")

// ErrLoadTimeout is returned to the readers of a load that took longer than
// [ScopeOptions.LoadTimeout]. It matches [context.DeadlineExceeded], too. A reader whose own
// context has ended gets the error of that context instead. Test with [errors.Is].
var ErrLoadTimeout = fmt.Errorf("readthrough: load timeout: %w", context.DeadlineExceeded)

// ErrStillLoading is the reason, in [Result.Err] and [Event], why a stale value was served although
// no load has failed: the load took longer than [ScopeOptions.SoftLoadTimeout], had to wait because
// of [ScopeOptions.MaxLoads], or is one of another process. No call returns it.
var ErrStillLoading = errors.New("readthrough: the value is still being loaded")

// ErrBadKey says that a key is empty or longer than [MaxKeyBytes], or that an id or a filter has no key,
// such as one with a NaN. A call whose key is bad returns it before anything happens: no load function
// runs. If a load function itself calls the cache with a bad key and returns that error, its readers get
// it like any error of a load. Test with [errors.Is].
var ErrBadKey = errors.New("readthrough: bad key")

// ErrGoexit is returned to the readers of a load that ended its goroutine with [runtime.Goexit], as
// a failed [testing.T.FailNow] does. Test with [errors.Is].
var ErrGoexit = errors.New("readthrough: load function called runtime.Goexit")

// ErrRecursiveLoad is returned when a load function reads, with its context, the key that it is
// loading, or a key whose load waits for that key in turn. Such a wait would never end. A stale
// value is not served then, since it is what the load is to replace; a fresh one is. Loads that
// wait for each other across several caches are not noticed. Test with [errors.Is].
var ErrRecursiveLoad = errors.New("readthrough: load function reads the key that it is loading")

// errTypeMismatch says that the value under a key is not of the type that the reader asks for. It
// goes to [Options.OnError]. The reader gets what its own load function returns.
var errTypeMismatch = errors.New("readthrough: value of another type")

// errUnexpectedID says that a bulk load returned ids that it was not asked for. They are ignored.
// It goes to [Options.OnError].
var errUnexpectedID = errors.New("readthrough: load returned ids that it was not asked for")

// errLeaseOver is the error of a load that took longer than its lease.
var errLeaseOver = errors.New("readthrough: the load took longer than its lease")

var (
	errNoScope   = errors.New("readthrough: scope: must not be nil; get it from Cache.Scope")
	errNoContext = errors.New("readthrough: ctx: must not be nil")
)

// PanicError is the error that the readers of a load get if the load function panicked. Find it
// with [errors.As]. A panic of the store is one too, wrapped in the error that goes to
// [Options.OnError].
type PanicError struct {
	// Value is what the load function panicked with.
	Value any
	// Stack is the stack of the goroutine that panicked, as
	// [runtime/debug.Stack] formats it.
	Stack []byte

	_ struct{}
}

// Error returns the value. The stack is not in it: services send the texts of errors to their clients.
func (e *PanicError) Error() string {
	return fmt.Sprintf("readthrough: load function panicked: %v", e.Value)
}

// Unwrap returns the value that the load function panicked with, if it is an error; otherwise nil.
func (e *PanicError) Unwrap() error {
	if err, ok := e.Value.(error); ok {
		return backend.Sane(err)
	}
	return nil
}

// keyError is an error that matches [ErrBadKey]. Its text says more.
type keyError struct{ error }

func (*keyError) Is(target error) bool { return target == ErrBadKey }

func (e *keyError) Unwrap() error { return e.error }

// absentError is the error of an absence, for a scope with a NotFound of its own. It matches
// ErrNotFound and NotFound, and its text is that of the load's error.
type absentError struct{ cause, scope error }

func (e *absentError) Error() string { return e.cause.Error() }

func (e *absentError) Unwrap() []error { return []error{e.cause, e.scope, ErrNotFound} }
