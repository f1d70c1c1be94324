package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/internal/maintenance/cache"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
	"github.com/readthrough/readthrough/examples/internal/signals"
	"github.com/readthrough/readthrough/examples/internal/telemetry"
	"github.com/readthrough/readthrough/examples/internal/users"
	"github.com/readthrough/readthrough/examples/maintenance/internal/load"
	"github.com/readthrough/readthrough/examples/maintenance/internal/router"
	"github.com/readthrough/readthrough/inspect"
)

// app is the service with all its layers.
type app struct {
	handler http.Handler
	signals *signals.Hub
	// publisher sends signals to the clients of all processes.
	publisher signals.Publisher
	load      *load.Generator
	closers   []func() error // run from last to first
}

// newApp opens what the configuration names, and connects the layers.
func newApp(ctx context.Context, c config) (*app, error) {
	a := &app{}
	database, err := a.openDatabase(ctx, c)
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	s, err := a.openStore(ctx, c, database.ID())
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	if err := a.connect(ctx, c, database, s); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// openDatabase opens the database, and fills it if it is new.
func (a *app) openDatabase(ctx context.Context, c config) (*service.Service, error) {
	database, err := service.Open(ctx, service.Options{Database: c.database, Latency: c.latency})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, database.Close)
	return database, database.Seed(ctx)
}

// connect stacks the layers: the service, the cache on top of it, and the router
// on top of the cache.
func (a *app) connect(ctx context.Context, c config, database *service.Service, s store) error {
	metrics, err := telemetry.New()
	if err != nil {
		return err
	}
	a.closers = append(a.closers, metrics.Close)
	readThrough, err := readthrough.New(s.CacheProvider, readthrough.Options{
		Observer:        metrics.Observer(),
		ProviderTimeout: c.storeTimeout,
		LeaseWait:       c.storeTimeout, // another process that loads needs as much time
	})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, readThrough.Close)
	a.signals = signals.NewHub(signals.Options{})
	directory := users.NewDirectory()
	maintenances, err := a.cached(ctx, c, readThrough, database, s)
	if err != nil {
		return err
	}
	maintenances.Notify(directory.Name, a.notify)
	a.load = load.New(maintenances)
	parts := router.Parts{
		Maintenances: maintenances,
		Users:        directory,
		Signals:      a.signals,
		Load:         a.load,
		Ping:         database.PingContext,
		Usage:        database.Usage,
		StoreStats:   readThrough.StoreStats,
		Provider: func(ctx context.Context) router.ProviderState {
			state := s.state(ctx)
			state.Database = database.Kind()
			return state
		},
	}
	if s.link != nil {
		parts.Link = s.link
	}
	if s.near != nil {
		parts.Near = s.near.NearStats
	}
	return a.mount(readThrough, metrics, router.New(parts))
}

// mount puts the pages for operators beside the service. A service that others can reach has them
// on a port of its own: the page shows keys, and invalidates.
func (a *app) mount(readThrough *readthrough.Cache, metrics *telemetry.Metrics, pages http.Handler) error {
	if err := metrics.Add(readThrough); err != nil {
		return err
	}
	page, err := inspect.New(readThrough, inspect.Options{ShowKeys: true, Invalidate: true})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, page.Close)
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	mux.Handle("/debug/cache/", page)
	mux.Handle("GET /metrics", metrics.Handler)
	a.handler = mux
	return nil
}

// cached returns the maintenances of the database behind the cache. With a shared
// store, signals reach the clients of all processes.
func (a *app) cached(
	ctx context.Context, c config, readThrough *readthrough.Cache, database *service.Service, s store,
) (maintenances *cache.Maintenances, err error) {
	a.publisher = a.signals
	if c.noCache {
		return cache.Uncached(database, a.publisher), nil
	}
	if s.client != nil {
		relay := signals.NewRelay(ctx, signals.RelayOptions{
			Hub:     a.signals,
			Client:  s.client,
			Channel: s.prefix + "signals",
			Settled: func() bool { return maintenances.Stats().Pending == 0 },
		})
		a.closers = append(a.closers, relay.Close)
		a.publisher = relay
	}
	return cache.New(readThrough, database, a.publisher)
}

// notice is the data of a maintenance.notice: a text for some users. A service with a sign-in would send it to
// them only.
type notice struct {
	Text  string   `json:"text"`
	Users []string `json:"users"`
}

func (a *app) notify(_ context.Context, text string, subscribers ...string) error {
	return a.publisher.Publish("maintenance.notice", notice{text, subscribers})
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
