package counter_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

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
	require.Equal(t, int64(16_000), c.Load(), "Load()")
}
