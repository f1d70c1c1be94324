package providertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// editLeases runs f on the leases of the store.
func (r *reference) editLeases(f func(leases map[provider.Key]leased)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.leases)
}

// editHolds replaces the holds of the store.
func (r *reference) editHolds(f func(holds []held) []held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holds = f(r.holds)
}

// leaseOf returns the lease that key holds, if there is one that has not ended.
func (r *reference) leaseOf(key provider.Key) (l leased, found bool) {
	r.editLeases(func(leases map[provider.Key]leased) { l, found = leases[key] })
	return l, found && l.live()
}

// changeGrants has Acquire return other grants.
func changeGrants(change func(b *broken, keys []provider.Key, grants []provider.Grant) []provider.Grant) func(*broken) {
	return func(b *broken) {
		b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
			grants, err := b.reference.Acquire(ctx, keys, ttl)
			if err != nil {
				return grants, err
			}
			return change(b, keys, grants), nil
		}
	}
}

// changeGrant has Acquire return other grants, one by one.
func changeGrant(change func(b *broken, key provider.Key, grant *provider.Grant)) func(*broken) {
	return changeGrants(func(b *broken, keys []provider.Key, grants []provider.Grant) []provider.Grant {
		for i := range grants {
			change(b, keys[i], &grants[i])
		}
		return grants
	})
}

// changeToken has Acquire use another token.
func changeToken(change func(b *broken, lease provider.Lease) string) func(*broken) {
	return changeGrant(func(b *broken, key provider.Key, grant *provider.Grant) {
		if grant.State != provider.LeaseGranted {
			return
		}
		grant.Lease.Token = change(b, grant.Lease)
		b.editLeases(func(leases map[provider.Key]leased) {
			leases[key] = leased{grant.Lease.Token, leases[key].ends}
		})
	})
}

// beforeFill has something happen before each Fill.
func beforeFill(happen func(b *broken, fill *provider.Fill)) func(*broken) {
	return func(b *broken) {
		b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
			fills = slices.Clone(fills)
			for i := range fills {
				happen(b, &fills[i])
			}
			return b.reference.Fill(ctx, fills)
		}
	}
}

// afterFill has something happen after each Fill.
func afterFill(happen func(b *broken, fill provider.Fill, filled *provider.Filled)) func(*broken) {
	return func(b *broken) {
		b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
			filled, err := b.reference.Fill(ctx, fills)
			for i := range filled {
				happen(b, fills[i], &filled[i])
			}
			return filled, err
		}
	}
}

// keepLeases has a call leave the leases that change would remove.
func (b *broken) keepLeases(change func()) {
	var before map[provider.Key]leased
	b.editLeases(func(leases map[provider.Key]leased) { before = maps.Clone(leases) })
	change()
	b.editLeases(func(leases map[provider.Key]leased) { maps.Copy(leases, before) })
}

// changeHeld has Hold keep other holds than it is told to.
func changeHeld(change func(b *broken, h held) held) func(*broken) {
	return func(b *broken) {
		b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
			err := b.reference.Hold(ctx, targets, token, ttl)
			placed := heldBy(targets, token, time.Time{})
			b.editHolds(func(holds []held) []held {
				for i := range holds {
					if slices.ContainsFunc(placed, holds[i].is) {
						holds[i] = change(b, holds[i])
					}
				}
				return holds
			})
			return err
		}
	}
}

// unholdWhat has Unhold give up what matches in another way.
func unholdWhat(match func(h, given held) bool) func(*broken) {
	return func(b *broken) {
		b.unhold = func(_ context.Context, targets provider.HoldTargets, token string) error {
			b.editHolds(func(holds []held) []held {
				for _, given := range heldBy(targets, token, time.Time{}) {
					holds = slices.DeleteFunc(holds, func(h held) bool { return h.scope == given.scope && match(h, given) })
				}
				return holds
			})
			return nil
		}
	}
}

// coverWhat has Acquire, and nobody else, know in another way what is held. The
// reference must hold less than that.
func coverWhat(covers func(h held, key provider.Key) bool) func(*broken) {
	return func(b *broken) {
		b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
			var holds []held
			b.editHolds(func(all []held) []held { holds = all; return nil })
			defer b.editHolds(func([]held) []held { return holds })
			grants := make([]provider.Grant, len(keys))
			for i, key := range keys {
				if slices.ContainsFunc(holds, func(h held) bool { return h.live() && covers(h, key) }) {
					grants[i].State = provider.LeaseHeld
					continue
				}
				one, err := b.reference.Acquire(ctx, keys[i:i+1], ttl)
				if err != nil {
					return grants, err
				}
				grants[i] = one[0]
			}
			return grants, nil
		}
	}
}

// together runs all of several breakages.
func together(all ...func(*broken)) func(*broken) {
	return func(b *broken) {
		for _, apply := range all {
			apply(b)
		}
	}
}

// changeLeaseKey is changeKey for the calls for leases too.
func changeLeaseKey(change func(key provider.Key) provider.Key) func(*broken) {
	return together(changeKey(change), func(b *broken) {
		changed := func(lease provider.Lease) provider.Lease {
			return provider.Lease{Key: change(lease.Key), Token: lease.Token}
		}
		b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
			grants := make([]provider.Grant, len(keys))
			for i, key := range keys {
				one, err := b.reference.Acquire(ctx, []provider.Key{change(key)}, ttl)
				if err != nil {
					return one, err
				}
				grants[i] = one[0]
				grants[i].Lease.Key = key
			}
			return grants, nil
		}
		b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
			fills = slices.Clone(fills)
			for i := range fills {
				fills[i].Lease = changed(fills[i].Lease)
			}
			return b.reference.Fill(ctx, fills)
		}
		b.release = func(ctx context.Context, leases []provider.Lease) error {
			leases = slices.Clone(leases)
			for i := range leases {
				leases[i] = changed(leases[i])
			}
			return b.reference.Release(ctx, leases)
		}
	})
}

func brokenLeases() []breakage {
	return slices.Concat(
		brokenAcquires(), brokenFills(), brokenRefusals(), brokenLeaseEnds(), brokenReleases(), brokenLeaseConcurrency(),
		brokenHolds(), brokenUnholds(), brokenHoldNames(), brokenHoldConcurrency(),
	)
}

