package readthrough_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutants takes out, one at a time, the mechanisms that G1 and G2 rest on,
// and runs the history tests on what is left: they must fail. The library itself
// has no switch for that: each mutant is a changed copy of a file, which the go
// command compiles in place of the original.
func TestMutants(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles the package several times")
	}
	mutants := []struct {
		name, file, original, replacement string
		run                               string // the tests that find it; "": TestHistory
	}{
		{
			"the epoch check before a fill", "epoch.go",
			"if f.ended || f.phase != phaseLoading {", "if f.phase != phaseLoading {", "",
		},
		{
			"the epoch check before joining", "singleflight.go",
			"f == nil || !f.fence.mayJoin()", "f == nil", "",
		},
		{
			"bypassing what is pending", "singleflight.go",
			"if g.bypassing.Load() == 0 {", "if g.bypassing.Load() >= 0 {", "",
		},
		{
			"flights past the store while pending", "singleflight.go",
			"return g.pending.covers(key) || g.lagging.covers(key)", "return g.lagging.covers(key)", "",
		},
		{
			"waiting for a fill that is stuck", "singleflight.go",
			"if f.fence.phase == phaseFilling && targets.cover(f.key)", "if f.fence.phase == phaseFilling && targets.cover(f.key) && false", "",
		},
		{
			"detaching flights on invalidation", "epoch.go",
			"return fence{phase: f.phase, ended: true}, f.phase == phaseFilling", "return f, f.phase == phaseFilling", "",
		},
		{
			"waiting for the fills under way", "invalidate.go",
			"<-c.done", "_ = c.done", "",
		},
		{
			"ending the epochs before the deletion", "singleflight.go",
			"if g.endLocked(f) {", "if f.fence.phase == phaseFilling {", "",
		},
		{
			"ending the epochs after the deletion", "singleflight.go",
			"g.eachLocked(confirmed, func(f *flight) { g.endLocked(f) })", "", "",
		},
		{
			"covering the flights under a prefix", "singleflight.go",
			"if targets.coverByPrefix(key) {", "if targets.coverByPrefix(key) && false {", "",
		},
		{
			"the bound of a result", "epoch.go",
			"return began < bound", "return true", "^TestFleet|AnotherProcessInvalidated$",
		},
		{
			"the bound moves with a confirmed fill", "singleflight.go",
			"f.bound = sent", "f.bound = min(f.bound, sent)", "ConfirmedFillServesAllJoiners$",
		},
		{
			"a failed load releases its lease", "lease.go",
			"if rest = append(rest, unwanted...); len(rest) > 0 {", "if false {", "FailedLoadReleasesTheLease$",
		},
		{
			"nothing is filled while pending", "singleflight.go",
			"c.abandoned || g.pending.covers(f.key)", "c.abandoned", "PendingKeyIsNotFilledUnderALease$",
		},
		{
			"a lease granted to nobody is given back", "lease.go",
			"if ctx.Err() != nil {", "if false {", "LeaseGrantedTooLateIsGivenBack$",
		},
		{
			"waiting for a lease is bounded", "lease.go",
			"if left <= 0 ||", "if left = longestPoll;", "LeaseWaitIsBounded$",
		},
		{
			"holding before the write", "mutate.go",
			"token, err := s.hold(ctx, m.Hold, m.HoldFor)", "token, err := \"\", error(nil)", "HoldSurvivesTheWriter$",
		},
		{
			"giving up the hold after a failed write", "mutate.go",
			"s.unhold(ctx, m.Hold, token)", "_ = token", "FailedWriteGivesUpTheHold$",
		},
		{
			"not storing while the source lags", "singleflight.go",
			"|| g.lagging.covers(key)", "", "ReplicaLag$",
		},
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			output, err := runMutant(t, m.file, m.original, m.replacement, m.run)
			if err == nil {
				t.Fatalf("the tests pass without it:\n%s", output)
			}
			if !strings.Contains(output, "--- FAIL: Test") {
				t.Fatalf("it did not run: %v\n%s", err, output)
			}
		})
	}
}

// runMutant runs tests with a part of file replaced.
func runMutant(t *testing.T, file, original, replacement, tests string) (output string, err error) {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte(original)); n != 1 {
		t.Fatalf("%s has %d times %q, want 1", file, n, original)
	}
	dir := t.TempDir()
	mutant := filepath.Join(dir, file)
	changed := bytes.Replace(source, []byte(original), []byte(replacement), 1)
	if err := os.WriteFile(mutant, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=60s", "-run="+cmp.Or(tests, "^TestHistory$"), "-overlay="+overlayFile, ".")
	combined, err := run.CombinedOutput()
	return string(combined), err
}
