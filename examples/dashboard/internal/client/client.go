// Package client calls a dashboard over HTTP, for the tour, the load generator and the soak.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/readthrough/readthrough/examples/dashboard/internal/view"
)

// Client calls one process.
type Client struct{ URL string }

// Refresh reads the dashboard of a user, with the versions of what it shows.
func (c Client) Refresh(ctx context.Context, user string, cached bool) (d view.Dashboard, err error) {
	query := url.Values{"user": {user}, "versions": {"1"}}
	if !cached {
		query.Set("cache", "off")
	}
	return d, c.Call(ctx, http.MethodGet, "/api/dashboard?"+query.Encode(), nil, &d)
}

// Singles reads what the page does not.
func (c Client) Singles(ctx context.Context, user, system string) (v view.Versions, err error) {
	query := url.Values{"user": {user}, "system": {system}}
	return v, c.Call(ctx, http.MethodGet, "/api/singles?"+query.Encode(), nil, &v)
}

// Played is what an action has changed.
type Played struct {
	Action   string           `json:"action"`
	Error    string           `json:"error"`
	Versions map[string]int64 `json:"versions"`
	Pending  int              `json:"pending"`
}

// Play plays an action of the worker, or any if action is empty.
func (c Client) Play(ctx context.Context, action string) (p Played, err error) {
	return p, c.Call(ctx, http.MethodPost, "/api/worker/play?action="+url.QueryEscape(action), nil, &p)
}

// SetRate sets the rate of the worker.
func (c Client) SetRate(ctx context.Context, rate float64) error {
	return c.Call(ctx, http.MethodPut, "/api/worker", map[string]float64{"rate": rate}, nil)
}

// Call sends a request with a body, unless it is nil, and decodes the answer into out, unless that is nil.
func (c Client) Call(ctx context.Context, method, path string, body, out any) (err error) {
	var encoded []byte
	if body != nil {
		if encoded, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// Listen returns the names and the data of signals, as "event data", until ctx ends. When it returns, the stream is open.
func (c Client) Listen(ctx context.Context) (<-chan string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/signals", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request) //nolint:bodyclose // the goroutine closes it
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() && lines.Text() != ": listening" {
	}
	heard := make(chan string, 256)
	go func() {
		defer close(heard)
		defer answer.Body.Close() //nolint:errcheck // its context has ended
		event := ""
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				event = name
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				select {
				case heard <- event + " " + data:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return heard, nil
}
