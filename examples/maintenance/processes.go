package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/readthrough/readthrough/examples/internal/processes"
	"github.com/readthrough/readthrough/examples/maintenance/internal/tour"
)

// demoTwo takes the tour of two processes with one Redis and one database. If the
// configuration has no Redis, it starts one, if redis-server is installed.
func demoTwo(ctx context.Context, c config, stdout io.Writer) (err error) {
	g, err := processes.NewGroup(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Stop()) }()
	if c.redisURL == "" {
		c.redisURL, err = g.Redis()
		if errors.Is(err, processes.ErrNoRedis) {
			say(stdout, "\nTwo processes are left out: there is no redis-server on the PATH, and no -redis was given.\n")
			return nil
		}
		if err != nil {
			return err
		}
	}
	if c.database == "" {
		c.database = filepath.Join(g.Dir(), "maintenance.db")
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	var urls [2]string
	for i := range urls {
		urls[i], err = g.Service(path, "-addr", "127.0.0.1:0", "-redis", c.redisURL, "-db", c.database,
			"-latency", c.latency.String(), "-store-timeout", c.storeTimeout.String())
		if err != nil {
			return err
		}
	}
	say(stdout, "\nTwo processes of it, %s and %s, on one Redis and one database.\n\n", urls[0], urls[1])
	return tour.RunTwo(ctx, urls[0], urls[1], func(line string) { say(stdout, "%s\n", line) }, c.tour)
}
