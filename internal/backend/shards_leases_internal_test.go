package backend

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// leasingShards is a shardedStore with leases and holds. A request for keys of a shard that is down does nothing.
type leasingShards struct {
	*shardedStore

	full bool // it refuses to store
	// did has what was done, by the name of the key: the name of its shard.
	did map[string]int
}

// do does something with keys, if all of their shards are well.
func (s *leasingShards) do(ctx context.Context, what string, names ...string) error {
	keys := make([]provider.Key, len(names))
	for i, name := range names {
		keys[i].Name = name
	}
	errs, _ := s.ask(ctx, keys)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full && (what == "hold" || what == "set") {
		return provider.ErrRefused
	}
	for _, name := range names {
		s.did[what+" "+name]++
	}
	return nil
}

func (*leasingShards) Acquire(context.Context, []provider.Key, time.Duration) ([]provider.Grant, error) {
	return nil, errors.ErrUnsupported
}

func (*leasingShards) Fill(context.Context, []provider.Fill) ([]provider.Filled, error) {
	return nil, errors.ErrUnsupported
}

func (s *leasingShards) Release(ctx context.Context, leases []provider.Lease) error {
	return s.do(ctx, "release", namesOf(leases)...)
}

func (s *leasingShards) Renew(ctx context.Context, leases []provider.Lease, _ time.Duration) ([]bool, error) {
	renewed := make([]bool, len(leases))
	err := s.do(ctx, "renew", namesOf(leases)...)
	for i := range renewed {
		renewed[i] = err == nil
	}
	return renewed, err
}

func (s *leasingShards) SetMany(ctx context.Context, items []provider.Item) error {
	var names []string
	for i := range items {
		names = append(names, items[i].Key.Name)
	}
	return s.do(ctx, "set", names...)
}

func (s *leasingShards) Set(ctx context.Context, key provider.Key, _ provider.Entry, _ time.Duration) error {
	return s.do(ctx, "set", key.Name)
}

func (s *leasingShards) Hold(ctx context.Context, targets provider.HoldTargets, _ string, _ time.Duration) error {
	return s.do(ctx, "hold", s.namesIn(targets)...)
}

func (s *leasingShards) Unhold(ctx context.Context, targets provider.HoldTargets, _ string) error {
	return s.do(ctx, "unhold", s.namesIn(targets)...)
}

// namesIn returns the keys of targets, and for a prefix those of all shards.
func (*leasingShards) namesIn(targets provider.HoldTargets) []string {
	if len(targets.Prefixes) > 0 {
		return []string{"0", "1", "2", "3"}
	}
	return targets.Keys
}

func (*leasingShards) Has(context.Context, provider.Key) (bool, error) { return true, nil }

func (*leasingShards) List(context.Context, provider.ListOptions) (provider.Page, error) {
	return provider.Page{}, nil
}

func (*leasingShards) Stats(context.Context) (provider.Stats, error) { return provider.Stats{}, nil }

func namesOf(leases []provider.Lease) (names []string) {
	for _, l := range leases {
		names = append(names, l.Key.Name)
	}
	return names
}

// holdOf are keys of shards.
func holdOf(shards ...int) (targets provider.HoldTargets) {
	for _, n := range shards {
		targets.Keys = append(targets.Keys, strconv.Itoa(n))
	}
	return targets
}

func inLeasingShards(t *testing.T, f func(t *testing.T, s *leasingShards, b *Backend)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &leasingShards{shardedStore: &shardedStore{CacheProvider: provider.Null(), down: make(map[int]bool)}, did: make(map[string]int)}
		f(t, s, New(s, Config{
			ReadTimeout: shardTimeout, DeleteTimeout: shardTimeout, BreakerFailures: 3, BreakerCooldown: shardCooldown,
			Panicked: func(any) error { return errDown },
		}))
	})
}

// openShard opens the breaker of a shard.
func openShard(t *testing.T, s *leasingShards, b *Backend, n int) {
	t.Helper()
	s.set(n, true)
	for range 3 {
		_, _, err := b.Get(t.Context(), shardKeys[n])
		require.Error(t, err)
	}
	require.True(t, b.shards.all[n].breaker.open.Load(), "the breaker of shard %d", n)
}

