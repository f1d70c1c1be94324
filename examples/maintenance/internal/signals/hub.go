// Package signals tells clients that something changed, as server-sent events.
// A signal says what to fetch again, not what it became: the client reads through
// the cache like everybody else.
package signals

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Options of a [Hub]. The zero value is ready for use.
type Options struct {
	// Heartbeat is the time between signs of life to a client that has nothing
	// to hear. Zero or negative: 15 seconds.
	Heartbeat time.Duration
	// Buffer is how many signals a client may lag behind before it is dropped.
	// Zero or negative: 256.
	Buffer int
	// WriteTimeout is how long one write to a client may take before it is
	// dropped. Zero or negative: 5 seconds.
	WriteTimeout time.Duration

	_ struct{}
}

// Stats are the statistics of a [Hub].
type Stats struct {
	// Subscribers is the number of clients that listen now.
	Subscribers int `json:"subscribers"`
	// Published counts the signals, whoever heard them.
	Published int64 `json:"published"`
	// Dropped counts the clients that were dropped because they were too slow.
	Dropped int64 `json:"dropped"`
}

// Hub passes signals to all clients that listen. It never waits for one: a client
// whose buffer is full is dropped, and may connect and fetch again. It is safe
// for concurrent use.
type Hub struct {
	options Options

	mu          sync.Mutex // guards following
	subscribers map[*subscriber]struct{}
	published   int64
	dropped     int64
	closed      bool
}

// subscriber is one listening client.
type subscriber struct {
	// frames are the signals to be sent. The hub sends and closes, both under
	// its lock; closed means that the client is to be dropped.
	frames chan []byte
}

// NewHub returns a hub without listeners.
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

// Publish sends a signal with the given event name and data, as JSON, to all who
// listen. It does not wait for any of them. The error is that of encoding data.
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

// Stats returns the hub's statistics.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Subscribers: len(h.subscribers), Published: h.published, Dropped: h.dropped}
}

// Close ends the streams of all clients. Later ones are refused.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subscribers {
		h.removeLocked(s)
	}
}

// subscribe adds a listener; it reports false if the hub is closed.
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

// unsubscribe removes a listener, unless it was dropped already.
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
