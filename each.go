package readthrough

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// Each makes a load function for [WrapMany] from one that loads a single id. At most limit of them
// run at once. Example: Each(8, repo.Get). An id for which load returns an error that matches
// [ErrNotFound] or [ScopeOptions.NotFound] is absent.
//
// Any other error, a panic (as [*PanicError]) and [ErrGoexit] belong to their id alone: the other ids
// are loaded, kept and returned beside the error. The errors come back joined, each with its id. If the
// context of the load ends, no further id is begun.
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
		if err := checkIDs(ids); err != nil {
			return nil, err
		}
		e := each[ID, T]{values: make(map[ID]T, len(ids))}
		var group errgroup.Group
		group.SetLimit(limit)
		for _, id := range ids {
			if ctx.Err() != nil {
				break
			}
			group.Go(func() error { e.one(ctx, id, load); return nil })
		}
		group.Wait() //nolint:errcheck // the errors are in e, those of goroutines that exit included
		return e.values, e.error(ctx, ids)
	}
}

// each is one run of a load function that [Each] has made.
type each[ID comparable, T any] struct {
	mu     sync.Mutex // guards following
	values map[ID]T
	absent map[ID]struct{} // made when the first id is absent
	failed map[ID]error    // made when the first id fails
}

// one loads id, unless the context has ended while id waited for its turn.
func (e *each[ID, T]) one(ctx context.Context, id ID, load func(context.Context, ID) (T, error)) {
	if ctx.Err() != nil {
		return
	}
	err := ErrGoexit // unless load returns or panics
	defer func() {
		if r := recover(); r != nil {
			err = panicError(r)
		}
		if err != nil {
			e.fail(id, err)
		}
	}()
	var value T
	value, err = load(ctx, id)
	err = backend.Sane(err)
	notFound := err != nil && saysNotFound(ctx, err)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.values[id] = value
	case notFound:
		if e.absent == nil {
			e.absent = make(map[ID]struct{})
		}
		e.absent[id] = struct{}{}
		err = nil
	}
}

func (e *each[ID, T]) fail(id ID, err error) {
	err = backend.Sane(err) // before the lock: it may be the user's code
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed == nil {
		e.failed = make(map[ID]error)
	}
	e.failed[id] = err
}

// error returns the errors of all ids, once all loads have ended.
func (e *each[ID, T]) error(ctx context.Context, ids []ID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var cause error // why some ids were not begun
	if len(e.values)+len(e.absent)+len(e.failed) < len(ids) {
		cause = ctx.Err()
	}
	if len(e.failed) == 0 {
		return cause
	}
	return &eachError[ID]{ids: slices.Clone(ids), of: e.failed, absent: e.absent, others: cause}
}

// eachError is the error of a bulk load in which some ids have failed. WrapMany gives each reader the
// errors of its own ids.
type eachError[ID comparable] struct {
	ids    []ID // in the order of the load
	of     map[ID]error
	absent map[ID]struct{} // the ids of which the source has nothing
	others error           // of the ids that were not begun; nil: there are none
}

// list returns the errors in the order of the ids, each once.
func (e *eachError[ID]) list() (errs []error) {
	for _, id := range e.ids {
		if err := e.of[id]; err != nil {
			errs = append(errs, fmt.Errorf("readthrough: id %v: %w", id, err))
		}
	}
	if e.others != nil {
		errs = append(errs, e.others)
	}
	return errs
}

// outcome returns what a run brought for an id of which it has no value: an error of its own, or an
// absence. It returns nothing if the run did not get to the id, or has not had it: a load may split its
// ids over several runs, and join their errors.
func (e *eachError[ID]) outcome(id ID) outcome {
	if err := e.of[id]; err != nil {
		return outcome{known: true, err: fmt.Errorf("readthrough: id %v: %w", id, err)}
	}
	_, absent := e.absent[id]
	return outcome{known: absent, entry: provider.Entry{Absent: absent}}
}

// without returns e without the errors of ids that are absent; nil: no error is left.
func (e *eachError[ID]) without(isAbsent func(error) bool) error {
	maps.DeleteFunc(e.of, func(_ ID, err error) bool { return isAbsent(err) })
	if len(e.of) == 0 {
		return e.others
	}
	return e
}

func (e *eachError[ID]) Error() string { return errors.Join(e.list()...).Error() }

func (e *eachError[ID]) Unwrap() []error { return e.list() }

// saysNotFound reports whether err means that the source has nothing, in a load with context ctx.
func saysNotFound(ctx context.Context, err error) bool {
	if c := parentCall(ctx); c != nil {
		return c.scope.isNotFound(err)
	}
	return errors.Is(err, ErrNotFound)
}
