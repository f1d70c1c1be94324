// Command growth measures how the cost of an operation grows with what there is: entries, scopes, invalidations that are
// pending, ids of a call, readers that wait. It writes the page:
//
//	go run ./cmd/growth
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/readthrough/readthrough/benchmarks/internal/plot"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // the first context
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		slog.ErrorContext(ctx, "growth", slog.Any("err", err))
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("growth", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "how often each is measured; the page has the medians")
	largest := flags.Int("largest", 10_000_000, "leave out what is larger: ten million entries take 3 GB")
	out := flags.String("out", "../docs", "the folder of growth.md")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 {
		return fmt.Errorf("-rounds %d: must be at least 1", *rounds)
	}
	var text strings.Builder
	command := strings.Join(append([]string{"go run ./cmd/growth"}, args...), " ")
	fmt.Fprintf(&text, head, command, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), *rounds)
	for _, m := range measurements() {
		m.sizes = slices.DeleteFunc(slices.Clone(m.sizes), func(n int) bool { return n > *largest })
		medians, err := m.run(ctx, *rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", m.title, err)
		}
		line := m.table(medians)
		if _, err := io.WriteString(os.Stdout, line); err != nil {
			return err
		}
		text.WriteString(line)
	}
	return os.WriteFile(filepath.Join(*out, "growth.md"), []byte(text.String()), 0o600)
}

const head = `# How cost grows

This page says what an operation costs when there is more of something: entries, scopes, invalidations that are pending, ids of
a call, readers that wait. It is for everybody who wants to know whether the cache stays as fast when a service grows. A
program generated the page; nothing in it was typed.

In the folder benchmarks, ` + "`%s`" + ` made it on %s, on a machine with %d processors (%s/%s, %s), in memory. Each number is the
median of %d measurements, in which the sizes take turns. All times are of one operation on the wall. *Growth* is the last
number divided by the first one.

`

// measurement is an operation, and what grows.
type measurement struct {
	title string
	text  string
	what  string // what the sizes count
	sizes []int
	// prepare makes so much of it. measure returns how long one operation takes then, and end gives it back.
	prepare func(ctx context.Context, n int) (measure func() (time.Duration, error), end func() error, err error)
}

// run measures every size in rounds, in which the sizes take turns, and returns the medians.
func (m *measurement) run(ctx context.Context, rounds int) (medians []time.Duration, err error) {
	measures := make([]func() (time.Duration, error), len(m.sizes))
	for i, n := range m.sizes {
		measure, end, err := m.prepare(ctx, n)
		if err != nil {
			return nil, err
		}
		defer func() {
			if e := end(); err == nil {
				err = e
			}
		}()
		measures[i] = measure
	}
	took := make([][]time.Duration, len(m.sizes))
	for range rounds {
		for i, measure := range measures {
			runtime.GC() // what others have left behind is not of this operation
			d, err := measure()
			if err != nil {
				return nil, err
			}
			took[i] = append(took[i], d)
		}
	}
	for _, t := range took {
		slices.Sort(t)
		medians = append(medians, t[len(t)/2])
	}
	return medians, nil
}

// table returns the section of the page.
func (m *measurement) table(medians []time.Duration) string {
	var first, line, second strings.Builder
	for i, n := range m.sizes {
		fmt.Fprintf(&first, " %s |", thousands(n))
		line.WriteString("---:|")
		fmt.Fprintf(&second, " %s |", plot.Nanoseconds(float64(medians[i])))
	}
	growth := float64(medians[len(medians)-1]) / float64(medians[0])
	return fmt.Sprintf("## %s\n\n%s\n\n| %s |%s growth |\n|---|%s---:|\n| |%s %.2g |\n\n", m.title, m.text, m.what, &first, &line, &second, growth)
}

// thousands writes n with commas.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
