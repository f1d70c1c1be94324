package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

const (
	slowTimeout = 50 * time.Millisecond
	manyKeys    = 20_000
)

var errBroken = errors.New("the connection broke")

// slowStore takes some time for each item of a request. At the deadline it returns the answers that are
// there, as a pipeline does; with whole, it returns none, as an MGET does.
type slowStore struct {
	provider.CacheProvider

	perItem  time.Duration
	whole    bool
	late     bool // it does not return at the deadline
	punctual bool

	mu        sync.Mutex // guards following
	sizes     []int      // of the requests
	failAt    int        // the request that fails, from 1
	refuses   int        // the request that is refused for the size of an item
	granted   map[string]bool
	released  []string
	gone      []string
	tokens    []string
	leftToTTL []bool // of each hold
	prefix    int    // keys under the prefix
}

func (s *slowStore) Punctual() bool { return s.punctual }

// answer takes the time for n items. It returns how many were answered, and the error of the others.
func (s *slowStore) answer(ctx context.Context, n int) (int, error) {
	s.mu.Lock()
	s.sizes = append(s.sizes, n)
	at := len(s.sizes)
	s.mu.Unlock()
	if at == s.failAt {
		return 0, errBroken
	}
	if at == s.refuses {
		return n, fmt.Errorf("one of them: %w", provider.ErrTooLarge)
	}
	began := time.Now()
	if s.late {
		time.Sleep(time.Duration(n) * s.perItem)
		return n, nil
	}
	select {
	case <-time.After(time.Duration(n) * s.perItem):
		return n, nil
	case <-ctx.Done():
	}
	if s.whole {
		return 0, ctx.Err()
	}
	return int(time.Since(began) / s.perItem), ctx.Err()
}

func (s *slowStore) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	n, err := s.answer(ctx, len(keys))
	results := make([]provider.Result, len(keys))
	for i := range results {
		if results[i].Found = i < n; !results[i].Found {
			results[i].Err = err
		}
	}
	if n > 0 {
		err = nil
	}
	return results, err
}

func (s *slowStore) SetMany(ctx context.Context, items []provider.Item) error {
	_, err := s.answer(ctx, len(items))
	return err
}

func (s *slowStore) Set(ctx context.Context, _ provider.Key, _ provider.Entry, _ time.Duration) error {
	_, err := s.answer(ctx, 1)
	return err
}

func (s *slowStore) Acquire(ctx context.Context, keys []provider.Key, _ time.Duration) ([]provider.Grant, error) {
	n, err := s.answer(ctx, len(keys))
	grants := make([]provider.Grant, len(keys))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, key := range keys {
		if i >= n {
			grants[i].Err = err
			continue
		}
		s.granted[key.Name] = true
		grants[i] = provider.Grant{State: provider.LeaseGranted, Lease: provider.Lease{Key: key, Token: "token"}}
	}
	if n > 0 {
		err = nil
	}
	return grants, err
}

func (s *slowStore) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	keys := make([]provider.Key, len(requests))
	for i := range requests {
		keys[i] = requests[i].Key
	}
	return s.Acquire(ctx, keys, ttl)
}

func (s *slowStore) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	n, err := s.answer(ctx, len(fills))
	filled := make([]provider.Filled, len(fills))
	for i := range filled {
		if filled[i].Stored = i < n; !filled[i].Stored {
			filled[i].Err = err
		}
	}
	if n > 0 {
		err = nil
	}
	return filled, err
}

func (s *slowStore) Release(ctx context.Context, leases []provider.Lease) error {
	if _, err := s.answer(ctx, len(leases)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range leases {
		s.released = append(s.released, l.Key.Name)
	}
	return nil
}

func (s *slowStore) Delete(ctx context.Context, keys ...provider.Key) error {
	if n, err := s.answer(ctx, len(keys)); n < len(keys) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		s.gone = append(s.gone, key.Name)
	}
	return nil
}

