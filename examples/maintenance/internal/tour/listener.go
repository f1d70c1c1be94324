package tour

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// signal is the data of a signal.
type signal struct {
	ID        int64    `json:"id"`
	Version   int64    `json:"version"`
	Deleted   bool     `json:"deleted"`
	SystemIDs []string `json:"system_ids"`
}

// listener is a stream of signals.
type listener struct {
	response *http.Response
	lines    *bufio.Scanner
}

// listen opens a stream of signals. Signals after its return reach the
// listener. The stream ends with ctx.
func (c *client) listen(ctx context.Context) (*listener, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/signals", nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	l := &listener{response, bufio.NewScanner(response.Body)}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("GET /signals: %s", response.Status), l.close())
	}
	for l.lines.Scan() {
		if strings.HasPrefix(l.lines.Text(), ":") {
			return l, nil
		}
	}
	return nil, errors.Join(errors.New("GET /signals: the stream ended at once"), l.lines.Err(), l.close())
}

// next waits for the next maintenance.updated signal.
func (l *listener) next() (signal, error) { return l.await(updated) }

// The names of signals.
const (
	updated = "maintenance.updated"
	resync  = "resync" // read everything again
)

// await waits for the next signal of the given names.
func (l *listener) await(names ...string) (signal, error) {
	name := ""
	for l.lines.Scan() {
		line := l.lines.Text()
		if event, ok := strings.CutPrefix(line, "event: "); ok {
			name = event
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok && slices.Contains(names, name) {
			var s signal
			err := json.Unmarshal([]byte(data), &s)
			return s, err
		}
	}
	return signal{}, errors.Join(errors.New("GET /signals: the stream ended"), l.lines.Err())
}

func (l *listener) close() error { return l.response.Body.Close() }
