package redisprovider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
)

// A serving is a way in which a value that is stored comes to be replaced while it
// is served, or by hand. Its entries are due as soon as they are stored, and kept
// for as long as the test takes: nothing here happens by time.
type serving struct {
	name  string
	scope readthrough.ScopeOptions
	begin func(p *proc, name string, load loader) <-chan answer
}

func servings() []serving {
	const soon, kept = dueTTL, time.Hour
	return []serving{
		{"stale while revalidate", readthrough.ScopeOptions{TTL: soon, StaleWhileRevalidate: kept}, (*proc).begin},
		{"stale while revalidate, bulk", readthrough.ScopeOptions{TTL: soon, StaleWhileRevalidate: kept}, (*proc).beginMany},
		{"stale if error", readthrough.ScopeOptions{TTL: soon, StaleIfError: kept}, (*proc).begin},
		{"stale if error, bulk", readthrough.ScopeOptions{TTL: soon, StaleIfError: kept}, (*proc).beginMany},
		{"soft timeout", readthrough.ScopeOptions{TTL: soon, StaleIfError: kept, SoftLoadTimeout: time.Nanosecond}, (*proc).begin},
		{"refresh ahead", readthrough.ScopeOptions{TTL: kept, RefreshAheadFactor: 1e-13}, (*proc).begin},
		{"XFetch", readthrough.ScopeOptions{TTL: kept, XFetchBeta: 1e18}, (*proc).beginMany},
		{"Refresh", readthrough.ScopeOptions{TTL: kept}, (*proc).beginRefresh},
		{"Put", readthrough.ScopeOptions{TTL: kept}, (*proc).beginPut},
	}
}

// serves gives a process the options of a serving.
func (s *serving) serves(o *procOptions) { o.scope = s.scope }

// beginRefresh begins a Refresh.
func (p *proc) beginRefresh(name string, load loader) <-chan answer {
	return p.call(func(ctx context.Context) (string, error) {
		return readthrough.Refresh(ctx, p.CachedScope, name, p.loading(name, load))
	})
}

// beginPut begins a Put, whose write is load.
func (p *proc) beginPut(name string, load loader) <-chan answer {
	return p.call(func(ctx context.Context) (string, error) { return readthrough.Put(ctx, p.CachedScope, name, load) })
}

func (p *proc) call(f loader) <-chan answer {
	answers := make(chan answer, 1)
	ctx := p.t.Context()
	go func() {
		value, err := f(ctx)
		answers <- answer{value, err}
	}()
	return answers
}

var errDown = errors.New("the source is down")

// endings are what a load does that has read the source and waited at the gate.
func (w *world) endings() map[string]func(name string, g *gate) loader {
	return map[string]func(name string, g *gate) loader{
		"loaded":       w.loadSlowly,
		"not modified": w.loadModified,
		"failed": func(name string, g *gate) loader {
			return func(ctx context.Context) (string, error) {
				_, err := w.loadSlowly(name, g)(ctx)
				return "", errors.Join(err, errDown)
			}
		},
	}
}

// loadModified is loadSlowly that only asks whether the value is still the source's,
// by a validator, which is the value.
func (w *world) loadModified(name string, g *gate) loader {
	return func(ctx context.Context) (string, error) {
		load, value := readthrough.LoadOf(ctx, name), w.current(name)
		g.pass()
		if load.Validator() == value {
			load.NotModified()
			return "what is not used", nil
		}
		load.SetValidator(value)
		return value, nil
	}
}

// store has a process store the value of the source.
func (w *world) store(p *proc, name string) {
	w.t.Helper()
	open := newGate(w.t)
	open.open()
	wantAnswer(w.t, "the first reader", p.beginRefresh(name, w.loadModified(name, open)), w.current(name))
	w.wantRaw(p, name, w.current(name))
}

// neverOld checks that a reader who began after the invalidation gets no old value:
// the new one, or the error of a load.
func neverOld(t *testing.T, who string, answers <-chan answer) {
	t.Helper()
	switch a := await(t, answers); {
	case a.value == "v2" && a.err == nil, errors.Is(a.err, errDown):
	default:
		t.Errorf("%s gets %q, %v", who, a.value, a.err)
	}
}

// waitIdle waits until nothing is loaded or stored any more.
func (p *proc) waitIdle() {
	p.t.Helper()
	eventually(p.t, "what is loaded in the background", func() bool { return p.Stats().InFlight == 0 })
}

