package transactions_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/internal/postgres"
	"github.com/readthrough/readthrough/examples/transactions"
	"github.com/readthrough/readthrough/memory"
)

// repository is what the tests need of a database: a balance for each account, and transactions. Inside of a transaction,
// balance and set use it, since their context has it.
type repository struct {
	balance func(ctx context.Context, id int64) (int64, error)
	set     func(ctx context.Context, id, balance int64) error
	inTx    func(ctx context.Context, cache *readthrough.Cache, f func(ctx context.Context) error) error
	// noRow is the error for an account that is not there.
	noRow error
}

// txKey is the key of the transaction in a context.
type txKey struct{}

const (
	schema = "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)"
	get    = "SELECT balance FROM accounts WHERE id = $1"
	upsert = "INSERT INTO accounts (id, balance) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET balance = excluded.balance"
)

func TestDatabaseSQL(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "db")+"?_pragma=journal_mode(wal)")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), schema)
	require.NoError(t, err)
	type querier interface {
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
	in := func(ctx context.Context) querier {
		if tx, ok := ctx.Value(txKey{}).(*sql.Tx); ok {
			return tx
		}
		return db
	}
	test(t, repository{
		balance: func(ctx context.Context, id int64) (balance int64, err error) {
			err = in(ctx).QueryRowContext(ctx, get, id).Scan(&balance)
			return balance, err
		},
		set: func(ctx context.Context, id, balance int64) error {
			_, err := in(ctx).ExecContext(ctx, upsert, id, balance)
			return err
		},
		inTx: func(ctx context.Context, cache *readthrough.Cache, f func(context.Context) error) error {
			return transactions.InTx(ctx, db, cache, func(ctx context.Context, tx *sql.Tx) error {
				return f(context.WithValue(ctx, txKey{}, tx))
			})
		},
		noRow: sql.ErrNoRows,
	})
}

// server starts a PostgreSQL server, and returns the URL of a database with the schema.
func server(t *testing.T) string {
	t.Helper()
	s, err := postgres.Start(t.Context())
	if errors.Is(err, postgres.ErrNotInstalled) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Stop()) })
	return s.URL()
}

func TestPostgres(t *testing.T) {
	url := server(t)
	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), schema)
	require.NoError(t, err)
	t.Run("pgx", func(t *testing.T) { test(t, onPGX(pool)) })
	_, err = pool.Exec(t.Context(), "DELETE FROM accounts")
	require.NoError(t, err)
	t.Run("gorm", func(t *testing.T) { test(t, onGorm(t, url)) })
}

func onPGX(pool *pgxpool.Pool) repository {
	type querier interface {
		transactions.PGX
		QueryRow(ctx context.Context, query string, args ...any) pgx.Row
	}
	in := func(ctx context.Context) querier {
		if tx, ok := ctx.Value(txKey{}).(pgx.Tx); ok {
			return tx
		}
		return pool
	}
	return repository{
		balance: func(ctx context.Context, id int64) (balance int64, err error) {
			err = in(ctx).QueryRow(ctx, get, id).Scan(&balance)
			return balance, err
		},
		set: func(ctx context.Context, id, balance int64) error {
			return in(ctx).QueryRow(ctx, upsert+" RETURNING id", id, balance).Scan(&id)
		},
		inTx: func(ctx context.Context, cache *readthrough.Cache, f func(context.Context) error) error {
			return transactions.InPGXTx(ctx, in(ctx), cache, func(ctx context.Context, tx pgx.Tx) error {
				return f(context.WithValue(ctx, txKey{}, tx))
			})
		},
		noRow: pgx.ErrNoRows,
	}
}

