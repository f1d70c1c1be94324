// Package router is the HTTP side of the service: it takes requests apart, calls
// the cache, and puts the names of users to what it returns.
package router

import (
	"context"
	"net/http"

	"github.com/readthrough/readthrough/examples/maintenance/internal/cache"
	"github.com/readthrough/readthrough/examples/maintenance/internal/load"
	"github.com/readthrough/readthrough/examples/maintenance/internal/page"
	"github.com/readthrough/readthrough/examples/maintenance/internal/service"
	"github.com/readthrough/readthrough/examples/maintenance/internal/signals"
	"github.com/readthrough/readthrough/examples/maintenance/internal/users"
	"github.com/readthrough/readthrough/provider"
)

// Parts are what a router connects. All but StoreStats, Provider and Link are
// required.
type Parts struct {
	Maintenances *cache.Maintenances
	Users        *users.Directory
	Signals      *signals.Hub
	Load         *load.Generator
	// Ping reports whether the database answers.
	Ping func(context.Context) error
	// Usage returns what the database was asked so far.
	Usage func() service.Usage
	// StoreStats returns the statistics of the cache's store; nil: it has none.
	StoreStats func(context.Context) (provider.Stats, error)
	// Provider says what the store is; nil: nothing is said.
	Provider func(context.Context) ProviderState
	// Link is the connection to the store, which can be cut; nil: it cannot.
	Link Link

	_ struct{}
}

// ProviderState says what the cache's store is, and how it is.
type ProviderState struct {
	// Kind is "memory", "redis" or "none".
	Kind string `json:"kind"`
	// Answers reports whether the store answers now.
	Answers bool `json:"answers"`
	// Link is "whole" or "cut", or empty if it cannot be cut.
	Link string `json:"link,omitempty"`
	// Database is the kind of the database, for people.
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
		"GET /maintenances":               rt.list,
		"POST /maintenances":              rt.create,
		"GET /maintenances/{id}":          rt.get,
		"PATCH /maintenances/{id}":        rt.update,
		"DELETE /maintenances/{id}":       rt.remove,
		"POST /maintenances/{id}/updates": rt.addUpdate,
		"POST /maintenances/{id}/close":   rt.closeMaintenance,
		"GET /systems":                    rt.systems,
		"GET /systems/{id}/maintenances":  rt.bySystem,
		"GET /systems/maintenances":       rt.bySystems,
		"GET /users":                      rt.users,
		"PUT /users/{id}":                 rt.renameUser,
		"GET /stats":                      rt.stats,
		"GET /healthz":                    rt.health,
		"POST /storm":                     rt.storm,
		"POST /readers":                   rt.readers,
		"PUT /link":                       rt.setLink,
	} {
		mux.Handle(pattern, call)
	}
	mux.Handle("GET /signals", parts.Signals)
	mux.Handle("GET /{$}", page.Handler())
	mux.Handle("GET /page/", page.Handler())
	// A page of another origin shall not change anything here.
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(call(func(*http.Request) (reply, error) {
		return reply{}, &requestError{http.StatusForbidden, "", "this request comes from another site"}
	}))
	return protection.Handler(withJSONErrors(mux))
}
