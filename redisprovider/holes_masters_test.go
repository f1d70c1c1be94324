package redisprovider_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// withReplicas makes a process bind what it stores to its master, and not use a master
// without a replica.
func withReplicas(o *procOptions) {
	o.store = redisprovider.Options{FenceByServer: true, WaitReplicas: 1, WaitTimeout: storePatience}
	o.cache.BreakerCooldown = time.Millisecond
	o.cache.ProviderTimeout = storePatience
}

// at makes the client of a process go to one server, whoever is master.
func at(s *redistest.Server) func(*procOptions) {
	return func(o *procOptions) {
		o.client = func(o *redis.Options) {
			o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
				var dialer net.Dialer
				return dialer.DialContext(ctx, network, s.Addr())
			}
		}
	}
}

// TestHole22TwoMasters is row 22: a replica is promoted while its master is well, and goes on.
// A knows of it and invalidates at the new master; B does not, and has what the old one stores.
func TestHole22TwoMasters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*procOptions)
		want string
	}{
		"fence":              {withFence, "v1"}, // stale, as documented, until B hears of the new master
		"fence and replicas": {withReplicas, "v2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFailover(t)
			b := f.proc(c.edit, f.followed)
			f.write("k", "v1")
			f.write("loading", "v1")
			eventually(t, "the value to be stored", func() bool { // the master may not have heard from its replica yet
				b.wantRead(f.world, "the first reader", "k", "v1")
				return f.raw(b, "k") == "v1"
			})
			g := newGate(t)
			slow := b.begin("loading", f.loadSlowly("loading", g))
			g.wait()

			f.replica.Promote()
			redistest.StartReplica(t, f.replica, redistest.Options{})
			a := f.proc(c.edit, at(f.replica))
			f.write("k", "v2")
			f.write("loading", "v2")
			a.invalidate("k", "loading")
			b.wantRead(f.world, "a reader at the old master", "k", c.want)
			joined := b.begin("loading", f.load("loading")) // began after the invalidation
			b.waitJoined(1)
			g.open()
			await(t, slow)
			wantAnswer(t, "a reader that joined a load at the old master", joined, c.want)

			addr := f.replica.Addr()
			f.addr.Store(&addr)
			eventually(t, "B to use the new master", func() bool {
				b.wantRead(f.world, "a reader, afterwards,", "k", c.want)
				return c.want == "v1" || f.rawOn(f.replica, b, "k") == "v2"
			})
		})
	}
}

// TestMasterWithoutReplicas checks that a master counts while it has replicas that answer: not
// before the first is there, and not after the last one hangs.
func TestMasterWithoutReplicas(t *testing.T) {
	t.Parallel()
	primary := redistest.StartReal(t, redistest.Options{})
	p := newProvider(t, newServerClient(t, primary.Addr()), redisprovider.Options{FenceByServer: true, WaitReplicas: 1})
	k := key("s", "k")
	check := func(counts bool, when string) {
		t.Helper()
		_, _, err := p.Get(t.Context(), k)
		_, manyErr := p.GetMany(t.Context(), numbered("s", 3))
		_, acquireErr := p.Acquire(t.Context(), numbered("t", 1), time.Minute)
		setErr := p.Set(t.Context(), k, provider.Entry{Value: "v"}, time.Hour)
		for what, err := range map[string]error{"Get": err, "GetMany": manyErr, "Acquire": acquireErr, "Set": setErr} {
			if counts {
				assert.NoError(t, err, "%s %s", what, when)
			} else {
				assert.ErrorIs(t, err, provider.ErrReadOnly, "%s %s", what, when)
				assert.ErrorContains(t, err, "0 replicas are there and 1 are wanted", "%s %s", what, when)
			}
		}
	}
	check(false, "before there is a replica")
	replica := redistest.StartReplica(t, primary, redistest.Options{})
	poll(t, func() bool { _, _, err := p.Get(t.Context(), k); return err == nil }) // the master has heard from it
	check(true, "with a replica")
	replica.Pause()
	poll(t, func() bool { _, _, err := p.Get(t.Context(), k); return err != nil })
	check(false, "while the replica hangs")
	replica.Resume()
	poll(t, func() bool { _, _, err := p.Get(t.Context(), k); return err == nil })
	require.NoError(t, p.Delete(t.Context(), k))
	replica.Stop()
	poll(t, func() bool { _, _, err := p.Get(t.Context(), k); return err != nil })
	check(false, "after the replica was killed")
}
