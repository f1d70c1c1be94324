package main

import (
	"fmt"
	"time"
)

// step is one command, and the totals to find in its output.
type step struct {
	name   string
	totals []total
	args   []string
}

// steps returns the steps of a soak. The explorer runs for about explore, and so do the
// attacks. Each fuzz
// target runs fuzz executions: a count, because at the end of a time the go command
// of 1.26 may report its own deadline as a failure (https://go.dev/issue/75804).
func steps(seed uint64, explore time.Duration, fuzz int) []step {
	seeded := func(name string) string { return fmt.Sprintf("-%s.seed=%d", name, seed) }
	plainSeed := fmt.Sprintf("-seed=%d", seed)
	test := func(args ...string) []string {
		return append([]string{"go", "test", "-count=1", "-v", "-timeout=2h"}, args...)
	}
	// The explorer has about 40 programs.
	each := max(explore/40, 100*time.Millisecond)
	// The attacks are on two stores, and take as long as the explorer together; so does the dashboard.
	attack := max(explore/2, 100*time.Millisecond)
	all := []step{
		{
			"model",
			[]total{{of: "configurations", pattern: `^(\d+) configurations in`}, {of: "states", pattern: `^.{20} \w+ +(?:holds|fails|happens) +(\S+) +\d+ +\S+$`}},
			[]string{"bash", "docs/model/check.sh"},
		},
		{
			"histories",
			[]total{{of: "reads", pattern: `: (\d+) reads, \d+ writes`}, {of: "writes", pattern: `: \d+ reads, (\d+) writes`}, {of: "histories", pattern: `: \d+ reads, \d+ writes`}},
			test("-run=^(TestHistory|TestFleet)$", ".", seeded("history")),
		},
		{
			"explorer",
			[]total{{of: "schedules", pattern: `: (\d+) schedules$`}, {of: "programs", pattern: `^    --- PASS: TestExplore/`}},
			test("-run=^TestExplore$", "./cachetest", "-explore.depth=2", "-explore.time="+each.String(), seeded("explore")),
		},
		{
			"explorer, on broken stores",
			[]total{{of: "schedules", pattern: `: (\d+) schedules of`}, {of: "stores convicted", pattern: `^    --- PASS: TestExploreConvicts/`}},
			test("-run=^TestExploreConvicts$", "./cachetest", seeded("explore")),
		},
		{
			"chaos",
			[]total{{of: "reads", pattern: `: (\d+) reads, \d+ stored`}, {of: "calls of stores that fail", pattern: `\{Calls:(\d+) `}},
			test("-run=^TestChaosHistory$", "./cachetest", "-chaos.seeds=40", seeded("cachetest")),
		},
		{
			"attacks",
			[]total{{of: "reads", pattern: `: (\d+) reads \(\d+ failed\), \d+ writes`}, {of: "writes", pattern: `: \d+ reads \(\d+ failed\), (\d+) writes`}, {of: "attacks", pattern: `, (\d+) attacks$`}},
			test("-race", "-run=^TestAttacks$", "./internal/coherence", "-attacks.time="+attack.String(), seeded("coherence")),
		},
		{
			"processes on a server",
			[]total{{of: "reads", pattern: `process \d+: (\d+) reads `}, {of: "writes", pattern: `; (\d+) writes \(`}, {of: "fleets", pattern: `: \d+ stored at the end, \d+ of them stale`}},
			test("./internal/coherence", "-coherence.full", seeded("coherence")),
		},
		{
			"a whole dashboard, three processes",
			[]total{{of: "reads", pattern: `soak, near ".*": (\d+) reads`}, {of: "mutations", pattern: `reads, (\d+) mutations`}, {of: "reads that could have been stale", pattern: `, (\d+) reads that could`}},
			test("./examples/dashboard", "-run=^TestSoak$", "-dashboard.soak="+attack.String(), seeded("dashboard")),
		},
		{
			"linearizability",
			[]total{{of: "tests", pattern: `^--- PASS: `}},
			test("-run=^TestLinearizable", "./memory", "./redisprovider", plainSeed),
		},
		{
			"mutants",
			[]total{{of: "mechanisms taken out", pattern: `: (\d+) mutants$`}},
			test("-run=^TestMutants$", "./internal/mutants", "-mutants.guards"),
		},
	}
	for _, target := range fuzzTargets() {
		all = append(all, step{
			"fuzzing, " + target.name,
			[]total{{of: "executions", pattern: `execs: (\d+)`, last: true}},
			[]string{"go", "test", "-run=^$", "-fuzz=^" + target.name + "$", fmt.Sprintf("-fuzztime=%dx", fuzz), target.pkg},
		})
	}
	return all
}

// fuzzTarget is a fuzz function and its package.
type fuzzTarget struct{ pkg, name string }

// fuzzTargets returns all fuzz targets of the module.
func fuzzTargets() []fuzzTarget {
	return []fuzzTarget{
		{".", "FuzzOptions"},
		{".", "FuzzScopeOptions"},
		{"./gobcodec", "FuzzUnmarshal"},
		{"./provider", "FuzzDecodeJSON"},
		{"./redisprovider", "FuzzCutValue"},
		{"./redisprovider", "FuzzDecodeFrame"},
		{"./redisprovider", "FuzzFrameRoundTrip"},
		{"./redisprovider", "FuzzKeys"},
		{"./redisprovider", "FuzzLexRange"},
		{"./redisprovider", "FuzzRemoved"},
		{"./redisprovider", "FuzzScripts"},
		{"./internal/redistest", "FuzzReadCommand"},
		{"./internal/stablekey", "FuzzJSON"},
		{"./internal/stablekey", "FuzzNumbers"},
		{"./internal/stablekey", "FuzzStrings"},
		{"./internal/stablekey", "FuzzTrees"},
		{"./internal/idkey", "FuzzTexts"},
	}
}
