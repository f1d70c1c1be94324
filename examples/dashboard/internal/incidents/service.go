// Package incidents keeps what is or was broken, and which systems it affects.
package incidents

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
)

// ErrNotFound matches the error for an incident or a system that does not exist.
var ErrNotFound = errors.New("incidents: not found")

// ErrInvalid matches the error for input that is refused.
var ErrInvalid = errors.New("incidents: invalid")

// Incident is something that is or was broken. Results are shared between readers: nobody may change them.
type Incident struct {
	ID       int64    `json:"id"`
	Title    string   `json:"title"`
	Severity string   `json:"severity"`
	Resolved bool     `json:"resolved"`
	Systems  []string `json:"systems"`
	Updates  []Update `json:"updates"`
}

// Update is a report about an incident.
type Update struct {
	At      int64  `json:"at_ms"`
	Author  string `json:"author"`
	Message string `json:"message"`
}

// Draft is what an incident is created with, or changed to.
type Draft struct {
	Title    string   `json:"title"`
	Severity string   `json:"severity"` // such as "major"
	Systems  []string `json:"systems"`
}

// Filters select incidents. The zero value selects all.
type Filters struct {
	Systems []string `json:"systems,omitempty"`
	Open    bool     `json:"open,omitempty"`
}

// Change is what a mutation has changed. Systems are those before and after it.
type Change struct {
	Version  int64
	Incident Incident
	Systems  []string
}

// Service reads and changes the database. It is safe for concurrent use.
type Service struct{ DB *database.DB }

func setID(i *Incident, id int64) { i.ID = id }

// Incident returns one incident.
func (s Service) Incident(ctx context.Context, id int64) (revision.Of[Incident], error) {
	found, err := revision.ByKey(ctx, s.DB, setID, `
		SELECT 'it', v.version, i.id, i.document FROM incident i
		LEFT JOIN revision v ON v.name = 'incident:' || i.id
		WHERE i.id = @id`, sql.Named("id", id))
	if it, ok := found["it"]; ok && err == nil {
		return revision.Of[Incident]{Version: it.Version, Value: it.Value[0]}, nil
	}
	return revision.Of[Incident]{}, errors.Join(err, fmt.Errorf("incident %d: %w", id, ErrNotFound))
}

// BySystems returns the incidents of each of systems that exists, by one query.
func (s Service) BySystems(ctx context.Context, systems []string) (map[string]revision.Of[[]Incident], error) {
	return revision.ByKey(ctx, s.DB, setID, `
		SELECT s.id, v.version, i.id, i.document FROM system s
		LEFT JOIN revision v ON v.name = 'incidents:' || s.id
		LEFT JOIN incident_system a ON a.system_id = s.id
		LEFT JOIN incident i ON i.id = a.incident_id
		WHERE s.id IN (SELECT value FROM json_each(@systems))
		ORDER BY i.id DESC`, sql.Named("systems", database.JSONArray(systems)))
}

// List returns the incidents that match filters, the latest first.
func (s Service) List(ctx context.Context, f Filters) (revision.Of[[]Incident], error) {
	open := 0
	if f.Open {
		open = 1
	}
	lists, err := revision.ByKey(ctx, s.DB, setID, `
		SELECT 'all', v.version, i.id, i.document FROM revision v
		LEFT JOIN incident i ON (@open = 0 OR i.status = 'open')
		  AND (@systems = '[]' OR EXISTS (SELECT 1 FROM incident_system a
		       WHERE a.incident_id = i.id AND a.system_id IN (SELECT value FROM json_each(@systems))))
		WHERE v.name = 'incidents'
		ORDER BY i.id DESC LIMIT 200`,
		sql.Named("open", open), sql.Named("systems", database.JSONArray(f.Systems)))
	return lists["all"], err
}

// Create creates an incident.
func (s Service) Create(ctx context.Context, d Draft) (Change, error) {
	return s.change(ctx, 0, func(i *Incident) error { return i.become(d) })
}

// Update changes an incident.
func (s Service) Update(ctx context.Context, id int64, d Draft) (Change, error) {
	return s.change(ctx, id, func(i *Incident) error { return i.become(d) })
}

// AddUpdate adds a report.
func (s Service) AddUpdate(ctx context.Context, id int64, author, message string) (Change, error) {
	return s.change(ctx, id, func(i *Incident) error { return i.report(author, message) })
}

// Resolve ends an incident.
func (s Service) Resolve(ctx context.Context, id int64, author string) (Change, error) {
	return s.change(ctx, id, func(i *Incident) error {
		i.Resolved = true
		return i.report(author, "Resolved.")
	})
}

