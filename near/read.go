package near

import (
	"context"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// GetValue implements [provider.ValueGetter], from the memory alone.
func (s *Store) GetValue(key provider.Key) (value any, is provider.Presence) {
	value, is = s.memory.GetValue(key)
	if is == provider.Missing {
		is = provider.Unsure // the far store may have it
	}
	return value, is
}

// GetValues implements [provider.ValueGetter], from the memory alone.
func (s *Store) GetValues(keys []provider.Key, values []provider.Value) {
	s.memory.GetValues(keys, values)
	for i := range values {
		if values[i].Is == provider.Missing {
			values[i].Is = provider.Unsure
		}
	}
}

// GetNear implements [provider.NearCache].
//
// An entry whose FreshUntil has passed is left to the far store, which may have a newer one by now:
// nobody announces that an entry was refreshed before it is needed. So a stale value is never refreshed
// again and again because the memory still has it.
func (s *Store) GetNear(key provider.Key) (provider.Entry, bool) {
	entry, found, err := s.memory.Get(nobody(), key)
	switch {
	case err != nil || !found:
		return provider.Entry{}, false
	case !isFresh(&entry):
		s.peeks.Add(1) // the memory has counted a hit
		return provider.Entry{}, false
	}
	entry.Near = true
	return entry, true
}

func isFresh(entry *provider.Entry) bool {
	return entry.FreshUntil.IsZero() || time.Now().Before(entry.FreshUntil)
}

// KeepOut implements [provider.NearCache].
func (s *Store) KeepOut(scope string) {
	for {
		old := s.keptOut.Load()
		kept := map[string]bool{scope: true}
		for name := range *old {
			kept[name] = true
		}
		if s.keptOut.CompareAndSwap(old, &kept) {
			break
		}
	}
	// A put that has not seen the new map was before this, or finds the fence moved.
	(*listener)(s).Removed(provider.Removed{Prefixes: []provider.Key{{Scope: scope}}})
}

// Get implements [provider.CacheProvider]: from the memory, or else from the far store, in one round trip.
func (s *Store) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	if entry, found := s.GetNear(key); found {
		return entry, true, nil
	}
	results, err := s.getFar(ctx, []provider.Key{key})
	if err == nil {
		err = results[0].Err
	}
	return results[0].Entry, results[0].Found, err
}

// GetMany implements [provider.Batcher]: from the memory, and the others from the far store, in as many
// round trips as that takes for them.
func (s *Store) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	var missing []provider.Key
	var at []int
	for i, key := range keys {
		if results[i].Entry, results[i].Found = s.GetNear(key); !results[i].Found {
			missing, at = append(missing, key), append(at, i)
		}
	}
	if len(missing) == 0 {
		return results, nil
	}
	found, err := s.getFar(ctx, missing)
	for i := range found {
		results[at[i]] = found[i]
	}
	return results, err
}

// getFar asks the far store, and offers what it has to the memory. It returns a result for each key.
func (s *Store) getFar(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	// The positions are taken before the request is sent; see fence.
	positions := make([]position, len(keys))
	for i, key := range keys {
		positions[i] = s.fence.at(key)
	}
	sent := time.Now()
	results, err := s.far.GetTTL(ctx, keys)
	if len(results) != len(keys) {
		if err == nil {
			err = fmt.Errorf("near: the far store returned %d results for %d keys", len(results), len(keys))
		}
		results = make([]provider.Result, len(keys))
		for i := range results {
			results[i].Err = err
		}
		return results, err
	}
	hits := 0
	for i := range results {
		if r := &results[i]; r.Found && r.Err == nil {
			hits++
			s.offer(keys[i], r, positions[i], sent)
		}
	}
	s.farHits.Add(int64(hits))
	return results, err
}

// offer puts what was found into the memory: an absence at once, and a value when its reader has decoded
// it. The TTL that the far store has told was counted after the request was sent, so the entry ends here
// before it ends there.
func (s *Store) offer(key provider.Key, r *provider.Result, p position, sent time.Time) {
	ends := sent.Add(min(s.ttl, r.TTL))
	if !isFresh(&r.Entry) {
		return
	}
	if r.Entry.Absent {
		s.keep(key, r.Entry, p, ends)
		return
	}
	encoded, ok := r.Entry.Value.(provider.Encoded)
	if !ok {
		return
	}
	entry := r.Entry
	r.Entry.Value = encoded.OnDecode(func(value any) {
		entry := entry
		entry.Value = value
		s.keep(key, entry, p, ends)
	})
}

// keep puts an entry into the memory until ends, if nothing about its key has come since p.
func (s *Store) keep(key provider.Key, entry provider.Entry, p position, ends time.Time) {
	left := time.Until(ends)
	if left <= 0 || (*s.keptOut.Load())[key.Scope] {
		return
	}
	weight, ok := s.weigh(key, entry)
	if !ok {
		return
	}
	kept := s.fence.put(key, p, func() {
		s.weight = weight
		_ = s.memory.Set(nobody(), key, entry, left) //nolint:errcheck // too heavy, or closed: it is not kept
	})
	if !kept {
		s.refused.Add(1)
	}
}

// weigh asks the weigher, which may panic. What it cannot weigh is not kept.
func (s *Store) weigh(key provider.Key, entry provider.Entry) (weight int64, ok bool) {
	if s.weigher == nil {
		return 0, true
	}
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return s.weigher(key, entry), true
}
