package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/provider"
)

// cutStore is a leaseStore whose bulk answers are cut off: in each request, only the first keys are
// answered before the deadline.
type cutStore struct {
	*leaseStore

	answers atomic.Int64 // keys that are answered in a request
	deletes atomic.Int64 // removals that succeed, until one fails
}

func (*cutStore) Punctual() bool { return true }

func (s *cutStore) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	n := min(len(keys), int(s.answers.Load()))
	grants, err := s.leaseStore.Acquire(ctx, keys[:n], ttl)
	if n == len(keys) || err != nil {
		return grants, err
	}
	<-ctx.Done()
	for _, key := range keys[n:] {
		grants = append(grants, provider.Grant{Err: fmt.Errorf("acquire %q: %w", key.Name, ctx.Err())})
	}
	return grants, nil
}

func (s *cutStore) Delete(ctx context.Context, keys ...provider.Key) error {
	if s.deletes.Add(-1) < 0 {
		return errStore
	}
	return s.leaseStore.Delete(ctx, keys...)
}

func newCutStore(answers, deletes int64) *cutStore {
	s := &cutStore{leaseStore: &leaseStore{newLeaseServer(), &network{}}}
	s.answers.Store(answers)
	s.deletes.Store(deletes)
	return s
}

func ids(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	return ids
}

func bulkKey(id int) string { return fmt.Sprint("item:", id) }

func loadIDs(_ context.Context, ids []int) (map[int]int, error) {
	values := make(map[int]int, len(ids))
	for _, id := range ids {
		values[id] = id
	}
	return values, nil
}

// TestPartOfABulkIsStored: the deadline has cut off the leases of some keys. What was granted before is
// used: those values are stored, and the one error is one report.
func TestPartOfABulkIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newCutStore(1, 0)
		var reported []*readthrough.OpError
		s := newScope(t, on(store), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.OnError = func(err *readthrough.OpError) { reported = append(reported, err) }
		}))
		m, err := readthrough.WrapMany(t.Context(), s, ids(10), bulkKey, loadIDs)
		require.NoError(t, err)
		require.Len(t, m, 10)
		synctest.Wait()
		_, found := store.peek(provider.Key{Scope: s.Name(), Name: bulkKey(0)})
		assert.True(t, found, "the key whose lease was granted is stored")
		assert.Zero(t, s.Stats().RefusedFills, "refused fills")
		require.Len(t, reported, 1, "reports")
		assert.Empty(t, reported[0].Key, "the report is about several keys")
		require.ErrorIs(t, reported[0], context.DeadlineExceeded)

		store.answers.Store(1000)
		m, err = readthrough.WrapMany(t.Context(), s, ids(1000), bulkKey, loadIDs)
		require.NoError(t, err)
		require.Len(t, m, 1000)
		stored := 0
		for _, id := range ids(1000) {
			if _, found := store.peek(provider.Key{Scope: s.Name(), Name: bulkKey(id)}); found {
				stored++
			}
		}
		assert.Equal(t, 1000, stored, "stored, once the store is fast enough")
	})
}

// TestPartOfAnInvalidationIsConfirmed: only the keys that the store has not confirmed are pending.
func TestPartOfAnInvalidationIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, part = 2500, 1000
		store := newCutStore(n, 1)
		s := newScope(t, on(store), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
			o.OnError = func(*readthrough.OpError) {}
		}))
		var targets readthrough.Targets
		for _, id := range ids(n) {
			targets.Keys = append(targets.Keys, bulkKey(id))
		}
		_, err := s.InvalidateTargets(t.Context(), targets)
		require.ErrorIs(t, err, readthrough.ErrInvalidationPending)
		assert.Equal(t, n-part, s.Stats().Pending, "pending")

		store.deletes.Store(1000)
		time.Sleep(5 * time.Second)
		assert.Zero(t, s.Stats().Pending, "pending, after the retries")
	})
}

// TestManyKeysWithOneErrorAreOneReport: errors that name their keys have one cause.
func TestManyKeysWithOneErrorAreOneReport(t *testing.T) {
	other := errors.New("another error")
	for what, test := range map[string]struct {
		errs []error
		want []string // the keys of the reports
	}{
		"one cause":        {[]error{fmt.Errorf("k0: %w", errStore), fmt.Errorf("k1: %w", errStore)}, []string{""}},
		"two causes":       {[]error{fmt.Errorf("k0: %w", errStore), fmt.Errorf("k1: %w", other)}, []string{bulkKey(0), bulkKey(1)}},
		"each for a group": {[]error{errStore, other, errStore, other}, []string{"", ""}},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &erringStore{CacheProvider: provider.Null(), errs: test.errs}
				var got []string
				s := newScope(t, on(store), with(func(o *readthrough.Options, _ *readthrough.ScopeOptions) {
					o.OnError = func(err *readthrough.OpError) { got = append(got, err.Key) }
				}))
				_, err := readthrough.WrapMany(t.Context(), s, ids(len(test.errs)), bulkKey, loadIDs)
				require.NoError(t, err)
				synctest.Wait()
				assert.Equal(t, test.want, got, "keys of the reports")
			})
		})
	}
}

// erringStore answers a bulk read with errors, and keeps nothing.
type erringStore struct {
	provider.CacheProvider

	errs []error
}

func (s *erringStore) GetMany(_ context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys)+1)
	for i := range s.errs {
		results[i].Err = s.errs[i]
	}
	return results[:len(keys)], nil
}

func (*erringStore) SetMany(context.Context, []provider.Item) error { return nil }
