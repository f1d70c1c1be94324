package database

import (
	"crypto/rand"
	"database/sql/driver"
	"net/url"
	"path/filepath"

	"modernc.org/sqlite"
)

// openSQLite returns the dialect of SQLite, in a file, or in memory if file is
// empty. The queries of the examples are written for SQLite.
func openSQLite(file string) (dialect, error) {
	connector, err := sqlite.NewConnector(dataSource(file))
	d := dialect{
		kind: "SQLite in memory", name: `""`, connector: connector, anchored: file == "",
		schema:    func(s Schema) string { return s.SQLite },
		translate: func(query string, args []driver.NamedValue) (string, []driver.NamedValue) { return query, args },
	}
	if file != "" {
		d.kind, d.name = "SQLite in a file", file
	}
	return d, err
}

// dataSource returns the name of the database for the driver.
//
// A database in memory uses the memdb file system, where all connections share it
// by name. With plain ":memory:" each connection would have its own database. A
// shared cache would lock whole tables in ways that the busy timeout does not
// cover. Write transactions take the write lock when they begin: a transaction
// that reads first may not get the lock later.
func dataSource(file string) string {
	parameters := url.Values{
		"_busy_timeout": {"10000"},
		"_foreign_keys": {"1"},
		"_txlock":       {"immediate"},
	}
	if file == "" {
		parameters.Set("vfs", "memdb")
		return "file:/example-" + rand.Text() + "?" + parameters.Encode()
	}
	parameters.Set("_journal_mode", "WAL") // readers and the writer do not block each other
	parameters.Set("_synchronous", "NORMAL")
	path := (&url.URL{Path: filepath.ToSlash(file)}).EscapedPath()
	return "file:" + path + "?" + parameters.Encode()
}
