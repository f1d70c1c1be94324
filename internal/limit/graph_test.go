package limit_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/limit"
)

var seed = flag.Uint64("limit.seed", 0, "seed of the test of random programs; 0: a random one")

// forever is a patience that outlasts the test.
const forever = 1000 * time.Hour

// load is a load of a scope: a node, and what its load function does.
type load struct {
	limit.Node

	name   string
	slots  *limit.Slots
	waited bool // it has read what others load
	ended  chan struct{}
}

// house is a graph and the loads in it. Its scopes go by name: that of load "a1" is "a".
type house struct {
	limit.Graph

	scopes map[string]*limit.Slots
	loads  map[string]*load

	mu      sync.Mutex           // guards following
	running map[*limit.Slots]int // loads that have a place and have not waited for others
	most    map[*limit.Slots]int // of them at once
}

// newHouse makes scopes with that limit, and loads of them.
func newHouse(most int, names ...string) *house {
	h := &house{
		scopes: make(map[string]*limit.Slots), loads: make(map[string]*load),
		running: make(map[*limit.Slots]int), most: make(map[*limit.Slots]int),
	}
	for _, name := range names {
		scope := name[:1]
		if h.scopes[scope] == nil {
			h.scopes[scope] = &limit.Slots{Limit: most}
		}
		l := &load{name: name, slots: h.scopes[scope], ended: make(chan struct{})}
		l.Init(l.slots)
		h.loads[name] = l
	}
	return h
}

// count counts a load that begins, or that ends or waits for the first time.
func (h *house) count(l *load, by int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[l.slots] += by
	h.most[l.slots] = max(h.most[l.slots], h.running[l.slots])
}

// enter takes a place for l.
func (h *house) enter(l *load) {
	if err := h.Enter(context.Background(), &l.Node); err != nil {
		panic(err)
	}
	h.count(l, 1)
}

// exit ends l.
func (h *house) exit(l *load) {
	if !l.waited {
		h.count(l, -1)
	}
	h.Exit(&l.Node)
	close(l.ended)
}

// read waits, in the load function of l, for others, or until patience is over. It reports whether it
// could.
func (h *house) read(l *load, patience time.Duration, others ...*load) bool {
	nodes := make([]*limit.Node, len(others))
	for i, other := range others {
		nodes[i] = &other.Node
	}
	if !l.waited {
		l.waited = true
		h.count(l, -1)
	}
	if !h.Begin(&l.Node, nodes) {
		return false
	}
	defer h.End(&l.Node, nodes)
	late := time.After(patience)
	for _, other := range others {
		select {
		case <-other.ended:
		case <-late:
			return true
		}
	}
	return true
}

// check fails the test if a load has not ended, something is left over, or too many loads of a scope
// ran at once. A load that has waited for others does not count: the load that runs in its place does.
func (h *house) check(t *testing.T, what string) {
	t.Helper()
	synctest.Wait()
	for _, l := range h.loads {
		select {
		case <-l.ended:
		default:
			require.Fail(t, "it has not ended", "%s: %s", what, l.name)
		}
	}
	for name, slots := range h.scopes {
		require.Empty(t, h.Leftovers(slots), "%s: left over in %s", what, name)
		require.LessOrEqual(t, h.most[slots], slots.Limit, "%s: loads of %s that ran at once", what, name)
	}
}

// permutations calls visit with every order of items.
func permutations(items []string, visit func([]string)) {
	if len(items) == 0 {
		visit(nil)
	}
	for i, item := range items {
		permutations(slices.Delete(slices.Clone(items), i, i+1), func(rest []string) { visit(append([]string{item}, rest...)) })
	}
}

// A load that has the place of one scope reads one that is queued in another, behind one that reads
// one that is queued in the first. In whatever order that comes about, everything ends.
func TestQueuesOfTwoScopes(t *testing.T) {
	permutations([]string{"a1 reads b1", "b1 comes", "b2 reads a2", "a2 comes"}, func(order []string) {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(1, "a1", "a2", "b1", "b2")
			h.enter(h.loads["a1"])
			h.enter(h.loads["b2"])
			for _, event := range order {
				words := strings.Fields(event)
				go func() {
					l := h.loads[words[0]]
					if words[1] == "comes" {
						h.enter(l)
					} else {
						assert.True(t, h.read(l, forever, h.loads[words[2]]), event)
					}
					time.Sleep(time.Second)
					h.exit(l)
				}()
				synctest.Wait()
			}
			time.Sleep(time.Hour)
			h.check(t, strings.Join(order, ", "))
		})
	})
}

