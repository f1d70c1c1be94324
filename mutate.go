package readthrough

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
)

// defaultHoldFor bounds a write whose targets are held.
const defaultHoldFor = 10 * time.Second

// Mutation is a change of the source, with everything that has to follow it. R is the result of the
// write.
type Mutation[R any] struct {
	// Write changes the source, and returns what Invalidate and Emit need to know about the change.
	// It is required. If it returns nil, the change is committed.
	//
	// If it returns an error, panics or calls [runtime.Goexit], nobody knows whether the change was
	// committed: the connection may have broken after the commit. So what the change may have made
	// stale is invalidated, and nothing is emitted. Only an error that matches [ErrUnchanged] says
	// that nothing was changed, for example because the input was refused or the transaction was
	// rolled back: then nothing is invalidated. If it panics or calls [runtime.Goexit], there is no
	// result to ask Invalidate with: Targets and Hold alone are invalidated.
	Write func(ctx context.Context) (R, error)

	// Targets is what the change makes stale, as far as that is known before it, in all scopes.
	// Example: users.Of(42).And(lists.All()). It is invalidated on every outcome of Write but
	// ErrUnchanged. What Targets covers, Invalidate need not return.
	Targets Targets

	// Invalidate returns what the change made stale. A change that made nothing stale returns no
	// targets. It is required, unless Targets or Hold says it all.
	//
	// If Write returns an error, Invalidate is called with the result that came with it, mostly the
	// zero R. If it panics on that, the panic is reported to [Options.OnError], and Targets and Hold
	// alone are invalidated. If it panics or calls [runtime.Goexit] after a write that has happened,
	// Targets and Hold are invalidated, too, and the panic goes on.
	Invalidate func(result R) Targets

	// Emit tells others of the change. A read that begins because of it sees the change. nil emits
	// nothing. Its context has the values of the caller's context, but does not end with it,
	// because the change has happened.
	Emit func(ctx context.Context, result R) error

	// Hold is what the change may make stale, as far as that is known before it. It protects
	// readers in other processes, if they share a store with holds. From before the write until
	// after the invalidation, no process reads or fills these keys through the store. This holds
	// even if the store cannot be reached when they are invalidated, and if this process ends in
	// between. It costs two round trips, and a load on every read meanwhile. If the store cannot
	// confirm the hold, Mutate returns [ErrNotHeld] and writes nothing.
	//
	// Hold is invalidated like Targets, and need not be repeated there. In a store without holds it
	// is only that.
	Hold Targets

	// HoldFor is the longest that Write may take if there is something to hold. The context of
	// Write ends then, and the hold some time later. A source that may commit after that needs a
	// timeout of its own. Zero means 10 s; negative is an error. Example: 3 * time.Second.
	HoldFor time.Duration

	// FailWhenPending says what Mutate does if the store cannot confirm the invalidation.
	//
	// False: Mutate emits all the same and returns no error. The error goes to [Options.OnError].
	// Readers in this process see the change. Readers in other processes that share the store may
	// not, until the store answers again and at most for the TTL.
	//
	// True: Mutate does not emit. It returns the result of the write, which has happened, and an
	// error that matches [ErrInvalidationPending].
	FailWhenPending bool

	_ struct{}
}

// Mutate runs a mutation in the only order that is right: write, then invalidate and wait for that,
// then emit. It returns the result of the write.
//
// Targets may name their scopes, which are those of one cache. s is the scope of those that name none.
//
// The errors, and what has happened then:
//
//   - a bad argument, [ErrClosed] or [ErrNotHeld]: nothing
//   - the error of Write, which matches [ErrUnchanged]: nothing
//   - another error of Write: perhaps the write, and the invalidation. If that is pending, the error
//     matches [ErrInvalidationPending] too
//   - [ErrInvalidationPending], only with FailWhenPending: the write
//   - bad targets, with a result: the write, and the invalidation of Targets and Hold
//   - [ErrClosed] if the cache was closed meanwhile, with a result: the write
//   - the error of Emit, with a result: the write and the invalidation
//
// With a context of an open [Batch], the invalidation and the emission wait for the commit.
//
// Mutate is safe for concurrent use. Mutations are not ordered against each other: the source does
// that.
func Mutate[R any](ctx context.Context, s *CachedScope, m Mutation[R]) (result R, err error) {
	if err := m.check(ctx, s); err != nil {
		return result, err
	}
	orDefault(&m.HoldFor, defaultHoldFor)
	if s.observer.MutateStart == nil && s.observer.MutateEnd == nil {
		return mutate(ctx, s, m)
	}
	ctx, event := s.mutateStart(ctx, m.known())
	event.Err = errUnreturned
	defer func() { s.mutateEnd(ctx, event) }()
	result, err = mutate(ctx, s, m)
	event.Err = err
	return result, err
}

// errUnreturned is what Observer.MutateEnd gets if a function of the user has ended Mutate.
var errUnreturned = errors.New("readthrough: Mutate has not returned: a function of the mutation panicked or called runtime.Goexit")

// mutateStart tells that a mutation begins, and returns its context.
func (s *keyspace) mutateStart(ctx context.Context, known Targets) (context.Context, Event) {
	event := Event{Key: known.single(), Count: known.total(), Began: time.Now()}
	mutation := ctx
	if start := s.observer.MutateStart; start != nil {
		s.tell(ctx, func(ctx context.Context, event Event) {
			if of := start(ctx, event); of != nil {
				mutation = of //nolint:fatcontext // once
			}
		}, event)
	}
	return mutation, event
}

// mutateEnd tells that a mutation has ended, in whatever way.
func (s *keyspace) mutateEnd(ctx context.Context, event Event) {
	event.Duration = time.Since(event.Began)
	s.tell(ctx, s.observer.MutateEnd, event)
}

