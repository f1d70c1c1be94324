package redistest

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	// startPatience is how long a server may take until it answers. A server
	// needs milliseconds; a loaded machine may need longer.
	startPatience = 30 * time.Second
	// pollEvery is the pause between two looks at a server.
	pollEvery = 10 * time.Millisecond
	// doTimeout bounds a request of this package.
	doTimeout = 10 * time.Second
	// startAttempts is how many ports are tried.
	startAttempts = 5
)

// Options configure a server.
type Options struct {
	// Args are further arguments of redis-server, such as "--maxmemory", "1mb".
	// Later ones win over those that this package gives.
	Args []string

	_ struct{}
}

// A Server is a Redis server on the loopback interface. Its methods are called
// by one goroutine at a time, except for Addr and Do, and fail the test if they
// do not succeed.
type Server struct {
	tb   testing.TB
	addr string
	dir  string
	port int
	args []string

	mu   sync.Mutex // guards following
	proc *process   // nil if stopped or not a process
	mini *imitation // nil if this is a process
}

// Start starts a server, waits until it answers, and kills it when the test
// ends.
func Start(tb testing.TB, options Options) *Server {
	tb.Helper()
	if !Installed() {
		if required() || len(options.Args) > 0 {
			Require(tb)
		}
		return StartImitation(tb)
	}
	return startServer(tb, options.Args)
}

// StartReal is Start for tests that need a real server.
func StartReal(tb testing.TB, options Options) *Server {
	tb.Helper()
	Require(tb)
	return startServer(tb, options.Args)
}

// startServer starts a redis-server on a port that is free.
func startServer(tb testing.TB, args []string) *Server {
	tb.Helper()
	var output string
	for range startAttempts {
		port := freePort(tb)
		s := &Server{
			tb:   tb,
			addr: net.JoinHostPort(loopback, strconv.Itoa(port)),
			dir:  tb.TempDir(),
			port: port,
			args: slices.Clone(args),
		}
		ok, printed := s.launch()
		if ok {
			tb.Cleanup(s.kill)
			return s
		}
		output = printed // most likely, somebody else took the port
	}
	tb.Fatalf("redistest: redis-server does not start; the last one printed:\n%s", output)
	return nil
}

