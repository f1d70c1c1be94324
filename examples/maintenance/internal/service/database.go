package service

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

const (
	// maxConns bounds the connections to the database.
	maxConns = 8
	// writeTimeout bounds a transaction in a database across a network, so that
	// it ends although its context does not.
	writeTimeout = 30 * time.Second
)

// Options configure [Open]. The zero value is a database in memory.
type Options struct {
	// Database is the path of a file, which is created if it does not exist, or
	// the URL of a PostgreSQL database, such as postgres://user@host/name.
	// Empty means a database in memory, which ends with the service.
	Database string
	// Latency is added to every query, such as 40*time.Millisecond. It makes an
	// embedded database as slow as one across a network. Zero and negative mean
	// none.
	Latency time.Duration

	_ struct{}
}

// dialect is what differs between databases.
type dialect struct {
	kind, name string // for display
	connector  driver.Connector
	schema     string
	// translate returns a query of this package in the syntax of the database.
	translate func(query string, args []driver.NamedValue) (string, []driver.NamedValue)
	// lock is a statement that makes write transactions run one at a time.
	// Empty means that the database does so itself.
	lock string
	// anchored means that the database exists only while it has a connection.
	anchored bool
	// remote means that the answer to a commit can be lost.
	remote bool
}

// Service reads and changes maintenances. It is safe for concurrent use.
type Service struct {
	db      *sql.DB
	dialect dialect
	anchor  *sql.Conn // open while the service is, if the database is anchored
	meter   *meter
	id      string
	now     func() time.Time
}

// Open opens the database and creates missing tables.
func Open(ctx context.Context, options Options) (*Service, error) {
	openDialect := openSQLite
	if isPostgres(options.Database) {
		openDialect = openPostgres
	}
	d, err := openDialect(options.Database)
	if err != nil {
		return nil, fmt.Errorf("service: open database: %w", err)
	}
	s := &Service{dialect: d, meter: &meter{latency: options.Latency}, now: time.Now}
	s.openPool()
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("service: open database %s: %w", d.name, err), s.Close())
	}
	return s, nil
}

func (s *Service) openPool() {
	s.db = sql.OpenDB(meteredConnector{s.dialect, s.meter})
	s.db.SetMaxOpenConns(maxConns)
	s.db.SetMaxIdleConns(maxConns)
}

// prepare opens the anchor, creates the tables, and reads the id of the
// database.
func (s *Service) prepare(ctx context.Context) error {
	if s.dialect.anchored {
		var err error
		if s.anchor, err = s.db.Conn(ctx); err != nil {
			return err
		}
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.dialect.schema); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT id FROM database_id").Scan(&s.id)
	})
}

// DatabaseID identifies the database: cached entries of one database are wrong
// for another.
func (s *Service) DatabaseID() string { return s.id }

// Kind returns the kind of the database, for display.
func (s *Service) Kind() string { return s.dialect.kind }

// Usage returns what the service has asked of the database so far.
func (s *Service) Usage() Usage { return s.meter.usage() }

// Ping reports whether the database answers.
func (s *Service) Ping(ctx context.Context) error { return s.db.PingContext(ctx) }

// Close closes the database.
func (s *Service) Close() error {
	var err error
	if s.anchor != nil {
		err = s.anchor.Close()
	}
	return errors.Join(err, s.db.Close())
}

// write runs f in a transaction. Only one write transaction runs at a time.
// After an error nothing was changed, unless the error matches
// [ErrOutcomeUnknown].
//
// With a database across a network, the transaction does not end with ctx: a
// commit that is abandoned may still have happened.
func (s *Service) write(ctx context.Context, f func(*sql.Tx) error) error {
	begin := ctx
	if s.dialect.remote {
		var cancel context.CancelFunc
		begin, cancel = context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		defer cancel()
	}
	tx, err := s.db.BeginTx(begin, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after Commit; before it, f's error is the one to return
	if s.dialect.lock != "" {
		if _, err := tx.ExecContext(ctx, s.dialect.lock); err != nil {
			return err
		}
	}
	if err := f(tx); err != nil {
		return err
	}
	if err = tx.Commit(); err != nil && s.dialect.remote {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return err
}
