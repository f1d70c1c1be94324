// Package signals tells clients that something has changed, by server-sent
// events. A signal says what to fetch again, not the new value: the client reads
// through the cache like any other.
package signals

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Options configure a [Hub]. The zero value is ready to use.
type Options struct {
	// Heartbeat is the time between comments to an idle client, such as
	// 5*time.Second. Zero and negative mean 15 seconds.
	Heartbeat time.Duration
	// Buffer is how many signals a client may lag behind before it is dropped,
	// such as 64. Zero and negative mean 256.
	Buffer int
	// WriteTimeout is how long one write to a client may take before the client
	// is dropped, such as time.Second. Zero and negative mean 5 seconds.
	WriteTimeout time.Duration

	_ struct{}
}

// Stats are the statistics of a [Hub].
type Stats struct {
	// Subscribers is the number of connected clients.
	Subscribers int `json:"subscribers"`
	// Published is the number of signals, with or without clients.
	Published int64 `json:"published"`
	// Dropped is the number of clients that were dropped because they were too
	// slow.
	Dropped int64 `json:"dropped"`
}

// Hub sends signals to all connected clients. It never waits for a client: a
// client with a full buffer is dropped, and may reconnect and fetch again. It is
// safe for concurrent use.
type Hub struct {
	options Options

	mu          sync.Mutex // guards following
	subscribers map[*subscriber]struct{}
	published   int64
	dropped     int64
	closed      bool
}

// subscriber is one connected client.
type subscriber struct {
	// frames are the signals to send. The hub sends and closes under Hub.mu.
	// Closed means that the client is dropped.
	frames chan []byte
}

// NewHub returns a hub without clients.
func NewHub(options Options) *Hub {
	if options.Heartbeat <= 0 {
		options.Heartbeat = 15 * time.Second
	}
	if options.Buffer <= 0 {
		options.Buffer = 256
	}
	if options.WriteTimeout <= 0 {
		options.WriteTimeout = 5 * time.Second
	}
	return &Hub{options: options, subscribers: map[*subscriber]struct{}{}}
}

// Publish sends a signal with that event name, and with data as JSON, to all
// clients. It does not wait for them. It returns an error only if data cannot be
// encoded.
func (h *Hub) Publish(event string, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("signals: %s: %w", event, err)
	}
	frame := fmt.Appendf(nil, "event: %s\ndata: %s\n\n", event, encoded)

	h.mu.Lock()
	defer h.mu.Unlock()
	h.published++
	for s := range h.subscribers {
		select {
		case s.frames <- frame:
		default:
			h.dropped++
			h.removeLocked(s)
		}
	}
	return nil
}

// Stats returns the statistics of the hub.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Subscribers: len(h.subscribers), Published: h.published, Dropped: h.dropped}
}

// Close ends the streams of all clients. Later clients are refused.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subscribers {
		h.removeLocked(s)
	}
}

// subscribe adds a client. It returns false if the hub is closed.
func (h *Hub) subscribe() (*subscriber, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, false
	}
	s := &subscriber{frames: make(chan []byte, h.options.Buffer)}
	h.subscribers[s] = struct{}{}
	return s, true
}

// unsubscribe removes a client, unless it was dropped already.
func (h *Hub) unsubscribe(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.removeLocked(s)
}

func (h *Hub) removeLocked(s *subscriber) {
	if _, ok := h.subscribers[s]; ok {
		delete(h.subscribers, s)
		close(s.frames)
	}
}

// Publisher sends signals to all listeners without waiting for them. [Hub] and [Relay] are publishers.
type Publisher interface {
	Publish(event string, data any) error
}
