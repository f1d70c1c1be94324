package readthrough

import (
	"context"
	"errors"
	"fmt"
)

// ErrNotFound says that the source has nothing under the key. A load function
// returns it, alone or wrapped, to have the absence cached for
// [ScopeOptions.NegativeTTL]; [Wrap] returns an error that matches it for as
// long as the absence is cached. A bulk load does not return it: it leaves the
// id out of its result. Test with [errors.Is].
var ErrNotFound = errors.New("readthrough: not found")

// ErrInvalidationPending says that the store could not confirm an
// invalidation. [CachedScope.Invalidate] and its kin return it when the store
// failed, hung, or is being left alone after failures.
//
// The invalidation is not lost: it is retried until the store confirms it, and
// until then this process neither reads nor fills the keys through the store,
// so its own readers are correct from the moment that the call returns. Other
// processes that share the store may read the old entry until the retry
// succeeds, at most until its TTL ends. Test with [errors.Is]; the cause is
// wrapped too.
var ErrInvalidationPending = errors.New("readthrough: invalidation pending")

// ErrNotHeld says that the store could not confirm that it holds the targets of
// [Mutation.Hold]. The write was not run. Test with [errors.Is]; the cause is
// wrapped too.
var ErrNotHeld = errors.New("readthrough: not held, nothing was written")

// ErrClosed is returned by every call on a closed cache and its scopes, and to
// the readers whose loads were under way when it was closed.
var ErrClosed = errors.New("readthrough: cache closed")

// ErrLoadTimeout is returned to the readers of a load that took longer than
// [ScopeOptions.LoadTimeout]. It matches [context.DeadlineExceeded] too.
var ErrLoadTimeout = fmt.Errorf("readthrough: load timeout: %w", context.DeadlineExceeded)

// ErrStillLoading is the reason, in [Result.Err], why a stale value was served
// although no load has failed: the load took longer than
// [ScopeOptions.SoftLoadTimeout], had to wait for others because of
// [ScopeOptions.MaxLoads], or is one of another process. It is never returned.
var ErrStillLoading = errors.New("readthrough: the value is still being loaded")

// ErrGoexit is returned to the readers of a load that ended its goroutine with
// [runtime.Goexit], as a failed [testing.T.FailNow] does.
var ErrGoexit = errors.New("readthrough: load function called runtime.Goexit")

// ErrRecursiveLoad is returned when a load function reads, with its context, the
// key that it is loading, or one whose load waits for it in turn. Waiting would
// never end, and a stale value is not what the load is for; a fresh one, which
// [Refresh] replaces, is served. Loads that wait for each other across several
// caches are not noticed.
var ErrRecursiveLoad = errors.New("readthrough: load function reads the key that it is loading")

// errTypeMismatch says that the value under a key is not of the type that the reader asks for. It is
// reported to [Options.OnError]. The reader gets what its own load function returns.
var errTypeMismatch = errors.New("readthrough: value of another type")

// errUnexpectedID says that a bulk load returned ids that it was not asked for. They are ignored, and
// reported to [Options.OnError].
var errUnexpectedID = errors.New("readthrough: load returned ids that it was not asked for")

// errLeaseOver is the error of a load that took longer than its lease.
var errLeaseOver = errors.New("readthrough: the load took longer than its lease")

var (
	errNoScope   = errors.New("readthrough: scope: must not be nil; get it from Cache.Scope")
	errNoContext = errors.New("readthrough: ctx: must not be nil")
)

// PanicError is the error that the readers of a load get when the load function
// panicked.
type PanicError struct {
	// Value is what the load function panicked with.
	Value any
	// Stack is the stack of the goroutine that panicked, as
	// [runtime/debug.Stack] formats it.
	Stack []byte

	_ struct{}
}

// Error returns the value and the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("readthrough: load function panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the value that the load function panicked with if it is an
// error, and nil otherwise.
func (e *PanicError) Unwrap() error {
	if err, ok := e.Value.(error); ok {
		return err
	}
	return nil
}

// absentError is what a reader of an absence gets: it matches both ErrNotFound
// and the error by which the scope's loads say the same, and says what the load
// said.
type absentError struct{ cause, scope error }

func (e *absentError) Error() string { return e.cause.Error() }

func (e *absentError) Unwrap() []error { return []error{e.cause, e.scope, ErrNotFound} }
