package redistest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// loopback is the address of all servers and proxies of this package.
const loopback = "127.0.0.1"

// do sends a request on its own connection and returns the answer. It fails
// after timeout.
func do(ctx context.Context, addr string, timeout time.Duration, request []byte) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // nothing depends on it
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	return readReply(bufio.NewReader(conn))
}

// infoField returns the value of a field in an answer to INFO or CLUSTER INFO,
// empty if there is none.
func infoField(info any, field string) string {
	text, ok := info.(string)
	if !ok {
		return ""
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return value
		}
	}
	return ""
}

// parseCommandStats returns the number of calls per command, in upper case,
// from an answer to INFO commandstats.
func parseCommandStats(info string) (map[string]int, error) {
	calls := make(map[string]int)
	for line := range strings.Lines(info) {
		stat, ok := strings.CutPrefix(strings.TrimSpace(line), "cmdstat_")
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(stat, ":calls=")
		digits, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(digits)
		if err != nil {
			return nil, fmt.Errorf("redistest: command statistics %q: %w", line, err)
		}
		calls[strings.ToUpper(name)] = n
	}
	return calls, nil
}
