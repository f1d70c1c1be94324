package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is the client of one master: a [*redis.Client], with or without
// Sentinel, or a type that embeds one.
type server interface {
	redis.UniversalClient
	Options() *redis.Options
	Conn() *redis.Conn
}

// cluster is a [*redis.ClusterClient], or a type that embeds one.
type cluster interface { //nolint:interfacebloat // a part of a client
	redis.UniversalClient
	Options() *redis.ClusterOptions
	MasterForKey(ctx context.Context, key string) (*redis.Client, error)
	ReloadState(ctx context.Context)
	ForEachMaster(ctx context.Context, fn func(ctx context.Context, client *redis.Client) error) error
}

// ring is a [*redis.Ring], or a type that embeds one.
type ring interface {
	Options() *redis.RingOptions
}

// A deployment is what the client talks to: one server or a cluster. Exactly
// one field is set.
type deployment struct {
	server  server
	cluster cluster
}

// deploymentOf determines what client talks to, without a round trip. It
// refuses clients that could read entries after their deletion.
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
		// A ring removes a shard that does not answer and spreads its keys over
		// the others. An invalidation then succeeds without reaching that
		// shard, which later returns with the old entries.
		return deployment{}, fmt.Errorf("redisprovider: client: %T: a ring is not supported, it forgets invalidations for shards that are down; use a cluster or a single server", client)
	default:
		// A prefix has to be deleted on every master, so the store must know
		// the client behind a wrapper.
		return deployment{}, fmt.Errorf("redisprovider: client: %T: must be, or embed, a *redis.Client or a *redis.ClusterClient", client)
	}
}

// punctual reports whether calls of the client end at the deadlines of their contexts. Code of
// the user that a client calls to set up a connection, or before a command, may take longer;
// hooks do not show.
func (d deployment) punctual() bool {
	if d.cluster != nil {
		o := d.cluster.Options()
		return o.ContextTimeoutEnabled && o.OnConnect == nil && o.CredentialsProvider == nil &&
			o.CredentialsProviderContext == nil && o.StreamingCredentialsProvider == nil
	}
	o := d.server.Options()
	return o.ContextTimeoutEnabled && o.OnConnect == nil && o.CredentialsProvider == nil &&
		o.CredentialsProviderContext == nil && o.StreamingCredentialsProvider == nil && o.Limiter == nil
}

// connectsInTime reports whether the client sets up connections within the deadlines of calls.
func (d deployment) connectsInTime() bool {
	if d.cluster != nil {
		return d.cluster.Options().ContextTimeoutEnabled
	}
	return d.server.Options().ContextTimeoutEnabled
}

// dialTimeout returns the DialTimeout of the client.
func (d deployment) dialTimeout() time.Duration {
	if d.cluster != nil {
		return d.cluster.Options().DialTimeout
	}
	return d.server.Options().DialTimeout
}

func checkClusterOptions(o *redis.ClusterOptions) error {
	// NewFailoverClusterClient sets it: its servers are a master and replicas.
	if o.ClusterSlots != nil {
		return errors.New("redisprovider: client: ClusterSlots is set, as by NewFailoverClusterClient: its servers may be no cluster; use NewFailoverClient behind Sentinel")
	}
	// go-redis sets ReadOnly itself with RouteByLatency or RouteRandomly.
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