// Delete deletes an incident.
func (s Service) Delete(ctx context.Context, id int64) (Change, error) {
	return s.change(ctx, id, func(i *Incident) error {
		*i = Incident{ID: i.ID}
		return nil
	})
}

func (i *Incident) become(d Draft) error {
	if strings.TrimSpace(d.Title) == "" || len(d.Systems) == 0 {
		return fmt.Errorf("%w: title and systems must not be empty", ErrInvalid)
	}
	i.Title, i.Severity, i.Systems = d.Title, d.Severity, slices.Compact(slices.Sorted(slices.Values(d.Systems)))
	return nil
}

func (i *Incident) report(author, message string) error {
	if message == "" {
		return fmt.Errorf("%w: message must not be empty", ErrInvalid)
	}
	i.Updates = append(slices.Clip(i.Updates), Update{time.Now().UnixMilli(), author, message})
	return nil
}

// change creates the incident 0, or changes another one; without a title it is deleted.
func (s Service) change(ctx context.Context, id int64, decide func(*Incident) error) (change Change, err error) {
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		var before Incident
		if id != 0 {
			found, err := s.in(ctx, tx, id)
			if err != nil {
				return err
			}
			before = found
		}
		after := before
		if err := decide(&after); err != nil {
			return err
		}
		if err := store(ctx, tx, &after); err != nil {
			return err
		}
		change, err = bump(ctx, tx, after, slices.Concat(before.Systems, after.Systems))
		return err
	})
	return change, err
}

// in returns an incident as the transaction sees it.
func (Service) in(ctx context.Context, tx *sql.Tx, id int64) (i Incident, err error) {
	var document string
	err = tx.QueryRowContext(ctx, `SELECT document FROM incident WHERE id = @id`, sql.Named("id", id)).Scan(&document)
	if errors.Is(err, sql.ErrNoRows) {
		return i, fmt.Errorf("incident %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return i, err
	}
	err = json.Unmarshal([]byte(document), &i)
	i.ID = id
	return i, err
}

func store(ctx context.Context, tx *sql.Tx, i *Incident) error {
	id := sql.Named("id", i.ID)
	if i.Title == "" {
		_, err := tx.ExecContext(ctx, `DELETE FROM incident WHERE id = @id`, id)
		return err
	}
	status, document := sql.Named("status", "open"), sql.Named("document", revision.Document(i))
	if i.Resolved {
		status.Value = "resolved"
	}
	var err error
	if i.ID == 0 {
		err = tx.QueryRowContext(ctx, `INSERT INTO incident (status, document) VALUES (@status, @document) RETURNING id`, status, document).Scan(&i.ID)
		id.Value = i.ID
	} else {
		_, err = tx.ExecContext(ctx, `UPDATE incident SET status = @status, document = @document WHERE id = @id`, status, document, id)
	}
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM incident_system WHERE incident_id = @id`, id); err != nil {
		return err
	}
	added, err := tx.ExecContext(ctx, `
		INSERT INTO incident_system (system_id, incident_id)
		SELECT s.id, CAST(@id AS BIGINT) FROM system s WHERE s.id IN (SELECT value FROM json_each(@systems))`,
		id, sql.Named("systems", database.JSONArray(i.Systems)))
	if err != nil {
		return err
	}
	if n, err := added.RowsAffected(); err != nil || int(n) != len(i.Systems) {
		return errors.Join(err, fmt.Errorf("one of the systems %q: %w", i.Systems, ErrNotFound))
	}
	return nil
}

// Detach removes a deleted system from its incidents. It returns their ids, and all systems that show them.
func (s Service) Detach(ctx context.Context, tx *sql.Tx, system string) (ids []int64, systems []string, err error) {
	err = database.Each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT incident_id FROM incident_system WHERE system_id = @system`, sql.Named("system", system))
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		incident, err := s.in(ctx, tx, id)
		if err != nil {
			return nil, nil, err
		}
		incident.Systems = slices.DeleteFunc(incident.Systems, func(other string) bool { return other == system })
		if err := store(ctx, tx, &incident); err != nil {
			return nil, nil, err
		}
		systems = append(systems, incident.Systems...)
		if _, err := bump(ctx, tx, incident, slices.Clone(incident.Systems)); err != nil {
			return nil, nil, err
		}
	}
	_, err = revision.Bump(ctx, tx, "incidents", "incidents:"+system)
	return ids, append(systems, system), err
}

func bump(ctx context.Context, tx *sql.Tx, i Incident, systems []string) (Change, error) {
	slices.Sort(systems)
	systems = slices.Compact(systems)
	names := append(revision.Names("incidents:", systems), "incidents", "incident:"+strconv.FormatInt(i.ID, 10))
	version, err := revision.Bump(ctx, tx, names...)
	return Change{version, i, systems}, err
}