func brokenAcquires() []breakage {
	return []breakage{
		// What has ended is not found.
		{name: "Acquire finds what has ended", cases: in("acquire/grants", "acquire/not-prolonged"), apply: func(b *broken) {
			b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
				was := make([]stored, len(keys))
				b.edit(func(entries map[provider.Key]stored) {
					for i, key := range keys {
						was[i] = entries[key]
					}
				})
				grants, err := b.reference.Acquire(ctx, keys, ttl)
				for i, e := range was {
					if !e.at.IsZero() {
						grants[i] = provider.Grant{State: provider.LeaseFound, Entry: e.entry}
					}
				}
				return grants, err
			}
		}},
		// A lease is of the key that was asked for.
		{name: "leases do not name their key", cases: in("acquire/grants"), apply: changeGrant(func(_ *broken, _ provider.Key, grant *provider.Grant) {
			grant.Lease.Key = provider.Key{}
		})},
		// What is found is the whole entry.
		{name: "Acquire returns values only", cases: in("acquire/finds", "acquire/in-order"), apply: changeGrant(func(_ *broken, _ provider.Key, grant *provider.Grant) {
			grant.Entry = provider.Entry{Value: grant.Entry.Value}
		})},
		// An absence is an entry.
		{name: "an absence is leased", cases: in("acquire/finds", "acquire/in-order"), apply: changeGrant(func(b *broken, key provider.Key, grant *provider.Grant) {
			if grant.State == provider.LeaseFound && grant.Entry.Absent {
				_ = b.reference.Delete(context.Background(), key)
				again, _ := b.reference.Acquire(context.Background(), []provider.Key{key}, time.Hour)
				*grant = again[0]
			}
		})},
		// What is found leaves no lease.
		{name: "a lease stays beside what was found", cases: in("acquire/finds"), apply: changeGrant(func(b *broken, key provider.Key, grant *provider.Grant) {
			if grant.State == provider.LeaseFound {
				b.editLeases(func(leases map[provider.Key]leased) { leases[key] = leased{token: "left"} })
				b.edit(func(entries map[provider.Key]stored) { delete(entries, key) })
			}
		})},
		// What is found is not prolonged.
		{name: "Acquire prolongs what it finds", cases: in("acquire/not-prolonged"), apply: changeGrant(func(b *broken, key provider.Key, grant *provider.Grant) {
			if grant.State == provider.LeaseFound {
				b.edit(func(entries map[provider.Key]stored) {
					e := entries[key]
					e.ends = time.Now().Add(time.Hour)
					entries[key] = e
				})
			}
		})},
		// A key is busy for the client that has its lease, too.
		{name: "a client is granted its own lease again", cases: in("acquire/busy", "lease-concurrent/granted-to-one"), apply: changeGrant(func(b *broken, key provider.Key, grant *provider.Grant) {
			if l, found := b.leaseOf(key); found && grant.State == provider.LeaseBusy {
				*grant = provider.Grant{State: provider.LeaseGranted, Lease: provider.Lease{Key: key, Token: l.token}}
			}
		})},
		// Each transmission has a token of its own.
		{name: "the token names the client", cases: in("acquire/tokens", "lease/next-lease", "release/not-the-lease"), apply: changeToken(func(*broken, provider.Lease) string { return "client" })},
		// A key is no token.
		{name: "the token names the key", cases: in("acquire/tokens", "lease/next-lease"), apply: changeToken(func(_ *broken, lease provider.Lease) string { return lease.Key.Name })},
		// A number that is free again is no token.
		{name: "tokens are used again", cases: in("acquire/tokens", "lease/next-lease"), apply: changeToken(func(b *broken, _ provider.Lease) (token string) {
			b.editLeases(func(leases map[provider.Key]leased) { token = fmt.Sprint(len(leases)) })
			return token
		})},
		// Get does not find leases.
		{name: "Get finds leases", cases: in("acquire/invisible", "acquire/grants"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				if l, found := b.leaseOf(key); found {
					return provider.Entry{Value: l.token}, true, nil
				}
				return b.reference.Get(ctx, key)
			}
		}},
		// GetMany does not find leases.
		{name: "GetMany finds leases", cases: in("acquire/invisible"), apply: func(b *broken) {
			b.getMany = func(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
				results, err := b.reference.GetMany(ctx, keys)
				for i, key := range keys {
					if _, found := b.leaseOf(key); found {
						results[i].Err = provider.ErrUndecodable
					}
				}
				return results, err
			}
		}},
		// Has does not show leases.
		{name: "Has shows leases", cases: in("acquire/invisible"), apply: func(b *broken) {
			b.has = func(ctx context.Context, key provider.Key) (bool, error) {
				_, found := b.leaseOf(key)
				has, err := b.reference.Has(ctx, key)
				return has || found, err
			}
		}},
		// List does not show leases.
		{name: "List shows leases", cases: in("acquire/invisible", "refresh/counted-once"), apply: func(b *broken) {
			b.list = func(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
				page, err := b.reference.List(ctx, options)
				b.editLeases(func(leases map[provider.Key]leased) { page.Total += len(leases) })
				return page, err
			}
		}},
		// Stats do not count leases and holds.
		{name: "Stats count leases and holds", cases: in("acquire/invisible", "hold/invisible", "refresh/counted-once"), apply: func(b *broken) {
			b.stats = func(ctx context.Context) (provider.Stats, error) {
				stats, err := b.reference.Stats(ctx)
				b.mu.Lock()
				defer b.mu.Unlock()
				stats.Entries += int64(len(b.leases) + len(b.holds))
				return stats, err
			}
		}},
		// Grants are in the order of the keys.
		{name: "Acquire answers what it found first", cases: in("acquire/in-order", "acquire/many", "hold/in-order"), apply: changeGrants(func(_ *broken, _ []provider.Key, grants []provider.Grant) []provider.Grant {
			slices.SortStableFunc(grants, func(a, b provider.Grant) int { return int(a.State) - int(b.State) })
			return grants
		})},
		// One grant for each key.
		{name: "Acquire leaves out what is busy", cases: in("acquire/in-order", "acquire/busy"), apply: changeGrants(func(_ *broken, _ []provider.Key, grants []provider.Grant) []provider.Grant {
			return slices.DeleteFunc(grants, func(grant provider.Grant) bool { return grant.State == provider.LeaseBusy })
		})},
		// Thousands of keys are fine.
		{name: "Acquire answers a chunk", cases: in("acquire/many", "hold/many"), apply: changeGrants(func(_ *broken, _ []provider.Key, grants []provider.Grant) []provider.Grant {
			for i := range grants {
				if i >= 1000 {
					grants[i] = provider.Grant{State: provider.LeaseBusy}
				}
			}
			return grants
		})},
		// No keys are fine.
		{name: "Acquire of no keys is an error", cases: in("acquire/none"), apply: func(b *broken) {
			b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
				if len(keys) == 0 {
					return nil, errors.New("wrong number of arguments")
				}
				return b.reference.Acquire(ctx, keys, ttl)
			}
		}},
		// Scopes are apart.
		{name: "keys are scope and name with a colon", cases: in("acquire/scopes"), apply: changeLeaseKey(func(key provider.Key) provider.Key {
			return provider.Key{Name: key.Scope + ":" + key.Name}
		})},
		// Every byte counts.
		{name: "leases end their names at a zero byte", cases: in("acquire/names"), apply: changeLeaseKey(func(key provider.Key) provider.Key {
			key.Name, _, _ = strings.Cut(key.Name, "\x00")
			return key
		})},
		// Entries that were found never change.
		{name: "Acquire reuses its buffer", encoding: true, cases: in("acquire/not-aliased"), apply: func(b *broken) {
			reuse := reuseBuffer()
			changeGrant(func(_ *broken, _ provider.Key, grant *provider.Grant) { grant.Entry = reuse(grant.Entry) })(b)
		}},
		// A grant for each key, whatever happens.
		{name: "a cancelled Acquire returns no grants", cases: in("acquire/cancelled", "acquire/after-close"), apply: func(b *broken) {
			b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
				grants, err := b.reference.Acquire(ctx, keys, ttl)
				if err != nil {
					return nil, err
				}
				return grants, nil
			}
		}},
		// An error of the whole call is set in the grants.
		{name: "the grants of a failed Acquire have no error", cases: in("acquire/cancelled", "acquire/after-close"), apply: func(b *broken) {
			b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
				grants, err := b.reference.Acquire(ctx, keys, ttl)
				if err != nil {
					grants = make([]provider.Grant, len(keys))
				}
				return grants, err
			}
		}},
		// A lease that a cancelled call takes ends.
		{name: "a cancelled Acquire leaves leases for ever", cases: in("acquire/cancelled"), apply: func(b *broken) {
			b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
				if ctx.Err() != nil {
					_, _ = b.reference.Acquire(context.WithoutCancel(ctx), keys, time.Hour)
				}
				return b.reference.Acquire(ctx, keys, ttl)
			}
		}},
		// After Close, nothing is granted, stored or held.
		{name: "leases do not look whether the store is closed", cases: in("acquire/after-close", "hold/after-close", "refresh/after-close"), apply: func(b *broken) {
			b.close = func() error { return nil }
		}},
	}
}

