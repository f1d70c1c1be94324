package deployments_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/redisprovider"
)

// TestNearFailover has Sentinels fail over under processes with strict near caches. No read is stale, and
// afterwards the memories answer again.
//
//   - killed: the master dies, and comes back later.
//   - planned: the old master goes on for about ten seconds, and one process stays with it, because its
//     connection to the Sentinels hangs. Its memory must not be trusted for longer than its lease: the old
//     master has no replica any more, so it renews nobody.
func TestNearFailover(t *testing.T) {
	t.Parallel()
	onlyAll(t, "failovers of Sentinel under near caches", "TestNearFailover")
	type row struct {
		options  redisprovider.Options
		failover func(s *redistest.Sentinel, deaf *redistest.Proxy)
	}
	for how, c := range rows(map[string]row{
		"killed": {redisprovider.Options{FenceByServer: true}, func(s *redistest.Sentinel, _ *redistest.Proxy) {
			s.Servers[0].Stop()
			s.WaitMaster(s.Servers[0])
			s.Servers[0].Restart()
			time.Sleep(settled / 3)
		}},
		"planned": {redisprovider.Options{FenceByServer: true, WaitReplicas: 1}, func(s *redistest.Sentinel, deaf *redistest.Proxy) {
			deaf.Hold(redistest.ToClient)
			s.Failover()
			s.WaitMaster(s.Servers[0])
			time.Sleep(settled)
			deaf.Release(redistest.ToClient)
		}},
	}, func(how string, _ row) bool { return how == "planned" }) {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := redistest.StartSentinel(t, redistest.Options{Replicas: 1})
			w := newWorld(t)
			w.near = &near.Options{Strict: true}
			deaf := redistest.NewProxy(t, s.Sentinels[0].Addr())
			for range 2 {
				w.process(failoverClient(t, s), c.options)
			}
			w.process(failoverClient(t, s, func(o *redis.FailoverOptions) { o.SentinelAddrs = []string{deaf.Addr()} }), c.options)
			w.run()
			time.Sleep(2 * time.Second)
			before, at := w.between(time.Second, 2*time.Second), w.now()
			hits := w.nearHits()
			assert.NotZero(t, hits, "hits of near caches before the failover")
			c.failover(s, deaf)
			hits = w.nearHits()
			for end := time.Now().Add(nearPatience); w.nearHits() == hits && time.Now().Before(end); {
				time.Sleep(settled / 10)
			}
			w.report("near caches, "+how, at, before)
			assert.Zero(t, w.total().stale, "stale reads; the last error is: %s", w.processes[2].lastFault())
			assert.Greater(t, w.nearHits(), hits, "hits of near caches after the failover")
		})
	}
}

// nearPatience is how long the memories may take until they answer again. An invalidation that is pending keeps
// them from it, and is tried again after a while.
const nearPatience = 30 * time.Second

// nearHits returns the hits of the near caches of all processes.
func (w *world) nearHits() (sum int64) {
	for _, p := range w.processes {
		sum += p.Stats().NearHits
	}
	return sum
}
