package redisprovider

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// sweep removes the entries and leases under a prefix without an index: with SCAN
// and commands that the server takes even when it is out of memory. It returns
// how many entries that were; one that is stored between the look at a key and its
// removal may be missing.
func (p *Provider) sweep(ctx context.Context, scope, prefix string) (int, error) {
	var removed atomic.Int64
	err := p.scan(ctx, scope, prefix, func(ctx context.Context, conn *redis.Conn, keys []string) error {
		n, err := removeEach(keys, func(n int, next func(i int) call) []once { return p.runOn(ctx, conn, true, n, next) })
		removed.Add(int64(n))
		return err
	})
	return int(removed.Load()), err
}

// removeEach removes keys and returns how many entries were among them.
func removeEach(keys []string, run func(n int, next func(i int) call) []once) (removed int, err error) {
	// Each key is looked at and then removed, on the same connection.
	answers := run(2*len(keys), func(i int) call {
		key := keys[i/2]
		if i%2 == 0 {
			return call{args: []any{"getrange", key, "0", frameHead - 1}}
		}
		return call{args: []any{"unlink", key}}
	})
	var errs []error
	for i := 0; i < len(answers); i += 2 {
		gone, err := answers[i+1].Int()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		// What is no text is no entry.
		if head, ok := answers[i].Val().(string); ok && gone == 1 && isEntry(head) {
			removed++
		}
	}
	if len(errs) > 0 {
		return removed, errs[0]
	}
	return removed, nil
}

// isEntry reports whether head is the beginning of the frame of an entry.
func isEntry(head string) bool {
	if len(head) < frameHead || head[0] != frameMagic0 || head[1] != frameMagic1 || head[2] != frameVersion {
		return false
	}
	return kind(head[3]) == kindValue || kind(head[3]) == kindAbsent
}
