package memory

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Has reports whether there is a live entry under key. It counts as neither hit
// nor miss.
func (s *Store) Has(_ context.Context, key provider.Key) (bool, error) {
	n, ok := s.entries.Load(key)
	if ok && !n.expiredAt(s.now()) {
		return true, nil
	}
	if s.closed.Load() {
		return false, errClosed
	}
	return false, nil
}

// Stats returns the statistics. Entries and Weight count expired entries until
// they are removed, which is soon. Weight is [provider.Unknown] without a
// [Options.Weigher]. Readers are not held up; reads that go on meanwhile may be
// missing from Hits and Misses.
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
	stats.Hits, stats.Misses = s.reads.totals()
	return stats, nil
}

// bound returns a bound as statistics have it.
func bound(limit int64) int64 {
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// List returns a page of the entries that are live when it begins. A negative
// Offset or Limit, or an unknown Sort, is an error. Its cost grows with the
// number of entries in the scope and under the prefix; writers are let in every
// few hundred, and what they change meanwhile may be in the listing or not.
func (s *Store) List(_ context.Context, options provider.ListOptions) (provider.Page, error) {
	if err := checkList(options); err != nil {
		return provider.Page{}, err
	}
	now, wall := s.now(), time.Now().Round(0)
	nodes, err := s.collect(options.Scope, options.Prefix, now)
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
	return page, nil
}

func checkList(options provider.ListOptions) error {
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

// collect returns the nodes whose names begin with prefix and that are live at
// now, of one scope, or of all if scope is empty, by scope and name.
func (s *Store) collect(scope, prefix string, now int64) ([]*node, error) {
	scopes := []string{scope}
	if scope == "" {
		var err error
		if scopes, err = s.scopes(); err != nil {
			return nil, err
		}
	}
	var nodes []*node
	for _, scope := range scopes {
		c := cursor{scope: scope, prefix: prefix}
		for !c.done {
			var err error
			if nodes, err = s.collectChunk(nodes, &c, now); err != nil {
				return nil, err
			}
		}
	}
	return nodes, nil
}

// collectChunk appends to nodes those of the next names of c that are live.
func (s *Store) collectChunk(nodes []*node, c *cursor, now int64) ([]*node, error) {
	if err := s.lock(); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	for _, name := range c.nextLocked(&s.index) {
		n, ok := s.entries.Load(provider.Key{Scope: c.scope, Name: name})
		if ok && !n.expiredAt(now) {
			nodes = append(nodes, n)
		}
	}
	return nodes, nil
}

// scopes returns the scopes that have entries, in order.
func (s *Store) scopes() ([]string, error) {
	if err := s.lock(); err != nil {
		return nil, err
	}
	scopes := make([]string, 0, len(s.index.scopes))
	for scope := range s.index.scopes {
		scopes = append(scopes, scope)
	}
	s.mu.Unlock()
	slices.Sort(scopes)
	return scopes, nil
}

// order sorts nodes that are in order by scope and name. The sort is stable, so
// that ties stay in it.
func order(nodes []*node, by provider.Sort) {
	switch by {
	case provider.SortBiggest:
		slices.SortStableFunc(nodes, func(a, b *node) int { return cmp.Compare(b.weight, a.weight) })
	case provider.SortNewest:
		slices.SortStableFunc(nodes, func(a, b *node) int { return cmp.Compare(b.stored, a.stored) })
	default:
	}
}

// info describes a node. The store's clock stood at now when the wall clock
// stood at wall.
func (s *Store) info(n *node, now int64, wall time.Time) provider.Info {
	info := provider.Info{
		Key:      n.key,
		Weight:   n.weight,
		Absent:   n.entry.Absent,
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
