package redistest

import (
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestStartAnswersAndIsEmpty(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	if got := s.Do("PING"); got != "PONG" {
		t.Errorf("PING = %v", got)
	}
	if got := s.Do("DBSIZE"); got != int64(0) {
		t.Errorf("DBSIZE = %v", got)
	}
}

func TestServersShareNothing(t *testing.T) {
	t.Parallel()
	a, b := Start(t, Options{}), Start(t, Options{})
	a.Do("SET", "key", "a")
	if got := b.Do("GET", "key"); got != nil {
		t.Errorf("the other server has %v", got)
	}
}

func TestServerEndsWithItsTest(t *testing.T) { //nolint:tparallel // the subtest has to end in it
	t.Parallel()
	Require(t)
	var addr string
	var proc *process
	t.Run("inner", func(t *testing.T) {
		s := StartReal(t, Options{})
		addr, proc = s.Addr(), s.proc
	})
	if proc.running() {
		t.Error("the process still runs")
	}
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		_ = conn.Close()
		t.Error("the port still accepts connections")
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	for _, real := range []bool{true, false} {
		name := map[bool]string{true: "server", false: "imitation"}[real]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startKind(t, real)
			s.Do("SET", "key", "value")
			s.Stop()
			if _, err := s.do(time.Second, "PING"); err == nil {
				t.Error("a stopped server answers")
			}
			s.Restart()
			if got := s.Do("GET", "key"); got != nil {
				t.Errorf("after a restart without persistence: %v", got)
			}
		})
	}
}

func startKind(t *testing.T, real bool) *Server {
	t.Helper()
	if real {
		return StartReal(t, Options{})
	}
	return StartImitation(t)
}

func TestSnapshotSurvivesARestart(t *testing.T) {
	t.Parallel()
	s := StartReal(t, Options{})
	s.Do("SET", "key", "old")
	s.Snapshot()
	if _, err := os.Stat(s.SnapshotFile()); err != nil {
		t.Error(err)
	}
	s.Do("SET", "key", "new")
	s.Restart()
	if got := s.Do("GET", "key"); got != "old" {
		t.Errorf("after a restart: %v, want what the snapshot has", got)
	}
}

func TestArgs(t *testing.T) {
	t.Parallel()
	s := StartReal(t, Options{Args: []string{"--maxmemory", "7mb"}})
	got, _ := s.Do("CONFIG", "GET", "maxmemory").([]any)
	if len(got) != 2 || got[1] != "7340032" {
		t.Errorf("maxmemory = %v", got)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	s := StartReal(t, Options{})
	s.Pause()
	if answer, err := s.do(200*time.Millisecond, "PING"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a paused server: %v, %v; want a timeout", answer, err)
	}
	s.Resume()
	if got := s.Do("PING"); got != "PONG" {
		t.Errorf("PING = %v", got)
	}
}

func TestCommandStats(t *testing.T) {
	t.Parallel()
	s := StartReal(t, Options{})
	s.ResetStats()
	s.Do("GET", "a")
	s.Do("GET", "b")
	s.Do("HGETALL", "c")
	stats := s.CommandStats()
	if stats["GET"] != 2 || stats["HGETALL"] != 1 || stats["SET"] != 0 {
		t.Errorf("stats = %v", stats)
	}
}

func TestImitationKeepsTime(t *testing.T) {
	t.Parallel()
	s := StartImitation(t)
	s.Do("SET", "key", "value", "PX", "40")
	waitFor(t, "the key to expire", func() bool { return s.Do("GET", "key") == nil })
}

func TestReplicaAndPromotion(t *testing.T) {
	t.Parallel()
	primary := StartReal(t, Options{})
	primary.Do("SET", "before", "1")
	replica := StartReplica(t, primary, Options{})
	if got := replica.Do("GET", "before"); got != "1" {
		t.Errorf("the replica has %v", got)
	}
	if _, err := replica.do(doTimeout, "SET", "key", "2"); err == nil || !strings.HasPrefix(err.Error(), "READONLY") {
		t.Errorf("writing to a replica: %v", err)
	}
	replica.Promote()
	replica.Do("SET", "key", "2")
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, Options{})
	if len(c.Addrs()) != 3 {
		t.Fatalf("addresses: %v", c.Addrs())
	}
	seen := make(map[int]bool)
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		i := c.NodeOf(key)
		seen[i] = true
		c.Nodes[i].Do("SET", key, "v")
		if _, err := c.Nodes[(i+1)%3].do(doTimeout, "GET", key); err == nil || !strings.HasPrefix(err.Error(), "MOVED") {
			t.Errorf("another node asked for %s: %v, want MOVED", key, err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("keys went to nodes %v, want all three", seen)
	}
}

// fakeTB records how a test would have ended.
type fakeTB struct {
	testing.TB

	skipped, failed string
}

func (f *fakeTB) Helper()                           {}
func (f *fakeTB) Skip(args ...any)                  { f.skipped = args[0].(string); runtime.Goexit() }
func (f *fakeTB) Fatalf(format string, args ...any) { f.failed = format; runtime.Goexit() }

// run runs f in a goroutine that it may end.
func (f *fakeTB) run(g func(tb testing.TB)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		g(f)
	}()
	<-done
}

func TestMissingServer(t *testing.T) {
	t.Setenv(requireEnv, "")
	var tb fakeTB
	tb.run(func(tb testing.TB) {
		tb.Helper()
		requireAt(tb, "")
	})
	if !strings.Contains(tb.skipped, "apt-get install redis-server") || tb.failed != "" {
		t.Errorf("skipped %q, failed %q; want a skip that says how to get a server", tb.skipped, tb.failed)
	}
	t.Setenv(requireEnv, "1")
	tb = fakeTB{}
	tb.run(func(tb testing.TB) {
		tb.Helper()
		requireAt(tb, "")
	})
	if tb.failed == "" || tb.skipped != "" {
		t.Errorf("skipped %q, failed %q; want a failure", tb.skipped, tb.failed)
	}
}

func TestMissingServerFallsBack(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(requireEnv, "")
	s := Start(t, Options{})
	if s.Real() {
		t.Fatal("there is no redis-server, and yet it runs")
	}
	s.Do("SET", "key", "value")
	if got := s.Do("GET", "key"); got != "value" {
		t.Errorf("GET = %v", got)
	}
}
