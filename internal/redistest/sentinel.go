package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

const (
	sentinels       = 3
	sentinelQuorum  = 2
	sentinelFileMod = 0o600
	// downAfter is how many milliseconds a server does not answer before a Sentinel
	// takes it for down.
	downAfter = 1500
	// failoverTimeout is the failover-timeout of the Sentinels, in milliseconds.
	failoverTimeout = 10_000
)

// A Sentinel is a master with replicas and the three Sentinels that watch it.
type Sentinel struct {
	// Servers are the master of the beginning and its replicas.
	Servers []*Server
	// Sentinels watch them. Two of them have to agree that the master is down.
	Sentinels []*Server

	tb testing.TB
}

// MasterName is the name that the Sentinels of [StartSentinel] know the master by.
const MasterName = "mymaster"

// StartSentinel starts a master, its replicas (at least one) and three Sentinels, and
// waits until all Sentinels know all of them.
func StartSentinel(tb testing.TB, options Options) *Sentinel {
	tb.Helper()
	Require(tb)
	master := startServer(tb, options.Args)
	s := &Sentinel{tb: tb, Servers: []*Server{master}}
	replicas := max(1, options.Replicas)
	for range replicas {
		s.Servers = append(s.Servers, StartReplica(tb, master, options))
	}
	for range sentinels {
		s.Sentinels = append(s.Sentinels, startSentinel(tb, master))
	}
	for _, sentinel := range s.Sentinels {
		waitFor(tb, "the Sentinels to know each other and the replicas", func() bool {
			return sentinel.watched("num-other-sentinels") == strconv.Itoa(sentinels-1) &&
				sentinel.watched("num-slaves") == strconv.Itoa(replicas)
		})
	}
	return s
}

// startSentinel starts a Sentinel, which needs a file of its own that it can write.
func startSentinel(tb testing.TB, master *Server) *Server {
	tb.Helper()
	return startOn(tb, freePort, func(s *Server) []string {
		file := filepath.Join(s.dir, "sentinel.conf")
		text := fmt.Sprintf("bind %s\nport %d\ndir %s\n"+
			"sentinel monitor %[4]s %[1]s %[5]d %[6]d\n"+
			"sentinel down-after-milliseconds %[4]s %[7]d\n"+
			"sentinel failover-timeout %[4]s %[8]d\n",
			loopback, s.port, s.dir, MasterName, master.port, sentinelQuorum, downAfter, failoverTimeout)
		if err := os.WriteFile(file, []byte(text), sentinelFileMod); err != nil {
			tb.Fatalf("redistest: %v", err)
		}
		return []string{file, "--sentinel"}
	})
}

// watched returns what a Sentinel says about the master, empty if it does not answer.
func (s *Server) watched(field string) string {
	answer, err := s.do(doTimeout, "SENTINEL", "MASTER", MasterName)
	fields, ok := answer.([]any)
	if err != nil || !ok {
		return ""
	}
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == field {
			return fmt.Sprint(fields[i+1])
		}
	}
	return ""
}

// Addrs returns the addresses of the Sentinels.
func (s *Sentinel) Addrs() []string {
	addrs := make([]string, len(s.Sentinels))
	for i, sentinel := range s.Sentinels {
		addrs[i] = sentinel.Addr()
	}
	return addrs
}

// Master returns the server that the first Sentinel takes for the master.
func (s *Sentinel) Master() *Server {
	s.tb.Helper()
	addr := net.JoinHostPort(s.Sentinels[0].watched("ip"), s.Sentinels[0].watched("port"))
	for _, server := range s.Servers {
		if server.Addr() == addr {
			return server
		}
	}
	s.tb.Fatalf("redistest: a Sentinel knows a master that nobody started: %s", addr)
	return nil
}

// Failover begins a planned failover: the Sentinels promote a replica although the master
// is well. It returns when they have begun. The old master goes on as a master for about
// ten seconds, until a Sentinel makes it a replica.
func (s *Sentinel) Failover() {
	s.tb.Helper()
	s.Sentinels[0].Do("SENTINEL", "FAILOVER", MasterName)
}

// WaitMaster waits until all Sentinels agree on a master that is not old, and returns it.
func (s *Sentinel) WaitMaster(old *Server) *Server {
	s.tb.Helper()
	for _, sentinel := range s.Sentinels {
		waitFor(s.tb, "the Sentinels to agree on another master", func() bool {
			port := sentinel.watched("port")
			return port != "" && port != strconv.Itoa(old.Port()) && port == s.Sentinels[0].watched("port")
		})
	}
	master := s.Master()
	master.waitPromoted()
	return master
}
