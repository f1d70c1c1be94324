// Package counter has a counter for hot paths.
package counter

import (
	"math/rand/v2"
	"sync/atomic"
	"unsafe"
)

const (
	cells     = 64 // usually more than goroutines run at the same time
	slotBits  = 9
	line      = 128  // two cache lines: processors fetch them in pairs
	tolerated = 1000 // collisions of a counter without cells
)

// Counter counts on several cache lines, so that goroutines that count at the same time
// rarely write to the same line. Until goroutines have often met on it, it counts on one
// line: a program may have many counters, most of which are rarely used, and the lines
// are 8 KiB. The zero value is ready to use. It is safe for concurrent use.
//
// The address of a goroutine's stack selects its slot: that costs almost nothing and is
// stable from call to call. The slot holds the number of the cell to count on, so the
// line of that cell stays in the cache of one processor. When two goroutines collide on
// a cell, one of them moves its slot to another cell, as Striped64 of
// java.util.concurrent does with its threads. Slots and cells only affect speed: the
// sum is right wherever a goroutine counts.
type Counter struct {
	_     [line - 8]byte
	first atomic.Int64 // written while there are no cells
	met   atomic.Uint32
	cells atomic.Pointer[[cells]cell] // nil until goroutines have met often; set once
	_     [line - 24]byte             // keeps the field that follows a Counter on other lines
}

// cell is a part of the sum, on a line of its own.
type cell struct {
	_ [line - 8]byte
	n atomic.Int64
}

// slots belong to all counters: they say something about the goroutines. They are read by
// every Add to a counter with cells, and rarely written.
var slots [1 << slotBits]atomic.Uint32 //nolint:gochecknoglobals // affects speed only

// Add adds n. It returns the count of one line. If only one goroutine ever counts, that is the sum. The result costs
// nothing.
func (c *Counter) Add(n int64) int64 {
	all := c.cells.Load()
	if all == nil {
		return c.addFirst(n)
	}
	var local byte
	const golden = 0x9e3779b97f4a7c15 // spreads the address over the upper bits
	stack := uint64(uintptr(unsafe.Pointer(&local))) >> 11
	slot := &slots[stack*golden>>(64-slotBits)]
	cell := &all[slot.Load()%cells].n
	old := cell.Load()
	if !cell.CompareAndSwap(old, old+n) {
		return move(all, slot, n)
	}
	return old + n
}

// addFirst adds n to a counter without cells.
func (c *Counter) addFirst(n int64) int64 {
	old := c.first.Load()
	if !c.first.CompareAndSwap(old, old+n) {
		return c.meet(n)
	}
	return old + n
}

// meet adds n to a counter without cells, when goroutines have met on it. If they meet often, it makes
// cells.
func (c *Counter) meet(n int64) int64 {
	sum := c.first.Add(n)
	if c.met.Add(1) == tolerated {
		c.cells.Store(new([cells]cell))
	}
	return sum
}

// move adds n to a random cell, which becomes the cell of slot.
func move(all *[cells]cell, slot *atomic.Uint32, n int64) int64 {
	i := rand.Uint32N(cells)
	slot.Store(i)
	return all[i].n.Add(n)
}

// Load returns the sum. While other goroutines add, the result is a value that the
// counter had, or would have had if their additions had come in another order.
func (c *Counter) Load() int64 {
	sum := c.first.Load()
	if all := c.cells.Load(); all != nil {
		for i := range all {
			sum += all[i].n.Load()
		}
	}
	return sum
}
