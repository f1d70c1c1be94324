package redisprovider

import (
	"context"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// GetTTL implements [provider.TTLGetter]: one script on one server, and one for each bucket on a cluster,
// all in one round trip. On one server, reads of single keys that come while several others are under way
// share a round trip.
func (p *Provider) GetTTL(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	if err := p.usable(ctx); err != nil {
		results := make([]provider.Result, len(keys))
		for i := range results {
			results[i].Err = err
		}
		return results, err
	}
	if len(keys) == 1 && p.server != nil {
		results := []provider.Result{p.gatherTTL.get(ctx, p.keyOf(keys[0]))}
		return results, wholeError(results)
	}
	var results []provider.Result
	for part := range slices.Chunk(p.keysOf(keys), maxBatch) {
		results = append(results, p.fetchTTL(ctx, part)...)
	}
	return results, wholeError(results)
}

// fetchTTL reads keys by a script. Two commands would not do: between them another entry could replace the
// first one, and have more time left.
func (p *Provider) fetchTTL(ctx context.Context, keys []string) []provider.Result {
	return p.readByScript(ctx, keys, reading{
		plain: p.scripts.getTTL, proven: p.scripts.proveTTL, width: 2, //nolint:mnd // the frame, and the TTL
		rest: func(r *provider.Result, parts []any) { r.TTL, _ = readTTL(parts[0]) },
	})
}

// fetchOneTTL is fetchTTL for one key.
func (p *Provider) fetchOneTTL(ctx context.Context, key string) provider.Result {
	return p.fetchTTL(ctx, []string{key})[0]
}

// readTTL interprets the answer of PTTL. What it does not know has no time left.
func readTTL(answer any) (ttl time.Duration, known bool) {
	milliseconds, known := answer.(int64)
	if milliseconds == -1 {
		return provider.NoExpiry, known
	}
	return time.Duration(max(milliseconds, 0)) * time.Millisecond, known
}
