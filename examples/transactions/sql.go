// Package transactions has the recipe for transactions, for package database/sql, pgx and gorm: functions to copy.
//
// What a transaction invalidates is invalidated after its commit, and what it reads is not cached, because nobody else
// may see it before. So everything inside of the transaction uses the context that f gets.
package transactions

import (
	"context"
	"database/sql"

	"github.com/readthrough/readthrough"
)

// InTx runs f in a transaction of db. It commits if f returns nil, and rolls back if f returns an error or panics.
//
// If the error matches [readthrough.ErrInvalidationPending] and nothing else went wrong, the change is committed.
func InTx(ctx context.Context, db *sql.DB, cache *readthrough.Cache, f func(ctx context.Context, tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after the commit it does nothing
	batch := cache.Collect()
	defer batch.Discard() // if there was no commit
	if err := f(batch.In(ctx), tx); err != nil {
		return err
	}
	return batch.Done(ctx, tx.Commit())
}
