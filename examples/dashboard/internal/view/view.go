// Package view reads what the page shows: one refresh asks all backends.
package view

import (
	"context"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/announcements"
	"github.com/readthrough/readthrough/examples/dashboard/internal/anomalies"
	"github.com/readthrough/readthrough/examples/dashboard/internal/backends"
	"github.com/readthrough/readthrough/examples/dashboard/internal/catalog"
	"github.com/readthrough/readthrough/examples/dashboard/internal/health"
	"github.com/readthrough/readthrough/examples/dashboard/internal/incidents"
	"github.com/readthrough/readthrough/examples/dashboard/internal/notifications"
	"github.com/readthrough/readthrough/examples/dashboard/internal/objectives"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
	"github.com/readthrough/readthrough/examples/internal/users"
)

// Dashboard is what the page shows to a user.
type Dashboard struct {
	Systems       []System                     `json:"systems"`
	Groups        []catalog.Group              `json:"groups"`
	Views         []catalog.View               `json:"views"`
	Incidents     []incidents.Incident         `json:"incidents"`
	Maintenances  []service.Maintenance        `json:"maintenances"`
	Anomalies     []anomalies.Anomaly          `json:"anomalies"`
	Announcements []announcements.Announcement `json:"announcements"`
	Unread        int64                        `json:"unread"`
	Notifications []notifications.Notification `json:"notifications"`
	Subscriptions []string                     `json:"subscriptions"`
	Users         []users.User                 `json:"users"`
	Cost          Cost                         `json:"cost"`
	// Versions are the versions of what was read.
	Versions Versions `json:"versions,omitempty"`
}

// System is a system with what the backends know of it.
type System struct {
	catalog.System

	Status       health.Status          `json:"status"`
	Contacts     []string               `json:"contacts"` // names
	Incidents    int                    `json:"open_incidents"`
	Maintenances int                    `json:"maintenances"` // that are not over
	Objectives   []objectives.Objective `json:"objectives,omitempty"`
}

// Cost is what a refresh has cost.
type Cost struct {
	Queries int64   `json:"queries"`
	Millis  float64 `json:"ms"`
}

// Versions are the versions of names, see package revision. Of what was read twice, the lower one counts.
type Versions map[string]int64

func (v Versions) note(name string, version int64) {
	if seen, ok := v[name]; !ok || version < seen {
		v[name] = version
	}
}

// Refresh reads everything that the page shows to a user; "": to somebody who has not said who it is.
func Refresh(ctx context.Context, b *backends.All, user string) (*Dashboard, error) {
	ctx, queries := database.CountQueries(ctx)
	began := time.Now()
	r := reader{b: b, user: user, d: &Dashboard{Versions: Versions{}, Users: b.Users.All()}}
	err := r.read(ctx)
	r.d.Cost = Cost{queries.Load(), float64(time.Since(began).Microseconds()) / 1000}
	return r.d, err
}

// reader reads a dashboard.
type reader struct {
	b    *backends.All
	user string
	d    *Dashboard
}

func (r *reader) read(ctx context.Context) error {
	systems, err := r.b.Catalog.Systems(ctx, catalog.Filter{})
	if err != nil {
		return err
	}
	r.d.Versions.note("catalog", systems.Version)
	ids := make([]string, len(systems.Value))
	for i, s := range systems.Value {
		ids[i] = s.ID
		r.d.Systems = append(r.d.Systems, System{System: s})
	}
	for _, step := range []func(context.Context, []string) error{
		r.health, r.incidents, r.maintenances, r.objectives, r.catalog, r.anomalies, r.notifications, r.announcements,
	} {
		if err := step(ctx, ids); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) health(ctx context.Context, ids []string) error {
	statuses, err := r.b.Health.Statuses(ctx, ids)
	for i, id := range ids {
		if status, ok := statuses[id]; ok {
			r.d.Systems[i].Status = status.Value
			r.d.Versions.note("health:"+id, status.Version)
		}
	}
	return err
}

func (r *reader) incidents(ctx context.Context, ids []string) error {
	lists, err := r.b.Incidents.BySystems(ctx, ids)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if list, ok := lists[id]; ok {
			r.d.Versions.note("incidents:"+id, list.Version)
			for _, incident := range list.Value {
				if !incident.Resolved {
					r.d.Systems[i].Incidents++
				}
			}
		}
	}
	open, err := r.b.Incidents.List(ctx, incidents.Filters{Open: true})
	r.d.Incidents = open.Value
	r.d.Versions.note("incidents", open.Version)
	return err
}

