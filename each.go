package readthrough

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Each makes a load function for [WrapMany] from one that loads a single id. At most limit of them
// run at once. Example: Each(8, repo.Get). An id for which load returns an error that matches
// [ErrNotFound] or [ScopeOptions.NotFound] is absent.
//
// Any other error, a panic (as [*PanicError]) and [ErrGoexit] end the bulk load: no further id is
// begun, and the context of those under way is cancelled. The error is returned with the values
// that were loaded, which are kept.
//
// If limit is less than 1 or load is nil, the load function that Each returns always returns an
// error.
func Each[ID comparable, T any](limit int, load func(context.Context, ID) (T, error)) func(context.Context, []ID) (map[ID]T, error) {
	return func(ctx context.Context, ids []ID) (map[ID]T, error) {
		if limit < 1 {
			return nil, fmt.Errorf("readthrough: Each: limit: %d: must be at least 1", limit)
		}
		if load == nil {
			return nil, errors.New("readthrough: Each: load: must not be nil")
		}
		run, cancel := context.WithCancel(ctx)
		defer cancel()
		e := each[ID, T]{cancel: cancel, values: make(map[ID]T, len(ids))}
		var group errgroup.Group
		group.SetLimit(limit)
		for _, id := range ids {
			if run.Err() != nil {
				break
			}
			group.Go(func() error { e.one(run, id, load); return nil })
		}
		group.Wait() //nolint:errcheck // the errors are in e, those of goroutines that exit included
		err := e.err
		if err == nil && len(e.values)+e.absent < len(ids) {
			err = ctx.Err() // which kept the others from being begun
		}
		return e.values, err
	}
}

// each is one run of a load function that [Each] has made.
type each[ID comparable, T any] struct {
	// cancel ends the loads of the other ids. It is called without mu: it may run code of the user.
	cancel context.CancelFunc // ends the others

	mu     sync.Mutex // guards following
	values map[ID]T
	absent int
	// err is the first error.
	err error
}

// one loads id, unless the run ended while id waited for its turn.
func (e *each[ID, T]) one(ctx context.Context, id ID, load func(context.Context, ID) (T, error)) {
	if ctx.Err() != nil {
		return
	}
	err := ErrGoexit // unless load returns or panics
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: stack()}
		}
		e.failed(err)
	}()
	var value T
	value, err = load(ctx, id)
	notFound := err != nil && saysNotFound(ctx, err)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.values[id] = value
	case notFound:
		e.absent++
		err = nil
	}
}

// failed ends the run if err is an error.
func (e *each[ID, T]) failed(err error) {
	if err == nil {
		return
	}
	e.mu.Lock()
	if e.err == nil {
		e.err = err
	}
	e.mu.Unlock()
	e.cancel()
}

// saysNotFound reports whether err means that the source has nothing, in a load with context ctx.
func saysNotFound(ctx context.Context, err error) bool {
	if errors.Is(err, ErrNotFound) {
		return true
	}
	c := parentCall(ctx)
	return c != nil && errors.Is(err, c.scope.options.NotFound)
}
