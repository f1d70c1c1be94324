package readthrough

import (
	"context"
	"errors"
	"reflect"
	"slices"
)

// List is a kind of query in a [CachedScope], whose results are stored by their filters. A filter is a
// struct, map, slice or scalar; T is what the query returns, such as []*User. Make it with [NewList]. It
// is safe for concurrent use.
type List[F, T any] struct {
	scope   *CachedScope
	prefix  string
	load    func(ctx context.Context, filter F) (T, error)
	options []CallOption
	clone   func(T) T // nil: readers share the results
}

// NewList returns the list whose keys consist of prefix and a stable JSON encoding of the filter, as
// those of [Key]:
//
//	lists, err := readthrough.NewList(scope, "list:", repo.List)
//	users, err := lists.Get(ctx, Filter{Status: "active"})
//
// Equal filters have equal keys. Filters that mean the same but are not equal, such as two orders of the
// same statuses, are different keys: bring them into one form before.
//
// A query of several results, such as items and their total, returns a struct of them; package adapt
// makes one of (items, total, error).
//
// The errors are those of [NewFamily], with a nil load and without those about ids.
func NewList[F, T any](s *CachedScope, prefix string, load func(ctx context.Context, filter F) (T, error), options ...CallOption) (*List[F, T], error) {
	const function = "NewList"
	if _, err := checkReads[T](function, s, true, load != nil, options); err != nil {
		return nil, err
	}
	prefix, err := s.prefixes.add(function, s.name, prefix, reflect.TypeFor[List[F, T]]())
	if err != nil {
		return nil, err
	}
	return &List[F, T]{scope: s, prefix: prefix, load: load, options: slices.Clone(options)}, nil
}

// Cloned returns a list with the same entries. Its results are copies that clone makes. Each reader may change and sort
// its copy, and each hit costs a copy. clone must copy as deep as readers change what they get; nil means that readers
// share the results. Example: slices.Clone[[]User].
func (l *List[F, T]) Cloned(clone func(result T) T) *List[F, T] {
	if !l.isMade() {
		return l
	}
	cloned := *l
	cloned.clone = clone
	return &cloned
}

// Get returns the result of the query for filter, as [Wrap] does. A filter without a key, such as one
// with a NaN, is an error that matches [ErrBadKey], and nothing is loaded. All readers share the result:
// do not change it, and do not sort it, unless the list is [List.Cloned].
func (l *List[F, T]) Get(ctx context.Context, filter F) (T, error) {
	return l.read(ctx, filter, Wrap[T])
}

// Refresh runs the query for filter now, whatever is stored, and stores the result: see the function
// [Refresh].
func (l *List[F, T]) Refresh(ctx context.Context, filter F) (T, error) {
	return l.read(ctx, filter, Refresh[T])
}

// Peek returns the result for filter if it is stored, and runs no query: see the function [Peek].
func (l *List[F, T]) Peek(ctx context.Context, filter F) (value T, ok bool, err error) {
	key, err := l.Key(filter)
	if err != nil {
		return value, false, err
	}
	value, ok, err = Peek[T](ctx, l.scope, key)
	return l.given(value, ok), ok, err
}

// read reads by how, which is Wrap or Refresh.
func (l *List[F, T]) read(ctx context.Context, filter F, how func(context.Context, *CachedScope, string, func(context.Context) (T, error), ...CallOption) (T, error)) (none T, err error) {
	key, err := l.Key(filter)
	if err != nil {
		return none, err
	}
	result, err := how(ctx, l.scope, key, func(ctx context.Context) (T, error) { return l.load(ctx, filter) }, l.options...)
	return l.given(result, err == nil), err
}

// given returns what a reader gets of a result, if there is one.
func (l *List[F, T]) given(result T, ok bool) T {
	if !ok || l.clone == nil {
		return result
	}
	return l.clone(result)
}

// Invalidate removes the results for all filters, after a change of the source that may be in any of them:
// see [CachedScope.InvalidatePrefix]. A query whose results are known to have changed is invalidated by Of.
func (l *List[F, T]) Invalidate(ctx context.Context) error {
	if !l.isMade() {
		return errNoList
	}
	_, err := l.scope.InvalidateTargets(ctx, l.All())
	return err
}

// Of returns the results for filters as targets, for [Cache.Invalidate] and [Mutation]. A filter without a key
// is an error of the call that gets them.
func (l *List[F, T]) Of(filters ...F) Targets {
	if !l.isMade() {
		return Targets{err: errNoList}
	}
	keys := make([]string, len(filters))
	for n, filter := range filters {
		var err error
		if keys[n], err = l.Key(filter); err != nil {
			return Targets{err: err}
		}
	}
	return l.scope.Of(keys...)
}

// All returns the results for all filters as targets.
func (l *List[F, T]) All() Targets {
	if !l.isMade() {
		return Targets{err: errNoList}
	}
	return l.scope.Under(l.prefix)
}

// Key returns the key of filter in the scope. Example: list:{"status":"open"}. The error matches
// [ErrBadKey].
func (l *List[F, T]) Key(filter F) (string, error) {
	if !l.isMade() {
		return "", errNoList
	}
	return filterKey("List", l.prefix, filter)
}

// Scope returns the scope of the list; nil if l is nil.
func (l *List[F, T]) Scope() *CachedScope {
	if !l.isMade() {
		return nil
	}
	return l.scope
}

func (l *List[F, T]) isMade() bool { return l != nil && l.scope != nil }

var errNoList = errors.New("readthrough: the list was not made by NewList")
