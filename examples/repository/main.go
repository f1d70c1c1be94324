// Command repository puts a cache around an existing repository: the interface
// stays, and so does all code that uses it. The pattern is in cached.go.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"maps"
	"slices"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	store, err := memory.New(memory.Options{MaxEntries: 100_000})
	if err != nil {
		return err
	}
	cache, err := readthrough.New(store, readthrough.Options{})
	if err != nil {
		return err
	}
	products, err := newCached(cache, &database{products: map[string]Product{
		"cup": {"cup", "Cup", 900}, "pot": {"pot", "Pot", 3500}, "tin": {"tin", "Tin", 600},
	}})
	if err != nil {
		return err
	}
	shop(ctx, products)
	return cache.Close()
}

// shop uses a Repository and does not know that it is cached.
func shop(ctx context.Context, products Repository) {
	get := func(id string) {
		p, err := products.Get(ctx, id)
		fmt.Println(p.Name, p.Cents, err)
	}
	fmt.Println("One product, twice:")
	get("cup")
	get("cup")

	fmt.Println("Three, of which one is cached, and a fourth that does not exist:")
	many, err := products.GetMany(ctx, []string{"cup", "pot", "tin", "jar"})
	fmt.Println(len(many), "found", err)

	fmt.Println("They are cached one by one, the absence too:")
	get("tin")
	get("jar")

	fmt.Println("A list, and a change that reorders it:")
	list := func() {
		two, err := products.Cheapest(ctx, 2)
		fmt.Println(two, err)
	}
	list()
	list()
	fmt.Println(products.Save(ctx, Product{"jar", "Jar", 250}))
	list()
	get("jar")
	get("cup") // the change did not touch it
}

// cheapest returns the n cheapest of products.
func cheapest(products map[string]Product, n int) []Product {
	sorted := slices.SortedFunc(maps.Values(products), func(a, b Product) int { return cmp.Compare(a.Cents, b.Cents) })
	return sorted[:min(n, len(sorted))]
}
