package deployments_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/redisprovider"
)

func clusterClient(t *testing.T, c *redistest.Cluster) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// TestMasterOfClusterDies kills one master of three: with a replica, which takes over after some
// seconds, and without.
func TestMasterOfClusterDies(t *testing.T) {
	t.Parallel()
	onlyAll(t, "clusters one master of which dies under load", "TestMasterOfClusterDies")
	for name, c := range map[string]struct {
		replicas int
		down     func(*redistest.Server)
	}{
		"killed, with a replica":    {1, (*redistest.Server).Stop},
		"killed, without a replica": {0, (*redistest.Server).Stop},
		"frozen, with a replica":    {1, (*redistest.Server).Pause},
		"frozen, without a replica": {0, (*redistest.Server).Pause},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := redistest.StartCluster(t, redistest.Options{Replicas: c.replicas, Args: []string{"--cluster-require-full-coverage", "no"}})
			w := newWorld(t)
			for range 3 {
				w.process(clusterClient(t, cluster), redisprovider.Options{FenceByServer: true})
			}
			w.run()
			time.Sleep(2 * time.Second)
			before := w.between(time.Second, 2*time.Second)
			at := w.now()
			c.down(cluster.Nodes[1])
			time.Sleep(8 * time.Second)
			if c.replicas > 0 {
				w.report(name, at, before)
			} else {
				w.stop()
				t.Logf("%s: %v; hits before %.0f %%", name, w.between(at, w.now()+slot), before.hits())
			}
			assert.Zero(t, w.total().stale, "stale reads")
			assert.Zero(t, w.total().failed, "reads that failed")
		})
	}
}

// TestDistance has a server that is far away: a read takes one round trip, and setting up a
// connection takes more than a read may take.
func TestDistance(t *testing.T) { //nolint:tparallel // one at a time: they measure
	t.Parallel()
	onlyAll(t, "a server that is far away", "TestDistance")
	trips := []time.Duration{20 * time.Millisecond, 10 * time.Millisecond, 2 * time.Millisecond}
	if !*allFlag {
		trips = trips[:1]
	}
	for _, trip := range trips {
		for name, onTime := range rows(map[string]bool{"ContextTimeoutEnabled": true, "without it": false}, func(_ string, onTime bool) bool { return onTime }) {
			t.Run(trip.String()+", "+name, func(t *testing.T) {
				server := redistest.StartReal(t, redistest.Options{})
				proxy := redistest.NewProxy(t, server.Addr())
				proxy.Delay(redistest.ToServer, trip/2)
				proxy.Delay(redistest.ToClient, trip/2)
				w := newWorld(t)
				w.silent = true
				for range 2 {
					client := redis.NewClient(&redis.Options{Addr: proxy.Addr(), ContextTimeoutEnabled: onTime})
					t.Cleanup(func() { _ = client.Close() })
					w.process(client, redisprovider.Options{})
				}
				w.run()
				time.Sleep(5 * time.Second)
				w.stop()
				t.Logf("round trip %v, %s: first second: %v", trip, name, w.between(0, time.Second))
				t.Logf("round trip %v, %s: then: %v; %s", trip, name, w.between(time.Second, w.now()), w.processes[0].lastFault())
				assert.Zero(t, w.total().stale, "stale reads")
				assert.Positive(t, w.between(2*time.Second, w.now()).hits(), "hits")
			})
		}
	}
}

// TestSlowConnect has code of the user take long: when a connection is set up, or around every
// command. It is not to delay reads.
func TestSlowConnect(t *testing.T) { //nolint:tparallel // one at a time: they measure
	t.Parallel()
	onlyAll(t, "slow hooks of the client", "TestSlowConnect")
	const slow = 300 * time.Millisecond
	for name, edit := range rows(map[string]func(*redis.Options){
		"OnConnect": func(o *redis.Options) {
			o.OnConnect = func(context.Context, *redis.Conn) error { time.Sleep(slow); return nil }
		},
		"CredentialsProvider": func(o *redis.Options) {
			o.CredentialsProvider = func() (string, string) { time.Sleep(slow); return "", "" }
		},
		"Limiter": func(o *redis.Options) { o.Limiter = limiter(slow) },
		"Dialer": func(o *redis.Options) {
			o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				time.Sleep(slow)
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
		},
		"hook": nil,
	}, func(name string, _ func(*redis.Options)) bool { return name == "OnConnect" }) {
		t.Run(name, func(t *testing.T) {
			server := redistest.StartReal(t, redistest.Options{})
			w := newWorld(t)
			o := &redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true}
			if edit != nil {
				edit(o)
			}
			client := redis.NewClient(o)
			t.Cleanup(func() { _ = client.Close() })
			if edit == nil {
				client.AddHook(hook(slow))
			}
			w.process(client, redisprovider.Options{})
			w.run()
			time.Sleep(3 * time.Second)
			w.stop()
			t.Logf("%s of %v: first second %v", name, slow, w.between(0, time.Second))
			t.Logf("%s of %v: then %v", name, slow, w.between(time.Second, w.now()))
			assert.Zero(t, w.total().stale, "stale reads")
		})
	}
}

type limiter time.Duration

func (l limiter) Allow() error     { time.Sleep(time.Duration(l)); return nil }
func (limiter) ReportResult(error) {}

type hook time.Duration

func (hook) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { time.Sleep(time.Duration(h)); return next(ctx, cmd) }
}

func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		time.Sleep(time.Duration(h))
		return next(ctx, cmds)
	}
}
