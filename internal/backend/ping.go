package backend

import (
	"context"
	"fmt"

	"github.com/readthrough/readthrough/provider"
)

// Ping asks whether the store can be reached, and returns why not. It is for a probe that wants to know
// how things are now: it asks although the breaker is open, and tells the breaker nothing. Otherwise a
// probe could have reads resume before the entries that they must not see are gone.
//
// A store in the process can always be reached. A store that is no [provider.Pinger] is asked for an
// entry that nobody has.
func (b *Backend) Ping(ctx context.Context) error {
	if b.Local {
		return nil
	}
	ping := b.pingByGet
	if b.pinger != nil {
		ping = b.pinger.Ping
	}
	_, err := aside(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, ping(ctx) })
	return err
}

// pingByGet returns the cause of what a Get fails with: the errors around it name the key.
func (b *Backend) pingByGet(ctx context.Context) error {
	_, _, err := b.store.Get(ctx, provider.Key{Scope: "ping", Name: "ping"})
	if err = Sane(err); err == nil || OfEntry(err) {
		return nil
	}
	return &caused{Cause(err).Error(), err}
}

// Advises reports whether the store is a [provider.Advisor].
func (b *Backend) Advises() bool { return b.advisor != nil }

// Advise asks the store how its servers are set up.
func (b *Backend) Advise(ctx context.Context) ([]provider.Advice, error) {
	return aside(ctx, b, b.advisor.Advise)
}

// aside makes a request whose outcome is none of the breaker's. It takes DeleteTimeout at most.
func aside[R any](ctx context.Context, b *Backend, call func(context.Context) (R, error)) (result R, err error) {
	if b.Saturated() {
		return result, b.withFailure(fmt.Errorf("%d requests have no answer: the store is not asked any more", b.orphans.Load()))
	}
	bounded, cancel := context.WithTimeout(ctx, b.DeleteTimeout)
	defer cancel()
	result, err = leavable(bounded, b, call, nil)
	if err == errUnanswered { //nolint:errorlint // the one of leavable, not one of the store
		err = bounded.Err() // what a store says that notices it in time
	}
	if err = Sane(err); err != nil && bounded.Err() != nil {
		err = b.withFailure(err) // that the time is over is no cause
	}
	return result, err
}

// withFailure adds to err, which says no cause, the last one that is known.
func (b *Backend) withFailure(err error) error {
	if f := b.failure.Load(); f != nil {
		return fmt.Errorf("%w; the last request failed because of: %v", err, Cause(f.err)) //nolint:errorlint // it is no error of this request
	}
	return err
}

// caused is an error whose text is that of its cause.
type caused struct {
	text string
	err  error
}

func (e *caused) Error() string { return e.text }

func (e *caused) Unwrap() error { return e.err }
