// Package router is the HTTP side of the service: it takes requests apart, calls
// the cache, and puts the names of users to what it returns.
package router

import (
	"context"
	"net/http"

	"github.com/readthrough/readthrough/examples/maintenance/internal/cache"
	"github.com/readthrough/readthrough/examples/maintenance/internal/service"
	"github.com/readthrough/readthrough/examples/maintenance/internal/signals"
	"github.com/readthrough/readthrough/examples/maintenance/internal/users"
	"github.com/readthrough/readthrough/provider"
)

// Parts are what a router connects. All but StoreStats are required.
type Parts struct {
	Maintenances *cache.Maintenances
	Users        *users.Directory
	Signals      *signals.Hub
	// Ping reports whether the database answers.
	Ping func(context.Context) error
	// Usage returns what the database was asked so far.
	Usage func() service.Usage
	// StoreStats returns the statistics of the cache's store; nil: it has none.
	StoreStats func(context.Context) (provider.Stats, error)

	_ struct{}
}

type router struct {
	Parts
}

// New returns the handler of all requests.
func New(parts Parts) http.Handler {
	rt := &router{Parts: parts}
	mux := http.NewServeMux()
	for pattern, call := range map[string]call{
		"GET /maintenances":               rt.list,
		"POST /maintenances":              rt.create,
		"GET /maintenances/{id}":          rt.get,
		"PATCH /maintenances/{id}":        rt.update,
		"DELETE /maintenances/{id}":       rt.remove,
		"POST /maintenances/{id}/updates": rt.addUpdate,
		"POST /maintenances/{id}/close":   rt.closeMaintenance,
		"GET /systems/{id}/maintenances":  rt.bySystem,
		"GET /systems/maintenances":       rt.bySystems,
		"PUT /users/{id}":                 rt.renameUser,
		"GET /stats":                      rt.stats,
		"GET /healthz":                    rt.health,
	} {
		mux.Handle(pattern, call)
	}
	mux.Handle("GET /signals", parts.Signals)
	return withJSONErrors(mux)
}
