package memory

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// readCounter counts hits and misses without making readers wait for each
// other: goroutines count on different cache lines, mostly.
type readCounter struct {
	stripes []stripe
	shift   uint // of the product in stripe
}

type stripe struct {
	hit, miss atomic.Int64
	_         [112]byte // two cache lines: processors fetch them in pairs
}

func newReadCounter() *readCounter {
	// Several times as many as run at once, so that few share one.
	n := bits.Len(uint(8*min(max(runtime.GOMAXPROCS(0), 8), 128) - 1))
	return &readCounter{stripes: make([]stripe, 1<<n), shift: uint(64 - n)}
}

// stripe chooses by where the stack of the goroutine is. That costs next to
// nothing, stays the same from call to call, so that the line stays in the cache
// of one processor, and differs between goroutines. Nothing depends on it but
// speed.
func (c *readCounter) stripe() *stripe {
	var local byte
	const golden = 0x9e3779b97f4a7c15 // spreads the address over the upper bits
	stack := uint64(uintptr(unsafe.Pointer(&local))) >> 11
	return &c.stripes[stack*golden>>c.shift]
}

func (c *readCounter) hit() { c.stripe().hit.Add(1) }

func (c *readCounter) hits(n int) {
	if n > 0 {
		c.stripe().hit.Add(int64(n))
	}
}

func (c *readCounter) misses(n int) {
	if n > 0 {
		c.stripe().miss.Add(int64(n))
	}
}

// totals returns the counts. What is counted meanwhile may be missing.
func (c *readCounter) totals() (hits, misses int64) {
	for i := range c.stripes {
		hits += c.stripes[i].hit.Load()
		misses += c.stripes[i].miss.Load()
	}
	return hits, misses
}
