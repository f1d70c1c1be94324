package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

// Provider is a store in Redis. It keeps no state of its own but its options, so
// it needs no closing; the client stays the caller's. All methods are safe for
// concurrent use. It implements [provider.CacheProvider] and
// [provider.Batcher].
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
}

var (
	_ provider.CacheProvider = (*Provider)(nil)
	_ provider.Batcher       = (*Provider)(nil)
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
	return &Provider{
		client:        client,
		deployment:    where,
		prefix:        options.KeyPrefix,
		codec:         options.Codec,
		codecName:     options.Codec.Name(),
		maxValueBytes: options.MaxValueBytes,
		scanCount:     options.ScanCount,
	}, nil
}

// Get implements [provider.CacheProvider]: one GET.
func (p *Provider) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	name := p.keyOf(key)
	entry, found, err := p.read(p.client.Get(ctx, name))
	if err != nil {
		return provider.Entry{}, false, failed("get", name, err)
	}
	return entry, found, nil
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
	entry, err := p.decode(data)
	return entry, err == nil, err
}

// Set implements [provider.CacheProvider]: one SET, which is sent once even if
// the client is configured to retry. An entry that is too large or that cannot
// be encoded is refused with an error that matches [provider.ErrTooLarge] or
// [provider.ErrUnencodable], and what was under key is removed; if that could not
// be confirmed, the error is that of the removal and matches neither.
//
// The value of an absent entry is not stored.
func (p *Provider) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	name := p.keyOf(key)
	if err := provider.CheckTTL(ttl); err != nil {
		return failed("set", name, err)
	}
	data, err := p.encode(entry)
	if err != nil {
		return failed("set", name, refused(err, p.client.Unlink(ctx, name).Err()))
	}
	// The command fits every kind of client: it has one key.
	if err := p.client.Process(ctx, newSetOnce(ctx, name, data, ttl)); err != nil {
		return failed("set", name, err)
	}
	return nil
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
