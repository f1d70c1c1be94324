// Package router is the HTTP side of the dashboard: it decodes requests and calls the backends.
package router

import (
	"context"
	"net/http"
	"strconv"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/announcements"
	"github.com/readthrough/readthrough/examples/dashboard/internal/backends"
	"github.com/readthrough/readthrough/examples/dashboard/internal/health"
	"github.com/readthrough/readthrough/examples/dashboard/internal/incidents"
	"github.com/readthrough/readthrough/examples/dashboard/internal/page"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/dashboard/internal/sampler"
	"github.com/readthrough/readthrough/examples/dashboard/internal/view"
	"github.com/readthrough/readthrough/examples/dashboard/internal/worker"
	"github.com/readthrough/readthrough/examples/internal/signals"
)

// Parts are the parts that a router connects.
type Parts struct {
	Backends *backends.All
	Signals  *signals.Hub
	Worker   *worker.Worker
	Sampler  *sampler.Sampler
	// Store describes the store of the cache.
	Store string

	_ struct{}
}

type router struct {
	Parts

	refreshes refreshes
}

// New returns the handler of all requests.
func New(parts Parts) http.Handler {
	rt := &router{Parts: parts}
	mux := http.NewServeMux()
	for pattern, handler := range map[string]http.Handler{
		"GET /api/dashboard": get(rt.dashboard),
		"GET /api/singles":   get(rt.singles),
		"GET /api/cost":      get(rt.cost),
		"GET /healthz":       get(rt.health),

		"POST /api/incidents":                       change(rt.createIncident),
		"POST /api/incidents/{id}/updates":          change(rt.reportIncident),
		"POST /api/incidents/{id}/resolve":          change(rt.resolveIncident),
		"POST /api/announcements":                   change(rt.putAnnouncement),
		"POST /api/announcements/{id}/dismiss":      change(rt.dismiss),
		"DELETE /api/announcements/{id}":            change(rt.deleteAnnouncement),
		"POST /api/notifications/seen":              change(rt.markRead),
		"PUT /api/subscriptions/{user}/{system}":    change(rt.subscribe),
		"DELETE /api/subscriptions/{user}/{system}": change(rt.unsubscribe),
		"POST /api/results":                         change(rt.ingest),
		"PUT /api/systems/{id}":                     change(rt.putSystem),
		"DELETE /api/systems/{id}":                  change(rt.deleteSystem),
		"POST /api/hooks/user-deleted":              change(rt.userDeleted),
		"PUT /api/worker":                           change(rt.setRate),
		"POST /api/worker/play":                     get(rt.play),
	} {
		mux.Handle(pattern, handler)
	}
	mux.Handle("GET /signals", parts.Signals)
	mux.Handle("GET /{$}", page.Handler())
	mux.Handle("GET /page/", page.Handler())
	// A page of another origin must not change anything.
	return http.NewCrossOriginProtection().Handler(mux)
}

// dashboard answers a refresh of the page. With cache=off, it reads everything from the database.
func (rt *router) dashboard(r *http.Request) (any, error) {
	ctx := r.Context()
	uncached := r.URL.Query().Get("cache") == "off"
	if uncached {
		ctx = rt.Backends.Cache.Bypass(ctx)
	}
	d, err := view.Refresh(ctx, rt.Backends, r.URL.Query().Get("user"))
	if err != nil {
		return nil, err
	}
	rt.refreshes.add(uncached, d.Cost)
	if r.URL.Query().Get("versions") == "" {
		d.Versions = nil
	}
	return d, nil
}

// singles reads what the page does not, for tests.
func (rt *router) singles(r *http.Request) (any, error) {
	return view.Singles(r.Context(), rt.Backends, r.URL.Query().Get("user"), r.URL.Query().Get("system"))
}

func (rt *router) health(r *http.Request) (any, error) {
	return struct {
		Status string `json:"status"`
	}{"ok"}, rt.Backends.DB.PingContext(r.Context())
}

func (rt *router) createIncident(ctx context.Context, _ *http.Request, d incidents.Draft) error {
	_, err := rt.Backends.Incidents.Create(ctx, d)
	return err
}

