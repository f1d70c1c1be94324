// Package simulation_test runs the options of a scope that keep serving against
// random workloads, in virtual time, and writes what it measures into
// docs/serving.md:
//
//	go test ./simulation -seed 1 -write
//
// Without -write it checks that what is said there holds, and with the seed of the
// document that its numbers are those of this run. With -short the serving
// simulation is shorter, and no number is compared.
package simulation_test

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var (
	seed  = flag.Uint64("seed", documented, "the seed of the workload")
	write = flag.Bool("write", false, "write the results into docs/serving.md and docs/plots")
)

// documented is the seed of the document.
const documented = 1

// TestServing measures loads, waits and stale values.
func TestServing(t *testing.T) {
	length := 30 * time.Second
	if testing.Short() && !*write {
		length = 5 * time.Second
	}
	t.Logf("seed %d, %v", *seed, length)
	var results []served
	draws := 0
	for _, s := range strategies() {
		results = append(results, serve(t, s, *seed, length))
		if s.draws {
			draws++
		}
	}
	table := servedTable(results)
	t.Logf("\n%s", table)
	checkServing(t, results)
	if testing.Short() && !*write {
		return
	}
	publishTable(t, "serving", table)
	publishPlot(t, "waits", waitsPlot(results), draws)
	publishPlot(t, "trade", tradePlot(results), 4*draws) // two bars with their values
}

// checkServing fails unless what docs/serving.md says about the results holds.
func checkServing(t *testing.T, results []served) {
	t.Helper()
	by := make(map[string]*served)
	for i := range results {
		by[results[i].name] = &results[i]
	}
	claim := func(holds bool, what string) {
		t.Helper()
		assert.True(t, holds, "this does not hold: "+what)
	}
	plain, revalidating := by["plain expiry"], by["StaleWhileRevalidate"]
	claim(plain.wait(0.99) >= shortestLoad, "with plain expiry, the 99th percentile is a load")
	claim(plain.part(isHot, waiting) > 0, "with plain expiry, reads of hot keys wait")

	claim(revalidating.wait(0.999) == 0, "with StaleWhileRevalidate, not one read in a thousand waits")
	claim(revalidating.part(isHot, waiting) == 0, "with StaleWhileRevalidate, no read of a hot key waits")
	claim(revalidating.loads <= plain.loads, "StaleWhileRevalidate costs no loads")
	claim(revalidating.part(all, read.stale) > 0, "StaleWhileRevalidate serves stale values")

	soft := by["StaleIfError, SoftLoadTimeout"]
	claim(soft.wait(0.999) == softTimeout, "SoftLoadTimeout bounds the wait of those for whom there is a value")
	claim(soft.wait(1) > softTimeout, "SoftLoadTimeout does not bound the wait of those for whom there is none")

	ahead := by["RefreshAheadFactor 0.8"]
	claim(ahead.part(isHot, waiting) == 0, "with RefreshAheadFactor, no read of a hot key waits")
	claim(ahead.wait(0.99) >= shortestLoad, "RefreshAheadFactor does not help keys that are read rarely")

	last := plain
	for _, name := range []string{"XFetchBeta 1", "XFetchBeta 3", "XFetchBeta 10"} {
		xfetch := by[name]
		claim(xfetch.part(isHot, waiting) < last.part(isHot, waiting), name+": fewer reads of hot keys wait than with less")
		claim(xfetch.loads > last.loads, name+" costs more loads than less")
		last = xfetch
	}
	for _, s := range []*served{plain, ahead, by["XFetchBeta 1"], by["XFetchBeta 3"], by["XFetchBeta 10"]} {
		claim(s.part(all, read.stale) == 0, s.name+": nothing is stale")
	}

	both := by["RefreshAheadFactor 0.8, StaleWhileRevalidate"]
	claim(both.wait(0.999) == 0 && both.part(isHot, waiting) == 0, "with both, not one read in a thousand waits, and none of a hot key")
	claim(both.part(isHot, read.stale) == 0, "with both, nothing is stale that is read often")
	claim(both.part(all, read.stale) < revalidating.part(all, read.stale), "with both, less is stale than with StaleWhileRevalidate alone")
}

// TestOutage measures what a source sees that fails.
func TestOutage(t *testing.T) {
	t.Logf("seed %d", *seed)
	var results []survived
	for _, s := range outageStrategies() {
		results = append(results, survive(t, s, *seed))
	}
	table := survivedTable(results)
	t.Logf("\n%s", table)
	plain, keeping, serving := results[0], results[1], results[2]
	// After each failure twice as long as before: at 0, 1, 3, 7 and 15 s; the next at 31.
	limit := int64(5 * outageKeys)
	assert.LessOrEqual(t, keeping.tries, limit, "tries of the source with ErrorTTL")
	assert.LessOrEqual(t, serving.tries, limit, "tries of the source with StaleIfError")
	assert.GreaterOrEqual(t, plain.tries, 20*keeping.tries, "tries of the source without ErrorTTL: 20 times as many as with it")
	assert.NotZero(t, plain.failed, "reads that failed with plain expiry")
	assert.NotZero(t, keeping.failed, "reads that failed with ErrorTTL")
	assert.Zero(t, serving.failed, "reads that failed with StaleIfError")
	assert.NotZero(t, serving.stale, "stale values that StaleIfError served")
	publishTable(t, "outage", table)
	publishPlot(t, "outage", outagePlot(results), 0)
}
