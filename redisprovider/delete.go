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
	defer p.channel.Tell(provider.Removed{Keys: keys})
	if err := p.usable(ctx); err != nil {
		return err
	}
	for part := range slices.Chunk(keys, maxBatch) {
		if err := p.deletePart(ctx, part); err != nil {
			return failedMany("delete", p.keysOf(part), err)
		}
	}
	return nil
}

// deletePart removes keys, announces that, and waits for near caches. There is at least one key.
func (p *Provider) deletePart(ctx context.Context, keys []provider.Key) error {
	names, removed := p.keysOf(keys), provider.Removed{Keys: keys}
	if p.server == nil || p.waitReplicas > 0 {
		if err := p.unlink(ctx, names); err != nil {
			return err
		}
		return p.announce(ctx, &removed)
	}
	// In one pipeline, which the client may repeat: who is told twice drops twice.
	pipe := p.client.Pipeline()
	unlinked := pipe.Unlink(ctx, names...)
	announced := p.announcement(&removed).cmd(ctx).Cmd
	_ = pipe.Process(ctx, announced) //nolint:errcheck // only queues
	_, err := pipe.Exec(ctx)
	p.notice(ctx, err)
	switch {
	case unlinked.Err() != nil:
		return unlinked.Err()
	case isUnknown(once{announced}):
		return p.announce(ctx, &removed)
	case announced.Err() == nil && announced.Val() == nil && err != nil:
		return err // a hook of the client ended it
	default:
		return p.await(ctx, once{announced})
	}
}

// unlink removes keys on a cluster, in one round trip per node, or where replicas confirm. There is at least
// one key.
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
	if len(keys) == 1 {
		err := p.client.Unlink(ctx, keys...).Err()
		p.notice(ctx, err)
		return err
	}
	// The error is that of the pipeline, or of the first command that failed.
	_, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, key := range keys {
			pipe.Unlink(ctx, key)
		}
		return nil
	})
	p.notice(ctx, err)
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
