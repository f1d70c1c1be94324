package anomalies

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

// Cached is the service behind the cache. Users read lists, in the scope "anomalies". The detector has a cache
// of its own: the scope "detector" with the baseline of each metric, which lives longer.
type Cached struct {
	service   Service
	signals   signals.Publisher
	anomalies *readthrough.List[Filters, revision.Of[[]Anomaly]]
	baselines *readthrough.List[Filters, revision.Of[[]Baseline]]
	detector  *readthrough.Family[Metric, Baseline]
}

// New returns the anomalies, read through c.
func New(c *readthrough.Cache, s Service, p signals.Publisher) (*Cached, error) {
	lists, err := c.Scope("anomalies", readthrough.ScopeOptions{TTL: 15 * time.Second})
	if err != nil {
		return nil, err
	}
	detector, err := c.Scope("detector", readthrough.ScopeOptions{TTL: time.Minute, NotFound: ErrNotFound})
	if err != nil {
		return nil, err
	}
	a := &Cached{service: s, signals: p}
	if a.anomalies, err = readthrough.NewList(lists, "anomaly:", s.Anomalies); err != nil {
		return nil, err
	}
	if a.baselines, err = readthrough.NewList(lists, "baseline:", s.Baselines); err != nil {
		return nil, err
	}
	a.detector, err = readthrough.NewFamily(detector, "baseline:", readthrough.Loads[Metric, Baseline]{One: s.Baseline})
	return a, err
}

// Anomalies returns the anomalies that match filters, the latest first.
func (c *Cached) Anomalies(ctx context.Context, f Filters) (revision.Of[[]Anomaly], error) {
	return c.anomalies.Get(ctx, f.stable())
}

// Baselines returns the baselines that match filters.
func (c *Cached) Baselines(ctx context.Context, f Filters) (revision.Of[[]Baseline], error) {
	return c.baselines.Get(ctx, f.stable())
}

// stable returns one form for all filters with the same meaning, so that they share an entry.
func (f Filters) stable() Filters {
	f.Systems = slices.Compact(slices.Sorted(slices.Values(f.Systems)))
	return f
}

// Observe is the detector: it compares a value with its baseline, and brings the metric into a new state if need
// be. A metric without a baseline is left alone.
func (c *Cached) Observe(ctx context.Context, m Metric, value int64) error {
	baseline, err := c.detector.Get(ctx, m)
	if err != nil {
		return ignore(err, ErrNotFound)
	}
	return c.mutate(ctx, func(ctx context.Context) (Change, error) {
		return c.service.Transition(ctx, m, baseline.judge(value), value)
	}, func(change Change) readthrough.Targets {
		if !change.Changed {
			return readthrough.Targets{}
		}
		return c.lists()
	})
}

// Configure sets the baseline of a metric.
func (c *Cached) Configure(ctx context.Context, b Baseline) error {
	return c.mutate(ctx, func(ctx context.Context) (Change, error) { return c.service.Configure(ctx, b) },
		func(Change) readthrough.Targets { return c.lists().And(c.detector.Of(b.Metric)) })
}

// lists are all lists of users.
func (c *Cached) lists() readthrough.Targets { return c.anomalies.All().And(c.baselines.All()) }

func (c *Cached) mutate(ctx context.Context, write func(context.Context) (Change, error), stale func(Change) readthrough.Targets) error {
	_, err := readthrough.Mutate(ctx, c.anomalies.Scope(), readthrough.Mutation[Change]{
		Write:      database.Refusable(write),
		Invalidate: stale,
		Emit: func(_ context.Context, change Change) error {
			if !change.Changed {
				return nil
			}
			return c.signals.Publish("anomaly.updated", revision.Signal{Version: change.Version, Systems: []string{change.Metric.System}})
		},
	})
	return err
}

// SystemDeleted is the hook of the catalog. The rows go with the system.
func (c *Cached) SystemDeleted(ctx context.Context, tx *sql.Tx, system string) (readthrough.Targets, error) {
	metrics, err := c.service.Metrics(ctx, tx, system)
	if err == nil {
		_, err = revision.Bump(ctx, tx, "anomalies", "baselines")
	}
	return c.lists().And(c.detector.Of(metrics...)), err
}
