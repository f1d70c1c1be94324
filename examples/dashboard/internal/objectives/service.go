// Package objectives keeps objectives for systems (SLO), and computes how they are met.
package objectives

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
)

// ErrNotFound matches the error for an objective or a system that does not exist.
var ErrNotFound = errors.New("objectives: not found")

// ErrInvalid matches the error for input that is refused.
var ErrInvalid = errors.New("objectives: invalid")

// Draft is what an objective is created with, or changed to.
type Draft struct {
	Name   string  `json:"name"`
	Target float64 `json:"target"` // the part of checks that must be good, such as 0.999
	Days   int64   `json:"days"`   // how many days count, such as 28
}

// Objective is a target for a system, and how it is met.
type Objective struct {
	Draft

	ID     int64  `json:"id"`
	System string `json:"system"`
	// Good and Total count the checks of the last days. They are computed at every read, by a query for each
	// objective: that is what makes this backend expensive without a cache.
	Good  int64 `json:"good"`
	Total int64 `json:"total"`
	// Budget is the part of the permitted failures that is left: 1 at the beginning, negative if it is missed.
	Budget float64 `json:"budget"`
}

// Change is what a mutation has changed.
type Change struct {
	Version   int64
	Objective Objective
}

// Service reads and changes the database. It is safe for concurrent use.
type Service struct{ DB *database.DB }

// Objective returns one objective with its status.
func (s Service) Objective(ctx context.Context, id int64) (revision.Of[Objective], error) {
	var o revision.Of[Objective]
	var document string
	err := s.DB.QueryRowContext(ctx, `
		SELECT coalesce(v.version, 0), o.id, o.system_id, o.document FROM objective o
		LEFT JOIN revision v ON v.name = 'objective:' || o.id
		WHERE o.id = @id`, sql.Named("id", id)).Scan(&o.Version, &o.Value.ID, &o.Value.System, &document)
	if err != nil {
		return o, notFound(id, err)
	}
	if err := json.Unmarshal([]byte(document), &o.Value.Draft); err != nil {
		return o, err
	}
	return o, s.compute(ctx, &o.Value)
}

// compute sets the status of an objective: the expensive part.
func (s Service) compute(ctx context.Context, o *Objective) error {
	err := s.DB.QueryRowContext(ctx, `
		SELECT coalesce(sum(good), 0), coalesce(sum(total), 0) FROM result_day
		WHERE system_id = @system AND day > @from`,
		sql.Named("system", o.System), sql.Named("from", time.Now().Unix()/(24*60*60)-o.Days)).Scan(&o.Good, &o.Total)
	o.Budget = 1
	if permitted := (1 - o.Target) * float64(o.Total); permitted > 0 {
		o.Budget = 1 - float64(o.Total-o.Good)/permitted
	}
	return err
}

// BySystems returns the objectives of each of systems that exists.
func (s Service) BySystems(ctx context.Context, systems []string) (map[string]revision.Of[[]Objective], error) {
	return s.computed(ctx, `
		SELECT s.id, v.version, o.id, o.document FROM system s
		LEFT JOIN revision v ON v.name = 'objectives:' || s.id
		LEFT JOIN objective o ON o.system_id = s.id
		WHERE s.id IN (SELECT value FROM json_each(@systems))
		ORDER BY o.id`, sql.Named("systems", database.JSONArray(systems)))
}

// List returns the latest objectives, at most limit.
func (s Service) List(ctx context.Context, limit int) (revision.Of[[]Objective], error) {
	lists, err := s.computed(ctx, `
		SELECT 'all', v.version, o.id, o.document FROM revision v
		LEFT JOIN objective o ON true
		WHERE v.name = 'objectives' ORDER BY o.id DESC LIMIT @limit`, sql.Named("limit", limit))
	return lists["all"], err
}

// computed runs a query for documents, and computes the status of each objective.
func (s Service) computed(ctx context.Context, query string, args ...any) (map[string]revision.Of[[]Objective], error) {
	lists, err := revision.ByKey(ctx, s.DB, func(o *Objective, id int64) { o.ID = id }, query, args...)
	if err != nil {
		return nil, err
	}
	for _, list := range lists {
		for i := range list.Value {
			if err := s.compute(ctx, &list.Value[i]); err != nil {
				return nil, err
			}
		}
	}
	return lists, nil
}

// Create creates an objective of a system.
func (s Service) Create(ctx context.Context, system string, d Draft) (Change, error) {
	return s.change(ctx, d, func(tx *sql.Tx, o *Objective) error {
		o.System = system
		err := tx.QueryRowContext(ctx, `
			INSERT INTO objective (system_id, document) SELECT id, CAST(@document AS TEXT) FROM system WHERE id = @system RETURNING id`,
			sql.Named("document", revision.Document(o)), sql.Named("system", system)).Scan(&o.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("system %.80q: %w", system, ErrNotFound)
		}
		return err
	})
}

// Update changes an objective.
func (s Service) Update(ctx context.Context, id int64, d Draft) (Change, error) {
	return s.change(ctx, d, func(tx *sql.Tx, o *Objective) error {
		if err := of(ctx, tx, id, o); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE objective SET document = @document WHERE id = @id`,
			sql.Named("document", revision.Document(o)), sql.Named("id", id))
		return err
	})
}

// Delete deletes an objective.
func (s Service) Delete(ctx context.Context, id int64) (Change, error) {
	return s.change(ctx, Draft{"deleted", 0.5, 1}, func(tx *sql.Tx, o *Objective) error {
		if err := of(ctx, tx, id, o); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM objective WHERE id = @id`, sql.Named("id", id))
		return err
	})
}

func (s Service) change(ctx context.Context, d Draft, write func(*sql.Tx, *Objective) error) (change Change, err error) {
	if d.Name == "" || d.Target <= 0 || d.Target >= 1 || d.Days < 1 {
		return Change{}, fmt.Errorf("%w: name must not be empty, target must be between 0 and 1, days at least 1", ErrInvalid)
	}
	change.Objective.Draft = d
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		o := &change.Objective
		if err := write(tx, o); err != nil {
			return err
		}
		change.Version, err = bump(ctx, tx, o.System, o.ID)
		return err
	})
	return change, err
}

// of sets the id and the system of an objective.
func of(ctx context.Context, tx *sql.Tx, id int64, o *Objective) error {
	o.ID = id
	err := tx.QueryRowContext(ctx, `SELECT system_id FROM objective WHERE id = @id`, sql.Named("id", id)).Scan(&o.System)
	return notFound(id, err)
}

func notFound(id int64, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("objective %d: %w", id, ErrNotFound)
	}
	return err
}

// Of returns the ids of the objectives of a system, which is deleted with them.
func (s Service) Of(ctx context.Context, tx *sql.Tx, system string) (ids []int64, err error) {
	err = database.Each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT id FROM objective WHERE system_id = @system`, sql.Named("system", system))
	if err != nil {
		return nil, err
	}
	_, err = bump(ctx, tx, system, ids...)
	return ids, err
}

func bump(ctx context.Context, tx *sql.Tx, system string, ids ...int64) (int64, error) {
	names := []string{"objectives", "objectives:" + system}
	for _, id := range ids {
		names = append(names, "objective:"+strconv.FormatInt(id, 10))
	}
	return revision.Bump(ctx, tx, names...)
}
