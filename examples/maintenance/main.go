// Command maintenance is a small maintenance-window service. It reads its database
// through a cache. See README.md beside this file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/examples/maintenance/internal/tour"
)

// The exit codes.
const (
	exitFailed  = 1 // an error, or the demo found a broken promise
	exitBadCall = 2 // the command line is not valid
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// storeTimeout is the longest that a read waits for Redis. The default of the cache,
// 50 ms, suits services on machines of their own. Here a thousand readers, the
// service and Redis share one machine, and a storm must not look like a Redis that
// hangs.
const storeTimeout = time.Second

// config is the parsed command line.
type config struct {
	addr     string
	redisURL string
	database string
	latency  time.Duration
	noCache  bool
	near     nearflag.Mode
	demo     bool
	// storeTimeout bounds reads and fills of the store; zero means the default of
	// the cache.
	storeTimeout time.Duration
	// tour configures the tour of the demo; zero means the whole tour.
	tour tour.Options
}

// run runs the command until ctx ends, and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return exitBadCall // parse has printed the reason
	}
	command := runServer
	if c.demo {
		command = runDemo
	}
	if err := command(ctx, c, stdout); err != nil {
		say(stderr, "maintenance: %v\n", err)
		return exitFailed
	}
	return 0
}

// parse parses args. It prints errors to stderr.
func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("maintenance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8080", "listen on `host:port`; port 0 takes a free one")
	flags.StringVar(&c.redisURL, "redis", "", "cache in Redis at `URL`, such as redis://localhost:6379/0 (default: in memory)")
	flags.StringVar(&c.database, "db", "", "keep the database in a `file`, or in PostgreSQL at a URL, such as postgres://user@localhost/name (default: in memory)")
	flags.DurationVar(&c.storeTimeout, "store-timeout", storeTimeout, "read without Redis if it does not answer within `duration`")
	flags.DurationVar(&c.latency, "latency", 0, "add `duration` to every query, as if the database were far away")
	nearflag.Define(flags, &c.near)
	flags.BoolVar(&c.noCache, "no-cache", false, "read everything from the database, to compare")
	flags.BoolVar(&c.demo, "demo", false, "run the self-checking tour on a free port and exit")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	err := c.check(flags.Args())
	if err != nil {
		say(stderr, "maintenance: %v\n", err)
	}
	return c, err
}

func (c config) check(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	if c.noCache && (c.demo || c.redisURL != "") {
		return errors.New("-no-cache goes with neither -demo nor -redis")
	}
	if err := c.near.Check(c.redisURL != "" || c.demo); err != nil { // the demo starts a Redis for two processes
		return err
	}
	if c.latency < 0 {
		return fmt.Errorf("-latency %v: must not be negative", c.latency)
	}
	if c.storeTimeout <= 0 {
		return fmt.Errorf("-store-timeout %v: must be positive", c.storeTimeout)
	}
	return nil
}

// say prints to w. It ignores errors: a closed output is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		return
	}
}
