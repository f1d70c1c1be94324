package service

import (
	"context"
	_ "embed" // for the schemas
	"time"

	"github.com/readthrough/readthrough/examples/internal/database"
)

var (
	//go:embed sqlite.sql
	sqliteSchema string
	//go:embed postgres.sql
	postgresSchema string
)

// Schema returns the tables of the service.
func Schema() database.Schema { return database.Schema{SQLite: sqliteSchema, Postgres: postgresSchema} }

// Options configure [Open]. The zero value is a database in memory. The fields are those of
// [database.Options].
type Options struct {
	Database string
	Latency  time.Duration

	_ struct{}
}

// Service reads and changes maintenances. It is safe for concurrent use.
type Service struct {
	*database.DB

	now func() time.Time
}

// Open opens a database of its own.
func Open(ctx context.Context, options Options) (*Service, error) {
	db, err := database.Open(ctx, database.Options{Database: options.Database, Latency: options.Latency, Schema: Schema()})
	if err != nil {
		return nil, err
	}
	return New(db), nil
}

// New returns the service on a database that has the tables of [Schema].
func New(db *database.DB) *Service { return &Service{DB: db, now: time.Now} }
