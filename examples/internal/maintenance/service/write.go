package service

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/examples/internal/database"
)

// Create creates the maintenance that draft describes.
func (s *Service) Create(ctx context.Context, draft Draft) (Change, error) {
	m, err := newMaintenance(draft, s.now())
	if err != nil {
		return Change{}, err
	}
	err = s.Write(ctx, func(tx *sql.Tx) error {
		return insert(ctx, tx, &m)
	})
	return changed(Change{Maintenance: m, After: m.SystemIDs}, "create a maintenance", err)
}

// Update changes fields of a maintenance.
func (s *Service) Update(ctx context.Context, id int64, patch Patch) (Change, error) {
	return s.change(ctx, id, func(m Maintenance) (Maintenance, error) { return patched(m, patch, s.now()) })
}

// AddUpdate adds an update to a maintenance, which may change its status.
func (s *Service) AddUpdate(ctx context.Context, id int64, report Report) (Change, error) {
	return s.change(ctx, id, func(m Maintenance) (Maintenance, error) { return reported(m, report, s.now()) })
}

// CloseMaintenance ends a maintenance.
func (s *Service) CloseMaintenance(ctx context.Context, id int64, closing Closing) (Change, error) {
	return s.change(ctx, id, func(m Maintenance) (Maintenance, error) { return closed(m, closing, s.now()) })
}

// Delete deletes a maintenance.
func (s *Service) Delete(ctx context.Context, id int64) (Change, error) {
	var before Maintenance
	err := s.Write(ctx, func(tx *sql.Tx) error {
		var err error
		if before, err = get(ctx, tx, id); err != nil {
			return err
		}
		if err := deletable(before); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM maintenance WHERE id = @id`, sql.Named("id", id))
		return err
	})
	before.Version++
	change := Change{Maintenance: before, Deleted: true, Before: before.SystemIDs}
	return changed(change, fmt.Sprintf("delete maintenance %d", id), err)
}

// change replaces the maintenance by the result of decide. Reading, deciding and
// writing are one transaction. Two changes at the same time therefore run one
// after the other, and each knows the systems before and after it.
func (s *Service) change(ctx context.Context, id int64, decide func(Maintenance) (Maintenance, error)) (Change, error) {
	var before, after Maintenance
	err := s.Write(ctx, func(tx *sql.Tx) error {
		var err error
		if before, err = get(ctx, tx, id); err != nil {
			return err
		}
		if after, err = decide(before); err != nil {
			return err
		}
		after.Version = before.Version + 1
		return replace(ctx, tx, before, after)
	})
	change := Change{Maintenance: after, Before: before.SystemIDs, After: after.SystemIDs}
	return changed(change, fmt.Sprintf("change maintenance %d", id), err)
}

// insert stores m and sets its id.
func insert(ctx context.Context, tx *sql.Tx, m *Maintenance) error {
	err := tx.QueryRowContext(ctx, `
		INSERT INTO maintenance (version, title, description, status, start_at, end_at, created_by)
		VALUES (@version, @title, @description, @status, @start, @end, @created_by)
		RETURNING id`, columns(*m)...).Scan(&m.ID)
	if err != nil {
		return err
	}
	if err := insertSystems(ctx, tx, *m); err != nil {
		return err
	}
	return insertUpdates(ctx, tx, *m, 0)
}

// replace stores after in place of before.
func replace(ctx context.Context, tx *sql.Tx, before, after Maintenance) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE maintenance SET version = @version, title = @title, description = @description,
		       status = @status, start_at = @start, end_at = @end, created_by = @created_by
		WHERE id = @id`, columns(after)...)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM maintenance_system WHERE maintenance_id = @id`, sql.Named("id", after.ID))
	if err != nil {
		return err
	}
	if err := insertSystems(ctx, tx, after); err != nil {
		return err
	}
	return insertUpdates(ctx, tx, after, len(before.Updates))
}

func columns(m Maintenance) []any {
	return []any{
		sql.Named("id", m.ID), sql.Named("version", m.Version),
		sql.Named("title", m.Title), sql.Named("description", m.Description), sql.Named("status", string(m.Status)),
		sql.Named("start", database.Timestamp(m.Start)), sql.Named("end", database.Timestamp(m.End)),
		sql.Named("created_by", m.CreatedBy),
	}
}

// insertSystems stores the systems of m. All of them must exist.
func insertSystems(ctx context.Context, tx *sql.Tx, m Maintenance) error {
	systems := sql.Named("systems", database.JSONArray(m.SystemIDs))
	var unknown string
	err := tx.QueryRowContext(ctx, `
		SELECT value FROM json_each(@systems) WHERE value NOT IN (SELECT id FROM system) LIMIT 1`, systems).
		Scan(&unknown)
	if err == nil {
		return &InvalidError{"system_ids", fmt.Sprintf("unknown system %q", unknown)}
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO maintenance_system (maintenance_id, system_id)
		SELECT CAST(@id AS BIGINT), value FROM json_each(@systems)`, sql.Named("id", m.ID), systems)
	return err
}

// insertUpdates stores the updates of m, beginning with the one at index from.
func insertUpdates(ctx context.Context, tx *sql.Tx, m Maintenance, from int) error {
	for i, update := range m.Updates[from:] {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO maintenance_update (maintenance_id, number, at, author, message, status)
			VALUES (@id, @number, @at, @author, @message, @status)`,
			sql.Named("id", m.ID), sql.Named("number", from+i), sql.Named("at", database.Timestamp(update.At)),
			sql.Named("author", update.Author), sql.Named("message", update.Message),
			sql.Named("status", string(update.Status)))
		if err != nil {
			return err
		}
	}
	return nil
}

// changed returns change if it was made or may have been made, and the error. It
// adds what failed, unless the error is already complete.
func changed(change Change, what string, err error) (Change, error) {
	var invalid *InvalidError
	var conflict *ConflictError
	switch {
	case err == nil:
		return change, nil
	case errors.Is(err, ErrOutcomeUnknown):
		return change, fmt.Errorf("service: %s: %w", what, err)
	case errors.As(err, &invalid), errors.As(err, &conflict), errors.Is(err, ErrNotFound):
		return Change{}, err
	default:
		return Change{}, fmt.Errorf("service: %s: %w", what, err)
	}
}
