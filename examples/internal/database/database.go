// Package database opens the databases of the examples: SQLite in memory or in a file, or PostgreSQL. It
// counts every query, so that the examples can show what a cache saves.
package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/readthrough/readthrough"
)

const (
	// maxConns bounds the connections to the database.
	maxConns = 8
	// writeTimeout bounds a transaction in a database across a network, so that
	// it ends although its context does not.
	writeTimeout = 30 * time.Second
)

// ErrOutcomeUnknown matches the error of a write with an unknown outcome: the answer to its commit was
// lost. What it may have changed must be invalidated.
var ErrOutcomeUnknown = errors.New("database: it is not known whether the change was made")

// Options configure [Open].
type Options struct {
	// Database is the path of a file, which is created if it does not exist, or
	// the URL of a PostgreSQL database, such as postgres://user@host/name.
	// Empty means a database in memory, which ends with the DB.
	Database string
	// Latency is added to every query, such as 40*time.Millisecond. It makes an
	// embedded database as slow as one across a network. Zero and negative mean
	// none.
	Latency time.Duration
	// Schema makes the tables that do not exist, in the dialect of each kind of database. It has the
	// table database_id, with one row.
	Schema Schema

	_ struct{}
}

// Schema is a script in the dialects of the databases.
type Schema struct{ SQLite, Postgres string }

// And returns both scripts, one after the other.
func (s Schema) And(other Schema) Schema {
	return Schema{s.SQLite + "\n" + other.SQLite, s.Postgres + "\n" + other.Postgres}
}

// dialect is what differs between databases.
type dialect struct {
	kind, name string // for display
	connector  driver.Connector
	schema     func(Schema) string
	// translate returns a query of the examples in the syntax of the database.
	translate func(query string, args []driver.NamedValue) (string, []driver.NamedValue)
	// lock is a statement that makes write transactions run one at a time.
	// Empty means that the database does so itself.
	lock string
	// anchored means that the database exists only while it has a connection.
	anchored bool
	// remote means that the answer to a commit can be lost.
	remote bool
}

// DB is an open database. Its methods are safe for concurrent use. Change it by Write only.
type DB struct {
	*sql.DB

	dialect dialect
	anchor  *sql.Conn // open while the DB is, if the database is anchored
	meter   *meter
	id      string
}

// Open opens the database and creates missing tables.
func Open(ctx context.Context, options Options) (*DB, error) {
	openDialect := openSQLite
	if isPostgres(options.Database) {
		openDialect = openPostgres
	}
	d, err := openDialect(options.Database)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db := newDB(d, &meter{})
	db.SetLatency(options.Latency)
	if err := db.prepare(ctx, d.schema(options.Schema)); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", d.name, err), db.Close())
	}
	return db, nil
}

func newDB(d dialect, m *meter) *DB {
	db := &DB{DB: sql.OpenDB(meteredConnector{d, m}), dialect: d, meter: m}
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	return db
}

// prepare opens the anchor, creates the tables, and reads the id of the
// database.
func (db *DB) prepare(ctx context.Context, schema string) error {
	if db.dialect.anchored {
		var err error
		if db.anchor, err = db.Conn(ctx); err != nil {
			return err
		}
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, schema); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT id FROM database_id").Scan(&db.id)
	})
}

// Through returns another DB on the same database. Its connections are those that wrap returns, which may
// lose the answers to commits. It is for tests.
func (db *DB) Through(wrap func(driver.Connector) driver.Connector) *DB {
	d := db.dialect
	d.connector, d.anchored, d.remote = wrap(d.connector), false, true
	return newDB(d, db.meter)
}

// ID identifies the database: cached entries of one database are wrong
// for another.
func (db *DB) ID() string { return db.id }

// Kind returns the kind of the database, for display.
func (db *DB) Kind() string { return db.dialect.kind }

// Usage returns what was asked of the database so far.
func (db *DB) Usage() Usage { return db.meter.usage() }

// SetLatency sets [Options.Latency].
func (db *DB) SetLatency(latency time.Duration) { db.meter.latency.Store(int64(latency)) }

// Close closes the database.
func (db *DB) Close() error {
	var err error
	if db.anchor != nil {
		err = db.anchor.Close()
	}
	return errors.Join(err, db.DB.Close())
}

// Write runs f in a transaction. Only one write transaction runs at a time.
// After an error nothing was changed, unless the error matches
// [ErrOutcomeUnknown].
//
// With a database across a network, the transaction does not end with ctx: a
// commit that is abandoned may still have happened.
func (db *DB) Write(ctx context.Context, f func(*sql.Tx) error) error {
	begin := ctx
	if db.dialect.remote {
		var cancel context.CancelFunc
		begin, cancel = context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		defer cancel()
	}
	tx, err := db.BeginTx(begin, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after Commit; before it, f's error is the one to return
	if db.dialect.lock != "" {
		if _, err := tx.ExecContext(ctx, db.dialect.lock); err != nil {
			return err
		}
	}
	if err := f(tx); err != nil {
		return err
	}
	if err = tx.Commit(); err != nil && db.dialect.remote {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return err
}

// Refusable returns write for a [readthrough.Mutation]: its error also says whether nothing was changed, for
// certain. That is so for every error of a write by [DB.Write] but [ErrOutcomeUnknown].
func Refusable[R any](write func(context.Context) (R, error)) func(context.Context) (R, error) {
	return func(ctx context.Context) (R, error) {
		result, err := write(ctx)
		return result, Unchanged(err)
	}
}

// Unchanged returns err, which matches [readthrough.ErrUnchanged], unless the outcome is unknown. It returns
// nil for nil.
func Unchanged(err error) error {
	if err == nil || errors.Is(err, ErrOutcomeUnknown) {
		return err
	}
	return unchanged{err}
}

// unchanged is the error of a write that has changed nothing: it was refused, or rolled back.
type unchanged struct{ error }

func (unchanged) Is(target error) bool { return target == readthrough.ErrUnchanged }

func (u unchanged) Unwrap() error { return u.error }
