package providertest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// changeRequest has Refresh be asked for something else.
func changeRequest(change func(b *broken, request *provider.RefreshRequest)) func(*broken) {
	return func(b *broken) {
		b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
			requests = slices.Clone(requests)
			for i := range requests {
				change(b, &requests[i])
			}
			return b.reference.Refresh(ctx, requests, ttl)
		}
	}
}

// changeRefreshes has Refresh return other grants.
func changeRefreshes(change func(b *broken, grants []provider.Grant) []provider.Grant) func(*broken) {
	return func(b *broken) {
		b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
			grants, err := b.reference.Refresh(ctx, requests, ttl)
			if err != nil {
				return grants, err
			}
			return change(b, grants), nil
		}
	}
}

// changeRefresh has Refresh return other grants, one by one.
func changeRefresh(change func(b *broken, request provider.RefreshRequest, grant *provider.Grant)) func(*broken) {
	return func(b *broken) {
		b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
			grants, err := b.reference.Refresh(ctx, requests, ttl)
			for i := range grants {
				if err == nil {
					change(b, requests[i], &grants[i])
				}
			}
			return grants, err
		}
	}
}

// changeRefreshToken has Refresh use another token.
func changeRefreshToken(change func(lease provider.Lease) string) func(*broken) {
	return changeRefresh(func(b *broken, request provider.RefreshRequest, grant *provider.Grant) {
		if grant.State != provider.LeaseGranted {
			return
		}
		grant.Lease.Token = change(grant.Lease)
		b.editLeases(func(leases map[provider.Key]leased) {
			leases[request.Key] = leased{grant.Lease.Token, leases[request.Key].ends}
		})
	})
}

// changeRefreshTTL has Refresh lease for another time.
func changeRefreshTTL(change func(ttl time.Duration) time.Duration) func(*broken) {
	return func(b *broken) {
		b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
			return b.reference.Refresh(ctx, requests, change(ttl))
		}
	}
}

// changeExtension has an extension be another Fill.
func changeExtension(change func(b *broken, fill *provider.Fill)) func(*broken) {
	return beforeFill(func(b *broken, fill *provider.Fill) {
		if fill.Extend {
			change(b, fill)
		}
	})
}

// changeExtended has an extension leave another entry.
func changeExtended(change func(old, entry *stored)) func(*broken) {
	return changeFilled(func(fill provider.Fill, old, entry *stored) {
		if fill.Extend {
			change(old, entry)
		}
	})
}

// changeFilled has a Fill in place of an entry leave another entry.
func changeFilled(change func(fill provider.Fill, old, entry *stored)) func(*broken) {
	return func(b *broken) {
		b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
			var before map[provider.Key]stored
			b.edit(func(entries map[provider.Key]stored) { before = maps.Clone(entries) })
			filled, err := b.reference.Fill(ctx, fills)
			b.edit(func(entries map[provider.Key]stored) {
				for i := range fills {
					key := fills[i].Lease.Key
					old, found := before[key]
					if entry := entries[key]; found && filled[i].Stored {
						change(fills[i], &old, &entry)
						entries[key] = entry
					}
				}
			})
			return filled, err
		}
	}
}

// changeEnd has the entry under key end at another time.
func (b *broken) changeEnd(key provider.Key, change func(end time.Time) time.Time) {
	b.edit(func(entries map[provider.Key]stored) {
		if e, found := entries[key]; found {
			e.ends = change(e.ends)
			entries[key] = e
		}
	})
}

// beside reports whether there is a lease beside the entry under key.
func (b *broken) beside(key provider.Key) bool {
	_, leased := b.leaseOf(key)
	return leased && b.held(key)
}

// changeRefreshKey is changeLeaseKey for the calls of a refresh too.
func changeRefreshKey(change func(key provider.Key) provider.Key) func(*broken) {
	return together(changeLeaseKey(change), func(b *broken) {
		b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
			grants := make([]provider.Grant, len(requests))
			for i, request := range requests {
				request.Key = change(request.Key)
				one, err := b.reference.Refresh(ctx, []provider.RefreshRequest{request}, ttl)
				if err != nil {
					return one, err
				}
				grants[i] = one[0]
				grants[i].Lease.Key = requests[i].Key
			}
			return grants, nil
		}
	})
}

