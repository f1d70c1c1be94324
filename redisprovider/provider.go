package redisprovider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/internal/membership"
	"github.com/readthrough/readthrough/provider"
)

// Provider is a store in Redis. [New] makes one. All methods are safe for concurrent
// use. It has every capability of package provider that a store outside of the process
// can have, and the list below this type names them. An error names the Redis key that it
// is about, and wraps the error of the client.
//
// New writes the fields down to scripts, and channel, and nobody changes them after that. The
// others have their own locks or are atomic. [Provider.Close] sets closed, and ends what
// goes on in the background. The client belongs to the caller, unless it is owned.
type Provider struct {
	deployment

	client        redis.UniversalClient
	owned         io.Closer // the client that Open has made; nil: the client is the caller's
	prefix        string
	codec         provider.Codec
	codecName     string
	checker       *provider.Checker
	allowLossy    bool
	maxValueBytes int
	scanCount     int
	buckets       int // the number of buckets of a scope; 0: one server, where the only bucket has no number
	fence         bool
	waitReplicas  int
	waitTimeout   time.Duration
	scripts       scripts

	channel        *membership.Channel
	lossy          lossy
	gather         gather
	gatherTTL      gather
	rebuilds       rebuilds
	abandoned      abandoned
	layout         layout
	connecting     connecting
	background     background
	suspectedUntil atomic.Int64 // Unix nanoseconds; see suspect.go
	closed         atomic.Bool
}

var (
	_ provider.CacheProvider = (*Provider)(nil)
	_ provider.Batcher       = (*Provider)(nil)
	_ provider.Encoder       = (*Provider)(nil)
	_ provider.Leaser        = (*Provider)(nil)
	_ provider.Refresher     = (*Provider)(nil)
	_ provider.Renewer       = (*Provider)(nil)
	_ provider.Holder        = (*Provider)(nil)
	_ provider.Punctual      = (*Provider)(nil)
	_ provider.Sharded       = (*Provider)(nil)
	_ provider.TTLGetter     = (*Provider)(nil)
	_ provider.Announcer     = (*Provider)(nil)
	_ provider.Inspector     = (*Provider)(nil)
	_ provider.Pinger        = (*Provider)(nil)
	_ provider.Advisor       = (*Provider)(nil)
	_ io.Closer              = (*Provider)(nil)
)

// New returns a store over client: a [*redis.Client], with or without Sentinel, a
// [*redis.ClusterClient], or a type that embeds one of them. It makes no round trip,
// so the server need not be running. The caller owns the client, and closes it after
// the store is no longer used. [Open] makes the client.
//
// New returns an error that names the client or the option for: a nil client; a
// [*redis.Ring] or a type that it does not know; a client that may read deleted
// entries, because it reads from replicas or has a client-side cache; and options out
// of their limits.
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
		checker:       provider.NewChecker(options.Codec),
		allowLossy:    options.AllowLossy,
		maxValueBytes: options.MaxValueBytes,
		scanCount:     options.ScanCount,
		buckets:       bucketsFor(where, options),
		fence:         options.FenceByServer,
		waitReplicas:  options.WaitReplicas,
		waitTimeout:   options.WaitTimeout,
		scripts:       newScripts(options.FenceByServer, options.WaitReplicas),
	}
	p.layout.want, p.layout.started = layoutOf(p.buckets), time.Now()
	p.gather.fetch, p.gather.fetchOne = p.fetch, p.fetchOne
	p.gatherTTL.fetch, p.gatherTTL.fetchOne = p.fetchTTL, p.fetchOneTTL
	p.channel = membership.NewChannel(context.Background(), p.members(), options.NearLease, options.NearCaches) //nolint:forbidigo // of the store's life
	return p, nil
}

// bucketsFor returns the number of buckets of a scope.
func bucketsFor(where deployment, options Options) int {
	if where.cluster == nil {
		return 0
	}
	return options.Buckets
}

