package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/signals"
)

// Hook is what another backend does when a system is deleted or created: in the same transaction, it removes
// what it has of the system, and it returns which of its entries are stale then. A new system has nothing to
// remove, but its absence may be cached.
type Hook func(ctx context.Context, tx *sql.Tx, system string) (readthrough.Targets, error)

// Cached is the service behind the cache. Every reader of entity:… joins the same tables, so each change of
// systems, groups and memberships drops all of them. Views and contacts have families of their own.
type Cached struct {
	service  Service
	signals  signals.Publisher
	scope    *readthrough.CachedScope
	hooks    []Hook
	entities *readthrough.List[All, revision.Of[[]Entity]]
	systems  *readthrough.List[Filter, revision.Of[[]System]]
	system   *readthrough.Family[string, revision.Of[System]]
	groups   *readthrough.List[All, revision.Of[[]Group]]
	groupsOf *readthrough.Family[string, revision.Of[[]string]]
	views    *readthrough.List[All, revision.Of[[]View]]
	contacts *readthrough.Family[string, revision.Of[[]Contact]]
}

// New returns the catalog, read through c. The hooks run when a system is deleted.
func New(c *readthrough.Cache, s Service, p signals.Publisher, hooks ...Hook) (*Cached, error) {
	scope, err := c.Scope("catalog", readthrough.ScopeOptions{TTL: 25 * time.Second, NotFound: ErrNotFound})
	if err != nil {
		return nil, err
	}
	k := &Cached{service: s, signals: p, scope: scope, hooks: hooks}
	if k.entities, err = readthrough.NewList(scope, "entity:all:", s.Entities); err != nil {
		return nil, err
	}
	if k.systems, err = readthrough.NewList(scope, "entity:systems:", s.Systems); err != nil {
		return nil, err
	}
	if k.system, err = readthrough.NewFamily(scope, "entity:system:", readthrough.Loads[string, revision.Of[System]]{One: s.System}); err != nil {
		return nil, err
	}
	if k.groups, err = readthrough.NewList(scope, "entity:groups:", s.Groups); err != nil {
		return nil, err
	}
	if k.groupsOf, err = readthrough.NewFamily(scope, "entity:groups-of:", readthrough.Loads[string, revision.Of[[]string]]{Many: s.GroupsOf}); err != nil {
		return nil, err
	}
	if k.views, err = readthrough.NewList(scope, "view:", s.Views); err != nil {
		return nil, err
	}
	k.contacts, err = readthrough.NewFamily(scope, "contact:", readthrough.Loads[string, revision.Of[[]Contact]]{Many: s.Contacts})
	return k, err
}

// Entities returns all systems and groups.
func (c *Cached) Entities(ctx context.Context) (revision.Of[[]Entity], error) {
	return c.entities.Get(ctx, All{})
}

// Systems returns the systems that match f, sorted by id.
func (c *Cached) Systems(ctx context.Context, f Filter) (revision.Of[[]System], error) {
	return c.systems.Get(ctx, f)
}

// System returns one system.
func (c *Cached) System(ctx context.Context, id string) (revision.Of[System], error) {
	return c.system.Get(ctx, id)
}

// Groups returns all groups with their systems.
func (c *Cached) Groups(ctx context.Context) (revision.Of[[]Group], error) {
	return c.groups.Get(ctx, All{})
}

// GroupsOf returns the ids of the groups of a system.
func (c *Cached) GroupsOf(ctx context.Context, system string) (revision.Of[[]string], error) {
	return c.groupsOf.Get(ctx, system)
}

// Views returns all views.
func (c *Cached) Views(ctx context.Context) (revision.Of[[]View], error) {
	return c.views.Get(ctx, All{})
}

// Contacts returns the contacts of each of systems that exists.
func (c *Cached) Contacts(ctx context.Context, systems []string) (map[string]revision.Of[[]Contact], error) {
	return c.contacts.GetMany(ctx, systems)
}

// PutSystem creates or renames a system.
func (c *Cached) PutSystem(ctx context.Context, id, name string) error {
	return c.change(ctx, func(ctx context.Context) (change, error) { return c.putSystem(ctx, id, name) })
}

// DeleteSystem deletes a system, with what the other backends have of it: that is one transaction, and one
// invalidation in all scopes.
func (c *Cached) DeleteSystem(ctx context.Context, id string) error {
	return c.change(ctx, func(ctx context.Context) (change, error) { return c.deleteSystem(ctx, id) })
}

// PutGroup creates or renames a group.
func (c *Cached) PutGroup(ctx context.Context, id, name string) error {
	return c.changeEntities(ctx, func(ctx context.Context) (int64, error) { return c.service.put(ctx, "system_group", id, name) })
}

// DeleteGroup deletes a group. Its systems stay.
func (c *Cached) DeleteGroup(ctx context.Context, id string) error {
	return c.changeEntities(ctx, func(ctx context.Context) (int64, error) {
		return c.service.run(ctx, `DELETE FROM system_group WHERE id = @a`, "catalog", id, "")
	})
}

