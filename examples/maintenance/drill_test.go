package main

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough/internal/redistest"
)

// TestDrill: an outage of Redis is said by three lines of the log and by the metrics, in this order.
func TestDrill(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	err := demoDrill(t.Context(), config{redisURL: "redis://" + redistest.Start(t, redistest.Options{}).Addr()}, &said)
	t.Log(said.String())
	require.NoError(t, err)
	order := regexp.MustCompile(`(?s)before the cut.*state="closed"} 1\n.*` +
		`Ping says   readthrough: Ping: redisprovider: ping: .*` +
		`level=ERROR msg="readthrough: the store is out of reach.*` +
		`level=ERROR msg="readthrough: invalidation not confirmed.*` +
		`while it is cut off.*state="open"} 1\n.*invalidation_pending{readthrough_scope="orders"} 1\n.*` +
		`level=INFO msg="readthrough: the store is back" away=.*` +
		`after it is back.*state="closed"} 1\n.*invalidation_pending{readthrough_scope="orders"} 0\n$`)
	assert.Regexp(t, order, said.String())
}
