// Package health tells how systems are, from what satellites measure. In the original, this is the backend
// with the most reads and the most changes.
package health

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
)

// ErrNotFound matches the error for a system or a satellite that does not exist.
var ErrNotFound = errors.New("health: not found")

// State is how a system is.
type State string

// The states. A system without results is unknown.
const (
	Up       State = "up"
	Degraded State = "degraded"
	Down     State = "down"
	Unknown  State = "unknown"
)

// Status is how a system is, over all satellites that watch it.
type Status struct {
	State      State `json:"state"`
	Latency    int64 `json:"latency_ms"`     // the highest
	MaxLatency int64 `json:"max_latency_ms"` // above it, the system is degraded; 0: it never is
	Satellites int   `json:"satellites"`
	At         int64 `json:"at_ms"` // of the last result; 0: none
}

// Result is what a satellite has measured.
type Result struct {
	System    string `json:"system"`
	Satellite string `json:"satellite"`
	OK        bool   `json:"ok"`
	Latency   int64  `json:"latency_ms"`
}

// Change is what a mutation has changed: the status of systems.
type Change struct {
	Version int64
	Systems []string
}

// Service reads and changes the database. It is safe for concurrent use.
type Service struct{ DB *database.DB }

// Statuses returns the status of each of systems that exists, by one query.
func (s Service) Statuses(ctx context.Context, systems []string) (map[string]revision.Of[Status], error) {
	statuses := make(map[string]revision.Of[Status], len(systems))
	err := database.Each(ctx, s.DB, func(rows *sql.Rows) error {
		var system string
		var all int64
		var status revision.Of[Status]
		v := &status.Value
		if err := rows.Scan(&system, &status.Version, &v.MaxLatency, &v.Satellites, &all, &v.Latency, &v.At); err != nil {
			return err
		}
		v.State = v.state(all == 1)
		statuses[system] = status
		return nil
	}, `
		SELECT s.id, coalesce(v.version, 0), coalesce(c.max_latency, 0),
		       count(r.ok), coalesce(min(r.ok), 1), coalesce(max(r.latency), 0), coalesce(max(r.at), 0)
		FROM system s
		LEFT JOIN revision v ON v.name = 'health:' || s.id
		LEFT JOIN health_check c ON c.system_id = s.id
		LEFT JOIN association a ON a.system_id = s.id
		LEFT JOIN result r ON r.system_id = s.id AND r.satellite_id = a.satellite_id
		WHERE s.id IN (SELECT value FROM json_each(@systems))
		GROUP BY s.id, v.version, c.max_latency`, sql.Named("systems", database.JSONArray(systems)))
	return statuses, err
}

func (s Status) state(allOK bool) State {
	switch {
	case s.Satellites == 0:
		return Unknown
	case !allOK:
		return Down
	case s.MaxLatency > 0 && s.Latency > s.MaxLatency:
		return Degraded
	default:
		return Up
	}
}

// Configure sets the latency above which a system is degraded; 0: it never is.
func (s Service) Configure(ctx context.Context, system string, maxLatency int64) (Change, error) {
	return s.change(ctx, `
		INSERT INTO health_check (system_id, max_latency) VALUES (@system, @max)
		ON CONFLICT (system_id) DO UPDATE SET max_latency = excluded.max_latency`,
		system, sql.Named("max", maxLatency))
}

// Associate lets a satellite watch a system.
func (s Service) Associate(ctx context.Context, satellite, system string) (Change, error) {
	return s.change(ctx, `
		INSERT INTO association (system_id, satellite_id) VALUES (@system, @satellite) ON CONFLICT DO NOTHING`,
		system, sql.Named("satellite", satellite))
}

// Dissociate ends that.
func (s Service) Dissociate(ctx context.Context, satellite, system string) (Change, error) {
	return s.change(ctx, `DELETE FROM association WHERE system_id = @system AND satellite_id = @satellite`,
		system, sql.Named("satellite", satellite))
}

// change runs a statement that changes the status of a system.
func (s Service) change(ctx context.Context, statement, system string, arg sql.NamedArg) (change Change, err error) {
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		if err := exists(ctx, tx, system); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, statement, sql.Named("system", system), arg); err != nil {
			return err
		}
		change, err = bump(ctx, tx, system)
		return err
	})
	return change, err
}

// Record keeps a result, inside of a transaction.
func (s Service) Record(ctx context.Context, tx *sql.Tx, r Result) (Change, error) {
	if err := exists(ctx, tx, r.System); err != nil {
		return Change{}, err
	}
	now, ok := time.Now(), int64(0)
	if r.OK {
		ok = 1
	}
	args := []any{
		sql.Named("system", r.System), sql.Named("satellite", r.Satellite), sql.Named("ok", ok),
		sql.Named("latency", r.Latency), sql.Named("at", now.UnixMilli()), sql.Named("day", now.Unix()/(24*60*60)),
	}
	for _, statement := range []string{
		`INSERT INTO satellite (id) VALUES (@satellite) ON CONFLICT DO NOTHING`,
		`INSERT INTO result (system_id, satellite_id, ok, latency, at) VALUES (@system, @satellite, @ok, @latency, @at)
		 ON CONFLICT (system_id, satellite_id) DO UPDATE SET ok = excluded.ok, latency = excluded.latency, at = excluded.at`,
		`INSERT INTO result_day (system_id, day, good, total) VALUES (@system, @day, @ok, 1)
		 ON CONFLICT (system_id, day) DO UPDATE SET good = result_day.good + excluded.good, total = result_day.total + 1`,
	} {
		if _, err := tx.ExecContext(ctx, statement, args...); err != nil {
			return Change{}, err
		}
	}
	return bump(ctx, tx, r.System)
}

// RemoveSatellite removes a satellite, with its results.
func (s Service) RemoveSatellite(ctx context.Context, satellite string) (change Change, err error) {
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		var systems []string
		err := database.Each(ctx, tx, func(rows *sql.Rows) error {
			var system string
			err := rows.Scan(&system)
			systems = append(systems, system)
			return err
		}, `SELECT system_id FROM association WHERE satellite_id = @id ORDER BY system_id`, sql.Named("id", satellite))
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM satellite WHERE id = @id`, sql.Named("id", satellite)); err != nil {
			return err
		}
		change, err = bump(ctx, tx, systems...)
		return err
	})
	return change, err
}

func bump(ctx context.Context, tx *sql.Tx, systems ...string) (Change, error) {
	version, err := revision.Bump(ctx, tx, revision.Names("health:", systems)...)
	return Change{version, systems}, err
}

func exists(ctx context.Context, tx *sql.Tx, system string) error {
	var id string
	err := tx.QueryRowContext(ctx, `SELECT id FROM system WHERE id = @id`, sql.Named("id", system)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("system %.80q: %w", system, ErrNotFound)
	}
	return err
}
