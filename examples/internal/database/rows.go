package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Queryer is a DB, or a transaction on it.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Each runs a query, and calls add for each row.
func Each(ctx context.Context, q Queryer, add func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("database: read: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err has the error that matters
	for rows.Next() {
		if err := add(rows); err != nil {
			return fmt.Errorf("database: read: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("database: read: %w", err)
	}
	return nil
}

// JSONArray returns values as a JSON array for json_each, so that a query has
// one parameter for any number of values.
func JSONArray[T ~string | ~int64](values []T) string {
	if len(values) == 0 {
		return "[]"
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return string(encoded)
}

// Timestamp returns t as text in UTC with milliseconds, which compares as text; the zero time is empty.
func Timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