func brokenRefreshes() []breakage {
	return slices.Concat(
		brokenRefreshGrants(), brokenRefreshCalls(), brokenRefreshEnds(), brokenRefreshViews(),
		brokenRefreshFills(), brokenExtensions(), brokenRefreshConcurrency(),
	)
}

func brokenRefreshGrants() []breakage {
	return []breakage{
		// What is refreshed is returned.
		{name: "Refresh does not return the entry", cases: in("refresh/grants-beside", "refresh/force", "refresh/in-order", "refresh/many"), apply: changeRefresh(func(_ *broken, _ provider.RefreshRequest, grant *provider.Grant) {
			grant.Found, grant.Entry = false, provider.Entry{}
		})},
		// What is returned is the whole entry.
		{name: "Refresh returns values only", cases: in("refresh/grants-beside", "refresh/in-order", "refresh/other-loaded-at"), apply: changeRefresh(func(_ *broken, _ provider.RefreshRequest, grant *provider.Grant) {
			grant.Entry = provider.Entry{Value: grant.Entry.Value}
		})},
		// A lease is of the key that was asked for.
		{name: "refresh leases do not name their key", cases: in("refresh/grants-beside", "refresh/grants-nothing"), apply: changeRefresh(func(_ *broken, _ provider.RefreshRequest, grant *provider.Grant) {
			grant.Lease.Key = provider.Key{}
		})},
		// Who loads anyway need not ask twice.
		{name: "Refresh of nothing is not granted", cases: in("refresh/grants-nothing", "refresh/in-order", "refresh/many", "extend/needs-an-entry"), apply: changeRefresh(func(b *broken, _ provider.RefreshRequest, grant *provider.Grant) {
			if grant.State == provider.LeaseGranted && !grant.Found {
				_ = b.reference.Release(context.Background(), []provider.Lease{grant.Lease})
				*grant = provider.Grant{State: provider.LeaseBusy}
			}
		})},
		// A load under way is somebody's.
		{name: "Refresh takes the lease of Acquire over", cases: in("refresh/leased-without-entry", "refresh/grants-nothing", "refresh/in-order"), apply: changeRequest(func(b *broken, request *provider.RefreshRequest) {
			if !b.held(request.Key) {
				b.editLeases(func(leases map[provider.Key]leased) { delete(leases, request.Key) })
			}
		})},
		// What was stored since is not loaded again.
		{name: "Refresh does not look at LoadedAt", cases: in("refresh/other-loaded-at", "refresh/zero-loaded-at", "refresh/in-order"), apply: changeRequest(func(_ *broken, request *provider.RefreshRequest) {
			request.Force = true
		})},
		// Two loads may end in the same millisecond.
		{name: "LoadedAt is compared in milliseconds", cases: in("refresh/other-loaded-at"), apply: changeRequest(func(b *broken, request *provider.RefreshRequest) {
			b.edit(func(entries map[provider.Key]stored) {
				if at := entries[request.Key].entry.LoadedAt; at.UnixMilli() == request.LoadedAt.UnixMilli() {
					request.LoadedAt = at
				}
			})
		})},
		// What is found leaves no lease.
		{name: "Refresh leaves a lease beside what it found", cases: in("refresh/other-loaded-at", "refresh/zero-loaded-at"), apply: changeRefresh(func(b *broken, request provider.RefreshRequest, grant *provider.Grant) {
			if grant.State == provider.LeaseFound {
				b.editLeases(func(leases map[provider.Key]leased) { leases[request.Key] = leased{token: "left"} })
			}
		})},
		// Zero is no wildcard.
		{name: "Refresh takes the zero LoadedAt for any", cases: in("refresh/zero-loaded-at", "refresh/in-order"), apply: changeRequest(func(_ *broken, request *provider.RefreshRequest) {
			request.Force = request.Force || request.LoadedAt.IsZero()
		})},
		// An entry whose LoadedAt is unknown can be refreshed.
		{name: "Refresh takes the zero LoadedAt for no entry", cases: in("refresh/zero-loaded-at"), apply: changeRefresh(func(b *broken, request provider.RefreshRequest, grant *provider.Grant) {
			if grant.State == provider.LeaseGranted && grant.Found && request.LoadedAt.IsZero() && !request.Force {
				_ = b.reference.Release(context.Background(), []provider.Lease{grant.Lease})
				grant.State = provider.LeaseFound
			}
		})},
		// Force leases what is there.
		{name: "Refresh does not look at Force", cases: in("refresh/force"), apply: changeRequest(func(_ *broken, request *provider.RefreshRequest) {
			if request.Force {
				request.Force, request.LoadedAt = false, time.Unix(1, 0)
			}
		})},
		// Force takes no lease of others.
		{name: "Force takes the lease of others", cases: in("refresh/force", "refresh/leased-without-entry", "refresh/grants-nothing"), apply: changeRequest(func(b *broken, request *provider.RefreshRequest) {
			if request.Force {
				b.editLeases(func(leases map[provider.Key]leased) { delete(leases, request.Key) })
			}
		})},
		// Each transmission has a token of its own.
		{name: "the token of a refresh names the client", cases: in("refresh/tokens", "refresh/late-fill", "refresh-fill/next-lease"), apply: changeRefreshToken(func(provider.Lease) string { return "client" })},
		// A key is no token.
		{name: "the token of a refresh names the key", cases: in("refresh/tokens", "refresh/late-fill", "refresh-fill/set"), apply: changeRefreshToken(func(lease provider.Lease) string { return lease.Key.Name })},
		// What is held is leased to nobody.
		{name: "Refresh does not look at holds", cases: in("refresh-fill/hold"), apply: func(b *broken) {
			b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
				var holds []held
				b.editHolds(func(all []held) []held { holds = all; return nil })
				defer b.editHolds(func([]held) []held { return holds })
				return b.reference.Refresh(ctx, requests, ttl)
			}
		}},
	}
}

