package redisprovider

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// sweep removes the entries and leases under a prefix without an index: with SCAN
// and with commands that work even if the server is out of memory. It returns how
// many entries it removed. An entry that is stored between the look at its key and
// the removal may not be counted.
func (p *Provider) sweep(ctx context.Context, scope, prefix string) (int, error) {
	var removed atomic.Int64
	err := p.scan(ctx, scope, prefix, func(ctx context.Context, conn *redis.Conn, keys []string) error {
		n, err := removeEach(keys, func(n int, next func(i int) call) []once { return p.runOn(ctx, conn, true, n, next) })
		removed.Add(int64(n))
		return err
	})
	return int(removed.Load()), err
}

// removeEach removes keys, and returns how many of them were entries.
func removeEach(keys []string, run func(n int, next func(i int) call) []once) (removed int, err error) {
	// For each key: read its head, then remove it, on the same connection.
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
		// A value that is not a string is not an entry.
		if head, err := answers[i].Text(); err == nil && gone == 1 && isEntry(head) {
			removed++
		}
	}
	if len(errs) > 0 {
		return removed, errs[0]
	}
	return removed, nil
}

// isEntry reports whether head is the head of an entry's frame.
func isEntry(head string) bool {
	if len(head) < frameHead || head[0] != frameMagic0 || head[1] != frameMagic1 || head[2] != frameVersion {
		return false
	}
	return kind(head[3]) == kindValue || kind(head[3]) == kindAbsent
}
