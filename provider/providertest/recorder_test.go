package providertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// A recorder stands in for the [testing.T] of a case and keeps what the case
// reports.
type recorder struct {
	t *testing.T

	mu       sync.Mutex // guards following
	failures []string
}

func (r *recorder) Helper() { r.t.Helper() }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Context() context.Context { return r.t.Context() }

// reported returns what was reported up to now.
func (r *recorder) reported() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures
}
