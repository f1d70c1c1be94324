package main

import (
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSoak checks that a step that fails fails the soak, and is printed as a whole;
// and so does one that says nothing of what it did.
func TestSoak(t *testing.T) {
	totals := []total{{of: "reads", pattern: `^(\d+) reads`}, {of: "lines", pattern: `^`}}
	good := step{"good", totals, []string{"printf", `1000 reads\n234 reads\nfour`}}
	bad := step{"bad", totals, []string{"sh", "-c", "echo three; echo 1 reads; exit 7"}}
	idle := step{"idle", totals, []string{"echo", "none"}}
	slow := step{"slow", totals, []string{"echo", "1 reads\nproves too little on this machine now: no hits"}}
	long := step{"long", totals, []string{"sh", "-c", "echo ${READTHROUGH_PROOFS}00 reads"}}
	for _, tt := range []struct {
		steps []step
		want  bool
		says  string
	}{
		{[]step{good}, true, "| good | 1,234 reads, 3 lines | ok | 0s |\n"},
		{[]step{good, bad, good}, false, "\nthree\n1 reads\nbad: 1 reads, 3 lines; exit status 7; 0s\n"},
		{[]step{slow}, false, "| slow | 1 reads, 3 lines | a test was skipped that proves too little | 0s |\n"},
		{[]step{long}, true, "| long | 100 reads, 2 lines | ok | 0s |\n"},
		{[]step{idle}, false, "| idle | 0 reads, 2 lines | no reads | 0s |\n"},
	} {
		var out strings.Builder
		assert.Equal(t, tt.want, soak(t.Context(), log.New(&out, "", 0), 42, tt.steps), "%s", &out)
		assert.Contains(t, out.String(), tt.says)
		assert.NotContains(t, out.String(), "\nfour", "what a step says is printed, though it has not failed:\n%s", &out)
	}
}

// TestTotals adds up what the steps print.
func TestTotals(t *testing.T) {
	printed := map[string]struct{ output, want string }{
		"model": {
			"configuration        expected result           states   depth  seconds\n" +
				"join                 holds    holds            123456     120     1.20\n" +
				"two, large           holds    holds         1.2e+06      99      3.5\n" +
				"no bound             fails    fails               100      20        0\n3 configurations in 7 s\n",
			"3 configurations, 1,323,556 states",
		},
		"histories": {
			"    fleet_test.go:39: 80601 reads, 4276 writes, 33 values confirmed\n    fleet_test.go:39: 26975 reads, 1421 writes, 1 values confirmed\n",
			"107,576 reads, 5,697 writes, 2 histories",
		},
		"explorer": {
			"    explore_test.go:752: 17 schedules of up to 13 steps\n    explore_test.go:763: 30242 schedules\n    --- PASS: TestExplore/put (0.1s)\n",
			"30,242 schedules, 1 programs",
		},
		"explorer, on broken stores": {
			"    explore_test.go:810: 15 schedules of up to 25 steps, a\n    --- PASS: TestExploreConvicts/aba (0.1s)\n",
			"15 schedules, 1 stores convicted",
		},
		"chaos": {
			"    chaos_test.go:77: 1216 reads, 15 stored at the end, {Calls:730 Errors:0}\n", "1,216 reads, 730 calls of stores that fail",
		},
		"attacks": {
			"    attacks_test.go:215: 7529 reads (47 failed), 1088 writes (0 pending), 552 attacks\n" +
				"    attacks_test.go:215: 897 reads (10 failed), 130 writes (29 pending), 165 attacks\n",
			"8,426 reads, 1,218 writes, 717 attacks",
		},
		"processes on a server": {
			"    fleet_test.go:287: 3s: 240 stored at the end, 0 of them stale\n" +
				"    fleet_test.go:289: process 0: 50000 reads (0 failed), 1 hits, 2 joined, 3 loads (0 in the background, 0 unmodified), 0 refused fills, 0 served stale; 70 writes (0 puts), 1 confirmed\n" +
				"    fleet_test.go:289: process 1: 60000 reads (0 failed), 1 hits, 2 joined, 3 loads (0 in the background, 0 unmodified), 0 refused fills, 0 served stale; 80 writes (0 puts), 1 confirmed\n",
			"110,000 reads, 150 writes, 1 fleets",
		},
		"a whole dashboard, three processes": {
			"    soak_test.go:80: soak, near \"\": 5000 reads, 40 mutations, 3 of them pending, 900 reads that could have been stale, 0 stale\n" +
				"    soak_test.go:80: soak, near \"strict\": 6000 reads, 50 mutations, 0 of them pending, 100 reads that could have been stale, 0 stale\n",
			"11,000 reads, 90 mutations, 1,000 reads that could have been stale",
		},
		"linearizability":      {"--- PASS: TestLinearizable (1.0s)\n    --- PASS: TestLinearizable/a (1.0s)\n", "1 tests"},
		"mutants":              {"    mutants_test.go:60: 60 mutants\n    mutants_test.go:60: 12 mutants\n", "72 mechanisms taken out"},
		"fuzzing, FuzzOptions": {"fuzz: elapsed: 0s, execs: 10 (3/sec)\nfuzz: elapsed: 3s, execs: 99 (3/sec)\n", "99 executions"},
	}
	for _, s := range steps(1, time.Minute, 1) {
		p, ok := printed[s.name]
		if !ok && strings.HasPrefix(s.name, "fuzzing") {
			continue
		}
		got, err := s.sums(p.output)
		assert.NoError(t, err, s.name)
		assert.Equal(t, p.want, got, s.name)
	}
}

// TestSteps checks that every step gets the seed or needs none.
func TestSteps(t *testing.T) {
	for _, s := range steps(42, time.Minute, 1) {
		command := strings.Join(s.args, " ")
		random := !strings.Contains(command, "check.sh") && !strings.Contains(command, "mutants") && !strings.Contains(command, "-fuzz=")
		assert.Equal(t, random, strings.Contains(command, "seed=42"), "%s: %s", s.name, command)
	}
}

// TestFuzzTargets looks for those of the module.
func TestFuzzTargets(t *testing.T) {
	const root = "../.."
	listed := map[string]bool{}
	for _, target := range fuzzTargets() {
		listed[filepath.Clean(target.pkg)+" "+target.name] = true
	}
	declaration := regexp.MustCompile(`(?m)^func (Fuzz\w*)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return filepath.SkipDir // another module
			}
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		for _, match := range declaration.FindAllSubmatch(source, -1) {
			name := dir + " " + string(match[1])
			assert.True(t, listed[name], "%s is not fuzzed", name)
			delete(listed, name)
		}
		return err
	})
	require.NoError(t, err)
	for name := range listed {
		t.Errorf("there is no %s", name)
	}
}
