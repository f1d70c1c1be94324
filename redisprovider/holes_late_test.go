package redisprovider_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
)

// repeating makes the client library give a command up soon, and send it again if
// it may.
func repeating(o *procOptions) {
	o.client = func(o *redis.Options) {
		o.ReadTimeout, o.MaxRetries = time.Second, 3
		o.MinRetryBackoff, o.MaxRetryBackoff = time.Millisecond, 2*time.Millisecond
	}
}

// TestHole7ZombieAcquire is row 7: a request for a lease is held up. The client
// library would send it again, with the same token; A loads; B invalidates; and
// the late copy brings A's lease back.
func TestHole7ZombieAcquire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(repeating), w.proc()
	b.wantRead(w, "a reader of something else", "other", "") // so that the server knows the scripts
	w.write("k", "v1")
	sent := a.proxy.Record(is(opAcquire))
	a.proxy.Withhold(is(opAbandon)) // else it may give the late lease back
	tap := a.proxy.Withhold(is(opAcquire))
	g := newGate(t)
	leader := a.begin("k", w.loadSlowly("k", g))
	tap.Wait(t, 1)
	tap.Stop() // a second copy would arrive
	g.wait()
	assert.Len(t, sent.Captured(), 1, "how often the request for the lease was sent")
	w.write("k", "v2")
	b.invalidate("k")
	tap.Replay(t)
	w.wantRaw(b, "k", "lease") // without an owner
	g.open()
	await(t, leader)
	assert.NotEqual(t, "v1", w.raw(b, "k"), "a load of before the invalidation was stored")
	w.proc(brief).wantRead(w, "another process", "k", "v2")
	b.invalidate("k")
	b.wantRead(w, "another process", "k", "v2")
	w.wantRaw(b, "k", "v2") // and the lease without an owner is no more
}

// TestHole7ZombieFill is row 7 for a fill.
func TestHole7ZombieFill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.proc(repeating), w.proc()
	b.wantRead(w, "a reader of something else", "other", "")
	w.write("k", "v1")
	sent := a.proxy.Record(is(opFill))
	tap := a.proxy.Withhold(is(opFill))
	leader := a.begin("k", w.load("k"))
	tap.Wait(t, 1)
	tap.Stop()
	await(t, leader) // the client has given up
	assert.Len(t, sent.Captured(), 1, "how often the fill was sent")
	w.write("k", "v2")
	b.invalidate("k")
	tap.Replay(t)
	w.wantRaw(b, "k", "")
	b.wantRead(w, "another process", "k", "v2")
}

// TestHole8LateCommands is row 8: every command that a process sends arrives once
// more, when the source has changed and everything was invalidated, each alone and
// then all in their order.
func TestHole8LateCommands(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*procOptions){"plain": func(*procOptions) {}, "fenced": withFence} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			late := &lateness{world: w, b: w.proc(edit), c: w.proc(edit, brief)}
			sent := late.record(w.proc(edit))
			for state, prepare := range late.states() {
				for _, command := range sent {
					op := opOf(command.Args)
					late.check(state+", "+op, prepare, command)
					removes := op == opUnlink || op == opPrefix || op == opHold
					if kept := strings.HasPrefix(state, "a newer"); kept && !removes {
						late.checkKept(state+", "+op, prepare, command)
					}
				}
				late.check(state+", all commands", prepare, sent...)
			}
		})
	}
}

// A lateness delivers commands late.
type lateness struct {
	*world

	b, c *proc // c does not wait for leases
}

// renewAndAbandon has a process renew a lease of k, and give back another one whose answer it has not
// read.
func (l *lateness) renewAndAbandon(a *proc) {
	l.t.Helper()
	k := []provider.Key{key(holeScope, "k")}
	a.invalidate("k")
	grants, err := a.store.Acquire(l.t.Context(), k, time.Hour)
	if err != nil || grants[0].State != provider.LeaseGranted {
		l.t.Fatal(grants, err)
	}
	if _, err := a.store.Renew(l.t.Context(), []provider.Lease{grants[0].Lease}, time.Hour); err != nil {
		l.t.Fatal(err)
	}
	a.invalidate("k")
	sent := a.proxy.Record(is(opAbandon))
	heal, err := a.lose(opAcquire, func() error {
		_, err := a.store.Acquire(l.t.Context(), k, time.Hour)
		return err
	})
	if err == nil {
		l.t.Error("the answer to an acquire was not lost")
	}
	heal()
	sent.Wait(l.t, 1)
	sent.Stop()
}

