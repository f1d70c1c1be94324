package near

import (
	"context"
	"errors"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// The tokens of this store are those of the far store behind a mark, which says whether the lease was
// granted beside an entry: then other processes may have that entry in their memories, and are told when
// it is replaced.
const (
	markEmpty   = "e"
	markReplace = "r"
)

func unmarked(lease provider.Lease) (own provider.Lease, replaces bool) {
	if lease.Token == "" {
		return lease, false
	}
	replaces = lease.Token[:1] == markReplace
	lease.Token = lease.Token[1:]
	return lease, replaces
}

func allUnmarked(leases []provider.Lease) []provider.Lease {
	own := make([]provider.Lease, len(leases))
	for i := range leases {
		own[i], _ = unmarked(leases[i])
	}
	return own
}

// Acquire implements [provider.Leaser].
func (s *Store) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	grants, err := s.far.Acquire(ctx, keys, ttl)
	if len(grants) == len(keys) {
		for i := range grants {
			s.granted(keys[i], &grants[i])
		}
	}
	return grants, err
}

// Refresh implements [provider.Refresher].
func (s *Store) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	grants, err := s.far.Refresh(ctx, requests, ttl)
	if len(grants) == len(requests) {
		for i := range grants {
			s.granted(requests[i].Key, &grants[i])
		}
	}
	return grants, err
}

// granted marks the token of a lease, and drops an entry from the memory that is not the one that the far
// store has: another process has replaced it, or it is gone.
func (s *Store) granted(key provider.Key, g *provider.Grant) {
	if g.State == provider.LeaseFailed {
		return
	}
	found := g.Found || g.State == provider.LeaseFound
	if g.State == provider.LeaseGranted {
		mark := markEmpty
		if found {
			mark = markReplace
		}
		g.Lease.Token = mark + g.Lease.Token
	}
	near, is, err := s.memory.Get(nobody(), key)
	if err != nil || !is {
		return
	}
	s.peeks.Add(1)
	if !found || !near.LoadedAt.Equal(g.Entry.LoadedAt) {
		s.forget(key)
	}
}

// forget drops what the memory has of key.
func (s *Store) forget(key provider.Key) {
	_ = s.memory.Delete(nobody(), key) //nolint:errcheck // closed: it is empty
}

// Fill implements [provider.Leaser]. What the far store has confirmed comes into the memory as it was
// loaded. What replaces an entry is announced, and nobody is waited for: the old one was not invalidated.
// Here, too, it then comes from the far store.
func (s *Store) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	own := make([]provider.Fill, len(fills))
	replaces := make([]bool, len(fills))
	positions := make([]position, len(fills))
	for i := range fills {
		own[i] = fills[i]
		own[i].Lease, replaces[i] = unmarked(fills[i].Lease)
		positions[i] = s.fence.at(own[i].Lease.Key) // before the fill is sent
	}
	sent := time.Now()
	filled, err := s.far.Fill(ctx, own)
	if len(filled) != len(fills) {
		return filled, err
	}
	var replaced []provider.Key
	for i := range filled {
		key := own[i].Lease.Key
		switch {
		case filled[i].Stored && !replaces[i]:
			s.loaded(&own[i], positions[i], sent)
		case replaces[i] || isRefusal(filled[i].Err):
			replaced = append(replaced, key)
		}
	}
	if len(replaced) > 0 {
		if told := s.far.Announce(ctx, provider.Removed{Keys: replaced}); told != nil {
			for _, key := range replaced { // others have it until its end
				s.forget(key)
			}
		}
	}
	return filled, err
}

// isRefusal reports whether the far store has refused an entry for what it is, and has nothing under its
// key any more.
func isRefusal(err error) bool {
	return errors.Is(err, provider.ErrTooLarge) || errors.Is(err, provider.ErrUnencodable) || errors.Is(err, provider.ErrLossy)
}

// loaded puts what the far store has confirmed into the memory.
func (s *Store) loaded(fill *provider.Fill, p position, sent time.Time) {
	entry, ends := fill.Entry, sent.Add(min(s.ttl, fill.TTL))
	if !entry.Absent {
		encoded, ok := entry.Value.(provider.Encoded)
		if !ok || encoded.Original() == nil {
			return
		}
		entry.Value = encoded.Original()
	}
	s.keep(fill.Lease.Key, entry, p, ends)
}

// Release implements [provider.Leaser].
func (s *Store) Release(ctx context.Context, leases []provider.Lease) error {
	return s.far.Release(ctx, allUnmarked(leases))
}

// Renew implements [provider.Renewer].
func (s *Store) Renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	return s.far.Renew(ctx, allUnmarked(leases), ttl)
}

// Encode implements [provider.Encoder]. The encoded value keeps the value that it was made of, for Fill.
func (s *Store) Encode(entry provider.Entry) (provider.Entry, error) {
	original := entry.Value
	entry, err := s.far.Encode(entry)
	if encoded, ok := entry.Value.(provider.Encoded); ok && err == nil {
		if _, was := original.(provider.Encoded); !was {
			entry.Value = encoded.WithOriginal(original)
		}
	}
	return entry, err
}