func (s *slowStore) DeletePrefix(ctx context.Context, _, _ string) (int, error) {
	n, err := s.answer(ctx, s.prefix)
	s.prefix -= n
	return n, err
}

func (s *slowStore) Hold(ctx context.Context, targets provider.HoldTargets, token string, _ time.Duration) error {
	if n, err := s.answer(ctx, len(targets.Keys)); n < len(targets.Keys) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, fmt.Sprint(token, len(targets.Keys), targets.Prefixes))
	s.leftToTTL = append(s.leftToTTL, targets.LeftToTTL)
	return nil
}

func (s *slowStore) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	return s.Hold(ctx, targets, token, 0)
}

// slow runs test in a bubble for a punctual store, and for another one.
func slow(t *testing.T, make func() *slowStore, test func(t *testing.T, b *Backend, s *slowStore)) {
	t.Helper()
	for _, punctual := range []bool{true, false} {
		t.Run(fmt.Sprint("punctual ", punctual), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := make()
				s.CacheProvider, s.granted, s.punctual = provider.Null(), map[string]bool{}, punctual
				test(t, newSlow(s), s)
				time.Sleep(time.Hour) // orphans end
			})
		})
	}
}

func newSlow(s *slowStore) *Backend {
	return New(s, Config{
		ReadTimeout: slowTimeout, DeleteTimeout: slowTimeout, BreakerFailures: 5, BreakerCooldown: time.Second,
		Panicked: func(v any) error { return fmt.Errorf("%v", v) },
	})
}

func keysOf(n int) []provider.Key {
	keys := make([]provider.Key, n)
	for i := range keys {
		keys[i] = provider.Key{Scope: "s", Name: strconv.Itoa(i)}
	}
	return keys
}

// bulkCalls are the calls for many items. Each returns how many items have no error, and the errors of
// the others.
func bulkCalls() map[string]func(ctx context.Context, b *Backend, n int) (good int, errs []error) {
	count := func(n int, err func(i int) error) (good int, errs []error) {
		synctest.Wait() // until the requests that were left behind have begun
		for i := range n {
			if e := err(i); e != nil {
				errs = append(errs, e)
			} else {
				good++
			}
		}
		return good, errs
	}
	return map[string]func(ctx context.Context, b *Backend, n int) (good int, errs []error){
		"get": func(ctx context.Context, b *Backend, n int) (int, []error) {
			results := b.GetMany(ctx, keysOf(n))
			return count(n, func(i int) error { return results[i].Err })
		},
		"acquire": func(ctx context.Context, b *Backend, n int) (int, []error) {
			grants := b.Acquire(ctx, keysOf(n), time.Second)
			return count(n, func(i int) error { return grants[i].Err })
		},
		"refresh": func(ctx context.Context, b *Backend, n int) (int, []error) {
			requests := make([]provider.RefreshRequest, n)
			for i, key := range keysOf(n) {
				requests[i].Key = key
			}
			grants := b.Refresh(ctx, requests, time.Second)
			return count(n, func(i int) error { return grants[i].Err })
		},
		"fill": func(ctx context.Context, b *Backend, n int) (int, []error) {
			filled := b.Fill(ctx, make([]provider.Fill, n))
			return count(n, func(i int) error { return filled[i].Err })
		},
	}
}

// TestLargeBulkIsAnsweredInParts: a bulk call that takes twenty times its deadline brings all of its
// items, in parts, and the breaker stays closed.
func TestLargeBulkIsAnsweredInParts(t *testing.T) {
	for name, call := range bulkCalls() {
		t.Run(name, func(t *testing.T) {
			slow(t, func() *slowStore { return &slowStore{perItem: 50 * time.Microsecond} }, func(t *testing.T, b *Backend, s *slowStore) {
				good, errs := call(t.Context(), b, manyKeys)
				assert.Equal(t, manyKeys, good, "answered; errors: %v", errs)
				assert.LessOrEqual(t, slices.Max(s.sizes), mostAsked, "items of a part")
				assert.False(t, b.Open(), "the breaker is open")
			})
		})
	}
}

