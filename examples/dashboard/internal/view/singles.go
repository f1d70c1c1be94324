package view

import (
	"context"
	"errors"
	"fmt"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/announcements"
	"github.com/readthrough/readthrough/examples/dashboard/internal/anomalies"
	"github.com/readthrough/readthrough/examples/dashboard/internal/backends"
	"github.com/readthrough/readthrough/examples/dashboard/internal/incidents"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
)

// Singles reads by the ways that the page does not use, and returns the versions of what it got: each entity of a
// system by itself, and other lists. It is for the sampler and the tests.
func Singles(ctx context.Context, b *backends.All, user, system string) (Versions, error) {
	v := Versions{}
	health, err := b.Health.Status(ctx, system)
	err = note(v, "health:"+system, health, err)
	one, e := b.Catalog.System(ctx, system)
	err = errors.Join(err, note(v, "catalog", one, e))
	groups, e := b.Catalog.GroupsOf(ctx, system)
	err = errors.Join(err, note(v, "catalog", groups, e))
	entities, e := b.Catalog.Entities(ctx)
	err = errors.Join(err, note(v, "catalog", entities, e))
	list, e := b.Incidents.List(ctx, incidents.Filters{Systems: []string{system}})
	err = errors.Join(err, note(v, "incidents", list, e))
	for _, incident := range list.Value {
		single, e := b.Incidents.Incident(ctx, incident.ID)
		err = errors.Join(err, note(v, fmt.Sprintf("incident:%d", incident.ID), single, e))
	}
	latest, e := b.Objectives.List(ctx, 10)
	err = errors.Join(err, note(v, "objectives", latest, e))
	for _, objective := range latest.Value {
		single, e := b.Objectives.Objective(ctx, objective.ID)
		err = errors.Join(err, note(v, fmt.Sprintf("objective:%d", objective.ID), single, e))
	}
	of, e := b.Anomalies.Anomalies(ctx, anomalies.Filters{Systems: []string{system}})
	err = errors.Join(err, note(v, "anomalies", of, e))
	all, e := b.Announcements.Active(ctx, announcements.For{User: user, Dismissed: true})
	if err = errors.Join(err, note(v, "announcements", all, e)); err == nil && user != "" {
		v.note("dismissals:"+user, all.Value.Dismissals)
	}
	maintenances, e := b.Maintenances.BySystem(ctx, system)
	for _, m := range maintenances {
		single, e := b.Maintenances.Get(ctx, m.ID)
		err = errors.Join(err, note(v, fmt.Sprintf("maintenance:%d", m.ID), revision.Of[string]{Version: single.Version}, e))
	}
	return v, errors.Join(err, note(v, "", revision.Of[string]{}, e))
}

// note keeps the version of a value that was read. What is not there, because it was deleted meanwhile, is not an error.
func note[T any](v Versions, name string, value revision.Of[T], err error) error {
	if err == nil && name != "" {
		v.note(name, value.Version)
	}
	if errors.Is(err, readthrough.ErrNotFound) {
		return nil
	}
	return err
}
