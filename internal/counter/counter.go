// Package counter has a counter for hot paths.
package counter

import (
	"math/rand/v2"
	"sync/atomic"
	"unsafe"
)

const (
	cells    = 64 // more than goroutines run at once, on most machines
	slotBits = 9
	line     = 128 // two cache lines: processors fetch them in pairs
)

// Counter counts on several cache lines, so that goroutines that count at the
// same time seldom write to the same one. Its zero value is ready, and it is
// safe for concurrent use.
//
// Where the stack of a goroutine is decides on its slot: that costs next to nothing
// and stays the same from call to call. The slot says on which cell it counts, so that
// its line stays in the cache of one processor. Who meets somebody else on a cell gives
// the slot another one (as Striped64 of java.util.concurrent does with its threads).
// Nothing depends on slots and cells but speed.
type Counter struct {
	slots [1 << slotBits]atomic.Uint32 // read all the time, and seldom written
	cells [cells]struct {
		_ [line - 8]byte
		n atomic.Int64
	}
	_ [line - 8]byte // whatever comes next is read by others
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

// move adds n on another cell, which becomes that of slot.
func (c *Counter) move(slot *atomic.Uint32, n int64) {
	cell := rand.Uint32N(cells)
	slot.Store(cell)
	c.cells[cell].n.Add(n)
}

// Load returns the sum. While others add, it is a value that the counter had, or
// would have had if their additions had come in another order.
func (c *Counter) Load() int64 {
	var sum int64
	for i := range c.cells {
		sum += c.cells[i].n.Load()
	}
	return sum
}
