package tour

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// The answers of the service, as far as the tour uses them.
type (
	maintenance struct {
		ID            int64    `json:"id"`
		Version       int64    `json:"version"`
		Title         string   `json:"title"`
		Status        string   `json:"status"`
		SystemIDs     []string `json:"system_ids"`
		CreatedByName string   `json:"created_by_name"`
	}
	list struct {
		Maintenances []maintenance `json:"maintenances"`
	}
	bulk struct {
		Systems map[string][]maintenance `json:"systems"`
		Unknown []string                 `json:"unknown"`
	}
	stats struct {
		Database struct {
			Queries int64 `json:"queries"`
		} `json:"database"`
		Scope struct {
			Hits           int64   `json:"hits"`
			Misses         int64   `json:"misses"`
			Joined         int64   `json:"joined"`
			Loads          int64   `json:"loads"`
			LoadMillis     float64 `json:"load_ms_mean"`
			RefusedFills   int64   `json:"refused_fills"`
			Invalidations  int64   `json:"invalidations"`
			Pending        int     `json:"pending"`
			ProviderErrors int64   `json:"provider_errors"`
		} `json:"scope"`
		Near struct {
			Answers bool  `json:"answers"`
			Entries int64 `json:"entries"`
			Hits    int64 `json:"hits"`
			FarHits int64 `json:"far_hits"`
		} `json:"near"`
	}
)

// String summarizes the statistics of the service.
func (s stats) String() string {
	text := fmt.Sprintf("cache: %d hits, %d misses of which %d joined a load, %d loads of %.1f ms on average,\n"+
		"       %d fills refused, %d keys and prefixes invalidated\nqueries to the database: %d",
		s.Scope.Hits, s.Scope.Misses, s.Scope.Joined, s.Scope.Loads, s.Scope.LoadMillis,
		s.Scope.RefusedFills, s.Scope.Invalidations, s.Database.Queries)
	if s.Scope.Pending > 0 || s.Scope.ProviderErrors > 0 {
		text += fmt.Sprintf("\nstore: %d errors, %d invalidations pending", s.Scope.ProviderErrors, s.Scope.Pending)
	}
	return text
}

// The user of the tour, and the systems of the seed.
const author = "lin"

var allSystems = []string{
	"api", "auth", "billing", "cdn", "checkout", "db-orders",
	"db-users", "dns", "mail", "queue", "search", "storage",
}

// errNotFound is the error for an answer with status 404.
var errNotFound = errors.New("not found")

// client is a client of the service.
type client struct {
	base string
	http *http.Client
}

func newClient(base string, connections int) *client {
	return &client{base: base, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// requestTimeout bounds every request but the streams of signals.
const requestTimeout = 30 * time.Second

// do sends a request and decodes the answer. A body that is not nil is sent as
// JSON. A nil answer is not decoded.
func (c *client) do(ctx context.Context, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	switch {
	case response.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s %s: %w", method, path, errNotFound)
	case response.StatusCode >= http.StatusMultipleChoices:
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(text))
	case answer == nil:
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

func (c *client) stats(ctx context.Context) (s stats, err error) {
	err = c.do(ctx, http.MethodGet, "/stats", nil, &s)
	return s, err
}

// create creates a maintenance in the far future, apart from all others.
func (c *client) create(ctx context.Context, title string, systems ...string) (m maintenance, err error) {
	start := time.Now().AddDate(5, 0, 0)
	err = c.do(ctx, http.MethodPost, "/maintenances", map[string]any{
		"title": title, "start": start, "end": start.Add(time.Hour), "system_ids": systems, "created_by": author,
	}, &m)
	return m, err
}

func (c *client) patch(ctx context.Context, id int64, patch map[string]any) (m maintenance, err error) {
	err = c.do(ctx, http.MethodPatch, path(id), patch, &m)
	return m, err
}

func (c *client) cancel(ctx context.Context, id int64) error {
	return c.do(ctx, http.MethodPost, path(id)+"/close", map[string]any{"author": author, "outcome": "cancelled"}, nil)
}

func (c *client) remove(ctx context.Context, id int64) error {
	return c.do(ctx, http.MethodDelete, path(id), nil, nil)
}

func (c *client) get(ctx context.Context, id int64) (m maintenance, err error) {
	err = c.do(ctx, http.MethodGet, path(id), nil, &m)
	return m, err
}

func (c *client) list(ctx context.Context, filters url.Values) ([]maintenance, error) {
	var l list
	err := c.do(ctx, http.MethodGet, "/maintenances?"+filters.Encode(), nil, &l)
	return l.Maintenances, err
}

func (c *client) bySystem(ctx context.Context, system string) ([]maintenance, error) {
	var l list
	err := c.do(ctx, http.MethodGet, "/systems/"+system+"/maintenances", nil, &l)
	return l.Maintenances, err
}

func (c *client) bySystems(ctx context.Context, systems ...string) (b bulk, err error) {
	err = c.do(ctx, http.MethodGet, "/systems/maintenances?"+url.Values{"id": systems}.Encode(), nil, &b)
	return b, err
}

func (c *client) rename(ctx context.Context, user, name string) error {
	return c.do(ctx, http.MethodPut, "/users/"+user, map[string]string{"name": name}, nil)
}

// setLink cuts the service's connection to its store or heals it.
func (c *client) setLink(ctx context.Context, cut bool) error {
	return c.do(ctx, http.MethodPut, "/link", map[string]bool{"cut": cut}, nil)
}

func path(id int64) string { return "/maintenances/" + strconv.FormatInt(id, 10) }

// find returns the maintenance with that id.
func find(among []maintenance, id int64) (maintenance, bool) {
	i := slices.IndexFunc(among, func(m maintenance) bool { return m.ID == id })
	if i < 0 {
		return maintenance{}, false
	}
	return among[i], true
}
