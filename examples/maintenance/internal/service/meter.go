package service

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Usage counts what was asked of the database.
type Usage struct {
	// Queries counts statements that return rows.
	Queries int64 `json:"queries"`
	// Statements counts those that do not.
	Statements int64 `json:"statements"`
}

// meter counts beneath package database/sql, where no query can get past it.
type meter struct {
	queries    atomic.Int64
	statements atomic.Int64
	latency    time.Duration
}

func (m *meter) usage() Usage {
	return Usage{Queries: m.queries.Load(), Statements: m.statements.Load()}
}

// meteredConnector opens connections that count.
type meteredConnector struct {
	driver.Connector

	meter *meter
}

// Connect opens a connection.
func (c meteredConnector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := opened.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("service: a %T cannot be metered", opened), opened.Close())
	}
	return meteredConn{conn, c.meter}, nil
}

// sqliteConn is what the driver's connections can do. A wrapper must pass all of
// it on: without it, package database/sql falls back to methods that ignore the
// context.
//
//nolint:interfacebloat // the driver decides how much it is
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// meteredConn is a connection that counts.
type meteredConn struct {
	sqliteConn

	meter *meter
}

// QueryContext counts and runs a query, after the latency.
func (c meteredConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.meter.queries.Add(1)
	if err := wait(ctx, c.meter.latency); err != nil {
		return nil, err
	}
	return c.sqliteConn.QueryContext(ctx, query, args)
}

// ExecContext counts and runs a statement.
func (c meteredConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.meter.statements.Add(1)
	return c.sqliteConn.ExecContext(ctx, query, args)
}

// Prepare refuses: what is run through a prepared statement would not be counted.
func (c meteredConn) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("service: prepared statements are not metered")
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
