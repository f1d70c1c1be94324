// Command load measures what a refresh of the dashboard costs: queries to the database, with how many systems, with one and
// three processes, on each store, when nothing has changed and under 50 changes a second.
//
//	go run ./examples/dashboard/load -write
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/client"
	"github.com/readthrough/readthrough/examples/internal/processes"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// options say what is measured.
type options struct {
	program   string // the dashboard; empty: it is built
	systems   []int
	refreshes int     // warm, and under changes
	rate      float64 // of changes, in all processes together
	every     time.Duration
}

// setup is one line of the table.
type setup struct {
	store     string
	processes int
}

func setups() []setup {
	return []setup{{"memory", 1}, {"redis", 1}, {"redis", 3}, {"bounded", 1}, {"bounded", 3}}
}

func (s setup) String() string {
	name := map[string]string{"memory": "memory", "redis": "Redis", "bounded": "near"}[s.store]
	if s.processes == 1 {
		return name + ", 1 process"
	}
	return fmt.Sprintf("%s, %d processes", name, s.processes)
}

// result is what a setup has cost, in queries for each refresh.
type result struct {
	setup

	systems int
	without float64   // with Bypass
	cold    []float64 // the first refresh of each process
	warm    float64
	changes float64 // under changes
	played  float64 // how many changes a second there were
	// backends are what each backend has read under changes.
	backends []backend
}

// backend is what a backend has read in all processes: entries that were found, and loads, of which each is a query for all
// entries that it loads.
type backend struct {
	Name   string `json:"name"`
	Hits   int64  `json:"hits"`
	Misses int64  `json:"misses"`
	Loads  int64  `json:"loads"`
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	o := options{systems: []int{12, 100, 1000}, rate: 50, every: 100 * time.Millisecond}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&o.program, "program", "", "the dashboard, built before; by default it is built")
	flags.IntVar(&o.refreshes, "refreshes", 40, "how many refreshes are measured warm, and as many under changes")
	write := flags.Bool("write", false, "write the table and the plot beside the README of the dashboard, from the root of the repository")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.refreshes < 1 {
		return fmt.Errorf("-refreshes %d: must be at least 1", o.refreshes)
	}
	results, err := measureAll(ctx, o, stdout)
	if err != nil {
		return err
	}
	table, ofBackends := markdown(results), backendsMarkdown(results[len(results)-1])
	if _, err := io.WriteString(stdout, table+"\n"+ofBackends); err != nil || !*write {
		return err
	}
	const folder = "examples/dashboard"
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "load.svg"), []byte(plot(results)), 0o644), //nolint:gosec // everybody may read it
		replaceTable(filepath.Join(folder, "README.md"), "table", table),
		replaceTable(filepath.Join(folder, "README.md"), "backends", ofBackends))
}

// measureAll measures each setup with each number of systems.
func measureAll(ctx context.Context, o options, stdout io.Writer) (results []result, err error) {
	if o.program == "" {
		dir, err := os.MkdirTemp("", "load")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		o.program = filepath.Join(dir, "dashboard")
		build := exec.CommandContext(ctx, "go", "build", "-o", o.program, "github.com/readthrough/readthrough/examples/dashboard")
		if output, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build: %w\n%s", err, output)
		}
	}
	for _, systems := range o.systems {
		for _, s := range setups() {
			r, err := measure(ctx, o, s, systems)
			if err != nil {
				return nil, fmt.Errorf("%v, %d systems: %w", s, systems, err)
			}
			if _, err := fmt.Fprintf(stdout, "%v, %d systems: %.1f without, %v cold, %.2f warm, %.2f under %.0f changes/s\n",
				s, systems, r.without, r.cold, r.warm, r.changes, r.played); err != nil {
				return nil, err
			}
			results = append(results, r)
		}
	}
	return results, nil
}