// TestPartsThatAreCutOffGetSmaller: a store that cannot answer for so many items in time is asked for
// fewer. What it has answered before counts, nothing that was lost is asked for twice, and the next call
// begins with the size that this one has found.
func TestPartsThatAreCutOffGetSmaller(t *testing.T) {
	for name, call := range bulkCalls() {
		for _, whole := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", all or nothing ", whole), func(t *testing.T) {
				const perItem = 2 * time.Millisecond // 25 in time
				slow(t, func() *slowStore { return &slowStore{perItem: perItem, whole: whole} }, func(t *testing.T, b *Backend, s *slowStore) {
					const n = 1000
					good, errs := call(t.Context(), b, n)
					assert.GreaterOrEqual(t, good, n-2*mostAsked, "answered by the first call; requests of %v", s.sizes)
					for _, err := range errs {
						require.ErrorIs(t, err, context.DeadlineExceeded)
					}
					good, errs = call(t.Context(), b, n)
					assert.Equal(t, n, good, "answered by the second call; requests of %v, errors: %v", s.sizes, errs)
					assert.False(t, b.Open(), "the breaker is open")
				})
			})
		}
	}
}

// TestSlowStoreHoldsUpNoBulkCall: a store that can only answer small parts in time is asked for two seconds, and brings
// something in each call. For 20,000 items it would take 40.
func TestSlowStoreHoldsUpNoBulkCall(t *testing.T) {
	for name, call := range bulkCalls() {
		t.Run(name, func(t *testing.T) {
			slow(t, func() *slowStore { return &slowStore{perItem: 2 * time.Millisecond, whole: true} }, func(t *testing.T, b *Backend, s *slowStore) {
				for range 3 {
					began := time.Now()
					good, errs := call(t.Context(), b, manyKeys)
					assert.Greater(t, good, 500, "answered")
					assert.Len(t, errs, manyKeys-good)
					for _, err := range errs {
						require.ErrorIs(t, err, context.DeadlineExceeded)
					}
					assert.LessOrEqual(t, time.Since(began), (slowParts+2)*slowTimeout, "took, with %d requests", len(s.sizes))
					assert.False(t, b.Open(), "the breaker is open")
				}
			})
		})
	}
}

// TestWhatASlowStoreIsNotAsked fails because the store is slow. That a value of an earlier part was too large says nothing
// about it.
func TestWhatASlowStoreIsNotAsked(t *testing.T) {
	slow(t, func() *slowStore { return &slowStore{} }, func(t *testing.T, b *Backend, _ *slowStore) {
		requests := 0
		sent, err := b.inParts(t.Context(), manyKeys, slowTimeout, &pace{most: mostAsked}, func(int, int, time.Duration) error {
			switch requests++; requests {
			case 1:
				return fmt.Errorf("one of them: %w", provider.ErrTooLarge)
			case 2:
				time.Sleep(slowTimeout)
				return context.DeadlineExceeded
			default:
				time.Sleep(slowTimeout / 2)
				return nil
			}
		})
		assert.Less(t, sent, manyKeys)
		assert.ErrorIs(t, err, errLate)
		assert.NotErrorIs(t, err, provider.ErrTooLarge)
	})
}

// TestSlowStoreRemovesAll: nothing else does what a removal does, so it goes on.
func TestSlowStoreRemovesAll(t *testing.T) {
	slow(t, func() *slowStore { return &slowStore{perItem: 2 * time.Millisecond} }, func(t *testing.T, b *Backend, _ *slowStore) {
		keys := keysOf(manyKeys)
		for range 5 { // until the size fits
			began := time.Now()
			removed, err := b.Delete(t.Context(), keys, true)
			if err == nil {
				assert.Greater(t, time.Since(began), slowParts*slowTimeout, "took")
				assert.NotContains(t, removed, false)
				return
			}
		}
		t.Error("nothing was removed at last")
	})
}

