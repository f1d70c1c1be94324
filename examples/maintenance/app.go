package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/maintenance/internal/cache"
	"github.com/readthrough/readthrough/examples/maintenance/internal/router"
	"github.com/readthrough/readthrough/examples/maintenance/internal/service"
	"github.com/readthrough/readthrough/examples/maintenance/internal/signals"
	"github.com/readthrough/readthrough/examples/maintenance/internal/users"
	"github.com/readthrough/readthrough/provider"
)

// app is the service with all its layers.
type app struct {
	handler http.Handler
	signals *signals.Hub
	closers []func() error // run from the last to the first
}

// newApp opens what the configuration names and connects the layers.
func newApp(ctx context.Context, c config) (*app, error) {
	a := &app{}
	database, err := a.openDatabase(ctx, c)
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	store, err := a.openStore(ctx, c, database.DatabaseID())
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	if err := a.connect(c, database, store); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// openDatabase opens the database, and fills it if it is new.
func (a *app) openDatabase(ctx context.Context, c config) (*service.Service, error) {
	database, err := service.Open(ctx, service.Options{File: c.dbFile, Latency: c.latency})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, database.Close)
	return database, database.Seed(ctx)
}

// connect puts the layers on top of each other: the service under the cache under
// the router.
func (a *app) connect(c config, database *service.Service, store provider.CacheProvider) error {
	readThrough, err := readthrough.New(store, readthrough.Options{ProviderTimeout: c.storeTimeout})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, readThrough.Close)
	a.signals = signals.NewHub(signals.Options{})
	maintenances, err := cache.New(readThrough, database, a.signals)
	if err != nil {
		return err
	}
	a.handler = router.New(router.Parts{
		Maintenances: maintenances,
		Users:        users.NewDirectory(),
		Signals:      a.signals,
		Ping:         database.Ping,
		Usage:        database.Usage,
		StoreStats:   readThrough.StoreStats,
	})
	return nil
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
