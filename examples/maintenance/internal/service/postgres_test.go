package service

import (
	"context"
	"database/sql/driver"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/readthrough/readthrough/examples/maintenance/internal/postgres"
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
		if os.Getenv("READTHROUGH_REQUIRE_POSTGRES") == "1" {
			t.Fatalf("READTHROUGH_REQUIRE_POSTGRES=1: %s", output)
		}
		t.Skipf("%s", output)
	}
	if ran := strings.Count(string(output), "--- PASS: Test"); err != nil || ran < 15 {
		t.Errorf("%d tests passed, %v\n%s", ran, err, output)
	}
}

// inMemory returns the options of a database that nobody else has.
func inMemory(t *testing.T) Options {
	t.Helper()
	if server == nil {
		return Options{}
	}
	schemas++
	url, err := server.Schema(t.Context(), fmt.Sprintf("test_%d", schemas))
	if err != nil {
		t.Fatal(err)
	}
	return Options{Database: url}
}

var schemas int

func TestToPostgres(t *testing.T) {
	query, args := toPostgres("SELECT instr(a, @b) > 0 FROM json_each(@list_of) WHERE c = @b LIMIT @n",
		[]driver.NamedValue{{Name: "n", Value: 7}, {Name: "b", Value: "x"}, {Name: "list_of", Value: "[]"}, {Name: "unused"}})
	if want := "SELECT strpos(a, $1) > 0 FROM json_array_elements_text($2::json) WHERE c = $1 LIMIT $3"; query != want {
		t.Errorf("got  %s\nwant %s", query, want)
	}
	want := []driver.NamedValue{{Ordinal: 1, Value: "x"}, {Ordinal: 2, Value: "[]"}, {Ordinal: 3, Value: 7}}
	if !reflect.DeepEqual(args, want) {
		t.Errorf("got  %v\nwant %v", args, want)
	}
}

// lostAnswers are connections whose commits happen, and nobody hears of it.
type lostAnswers struct{ driver.Connector }

type lostConn struct{ databaseConn }

type lostTx struct{ driver.Tx }

var errLost = errors.New("the connection is gone")

func (c lostAnswers) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return lostConn{conn.(databaseConn)}, nil
}

func (c lostConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	tx, err := c.databaseConn.BeginTx(ctx, options)
	return lostTx{tx}, err
}

func (tx lostTx) Commit() error { return errors.Join(tx.Tx.Commit(), errLost) }

// A commit across a network may have happened though it failed: the error says
// so, and the change is returned with it.
func TestOutcomeUnknown(t *testing.T) {
	s := open(t, inMemory(t))
	d := s.dialect
	d.connector, d.anchored, d.remote = lostAnswers{d.connector}, false, true
	lost := &Service{dialect: d, meter: s.meter, now: s.now}
	lost.openPool()
	defer lost.Close()
	change, err := lost.Create(t.Context(), draft())
	if !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, errLost) || change.Maintenance.ID == 0 {
		t.Fatalf("got %+v, %v", change, err)
	}
	if m, err := s.Get(t.Context(), change.Maintenance.ID); err != nil || !reflect.DeepEqual(m, change.Maintenance) {
		t.Errorf("it happened: %+v, %v; the change says %+v", m, err, change.Maintenance)
	}
	changed, err := lost.Update(t.Context(), change.Maintenance.ID, Patch{SystemIDs: new([]string{"dns"})})
	if want := []string{"cdn", "dns", "storage"}; !errors.Is(err, ErrOutcomeUnknown) || !reflect.DeepEqual(changed.AffectedSystems(), want) {
		t.Errorf("got %v, %v; want systems %v", changed.AffectedSystems(), err, want)
	}
	if deleted, err := lost.Delete(t.Context(), change.Maintenance.ID); !errors.Is(err, ErrOutcomeUnknown) || !deleted.Deleted {
		t.Errorf("got %+v, %v", deleted, err)
	}
}
