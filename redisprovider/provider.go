package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

// Provider is a store in Redis. It keeps no state of its own but its options and
// the rebuilds of indices that are under way, which [Provider.Close] ends; the
// client stays the caller's. All methods are safe for concurrent
// use. It implements [provider.CacheProvider], [provider.Batcher],
// [provider.Leaser], [provider.Refresher], [provider.Holder] and [provider.Punctual].
//
// Errors of its methods name the Redis key that they concern and wrap the
// client's error.
type Provider struct {
	deployment

	client        redis.UniversalClient
	prefix        string
	codec         provider.Codec
	codecName     string
	maxValueBytes int
	scanCount     int
	buckets       int // of a scope; 0: the only one has no number
	fence         bool
	waitReplicas  int
	waitTimeout   time.Duration
	scripts       scripts

	gather   gather
	rebuilds rebuilds
	closed   atomic.Bool
}

var (
	_ provider.CacheProvider = (*Provider)(nil)
	_ provider.Batcher       = (*Provider)(nil)
	_ provider.Leaser        = (*Provider)(nil)
	_ provider.Refresher     = (*Provider)(nil)
	_ provider.Holder        = (*Provider)(nil)
	_ provider.Punctual      = (*Provider)(nil)
	_ io.Closer              = (*Provider)(nil)
)

// New returns a store over client: a [*redis.Client], Sentinel or not, a
// [*redis.ClusterClient], or something that embeds one of them. It makes no round
// trip, so the server need not be up. The caller owns the client, and closes it
// when the store is not used any more.
//
// It refuses, with an error that names the client or the option and the problem:
// a nil client; a [*redis.Ring] and types it does not know; a client that may
// read what was deleted, because it reads from replicas or has a client-side
// cache; and options out of their limits.
func New(client redis.UniversalClient, options Options) (*Provider, error) {
	where, clientErr := deploymentOf(client)
	options = options.withDefaults()
	if err := errors.Join(clientErr, options.validate()); err != nil {
		return nil, err
	}
	p := &Provider{
		client:        client,
		deployment:    where,
		prefix:        options.KeyPrefix,
		codec:         options.Codec,
		codecName:     options.Codec.Name(),
		maxValueBytes: options.MaxValueBytes,
		scanCount:     options.ScanCount,
		buckets:       bucketsFor(where, options),
		fence:         options.FenceByServer,
		waitReplicas:  options.WaitReplicas,
		waitTimeout:   options.WaitTimeout,
		scripts:       newScripts(options.FenceByServer),
	}
	p.gather.fetch, p.gather.fetchOne = p.fetch, p.fetchOne
	return p, nil
}

// bucketsFor returns the number of buckets of a scope.
func bucketsFor(where deployment, options Options) int {
	if where.cluster == nil {
		return 0
	}
	return options.Buckets
}

// Punctual implements [provider.Punctual]: the store is, if its client has the option
// ContextTimeoutEnabled. See "Deadlines and late commands".
func (p *Provider) Punctual() bool { return p.punctual() }

// Get implements [provider.CacheProvider]: one GET, with a fence one script. On one
// server, reads that come while several others are under way share a round trip.
func (p *Provider) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	if err := p.usable(); err != nil {
		return provider.Entry{}, false, err
	}
	name := p.keyOf(key)
	var result provider.Result
	if p.server != nil {
		result = p.gather.get(ctx, name)
	} else {
		result = p.fetchOne(ctx, name)
	}
	return result.Entry, result.Found, result.Err
}

// fetch reads keys in one round trip, on a cluster in one for each node.
func (p *Provider) fetch(ctx context.Context, keys []string) []provider.Result {
	switch {
	case p.fence:
		return p.fencedGet(ctx, keys)
	case len(keys) == 1:
		return []provider.Result{p.fetchOne(ctx, keys[0])}
	case p.server != nil:
		return p.mget(ctx, keys)
	default:
		return p.pipelineGet(ctx, keys)
	}
}

// fetchOne reads a key.
func (p *Provider) fetchOne(ctx context.Context, key string) provider.Result {
	if p.fence {
		return p.fencedGet(ctx, []string{key})[0]
	}
	entry, found, err := p.read(p.client.Get(ctx, key))
	if err != nil {
		return provider.Result{Err: failed("get", key, err)}
	}
	return provider.Result{Entry: entry, Found: found}
}

// read interprets the answer to a GET.
func (p *Provider) read(answer *redis.StringCmd) (provider.Entry, bool, error) {
	data, err := answer.Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return provider.Entry{}, false, nil
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return provider.Entry{}, false, fmt.Errorf("%w: %w", provider.ErrUndecodable, err)
	case err != nil:
		return provider.Entry{}, false, err
	}
	return p.decode(data)
}

// Set implements [provider.CacheProvider]: one script, which is sent once even if
// the client is configured to retry. An entry that is too large or that cannot
// be encoded is refused with an error that matches [provider.ErrTooLarge] or
// [provider.ErrUnencodable], and what was under key is removed; if that could not
// be confirmed, the error is that of the removal and matches neither. Under a
// key that is held nothing is stored, and what was there is removed.
//
// The value of an absent entry is not stored.
func (p *Provider) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	return p.SetMany(ctx, []provider.Item{{Key: key, Entry: entry, TTL: ttl}})
}

// setCall returns the call that stores an item, and if that is refused, why, and
// the call that removes what is there.
func (p *Provider) setCall(item provider.Item) (call, error) {
	b, name := p.bucketOf(item.Key), item.Key.Name
	data, err := p.encode(item.Entry)
	if err != nil {
		return call{args: []any{"unlink", b.value(name)}}, err
	}
	px, _ := pxOf(item.TTL)
	return call{
		script: p.scripts.set,
		keys:   p.scriptKeys(b, b.value(name), b.holds(name), b.prefixHolds(), b.index()),
		args:   []any{name, data, px},
		bytes:  len(data),
	}, nil
}

// refused is the error of an entry that is not stored for reason, and of the
// removal of what was under its key. The promise that nothing is there holds only
// if the removal was confirmed.
func refused(reason, removal error) error {
	if removal == nil {
		return reason
	}
	return fmt.Errorf("not stored (%v), and what was there is not removed: %w", reason, removal) //nolint:errorlint // must not match reason
}

// failed is the error of a call on one key.
func failed(op, key string, err error) error {
	return fmt.Errorf("redisprovider: %s %s: %w", op, quote(key), err)
}
