package redisprovider

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/readthrough/readthrough/provider"
)

// Delete implements [provider.CacheProvider]. On one server it is one UNLINK,
// on a cluster one pipeline per node. The client may repeat it as it is
// configured to: removing twice removes no more. A nil error means that every
// removal was confirmed, with [Options.WaitReplicas] by the replicas too. What it
// removes stays listed in the index until somebody comes across it.
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

// unlink removes keys, at least one, in one round trip per node.
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
	// The error of the pipeline is the first of its commands, or its own.
	_, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, key := range keys {
			pipe.Unlink(ctx, key)
		}
		return nil
	})
	return err
}

// failedMany is the error of a call on several keys of which it is not known
// which ones succeeded.
func failedMany(op string, keys []string, err error) error {
	if len(keys) == 1 {
		return failed(op, keys[0], err)
	}
	return fmt.Errorf("redisprovider: %s %s and %d more: %w", op, quote(keys[0]), len(keys)-1, err)
}