func brokenFills() []breakage {
	return []breakage{
		// Stored means stored.
		{name: "Fill says that it stored and does not", cases: in("fill/stores"), apply: afterFill(func(b *broken, fill provider.Fill, filled *provider.Filled) {
			if filled.Stored {
				b.edit(func(entries map[provider.Key]stored) { delete(entries, fill.Lease.Key) })
			}
		})},
		// What was stored is said to be.
		{name: "Fill does not say that it stored", cases: in("fill/stores", "fill/in-order"), apply: afterFill(func(_ *broken, _ provider.Fill, filled *provider.Filled) {
			filled.Stored = false
		})},
		// A filled entry is whole.
		{name: "Fill stores values only", cases: in("fill/like-set"), apply: beforeFill(func(_ *broken, fill *provider.Fill) {
			fill.Entry = provider.Entry{Value: fill.Entry.Value}
		})},
		// nil is a value.
		{name: "Fill does not store nil", cases: in("fill/like-set"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				if len(fills) == 1 && fills[0].Entry.Value == nil && !fills[0].Entry.Absent {
					return []provider.Filled{{Stored: true}}, nil
				}
				return b.reference.Fill(ctx, fills)
			}
		}},
		// A filled entry has its own TTL.
		{name: "a filled entry ends with its lease", cases: in("fill/ttl"), apply: beforeFill(func(b *broken, fill *provider.Fill) {
			if l, found := b.leaseOf(fill.Lease.Key); found {
				fill.TTL = time.Until(l.ends)
			}
		})},
		// The TTL counts from the Fill.
		{name: "the TTL counts from Acquire", exactOnly: true, cases: in("fill/ttl"), apply: func(b *broken) {
			var mu sync.Mutex
			taken := map[string]time.Time{}
			changeGrant(func(_ *broken, _ provider.Key, grant *provider.Grant) {
				mu.Lock()
				defer mu.Unlock()
				taken[grant.Lease.Token] = time.Now()
			})(b)
			beforeFill(func(_ *broken, fill *provider.Fill) {
				mu.Lock()
				defer mu.Unlock()
				if left := fill.TTL - time.Since(taken[fill.Lease.Token]); fill.TTL > 0 {
					fill.TTL = max(left, 1)
				}
			})(b)
		}},
		// A lease fills once.
		{name: "a lease fills again what it filled", cases: in("fill/once", "release/not-the-lease"), apply: func(b *broken) {
			var mu sync.Mutex
			by := map[provider.Key]string{}
			afterFill(func(b *broken, fill provider.Fill, filled *provider.Filled) {
				mu.Lock()
				defer mu.Unlock()
				if filled.Stored {
					by[fill.Lease.Key] = fill.Lease.Token
				} else if by[fill.Lease.Key] == fill.Lease.Token && b.held(fill.Lease.Key) {
					_ = b.reference.Set(context.Background(), fill.Lease.Key, fill.Entry, fill.TTL)
					filled.Stored = true
				}
			})(b)
			b.release = func(ctx context.Context, leases []provider.Lease) error {
				mu.Lock()
				defer mu.Unlock()
				for _, lease := range leases {
					if by[lease.Key] == lease.Token {
						_ = b.reference.Delete(ctx, lease.Key)
					}
				}
				return b.reference.Release(ctx, leases)
			}
		}},
		// Of two requests with one lease, one is stored.
		{name: "the last of several entries with one lease wins, and all are said to be stored", cases: in("fill/once"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				filled, err := b.reference.Fill(ctx, fills)
				for i := 1; i < len(fills); i++ {
					if filled[i-1].Stored && fills[i].Lease == fills[i-1].Lease {
						filled[i].Stored = true
					}
				}
				return filled, err
			}
		}},
		// Fill needs that very lease.
		{
			name: "Fill looks only whether there is a lease", cases: in("fill/not-the-lease", "fill/in-order", "lease/next-lease", "lease/late-fill", "refresh/not-the-lease", "refresh/late-fill", "refresh-fill/next-lease"),
			apply: beforeFill(func(b *broken, fill *provider.Fill) {
				if l, found := b.leaseOf(fill.Lease.Key); found {
					fill.Lease.Token = l.token
				}
			}),
		},
		// Nothing is not that lease.
		{
			name:  "Fill stores where nothing is",
			cases: in("fill/not-the-lease", "fill/once", "fill/in-order", "fill/cancelled", "lease/late-fill", "lease/delete", "lease/delete-prefix", "release/frees", "refresh-fill/delete"),
			apply: beforeFill(func(b *broken, fill *provider.Fill) {
				if _, found := b.leaseOf(fill.Lease.Key); !found && !b.held(fill.Lease.Key) {
					b.editLeases(func(leases map[provider.Key]leased) { leases[fill.Lease.Key] = leased{token: fill.Lease.Token} })
				}
			}),
		},
		// An entry is not that lease.
		{name: "Fill compares the token with the value", cases: in("fill/not-the-lease"), apply: beforeFill(func(b *broken, fill *provider.Fill) {
			key := fill.Lease.Key
			b.edit(func(entries map[provider.Key]stored) {
				if e, found := entries[key]; found && e.entry.Value == fill.Lease.Token {
					delete(entries, key)
					b.leases[key] = leased{token: fill.Lease.Token}
				}
			})
		})},
		// A token is compared as a whole.
		{name: "a token matches what begins with it", cases: in("fill/not-the-lease", "refresh/not-the-lease"), apply: beforeFill(func(b *broken, fill *provider.Fill) {
			if l, found := b.leaseOf(fill.Lease.Key); found && strings.HasPrefix(l.token, fill.Lease.Token) {
				fill.Lease.Token = l.token
			}
		})},
		// One answer for each entry.
		{name: "Fill stops at the first refusal", cases: in("fill/in-order"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				filled := make([]provider.Filled, len(fills))
				for i := range fills {
					one, err := b.reference.Fill(ctx, fills[i:i+1])
					if filled[i] = one[0]; err != nil || !filled[i].Stored {
						return filled, err
					}
				}
				return filled, nil
			}
		}},
		// Thousands of entries are fine.
		{name: "Fill stores a chunk", cases: in("acquire/many"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				n := min(len(fills), 1000)
				filled, err := b.reference.Fill(ctx, fills[:n])
				return append(filled, make([]provider.Filled, len(fills)-n)...), err
			}
		}},
		// Nothing to fill is fine.
		{name: "Fill of nothing is an error", cases: in("acquire/none"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				if len(fills) == 0 {
					return nil, errOdd
				}
				return b.reference.Fill(ctx, fills)
			}
		}},
	}
}

