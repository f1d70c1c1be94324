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
	args := slices.Concat([]string{"--replicaof", loopback + " " + strconv.Itoa(primary.Port())}, options.Args)
	replica := startServer(tb, args)
	waitFor(tb, "the replica's first synchronization", func() bool {
		info, err := replica.do(doTimeout, "INFO", "replication")
		return err == nil && infoField(info, "master_link_status") == "up"
	})
	return replica
}

// Promote makes a replica a primary, as a failover does. It does not change the
// old primary.
func (s *Server) Promote() {
	s.tb.Helper()
	s.needProcess("a promotion")
	s.Do("REPLICAOF", "NO", "ONE")
	waitFor(s.tb, "the promotion", func() bool {
		info, err := s.do(doTimeout, "INFO", "replication")
		return err == nil && infoField(info, "role") == "master"
	})
}
