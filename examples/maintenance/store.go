package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/examples/maintenance/internal/link"
	"github.com/readthrough/readthrough/examples/maintenance/internal/router"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

const (
	// maxEntries bounds the store in memory.
	maxEntries = 10_000
	// redisPool is the number of connections to Redis.
	redisPool = 64
	// startTimeout bounds the first connection to Redis.
	startTimeout = 3 * time.Second
	// pingTimeout bounds a ping of Redis.
	pingTimeout = 250 * time.Millisecond
)

// store is the store of the cache.
type store struct {
	provider.CacheProvider

	kind   string
	mode   nearflag.Mode
	client *redis.Client // nil unless the store is Redis
	prefix string        // of all keys and channels of this service in Redis
	link   *link.Link    // to Redis; nil otherwise
	near   *near.Store   // memory in front of Redis; nil: none
}

// openStore opens the store of the cache: in memory or in Redis.
func (a *app) openStore(ctx context.Context, c config, databaseID string) (store, error) {
	if c.noCache {
		return store{CacheProvider: provider.Null(), kind: "none"}, nil
	}
	if c.redisURL == "" {
		entries, err := memory.New(memory.Options{MaxEntries: maxEntries})
		return store{CacheProvider: entries, kind: "memory"}, err // the flag -near is for the two processes of the demo
	}
	// Entries belong to a database: processes with the same database share
	// them, and a new database does not see those of another one.
	s := store{kind: "redis", mode: c.near, prefix: "maintenance-" + databaseID + ":"}
	if err := a.openRedis(ctx, c, &s); err != nil {
		return store{}, err
	}
	far, err := redisprovider.New(s.client, redisprovider.Options{KeyPrefix: s.prefix})
	if err != nil {
		return store{}, err
	}
	s.CacheProvider = far
	if s.near, err = c.near.Open(far); err != nil {
		return store{}, err
	}
	if s.near != nil {
		s.CacheProvider = s.near
		a.closers = append(a.closers, s.near.Close)
	}
	return s, nil
}

// openRedis connects to Redis, through a link that the page can cut.
func (a *app) openRedis(ctx context.Context, c config, s *store) error {
	options, err := redis.ParseURL(c.redisURL)
	if err != nil {
		return fmt.Errorf("-redis: %w", err)
	}
	options.ContextTimeoutEnabled = true
	options.PoolSize = redisPool
	// The cache works without Redis. A wrong address is still better reported
	// now than noticed by slow reads.
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	addr := options.Addr
	if s.link, err = link.Open(ctx, options.Network, addr); err != nil {
		return fmt.Errorf("-redis: cannot reach %s: %w", addr, err)
	}
	a.closers = append(a.closers, s.link.Close)
	options.Network, options.Addr = "tcp", s.link.Addr()
	s.client = redis.NewClient(options)
	a.closers = append(a.closers, s.client.Close)
	if err := s.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("-redis: cannot reach %s: %w", addr, err)
	}
	return nil
}

// state describes the store and its state.
func (s store) state(ctx context.Context) router.ProviderState {
	state := router.ProviderState{Kind: s.kind, Near: s.mode.String(), Answers: true}
	if s.client == nil {
		return state
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	state.Answers = s.client.Ping(ctx).Err() == nil
	state.Link = "whole"
	if s.link.Cut() {
		state.Link = "cut"
	}
	return state
}
