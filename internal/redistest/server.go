package redistest

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	// startPatience is how long a server may take to answer. A server needs
	// milliseconds; on a loaded machine it may need much longer.
	startPatience = 30 * time.Second
	// pollEvery is the pause between two checks of a server.
	pollEvery = 10 * time.Millisecond
	// doTimeout bounds one request of this package.
	doTimeout = time.Minute
	// startAttempts is the number of ports to try.
	startAttempts = 5
)

// Options configure a server.
type Options struct {
	// Args are additional arguments of redis-server, such as "--maxmemory",
	// "1mb". They override those of this package.
	Args []string

	// Replicas is the number of replicas, such as 1: of each master of a cluster, or of
	// the master behind Sentinel, which has at least one. [Start] and [StartReplica]
	// ignore it.
	Replicas int

	_ struct{}
}

// A Server is a Redis server on the loopback interface. It runs, is frozen by
// Pause until Resume, or is stopped by Stop until Restart. Its address does not
// change. Only Addr and Do may be called by several goroutines at the same time.
// A method that does not succeed fails the test.
type Server struct {
	tb   testing.TB
	addr string
	dir  string
	port int
	args []string // all of them

	mu   sync.Mutex // guards proc
	proc *process   // nil if the server is stopped, or an imitation
	mini *imitation // nil if the server is a process; does not change
}

// Start starts a server, and waits until it answers. The server is killed when
// the test ends.
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

// startServer starts a redis-server on a free port.
func startServer(tb testing.TB, args []string) *Server {
	tb.Helper()
	return startOn(tb, freePort, func(s *Server) []string { return append(serverArgs(s), args...) })
}

// serverArgs returns the arguments that every server has. All versions take them one
// word each.
func serverArgs(s *Server) []string {
	return []string{
		"--bind", loopback, "--port", strconv.Itoa(s.port), "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no",
		"--repl-diskless-sync-delay", "0",
	}
}

// startOn starts a server on a port that free returns, with the arguments of args.
func startOn(tb testing.TB, free func(testing.TB) int, args func(s *Server) []string) *Server {
	tb.Helper()
	var output string
	for range startAttempts {
		port := free(tb)
		s := &Server{
			tb:   tb,
			addr: net.JoinHostPort(loopback, strconv.Itoa(port)),
			dir:  tb.TempDir(),
			port: port,
		}
		s.args = args(s)
		ok, printed := s.launch()
		if ok {
			tb.Cleanup(s.kill)
			return s
		}
		output = printed // most likely, another process took the port
	}
	tb.Fatalf("redistest: redis-server does not start; the last one printed:\n%s", output)
	return nil
}

// launch starts the process, and waits until it answers. If the process ends
// instead, launch returns false and what it printed.
func (s *Server) launch() (ok bool, printed string) {
	s.tb.Helper()
	proc, err := startProcess(context.WithoutCancel(s.tb.Context()), binary(), s.dir, s.args)
	if err != nil {
		s.tb.Fatalf("redistest: starting redis-server: %v", err)
	}
	for deadline := time.Now().Add(startPatience); ; time.Sleep(pollEvery) {
		// Only this process counts, not another server on the same port: compare
		// the process id. If another server has the port, the process ends.
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

// ready reports whether the server answers PING. While it loads a snapshot, it
// answers only INFO.
func (s *Server) ready() bool {
	answer, err := s.do(doTimeout, "PING")
	return err == nil && answer == "PONG"
}

// Real reports whether the server is a redis-server, not an imitation.
func (s *Server) Real() bool { return s.mini == nil }

// Addr returns the address of the server. It does not change.
func (s *Server) Addr() string { return s.addr }

// Dir returns the working directory of a real server, which has its snapshots.
func (s *Server) Dir() string { return s.dir }

// Port returns the port of the server.
func (s *Server) Port() int { return s.port }

// Do sends a command on its own connection, and returns the answer: a string, an
// int64, nil, or a []any. An error fails the test.
func (s *Server) Do(args ...string) any {
	s.tb.Helper()
	answer, err := s.do(doTimeout, args...)
	if err != nil {
		s.tb.Fatalf("redistest: %.100q: %v", args, err)
	}
	return answer
}

// do is Do without failing the test.
func (s *Server) do(timeout time.Duration, args ...string) (any, error) {
	return do(context.WithoutCancel(s.tb.Context()), s.addr, timeout, appendCommand(nil, args...))
}

// CommandStats returns how often each command, in upper case, was called since
// the server started or [Server.ResetStats]. With an imitation, it skips the
// test.
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

// ResetStats resets the statistics of the server.
func (s *Server) ResetStats() {
	s.tb.Helper()
	s.needProcess("command statistics")
	s.Do("CONFIG", "RESETSTAT")
}

// Stop kills the server, like a crash, and waits until it has ended. Without
// persistence, all data is lost.
func (s *Server) Stop() {
	s.tb.Helper()
	if s.mini != nil {
		s.mini.stop()
		return
	}
	s.kill()
}

// kill kills the process, if there is one.
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

// Restart starts the server again on the same address, from the snapshot in its
// directory if there is one. It first kills a running server.
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

// Snapshot writes the data of the server to its directory, for [Server.Restart].
func (s *Server) Snapshot() {
	s.tb.Helper()
	s.needProcess("a snapshot")
	s.Do("SAVE")
}

// SnapshotFile returns the path of the snapshot.
func (s *Server) SnapshotFile() string { return filepath.Join(s.dir, "dump.rdb") }

// Pause freezes the server: connections stay open and new ones are possible, but
// nothing answers.
func (s *Server) Pause() {
	s.tb.Helper()
	s.signal("pausing", (*process).stop)
}

// Resume lets a frozen server continue. It answers what it received meanwhile.
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

// needProcess skips or fails the test if the server is an imitation.
func (s *Server) needProcess(what string) {
	s.tb.Helper()
	if s.mini != nil {
		s.tb.Logf("redistest: %s needs a real server", what)
		requireAt(s.tb, "")
	}
}

// waitFor polls until ok returns true. It fails the test after startPatience.
func waitFor(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(startPatience); !ok(); time.Sleep(pollEvery) {
		if time.Now().After(deadline) {
			tb.Fatalf("redistest: gave up after %v waiting for %s", startPatience, what)
		}
	}
}
