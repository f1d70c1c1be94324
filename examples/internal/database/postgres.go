package database

import (
	"database/sql/driver"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// isPostgres reports whether the database is a URL of PostgreSQL and not a file.
func isPostgres(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// openPostgres returns the dialect of PostgreSQL. This file and the schemas are all
// that differs from SQLite.
func openPostgres(url string) (dialect, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return dialect{}, err // pgx removes the password
	}
	return dialect{
		kind:      "PostgreSQL",
		name:      fmt.Sprintf("%s on %s:%d", config.Database, config.Host, config.Port),
		connector: stdlib.GetConnector(*config),
		schema:    func(s Schema) string { return s.Postgres },
		translate: toPostgres,
		// One writer at a time, as in SQLite: what a transaction has read is still
		// true when it writes. Row locks would let more transactions run at the
		// same time; there are few.
		lock:   "SELECT pg_advisory_xact_lock(7310)",
		remote: true,
	}, nil
}

var (
	namedParameter = regexp.MustCompile(`@[a-z_]+`)
	jsonEach       = regexp.MustCompile(`json_each\((@[a-z_]+)\)`)
)

// toPostgres translates a query of the examples: some functions have other names,
// and parameters have numbers. No query has an @ or one of these names in a
// string.
func toPostgres(query string, args []driver.NamedValue) (string, []driver.NamedValue) {
	query = jsonEach.ReplaceAllString(query, `json_array_elements_text($1::json)`)
	query = strings.ReplaceAll(query, "instr(", "strpos(")
	query = strings.ReplaceAll(query, "group_concat(", "string_agg(")
	byName := map[string]driver.NamedValue{}
	for _, arg := range args {
		byName["@"+arg.Name] = arg
	}
	var used []driver.NamedValue
	ordinals := map[string]int{}
	query = namedParameter.ReplaceAllStringFunc(query, func(name string) string {
		if ordinals[name] == 0 {
			ordinals[name] = len(used) + 1
			used = append(used, driver.NamedValue{Ordinal: len(used) + 1, Value: byName[name].Value})
		}
		return fmt.Sprintf("$%d", ordinals[name])
	})
	return query, used
}
