package readthrough

import (
	"fmt"
	"slices"
	"testing"
)

// TestFenceAgainstTwin compares every decision of a fence, after every sequence
// of steps up to a length, with a twin that keeps the whole history and decides
// by looking through it.
func TestFenceAgainstTwin(t *testing.T) {
	const longest = 8
	sequences := 0
	var explore func(history []string, f fence)
	explore = func(history []string, f fence) {
		sequences++
		if got, want := f.mayJoin(), twinMayJoin(history); got != want {
			t.Fatalf("after %v: mayJoin() = %v, the twin says %v", history, got, want)
		}
		if _, got := f.end(); got != twinFilling(history) {
			t.Fatalf("after %v: end() awaits = %v, the twin says %v", history, got, !got)
		}
		if _, got := f.fill(); got != twinMayFill(history) {
			t.Fatalf("after %v: fill() stores = %v, the twin says %v", history, got, !got)
		}
		if len(history) == longest {
			return
		}
		for _, step := range []string{"end", "fill", "close"} {
			next := f
			switch step {
			case "end":
				next, _ = f.end()
			case "fill":
				next, _ = f.fill()
			case "close":
				next = f.close()
			}
			explore(append(slices.Clip(history), step), next)
		}
	}
	explore(nil, fence{})
	t.Logf("%d sequences", sequences)
}

// A flight may be joined until its epoch has ended or it was closed.
func twinMayJoin(history []string) bool {
	for _, step := range history {
		if step == "end" || step == "close" {
			return false
		}
	}
	return true
}

// A flight may fill once, unless its epoch has ended or it was closed.
func twinMayFill(history []string) bool {
	for _, step := range history {
		if step != "" {
			return false
		}
	}
	return true
}

// A flight is filling from a fill that was allowed until it is closed.
func twinFilling(history []string) bool {
	filling := false
	for i, step := range history {
		switch {
		case step == "fill" && twinMayFill(history[:i]):
			filling = true
		case step == "close":
			filling = false
		}
	}
	return filling
}

// rules are the decisions that the model below takes, so that each can be taken
// wrongly.
type rules struct {
	mayJoin   func(fence) bool
	fill      func(fence) (fence, bool)
	await     bool // an invalidation waits for the fills under way
	endBefore bool // it ends the epochs before the deletion
	endAfter  bool // and after
}

func ourRules() rules {
	return rules{mayJoin: fence.mayJoin, fill: fence.fill, await: true, endBefore: true, endAfter: true}
}

// TestModel explores every interleaving of a few readers and writers of one key
// at the points where they touch something shared, and checks G1 whenever a
// reader gets a value and G2 in every state.
func TestModel(t *testing.T) {
	states, violation := exploreAll(ourRules())
	if violation != "" {
		t.Fatal(violation)
	}
	t.Logf("%d states", states)
}

// TestModelFindsBrokenRules breaks each rule that G1 and G2 rest on: the model
// must find out.
func TestModelFindsBrokenRules(t *testing.T) {
	broken := map[string]func(*rules){
		"join a flight whose epoch has ended": func(r *rules) {
			r.mayJoin = func(f fence) bool { return f.phase != phaseClosed }
		},
		"store although the epoch has ended": func(r *rules) {
			r.fill = func(f fence) (fence, bool) { return fence{phase: phaseFilling, ended: f.ended}, true }
		},
		"delete without waiting for a fill":   func(r *rules) { r.await = false },
		"end epochs only after the deletion":  func(r *rules) { r.endBefore = false },
		"end epochs only before the deletion": func(r *rules) { r.endAfter = false },
	}
	for name, breakIt := range broken {
		t.Run(name, func(t *testing.T) {
			r := ourRules()
			breakIt(&r)
			states, violation := exploreAll(r)
			if violation == "" {
				t.Fatalf("no violation in %d states", states)
			}
			t.Log(violation)
		})
	}
}

// exploreAll explores worlds with few readers and many writers, and the other
// way round, that begin with an empty store and with a filled one.
func exploreAll(r rules) (states int, violation string) {
	for _, start := range []world{
		{source: 1, activeReaders: 2, activeWriters: 2},
		{source: 1, activeReaders: 2, activeWriters: 2, stored: 1},
		{source: 1, activeReaders: 3, activeWriters: 1},
		{source: 1, activeReaders: 3, activeWriters: 1, stored: 1},
	} {
		m := model{rules: r, seen: map[world]bool{}}
		violation = m.explore(start)
		states += len(m.seen)
		if violation != "" {
			break
		}
	}
	return states, violation
}

