// Package tour checks a running dashboard from outside, over HTTP, like its clients. It must be the only client.
package tour

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/readthrough/readthrough/examples/dashboard/internal/client"
	"github.com/readthrough/readthrough/examples/dashboard/internal/view"
)

// ErrBroken matches the error of a tour that found a broken promise.
var ErrBroken = errors.New("a promise was broken")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBroken, fmt.Sprintf(format, args...))
}

// station is a part of a tour. It returns what it has measured.
type station struct {
	name string
	run  func(ctx context.Context) (string, error)
}

func run(ctx context.Context, tell func(string), stations ...station) error {
	for _, s := range stations {
		began := time.Now()
		found, err := s.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		tell(fmt.Sprintf("ok  %-12s %s (%v)", s.name, found, time.Since(began).Round(time.Millisecond)))
	}
	return nil
}

// One takes the tour of one process.
func One(ctx context.Context, url string, tell func(string)) error {
	c := client.Client{URL: url}
	return run(ctx, tell,
		station{"refresh", c1(c, refreshes)},
		station{"mutations", func(ctx context.Context) (string, error) { return mutations(ctx, c, c) }},
		station{"deleted", c1(c, deleted)},
	)
}

// Two takes the tour of two processes.
func Two(ctx context.Context, one, other string, tell func(string)) error {
	a, b := client.Client{URL: one}, client.Client{URL: other}
	return run(ctx, tell,
		station{"sharing", func(ctx context.Context) (string, error) { return sharing(ctx, a, b) }},
		station{"mutations", func(ctx context.Context) (string, error) { return mutations(ctx, a, b) }},
		station{"signals", func(ctx context.Context) (string, error) { return signals(ctx, a, b) }},
	)
}

func c1(c client.Client, f func(context.Context, client.Client) (string, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) { return f(ctx, c) }
}

// refreshes checks the claim: a refresh of what has not changed costs no query.
func refreshes(ctx context.Context, c client.Client) (string, error) {
	without, err := c.Refresh(ctx, "lin", false)
	if err != nil {
		return "", err
	}
	cold, err := c.Refresh(ctx, "lin", true)
	if err != nil {
		return "", err
	}
	for range 20 {
		warm, err := c.Refresh(ctx, "lin", true)
		if err != nil {
			return "", err
		}
		if warm.Cost.Queries != 0 {
			return "", broken("a refresh of unchanged systems cost %d queries", warm.Cost.Queries)
		}
	}
	return fmt.Sprintf("%d systems: %d queries without the cache, %d with a cold one, then none in 20 refreshes",
		len(cold.Systems), without.Cost.Queries, cold.Cost.Queries), nil
}

// actions are those of the worker that need nothing to exist.
func actions() []string {
	return []string{
		"health.ingest", "health.checkRuns", "health.configure", "health.associate", "health.removeSatellite",
		"incidents.create", "incidents.update", "incidents.addUpdate", "incidents.resolve", "incidents.delete",
		"maintenances.create", "maintenances.update", "maintenances.addUpdate", "maintenances.close", "maintenances.delete",
		"catalog.putSystem", "catalog.deleteSystem", "catalog.putGroup", "catalog.deleteGroup", "catalog.join", "catalog.leave",
		"catalog.putView", "catalog.deleteView", "catalog.putContact", "catalog.deleteContact",
		"objectives.create", "objectives.update", "objectives.delete", "anomalies.observe", "anomalies.configure",
		"notifications.notify", "notifications.notifyGroup", "notifications.markRead", "notifications.subscribe", "notifications.unsubscribe",
		"announcements.create", "announcements.update", "announcements.dismiss", "announcements.delete", "users.deleted",
	}
}

// mutations plays every mutation at one process. After each, the other one must read what it has changed, or later.
func mutations(ctx context.Context, at, from client.Client) (string, error) {
	checked := 0
	for _, action := range actions() {
		if _, err := from.Refresh(ctx, "lin", true); err != nil {
			return "", err
		}
		played, err := at.Play(ctx, action)
		if err != nil {
			return "", err
		}
		if played.Error != "" {
			return "", fmt.Errorf("%s: %s", action, played.Error)
		}
		d, err := from.Refresh(ctx, "lin", true)
		if err != nil {
			return "", err
		}
		singles, err := from.Singles(ctx, "lin", "api")
		if err != nil {
			return "", err
		}
		for _, read := range []view.Versions{d.Versions, singles} {
			for name, version := range played.Versions {
				if got, ok := read[name]; ok {
					checked++
					if got < version {
						return "", broken("after %s, %s was read in version %d, and not in %d", action, name, got, version)
					}
				}
			}
		}
	}
	return fmt.Sprintf("%d mutations of 8 backends: %d versions read after them, none old", len(actions()), checked), nil
}

// deleted deletes a system, which must be gone from everything.
func deleted(ctx context.Context, c client.Client) (string, error) {
	before, err := c.Refresh(ctx, "mara", true)
	if err != nil {
		return "", err
	}
	if err := c.Call(ctx, http.MethodDelete, "/api/systems/mail", nil, nil); err != nil {
		return "", err
	}
	after, err := c.Refresh(ctx, "mara", true)
	if err != nil {
		return "", err
	}
	direct, err := c.Refresh(ctx, "mara", false)
	if err != nil {
		return "", err
	}
	if len(after.Systems) != len(before.Systems)-1 || len(after.Subscriptions) != len(direct.Subscriptions) || len(after.Incidents) != len(direct.Incidents) {
		return "", broken("a deleted system is still shown")
	}
	for _, incident := range after.Incidents {
		if slices.Contains(incident.Systems, "mail") {
			return "", broken("a deleted system is still in incident %d", incident.ID)
		}
	}
	return "a system is gone from all backends by one invalidation", nil
}

// sharing checks that the second process needs no query for what the first has read.
func sharing(ctx context.Context, a, b client.Client) (string, error) {
	cold, err := a.Refresh(ctx, "lin", true)
	if err != nil {
		return "", err
	}
	warm, err := b.Refresh(ctx, "lin", true)
	if err == nil && warm.Cost.Queries != 0 {
		err = broken("the second process needed %d queries for what the first had read", warm.Cost.Queries)
	}
	return fmt.Sprintf("the first refresh cost %d queries, the same at the other process none", cold.Cost.Queries), err
}

// signals checks that clients of one process hear of changes at the other, and read them then.
func signals(ctx context.Context, a, b client.Client) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard, err := b.Listen(ctx)
	if err != nil {
		return "", err
	}
	const rounds = 20
	for n := range rounds {
		title := fmt.Sprintf("Incident %d of the tour", n)
		err := a.Call(ctx, http.MethodPost, "/api/incidents", map[string]any{"title": title, "severity": "minor", "systems": []string{"api"}}, nil)
		if err != nil {
			return "", err
		}
		for told := false; !told; {
			select {
			case signal, ok := <-heard:
				if !ok {
					return "", broken("the stream of signals has ended")
				}
				told = strings.HasPrefix(signal, "incident.updated") || strings.HasPrefix(signal, "resync")
			case <-ctx.Done():
				return "", broken("a signal has not arrived")
			}
		}
		d, err := b.Refresh(ctx, "lin", true)
		if err != nil {
			return "", err
		}
		if len(d.Incidents) == 0 || d.Incidents[0].Title != title {
			return "", broken("the reader of a signal did not see what it was about")
		}
	}
	return fmt.Sprintf("%d changes at one process, each read at the other one after its signal", rounds), nil
}