// unstorable reports whether the reference refuses a value.
func (b *broken) unstorable(fill provider.Fill) bool { return b.encode(&fill.Entry) != nil }

func brokenRefusals() []breakage {
	return []breakage{
		// A TTL that is not positive is refused.
		{name: "Fill takes a bad TTL for no end", cases: in("fill/refused-ttl"), apply: beforeFill(func(_ *broken, fill *provider.Fill) {
			if fill.TTL <= 0 {
				fill.TTL = provider.NoExpiry
			}
		})},
		// A refused TTL is said to be.
		{name: "Fill drops a bad TTL silently", cases: in("fill/refused-ttl"), apply: afterFill(func(_ *broken, fill provider.Fill, filled *provider.Filled) {
			if fill.TTL <= 0 {
				filled.Err = nil
			}
		})},
		// One bad TTL refuses one entry.
		{name: "Fill checks all TTLs first", cases: in("fill/refused-ttl"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				filled := make([]provider.Filled, len(fills))
				for _, fill := range fills {
					if err := provider.CheckTTL(fill.TTL); err != nil {
						for i := range filled {
							filled[i].Err = err
						}
						return filled, nil
					}
				}
				return b.reference.Fill(ctx, fills)
			}
		}},
		// What is refused gives its lease back.
		{name: "a refused Fill keeps its lease", encoding: true, cases: in("fill/unencodable", "fill/too-large", "refresh-fill/refused"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				filled := make([]provider.Filled, len(fills))
				for i, fill := range fills {
					if err := b.encode(&provider.Entry{Value: fill.Entry.Value}); err != nil {
						filled[i].Err = err
						continue
					}
					one, err := b.reference.Fill(ctx, fills[i:i+1])
					if err != nil {
						return filled, err
					}
					filled[i] = one[0]
				}
				return filled, nil
			}
		}},
		// A refusal has its error.
		{name: "Fill refuses with an odd error", encoding: true, cases: in("fill/unencodable", "fill/too-large"), apply: afterFill(func(_ *broken, _ provider.Fill, filled *provider.Filled) {
			if filled.Err != nil {
				filled.Err = errOdd
			}
		})},
		// A refusal is not what an overtaken lease is.
		{name: "Fill refuses without an error", encoding: true, cases: in("fill/unencodable", "fill/too-large", "fill/cancelled"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				filled, _ := b.reference.Fill(ctx, fills)
				for i := range filled {
					filled[i].Err = nil
				}
				return filled, nil
			}
		}},
		// A refused entry keeps no other from being stored.
		{name: "Fill encodes all first", encoding: true, cases: in("fill/unencodable", "fill/too-large"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				if !slices.ContainsFunc(fills, b.unstorable) {
					return b.reference.Fill(ctx, fills)
				}
				filled := make([]provider.Filled, len(fills))
				for i := range filled {
					filled[i].Err = errors.Join(provider.ErrTooLarge, provider.ErrUnencodable)
				}
				return filled, nil
			}
		}},
		// A refused entry leaves nothing.
		{name: "what is too large is cut", encoding: true, cases: in("fill/too-large"), apply: beforeFill(func(_ *broken, fill *provider.Fill) {
			if text, ok := fill.Entry.Value.(string); ok && len(text) > 1<<20 {
				fill.Entry.Value = "cut"
			}
		})},
		// What a cancelled Fill says is right.
		{name: "a cancelled Fill says that it stored", cases: in("fill/cancelled"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				filled, err := b.reference.Fill(ctx, fills)
				if err != nil {
					filled = slices.Repeat([]provider.Filled{{Stored: true}}, len(fills))
				}
				return filled, nil
			}
		}},
		// A call that has returned has no effect later on.
		{name: "a cancelled Fill lands later", cases: in("fill/cancelled"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				if ctx.Err() != nil {
					late := context.WithoutCancel(ctx)
					time.AfterFunc(20*time.Millisecond, func() {
						_ = b.reference.Set(late, fills[0].Lease.Key, fills[0].Entry, fills[0].TTL)
					})
				}
				return b.reference.Fill(ctx, fills)
			}
		}},
	}
}

