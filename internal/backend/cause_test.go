package backend_test

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/internal/backend"
)

// TestCause: what is around a cause may name keys, also if several errors are joined.
func TestCause(t *testing.T) {
	refused := errors.New("NOAUTH Authentication required")
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for want, err := range map[string]error{
		"NOAUTH Authentication required": fmt.Errorf("%w: %w", errors.New("pending"), fmt.Errorf("delete %q: %w", "secret", refused)),
		"dial tcp: connection refused":   errors.Join(fmt.Errorf("get %q: %w", "secret", dial), refused),
		"alone":                          errors.New("alone"),
	} {
		assert.EqualError(t, backend.Cause(err), want)
	}
}
