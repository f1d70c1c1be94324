package adapt_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/adapt"
	"github.com/readthrough/readthrough/memory"
)

type comment struct {
	Article int
	Text    string
}

var errDown = errors.New("the database is down")

func TestByID(t *testing.T) {
	var rows []comment
	var fails error
	load := adapt.ByID(func(context.Context, []int) ([]comment, error) { return rows, fails }, func(c comment) int { return c.Article })
	for _, c := range []struct {
		rows  []comment
		fails error
		want  map[int]comment
	}{
		{nil, nil, map[int]comment{}},
		{[]comment{{2, "b"}, {1, "a"}}, nil, map[int]comment{1: {1, "a"}, 2: {2, "b"}}},
		{[]comment{{1, "a"}}, errDown, map[int]comment{1: {1, "a"}}},
	} {
		rows, fails = c.rows, c.fails
		got, err := load(t.Context(), []int{1, 2})
		assert.Equal(t, c.fails, err)
		assert.Equal(t, c.want, got)
	}
	rows, fails = []comment{{1, "a"}, {1, "b"}}, nil
	_, err := load(t.Context(), []int{1})
	assert.EqualError(t, err, "adapt: ByID: two values with id 1: use GroupBy")
}

// TestGroupBy: an id without rows has an empty group, unless the load has failed and nobody knows.
func TestGroupBy(t *testing.T) {
	var fails error
	load := adapt.GroupBy(func(context.Context, []int) ([]comment, error) {
		return []comment{{2, "b"}, {1, "z"}, {2, "a"}}, fails
	}, func(c comment) int { return c.Article })
	groups := map[int][]comment{1: {{1, "z"}}, 2: {{2, "b"}, {2, "a"}}, 3: {}}
	got, err := load(t.Context(), []int{1, 2, 3})
	require.NoError(t, err)
	assert.Equal(t, groups, got)
	fails = errDown
	got, err = load(t.Context(), []int{1, 2, 3})
	require.ErrorIs(t, err, errDown)
	delete(groups, 3)
	assert.Equal(t, groups, got)
}

func TestInOrder(t *testing.T) {
	values := map[int]string{1: "a", 2: "b", 3: "c"}
	assert.Equal(t, []string{"c", "a", "a"}, adapt.InOrder([]int{3, 1, 4, 1}, values))
	assert.NotNil(t, adapt.InOrder(nil, values))
}

// TestNilAbsent: nil without an error is cached as an absence.
func TestNilAbsent(t *testing.T) {
	loads := 0
	answers := map[int]func() (*comment, error){
		1: func() (*comment, error) { return &comment{1, "a"}, nil },
		2: func() (*comment, error) { return nil, nil },
		3: func() (*comment, error) { return nil, errDown },
	}
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	cache, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	scope, err := cache.Scope("comments", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(t, err)
	f, err := readthrough.NewFamily(scope, "comment:", readthrough.Loads[int, *comment]{
		One: adapt.NilAbsent(func(_ context.Context, id int) (*comment, error) { loads++; return answers[id]() }),
	})
	require.NoError(t, err)
	for range 2 {
		got, err := f.Get(t.Context(), 1)
		assert.NoError(t, err)
		assert.Equal(t, &comment{1, "a"}, got)
		_, err = f.Get(t.Context(), 2)
		assert.ErrorIs(t, err, readthrough.ErrNotFound)
	}
	assert.Equal(t, 2, loads, "loads")
	_, err = f.Get(t.Context(), 3)
	assert.ErrorIs(t, err, errDown)
	assert.NotErrorIs(t, err, readthrough.ErrNotFound)
}

func TestPaged(t *testing.T) {
	var fails error
	load := adapt.Paged(func(_ context.Context, limit int) ([]string, int64, error) {
		return []string{"a", "b"}[:limit], 2, fails
	})
	got, err := load(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, adapt.Page[[]string, int64]{Items: []string{"a"}, Total: 2}, got)
	fails = errDown
	got, err = load(t.Context(), 1)
	require.ErrorIs(t, err, errDown)
	assert.Zero(t, got)
}

// The comments of some articles are one query, and are cached for each article.
func ExampleGroupBy() {
	store, err := memory.New(memory.Options{})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := readthrough.New(store, readthrough.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	scope, err := cache.Scope("articles", readthrough.ScopeOptions{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	commentsOf := func(_ context.Context, articles []int) ([]comment, error) {
		fmt.Println("SELECT ... WHERE article IN", articles)
		return []comment{{1, "first"}, {1, "second"}}, nil
	}
	comments, err := readthrough.NewFamily(scope, "comments:", readthrough.Loads[int, []comment]{
		Many: adapt.GroupBy(commentsOf, func(c comment) int { return c.Article }),
	})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		fmt.Println(comments.GetMany(context.Background(), []int{1, 2}))
	}
	// Output:
	// SELECT ... WHERE article IN [1 2]
	// map[1:[{1 first} {1 second}] 2:[]] <nil>
	// map[1:[{1 first} {1 second}] 2:[]] <nil>
}