// TestStoreThatHangsEndsABulkCall: a store that answers nothing costs a bulk call three deadlines, and
// the next one a single deadline, however many items it has.
func TestStoreThatHangsEndsABulkCall(t *testing.T) {
	for name, call := range bulkCalls() {
		t.Run(name, func(t *testing.T) {
			slow(t, func() *slowStore { return &slowStore{perItem: time.Hour} }, func(t *testing.T, b *Backend, s *slowStore) {
				began := time.Now()
				good, errs := call(t.Context(), b, manyKeys)
				assert.Zero(t, good, "answered")
				assert.Len(t, errs, manyKeys)
				assert.Equal(t, lateParts*slowTimeout, time.Since(began), "took, with requests of %v", s.sizes)
				_, _ = call(t.Context(), b, manyKeys)
				assert.True(t, b.Open(), "after so many deadlines the breaker is open")
			})
		})
	}
}

// TestPartThatFailsEndsABulkCall: what came before it counts, and the rest fails with its error and is not
// sent.
func TestPartThatFailsEndsABulkCall(t *testing.T) {
	for name, call := range bulkCalls() {
		t.Run(name, func(t *testing.T) {
			slow(t, func() *slowStore { return &slowStore{failAt: 3} }, func(t *testing.T, b *Backend, s *slowStore) {
				good, errs := call(t.Context(), b, 5*mostAsked)
				assert.Equal(t, 2*mostAsked, good, "answered")
				require.Len(t, errs, 3*mostAsked)
				for _, err := range errs {
					require.ErrorIs(t, err, errBroken)
				}
				assert.Len(t, s.sizes, 3, "requests")
				assert.EqualValues(t, lateShare, b.breaker.failures.Load(), "failures that the breaker knows")
			})
		})
	}
}

// TestReaderKeepsHalfOfItsTimeInABulkCall: the parts together take no more of it than one request.
func TestReaderKeepsHalfOfItsTimeInABulkCall(t *testing.T) {
	for name, call := range bulkCalls() {
		t.Run(name, func(t *testing.T) {
			slow(t, func() *slowStore { return &slowStore{perItem: 100 * time.Microsecond} }, func(t *testing.T, b *Backend, s *slowStore) {
				const patience = 400 * time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				began := time.Now()
				good, errs := call(ctx, b, manyKeys)
				assert.LessOrEqual(t, time.Since(began), patience/2, "took")
				assert.Greater(t, good, manyKeys/20, "answered")
				assert.NotEmpty(t, errs)
				assert.False(t, b.Open(), "the breaker is open")
				assert.Zero(t, b.breaker.failures.Load(), "failures: that the reader has no time says nothing about the store")
			})
		})
	}
}

// TestRemovalsAreConfirmedPartByPart: what was confirmed before a part failed is removed.
func TestRemovalsAreConfirmedPartByPart(t *testing.T) {
	slow(t, func() *slowStore { return &slowStore{failAt: 3} }, func(t *testing.T, b *Backend, s *slowStore) {
		removed, err := deleted(t, b, 100_000)
		require.ErrorIs(t, err, errBroken)
		assert.Equal(t, 2*mostRemoved, removed)
		assert.Len(t, s.gone, removed)
		removed, err = deleted(t, b, 100_000)
		require.NoError(t, err)
		assert.Equal(t, 100_000, removed)
	})
	slow(t, func() *slowStore { return &slowStore{failAt: 2} }, func(t *testing.T, b *Backend, _ *slowStore) {
		held, err := b.Hold(t.Context(), provider.HoldTargets{Keys: make([]string, 2500)}, "token", time.Second)
		require.ErrorIs(t, err, errBroken)
		assert.Equal(t, mostRemoved, held)
	})
}

