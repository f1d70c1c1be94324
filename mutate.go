package readthrough

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// defaultHoldFor bounds a write whose targets are held.
const defaultHoldFor = 10 * time.Second

// Mutation is a change of the source with what has to follow it.
type Mutation[R any] struct {
	// Write changes the source and returns what Invalidate and Emit need to know
	// about the change. It is required. When it returns nil, the change is
	// committed; when it returns an error, nothing was changed: nothing is
	// invalidated and nothing emitted.
	//
	// A Write that cannot tell, because its connection broke during the commit,
	// must invalidate before it returns its error.
	Write func(ctx context.Context) (R, error)

	// Invalidate returns what the change made stale. It is required; a change
	// that made nothing stale returns no targets.
	Invalidate func(result R) Targets

	// Emit tells others of the change. Whoever reads because of it sees the
	// change. nil emits nothing. Its context has the values of the caller's, but
	// does not end with it: the change has happened.
	Emit func(ctx context.Context, result R) error

	// Hold is what the change may make stale, as far as that is known before it,
	// for readers in other processes that share a store with holds. From before
	// the write until after the invalidation nobody reads or fills these keys
	// through the store: not if the store cannot be reached when they are to be
	// invalidated, and not if this process ends in between. It costs two round
	// trips, and a load on every read meanwhile. If the store cannot confirm it,
	// Mutate returns [ErrNotHeld] and writes nothing.
	//
	// What Hold covers, Invalidate need not return. In a store without holds it
	// is only invalidated.
	Hold Targets

	// HoldFor is the longest that Write may take if there is something to hold:
	// its context ends then, and the hold some time later. A source that may
	// commit after that needs a timeout of its own. Zero means 10 s; negative is
	// an error.
	HoldFor time.Duration

	// FailWhenPending says what Mutate does if the store cannot confirm the
	// invalidation. False: it emits all the same, and does not return the error, which
	// is reported to [Options.OnError]. Readers in this process see the change; readers
	// in other processes that share the store may not, until the store answers again
	// and at most for the TTL. True: it does not emit, and returns the error, which
	// matches [ErrInvalidationPending], with the result of the write, which has
	// happened.
	FailWhenPending bool

	_ struct{}
}

// Mutate runs a mutation in the only order that is right: write, then invalidate
// and wait for it, then emit. It returns the result of the write.
//
// An error that does not match [ErrInvalidationPending] is [ErrNotHeld], or that of
// the write, and then nothing was changed; or it is that of Emit, with the result of the write;
// or it names a bad argument, and nothing was done. Targets that are invalid, or
// a cache that was closed meanwhile, are an error after the write, too: then
// nothing is emitted.
func Mutate[R any](ctx context.Context, s *CachedScope, m Mutation[R]) (R, error) {
	var none R
	if err := m.check(ctx, s); err != nil {
		return none, err
	}
	orDefault(&m.HoldFor, defaultHoldFor)
	token, err := s.hold(ctx, m.Hold, m.HoldFor)
	if err != nil {
		return none, err
	}
	result, err := m.write(ctx)
	if err != nil {
		s.unhold(ctx, m.Hold, token)
		return none, err
	}
	after := context.WithoutCancel(ctx)
	targets := m.targets(result)
	_, err = s.InvalidateTargets(after, targets)
	s.unhold(after, m.Hold, token) // also if that is pending: nothing was stored under the hold
	if err != nil {
		if m.FailWhenPending || !errors.Is(err, ErrInvalidationPending) {
			return result, err
		}
		s.reportPending(after, targets, err)
	}
	if m.Emit == nil {
		return result, nil
	}
	if err := m.Emit(after, result); err != nil {
		return result, fmt.Errorf("readthrough: emit: %w", err)
	}
	return result, nil
}

// write runs Write, within HoldFor if something is held.
func (m *Mutation[R]) write(ctx context.Context) (R, error) {
	if m.Hold.size() == 0 {
		return m.Write(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, m.HoldFor)
	defer cancel()
	return m.Write(ctx)
}

// targets returns what the change made stale, and what was held for it.
func (m *Mutation[R]) targets(result R) Targets {
	targets := m.Invalidate(result)
	return Targets{
		Keys:     slices.Concat(targets.Keys, m.Hold.Keys),
		Prefixes: slices.Concat(targets.Prefixes, m.Hold.Prefixes),
	}
}

func (m *Mutation[R]) check(ctx context.Context, s *CachedScope) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	switch {
	case m.Write == nil:
		return errors.New("readthrough: Mutation.Write: must not be nil")
	case m.Invalidate == nil:
		return errors.New("readthrough: Mutation.Invalidate: must not be nil")
	case m.HoldFor < 0:
		return fmt.Errorf("readthrough: Mutation.HoldFor: %v: must not be negative", m.HoldFor)
	case m.Hold.validate() != nil:
		return fmt.Errorf("readthrough: Mutation.Hold: %w", m.Hold.validate())
	default:
		return nil
	}
}
