package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// measuring is a run of all rounds.
type measuring struct {
	binary  string
	pattern *regexp.Regexp
	end     time.Time
	output  []byte // of the benchmarks
	file    string // gets the output after every step; empty: none does
}

// rounds measures every workload at least once, and as often as there is time for.
// What fails is not measured, and part of the error; the rest is.
func (m *measuring) rounds(ctx context.Context) (failed error) {
	for round := 0; ; round++ {
		began := time.Now()
		for _, w := range workloads() {
			if !m.pattern.MatchString(w.bench) || w.rounds > 0 && round >= w.rounds {
				continue
			}
			if round > 0 && time.Now().After(m.end) {
				return failed
			}
			failed = errors.Join(failed, m.measure(ctx, w, round))
		}
		took := time.Since(began)
		slog.InfoContext(ctx, "round", slog.Int("number", round+1), slog.Duration("took", took))
		if time.Now().Add(took/2).After(m.end) || ctx.Err() != nil {
			return failed
		}
	}
}

// measure runs the benchmarks of w once.
func (m *measuring) measure(ctx context.Context, w workload, round int) error {
	var output bytes.Buffer
	command := exec.CommandContext(ctx, m.binary, "-test.run=^$", "-test.bench="+w.bench, //nolint:gosec // it was built here
		"-test.benchtime="+w.benchtime, "-test.timeout=30m", "-rotate="+strconv.Itoa(round))
	command.Stdout, command.Stderr = &output, os.Stderr
	began := time.Now()
	err := command.Run()
	m.output = append(m.output, output.Bytes()...)
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", w.bench, err, output.Bytes())
	}
	if m.file != "" {
		if err := os.WriteFile(m.file, m.output, 0o600); err != nil {
			return err
		}
	}
	slog.InfoContext(ctx, "measured", slog.String("bench", w.bench), slog.Duration("took", time.Since(began)))
	return nil
}
