// Package counter has a counter for hot paths.
package counter

import (
	"math/rand/v2"
	"sync/atomic"
	"unsafe"
)

const (
	cells    = 64 // usually more than goroutines run at the same time
	slotBits = 9
	line     = 128 // two cache lines: processors fetch them in pairs
)

// Counter counts on several cache lines, so that goroutines that count at the same time
// rarely write to the same line. The zero value is ready to use. It is safe for
// concurrent use.
//
// The address of a goroutine's stack selects its slot: that costs almost nothing and is
// stable from call to call. The slot holds the number of the cell to count on, so the
// line of that cell stays in the cache of one processor. When two goroutines collide on
// a cell, one of them moves its slot to another cell, as Striped64 of
// java.util.concurrent does with its threads. Slots and cells only affect speed: the
// sum is right wherever a goroutine counts.
type Counter struct {
	slots [1 << slotBits]atomic.Uint32 // read by every Add, rarely written
	cells [cells]struct {
		_ [line - 8]byte
		n atomic.Int64
	}
	_ [line - 8]byte // keeps the field that follows a Counter on other lines
}

// Add adds n.
func (c *Counter) Add(n int64) {
	var local byte
	const golden = 0x9e3779b97f4a7c15 // spreads the address over the upper bits
	stack := uint64(uintptr(unsafe.Pointer(&local))) >> 11
	slot := &c.slots[stack*golden>>(64-slotBits)]
	cell := &c.cells[slot.Load()%cells].n
	if old := cell.Load(); !cell.CompareAndSwap(old, old+n) {
		c.move(slot, n)
	}
}

// move adds n to a random cell, which becomes the cell of slot.
func (c *Counter) move(slot *atomic.Uint32, n int64) {
	cell := rand.Uint32N(cells)
	slot.Store(cell)
	c.cells[cell].n.Add(n)
}

// Load returns the sum. While other goroutines add, the result is a value that the
// counter had, or would have had if their additions had come in another order.
func (c *Counter) Load() int64 {
	var sum int64
	for i := range c.cells {
		sum += c.cells[i].n.Load()
	}
	return sum
}
