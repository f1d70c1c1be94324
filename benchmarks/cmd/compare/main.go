// Command compare repeats the benchmarks of this module in rounds, so that
// whatever else the machine does meets all libraries, and writes the results page
// with the medians:
//
//	go run ./cmd/compare -time 15m
//
// With -run, it measures only what matches, and replaces only the sections of the page that are about it:
//
//	go run ./cmd/compare -time 4m -run Near
//
// Each workload of a round is a process of its own, in which the libraries take
// turns; each round begins with another one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // the first context
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		slog.ErrorContext(ctx, "compare", slog.Any("err", err))
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	limit := flags.Duration("time", 15*time.Minute, "begin no round that would end later")
	out := flags.String("out", "../docs", "the folder of benchmarks.md and its charts")
	only := flags.String("run", "", "a regular expression: measure only the workloads that match, and leave the other sections of the page")
	results := flags.String("results", "", "a file of results: it is read, instead of measuring, if it exists, and else written")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	var failed error
	text, err := os.ReadFile(*results)
	if err != nil {
		if text, err = measure(ctx, *limit, pattern, *results); text == nil {
			return err
		}
		failed = err
	}
	p, err := newPage(ctx, parse(text))
	if err != nil {
		return err
	}
	if *only != "" {
		return errors.Join(failed, p.update(*out))
	}
	return errors.Join(failed, p.write(*out))
}

// measure repeats the workloads that match pattern, and returns the results. With an
// error, they are what could be measured.
func measure(ctx context.Context, limit time.Duration, pattern *regexp.Regexp, file string) ([]byte, error) {
	scratch, err := os.MkdirTemp("", "compare")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // it is the system's to clean
	binary := filepath.Join(scratch, "benchmarks.test")
	if err := build(ctx, binary); err != nil {
		return nil, err
	}
	m := measuring{binary: binary, pattern: pattern, end: time.Now().Add(limit), file: file}
	said := fmt.Sprintf("go run ./cmd/compare -time %v", limit)
	if only := pattern.String(); only != "" {
		said += " -run " + only
	}
	m.output = fmt.Appendf(nil, "command: %s\ndate: %s\n", said, time.Now().UTC().Format(time.DateOnly))
	err = m.rounds(ctx)
	return m.output, err
}

func build(ctx context.Context, binary string) error {
	command := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, ".")
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("build the benchmarks: %w", err)
	}
	return nil
}
