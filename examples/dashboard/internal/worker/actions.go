package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/readthrough/readthrough"
	"github.com/readthrough/readthrough/examples/dashboard/internal/announcements"
	"github.com/readthrough/readthrough/examples/dashboard/internal/anomalies"
	"github.com/readthrough/readthrough/examples/dashboard/internal/catalog"
	"github.com/readthrough/readthrough/examples/dashboard/internal/health"
	"github.com/readthrough/readthrough/examples/dashboard/internal/incidents"
	"github.com/readthrough/readthrough/examples/dashboard/internal/objectives"
	"github.com/readthrough/readthrough/examples/dashboard/internal/seed"
	"github.com/readthrough/readthrough/examples/internal/database"
	"github.com/readthrough/readthrough/examples/internal/maintenance/service"
)

// action is something that happens now and then.
type action struct {
	name   string
	weight int // how often, against the others
	do     func(ctx context.Context) error
}

// all returns all actions. Most of what happens is ingest, as in the original.
func (w *Worker) all() []action {
	return slices.Concat(w.ofHealth(), w.ofIncidents(), w.ofMaintenances(), w.ofCatalog(), w.ofObjectives(), w.ofAnomalies(),
		w.ofNotifications(), w.ofAnnouncements(), []action{
			{"users.deleted", 1, func(ctx context.Context) error { return w.b.UserDeleted(ctx, "tomas") }},
		})
}

func (w *Worker) ofHealth() []action {
	return []action{
		{"health.ingest", 60, w.ingest},
		{"health.checkRuns", 6, w.checkRuns},
		{"health.configure", 1, w.onSystem(func(ctx context.Context, system string) error {
			return w.b.Health.Configure(ctx, system, int64(200+w.intn(400)))
		})},
		{"health.associate", 1, w.onSystem(func(ctx context.Context, system string) error {
			return w.b.Health.Associate(ctx, w.satellite(), system)
		})},
		{"health.dissociate", 1, w.onSystem(func(ctx context.Context, system string) error {
			return w.b.Health.Dissociate(ctx, "testbed", system)
		})},
		{"health.removeSatellite", 1, w.removeSatellite},
	}
}

func (w *Worker) ofIncidents() []action {
	return []action{
		{"incidents.create", 2, w.createIncident},
		{"incidents.update", 1, w.onIncident("status = 'open'", w.updateIncident)},
		{"incidents.addUpdate", 2, w.onIncident("status = 'open'", func(ctx context.Context, id int64) error {
			_, err := w.b.Incidents.AddUpdate(ctx, id, w.user(), "We are at it.")
			return err
		})},
		{"incidents.resolve", 2, w.onIncident("status = 'open'", func(ctx context.Context, id int64) error {
			_, err := w.b.Incidents.Resolve(ctx, id, w.user())
			return err
		})},
		{"incidents.delete", 1, w.onIncident("status <> 'open'", func(ctx context.Context, id int64) error { return w.b.Incidents.Delete(ctx, id) })},
	}
}

func (w *Worker) ofMaintenances() []action {
	return []action{
		{"maintenances.create", 1, w.createMaintenance},
		{"maintenances.update", 1, w.onMaintenance("planned", w.updateMaintenance)},
		{"maintenances.addUpdate", 1, w.onMaintenance("planned", func(ctx context.Context, id int64) error {
			_, err := w.b.Maintenances.AddUpdate(ctx, id, service.Report{Author: w.user(), Message: "All is prepared."})
			return err
		})},
		{"maintenances.close", 1, w.onMaintenance("planned", func(ctx context.Context, id int64) error {
			_, err := w.b.Maintenances.CloseMaintenance(ctx, id, service.Closing{Author: w.user(), Outcome: service.Cancelled})
			return err
		})},
		{"maintenances.delete", 1, w.onMaintenance("cancelled", func(ctx context.Context, id int64) error {
			_, err := w.b.Maintenances.Delete(ctx, id)
			return err
		})},
	}
}

func (w *Worker) ofCatalog() []action {
	return []action{
		{"catalog.putSystem", 1, func(ctx context.Context) error { return w.b.Catalog.PutSystem(ctx, w.guest("system"), "A guest") }},
		{"catalog.deleteSystem", 1, func(ctx context.Context) error { return w.b.Catalog.DeleteSystem(ctx, w.guest("system")) }},
		{"catalog.putGroup", 1, func(ctx context.Context) error { return w.b.Catalog.PutGroup(ctx, w.guest("group"), "Guests") }},
		{"catalog.deleteGroup", 1, func(ctx context.Context) error { return w.b.Catalog.DeleteGroup(ctx, w.guest("group")) }},
		{"catalog.join", 1, w.onSystem(func(ctx context.Context, system string) error { return w.b.Catalog.Join(ctx, system, "platform") })},
		{"catalog.leave", 1, w.onSystem(func(ctx context.Context, system string) error { return w.b.Catalog.Leave(ctx, system, "platform") })},
		{"catalog.putView", 1, func(ctx context.Context) error { return w.b.Catalog.PutView(ctx, w.guest("view"), "data") }},
		{"catalog.deleteView", 1, func(ctx context.Context) error { return w.b.Catalog.DeleteView(ctx, w.guest("view")) }},
		{"catalog.putContact", 1, w.onSystem(func(ctx context.Context, system string) error { return w.b.Catalog.PutContact(ctx, system, w.user()) })},
		{"catalog.deleteContact", 1, w.onSystem(func(ctx context.Context, system string) error {
			return w.b.Catalog.DeleteContact(ctx, system, w.user())
		})},
	}
}

