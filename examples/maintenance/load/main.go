// Command load reads running maintenance services like many clients. It prints
// how many requests they answered, how long those took, and how many queries
// reached the database. See README.md of the example.
//
// It reads several services one after the other, in several rounds, so that other
// load of the machine affects all of them alike. It measures only services on
// this machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// config is the parsed command line.
type config struct {
	clients  int
	changes  int
	rounds   int
	duration time.Duration
	services []string // their URLs
}

func parse(args []string) (config, error) {
	var c config
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.IntVar(&c.clients, "clients", 32, "`number` of clients, each of which sends one request after the other")
	flags.IntVar(&c.changes, "changes", 5, "`number` of changes a second")
	flags.IntVar(&c.rounds, "rounds", 3, "`number` of rounds, of which the medians are printed")
	flags.DurationVar(&c.duration, "duration", 5*time.Second, "how `long` a service is read in each round")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	c.services = flags.Args()
	return c, c.check()
}

func (c config) check() error {
	for _, bound := range []struct {
		name           string
		got, low, high int
	}{
		{"-clients", c.clients, 1, 256},
		{"-changes", c.changes, 0, 100},
		{"-rounds", c.rounds, 1, 9},
		{"URLs", len(c.services), 1, 8},
	} {
		if bound.got < bound.low || bound.got > bound.high {
			return fmt.Errorf("%s: %d, must be %d to %d", bound.name, bound.got, bound.low, bound.high)
		}
	}
	if c.duration < 100*time.Millisecond || c.duration > time.Minute {
		return fmt.Errorf("-duration: %v, must be 100ms to 1m", c.duration)
	}
	for _, service := range c.services {
		u, err := url.Parse(service)
		if err != nil {
			return err
		}
		if ip := net.ParseIP(u.Hostname()); u.Scheme != "http" || !(u.Hostname() == "localhost" || ip.IsLoopback()) {
			return fmt.Errorf("%q: must be the http URL of a service on this machine, such as http://127.0.0.1:8080", service)
		}
	}
	return nil
}

// run measures the services in args and prints a table.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	c, err := parse(args)
	if err != nil {
		return err
	}
	results := make([][]result, len(c.services))
	for range c.rounds {
		for i, service := range c.services {
			r, err := measure(ctx, c, service)
			if err != nil {
				return fmt.Errorf("%s: %w", service, err)
			}
			results[i] = append(results[i], r)
		}
	}
	_, err = fmt.Fprintf(stdout, "%d clients and %d changes a second, median of %d rounds of %v\n\n"+
		"| service | requests/s | queries/s | p50 | p99 | failed |\n|---|---:|---:|---:|---:|---:|\n",
		c.clients, c.changes, c.rounds, c.duration)
	for i, service := range c.services {
		_, rowErr := fmt.Fprintf(stdout, "| %s, %s | %.0f | %.0f | %v | %v | %d |\n", service, results[i][0].what,
			median(results[i], func(r result) float64 { return r.requests }),
			median(results[i], func(r result) float64 { return r.queries }),
			median(results[i], func(r result) time.Duration { return r.p50 }).Round(10*time.Microsecond),
			median(results[i], func(r result) time.Duration { return r.p99 }).Round(10*time.Microsecond),
			sum(results[i]))
		err = errors.Join(err, rowErr)
	}
	return err
}

// median returns the median of one of the numbers of results.
func median[T float64 | time.Duration](results []result, of func(result) T) T {
	values := make([]T, len(results))
	for i, r := range results {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// sum returns the number of failed requests.
func sum(results []result) (failed int) {
	for _, r := range results {
		failed += r.failed
	}
	return failed
}
