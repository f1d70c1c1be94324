package redisprovider_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/readthrough/readthrough/internal/redistest"
	"github.com/readthrough/readthrough/provider"
	"github.com/readthrough/readthrough/redisprovider"
)

// TestCloseEndsRebuilds closes a store in the middle of a scan: the goroutine of
// the rebuild is gone when Close returns, and nobody begins another.
func TestCloseEndsRebuilds(t *testing.T) {
	t.Parallel()
	s := redistest.StartReal(t, redistest.Options{})
	proxy := redistest.NewProxy(t, s.Addr())
	p := newProvider(t, newServerClient(t, proxy.Addr()), redisprovider.Options{ScanCount: 1})
	mustSetMany(t, p, numbered("s", 1000), "v")
	s.Do("DEL", p.IndexOf(key("s", "")))
	closed := make(chan error, 1)
	scans := 0 // used by the one connection that scans
	proxy.Record(func(c redistest.Command) bool {
		if c.Name() == "SCAN" {
			if scans++; scans == 20 {
				go func() { closed <- p.Close() }()
			}
		}
		return false
	})
	_, err := p.DeletePrefix(t.Context(), "s", "")
	assert.Error(t, err, "DeletePrefix: no error, although the store was closed meanwhile")
	assert.NoError(t, <-closed, "Close")
	_, err = p.DeletePrefix(t.Context(), "s", "")
	assert.ErrorIs(t, err, provider.ErrClosed, "DeletePrefix after Close")
	assert.Less(t, proxy.Count("SCAN"), 500, "scans: the rebuild went on")
}
