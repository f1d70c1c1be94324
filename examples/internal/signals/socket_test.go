package signals

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The deadlines of a server, which are for requests and answers, do not end a
// stream: the client hears heartbeats long after them.
func TestStreamOutlivesTheServersTimeouts(t *testing.T) {
	hub := NewHub(Options{Heartbeat: 5 * time.Millisecond})
	server := httptest.NewUnstartedServer(hub)
	server.Config.ReadTimeout = 20 * time.Millisecond
	server.Config.WriteTimeout = 20 * time.Millisecond
	server.Start()
	defer server.Close()
	defer hub.Close()
	response, err := http.Get(server.URL)
	require.NoError(t, err)
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for beats := 0; beats < 20; {
		require.True(t, lines.Scan(), "the stream ended after %d heartbeats: %v", beats, lines.Err())
		if strings.HasPrefix(lines.Text(), ": heartbeat") {
			beats++
		}
	}
}
