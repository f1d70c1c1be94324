package redisprovider

import (
	"context"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// KeyOf returns the Redis key of key.
func (p *Provider) KeyOf(key provider.Key) string { return p.keyOf(key) }

// IndexOf returns the Redis key of the index that lists key.
func (p *Provider) IndexOf(key provider.Key) string { return p.bucketOf(key).index() }

// HoldsOf returns the Redis keys of the holds on key and on prefixes.
func (p *Provider) HoldsOf(key provider.Key) (keyHolds, prefixHolds string) {
	b := p.bucketOf(key)
	return b.holds(key.Name), b.prefixHolds()
}

// HoldsToTheEndOf returns the Redis key of the holds on prefixes that nobody gives up.
func (p *Provider) HoldsToTheEndOf(key provider.Key) string { return p.bucketOf(key).holdsToTheEnd() }

// CommandsForACL are the commands that the documentation lists for a user on one
// server without options.
var CommandsForACL = []string{
	"get", "mget", "set", "unlink", "exists", "getrange", "strlen", "type", "time", "scan",
	"evalsha", "script|load",
	"zadd", "zrem", "zscore", "zmscore", "zcount", "zrange", "zrangebylex", "zrangebyscore",
	"zrandmember", "zremrangebylex", "zremrangebyscore",
	"pttl", "pexpire", "pexpireat", "persist",
}

// Rebuild completes the index of a scope.
func (p *Provider) Rebuild(ctx context.Context, scope string) error { return p.rebuild(ctx, scope) }

// MarkerKey returns the Redis key of the marker of the layout.
func (p *Provider) MarkerKey() string { return p.markerKey() }

// LookAgain has the next call look at the marker, as if enough time had passed.
func (p *Provider) LookAgain() {
	l := &p.layout
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started = l.started.Add(-markerEvery)
	l.next = time.Time{}
}

// LookNever has no call look at the marker any more.
func (p *Provider) LookNever() { p.layout.confirmed.Store(int64(time.Hour)) }