const (
	modelReaders = 3
	modelWriters = 2
)

// world is a state of the model: one key, its source, its store, and who is at
// work. Versions count from 1; 0 is nothing.
type world struct {
	activeReaders, activeWriters int8
	source, stored, floor        int8 // floor: the version that an invalidation which returned has announced

	readers [modelReaders]modelReader
	writers [modelWriters]modelWriter
	flights [modelReaders]modelFlight // flight i was begun by reader i
}

type modelReader struct {
	step   int8 // 0: before, 1: missed, 2: waits, 3: done
	floor  int8 // what the floor was when it began
	flight int8
}

type modelWriter struct {
	step    int8 // 0: before, 1: written, 2: epochs ended, 3: deleted, 4: returned
	version int8
	await   [modelReaders]bool // the flights to wait for
}

const (
	begun int8 = iota + 1
	found      // an entry in the store
	loaded
	filling
	landed
)

type modelFlight struct {
	step  int8 // one of the below; 0: none
	value int8
	fence fence
}

type model struct {
	rules rules
	seen  map[world]bool
}

// explore visits all states that can follow w, and returns a violation if there
// is one.
func (m *model) explore(w world) string {
	if m.seen[w] {
		return ""
	}
	m.seen[w] = true
	if w.stored != 0 && w.stored < w.floor {
		return fmt.Sprintf("G2: version %d is stored after an invalidation announced %d: %+v", w.stored, w.floor, w)
	}
	for i := range int(w.activeReaders) {
		if violation := m.read(w, i); violation != "" {
			return violation
		}
	}
	for i := range int(w.activeWriters) {
		if violation := m.write(w, i); violation != "" {
			return violation
		}
	}
	for i := range w.flights {
		if violation := m.fly(w, i); violation != "" {
			return violation
		}
	}
	return ""
}

func (m *model) read(w world, i int) string {
	r := &w.readers[i]
	switch r.step {
	case 0: // begins, and asks the store
		r.floor = w.floor
		if r.step = 1; w.stored != 0 {
			return m.take(w, i, w.stored)
		}
	case 1: // joins a flight, or begins one
		r.step, r.flight = 2, int8(i)
		for j, f := range w.flights {
			if f.step != 0 && f.step != landed && m.rules.mayJoin(f.fence) {
				r.flight = int8(j)
			}
		}
		if r.flight == int8(i) {
			w.flights[i] = modelFlight{step: begun}
		}
	case 2: // waits
		f := w.flights[r.flight]
		if f.step != landed {
			return ""
		}
		return m.take(w, i, f.value)
	default:
		return ""
	}
	return m.explore(w)
}

func (m *model) take(w world, i int, value int8) string {
	if value < w.readers[i].floor {
		return fmt.Sprintf("G1: reader %d got version %d, but %d was announced before it began: %+v", i, value, w.readers[i].floor, w)
	}
	w.readers[i].step = 3
	return m.explore(w)
}

func (m *model) write(w world, i int) string {
	p := &w.writers[i]
	switch p.step {
	case 0:
		w.source++
		p.version = w.source
	case 1:
		if m.rules.endBefore {
			p.await = w.endEpochs()
		}
	case 2:
		for j, await := range p.await {
			if m.rules.await && await && w.flights[j].fence.phase == phaseFilling {
				return ""
			}
		}
		w.stored = 0
	case 3:
		if m.rules.endAfter {
			w.endEpochs()
		}
		w.floor = max(w.floor, p.version)
	default:
		return ""
	}
	p.step++
	return m.explore(w)
}

func (w *world) endEpochs() (await [modelReaders]bool) {
	for j := range w.flights {
		if f := &w.flights[j]; f.step != 0 && f.step != landed {
			f.fence, await[j] = f.fence.end()
		}
	}
	return await
}

func (m *model) fly(w world, i int) string {
	f := &w.flights[i]
	switch f.step {
	case begun: // finds an entry in the store, or loads
		if w.stored != 0 {
			other := w
			other.flights[i].step, other.flights[i].value = found, w.stored
			if violation := m.explore(other); violation != "" {
				return violation
			}
		}
		f.step, f.value = loaded, w.source
	case loaded: // may it store?
		next, store := m.rules.fill(f.fence)
		f.step, f.fence = filling, next
		if !store {
			f.step = found
		}
	case filling: // the store keeps it, and the flight lands
		w.stored = f.value
		f.step, f.fence = landed, f.fence.close()
	case found: // lands
		f.step, f.fence = landed, f.fence.close()
	default:
		return ""
	}
	return m.explore(w)
}