func brokenRefreshCalls() []breakage {
	return []breakage{
		// Grants are in the order of the keys.
		{name: "Refresh answers what it found first", cases: in("refresh/in-order", "refresh/many"), apply: changeRefreshes(func(_ *broken, grants []provider.Grant) []provider.Grant {
			slices.SortStableFunc(grants, func(a, b provider.Grant) int {
				switch {
				case a.Found == b.Found:
					return 0
				case a.Found:
					return -1
				default:
					return 1
				}
			})
			return grants
		})},
		// One grant for each key.
		{name: "Refresh leaves out what is busy", cases: in("refresh/in-order", "refresh/grants-beside", "refresh/leased-without-entry"), apply: changeRefreshes(func(_ *broken, grants []provider.Grant) []provider.Grant {
			return slices.DeleteFunc(grants, func(grant provider.Grant) bool { return grant.State == provider.LeaseBusy })
		})},
		// Thousands of keys are fine.
		{name: "Refresh answers a chunk", cases: in("refresh/many"), apply: changeRefreshes(func(_ *broken, grants []provider.Grant) []provider.Grant {
			for i := range grants {
				if i >= 1000 {
					grants[i] = provider.Grant{State: provider.LeaseBusy}
				}
			}
			return grants
		})},
		// No keys are fine.
		{name: "Refresh of no keys is an error", cases: in("refresh/none"), apply: func(b *broken) {
			b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
				if len(requests) == 0 {
					return nil, errOdd
				}
				return b.reference.Refresh(ctx, requests, ttl)
			}
		}},
		// No keys are no keys.
		{name: "Refresh of no keys leases all there are", cases: in("refresh/none"), apply: func(b *broken) {
			b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
				if len(requests) == 0 {
					b.edit(func(entries map[provider.Key]stored) {
						for key := range entries {
							b.leaseLocked(key, ttl)
						}
					})
				}
				return b.reference.Refresh(ctx, requests, ttl)
			}
		}},
		// A TTL that is not positive is refused.
		{name: "Refresh takes a bad TTL for no end", cases: in("refresh/refused-ttl"), apply: changeRefreshTTL(func(ttl time.Duration) time.Duration {
			if ttl <= 0 {
				return provider.NoExpiry
			}
			return ttl
		})},
		// What is refused leaves no lease.
		{name: "Refresh leases first and checks the TTL then", cases: in("refresh/refused-ttl"), apply: func(b *broken) {
			b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
				if ttl <= 0 {
					_, _ = b.reference.Refresh(ctx, requests, time.Hour)
				}
				return b.reference.Refresh(ctx, requests, ttl)
			}
		}},
		// Every byte counts.
		{name: "refresh leases end their names at a zero byte", cases: in("refresh/names"), apply: changeRefreshKey(func(key provider.Key) provider.Key {
			key.Name, _, _ = strings.Cut(key.Name, "\x00")
			return key
		})},
		// Scope and name are apart.
		{name: "refresh leases are of scope and name with a colon", cases: in("refresh/names"), apply: changeRefreshKey(func(key provider.Key) provider.Key {
			return provider.Key{Name: key.Scope + ":" + key.Name}
		})},
		// Entries that were found never change.
		{name: "Refresh reuses its buffer", encoding: true, cases: in("refresh/not-aliased"), apply: func(b *broken) {
			reuse := reuseBuffer()
			changeRefresh(func(_ *broken, _ provider.RefreshRequest, grant *provider.Grant) { grant.Entry = reuse(grant.Entry) })(b)
		}},
		// A grant for each key, whatever happens.
		{name: "a cancelled Refresh returns no grants", cases: in("refresh/cancelled", "refresh/after-close"), apply: func(b *broken) {
			b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
				grants, err := b.reference.Refresh(ctx, requests, ttl)
				if err != nil {
					return nil, err
				}
				return grants, nil
			}
		}},
		// An error of the whole call is set in the grants.
		{name: "the grants of a failed Refresh have no error", cases: in("refresh/cancelled", "refresh/after-close", "refresh/refused-ttl"), apply: func(b *broken) {
			b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
				grants, err := b.reference.Refresh(ctx, requests, ttl)
				if err != nil {
					grants = make([]provider.Grant, len(requests))
				}
				return grants, err
			}
		}},
		// A lease that a cancelled call takes ends.
		{name: "a cancelled Refresh leaves leases for ever", cases: in("refresh/cancelled"), apply: func(b *broken) {
			b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
				if ctx.Err() != nil {
					_, _ = b.reference.Refresh(context.WithoutCancel(ctx), requests, time.Hour)
				}
				return b.reference.Refresh(ctx, requests, ttl)
			}
		}},
		// A cancelled call removes nothing.
		{name: "a cancelled Refresh removes the entry", cases: in("refresh/cancelled"), apply: func(b *broken) {
			b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
				if ctx.Err() != nil {
					_ = b.reference.Delete(context.WithoutCancel(ctx), requests[0].Key)
				}
				return b.reference.Refresh(ctx, requests, ttl)
			}
		}},
	}
}

