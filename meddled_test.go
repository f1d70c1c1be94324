package readthrough_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// meddled is a store with leases in which others do something between the requests
// of a process, and which counts those requests.
type meddled struct {
	*leaseStore

	before func(refresh int64) // the request for leases on what is stored; nil: nothing

	acquires, refreshes, fills, releases atomic.Int64
}

func newMeddled() *meddled { return &meddled{leaseStore: &leaseStore{newLeaseServer(), &network{}}} }

func (s *meddled) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	s.acquires.Add(1)
	return s.leaseStore.Acquire(ctx, keys, ttl)
}

func (s *meddled) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	if n := s.refreshes.Add(1); s.before != nil {
		s.before(n)
	}
	return s.leaseStore.Refresh(ctx, requests, ttl)
}

func (s *meddled) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	s.fills.Add(1)
	return s.leaseStore.Fill(ctx, fills)
}

func (s *meddled) Release(ctx context.Context, leases []provider.Lease) error {
	s.releases.Add(1)
	return s.leaseStore.Release(ctx, leases)
}

// meddledKey is the key that the tests use.
var meddledKey = provider.Key{Scope: "test", Name: "k"}

// change has another process change what is stored.
func (s *meddled) change(change func(*slot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.slots[meddledKey]
	change(&got)
	s.slots[meddledKey] = got
}

// keepsStale is an option for newScope.
func keepsStale() func(*setup) {
	return serving(func(so *readthrough.ScopeOptions) { so.StaleWhileRevalidate, so.StaleIfError = time.Hour, 2*time.Hour })
}

// onMeddled runs test in a bubble for each way to read, with a value of 1 that is
// stored, and was stale for so long.
func onMeddled(t *testing.T, stale time.Duration, test func(t *testing.T, store *meddled, s *readthrough.CachedScope, read func(load func(context.Context) (int, error)) (readthrough.Result[int], error))) {
	t.Helper()
	for name, reading := range resultReads[int]() {
		bubble(t, name, func(t *testing.T) {
			store := newMeddled()
			s := newScope(t, on(store), keepsStale())
			read := func(load func(context.Context) (int, error)) (readthrough.Result[int], error) {
				return reading(t.Context(), s, meddledKey.Name, load)
			}
			got, err := read(newSource(1).load)
			wantResult(t, "first", got, err, readthrough.Result[int]{Value: 1, Source: readthrough.FromLoad})
			store.refreshes.Store(0)
			store.change(func(s *slot) { s.until = s.until.Add(time.Hour) }) // another process keeps it longer
			time.Sleep(time.Minute + stale)
			test(t, store, s, read)
			wantIdle(t, s)
		})
	}
}

// Who replaces what was found asks for its lease once.
func TestLeaseOfWhatWasFoundIsAskedForOnce(t *testing.T) {
	for _, stale := range []time.Duration{0, time.Hour, 2 * time.Hour} { // replaced in the background, by the reader, and not even a spare
		t.Run(stale.String(), func(t *testing.T) {
			onMeddled(t, stale, func(t *testing.T, store *meddled, _ *readthrough.CachedScope, read func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
				src := newSource(2)
				_, err := read(src.load)
				assert.NoError(t, err)
				synctest.Wait()
				wantLoads(t, &src.loads, 1)
				assert.Equal(t, int64(1), store.refreshes.Load(), "asked for a lease")
			})
		})
	}
}

// What others replace each time when a lease for it is asked for is theirs to load,
// and stays.
func TestWhatOthersReplaceIsLeftToThem(t *testing.T) {
	onMeddled(t, 0, func(t *testing.T, store *meddled, _ *readthrough.CachedScope, read func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
		store.before = func(int64) { store.change(func(s *slot) { s.entry.LoadedAt = s.entry.LoadedAt.Add(1) }) }
		src := newSource(2)
		_, err := read(src.load)
		assert.NoError(t, err)
		synctest.Wait()
		wantLoads(t, &src.loads, 0)
		_, ok := store.peek(meddledKey)
		assert.True(t, ok, "what others have stored was removed")
	})
}

// Refresh gets the lease whatever others store meanwhile.
func TestRefreshOfWhatOthersReplace(t *testing.T) {
	onMeddled(t, 0, func(t *testing.T, store *meddled, s *readthrough.CachedScope, _ func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
		store.before = func(int64) { store.change(func(s *slot) { s.entry.LoadedAt = s.entry.LoadedAt.Add(1) }) }
		elapsed := took(func() {
			value, err := readthrough.Refresh(t.Context(), s, meddledKey.Name, newSource(2).load)
			want(t, "Refresh", value, err, 2)
		})
		entry, _ := store.peek(meddledKey)
		assert.Equal(t, 2, entry.Value, "what is stored")
		assert.Zero(t, elapsed, "stored at once")
	})
}

// A value that was removed after the load's process has found it is none that the
// load could ask about or confirm.
func TestWhatWasRemovedIsNoOldValue(t *testing.T) {
	onMeddled(t, 0, func(t *testing.T, store *meddled, _ *readthrough.CachedScope, read func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
		store.before = func(n int64) {
			if n == 1 { // replaced, so that it is asked for once more
				store.change(func(s *slot) { s.entry.LoadedAt, s.entry.Validator = s.entry.LoadedAt.Add(1), "v" })
			} else {
				assert.NoError(t, store.Delete(t.Context(), meddledKey))
			}
		}
		loaded := false
		_, err := read(func(ctx context.Context) (int, error) {
			load := readthrough.LoadOf(ctx, meddledKey.Name)
			old, ok := readthrough.OldValue[int](load)
			assert.False(t, ok, "there is an old value %d", old)
			assert.Empty(t, load.Validator(), "the validator of an old value")
			loaded = true
			return 2, nil
		})
		synctest.Wait()
		assert.NoError(t, err)
		assert.True(t, loaded, "it did not load")
	})
}

// A value that another process has stored meanwhile is taken, also if its lease is
// somebody's already.
func TestFreshValueBesideALease(t *testing.T) {
	onMeddled(t, time.Hour, func(t *testing.T, store *meddled, _ *readthrough.CachedScope, read func(func(context.Context) (int, error)) (readthrough.Result[int], error)) {
		store.before = func(int64) {
			store.change(func(s *slot) {
				s.entry.Value, s.entry.LoadedAt, s.entry.FreshUntil = 2, time.Now(), time.Now().Add(time.Minute)
				s.token, s.tokenUntil = "another's", time.Now().Add(time.Minute)
			})
		}
		src := newSource(3)
		elapsed := took(func() {
			got, err := read(src.load)
			wantResult(t, "read", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromStore})
		})
		wantLoads(t, &src.loads, 0)
		assert.Zero(t, elapsed, "took: it waited for the lease")
	})
}

