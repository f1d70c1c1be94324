package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Usage counts requests to the database.
type Usage struct {
	// Queries counts statements that return rows.
	Queries int64 `json:"queries"`
	// Statements counts statements that return no rows.
	Statements int64 `json:"statements"`
}

// meter counts below package database/sql, so that no query bypasses it.
type meter struct {
	queries    atomic.Int64
	statements atomic.Int64
	latency    atomic.Int64 // a time.Duration
}

func (m *meter) usage() Usage {
	return Usage{Queries: m.queries.Load(), Statements: m.statements.Load()}
}

// query counts a query, also in the counter of ctx if it has one.
func (m *meter) query(ctx context.Context) {
	m.queries.Add(1)
	if counter, ok := ctx.Value(counterKey{}).(*atomic.Int64); ok {
		counter.Add(1)
	}
}

type counterKey struct{}

// CountQueries returns a context whose queries are also counted separately. A load
// that the cache runs for a reader has the values of that reader's context. To
// count what many readers cost together, give all of them the same context.
func CountQueries(ctx context.Context) (context.Context, *atomic.Int64) {
	counter := &atomic.Int64{}
	return context.WithValue(ctx, counterKey{}, counter), counter
}

// meteredConnector opens connections that count queries.
type meteredConnector struct {
	dialect dialect
	meter   *meter
}

// Connect opens a connection.
func (c meteredConnector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.dialect.connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := opened.(Conn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("database: a %T cannot be metered", opened), opened.Close())
	}
	return meteredConn{conn, c.dialect, c.meter}, nil
}

// Driver returns the driver of the connections.
func (c meteredConnector) Driver() driver.Driver { return c.dialect.connector.Driver() }

// Conn is what the connections of the drivers can do. A wrapper has to
// forward all of it; otherwise package database/sql uses methods that ignore the
// context.
//
//nolint:interfacebloat // the drivers decide how much it is
type Conn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
}

// meteredConn is a connection that counts and translates queries.
type meteredConn struct {
	Conn

	dialect dialect
	meter   *meter
}

// IsValid reports whether the connection may be used again.
func (c meteredConn) IsValid() bool {
	validator, ok := c.Conn.(driver.Validator)
	return !ok || validator.IsValid()
}

// QueryContext counts and runs a query, after the latency.
func (c meteredConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.meter.query(ctx)
	if err := wait(ctx, time.Duration(c.meter.latency.Load())); err != nil {
		return nil, err
	}
	query, args = c.dialect.translate(query, args)
	return c.Conn.QueryContext(ctx, query, args)
}

// ExecContext counts and runs a statement.
func (c meteredConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.meter.statements.Add(1)
	query, args = c.dialect.translate(query, args)
	return c.Conn.ExecContext(ctx, query, args)
}

// Prepare refuses, because queries of a prepared statement would not be counted.
func (c meteredConn) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("database: prepared statements are not metered")
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