func brokenRefreshEnds() []breakage {
	return []breakage{
		// A lease ends.
		{name: "refresh leases do not end", cases: in("refresh/ends", "refresh/late-fill"), apply: changeRefreshTTL(func(ttl time.Duration) time.Duration {
			if ttl > 0 {
				return provider.NoExpiry
			}
			return ttl
		})},
		// A lease lasts until it ends.
		{name: "refresh leases last half as long", cases: in("refresh/ends"), apply: changeRefreshTTL(func(ttl time.Duration) time.Duration { return ttl / 2 })},
		// Asking does not prolong a lease.
		{name: "asking prolongs a refresh lease", cases: in("refresh/ends"), apply: changeRefresh(func(b *broken, request provider.RefreshRequest, grant *provider.Grant) {
			if grant.State == provider.LeaseBusy {
				b.editLeases(func(leases map[provider.Key]leased) {
					leases[request.Key] = leased{leases[request.Key].token, time.Now().Add(time.Hour)}
				})
			}
		})},
		// The entry outlives the lease.
		{name: "an entry ends with the lease beside it", cases: in("refresh/keeps-ttl"), apply: changeRefresh(func(b *broken, request provider.RefreshRequest, grant *provider.Grant) {
			if l, leased := b.leaseOf(request.Key); leased && grant.State == provider.LeaseGranted {
				b.changeEnd(request.Key, func(time.Time) time.Time { return l.ends })
			}
		})},
		// The lease does not keep the entry.
		{name: "an entry lasts as long as the lease beside it", cases: in("refresh/keeps-ttl"), apply: changeRefresh(func(b *broken, request provider.RefreshRequest, grant *provider.Grant) {
			if l, leased := b.leaseOf(request.Key); leased && grant.State == provider.LeaseGranted {
				b.changeEnd(request.Key, func(end time.Time) time.Time {
					if end.Before(l.ends) {
						return l.ends
					}
					return end
				})
			}
		})},
		// Nor does giving it back.
		{name: "Release stores the entry anew", cases: in("refresh/keeps-ttl"), apply: func(b *broken) {
			b.release = func(ctx context.Context, leases []provider.Lease) error {
				for _, lease := range leases {
					b.changeEnd(lease.Key, func(end time.Time) time.Time { return end.Add(time.Minute) })
				}
				return b.reference.Release(ctx, leases)
			}
		}},
		// The end of the entry is that of the lease.
		{name: "the lease beside an entry outlives it", cases: in("refresh/entry-ends"), apply: func(b *broken) {
			forget := func(key provider.Key) {
				b.edit(func(entries map[provider.Key]stored) {
					if e, found := entries[key]; found && !e.live() {
						delete(entries, key)
					}
				})
			}
			b.acquire = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
				for _, key := range keys {
					forget(key)
				}
				return b.reference.Acquire(ctx, keys, ttl)
			}
			beforeFill(func(_ *broken, fill *provider.Fill) { forget(fill.Lease.Key) })(b)
		}},
		// Release is for the lease beside an entry, too.
		{name: "Release leaves the lease beside an entry", cases: in("refresh/release", "refresh/not-the-lease"), apply: func(b *broken) {
			b.release = func(ctx context.Context, leases []provider.Lease) error {
				leases = slices.DeleteFunc(slices.Clone(leases), func(lease provider.Lease) bool { return b.beside(lease.Key) })
				return b.reference.Release(ctx, leases)
			}
		}},
		// What is released keeps its validator.
		{name: "Release leaves the value only", cases: in("refresh/release"), apply: func(b *broken) {
			b.release = func(ctx context.Context, leases []provider.Lease) error {
				b.edit(func(entries map[provider.Key]stored) {
					for _, lease := range leases {
						if e, found := entries[lease.Key]; found {
							e.entry.Validator = ""
							entries[lease.Key] = e
						}
					}
				})
				return b.reference.Release(ctx, leases)
			}
		}},
	}
}

