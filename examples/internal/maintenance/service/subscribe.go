package service

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/readthrough/readthrough/examples/internal/database"
)

// Subscribe lets a user be told of the maintenances of a system. It returns [ErrNotFound] if there is no such
// system.
func (s *Service) Subscribe(ctx context.Context, user, system string) error {
	if err := checkUser("user", user); err != nil {
		return err
	}
	return s.onSystem(ctx, system, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO subscription (user_id, system_id) VALUES (@user, @system) ON CONFLICT DO NOTHING`,
			sql.Named("user", user), sql.Named("system", system))
		return err
	})
}

// Unsubscribe ends that.
func (s *Service) Unsubscribe(ctx context.Context, user, system string) error {
	return s.onSystem(ctx, system, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM subscription WHERE user_id = @user AND system_id = @system`,
			sql.Named("user", user), sql.Named("system", system))
		return err
	})
}

// Subscribers returns the users who have subscribed to one of systems, sorted, each once.
func (s *Service) Subscribers(ctx context.Context, systems []string) (users []string, err error) {
	err = database.Each(ctx, s.DB, func(rows *sql.Rows) error {
		var user string
		err := rows.Scan(&user)
		users = append(users, user)
		return err
	}, `
		SELECT DISTINCT user_id FROM subscription
		WHERE system_id IN (SELECT value FROM json_each(@systems)) ORDER BY user_id`,
		sql.Named("systems", database.JSONArray(systems)))
	return users, err
}

// SystemNames returns the names of systems that exist.
func (s *Service) SystemNames(ctx context.Context, systems []string) (map[string]string, error) {
	names := make(map[string]string, len(systems))
	err := database.Each(ctx, s.DB, func(rows *sql.Rows) error {
		var id, name string
		err := rows.Scan(&id, &name)
		names[id] = name
		return err
	}, `SELECT id, name FROM system WHERE id IN (SELECT value FROM json_each(@systems))`,
		sql.Named("systems", database.JSONArray(systems)))
	return names, err
}

// DeleteSystem deletes a system. before runs in the same transaction, before it.
func (s *Service) DeleteSystem(ctx context.Context, system string, before func(*sql.Tx) error) error {
	return s.onSystem(ctx, system, func(tx *sql.Tx) error {
		if err := before(tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM system WHERE id = @system`, sql.Named("system", system))
		return err
	})
}

// Detach takes a system out of its maintenances, which get a new version. It returns their ids, and all systems that
// show them. A maintenance without systems stays, as a record.
func (*Service) Detach(ctx context.Context, tx *sql.Tx, system string) (ids []int64, systems []string, err error) {
	err = database.Each(ctx, tx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `
		UPDATE maintenance SET version = version + 1
		WHERE id IN (SELECT maintenance_id FROM maintenance_system WHERE system_id = @system) RETURNING id`,
		sql.Named("system", system))
	if err != nil {
		return nil, nil, err
	}
	err = database.Each(ctx, tx, func(rows *sql.Rows) error {
		var shows string
		err := rows.Scan(&shows)
		systems = append(systems, shows)
		return err
	}, `
		SELECT DISTINCT system_id FROM maintenance_system
		WHERE maintenance_id IN (SELECT maintenance_id FROM maintenance_system WHERE system_id = @system)`,
		sql.Named("system", system))
	if err != nil {
		return nil, nil, err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM maintenance_system WHERE system_id = @system`, sql.Named("system", system))
	return ids, append(systems, system), err
}

// onSystem runs f in a transaction, if the system exists.
func (s *Service) onSystem(ctx context.Context, system string, f func(*sql.Tx) error) error {
	return s.Write(ctx, func(tx *sql.Tx) error {
		var found bool
		err := tx.QueryRowContext(ctx, `SELECT count(*) > 0 FROM system WHERE id = @system`, sql.Named("system", system)).Scan(&found)
		if err == nil && !found {
			err = fmt.Errorf("system %.80q: %w", system, ErrNotFound)
		}
		if err != nil {
			return err
		}
		return f(tx)
	})
}
