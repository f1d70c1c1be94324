package redistest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Servers use ports below those that the system assigns to outgoing
// connections. An outgoing connection therefore cannot take the port of a
// server that is being restarted.
const (
	firstPort = 12_000
	lastPort  = 31_999
)

// busOffset is how far the port of a node's cluster bus is above its own. Before version
// 7 that is not an option.
const busOffset = 10_000

// freePort returns a port that is free now. Another process may take it a
// moment later; the caller then tries another port.
func freePort(tb testing.TB) int {
	tb.Helper()
	return freePorts(tb, 0)
}

// freeNodePort is freePort for a node of a cluster, whose bus has a port too.
func freeNodePort(tb testing.TB) int {
	tb.Helper()
	return freePorts(tb, busOffset)
}

// freePorts returns a port that is free, and with it the one that is so far above it.
func freePorts(tb testing.TB, above int) int {
	tb.Helper()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-above-firstPort+1) //nolint:gosec // any port will do
		if isFree(tb, port) && (above == 0 || isFree(tb, port+above)) {
			return port
		}
	}
	tb.Fatal("redistest: found no free port")
	return 0
}

// isFree reports whether nobody listens on a port.
func isFree(tb testing.TB, port int) bool {
	tb.Helper()
	var listen net.ListenConfig
	l, err := listen.Listen(tb.Context(), "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	if err := l.Close(); err != nil {
		tb.Fatalf("redistest: closing a probe of port %d: %v", port, err)
	}
	return true
}
