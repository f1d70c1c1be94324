package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/internal/maintenance/cache"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
	"github.com/readthrough/readthrough/examples/internal/signals"
	"github.com/readthrough/readthrough/examples/internal/users"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// site is a service without a network.
type site struct {
	handler  http.Handler
	database *service.Service
	parts    Parts
}

func open(t *testing.T) *site {
	t.Helper()
	database, err := service.Open(t.Context(), service.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = database.Close() })
	require.NoError(t, database.Seed(t.Context()))
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	c, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	hub := signals.NewHub(signals.Options{})
	m, err := cache.New(c, database, hub)
	require.NoError(t, err)
	parts := Parts{
		Maintenances: m, Users: users.NewDirectory(), Signals: hub,
		Ping: database.PingContext, Usage: database.Usage, StoreStats: c.StoreStats,
	}
	return &site{New(parts), database, parts}
}

// do sends a request and returns the status and the header, and the body in
// answer.
func (s *site) do(t *testing.T, method, path, body string, answer any) (int, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	if answer != nil {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), answer), "%s %s: %s: in %q", method, path, http.StatusText(w.Code), w.Body)
	}
	return w.Code, w.Header()
}

// ok is do for what must succeed.
func (s *site) ok(t *testing.T, method, path, body string, answer any) {
	t.Helper()
	var raw json.RawMessage
	if method == http.MethodDelete || method == http.MethodPut {
		status, _ := s.do(t, method, path, body, nil)
		require.Equal(t, http.StatusNoContent, status, "%s %s: status", method, path)
		return
	}
	status, _ := s.do(t, method, path, body, &raw)
	require.Less(t, status, 300, "%s %s: %s", method, path, raw)
	require.NoError(t, json.Unmarshal(raw, answer))
}

// draft returns the body that creates a maintenance.
func draft(systems ...string) string {
	start := time.Now().Add(time.Hour).UTC()
	ids, _ := json.Marshal(systems)
	return fmt.Sprintf(`{"title": "Replace disks", "start": %q, "end": %q, "system_ids": %s, "created_by": "lin"}`,
		start.Format(time.RFC3339), start.Add(time.Hour).Format(time.RFC3339), ids)
}

func (s *site) create(t *testing.T, systems ...string) maintenanceView {
	t.Helper()
	var m maintenanceView
	s.ok(t, http.MethodPost, "/maintenances", draft(systems...), &m)
	return m
}

