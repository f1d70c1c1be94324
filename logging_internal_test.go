package readthrough

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestCauseText: the cause and the address, and no key.
func TestCauseText(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6379}, Err: syscall.ECONNREFUSED}
	for want, err := range map[string]error{
		"": nil,
		"dial tcp 127.0.0.1:6379: connection refused": fmt.Errorf("get %q: %w", "secret", dial),
		"NOAUTH authentication required":              fmt.Errorf("get %q: %w", "secret", errors.New("NOAUTH authentication required")),
		"context deadline exceeded":                   fmt.Errorf("get %q: %w: %w", "secret", errors.New("secret"), context.DeadlineExceeded),
	} {
		assert.Equal(t, want, causeText(err))
	}
}
