package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

const (
	// maxEntries bounds the store in memory. A dashboard of 5,000 systems has 25,000 entries.
	maxEntries = 100_000
	// redisPool is the number of connections to Redis.
	redisPool = 16
	// startTimeout bounds the first connection to Redis.
	startTimeout = 3 * time.Second
)

// store is the store of the cache.
type store struct {
	provider.CacheProvider

	kind   string        // for display
	client *redis.Client // nil unless the store is Redis
	prefix string        // of all keys and channels of the dashboard in Redis
}

// openStore opens the store of the cache: in memory, in Redis, or in Redis with memory in front of it.
func (a *app) openStore(ctx context.Context, c config, databaseID string) (store, error) {
	if c.redisURL == "" {
		entries, err := memory.New(memory.Options{MaxEntries: maxEntries})
		return store{CacheProvider: entries, kind: "memory"}, err
	}
	// Entries belong to a database: processes with the same database share them.
	s := store{kind: "Redis", prefix: "dashboard-" + databaseID + ":"}
	options, err := redis.ParseURL(c.redisURL)
	if err != nil {
		return store{}, fmt.Errorf("-redis: %w", err)
	}
	options.ContextTimeoutEnabled = true
	options.PoolSize = redisPool
	s.client = redis.NewClient(options)
	a.closers = append(a.closers, s.client.Close)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	// The cache works without Redis. A wrong address is still better reported now than noticed by slow reads.
	if err := s.client.Ping(ctx).Err(); err != nil {
		return store{}, fmt.Errorf("-redis: cannot reach %s: %w", options.Addr, err)
	}
	far, err := redisprovider.New(s.client, redisprovider.Options{KeyPrefix: s.prefix})
	if err != nil || c.near == nearflag.Off {
		s.CacheProvider = far
		return s, err
	}
	s.kind = "memory in front of Redis, " + c.near.String()
	s.CacheProvider, err = c.near.Open(far)
	return s, err
}
