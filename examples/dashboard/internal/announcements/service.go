// Package announcements shows texts to all users, each of whom can dismiss them.
package announcements

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
)

// ErrNotFound matches the error for an announcement that does not exist.
var ErrNotFound = errors.New("announcements: not found")

// ErrInvalid matches the error for input that is refused.
var ErrInvalid = errors.New("announcements: invalid")

// Announcement is a text for all users.
type Announcement struct {
	ID        int64  `json:"id"`
	Title     string `json:"title"`
	Level     string `json:"level"` // such as "info"
	Dismissed bool   `json:"dismissed"`
}

// For is whom announcements are for, and the id of what is cached.
type For struct {
	User      string // "": anonymous
	Dismissed bool   // with those that the user has dismissed
}

// Active are the announcements for somebody. Dismissals is the version of what the user has dismissed.
type Active struct {
	Dismissals    int64          `json:"dismissals_version"`
	Announcements []Announcement `json:"announcements"`
}

// Service reads and changes the database. It is safe for concurrent use.
type Service struct{ DB *database.DB }

// Active returns the announcements for somebody, the latest first.
func (s Service) Active(ctx context.Context, f For) (all revision.Of[Active], err error) {
	all.Value.Announcements = []Announcement{}
	err = database.Each(ctx, s.DB, func(rows *sql.Rows) error {
		var a Announcement
		if err := rows.Scan(&all.Version, &all.Value.Dismissals, &a.ID, &a.Title, &a.Level, &a.Dismissed); err != nil || a.ID == 0 {
			return err
		}
		if f.Dismissed || !a.Dismissed {
			all.Value.Announcements = append(all.Value.Announcements, a)
		}
		return nil
	}, `
		SELECT v.version, coalesce(d.version, 0), coalesce(a.id, 0), coalesce(a.title, ''), coalesce(a.level, ''), x.user_id IS NOT NULL
		FROM revision v
		LEFT JOIN revision d ON d.name = @dismissals
		LEFT JOIN announcement a ON true
		LEFT JOIN dismissal x ON x.announcement_id = a.id AND x.user_id = @user
		WHERE v.name = 'announcements' ORDER BY a.id DESC LIMIT 50`,
		sql.Named("dismissals", "dismissals:"+f.User), sql.Named("user", f.User))
	return all, err
}

// Put creates the announcement 0, or changes another one.
func (s Service) Put(ctx context.Context, a Announcement) (version int64, err error) {
	if a.Title == "" {
		return 0, fmt.Errorf("%w: title must not be empty", ErrInvalid)
	}
	statement := `UPDATE announcement SET title = @title, level = @level WHERE id = @id RETURNING id`
	if a.ID == 0 {
		statement = `INSERT INTO announcement (title, level) VALUES (@title, @level) RETURNING id`
	}
	return s.run(ctx, "announcements", statement, sql.Named("title", a.Title), sql.Named("level", a.Level), sql.Named("id", a.ID))
}

// Delete deletes an announcement.
func (s Service) Delete(ctx context.Context, id int64) (version int64, err error) {
	return s.run(ctx, "announcements", `DELETE FROM announcement WHERE id = @id RETURNING id`, sql.Named("id", id))
}

// Dismiss hides an announcement from a user.
func (s Service) Dismiss(ctx context.Context, user string, id int64) (version int64, err error) {
	return s.run(ctx, "dismissals:"+user, `
		INSERT INTO dismissal (user_id, announcement_id) SELECT CAST(@user AS TEXT), id FROM announcement WHERE id = @id
		ON CONFLICT (user_id, announcement_id) DO UPDATE SET user_id = excluded.user_id
		RETURNING announcement_id`, sql.Named("id", id), sql.Named("user", user))
}

// run runs a statement that returns the id of the announcement, and bumps name.
func (s Service) run(ctx context.Context, name, statement string, args ...any) (version int64, err error) {
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		var id int64
		err := tx.QueryRowContext(ctx, statement, args...).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		version, err = revision.Bump(ctx, tx, name)
		return err
	})
	return version, err
}

// Forget removes all of a deleted user.
func (Service) Forget(ctx context.Context, tx *sql.Tx, user string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM dismissal WHERE user_id = @user`, sql.Named("user", user)); err != nil {
		return err
	}
	_, err := revision.Bump(ctx, tx, "dismissals:"+user)
	return err
}
