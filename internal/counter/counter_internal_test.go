package counter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who has met somebody else on a cell counts on others from then on.
func TestMove(t *testing.T) {
	var c Counter
	slot := &c.slots[0]
	used := make(map[uint32]bool)
	for range 100 {
		c.move(slot, 2)
		used[slot.Load()] = true
		n := c.cells[slot.Load()].n.Load()
		require.NotZero(t, n, "what the cell of the slot has counted")
		require.Zero(t, n%2, "what the cell of the slot has counted")
	}
	assert.GreaterOrEqual(t, len(used), 2, "the slot has kept its cell")
	assert.Equal(t, int64(200), c.Load(), "Load()")
}
