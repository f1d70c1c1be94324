// Command soak runs everything that looks for violations of the guarantees: the
// model, the explorer, histories, attacks by the functions of the user, processes on
// real servers, linearizability, fuzzing, and the mutants. The option -for sets how long
// the explorer runs, and how long the attacks take. For each step, soak prints the command with its seed and the totals. At the end it
// prints a table of all steps. It exits with status 1 if a step failed.
//
//	go run ./internal/soak -for 10m
package main

import (
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

func main() {
	length := flag.Duration("for", 10*time.Minute, "about how long the explorer runs, and the attacks take; the other steps take some 40 minutes, most of it the processes on a server")
	fuzz := flag.Int("fuzz", 100_000, "how often each fuzz target is run")
	seed := flag.Uint64("seed", rand.Uint64(), "seed of all random tests")
	only := flag.String("steps", "", "a regular expression: only the steps whose names match it")
	flag.Parse()
	chosen, err := regexp.Compile(*only)
	if err != nil {
		log.Fatalf("-steps: %v", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // a command has no caller
	out := log.New(os.Stdout, "", 0)
	all := steps(*seed, *length, *fuzz)
	good := soak(ctx, out, *seed, slices.DeleteFunc(all, func(s step) bool { return !chosen.MatchString(s.name) }))
	stop()
	if !good {
		os.Exit(1)
	}
}

// soak runs the steps one after the other, and reports whether all succeeded.
func soak(ctx context.Context, out *log.Logger, seed uint64, steps []step) bool {
	began, good := time.Now(), true
	var table strings.Builder
	table.WriteString("| Step | Totals | Result | Time |\n|---|---|---|---|\n")
	for _, s := range steps {
		from := time.Now()
		totals, err := s.run(ctx, out)
		result := "ok"
		if err != nil {
			result, good = err.Error(), false
		}
		took := time.Since(from).Round(time.Second)
		out.Printf("%s: %s; %s; %v", s.name, totals, result, took)
		fmt.Fprintf(&table, "| %s | %s | %s | %v |\n", s.name, totals, result, took)
	}
	out.Printf("\nseed %d\n\n%s\nall of it: %v", seed, &table, time.Since(began).Round(time.Second))
	return good
}

// allProofs is in the environment of each step, so that no test leaves anything out.
const allProofs = "READTHROUGH_PROOFS=1"

// run runs the command of a step and returns its totals. If the command fails, run
// prints its output.
func (s *step) run(ctx context.Context, out *log.Logger) (totals string, err error) {
	out.Printf("\n%s: %s %s", s.name, allProofs, strings.Join(s.args, " "))
	command := exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	command.Env = append(os.Environ(), allProofs)
	output, err := command.CombinedOutput()
	totals, missing := s.sums(string(output))
	if err == nil {
		err = missing
	}
	if err != nil {
		out.Printf("%s", output)
	}
	return totals, err
}