func brokenRefreshViews() []breakage {
	return []breakage{
		// What is refreshed is served.
		{
			name: "Get does not find what is refreshed", cases: in("refresh/grants-beside", "refresh/keeps-ttl"),
			apply: func(b *broken) {
				b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
					if b.beside(key) {
						return provider.Entry{}, false, nil
					}
					return b.reference.Get(ctx, key)
				}
			},
		},
		// It is served to bulk reads too.
		{name: "GetMany does not find what is refreshed", cases: in("refresh/grants-beside"), apply: func(b *broken) {
			b.getMany = func(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
				results, err := b.reference.GetMany(ctx, keys)
				for i, key := range keys {
					if b.beside(key) {
						results[i] = provider.Result{}
					}
				}
				return results, err
			}
		}},
		// Who acquires finds the entry.
		{name: "Acquire is busy where an entry is refreshed", cases: in("refresh/grants-beside"), apply: changeGrant(func(b *broken, key provider.Key, grant *provider.Grant) {
			if grant.State == provider.LeaseFound && b.beside(key) {
				*grant = provider.Grant{State: provider.LeaseBusy}
			}
		})},
		// An entry with a lease is one.
		{name: "Has misses what is refreshed", cases: in("refresh/counted-once"), apply: func(b *broken) {
			b.has = func(ctx context.Context, key provider.Key) (bool, error) {
				has, err := b.reference.Has(ctx, key)
				return has && !b.beside(key), err
			}
		}},
	}
}

