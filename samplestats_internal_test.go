package readthrough

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestSamplesAreSpread: one hit in so many is sampled, whatever step the counter has, and of a loop every key.
func TestSamplesAreSpread(t *testing.T) {
	const oneIn, loops = 100, 1000
	s := newSampleStats(oneIn)
	for _, step := range []int64{1, 2, 3, 10, 64, 100, 1000} {
		sampled := 0
		for i := range int64(oneIn * loops) {
			if s.picks((i + 1) * step) {
				sampled++
			}
		}
		assert.InDelta(t, loops, sampled, loops/20, "step %d", step)
	}
	for _, keys := range []int64{2, 3, 7, 10, 100, 128} {
		of := make(map[int64]int)
		for i := range keys * oneIn * loops / 10 {
			if s.picks(i + 1) {
				of[i%keys]++
			}
		}
		assert.Len(t, of, int(keys), "a loop over %d keys", keys)
		for key, n := range of {
			assert.InDelta(t, loops/10, n, loops/20, "key %d of %d", key, keys)
		}
	}
}
