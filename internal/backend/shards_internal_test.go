package backend

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// shardedStore has four shards, some of which may be down: a request for keys of these takes its whole
// deadline. The name of a key is its shard.
type shardedStore struct {
	provider.CacheProvider

	mu    sync.Mutex // guards following
	down  map[int]bool
	asked [4]int // how often each shard was
}

var errDown = errors.New("down")

func (*shardedStore) Shards() int { return 4 }

func (*shardedStore) Shard(key provider.Key) int {
	n, _ := strconv.Atoi(key.Name)
	return n
}

func (*shardedStore) Punctual() bool { return true }

// ask waits if a key is on a shard that is down, and says for each key whether it is.
func (s *shardedStore) ask(ctx context.Context, keys []provider.Key) (errs []error, whole error) {
	s.mu.Lock()
	hangs, all := false, true
	errs = make([]error, len(keys))
	for i, key := range keys {
		n := s.Shard(key)
		s.asked[n]++
		if s.down[n] {
			errs[i], hangs = errDown, true
		} else {
			all = false
		}
	}
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
	}
	if all {
		return errs, errDown
	}
	return errs, nil
}

func (s *shardedStore) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	_, err := s.ask(ctx, []provider.Key{key})
	return provider.Entry{}, err == nil, err
}

func (s *shardedStore) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	errs, err := s.ask(ctx, keys)
	results := make([]provider.Result, len(keys))
	for i := range results {
		results[i] = provider.Result{Found: errs[i] == nil, Err: errs[i]}
	}
	return results, err
}

func (*shardedStore) SetMany(context.Context, []provider.Item) error { return nil }

func (s *shardedStore) Delete(ctx context.Context, keys ...provider.Key) error {
	errs, _ := s.ask(ctx, keys)
	return errors.Join(errs...)
}

func (s *shardedStore) DeletePrefix(ctx context.Context, _, _ string) (int, error) {
	errs, _ := s.ask(ctx, shardKeys)
	return 0, errors.Join(errs...)
}

func (s *shardedStore) set(shard int, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down[shard] = down
}

// count returns how often a shard was asked since the last count.
func (s *shardedStore) count(shard int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.asked[shard]
	s.asked[shard] = 0
	return n
}

// shardKeys are a key of each shard.
var shardKeys = []provider.Key{{Name: "0"}, {Name: "1"}, {Name: "2"}, {Name: "3"}}

const (
	shardTimeout  = 50 * time.Millisecond
	shardCooldown = time.Second
)

func inShardsBubble(t *testing.T, f func(t *testing.T, s *shardedStore, b *Backend)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &shardedStore{CacheProvider: provider.Null(), down: make(map[int]bool)}
		f(t, s, New(s, Config{
			ReadTimeout: shardTimeout, DeleteTimeout: shardTimeout, BreakerFailures: 3, BreakerCooldown: shardCooldown,
			Panicked: func(any) error { return errDown },
		}))
	})
}

// TestShardThatIsDown reads keys of all shards one at a time: those of the shard that is down are soon
// not asked for, and the others always are.
func TestShardThatIsDown(t *testing.T) {
	inShardsBubble(t, func(t *testing.T, s *shardedStore, b *Backend) {
		t.Helper()
		s.set(1, true)
		for range 20 {
			for n, key := range shardKeys {
				_, found, err := b.Get(t.Context(), key)
				assert.Equal(t, n != 1, found, "shard %d: %v", n, err)
			}
		}
		assert.Equal(t, 3, s.count(1), "how often the shard that is down was asked")
		assert.Equal(t, 20, s.count(0), "how often another was asked")
		assert.False(t, b.Open(), "the whole store is down")
		assert.True(t, b.shards.anyOpen(writes), "a part of it is down")
		require.ErrorIs(t, b.AdmitHold(holdOf(1)), ErrOpen, "a hold")
		require.NoError(t, b.AdmitHold(holdOf(0, 2)), "a hold in others")

		b.Pending.Store(1) // of the shard, say
		s.set(1, false)
		time.Sleep(shardCooldown)
		_, found, err := b.Get(t.Context(), shardKeys[1])
		assert.True(t, found, "the probe of a read: %v", err)
		assert.False(t, b.shards.anyOpen(writes), "it is back")
		require.NoError(t, b.AdmitHold(holdOf(0, 1)), "a hold")
	})
}