// unreadable is a store with leases in which a key cannot be read until it was
// removed.
type unreadable struct {
	*leaseStore

	removed atomic.Bool
}

func (s *unreadable) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	if !s.removed.Load() {
		return []provider.Grant{{State: provider.LeaseFailed, Err: provider.ErrUndecodable}}, nil
	}
	return s.leaseStore.Acquire(ctx, keys, ttl)
}

func (s *unreadable) Delete(ctx context.Context, keys ...provider.Key) error {
	s.removed.Store(true)
	return s.leaseStore.Delete(ctx, keys...)
}

// What cannot be read makes room for what is loaded, which is stored at once.
func TestWhatCannotBeReadIsReplaced(t *testing.T) {
	kinds := map[string]func() provider.CacheProvider{
		"damaged": func() provider.CacheProvider {
			return &unreadable{leaseStore: &leaseStore{newLeaseServer(), &network{}}}
		},
		"of another type, and of unknown age": func() provider.CacheProvider {
			store := newMeddled()
			store.change(func(s *slot) { *s = slot{hasEntry: true, until: time.Now().Add(time.Hour)}; s.entry.Value = "text" })
			return store
		},
	}
	for name, newStore := range kinds {
		for way, read := range resultReads[int]() {
			bubble(t, name+"/"+way, func(t *testing.T) {
				store, reported := newStore(), new(reports)
				s := newScope(t, on(store), reported.collect())
				elapsed := took(func() {
					got, err := read(t.Context(), s, meddledKey.Name, newSource(2).load)
					wantResult(t, "read", got, err, readthrough.Result[int]{Value: 2, Source: readthrough.FromLoad})
				})
				v, _ := stored(t, store, meddledKey.Name)
				assert.Equal(t, 2, v, "what is stored")
				assert.Zero(t, elapsed, "stored at once")
			})
		}
	}
}

