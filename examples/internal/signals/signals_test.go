package signals

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// client is the writer of a client's response. It keeps what it was sent.
type client struct {
	header http.Header
	gate   chan struct{} // if not nil, every write waits for it to be closed

	mu       sync.Mutex // guards following
	text     strings.Builder
	flushed  int
	deadline time.Time
	broken   bool
}

func newClient() *client { return &client{header: http.Header{}} }

func (c *client) Header() http.Header { return c.header }
func (c *client) WriteHeader(int)     {}

func (c *client) Write(data []byte) (int, error) {
	if c.gate != nil {
		<-c.gate
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return 0, errors.New("broken pipe")
	}
	return c.text.Write(data)
}

func (c *client) FlushError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushed = c.text.Len()
	return nil
}

func (c *client) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}

// received returns what reached the client, which is what was flushed.
func (c *client) received() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()[:c.flushed]
}

// listen connects c and returns a channel that is closed when its stream ends.
func listen(ctx context.Context, hub *Hub, c *client) <-chan struct{} {
	done := make(chan struct{})
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/signals", nil)
	go func() {
		defer close(done)
		hub.ServeHTTP(c, r)
	}()
	synctest.Wait()
	return done
}

func ended(done <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func publish(t *testing.T, hub *Hub, data any) {
	t.Helper()
	require.NoError(t, hub.Publish("maintenance.updated", data))
}

const greeting = "retry: 1000\n: listening\n\n"

func TestSignalsReachAllClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub(Options{})
		defer hub.Close()
		a, b := newClient(), newClient()
		listen(t.Context(), hub, a)
		publish(t, hub, map[string]int{"id": 1})
		listen(t.Context(), hub, b)
		publish(t, hub, "line one\nline two")
		synctest.Wait()
		second := "event: maintenance.updated\ndata: \"line one\\nline two\"\n\n"
		assert.Equal(t, greeting+"event: maintenance.updated\ndata: {\"id\":1}\n\n"+second, a.received(), "a received")
		assert.Equal(t, greeting+second, b.received(), "b received")
		assert.Equal(t, "text/event-stream", a.Header().Get("Content-Type"), "content type")
		assert.Equal(t, Stats{Subscribers: 2, Published: 2}, hub.Stats(), "stats")
	})
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub(Options{Heartbeat: time.Minute})
		defer hub.Close()
		c := newClient()
		listen(t.Context(), hub, c)
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		assert.Equal(t, greeting+": heartbeat\n\n: heartbeat\n\n", c.received(), "received")
	})
}

// A client that does not read is dropped; it delays neither the publisher nor
// those who read.
func TestSlowClientIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub(Options{Buffer: 4})
		defer hub.Close()
		slow, quick := newClient(), newClient()
		slow.gate = make(chan struct{})
		slowDone, quickDone := listen(t.Context(), hub, slow), listen(t.Context(), hub, quick)
		start := time.Now()
		for i := range 6 {
			publish(t, hub, i)
			synctest.Wait()
		}
		assert.Zero(t, time.Since(start), "the publisher waited")
		assert.Equal(t, Stats{Subscribers: 1, Published: 6, Dropped: 1}, hub.Stats(), "stats")
		assert.Equal(t, 6, strings.Count(quick.received(), "event:"), "signals that the quick client received")
		assert.False(t, ended(quickDone), "the quick client's stream has ended")
		close(slow.gate)
		assert.True(t, ended(slowDone), "the slow client's stream goes on")
	})
}

func TestEveryWriteHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := NewHub(Options{WriteTimeout: 3 * time.Second})
		defer hub.Close()
		c := newClient()
		listen(t.Context(), hub, c)
		time.Sleep(time.Second)
		publish(t, hub, 1)
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		assert.WithinDuration(t, time.Now().Add(3*time.Second), c.deadline, 0, "deadline")
	})
}

func TestStreamEnds(t *testing.T) {
	for name, end := range map[string]func(hub *Hub, leave func(), c *client){
		"client leaves": func(_ *Hub, leave func(), _ *client) { leave() },
		"hub closes":    func(hub *Hub, _ func(), _ *client) { hub.Close(); hub.Close() },
		"write fails": func(hub *Hub, _ func(), c *client) {
			c.mu.Lock()
			c.broken = true
			c.mu.Unlock()
			_ = hub.Publish("x", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := NewHub(Options{})
				c := newClient()
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				done := listen(ctx, hub, c)
				require.False(t, ended(done), "the stream ended at once")
				end(hub, leave, c)
				assert.True(t, ended(done), "the stream goes on")
				got := hub.Stats()
				assert.Zero(t, got.Subscribers, "subscribers")
				assert.Zero(t, got.Dropped, "dropped")
			})
		})
	}
}

func TestClosedHub(t *testing.T) {
	hub := NewHub(Options{})
	hub.Close()
	w := httptest.NewRecorder()
	hub.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/signals", nil))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code, "status")
	publish(t, hub, 1)
}

func TestDataThatIsNoJSON(t *testing.T) {
	hub := NewHub(Options{})
	assert.Error(t, hub.Publish("x", func() {}), "a function was published")
}
