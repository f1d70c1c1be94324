package counter_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/counter"
)

func TestCounter(t *testing.T) {
	var c counter.Counter
	for n := range int64(10) {
		require.Equal(t, 2*n+2, c.Add(2), "what one goroutine has counted")
	}
	require.Equal(t, int64(0), c.Add(-20))
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
