package redisprovider_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
)

// A slotWorld is a cluster and the processes that share it.
type slotWorld struct {
	*world
	*redistest.Cluster
}

// A slotCase is a scope with one bucket, whose slot moves.
type slotCase struct {
	w     *slotWorld
	t     *testing.T
	scope string
	a, b  *proc
	nodes *nodeWires // of a
	move  *slotMove
	names []string // of values
}

// nodeWires are the wires between a process and each node.
type nodeWires struct {
	mu    sync.Mutex // guards following
	wires map[string]*wire
}

func (n *nodeWires) to(s *redistest.Server) *wire {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wires[s.Addr()] == nil {
		n.wires[s.Addr()] = &wire{}
	}
	return n.wires[s.Addr()]
}

func (w *slotWorld) proc(t *testing.T, scope string) (*proc, *nodeWires) {
	t.Helper()
	o := newProcOptions(nil)
	o.name, o.store.Buckets = scope, 1
	client := newClusterClient(t, w.Cluster)
	nodes := &nodeWires{wires: make(map[string]*wire)}
	addrs := make(map[string]*redistest.Server)
	for _, node := range w.Nodes {
		addrs[node.Addr()] = node
	}
	client.OnNewNode(func(node *redis.Client) { node.AddHook(nodes.to(addrs[node.Options().Addr])) })
	return newProc(t, client, o), nodes
}

// begin stores the value v1 under names, and completes the index.
func (w *slotWorld) begin(t *testing.T, scope string) *slotCase {
	t.Helper()
	c := &slotCase{w: w, t: t, scope: scope}
	c.a, c.nodes = w.proc(t, scope)
	c.b, _ = w.proc(t, scope)
	for i := range 6 {
		c.names = append(c.names, fmt.Sprintf("%s:%d", scope, i))
	}
	c.write("v1")
	for _, name := range c.names {
		c.b.wantRead(w.world, "the first reader", name, "v1")
	}
	c.a.invalidatePrefix("no key")
	c.move = newSlotMove(w.Cluster, c.index())
	return c
}

func (c *slotCase) index() string { return c.a.store.IndexOf(c.key("")) }

func (c *slotCase) key(name string) provider.Key { return provider.Key{Scope: c.scope, Name: name} }

// write changes the source of all names.
func (c *slotCase) write(value string) {
	for _, name := range c.names {
		c.w.write(name, value)
	}
}

// moveValues moves the values of names.
func (c *slotCase) moveValues(names ...string) {
	c.t.Helper()
	for _, name := range names {
		c.move.move(c.a.store.KeyOf(c.key(name)))
	}
}

// finish lets the slot arrive, and then whatever is pending.
func (c *slotCase) finish() {
	c.t.Helper()
	c.move.moveAll()
	c.move.end()
	c.a.waitSettled()
}

// wantNew checks that everybody reads the new values.
func (c *slotCase) wantNew(when string) {
	c.t.Helper()
	for _, name := range c.names {
		c.a.wantRead(c.w.world, "a reader of the same process, "+when+",", name, "v2")
		c.b.wantRead(c.w.world, "another process, "+when+",", name, "v2")
	}
}

// invalidate changes the source and invalidates the prefix, while the slot moves.
// If that cannot be confirmed, it has to say so, and others read the new values
// only when the slot has arrived.
func (c *slotCase) invalidate() {
	c.t.Helper()
	c.write("v2")
	_, err := c.a.InvalidatePrefix(c.t.Context(), c.scope)
	if err == nil {
		c.wantNew("while the slot moves")
	} else {
		wantPending(c.t, err)
	}
	c.finish()
	c.wantNew("afterwards")
}

// TestHole13MovingSlot is row 13: a slot moves from one node of a cluster to
// another, key by key, while a prefix is invalidated, or the index rebuilt.
func TestHole13MovingSlot(t *testing.T) { //nolint:tparallel // the cases share the cluster
	t.Parallel()
	w := &slotWorld{world: &world{t: t, values: make(map[string]string)}, Cluster: redistest.StartCluster(t, redistest.Options{})}
	for name, run := range map[string]func(t *testing.T, c *slotCase){
		"nothing-has-moved":    func(_ *testing.T, c *slotCase) { c.move.begin(); c.invalidate() },
		"index-has-moved":      indexHasMoved,
		"values-have-moved":    valuesHaveMoved,
		"half-has-moved":       halfHasMoved,
		"everything-has-moved": everythingHasMoved,
		"lease-stays-behind":   leaseStaysBehind,
		"lease-has-moved":      leaseHasMoved,
		"trimming":             fillsWhileMoving,
		"single-keys":          singleKeysWhileMoving,
		"moves-during-rebuild": movesDuringRebuild,
		"moving-at-rebuild":    movingAtRebuild,
	} {
		t.Run(name, func(t *testing.T) {
			scoped := &slotWorld{world: &world{t: t, values: make(map[string]string)}, Cluster: w.Cluster}
			run(t, scoped.begin(t, name))
		})
	}
}

