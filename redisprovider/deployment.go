package redisprovider

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// server is what a client of one master offers: [*redis.Client], Sentinel or
// not, and what embeds it.
type server interface {
	redis.UniversalClient
	Options() *redis.Options
	Conn() *redis.Conn
}

// cluster is what [*redis.ClusterClient] offers, and what embeds it.
type cluster interface { //nolint:interfacebloat // a part of a client
	redis.UniversalClient
	Options() *redis.ClusterOptions
	MasterForKey(ctx context.Context, key string) (*redis.Client, error)
	ReloadState(ctx context.Context)
	ForEachMaster(ctx context.Context, fn func(ctx context.Context, client *redis.Client) error) error
}

// ring is what [*redis.Ring] offers, and what embeds it.
type ring interface {
	Options() *redis.RingOptions
}

// A deployment is the kind of thing a client talks to. Exactly one field is
// set.
type deployment struct {
	server  server
	cluster cluster
}

// deploymentOf finds out what client talks to, without a round trip, and
// refuses clients with which deleted entries could be read again.
func deploymentOf(client redis.UniversalClient) (deployment, error) {
	if isNil(client) {
		return deployment{}, errors.New("redisprovider: client: is nil")
	}
	switch c := client.(type) {
	case cluster:
		return deployment{cluster: c}, checkClusterOptions(c.Options())
	case server:
		return deployment{server: c}, checkServerOptions(c.Options())
	case ring:
		// A ring takes a shard that does not answer out and spreads its keys
		// over the others. An invalidation in that time succeeds without having
		// reached the shard, which comes back with the old entries.
		return deployment{}, fmt.Errorf("redisprovider: client: %T: a ring is not supported, it forgets invalidations for shards that are down; use a cluster or a single server", client)
	default:
		// A prefix must be deleted from every master, so what hides behind a
		// wrapper cannot be left to guessing.
		return deployment{}, fmt.Errorf("redisprovider: client: %T: must be, or embed, a *redis.Client or a *redis.ClusterClient", client)
	}
}

// punctual reports whether the client keeps the deadlines of contexts.
func (d deployment) punctual() bool {
	if d.cluster != nil {
		return d.cluster.Options().ContextTimeoutEnabled
	}
	return d.server.Options().ContextTimeoutEnabled
}

func checkClusterOptions(o *redis.ClusterOptions) error {
	// go-redis sets ReadOnly by itself for the two kinds of routing.
	if o.ReadOnly {
		return errors.New("redisprovider: client: ReadOnly, RouteByLatency or RouteRandomly is set: a replica may still have what was deleted")
	}
	return nil
}

func checkServerOptions(o *redis.Options) error {
	if o.ClientSideCache != nil || o.ClientSideCacheConfig != nil {
		return errors.New("redisprovider: client: ClientSideCache or ClientSideCacheConfig is set: the client's cache may still have what was deleted")
	}
	return nil
}
