package redisprovider_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/redisprovider"
)

// A failover is a world with a replica, which its processes come to use when the
// primary is gone.
type failover struct {
	*world

	replica *redistest.Server
	addr    atomic.Pointer[string] // where new connections go
}

func newFailover(t *testing.T) *failover {
	t.Helper()
	f := &failover{world: newWorld(t)}
	f.replica = redistest.StartReplica(t, f.Server, redistest.Options{})
	addr := f.Addr()
	f.addr.Store(&addr)
	return f
}

// followed makes the clients of a process go where the primary is.
func (f *failover) followed(o *procOptions) {
	o.client = func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, *f.addr.Load())
		}
	}
}

// cutOff makes the replica a primary that has nothing of what the old one does
// from now on, which as yet nobody knows.
func (f *failover) cutOff(p *proc, name, have string) {
	f.t.Helper()
	eventually(f.t, "the replica", func() bool { return f.rawOn(f.replica, p, name) == have })
	f.replica.Promote()
}

// complete ends the old primary.
func (f *failover) complete() {
	f.t.Helper()
	addr := f.replica.Addr()
	f.addr.Store(&addr)
	f.Stop()
}

// plain is no option.
func plain(*procOptions) {}

// fences are what rows 15 and 16 have with and without the fence:
// what a read gets in the end.
func fences() map[string]struct {
	edit func(*procOptions)
	want string
} {
	return map[string]struct {
		edit func(*procOptions)
		want string
	}{
		"without fence": {plain, "v1"}, // stale, as documented, until the TTL ends
		"with fence":    {withFence, "v2"},
	}
}

// TestHole15FailoverBringsAValueBack is row 15: a replica is promoted that has not
// heard of a removal.
func TestHole15FailoverBringsAValueBack(t *testing.T) {
	t.Parallel()
	for name, fence := range fences() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFailover(t)
			a, b := f.proc(fence.edit, f.followed), f.proc(fence.edit, f.followed)
			f.write("k", "v1")
			b.wantRead(f.world, "the first reader", "k", "v1")
			f.cutOff(b, "k", "v1")
			f.write("k", "v2")
			a.invalidate("k")
			f.complete()
			b.wantRead(f.world, "a reader after the failover", "k", fence.want)
			assert.Equal(t, fence.want, f.rawOn(f.replica, b, "k"), "the new primary")
		})
	}
}

// TestHole15FailoverBringsALeaseBack is row 15: the removal of a lease is lost, and
// the load that has it ends after the failover.
func TestHole15FailoverBringsALeaseBack(t *testing.T) {
	t.Parallel()
	for name, fence := range fences() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFailover(t)
			a, b := f.proc(fence.edit, f.followed), f.proc(fence.edit, f.followed)
			f.write("k", "v1")
			g := newGate(t)
			slow := b.begin("k", f.loadSlowly("k", g))
			g.wait()
			f.cutOff(b, "k", "lease")
			f.write("k", "v2")
			a.invalidate("k")
			f.complete()
			g.open()
			await(t, slow)
			f.proc(fence.edit, f.followed).wantRead(f.world, "a reader after the failover", "k", fence.want)
		})
	}
}

// TestHole15WaitForReplicas is row 15 with the option that waits for replicas: a
// removal that a replica does not have does not count.
func TestHole15WaitForReplicas(t *testing.T) {
	t.Parallel()
	f := newFailover(t)
	waiting := func(o *procOptions) {
		o.store = redisprovider.Options{WaitReplicas: 1, WaitTimeout: 50 * time.Millisecond}
	}
	a, b := f.proc(waiting), f.proc()
	f.write("k", "v1")
	b.wantRead(f.world, "the first reader", "k", "v1")
	f.replica.Pause()
	f.write("k", "v2")
	wantPending(t, a.Invalidate(t.Context(), "k"))
	f.replica.Resume()
	a.waitSettled()
	assert.NotEqual(t, "v1", f.rawOn(f.replica, a, "k"), "the removal is confirmed, and the replica does not have it")
}

// TestHole16OldSnapshot is row 16: the server starts again from a snapshot of
// before the invalidation.
func TestHole16OldSnapshot(t *testing.T) {
	t.Parallel()
	for name, fence := range fences() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a, b := w.proc(fence.edit), w.proc(fence.edit)
			w.write("k", "v1")
			w.write("leased", "v1")
			b.wantRead(w, "the first reader", "k", "v1")
			g := newGate(t)
			slow := b.begin("leased", w.loadSlowly("leased", g))
			g.wait()
			w.Snapshot()
			w.write("k", "v2")
			w.write("leased", "v2")
			a.invalidate("k", "leased")
			w.Restart()
			g.open()
			await(t, slow)
			b.wantRead(w, "a reader after the restart", "k", fence.want)
			b.wantRead(w, "a reader after the restart", "leased", fence.want)
		})
	}
}

