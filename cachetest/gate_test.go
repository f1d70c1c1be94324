package cachetest_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// gate is where everything waits that the stepper schedules: requests and replies
// of the store, the reading of the source, and what callers begin. One step at a
// time passes.
type gate struct {
	mu      sync.Mutex // guards following
	open    bool       // everything passes
	waiting map[string]*step
	counts  map[string]int
}

// step is a point at which somebody waits, and what happens once it passes: until
// everybody waits again.
type step struct {
	id      string
	caller  string
	name    string // of the operation
	what    string // of the point
	process int
	touch   []string // what is shared by processes: keys of the store ("store:a") and of the source ("source:a"); "*": all of its kind
	writes  bool     // it changes what it touches
	begins  bool     // a read may begin
	returns bool     // an invalidation may return

	passes chan loss
}

// loss is what becomes of a request.
type loss uint8

const (
	loseNothing loss = iota
	loseRequest
	loseReply
)

func newGate() *gate { return &gate{waiting: map[string]*step{}, counts: map[string]int{}} }

// callerKey is the context key of the caller's name, which the contexts of loads and
// of the store's calls have too: so that a step has the same name in every schedule.
type callerKey struct{}

func callerOf(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}

// wait waits until the step passes.
func (g *gate) wait(ctx context.Context, s step) loss {
	g.mu.Lock()
	if g.open {
		g.mu.Unlock()
		return loseNothing
	}
	s.caller = callerOf(ctx)
	s.id = fmt.Sprintf("%s: %s(%s) %s", s.caller, s.name, strings.Join(s.touch, ","), s.what)
	g.counts[s.id]++
	s.id = fmt.Sprintf("%s #%d", s.id, g.counts[s.id])
	s.passes = make(chan loss, 1)
	g.waiting[s.id] = &s
	g.mu.Unlock()
	return <-s.passes
}

// enabled returns the steps that wait, in the order of their names.
func (g *gate) enabled() []*step {
	g.mu.Lock()
	defer g.mu.Unlock()
	steps := make([]*step, 0, len(g.waiting))
	for _, id := range slices.Sorted(maps.Keys(g.waiting)) {
		steps = append(steps, g.waiting[id])
	}
	return steps
}

func (g *gate) pass(s *step, l loss) {
	g.mu.Lock()
	delete(g.waiting, s.id)
	g.mu.Unlock()
	s.passes <- l
}

// openUp lets everything pass from now on.
func (g *gate) openUp() {
	g.mu.Lock()
	g.open = true
	waiting := g.waiting
	g.waiting = map[string]*step{}
	g.mu.Unlock()
	for _, s := range waiting {
		s.passes <- loseNothing
	}
}

// shut makes everything wait from now on.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = false
}

// independent reports whether the order of two steps makes no difference, neither
// to what happens afterwards nor to what the guarantees say of it. Steps of one
// process always depend on each other, since they share its cache.
func independent(a, b *step) bool {
	return a.process != b.process && !(a.begins && b.returns) && !(b.begins && a.returns) &&
		(!a.writes && !b.writes || !overlap(a.touch, b.touch))
}

func overlap(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			kindX, keyX, _ := strings.Cut(x, ":")
			kindY, keyY, _ := strings.Cut(y, ":")
			if kindX == kindY && (keyX == keyY || keyX == "*" || keyY == "*") {
				return true
			}
		}
	}
	return false
}