func (w *Worker) ofObjectives() []action {
	return []action{
		{"objectives.create", 1, w.onSystem(func(ctx context.Context, system string) error {
			_, err := w.b.Objectives.Create(ctx, system, objectives.Draft{Name: "Answers", Target: 0.99, Days: 7})
			return err
		})},
		{"objectives.update", 1, w.onObjective(func(ctx context.Context, id int64) error {
			_, err := w.b.Objectives.Update(ctx, id, objectives.Draft{Name: "Availability", Target: 0.995, Days: int64(1 + w.intn(28))})
			return err
		})},
		{"objectives.delete", 1, w.onObjective(func(ctx context.Context, id int64) error { return w.b.Objectives.Delete(ctx, id) })},
	}
}

func (w *Worker) ofAnomalies() []action {
	return []action{
		{"anomalies.observe", 10, w.onSystem(func(ctx context.Context, system string) error {
			return w.b.Anomalies.Observe(ctx, anomalies.Metric{System: system, Name: "latency"}, int64([]int{80, 90, 190, 300}[w.intn(4)]))
		})},
		{"anomalies.configure", 1, w.onSystem(func(ctx context.Context, system string) error {
			return w.b.Anomalies.Configure(ctx, anomalies.Baseline{Metric: anomalies.Metric{System: system, Name: "latency"}, Mean: 80, Deviation: int64(30 + w.intn(20))})
		})},
	}
}

func (w *Worker) ofNotifications() []action {
	return []action{
		{"notifications.notify", 2, func(ctx context.Context) error {
			return w.b.Notifications.Notify(ctx, "Please have a look.", w.user(), w.user())
		}},
		{"notifications.notifyGroup", 1, func(ctx context.Context) error {
			return w.b.Notifications.NotifyGroup(ctx, "The next shift is yours.", "on-call")
		}},
		{"notifications.markRead", 2, func(ctx context.Context) error { return w.b.Notifications.MarkRead(ctx, w.user(), 0) }},
		{"notifications.delete", 2, w.deleteNotification},
		{"notifications.subscribe", 1, w.onSystem(func(ctx context.Context, system string) error {
			return w.b.Notifications.Subscribe(ctx, w.user(), system)
		})},
		{"notifications.unsubscribe", 1, w.onSystem(func(ctx context.Context, system string) error {
			return w.b.Notifications.Unsubscribe(ctx, w.user(), system)
		})},
	}
}

func (w *Worker) ofAnnouncements() []action {
	return []action{
		{"announcements.create", 1, func(ctx context.Context) error {
			return w.b.Announcements.Put(ctx, announcements.Announcement{Title: "A new version comes tonight.", Level: "info"})
		}},
		{"announcements.update", 1, w.onAnnouncement(func(ctx context.Context, id int64) error {
			return w.b.Announcements.Put(ctx, announcements.Announcement{ID: id, Title: fmt.Sprintf("Version %d is here.", 100+w.intn(900)), Level: "info"})
		})},
		{"announcements.delete", 1, w.onAnnouncement(func(ctx context.Context, id int64) error { return w.b.Announcements.Delete(ctx, id) })},
		{"announcements.dismiss", 1, w.onAnnouncement(func(ctx context.Context, id int64) error { return w.b.Announcements.Dismiss(ctx, w.user(), id) })},
	}
}

// satellite returns a satellite of the seed, or one that comes and goes.
func (w *Worker) satellite() string {
	all := append(seed.Satellites(), "testbed")
	return all[w.intn(len(all))]
}

func (w *Worker) user() string {
	all := w.b.Users.All()
	return all[w.intn(len(all))].ID
}

// guest returns the id of something that comes and goes.
func (w *Worker) guest(kind string) string { return fmt.Sprintf("guest-%s-%d", kind, w.intn(3)) }

func (w *Worker) result(system string) health.Result {
	latency := 20 + w.intn(120)
	switch w.intn(40) {
	case 0:
		latency = 700 // degraded
	case 1:
		return health.Result{System: system, Satellite: seed.Satellites()[w.intn(3)], OK: false, Latency: 1000}
	}
	return health.Result{System: system, Satellite: seed.Satellites()[w.intn(3)], OK: true, Latency: int64(latency)}
}