// TestRemovalThatIsTooLargeGetsSmaller: a store that hangs costs a removal one deadline, and one that is
// slow is asked for fewer keys the next time.
func TestRemovalThatIsTooLargeGetsSmaller(t *testing.T) {
	slow(t, func() *slowStore { return &slowStore{perItem: time.Millisecond, whole: true} }, func(t *testing.T, b *Backend, s *slowStore) {
		began := time.Now()
		removed, err := deleted(t, b, 3000)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, removed)
		assert.Equal(t, slowTimeout, time.Since(began), "took")
		for range 2 {
			synctest.Wait()
			if removed, err = deleted(t, b, 3000); err == nil {
				break
			}
		}
		synctest.Wait()
		require.NoError(t, err, "requests of %v", s.sizes)
		assert.Equal(t, 3000, removed)
	})
}

// TestPrefixThatTakesLongIsRemoved: a prefix has more keys than the store removes within a deadline.
func TestPrefixThatTakesLongIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{CacheProvider: provider.Null(), perItem: time.Millisecond, prefix: 1000, punctual: true}
		removed, err := newSlow(s).DeletePrefix(t.Context(), "s", "p", false)
		require.NoError(t, err)
		assert.Equal(t, 1000, removed)
		assert.Len(t, s.sizes, 20, "requests")

		s.prefix, s.perItem = 1000, time.Hour
		began := time.Now()
		_, err = newSlow(s).DeletePrefix(t.Context(), "s", "p", false)
		require.ErrorIs(t, err, context.DeadlineExceeded, "nothing is removed")
		assert.Equal(t, slowTimeout, time.Since(began), "took")
	})
}

// TestHoldIsGivenUpAsItWasPlaced: in the same parts, with the same tokens, each of which is another.
func TestHoldIsGivenUpAsItWasPlaced(t *testing.T) {
	slow(t, func() *slowStore { return &slowStore{} }, func(t *testing.T, b *Backend, s *slowStore) {
		targets := provider.HoldTargets{Keys: make([]string, 2500), Prefixes: []string{"p", "q", "r"}}
		held, err := b.Hold(t.Context(), targets, "t", time.Second)
		require.NoError(t, err)
		assert.Equal(t, 2500, held)
		placed := slices.Clone(s.tokens)
		assert.Equal(t, []string{"t1000 []", "t-11000 []", "t-2500 [p]", "t-30 [q]", "t-40 [r]"}, placed)
		require.NoError(t, b.Unhold(t.Context(), targets, "t"))
		assert.Equal(t, placed, s.tokens[len(placed):])

		s.tokens = nil
		_, err = b.Hold(t.Context(), provider.HoldTargets{Keys: []string{"k"}, Prefixes: []string{"p"}}, "t", time.Second)
		require.NoError(t, err)
		assert.Equal(t, []string{"t1 [p]"}, s.tokens, "a small hold is one request")

		s.leftToTTL = nil
		targets.LeftToTTL = true
		_, err = b.Hold(t.Context(), targets, "t", time.Second)
		require.NoError(t, err)
		assert.Equal(t, []bool{true, true, true, true, true}, s.leftToTTL, "each part of a hold that nobody gives up says so")
	})
}

// TestItemThatIsRefusedDoesNotEndABulkCall: it says nothing about those of the next part.
func TestItemThatIsRefusedDoesNotEndABulkCall(t *testing.T) {
	slow(t, func() *slowStore { return &slowStore{refuses: 2} }, func(t *testing.T, b *Backend, s *slowStore) {
		told := 0
		err := b.Set(t.Context(), make([]provider.Item, 4*mostAsked), fillerFunc(func() { told++ }))
		require.ErrorIs(t, err, provider.ErrTooLarge)
		assert.Len(t, s.sizes, 4, "requests")
		assert.Equal(t, 1, told, "how often the filler was told that the store has returned")
	})
}

type fillerFunc func()

func (f fillerFunc) StoreReturned() { f() }

