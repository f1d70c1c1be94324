// Command rates runs a cache on a store that does not come with the library:
// boltstore, beside this folder, with an embedded key-value store.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/provider/boltstore"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "provider")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store, err := boltstore.Open(filepath.Join(dir, "cache.bolt"))
	if err != nil {
		return err
	}
	// A slow disk must not count as a failed store.
	cache, err := readthrough.New(store, readthrough.Options{ProviderTimeout: 10 * time.Second})
	if err != nil {
		return err
	}
	scope, err := cache.Scope("rate", readthrough.ScopeOptions{TTL: time.Minute})
	if err != nil {
		return err
	}
	read(ctx, scope)
	return cache.Close() // closes the store too
}

func read(ctx context.Context, scope *readthrough.CachedScope) {
	rates := map[string]float64{"EUR": 1, "SEK": 11.2, "CHF": 0.95}
	rate := readthrough.Memoize(scope, func(currency string) string { return "rate:" + currency },
		func(_ context.Context, currency string) (float64, error) {
			fmt.Println("  loaded", currency)
			if r, ok := rates[currency]; ok {
				return r, nil
			}
			return 0, readthrough.ErrNotFound
		})
	get := func(currency string) {
		r, err := rate(ctx, currency)
		fmt.Println(currency, r, err)
	}
	for range 2 { // the second time from the file
		get("SEK")
		get("CHF")
		get("XXX")
	}
	rates["SEK"] = 11.3
	fmt.Println("invalidated", scope.Invalidate(ctx, "rate:SEK"))
	get("SEK")
	removed, err := scope.InvalidatePrefix(ctx, "rate:")
	fmt.Println("removed", removed, err)
	get("CHF")
}