// record has a process send commands of every kind, about the value v1 of k, and
// returns them.
func (l *lateness) record(a *proc) []redistest.Command {
	l.t.Helper()
	all := []string{opGet, opFenced, opAcquire, opRefresh, opFill, opRelease, opRenew, opAbandon, opSet, opUnlink, opPrefix, opList, opRebuild, opScan, opHold, opUnhold, opMarker}
	l.b.wantRead(l.world, "a reader of something else", "other", "")
	tap := a.proxy.Record(func(c redistest.Command) bool { return slices.Contains(all, opOf(c.Args)) })
	l.write("k", "v1")
	await(l.t, a.begin("k", func(context.Context) (string, error) { return "", errors.New("the source is down") }))
	a.wantRead(l.world, "a reader", "k", "v1")
	a.invalidatePrefix("no key")
	l.renewAndAbandon(a)
	a.invalidate("k")
	a.wantRead(l.world, "a reader", "k", "v1")
	_, err := readthrough.Mutate(l.t.Context(), a.CachedScope, readthrough.Mutation[int]{
		Write:      func(context.Context) (int, error) { return 0, nil },
		Invalidate: func(int) readthrough.Targets { return readthrough.Targets{} },
		Hold:       readthrough.Targets{Keys: []string{"k"}, Prefixes: []string{"k"}},
	})
	require.NoError(l.t, err)
	a.wantRead(l.world, "a reader", "k", "v1")
	open := newGate(l.t)
	open.open()
	for range 2 { // the second time it finds no change, and extends
		wantAnswer(l.t, "a refresh", a.beginRefresh("k", l.loadModified("k", open)), "v1")
	}
	wantAnswer(l.t, "a write that stores", a.beginPut("k", l.load("k")), "v1")
	a.invalidatePrefix("k")
	tap.Stop()
	sent := tap.Captured()
	seen := make(map[string]int)
	for _, c := range sent {
		seen[opOf(c.Args)]++
	}
	for _, op := range []string{opAcquire, opRefresh, opFill, opRelease, opRenew, opAbandon, opUnlink, opPrefix, opScan, opHold, opUnhold, opMarker} {
		assert.NotZero(l.t, seen[op], "the process has sent no %s: %v", op, seen)
	}
	assert.GreaterOrEqual(l.t, seen[opRebuild], 3, "the process has sent %v: a whole rebuild, and reads", seen)
	assert.NotZero(l.t, seen[opGet]+seen[opFenced], "the process has sent %v: a whole rebuild, and reads", seen)
	assert.Zero(l.t, seen[opSet], "sets, which would not be safe")
	return sent
}

// states are what the server may have when a command arrives late. Each returns
// what to do afterwards.
func (l *lateness) states() map[string]func() (after func()) {
	nothing := func() {}
	return map[string]func() func(){
		"nothing is stored": func() func() { return nothing },
		"a newer value is stored": func() func() {
			l.b.wantRead(l.world, "a reader", "k", "v2")
			return nothing
		},
		"a newer load is under way": func() func() {
			g := newGate(l.t)
			reader := l.b.begin("k", l.loadSlowly("k", g))
			g.wait()
			return func() {
				g.open()
				wantAnswer(l.t, "its reader", reader, "v2")
			}
		},
		"an old load was overtaken": func() func() {
			l.write("k", "v1")
			g := newGate(l.t)
			reader := l.b.begin("k", l.loadSlowly("k", g))
			g.wait()
			l.write("k", "v2")
			l.c.invalidate("k")
			return func() {
				g.open()
				await(l.t, reader)
			}
		},
		"the index is lost": func() func() {
			l.b.wantRead(l.world, "a reader", "unlisted", "")
			l.Do("DEL", l.b.store.IndexOf(key(holeScope, "unlisted")))
			return nothing
		},
		"the index is complete": func() func() {
			l.b.invalidatePrefix("no key")
			l.b.wantRead(l.world, "a reader", "unlisted", "")
			return nothing
		},
	}
}

// deliver delivers commands late.
func (l *lateness) deliver(prepare func() func(), commands ...redistest.Command) {
	l.t.Helper()
	l.Do("FLUSHALL")
	l.write("k", "v2")
	after := prepare()
	for _, c := range commands {
		l.Do(c.Args...)
	}
	after()
}

// checkKept delivers a command late that must not remove what others have stored,
// or store.
func (l *lateness) checkKept(what string, prepare func() func(), command redistest.Command) {
	l.t.Helper()
	l.deliver(prepare, command)
	assert.Equal(l.t, "v2", l.raw(l.b, "k"), "%s: the newer value is not stored", what)
}

// check delivers commands late, and looks for what is old.
func (l *lateness) check(what string, prepare func() func(), commands ...redistest.Command) {
	l.t.Helper()
	l.deliver(prepare, commands...)
	assert.NotEqual(l.t, "v1", l.raw(l.b, "k"), "%s: the old value is stored", what)
	a := await(l.t, l.c.begin("k", l.load("k")))
	assert.NoError(l.t, a.err, what)
	assert.Equal(l.t, "v2", a.value, "%s: a read gets", what)
	l.c.invalidatePrefix("")
	left, _ := l.Do("KEYS", "*:v:*").([]any)
	assert.Empty(l.t, left, "%s: an invalidation of everything left", what)
}
