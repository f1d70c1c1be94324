package transactions

import (
	"context"

	"gorm.io/gorm"

	"github.com/readthrough/readthrough"
)

// InGormTx is [InTx] for gorm. Its Transaction returns the error of f and that of the commit alike, so it has to be
// noticed whether f has succeeded.
func InGormTx(ctx context.Context, db *gorm.DB, cache *readthrough.Cache, f func(ctx context.Context, tx *gorm.DB) error) error {
	batch := cache.Collect()
	defer batch.Discard() // if there was no commit
	succeeded := false
	err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		ctx := batch.In(ctx)
		err := f(ctx, tx.WithContext(ctx))
		succeeded = err == nil
		return err
	})
	if !succeeded {
		return err
	}
	return batch.Done(ctx, err)
}
