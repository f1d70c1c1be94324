package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/backends"
	"github.com/readthrough/readthrough/examples/dashboard/internal/router"
	"github.com/readthrough/readthrough/examples/dashboard/internal/sampler"
	"github.com/readthrough/readthrough/examples/dashboard/internal/seed"
	"github.com/readthrough/readthrough/examples/dashboard/internal/worker"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/signals"
	"github.com/readthrough/readthrough/examples/internal/telemetry"
	"github.com/readthrough/readthrough/inspect"
)

// app is the dashboard with all its layers.
type app struct {
	handler  http.Handler
	signals  *signals.Hub
	backends *backends.All
	closers  []func() error // run from last to first
}

// newApp opens what the configuration names, and connects the layers: the database, the store, the cache, the
// backends on top of it, and the router on top of them.
func newApp(ctx context.Context, c config) (*app, error) {
	a := &app{signals: signals.NewHub(signals.Options{})}
	if err := a.open(ctx, c); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *app) open(ctx context.Context, c config) error {
	db, err := database.Open(ctx, database.Options{Database: c.database, Schema: backends.Schema()})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, db.Close)
	if err := seed.Fill(ctx, db, c.systems); err != nil {
		return err
	}
	s, err := a.openStore(ctx, c, db.ID())
	if err != nil {
		return err
	}
	metrics, err := telemetry.New()
	if err != nil {
		return err
	}
	a.closers = append(a.closers, metrics.Close)
	cache, err := readthrough.New(s.CacheProvider, readthrough.Options{
		Observer: metrics.Observer(), ProviderTimeout: c.storeTimeout, LeaseWait: c.storeTimeout,
	})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, cache.Close)
	if a.backends, err = backends.New(cache, db, a.publisher(ctx, s, cache)); err != nil {
		return err
	}
	return a.mount(ctx, c, s, metrics)
}

// publisher returns what sends signals to the clients of all processes.
func (a *app) publisher(ctx context.Context, s store, cache *readthrough.Cache) signals.Publisher {
	if s.client == nil {
		return a.signals
	}
	relay := signals.NewRelay(ctx, signals.RelayOptions{
		Hub: a.signals, Client: s.client, Channel: s.prefix + "signals",
		Settled: func() bool { return router.Pending(cache) == 0 },
	})
	a.closers = append(a.closers, relay.Close)
	return relay
}

// mount starts the worker and the sampler, and puts the pages for operators beside the dashboard. A service that others
// can reach has them on a port of its own: the page shows keys, and invalidates.
func (a *app) mount(ctx context.Context, c config, s store, metrics *telemetry.Metrics) error {
	if err := metrics.Add(a.backends.Cache); err != nil {
		return err
	}
	page, err := inspect.New(a.backends.Cache, inspect.Options{ShowKeys: true, Invalidate: true})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, page.Close)
	parts := router.Parts{
		Backends: a.backends, Signals: a.signals,
		Worker:  worker.New(a.backends, c.rate, c.seed),
		Sampler: sampler.New(a.backends),
		Store:   s.kind,
	}
	a.background(ctx, func(ctx context.Context) { parts.Worker.Run(ctx) })
	if c.sample > 0 {
		a.background(ctx, func(ctx context.Context) { parts.Sampler.Run(ctx, c.sample) })
	}
	mux := http.NewServeMux()
	mux.Handle("/", router.New(parts))
	mux.Handle("/debug/cache/", page)
	mux.Handle("GET /metrics", metrics.Handler)
	a.handler = mux
	return nil
}

// background runs f until the app is closed.
func (a *app) background(ctx context.Context, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	a.closers = append(a.closers, func() error {
		cancel()
		running.Wait()
		return nil
	})
}

// close closes what was opened, in the reverse order.
func (a *app) close() error {
	var errs []error
	for _, closer := range slices.Backward(a.closers) {
		errs = append(errs, closer())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