// wantNew checks that the old value is not stored, and what a process reads.
func (w *world) wantNew(what string, p *proc, name string) {
	w.t.Helper()
	p.waitIdle()
	assert.NotEqual(w.t, "v1", w.raw(p, name), "%s: the old value is stored", what)
	wantAnswer(w.t, what+": a reader at the end", p.begin(name, w.load(name)), "v2")
	p.waitIdle()
}

// TestHole26RefreshOvertaken is row 26: B is loading a value again that is stored,
// and served meanwhile; its load has read the old value when the source is changed
// and invalidated, by A or by B itself, by key or by prefix. However the load ends,
// nothing old is stored, and no reader of after the invalidation gets it.
func TestHole26RefreshOvertaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, way := range servings() {
		a, b := w.proc(way.serves), w.proc(way.serves)
		for ending, load := range w.endings() {
			for by, invalidate := range map[string]func(name string){
				"A":            func(name string) { a.invalidate(name) },
				"B":            func(name string) { b.invalidate(name) },
				"A, by prefix": func(name string) { a.invalidatePrefix(name) },
				"B, by prefix": func(name string) { b.invalidatePrefix(name) },
			} {
				what := fmt.Sprintf("%s, %s, invalidated by %s", way.name, ending, by)
				name := what + ":"
				w.write(name, "v1")
				w.store(b, name)
				g := newGate(t)
				early := way.begin(b, name, load(name, g))
				g.wait()
				w.write(name, "v2")
				invalidate(name)
				single, bulk := b.begin(name, w.load(name)), b.beginMany(name, w.load(name))
				if strings.HasPrefix(by, "A") { // else nothing is stored when the load ends
					wantAnswer(t, what+": a reader in A", a.begin(name, w.load(name)), "v2")
				}
				g.open()
				await(t, early) // it began before the change
				neverOld(t, what+": a reader in B", single)
				neverOld(t, what+": a bulk reader in B", bulk)
				w.wantNew(what, b, name)
				w.wantNew(what, a, name)
			}
		}
	}
}

// TestHole27LateRefresh is row 27: the request for a lease beside the old value, or
// its answer, is late, or the request arrives once more, when the source has changed
// and was invalidated, before somebody has loaded the new value or after.
func TestHole27LateRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, way := range servings() {
		if way.name == "Put" {
			continue // it acquires its lease: row 7
		}
		a, b := w.proc(way.serves), w.proc(way.serves, brief)
		for _, reload := range []bool{false, true} {
			change := func(name string) {
				w.write(name, "v2")
				a.invalidate(name)
				if reload {
					wantAnswer(t, way.name+": a reader in A", a.begin(name, w.load(name)), "v2")
					a.waitIdle()
				}
			}
			for what, late := range map[string]func(name string){
				"request": func(name string) { w.heldUp(b.holdRequest(opRefresh), way.begin, b, name, change) },
				"answer":  func(name string) { w.heldUp(b.holdAnswer(opRefresh), way.begin, b, name, change) },
				"copy":    func(name string) { w.copied(way.begin, b, name, change) },
			} {
				what := fmt.Sprintf("%s, late %s, loaded before: %v", way.name, what, reload)
				w.write(what, "v1")
				w.store(a, what)
				late(what)
				w.wantNew(what, b, what)
				b.invalidate(what) // a lease without an owner is no more
				w.wantNew(what, a, what)
			}
		}
	}
}

// heldUp has the old value be replaced while something is held up at g.
func (w *world) heldUp(g *gate, begin func(*proc, string, loader) <-chan answer, b *proc, name string, change func(string)) {
	w.t.Helper()
	early := begin(b, name, w.load(name))
	g.wait()
	change(name)
	single := b.begin(name, w.load(name))
	g.open()
	await(w.t, early)
	wantAnswer(w.t, name+": a reader in B", single, "v2")
}

// copied has the request for the lease arrive once more, while the load of its
// sender is waiting with the old value.
func (w *world) copied(begin func(*proc, string, loader) <-chan answer, b *proc, name string, change func(string)) {
	w.t.Helper()
	tap := b.proxy.Record(is(opRefresh))
	g := newGate(w.t)
	early := begin(b, name, w.loadSlowly(name, g))
	g.wait()
	tap.Stop()
	change(name)
	assert.Len(w.t, tap.Replay(w.t), 1, "%s: how often the request for the lease was sent", name)
	g.open()
	await(w.t, early)
}

