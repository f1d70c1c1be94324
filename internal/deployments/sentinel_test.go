package deployments_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/redisprovider"
)

func failoverClient(t *testing.T, s *redistest.Sentinel, edit ...func(*redis.FailoverOptions)) *redis.Client {
	t.Helper()
	o := &redis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: s.Addrs(), ContextTimeoutEnabled: true}
	for _, e := range edit {
		e(o)
	}
	client := redis.NewFailoverClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// settled is how long the masters of a Sentinel are watched after a planned failover: the old
// one goes on for about ten seconds.
const settled = 14 * time.Second

// TestPlannedFailover has the Sentinels promote a replica while the master is well. One of the
// processes does not hear of it: its connection to the Sentinels hangs. The old master goes on for
// about ten seconds.
func TestPlannedFailover(t *testing.T) {
	t.Parallel()
	proofs.Require(t, "planned failovers of Sentinel under load", "./internal/deployments -run TestPlannedFailover")
	type row struct {
		options  redisprovider.Options
		replicas int
		promised bool
	}
	for name, c := range rows(map[string]row{
		"plain":                          {redisprovider.Options{}, 1, false},
		"replicas":                       {redisprovider.Options{WaitReplicas: 1}, 1, false},
		"fence":                          {redisprovider.Options{FenceByServer: true}, 1, false},
		"fence and replicas":             {redisprovider.Options{FenceByServer: true, WaitReplicas: 1}, 1, true},
		"fence and replicas, two of two": {redisprovider.Options{FenceByServer: true, WaitReplicas: 1}, 2, true},
	}, func(_ string, c row) bool { return c.promised }) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.StartSentinel(t, redistest.Options{Replicas: c.replicas})
			w := newWorld(t)
			deaf := redistest.NewProxy(t, s.Sentinels[0].Addr())
			for range 2 {
				w.process(failoverClient(t, s), c.options)
			}
			w.process(failoverClient(t, s, func(o *redis.FailoverOptions) { o.SentinelAddrs = []string{deaf.Addr()} }), c.options)
			w.run()
			time.Sleep(2 * time.Second)
			before := w.between(time.Second, 2*time.Second)
			deaf.Hold(redistest.ToClient)
			at := w.now()
			s.Failover()
			s.WaitMaster(s.Servers[0])
			time.Sleep(settled - (w.now() - at))
			deaf.Release(redistest.ToClient)
			w.report("planned failover, "+name, at, before)
			if c.promised {
				assert.Zero(t, w.total().stale, "stale reads; the last error is: %s", w.processes[2].lastFault())
			}
		})
	}
}

// TestHardFailover kills the master, and then has it come back; or freezes it, and has it go on
// when another one is there.
func TestHardFailover(t *testing.T) {
	t.Parallel()
	onlyAll(t, "failovers of Sentinel under load", "TestHardFailover")
	for name, options := range map[string]redisprovider.Options{
		"fence":              {FenceByServer: true},
		"fence and replicas": {FenceByServer: true, WaitReplicas: 1},
	} {
		for how, fault := range map[string]struct{ begin, end func(*redistest.Server) }{
			"killed": {(*redistest.Server).Stop, (*redistest.Server).Restart},
			"frozen": {(*redistest.Server).Pause, (*redistest.Server).Resume},
		} {
			t.Run(how+", "+name, func(t *testing.T) {
				t.Parallel()
				s := redistest.StartSentinel(t, redistest.Options{Replicas: 2})
				w := newWorld(t)
				for range 3 {
					w.process(failoverClient(t, s), options)
				}
				w.run()
				time.Sleep(2 * time.Second)
				before := w.between(time.Second, 2*time.Second)
				at := w.now()
				fault.begin(s.Servers[0])
				s.WaitMaster(s.Servers[0])
				fault.end(s.Servers[0])
				time.Sleep(5 * time.Second)
				w.report(how+", "+name, at, before)
				assert.Zero(t, w.total().stale, "stale reads")
			})
		}
	}
}
