package cache

import (
	"context"
	"time"

	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// Get returns a maintenance, or an error that matches [service.ErrNotFound].
func (m *Maintenances) Get(ctx context.Context, id int64) (service.Maintenance, error) {
	defer m.reads.measure(time.Now())
	return m.get(ctx, id)
}

// BySystem returns the maintenances of a system, or an error that matches
// [service.ErrNotFound].
func (m *Maintenances) BySystem(ctx context.Context, system string) ([]service.Maintenance, error) {
	defer m.reads.measure(time.Now())
	return m.bySystem(ctx, system)
}

// BySystems returns the maintenances of many systems. Systems that do not exist
// are missing. One query reads all systems that are not cached.
func (m *Maintenances) BySystems(ctx context.Context, systems []string) (map[string][]service.Maintenance, error) {
	defer m.reads.measure(time.Now())
	return m.bySystems(ctx, systems)
}

// List returns the maintenances that match filters.
func (m *Maintenances) List(ctx context.Context, filters service.Filters) ([]service.Maintenance, error) {
	filters, err := filters.Normalize() // equal filters get equal keys
	if err != nil {
		return nil, err
	}
	defer m.reads.measure(time.Now())
	return m.list(ctx, filters)
}

// Systems returns all systems, from the database. A page reads them once when it
// is opened, and they never change: caching them gains nothing.
func (m *Maintenances) Systems(ctx context.Context) ([]service.System, error) {
	return m.service.Systems(ctx)
}
