package readthrough_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// renewingStore is a leaseStore that counts renewals.
type renewingStore struct {
	*leaseStore

	renewals atomic.Int64 // requests
}

func newRenewingStore() *renewingStore {
	return &renewingStore{leaseStore: &leaseStore{newLeaseServer(), &network{}}}
}

func (s *renewingStore) Renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	s.renewals.Add(1)
	return s.leaseStore.Renew(ctx, leases, ttl)
}

func (s *leaseStore) Renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	renewed := make([]bool, len(leases))
	err := s.network.send(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, lease := range leases {
			got, ok := s.liveLocked(lease.Key)
			if !ok || got.token != lease.Token || !got.leased() {
				continue
			}
			renewed[i] = true
			if got.hasEntry {
				got.tokenUntil = time.Now().Add(ttl)
			} else {
				got.until = time.Now().Add(ttl)
			}
			s.slots[lease.Key] = got
		}
	})
	return slices.Clone(renewed), err
}

// withoutRenewals is a store that does not renew leases.
type withoutRenewals struct {
	provider.CacheProvider
	provider.Leaser
	provider.Refresher
}

const briefLease = time.Second

// withBriefLeases gives a scope leases of a second.
func withBriefLeases(reported *[]*readthrough.OpError, change func(*readthrough.ScopeOptions)) func(*setup) {
	return with(func(o *readthrough.Options, s *readthrough.ScopeOptions) {
		o.LeaseTTL = briefLease
		o.OnError = func(err *readthrough.OpError) { *reported = append(*reported, err) }
		if change != nil {
			change(s)
		}
	})
}

// lasting returns a load function that takes so long.
func lasting(takes time.Duration, loads *atomic.Int64) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		time.Sleep(takes)
		return int(loads.Add(1)), nil
	}
}

// longLoads are the ways in which a load of "item:0" can take longer than its lease.
func longLoads() map[string]func(t *testing.T, s *readthrough.CachedScope, takes time.Duration) {
	var loads atomic.Int64
	return map[string]func(t *testing.T, s *readthrough.CachedScope, takes time.Duration){
		"read": func(t *testing.T, s *readthrough.CachedScope, takes time.Duration) {
			_, err := readthrough.Wrap(t.Context(), s, bulkKey(0), lasting(takes, &loads))
			require.NoError(t, err)
		},
		"bulk read": func(t *testing.T, s *readthrough.CachedScope, takes time.Duration) {
			_, err := readthrough.WrapMany(t.Context(), s, ids(1), bulkKey, func(ctx context.Context, ids []int) (map[int]int, error) {
				time.Sleep(takes)
				return loadIDs(ctx, ids)
			})
			require.NoError(t, err)
		},
		"refresh": func(t *testing.T, s *readthrough.CachedScope, takes time.Duration) {
			_, err := readthrough.Refresh(t.Context(), s, bulkKey(0), lasting(takes, &loads))
			require.NoError(t, err)
		},
		"put": func(t *testing.T, s *readthrough.CachedScope, takes time.Duration) {
			_, err := readthrough.Put(t.Context(), s, bulkKey(0), lasting(takes, &loads))
			require.NoError(t, err)
		},
	}
}

// TestLoadLongerThanItsLeaseIsStored: the lease is renewed while the load runs, and no longer.
func TestLoadLongerThanItsLeaseIsStored(t *testing.T) {
	for name, load := range longLoads() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newRenewingStore()
				var reported []*readthrough.OpError
				s := newScope(t, on(store), withBriefLeases(&reported, nil))
				load(t, s, 3*briefLease+briefLease/2)
				synctest.Wait()
				_, found := store.peek(provider.Key{Scope: s.Name(), Name: bulkKey(0)})
				assert.True(t, found, "stored")
				stats := s.Stats()
				assert.Zero(t, stats.RefusedFills, "refused fills")
				assert.Zero(t, stats.LostLeases, "lost leases")
				assert.Empty(t, reported)

				renewals := store.renewals.Load()
				assert.Positive(t, renewals, "renewals")
				time.Sleep(time.Hour)
				assert.Equal(t, renewals, store.renewals.Load(), "renewals, an hour after the load")

				require.NoError(t, s.Invalidate(t.Context(), bulkKey(0)))
				load(t, s, briefLease/10)
				assert.Equal(t, renewals, store.renewals.Load(), "renewals: a short load needs none")
			})
		})
	}
}

