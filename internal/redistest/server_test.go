package redistest

import (
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStartAnswersAndIsEmpty(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	assert.Equal(t, "PONG", s.Do("PING"), "PING")
	assert.Equal(t, int64(0), s.Do("DBSIZE"), "DBSIZE")
}

func TestServersShareNothing(t *testing.T) {
	t.Parallel()
	a, b := Start(t, Options{}), Start(t, Options{})
	a.Do("SET", "key", "a")
	assert.Nil(t, b.Do("GET", "key"), "the other server")
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
	assert.False(t, proc.running(), "the process still runs")
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
			_, err := s.do(time.Second, "PING")
			assert.Error(t, err, "a stopped server answers")
			s.Restart()
			assert.Nil(t, s.Do("GET", "key"), "after a restart without persistence")
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
	_, err := os.Stat(s.SnapshotFile())
	assert.NoError(t, err)
	s.Do("SET", "key", "new")
	s.Restart()
	assert.Equal(t, "old", s.Do("GET", "key"), "after a restart, want what the snapshot has")
}

func TestArgs(t *testing.T) {
	t.Parallel()
	s := StartReal(t, Options{Args: []string{"--maxmemory", "7mb"}})
	got, _ := s.Do("CONFIG", "GET", "maxmemory").([]any)
	if assert.Len(t, got, 2, "maxmemory") {
		assert.Equal(t, "7340032", got[1], "maxmemory")
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	s := StartReal(t, Options{})
	s.Pause()
	answer, err := s.do(200*time.Millisecond, "PING")
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded, "a paused server: %v; want a timeout", answer)
	s.Resume()
	assert.Equal(t, "PONG", s.Do("PING"), "PING")
}

func TestCommandStats(t *testing.T) {
	t.Parallel()
	s := StartReal(t, Options{})
	s.ResetStats()
	s.Do("GET", "a")
	s.Do("GET", "b")
	s.Do("HGETALL", "c")
	stats := s.CommandStats()
	assert.Equal(t, 2, stats["GET"], "stats")
	assert.Equal(t, 1, stats["HGETALL"], "stats")
	assert.Zero(t, stats["SET"], "stats")
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
	assert.Equal(t, "1", replica.Do("GET", "before"), "the replica")
	_, err := replica.do(doTimeout, "SET", "key", "2")
	assert.Regexp(t, "^READONLY", err, "writing to a replica")
	replica.Promote()
	replica.Do("SET", "key", "2")
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, Options{})
	require.Len(t, c.Addrs(), 3, "addresses")
	seen := make(map[int]bool)
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		i := c.NodeOf(key)
		seen[i] = true
		c.Nodes[i].Do("SET", key, "v")
		_, err := c.Nodes[(i+1)%3].do(doTimeout, "GET", key)
		assert.Regexp(t, "^MOVED", err, "another node asked for %s", key)
	}
	assert.Len(t, seen, 3, "the nodes that keys went to")
}

func TestClusterWithReplicas(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, Options{Replicas: 1})
	for i, node := range c.Nodes {
		require.Len(t, c.Replicas[i], 1, "the replicas of node %d", i)
		assert.Equal(t, node.Port(), portOf(t, c.Replicas[i][0].replication("master_port")), "the master of a replica")
	}
	c.Nodes[1].Stop()
	waitFor(t, "the replica to take over", func() bool { return c.Replicas[1][0].replication("role") == "master" })
}

func portOf(t *testing.T, text string) int {
	t.Helper()
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	return port
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	s := StartSentinel(t, Options{})
	assert.Len(t, s.Addrs(), 3, "the Sentinels")
	first := s.Master()
	assert.Same(t, s.Servers[0], first, "the master")
	s.Failover()
	second := s.WaitMaster(first)
	assert.Same(t, s.Servers[1], second, "the master after a planned failover")
	assert.Equal(t, "master", first.replication("role"), "the old master goes on at first")
}

func TestServerOfTheEnvironment(t *testing.T) {
	t.Setenv(serverEnv, "/nowhere/redis-server")
	assert.Empty(t, binary(), "the server")
	t.Setenv(requireEnv, "")
	var tb fakeTB
	tb.run(func(tb testing.TB) {
		tb.Helper()
		Require(tb)
	})
	assert.Contains(t, tb.skipped, serverEnv, "no other server is taken")
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
	assert.Contains(t, tb.skipped, "apt-get install redis-server", "a skip that says how to get a server")
	assert.Empty(t, tb.failed, "no failure")
	t.Setenv(requireEnv, "1")
	tb = fakeTB{}
	tb.run(func(tb testing.TB) {
		tb.Helper()
		requireAt(tb, "")
	})
	assert.NotEmpty(t, tb.failed, "a failure")
	assert.Empty(t, tb.skipped, "no skip")
}

func TestMissingServerFallsBack(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(requireEnv, "")
	s := Start(t, Options{})
	require.False(t, s.Real(), "there is no redis-server, and yet it runs")
	s.Do("SET", "key", "value")
	assert.Equal(t, "value", s.Do("GET", "key"), "GET")
}
