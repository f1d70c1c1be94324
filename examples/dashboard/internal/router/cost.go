package router

import (
	"net/http"
	"sync"

	"github.com/readthrough/readthrough/examples/dashboard/internal/sampler"
	"github.com/readthrough/readthrough/examples/dashboard/internal/view"
	"github.com/readthrough/readthrough/examples/dashboard/internal/worker"
)

// refreshes counts what refreshes have cost. It is safe for concurrent use.
type refreshes struct {
	mu                 sync.Mutex // guards following
	cached, withoutOne costs
}

// costs are the costs of refreshes.
type costs struct {
	Refreshes int64   `json:"refreshes"`
	Queries   int64   `json:"queries"`
	Millis    float64 `json:"ms"`
}

func (r *refreshes) add(uncached bool, c view.Cost) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := &r.cached
	if uncached {
		sum = &r.withoutOne
	}
	sum.Refreshes++
	sum.Queries += c.Queries
	sum.Millis += c.Millis
}

// costBody is what the cache saves.
type costBody struct {
	Store    string        `json:"store"`
	Database string        `json:"database"`
	Queries  int64         `json:"queries"` // of everything that this process does
	With     costs         `json:"with"`
	Without  costs         `json:"without"`
	Scopes   []scopeBody   `json:"scopes"`
	Sampler  sampler.Stats `json:"sampler"`
	Worker   worker.Stats  `json:"worker"`
	Pending  int           `json:"pending"`
}

// scopeBody is a backend.
type scopeBody struct {
	Name          string `json:"name"`
	Hits          int64  `json:"hits"`
	NearHits      int64  `json:"near_hits"`
	Misses        int64  `json:"misses"`
	Loads         int64  `json:"loads"`
	Invalidations int64  `json:"invalidations"`
}

func (rt *router) cost(*http.Request) (any, error) {
	body := costBody{
		Store: rt.Store, Database: rt.Backends.DB.Kind(), Queries: rt.Backends.DB.Usage().Queries,
		Sampler: rt.Sampler.Stats(), Worker: rt.Worker.Stats(), Pending: Pending(rt.Backends.Cache),
	}
	rt.refreshes.mu.Lock()
	body.With, body.Without = rt.refreshes.cached, rt.refreshes.withoutOne
	rt.refreshes.mu.Unlock()
	for _, scope := range rt.Backends.Cache.Scopes() {
		s := scope.Stats()
		body.Scopes = append(body.Scopes, scopeBody{scope.Name(), s.Hits, s.NearHits, s.Misses, s.Loads, s.Invalidations})
	}
	return body, nil
}
