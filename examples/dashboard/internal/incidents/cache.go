package incidents

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/signals"
)

// Cached is the service behind the cache: the families incident:<id>, system:<id> and list:<filters>.
type Cached struct {
	service   Service
	signals   signals.Publisher
	incidents *readthrough.Family[int64, revision.Of[Incident]]
	systems   *readthrough.Family[string, revision.Of[[]Incident]]
	lists     *readthrough.List[Filters, revision.Of[[]Incident]]
}

// New returns the incidents, read through c.
func New(c *readthrough.Cache, s Service, p signals.Publisher) (*Cached, error) {
	scope, err := c.Scope("incidents", readthrough.ScopeOptions{TTL: 15 * time.Second, NotFound: ErrNotFound})
	if err != nil {
		return nil, err
	}
	i := &Cached{service: s, signals: p}
	if i.incidents, err = readthrough.NewFamily(scope, "incident:", readthrough.Loads[int64, revision.Of[Incident]]{One: s.Incident}); err != nil {
		return nil, err
	}
	if i.systems, err = readthrough.NewFamily(scope, "system:", readthrough.Loads[string, revision.Of[[]Incident]]{Many: s.BySystems}); err != nil {
		return nil, err
	}
	i.lists, err = readthrough.NewList(scope, "list:", s.List)
	return i, err
}

// Incident returns one incident.
func (c *Cached) Incident(ctx context.Context, id int64) (revision.Of[Incident], error) {
	return c.incidents.Get(ctx, id)
}

// BySystem returns the incidents of a system.
func (c *Cached) BySystem(ctx context.Context, system string) (revision.Of[[]Incident], error) {
	return c.systems.Get(ctx, system)
}

// BySystems returns the incidents of each of systems that exists.
func (c *Cached) BySystems(ctx context.Context, systems []string) (map[string]revision.Of[[]Incident], error) {
	return c.systems.GetMany(ctx, systems)
}

// List returns the incidents that match filters, the latest first.
func (c *Cached) List(ctx context.Context, f Filters) (revision.Of[[]Incident], error) {
	f.Systems = slices.Compact(slices.Sorted(slices.Values(f.Systems))) // one key for all orders
	return c.lists.Get(ctx, f)
}

// Create creates an incident.
func (c *Cached) Create(ctx context.Context, d Draft) (Incident, error) {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Create(ctx, d) })
}

// Update changes an incident.
func (c *Cached) Update(ctx context.Context, id int64, d Draft) (Incident, error) {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Update(ctx, id, d) })
}

// AddUpdate adds a report.
func (c *Cached) AddUpdate(ctx context.Context, id int64, author, message string) (Incident, error) {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.AddUpdate(ctx, id, author, message) })
}

// Resolve ends an incident.
func (c *Cached) Resolve(ctx context.Context, id int64, author string) (Incident, error) {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Resolve(ctx, id, author) })
}

// Delete deletes an incident.
func (c *Cached) Delete(ctx context.Context, id int64) error {
	_, err := c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Delete(ctx, id) })
	return err
}

func (c *Cached) mutate(ctx context.Context, write func(context.Context) (Change, error)) (Incident, error) {
	change, err := readthrough.Mutate(ctx, c.incidents.Scope(), readthrough.Mutation[Change]{
		Write: database.Refusable(write),
		Invalidate: func(change Change) readthrough.Targets {
			return c.incidents.Of(change.Incident.ID).And(c.systems.Of(change.Systems...), c.lists.All())
		},
		Emit: func(_ context.Context, change Change) error {
			return c.signals.Publish("incident.updated", revision.Signal{Version: change.Version, Systems: change.Systems})
		},
	})
	return change.Incident, err
}

// SystemDeleted is the hook of the catalog. Incidents stay, without the system: whatever system
// shows them is stale, too.
func (c *Cached) SystemDeleted(ctx context.Context, tx *sql.Tx, system string) (readthrough.Targets, error) {
	ids, systems, err := c.service.Detach(ctx, tx, system)
	return c.incidents.Of(ids...).And(c.systems.Of(systems...), c.lists.All()), err
}
