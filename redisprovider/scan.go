package redisprovider

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A pageFunc handles a page of keys that a scan has found. conn is the connection
// of the scan.
type pageFunc func(ctx context.Context, conn *redis.Conn, keys []string) error

// scan calls found, page by page, with the keys of entries and leases of a scope
// whose names begin with prefix. On a cluster, several goroutines may call found
// at the same time. A key that exists from the beginning to the end is found at
// least once.
func (p *Provider) scan(ctx context.Context, scope, prefix string, found pageFunc) error {
	root := p.prefix + "{" + escapeScope(scope)
	match := matchPrefix(root + "}:" + valueMark + prefix)
	if p.buckets > 0 {
		match = matchPrefix(root+"#") + matchPrefix("}:"+valueMark+prefix)
	}
	wanted := make(map[bucket]bool)
	for _, b := range p.bucketsOf(scope) {
		wanted[b] = true
	}
	// MATCH has already selected the keys. This check does not rely on it: the
	// keys are going to be removed.
	ours := func(key string) bool {
		if !strings.HasPrefix(key, root) || !strings.Contains(key[len(root):], "}:"+valueMark) {
			return false
		}
		b, name := cutValue(key)
		return wanted[b] && strings.HasPrefix(name, prefix)
	}
	page := func(ctx context.Context, conn *redis.Conn, page []string) error {
		keys := slices.DeleteFunc(page, func(key string) bool { return !ours(key) })
		if len(keys) == 0 {
			return nil
		}
		return found(ctx, conn, keys)
	}
	return p.steady(ctx, scope, func() error {
		return p.onMasters(ctx, func(ctx context.Context, master server) error {
			return p.scanServer(ctx, master, match, page)
		})
	})
}

// scanServer scans one server.
//
// It uses one connection from beginning to end, and never retries. A cursor
// belongs to one run of one server. If the server is restarted or replaced, its
// successor would accept the cursor and skip keys. In that case the connection
// breaks, and the scan fails.
//
// The loop checks the context, because the client checks it only when it takes a
// connection from its pool.
func (p *Provider) scanServer(ctx context.Context, master server, match string, page pageFunc) (err error) {
	conn := master.Conn()
	defer func() { err = errors.Join(err, conn.Close()) }()
	for cursor := uint64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		step := newScanOnce(ctx, cursor, match, p.scanCount)
		if err := conn.Process(ctx, step); err != nil {
			return err
		}
		var keys []string
		keys, cursor = step.Val()
		if err := page(ctx, conn, keys); err != nil {
			return err
		}
		if cursor == 0 {
			return nil
		}
	}
}
