package neartest

import (
	"context"
	"io"
	"time"

	"github.com/readthrough/readthrough/provider"
)

var (
	_ provider.CacheProvider = (*Store)(nil)
	_ provider.Batcher       = (*Store)(nil)
	_ provider.TTLGetter     = (*Store)(nil)
	_ provider.Encoder       = (*Store)(nil)
	_ provider.Leaser        = (*Store)(nil)
	_ provider.Refresher     = (*Store)(nil)
	_ provider.Renewer       = (*Store)(nil)
	_ provider.Holder        = (*Store)(nil)
	_ provider.Announcer     = (*Store)(nil)
	_ io.Closer              = (*Store)(nil)
)

// Get implements [provider.CacheProvider].
func (s *Store) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	results, err := s.GetTTL(ctx, []provider.Key{key})
	return results[0].Entry, results[0].Found, err
}

// GetMany implements [provider.Batcher].
func (s *Store) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	return s.GetTTL(ctx, keys)
}

// GetTTL implements [provider.TTLGetter].
func (s *Store) GetTTL(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	err := s.locked(ctx, "get", func() {
		for i, key := range keys {
			at := s.server.liveLocked(key)
			results[i] = provider.Result{Entry: at.entry, Found: at.has, TTL: provider.NoExpiry}
			if !at.ends.IsZero() {
				results[i].TTL = time.Until(at.ends)
			}
		}
	})
	if err != nil {
		for i := range results {
			results[i] = provider.Result{Err: err}
		}
	}
	return results, err
}

// Encode implements [provider.Encoder].
func (*Store) Encode(entry provider.Entry) (provider.Entry, error) {
	if entry.Absent {
		entry.Value = nil
		return entry, nil
	}
	encoded, err := provider.NewChecker(provider.JSON()).Encode(entry.Value)
	if err != nil {
		return entry, err
	}
	entry.Value = provider.Encoded{Data: encoded.Data, Type: encoded.Type, Codec: encoded.Codec}
	return entry, nil
}

// Set implements [provider.CacheProvider].
func (s *Store) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	if err := provider.CheckTTL(ttl); err != nil {
		return err
	}
	entry, encodeErr := s.Encode(entry)
	if err := s.locked(ctx, "set", func() {
		delete(s.server.slots, key)
		if encodeErr == nil && !s.server.heldLocked(key) {
			s.server.slots[key] = slot{entry: entry, has: true, ends: endOf(ttl)}
		}
	}); err != nil {
		return err
	}
	return encodeErr
}

// SetMany implements [provider.Batcher].
func (s *Store) SetMany(ctx context.Context, items []provider.Item) (err error) {
	for _, item := range items {
		if e := s.Set(ctx, item.Key, item.Entry, item.TTL); e != nil {
			err = e
		}
	}
	return err
}

// Delete implements [provider.CacheProvider].
func (s *Store) Delete(ctx context.Context, keys ...provider.Key) error {
	removed := provider.Removed{Keys: keys}
	return s.remove(ctx, "delete", removed, func() { s.server.removeLocked(removed) })
}

// DeletePrefix implements [provider.CacheProvider].
func (s *Store) DeletePrefix(ctx context.Context, scope, prefix string) (n int, err error) {
	removed := provider.Removed{Prefixes: []provider.Key{{Scope: scope, Name: prefix}}}
	err = s.remove(ctx, "deleteprefix", removed, func() { n = s.server.removeLocked(removed) })
	return n, err
}

// Hold implements [provider.Holder].
func (s *Store) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	var removed provider.Removed
	for _, name := range targets.Keys {
		removed.Keys = append(removed.Keys, provider.Key{Scope: targets.Scope, Name: name})
	}
	for _, prefix := range targets.Prefixes {
		removed.Prefixes = append(removed.Prefixes, provider.Key{Scope: targets.Scope, Name: prefix})
	}
	return s.remove(ctx, "hold", removed, func() {
		s.server.removeLocked(removed)
		s.server.holds[token] = hold{targets, time.Now().Add(ttl)}
	})
}

// Unhold implements [provider.Holder].
func (s *Store) Unhold(ctx context.Context, _ provider.HoldTargets, token string) error {
	return s.locked(ctx, "unhold", func() { delete(s.server.holds, token) })
}

