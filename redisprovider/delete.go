package redisprovider

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

// Delete implements [provider.CacheProvider]. On one server it sends one UNLINK,
// on a cluster one pipeline per node. The client may retry it: removing twice
// removes no more. A nil error means that the server confirmed every removal, and
// with [Options.WaitReplicas] the replicas did too. The removed names stay in the
// index until a later write trims them.
func (p *Provider) Delete(ctx context.Context, keys ...provider.Key) error {
	if err := p.usable(); err != nil {
		return err
	}
	for part := range slices.Chunk(p.keysOf(keys), maxBatch) {
		if err := p.unlink(ctx, part); err != nil {
			return failedMany("delete", part, err)
		}
	}
	return nil
}

// unlink removes keys in one round trip per node. There is at least one key.
func (p *Provider) unlink(ctx context.Context, keys []string) error {
	if p.waitReplicas > 0 {
		answers := p.runConfirmed(ctx, len(keys), func(i int) call { return call{args: []any{"unlink", keys[i]}} })
		for _, answer := range answers {
			if err := answer.Err(); err != nil {
				return err
			}
		}
		return nil
	}
	if p.server != nil || len(keys) == 1 {
		return p.client.Unlink(ctx, keys...).Err()
	}
	// The error is that of the pipeline, or of the first command that failed.
	_, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, key := range keys {
			pipe.Unlink(ctx, key)
		}
		return nil
	})
	return err
}

// failedMany is the error of a call on several keys if it is unknown which of
// them succeeded.
func failedMany(op string, keys []string, err error) error {
	if len(keys) == 1 {
		return failed(op, keys[0], err)
	}
	return &keyError{op, keys[0], len(keys) - 1, told(err)}
}