// measure measures one setup.
func measure(ctx context.Context, o options, s setup, systems int) (r result, err error) {
	g, err := processes.NewGroup(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, g.Stop()) }()
	clients, err := start(g, o, s, systems)
	if err != nil {
		return r, err
	}
	r = result{setup: s, systems: systems}
	for _, c := range clients {
		d, err := c.Refresh(ctx, "lin", false)
		if err != nil {
			return r, err
		}
		r.without = float64(d.Cost.Queries)
	}
	for _, c := range clients {
		d, err := c.Refresh(ctx, "lin", true)
		if err != nil {
			return r, err
		}
		r.cold = append(r.cold, float64(d.Cost.Queries))
	}
	if r.warm, err = mean(ctx, clients, o.refreshes, 0); err != nil {
		return r, err
	}
	before, _, err := counted(ctx, clients)
	if err != nil {
		return r, err
	}
	began := time.Now()
	for _, c := range clients {
		if err := c.SetRate(ctx, o.rate/float64(len(clients))); err != nil {
			return r, err
		}
	}
	if r.changes, err = mean(ctx, clients, o.refreshes, o.every); err != nil {
		return r, err
	}
	after, played, err := counted(ctx, clients)
	r.played = float64(played) / time.Since(began).Seconds()
	for i := range after {
		b := &after[i]
		if i < len(before) && before[i].Name == b.Name {
			b.Hits, b.Misses, b.Loads = b.Hits-before[i].Hits, b.Misses-before[i].Misses, b.Loads-before[i].Loads
		}
	}
	r.backends = after
	return r, err
}

// start starts the processes of a setup.
func start(g *processes.Group, o options, s setup, systems int) (clients []client.Client, err error) {
	args := []string{
		"-addr", "127.0.0.1:0", "-rate", "0", "-sample", "0", "-store-timeout", "5s",
		"-systems", fmt.Sprint(systems), "-db", filepath.Join(g.Dir(), "dashboard.db"),
	}
	if s.store != "memory" {
		redis, err := g.Redis()
		if err != nil {
			return nil, err
		}
		args = append(args, "-redis", redis)
	}
	if s.store == "bounded" {
		args = append(args, "-near", s.store)
	}
	for i := range s.processes {
		url, err := g.Service(o.program, append(args, "-seed", fmt.Sprint(i+1))...)
		if err != nil {
			return nil, err
		}
		clients = append(clients, client.Client{URL: url})
	}
	return clients, nil
}

// mean refreshes n times, at each process in turn, and returns the mean of the queries.
func mean(ctx context.Context, clients []client.Client, n int, pause time.Duration) (float64, error) {
	sum := 0.0
	for i := range n {
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		d, err := clients[i%len(clients)].Refresh(ctx, "lin", true)
		if err != nil {
			return 0, err
		}
		sum += float64(d.Cost.Queries)
	}
	return sum / float64(n), nil
}

// counted returns what the backends have read since they started, in the order of their names, and how many changes the
// workers have played.
func counted(ctx context.Context, clients []client.Client) (backends []backend, played int64, err error) {
	for _, c := range clients {
		var cost struct {
			Scopes []backend `json:"scopes"`
			Worker struct {
				Actions int64 `json:"actions"`
			} `json:"worker"`
		}
		if err := c.Call(ctx, "GET", "/api/cost", nil, &cost); err != nil {
			return nil, 0, err
		}
		played += cost.Worker.Actions
		for _, b := range cost.Scopes {
			i := slices.IndexFunc(backends, func(known backend) bool { return known.Name == b.Name })
			if i < 0 {
				backends = append(backends, b)
				continue
			}
			sum := &backends[i]
			sum.Hits, sum.Misses, sum.Loads = sum.Hits+b.Hits, sum.Misses+b.Misses, sum.Loads+b.Loads
		}
	}
	return backends, played, nil
}

// replaceTable puts a table into a page, in the place of the one before.
func replaceTable(file, name, table string) error {
	page, err := os.ReadFile(file) //nolint:gosec // it is the README
	if err != nil {
		return err
	}
	begin := fmt.Sprintf("<!-- begin of the %s: go run ./examples/dashboard/load -write -->\n", name)
	end := fmt.Sprintf("<!-- end of the %s -->", name)
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, found := strings.Cut(rest, end)
	if !ok || !found {
		return fmt.Errorf("%s has no place for the %s", file, name)
	}
	return os.WriteFile(file, []byte(before+begin+table+end+after), 0o644) //nolint:gosec // everybody may read it
}
