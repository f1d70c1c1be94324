// Package seed fills a new database.
package seed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/incidents"
	"github.com/readthrough/readthrough/examples/dashboard/internal/objectives"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// Satellites are those of the seed.
func Satellites() []string { return []string{"frankfurt", "oregon", "singapore"} }

// objectiveEvery is how many systems there are for each with an objective.
const objectiveEvery = 5

// Fill fills the database with that many systems, unless somebody has filled it. There are at least the twelve
// systems of the maintenances.
func Fill(ctx context.Context, db *database.DB, systems int) error {
	if err := service.New(db).Seed(ctx); err != nil {
		return err
	}
	err := db.Write(ctx, func(tx *sql.Tx) error {
		var known int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM satellite`).Scan(&known); err != nil || known > 0 {
			return err
		}
		return errors.Join(addSystems(ctx, tx, systems), addMore(ctx, tx))
	})
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

func addSystems(ctx context.Context, tx *sql.Tx, systems int) error {
	const named = 12 // of the maintenances
	for i := named; i < systems; i++ {
		if err := run(ctx, tx, `INSERT INTO system (id, name) VALUES (@id, @name)`,
			"id", fmt.Sprintf("node-%04d", i+1), "name", fmt.Sprintf("Node %d", i+1)); err != nil {
			return err
		}
	}
	now := time.Now()
	for i, satellite := range Satellites() {
		for _, statement := range []string{
			`INSERT INTO satellite (id) VALUES (@satellite)`,
			`INSERT INTO association (system_id, satellite_id) SELECT id, CAST(@satellite AS TEXT) FROM system`,
			`INSERT INTO result (system_id, satellite_id, ok, latency, at) SELECT id, CAST(@satellite AS TEXT), 1, CAST(@latency AS BIGINT), CAST(@now AS BIGINT) FROM system`,
		} {
			if err := run(ctx, tx, statement, "satellite", satellite, "latency", 20+30*i, "now", now.UnixMilli()); err != nil {
				return err
			}
		}
	}
	for _, statement := range []string{
		`INSERT INTO health_check (system_id, max_latency) SELECT id, 400 FROM system`,
		`INSERT INTO baseline (system_id, metric, mean, deviation) SELECT id, 'latency', 80, 40 FROM system`,
		`INSERT INTO result_day (system_id, day, good, total) SELECT id, CAST(@day AS BIGINT), 8640, 8643 FROM system`,
	} {
		if err := run(ctx, tx, statement, "day", now.Unix()/(24*60*60)-1); err != nil {
			return err
		}
	}
	return addObjectives(ctx, tx)
}

func addObjectives(ctx context.Context, tx *sql.Tx) error {
	var ids []string
	err := database.Each(ctx, tx, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT id FROM system ORDER BY id`)
	if err != nil {
		return err
	}
	for i := 0; i < len(ids); i += objectiveEvery {
		document := revision.Document(objectives.Objective{System: ids[i], Draft: objectives.Draft{Name: "Availability", Target: 0.999, Days: 28}})
		if err := run(ctx, tx, `INSERT INTO objective (system_id, document) VALUES (@id, @document)`, "id", ids[i], "document", document); err != nil {
			return err
		}
	}
	return nil
}

// addMore adds what does not depend on the number of systems.
func addMore(ctx context.Context, tx *sql.Tx) error {
	incident := incidents.Incident{Title: "Mail is delivered late", Severity: "minor", Systems: []string{"mail"}, Updates: []incidents.Update{
		{At: time.Now().Add(-20 * time.Minute).UnixMilli(), Author: "mara", Message: "A queue is full. We add workers."},
	}}
	errs := []error{
		run(ctx, tx, `INSERT INTO incident (status, document) VALUES ('open', @document)`, "document", revision.Document(incident)),
		run(ctx, tx, `INSERT INTO incident_system (system_id, incident_id) SELECT 'mail', id FROM incident`),
		run(ctx, tx, `INSERT INTO announcement (title, level) VALUES ('The dashboard has a new home. Welcome!', 'info')`),
		run(ctx, tx, `INSERT INTO catalog_view (id, name, group_id) VALUES ('shop', 'The shop', 'shop')`),
	}
	groups := []struct {
		id, name string
		systems  []string
	}{
		{"shop", "Shop", []string{"api", "billing", "checkout", "search"}},
		{"platform", "Platform", []string{"auth", "cdn", "dns", "queue", "storage"}},
		{"data", "Data", []string{"db-orders", "db-users"}},
	}
	for _, g := range groups {
		errs = append(errs, run(ctx, tx, `INSERT INTO system_group (id, name) VALUES (@id, @name)`, "id", g.id, "name", g.name))
		for _, system := range g.systems {
			errs = append(errs, run(ctx, tx, `INSERT INTO membership (system_id, group_id) VALUES (@system, @id)`, "system", system, "id", g.id))
		}
	}
	for _, of := range [][3]string{{"mail", "mara", "queue"}, {"api", "ines", "auth"}, {"checkout", "jonas", "db-orders"}, {"storage", "lin", "cdn"}} {
		errs = append(errs,
			run(ctx, tx, `INSERT INTO contact (system_id, user_id, role) VALUES (@system, @user, 'owner')`, "system", of[0], "user", of[1]),
			run(ctx, tx, `INSERT INTO subscription (user_id, system_id) VALUES (@user, @a), (@user, @b)`, "user", of[1], "a", of[0], "b", of[2]),
			run(ctx, tx, `INSERT INTO user_group (group_id, user_id) VALUES ('on-call', @user)`, "user", of[1]))
	}
	return errors.Join(errs...)
}

// run runs a statement with the parameters of names and values.
func run(ctx context.Context, tx *sql.Tx, statement string, parameters ...any) error {
	var args []any
	for i := 0; i < len(parameters); i += 2 {
		name, ok := parameters[i].(string)
		if !ok {
			return fmt.Errorf("%v is no name", parameters[i])
		}
		args = append(args, sql.Named(name, parameters[i+1]))
	}
	_, err := tx.ExecContext(ctx, statement, args...)
	return err
}
