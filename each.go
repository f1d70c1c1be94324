package readthrough

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Each makes the load function of [WrapMany] from one that loads a single id, of
// which at most limit run at once. An id for which load returns an error that
// matches [ErrNotFound] or [ScopeOptions.NotFound] is absent.
//
// Any other error, a panic (as [*PanicError]) and [ErrGoexit] end the bulk load:
// no further id is begun, the context of those under way is cancelled, and the
// error is returned with the values that were loaded, which are kept.
//
// A limit below 1 and a nil load are errors of the load function that Each
// returns.
func Each[ID comparable, T any](limit int, load func(context.Context, ID) (T, error)) func(context.Context, []ID) (map[ID]T, error) {
	return func(ctx context.Context, ids []ID) (map[ID]T, error) {
		if limit < 1 {
			return nil, fmt.Errorf("readthrough: Each: limit: %d: must be at least 1", limit)
		}
		if load == nil {
			return nil, errors.New("readthrough: Each: load: must not be nil")
		}
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(limit)
		e := each[ID, T]{values: make(map[ID]T, len(ids))}
		for _, id := range ids {
			if groupCtx.Err() != nil {
				break
			}
			group.Go(func() error { return e.one(groupCtx, id, load) })
		}
		err := group.Wait()
		if err == nil {
			err = e.goexit
		}
		if err == nil && len(e.values)+e.absent < len(ids) {
			err = ctx.Err() // which kept the others from being begun
		}
		return e.values, err
	}
}

// each is one run of a load function made by [Each].
type each[ID comparable, T any] struct {
	mu     sync.Mutex // guards following
	values map[ID]T
	absent int
	goexit error
}

// one loads id.
func (e *each[ID, T]) one(ctx context.Context, id ID, load func(context.Context, ID) (T, error)) (err error) {
	returned := false
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: stack()}
		} else if !returned {
			e.mu.Lock()
			e.goexit = ErrGoexit // the group does not see what a goroutine returns that exits
			e.mu.Unlock()
		}
	}()
	value, err := load(ctx, id)
	returned = true
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.values[id] = value
	case saysNotFound(ctx, err):
		e.absent++
		err = nil
	}
	return err
}

// saysNotFound reports whether err says, in a load with context ctx, that there
// is nothing.
func saysNotFound(ctx context.Context, err error) bool {
	if errors.Is(err, ErrNotFound) {
		return true
	}
	c := parentCall(ctx)
	return c != nil && errors.Is(err, c.notFound)
}
