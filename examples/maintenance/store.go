package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

const (
	// maxEntries bounds the store in memory.
	maxEntries = 10_000
	// redisPool is the number of connections to Redis.
	redisPool = 64
	// startTimeout bounds the first contact with Redis.
	startTimeout = 3 * time.Second
)

// openStore opens where the cache keeps its entries: in memory, or in Redis.
func (a *app) openStore(ctx context.Context, c config, databaseID string) (provider.CacheProvider, error) {
	if c.redisURL == "" {
		return memory.New(memory.Options{MaxEntries: maxEntries})
	}
	options, err := redis.ParseURL(c.redisURL)
	if err != nil {
		return nil, fmt.Errorf("-redis: %w", err)
	}
	options.ContextTimeoutEnabled = true
	options.PoolSize = redisPool
	client := redis.NewClient(options)
	a.closers = append(a.closers, client.Close)

	// The cache would do without Redis. A wrong address is still better found
	// out now than by slow reads.
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := client.Ping(ctx).Err(); err != nil {
		return nil, fmt.Errorf("-redis: cannot reach %s: %w", options.Addr, err)
	}
	// Entries belong to a database: processes that share it share them, and a
	// new database never sees those of another.
	return redisprovider.New(client, redisprovider.Options{KeyPrefix: "maintenance-" + databaseID + ":"})
}