// hold is what the root does.
func hold(ctx context.Context, b *Backend, targets provider.HoldTargets) error {
	if err := b.AdmitHold(targets); err != nil {
		return err
	}
	_, err := b.Hold(ctx, targets, "token", time.Minute)
	return err
}

// TestHoldsOfShards: a hold needs the shards of its targets, and no other. After the cooldown, it finds out that a
// shard is back.
func TestHoldsOfShards(t *testing.T) {
	for what, targets := range map[string]provider.HoldTargets{"a key": holdOf(1), "keys": holdOf(1, 2), "a prefix": {Prefixes: []string{"p"}}} {
		inLeasingShards(t, func(t *testing.T, s *leasingShards, b *Backend) {
			t.Helper()
			openShard(t, s, b, 1)
			require.NoError(t, hold(t.Context(), b, holdOf(0, 2, 3)), "a hold in the shards that are well")
			require.ErrorIs(t, hold(t.Context(), b, targets), ErrOpen, what)
			time.Sleep(shardCooldown)
			require.ErrorIs(t, hold(t.Context(), b, targets), errDown, "%s: the probe", what)
			require.ErrorIs(t, hold(t.Context(), b, targets), ErrOpen, "%s: after the probe", what)
			require.NoError(t, hold(t.Context(), b, holdOf(0, 2, 3)), "%s: others after the probe", what)
			time.Sleep(shardCooldown)
			s.set(1, false)
			require.NoError(t, hold(t.Context(), b, targets), "%s: the probe, of a shard that is back", what)
			assert.False(t, b.shards.anyOpen(writes), "%s: the breaker after the probe", what)
		})
	}
}

// TestHoldThatIsNotMadeIsNoProbe: a hold of several shards that one of them does not admit, or that ends before its
// last part, does not keep others from probing.
func TestHoldThatIsNotMadeIsNoProbe(t *testing.T) {
	inLeasingShards(t, func(t *testing.T, s *leasingShards, b *Backend) {
		t.Helper()
		openShard(t, s, b, 1)
		time.Sleep(shardCooldown / 2)
		openShard(t, s, b, 2)
		time.Sleep(shardCooldown / 2) // that of shard 1 is over, and that of shard 2 is not
		require.ErrorIs(t, b.AdmitHold(holdOf(1, 2)), ErrOpen)
		s.set(1, false)
		_, found, err := b.Get(t.Context(), shardKeys[1])
		assert.True(t, found, "the probe of a read: %v", err)

		time.Sleep(shardCooldown)
		many := provider.HoldTargets{Keys: []string{"0"}, Prefixes: []string{"p", "q"}} // in two parts
		for range mostRemoved {
			many.Keys = append(many.Keys, "0")
		}
		s.set(0, true)
		require.NoError(t, b.AdmitHold(many))
		_, err = b.Hold(t.Context(), many, "token", time.Minute)
		require.Error(t, err, "the first part is down")
		s.set(2, false)
		_, found, err = b.Get(t.Context(), shardKeys[2])
		assert.True(t, found, "the probe of a read, after a hold that was not whole: %v", err)
	})
}

// TestHoldFindsAShardThatTakesWritesAgain: nothing but a write can.
func TestHoldFindsAShardThatTakesWritesAgain(t *testing.T) {
	inLeasingShards(t, func(t *testing.T, s *leasingShards, b *Backend) {
		t.Helper()
		s.full = true
		for range 3 {
			require.ErrorIs(t, hold(t.Context(), b, holdOf(1)), provider.ErrRefused)
		}
		require.ErrorIs(t, hold(t.Context(), b, holdOf(1)), ErrOpen)
		require.ErrorIs(t, hold(t.Context(), b, holdOf(0)), provider.ErrRefused, "another shard")
		s.full = false
		time.Sleep(shardCooldown)
		require.NoError(t, hold(t.Context(), b, holdOf(0, 1)))
		require.NoError(t, hold(t.Context(), b, holdOf(1)))
	})
}

