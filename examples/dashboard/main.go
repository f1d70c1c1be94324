// Command dashboard is a status dashboard of eight backends that read through one cache. See README.md beside this
// file.
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
)

// The exit codes.
const (
	exitFailed  = 1 // an error, or the tour found a broken promise
	exitBadCall = 2 // the command line is not valid
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// config is the parsed command line.
type config struct {
	addr     string
	redisURL string
	near     nearflag.Mode
	database string
	systems  int
	rate     float64
	seed     uint64
	sample   time.Duration
	demo     bool
	// storeTimeout bounds how long the cache waits for Redis.
	storeTimeout time.Duration
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
		say(stderr, "dashboard: %v\n", err)
		return exitFailed
	}
	return 0
}

// parse parses args. It prints errors to stderr.
func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("dashboard", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.addr, "addr", "127.0.0.1:8090", "listen on `host:port`; port 0 takes a free one")
	flags.StringVar(&c.redisURL, "redis", "", "cache in Redis at `URL`, such as redis://localhost:6379/0 (default: in memory)")
	nearflag.Define(flags, &c.near)
	flags.StringVar(&c.database, "db", "", "keep the database in a `file`, or in PostgreSQL at a URL, such as postgres://user@localhost/name (default: in memory)")
	flags.IntVar(&c.systems, "systems", 24, "fill a new database with `n` systems, 12 to 5000")
	flags.Float64Var(&c.rate, "rate", 2, "play `n` changes a second: satellites, check runs, the detector, users; 0 plays none")
	flags.Uint64Var(&c.seed, "seed", 1, "decides what is played")
	flags.DurationVar(&c.sample, "sample", time.Second, "look for stale reads every `duration`; 0 never does")
	flags.DurationVar(&c.storeTimeout, "store-timeout", time.Second, "read without Redis if it does not answer within `duration`")
	flags.BoolVar(&c.demo, "demo", false, "run the self-checking tour on free ports and exit")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	err := c.check(flags.Args())
	if err != nil {
		say(stderr, "dashboard: %v\n", err)
	}
	return c, err
}

func (c config) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case c.systems < 12 || c.systems > 5000:
		return fmt.Errorf("-systems %d: must be 12 to 5000", c.systems)
	case c.rate < 0 || c.rate > 1000:
		return fmt.Errorf("-rate %v: must be 0 to 1000", c.rate)
	case c.sample < 0:
		return fmt.Errorf("-sample %v: must not be negative", c.sample)
	case c.storeTimeout <= 0:
		return fmt.Errorf("-store-timeout %v: must be positive", c.storeTimeout)
	}
	return c.near.Check(c.redisURL != "" || c.demo)
}

// say prints to w. It ignores errors: a closed output is no reason to stop.
func say(w io.Writer, format string, args ...any) {
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		return
	}
}
