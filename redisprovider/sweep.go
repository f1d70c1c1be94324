package redisprovider

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// sweep removes the entries and leases under a prefix without an index: with SCAN
// and commands that the server takes even when it is out of memory. It returns
// how many entries that were; one that is stored between the look at a key and its
// removal may be missing.
func (p *Provider) sweep(ctx context.Context, scope, prefix string) (int, error) {
	var removed atomic.Int64
	err := p.scan(ctx, scope, prefix, func(ctx context.Context, keys []string) error {
		n, err := p.removeEach(ctx, keys)
		removed.Add(int64(n))
		return err
	})
	return int(removed.Load()), err
}

// removeEach removes keys and returns how many entries were among them.
func (p *Provider) removeEach(ctx context.Context, keys []string) (removed int, err error) {
	heads := make([]*redis.StringCmd, len(keys))
	unlinks := make([]once, len(keys)) // once, so that the answer counts all that it removed
	pipe := p.client.Pipeline()
	for i, key := range keys {
		heads[i] = pipe.GetRange(ctx, key, 0, frameHead-1)
		unlinks[i] = once{redis.NewCmd(ctx, "unlink", key)}
		_ = pipe.Process(ctx, unlinks[i]) //nolint:errcheck // only queues
	}
	_, pipeErr := pipe.Exec(ctx)
	var errs []error
	for i, unlink := range unlinks {
		gone, err := unlink.Int()
		if err != nil {
			errs = append(errs, err)
		} else if gone == 1 && isEntry(heads[i].Val()) {
			removed++
		}
	}
	if len(errs) == len(keys) && pipeErr != nil {
		return 0, pipeErr
	}
	return removed, errors.Join(errs...)
}

// isEntry reports whether head is the beginning of the frame of an entry.
func isEntry(head string) bool {
	if len(head) < frameHead || head[0] != frameMagic0 || head[1] != frameMagic1 || head[2] != frameVersion {
		return false
	}
	return kind(head[3]) == kindValue || kind(head[3]) == kindAbsent
}
