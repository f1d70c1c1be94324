package redisprovider_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
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

// hasty is a client that gives a command up at the deadline of its context, as the documentation
// recommends, or at its own.
func hasty(punctual bool) func(*redis.Options) {
	return func(o *redis.Options) {
		o.MaxRetries = -1
		if o.ContextTimeoutEnabled = punctual; !punctual {
			o.ReadTimeout = time.Second
		}
	}
}

// TestLeaseWhoseAnswerNobodyReadIsGivenBack: the answer to an acquire comes after the deadline. Its lease
// is given back, so that the keys can be leased again long before it would end.
func TestLeaseWhoseAnswerNobodyReadIsGivenBack(t *testing.T) {
	t.Parallel()
	const ttl = time.Hour
	for _, fence := range []bool{false, true} {
		for _, punctual := range []bool{false, true} {
			for _, n := range []int{1, 700} {
				t.Run(fmt.Sprintf("fence %v, punctual %v, %d keys", fence, punctual, n), func(t *testing.T) {
					t.Parallel()
					server := redistest.StartReal(t, redistest.Options{})
					proxy := redistest.NewProxy(t, server.Addr())
					options := redisprovider.Options{KeyPrefix: freshPrefix(), FenceByServer: fence}
					near := newProvider(t, newServerClient(t, server.Addr()), options)
					far := newProvider(t, newServerClient(t, proxy.Addr(), hasty(punctual)), options)
					empty, full := numbered("empty", n), numbered("full", n)
					requests := make([]provider.RefreshRequest, n)
					for i, k := range full {
						mustSet(t, near, k, "value")
						requests[i] = provider.RefreshRequest{Key: k, Force: true}
					}
					for range 3 { // the far client has connections, and the server knows the scripts
						poll(t, func() bool { _, _, err := far.Get(t.Context(), key("s", "other")); return err == nil })
					}
					proxy.Hold(redistest.ToClient)
					ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
					defer cancel()
					_, err := far.Acquire(ctx, empty, ttl)
					require.Error(t, err)
					time.Sleep(100 * time.Millisecond)
					proxy.Release(redistest.ToClient)
					require.Eventually(t, func() bool { // there is a connection again
						_, _, err := far.Get(t.Context(), key("s", "other"))
						return err == nil
					}, proofs.Patience(), time.Millisecond)
					proxy.Hold(redistest.ToClient)
					ctx, cancel = context.WithTimeout(t.Context(), 30*time.Millisecond)
					defer cancel()
					_, err = far.Refresh(ctx, requests, ttl)
					require.Error(t, err)
					time.Sleep(100 * time.Millisecond)
					proxy.Release(redistest.ToClient)

					wantAllGranted(t, near.Acquire, empty)
					wantAllGranted(t, func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
						left := make([]provider.RefreshRequest, len(keys))
						for i, k := range keys {
							left[i] = provider.RefreshRequest{Key: k, Force: true}
						}
						return near.Refresh(ctx, left, ttl)
					}, full)
					for _, k := range full {
						wantValue(t, near, k, "value")
					}
				})
			}
		}
	}
}

// wantAllGranted waits until every key could be leased.
func wantAllGranted(t *testing.T, acquire func(context.Context, []provider.Key, time.Duration) ([]provider.Grant, error), keys []provider.Key) {
	t.Helper()
	left := keys
	assert.Eventually(t, func() bool {
		grants, err := acquire(t.Context(), left, time.Hour)
		if err != nil {
			return false
		}
		var busy []provider.Key
		for i, g := range grants {
			if g.State != provider.LeaseGranted {
				busy = append(busy, left[i])
			}
		}
		left = busy
		return len(left) == 0
	}, proofs.Patience(), 10*time.Millisecond, "leases without an owner are left")
	assert.Empty(t, left, "keys whose leases have no owner")
}

// TestGivingBackLeavesOtherLeases: what gives an unread lease back removes neither the lease nor the entry
// of another.
func TestGivingBackLeavesOtherLeases(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t, hasty(true))
	busy, filled := key("s", "busy"), key("s", "filled")
	grants, err := p.Acquire(t.Context(), []provider.Key{busy}, time.Hour)
	require.NoError(t, err)
	mustSet(t, p, filled, "value")
	proxy.Hold(redistest.ToClient)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = p.Acquire(ctx, []provider.Key{busy, filled}, time.Hour)
	require.Error(t, err)
	proxy.Release(redistest.ToClient)
	time.Sleep(500 * time.Millisecond) // that nothing happens can only be waited for
	wantValue(t, p, filled, "value")
	done, err := p.Fill(t.Context(), []provider.Fill{{Lease: grants[0].Lease, Entry: provider.Entry{Value: "mine"}, TTL: time.Hour}})
	require.NoError(t, err)
	assert.True(t, done[0].Stored, "the lease that was there before is gone")
}

// TestCloseEndsGivingBack: Close does not wait for a server that hangs.
func TestCloseEndsGivingBack(t *testing.T) {
	t.Parallel()
	p, proxy, _ := newOnProxy(t, hasty(true))
	wantMiss(t, p, key("s", "k"))
	proxy.Hold(redistest.ToClient)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := p.Acquire(ctx, numbered("s", 2000), time.Hour)
	require.Error(t, err)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	_, err = p.Acquire(t.Context(), numbered("s", 1), time.Hour)
	require.ErrorIs(t, err, provider.ErrClosed)
}

// TestGivingBackGoesOnAfterAGoexit: a hook of the client may end the goroutine that gives leases back. The
// others are given back, and Close does not wait for ever.
func TestGivingBackGoesOnAfterAGoexit(t *testing.T) {
	t.Parallel()
	var exits atomic.Bool
	_, proxy, s := newOnProxy(t, hasty(true))
	client := newServerClient(t, proxy.Addr(), hasty(true))
	client.AddHook(exitHook{&exits})
	far, err := redisprovider.New(client, redisprovider.Options{})
	require.NoError(t, err)
	wantMiss(t, far, key("s", "k"))
	proxy.Hold(redistest.ToClient)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	keys := numbered("s", 700)
	_, err = far.Acquire(ctx, keys, time.Hour)
	require.Error(t, err)
	exits.Store(true)
	proxy.Release(redistest.ToClient)
	require.Eventually(t, func() bool { return !exits.Load() }, proofs.Patience(), time.Millisecond, "the hook was not called")
	near := newProvider(t, newServerClient(t, s.Addr()), redisprovider.Options{})
	require.Eventually(t, func() bool { // one part was lost
		grants, err := near.Acquire(t.Context(), keys, time.Hour)
		granted := 0
		for _, g := range grants {
			if g.State == provider.LeaseGranted {
				granted++
			}
		}
		return err == nil && granted > 0
	}, proofs.Patience(), 10*time.Millisecond, "no lease was given back")
	closed := make(chan error, 1)
	go func() { closed <- far.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(proofs.Patience()):
		require.Fail(t, "Close hangs")
	}
}

// exitHook ends the goroutine of the next long pipeline, once it is armed.
type exitHook struct{ armed *atomic.Bool }

func (exitHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (exitHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h exitHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if len(commands) > 100 && h.armed.CompareAndSwap(true, false) {
			runtime.Goexit()
		}
		return next(ctx, commands)
	}
}
