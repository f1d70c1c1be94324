package redisprovider_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestHole1LoadJoin is row 1: a read of B joins a load that B began before A
// changed the source and invalidated.
func TestHole1LoadJoin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	w.write("k", "v1")
	g := newGate(t)
	leader := b.begin("k", w.loadSlowly("k", g))
	g.wait()
	w.write("k", "v2")
	a.invalidate("k")
	single, bulk := b.begin("k", w.load("k")), b.beginMany("k", w.load("k"))
	b.waitJoined(2)
	g.open()
	await(t, leader) // it began before the change
	wantAnswer(t, "a read that joined", single, "v2")
	wantAnswer(t, "a bulk read that joined", bulk, "v2")
	w.wantRaw(b, "k", "v2")
}

// TestHole2HitJoin is row 2: the old value is on its way from the server to B when
// A invalidates, and a read of B joins those that wait for it.
func TestHole2HitJoin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	w.write("k", "v1")
	asking := b.holdRequest(opAcquire)
	leader := b.begin("k", w.load("k")) // its GET has found nothing
	asking.wait()
	a.wantRead(w, "the first reader", "k", "v1")
	found := b.holdAnswer(opAcquire) // with the old value
	asking.open()
	found.wait()
	w.write("k", "v2")
	a.invalidate("k")
	single, bulk := b.begin("k", w.load("k")), b.beginMany("k", w.load("k"))
	b.waitJoined(2)
	found.open()
	await(t, leader)
	wantAnswer(t, "a read that joined", single, "v2")
	wantAnswer(t, "a bulk read that joined", bulk, "v2")
}

// TestHole2GetIsNotShared is the other half of row 2: nobody waits for the GET of
// another read.
func TestHole2GetIsNotShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	w.write("k", "v1")
	a.wantRead(w, "the first reader", "k", "v1")
	found := b.holdAnswer(opGet)
	early := b.begin("k", w.load("k"))
	found.wait()
	w.write("k", "v2")
	a.invalidate("k")
	wantSoon(t, "a read of after the invalidation", b.begin("k", w.load("k")), "v2", found)
	found.open()
	await(t, early)
}

// TestHole3FillWindow is row 3: B's fill of the old value was applied, its answer
// is on its way, and a read that begins after A's invalidation joins the load.
func TestHole3FillWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	w.write("k", "v1")
	filled := b.holdAnswer(opFill)
	leader := b.begin("k", w.load("k"))
	filled.wait()
	w.wantRaw(b, "k", "v1")
	w.write("k", "v2")
	a.invalidate("k")
	wantSoon(t, "a read of after the invalidation", b.begin("k", w.load("k")), "v2", filled)
	filled.open()
	wantAnswer(t, "the reader of before", leader, "v1")
	w.wantRaw(b, "k", "v2")
}

// TestHole4LocalFirstOrder is row 4: between the moment when A's invalidation drops
// what A has under way and the moment when the server applies it, a read of A gets
// the old value from the server. Whoever reads after the invalidation has returned
// must not come to wait for it.
func TestHole4LocalFirstOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	w.write("k", "v1")
	missed := a.holdAnswer(opGet)
	between := a.begin("k", w.load("k"))
	missed.wait()
	b.wantRead(w, "the first reader", "k", "v1")
	w.write("k", "v2")
	removing := a.holdRequest(opUnlink)
	invalidated := make(chan answer, 1)
	go func() { invalidated <- answer{err: a.Invalidate(t.Context(), "k")} }()
	removing.wait() // what A had under way is dropped
	found := a.holdAnswer(opAcquire)
	missed.open()
	found.wait() // the load that began in between has got the old value
	removing.open()
	wantAnswer(t, "the invalidation", invalidated, "")
	wantSoon(t, "a read of after the invalidation", a.begin("k", w.load("k")), "v2", found)
	found.open()
	await(t, between)
	w.wantRaw(a, "k", "v2")
}

// TestHole5NoLeaseIsKept is row 5: an invalidation that was applied before a lease
// was taken marks the load that takes it. Nobody must have to wait for that lease
// to end.
func TestHole5NoLeaseIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	for name, load := range map[string]loader{
		"loads": w.load("loads"),
		"fails": func(context.Context) (string, error) { return "", errors.New("the source is down") },
	} {
		w.write(name, "v1")
		asking := a.holdRequest(opAcquire)
		marked := a.begin(name, load)
		asking.wait()
		w.write(name, "v2")
		a.invalidate(name)
		asking.open()
		await(t, marked)
		assert.NotEqual(t, "lease", w.raw(a, name), "a load that %s left its lease behind", name)
		b.wantRead(w, "another process", name, "v2")
	}
}

