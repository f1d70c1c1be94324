// Package catalog knows which systems there are, how they are grouped, and whom to ask about them.
package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
)

// ErrNotFound matches the error for a system or a group that does not exist.
var ErrNotFound = errors.New("catalog: not found")

// ErrInvalid matches the error for input that is refused.
var ErrInvalid = errors.New("catalog: invalid")

// System is a part of the product.
type System struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Groups []string `json:"groups"`
}

// Group is a group of systems.
type Group struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Systems []string `json:"systems"`
}

// Entity is a system or a group.
type Entity struct {
	ID   string `json:"id"`
	Kind string `json:"kind"` // "system" or "group"
	Name string `json:"name"`
}

// View is a selection that users open: the systems of a group.
type View struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Group string `json:"group"`
}

// Contact is a person to ask about a system, by id: names are resolved outside of the cache.
type Contact struct {
	User string `json:"user"`
	Role string `json:"role"`
}

// Filter selects systems. The zero value selects all.
type Filter struct {
	Group string `json:"group,omitempty"`
}

// Service reads and changes the database. It is safe for concurrent use.
type Service struct{ DB *database.DB }

// Systems returns the systems that match f, sorted by id.
func (s Service) Systems(ctx context.Context, f Filter) (all revision.Of[[]System], err error) {
	all.Value = []System{}
	err = collect(ctx, s.DB, func(row row) {
		all.Version = row.version
		switch last := len(all.Value) - 1; {
		case row.id == "":
		case last >= 0 && all.Value[last].ID == row.id:
			all.Value[last].Groups = append(all.Value[last].Groups, row.member)
		default:
			all.Value = append(all.Value, System{row.id, row.name, member(row.member)})
		}
	}, `
		SELECT v.version, s.id, s.name, m.group_id FROM revision v
		LEFT JOIN system s ON @group = '' OR s.id IN (SELECT system_id FROM membership WHERE group_id = @group)
		LEFT JOIN membership m ON m.system_id = s.id
		WHERE v.name = 'catalog' ORDER BY s.id, m.group_id`, sql.Named("group", f.Group))
	return all, err
}

// System returns one system.
func (s Service) System(ctx context.Context, id string) (one revision.Of[System], err error) {
	err = collect(ctx, s.DB, func(row row) {
		one.Version = row.version
		one.Value.ID, one.Value.Name = row.id, row.name
		one.Value.Groups = append(one.Value.Groups, member(row.member)...)
	}, `
		SELECT v.version, s.id, s.name, m.group_id FROM revision v
		JOIN system s ON s.id = @id
		LEFT JOIN membership m ON m.system_id = s.id
		WHERE v.name = 'catalog' ORDER BY m.group_id`, sql.Named("id", id))
	if err == nil && one.Value.ID == "" {
		err = fmt.Errorf("system %.80q: %w", id, ErrNotFound)
	}
	return one, err
}

// Groups returns all groups with their systems.
func (s Service) Groups(ctx context.Context, _ All) (all revision.Of[[]Group], err error) {
	all.Value = []Group{}
	err = collect(ctx, s.DB, func(row row) {
		all.Version = row.version
		switch last := len(all.Value) - 1; {
		case row.id == "":
		case last >= 0 && all.Value[last].ID == row.id:
			all.Value[last].Systems = append(all.Value[last].Systems, row.member)
		default:
			all.Value = append(all.Value, Group{row.id, row.name, member(row.member)})
		}
	}, `
		SELECT v.version, g.id, g.name, m.system_id FROM revision v
		LEFT JOIN system_group g ON true
		LEFT JOIN membership m ON m.group_id = g.id
		WHERE v.name = 'catalog' ORDER BY g.id, m.system_id`)
	return all, err
}

// All is the filter of lists without a filter.
type All struct{}

// Entities returns all systems and groups.
func (s Service) Entities(ctx context.Context, _ All) (all revision.Of[[]Entity], err error) {
	all.Value = []Entity{}
	err = collect(ctx, s.DB, func(row row) {
		all.Version = row.version
		if row.id != "" {
			all.Value = append(all.Value, Entity{row.id, row.member, row.name})
		}
	}, `
		SELECT v.version, e.id, e.name, e.kind FROM revision v LEFT JOIN (
		  SELECT id, name, 'system' AS kind FROM system UNION ALL SELECT id, name, 'group' FROM system_group
		) e ON true
		WHERE v.name = 'catalog' ORDER BY e.kind, e.id`)
	return all, err
}

