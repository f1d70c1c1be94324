package announcements

import (
	"context"
	"database/sql"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/signals"
)

// Cached is the service behind the cache: the family active:<user>/<with dismissed>. A change of announcements
// drops all of it, and a change of one user what is under active:<user>/.
type Cached struct {
	service Service
	signals signals.Publisher
	active  *readthrough.Family[For, revision.Of[Active]]
}

// New returns the announcements, read through c.
func New(c *readthrough.Cache, s Service, p signals.Publisher) (*Cached, error) {
	scope, err := c.Scope("announcements", readthrough.ScopeOptions{TTL: 45 * time.Second})
	if err != nil {
		return nil, err
	}
	active, err := readthrough.NewFamily(scope, "active:", readthrough.Loads[For, revision.Of[Active]]{One: s.Active})
	return &Cached{s, p, active}, err
}

// Active returns the announcements for somebody, the latest first.
func (c *Cached) Active(ctx context.Context, f For) (revision.Of[Active], error) {
	return c.active.Get(ctx, f)
}

// Put creates the announcement 0, or changes another one.
func (c *Cached) Put(ctx context.Context, a Announcement) error {
	return c.mutate(ctx, c.active.All(), "", func(ctx context.Context) (int64, error) { return c.service.Put(ctx, a) })
}

// Delete deletes an announcement.
func (c *Cached) Delete(ctx context.Context, id int64) error {
	return c.mutate(ctx, c.active.All(), "", func(ctx context.Context) (int64, error) { return c.service.Delete(ctx, id) })
}

// Dismiss hides an announcement from a user.
func (c *Cached) Dismiss(ctx context.Context, user string, id int64) error {
	return c.mutate(ctx, c.of(user), user, func(ctx context.Context) (int64, error) { return c.service.Dismiss(ctx, user, id) })
}

// of returns what is cached for a user.
func (c *Cached) of(user string) readthrough.Targets { return c.active.Under(For{User: user}, 1) }

func (c *Cached) mutate(ctx context.Context, stale readthrough.Targets, user string, write func(context.Context) (int64, error)) error {
	_, err := readthrough.Mutate(ctx, c.active.Scope(), readthrough.Mutation[int64]{
		Write:   database.Refusable(write),
		Targets: stale,
		Emit: func(_ context.Context, version int64) error {
			return c.signals.Publish("announcement.updated", revision.Signal{Version: version, User: user})
		},
	})
	return err
}

// UserDeleted is the hook of the directory of users.
func (c *Cached) UserDeleted(ctx context.Context, tx *sql.Tx, user string) (readthrough.Targets, error) {
	return c.of(user), c.service.Forget(ctx, tx, user)
}
