package near

import (
	"github.com/readthrough/readthrough/provider"
)

// Stats are the statistics of a [Store] since it was made.
type Stats struct {
	// NearHits counts entries that the memory has answered, and FarHits those of the far store.
	NearHits, FarHits int64
	// Entries and Weight are what is in the memory now. Weight is [provider.Unknown] without a Weigher.
	Entries, Weight int64
	// Dropped counts entries that an invalidation has dropped, by any process; Lost those that were
	// dropped because something may have been missed; Expired those whose TTL has ended; Evicted
	// those that made room.
	Dropped, Lost, Expired, Evicted int64
	// RefusedFills counts values that were not kept, because a message about their key came while they
	// were read or stored.
	RefusedFills int64
	// Membership is what it takes to be told: heartbeats, messages, and how long the invalidations of
	// this process have waited for others.
	Membership provider.MembershipStats

	_ struct{}
}

// NearStats returns the statistics of the memory and of the membership. No reader waits for it.
func (s *Store) NearStats() Stats {
	stats := Stats{
		FarHits: s.farHits.Load(), Dropped: s.dropped.Load(), Lost: s.lost.Load(), RefusedFills: s.refused.Load(),
		Membership: s.membership.Stats(),
	}
	if held, err := s.memory.Stats(nobody()); err == nil {
		stats.NearHits = held.Hits - s.peeks.Load()
		stats.Entries, stats.Weight = held.Entries, held.Weight
		stats.Expired, stats.Evicted = held.Expirations, held.Evictions
	}
	return stats
}
