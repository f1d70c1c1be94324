package redisprovider_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

func mustHold(tb testing.TB, p provider.Holder, targets provider.HoldTargets, token string, ttl time.Duration) {
	tb.Helper()
	require.NoError(tb, p.Hold(tb.Context(), targets, token, ttl))
}

func mustUnhold(tb testing.TB, p provider.Holder, targets provider.HoldTargets, token string) {
	tb.Helper()
	require.NoError(tb, p.Unhold(tb.Context(), targets, token))
}

// TestHoldsEndOnTheServersClock checks single holds among several of a key: each
// ends by itself, whichever is still listed.
func TestHoldsEndOnTheServersClock(t *testing.T) {
	t.Parallel()
	p, _, s := newOnServer(t, redisprovider.Options{})
	k := key("s", "key")
	for _, targets := range []provider.HoldTargets{
		{Scope: "s", Keys: []string{"key"}},
		{Scope: "s", Prefixes: []string{"k"}},
	} {
		for ttl := 300 * time.Millisecond; ; ttl *= 2 {
			began := time.Now()
			mustHold(t, p, targets, "short", ttl)
			mustHold(t, p, targets, "long", time.Hour)
			mustHold(t, p, targets, "shortest", time.Millisecond)
			wantState(t, p, k, provider.LeaseHeld)
			mustUnhold(t, p, targets, "long")
			state := acquire(t, p, k).State
			if time.Since(began) < ttl {
				assert.Equal(t, provider.LeaseHeld, state, "under the short hold")
				break
			}
			// The machine was too slow for that: the short hold may have ended.
			require.NoError(t, p.Delete(t.Context(), k))
			if ttl > time.Minute {
				proofs.TooLittle(t, "a hold has ended before a few calls")
			}
		}
		poll(t, func() bool { return acquire(t, p, k).State != provider.LeaseHeld })
		mustHold(t, p, targets, "again", time.Hour)
		mustUnhold(t, p, targets, "again")
		keyHolds, prefixHolds := p.HoldsOf(k)
		assert.Equal(t, int64(0), s.Do("EXISTS", keyHolds, prefixHolds), "keys list holds that have ended")
		require.NoError(t, p.Delete(t.Context(), k))
	}
}

// TestHoldEndsWhatIsUnderWay checks that a load of before a hold cannot fill under
// it or after it, by key and by prefix.
func TestHoldEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	p, _, s := newOnServer(t, redisprovider.Options{})
	for _, targets := range []provider.HoldTargets{
		{Scope: "s", Keys: []string{"a", "b"}},
		{Scope: "s", Prefixes: []string{"a", "b"}},
		{Scope: "s", Keys: []string{"a"}, Prefixes: []string{"b"}},
	} {
		mustSet(t, p, key("s", "a"), "old")
		lease := mustAcquire(t, p, key("s", "b"))
		mustHold(t, p, targets, "t", time.Minute)
		wantMiss(t, p, key("s", "a"))
		assert.False(t, fill(t, p, lease, "old"), "%v: filled under a hold", targets)
		mustSet(t, p, key("s", "a"), "under a hold")
		wantMiss(t, p, key("s", "a"))
		assert.NoError(t, p.Delete(t.Context(), key("s", "a"), key("s", "b")))
		wantRemoved(t, p, "s", "", 0)
		wantState(t, p, key("s", "a"), provider.LeaseHeld)
		mustUnhold(t, p, targets, "t")
		assert.False(t, fill(t, p, lease, "old"), "%v: filled after a hold", targets)
		wantState(t, p, key("s", "a"), provider.LeaseGranted)
		keyHolds, prefixHolds := p.HoldsOf(key("s", "a"))
		assert.Equal(t, int64(0), s.Do("EXISTS", keyHolds, prefixHolds), "%v: keys of holds are left", targets)
		assert.NoError(t, p.Delete(t.Context(), key("s", "a"), key("s", "b")))
	}
}

