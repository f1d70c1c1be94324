package service

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed" // for the schema
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
)

//go:embed schema.sql
var schema string

// maxConns bounds the connections to the database.
const maxConns = 8

// Options of [Open]. The zero value is a database in memory.
type Options struct {
	// File is the path of the database, which is created if it does not exist.
	// Empty: a database in memory, which ends with the service.
	File string
	// Latency is added to every query, to make an embedded database as slow as
	// one across a network. Zero or negative: none.
	Latency time.Duration

	_ struct{}
}

// Service reads and changes maintenances. It is safe for concurrent use.
type Service struct {
	db *sql.DB
	// anchor is a connection that stays open, because a database in memory
	// lives only as long as one does.
	anchor *sql.Conn
	meter  *meter
	id     string
	now    func() time.Time
}

// Open opens the database and creates its tables where they are missing.
func Open(ctx context.Context, options Options) (*Service, error) {
	base, err := sqlite.NewConnector(dataSource(options.File))
	if err != nil {
		return nil, fmt.Errorf("service: open database: %w", err)
	}
	s := &Service{meter: &meter{latency: options.Latency}, now: time.Now}
	s.db = sql.OpenDB(meteredConnector{base, s.meter})
	s.db.SetMaxOpenConns(maxConns)
	s.db.SetMaxIdleConns(maxConns)
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("service: open database %q: %w", options.File, err), s.Close())
	}
	return s, nil
}

// dataSource names the database for the driver.
//
// A database in memory is one of the memdb file system, which all connections
// share under its name. Plain ":memory:" would give each connection a database
// of its own, and a shared cache locks whole tables in ways that the busy timeout
// does not cover. Write transactions take the write lock when they begin: one
// that reads first and asks for the lock later can find that it came too late.
func dataSource(file string) string {
	parameters := url.Values{
		"_busy_timeout": {"10000"},
		"_foreign_keys": {"1"},
		"_txlock":       {"immediate"},
	}
	if file == "" {
		parameters.Set("vfs", "memdb")
		return "file:/maintenance-" + rand.Text() + "?" + parameters.Encode()
	}
	parameters.Set("_journal_mode", "WAL") // readers and the writer do not block each other
	parameters.Set("_synchronous", "NORMAL")
	path := (&url.URL{Path: filepath.ToSlash(file)}).EscapedPath()
	return "file:" + path + "?" + parameters.Encode()
}

// prepare opens the anchor, creates the tables and reads the database's id.
func (s *Service) prepare(ctx context.Context) error {
	var err error
	if s.anchor, err = s.db.Conn(ctx); err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, schema); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT id FROM database_id").Scan(&s.id)
	})
}

// DatabaseID identifies the database: what was cached of another one is of no
// use for this.
func (s *Service) DatabaseID() string { return s.id }

// Usage returns what the service asked of the database so far.
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

// write runs f in a transaction, which alone may write while it lasts. An error
// means that nothing was changed: with a database in the process, the answer to a
// commit cannot get lost on the way. Where it can, as with one across a network,
// a commit that failed is followed by the invalidation nevertheless.
func (s *Service) write(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after Commit; before it, f's error is the one to return
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}
