package counter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who has met somebody else on a cell counts on others from then on.
func TestMove(t *testing.T) {
	all, slot := new([cells]cell), &slots[0]
	used := make(map[uint32]bool)
	for range 100 {
		move(all, slot, 2)
		used[slot.Load()] = true
		n := all[slot.Load()].n.Load()
		require.NotZero(t, n, "what the cell of the slot has counted")
		require.Zero(t, n%2, "what the cell of the slot has counted")
	}
	assert.GreaterOrEqual(t, len(used), 2, "the slot has kept its cell")
	var c Counter
	c.cells.Store(all)
	assert.Equal(t, int64(200), c.Load(), "Load()")
}

// A counter is small until goroutines have often met on it, and then counts on cells.
func TestCells(t *testing.T) {
	var c Counter
	for range 10_000 {
		c.Add(1)
	}
	require.Nil(t, c.cells.Load(), "cells of a counter on which nobody has met")
	for range tolerated - 1 {
		c.meet(2)
	}
	require.Nil(t, c.cells.Load(), "cells of a counter on which few have met")
	c.meet(2)
	require.NotNil(t, c.cells.Load(), "cells of a counter on which many have met")
	require.Equal(t, int64(10_000+2*tolerated), c.Load(), "Load()")
	c.Add(3)
	require.Equal(t, int64(10_000+2*tolerated), c.first.Load(), "what is counted on no cell")
	require.Equal(t, int64(10_000+2*tolerated+3), c.Load(), "Load()")
}