// The same with three scopes, and two places in each.
func TestQueuesOfThreeScopes(t *testing.T) {
	names := []string{"a1", "a2", "a3", "a4", "b1", "b2", "b3", "b4", "c1", "c2", "c3", "c4"}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(2, names...)
			next := map[string]string{"a": "b", "b": "c", "c": "a"}
			order := slices.Clone(names)
			rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for _, name := range names { // two of each scope have its places
				if name[1] <= '2' {
					h.enter(h.loads[name])
				}
			}
			for _, name := range order {
				go func() {
					l := h.loads[name]
					if name[1] <= '2' { // a1 reads b3
						assert.True(t, h.read(l, forever, h.loads[next[name[:1]]+string(name[1]+2)]), name)
					} else {
						h.enter(l)
					}
					time.Sleep(time.Second)
					h.exit(l)
				}()
				synctest.Wait()
			}
			time.Sleep(time.Hour)
			h.check(t, strings.Join(order, ", "))
		})
	}
}

// Loads of a few scopes come at random times, take a while, and read others, which come later or were
// there before, one or several at a time. Some do not wait to the end. They all end, and no more of a scope run at once than may.
func TestRandomPrograms(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("run again with -limit.seed=%d", *seed)
	for round := range 3000 {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(*seed, uint64(round))) //nolint:gosec // not negative
			var names []string
			for i := range 4 + rng.IntN(12) {
				names = append(names, fmt.Sprint(string("abc"[rng.IntN(1+round%3)]), i))
			}
			h := newHouse(1+rng.IntN(3), names...)
			for i, name := range names {
				l, comes := h.loads[name], time.Duration(rng.IntN(10))*time.Second
				var reads [][]*load // only of what is later in the list, so that nobody waits for itself
				for range rng.IntN(3) {
					var some []*load
					for _, other := range names[i+1:] {
						if rng.IntN(3) == 0 {
							some = append(some, h.loads[other])
						}
					}
					reads = append(reads, some)
				}
				works, patience := time.Duration(rng.IntN(3))*time.Second, forever
				if rng.IntN(4) == 0 {
					patience = time.Duration(rng.IntN(10)) * time.Second
				}
				go func() {
					time.Sleep(comes)
					h.enter(l)
					for _, some := range reads {
						time.Sleep(works)
						assert.True(t, h.read(l, patience, some...), name)
					}
					time.Sleep(works)
					h.exit(l)
				}()
			}
			time.Sleep(time.Hour)
			h.check(t, fmt.Sprintf("round %d", round))
		})
	}
}

// pass has loads queue for 8 places, and returns how long they take to pass.
func pass(t *testing.T, loads int) time.Duration {
	t.Helper()
	var g limit.Graph
	slots := limit.Slots{Limit: 8}
	nodes := make([]limit.Node, slots.Limit+loads)
	var waiting sync.WaitGroup
	for i := range nodes {
		n := &nodes[i]
		n.Init(&slots)
		if i < slots.Limit {
			require.NoError(t, g.Enter(t.Context(), n))
			continue
		}
		waiting.Go(func() {
			if g.Enter(t.Context(), n) == nil {
				g.Exit(n)
			}
		})
		<-n.Queued()
	}
	began := time.Now()
	for i := range nodes[:slots.Limit] {
		g.Exit(&nodes[i])
	}
	waiting.Wait()
	assert.Empty(t, g.Leftovers(&slots))
	return time.Since(began)
}

// TestLongQueue: where no load reads another, the end of a load does not search the queue. 64 times as many
// loads would take 4096 times as long otherwise. The limit lies far from both, and only the fastest of
// several runs counts: the machine may be busy.
func TestLongQueue(t *testing.T) {
	least := func(loads int) time.Duration {
		took := pass(t, loads)
		for range 4 {
			took = min(took, pass(t, loads))
		}
		return took
	}
	if few, many := least(100), least(6400); many > 1024*few {
		t.Errorf("100 loads take %v, and 6400 loads %v", few, many)
	}
}