// Join puts a system into a group.
func (c *Cached) Join(ctx context.Context, system, group string) error {
	return c.changeEntities(ctx, func(ctx context.Context) (int64, error) {
		return c.service.run(ctx, `INSERT INTO membership (system_id, group_id) VALUES (@a, @b) ON CONFLICT DO NOTHING`, "catalog", system, group)
	})
}

// Leave takes it out.
func (c *Cached) Leave(ctx context.Context, system, group string) error {
	return c.changeEntities(ctx, func(ctx context.Context) (int64, error) {
		return c.service.run(ctx, `DELETE FROM membership WHERE system_id = @a AND group_id = @b`, "catalog", system, group)
	})
}

// PutView creates or changes a view: the systems of a group.
func (c *Cached) PutView(ctx context.Context, id, group string) error {
	return c.mutate(ctx, c.views.All(), nil, func(ctx context.Context) (int64, error) {
		return c.service.run(ctx, `
			INSERT INTO catalog_view (id, name, group_id) VALUES (@a, @a, @b)
			ON CONFLICT (id) DO UPDATE SET group_id = excluded.group_id`, "views", id, group)
	})
}

// DeleteView deletes a view.
func (c *Cached) DeleteView(ctx context.Context, id string) error {
	return c.mutate(ctx, c.views.All(), nil, func(ctx context.Context) (int64, error) {
		return c.service.run(ctx, `DELETE FROM catalog_view WHERE id = @a`, "views", id, "")
	})
}

// PutContact makes a user a contact of a system.
func (c *Cached) PutContact(ctx context.Context, system, user string) error {
	return c.mutate(ctx, c.contacts.Of(system), []string{system}, func(ctx context.Context) (int64, error) {
		return c.service.run(ctx, `
			INSERT INTO contact (system_id, user_id, role) VALUES (@a, @b, 'owner') ON CONFLICT DO NOTHING`, "contacts:"+system, system, user)
	})
}

// DeleteContact ends that.
func (c *Cached) DeleteContact(ctx context.Context, system, user string) error {
	return c.mutate(ctx, c.contacts.Of(system), []string{system}, func(ctx context.Context) (int64, error) {
		return c.service.run(ctx, `DELETE FROM contact WHERE system_id = @a AND user_id = @b`, "contacts:"+system, system, user)
	})
}

// change is what a mutation of systems has changed.
type change struct {
	version int64
	system  string
	stale   readthrough.Targets // in other backends
}

func (c *Cached) putSystem(ctx context.Context, id, name string) (done change, err error) {
	done.system = id
	done.version, err = c.service.put(ctx, "system", id, name, func(tx *sql.Tx) error {
		var known bool
		err := tx.QueryRowContext(ctx, `SELECT count(*) > 0 FROM system WHERE id = @id`, sql.Named("id", id)).Scan(&known)
		if err != nil || known {
			return err
		}
		return c.runHooks(ctx, tx, &done)
	})
	return done, err
}

func (c *Cached) deleteSystem(ctx context.Context, id string) (done change, err error) {
	done.system = id
	done.version, err = c.service.run(ctx, `DELETE FROM system WHERE id = @a`, "catalog", id, "", func(tx *sql.Tx) error {
		return c.runHooks(ctx, tx, &done)
	})
	return done, err
}

func (c *Cached) runHooks(ctx context.Context, tx *sql.Tx, done *change) error {
	done.stale = c.contacts.Of(done.system)
	for _, hook := range c.hooks {
		stale, err := hook(ctx, tx, done.system)
		if err != nil {
			return err
		}
		done.stale = done.stale.And(stale)
	}
	_, err := revision.Bump(ctx, tx, "contacts:"+done.system)
	return err
}

// change runs a mutation of systems, of which other backends know.
func (c *Cached) change(ctx context.Context, write func(context.Context) (change, error)) error {
	_, err := readthrough.Mutate(ctx, c.scope, readthrough.Mutation[change]{
		Write:      database.Refusable(write),
		Invalidate: func(done change) readthrough.Targets { return c.scope.Under("entity:").And(done.stale) },
		Emit: func(_ context.Context, done change) error {
			return c.signals.Publish("catalog.updated", revision.Signal{Version: done.version, Systems: []string{done.system}})
		},
	})
	return err
}

// changeEntities runs a mutation of groups or memberships.
func (c *Cached) changeEntities(ctx context.Context, write func(context.Context) (int64, error)) error {
	return c.mutate(ctx, c.scope.Under("entity:"), nil, write)
}

func (c *Cached) mutate(ctx context.Context, stale readthrough.Targets, systems []string, write func(context.Context) (int64, error)) error {
	_, err := readthrough.Mutate(ctx, c.scope, readthrough.Mutation[int64]{
		Write:   database.Refusable(write),
		Targets: stale,
		Emit: func(_ context.Context, version int64) error {
			return c.signals.Publish("catalog.updated", revision.Signal{Version: version, Systems: systems})
		},
	})
	return err
}
