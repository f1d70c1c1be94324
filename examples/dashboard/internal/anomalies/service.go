// Package anomalies detects that a metric of a system differs from what is usual.
package anomalies

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
)

// ErrNotFound matches the error for a metric without a baseline.
var ErrNotFound = errors.New("anomalies: not found")

// ErrInvalid matches the error for input that is refused.
var ErrInvalid = errors.New("anomalies: invalid")

// State is the state of a metric of a system.
type State string

// The states. A metric that was never suspicious has none.
const (
	Suspicious State = "suspicious"
	Anomalous  State = "anomaly"
	Recovered  State = "recovered"
)

// Metric is a metric of a system, such as {"api", "latency"}.
type Metric struct {
	System string `json:"system"`
	Name   string `json:"metric"`
}

// Anomaly is a metric that is or was unusual.
type Anomaly struct {
	Metric

	State State `json:"state"`
	Value int64 `json:"value"`
	At    int64 `json:"at_ms"`
}

// Baseline is what is usual for a metric.
type Baseline struct {
	Metric

	Mean      int64 `json:"mean"`
	Deviation int64 `json:"deviation"`
}

// judge returns the state of a metric with that value.
func (b Baseline) judge(value int64) State {
	switch distance := max(value-b.Mean, b.Mean-value); {
	case distance > 4*b.Deviation:
		return Anomalous
	case distance > 2*b.Deviation:
		return Suspicious
	default:
		return Recovered
	}
}

// Filters select anomalies or baselines. The zero value selects all.
type Filters struct {
	Systems []string `json:"systems,omitempty"`
	// Active leaves out what has recovered. It does not select baselines.
	Active bool `json:"active,omitempty"`
}

// Change is what a mutation has changed.
type Change struct {
	Version int64
	// Changed is false if the metric was in this state before.
	Changed bool
	Metric  Metric
}

// Service reads and changes the database. It is safe for concurrent use.
type Service struct{ DB *database.DB }

// Anomalies returns the anomalies that match filters, the latest first.
func (s Service) Anomalies(ctx context.Context, f Filters) (all revision.Of[[]Anomaly], err error) {
	all.Value = []Anomaly{}
	active := 0
	if f.Active {
		active = 1
	}
	err = database.Each(ctx, s.DB, func(rows *sql.Rows) error {
		var a Anomaly
		if err := rows.Scan(&all.Version, &a.System, &a.Name, &a.State, &a.Value, &a.At); err != nil || a.System == "" {
			return err
		}
		all.Value = append(all.Value, a)
		return nil
	}, `
		SELECT v.version, coalesce(a.system_id, ''), coalesce(a.metric, ''), coalesce(a.state, ''), coalesce(a.value, 0), coalesce(a.at, 0)
		FROM revision v
		LEFT JOIN anomaly a ON (@active = 0 OR a.state <> 'recovered')
		  AND (@systems = '[]' OR a.system_id IN (SELECT value FROM json_each(@systems)))
		WHERE v.name = 'anomalies' ORDER BY a.at DESC, a.system_id, a.metric LIMIT 200`,
		sql.Named("active", active), sql.Named("systems", database.JSONArray(f.Systems)))
	return all, err
}

// Baselines returns the baselines that match filters.
func (s Service) Baselines(ctx context.Context, f Filters) (all revision.Of[[]Baseline], err error) {
	all.Value = []Baseline{}
	err = database.Each(ctx, s.DB, func(rows *sql.Rows) error {
		var b Baseline
		if err := rows.Scan(&all.Version, &b.System, &b.Name, &b.Mean, &b.Deviation); err != nil || b.System == "" {
			return err
		}
		all.Value = append(all.Value, b)
		return nil
	}, `
		SELECT v.version, coalesce(b.system_id, ''), coalesce(b.metric, ''), coalesce(b.mean, 0), coalesce(b.deviation, 0)
		FROM revision v
		LEFT JOIN baseline b ON @systems = '[]' OR b.system_id IN (SELECT value FROM json_each(@systems))
		WHERE v.name = 'baselines' ORDER BY b.system_id, b.metric LIMIT 200`,
		sql.Named("systems", database.JSONArray(f.Systems)))
	return all, err
}

// Baseline returns the baseline of a metric.
func (s Service) Baseline(ctx context.Context, m Metric) (b Baseline, err error) {
	b.Metric = m
	err = s.DB.QueryRowContext(ctx, `SELECT mean, deviation FROM baseline WHERE system_id = @system AND metric = @metric`,
		sql.Named("system", m.System), sql.Named("metric", m.Name)).Scan(&b.Mean, &b.Deviation)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("metric %.80q of %.80q: %w", m.Name, m.System, ErrNotFound)
	}
	return b, err
}

// Transition brings a metric into a state. A metric that was never unusual does not recover.
func (s Service) Transition(ctx context.Context, m Metric, next State, value int64) (change Change, err error) {
	change.Metric = m
	id := []any{sql.Named("system", m.System), sql.Named("metric", m.Name)}
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		before := Recovered
		err := tx.QueryRowContext(ctx, `SELECT state FROM anomaly WHERE system_id = @system AND metric = @metric`, id...).Scan(&before)
		if err != nil && !errors.Is(err, sql.ErrNoRows) || before == next {
			return ignore(err, sql.ErrNoRows)
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO anomaly (system_id, metric, state, value, at) VALUES (@system, @metric, @state, @value, @at)
			ON CONFLICT (system_id, metric) DO UPDATE SET state = excluded.state, value = excluded.value, at = excluded.at`,
			append(id, sql.Named("state", string(next)), sql.Named("value", value), sql.Named("at", time.Now().UnixMilli()))...)
		if err != nil {
			return err
		}
		change.Changed = true
		change.Version, err = revision.Bump(ctx, tx, "anomalies")
		return err
	})
	return change, err
}

// Configure sets the baseline of a metric.
func (s Service) Configure(ctx context.Context, b Baseline) (change Change, err error) {
	if b.Deviation < 1 {
		return Change{}, fmt.Errorf("%w: deviation must be at least 1", ErrInvalid)
	}
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO baseline (system_id, metric, mean, deviation)
			SELECT id, CAST(@metric AS TEXT), CAST(@mean AS BIGINT), CAST(@deviation AS BIGINT) FROM system WHERE id = @system
			ON CONFLICT (system_id, metric) DO UPDATE SET mean = excluded.mean, deviation = excluded.deviation`,
			sql.Named("system", b.System), sql.Named("metric", b.Name), sql.Named("mean", b.Mean), sql.Named("deviation", b.Deviation))
		if err != nil {
			return err
		}
		change.Version, err = revision.Bump(ctx, tx, "anomalies", "baselines")
		return err
	})
	change.Changed, change.Metric = true, b.Metric
	return change, err
}

// Metrics returns the metrics of a system.
func (Service) Metrics(ctx context.Context, tx *sql.Tx, system string) (metrics []Metric, err error) {
	err = database.Each(ctx, tx, func(rows *sql.Rows) error {
		m := Metric{System: system}
		err := rows.Scan(&m.Name)
		metrics = append(metrics, m)
		return err
	}, `SELECT metric FROM baseline WHERE system_id = @system`, sql.Named("system", system))
	return metrics, err
}

func ignore(err, ignored error) error {
	if errors.Is(err, ignored) {
		return nil
	}
	return err
}