func onGorm(t *testing.T, url string) repository {
	t.Helper()
	db, err := gorm.Open(gormpostgres.Open(url), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	t.Cleanup(func() {
		pool, err := db.DB()
		require.NoError(t, err)
		assert.NoError(t, pool.Close())
	})
	type account struct{ ID, Balance int64 }
	in := func(ctx context.Context) *gorm.DB {
		if tx, ok := ctx.Value(txKey{}).(*gorm.DB); ok {
			return tx.WithContext(ctx)
		}
		return db.WithContext(ctx)
	}
	return repository{
		balance: func(ctx context.Context, id int64) (int64, error) {
			var a account
			err := in(ctx).First(&a, id).Error
			return a.Balance, err
		},
		set: func(ctx context.Context, id, balance int64) error { return in(ctx).Save(&account{id, balance}).Error },
		inTx: func(ctx context.Context, cache *readthrough.Cache, f func(context.Context) error) error {
			return transactions.InGormTx(ctx, in(ctx), cache, func(ctx context.Context, tx *gorm.DB) error {
				return f(context.WithValue(ctx, txKey{}, tx))
			})
		},
		noRow: gorm.ErrRecordNotFound,
	}
}

var errRefused = errors.New("refused")

// test changes accounts in transactions that end in all ways, and reads them inside and outside.
func test(t *testing.T, r repository) {
	t.Helper()
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	cache, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	scope, err := cache.Scope("accounts", readthrough.ScopeOptions{TTL: time.Hour, NotFound: r.noRow})
	require.NoError(t, err)
	accounts, err := readthrough.NewFamily(scope, "account:", readthrough.Loads[int64, int64]{One: r.balance})
	require.NoError(t, err)
	ctx := t.Context()
	expect := func(ctx context.Context, where string, want int64) {
		t.Helper()
		got, err := accounts.Get(ctx, 1)
		assert.NoError(t, err, where)
		assert.Equal(t, want, got, where)
	}
	set := func(ctx context.Context, balance int64) {
		t.Helper()
		require.NoError(t, r.set(ctx, 1, balance))
		require.NoError(t, accounts.Invalidate(ctx, 1))
		expect(ctx, "inside", balance)
	}

	_, err = accounts.Get(ctx, 1)
	require.ErrorIs(t, err, r.noRow)
	require.ErrorIs(t, err, readthrough.ErrNotFound)
	require.NoError(t, r.inTx(ctx, cache, func(ctx context.Context) error { set(ctx, 10); return nil }))
	expect(ctx, "after the commit", 10)

	err = r.inTx(ctx, cache, func(ctx context.Context) error {
		set(ctx, 20)
		return errRefused
	})
	require.ErrorIs(t, err, errRefused)
	expect(ctx, "after a rollback", 10)

	assert.Panics(t, func() {
		_ = r.inTx(ctx, cache, func(ctx context.Context) error {
			set(ctx, 30)
			panic("in the transaction")
		})
	})
	expect(ctx, "after a panic", 10)

	loads := scope.Stats().Loads
	for range 3 {
		expect(ctx, "cached", 10)
	}
	assert.Equal(t, loads, scope.Stats().Loads, "transactions that were rolled back have invalidated something")

	left, leave := context.WithCancel(ctx)
	err = r.inTx(left, cache, func(ctx context.Context) error {
		set(ctx, 40)
		leave() // nobody knows what becomes of the commit
		return nil
	})
	require.Error(t, err)
	before := scope.Stats().Loads
	balance, err := r.balance(ctx, 1)
	require.NoError(t, err)
	expect(ctx, "after a commit that has failed", balance)
	assert.Equal(t, before+1, scope.Stats().Loads, "what may have been committed is loaded again")
}

// TestSavepoint: with pgx, a transaction in a transaction is a savepoint. It invalidates when the outer one is
// committed.
func TestSavepoint(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), server(t))
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), schema)
	require.NoError(t, err)
	r := onPGX(pool)
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	cache, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	scope, err := cache.Scope("accounts", readthrough.ScopeOptions{TTL: time.Hour})
	require.NoError(t, err)
	accounts, err := readthrough.NewFamily(scope, "account:", readthrough.Loads[int64, int64]{One: r.balance})
	require.NoError(t, err)
	require.NoError(t, r.set(t.Context(), 1, 1))
	read := func(want int64) {
		t.Helper()
		got, err := accounts.Get(t.Context(), 1)
		assert.NoError(t, err)
		assert.Equal(t, want, got)
	}
	read(1)
	require.NoError(t, r.inTx(t.Context(), cache, func(ctx context.Context) error {
		err := r.inTx(ctx, cache, func(ctx context.Context) error {
			require.NoError(t, r.set(ctx, 1, 2))
			return accounts.Invalidate(ctx, 1)
		})
		read(1)
		return err
	}))
	read(2)
}
