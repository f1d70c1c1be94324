// Command soak runs, for as long as it is told, everything that looks for
// violations of the guarantees: the model, the explorer, histories, processes on
// real servers, linearizability, fuzzing, and the mutants. It prints what each step
// ran, with its seeds and totals, and ends with an error if one failed.
//
//	go run ./internal/soak -for 15m
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"time"
)

// step is one command, and which of the lines that it prints tell what it did.
type step struct {
	name   string
	totals string // a regular expression
	args   []string
}

// steps are those of a soak. Each of those that can take any time takes share.
func steps(seed uint64, share time.Duration) []step {
	seeded := func(name string) string { return fmt.Sprintf("-%s.seed=%d", name, seed) }
	plainSeed := fmt.Sprintf("-seed=%d", seed)
	test := func(args ...string) []string {
		return append([]string{"go", "test", "-count=1", "-v", "-timeout=2h"}, args...)
	}
	// The explorer has some 40 programs.
	each := max(share/40, 100*time.Millisecond)
	all := []step{
		{"model", `configurations in|wrong`, []string{"bash", "docs/model/check.sh"}},
		{"histories", `reads,`, test("-run=^(TestHistory|TestFleet)$", ".", seeded("history"))},
		{"explorer", `^ +explore_test.go:\d+: \d+ schedules$`, test("-run=^TestExplore$", "./cachetest", "-explore.depth=2", "-explore.time="+each.String(), seeded("explore"))},
		{"explorer convicts", `^ +--- `, test("-run=^TestExploreConvicts$", "./cachetest", seeded("explore"))},
		{"chaos", `^--- `, test("-run=^TestChaosHistory$", "./cachetest", "-chaos.seeds=40", seeded("cachetest"))},
		{"processes", `reads|^ok`, test("-run=^TestCoherence", "./internal/coherence", seeded("coherence"))},
		{"linearizability", `histories|operations|^ok`, test("-run=^TestLinearizable", "./memory", "./redisprovider", plainSeed)},
		{"mutants", `^    --- `, test("-run=^TestMutants$", "./internal/mutants")},
	}
	for _, target := range []struct{ pkg, name string }{
		{".", "FuzzScopeOptions"},
		{".", "FuzzOptions"},
		{"./redisprovider", "FuzzDecodeFrame"},
		{"./redisprovider", "FuzzScripts"},
		{"./internal/stablekey", "FuzzTrees"},
		{"./internal/stablekey", "FuzzStrings"},
	} {
		all = append(all, step{
			"fuzzing of " + target.name, `execs: `,
			[]string{"go", "test", "-run=^$", "-fuzz=^" + target.name + "$", "-fuzztime=" + (share / 6).String(), target.pkg},
		})
	}
	return all
}

func main() {
	length := flag.Duration("for", 10*time.Minute, "about how long to run; the steps that do not depend on it take about 5 minutes")
	seed := flag.Uint64("seed", rand.Uint64(), "seed of all random tests")
	only := flag.String("steps", "", "a regular expression: only the steps whose names match it")
	flag.Parse()
	chosen, err := regexp.Compile(*only)
	if err != nil {
		log.Fatalf("-steps: %v", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // a command has no caller
	out := log.New(os.Stdout, "", 0)
	out.Printf("seed %d", *seed)
	all := steps(*seed, *length/3)
	good := soak(ctx, out, slices.DeleteFunc(all, func(s step) bool { return !chosen.MatchString(s.name) }))
	stop()
	if !good {
		os.Exit(1)
	}
}

// soak runs the steps, one after the other, and reports whether all succeeded.
func soak(ctx context.Context, out *log.Logger, steps []step) bool {
	began, good := time.Now(), true
	for _, s := range steps {
		from := time.Now()
		err := s.run(ctx, out)
		verdict := "ok"
		if err != nil {
			verdict, good = err.Error(), false
		}
		out.Printf("%s: %s, %v", s.name, verdict, time.Since(from).Round(time.Second))
	}
	out.Printf("all of it: %v", time.Since(began).Round(time.Second))
	return good
}

// run runs the command of a step and prints the lines that tell what it did; all of
// them, if it fails.
func (s *step) run(ctx context.Context, out *log.Logger) error {
	out.Printf("\n%s: %s", s.name, strings.Join(s.args, " "))
	command := exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	var all strings.Builder
	command.Stdout, command.Stderr = &all, &all
	err := command.Run()
	totals := regexp.MustCompile(s.totals)
	lines := bufio.NewScanner(strings.NewReader(all.String()))
	last := ""
	for lines.Scan() {
		line := lines.Text()
		switch {
		case err != nil:
			out.Println(line)
		case strings.HasPrefix(line, "fuzz: "): // each says more than the one before
			last = line
		case totals.MatchString(line):
			out.Println(strings.TrimSpace(line))
		}
	}
	if last != "" {
		out.Println(last)
	}
	return err
}