// Acquire implements [provider.Leaser].
func (s *Store) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	return s.grants(ctx, "acquire", len(keys), ttl, func(i int) provider.Grant {
		switch at := s.server.liveLocked(keys[i]); {
		case at.has:
			return provider.Grant{State: provider.LeaseFound, Entry: at.entry}
		case s.server.heldLocked(keys[i]):
			return provider.Grant{State: provider.LeaseHeld}
		case at.token != "":
			return provider.Grant{State: provider.LeaseBusy}
		default:
			return provider.Grant{State: provider.LeaseGranted, Lease: s.server.leaseLocked(keys[i], ttl)}
		}
	})
}

// Refresh implements [provider.Refresher].
func (s *Store) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	return s.grants(ctx, "refresh", len(requests), ttl, func(i int) provider.Grant {
		r := requests[i]
		at := s.server.liveLocked(r.Key)
		grant := provider.Grant{Found: at.has, Entry: at.entry}
		switch {
		case s.server.heldLocked(r.Key):
			return provider.Grant{State: provider.LeaseHeld}
		case at.token != "":
			grant.State = provider.LeaseBusy
		case at.has && !r.Force && !at.entry.LoadedAt.Equal(r.LoadedAt):
			grant.State = provider.LeaseFound
		default:
			grant.State, grant.Lease = provider.LeaseGranted, s.server.leaseLocked(r.Key, ttl)
		}
		return grant
	})
}

func (s *Store) grants(ctx context.Context, op string, n int, ttl time.Duration, grant func(i int) provider.Grant) ([]provider.Grant, error) {
	grants := make([]provider.Grant, n)
	err := provider.CheckTTL(ttl)
	if err == nil {
		err = s.locked(ctx, op, func() {
			for i := range grants {
				grants[i] = grant(i)
			}
		})
	}
	if err != nil {
		for i := range grants {
			grants[i] = provider.Grant{Err: err}
		}
	}
	return grants, err
}

// Fill implements [provider.Leaser].
func (s *Store) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	filled := make([]provider.Filled, len(fills))
	err := s.locked(ctx, "fill", func() {
		for i := range fills {
			filled[i] = s.fillLocked(&fills[i])
		}
	})
	if err != nil {
		for i := range filled {
			filled[i] = provider.Filled{Err: err}
		}
	}
	return filled, err
}

func (s *Store) fillLocked(fill *provider.Fill) provider.Filled {
	key := fill.Lease.Key
	at := s.server.liveLocked(key)
	if err := provider.CheckTTL(fill.TTL); err != nil {
		return provider.Filled{Err: err}
	}
	if at.token == "" || at.token != fill.Lease.Token || fill.Extend && !at.has {
		return provider.Filled{}
	}
	entry := fill.Entry
	if fill.Extend {
		entry.Value, entry.Absent = at.entry.Value, at.entry.Absent
	} else {
		var err error
		if entry, err = s.Encode(fill.Entry); err != nil {
			delete(s.server.slots, key)
			return provider.Filled{Err: err}
		}
	}
	s.server.slots[key] = slot{entry: entry, has: true, ends: endOf(fill.TTL)}
	return provider.Filled{Stored: true}
}

// Release implements [provider.Leaser].
func (s *Store) Release(ctx context.Context, leases []provider.Lease) error {
	return s.locked(ctx, "release", func() {
		for _, l := range leases {
			if at := s.server.liveLocked(l.Key); at.token == l.Token {
				at.token = ""
				s.server.slots[l.Key] = at
			}
		}
	})
}

// Renew implements [provider.Renewer].
func (s *Store) Renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	renewed := make([]bool, len(leases))
	if err := provider.CheckTTL(ttl); err != nil {
		return renewed, err
	}
	err := s.locked(ctx, "renew", func() {
		for i, l := range leases {
			if at := s.server.liveLocked(l.Key); at.token == l.Token {
				at.leaseEnds = time.Now().Add(ttl)
				s.server.slots[l.Key], renewed[i] = at, true
			}
		}
	})
	return renewed, err
}
