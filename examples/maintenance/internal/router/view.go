package router

import "github.com/readthrough/readthrough/examples/internal/maintenance/service"

// maintenanceView is a maintenance for clients: with the names of users. It is
// built for every response and never cached. A new name therefore appears at
// once, and the cache need not know the names.
type maintenanceView struct {
	service.Maintenance

	CreatedByName string       `json:"created_by_name"`
	Updates       []updateView `json:"updates"` // hides the updates of the maintenance
}

type updateView struct {
	service.Update

	AuthorName string `json:"author_name"`
}

func (rt *router) view(m service.Maintenance) maintenanceView {
	updates := make([]updateView, len(m.Updates))
	for i, update := range m.Updates {
		updates[i] = updateView{update, rt.Users.Name(update.Author)}
	}
	return maintenanceView{m, rt.Users.Name(m.CreatedBy), updates}
}

func (rt *router) views(maintenances []service.Maintenance) []maintenanceView {
	views := make([]maintenanceView, len(maintenances))
	for i, m := range maintenances {
		views[i] = rt.view(m)
	}
	return views
}