// mutate is Mutate for a mutation that was checked.
func mutate[R any](ctx context.Context, s *CachedScope, m Mutation[R]) (R, error) {
	var none R
	toHold, err := s.shares(&s.keyspace, m.Hold)
	if err != nil {
		return none, err
	}
	holds, err := holdShares(ctx, toHold, m.HoldFor)
	if err != nil {
		return none, err
	}
	run := mutating[R]{m: &m, scope: s, after: context.WithoutCancel(ctx), holds: holds}
	defer run.ensure()
	result, err := run.write(ctx)
	if err != nil {
		return none, err
	}
	if err := run.invalidate(m.stale(result)); err != nil {
		return result, err
	}
	if m.Emit == nil {
		return result, nil
	}
	emission := func() error { return errEmit(m.Emit(run.after, result)) }
	if s.emitLater(run.after, m.FailWhenPending, emission) {
		return result, nil
	}
	return result, emission()
}

// mutating is one run of a mutation whose targets are held.
type mutating[R any] struct {
	m     *Mutation[R]
	scope *CachedScope
	after context.Context //nolint:containedctx // the caller's without its end, for what has to follow the write
	holds []held
	// settled: what follows the write was done, or is not needed.
	settled bool
}

// ensure is deferred around the functions of the user. If one of them panics or ends its goroutine before
// the mutation was settled, what is known to be stale is invalidated.
func (r *mutating[R]) ensure() {
	if r.settled {
		return
	}
	known, err := r.shares(r.m.known())
	if err != nil {
		return // it was checked before the write
	}
	if errs := r.settle(known); len(known) > 0 {
		reportShares(r.after, known, errs)
	}
}

// write runs Write. If that fails, and may have changed something, write invalidates what is known to
// be stale then.
func (r *mutating[R]) write(ctx context.Context) (result R, err error) {
	result, err = r.m.write(ctx, len(r.holds) > 0)
	err = backend.Sane(err)
	switch {
	case err == nil:
		return result, nil
	case errors.Is(err, ErrUnchanged):
		r.settled = true
		unholdShares(r.after, r.holds)
		return result, err
	default:
		stale, bad := r.valid(r.m.maybeStale(r.after, r.scope, result))
		return result, joinErrors(err, bad, joinErrors(r.settle(stale)...))
	}
}

// settle invalidates stale and gives the holds up; also if the invalidation is pending, since nothing was
// stored under them. It returns the error of each share.
func (r *mutating[R]) settle(stale []share) (errs []error) {
	r.settled = true
	_, errs = r.scope.settle(r.after, stale, r.holds)
	return errs
}

// shares returns the shares of targets.
func (r *mutating[R]) shares(targets Targets) ([]share, error) {
	return r.scope.shares(&r.scope.keyspace, targets)
}

// valid returns the shares of targets, or if they make no sense, why, and in their place what was known before
// the write.
func (r *mutating[R]) valid(targets Targets) (stale []share, bad error) {
	if stale, bad = r.shares(targets); bad != nil {
		stale, _ = r.shares(r.m.known()) //nolint:errcheck // it was checked before the write
	}
	return stale, bad
}

// invalidate settles a write that has happened. It returns an error if Mutate must not emit.
func (r *mutating[R]) invalidate(targets Targets) error {
	stale, bad := r.valid(targets)
	errs := r.settle(stale)
	if err := joinErrors(errs...); err == nil || r.m.FailWhenPending || !errors.Is(err, ErrInvalidationPending) {
		return joinErrors(bad, err)
	}
	reportShares(r.after, stale, errs)
	return bad
}

// write runs Write; within HoldFor, if something is held.
func (m *Mutation[R]) write(ctx context.Context, isHeld bool) (R, error) {
	if !isHeld {
		return m.Write(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, m.HoldFor)
	defer cancel()
	return m.Write(ctx)
}

// known returns what the change makes stale, as far as that is known before it.
func (m *Mutation[R]) known() Targets { return m.Targets.And(m.Hold) }

// stale returns what the change made stale.
func (m *Mutation[R]) stale(result R) Targets {
	if m.Invalidate == nil {
		return m.known()
	}
	return m.Invalidate(result).And(m.known())
}

// maybeStale is stale for a result that came with an error. Invalidate may not expect that.
func (m *Mutation[R]) maybeStale(ctx context.Context, s *CachedScope, result R) (targets Targets) {
	defer func() {
		if r := recover(); r != nil {
			targets = m.known()
			s.report(ctx, opLoad, "", fmt.Errorf("readthrough: Mutation.Invalidate, of the result of a Write that has failed: %w", panicError(r)))
		}
	}()
	return m.stale(result)
}

// check returns the error of a bad mutation, before anything happens (G10).
func (m *Mutation[R]) check(ctx context.Context, s *CachedScope) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	switch {
	case m.Write == nil:
		return errors.New("readthrough: Mutation.Write: must not be nil")
	case m.HoldFor < 0:
		return fmt.Errorf("readthrough: Mutation.HoldFor: %v: must not be negative", m.HoldFor)
	}
	targets, err := s.shares(&s.keyspace, m.Targets)
	if err != nil {
		return fmt.Errorf("readthrough: Mutation.Targets: %w", err)
	}
	hold, err := s.shares(&s.keyspace, m.Hold)
	if err != nil {
		return fmt.Errorf("readthrough: Mutation.Hold: %w", err)
	}
	if m.Invalidate == nil && len(targets)+len(hold) == 0 {
		return errors.New("readthrough: Mutation.Invalidate: must not be nil without Targets or Hold")
	}
	return nil
}
