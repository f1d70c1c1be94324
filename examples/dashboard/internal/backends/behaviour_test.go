package backends_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/announcements"
	"github.com/readthrough/readthrough/examples/dashboard/internal/incidents"
	"github.com/readthrough/readthrough/examples/dashboard/internal/view"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
	"github.com/readthrough/readthrough/examples/internal/postgres"
)

func isUnchanged(err error) bool { return errors.Is(err, readthrough.ErrUnchanged) }

// A refresh costs as many queries as there are kinds of reads and objectives; when nothing has changed, none; and without the
// cache, as many as a cold one.
func TestQueriesOfARefresh(t *testing.T) {
	b := open(t, "")
	cold, err := view.Refresh(t.Context(), b.All, "lin")
	require.NoError(t, err)
	assert.Equal(t, int64(16+3), cold.Cost.Queries, "cold")
	warm, err := view.Refresh(t.Context(), b.All, "lin")
	require.NoError(t, err)
	assert.Zero(t, warm.Cost.Queries, "warm")
	direct, err := view.Refresh(b.Cache.Bypass(t.Context()), b.All, "lin")
	require.NoError(t, err)
	assert.Equal(t, cold.Cost.Queries, direct.Cost.Queries, "without the cache")
	direct.Cost, warm.Cost = view.Cost{}, view.Cost{}
	assert.Equal(t, direct, warm, "what is shown")
	require.NoError(t, b.Health.Ingest(t.Context(), result("api")))
	after, err := view.Refresh(t.Context(), b.All, "lin")
	require.NoError(t, err)
	assert.Equal(t, int64(1), after.Cost.Queries, "after a result of one system")
}

// Who subscribes to a system is told of its maintenances by names.
func TestSubscribersAreToldByName(t *testing.T) {
	b := open(t, "")
	require.NoError(t, b.Notifications.Subscribe(t.Context(), "tomas", "db-orders"))
	_, err := b.Maintenances.AddUpdate(t.Context(), 4, service.Report{Author: "jonas", Message: "Done soon."})
	require.NoError(t, err)
	list, err := b.Notifications.List(t.Context(), "tomas")
	require.NoError(t, err)
	require.Len(t, list.Value, 1)
	assert.Equal(t, "Upgrade the orders database (Checkout, Orders database) is in progress. Jonas Weber: Done soon.", list.Value[0].Text)
}

// A deleted system is gone from everything that showed it; the rest stays.
func TestSystemDeleted(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(*testing.T) string{"SQLite": func(*testing.T) string { return "" }, "PostgreSQL": startPostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, url(t))
			b.fill()
			_, err := b.Incidents.Create(t.Context(), incidents.Draft{Title: "x", Systems: []string{"mail", "dns"}})
			require.NoError(t, err)
			require.NoError(t, b.Catalog.DeleteSystem(t.Context(), "mail"))
			d, err := view.Refresh(t.Context(), b.All, "mara")
			require.NoError(t, err)
			assert.Len(t, d.Systems, 11)
			assert.Equal(t, []string{"queue"}, d.Subscriptions)
			require.Len(t, d.Incidents, 2)
			assert.Equal(t, []string{"dns"}, d.Incidents[0].Systems)
			assert.Empty(t, d.Incidents[1].Systems)
			_, err = b.Health.Status(t.Context(), "mail")
			assert.ErrorIs(t, err, readthrough.ErrNotFound)
			_, err = b.Maintenances.BySystem(t.Context(), "mail")
			assert.ErrorIs(t, err, service.ErrNotFound)
			// What is created again is there at once, although its absence was cached.
			require.NoError(t, b.Catalog.PutSystem(t.Context(), "mail", "Mail"))
			_, err = b.Health.Status(t.Context(), "mail")
			assert.NoError(t, err)
			_, err = b.Maintenances.BySystem(t.Context(), "mail")
			assert.NoError(t, err)
		})
	}
}

func TestUserDeleted(t *testing.T) {
	b := open(t, "")
	require.NoError(t, b.Notifications.Notify(t.Context(), "x", "lin"))
	require.NoError(t, b.Announcements.Dismiss(t.Context(), "lin", 1))
	for _, want := range []struct {
		unread        int64
		announcements int
	}{{1, 0}, {0, 1}} {
		unread, err := b.Notifications.Unread(t.Context(), "lin")
		require.NoError(t, err)
		assert.Equal(t, want.unread, unread.Value)
		active, err := b.Announcements.Active(t.Context(), announcements.For{User: "lin"})
		require.NoError(t, err)
		assert.Len(t, active.Value.Announcements, want.announcements)
		require.NoError(t, b.UserDeleted(t.Context(), "lin"))
	}
}

// startPostgres starts a PostgreSQL server and returns its URL.
func startPostgres(t *testing.T) string {
	t.Helper()
	server, err := postgres.Start(t.Context())
	if errors.Is(err, postgres.ErrNotInstalled) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	return server.URL()
}