// launch starts the process and waits until it answers. It returns false and
// what the process printed if it ended instead.
func (s *Server) launch() (ok bool, printed string) {
	s.tb.Helper()
	args := append([]string{
		"--bind", loopback, "--port", strconv.Itoa(s.port), "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no",
		"--repl-diskless-sync-delay", "0",
	}, s.args...)
	proc, err := startProcess(context.WithoutCancel(s.tb.Context()), binary(), s.dir, args)
	if err != nil {
		s.tb.Fatalf("redistest: starting redis-server: %v", err)
	}
	for deadline := time.Now().Add(startPatience); ; time.Sleep(pollEvery) {
		// The port is asked only while our own process runs, and the process ends
		// if somebody else has the port; a stranger's answer must not count.
		pid := strconv.Itoa(proc.handle.Pid)
		info, err := s.do(doTimeout, "INFO", "server")
		if err == nil && infoField(info, "process_id") == pid && s.ready() {
			break
		}
		if !proc.running() {
			return false, proc.output.String()
		}
		if time.Now().After(deadline) {
			_ = proc.kill() //nolint:errcheck // the test fails in any case
			s.tb.Fatalf("redistest: redis-server does not answer after %v: %v; it printed:\n%s", startPatience, err, proc.output)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = proc
	return true, ""
}

// ready reports whether the server answers PING; while it loads a snapshot, it
// answers INFO only.
func (s *Server) ready() bool {
	answer, err := s.do(doTimeout, "PING")
	return err == nil && answer == "PONG"
}

// Real reports whether this is a redis-server and not an imitation.
func (s *Server) Real() bool { return s.mini == nil }

// Addr returns the address of the server. It does not change.
func (s *Server) Addr() string { return s.addr }

// Dir returns the working directory of a real server, where it puts snapshots.
func (s *Server) Dir() string { return s.dir }

// Port returns the port of the server.
func (s *Server) Port() int { return s.port }

// Do sends a command on a connection of its own and returns the answer: a
// string, an int64, nil, or a []any. An error that the server answers fails the
// test.
func (s *Server) Do(args ...string) any {
	s.tb.Helper()
	answer, err := s.do(doTimeout, args...)
	if err != nil {
		s.tb.Fatalf("redistest: %.100q: %v", args, err)
	}
	return answer
}

// do is Do without failing.
func (s *Server) do(timeout time.Duration, args ...string) (any, error) {
	return do(context.WithoutCancel(s.tb.Context()), s.addr, timeout, appendCommand(nil, args...))
}

// CommandStats returns how often each command was called since the server
// started or [Server.ResetStats], by name in upper case. It skips the test for an
// imitation.
func (s *Server) CommandStats() map[string]int {
	s.tb.Helper()
	s.needProcess("command statistics")
	info, ok := s.Do("INFO", "commandstats").(string)
	if !ok {
		s.tb.Fatal("redistest: INFO commandstats: no text")
	}
	calls, err := parseCommandStats(info)
	if err != nil {
		s.tb.Fatal(err)
	}
	return calls
}

// ResetStats sets the statistics of the server to zero.
func (s *Server) ResetStats() {
	s.tb.Helper()
	s.needProcess("command statistics")
	s.Do("CONFIG", "RESETSTAT")
}

// Stop kills the server, as a crash would, and waits until it has ended. Without
// persistence everything in it is lost.
func (s *Server) Stop() {
	s.tb.Helper()
	if s.mini != nil {
		s.mini.stop()
		return
	}
	s.kill()
}

// kill ends the process, if there is one.
func (s *Server) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return
	}
	if err := s.proc.kill(); err != nil {
		s.tb.Errorf("redistest: killing redis-server: %v", err)
	}
	s.proc = nil
}

// Restart starts the server again on the same address, with the snapshot that is
// in its directory, if there is one. A server that runs is killed first.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	if s.mini != nil {
		s.mini.restart(s.tb)
		return
	}
	var output string
	for deadline := time.Now().Add(startPatience); time.Now().Before(deadline); time.Sleep(pollEvery) {
		ok, printed := s.launch()
		if ok {
			return
		}
		output = printed
	}
	s.tb.Fatalf("redistest: redis-server does not restart; the last one printed:\n%s", output)
}

// Snapshot writes the server's data to its directory, where [Server.Restart]
// finds it.
func (s *Server) Snapshot() {
	s.tb.Helper()
	s.needProcess("a snapshot")
	s.Do("SAVE")
}

// SnapshotFile returns the path of the snapshot.
func (s *Server) SnapshotFile() string { return filepath.Join(s.dir, "dump.rdb") }

// Pause freezes the server: connections stay open and can be made, and nothing
// answers.
func (s *Server) Pause() {
	s.tb.Helper()
	s.signal("pausing", (*process).stop)
}

// Resume lets a frozen server go on. It answers what it was sent meanwhile.
func (s *Server) Resume() {
	s.tb.Helper()
	s.signal("resuming", (*process).cont)
}

func (s *Server) signal(what string, send func(*process) error) {
	s.tb.Helper()
	s.needProcess(what)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		s.tb.Fatalf("redistest: %s a server that does not run", what)
	}
	if err := send(s.proc); err != nil {
		s.tb.Fatalf("redistest: %s redis-server: %v", what, err)
	}
}

// needProcess skips the test, or fails it, for an imitation.
func (s *Server) needProcess(what string) {
	s.tb.Helper()
	if s.mini != nil {
		s.tb.Logf("redistest: %s needs a real server", what)
		requireAt(s.tb, "")
	}
}

// waitFor polls until ok or fails the test.
func waitFor(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(startPatience); !ok(); time.Sleep(pollEvery) {
		if time.Now().After(deadline) {
			tb.Fatalf("redistest: gave up after %v waiting for %s", startPatience, what)
		}
	}
}
