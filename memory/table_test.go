package memory

import (
	"math/bits"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/provider"
)

// tableNode returns a node with that name and hash.
func tableNode(name string, hash uint32) *node {
	n := &node{name: name, scope: new(scope)}
	n.word.Store(hash << creditBits)
	return n
}

// tableRun does random things to a table and to its twin, a map. Names with the
// same number have the same hash.
type tableRun struct {
	t      *testing.T
	r      *rand.Rand
	table  *table
	twin   map[string]*node
	hashes []uint32
	walks  []*tableWalk
}

// tableWalk is a walk over a table, with the names that it has to meet still, and
// those that it has met.
type tableWalk struct {
	walk

	due, met map[string]bool
}

func (m *tableRun) change() {
	i := m.r.IntN(6000)
	name, hash := strconv.Itoa(i), m.hashes[i%len(m.hashes)]
	switch old := m.twin[name]; {
	case old == nil:
		m.twin[name] = tableNode(name, hash)
		m.table.add(m.twin[name])
	case m.r.IntN(2) == 0:
		m.twin[name] = tableNode(name, hash)
		m.table.replace(old, m.twin[name])
	default:
		m.table.remove(old)
		delete(m.twin, name)
		for _, w := range m.walks {
			delete(w.due, name)
		}
	}
	require.Same(m.t, m.twin[name], m.table.find(hash, &provider.Key{Name: name}), "find %q", name)
}

// goOn begins a walk, and lets those that there are go on.
func (m *tableRun) goOn() {
	begun := &tableWalk{walk: newWalk(m.table), due: map[string]bool{}, met: map[string]bool{}}
	for name := range m.twin {
		begun.due[name] = true
	}
	m.walks = append(m.walks, begun)
	walks := m.walks
	m.walks = nil
	for _, w := range walks {
		done := w.next(func(n *node) {
			if w.met[n.name] || m.twin[n.name] != n { // not by an assertion: there are millions
				m.t.Fatalf("a walk meets %q again, or what is not there", n.name)
			}
			w.met[n.name] = true
			delete(w.due, n.name)
		})
		if !done {
			m.walks = append(m.walks, w)
		} else {
			require.Empty(m.t, w.due, "a walk over %d buckets of %d missed", w.size, m.table.size.Load())
		}
	}
}

func TestTable(t *testing.T) {
	r := random(t)
	for hashes, changes := range map[int]int{1: 1000, 7: 3000, 6000: 20_000} {
		m := &tableRun{t: t, r: r, table: newTable(), twin: map[string]*node{}, hashes: make([]uint32, hashes)}
		for i := range m.hashes {
			m.hashes[i] = r.Uint32N(1 << hashBits)
		}
		for i := range changes {
			m.change()
			if i%150 == 0 {
				m.goOn()
			}
		}
		assert.Equal(t, len(m.twin), m.table.count, "nodes")
		assert.GreaterOrEqual(t, len(m.twin), changes/10, "nodes")
	}
}

// TestTableAmongReaders: whoever reads finds what is there all the time, while the
// table grows and others come and go around it.
func TestTableAmongReaders(t *testing.T) {
	r := random(t)
	for range 400 {
		table := newTable()
		var stay [8]*node
		for i := range stay {
			stay[i] = tableNode("stay"+strconv.Itoa(i), r.Uint32N(1<<hashBits))
			table.add(stay[i])
		}
		var readers sync.WaitGroup
		quit := make(chan struct{})
		for range 2 {
			readers.Go(func() {
				for {
					select {
					case <-quit:
						return
					default:
					}
					var keys [len(stay)]provider.Key
					var searches [len(stay)]search
					for i, n := range stay {
						keys[i].Name, searches[i].hash = n.name, n.hash()
					}
					table.findSome(searches[:], keys[:])
					for i, n := range stay {
						if table.find(n.hash(), &keys[i]) == nil || searches[i].node == nil {
							t.Errorf("%s with hash %s is not found", n.name, strconv.FormatUint(uint64(bits.Reverse32(n.hash())), 2))
							return
						}
					}
				}
			})
		}
		changeAround(table, r, stay[:])
		close(quit)
		readers.Wait()
		if t.Failed() {
			return
		}
	}
}

// changeAround lets a table grow, and others come, be replaced and go near those
// that stay.
func changeAround(table *table, r *rand.Rand, stay []*node) {
	for i := range 120 {
		hash := stay[i%len(stay)].hash() ^ 1<<r.IntN(hashBits)
		n := tableNode(strconv.Itoa(i), hash)
		table.add(n)
		for range i % 8 {
			again := tableNode(n.name, hash)
			table.replace(n, again)
			table.remove(again)
			n = tableNode(n.name, hash)
			table.add(n)
		}
	}
}

// TestGrowHidesNobody: a reader looks for a node while its chain is cut, without the lock.
func TestGrowHidesNobody(t *testing.T) {
	const rounds = 150_000
	const hash = firstBuckets // the first bucket that grow adds takes its node over
	key := provider.Key{Name: "moved"}
	var current atomic.Pointer[table]
	current.Store(newTable())
	current.Load().add(tableNode(key.Name, hash))
	var missed int
	var stop atomic.Bool
	var reader sync.WaitGroup
	reader.Go(func() {
		for !stop.Load() {
			if current.Load().find(hash, &key) == nil {
				missed++
			}
		}
	})
	for range rounds {
		table := newTable()
		table.add(tableNode(key.Name, hash))
		current.Store(table)
		table.grow()
	}
	stop.Store(true)
	reader.Wait()
	assert.Zero(t, missed, "how often the node was not found while the table grew")
}