func brokenRefreshFills() []breakage {
	return []breakage{
		// Fill replaces all of the entry.
		{name: "Fill leaves what was kept with the old value", cases: in("refresh-fill/replaces"), apply: changeFilled(func(fill provider.Fill, old, entry *stored) {
			if !fill.Extend {
				old.entry.Value, old.entry.Absent = entry.entry.Value, entry.entry.Absent
				entry.entry = old.entry
			}
		})},
		// Its TTL too.
		{name: "Fill leaves the end of the old entry", cases: in("refresh-fill/replaces"), apply: changeFilled(func(fill provider.Fill, old, entry *stored) {
			if !fill.Extend {
				entry.ends = old.ends
			}
		})},
		// A lease is used up.
		{
			name: "a Fill in place of an entry keeps the lease", cases: in("refresh-fill/replaces", "refresh-fill/once", "extend/frees", "refresh-concurrent/fills-once"),
			apply: func(b *broken) {
				b.fill = func(ctx context.Context, fills []provider.Fill) (filled []provider.Filled, err error) {
					beside := slices.ContainsFunc(fills, func(fill provider.Fill) bool { return b.beside(fill.Lease.Key) })
					if !beside {
						return b.reference.Fill(ctx, fills)
					}
					b.keepLeases(func() { filled, err = b.reference.Fill(ctx, fills) })
					return filled, err
				}
			},
		},
		// What is refused for its TTL leaves what is there.
		{name: "a Fill without a TTL removes the entry", cases: in("refresh-fill/refused"), apply: afterFill(func(b *broken, fill provider.Fill, filled *provider.Filled) {
			if filled.Err != nil {
				_ = b.reference.Delete(context.Background(), fill.Lease.Key)
			}
		})},
		// What is refused for what it is leaves nothing.
		{name: "a refused Fill leaves the entry", encoding: true, cases: in("refresh-fill/refused"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				if len(fills) != 1 || !b.unstorable(fills[0]) {
					return b.reference.Fill(ctx, fills)
				}
				err := b.encode(&provider.Entry{Value: fills[0].Entry.Value})
				return []provider.Filled{{Err: err}}, b.reference.Release(ctx, []provider.Lease{fills[0].Lease})
			}
		}},
		// A Set of the same entry is another entry.
		{name: "Set of an entry with the same LoadedAt leaves the lease", cases: in("refresh-fill/set"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) (err error) {
				old, _, _ := b.reference.Get(ctx, key)
				if !old.LoadedAt.Equal(entry.LoadedAt) {
					return b.reference.Set(ctx, key, entry, ttl)
				}
				b.keepLeases(func() { err = b.reference.Set(ctx, key, entry, ttl) })
				return err
			}
		}},
	}
}

