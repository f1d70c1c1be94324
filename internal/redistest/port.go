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

// freePort returns a port that is free now. Another process may take it a
// moment later; the caller then tries another port.
func freePort(tb testing.TB) int {
	tb.Helper()
	var listen net.ListenConfig
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1) //nolint:gosec // any port will do
		l, err := listen.Listen(tb.Context(), "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			tb.Fatalf("redistest: closing a probe of port %d: %v", port, err)
		}
		return port
	}
	tb.Fatal("redistest: found no free port")
	return 0
}
