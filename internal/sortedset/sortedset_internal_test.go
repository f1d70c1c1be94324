package sortedset

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var seed = flag.Uint64("sortedset.seed", 0, "the seed of the random tests; 0: any")

// checkInvariants checks what the comment on Set says.
func (t *Set) checkInvariants(tb testing.TB) {
	tb.Helper()
	assert.True(tb, slices.IsSorted(slices.Concat(t.chunks...)), "sorted")
	for c, chunk := range t.chunks {
		assert.NotEmpty(tb, chunk, "a chunk")
		assert.LessOrEqual(tb, len(chunk), most, "a chunk")
		if c > 0 {
			assert.Greater(tb, len(t.chunks[c-1])+len(chunk), most/2, "two neighbors")
		}
	}
}

// TestAgainstMap compares a set, in random sequences, with a map.
func TestAgainstMap(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("run again with -sortedset.seed=%d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 1))
	word := func(letters, length int) string {
		b := make([]byte, rng.IntN(length+1))
		for i := range b {
			b[i] = 'a' + byte(rng.IntN(letters))
		}
		return string(b)
	}
	for _, size := range []struct{ letters, length int }{{2, 3}, {3, 7}, {26, 5}} {
		var set Set
		twin := make(map[string]bool)
		for step := range 20_000 {
			s := word(size.letters, size.length)
			switch n := rng.IntN(1000); {
			case n < 650:
				set.Add(s)
				twin[s] = true
			case n < 990:
				set.Remove(s)
				delete(twin, s)
			default:
				var removed, want []string
				prefix := word(size.letters, 2)
				set.RemovePrefix(prefix, func(s string) { removed = append(removed, s) })
				for s := range twin {
					if strings.HasPrefix(s, prefix) {
						want = append(want, s)
						delete(twin, s)
					}
				}
				slices.Sort(want)
				require.Equal(t, want, removed, "step %d: removed with %q", step, prefix)
			}
			if step%500 == 0 {
				set.checkInvariants(t)
				require.Equal(t, slices.Sorted(maps.Keys(twin)), slices.Concat(set.chunks...), "step %d", step)
			}
		}
		set.RemovePrefix("", func(string) {})
		assert.Empty(t, set.chunks)
	}
}

// TestPrefixAmongMany: to remove the strings with a prefix takes about as long however many others there
// are. Only the fastest of several runs counts: the machine may be busy.
func TestPrefixAmongMany(t *testing.T) {
	takes := func(n int) time.Duration {
		var set Set
		for i := range n {
			set.Add(fmt.Sprintf("key %06d", i))
		}
		least := time.Hour
		for range 100 {
			set.Add("other")
			began := time.Now()
			set.RemovePrefix("other", func(string) {})
			least = min(least, time.Since(began))
		}
		return least
	}
	few, many := takes(100), takes(51_200)
	assert.Less(t, many, 100*few, "512 times as many others; 100 others: %v", few)
}
