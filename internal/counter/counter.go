// Package counter has a counter for hot paths.
package counter

import (
	"sync/atomic"
	"unsafe"
)

const (
	cellBits = 5
	cells    = 1 << cellBits
	line     = 128 // two cache lines: processors fetch them in pairs
)

// Counter counts on several cache lines, so that goroutines that count at the
// same time seldom write to the same one. Its zero value is ready, and it is
// safe for concurrent use.
type Counter struct {
	cells [cells]struct {
		n atomic.Int64
		_ [line - 8]byte
	}
}

// Add adds n.
//
// It chooses the cell by where the stack of the goroutine is, which stays the same
// from call to call, so that the line stays in the cache of one processor. With a
// cell at random, most calls would have to fetch a line that another processor has
// written last, however many cells there are. Nothing depends on the choice but
// speed.
func (c *Counter) Add(n int64) {
	var local byte
	const golden = 0x9e3779b97f4a7c15 // spreads the address over the upper bits
	stack := uint64(uintptr(unsafe.Pointer(&local))) >> 11
	c.cells[stack*golden>>(64-cellBits)].n.Add(n)
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
