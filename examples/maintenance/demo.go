package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/readthrough/readthrough/examples/internal/nearflag"
	"github.com/readthrough/readthrough/examples/maintenance/internal/tour"
)

const (
	// demoLatency makes the embedded database as slow as one across a continent, so
	// that a stampede has something to wait for.
	demoLatency = 40 * time.Millisecond
	// demoStoreTimeout is long, because the tour, the service and possibly Redis
	// share one machine, and the tour counts the queries of a working cache. A slow
	// store is not a subject of the tour.
	demoStoreTimeout = 10 * time.Second
	demoTimeout      = 5 * time.Minute
)

// runDemo serves on a free port and takes the tour of one process, then that of
// two, then that of two with near caches.
func runDemo(ctx context.Context, c config, stdout io.Writer) error {
	if c.latency == 0 {
		c.latency = demoLatency
	}
	c.storeTimeout = demoStoreTimeout
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	if err := demoOne(ctx, c, stdout); err != nil {
		return err
	}
	if err := demoTwo(ctx, c, stdout); err != nil {
		return err
	}
	say(stdout, "\nEvery promise was kept.\n")
	return nil
}

// demoOne runs the tour of a service in this process.
func demoOne(ctx context.Context, c config, stdout io.Writer) (err error) {
	a, err := newApp(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	return a.demo(ctx, c, stdout)
}

// demo serves a and takes the tour of it.
func (a *app) demo(ctx context.Context, c config, stdout io.Writer) error {
	listener, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	say(stdout, "A tour of the maintenance service at %s.\n%s\n\n", url, c.describe())

	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- a.serve(serving, listener) }()
	err = tour.Run(ctx, url, func(line string) { say(stdout, "%s\n", line) }, c.tour)
	stop()
	return errors.Join(err, <-served)
}

// describe says which store and which database the tour runs on.
func (c config) describe() string {
	store, database := "in memory", "in memory"
	if c.redisURL != "" {
		store = "in Redis"
		if c.near != nearflag.Off {
			store += fmt.Sprintf(" and near (%s)", c.near)
		}
	}
	if c.database != "" {
		database = "in " + c.database
	}
	return fmt.Sprintf("Cache %s; database %s, every query takes %v longer.", store, database, c.latency)
}
