package mutants

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/proofs"
	"github.com/readthrough/readthrough/internal/redistest"
)

// mutant is a mechanism, and how it is taken out.
type mutant struct {
	name       string // of the mechanism
	guarantees string // that rest on it
	file       string // in the package
	// original is a part of file, which has it once: a part of one function, or of
	// one script. replacement takes its place.
	original, replacement string
	// test fails without the mechanism.
	test string
}

// suite are the mutants of a package, and the tests that guard it.
type suite struct {
	name    string
	mutated string // the package, as its directory in the module
	tests   string // the package that has the tests, likewise
	servers bool   // they need redis-server
	// explores says that the tests stop at the first violation; with nothing missing,
	// they are run elsewhere.
	explores bool
	args     []string
	mutants  func() []mutant
}

var suites = []suite{
	{name: "cache", mutated: ".", tests: ".", args: []string{"-history.seed=1", "-pending.seed=1"}, mutants: func() []mutant {
		return slices.Concat(cacheMutants(), servingMutants(), leftMutants(), frontMutants(), sightMutants())
	}},
	{name: "backend", mutated: "internal/backend", tests: ".", mutants: func() []mutant { return slices.Concat(backendMutants(), logMutants()) }},
	{name: "breaker", mutated: "internal/backend", tests: "internal/backend", mutants: breakerMutants},
	{name: "limit", mutated: "internal/limit", tests: ".", mutants: limitMutants},
	{name: "graph", mutated: "internal/limit", tests: "internal/limit", args: []string{"-limit.seed=1"}, mutants: graphMutants},
	{name: "counter", mutated: "internal/counter", tests: "internal/counter", mutants: counterMutants},
	{name: "ids", mutated: "internal/idkey", tests: "internal/idkey", mutants: idMutants},
	{name: "provider", mutated: "provider", tests: "provider", mutants: providerMutants},
	{name: "near", mutated: "near", tests: "near", args: []string{"-near.seed=1"}, mutants: nearMutants},
	{name: "channel", mutated: "internal/membership", tests: "internal/membership", mutants: channelMutants},
	{name: "membership", mutated: "internal/membership", tests: "near", args: []string{"-near.seed=1"}, mutants: membershipMutants},
	{name: "memory", mutated: "memory", tests: "memory", mutants: memoryMutants},
	{name: "redisprovider", mutated: "redisprovider", tests: "redisprovider", servers: true, mutants: redisMutants},
	{name: "inspect", mutated: "inspect", tests: "inspect", mutants: pageMutants},
	{name: "explorer", mutated: ".", tests: "cachetest", explores: true, args: []string{"-explore.seed=1", "-explore.depth=2", "-explore.runs=5000"}, mutants: exploredMutants},
	{name: "near explored", mutated: "near", tests: "cachetest", explores: true, args: []string{"-explore.seed=1", "-explore.runs=5000"}, mutants: func() []mutant { return inPrograms(nearMutants()) }},
	{name: "membership explored", mutated: "internal/membership", tests: "cachetest", explores: true, args: []string{"-explore.seed=1", "-explore.runs=5000"}, mutants: func() []mutant { return inPrograms(membershipMutants()) }},
}

// guardsFlag is for internal/soak. In CI the same tests pass in their own packages, in the same run.
var guardsFlag = flag.Bool("mutants.guards", false, "run the guards with all mechanisms in place, too, as they are built here")

// TestMutants takes out one mechanism at a time, and runs the test that guards it:
// it must fail. With all mechanisms in place it must not (-mutants.guards).
func TestMutants(t *testing.T) {
	t.Parallel()
	proofs.Require(t, "every mutant, and the test that fails for it", "./internal/mutants")
	noticeChanges(t)
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if s.servers {
				redistest.Require(t)
			}
			mutants := s.mutants()
			t.Logf("%d mutants", len(mutants))
			binary := s.build(t, mutants)
			guards := map[string]bool{}
			for _, m := range mutants {
				guards[m.test] = true
				t.Run(m.name, func(t *testing.T) {
					t.Parallel()
					output, err := s.run(t, binary, m.name, m.test)
					switch {
					case err == nil:
						t.Errorf("%s passes without it:\n%s", m.test, output)
					case strings.Contains(output, "panic: test timed out"):
						t.Errorf("%s does not come to an end without it:\n%s", m.test, output)
					case !strings.Contains(output, "--- FAIL: "+m.test) && !strings.Contains(output, "panic: "):
						t.Errorf("%s did not run: %v\n%s", m.test, err, output)
					}
				})
			}
			if s.explores || !*guardsFlag {
				return // what explores goes on for as long as it finds nothing
			}
			for guard := range guards {
				t.Run("nothing is missing in "+guard, func(t *testing.T) {
					t.Parallel()
					output, err := s.run(t, binary, "", guard)
					assert.NoError(t, err, "it fails")
					assert.Contains(t, output, "--- PASS: "+guard, "it fails")
				})
			}
		})
	}
}

// noticeChanges has the go command notice that a file of the module was changed
// since these tests passed: it sees what they look at, but not what the commands
// that they run look at.
func noticeChanges(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"*.go", "*/*.go", "*/*/*.go", "*/*/*.lua"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, file := range files {
			_, err := os.Stat(file)
			require.NoError(t, err)
		}
	}
}

// build returns the tests of a suite, with all mutants in what they test.
func (s *suite) build(t *testing.T, mutants []mutant) (binary string) {
	t.Helper()
	dir := t.TempDir()
	overlay, err := weave(dir, s.mutated, mutants)
	require.NoError(t, err)
	binary = filepath.Join(dir, "mutants.test")
	began := time.Now()
	command := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay="+overlay, "-o="+binary, ".")
	command.Dir = filepath.Join(root, s.tests)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	t.Logf("built in %v", time.Since(began).Round(time.Millisecond))
	return binary
}

// run runs a test without a mechanism.
func (s *suite) run(t *testing.T, binary, mutant, test string) (output string, err error) {
	t.Helper()
	began := time.Now()
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(test), "/", "$/^") + "$"
	args := append([]string{"-test.v", "-test.failfast", "-test.timeout=60s", "-test.run=" + pattern}, s.args...)
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Dir = filepath.Join(root, s.tests)
	command.Env = append(os.Environ(), chosenMutant+"="+mutant)
	combined, err := command.CombinedOutput()
	t.Logf("%s took %v", test, time.Since(began).Round(time.Millisecond))
	return string(combined), err
}