// TestHole6TokenPerLease is row 6: an old load of A ends while a newer one of A has
// the lease.
func TestHole6TokenPerLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc()
	w.write("k", "v1")
	old, young := newGate(t), newGate(t)
	oldReader := a.begin("k", w.loadSlowly("k", old))
	old.wait()
	w.write("k", "v2")
	b.invalidate("k") // which A's own bookkeeping does not see
	a.invalidate("k") // so that A begins another load
	youngReader := a.begin("k", w.loadSlowly("k", young))
	young.wait()
	old.open()
	await(t, oldReader)
	w.wantRaw(a, "k", "lease")
	b2 := w.proc(brief)
	b2.wantRead(w, "another process", "k", "v2")
	young.open()
	wantAnswer(t, "the newer reader", youngReader, "v2")
	w.wantRaw(a, "k", "v2")
}

// TestHole9LeaseExpires is row 9: the lease of a slow load ends, another process
// loads and stores, or invalidates, and then the slow load comes to its end.
func TestHole9LeaseExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	short := func(o *procOptions) { o.cache.LeaseTTL = 30 * time.Millisecond }
	a, b := w.proc(short), w.proc()
	a.proxy.Withhold(is(opRenew)) // the lease ends in spite of its renewals
	for name, between := range map[string]func(name string){
		"invalidated": func(name string) { b.invalidate(name) },
		"replaced": func(name string) {
			b.invalidate(name)
			b.wantRead(w, "another process", name, "v2")
		},
		"leased": func(name string) {
			b.invalidate(name)
			g := newGate(t)
			b.begin(name, w.loadSlowly(name, g))
			g.wait()
		},
	} {
		w.write(name, "v1")
		g := newGate(t)
		slow := a.begin(name, w.loadSlowly(name, g))
		g.wait()
		eventually(t, "the end of the lease", func() bool { return w.raw(a, name) == "" })
		w.write(name, "v2")
		between(name)
		g.open()
		await(t, slow)
		assert.NotEqual(t, "v1", w.raw(a, name), "%s: a load whose lease had ended was stored", name)
		w.proc(brief).wantRead(w, "a process that begins now", name, "v2")
	}
}

// TestHole11LostFillReply is row 11: the answer to a fill is lost. It may have
// been refused, so a read that joined the load after A's invalidation must not
// take what was loaded.
func TestHole11LostFillReply(t *testing.T) {
	t.Parallel()
	for _, applied := range []bool{true, false} {
		w := newWorld(t)
		a, b := w.proc(), w.proc()
		w.write("k", "v1")
		g := newGate(t)
		leader := b.begin("k", w.loadSlowly("k", g))
		g.wait()
		w.write("k", "v2")
		a.invalidate("k")
		joined := b.begin("k", w.load("k"))
		b.waitJoined(1)
		tap := b.proxy.Withhold(is(opFill))
		g.open()
		tap.Wait(t, 1)
		tap.Stop()
		if applied {
			tap.Replay(t)
		}
		b.proxy.CutAll()
		await(t, leader)
		wantAnswer(t, "a read that joined", joined, "v2")
		w.wantRaw(b, "k", "v2")
	}
}

// TestHole11LostAcquireReply is row 11: a lease was granted, and the answer is
// lost. The load goes on without a lease, and stores nothing.
func TestHole11LostAcquireReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(), w.proc(brief)
	w.write("k", "v1")
	a.wantRead(w, "a reader of something else", "other", "") // so that the server knows the scripts
	g := newGate(t)
	tap := a.proxy.Withhold(is(opAcquire))
	leader := a.begin("k", w.loadSlowly("k", g))
	tap.Wait(t, 1)
	tap.Stop()
	tap.Replay(t) // the server grants the lease
	a.proxy.CutAll()
	g.wait()
	w.write("k", "v2")
	b.wantRead(w, "a reader who finds the lease", "k", "v2")
	b.invalidate("k")
	joined := a.begin("k", w.load("k"))
	a.waitJoined(1)
	g.open()
	await(t, leader)
	wantAnswer(t, "a read that joined", joined, "v2")
	w.wantRaw(a, "k", "v2")
	assert.Len(t, tap.Captured(), 1, "how often the request for the lease was sent")
}
