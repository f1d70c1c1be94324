// Package counter has a counter for hot paths.
package counter

import (
	"math/rand/v2"
	"sync/atomic"
)

const (
	cells     = 8 // a power of two
	cacheLine = 64
)

// Counter counts on several cache lines, so that goroutines that count at the
// same time seldom write to the same one. Its zero value is ready, and it is
// safe for concurrent use.
type Counter struct {
	cells [cells]struct {
		n atomic.Int64
		_ [cacheLine - 8]byte
	}
}

// Add adds n.
func (c *Counter) Add(n int64) {
	c.cells[rand.Uint32()&(cells-1)].n.Add(n)
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