func brokenLeaseEnds() []breakage {
	return []breakage{
		// A lease ends.
		{name: "leases do not end", cases: in("lease/ends", "lease/late-fill", "acquire/tokens"), apply: func(b *broken) {
			b.acquire = func(ctx context.Context, keys []provider.Key, _ time.Duration) ([]provider.Grant, error) {
				return b.reference.Acquire(ctx, keys, provider.NoExpiry)
			}
		}},
		// A lease lasts until it ends.
		{name: "leases last half as long", cases: in("lease/ends"), apply: func(b *broken) {
			b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
				return b.reference.Acquire(ctx, keys, ttl/2)
			}
		}},
		// Asking does not prolong a lease.
		{name: "asking prolongs the lease", cases: in("lease/ends"), apply: changeGrant(func(b *broken, key provider.Key, grant *provider.Grant) {
			if grant.State == provider.LeaseBusy {
				b.editLeases(func(leases map[provider.Key]leased) {
					leases[key] = leased{leases[key].token, time.Now().Add(time.Hour)}
				})
			}
		})},
		// What has ended fills nothing.
		{name: "a lease that has ended fills if nobody has another", cases: in("lease/late-fill", "refresh/late-fill"), apply: beforeFill(func(b *broken, fill *provider.Fill) {
			key := fill.Lease.Key
			b.editLeases(func(leases map[provider.Key]leased) {
				if l, found := leases[key]; found && l.token == fill.Lease.Token {
					leases[key] = leased{token: l.token}
				}
			})
		})},
		// Delete removes leases.
		{name: "Delete leaves leases", cases: in("lease/delete", "lease/next-lease", "acquire/tokens", "fill/in-order", "refresh-fill/delete", "refresh-fill/next-lease"), apply: func(b *broken) {
			b.delete = func(ctx context.Context, keys ...provider.Key) (err error) {
				b.edit(func(entries map[provider.Key]stored) {
					for _, key := range keys {
						delete(entries, key)
					}
				})
				return err
			}
		}},
		// A key without a lease is free.
		{name: "a deleted lease keeps its key busy", cases: in("lease/delete", "lease/next-lease"), apply: func(b *broken) {
			b.delete = func(ctx context.Context, keys ...provider.Key) error {
				b.editLeases(func(leases map[provider.Key]leased) {
					for _, key := range keys {
						if l, found := leases[key]; found {
							leases[key] = leased{"deleted", l.ends}
						}
					}
				})
				b.edit(func(entries map[provider.Key]stored) {
					for _, key := range keys {
						delete(entries, key)
					}
				})
				return nil
			}
		}},
		// DeletePrefix removes leases.
		{name: "DeletePrefix leaves leases", cases: in("lease/delete-prefix", "lease/next-lease", "refresh-fill/delete-prefix", "refresh-fill/next-lease"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (n int, err error) {
				b.keepLeases(func() { n, err = b.reference.DeletePrefix(ctx, scope, prefix) })
				return n, err
			}
		}},
		// DeletePrefix removes the leases of keys that never had an entry.
		{name: "DeletePrefix knows keys that had an entry", cases: in("lease/delete-prefix"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (n int, err error) {
				seen := false
				b.edit(func(entries map[provider.Key]stored) {
					for key := range entries {
						seen = seen || key.Scope == scope && strings.HasPrefix(key.Name, prefix)
					}
				})
				if !seen {
					return 0, nil
				}
				return b.reference.DeletePrefix(ctx, scope, prefix)
			}
		}},
		// DeletePrefix does not count leases.
		{name: "DeletePrefix counts leases", cases: in("lease/delete-prefix-count", "refresh/counted-once"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				before := 0
				b.editLeases(func(leases map[provider.Key]leased) { before = len(leases) })
				n, err := b.reference.DeletePrefix(ctx, scope, prefix)
				b.editLeases(func(leases map[provider.Key]leased) { n += before - len(leases) })
				return n, err
			}
		}},
		// Set replaces leases.
		{name: "Set leaves the lease", cases: in("lease/set", "fill/in-order", "refresh-fill/set"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) (err error) {
				b.keepLeases(func() { err = b.reference.Set(ctx, key, entry, ttl) })
				return err
			}
		}},
		// Set stores whatever is there.
		{name: "Set does not store under a lease", cases: in("lease/set", "fill/in-order"), apply: skipSet(func(b *broken, key provider.Key, _ provider.Entry) bool {
			_, found := b.leaseOf(key)
			return found
		})},
		// A refused Set changes nothing.
		{name: "a refused Set removes the lease", cases: in("lease/set"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				b.editLeases(func(leases map[provider.Key]leased) { delete(leases, key) })
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// SetMany replaces leases.
		{name: "SetMany leaves leases", cases: in("lease/set-many", "refresh-fill/set-many"), apply: func(b *broken) {
			b.setMany = func(ctx context.Context, items []provider.Item) (err error) {
				b.keepLeases(func() { err = b.reference.SetMany(ctx, items) })
				return err
			}
		}},
		// Delete leaves the leases of others.
		{name: "Delete removes all leases of the scope", cases: in("lease/others-keep-theirs", "lease/delete"), apply: func(b *broken) {
			b.delete = func(ctx context.Context, keys ...provider.Key) error {
				b.editLeases(func(leases map[provider.Key]leased) {
					for key := range leases {
						if key.Scope == keys[0].Scope {
							delete(leases, key)
						}
					}
				})
				return b.reference.Delete(ctx, keys...)
			}
		}},
		// DeletePrefix leaves the leases of others.
		{name: "DeletePrefix removes leases by a pattern", cases: in("lease/others-keep-theirs"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				b.editLeases(func(leases map[provider.Key]leased) {
					for key := range leases {
						if ok, _ := path.Match(prefix, key.Name); ok && key.Scope == scope {
							delete(leases, key)
						}
					}
				})
				return b.reference.DeletePrefix(ctx, scope, prefix)
			}
		}},
	}
}

func brokenReleases() []breakage {
	return []breakage{
		// Release frees the key.
		{name: "Release does nothing", cases: in("release/frees", "release/several", "refresh/release"), apply: func(b *broken) {
			b.release = func(context.Context, []provider.Lease) error { return nil }
		}},
		// Release needs that very lease.
		{name: "Release looks at the key only", cases: in("release/not-the-lease", "lease/next-lease", "refresh/not-the-lease", "refresh-fill/next-lease"), apply: func(b *broken) {
			b.release = func(_ context.Context, leases []provider.Lease) error {
				b.editLeases(func(all map[provider.Key]leased) {
					for _, lease := range leases {
						delete(all, lease.Key)
					}
				})
				return nil
			}
		}},
		// Release removes no entry.
		{name: "Release is Delete", cases: in("release/not-the-lease", "release/several", "lease/set", "refresh/release", "refresh/not-the-lease"), apply: func(b *broken) {
			b.release = func(ctx context.Context, leases []provider.Lease) error {
				for _, lease := range leases {
					_ = b.reference.Delete(ctx, lease.Key)
				}
				return nil
			}
		}},
		// Release gives back each of the leases.
		{name: "Release stops at a lease that is gone", cases: in("release/several"), apply: func(b *broken) {
			b.release = func(ctx context.Context, leases []provider.Lease) error {
				for _, lease := range leases {
					if l, found := b.leaseOf(lease.Key); !found || l.token != lease.Token {
						return nil
					}
					_ = b.reference.Release(ctx, []provider.Lease{lease})
				}
				return nil
			}
		}},
		// Release that was not done is an error.
		{name: "a cancelled Release returns nil", cases: in("release/cancelled"), apply: func(b *broken) {
			b.release = func(ctx context.Context, leases []provider.Lease) error {
				_ = b.reference.Release(ctx, leases)
				return nil
			}
		}},
	}
}