// GroupsOf returns the ids of the groups of each of systems that exists, by one query.
func (s Service) GroupsOf(ctx context.Context, systems []string) (map[string]revision.Of[[]string], error) {
	groups := map[string]revision.Of[[]string]{}
	err := collect(ctx, s.DB, func(row row) {
		groups[row.id] = revision.Of[[]string]{Version: row.version, Value: append(groups[row.id].Value, member(row.member)...)}
	}, `
		SELECT v.version, s.id, '', m.group_id FROM revision v
		JOIN system s ON s.id IN (SELECT value FROM json_each(@systems))
		LEFT JOIN membership m ON m.system_id = s.id
		WHERE v.name = 'catalog' ORDER BY m.group_id`, sql.Named("systems", database.JSONArray(systems)))
	return groups, err
}

// Views returns all views.
func (s Service) Views(ctx context.Context, _ All) (all revision.Of[[]View], err error) {
	all.Value = []View{}
	err = collect(ctx, s.DB, func(row row) {
		all.Version = row.version
		if row.id != "" {
			all.Value = append(all.Value, View{row.id, row.name, row.member})
		}
	}, `
		SELECT v.version, w.id, w.name, w.group_id FROM revision v LEFT JOIN catalog_view w ON true
		WHERE v.name = 'views' ORDER BY w.id`)
	return all, err
}

// Contacts returns the contacts of each of systems that exists, by one query.
func (s Service) Contacts(ctx context.Context, systems []string) (map[string]revision.Of[[]Contact], error) {
	contacts := map[string]revision.Of[[]Contact]{}
	err := collect(ctx, s.DB, func(row row) {
		of := revision.Of[[]Contact]{Version: row.version, Value: contacts[row.id].Value}
		if row.name != "" {
			of.Value = append(of.Value, Contact{row.name, row.member})
		}
		contacts[row.id] = of
	}, `
		SELECT coalesce(v.version, 0), s.id, c.user_id, c.role FROM system s
		LEFT JOIN revision v ON v.name = 'contacts:' || s.id
		LEFT JOIN contact c ON c.system_id = s.id
		WHERE s.id IN (SELECT value FROM json_each(@systems)) ORDER BY c.user_id`, sql.Named("systems", database.JSONArray(systems)))
	return contacts, err
}

// row is a row of the queries above: a thing, and one of what belongs to it, or "".
type row struct {
	version          int64
	id, name, member string
}

func member(id string) []string {
	return slices.DeleteFunc([]string{id}, func(s string) bool { return s == "" })
}

func collect(ctx context.Context, q database.Queryer, add func(row), query string, args ...any) error {
	return database.Each(ctx, q, func(rows *sql.Rows) error {
		var r row
		var id, name, member sql.NullString
		if err := rows.Scan(&r.version, &id, &name, &member); err != nil {
			return err
		}
		r.id, r.name, r.member = id.String, name.String, member.String
		add(r)
		return nil
	}, query, args...)
}

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// put stores a thing with an id and a name.
func (s Service) put(ctx context.Context, table, id, name string, more ...func(*sql.Tx) error) (version int64, err error) {
	if !idPattern.MatchString(id) || name == "" {
		return 0, fmt.Errorf("%w: an id has small letters, digits and hyphens, and a name is not empty", ErrInvalid)
	}
	return s.run(ctx, `INSERT INTO `+table+` (id, name) VALUES (@a, @b) ON CONFLICT (id) DO UPDATE SET name = excluded.name`,
		"catalog", id, name, more...)
}

// run runs a statement with the parameters a and b, bumps name, and runs more.
func (s Service) run(ctx context.Context, statement, name, a, b string, more ...func(*sql.Tx) error) (version int64, err error) {
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		for _, f := range more {
			if err := f(tx); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, statement, sql.Named("a", a), sql.Named("b", b)); err != nil {
			return err
		}
		version, err = revision.Bump(ctx, tx, name)
		return err
	})
	return version, err
}
