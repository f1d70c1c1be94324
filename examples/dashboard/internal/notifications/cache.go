package notifications

import (
	"context"
	"database/sql"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/revision"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/signals"
)

// Cached is the service behind the cache: the families unread:<user>, list:<user> and subscriptions:<user>.
type Cached struct {
	service       Service
	signals       signals.Publisher
	unread        *readthrough.Family[string, revision.Of[int64]]
	lists         *readthrough.Family[string, revision.Of[[]Notification]]
	subscriptions *readthrough.Family[string, revision.Of[[]string]]
}

// New returns the notifications, read through c.
func New(c *readthrough.Cache, s Service, p signals.Publisher) (*Cached, error) {
	scope, err := c.Scope("notifications", readthrough.ScopeOptions{TTL: 30 * time.Second})
	if err != nil {
		return nil, err
	}
	n := &Cached{service: s, signals: p}
	if n.unread, err = readthrough.NewFamily(scope, "unread:", readthrough.Loads[string, revision.Of[int64]]{One: s.Unread}); err != nil {
		return nil, err
	}
	if n.lists, err = readthrough.NewFamily(scope, "list:", readthrough.Loads[string, revision.Of[[]Notification]]{One: s.List}); err != nil {
		return nil, err
	}
	n.subscriptions, err = readthrough.NewFamily(scope, "subscriptions:", readthrough.Loads[string, revision.Of[[]string]]{One: s.Subscriptions})
	return n, err
}

// Unread returns how many notifications a user has not seen.
func (c *Cached) Unread(ctx context.Context, user string) (revision.Of[int64], error) {
	return c.unread.Get(ctx, user)
}

// List returns the latest notifications of a user.
func (c *Cached) List(ctx context.Context, user string) (revision.Of[[]Notification], error) {
	return c.lists.Get(ctx, user)
}

// Subscriptions returns the systems that a user has subscribed to.
func (c *Cached) Subscriptions(ctx context.Context, user string) (revision.Of[[]string], error) {
	return c.subscriptions.Get(ctx, user)
}

// MarkRead marks a notification of a user, or all of them if id is 0, as seen.
func (c *Cached) MarkRead(ctx context.Context, user string, id int64) error {
	return c.mutate(ctx, c.inbox, func(ctx context.Context) (Change, error) { return c.service.MarkRead(ctx, user, id) })
}

// Delete deletes a notification of a user.
func (c *Cached) Delete(ctx context.Context, user string, id int64) error {
	return c.mutate(ctx, c.inbox, func(ctx context.Context) (Change, error) { return c.service.Delete(ctx, user, id) })
}

// Notify sends a text to users. Each of them is told after the entries of all were dropped.
func (c *Cached) Notify(ctx context.Context, text string, users ...string) error {
	return c.mutate(ctx, c.inbox, func(ctx context.Context) (Change, error) { return c.service.Notify(ctx, text, users...) })
}

// NotifyGroup sends a text to the members of a group.
func (c *Cached) NotifyGroup(ctx context.Context, text, group string) error {
	return c.mutate(ctx, c.inbox, func(ctx context.Context) (Change, error) { return c.service.NotifyGroup(ctx, text, group) })
}

// Subscribe lets a user be told of what happens to a system.
func (c *Cached) Subscribe(ctx context.Context, user, system string) error {
	return c.mutate(ctx, c.subscribed, func(ctx context.Context) (Change, error) { return c.service.Subscribe(ctx, user, system) })
}

// Unsubscribe ends that.
func (c *Cached) Unsubscribe(ctx context.Context, user, system string) error {
	return c.mutate(ctx, c.subscribed, func(ctx context.Context) (Change, error) { return c.service.Unsubscribe(ctx, user, system) })
}

// inbox is what a change of the notifications of users makes stale, and subscribed one of their subscriptions.
func (c *Cached) inbox(users ...string) readthrough.Targets {
	return c.unread.Of(users...).And(c.lists.Of(users...))
}

func (c *Cached) subscribed(users ...string) readthrough.Targets { return c.subscriptions.Of(users...) }

func (c *Cached) mutate(ctx context.Context, stale func(users ...string) readthrough.Targets, write func(context.Context) (Change, error)) error {
	_, err := readthrough.Mutate(ctx, c.unread.Scope(), readthrough.Mutation[Change]{
		Write:      database.Refusable(write),
		Invalidate: func(change Change) readthrough.Targets { return stale(change.Users...) },
		Emit: func(_ context.Context, change Change) error {
			for _, user := range change.Users {
				if err := c.signals.Publish("notification.updated", revision.Signal{Version: change.Version, User: user}); err != nil {
					return err
				}
			}
			return nil
		},
	})
	return err
}

// SystemDeleted is the hook of the catalog.
func (c *Cached) SystemDeleted(ctx context.Context, tx *sql.Tx, system string) (readthrough.Targets, error) {
	users, err := c.service.Unsubscribed(ctx, tx, system)
	return c.subscribed(users...), err
}

// UserDeleted is the hook of the directory of users.
func (c *Cached) UserDeleted(ctx context.Context, tx *sql.Tx, user string) (readthrough.Targets, error) {
	return c.inbox(user).And(c.subscribed(user)), c.service.Forget(ctx, tx, user)
}
