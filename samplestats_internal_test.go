package readthrough

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestSamplesAreSpread: one hit in so many is sampled, whatever step the counter has, and of a loop all keys are.
func TestSamplesAreSpread(t *testing.T) {
	of := func(oneIn int, seed uint64) *sampleStats {
		s := newSampleStats(oneIn)
		s.seed = seed
		return s
	}
	const hits, seed = 100_000, 0x2545f4914f6cdd1d
	for _, step := range []int64{1, 2, 3, 10, 64, 100, 1000} {
		s, sampled := of(100, seed), 0
		for i := range int64(hits) {
			if s.picks((i + 1) * step) {
				sampled++
			}
		}
		assert.InDelta(t, hits/100, sampled, hits/1000, "step %d", step)
	}
	for _, keys := range []int64{2, 3, 10, 128, 6765, 10946} { // some are Fibonacci numbers, near multiples of the golden ratio
		s, sampled := of(1000, seed), make(map[int64]bool)
		for i := range keys * 10_000 {
			if s.picks(i + 1) {
				sampled[i%keys] = true
			}
		}
		assert.GreaterOrEqual(t, len(sampled), int(keys)*95/100, "keys of a loop over %d that were sampled", keys)
	}
	sampled := 0
	for scope := range uint64(1000) { // of few hits each
		s := of(1000, seed*(scope+1))
		for n := range int64(300) {
			if s.picks(n + 1) {
				sampled++
			}
		}
	}
	assert.InDelta(t, 300, sampled, 60, "samples of scopes with few hits")
	one, other := newSampleStats(10), newSampleStats(10)
	assert.NotEqual(t, one.seed, other.seed, "each scope samples other hits")
}
