package redistest

import (
	"slices"
	"strconv"
	"testing"
)

// StartReplica starts a replica of primary, and waits until the replica has its
// data.
func StartReplica(tb testing.TB, primary *Server, options Options) *Server {
	tb.Helper()
	Require(tb)
	args := slices.Concat([]string{"--replicaof", loopback, strconv.Itoa(primary.Port())}, options.Args)
	replica := startServer(tb, args)
	replica.waitSynchronized()
	return replica
}

// waitSynchronized waits until a replica has the data of its primary.
func (s *Server) waitSynchronized() {
	s.tb.Helper()
	waitFor(s.tb, "the replica's first synchronization", func() bool { return s.replication("master_link_status") == "up" })
}

// replication returns a field of INFO replication, empty if the server does not answer.
func (s *Server) replication(field string) string {
	info, err := s.do(doTimeout, "INFO", "replication")
	if err != nil {
		return ""
	}
	return infoField(info, field)
}

// Promote makes a replica a primary, as a failover does. It does not change the
// old primary.
func (s *Server) Promote() {
	s.tb.Helper()
	s.needProcess("a promotion")
	s.Do("REPLICAOF", "NO", "ONE")
	s.waitPromoted()
}

// waitPromoted waits until a replica has become a primary.
func (s *Server) waitPromoted() {
	s.tb.Helper()
	waitFor(s.tb, "the promotion", func() bool { return s.replication("role") == "master" })
}