func (r *reader) maintenances(ctx context.Context, ids []string) error {
	lists, err := r.b.Maintenances.BySystems(ctx, ids)
	for i, id := range ids {
		for _, m := range lists[id] {
			r.d.Versions.note(fmt.Sprintf("maintenance:%d", m.ID), m.Version)
			if m.Status.Final() {
				continue
			}
			r.d.Systems[i].Maintenances++
		}
	}
	if err != nil {
		return err
	}
	r.d.Maintenances, err = r.b.Maintenances.List(ctx, service.Filters{Statuses: []service.Status{service.Planned, service.InProgress}})
	for _, m := range r.d.Maintenances {
		r.d.Versions.note(fmt.Sprintf("maintenance:%d", m.ID), m.Version)
	}
	return err
}

func (r *reader) objectives(ctx context.Context, ids []string) error {
	lists, err := r.b.Objectives.BySystems(ctx, ids)
	for i, id := range ids {
		if list, ok := lists[id]; ok {
			r.d.Systems[i].Objectives = list.Value
			r.d.Versions.note("objectives:"+id, list.Version)
		}
	}
	return err
}

func (r *reader) catalog(ctx context.Context, ids []string) error {
	groups, err := r.b.Catalog.Groups(ctx)
	if err != nil {
		return err
	}
	r.d.Groups = groups.Value
	r.d.Versions.note("catalog", groups.Version)
	views, err := r.b.Catalog.Views(ctx)
	if err != nil {
		return err
	}
	r.d.Views = views.Value
	r.d.Versions.note("views", views.Version)
	contacts, err := r.b.Catalog.Contacts(ctx, ids)
	for i, id := range ids {
		if of, ok := contacts[id]; ok {
			r.d.Versions.note("contacts:"+id, of.Version)
			for _, contact := range of.Value {
				r.d.Systems[i].Contacts = append(r.d.Systems[i].Contacts, r.b.Users.Name(contact.User))
			}
		}
	}
	return err
}

func (r *reader) anomalies(ctx context.Context, _ []string) error {
	active, err := r.b.Anomalies.Anomalies(ctx, anomalies.Filters{Active: true})
	if err != nil {
		return err
	}
	r.d.Anomalies = active.Value
	r.d.Versions.note("anomalies", active.Version)
	baselines, err := r.b.Anomalies.Baselines(ctx, anomalies.Filters{})
	r.d.Versions.note("baselines", baselines.Version)
	return err
}

func (r *reader) notifications(ctx context.Context, _ []string) error {
	if r.user == "" {
		return nil
	}
	unread, err := r.b.Notifications.Unread(ctx, r.user)
	if err != nil {
		return err
	}
	list, err := r.b.Notifications.List(ctx, r.user)
	if err != nil {
		return err
	}
	subscriptions, err := r.b.Notifications.Subscriptions(ctx, r.user)
	r.d.Unread, r.d.Notifications, r.d.Subscriptions = unread.Value, list.Value, subscriptions.Value
	r.d.Versions.note("inbox:"+r.user, min(unread.Version, list.Version))
	r.d.Versions.note("subscriptions:"+r.user, subscriptions.Version)
	return err
}

func (r *reader) announcements(ctx context.Context, _ []string) error {
	active, err := r.b.Announcements.Active(ctx, announcements.For{User: r.user})
	r.noteAnnouncements(active)
	r.d.Announcements = active.Value.Announcements
	return err
}

func (r *reader) noteAnnouncements(active revision.Of[announcements.Active]) {
	r.d.Versions.note("announcements", active.Version)
	if r.user != "" {
		r.d.Versions.note("dismissals:"+r.user, active.Value.Dismissals)
	}
}
