package memory

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Has reports whether there is a live entry under key. It counts as neither hit
// nor miss.
func (s *Store) Has(_ context.Context, key provider.Key) (bool, error) {
	if n := s.live(&key); n != nil {
		return true, nil
	}
	if s.closed.Load() {
		return false, errClosed
	}
	return false, nil
}

// Stats returns the statistics. Entries and Weight count expired entries until the
// sweep removes them, a moment later. Weight is [provider.Unknown] without a
// [Options.Weigher]. Stats does not block readers; Hits and Misses may lack reads
// that run at the same time.
func (s *Store) Stats(context.Context) (provider.Stats, error) {
	if err := s.lock(); err != nil {
		return provider.Stats{}, err
	}
	stats := provider.Stats{
		Entries:     s.count,
		Weight:      s.weight,
		MaxEntries:  bound(s.maxEntries),
		MaxWeight:   bound(s.maxWeight),
		Evictions:   s.evictions,
		Expirations: s.expirations,
	}
	s.mu.Unlock()
	if s.weigher == nil {
		stats.Weight = provider.Unknown
	}
	stats.Hits, stats.Misses = s.hits.Load(), s.misses.Load()
	return stats, nil
}

// bound returns a bound as statistics show it: zero for none.
func bound(limit int64) int64 {
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// List returns a page of the entries that are live when it begins. A negative Offset or Limit, an
// unknown Sort, and a Cursor that is not the Next of a page are errors. List looks at every entry
// of the store: it serves people, and is not worth an index that every write would pay for. It lets
// writers in after every few hundred entries. An entry that is stored or removed meanwhile may be
// in the listing or not.
func (s *Store) List(_ context.Context, options provider.ListOptions) (provider.Page, error) {
	if err := checkList(&options); err != nil {
		return provider.Page{}, err
	}
	now, wall := s.now(), time.Now().Round(0)
	nodes, err := s.collect(options, now)
	if err != nil {
		return provider.Page{}, err
	}
	order(nodes, options.Sort)
	page := provider.Page{Total: len(nodes)}
	limit := options.Limit
	if limit == 0 {
		limit = provider.DefaultPageSize
	}
	nodes = nodes[min(options.Offset, len(nodes)):]
	for _, n := range nodes[:min(limit, len(nodes))] {
		page.Entries = append(page.Entries, s.info(n, now, wall))
	}
	if limit < len(nodes) {
		page.Next = strconv.Itoa(options.Offset + limit)
	}
	return page, nil
}

// checkList returns an error for bad options. A cursor is the offset of its page.
func checkList(options *provider.ListOptions) error {
	if options.Cursor != "" {
		offset, err := strconv.Atoi(options.Cursor)
		if err != nil || offset < 0 || options.Offset != 0 {
			return fmt.Errorf("memory: ListOptions.Cursor %q: must be the Next of a page, and Offset zero", options.Cursor)
		}
		options.Offset = offset
	}
	switch {
	case options.Offset < 0:
		return fmt.Errorf("memory: ListOptions.Offset %d: must not be negative", options.Offset)
	case options.Limit < 0:
		return fmt.Errorf("memory: ListOptions.Limit %d: must not be negative", options.Limit)
	case options.Sort < provider.SortName || options.Sort > provider.SortNewest:
		return fmt.Errorf("memory: ListOptions.Sort %d: unknown", options.Sort)
	}
	return nil
}

// collect returns the nodes that options select and that are live at now,
// unordered.
func (s *Store) collect(options provider.ListOptions, now int64) ([]*node, error) {
	var nodes []*node
	some := func(n *node) {
		if (options.Scope == "" || options.Scope == n.scope.name) &&
			strings.HasPrefix(n.name, options.Prefix) && !n.expiredAt(now) {
			nodes = append(nodes, n)
		}
	}
	w := newWalk(s.table.Load())
	for done := false; !done; {
		if err := s.lock(); err != nil {
			return nil, err
		}
		done = w.next(some)
		s.mu.Unlock()
	}
	return nodes, nil
}

// order sorts nodes. Nodes that compare equal are sorted by scope and name.
func order(nodes []*node, by provider.Sort) {
	slices.SortFunc(nodes, func(a, b *node) int {
		first := 0
		switch by {
		case provider.SortBiggest:
			first = cmp.Compare(b.weight(), a.weight())
		case provider.SortNewest:
			first = cmp.Compare(b.stored, a.stored)
		default:
		}
		if first == 0 {
			first = strings.Compare(a.scope.name, b.scope.name)
		}
		if first == 0 {
			first = strings.Compare(a.name, b.name)
		}
		return first
	})
}

// info describes a node. now and wall are the same moment on the store's clock and
// on the wall clock.
func (s *Store) info(n *node, now int64, wall time.Time) provider.Info {
	info := provider.Info{
		Key:      n.key(),
		Weight:   n.weight(),
		Absent:   n.absent,
		StoredAt: wall.Add(time.Duration(n.stored - now)),
	}
	if s.weigher == nil {
		info.Weight = provider.Unknown
	}
	if n.expires != never {
		info.ExpiresAt = wall.Add(time.Duration(n.expires - now))
	}
	return info
}