// Punctual implements [provider.Punctual]. It reports whether the option
// ContextTimeoutEnabled of the client is set, and neither OnConnect nor a credentials
// provider nor a Limiter, which no deadline bounds. See "Deadlines and late commands".
func (p *Provider) Punctual() bool { return p.punctual() }

// Get implements [provider.CacheProvider]: one GET, or one script with a fence. On
// one server, reads that come while several others are under way share a round trip.
func (p *Provider) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	if err := p.usable(ctx); err != nil {
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

// fetch reads keys in one round trip; on a cluster, in one per node.
func (p *Provider) fetch(ctx context.Context, keys []string) []provider.Result {
	switch {
	case p.byScript():
		return p.getByScript(ctx, keys)
	case len(keys) == 1:
		return []provider.Result{p.fetchOne(ctx, keys[0])}
	case p.server != nil:
		return p.mget(ctx, keys)
	default:
		return p.pipelineGet(ctx, keys)
	}
}

// fetchOne reads one key.
func (p *Provider) fetchOne(ctx context.Context, key string) provider.Result {
	if p.byScript() {
		return p.getByScript(ctx, []string{key})[0]
	}
	entry, found, err := p.read(p.client.Get(ctx, key))
	if err != nil {
		p.notice(ctx, err)
		return provider.Result{Err: failed("get", key, err)}
	}
	return provider.Result{Entry: entry, Found: found}
}

// read interprets the answer of a GET.
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

// Set implements [provider.CacheProvider] with one script, which is sent once even if
// the client is configured to retry. If the entry is too large or cannot be encoded,
// Set removes the old entry and returns an error that matches [provider.ErrTooLarge]
// or [provider.ErrUnencodable]. The same holds for a value that would not come back as
// it is, unless [Options.AllowLossy] is set: the error matches [provider.ErrLossy]. If
// that removal is not confirmed, the error matches none of them. If the key is held, Set stores nothing and removes the old entry.
//
// The value of an absent entry is not stored.
func (p *Provider) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	return p.SetMany(ctx, []provider.Item{{Key: key, Entry: entry, TTL: ttl}})
}

// setCall returns the call that stores an item. If the item is refused, it returns
// the reason and the call that removes the old entry.
func (p *Provider) setCall(item provider.Item) (call, error) {
	b, name := p.bucketOf(item.Key), item.Key.Name
	data, _, err := p.encode(item.Entry) //nolint:errcheck // what is lost is told by Fill only
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

// refused returns the error of an entry that was refused for reason. removal is the
// error of removing the old entry. If the removal failed, the error does not match
// reason: a caller could conclude from it that the key is empty.
func refused(reason, removal error) error {
	if removal == nil {
		return reason
	}
	return fmt.Errorf("not stored (%v), and what was there is not removed: %w", reason, removal) //nolint:errorlint // must not match reason
}

// failed returns the error of a call on one key.
func failed(op, key string, err error) error {
	return &keyError{op, key, 0, told(err)}
}

// keyError is the error of a call on keys. It names the first of them, except in a log:
// it is a [slog.LogValuer], which the cache asks.
type keyError struct {
	op, key string
	more    int // how many other keys
	err     error
}

func (e *keyError) Error() string {
	if e.more > 0 {
		return fmt.Sprintf("redisprovider: %s %s and %d more: %v", e.op, quote(e.key), e.more, e.err)
	}
	return fmt.Sprintf("redisprovider: %s %s: %v", e.op, quote(e.key), e.err)
}

func (e *keyError) Unwrap() error { return e.err }

// LogValue returns the text of the error without the key.
func (e *keyError) LogValue() slog.Value {
	if e.more == 0 {
		return slog.StringValue(fmt.Sprintf("redisprovider: %s of a key: %v", e.op, e.err))
	}
	return slog.StringValue(fmt.Sprintf("redisprovider: %s of %d keys: %v", e.op, 1+e.more, e.err))
}
