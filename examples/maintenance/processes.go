package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/examples/internal/processes"
	"github.com/readthrough/readthrough/examples/maintenance/internal/tour"
)

// demoTwo takes the tour of two processes with one Redis and one database, and then
// that of two more with near caches. If the configuration has no Redis, it starts
// one, if redis-server is installed.
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
	report := func(line string) { say(stdout, "%s\n", line) }
	plain := c
	plain.near = nearflag.Off
	one, other, err := startServices(g, plain)
	if err != nil {
		return err
	}
	say(stdout, "\nTwo processes of it, %s and %s, on one Redis and one database.\n\n", one, other)
	if err := tour.RunTwo(ctx, one, other, report, c.tour); err != nil {
		return err
	}
	if c.near == nearflag.Off {
		c.near = nearflag.Strict
	}
	if one, other, err = startServices(g, c); err != nil {
		return err
	}
	say(stdout, "\nTwo more, %s and %s, with near caches: %s.\n\n", one, other, c.near)
	if err := tour.RunNear(ctx, one, other, c.near.Window(), report, c.tour); err != nil {
		return err
	}
	return demoDrill(ctx, c, stdout)
}

// startServices starts this program twice.
func startServices(g *processes.Group, c config) (one, other string, err error) {
	path, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	args := []string{
		"-addr", "127.0.0.1:0", "-redis", c.redisURL, "-db", c.database,
		"-latency", c.latency.String(), "-store-timeout", c.storeTimeout.String(),
	}
	if c.near != nearflag.Off {
		args = append(args, "-near", c.near.String())
	}
	if one, err = g.Service(path, args...); err == nil {
		other, err = g.Service(path, args...)
	}
	return one, other, err
}
