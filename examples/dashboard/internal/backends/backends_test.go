package backends_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/announcements"
	"github.com/readthrough/readthrough/examples/dashboard/internal/anomalies"
	"github.com/readthrough/readthrough/examples/dashboard/internal/backends"
	"github.com/readthrough/readthrough/examples/dashboard/internal/health"
	"github.com/readthrough/readthrough/examples/dashboard/internal/incidents"
	"github.com/readthrough/readthrough/examples/dashboard/internal/objectives"
	"github.com/readthrough/readthrough/examples/dashboard/internal/seed"
	"github.com/readthrough/readthrough/examples/dashboard/internal/view"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
	"github.com/readthrough/readthrough/memory"
	"github.com/readthrough/readthrough/provider"
)

// board is a dashboard in memory.
type board struct {
	*backends.All

	t *testing.T
	// told are the signals, and first the keys that were stored at the first of them.
	told  []string
	first []string
}

// Publish implements [signals.Publisher].
func (b *board) Publish(event string, _ any) error {
	if len(b.told) == 0 {
		b.first = b.keys()
	}
	b.told = append(b.told, event)
	return nil
}

func open(t *testing.T, url string) *board {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{Database: url, Schema: backends.Schema()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	require.NoError(t, seed.Fill(t.Context(), db, 12))
	store, err := memory.New(memory.Options{})
	require.NoError(t, err)
	cache, err := readthrough.New(store, readthrough.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cache.Close()) })
	b := &board{t: t}
	b.All, err = backends.New(cache, db, b)
	require.NoError(t, err)
	return b
}

// keys returns all stored keys, as scope/key.
func (b *board) keys() (keys []string) {
	for _, scope := range b.Cache.Scopes() {
		page, err := scope.Entries(context.WithoutCancel(b.t.Context()), provider.ListOptions{Limit: 1000})
		require.NoError(b.t, err)
		for _, e := range page.Entries {
			keys = append(keys, scope.Name()+"/"+e.Key.Name)
		}
	}
	slices.Sort(keys)
	return keys
}

// fill reads everything, for two users and nobody, so that it is stored.
func (b *board) fill() {
	b.t.Helper()
	ctx := b.t.Context()
	for _, user := range []string{"lin", "mara", ""} {
		_, err := view.Refresh(ctx, b.All, user)
		require.NoError(b.t, err)
		for _, system := range []string{"api", "mail"} {
			_, err = view.Singles(ctx, b.All, user, system)
			require.NoError(b.t, err)
		}
	}
	for _, system := range []string{"api", "mail"} { // the detector reads its baseline
		require.NoError(b.t, b.Anomalies.Observe(ctx, anomalies.Metric{System: system, Name: "latency"}, 80))
	}
	b.told = nil
}

