package counter_test

import (
	"sync"
	"testing"

	"github.com/readthrough/readthrough/internal/counter"
)

func TestCounter(t *testing.T) {
	var c counter.Counter
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				c.Add(3)
				c.Add(-1)
			}
		})
	}
	group.Wait()
	if got := c.Load(); got != 16_000 {
		t.Fatalf("Load() = %d, want 16000", got)
	}
}
