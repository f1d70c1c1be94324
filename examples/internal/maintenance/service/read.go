package service

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/examples/internal/database"
)

// Get returns the maintenance with that id, or [ErrNotFound]. It is one query.
func (s *Service) Get(ctx context.Context, id int64) (Maintenance, error) {
	return get(ctx, s.DB, id)
}

// List returns the maintenances that match filters, sorted by start and id. It
// is one query.
func (s *Service) List(ctx context.Context, filters Filters) ([]Maintenance, error) {
	f, err := filters.Normalize()
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, `
		SELECT '', document FROM maintenance_document m
		WHERE (@statuses = '[]' OR status IN (SELECT value FROM json_each(@statuses)))
		  AND (@systems = '[]' OR EXISTS (
		        SELECT 1 FROM maintenance_system s
		        WHERE s.maintenance_id = m.id AND s.system_id IN (SELECT value FROM json_each(@systems))))
		  AND (@from = '' OR end_at > @from)
		  AND (@to = '' OR start_at < @to)
		  AND (@text = '' OR instr(lower(title), @text) > 0 OR instr(lower(description), @text) > 0)
		ORDER BY start_at, id
		LIMIT @limit`,
		sql.Named("statuses", database.JSONArray(f.Statuses)), sql.Named("systems", database.JSONArray(f.Systems)),
		sql.Named("from", database.Timestamp(f.From)), sql.Named("to", database.Timestamp(f.To)),
		sql.Named("text", f.Text), sql.Named("limit", f.Limit))
	found := []Maintenance{}
	err = scan(rows, err, func(_ string, m *Maintenance) { found = append(found, *m) })
	return found, err
}

// BySystem returns the maintenances that affect the system, sorted by start and
// id, or [ErrNotFound] if there is no such system. It is one query.
func (s *Service) BySystem(ctx context.Context, system string) ([]Maintenance, error) {
	found, err := s.BySystems(ctx, []string{system})
	if err != nil {
		return nil, err
	}
	maintenances, ok := found[system]
	if !ok {
		return nil, fmt.Errorf("system %.80q: %w", system, ErrNotFound)
	}
	return maintenances, nil
}

// BySystems is [Service.BySystem] for many systems. Systems that do not exist
// are missing from the result. It is one query for any number of systems.
func (s *Service) BySystems(ctx context.Context, systems []string) (map[string][]Maintenance, error) {
	rows, err := s.QueryContext(ctx, `
		SELECT system.id, m.document
		FROM system
		LEFT JOIN maintenance_system ms ON ms.system_id = system.id
		LEFT JOIN maintenance_document m ON m.id = ms.maintenance_id
		WHERE system.id IN (SELECT value FROM json_each(@systems))
		ORDER BY system.id, m.start_at, m.id`,
		sql.Named("systems", database.JSONArray(systems)))
	found := make(map[string][]Maintenance, len(systems))
	err = scan(rows, err, func(system string, m *Maintenance) {
		if found[system] == nil {
			found[system] = []Maintenance{}
		}
		if m != nil {
			found[system] = append(found[system], *m)
		}
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Systems returns all systems, sorted by id. It is one query.
func (s *Service) Systems(ctx context.Context) ([]System, error) {
	rows, err := s.QueryContext(ctx, `SELECT id, name FROM system ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("service: read: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err has the error that matters
	systems := []System{}
	for rows.Next() {
		var system System
		if err := rows.Scan(&system.ID, &system.Name); err != nil {
			return nil, fmt.Errorf("service: read: %w", err)
		}
		systems = append(systems, system)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("service: read: %w", err)
	}
	return systems, nil
}

func get(ctx context.Context, db database.Queryer, id int64) (Maintenance, error) {
	var document string
	err := db.QueryRowContext(ctx, `SELECT document FROM maintenance_document WHERE id = @id`, sql.Named("id", id)).
		Scan(&document)
	if errors.Is(err, sql.ErrNoRows) {
		return Maintenance{}, fmt.Errorf("maintenance %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Maintenance{}, fmt.Errorf("service: get maintenance %d: %w", id, err)
	}
	return decode(document)
}

// scan calls add for each row, a system and a document. The maintenance is nil
// if the document is NULL. err is the error of the query.
func scan(rows *sql.Rows, err error, add func(system string, m *Maintenance)) error {
	if err != nil {
		return fmt.Errorf("service: read: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err has the error that matters
	for rows.Next() {
		var system string
		var document sql.NullString
		if err := rows.Scan(&system, &document); err != nil {
			return fmt.Errorf("service: read: %w", err)
		}
		if !document.Valid {
			add(system, nil)
			continue
		}
		m, err := decode(document.String)
		if err != nil {
			return err
		}
		add(system, &m)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("service: read: %w", err)
	}
	return nil
}

func decode(document string) (Maintenance, error) {
	var m Maintenance
	if err := json.Unmarshal([]byte(document), &m); err != nil {
		return Maintenance{}, fmt.Errorf("service: the database holds a bad maintenance: %w", err)
	}
	return m, nil
}