func TestErrors(t *testing.T) {
	s := open(t)
	m := s.create(t, "dns")
	own := fmt.Sprintf("/maintenances/%d", m.ID)
	many := "?id=" + strings.Repeat("a&id=", service.MaxBulk) + "a"
	with := func(old, changed string) string { return strings.Replace(draft("dns"), old, changed, 1) }
	for _, test := range []struct {
		method, path, body string
		status             int
		field              string // what the answer names
		text               string // what it says, among other things
	}{
		{"GET", "/nosuch", "", 404, "", "no such path"},
		{"PUT", "/maintenances", "", 405, "", "PUT"},
		{"POST", own, "", 405, "", "POST"},
		{"POST", "/signals", "", 405, "", "POST"},

		{"GET", "/maintenances/999999", "", 404, "", "nothing with this id"},
		{"GET", "/maintenances/0", "", 400, "id", "no id"},
		{"GET", "/maintenances/-1", "", 400, "id", "no id"},
		{"GET", "/maintenances/x", "", 400, "id", "no id"},
		{"GET", "/maintenances/99999999999999999999", "", 400, "id", "no id"},

		{"GET", "/maintenances?state=planned", "", 400, "state", "no such parameter"},
		{"GET", "/maintenances?status=open", "", 400, "status", "unknown status"},
		{"GET", "/maintenances?system=A", "", 400, "system", "no system id"},
		{"GET", "/maintenances?from=yesterday", "", 400, "from", "RFC 3339"},
		{"GET", "/maintenances?to=2026-13-01T00:00:00Z", "", 400, "to", "RFC 3339"},
		{"GET", "/maintenances?from=2026-12-02T00:00:00Z&to=2026-12-01T00:00:00Z", "", 400, "to", "after from"},
		{"GET", "/maintenances?limit=many", "", 400, "limit", "number"},
		{"GET", "/maintenances?limit=0", "", 400, "limit", "number"},
		{"GET", "/maintenances?limit=501", "", 400, "limit", "500"},
		{"GET", "/maintenances?text=a&text=b", "", 400, "text", "more than once"},
		{"GET", "/maintenances?text=%ff", "", 400, "text", "UTF-8"},
		{"GET", "/maintenances?text=%zz", "", 400, "query", "parsed"},

		{"GET", "/systems/nosuch/maintenances", "", 404, "", "nothing with this id"},
		{"GET", "/systems/A/maintenances", "", 400, "id", "no system id"},
		{"GET", "/systems/maintenances", "", 400, "id", "must be given"},
		{"GET", "/systems/maintenances" + many, "", 400, "id", "must be given"},
		{"GET", "/systems/maintenances?id=a%20b", "", 400, "id", "no system id"},
		{"GET", "/systems/maintenances?system=dns", "", 400, "system", "no such parameter"},

		{"POST", "/maintenances", "", 400, "body", "empty"},
		{"POST", "/maintenances", "{", 400, "body", "ends in the middle"},
		{"POST", "/maintenances", "{]", 400, "body", "byte 2"},
		{"POST", "/maintenances", "[]", 400, "body", "array"},
		{"POST", "/maintenances", draft("dns") + "{}", 400, "body", "more than one"},
		{"POST", "/maintenances", draft("dns") + "]", 400, "body", "is no JSON"},
		{"POST", "/maintenances", `{"titel": "x"}`, 400, "titel", "no such field"},
		{"POST", "/maintenances", `{"title": 7}`, 400, "title", "number"},
		{"POST", "/maintenances", `{"start": "tomorrow"}`, 400, "body", "RFC 3339"},
		{"POST", "/maintenances", `{"start": 7}`, 400, "body", "Time"},
		{"POST", "/maintenances", `{"title": "` + strings.Repeat("x", maxBody) + `"}`, 413, "body", "65536 bytes"},
		{"POST", "/maintenances", draft("dns") + strings.Repeat(" ", maxBody), 413, "body", "65536 bytes"},
		{"POST", "/maintenances", with("Replace disks", ""), 400, "title", "missing"},
		{"POST", "/maintenances", with(`"end"`, `"END": null, "end"`), 201, "", ""},
		{"POST", "/maintenances", with("lin", "nobody"), 400, "created_by", "no user"},
		{"POST", "/maintenances", with("lin", ""), 400, "created_by", "missing"},
		{"POST", "/maintenances", draft("dns", "nosuch"), 400, "system_ids", "unknown system"},
		{"POST", "/maintenances", draft(), 400, "system_ids", "1 to 50"},

		{"PATCH", own, `{}`, 400, "body", "nothing to change"},
		{"PATCH", own, `{"id": 7}`, 400, "id", "no such field"},
		{"PATCH", own, `{"title": "x", "version": 99}`, 409, "", "version 99"},
		{"PATCH", own, `{"end": "2001-01-01T00:00:00Z"}`, 400, "end", "after start"},
		{"PATCH", "/maintenances/999999", `{"title": "x"}`, 404, "", "nothing with this id"},
		{"PATCH", "/maintenances/x", `{"title": "x"}`, 400, "id", "no id"},

		{"POST", own + "/updates", `{"author": "lin"}`, 400, "message", "missing"},
		{"POST", own + "/updates", `{"author": "nobody", "message": "x"}`, 400, "author", "no user"},
		{"POST", own + "/updates", `{"author": "lin", "message": "x", "status": "completed"}`, 409, "", "cannot become"},
		{"POST", own + "/updates", `{"author": "lin", "message": "x", "status": "done"}`, 400, "status", "unknown status"},
		{"POST", "/maintenances/x/updates", `{}`, 400, "id", "no id"},

		{"POST", own + "/close", `{"author": "lin", "outcome": "planned"}`, 400, "outcome", "completed"},
		{"POST", own + "/close", `{"author": "nobody"}`, 400, "author", "no user"},
		{"POST", own + "/close", `null x`, 400, "body", "is no JSON"},
		{"POST", "/maintenances/999999/close", `{"author": "lin"}`, 404, "", "nothing with this id"},

		{"DELETE", "/maintenances/999999", "", 404, "", "nothing with this id"},
		{"DELETE", "/maintenances/4", "", 409, "", "close it first"},
		{"DELETE", "/maintenances/x", "", 400, "id", "no id"},

		{"PUT", "/users/nobody", `{"name": "X"}`, 404, "id", "no such user"},
		{"PUT", "/users/lin", `{"name": " "}`, 400, "name", "characters"},
		{"PUT", "/users/lin", `{}`, 400, "name", "characters"},
	} {
		t.Run(test.method+" "+fmt.Sprintf("%.40s %.40s", test.path, test.body), func(t *testing.T) {
			var answer errorBody
			status, header := s.do(t, test.method, test.path, test.body, &answer)
			assert.Equal(t, test.status, status, "status")
			assert.Equal(t, test.field, answer.Field, "field")
			assert.Contains(t, answer.Error, test.text, "error")
			assert.Equal(t, "application/json", header.Get("Content-Type"), "content type")
			got := header.Get("Allow")
			assert.Equal(t, status == 405, got != "", "Allow: %q with status %d", got, status)
		})
	}
	var after maintenanceView
	s.ok(t, http.MethodGet, own, "", &after)
	assert.Equal(t, int64(1), after.Version, "a refused request changed the maintenance")
}

