// Package revision numbers the changes of the database. What can be read has a name, such as
// "incidents:api", and every change gives the names that it touches a new version, in its transaction.
// The cache does not need it: signals, the sampler and the tests do, to see how old a value is.
package revision

import (
	"context"
	"database/sql"
	"maps"
	"sync"

	"github.com/readthrough/readthrough/examples/internal/database"
)

// Of is a value with the version of what it shows.
type Of[T any] struct {
	Version int64 `json:"version"`
	Value   T     `json:"value"`
}

// Signal is the data of all signals: what was changed.
type Signal struct {
	// Version is that of the change. Who reads because of the signal sees it, or a later one.
	Version int64 `json:"version"`
	// Systems are the systems that are shown differently; User is the user who sees a difference. Empty means
	// that the change is not of a system, or not of one user.
	Systems []string `json:"systems,omitempty"`
	User    string   `json:"user,omitempty"`
}

// Bump gives names a new version, which is higher than every earlier one, and returns it.
func Bump(ctx context.Context, tx *sql.Tx, names ...string) (version int64, err error) {
	err = tx.QueryRowContext(ctx, `UPDATE counter SET n = n + 1 RETURNING n`).Scan(&version)
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO revision (name, version)
		SELECT value, CAST(@version AS BIGINT) FROM json_each(@names) WHERE true
		ON CONFLICT (name) DO UPDATE SET version = excluded.version`,
		sql.Named("version", version), sql.Named("names", database.JSONArray(names)))
	if changes, ok := ctx.Value(trackKey{}).(*Changes); ok && err == nil {
		changes.add(version, names)
	}
	return version, err
}

// Changes collects what the changes of a context have touched.
type Changes struct {
	mu       sync.Mutex // guards following
	versions map[string]int64
}

type trackKey struct{}

// Track returns a context whose changes are also collected. It is for tests.
func Track(ctx context.Context) (context.Context, *Changes) {
	changes := &Changes{versions: map[string]int64{}}
	return context.WithValue(ctx, trackKey{}, changes), changes
}

// Versions returns the version of each name that was touched.
func (c *Changes) Versions() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.versions)
}

func (c *Changes) add(version int64, names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		c.versions[name] = version
	}
}

// Names returns prefix+value for each value.
func Names[T ~string](prefix string, values []T) []string {
	names := make([]string, len(values))
	for i, value := range values {
		names[i] = prefix + string(value)
	}
	return names
}
