package simulation_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/readthrough/readthrough"
)

// The workload of the outage: 100 keys, read equally often, whose source fails for
// 30 s.
const (
	outageKeys   = 100
	outageRate   = 1000
	outageBegins = 10 * time.Second
	outageEnds   = 40 * time.Second
	outageLength = 60 * time.Second
)

func outageStrategies() []strategy {
	return []strategy{
		{name: "plain expiry"},
		{name: "ErrorTTL 1 s", options: readthrough.ScopeOptions{ErrorTTL: time.Second}},
		{name: "StaleIfError 1 min", options: readthrough.ScopeOptions{StaleIfError: time.Minute}},
	}
}

// survived is what an outage came to.
type survived struct {
	strategy

	bySecond      []int64       // the tries against the source
	tries         int64         // during the outage
	failed, stale int           // of all reads
	over          time.Duration // after the end of the outage, the last read that failed or was stale
}

// survive runs a strategy through the outage.
func survive(t *testing.T, s strategy, seed uint64) survived {
	t.Helper()
	result := survived{strategy: s}
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 1))
		coming := arrivals(random, outageRate, outageLength, func() int { return random.IntN(outageKeys) })
		source := newSource(seed, outageKeys, outageLength)
		source.down = func(at time.Duration) bool { return at >= outageBegins && at < outageEnds }
		const good, stale, failed = 0, 1, 2
		came := make([]int, len(coming))
		play(t, s.options, source, coming, func(i int, got readthrough.Result[time.Time], err error, _ time.Duration) {
			switch {
			case err != nil:
				came[i] = failed
			case got.Source == readthrough.FromStale:
				came[i] = stale
			}
		})
		for i, a := range coming {
			switch came[i] {
			case good:
				continue
			case stale:
				result.stale++
			case failed:
				result.failed++
			}
			result.over = max(result.over, a.at-outageEnds)
		}
		for second := range source.bySecond[:outageLength/time.Second] {
			result.bySecond = append(result.bySecond, source.bySecond[second].Load())
		}
		result.tries = source.begun(outageBegins, outageEnds)
	})
	return result
}