// TestLateHold delivers copies of a hold and its end late: a hold ends with its
// TTL all the same.
func TestLateHold(t *testing.T) {
	t.Parallel()
	p, proxy, s := newOnProxy(t)
	targets := provider.HoldTargets{Scope: "s", Keys: []string{"k"}}
	mustHold(t, p, targets, "warm", time.Minute)
	mustUnhold(t, p, targets, "warm")
	tap := proxy.Record(func(c redistest.Command) bool { return c.Name() == "EVALSHA" || c.Name() == "ZREM" })
	mustHold(t, p, targets, "t", 500*time.Millisecond)
	mustUnhold(t, p, targets, "t")
	tap.Wait(t, 2)
	tap.Stop()
	mustHold(t, p, targets, "other", time.Hour)
	tap.Replay(t) // both
	wantState(t, p, key("s", "k"), provider.LeaseHeld)
	mustUnhold(t, p, targets, "other")
	poll(t, func() bool { return acquire(t, p, key("s", "k")).State == provider.LeaseGranted })
	assert.Equal(t, int64(1), s.Do("EXISTS", p.KeyOf(key("s", "k"))), "no lease")
}

// TestPrefixHoldIsPlacedFirst checks the order of a hold on a prefix: were the
// deletion first, a lease could be granted between the two.
func TestPrefixHoldIsPlacedFirst(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t)
	targets := provider.HoldTargets{Scope: "s", Prefixes: []string{"a"}}
	mustHold(t, p, targets, "warm", time.Minute)
	mustUnhold(t, p, targets, "warm")
	mustSet(t, p, key("s", "a"), "v")
	other := newProvider(t, newServerClient(t, proxy.Target()), redisprovider.Options{})
	var got provider.Grant
	var once sync.Once
	tap := proxy.Record(func(c redistest.Command) bool {
		// The last script of the hold is the one that deletes. Before it arrives the
		// hold is there.
		if c.Name() == "EVALSHA" && strings.Contains(c.String(), "[na") {
			once.Do(func() { got = acquire(t, other, key("s", "ab")) })
		}
		return false
	})
	mustHold(t, p, targets, "t", time.Minute)
	tap.Stop()
	assert.Equal(t, provider.LeaseHeld, got.State, "before the deletion, want a hold")
}

// TestHoldOnCluster holds keys and prefixes that lie on all nodes.
func TestHoldOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	p := newProvider(t, newClusterClient(t, c), redisprovider.Options{})
	keys := numbered("s", 100)
	mustSetMany(t, p, keys, "v")
	targets := provider.HoldTargets{Scope: "s", Prefixes: []string{"name:1"}}
	for _, k := range keys[:10] {
		targets.Keys = append(targets.Keys, k.Name)
	}
	mustHold(t, p, targets, "t", time.Minute)
	grants, err := p.Acquire(t.Context(), keys, time.Minute)
	require.NoError(t, err)
	for i, g := range grants {
		want := provider.LeaseFound
		if i < 20 {
			want = provider.LeaseHeld
		}
		assert.Equal(t, want, g.State, "%q: state", keys[i].Name)
	}
	mustUnhold(t, p, targets, "t")
	for _, k := range keys[:20] {
		wantState(t, p, k, provider.LeaseGranted)
	}
}

// TestManyPrefixHolds checks that ended holds of a busy scope are dropped.
func TestManyPrefixHolds(t *testing.T) {
	t.Parallel()
	p, _, s := newOnServer(t, redisprovider.Options{})
	_, prefixHolds := p.HoldsOf(key("s", ""))
	for i := range 200 {
		mustHold(t, p, provider.HoldTargets{Scope: "s", Prefixes: []string{fmt.Sprint(i)}}, fmt.Sprint(i), time.Millisecond)
	}
	poll(t, func() bool {
		mustHold(t, p, provider.HoldTargets{Scope: "s", Prefixes: []string{"x"}}, "x", time.Minute)
		return s.Do("ZCARD", prefixHolds) == int64(1)
	})
}

// TestHoldOfAPrefixThatIsNotEmptied: what is under the prefix may still be there, so nothing is held.
func TestHoldOfAPrefixThatIsNotEmptied(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	client := newServerClient(t, s.Addr())
	p := newProvider(t, client, redisprovider.Options{})
	mustSet(t, p, key("s", "list:1"), "v")
	client.AddHook(failingHook{p.IndexOf(key("s", ""))})
	err := p.Hold(t.Context(), provider.HoldTargets{Scope: "s", Prefixes: []string{"list:"}}, "token", time.Minute)
	require.ErrorIs(t, err, errFailingHook)
}

var errFailingHook = errors.New("failed by a hook")

// failingHook fails the commands for a Redis key.
type failingHook struct{ key string }

func (failingHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h failingHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if slices.Contains(wireArgs(command), h.key) {
			command.SetErr(errFailingHook)
			return errFailingHook
		}
		return next(ctx, command)
	}
}

func (failingHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