// TestFillerIsToldWhenTheLastPartHasReturned: also if a part before it goes on long after its deadline.
func TestFillerIsToldWhenTheLastPartHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{CacheProvider: provider.Null(), perItem: time.Second, late: true}
		b := newSlow(s)
		var at atomic.Int64
		began := time.Now()
		err := b.Set(t.Context(), make([]provider.Item, 2*mostAsked), fillerFunc(func() { at.Store(int64(time.Since(began))) }))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, at.Load(), "it was told before the store has returned")
		time.Sleep(time.Hour)
		assert.Equal(t, mostAsked*time.Second, time.Duration(at.Load()), "when it was told")
	})
}

// TestGrantsAtTheDeadlineBelongToTheCaller: a punctual store that answers at the deadline has granted
// leases that the caller uses. They are not given back.
func TestGrantsAtTheDeadlineBelongToTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{CacheProvider: provider.Null(), granted: map[string]bool{}, perItem: 10 * time.Millisecond, punctual: true}
		granted := 0
		for _, g := range newSlow(s).Acquire(t.Context(), keysOf(10), time.Second) {
			if g.State == provider.LeaseGranted {
				granted++
			}
		}
		assert.Equal(t, 5, granted, "granted by the deadline")
		assert.Empty(t, s.released, "released")
	})
}

// errsBeside is a store with leases that returns an error beside its grants.
type errsBeside struct{ *slowStore }

func (s errsBeside) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	grants, err := s.slowStore.Acquire(ctx, keys, ttl)
	return grants, errors.Join(err, errors.New("a connection was lost"))
}

// TestGrantsBesideAnErrorBelongToTheCaller: who does not get to know of a lease cannot use it or give it
// back.
func TestGrantsBesideAnErrorBelongToTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := errsBeside{&slowStore{CacheProvider: provider.Null(), granted: map[string]bool{}}}
		b := New(s, Config{ReadTimeout: slowTimeout, DeleteTimeout: slowTimeout})
		for _, g := range b.Acquire(t.Context(), keysOf(3), time.Second) {
			assert.Equal(t, provider.LeaseGranted, g.State)
			assert.NoError(t, g.Err)
		}
	})
}

// TestGrantsThatNobodyGetsAreGivenBack: a store that does not keep the deadline grants leases after it.
func TestGrantsThatNobodyGetsAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{CacheProvider: provider.Null(), granted: map[string]bool{}, perItem: 10 * time.Millisecond, late: true}
		b := newSlow(s)
		for _, g := range b.Acquire(t.Context(), keysOf(10), time.Second) {
			require.ErrorIs(t, g.Err, context.DeadlineExceeded)
		}
		assert.EqualValues(t, 1, b.orphans.Load(), "orphans")
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Len(t, s.released, 10, "released")
		assert.Zero(t, b.orphans.Load(), "orphans")
	})
}

// TestWhatADeadlineCutsOffIsNoAnswer: an error that says both that an item was refused and that a
// deadline has passed is a failure.
func TestWhatADeadlineCutsOffIsNoAnswer(t *testing.T) {
	for _, refusal := range []error{provider.ErrUndecodable, provider.ErrTooLarge, provider.ErrUnencodable} {
		assert.Equal(t, storeAnswered, verdictOn(refusal))
		assert.Equal(t, storeFailed, verdictOn(errors.Join(refusal, context.DeadlineExceeded)), "%v", refusal)
		assert.Equal(t, storeFailed, verdictOn(fmt.Errorf("%w: %w", refusal, context.DeadlineExceeded)), "%v", refusal)
	}
}

// deleted deletes n keys, and returns how many of them are removed.
func deleted(t *testing.T, b *Backend, n int) (removed int, err error) {
	t.Helper()
	mask, err := b.Delete(t.Context(), keysOf(n), false)
	if err == nil {
		return n, nil
	}
	for _, is := range mask {
		if is {
			removed++
		}
	}
	return removed, err
}
