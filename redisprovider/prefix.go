package redisprovider

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// maxUnlink is how many keys of a prefix one UNLINK removes.
const maxUnlink = 1000

// DeletePrefix implements [provider.CacheProvider]. It looks at every key of the
// server, on a cluster of every master, with SCAN, and removes what begins with
// the prefix: its cost is that of the keyspace, not that of what it removes. The
// prefix is taken literally.
//
// The context is looked at between steps. If the error is nil, the count is
// exact; with an error it is what was confirmed, and calling again goes on from
// there.
func (p *Provider) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	root := p.prefix + escapeScope(scope) + scopeEnd + prefix
	removed, err := p.sweepAll(ctx, root)
	if err != nil {
		return removed, failed("delete prefix", root, err)
	}
	return removed, nil
}

// sweepAll removes the keys that begin with root from every master.
func (p *Provider) sweepAll(ctx context.Context, root string) (int, error) {
	if p.server != nil {
		return p.sweep(ctx, p.server, root)
	}
	var removed atomic.Int64
	err := p.cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		n, err := p.sweep(ctx, master, root)
		removed.Add(int64(n))
		return err
	})
	return int(removed.Load()), err
}

// sweep removes the keys that begin with root from one server.
//
// It uses one connection from beginning to end, and repeats nothing. A cursor
// belongs to one run of one server: if the server is restarted or replaced in
// between, its successor would accept the cursor and leave keys out. The
// connection breaks then, and with it the sweep. A step whose first command was
// refused is not repeated either: what its other commands removed would be
// missing in the count.
func (p *Provider) sweep(ctx context.Context, master server, root string) (removed int, err error) {
	conn := master.Conn()
	defer func() { err = errors.Join(err, conn.Close()) }()

	s := sweep{conn: conn, root: root, match: matchPrefix(root), count: p.scanCount, perKey: p.cluster != nil}
	for more := true; more; {
		if more, err = s.step(ctx); err != nil {
			return s.removed, err
		}
	}
	return s.removed, nil
}

// A sweep is a prefix delete under way on one server.
type sweep struct {
	conn        *redis.Conn
	root, match string
	count       int
	perKey      bool // an UNLINK names one key, as a cluster wants it

	cursor  uint64
	scanned bool     // the scan has come round
	doomed  []string // found by the last scan
	removed int
}

// step removes what the last step found and looks for more, in one round trip.
// It reports whether there is more to do. The context is looked at here, because
// the client does so only when it takes a connection from its pool.
func (s *sweep) step(ctx context.Context) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	pipe := s.conn.Pipeline()
	unlinks := s.queueUnlinks(ctx, pipe)
	var scan scanOnce
	if !s.scanned {
		scan = newScanOnce(ctx, s.cursor, s.match, s.count)
		_ = pipe.Process(ctx, scan) //nolint:errcheck // only queues
	}
	_, err = pipe.Exec(ctx)
	for _, unlink := range unlinks {
		s.removed += int(unlink.Val()) // zero if it failed
	}
	if err != nil {
		return false, err
	}
	s.doomed = nil
	if !s.scanned {
		s.take(scan.Val())
	}
	return !s.scanned || len(s.doomed) > 0, nil
}

// take keeps the keys of a page that begin with root. MATCH has chosen them
// already; but what it means is the server's matter, and what is removed is ours.
func (s *sweep) take(page []string, cursor uint64) {
	for _, key := range page {
		if strings.HasPrefix(key, s.root) {
			s.doomed = append(s.doomed, key)
		}
	}
	s.cursor, s.scanned = cursor, cursor == 0
}

// queueUnlinks adds the removal of the doomed keys to pipe.
func (s *sweep) queueUnlinks(ctx context.Context, pipe redis.Pipeliner) []unlinkOnce {
	size := maxUnlink
	if s.perKey {
		size = 1
	}
	var unlinks []unlinkOnce
	for part := range slices.Chunk(s.doomed, size) {
		unlink := newUnlinkOnce(ctx, part)
		_ = pipe.Process(ctx, unlink) //nolint:errcheck // only queues
		unlinks = append(unlinks, unlink)
	}
	return unlinks
}
