package near

import (
	"context"
	"errors"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// The removals and holds are those of the far store: it removes, tells all members, this one directly,
// and waits for those that are strict. In each of them, the memory of this process is the last that
// drops, whatever came of the request. If it were the first:
//
//  1. The memory drops the old value.
//  2. A reader misses, and finds it in the far store.
//  3. The far store removes it.
//  4. The memory has the old value, and no message follows.

// Delete implements [provider.CacheProvider].
func (s *Store) Delete(ctx context.Context, keys ...provider.Key) error {
	return s.far.Delete(ctx, keys...)
}

// DeletePrefix implements [provider.CacheProvider]. It counts the entries of the far store.
func (s *Store) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	return s.far.DeletePrefix(ctx, scope, prefix)
}

// Hold implements [provider.Holder]. While a key is held, the far store has no entry of it, so none comes
// into a memory.
func (s *Store) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	return s.far.Hold(ctx, targets, token, ttl)
}

// Unhold implements [provider.Holder].
func (s *Store) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	return s.far.Unhold(ctx, targets, token)
}

// Set implements [provider.CacheProvider]. Other processes are told, and not waited for: the cache does
// not use Set with a store that has leases.
func (s *Store) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	err := s.far.Set(ctx, key, entry, ttl)
	return errors.Join(err, s.far.Announce(ctx, provider.Removed{Keys: []provider.Key{key}}))
}

// SetMany implements [provider.Batcher]. See Set.
func (s *Store) SetMany(ctx context.Context, items []provider.Item) error {
	err := s.far.SetMany(ctx, items)
	keys := make([]provider.Key, len(items))
	for i := range items {
		keys[i] = items[i].Key
	}
	if len(keys) == 0 {
		return err
	}
	return errors.Join(err, s.far.Announce(ctx, provider.Removed{Keys: keys}))
}