// TestLaggingHoldsOfShards: the keys of shards that are well are held. The shard that is down is asked by who insists.
func TestLaggingHoldsOfShards(t *testing.T) {
	inLeasingShards(t, func(t *testing.T, s *leasingShards, b *Backend) {
		t.Helper()
		holds := func(insist bool) ([]bool, error) { return b.HoldKeys(t.Context(), shardKeys, "t", time.Minute, insist) }
		held, err := holds(false)
		require.NoError(t, err)
		assert.Nil(t, held)
		openShard(t, s, b, 1)
		s.count(1)
		held, err = holds(false)
		require.ErrorIs(t, err, ErrOpen)
		assert.Equal(t, []bool{true, false, true, true}, held)
		require.ErrorIs(t, b.HoldPrefix(t.Context(), "s", "p", "t", time.Minute, false), ErrOpen)
		assert.Zero(t, s.count(1), "how often the shard that is down was asked")
		held, err = holds(true)
		require.ErrorIs(t, err, errDown)
		assert.Equal(t, []bool{true, false, true, true}, held)
		require.ErrorIs(t, b.HoldPrefix(t.Context(), "s", "p", "t", time.Minute, true), errDown)
		assert.Equal(t, 2, s.count(1), "how often it was asked by who insists")
		s.set(1, false)
		require.NoError(t, b.HoldPrefix(t.Context(), "s", "p", "t", time.Minute, true))
		assert.False(t, b.shards.anyOpen(writes), "a hold has found it back")
	})
}

// TestWritesOfShards: while a shard is down, what is stored, given back and renewed in the others is not lost with it.
func TestWritesOfShards(t *testing.T) {
	var leases []provider.Lease
	var items []provider.Item
	for _, key := range shardKeys {
		leases = append(leases, provider.Lease{Key: key})
		items = append(items, provider.Item{Key: key})
	}
	inLeasingShards(t, func(t *testing.T, s *leasingShards, b *Backend) {
		t.Helper()
		openShard(t, s, b, 1)
		for what, request := range map[string]func() error{
			"release": func() error { return b.Release(t.Context(), leases) },
			"renew": func() error {
				renewed, err := b.Renew(t.Context(), leases, time.Minute)
				assert.Equal(t, []bool{true, false, true, true}, renewed, "renewed")
				return err
			},
			"set": func() error {
				var returned sync.WaitGroup
				returned.Add(1)
				defer returned.Wait()
				return b.Set(t.Context(), items, fillerFunc(returned.Done))
			},
		} {
			require.ErrorIs(t, request(), ErrOpen, what)
			for n := range shardKeys {
				want := 1
				if n == 1 {
					want = 0
				}
				assert.Equal(t, want, s.did[what+" "+strconv.Itoa(n)], "%s of a key of shard %d", what, n)
			}
		}
	})
}

// TestInspectionOfAShardIsAProbe: and its end is the end of one.
func TestInspectionOfAShardIsAProbe(t *testing.T) {
	inLeasingShards(t, func(t *testing.T, s *leasingShards, b *Backend) {
		t.Helper()
		openShard(t, s, b, 1)
		time.Sleep(shardCooldown)
		has, err := b.Has(t.Context(), shardKeys[1])
		require.NoError(t, err)
		assert.True(t, has)
		assert.False(t, b.shards.anyOpen(writes), "the breaker after the probe")
	})
}

// TestPrefixFindsShardsThatAreBack: a removal by prefix succeeds only if all shards do.
func TestPrefixFindsShardsThatAreBack(t *testing.T) {
	inLeasingShards(t, func(t *testing.T, s *leasingShards, b *Backend) {
		t.Helper()
		openShard(t, s, b, 1)
		openShard(t, s, b, 2)
		s.set(1, false)
		s.set(2, false)
		_, err := b.DeletePrefix(t.Context(), "s", "", true)
		require.NoError(t, err)
		assert.False(t, b.shards.anyOpen(writes), "the breakers")
	})
}
