package counter

import "testing"

// Who has met somebody else on a cell counts on others from then on.
func TestMove(t *testing.T) {
	var c Counter
	slot := &c.slots[0]
	used := make(map[uint32]bool)
	for range 100 {
		c.move(slot, 2)
		used[slot.Load()] = true
		if n := c.cells[slot.Load()].n.Load(); n == 0 || n%2 != 0 {
			t.Fatalf("the cell of the slot has counted %d", n)
		}
	}
	if len(used) < 2 {
		t.Error("the slot has kept its cell")
	}
	if got := c.Load(); got != 200 {
		t.Errorf("Load() = %d, want 200", got)
	}
}
