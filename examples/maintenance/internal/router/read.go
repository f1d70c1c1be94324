package router

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// listBody is the answer to a listing.
type listBody struct {
	Maintenances []maintenanceView `json:"maintenances"`
}

// bulkBody is the answer to a bulk read.
type bulkBody struct {
	Systems map[string][]maintenanceView `json:"systems"`
	// Unknown are the systems that do not exist.
	Unknown []string `json:"unknown"`
}

func (rt *router) list(r *http.Request) (reply, error) {
	filters, err := decodeFilters(r)
	if err != nil {
		return reply{}, err
	}
	maintenances, err := rt.Maintenances.List(r.Context(), filters)
	return reply{body: listBody{rt.views(maintenances)}}, err
}

func (rt *router) get(r *http.Request) (reply, error) {
	id, err := pathID(r)
	if err != nil {
		return reply{}, err
	}
	m, err := rt.Maintenances.Get(r.Context(), id)
	return reply{body: rt.view(m)}, err
}

func (rt *router) bySystem(r *http.Request) (reply, error) {
	system := r.PathValue("id")
	if err := service.CheckSystemID("id", system); err != nil {
		return reply{}, err
	}
	maintenances, err := rt.Maintenances.BySystem(r.Context(), system)
	return reply{body: listBody{rt.views(maintenances)}}, err
}

func (rt *router) bySystems(r *http.Request) (reply, error) {
	query, err := decodeQuery(r, "id")
	if err != nil {
		return reply{}, err
	}
	systems := query["id"]
	if len(systems) < 1 || len(systems) > service.MaxBulk {
		return reply{}, badRequest("id", fmt.Sprintf("1 to %d systems must be given, as ?id=…&id=…", service.MaxBulk))
	}
	for _, system := range systems {
		if err := service.CheckSystemID("id", system); err != nil {
			return reply{}, err
		}
	}
	found, err := rt.Maintenances.BySystems(r.Context(), systems)
	if err != nil {
		return reply{}, err
	}
	body := bulkBody{Systems: make(map[string][]maintenanceView, len(found)), Unknown: []string{}}
	for _, system := range systems {
		maintenances, ok := found[system]
		switch {
		case ok:
			body.Systems[system] = rt.views(maintenances)
		case !slices.Contains(body.Unknown, system):
			body.Unknown = append(body.Unknown, system)
		}
	}
	return reply{body: body}, nil
}