func TestErrorsOfTheService(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"closed":  {fmt.Errorf("x: %w", readthrough.ErrClosed), 503},
		"timeout": {fmt.Errorf("x: %w", readthrough.ErrLoadTimeout), 503},
		"panic":   {&readthrough.PanicError{Value: "secret"}, 500},
		"other":   {errors.New("secret"), 500},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := describe(test.err)
			assert.Equal(t, test.want, status, "status")
			assert.NotContains(t, body.Error, "secret", "status")
		})
	}
}

// Every mutation shows in every read that begins after its answer.
func TestChangesAreSeen(t *testing.T) {
	s := open(t)
	m := s.create(t, "dns")
	own := fmt.Sprintf("/maintenances/%d", m.ID)
	filters := "/maintenances?" + url.Values{"system": {"dns", "mail"}, "text": {"disks"}}.Encode()

	// expect reads everything, and so leaves everything in the cache.
	expect := func(what string, version int64, systems ...string) {
		t.Helper()
		var got maintenanceView
		status, _ := s.do(t, http.MethodGet, own, "", &got)
		if status == http.StatusOK {
			assert.Equal(t, version, got.Version, "%s: by id: version", what)
		}
		assert.Equal(t, version == 0, status == http.StatusNotFound, "%s: by id: status %d", what, status)
		var bulk bulkBody
		s.ok(t, http.MethodGet, "/systems/maintenances?id=dns&id=mail", "", &bulk)
		for _, system := range []string{"dns", "mail"} {
			want := int64(0)
			if slices.Contains(systems, system) {
				want = version
			}
			var list listBody
			s.ok(t, http.MethodGet, "/systems/"+system+"/maintenances", "", &list)
			assert.Equal(t, want, versionOf(list.Maintenances, m.ID), "%s: by system %s: version", what, system)
			assert.Equal(t, want, versionOf(bulk.Systems[system], m.ID), "%s: in bulk, system %s: version", what, system)
		}
		var list listBody
		s.ok(t, http.MethodGet, filters, "", &list)
		assert.Equal(t, version, versionOf(list.Maintenances, m.ID), "%s: in the list: version", what)
	}
	expect("created", 1, "dns")
	s.ok(t, http.MethodPatch, own, `{"description": "All of them."}`, &m)
	expect("changed", 2, "dns")
	s.ok(t, http.MethodPatch, own, `{"system_ids": ["mail"]}`, &m)
	expect("moved", 3, "mail")
	s.ok(t, http.MethodPatch, own, `{"system_ids": ["mail", "dns"]}`, &m)
	expect("extended", 4, "dns", "mail")
	s.ok(t, http.MethodPost, own+"/updates", `{"author": "mara", "message": "Here we go.", "status": "in_progress"}`, &m)
	expect("started", 5, "dns", "mail")
	s.ok(t, http.MethodPost, own+"/close", `{"author": "mara"}`, &m)
	expect("closed", 6, "dns", "mail")
	s.ok(t, http.MethodDelete, own, "", nil)
	expect("deleted", 0)
}

