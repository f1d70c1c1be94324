package redisprovider

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// openDialTimeout bounds the connection to a server. The default of the client is 5 s, for which a connection that
// fails keeps its place in the pool.
const openDialTimeout = time.Second

// Open returns a store with a client of its own, which [Provider.Close] closes. rawURL says where the server is:
//
//	redis://user:password@host:6379/0                                 one server
//	rediss://host:6379                                                the same with TLS
//	unix:///run/redis.sock?db=0                                       the same on a socket
//	redis://host1:26379?master_name=mymaster&addr=host2:26379         Sentinel: its hosts, not those of Redis
//	redis://host1:6379?cluster=true&addr=host2:6379                   Cluster: some of its hosts
//
// With Sentinel, the user and the password of the URL are those of Sentinel; the parameters username and password are
// those of Redis. All other parameters are options of the client, such as pool_size=50 and read_timeout=1s; see
// redis.ParseURL, redis.ParseFailoverURL and redis.ParseClusterURL of go-redis.
//
// Open sets ContextTimeoutEnabled, so that a hit takes no extra goroutine ([Provider.Punctual]), and DialTimeout to 1 s,
// unless the URL has dial_timeout. It makes no round trip, so the server need not be
// running. It returns an error for a bad URL, without the password in it, for parameters by which the client would read
// from replicas, for a database other than 0 on a cluster, and for options out of their limits.
func Open(rawURL string, options Options) (*Provider, error) {
	client, err := open(rawURL)
	if err != nil {
		return nil, fmt.Errorf("redisprovider: Open: %w", err)
	}
	p, err := New(client, options)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	p.owned = client
	return p, nil
}

// open returns the client of a URL.
func open(rawURL string) (redis.UniversalClient, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		if cause := new(url.Error); errors.As(err, &cause) {
			err = cause.Err // without the URL, which has the password
		}
		return nil, fmt.Errorf("url: %w", err)
	}
	query := u.Query()
	isCluster := query.Has("cluster") || query.Has("addr") && !query.Has("master_name")
	switch asked, err := strconv.ParseBool(query.Get("cluster")); {
	case query.Has("cluster") && err != nil:
		return nil, fmt.Errorf("url: cluster=%s: must be true or false", query.Get("cluster"))
	case query.Has("cluster") && !asked && query.Has("addr") && !query.Has("master_name"):
		return nil, errors.New("url: addr: several addresses are those of a cluster or of Sentinel: set cluster=true or master_name")
	case query.Has("cluster"):
		isCluster = asked
	}
	query.Del("cluster")
	u.RawQuery = query.Encode()
	switch {
	case query.Has("master_name") && isCluster:
		return nil, errors.New("url: master_name and cluster=true: Sentinel does not watch a cluster: leave one of them out")
	case query.Has("master_name"):
		return openSentinel(u)
	case isCluster:
		return openCluster(u)
	default:
		return openServer(u)
	}
}

func openServer(u *url.URL) (redis.UniversalClient, error) {
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, err
	}
	recommend(u, &o.ContextTimeoutEnabled, &o.DialTimeout)
	return redis.NewClient(o), nil
}

func openSentinel(u *url.URL) (redis.UniversalClient, error) {
	o, err := redis.ParseFailoverURL(u.String())
	if err != nil {
		return nil, err
	}
	if o.ReplicaOnly || o.RouteByLatency || o.RouteRandomly {
		return nil, errors.New("url: replica_only, route_by_latency or route_randomly: a replica may still have what was deleted")
	}
	recommend(u, &o.ContextTimeoutEnabled, &o.DialTimeout)
	return redis.NewFailoverClient(o), nil
}

func openCluster(u *url.URL) (redis.UniversalClient, error) {
	if u.Path != "" && u.Path != "/" && u.Path != "/0" {
		return nil, fmt.Errorf("url: database %s: a cluster has database 0 only", u.Path)
	}
	o, err := redis.ParseClusterURL(u.String())
	if err != nil {
		return nil, err
	}
	recommend(u, &o.ContextTimeoutEnabled, &o.DialTimeout)
	return redis.NewClusterClient(o), nil
}

// recommend sets what Open sets.
func recommend(u *url.URL, contextTimeouts *bool, dialTimeout *time.Duration) {
	*contextTimeouts = true
	if !u.Query().Has("dial_timeout") {
		*dialTimeout = openDialTimeout
	}
}

// closeOwned closes the client that Open has made; nil if the client belongs to the caller.
func (p *Provider) closeOwned() error {
	if p.owned == nil {
		return nil
	}
	return p.owned.Close()
}
