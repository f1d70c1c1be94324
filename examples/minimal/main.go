// Command minimal reads a database, here a map, through a cache in memory.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
)

func main() {
	ctx, titles := context.Background(), map[string]string{"42": "Switch upgrade"} // titles is our database
	store, err := memory.New(memory.Options{MaxEntries: 100_000})
	check(err)
	cache, err := readthrough.New(store, readthrough.Options{})
	check(err)
	scope, err := cache.Scope("maintenance", readthrough.ScopeOptions{TTL: 15 * time.Second})
	check(err)

	get := readthrough.Memoize(scope, func(id string) string { return "maintenance:" + id },
		func(_ context.Context, id string) (string, error) {
			fmt.Println("database: read", id)
			return titles[id], nil
		})
	fmt.Println(get(ctx, "42"))
	fmt.Println(get(ctx, "42")) // from the cache
	titles["42"] = "Switch upgrade, postponed"
	check(scope.Invalidate(ctx, "maintenance:42")) // after the write, before you tell anybody
	fmt.Println(get(ctx, "42"))
	check(cache.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
