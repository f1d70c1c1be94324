// Package router is the HTTP side of the service: it decodes requests, calls the
// cache, and adds the names of users to the results.
package router

import (
	"context"
	"net/http"

	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/maintenance/cache"
	"github.com/readthrough/readthrough/examples/internal/signals"
	"github.com/readthrough/readthrough/examples/internal/users"
	"github.com/readthrough/readthrough/examples/maintenance/internal/load"
	"github.com/readthrough/readthrough/examples/maintenance/internal/page"
	"github.com/readthrough/readthrough/near"
	"github.com/readthrough/readthrough/provider"
)

// Parts are the parts that a router connects. StoreStats, Provider, Near and Link are
// optional.
type Parts struct {
	Maintenances *cache.Maintenances
	Users        *users.Directory
	Signals      *signals.Hub
	Load         *load.Generator
	// Ping reports whether the database answers.
	Ping func(context.Context) error
	// Usage returns what the database was asked so far.
	Usage func() database.Usage
	// StoreStats returns the statistics of the store; nil: it has none.
	StoreStats func(context.Context) (provider.Stats, error)
	// Provider describes the store; nil: no description.
	Provider func(context.Context) ProviderState
	// Near returns the statistics of the memory in front of the store; nil: there is none.
	Near func() near.Stats
	// Link is the connection to the store; nil: it cannot be cut.
	Link Link

	_ struct{}
}

// ProviderState describes the store of the cache and its state.
type ProviderState struct {
	// Kind is "memory", "redis" or "none".
	Kind string `json:"kind"`
	// Near is "bounded" or "strict", empty without memory in front of the store.
	Near string `json:"near,omitempty"`
	// Answers reports whether the store answers now.
	Answers bool `json:"answers"`
	// Link is "whole" or "cut", empty if it cannot be cut.
	Link string `json:"link,omitempty"`
	// Database is the kind of the database, for display.
	Database string `json:"database"`
}

// Link is a connection that can be cut.
type Link interface {
	SetCut(cut bool)
	Cut() bool
}

type router struct {
	Parts
}

// New returns the handler of all requests.
func New(parts Parts) http.Handler {
	rt := &router{Parts: parts}
	mux := http.NewServeMux()
	for pattern, call := range map[string]call{
		"GET /maintenances":                       rt.list,
		"POST /maintenances":                      rt.create,
		"GET /maintenances/{id}":                  rt.get,
		"PATCH /maintenances/{id}":                rt.update,
		"DELETE /maintenances/{id}":               rt.remove,
		"POST /maintenances/{id}/updates":         rt.addUpdate,
		"POST /maintenances/{id}/close":           rt.closeMaintenance,
		"GET /systems":                            rt.systems,
		"GET /systems/{id}/maintenances":          rt.bySystem,
		"GET /systems/maintenances":               rt.bySystems,
		"DELETE /systems/{id}":                    rt.deleteSystem,
		"PUT /systems/{id}/subscribers/{user}":    rt.subscribe,
		"DELETE /systems/{id}/subscribers/{user}": rt.unsubscribe,
		"GET /users":                              rt.users,
		"PUT /users/{id}":                         rt.renameUser,
		"GET /stats":                              rt.stats,
		"GET /healthz":                            rt.health,
		"POST /storm":                             rt.storm,
		"POST /readers":                           rt.readers,
		"PUT /link":                               rt.setLink,
	} {
		mux.Handle(pattern, call)
	}
	mux.Handle("GET /signals", parts.Signals)
	mux.Handle("GET /{$}", page.Handler())
	mux.Handle("GET /page/", page.Handler())
	// A page of another origin must not change anything.
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(call(func(*http.Request) (reply, error) {
		return reply{}, &requestError{http.StatusForbidden, "", "this request comes from another site"}
	}))
	return protection.Handler(withJSONErrors(mux))
}