func brokenLeaseConcurrency() []breakage {
	return []breakage{
		// Acquire looks and takes in one step.
		{name: "Acquire looks first and takes the lease later", exactOnly: true, cases: in("lease-concurrent/granted-to-one", "lease-concurrent/one-at-a-time"), apply: func(b *broken) {
			b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
				if _, found := b.leaseOf(keys[0]); found {
					return b.reference.Acquire(ctx, keys, ttl)
				}
				time.Sleep(time.Nanosecond)
				b.editLeases(func(leases map[provider.Key]leased) { delete(leases, keys[0]) })
				return b.reference.Acquire(ctx, keys, ttl)
			}
		}},
		// Fill looks and stores in one step.
		{
			name: "Fill looks first and stores later", exactOnly: true,
			cases: in("lease-concurrent/delete-overtakes", "lease-concurrent/delete-prefix-overtakes", "lease-concurrent/fills-once", "hold-concurrent/hold-overtakes", "hold-concurrent/hold-prefix-overtakes", "refresh-concurrent/delete-overtakes", "refresh-concurrent/delete-prefix-overtakes", "refresh-concurrent/fills-once"),
			apply: func(b *broken) {
				b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
					if l, found := b.leaseOf(fills[0].Lease.Key); !found || l.token != fills[0].Lease.Token {
						return make([]provider.Filled, len(fills)), nil
					}
					time.Sleep(time.Nanosecond)
					err := b.reference.Set(ctx, fills[0].Lease.Key, fills[0].Entry, fills[0].TTL)
					return []provider.Filled{{Stored: true}}, err
				}
			},
		},
		// A lease that is filled during a DeletePrefix is old.
		{name: "DeletePrefix removes what is as it was listed", exactOnly: true, cases: in("lease-concurrent/delete-prefix-overtakes", "refresh-concurrent/delete-prefix-overtakes"), apply: func(b *broken) {
			b.deletePrefix = func(_ context.Context, scope, prefix string) (n int, err error) {
				listed := map[provider.Key]bool{} // and whether there is a lease
				under := func(key provider.Key) bool { return key.Scope == scope && strings.HasPrefix(key.Name, prefix) }
				b.edit(func(entries map[provider.Key]stored) {
					for key := range entries {
						listed[key] = false
					}
					for key := range b.leases {
						listed[key] = true
					}
				})
				time.Sleep(time.Nanosecond)
				b.edit(func(entries map[provider.Key]stored) {
					for key, wasLease := range listed {
						_, isLease := b.leases[key]
						if _, isEntry := entries[key]; under(key) && isLease == wasLease {
							if isEntry {
								n++
							}
							b.removeLocked(key)
						}
					}
				})
				return n, nil
			}
		}},
	}
}