// report is a text by a user.
type report struct {
	Author  string `json:"author"`
	Message string `json:"message"`
}

func (rt *router) reportIncident(ctx context.Context, r *http.Request, in report) error {
	return withID(r, func(id int64) error {
		_, err := rt.Backends.Incidents.AddUpdate(ctx, id, in.Author, in.Message)
		return err
	})
}

func (rt *router) resolveIncident(ctx context.Context, r *http.Request, in report) error {
	return withID(r, func(id int64) error {
		_, err := rt.Backends.Incidents.Resolve(ctx, id, in.Author)
		return err
	})
}

func (rt *router) putAnnouncement(ctx context.Context, _ *http.Request, a announcements.Announcement) error {
	return rt.Backends.Announcements.Put(ctx, a)
}

func (rt *router) deleteAnnouncement(ctx context.Context, r *http.Request, _ struct{}) error {
	return withID(r, func(id int64) error { return rt.Backends.Announcements.Delete(ctx, id) })
}

// byUser is a change by a user, or of a user.
type byUser struct {
	User string `json:"user"`
}

func (rt *router) dismiss(ctx context.Context, r *http.Request, by byUser) error {
	return withID(r, func(id int64) error { return rt.Backends.Announcements.Dismiss(ctx, by.User, id) })
}

func (rt *router) markRead(ctx context.Context, _ *http.Request, by byUser) error {
	return rt.Backends.Notifications.MarkRead(ctx, by.User, 0)
}

func (rt *router) subscribe(ctx context.Context, r *http.Request, _ struct{}) error {
	return rt.Backends.Notifications.Subscribe(ctx, r.PathValue("user"), r.PathValue("system"))
}

func (rt *router) unsubscribe(ctx context.Context, r *http.Request, _ struct{}) error {
	return rt.Backends.Notifications.Unsubscribe(ctx, r.PathValue("user"), r.PathValue("system"))
}

func (rt *router) ingest(ctx context.Context, _ *http.Request, results []health.Result) error {
	return rt.Backends.Health.Ingest(ctx, results...)
}

func (rt *router) putSystem(ctx context.Context, r *http.Request, in struct {
	Name string `json:"name"`
},
) error {
	return rt.Backends.Catalog.PutSystem(ctx, r.PathValue("id"), in.Name)
}

func (rt *router) deleteSystem(ctx context.Context, r *http.Request, _ struct{}) error {
	return rt.Backends.Catalog.DeleteSystem(ctx, r.PathValue("id"))
}

func (rt *router) userDeleted(ctx context.Context, _ *http.Request, in byUser) error {
	return rt.Backends.UserDeleted(ctx, in.User)
}

func (rt *router) setRate(_ context.Context, _ *http.Request, in struct {
	Rate float64 `json:"rate"`
},
) error {
	rt.Worker.SetRate(in.Rate)
	return nil
}

// played is what an action has changed. Pending is what the store had not confirmed when the action returned.
type played struct {
	Action   string           `json:"action"`
	Error    string           `json:"error,omitempty"`
	Versions map[string]int64 `json:"versions"`
	Pending  int              `json:"pending"`
}

// play plays one action, for tests: one that is named, or any.
func (rt *router) play(r *http.Request) (any, error) {
	ctx, changes := revision.Track(r.Context())
	out := played{Action: r.URL.Query().Get("action")}
	var err error
	if out.Action != "" {
		err = rt.Worker.Play(ctx, out.Action)
	} else {
		out.Action, err = rt.Worker.Step(ctx)
	}
	if err != nil {
		out.Error = err.Error()
	}
	out.Versions, out.Pending = changes.Versions(), Pending(rt.Backends.Cache)
	return out, nil
}

// Pending returns how many invalidations the store has not confirmed, in all scopes.
func Pending(c *readthrough.Cache) (pending int) {
	for _, scope := range c.Scopes() {
		pending += scope.Stats().Pending
	}
	return pending
}

func withID(r *http.Request, f func(id int64) error) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return &badRequestError{"id must be a number"}
	}
	return f(id)
}