// Every mutation drops exactly what it makes stale, in every scope, before its first signal. A pattern with an asterisk at
// its end stands for all keys that begin like that; each pattern has to match something that was stored.
func TestWhatEachMutationDrops(t *testing.T) {
	t.Parallel()
	latency := anomalies.Metric{System: "api", Name: "latency"}
	draft := objectives.Draft{Name: "Answers", Target: 0.99, Days: 7}
	one := func(_ any, err error) error { return err }
	for name, test := range map[string]struct {
		do    func(ctx context.Context, b *board) error
		drops []string
		tells []string
	}{
		"health: configure":  {func(ctx context.Context, b *board) error { return b.Health.Configure(ctx, "api", 300) }, []string{"health/status:api"}, []string{"health.updated"}},
		"health: associate":  {func(ctx context.Context, b *board) error { return b.Health.Associate(ctx, "oregon", "api") }, []string{"health/status:api"}, []string{"health.updated"}},
		"health: dissociate": {func(ctx context.Context, b *board) error { return b.Health.Dissociate(ctx, "oregon", "api") }, []string{"health/status:api"}, []string{"health.updated"}},
		"health: ingest":     {func(ctx context.Context, b *board) error { return b.Health.Ingest(ctx, result("api")) }, []string{"health/status:api"}, []string{"health.updated"}},
		"health: check runs": {func(ctx context.Context, b *board) error { return b.Health.Ingest(ctx, result("api"), result("mail")) }, []string{"health/status:api", "health/status:mail"}, []string{"health.updated", "health.updated"}},
		"health: one bad run": {func(ctx context.Context, b *board) error {
			return refused(b.Health.Ingest(ctx, result("api"), result("nosuch")))
		}, nil, nil},
		"health: remove satellite": {func(ctx context.Context, b *board) error { return b.Health.RemoveSatellite(ctx, "oregon") }, []string{"health/status:*"}, []string{"health.updated"}},

		"incidents: create": {
			func(ctx context.Context, b *board) error {
				return one(b.Incidents.Create(ctx, incidents.Draft{Title: "x", Systems: []string{"api", "dns"}}))
			},
			[]string{"incidents/system:api", "incidents/system:dns", "incidents/list:*"},
			[]string{"incident.updated"},
		},
		"incidents: move": {
			func(ctx context.Context, b *board) error {
				return one(b.Incidents.Update(ctx, 1, incidents.Draft{Title: "x", Systems: []string{"api"}}))
			},
			[]string{"incidents/incident:1", "incidents/system:api", "incidents/system:mail", "incidents/list:*"},
			[]string{"incident.updated"},
		},
		"incidents: report":  {func(ctx context.Context, b *board) error { return one(b.Incidents.AddUpdate(ctx, 1, "lin", "x")) }, []string{"incidents/incident:1", "incidents/system:mail", "incidents/list:*"}, []string{"incident.updated"}},
		"incidents: resolve": {func(ctx context.Context, b *board) error { return one(b.Incidents.Resolve(ctx, 1, "lin")) }, []string{"incidents/incident:1", "incidents/system:mail", "incidents/list:*"}, []string{"incident.updated"}},
		"incidents: delete":  {func(ctx context.Context, b *board) error { return b.Incidents.Delete(ctx, 1) }, []string{"incidents/incident:1", "incidents/system:mail", "incidents/list:*"}, []string{"incident.updated"}},
		"incidents: refused": {func(ctx context.Context, b *board) error {
			return refused(one(b.Incidents.AddUpdate(ctx, 1, "lin", "")))
		}, nil, nil},

		// Its subscriber is mara.
		"maintenances: report": {
			func(ctx context.Context, b *board) error {
				return one(b.Maintenances.AddUpdate(ctx, 5, service.Report{Author: "lin", Message: "x"}))
			},
			[]string{"maintenance/maintenance:5", "maintenance/system:mail", "maintenance/list:*", "notifications/unread:mara", "notifications/list:mara"},
			[]string{"notification.updated", "maintenance.updated"},
		},

		"catalog: rename system": {func(ctx context.Context, b *board) error { return b.Catalog.PutSystem(ctx, "api", "API") }, []string{"catalog/entity:*"}, []string{"catalog.updated"}},
		"catalog: put group":     {func(ctx context.Context, b *board) error { return b.Catalog.PutGroup(ctx, "new", "New") }, []string{"catalog/entity:*"}, []string{"catalog.updated"}},
		"catalog: delete group":  {func(ctx context.Context, b *board) error { return b.Catalog.DeleteGroup(ctx, "shop") }, []string{"catalog/entity:*"}, []string{"catalog.updated"}},
		"catalog: join":          {func(ctx context.Context, b *board) error { return b.Catalog.Join(ctx, "mail", "shop") }, []string{"catalog/entity:*"}, []string{"catalog.updated"}},
		"catalog: leave":         {func(ctx context.Context, b *board) error { return b.Catalog.Leave(ctx, "api", "shop") }, []string{"catalog/entity:*"}, []string{"catalog.updated"}},
		"catalog: put view":      {func(ctx context.Context, b *board) error { return b.Catalog.PutView(ctx, "x", "data") }, []string{"catalog/view:*"}, []string{"catalog.updated"}},
		"catalog: delete view":   {func(ctx context.Context, b *board) error { return b.Catalog.DeleteView(ctx, "shop") }, []string{"catalog/view:*"}, []string{"catalog.updated"}},
		"catalog: put contact":   {func(ctx context.Context, b *board) error { return b.Catalog.PutContact(ctx, "dns", "lin") }, []string{"catalog/contact:dns"}, []string{"catalog.updated"}},
		"catalog: end contact":   {func(ctx context.Context, b *board) error { return b.Catalog.DeleteContact(ctx, "mail", "mara") }, []string{"catalog/contact:mail"}, []string{"catalog.updated"}},

		"objectives: create": {func(ctx context.Context, b *board) error { return one(b.Objectives.Create(ctx, "dns", draft)) }, []string{"objectives/system:dns", "objectives/list:*"}, []string{"objective.updated"}},
		"objectives: update": {func(ctx context.Context, b *board) error { return one(b.Objectives.Update(ctx, 1, draft)) }, []string{"objectives/objective:1", "objectives/system:api", "objectives/list:*"}, []string{"objective.updated"}},
		"objectives: delete": {func(ctx context.Context, b *board) error { return b.Objectives.Delete(ctx, 1) }, []string{"objectives/objective:1", "objectives/system:api", "objectives/list:*"}, []string{"objective.updated"}},

		"anomalies: suspicious": {func(ctx context.Context, b *board) error { return b.Anomalies.Observe(ctx, latency, 200) }, []string{"anomalies/*"}, []string{"anomaly.updated"}},
		"anomalies: usual":      {func(ctx context.Context, b *board) error { return b.Anomalies.Observe(ctx, latency, 80) }, nil, nil},
		"anomalies: configure": {
			func(ctx context.Context, b *board) error {
				return b.Anomalies.Configure(ctx, anomalies.Baseline{Metric: latency, Mean: 1, Deviation: 1})
			},
			[]string{"anomalies/*", "detector/baseline:api/latency"},
			[]string{"anomaly.updated"},
		},

		"notifications: notify":       {func(ctx context.Context, b *board) error { return b.Notifications.Notify(ctx, "x", "lin", "ines") }, []string{"notifications/unread:lin", "notifications/list:lin"}, []string{"notification.updated", "notification.updated"}},
		"notifications: notify group": {func(ctx context.Context, b *board) error { return b.Notifications.NotifyGroup(ctx, "x", "on-call") }, []string{"notifications/unread:*", "notifications/list:*"}, slices.Repeat([]string{"notification.updated"}, 4)},
		"notifications: read":         {func(ctx context.Context, b *board) error { return b.Notifications.MarkRead(ctx, "lin", 0) }, []string{"notifications/unread:lin", "notifications/list:lin"}, []string{"notification.updated"}},
		"notifications: delete":       {func(ctx context.Context, b *board) error { return b.Notifications.Delete(ctx, "lin", 1) }, []string{"notifications/unread:lin", "notifications/list:lin"}, []string{"notification.updated"}},
		"notifications: subscribe":    {func(ctx context.Context, b *board) error { return b.Notifications.Subscribe(ctx, "lin", "dns") }, []string{"notifications/subscriptions:lin"}, []string{"notification.updated"}},
		"notifications: unsubscribe":  {func(ctx context.Context, b *board) error { return b.Notifications.Unsubscribe(ctx, "lin", "cdn") }, []string{"notifications/subscriptions:lin"}, []string{"notification.updated"}},

		"announcements: create": {func(ctx context.Context, b *board) error {
			return b.Announcements.Put(ctx, announcements.Announcement{Title: "x"})
		}, []string{"announcements/active:*"}, []string{"announcement.updated"}},
		"announcements: update": {func(ctx context.Context, b *board) error {
			return b.Announcements.Put(ctx, announcements.Announcement{ID: 1, Title: "x"})
		}, []string{"announcements/active:*"}, []string{"announcement.updated"}},
		"announcements: delete":  {func(ctx context.Context, b *board) error { return b.Announcements.Delete(ctx, 1) }, []string{"announcements/active:*"}, []string{"announcement.updated"}},
		"announcements: dismiss": {func(ctx context.Context, b *board) error { return b.Announcements.Dismiss(ctx, "lin", 1) }, []string{"announcements/active:lin/*"}, []string{"announcement.updated"}},

		"user deleted": {
			func(ctx context.Context, b *board) error { return b.UserDeleted(ctx, "lin") },
			[]string{"announcements/active:lin/*", "notifications/unread:lin", "notifications/list:lin", "notifications/subscriptions:lin"},
			[]string{"user.deleted"},
		},
		// Mail has an incident, two maintenances, of which one is also of queue, and mara as its subscriber and contact.
		"system deleted": {
			func(ctx context.Context, b *board) error { return b.Catalog.DeleteSystem(ctx, "mail") },
			[]string{
				"health/status:mail", "incidents/incident:1", "incidents/system:mail", "incidents/list:*",
				"maintenance/maintenance:5", "maintenance/maintenance:8", "maintenance/system:mail", "maintenance/system:queue", "maintenance/list:*",
				"catalog/entity:*", "catalog/contact:mail", "objectives/system:mail", "objectives/list:*",
				"anomalies/*", "detector/baseline:mail/latency", "notifications/subscriptions:mara",
			},
			[]string{"catalog.updated"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, "")
			b.fill()
			before := b.keys()
			require.NoError(t, test.do(t.Context(), b))
			after := b.keys()
			var dropped, want []string
			for _, key := range before {
				if !slices.Contains(after, key) {
					dropped = append(dropped, key)
				}
				if slices.ContainsFunc(test.drops, func(p string) bool { return matches(p, key) }) {
					want = append(want, key)
				}
			}
			assert.Equal(t, want, dropped, "dropped keys")
			for _, pattern := range test.drops {
				assert.True(t, slices.ContainsFunc(before, func(key string) bool { return matches(pattern, key) }), "nothing like %s was stored", pattern)
			}
			assert.Equal(t, test.tells, b.told, "signals")
			if len(b.told) > 0 {
				for _, key := range want {
					assert.NotContains(t, b.first, key, "at the first signal")
				}
			}
		})
	}
}

func matches(pattern, key string) bool {
	prefix, ok := strings.CutSuffix(pattern, "*")
	return key == pattern || ok && strings.HasPrefix(key, prefix)
}

func result(system string) health.Result {
	return health.Result{System: system, Satellite: "oregon", OK: true, Latency: 30}
}

// refused returns nil if err says that nothing was changed, and an error if it does not.
func refused(err error) error {
	if err == nil || !isUnchanged(err) {
		return assert.AnError
	}
	return nil
}
