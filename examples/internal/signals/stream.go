package signals

import (
	"errors"
	"net/http"
	"time"
)

// ServeHTTP streams signals to a client until the client leaves or is too slow,
// or the hub is closed. The first line is a comment. Every signal that is
// published after the client has read it reaches the client, so a client that
// then fetches misses nothing.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, ok := h.subscribe()
	if !ok {
		http.Error(w, "the service is shutting down", http.StatusServiceUnavailable)
		return
	}
	defer h.unsubscribe(s)

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // proxies must not buffer signals
	stream := stream{w, http.NewResponseController(w), h.options.WriteTimeout}
	if stream.send([]byte("retry: 1000\n: listening\n\n")) != nil {
		return
	}
	heartbeat := time.NewTicker(h.options.Heartbeat)
	defer heartbeat.Stop()
	for {
		var err error
		select {
		case frame, ok := <-s.frames:
			if !ok {
				return
			}
			err = stream.send(frame)
		case <-heartbeat.C:
			err = stream.send([]byte(": heartbeat\n\n"))
		case <-r.Context().Done():
			return
		}
		if err != nil {
			return // the client has gone or does not read
		}
	}
}

// stream writes to one client, with a deadline for each write.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

// send writes a frame and flushes it. Its deadline replaces the server's, which
// is for whole answers.
func (s stream) send(frame []byte) error {
	err := s.control.SetWriteDeadline(time.Now().Add(s.timeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(frame); err != nil {
		return err
	}
	return s.control.Flush()
}
