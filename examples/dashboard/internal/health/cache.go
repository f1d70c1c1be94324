package health

import (
	"context"
	"database/sql"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/signals"
)

// Cached is the service behind the cache: the family status:<system>.
type Cached struct {
	service  Service
	cache    *readthrough.Cache
	signals  signals.Publisher
	statuses *readthrough.Family[string, revision.Of[Status]]
}

// New returns the health of systems, read through c.
func New(c *readthrough.Cache, s Service, p signals.Publisher) (*Cached, error) {
	scope, err := c.Scope("health", readthrough.ScopeOptions{TTL: 15 * time.Second})
	if err != nil {
		return nil, err
	}
	statuses, err := readthrough.NewFamily(scope, "status:", readthrough.Loads[string, revision.Of[Status]]{Many: s.Statuses})
	return &Cached{s, c, p, statuses}, err
}

// Status returns the status of a system.
func (c *Cached) Status(ctx context.Context, system string) (revision.Of[Status], error) {
	return c.statuses.Get(ctx, system)
}

// Statuses returns the status of each of systems that exists.
func (c *Cached) Statuses(ctx context.Context, systems []string) (map[string]revision.Of[Status], error) {
	return c.statuses.GetMany(ctx, systems)
}

// Configure sets the latency above which a system is degraded.
func (c *Cached) Configure(ctx context.Context, system string, maxLatency int64) error {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Configure(ctx, system, maxLatency) })
}

// Associate lets a satellite watch a system.
func (c *Cached) Associate(ctx context.Context, satellite, system string) error {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Associate(ctx, satellite, system) })
}

// Dissociate ends that.
func (c *Cached) Dissociate(ctx context.Context, satellite, system string) error {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Dissociate(ctx, satellite, system) })
}

// RemoveSatellite removes a satellite, with its results.
func (c *Cached) RemoveSatellite(ctx context.Context, satellite string) error {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.RemoveSatellite(ctx, satellite) })
}

// Ingest keeps results: one from a satellite, or many from the queue of check runs. They are one transaction.
// What it makes stale is collected, and dropped after the commit; the signals follow.
func (c *Cached) Ingest(ctx context.Context, results ...Result) error {
	batch := c.cache.Collect()
	defer batch.Discard()
	err := c.service.DB.Write(ctx, func(tx *sql.Tx) error {
		for _, r := range results {
			err := c.mutate(batch.In(ctx), func(ctx context.Context) (Change, error) { return c.service.Record(ctx, tx, r) })
			if err != nil {
				return err
			}
		}
		return nil
	})
	return batch.Done(ctx, database.Unchanged(err))
}

func (c *Cached) mutate(ctx context.Context, write func(context.Context) (Change, error)) error {
	_, err := readthrough.Mutate(ctx, c.statuses.Scope(), readthrough.Mutation[Change]{
		Write:      database.Refusable(write),
		Invalidate: func(change Change) readthrough.Targets { return c.statuses.Of(change.Systems...) },
		Emit: func(_ context.Context, change Change) error {
			return c.signals.Publish("health.updated", revision.Signal{Version: change.Version, Systems: change.Systems})
		},
	})
	return err
}

// SystemDeleted is the hook of the catalog. The rows go with the system.
func (c *Cached) SystemDeleted(ctx context.Context, tx *sql.Tx, system string) (readthrough.Targets, error) {
	_, err := bump(ctx, tx, system)
	return c.statuses.Of(system), err
}
