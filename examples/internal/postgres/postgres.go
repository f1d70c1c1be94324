// Package postgres starts a PostgreSQL server for tests: in its own folder, on a
// unix socket, without durability.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotInstalled is the error if PostgreSQL is not installed. It says how to
// install it.
var ErrNotInstalled = errors.New("PostgreSQL is not installed; on Debian: apt-get install postgresql")

// unprivileged is the user that runs the server if this process is root:
// PostgreSQL refuses to run as root.
const unprivileged = "postgres"

const (
	startTimeout = time.Minute
	stopTimeout  = 10 * time.Second
)

// Server is a running server.
type Server struct {
	process *exec.Cmd
	output  bytes.Buffer
	ended   chan error
	dir     string
}

// Start starts a server. It runs until Stop, also after ctx has ended.
func Start(ctx context.Context) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{ended: make(chan error, 1)}
	// Not the folder of a test: the path of a socket must be short, and the
	// server's user needs access.
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return nil, err
	}
	if err := s.start(ctx, bin); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// find returns the folder with the newest server. On Debian it is not on the
// PATH.
func find() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, lookErr := exec.LookPath("initdb"); lookErr == nil {
		found = append(found, path)
	}
	if err != nil || len(found) == 0 {
		return "", ErrNotInstalled
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

func (s *Server) start(ctx context.Context, bin string) error {
	credential, err := s.giveAway()
	if err != nil {
		return err
	}
	run := func(name string, args ...string) *exec.Cmd {
		command := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin, name), args...)
		command.Dir = s.dir
		command.Env = []string{"LC_ALL=C.UTF-8", "PATH=" + os.Getenv("PATH")}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		return command
	}
	data := filepath.Join(s.dir, "data")
	initialize := run("initdb", "--pgdata", data, "--username", unprivileged, "--auth", "trust", "--no-sync", "--encoding", "UTF8")
	if output, err := initialize.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	s.process = run("postgres", "-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off",
		"-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=100")
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	if err := s.process.Start(); err != nil {
		return err
	}
	go func() { s.ended <- s.process.Wait() }()
	if err := s.await(ctx); err != nil {
		return errors.Join(err, s.end())
	}
	return nil
}

// giveAway makes the server's user the owner of the folder and returns its
// credential, nil if this process is not root.
func (s *Server) giveAway() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // the server runs as the user of this process
	}
	account, err := user.Lookup(unprivileged)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(s.dir, int(uid), int(gid))
}

// await waits until the server answers.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case ended := <-s.ended:
			s.ended <- ended // for end
			return fmt.Errorf("postgres ended: %w\n%s", errors.Join(ended, err), &s.output)
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w", err)
		case <-retry.C:
		}
	}
}

// URL returns the URL of the server's database.
func (s *Server) URL() string {
	return "postgres://" + unprivileged + "@/postgres?host=" + url.QueryEscape(s.dir)
}

// Schema creates an empty schema and returns a URL of the database that uses it
// by default.
func (s *Server) Schema(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{name}.Sanitize())
	return s.URL() + "&search_path=" + url.QueryEscape(name), errors.Join(err, conn.Close(ctx))
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() error { return errors.Join(s.end(), os.RemoveAll(s.dir)) }

// end ends the server, and kills it if that takes too long.
func (s *Server) end() error {
	const fast = syscall.SIGINT // does not wait for clients
	if err := s.process.Process.Signal(fast); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	slow := time.AfterFunc(stopTimeout, func() { _ = s.process.Process.Kill() }) //nolint:errcheck // it is gone then
	defer slow.Stop()
	return <-s.ended
}