// TestHole17WriterCutOff is row 17: the server does not get A's invalidation, and
// answers everything else. A does not read or fill what is pending.
func TestHole17WriterCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(severed), w.proc()
	for _, name := range []string{"k", "list:1"} {
		w.write(name, "v1")
		b.wantRead(w, "the first reader", name, "v1")
	}
	a.invalidatePrefix("no key") // the index is complete now
	w.write("k", "v2")
	w.write("list:1", "v2")
	healKey, err := a.lose(opUnlink, func() error { return a.Invalidate(t.Context(), "k") })
	wantPending(t, err)
	healPrefix, err := a.lose(opPrefix, func() error { _, err := a.InvalidatePrefix(t.Context(), "list:"); return err })
	wantPending(t, err)
	for _, name := range []string{"k", "list:1"} {
		a.wantRead(w, "a reader of the same process", name, "v2")
		// This is the documented limit: others read the old value until A's retry.
		b.wantRead(w, "another process", name, "v1")
	}
	lostKey, lostPrefix := healKey(), healPrefix()
	a.waitSettled()
	for _, name := range []string{"k", "list:1"} {
		b.wantRead(w, "another process, afterwards,", name, "v2")
		w.wantRaw(b, name, "v2")
	}
	lostKey.Replay(t)
	lostPrefix.Replay(t)
	b.wantRead(w, "another process, afterwards,", "k", "v2")
}

// TestHole17OldLoadWhilePending is row 17 for a load of A that began before the
// invalidation that the server does not get.
func TestHole17OldLoadWhilePending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(severed), w.proc(brief)
	w.write("k", "v1")
	g := newGate(t)
	slow := a.begin("k", w.loadSlowly("k", g))
	g.wait()
	w.write("k", "v2")
	heal, err := a.lose(opUnlink, func() error { return a.Invalidate(t.Context(), "k") })
	wantPending(t, err)
	g.open()
	await(t, slow)
	b.wantRead(w, "another process", "k", "v2")
	assert.NotEqual(t, "v1", w.raw(a, "k"), "a load was stored whose key has a pending invalidation")
	heal()
	a.waitSettled()
}

// TestHole17HeldForTheWrite is row 17 with [readthrough.Mutation.Hold]: nobody
// reads the old value, though A is cut off from the server after its write.
func TestHole17HeldForTheWrite(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]readthrough.Targets{
		"a key":    {Keys: []string{"k"}},
		"a prefix": {Prefixes: []string{"k"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a, b := w.proc(severed), w.proc()
			w.write("k", "v1")
			b.wantRead(w, "the first reader", "k", "v1")
			_, err := readthrough.Mutate(t.Context(), a.CachedScope, readthrough.Mutation[int]{
				Write: func(context.Context) (int, error) {
					b.wantRead(w, "a reader during the write", "k", "v1")
					w.write("k", "v2")
					a.cutOff()
					return 0, nil
				},
				Invalidate:      func(int) readthrough.Targets { return hold },
				Hold:            hold,
				FailWhenPending: true,
			})
			wantPending(t, err)
			a.wantRead(w, "a reader of the same process", "k", "v2")
			b.wantRead(w, "another process", "k", "v2")
			a.reconnect()
			a.waitSettled()
			b.wantRead(w, "another process, afterwards,", "k", "v2")
		})
	}
}

// TestHole23ReplicaLag is row 23: the source lags, so that a load of after the
// invalidation reads the old value. It must not be stored.
func TestHole23ReplicaLag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lag := func(d time.Duration) func(*procOptions) {
		return func(o *procOptions) { o.scope.ReplicaLag = d }
	}
	a, b := w.proc(lag(time.Hour)), w.proc(lag(time.Hour))
	names := []string{"k", "list:1"}
	for _, name := range names {
		w.write(name, "v1")
		b.wantRead(w, "the first reader", name, "v1")
	}
	a.invalidate("k") // of a change that the source does not have yet
	a.invalidatePrefix("list:")
	for _, name := range names {
		b.wantRead(w, "a reader of what lags", name, "v1")
		a.wantRead(w, "a reader of what lags", name, "v1")
		w.wantRaw(b, name, "")
		w.write(name, "v2") // now it has it
		b.wantRead(w, "a reader, afterwards,", name, "v2")
	}
	w.Do("FLUSHALL")
	short := w.proc(lag(50 * time.Millisecond))
	short.invalidate("k")
	eventually(t, "what is loaded to be stored again", func() bool {
		short.wantRead(w, "a reader", "k", "v2")
		return w.raw(short, "k") == "v2"
	})
}
