// Package notifications tells users of what happens to the systems that they have subscribed to.
package notifications

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
)

// ErrInvalid matches the error for input that is refused.
var ErrInvalid = errors.New("notifications: invalid")

// Notification is a message for one user.
type Notification struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
	At   int64  `json:"at_ms"`
	Seen bool   `json:"seen"`
}

// Change is what a mutation has changed: the inbox or the subscriptions of users.
type Change struct {
	Version int64
	Users   []string
}

// Service reads and changes the database. It is safe for concurrent use.
type Service struct{ DB *database.DB }

// Unread returns how many notifications a user has not seen.
func (s Service) Unread(ctx context.Context, user string) (n revision.Of[int64], err error) {
	err = s.DB.QueryRowContext(ctx, `
		SELECT coalesce((SELECT version FROM revision WHERE name = @name), 0),
		       (SELECT count(*) FROM notification WHERE user_id = @user AND seen = 0)`,
		sql.Named("name", "inbox:"+user), sql.Named("user", user)).Scan(&n.Version, &n.Value)
	return n, err
}

// List returns the latest notifications of a user.
func (s Service) List(ctx context.Context, user string) (all revision.Of[[]Notification], err error) {
	all.Value = []Notification{}
	err = database.Each(ctx, s.DB, func(rows *sql.Rows) error {
		var n Notification
		var seen int64
		if err := rows.Scan(&all.Version, &n.ID, &n.Text, &n.At, &seen); err != nil || n.ID == 0 {
			return err
		}
		n.Seen = seen != 0
		all.Value = append(all.Value, n)
		return nil
	}, `
		SELECT coalesce(v.version, 0), coalesce(n.id, 0), coalesce(n.text, ''), coalesce(n.at, 0), coalesce(n.seen, 0)
		FROM (SELECT CAST(@user AS TEXT) AS id) u
		LEFT JOIN revision v ON v.name = 'inbox:' || u.id
		LEFT JOIN notification n ON n.user_id = u.id
		ORDER BY n.id DESC LIMIT 50`, sql.Named("user", user))
	return all, err
}

// Subscriptions returns the systems that a user has subscribed to.
func (s Service) Subscriptions(ctx context.Context, user string) (all revision.Of[[]string], err error) {
	all.Value = []string{}
	err = database.Each(ctx, s.DB, func(rows *sql.Rows) error {
		var system string
		if err := rows.Scan(&all.Version, &system); err != nil || system == "" {
			return err
		}
		all.Value = append(all.Value, system)
		return nil
	}, `
		SELECT coalesce(v.version, 0), coalesce(s.system_id, '')
		FROM (SELECT CAST(@user AS TEXT) AS id) u
		LEFT JOIN revision v ON v.name = 'subscriptions:' || u.id
		LEFT JOIN subscription s ON s.user_id = u.id
		ORDER BY s.system_id`, sql.Named("user", user))
	return all, err
}

// MarkRead marks a notification of a user, or all of them if id is 0, as seen.
func (s Service) MarkRead(ctx context.Context, user string, id int64) (Change, error) {
	return s.inbox(ctx, []string{user}, `
		UPDATE notification SET seen = 1 WHERE user_id = @user AND (@id = 0 OR id = @id)`, sql.Named("id", id))
}

// Delete deletes a notification of a user.
func (s Service) Delete(ctx context.Context, user string, id int64) (Change, error) {
	return s.inbox(ctx, []string{user}, `DELETE FROM notification WHERE user_id = @user AND id = @id`, sql.Named("id", id))
}

// Notify sends a text to users.
func (s Service) Notify(ctx context.Context, text string, users ...string) (Change, error) {
	if text == "" {
		return Change{}, fmt.Errorf("%w: text must not be empty", ErrInvalid)
	}
	return s.inbox(ctx, users, `INSERT INTO notification (user_id, text, at, seen) VALUES (@user, @text, @at, 0)`,
		sql.Named("text", text), sql.Named("at", time.Now().UnixMilli()))
}

// NotifyGroup sends a text to the members of a group.
func (s Service) NotifyGroup(ctx context.Context, text, group string) (Change, error) {
	users, err := s.users(ctx, `SELECT user_id FROM user_group WHERE group_id = @id ORDER BY user_id`, group)
	if err != nil {
		return Change{}, err
	}
	return s.Notify(ctx, text, users...)
}

func (s Service) users(ctx context.Context, query, id string) (users []string, err error) {
	err = database.Each(ctx, s.DB, func(rows *sql.Rows) error {
		var user string
		err := rows.Scan(&user)
		users = append(users, user)
		return err
	}, query, sql.Named("id", id))
	return users, err
}

// inbox runs a statement for each of users.
func (s Service) inbox(ctx context.Context, users []string, statement string, args ...any) (change Change, err error) {
	users = slices.Compact(slices.Sorted(slices.Values(users)))
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		for _, user := range users {
			if _, err := tx.ExecContext(ctx, statement, append(args, sql.Named("user", user))...); err != nil {
				return err
			}
		}
		change.Version, err = revision.Bump(ctx, tx, revision.Names("inbox:", users)...)
		return err
	})
	change.Users = users
	return change, err
}

// Subscribe lets a user be told of what happens to a system.
func (s Service) Subscribe(ctx context.Context, user, system string) (Change, error) {
	return s.subscriptions(ctx, user, `
		INSERT INTO subscription (user_id, system_id) SELECT CAST(@user AS TEXT), id FROM system WHERE id = @system
		ON CONFLICT DO NOTHING`, system)
}

// Unsubscribe ends that.
func (s Service) Unsubscribe(ctx context.Context, user, system string) (Change, error) {
	return s.subscriptions(ctx, user, `DELETE FROM subscription WHERE user_id = @user AND system_id = @system`, system)
}

func (s Service) subscriptions(ctx context.Context, user, statement, system string) (change Change, err error) {
	err = s.DB.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, statement, sql.Named("user", user), sql.Named("system", system)); err != nil {
			return err
		}
		change.Version, err = revision.Bump(ctx, tx, "subscriptions:"+user)
		return err
	})
	change.Users = []string{user}
	return change, err
}

// Unsubscribed removes the subscriptions to a deleted system, and returns their users.
func (Service) Unsubscribed(ctx context.Context, tx *sql.Tx, system string) (users []string, err error) {
	err = database.Each(ctx, tx, func(rows *sql.Rows) error {
		var user string
		err := rows.Scan(&user)
		users = append(users, user)
		return err
	}, `DELETE FROM subscription WHERE system_id = @system RETURNING user_id`, sql.Named("system", system))
	if err == nil {
		_, err = revision.Bump(ctx, tx, revision.Names("subscriptions:", users)...)
	}
	return users, err
}

// Forget removes all of a deleted user.
func (Service) Forget(ctx context.Context, tx *sql.Tx, user string) error {
	for _, table := range []string{"notification", "subscription", "user_group"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE user_id = @user`, sql.Named("user", user)); err != nil {
			return err
		}
	}
	_, err := revision.Bump(ctx, tx, "inbox:"+user, "subscriptions:"+user)
	return err
}