// TestLoadsLongerThanTheirLeasesAreCountedApart: without renewals, or if they fail, nothing is stored. That
// is no refusal: nobody has invalidated anything. The user is told once.
func TestLoadsLongerThanTheirLeasesAreCountedApart(t *testing.T) {
	for name, load := range longLoads() {
		for _, renews := range []bool{false, true} {
			what := name + ", the store does not renew"
			if renews {
				what = name + ", renewals fail"
			}
			t.Run(what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					renewing := newRenewingStore()
					var store provider.CacheProvider = withoutRenewals{renewing, renewing, renewing}
					if renews {
						store = &failingRenewals{renewing}
					}
					var reported []*readthrough.OpError
					s := newScope(t, on(store), withBriefLeases(&reported, nil))
					for range 3 {
						load(t, s, briefLease+briefLease/2)
						synctest.Wait()
					}
					_, found := renewing.peek(provider.Key{Scope: s.Name(), Name: bulkKey(0)})
					assert.False(t, found, "stored")
					stats := s.Stats()
					assert.EqualValues(t, 3, stats.LostLeases, "lost leases")
					assert.Zero(t, stats.RefusedFills, "refused fills")
					require.Len(t, reported, 1, "reports")
					assert.Equal(t, "load", reported[0].Op)
					assert.Contains(t, reported[0].Error(), "longer than its lease")
				})
			})
		}
	}
}

// failingRenewals is a store whose renewals fail.
type failingRenewals struct{ *renewingStore }

func (*failingRenewals) Renew(_ context.Context, leases []provider.Lease, _ time.Duration) ([]bool, error) {
	return make([]bool, len(leases)), errStore
}

// TestInvalidationDuringALongLoad: what was invalidated is refused, whether the lease was renewed before or
// after that, and the lease does not come back.
func TestInvalidationDuringALongLoad(t *testing.T) {
	for name, load := range longLoads() {
		if name == "put" {
			continue // which is told of the invalidation by its own process
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newRenewingStore()
				var reported []*readthrough.OpError
				s := newScope(t, on(store), withBriefLeases(&reported, nil))
				go func() {
					time.Sleep(2 * briefLease)
					assert.NoError(t, store.Delete(t.Context(), provider.Key{Scope: s.Name(), Name: bulkKey(0)})) // another process
				}()
				load(t, s, 4*briefLease)
				synctest.Wait()
				_, found := store.peek(provider.Key{Scope: s.Name(), Name: bulkKey(0)})
				assert.False(t, found, "stored")
				assert.EqualValues(t, 1, s.Stats().RefusedFills, "refused fills")
				assert.Zero(t, s.Stats().LostLeases, "lost leases")
			})
		})
	}
}

// TestLoadThatNobodyWantsIsNotRenewed: its readers have left, and it does not notice. Its lease ends.
func TestLoadThatNobodyWantsIsNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRenewingStore()
		var reported []*readthrough.OpError
		s := newScope(t, on(store), withBriefLeases(&reported, nil))
		ctx, cancel := context.WithTimeout(t.Context(), 2*briefLease)
		defer cancel()
		var loads atomic.Int64
		_, err := readthrough.Wrap(ctx, s, bulkKey(0), lasting(time.Hour, &loads))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		renewals := store.renewals.Load()
		assert.Positive(t, renewals, "renewals while somebody waited")
		time.Sleep(2 * briefLease)
		assert.Equal(t, renewals, store.renewals.Load(), "renewals after that")
		grants, err := store.Acquire(t.Context(), []provider.Key{{Scope: s.Name(), Name: bulkKey(0)}}, time.Second)
		require.NoError(t, err)
		assert.Equal(t, provider.LeaseGranted, grants[0].State, "the lease is given to the next")
		time.Sleep(2 * time.Hour)
	})
}
