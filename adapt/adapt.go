// Package adapt makes load functions of what repositories have: slices instead of maps, several results, nil
// instead of an error for a row that is not there.
//
//	users, err := readthrough.NewFamily(scope, "user:", readthrough.Loads[int64, *User]{
//		One:  adapt.NilAbsent(repo.Find),
//		Many: adapt.ByID(repo.ListByIDs, func(u *User) int64 { return u.ID }),
//	})
//	comments, err := readthrough.NewFamily(scope, "comments:", readthrough.Loads[int64, []Comment]{
//		Many: adapt.GroupBy(repo.CommentsOf, func(c Comment) int64 { return c.Article }),
//	})
//	lists, err := readthrough.NewList(scope, "list:", adapt.Paged(repo.List))
//
// A repository with an error of its own for a row that is not there, such as sql.ErrNoRows, pgx.ErrNoRows or
// gorm.ErrRecordNotFound, needs no adapter: that error is readthrough.ScopeOptions.NotFound.
package adapt

import (
	"context"
	"fmt"

	"github.com/readthrough/readthrough"
)

// ByID makes a load function of many ids from one that returns a slice. id returns the id of a value. An id
// without a value is absent. Two values with one id are an error of the load. Values that come with an error
// are returned beside it.
func ByID[ID comparable, T any](load func(ctx context.Context, ids []ID) ([]T, error), id func(value T) ID) func(ctx context.Context, ids []ID) (map[ID]T, error) {
	return func(ctx context.Context, ids []ID) (map[ID]T, error) {
		values, err := load(ctx, ids)
		byID := make(map[ID]T, len(values))
		for _, value := range values {
			key := id(value)
			if _, twice := byID[key]; twice {
				return nil, fmt.Errorf("adapt: ByID: two values with id %v: use GroupBy", key)
			}
			byID[key] = value
		}
		return byID, err
	}
}

// GroupBy makes a load function of many ids from one that returns the rows of all of them in one slice, such as
// the comments of some articles. id returns the id that a row belongs to. An id without rows has an empty slice,
// which is not nil: it is a value, and not absent. The rows of an id stay in the order in which load returns them.
//
// If load returns an error, only the ids that have rows are returned beside it, since the others may have some.
// A load that returns a part of the rows of an id with an error should return none.
func GroupBy[ID comparable, T any](load func(ctx context.Context, ids []ID) ([]T, error), id func(row T) ID) func(ctx context.Context, ids []ID) (map[ID][]T, error) {
	return func(ctx context.Context, ids []ID) (map[ID][]T, error) {
		rows, err := load(ctx, ids)
		groups := make(map[ID][]T, len(ids))
		if err == nil {
			for _, id := range ids {
				groups[id] = []T{}
			}
		}
		for _, row := range rows {
			groups[id(row)] = append(groups[id(row)], row)
		}
		return groups, err
	}
}

// InOrder returns the values of ids in the order of ids, as a repository returns them that is asked by ids. Ids
// without a value are left out. The result is never nil.
func InOrder[ID comparable, T any](ids []ID, values map[ID]T) []T {
	ordered := make([]T, 0, len(ids))
	for _, id := range ids {
		if value, ok := values[id]; ok {
			ordered = append(ordered, value)
		}
	}
	return ordered
}

// NilAbsent makes a load function of one that returns nil and no error for an id that the source does not have.
// Without it, nil is a value like any other, and is stored for the TTL instead of the NegativeTTL.
func NilAbsent[ID, T any](load func(ctx context.Context, id ID) (*T, error)) func(ctx context.Context, id ID) (*T, error) {
	return func(ctx context.Context, id ID) (*T, error) {
		value, err := load(ctx, id)
		if value == nil && err == nil {
			return nil, readthrough.ErrNotFound
		}
		return value, err
	}
}

// Page is what a query returns beside its error: items, and something about all of them, such as how many there are
// or where the next page begins.
type Page[T, N any] struct {
	Items T
	Total N
}

// Paged makes a load function of a query that returns two values and an error. Example: of
// List(ctx, filter) ([]User, int64, error).
func Paged[F, T, N any](load func(ctx context.Context, filter F) (T, N, error)) func(ctx context.Context, filter F) (Page[T, N], error) {
	return func(ctx context.Context, filter F) (Page[T, N], error) {
		items, total, err := load(ctx, filter)
		if err != nil {
			return Page[T, N]{}, err
		}
		return Page[T, N]{Items: items, Total: total}, nil
	}
}