func (w *Worker) system(ctx context.Context) (string, error) {
	systems, err := w.b.Catalog.Systems(ctx, catalog.Filter{})
	if err == nil && len(systems.Value) == 0 {
		err = database.Unchanged(errNothing)
	}
	if err != nil {
		return "", err
	}
	return systems.Value[w.intn(len(systems.Value))].ID, nil
}

func (w *Worker) ingest(ctx context.Context) error {
	system, err := w.system(ctx)
	if err != nil {
		return err
	}
	return w.b.Health.Ingest(ctx, w.result(system))
}

// checkRuns takes some results from the queue.
func (w *Worker) checkRuns(ctx context.Context) error {
	var results []health.Result
	for range 1 + w.intn(8) {
		system, err := w.system(ctx)
		if err != nil {
			return err
		}
		results = append(results, w.result(system))
	}
	return w.b.Health.Ingest(ctx, results...)
}

// removeSatellite removes the satellite that comes and goes, after it has measured something.
func (w *Worker) removeSatellite(ctx context.Context) error {
	system, err := w.system(ctx)
	if err != nil {
		return err
	}
	if err := w.b.Health.Ingest(ctx, health.Result{System: system, Satellite: "testbed", OK: true, Latency: 10}); err != nil {
		return err
	}
	if err := w.b.Health.Associate(ctx, "testbed", system); err != nil {
		return err
	}
	return w.b.Health.RemoveSatellite(ctx, "testbed")
}

func (w *Worker) onSystem(f func(ctx context.Context, system string) error) func(context.Context) error {
	return func(ctx context.Context) error {
		system, err := w.system(ctx)
		if err != nil {
			return err
		}
		return f(ctx, system)
	}
}

// on runs f with the id of a row.
func (w *Worker) on(table, where string, f func(ctx context.Context, id int64) error) func(context.Context) error {
	return func(ctx context.Context) error {
		id, err := w.pickID(ctx, table, where)
		if err != nil {
			return err
		}
		return f(ctx, id)
	}
}

func (w *Worker) onIncident(where string, f func(ctx context.Context, id int64) error) func(context.Context) error {
	return w.on("incident", where, f)
}

func (w *Worker) onMaintenance(status string, f func(ctx context.Context, id int64) error) func(context.Context) error {
	return w.on("maintenance", "status = '"+status+"'", f)
}

func (w *Worker) onObjective(f func(ctx context.Context, id int64) error) func(context.Context) error {
	return w.on("objective", "true", f)
}

func (w *Worker) onAnnouncement(f func(ctx context.Context, id int64) error) func(context.Context) error {
	return w.on("announcement", "true", f)
}

func (w *Worker) incident(ctx context.Context) (incidents.Draft, error) {
	one, err := w.system(ctx)
	if err != nil {
		return incidents.Draft{}, err
	}
	other, err := w.system(ctx)
	titles := []string{"Requests time out", "Errors at the sign-in", "Pages load slowly", "Jobs are late"}
	return incidents.Draft{Title: titles[w.intn(len(titles))], Severity: []string{"minor", "major"}[w.intn(2)], Systems: []string{one, other}}, err
}

func (w *Worker) createIncident(ctx context.Context) error {
	draft, err := w.incident(ctx)
	if err == nil {
		_, err = w.b.Incidents.Create(ctx, draft)
	}
	return err
}

func (w *Worker) updateIncident(ctx context.Context, id int64) error {
	draft, err := w.incident(ctx)
	if err == nil {
		_, err = w.b.Incidents.Update(ctx, id, draft)
	}
	return err
}

func (w *Worker) createMaintenance(ctx context.Context) error {
	one, err := w.system(ctx)
	if err != nil {
		return err
	}
	start := time.Now().Add(time.Duration(1+w.intn(240)) * time.Hour)
	_, err = w.b.Maintenances.Create(ctx, service.Draft{
		Title: "Upgrade of the operating system", Description: "A restart of a minute.",
		Start: start, End: start.Add(2 * time.Hour), SystemIDs: []string{one}, CreatedBy: w.user(),
	})
	return err
}

func (w *Worker) updateMaintenance(ctx context.Context, id int64) error {
	one, err := w.system(ctx)
	if err != nil {
		return err
	}
	_, err = w.b.Maintenances.Update(ctx, id, service.Patch{SystemIDs: new([]string{one})})
	return err
}

func (w *Worker) deleteNotification(ctx context.Context) error {
	user := w.user()
	list, err := w.b.Notifications.List(ctx, user)
	if err != nil || len(list.Value) == 0 {
		return err
	}
	return w.b.Notifications.Delete(ctx, user, list.Value[w.intn(len(list.Value))].ID)
}

// notFound reports whether what should be changed is not there, mostly because another process has deleted it.
func notFound(err error) bool {
	for _, target := range []error{
		readthrough.ErrNotFound, health.ErrNotFound, incidents.ErrNotFound, service.ErrNotFound,
		catalog.ErrNotFound, objectives.ErrNotFound, announcements.ErrNotFound,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
