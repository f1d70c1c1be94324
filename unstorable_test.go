package readthrough_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// replacements are the ways in which a stored value comes to be replaced.
func replacements() map[string]struct {
	scope   readthrough.ScopeOptions
	replace func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) error
} {
	wrap := func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) error {
		_, err := readthrough.Wrap(ctx, s, "k", load)
		return err
	}
	bulk := func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) error {
		_, err := readthrough.WrapMany(ctx, s, []string{"k", "l"}, func(id string) string { return id }, func(ctx context.Context, ids []string) (map[string]int, error) {
			m := make(map[string]int)
			for _, id := range ids {
				v, err := load(ctx)
				if err != nil {
					return nil, err
				}
				m[id] = v
			}
			return m, nil
		})
		return err
	}
	const soon, kept = time.Millisecond, time.Hour
	return map[string]struct {
		scope   readthrough.ScopeOptions
		replace func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) error
	}{
		"Refresh": {readthrough.ScopeOptions{TTL: kept}, func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) error {
			_, err := readthrough.Refresh(ctx, s, "k", load)
			return err
		}},
		"Put": {readthrough.ScopeOptions{TTL: kept}, func(ctx context.Context, s *readthrough.CachedScope, load func(context.Context) (int, error)) error {
			_, err := readthrough.Put(ctx, s, "k", load)
			return err
		}},
		"stale":          {readthrough.ScopeOptions{TTL: soon, StaleWhileRevalidate: kept}, wrap},
		"stale, bulk":    {readthrough.ScopeOptions{TTL: soon, StaleWhileRevalidate: kept}, bulk},
		"if error":       {readthrough.ScopeOptions{TTL: soon, StaleIfError: kept}, wrap},
		"if error, bulk": {readthrough.ScopeOptions{TTL: soon, StaleIfError: kept}, bulk},
	}
}

// choosyStore fails to store some values. The error says nothing of the value.
type choosyStore struct{ *double }

var errChoosy = errors.New("the store is full")

func (s choosyStore) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	if entry.Value == 100 {
		return errChoosy
	}
	return s.double.Set(ctx, key, entry, ttl)
}

// leasedChoosyStore is a choosyStore with leases.
type leasedChoosyStore struct{ *leaseStore }

func (s leasedChoosyStore) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	if fills[0].Entry.Value == 100 {
		return nil, errChoosy
	}
	return s.leaseStore.Fill(ctx, fills)
}

// choosyEach is a leasedChoosyStore that answers for each entry.
type choosyEach struct{ leasedChoosyStore }

func (s choosyEach) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	filled, err := s.leasedChoosyStore.Fill(ctx, fills)
	if err != nil {
		filled = make([]provider.Filled, len(fills))
		for i := range filled {
			filled[i].Err = err
		}
	}
	return filled, nil
}

// TestWhatCannotBeStoredLeavesNothingOld: what is loaded and cannot be stored is newer than what is stored.
func TestWhatCannotBeStoredLeavesNothingOld(t *testing.T) {
	stores := map[string]func(t *testing.T) provider.CacheProvider{
		"memory, too heavy": func(t *testing.T) provider.CacheProvider {
			t.Helper()
			weigher := func(_ provider.Key, e provider.Entry) int64 { return int64(e.Value.(int)) }
			store, err := memory.New(memory.Options{MaxWeight: 50, Weigher: weigher})
			require.NoError(t, err)
			return store
		},
		"memory, weigher fails": func(t *testing.T) provider.CacheProvider {
			t.Helper()
			weigher := func(_ provider.Key, e provider.Entry) int64 {
				if e.Value == 100 {
					panic("too much")
				}
				return 1
			}
			store, err := memory.New(memory.Options{MaxWeight: 50, Weigher: weigher})
			require.NoError(t, err)
			return store
		},
		"no leases": func(t *testing.T) provider.CacheProvider { t.Helper(); return choosyStore{plain(newStore(t))} },
		"leases": func(*testing.T) provider.CacheProvider {
			return leasedChoosyStore{&leaseStore{newLeaseServer(), new(network)}}
		},
		"leases, each": func(*testing.T) provider.CacheProvider {
			return choosyEach{leasedChoosyStore{&leaseStore{newLeaseServer(), new(network)}}}
		},
	}
	for name, r := range replacements() {
		for storeName, store := range stores {
			bubble(t, name+"/"+storeName, func(t *testing.T) {
				s := newScope(t, on(store(t)), with(func(o *readthrough.Options, so *readthrough.ScopeOptions) {
					*so = r.scope
					so.Jitter = -1
					o.OnError = func(*readthrough.OpError) {}
				}))
				_, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
				require.NoError(t, err)
				time.Sleep(time.Second)
				require.NoError(t, r.replace(t.Context(), s, newSource(100).load))
				synctest.Wait()
				v, err := readthrough.Wrap(t.Context(), s, "k", newSource(2).load)
				want(t, "the next read", v, err, 2)
				time.Sleep(time.Second)
				wantIdle(t, s)
			})
		}
	}
}

// TestWhatIsConfirmedStays: a value that the source has confirmed is right, although its extension could not
// be stored.
func TestWhatIsConfirmedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLeaseServer()
		s := newScope(t, on(refusesExtensions{&leaseStore{server, new(network)}}), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.OnError = func(*readthrough.OpError) {}
		}))
		_, err := readthrough.Wrap(t.Context(), s, "k", newSource(1).load)
		require.NoError(t, err)
		_, err = readthrough.Refresh(t.Context(), s, "k", func(ctx context.Context) (int, error) {
			readthrough.LoadOf(ctx, "k").NotModified()
			return 0, nil
		})
		require.NoError(t, err)
		v, err := readthrough.Wrap(t.Context(), s, "k", newSource(2).load)
		want(t, "the next read", v, err, 1)
	})
}

type refusesExtensions struct{ *leaseStore }

func (s refusesExtensions) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	if fills[0].Extend {
		return nil, errChoosy
	}
	return s.leaseStore.Fill(ctx, fills)
}

// TestStoreThatDoesNotAnswerIsNotAskedToRemove: to remove the old value takes no longer than the fill did.
func TestStoreThatDoesNotAnswerIsNotAskedToRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, readthrough.Options{}, 0)
		_, err := readthrough.Wrap(t.Context(), r.scope, "k", newSource("1").load)
		require.NoError(t, err)
		r.store.fail(faultHang, "set")
		_, err = readthrough.Refresh(t.Context(), r.scope, "k", newSource("2").load)
		require.NoError(t, err)
		assert.Empty(t, r.store.calls("delete"))
		r.store.heal()
	})
}
