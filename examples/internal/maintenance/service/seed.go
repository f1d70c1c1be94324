package service

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Seed fills an empty database with systems, and with maintenances around the
// present time. If the database has systems, it does nothing.
func (s *Service) Seed(ctx context.Context) error {
	now := s.now().UTC().Truncate(time.Hour)
	err := s.Write(ctx, func(tx *sql.Tx) error {
		var systems int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM system`).Scan(&systems); err != nil || systems > 0 {
			return err
		}
		for _, system := range seedSystems() {
			_, err := tx.ExecContext(ctx, `INSERT INTO system (id, name) VALUES (@id, @name)`,
				sql.Named("id", system[0]), sql.Named("name", system[1]))
			if err != nil {
				return err
			}
		}
		for _, m := range seedMaintenances(now) {
			if err := insert(ctx, tx, &m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("service: seed: %w", err)
	}
	return nil
}

func seedSystems() [][2]string {
	return [][2]string{
		{"api", "Public API"},
		{"auth", "Sign-in"},
		{"billing", "Billing"},
		{"cdn", "Content delivery"},
		{"checkout", "Checkout"},
		{"db-orders", "Orders database"},
		{"db-users", "Users database"},
		{"dns", "Name servers"},
		{"mail", "Outgoing mail"},
		{"queue", "Message queue"},
		{"search", "Search"},
		{"storage", "Object storage"},
	}
}

func seedMaintenances(now time.Time) []Maintenance {
	const hour, day = time.Hour, 24 * time.Hour
	at := func(d time.Duration) time.Time { return now.Add(d) }
	report := func(d time.Duration, author string, status Status, message string) Update {
		return Update{At: at(d), Author: author, Status: status, Message: message}
	}
	maintenance := func(start, length time.Duration, by, title, description string, systems ...string) Maintenance {
		return Maintenance{
			Version: 1, Status: Planned, Title: title, Description: description,
			Start: at(start), End: at(start + length), SystemIDs: systems, CreatedBy: by,
		}
	}
	with := func(m Maintenance, status Status, updates ...Update) Maintenance {
		m.Status, m.Updates, m.Version = status, updates, int64(1+len(updates))
		return m
	}
	return []Maintenance{
		with(maintenance(-6*day, 2*hour, "ines", "Replace expiring certificates",
			"The certificates of all public names are replaced. Connections that are open stay open.", "api", "cdn"),
			Completed,
			report(-6*day, "ines", InProgress, "We have started."),
			report(-6*day+hour, "ines", "", "The API is done, content delivery follows."),
			report(-6*day+2*hour, "ines", Completed, "All certificates are replaced.")),
		with(maintenance(-3*day, 3*hour, "tomas", "Move the message queue to new hosts",
			"Messages are accepted throughout; delivery pauses for some minutes.", "queue"),
			Cancelled,
			report(-4*day, "tomas", Cancelled, "The hosts arrive late. A new date will follow.")),
		with(maintenance(-day, 4*hour, "mara", "Rebuild the search index",
			"Search answers from the old index until the new one is complete.", "search"),
			Completed,
			report(-day, "mara", InProgress, "The new index is being built."),
			report(-day+4*hour, "mara", Completed, "Search uses the new index.")),
		with(maintenance(-hour, 3*hour, "jonas", "Upgrade the orders database",
			"Checkout is read-only for about twenty minutes while the replica takes over.", "checkout", "db-orders"),
			InProgress,
			report(-hour, "jonas", InProgress, "The replica is in step; the switch follows at the full hour."),
			report(-30*time.Minute, "jonas", "", "Checkout is read-only now.")),
		maintenance(6*hour, 2*hour, "mara", "Clean up outgoing mail",
			"Old bounces are removed. Mail may leave some minutes late.", "mail"),
		maintenance(day, hour, "ines", "Rotate the signing keys",
			"Sessions stay valid. Tools that cache the keys for longer than a day must fetch them again.", "api", "auth"),
		maintenance(2*day, 6*hour, "jonas", "Upgrade the users database",
			"Sign-in works throughout; changes of profiles are refused for half an hour.", "auth", "db-users"),
		maintenance(3*day, 3*hour, "tomas", "Move the message queue to new hosts",
			"Second attempt. Messages are accepted throughout; delivery pauses for some minutes.", "mail", "queue"),
		maintenance(5*day, 8*hour, "lin", "Add disks to object storage",
			"Uploads may be slow while data is moved to the new disks.", "cdn", "storage"),
		maintenance(9*day, 2*hour, "lin", "Test the failover of the name servers",
			"Each name server is stopped once. Nothing should be noticed.", "dns"),
		maintenance(14*day, 5*hour, "jonas", "Year-end change of the billing rules",
			"Invoices are held back and sent after the change.", "billing", "checkout"),
		maintenance(21*day, 4*hour, "mara", "Upgrade of the public API gateway",
			"Clients see a few refused connections and should retry.", "api", "auth", "billing", "checkout", "search"),
	}
}