// TestHole28StaleWhilePending is row 28: A is cut off from the server when it
// invalidates what it is loading again. Until the invalidation is confirmed, A is
// served nothing of what is stored, in whatever way, and nothing that was loaded
// before is stored, even if A reaches the server again before the load has ended.
func TestHole28StaleWhilePending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, way := range servings() {
		for _, byPrefix := range []bool{false, true} {
			for _, late := range []bool{false, true} {
				what := fmt.Sprintf("%s, by prefix: %v, the load ends after the reconnection: %v", way.name, byPrefix, late)
				a, b := w.proc(way.serves, severed), w.proc(way.serves)
				w.write(what, "v1")
				w.store(a, what)
				g := newGate(t)
				early := way.begin(a, what, w.loadSlowly(what, g))
				g.wait()
				w.write(what, "v2")
				a.cutOff()
				wantPending(t, a.drop(what, byPrefix))
				wantAnswer(t, what+": a reader in A", a.begin(what, w.load(what)), "v2")
				wantAnswer(t, what+": a bulk reader in A", a.beginMany(what, w.load(what)), "v2")
				if !late {
					g.open()
					await(t, early)
				}
				again := await(t, way.begin(a, what, w.load(what)))
				assert.Equal(t, "v2", again.value, "%s: another refresh in A gets", what)
				if again.err != nil {
					assert.Equal(t, "Put", way.name, "%s: another refresh in A gets", what)
				}
				a.reconnect()
				a.waitSettled()
				g.open()
				if late {
					await(t, early)
				}
				w.wantNew(what, a, what)
				w.wantNew(what, b, what)
			}
		}
	}
}

// drop invalidates a key, by its prefix or not.
func (p *proc) drop(name string, byPrefix bool) error {
	if !byPrefix {
		return p.Invalidate(p.t.Context(), name)
	}
	_, err := p.InvalidatePrefix(p.t.Context(), name)
	return err
}

// TestHole29OneRefresh is row 29: B and C find the same entry, which is due, and
// both ask for it to be refreshed. One of them loads, and the other goes on to serve
// what there is. It does not load either when the first has stored the new value
// before it asks.
func TestHole29OneRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, way := range servings() {
		stale, ahead := way.scope.StaleWhileRevalidate > 0, way.scope.RefreshAheadFactor+way.scope.XFetchBeta > 0
		for _, after := range []bool{false, true} {
			if !ahead && (after || !stale) {
				continue // the new value is due at once, or the reader waits for it
			}
			b, c := w.proc(way.serves), w.proc(way.serves)
			name := fmt.Sprintf("%s, asked after the fill: %v", way.name, after)
			w.write(name, "v1")
			w.store(b, name)
			w.write(name, "v2") // and nobody says so
			asking := c.holdRequest(opRefresh)
			second := way.begin(c, name, func(context.Context) (string, error) {
				t.Errorf("%s: two processes load", name)
				return "v3", nil
			})
			asking.wait()
			g := newGate(t)
			first := way.begin(b, name, w.loadSlowly(name, g))
			g.wait()
			if after {
				g.open()
				b.waitIdle()
			}
			asking.open()
			c.waitIdle()
			g.open()
			b.waitIdle()
			wantAnswer(t, name+": who loads", first, "v1")
			wantAnswer(t, name+": who does not", second, "v1")
			w.wantRaw(b, name, "v2")
		}
	}
}

// TestHole29RefreshedMeanwhile is row 29 once more: whenever C asks for the lease,
// B has stored something else since C looked. C leaves it to B, and does not load
// without a lease.
func TestHole29RefreshedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, way := range servings() {
		if way.scope.StaleWhileRevalidate == 0 {
			continue
		}
		b, c := w.proc(way.serves), w.proc(way.serves)
		w.write(way.name, "v1")
		w.store(b, way.name)
		first, second := c.holdRequest(opRefresh), c.holdRequest(opRefresh)
		reader := way.begin(c, way.name, func(context.Context) (string, error) {
			t.Errorf("%s: two processes load", way.name)
			return "v2", nil
		})
		for _, asking := range []*gate{first, second} {
			asking.wait()
			w.store(b, way.name)
			asking.open()
		}
		c.waitIdle()
		wantAnswer(t, way.name, reader, "v1")
	}
}