func brokenHolds() []breakage {
	return []breakage{
		// Hold removes entries.
		{name: "Hold leaves entries", cases: in("hold/removes", "hold/unhold-frees", "hold/several", "hold-prefix/covers", "refresh-fill/hold"), apply: func(b *broken) {
			b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) (err error) {
				var before map[provider.Key]stored
				b.edit(func(entries map[provider.Key]stored) { before = maps.Clone(entries) })
				err = b.reference.Hold(ctx, targets, token, ttl)
				b.edit(func(entries map[provider.Key]stored) { maps.Copy(entries, before) })
				return err
			}
		}},
		// Hold removes leases.
		{name: "Hold leaves leases", cases: in("hold/removes", "hold/unhold-frees", "hold-prefix/covers", "hold-prefix/empty-prefix", "refresh-fill/hold"), apply: func(b *broken) {
			b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) (err error) {
				b.keepLeases(func() { err = b.reference.Hold(ctx, targets, token, ttl) })
				return err
			}
		}},
		// What is held is not busy.
		{name: "a held key is busy", cases: in("hold/removes", "hold/in-order"), apply: changeGrant(func(_ *broken, _ provider.Key, grant *provider.Grant) {
			if grant.State == provider.LeaseHeld {
				grant.State = provider.LeaseBusy
			}
		})},
		// A hold is no lease.
		{name: "who knows the token of a hold fills and releases it", cases: in("hold/removes"), apply: func(b *broken) {
			own := func(lease provider.Lease) (found bool) {
				b.editHolds(func(holds []held) []held {
					found = slices.ContainsFunc(holds, func(h held) bool { return h.token == lease.Token && h.covers(lease.Key) })
					return slices.DeleteFunc(holds, func(h held) bool { return h.token == lease.Token && h.covers(lease.Key) })
				})
				return found
			}
			b.release = func(ctx context.Context, leases []provider.Lease) error {
				for _, lease := range leases {
					own(lease)
				}
				return b.reference.Release(ctx, leases)
			}
		}},
		// A key that is held gets no lease.
		{name: "asking for a held key leaves a lease", cases: in("hold/unhold-frees", "hold/two-holds"), apply: changeGrant(func(b *broken, key provider.Key, grant *provider.Grant) {
			if grant.State == provider.LeaseHeld {
				b.editLeases(func(leases map[provider.Key]leased) { leases[key] = leased{token: "left"} })
			}
		})},
		// Each hold has its TTL.
		{name: "the last hold sets the end of all", cases: in("hold/own-ttl"), apply: changeHeld(func(b *broken, h held) held {
			for i := range b.holds {
				b.holds[i].ends = h.ends
			}
			return h
		})},
		// A hold that has ended is none.
		{name: "all holds last as long as the longest", cases: in("hold/own-ttl"), apply: changeHeld(func(b *broken, h held) held {
			for i := range b.holds {
				if b.holds[i].ends.After(h.ends) {
					h.ends = b.holds[i].ends
				}
			}
			for i := range b.holds {
				b.holds[i].ends = h.ends
			}
			return h
		})},
		// Two holds with one token are one.
		{name: "holds are counted", cases: in("hold/twice"), apply: func(b *broken) {
			b.hold = func(_ context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
				b.editHolds(func(holds []held) []held { return append(holds, heldBy(targets, token, endOf(ttl))...) })
				return nil
			}
			b.unhold = func(_ context.Context, targets provider.HoldTargets, token string) error {
				b.editHolds(func(holds []held) []held {
					for _, given := range heldBy(targets, token, time.Time{}) {
						if i := slices.IndexFunc(holds, given.is); i >= 0 {
							holds = slices.Delete(holds, i, i+1)
						}
					}
					return holds
				})
				return nil
			}
		}},
		// A later request says how long a hold lasts.
		{name: "a hold that is there already stays as it is", cases: in("hold/twice"), apply: func(b *broken) {
			b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
				given, there := heldBy(targets, token, time.Time{}), false
				b.editHolds(func(holds []held) []held {
					there = len(given) > 0 && slices.ContainsFunc(holds, given[0].is)
					return holds
				})
				if there {
					return nil
				}
				return b.reference.Hold(ctx, targets, token, ttl)
			}
		}},
		// A hold that is left to its TTL ends when the last of its kind would.
		{name: "holds that are left to their TTL are one, and the latest counts", cases: in("hold/left-to-ttl"), apply: func(b *broken) {
			b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
				if targets.LeftToTTL {
					token = ""
				}
				return b.reference.Hold(ctx, targets, token, ttl)
			}
		}},
		// A hold ends.
		{name: "holds do not end", cases: in("hold/ends", "hold/out-of-order", "hold/own-ttl"), apply: changeHeld(func(_ *broken, h held) held {
			h.ends = time.Time{}
			return h
		})},
		// Asking does not prolong a hold.
		{name: "asking prolongs the hold", cases: in("hold/ends"), apply: changeGrant(func(b *broken, key provider.Key, grant *provider.Grant) {
			b.editHolds(func(holds []held) []held {
				for i := range holds {
					if holds[i].covers(key) {
						holds[i].ends = time.Now().Add(time.Hour)
					}
				}
				return holds
			})
		})},
		// A hold lasts until it ends.
		{name: "holds end at once", cases: in("hold/ends", "hold/cancelled"), apply: changeHeld(func(_ *broken, h held) held {
			h.ends = time.Now()
			return h
		})},
		// Delete leaves holds.
		{name: "Delete gives up holds", cases: in("hold/delete-leaves-it"), apply: func(b *broken) {
			b.delete = func(ctx context.Context, keys ...provider.Key) error {
				b.editHolds(func(holds []held) []held {
					return slices.DeleteFunc(holds, func(h held) bool {
						return slices.ContainsFunc(keys, func(key provider.Key) bool { return h.scope == key.Scope && h.name == key.Name })
					})
				})
				return b.reference.Delete(ctx, keys...)
			}
		}},
		// DeletePrefix leaves holds.
		{name: "DeletePrefix gives up holds", cases: in("hold/delete-leaves-it"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				b.editHolds(func(holds []held) []held {
					return slices.DeleteFunc(holds, func(h held) bool { return h.scope == scope && strings.HasPrefix(h.name, prefix) })
				})
				return b.reference.DeletePrefix(ctx, scope, prefix)
			}
		}},
		// DeletePrefix does not count holds.
		{name: "DeletePrefix counts holds", cases: in("hold/invisible"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				n, err := b.reference.DeletePrefix(ctx, scope, prefix)
				b.editHolds(func(holds []held) []held { n += len(holds); return holds })
				return n, err
			}
		}},
		// A Hold that was not placed is an error.
		{name: "a cancelled Hold returns nil", cases: in("hold/cancelled", "hold/after-close"), apply: func(b *broken) {
			b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
				_ = b.reference.Hold(ctx, targets, token, ttl)
				return nil
			}
		}},
	}
}

func brokenUnholds() []breakage {
	return []breakage{
		// Unhold frees the key.
		{name: "Unhold does nothing", cases: in("hold/unhold-frees", "hold/twice", "hold/several", "hold/many"), apply: unholdWhat(func(held, held) bool { return false })},
		// Each hold has its token.
		{name: "Unhold gives up all holds of the key", cases: in("hold/two-holds", "hold/not-the-token", "hold/tokens"), apply: unholdWhat(func(h, given held) bool {
			h.token = given.token
			return h.is(given)
		})},
		// Tokens are compared as a whole.
		{name: "tokens match what begins with them", cases: in("hold/tokens"), apply: unholdWhat(func(h, given held) bool {
			if strings.HasPrefix(h.token, given.token) {
				h.token = given.token
			}
			return h.is(given)
		})},
		// Tokens are case-sensitive.
		{name: "tokens match in any case", cases: in("hold/tokens"), apply: unholdWhat(func(h, given held) bool {
			if strings.EqualFold(h.token, given.token) {
				h.token = given.token
			}
			return h.is(given)
		})},
		// Unhold removes no entry and no lease.
		{name: "Unhold is Delete", cases: in("hold/not-the-token", "hold/out-of-order"), apply: func(b *broken) {
			b.unhold = func(ctx context.Context, targets provider.HoldTargets, token string) error {
				for _, name := range targets.Keys {
					_ = b.reference.Delete(ctx, provider.Key{Scope: targets.Scope, Name: name})
				}
				for _, prefix := range targets.Prefixes {
					_, _ = b.reference.DeletePrefix(ctx, targets.Scope, prefix)
				}
				return b.reference.Unhold(ctx, targets, token)
			}
		}},
		// Unhold of a prefix gives up that prefix.
		{name: "Unhold gives up what is below its prefixes", cases: in("hold-prefix/nested"), apply: unholdWhat(func(h, given held) bool {
			return h.scope == given.scope && (h.name == given.name && h.token == given.token || given.prefix && strings.HasPrefix(h.name, given.name))
		})},
		// Unhold gives up all its targets.
		{name: "Unhold gives up the first of its targets", cases: in("hold/several", "hold/many", "hold-prefix/many"), apply: func(b *broken) {
			b.unhold = func(ctx context.Context, targets provider.HoldTargets, token string) error {
				targets.Keys, targets.Prefixes = targets.Keys[:min(1, len(targets.Keys))], targets.Prefixes[:min(1, len(targets.Prefixes))]
				return b.reference.Unhold(ctx, targets, token)
			}
		}},
		// An Unhold that was not done is an error.
		{name: "a cancelled Unhold returns nil", cases: in("hold/cancelled", "hold/after-close"), apply: func(b *broken) {
			b.unhold = func(ctx context.Context, targets provider.HoldTargets, token string) error {
				_ = b.reference.Unhold(ctx, targets, token)
				return nil
			}
		}},
	}
}

