package memory

import (
	"context"

	"github.com/readthrough/readthrough/provider"
)

// Get returns the live entry under key, and whether there is one. It takes no
// lock and allocates nothing. The only error is that of a closed store.
func (s *Store) Get(_ context.Context, key provider.Key) (entry provider.Entry, found bool, err error) {
	if n := s.find(&key); n != nil && (n.expires == never || !n.expiredAt(s.now())) {
		n.hit()
		s.hits.Add(1)
		return n.entry(s.base), true, nil
	}
	// An entry that was found was stored before Close began, so only a miss has
	// to ask whether the store is closed: Close empties the table first.
	if s.closed.Load() {
		return provider.Entry{}, false, errClosed
	}
	s.misses.Add(1)
	return provider.Entry{}, false, nil
}

// GetValue returns the value of the live entry under key. It is unsure about an
// entry that is absent or has FreshUntil, and about everything once the store is
// closed.
func (s *Store) GetValue(key provider.Key) (value any, is provider.Presence) {
	n := s.find(&key)
	if n == nil || n.expires != never && n.expiredAt(s.now()) {
		if s.closed.Load() {
			return nil, provider.Unsure
		}
		s.misses.Add(1)
		return nil, provider.Missing
	}
	value = n.value
	if b, ok := value.(*box); ok {
		if !b.entry.FreshUntil.IsZero() {
			return nil, provider.Unsure
		}
		value = b.entry.Value
	}
	if n.absent {
		return nil, provider.Unsure
	}
	n.hit()
	s.hits.Add(1)
	return value, provider.Present
}

// GetMany looks up keys and returns one result for each, in their order, with
// one reading of the clock for all of them.
func (s *Store) GetMany(_ context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	now := s.now()
	hits := 0
	for i := range keys {
		n := s.find(&keys[i])
		if n == nil || n.expiredAt(now) {
			continue
		}
		n.hit()
		hits++
		results[i].Entry, results[i].Found = n.entry(s.base), true
	}
	if s.closed.Load() {
		for i := range results {
			if !results[i].Found {
				results[i].Err = errClosed
			}
		}
		return results, errClosed
	}
	s.hits.Add(int64(hits))
	s.misses.Add(int64(len(keys) - hits))
	return results, nil
}
