package memory

import (
	"context"

	"github.com/readthrough/readthrough/provider"
)

// Get returns the live entry under key, and whether there is one. It takes no lock
// and allocates nothing. It returns an error only if the store is closed.
func (s *Store) Get(_ context.Context, key provider.Key) (entry provider.Entry, found bool, err error) {
	if n := s.live(&key); n != nil {
		n.hit()
		s.hits.Add(1)
		return n.entry(s.base), true, nil
	}
	// Close empties the table before it sets closed. An entry that was found was
	// therefore stored before Close began, and only a miss has to check closed.
	if s.closed.Load() {
		return provider.Entry{}, false, errClosed
	}
	s.misses.Add(1)
	return provider.Entry{}, false, nil
}

// GetValue returns the value of the live entry under key. It returns
// [provider.Unsure] for an entry that is absent or no longer fresh, and for a missing
// entry once the store is closed.
func (s *Store) GetValue(key provider.Key) (value any, is provider.Presence) {
	// This is live, written out. It saves a call on the hot path, and one reading of the clock
	// decides whether the entry lives and whether it is fresh.
	end := s.deadline.Load()
	n, now := s.find(&key), never-1
	if n != nil {
		if end = min(end, n.expires); end != never {
			if now = s.now(); now >= end {
				n = nil
			}
		}
	}
	if n == nil {
		return nil, s.missing()
	}
	value, plain := n.plain(now)
	if !plain {
		return nil, provider.Unsure
	}
	n.hit()
	s.hits.Add(1)
	return value, provider.Present
}

// missing counts the miss of GetValue.
func (s *Store) missing() provider.Presence {
	if s.closed.Load() {
		return provider.Unsure
	}
	s.misses.Add(1)
	return provider.Missing
}

// GetValues is GetValue for many keys. It reads the clock once.
func (s *Store) GetValues(keys []provider.Key, values []provider.Value) {
	hits, misses := 0, 0
	s.eachOf(keys, func(i int, n *node, now int64) {
		if n == nil {
			values[i] = provider.Value{Is: provider.Missing}
			misses++
			return
		}
		value, plain := n.plain(now)
		if !plain {
			values[i] = provider.Value{Is: provider.Unsure}
			return
		}
		n.hit()
		hits++
		values[i] = provider.Value{Value: value, Is: provider.Present}
	})
	if misses > 0 && s.closed.Load() {
		for i := range values {
			if values[i].Is == provider.Missing {
				values[i].Is = provider.Unsure
			}
		}
		return
	}
	s.hits.Add(int64(hits))
	s.misses.Add(int64(misses))
}

// eachOf calls visit for each of keys, in order, with its live node, nil if there is
// none. now is the time of the look.
func (s *Store) eachOf(keys []provider.Key, visit func(i int, n *node, now int64)) {
	deadline := s.deadline.Load() // before the entries, see ServeUntil
	now := s.now()
	var room [lookahead]search
	for first := 0; first < len(keys); first += lookahead {
		some := keys[first:min(first+lookahead, len(keys))]
		searches := room[:len(some)]
		for i := range some {
			searches[i].hash = s.hash(&some[i])
		}
		s.table.Load().findSome(searches, some)
		for i := range searches {
			n := searches[i].node
			if n != nil && (n.expiredAt(now) || now >= deadline) {
				n = nil
			}
			visit(first+i, n, now)
		}
	}
}

// GetMany looks up keys and returns one result per key, in the order of keys. It
// reads the clock once.
func (s *Store) GetMany(_ context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	hits := 0
	s.eachOf(keys, func(i int, n *node, _ int64) {
		if n != nil {
			n.hit()
			hits++
			results[i].Entry, results[i].Found = n.entry(s.base), true
		}
	})
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
