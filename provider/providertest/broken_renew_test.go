package providertest

import (
	"context"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

type renewFunc = func(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error)

func (r *reference) Renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	renewed := make([]bool, len(leases))
	if err := r.usableLocked(ctx); err != nil {
		return renewed, err
	}
	if err := provider.CheckTTL(ttl); err != nil {
		return renewed, err
	}
	for i, lease := range leases {
		if renewed[i] = r.holdsLeaseLocked(lease); renewed[i] {
			r.leases[lease.Key] = leased{lease.Token, endOf(ttl)}
		}
	}
	return renewed, nil
}

func (b *broken) Renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	return b.renew(ctx, leases, ttl)
}

// afterRenew has something happen for each lease after Renew.
func afterRenew(happen func(b *broken, lease provider.Lease, renewed *bool, ttl time.Duration)) func(*broken) {
	return func(b *broken) {
		b.renew = func(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
			renewed, err := b.reference.Renew(ctx, leases, ttl)
			for i := range renewed {
				if err == nil {
					happen(b, leases[i], &renewed[i], ttl)
				}
			}
			return renewed, err
		}
	}
}

func brokenRenewals() []breakage {
	return []breakage{
		// Renew prolongs.
		{name: "Renew does nothing, and says that it did", cases: in("renew/prolongs", "renew/ends", "renew/beside"), apply: func(b *broken) {
			b.renew = func(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
				if err := provider.CheckTTL(ttl); err != nil {
					return nil, err
				}
				renewed := make([]bool, len(leases))
				for i, lease := range leases {
					l, found := b.leaseOf(lease.Key)
					renewed[i] = found && l.token == lease.Token
				}
				return renewed, nil
			}
		}},
		{
			name: "Renew says that nothing is there", cases: in("renew/prolongs", "renew/ends", "renew/several", "renew/beside"),
			apply: afterRenew(func(_ *broken, _ provider.Lease, renewed *bool, _ time.Duration) { *renewed = false }),
		},
		// The TTL is the new one.
		{name: "a lease that was renewed never ends", cases: in("renew/ends"), exactOnly: true, apply: afterRenew(func(b *broken, lease provider.Lease, renewed *bool, _ time.Duration) {
			if *renewed {
				b.editLeases(func(leases map[provider.Key]leased) { leases[lease.Key] = leased{token: lease.Token} })
			}
		})},
		// Renew needs that very lease.
		{name: "Renew looks at the key only", cases: in("renew/not-the-lease"), apply: func(b *broken) {
			b.renew = func(_ context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
				if err := provider.CheckTTL(ttl); err != nil {
					return nil, err
				}
				renewed := make([]bool, len(leases))
				b.editLeases(func(all map[provider.Key]leased) {
					for i, lease := range leases {
						l, found := all[lease.Key]
						if renewed[i] = found && l.live(); renewed[i] {
							all[lease.Key] = leased{l.token, endOf(ttl)}
						}
					}
				})
				return renewed, nil
			}
		}},
		{name: "Renew plants the lease again", cases: in("renew/not-the-lease", "renew/several"), apply: afterRenew(func(b *broken, lease provider.Lease, renewed *bool, ttl time.Duration) {
			if _, found := b.leaseOf(lease.Key); !found {
				b.editLeases(func(leases map[provider.Key]leased) { leases[lease.Key] = leased{lease.Token, endOf(ttl)} })
				*renewed = true
			}
		})},
		// Each lease has its answer.
		{name: "Renew stops at a lease that is gone", cases: in("renew/several"), apply: func(b *broken) {
			b.renew = func(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
				renewed, err := b.reference.Renew(ctx, leases, ttl)
				if i := slices.Index(renewed, false); i >= 0 {
					clear(renewed[i:])
				}
				return renewed, err
			}
		}},
		{name: "Renew answers for the leases that are there", cases: in("renew/several", "renew/not-the-lease"), apply: func(b *broken) {
			b.renew = func(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
				renewed, err := b.reference.Renew(ctx, leases, ttl)
				return slices.DeleteFunc(renewed, func(ok bool) bool { return !ok }), err
			}
		}},
		// A bad TTL is an error.
		{name: "Renew takes any TTL", cases: in("renew/ttl"), apply: func(b *broken) {
			b.renew = func(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
				return b.reference.Renew(ctx, leases, max(ttl, time.Hour))
			}
		}},
		// It prolongs no entry.
		{name: "Renew prolongs the entry", exactOnly: true, cases: in("renew/beside"), apply: afterRenew(func(b *broken, lease provider.Lease, renewed *bool, ttl time.Duration) {
			b.edit(func(entries map[provider.Key]stored) {
				if e, found := entries[lease.Key]; found && *renewed {
					e.ends = endOf(ttl)
					entries[lease.Key] = e
				}
			})
		})},
	}
}