func brokenExtensions() []breakage {
	return []breakage{
		// An extension keeps the value.
		{
			name: "an extension stores the value that it is given", encoding: true, cases: in("extend/keeps-the-value", "extend/ignores-the-value", "refresh/in-order", "refresh/many"),
			apply: changeExtension(func(_ *broken, fill *provider.Fill) { fill.Extend = false }),
		},
		// An absence stays one.
		{name: "an extension takes Absent", cases: in("extend/ignores-the-value"), apply: changeFilled(func(fill provider.Fill, _, entry *stored) {
			if fill.Extend {
				entry.entry.Absent = fill.Entry.Absent
			}
		})},
		// What is not stored need not be storable.
		{name: "an extension is refused for its value", encoding: true, cases: in("extend/ignores-the-value"), apply: func(b *broken) {
			b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
				if fills[0].Extend && b.unstorable(fills[0]) {
					return []provider.Filled{{Err: provider.ErrUnencodable}}, nil
				}
				return b.reference.Fill(ctx, fills)
			}
		}},
		// An extension takes the rest.
		{name: "an extension changes the TTL only", cases: in("extend/keeps-the-value"), apply: changeExtended(func(old, entry *stored) { entry.entry = old.entry })},
		// A source may stop to send validators.
		{name: "an extension keeps the validator if it is given none", cases: in("extend/keeps-the-value"), apply: changeExtended(func(old, entry *stored) {
			if entry.entry.Validator == "" {
				entry.entry.Validator = old.entry.Validator
			}
		})},
		// The TTL is that of the extension.
		{name: "an extension leaves the end", cases: in("extend/ttl"), apply: changeExtended(func(old, entry *stored) { entry.ends = old.ends })},
		// It may be shorter.
		{name: "an extension only prolongs", cases: in("extend/ttl"), apply: changeExtended(func(old, entry *stored) {
			if old.ends.IsZero() || !entry.ends.IsZero() && old.ends.After(entry.ends) {
				entry.ends = old.ends
			}
		})},
		// There is no value to keep.
		{name: "an extension of nothing stores nil", cases: in("extend/needs-an-entry"), apply: changeExtension(func(b *broken, fill *provider.Fill) {
			if !b.held(fill.Lease.Key) {
				fill.Extend, fill.Entry.Value = false, nil
			}
		})},
		// The lease is still good.
		{name: "an extension that is refused uses the lease up", cases: in("extend/needs-an-entry"), apply: afterFill(func(b *broken, fill provider.Fill, filled *provider.Filled) {
			if fill.Extend && !filled.Stored {
				_ = b.reference.Release(context.Background(), []provider.Lease{fill.Lease})
			}
		})},
		// An extension needs the lease.
		{
			name: "an extension needs no lease",
			cases: in("refresh/late-fill", "refresh/not-the-lease", "refresh/release", "refresh-fill/once", "refresh-fill/set",
				"refresh-fill/next-lease", "extend/frees", "refresh-concurrent/fills-once"),
			apply: changeExtension(func(b *broken, fill *provider.Fill) {
				if _, found := b.leaseOf(fill.Lease.Key); !found && b.held(fill.Lease.Key) {
					b.editLeases(func(leases map[provider.Key]leased) { leases[fill.Lease.Key] = leased{token: fill.Lease.Token} })
				}
			}),
		},
		// A TTL that is not positive is refused.
		{name: "an extension takes a bad TTL for no end", cases: in("extend/refused-ttl"), apply: changeExtension(func(_ *broken, fill *provider.Fill) {
			if fill.TTL <= 0 {
				fill.TTL = provider.NoExpiry
			}
		})},
		// It leaves what is there.
		{name: "an extension with a bad TTL removes the entry", cases: in("extend/refused-ttl"), apply: changeExtension(func(b *broken, fill *provider.Fill) {
			if fill.TTL <= 0 {
				_ = b.reference.Delete(context.Background(), fill.Lease.Key)
			}
		})},
	}
}

func brokenRefreshConcurrency() []breakage {
	return []breakage{
		// Refresh looks and takes in one step.
		{
			name: "Refresh looks first and takes the lease later", exactOnly: true, cases: in("refresh-concurrent/granted-to-one", "refresh-concurrent/one-at-a-time"),
			apply: func(b *broken) {
				b.refresh = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
					if _, found := b.leaseOf(requests[0].Key); found {
						return b.reference.Refresh(ctx, requests, ttl)
					}
					time.Sleep(time.Nanosecond)
					b.editLeases(func(leases map[provider.Key]leased) { delete(leases, requests[0].Key) })
					return b.reference.Refresh(ctx, requests, ttl)
				}
			},
		},
		// The entry is there all the time.
		{name: "Release takes the entry away and puts it back", exactOnly: true, cases: in("refresh-concurrent/one-at-a-time"), apply: func(b *broken) {
			b.release = func(ctx context.Context, leases []provider.Lease) error {
				var was stored
				b.edit(func(entries map[provider.Key]stored) {
					was = entries[leases[0].Key]
					delete(entries, leases[0].Key)
				})
				time.Sleep(time.Nanosecond)
				b.edit(func(entries map[provider.Key]stored) { entries[leases[0].Key] = was })
				return b.reference.Release(ctx, leases)
			}
		}},
		// An extension looks and stores in one step.
		{
			name: "an extension looks first and stores later", exactOnly: true,
			cases: in("refresh-concurrent/delete-overtakes", "refresh-concurrent/delete-prefix-overtakes"),
			apply: func(b *broken) {
				b.fill = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
					fill := fills[0]
					l, found := b.leaseOf(fill.Lease.Key)
					old, there, _ := b.reference.Get(ctx, fill.Lease.Key)
					if !fill.Extend || !found || !there || l.token != fill.Lease.Token {
						return b.reference.Fill(ctx, fills)
					}
					time.Sleep(time.Nanosecond)
					fill.Entry.Value, fill.Entry.Absent = old.Value, old.Absent
					err := b.reference.Set(ctx, fill.Lease.Key, fill.Entry, fill.TTL)
					return []provider.Filled{{Stored: true}}, err
				}
			},
		},
	}
}
