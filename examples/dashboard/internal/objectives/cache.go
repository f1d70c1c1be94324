package objectives

import (
	"context"
	"database/sql"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/signals"
)

// Cached is the service behind the cache: the families objective:<id>, system:<id> and list:<limit>. Results
// of checks invalidate nothing here: what is computed may be as old as the TTL.
type Cached struct {
	service    Service
	signals    signals.Publisher
	objectives *readthrough.Family[int64, revision.Of[Objective]]
	systems    *readthrough.Family[string, revision.Of[[]Objective]]
	lists      *readthrough.List[int, revision.Of[[]Objective]]
}

// New returns the objectives, read through c.
func New(c *readthrough.Cache, s Service, p signals.Publisher) (*Cached, error) {
	scope, err := c.Scope("objectives", readthrough.ScopeOptions{TTL: 15 * time.Second, NotFound: ErrNotFound})
	if err != nil {
		return nil, err
	}
	o := &Cached{service: s, signals: p}
	if o.objectives, err = readthrough.NewFamily(scope, "objective:", readthrough.Loads[int64, revision.Of[Objective]]{One: s.Objective}); err != nil {
		return nil, err
	}
	if o.systems, err = readthrough.NewFamily(scope, "system:", readthrough.Loads[string, revision.Of[[]Objective]]{Many: s.BySystems}); err != nil {
		return nil, err
	}
	o.lists, err = readthrough.NewList(scope, "list:", s.List)
	return o, err
}

// Objective returns one objective with its status.
func (c *Cached) Objective(ctx context.Context, id int64) (revision.Of[Objective], error) {
	return c.objectives.Get(ctx, id)
}

// BySystem returns the objectives of a system.
func (c *Cached) BySystem(ctx context.Context, system string) (revision.Of[[]Objective], error) {
	return c.systems.Get(ctx, system)
}

// BySystems returns the objectives of each of systems that exists.
func (c *Cached) BySystems(ctx context.Context, systems []string) (map[string]revision.Of[[]Objective], error) {
	return c.systems.GetMany(ctx, systems)
}

// List returns the latest objectives, at most limit.
func (c *Cached) List(ctx context.Context, limit int) (revision.Of[[]Objective], error) {
	return c.lists.Get(ctx, limit)
}

// Create creates an objective of a system.
func (c *Cached) Create(ctx context.Context, system string, d Draft) (Objective, error) {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Create(ctx, system, d) })
}

// Update changes an objective.
func (c *Cached) Update(ctx context.Context, id int64, d Draft) (Objective, error) {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Update(ctx, id, d) })
}

// Delete deletes an objective.
func (c *Cached) Delete(ctx context.Context, id int64) error {
	_, err := c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Delete(ctx, id) })
	return err
}

func (c *Cached) mutate(ctx context.Context, write func(context.Context) (Change, error)) (Objective, error) {
	change, err := readthrough.Mutate(ctx, c.objectives.Scope(), readthrough.Mutation[Change]{
		Write: database.Refusable(write),
		Invalidate: func(change Change) readthrough.Targets {
			return c.objectives.Of(change.Objective.ID).And(c.systems.Of(change.Objective.System), c.lists.All())
		},
		Emit: func(_ context.Context, change Change) error {
			return c.signals.Publish("objective.updated", revision.Signal{Version: change.Version, Systems: []string{change.Objective.System}})
		},
	})
	return change.Objective, err
}

// SystemDeleted is the hook of the catalog. The rows go with the system.
func (c *Cached) SystemDeleted(ctx context.Context, tx *sql.Tx, system string) (readthrough.Targets, error) {
	ids, err := c.service.Of(ctx, tx, system)
	return c.objectives.Of(ids...).And(c.systems.Of(system), c.lists.All()), err
}
