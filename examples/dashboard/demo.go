package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/tour"
	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/examples/internal/processes"
)

// demoTimeout bounds the tour.
const demoTimeout = 2 * time.Minute

// runDemo takes the tour: of one process with memory, then of two processes on one Redis and one database.
func runDemo(ctx context.Context, c config, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	tell := func(line string) { say(stdout, "%s\n", line) }
	if err := withProcesses(ctx, c, 1, func(urls []string) error {
		say(stdout, "A tour of the dashboard at %s: cache in memory.\n\n", urls[0])
		return tour.One(ctx, urls[0], tell)
	}); err != nil {
		return err
	}
	err := withProcesses(ctx, c, 2, func(urls []string) error {
		say(stdout, "\nTwo processes, %s and %s, on one Redis and one database.\n\n", urls[0], urls[1])
		return tour.Two(ctx, urls[0], urls[1], tell)
	})
	if errors.Is(err, processes.ErrNoRedis) {
		say(stdout, "\nTwo processes are left out: %v, and no -redis was given.\n", err)
		err = nil
	}
	if err == nil {
		say(stdout, "\nEvery promise was kept.\n")
	}
	return err
}

// withProcesses starts n processes of this program, on one database, and runs f with their URLs. Several share a Redis.
func withProcesses(ctx context.Context, c config, n int, f func(urls []string) error) (err error) {
	g, err := processes.NewGroup(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Stop()) }()
	args := []string{"-addr", "127.0.0.1:0", "-rate", "0", "-sample", "0", "-store-timeout", "10s", "-db", c.database}
	if c.database == "" {
		args[len(args)-1] = filepath.Join(g.Dir(), "dashboard.db")
	}
	if n > 1 {
		if c.redisURL == "" {
			if c.redisURL, err = g.Redis(); err != nil {
				return err
			}
		}
		args = append(args, "-redis", c.redisURL)
		if c.near != nearflag.Off {
			args = append(args, "-near", c.near.String())
		}
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	urls := make([]string, n)
	for i := range urls {
		if urls[i], err = g.Service(path, args...); err != nil {
			return err
		}
	}
	return f(urls)
}