// Without a lease nothing is sent that the store would have to refuse.
func TestNothingIsFilledWithoutALease(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newMeddled()
		s := newScope(t, on(store))
		require.NoError(t, store.Hold(t.Context(), provider.HoldTargets{Scope: "test", Keys: []string{"k"}}, "token", time.Hour))
		value, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
		want(t, "read", value, err, 1)
		assert.Zero(t, store.fills.Load(), "fills were sent")
	})
}

// A lease lasts as long as the load may take.
func TestLeaseLastsAsLongAsItsLoad(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		store := newMeddled()
		s := newScope(t, on(store), serving(func(so *readthrough.ScopeOptions) { so.TTL, so.LoadTimeout = time.Hour, time.Hour }))
		src := newSource(1)
		src.take(time.Hour - 1)
		value, err := readthrough.Wrap(t.Context(), s, "k", src.load)
		want(t, "read", value, err, 1)
		_, ok := store.peek(meddledKey)
		assert.True(t, ok, "what a slow load brought is not stored")
	})
}

// miscounting answers for one key too few.
type miscounting struct {
	*leaseStore

	grants, fills bool
}

func (s *miscounting) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	grants, err := s.leaseStore.Acquire(ctx, keys, ttl)
	if s.grants {
		grants = grants[1:]
	}
	return grants, err
}

func (s *miscounting) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	filled, err := s.leaseStore.Fill(ctx, fills)
	if s.fills {
		filled = filled[1:]
	}
	return filled, err
}

// Answers that cannot be told apart are none, and fail no read.
func TestWrongNumberOfGrants(t *testing.T) {
	for name, store := range map[string]*miscounting{"grants": {grants: true}, "fills": {fills: true}} {
		bubble(t, name, func(t *testing.T) {
			store.leaseStore = &leaseStore{newLeaseServer(), &network{}}
			reported := new(reports)
			s := newScope(t, on(store), reported.collect())
			values, err := readthrough.WrapMany(t.Context(), s, []string{"a", "b"}, self, many(newSource(1).load))
			want(t, "read", values["a"]+values["b"], err, 2)
			errs, _ := reported.all()
			assert.Len(t, errs, 1, "reported")
		})
	}
}

// A store that fails is asked for no leases either, nor to keep anything or to take
// a lease back.
func TestLeasesOfAFailingStore(t *testing.T) {
	for name, fails := range map[string]error{"fill": nil, "release": errDatabase} {
		bubble(t, name, func(t *testing.T) {
			store, reported := newMeddled(), new(reports)
			s := newScope(t, on(store), reported.collect(), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) { o.BreakerCooldown = time.Hour }))
			src := newGated(1)
			src.fail(fails)
			before := wrapAsync(t.Context(), s, "k", src.load)
			synctest.Wait() // it has the lease
			store.network.cut.Store(true)
			for range 10 {
				value, err := readthrough.Wrap(t.Context(), s, "other", newSource(2).load)
				want(t, "in the outage", value, err, 2)
			}
			acquires := store.acquires.Load()
			close(src.gate)
			r := <-before
			assert.ErrorIs(t, r.err, fails, "got %d", r.value)
			value, err := readthrough.Wrap(t.Context(), s, "other", newSource(2).load)
			want(t, "afterwards", value, err, 2)
			synctest.Wait()
			sent := [3]int64{store.acquires.Load() - acquires, store.fills.Load(), store.releases.Load()}
			assert.Zero(t, sent, "then requests for leases, fills and releases were sent")
			assert.LessOrEqual(t, acquires, int64(5), "requests for leases at first")
			store.network.cut.Store(false)
		})
	}
}
