package redisprovider_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// onTime is a client that ends its calls at the deadline.
func onTime(o *redis.Options) { o.ContextTimeoutEnabled = true }

// slowHandshake makes a connection take long to set up, and nothing else.
func slowHandshake(d time.Duration) func(*redis.Options) {
	return func(o *redis.Options) {
		o.OnConnect = func(ctx context.Context, _ *redis.Conn) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// TestConnectingHasADeadlineOfItsOwn has connections take longer to set up than a call may wait:
// calls fail at first, and say why; then they find connections.
func TestConnectingHasADeadlineOfItsOwn(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	client := newServerClient(t, s.Addr(), onTime, slowHandshake(300*time.Millisecond))
	p := newProvider(t, client, redisprovider.Options{})
	brief := func(f func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		return f(ctx)
	}
	get := func(ctx context.Context) error { _, _, err := p.Get(ctx, key("s", "k")); return err }
	bulk := func(ctx context.Context) error {
		_, err := p.Acquire(ctx, numbered("s", 3), time.Minute)
		return err
	}
	err := brief(get)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "there is no connection yet, it has been set up for")
	poll(t, func() bool { return brief(get) == nil })
	poll(t, func() bool { return brief(bulk) == nil }) // pipelines have connections of their own
	p.LookNever()                                      // which would set up a connection, too
	for range 7 {                                      // more than were set up because the first took long
		held := client.Conn() // others use it for long: one more is needed
		require.NoError(t, held.Ping(t.Context()).Err())
		defer held.Close()
		poll(t, func() bool { return brief(get) == nil })
	}
}

// panicking is a hook of the client that panics, for what it is told to.
type panicking struct {
	wire

	command func(redis.Cmder) bool
}

func (h *panicking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if h.command(command) {
			panic("a hook")
		}
		return next(ctx, command)
	}
}

func (h *panicking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		for _, command := range commands {
			if h.command(command) {
				panic("a hook")
			}
		}
		return next(ctx, commands)
	}
}

// TestPanicsInTheBackground has a hook of the client panic in each goroutine of the store that has no
// caller. Each is an error, and the process goes on.
func TestPanicsInTheBackground(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{})
	s := redistest.StartReal(t, redistest.Options{})
	for name, command := range map[string]string{"rebuild": "scan", "marker": "set", "wait": "wait"} {
		for where, client := range map[string]redis.UniversalClient{"server": newServerClient(t, s.Addr()), "cluster": newClusterClient(t, c)} {
			p := newProvider(t, client, redisprovider.Options{KeyPrefix: freshPrefix(), WaitReplicas: 1, WaitTimeout: time.Millisecond})
			hook := &panicking{command: func(c redis.Cmder) bool { return c.Name() == command }}
			if cluster, ok := client.(*redis.ClusterClient); ok {
				require.NoError(t, cluster.ForEachMaster(t.Context(), func(_ context.Context, master *redis.Client) error {
					master.AddHook(hook)
					return nil
				}))
			} else {
				client.AddHook(hook)
			}
			_, _, err := p.Get(t.Context(), key("s", "k"))
			assert.True(t, err == nil || name == "marker", "%s on a %s: %v", name, where, err)
			assert.Error(t, caught(func() error { return p.Delete(t.Context(), numbered("s", 40)...) }), "%s on a %s", name, where)
			assert.Error(t, caught(func() error { _, err := p.DeletePrefix(t.Context(), "s", ""); return err }), "%s on a %s", name, where)
			assert.NoError(t, p.Close())
		}
	}
}

// caught returns the error of f. What panics in the goroutine of a caller is the caller's.
func caught(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

// A cluster client hears at once that a master is gone: the error of a connection has it look for
// the masters again.
func TestClusterLooksForTheMastersAgain(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.Options{Replicas: 1})
	p := newProvider(t, newClusterClient(t, c, func(o *redis.ClusterOptions) {
		o.ContextTimeoutEnabled, o.MaxRedirects = true, -1
		o.ClusterStateReloadInterval = time.Hour
	}), redisprovider.Options{})
	keys := numbered("s", 30)
	mustSetMany(t, p, keys, "v")
	c.Nodes[0].Stop()
	for what, call := range map[string]func(ctx context.Context) error{
		"Get": func(ctx context.Context) error {
			return each(keys, func(k provider.Key) error { _, _, err := p.Get(ctx, k); return err })
		},
		"Delete": func(ctx context.Context) error {
			return each(keys, func(k provider.Key) error { return p.Delete(ctx, k) })
		},
	} {
		t.Log(what)
		poll(t, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return call(ctx) == nil
		})
	}
}

func each(keys []provider.Key, f func(k provider.Key) error) error {
	for _, k := range keys {
		if err := f(k); err != nil {
			return err
		}
	}
	return nil
}

// TestScriptsAreLoadedWhereTheyRun has each connection lead to the other of two servers, as connections may after a
// failover, and no connection serve twice. What does not know a script loads it, and runs it there.
func TestScriptsAreLoadedWhereTheyRun(t *testing.T) {
	t.Parallel()
	servers := []*redistest.Server{redistest.StartReal(t, redistest.Options{}), redistest.StartReal(t, redistest.Options{})}
	var dialled atomic.Int64
	client := newServerClient(t, servers[0].Addr(), func(o *redis.Options) {
		o.ConnMaxLifetime = time.Nanosecond
		o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, servers[dialled.Add(1)%2].Addr())
		}
	})
	p := newProvider(t, client, redisprovider.Options{})
	_, _, err := p.Get(t.Context(), key("s", "k")) // the first look
	require.NoError(t, err)
	p.LookNever()
	for what, call := range map[string]func() error{
		"one script": func() error { _, err := p.Acquire(t.Context(), numbered("a", 1), time.Minute); return err },
		"several scripts": func() error {
			return p.Hold(t.Context(), provider.HoldTargets{Scope: "h", Keys: []string{"a", "b"}}, "t", time.Minute)
		},
	} {
		for range 4 { // whichever server is the next
			for _, s := range servers {
				s.Do("SCRIPT", "FLUSH")
			}
			require.NoError(t, call(), what)
		}
	}
}
