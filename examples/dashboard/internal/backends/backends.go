// Package backends connects the eight backends of the dashboard: each reads through one cache, and they tell
// each other of deleted systems and users.
package backends

import (
	"context"
	"database/sql"
	"errors"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/announcements"
	"github.com/readthrough/readthrough/examples/dashboard/internal/anomalies"
	"github.com/readthrough/readthrough/examples/dashboard/internal/catalog"
	"github.com/readthrough/readthrough/examples/dashboard/internal/health"
	"github.com/readthrough/readthrough/examples/dashboard/internal/incidents"
	"github.com/readthrough/readthrough/examples/dashboard/internal/notifications"
	"github.com/readthrough/readthrough/examples/dashboard/internal/objectives"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
	maintenances "github.com/readthrough/readthrough/examples/internal/maintenance/cache"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
	"github.com/readthrough/readthrough/examples/internal/signals"
	"github.com/readthrough/readthrough/examples/internal/users"
)

// All are the backends.
type All struct {
	Health        *health.Cached
	Incidents     *incidents.Cached
	Maintenances  *maintenances.Maintenances
	Catalog       *catalog.Cached
	Objectives    *objectives.Cached
	Anomalies     *anomalies.Cached
	Notifications *notifications.Cached
	Announcements *announcements.Cached
	// Users is a service of somebody else, which knows the names of users. It is not cached.
	Users *users.Directory
	Cache *readthrough.Cache
	DB    *database.DB

	signals signals.Publisher
	scope   *readthrough.CachedScope // Mutate wants one, also for targets that name theirs
}

// Schema returns the tables of all backends.
func Schema() database.Schema { return service.Schema().And(revision.Schema()) }

// New returns the backends on a database that has the tables of [Schema], read through c.
func New(c *readthrough.Cache, db *database.DB, p signals.Publisher) (a *All, err error) {
	a = &All{Cache: c, DB: db, Users: users.NewDirectory(), signals: p}
	open := func(f func() error) { // after an error, nothing more is opened
		if err == nil {
			err = f()
		}
	}
	open(func() (err error) { a.Health, err = health.New(c, health.Service{DB: db}, p); return err })
	open(func() (err error) { a.Incidents, err = incidents.New(c, incidents.Service{DB: db}, p); return err })
	open(func() (err error) { a.Maintenances, err = maintenances.New(c, service.New(db), p); return err })
	open(func() (err error) { a.Objectives, err = objectives.New(c, objectives.Service{DB: db}, p); return err })
	open(func() (err error) { a.Anomalies, err = anomalies.New(c, anomalies.Service{DB: db}, p); return err })
	open(func() (err error) {
		a.Notifications, err = notifications.New(c, notifications.Service{DB: db}, p)
		return err
	})
	open(func() (err error) {
		a.Announcements, err = announcements.New(c, announcements.Service{DB: db}, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	a.Maintenances.Notify(a.Users.Name, a.Notifications.Notify)
	a.Catalog, err = catalog.New(c, catalog.Service{DB: db}, p,
		a.Health.SystemDeleted, a.Incidents.SystemDeleted, a.Maintenances.SystemDeleted,
		a.Objectives.SystemDeleted, a.Anomalies.SystemDeleted, a.Notifications.SystemDeleted)
	a.scope = c.Scopes()[0]
	return a, err
}

// UserDeleted is called when the directory of users has deleted a user: what the backends have of the user goes in
// one transaction, and is dropped by one invalidation.
func (a *All) UserDeleted(ctx context.Context, user string) error {
	if user == "" {
		return errors.New("dashboard: user must not be empty")
	}
	_, err := readthrough.Mutate(ctx, a.scope, readthrough.Mutation[readthrough.Targets]{
		Write: database.Refusable(func(ctx context.Context) (stale readthrough.Targets, err error) {
			err = a.DB.Write(ctx, func(tx *sql.Tx) error {
				inbox, err := a.Notifications.UserDeleted(ctx, tx, user)
				if err != nil {
					return err
				}
				dismissed, err := a.Announcements.UserDeleted(ctx, tx, user)
				stale = inbox.And(dismissed)
				return err
			})
			return stale, err
		}),
		Invalidate: func(stale readthrough.Targets) readthrough.Targets { return stale },
		Emit: func(context.Context, readthrough.Targets) error {
			return a.signals.Publish("user.deleted", revision.Signal{User: user})
		},
	})
	return err
}