// TestBulkOfShards reads keys of all shards together: one request while all is well, and one for each
// shard as soon as one has failed, so that the others need not wait for it.
func TestBulkOfShards(t *testing.T) {
	inShardsBubble(t, func(t *testing.T, s *shardedStore, b *Backend) {
		t.Helper()
		keys := append(shardKeys, shardKeys...)
		for _, r := range b.GetMany(t.Context(), keys) {
			assert.NoError(t, r.Err)
		}
		s.set(1, true)
		for range 6 {
			for i, r := range b.GetMany(t.Context(), keys) {
				assert.Equal(t, i%4 != 1, r.Found, "key %d: %v", i, r.Err)
			}
		}
		began := time.Now()
		for i, r := range b.GetMany(t.Context(), keys) {
			assert.Equal(t, i%4 != 1, r.Found, "key %d: %v", i, r.Err)
		}
		assert.Zero(t, time.Since(began), "a bulk read waits for the shard that is down")
	})
}

// TestRemovalsOfShards removes keys of all shards together: those of the shards that are well are
// confirmed. The shard that is down is asked again by who insists.
func TestRemovalsOfShards(t *testing.T) {
	inShardsBubble(t, func(t *testing.T, s *shardedStore, b *Backend) {
		t.Helper()
		removed, err := b.Delete(t.Context(), shardKeys, false)
		require.NoError(t, err)
		assert.Nil(t, removed)
		s.set(1, true)
		_, err = b.Delete(t.Context(), shardKeys, false) // one request: nobody knows which
		require.Error(t, err)
		for range 5 {
			removed, err = b.Delete(t.Context(), shardKeys, false)
			require.Error(t, err)
			assert.Equal(t, []bool{true, false, true, true}, removed)
		}
		require.ErrorIs(t, err, ErrOpen)
		_, err = b.DeletePrefix(t.Context(), "s", "", false)
		require.ErrorIs(t, err, ErrOpen, "a prefix")
		s.count(1)
		_, err = b.Delete(t.Context(), shardKeys, true)
		require.Error(t, err)
		_, err = b.DeletePrefix(t.Context(), "s", "", true)
		require.Error(t, err)
		assert.Equal(t, 2, s.count(1), "how often the shard was asked by who insists")
		s.set(1, false)
		removed, err = b.Delete(t.Context(), shardKeys, true)
		require.NoError(t, err)
		assert.Nil(t, removed)
		assert.False(t, b.shards.anyOpen(writes), "a removal has found it back")
	})
}

// TestAllShardsDown opens all breakers: then the store counts as down.
func TestAllShardsDown(t *testing.T) {
	inShardsBubble(t, func(t *testing.T, s *shardedStore, b *Backend) {
		t.Helper()
		for n := range shardKeys {
			s.set(n, true)
		}
		for range 4 {
			b.GetMany(t.Context(), shardKeys)
		}
		assert.True(t, b.Open(), "the store is down")
	})
}

// exitingStore ends the goroutine of a request for keys of one shard, instead of answering.
type exitingStore struct {
	*shardedStore

	exits int
}

func (s *exitingStore) Delete(ctx context.Context, keys ...provider.Key) error {
	if s.Shard(keys[0]) == s.exits {
		runtime.Goexit()
	}
	return s.shardedStore.Delete(ctx, keys...)
}

// TestGoexitInAShard: a removal that was not answered is not confirmed. Its caller ends, as it does without
// shards.
func TestGoexitInAShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &exitingStore{&shardedStore{CacheProvider: provider.Null(), down: make(map[int]bool)}, 2}
		b := New(s, Config{
			ReadTimeout: shardTimeout, DeleteTimeout: shardTimeout, BreakerFailures: 3, BreakerCooldown: shardCooldown,
			Panicked: func(any) error { return errDown },
		})
		b.shards.doubt()
		returned := false
		var ended sync.WaitGroup
		ended.Go(func() {
			_, _ = b.Delete(t.Context(), shardKeys, false)
			returned = true
		})
		ended.Wait()
		assert.False(t, returned, "a removal that was not answered has returned")
	})
}

// TestFullShardIsEmptied: a shard that refuses to store takes removals of prefixes all the same, and a
// number of a shard that panics is none.
func TestFullShardIsEmptied(t *testing.T) {
	inShardsBubble(t, func(t *testing.T, _ *shardedStore, b *Backend) {
		t.Helper()
		full := &b.shards.all[1].refusals
		full.openLocked() // nobody else has it
		_, err := b.DeletePrefix(t.Context(), "s", "", false)
		require.NoError(t, err)
		require.ErrorIs(t, b.AdmitHold(holdOf(1)), ErrOpen)
		require.ErrorIs(t, b.AdmitHold(provider.HoldTargets{Prefixes: []string{"p"}}), ErrOpen, "a prefix has keys in all")
		b.shards.store = panickingShards{}
		assert.Equal(t, mixed, b.shardOf(shardKeys[0]))
	})
}

type panickingShards struct{}

func (panickingShards) Shards() int            { return 4 }
func (panickingShards) Shard(provider.Key) int { panic("no shard") }
