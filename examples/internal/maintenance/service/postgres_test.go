package service

import (
	"context"
	"database/sql/driver"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/postgres"
)

// onPostgres makes the tests of this package use schemas of a PostgreSQL server
// in place of databases in memory.
var (
	onPostgres = flag.Bool("postgres", false, "run the tests on a PostgreSQL server of their own")
	server     *postgres.Server // with -postgres
)

func TestMain(m *testing.M) {
	flag.Parse()
	if !*onPostgres {
		os.Exit(m.Run())
	}
	var err error
	if server, err = postgres.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(notInstalled)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// notInstalled is the exit code of the tests where there is no PostgreSQL.
const notInstalled = 3

// All other tests of this package, on PostgreSQL.
func TestOnPostgres(t *testing.T) {
	if *onPostgres {
		t.Skip("these are they")
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-postgres", "-test.shuffle=on", "-test.v")
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == notInstalled {
		require.NotEqual(t, "1", os.Getenv("READTHROUGH_REQUIRE_POSTGRES"), "READTHROUGH_REQUIRE_POSTGRES=1: %s", output)
		t.Skipf("%s", output)
	}
	assert.NoError(t, err, "%s", output)
	assert.GreaterOrEqual(t, strings.Count(string(output), "--- PASS: Test"), 15, "tests that passed\n%s", output)
}

// inMemory returns the options of a database that nobody else has.
func inMemory(t *testing.T) Options {
	t.Helper()
	if server == nil {
		return Options{}
	}
	schemas++
	url, err := server.Schema(t.Context(), fmt.Sprintf("test_%d", schemas))
	require.NoError(t, err)
	return Options{Database: url}
}

var schemas int

// lostAnswers are connections whose commits happen, and nobody hears of it.
type lostAnswers struct{ driver.Connector }

type lostConn struct{ database.Conn }

type lostTx struct{ driver.Tx }

var errLost = errors.New("the connection is gone")

func (c lostAnswers) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return lostConn{conn.(database.Conn)}, nil
}

func (c lostConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.BeginTx(ctx, options)
	return lostTx{tx}, err
}

func (tx lostTx) Commit() error { return errors.Join(tx.Tx.Commit(), errLost) }

// A commit across a network may have happened though it failed: the error says
// so, and the change is returned with it.
func TestOutcomeUnknown(t *testing.T) {
	s := open(t, inMemory(t))
	lost := New(s.Through(func(c driver.Connector) driver.Connector { return lostAnswers{c} }))
	lost.now = s.now
	defer lost.Close()
	change, err := lost.Create(t.Context(), draft())
	require.ErrorIs(t, err, ErrOutcomeUnknown)
	require.ErrorIs(t, err, errLost)
	require.NotZero(t, change.Maintenance.ID)
	m, err := s.Get(t.Context(), change.Maintenance.ID)
	assert.NoError(t, err, "what happened is what the change says")
	assert.Equal(t, change.Maintenance, m, "what happened is what the change says")
	changed, err := lost.Update(t.Context(), change.Maintenance.ID, Patch{SystemIDs: new([]string{"dns"})})
	assert.ErrorIs(t, err, ErrOutcomeUnknown)
	assert.Equal(t, []string{"cdn", "dns", "storage"}, changed.AffectedSystems())
	deleted, err := lost.Delete(t.Context(), change.Maintenance.ID)
	assert.ErrorIs(t, err, ErrOutcomeUnknown, "got %+v", deleted)
	assert.True(t, deleted.Deleted, "got %+v", deleted)
}