func versionOf(maintenances []maintenanceView, id int64) int64 {
	for _, m := range maintenances {
		if m.ID == id {
			return m.Version
		}
	}
	return 0
}

func TestNamesAreNotCached(t *testing.T) {
	s := open(t)
	m := s.create(t, "dns")
	own := fmt.Sprintf("/maintenances/%d", m.ID)
	s.ok(t, http.MethodPost, own+"/updates", `{"author": "mara", "message": "Soon."}`, &m)
	s.ok(t, http.MethodGet, own, "", &m)
	before := s.database.Usage()
	s.ok(t, http.MethodPut, "/users/lin", `{"name": "Lin Y."}`, nil)
	s.ok(t, http.MethodPut, "/users/mara", `{"name": "Mara O."}`, nil)
	var after maintenanceView
	s.ok(t, http.MethodGet, own, "", &after)
	assert.Equal(t, "Lin Y.", after.CreatedByName, "named")
	assert.Equal(t, "Mara O.", after.Updates[0].AuthorName, "named")
	assert.Equal(t, before, s.database.Usage(), "the database was asked for names")
}

func TestBulkAnswer(t *testing.T) {
	s := open(t)
	var bulk bulkBody
	s.ok(t, http.MethodGet, "/systems/maintenances?id=dns&id=nosuch&id=dns&id=nosuch&id=storage", "", &bulk)
	assert.Len(t, bulk.Systems, 2, "systems")
	assert.Len(t, bulk.Systems["dns"], 1, "systems")
	assert.Len(t, bulk.Systems["storage"], 1, "systems")
	assert.Equal(t, []string{"nosuch"}, bulk.Unknown, "unknown")
}

func TestStats(t *testing.T) {
	s := open(t)
	m := s.create(t, "dns")
	own := fmt.Sprintf("/maintenances/%d", m.ID)
	var before, after statsBody
	s.ok(t, http.MethodGet, "/stats", "", &before)
	for range 3 {
		s.ok(t, http.MethodGet, own, "", &m)
	}
	s.ok(t, http.MethodGet, "/stats", "", &after)
	assert.Equal(t, int64(1), after.Database.Queries-before.Database.Queries, "queries for three reads of one maintenance")
	assert.Equal(t, int64(2), after.Scope.Hits-before.Scope.Hits, "from %+v to %+v", before.Scope, after.Scope)
	assert.Equal(t, int64(1), after.Scope.Loads-before.Scope.Loads, "from %+v to %+v", before.Scope, after.Scope)
	if assert.NotNil(t, after.Store, "store") {
		if assert.NotNil(t, after.Store.Entries, "store") {
			assert.Equal(t, int64(1), *after.Store.Entries, "store")
		}
	}
	assert.Equal(t, int64(1), after.Signals.Published, "signals")
}

func TestStatsOfAStoreThatHasNone(t *testing.T) {
	s := open(t)
	for name, stats := range map[string]func(context.Context) (provider.Stats, error){
		"no store": nil,
		"error":    func(context.Context) (provider.Stats, error) { return provider.Stats{}, errors.ErrUnsupported },
	} {
		t.Run(name, func(t *testing.T) {
			s.parts.StoreStats = stats
			var body map[string]any
			(&site{handler: New(s.parts)}).ok(t, http.MethodGet, "/stats", "", &body)
			_, ok := body["store"]
			assert.False(t, ok, "body %v", body)
			assert.NotNil(t, body["scope"], "body %v", body)
		})
	}
	unknown := newStoreBody(provider.Stats{Entries: provider.Unknown, Hits: 7})
	assert.Nil(t, unknown.Entries, "entries")
	assert.Equal(t, int64(7), *unknown.Hits, "hits")
}

func TestHealth(t *testing.T) {
	s := open(t)
	var body map[string]string
	status, _ := s.do(t, http.MethodGet, "/healthz", "", &body)
	assert.Equal(t, 200, status, "status")
	assert.Equal(t, "ok", body["status"], "status")
	require.NoError(t, s.database.Close())
	status, _ = s.do(t, http.MethodGet, "/healthz", "", &body)
	assert.Equal(t, 503, status, "status without a database")
	assert.NotEmpty(t, body["error"], "the error without a database")
}
