//go:build unix

package coherence_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// scopeName is the scope of the fleet, keyPrefix the beginning of its keys.
const (
	scopeName = "coherence"
	keyPrefix = "c:"
)

// value is what is cached.
type value struct {
	Version int64
	Padding string `json:",omitempty"`
}

type (
	loadOne  = func(context.Context) (value, error)
	loadMany = func(context.Context, []string) (map[string]value, error)
)

// targets are what a write makes stale.
type targets = readthrough.Targets

// Ways of an invalidation to end.
var (
	errPending = errors.New("pending")
	errNotHeld = errors.New("not held")
)

// subject is a cache under test, in one process.
type subject interface {
	get(ctx context.Context, key string, load loadOne) (value, error)
	getMany(ctx context.Context, keys []string, load loadMany) (map[string]value, error)
	// invalidate returns nil or errPending.
	invalidate(ctx context.Context, t targets) error
	// mutate writes in between a hold of t and its invalidation. It returns nil,
	// errPending, or errNotHeld, and then nothing was written.
	mutate(ctx context.Context, t targets, write func()) error
	pending() int
	count(c *counters)
	close() error
}

// newSubject returns the cache that cfg names.
func newSubject(cfg *config, client *redis.Client) (subject, error) {
	switch cfg.Subject {
	case subjectOurs:
		return newOurs(cfg, client)
	case subjectByHand:
		return &byHand{client: client, ttl: cfg.TTL}, nil
	default:
		return newTwin(cfg, client)
	}
}

// newClient returns a client of the server that is the primary.
func newClient(cfg *config, s *shared) *redis.Client {
	retries := 0 // the client's default
	if cfg.Subject != subjectOurs {
		retries = -1
	}
	return redis.NewClient(&redis.Options{
		Addr:                  cfg.Addrs[0],
		MaxRetries:            retries,
		ContextTimeoutEnabled: cfg.ContextTimeout,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, cfg.Addrs[s.primary.Load()])
		},
	})
}

// ours is the library.
type ours struct {
	cache *readthrough.Cache
	scope *readthrough.CachedScope
}

func newOurs(cfg *config, client *redis.Client) (*ours, error) {
	punctual, err := newStore(cfg, client)
	if err != nil {
		return nil, err
	}
	var store provider.CacheProvider = punctual
	switch {
	case cfg.Near != "":
		if store, err = newNear(cfg, punctual); err != nil {
			return nil, err
		}
	case cfg.Process%2 == 1:
		store = unpunctual{punctual, punctual, punctual, punctual, punctual, punctual}
	}
	cache, err := readthrough.New(store, readthrough.Options{
		OnError:           func(*readthrough.OpError) {},
		ProviderTimeout:   cfg.ProviderTimeout,
		InvalidateTimeout: cfg.InvalidateTimeout,
		BreakerCooldown:   cfg.BreakerCooldown,
		LeaseTTL:          cfg.LeaseTTL,
		LeaseWait:         cfg.LeaseWait,
		SampleRecheck:     sampleRecheck,
		SampleRate:        200,
	})
	if err != nil {
		return nil, err
	}
	scope, err := cache.Scope(scopeName, readthrough.ScopeOptions{
		TTL:                  cfg.TTL,
		StaleWhileRevalidate: cfg.Serving.StaleWhileRevalidate,
		StaleIfError:         cfg.Serving.StaleIfError,
		SoftLoadTimeout:      cfg.Serving.SoftLoadTimeout,
		RefreshAheadFactor:   cfg.Serving.RefreshAheadFactor,
		XFetchBeta:           cfg.Serving.XFetchBeta,
		RetryAfter:           cfg.RetryAfter,
		SampleOneIn:          cfg.SampleOneIn,
	})
	return &ours{cache: cache, scope: scope}, err
}

// unpunctual is a store without provider.Punctual: the cache calls it in goroutines,
// which it leaves behind at their deadline. Some processes have it, others do not.
type unpunctual struct {
	provider.CacheProvider
	provider.Batcher
	provider.Leaser
	provider.Refresher
	provider.Holder
	io.Closer
}

func newStore(cfg *config, client *redis.Client) (*redisprovider.Provider, error) {
	return redisprovider.New(client, storeOptions(cfg))
}

func (o *ours) get(ctx context.Context, key string, load loadOne) (value, error) {
	return readthrough.Wrap(ctx, o.scope, key, load)
}

func (o *ours) getMany(ctx context.Context, keys []string, load loadMany) (map[string]value, error) {
	return readthrough.WrapMany(ctx, o.scope, keys, func(key string) string { return key }, load)
}

func (o *ours) invalidate(ctx context.Context, t targets) error {
	_, err := o.scope.InvalidateTargets(ctx, t)
	return ended(err)
}

func (o *ours) mutate(ctx context.Context, t targets, write func()) error {
	_, err := readthrough.Mutate(ctx, o.scope, readthrough.Mutation[struct{}]{
		Write:           func(context.Context) (struct{}, error) { write(); return struct{}{}, nil },
		Invalidate:      func(struct{}) readthrough.Targets { return readthrough.Targets{} },
		Hold:            t,
		HoldFor:         holdFor,
		FailWhenPending: true,
	})
	return ended(err)
}

// ended says how an invalidation ended.
func ended(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, readthrough.ErrInvalidationPending):
		return errPending
	case errors.Is(err, readthrough.ErrNotHeld):
		return errNotHeld
	default:
		return fmt.Errorf("an invalidation failed: %w", err)
	}
}

func (o *ours) pending() int { return o.scope.Stats().Pending }

func (o *ours) count(c *counters) {
	stats := o.scope.Stats()
	c.hits.Store(stats.Hits)
	c.nearHits.Store(stats.NearHits)
	c.misses.Store(stats.Misses)
	c.joined.Store(stats.Joined)
	c.loads.Store(stats.Loads)
	c.refused.Store(stats.RefusedFills)
	c.served.Store(stats.Stale)
	c.refreshes.Store(stats.Refreshes)
	c.sampled.Store(stats.Sampled)
	c.sampledStale.Store(stats.SampledStale)
}

func (o *ours) close() error { return o.cache.Close() }

// peek returns the version of key that is stored, without any cache.
func peek(ctx context.Context, cfg *config, client *redis.Client, key string) (version int64, found bool, err error) {
	var v value
	if cfg.Subject == subjectOurs {
		store, err := newStore(cfg, client)
		if err != nil {
			return 0, false, err
		}
		entry, found, err := store.Get(ctx, provider.Key{Scope: scopeName, Name: key})
		if err != nil || !found {
			return 0, false, err
		}
		err = entry.Value.(provider.Encoded).Decode(&v)
		return v.Version, err == nil, err
	}
	stored, err := client.Get(ctx, keyPrefix+key).Result()
	if errors.Is(err, redis.Nil) || strings.HasPrefix(stored, leaseMark) {
		return 0, false, nil
	}
	if err == nil {
		v, err = decode(stored)
	}
	return v.Version, err == nil, err
}

// sampleRecheck is longer than a write and its invalidation take on a busy machine.
const sampleRecheck = 2 * time.Second

const holdFor = 4 * time.Second