func brokenHoldNames() []breakage {
	return []breakage{
		// Hold holds all its targets.
		{name: "Hold holds the first of its targets", cases: in("hold/several", "hold/many", "hold-prefix/many", "hold/names"), apply: func(b *broken) {
			b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
				targets.Keys, targets.Prefixes = targets.Keys[:min(1, len(targets.Keys))], targets.Prefixes[:min(1, len(targets.Prefixes))]
				return b.reference.Hold(ctx, targets, token, ttl)
			}
		}},
		// Hold of nothing does nothing.
		{name: "Hold of nothing is an error", cases: in("hold/none"), apply: func(b *broken) {
			b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
				if len(targets.Keys)+len(targets.Prefixes) == 0 {
					return errOdd
				}
				return b.reference.Hold(ctx, targets, token, ttl)
			}
		}},
		// Hold of nothing holds nothing.
		{name: "Hold of nothing holds the scope", cases: in("hold/none"), apply: func(b *broken) {
			b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
				if len(targets.Keys)+len(targets.Prefixes) == 0 {
					targets.Prefixes = []string{""}
				}
				return b.reference.Hold(ctx, targets, token, ttl)
			}
		}},
		// A hold covers its keys and no others.
		{name: "Acquire says held of all if one is", cases: in("hold/in-order", "hold/names", "hold-prefix/any-bytes"), apply: changeGrants(func(_ *broken, _ []provider.Key, grants []provider.Grant) []provider.Grant {
			if slices.ContainsFunc(grants, func(grant provider.Grant) bool { return grant.State == provider.LeaseHeld }) {
				for i := range grants {
					grants[i] = provider.Grant{State: provider.LeaseHeld}
				}
			}
			return grants
		})},
		// A name is no prefix.
		{name: "a key is held with what begins with it", cases: in("hold/names", "hold/several"), apply: coverWhat(func(h held, key provider.Key) bool {
			return h.scope == key.Scope && strings.HasPrefix(key.Name, h.name)
		})},
		// Scopes are apart.
		{name: "holds are of scope and name with a colon", cases: in("hold/scopes"), apply: coverWhat(func(h held, key provider.Key) bool {
			name, whole := h.scope+":"+h.name, key.Scope+":"+key.Name
			return whole == name || h.prefix && strings.HasPrefix(whole, name)
		})},
		// A hold is of its scope.
		{name: "holds are of all scopes", cases: in("hold/scopes", "hold-prefix/empty-prefix"), apply: coverWhat(func(h held, key provider.Key) bool {
			h.scope = key.Scope
			return h.covers(key)
		})},
		// A prefix covers keys that nobody has asked for.
		{name: "a prefix holds the keys that it finds", cases: in("hold-prefix/covers", "hold/several", "hold/removes"), apply: func(b *broken) {
			b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
				found := targets
				found.Prefixes = nil
				b.edit(func(entries map[provider.Key]stored) {
					for key := range entries {
						if key.Scope == targets.Scope && slices.ContainsFunc(targets.Prefixes, func(p string) bool { return strings.HasPrefix(key.Name, p) }) {
							found.Keys = append(found.Keys, key.Name)
						}
					}
				})
				return b.reference.Hold(ctx, found, token, ttl)
			}
		}},
		// A name begins with itself.
		{name: "a prefix does not cover itself", cases: in("hold-prefix/covers", "hold-prefix/any-bytes"), apply: coverWhat(func(h held, key provider.Key) bool {
			return h.covers(key) && (!h.prefix || key.Name != h.name)
		})},
		// The empty prefix covers the scope.
		{name: "the empty prefix holds nothing", cases: in("hold-prefix/empty-prefix", "hold-prefix/nested", "hold-prefix/any-bytes"), apply: coverWhat(func(h held, key provider.Key) bool {
			return h.covers(key) && (!h.prefix || h.name != "")
		})},
		// No byte is special.
		{name: "prefixes that are held are patterns", cases: in("hold-prefix/any-bytes"), apply: coverWhat(func(h held, key provider.Key) bool {
			if h.prefix && h.scope == key.Scope {
				matches, _ := path.Match(strings.ReplaceAll(h.name, "/", "_")+"*", strings.ReplaceAll(key.Name, "/", "_"))
				return matches
			}
			return h.covers(key)
		})},
		// The end of a family is not a byte.
		{name: "a prefix reaches up to 0xff", cases: in("hold-prefix/covers", "hold-prefix/any-bytes"), apply: coverWhat(func(h held, key provider.Key) bool {
			return h.covers(key) && (!h.prefix || key.Name < h.name+"\xff")
		})},
		// Prefixes may begin with each other.
		{name: "only the longest prefixes are kept", cases: in("hold-prefix/nested"), apply: changeHeld(func(b *broken, h held) held {
			for i, other := range b.holds {
				if other.prefix && h.prefix && other.name != h.name && strings.HasPrefix(h.name, other.name) {
					b.holds[i].ends = time.Now()
				}
			}
			return h
		})},
		// Many prefixes are fine.
		{name: "only some prefixes are looked at", cases: in("hold-prefix/many"), apply: func(b *broken) {
			b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
				err := b.reference.Hold(ctx, targets, token, ttl)
				b.editHolds(func(holds []held) []held { return holds[max(0, len(holds)-64):] })
				return err
			}
		}},
	}
}

func brokenHoldConcurrency() []breakage {
	return []breakage{
		// Holds at the same time do not lose each other.
		{name: "Hold reads and writes the list of holds in two steps", exactOnly: true, cases: in("hold-concurrent/own-holds"), apply: func(b *broken) {
			b.hold = func(_ context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
				var read []held
				b.editHolds(func(holds []held) []held { read = slices.Clone(holds); return holds })
				time.Sleep(time.Nanosecond)
				b.editHolds(func([]held) []held { return append(read, heldBy(targets, token, endOf(ttl))...) })
				return nil
			}
		}},
		// Hold removes and holds in one step.
		{
			name: "Hold removes first and holds later", exactOnly: true, cases: in("hold-concurrent/hold-overtakes", "hold-concurrent/hold-prefix-overtakes"),
			apply: func(b *broken) {
				b.hold = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
					err := b.reference.Hold(ctx, targets, token, 1)
					b.editHolds(func([]held) []held { return nil })
					time.Sleep(time.Nanosecond)
					b.editHolds(func(holds []held) []held { return append(holds, heldBy(targets, token, endOf(ttl))...) })
					return err
				}
			},
		},
	}
}
