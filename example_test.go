package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
)

// openScope is what the first example does.
func openScope() (*readthrough.Cache, *readthrough.CachedScope) {
	store, err := memory.New(memory.Options{MaxEntries: 100_000})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := readthrough.New(store, readthrough.Options{})
	if err != nil {
		log.Fatal(err)
	}
	scope, err := cache.Scope("maintenance", readthrough.ScopeOptions{TTL: 15 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	return cache, scope
}

func Example() {
	store, err := memory.New(memory.Options{MaxEntries: 100_000})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := readthrough.New(store, readthrough.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()

	scope, err := cache.Scope("maintenance", readthrough.ScopeOptions{TTL: 15 * time.Second})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	title := "Replace the switch"
	read := func() {
		got, err := readthrough.Wrap(ctx, scope, "maintenance:42", func(context.Context) (string, error) {
			fmt.Println("loading")
			return title, nil
		})
		fmt.Println(got, err)
	}
	read()
	read()

	title = "Replace both switches"
	if err := scope.Invalidate(ctx, "maintenance:42"); err != nil {
		log.Fatal(err)
	}
	read()
	// Output:
	// loading
	// Replace the switch <nil>
	// Replace the switch <nil>
	// loading
	// Replace both switches <nil>
}

func ExampleWrap_absent() {
	cache, scope := openScope()
	defer cache.Close()
	ctx := context.Background()

	for range 2 {
		_, err := readthrough.Wrap(ctx, scope, "maintenance:43", func(context.Context) (string, error) {
			fmt.Println("loading")
			return "", fmt.Errorf("maintenance 43: %w", readthrough.ErrNotFound)
		})
		fmt.Println(errors.Is(err, readthrough.ErrNotFound))
	}
	// Output:
	// loading
	// true
	// true
}

func ExampleWrapMany() {
	cache, scope := openScope()
	defer cache.Close()
	ctx := context.Background()

	key := func(id int) string { return fmt.Sprint("system:", id) }
	load := func(_ context.Context, missing []int) (map[int]string, error) {
		fmt.Println("loading", missing)
		names := map[int]string{7: "mail", 8: "web", 9: "backup"}
		found := make(map[int]string)
		for _, id := range missing {
			if name, ok := names[id]; ok {
				found[id] = name
			}
		}
		return found, nil
	}
	for _, ids := range [][]int{{7, 8}, {7, 8, 9, 10}, {9, 10}} {
		systems, err := readthrough.WrapMany(ctx, scope, ids, key, load)
		fmt.Println(systems, err)
	}
	// Output:
	// loading [7 8]
	// map[7:mail 8:web] <nil>
	// loading [9 10]
	// map[7:mail 8:web 9:backup] <nil>
	// map[9:backup] <nil>
}

func ExampleEach() {
	cache, scope := openScope()
	defer cache.Close()
	ctx := context.Background()

	square := func(_ context.Context, id int) (int, error) { return id * id, nil }
	key := func(id int) string { return fmt.Sprint("square:", id) }
	squares, err := readthrough.WrapMany(ctx, scope, []int{1, 2, 3}, key, readthrough.Each(4, square))
	fmt.Println(squares, err)
	// Output:
	// map[1:1 2:4 3:9] <nil>
}

func ExampleMemoize() {
	cache, scope := openScope()
	defer cache.Close()
	ctx := context.Background()

	fromDatabase := func(_ context.Context, id int) (string, error) {
		fmt.Println("loading", id)
		return fmt.Sprint("maintenance number ", id), nil
	}
	get := readthrough.Memoize(scope, func(id int) string { return fmt.Sprint("maintenance:", id) }, fromDatabase)

	for range 2 {
		fmt.Println(get(ctx, 42))
	}
	// Output:
	// loading 42
	// maintenance number 42 <nil>
	// maintenance number 42 <nil>
}

func ExampleMutate() {
	cache, scope := openScope()
	defer cache.Close()
	ctx := context.Background()

	system := map[int]string{42: "mail"} // of each maintenance
	type moved struct{ from, to string }
	_, err := readthrough.Mutate(ctx, scope, readthrough.Mutation[moved]{
		Write: func(context.Context) (moved, error) {
			m := moved{from: system[42], to: "web"}
			system[42] = m.to
			fmt.Println("written")
			return m, nil
		},
		Invalidate: func(m moved) readthrough.Targets {
			return readthrough.Targets{
				Keys:     []string{"maintenance:42", "system:" + m.from, "system:" + m.to},
				Prefixes: []string{"list:"},
			}
		},
		Emit: func(_ context.Context, m moved) error {
			fmt.Println("moved from", m.from, "to", m.to)
			return nil
		},
	})
	fmt.Println(err)
	// Output:
	// written
	// moved from mail to web
	// <nil>
}

func ExampleCachedScope_InvalidatePrefix() {
	cache, scope := openScope()
	defer cache.Close()
	ctx := context.Background()

	for _, key := range []string{"list:open", "list:done", "maintenance:42"} {
		if _, err := readthrough.Wrap(ctx, scope, key, func(context.Context) (int, error) { return 1, nil }); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(scope.InvalidatePrefix(ctx, "list:"))
	// Output:
	// 2 <nil>
}

func ExampleKey() {
	type filters struct {
		Status string `json:"status,omitempty"`
		System int    `json:"system,omitempty"`
	}
	fmt.Println(readthrough.Key("list:", filters{Status: "planned", System: 7}))
	fmt.Println(readthrough.Key("list:", map[string]any{"system": 7, "status": "planned"}))
	// Output:
	// list:{"status":"planned","system":7} <nil>
	// list:{"status":"planned","system":7} <nil>
}

func ExampleCachedScope_Stats() {
	cache, scope := openScope()
	defer cache.Close()
	ctx := context.Background()

	double := readthrough.Memoize(scope, func(id int) string { return fmt.Sprint(id) },
		func(_ context.Context, id int) (int, error) { return 2 * id, nil })
	values := make(map[int]int)
	for _, id := range []int{1, 2, 1, 1} {
		values[id], _ = double(ctx, id)
	}
	stats := scope.Stats()
	fmt.Println(slices.Sorted(maps.Values(values)), stats.Hits, "hits", stats.Loads, "loads")
	// Output:
	// [2 4] 2 hits 2 loads
}

// A value is kept for an hour after its TTL, for reads whose load fails.
func ExampleWrapResult() {
	cache, _ := openScope()
	defer cache.Close()
	ctx := context.Background()

	scope, err := cache.Scope("pages", readthrough.ScopeOptions{
		TTL:          time.Minute,
		StaleIfError: time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, down := range []bool{false, true} {
		got, err := readthrough.WrapResult(ctx, scope, "page:1", func(ctx context.Context) (string, error) {
			if down {
				return "", errors.New("the database is down")
			}
			readthrough.LoadOf(ctx, "page:1").SetTTL(time.Nanosecond) // so that the second read finds it stale
			return "Welcome", nil
		})
		fmt.Println(got.Value, "from:", got.Source, "because of:", got.Err, "error:", err)
	}
	// Output:
	// Welcome from: load because of: <nil> error: <nil>
	// Welcome from: stale because of: the database is down error: <nil>
}

// A load asks the source only whether the value has changed.
func ExampleLoadOf() {
	cache, scope := openScope()
	defer cache.Close()
	ctx := context.Background()

	const etag = `"v7"` // of what the source has
	get := func(ctx context.Context) (string, error) {
		load := readthrough.LoadOf(ctx, "page:1")
		if load.Validator() == etag {
			fmt.Println("not modified")
			load.NotModified()
			return "", nil // not used
		}
		fmt.Println("loading")
		load.SetValidator(etag)
		return "Welcome", nil
	}
	fmt.Println(readthrough.Wrap(ctx, scope, "page:1", get))
	fmt.Println(readthrough.Refresh(ctx, scope, "page:1", get))
	// Output:
	// loading
	// Welcome <nil>
	// not modified
	// Welcome <nil>
}

// A write that has the new value stores it: the next read is a hit.
func ExamplePut() {
	cache, scope := openScope()
	defer cache.Close()
	ctx := context.Background()

	title := "Replace the switch"
	fmt.Println(readthrough.Put(ctx, scope, "maintenance:42", func(context.Context) (string, error) {
		title = "Replace both switches"
		return title, nil
	}))
	fmt.Println(readthrough.Wrap(ctx, scope, "maintenance:42", func(context.Context) (string, error) {
		fmt.Println("loading")
		return title, nil
	}))
	// Output:
	// Replace both switches <nil>
	// Replace both switches <nil>
}

// Values are loaded before the first read, and again when somebody knows better.
func ExampleRefresh() {
	cache, scope := openScope()
	defer cache.Close()
	ctx := context.Background()

	open := 3
	count := func(context.Context) (int, error) { return open, nil }
	fmt.Println(readthrough.Refresh(ctx, scope, "open", count))
	open = 4 // which nobody has announced
	fmt.Println(readthrough.Wrap(ctx, scope, "open", count))
	fmt.Println(readthrough.Refresh(ctx, scope, "open", count))
	fmt.Println(readthrough.Wrap(ctx, scope, "open", count))
	// Output:
	// 3 <nil>
	// 3 <nil>
	// 4 <nil>
	// 4 <nil>
}

// However many keys are missing at once, the database gets two queries at a time.
func ExampleScopeOptions_maxLoads() {
	cache, _ := openScope()
	defer cache.Close()
	ctx := context.Background()

	scope, err := cache.Scope("reports", readthrough.ScopeOptions{TTL: time.Minute, MaxLoads: 2})
	if err != nil {
		log.Fatal(err)
	}
	var running, tooMany atomic.Int64
	var readers sync.WaitGroup
	for i := range 100 {
		readers.Go(func() {
			_, err := readthrough.Wrap(ctx, scope, fmt.Sprint("report:", i), func(context.Context) (int, error) {
				if running.Add(1) > 2 {
					tooMany.Add(1)
				}
				defer running.Add(-1)
				return i, nil
			})
			if err != nil {
				log.Fatal(err)
			}
		})
	}
	readers.Wait()
	fmt.Println(scope.Stats().Loads, "loads,", tooMany.Load(), "too many at once")
	// Output:
	// 100 loads, 0 too many at once
}
