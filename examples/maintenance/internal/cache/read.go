package cache

import (
	"context"
	"time"

	"github.com/readthrough/readthrough/examples/maintenance/internal/service"
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

// BySystems returns the maintenances of many systems; those that do not exist are
// missing. The systems that are not cached are read together in one query.
func (m *Maintenances) BySystems(ctx context.Context, systems []string) (map[string][]service.Maintenance, error) {
	defer m.reads.measure(time.Now())
	return m.bySystems(ctx, systems)
}

// List returns the maintenances that match filters.
func (m *Maintenances) List(ctx context.Context, filters service.Filters) ([]service.Maintenance, error) {
	filters, err := filters.Normalize() // the same filters, the same key
	if err != nil {
		return nil, err
	}
	defer m.reads.measure(time.Now())
	return m.list(ctx, filters)
}

// Systems returns all systems. They are read from the database whenever a page
// is opened, and never change: there is nothing to gain by caching them.
func (m *Maintenances) Systems(ctx context.Context) ([]service.System, error) {
	return m.service.Systems(ctx)
}
