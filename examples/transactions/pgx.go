package transactions

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/readthrough/readthrough"
)

// PGX is what begins a transaction: a *pgxpool.Pool, a *pgx.Conn, or a pgx.Tx, whose transaction is a savepoint.
type PGX interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// InPGXTx is [InTx] for pgx.
func InPGXTx(ctx context.Context, db PGX, cache *readthrough.Cache, f func(ctx context.Context, tx pgx.Tx) error) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after the commit it does nothing
	batch := cache.Collect()
	defer batch.Discard() // if there was no commit
	if err := f(batch.In(ctx), tx); err != nil {
		return err
	}
	return batch.Done(ctx, tx.Commit(ctx))
}