func indexHasMoved(_ *testing.T, c *slotCase) {
	c.move.begin()
	c.move.move(c.index())
	c.invalidate()
}

func valuesHaveMoved(_ *testing.T, c *slotCase) {
	c.move.begin()
	c.moveValues(c.names...)
	c.invalidate()
}

func halfHasMoved(_ *testing.T, c *slotCase) {
	c.move.begin()
	c.move.move(c.index())
	c.moveValues(c.names[:3]...)
	c.invalidate()
}

func everythingHasMoved(_ *testing.T, c *slotCase) {
	c.move.begin()
	c.move.moveAll()
	c.invalidate()
}

// leased begins a load that has the lease of one more name and has read v1. It
// returns what to do when it shall end.
func (c *slotCase) leased(t *testing.T, name string) (end func()) {
	t.Helper()
	c.w.write(name, "v1")
	g := newGate(t)
	slow := c.b.begin(name, c.w.loadSlowly(name, g))
	g.wait()
	return func() {
		g.open()
		await(t, slow)
	}
}

func leaseStaysBehind(t *testing.T, c *slotCase) {
	t.Helper()
	name := c.scope + ":leased"
	end := c.leased(t, name)
	c.move.begin()
	c.move.move(c.index())
	c.names = append(c.names, name)
	c.write("v2")
	_, err := c.a.InvalidatePrefix(t.Context(), c.scope)
	if err != nil {
		wantPending(t, err)
	}
	c.finish()
	end()
	c.wantNew("afterwards")
}

func leaseHasMoved(t *testing.T, c *slotCase) {
	t.Helper()
	name := c.scope + ":leased"
	end := c.leased(t, name)
	c.move.begin()
	c.moveValues(name)
	c.names = append(c.names, name)
	c.write("v2")
	_, err := c.a.InvalidatePrefix(t.Context(), c.scope)
	if err != nil {
		wantPending(t, err)
	}
	end()
	c.finish()
	c.wantNew("afterwards")
}

// fillsWhileMoving ends loads on the new node, whose fills look at other members
// of the index: those that are still on the old one must stay listed.
func fillsWhileMoving(t *testing.T, c *slotCase) {
	t.Helper()
	var leased []string
	var ends []func()
	for i := range 5 {
		name := fmt.Sprint("leased:", i)
		leased, ends = append(leased, name), append(ends, c.leased(t, name))
	}
	c.move.begin()
	c.move.move(c.index())
	c.moveValues(leased...)
	for _, end := range ends {
		end()
	}
	c.move.moveAll()
	c.move.end()
	c.invalidate()
}

// singleKeysWhileMoving invalidates keys on either node, and one by one.
func singleKeysWhileMoving(t *testing.T, c *slotCase) {
	t.Helper()
	c.move.begin()
	c.moveValues(c.names[:3]...)
	c.write("v2")
	c.a.invalidate(c.names[0])
	c.a.invalidate(c.names[5])
	_, err := c.a.InvalidateTargets(t.Context(), readthrough.Targets{Keys: c.names[1:5]})
	assert.NoError(t, err)
	c.wantNew("while the slot moves")
	c.finish()
	c.wantNew("afterwards")
}

// movesDuringRebuild has the slot move, all at once, from a node that the scan has
// not come to, to one that it has left behind.
func movesDuringRebuild(t *testing.T, c *slotCase) {
	t.Helper()
	c.move.from.Do("DEL", c.index())
	before := c.nodes.to(c.move.from).stop(t, opScan, false)
	behind := c.nodes.to(c.move.to).stop(t, opScan, true)
	behind.open()
	c.write("v2")
	invalidated := make(chan answer, 1)
	go func() {
		_, err := c.a.InvalidatePrefix(t.Context(), c.scope)
		invalidated <- answer{err: err}
	}()
	before.wait()
	behind.wait()
	c.move.begin()
	c.move.moveAll()
	c.move.end()
	before.open()
	if err := await(t, invalidated).err; err != nil {
		wantPending(t, err)
		c.a.waitSettled()
	}
	c.wantNew("afterwards")
}

// movingAtRebuild is movesDuringRebuild for a slot that begins to move before the
// scan, and is still moving after it.
func movingAtRebuild(t *testing.T, c *slotCase) {
	t.Helper()
	c.move.from.Do("DEL", c.index())
	c.move.begin()
	before := c.nodes.to(c.move.from).stop(t, opScan, false)
	behind := c.nodes.to(c.move.to).stop(t, opScan, true)
	behind.open()
	c.write("v2")
	invalidated := make(chan answer, 1)
	go func() {
		_, err := c.a.InvalidatePrefix(t.Context(), c.scope)
		invalidated <- answer{err: err}
	}()
	select {
	case <-before.reached:
		<-behind.reached
		c.moveValues(c.names...)
		before.open()
		if err := await(t, invalidated).err; err != nil {
			wantPending(t, err)
		}
	case a := <-invalidated: // it does not scan what moves
		wantPending(t, a.err)
		before.open()
	}
	c.finish()
	c.wantNew("afterwards")
}
