package tour

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"time"
)

// stampede makes a thousand readers read a maintenance that is not cached, all at
// the same time. The database must get one query.
func (t *tour) stampede(ctx context.Context) (string, error) {
	// Open the connections first, with requests that need no database, so that
	// the reads come closer together.
	err := together(t.options.Readers, func(int) error {
		return t.client.do(ctx, http.MethodGet, "/users", nil, nil)
	})
	if err != nil {
		return "", err
	}
	before, err := t.client.stats(ctx)
	if err != nil {
		return "", err
	}
	var took durations
	err = t.expectQueries(ctx, "a cold stampede", 1, func() error {
		return together(t.options.Readers, func(int) error {
			began := time.Now()
			m, err := t.client.get(ctx, t.main.ID)
			took.add(time.Since(began))
			if err == nil && m.Version != t.main.Version {
				err = broken("a reader of the stampede saw version %d, not %d", m.Version, t.main.Version)
			}
			return err
		})
	})
	if err != nil {
		return "", err
	}
	after, err := t.client.stats(ctx)
	return fmt.Sprintf("%d concurrent readers of a cold key: 1 query; %d waited for it, %d came later; %s",
		t.options.Readers, after.Scope.Joined-before.Scope.Joined, after.Scope.Hits-before.Scope.Hits, &took), err
}

// warmReads reads cached values again. The database must get no query.
func (t *tour) warmReads(ctx context.Context) (string, error) {
	const readers, rounds = 16, 50
	var took durations
	err := t.expectQueries(ctx, "warm reads", 0, func() error {
		return together(readers, func(int) error {
			for range rounds {
				began := time.Now()
				if _, err := t.client.get(ctx, t.main.ID); err != nil {
					return err
				}
				took.add(time.Since(began))
			}
			return nil
		})
	})
	return fmt.Sprintf("%d reads: no query; %s", readers*rounds, &took), err
}

// bulk reads the maintenances of many systems. All systems that are not cached
// cost one query, and share their entries with single reads.
func (t *tour) bulk(ctx context.Context) (string, error) {
	asked := append(slices.Clone(allSystems), "no-such-system", "api") // one unknown, one twice
	read := func() error {
		b, err := t.client.bySystems(ctx, asked...)
		if err != nil {
			return err
		}
		if len(b.Systems) != len(allSystems) || !reflect.DeepEqual(b.Unknown, []string{"no-such-system"}) {
			return broken("a bulk read of %d systems returned %d, and as unknown %q", len(allSystems), len(b.Systems), b.Unknown)
		}
		for system, maintenances := range b.Systems {
			if m, ok := find(maintenances, t.main.ID); !ok || m.Version != t.main.Version {
				return broken("system %s has version %d of the maintenance, expected %d", system, m.Version, t.main.Version)
			}
		}
		return nil
	}
	if err := t.expectQueries(ctx, "a cold bulk read", 1, read); err != nil {
		return "", err
	}
	if err := t.expectQueries(ctx, "a warm bulk read", 0, read); err != nil {
		return "", err
	}
	err := t.expectQueries(ctx, "single reads after the bulk read", 0, func() error {
		return together(len(allSystems), func(i int) error {
			_, err := t.client.bySystem(ctx, allSystems[i])
			return err
		})
	})
	if err != nil {
		return "", err
	}
	other, err := t.client.create(ctx, "The tour: two systems", "dns", "search")
	if err != nil {
		return "", err
	}
	if err := t.expectQueries(ctx, "a bulk read of which two systems are cold", 1, read); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d systems: cold 1 query, warm none, single reads none, two of them cold 1 query", len(allSystems)),
		t.client.remove(ctx, other.ID)
}

// absence checks that an absence is cached too, and that creating the maintenance
// ends it.
func (t *tour) absence(ctx context.Context) (string, error) {
	first, err := t.client.create(ctx, "The tour: before", "dns")
	if err != nil {
		return "", err
	}
	next := first.ID + 1
	missing := func() error {
		if _, err := t.client.get(ctx, next); !errors.Is(err, errNotFound) {
			return errors.Join(broken("maintenance %d is there before it was created", next), err)
		}
		return nil
	}
	if err := t.expectQueries(ctx, "a read of nothing", 1, missing); err != nil {
		return "", err
	}
	if err := t.expectQueries(ctx, "another read of nothing", 0, missing); err != nil {
		return "", err
	}
	second, err := t.client.create(ctx, "The tour: after", "dns")
	if err != nil {
		return "", err
	}
	if second.ID != next {
		return "", fmt.Errorf("created maintenance %d after %d: the tour is not alone", second.ID, first.ID)
	}
	if _, err := t.client.get(ctx, next); err != nil {
		return "", errors.Join(broken("maintenance %d was created and is not found", next), err)
	}
	return "two reads of nothing: 1 query; found as soon as it was created",
		errors.Join(t.client.remove(ctx, first.ID), t.client.remove(ctx, second.ID))
}

// names checks that a new user name appears at once: names are not cached with
// the maintenances.
func (t *tour) names(ctx context.Context) (string, error) {
	before, err := t.client.get(ctx, t.main.ID)
	if err != nil {
		return "", err
	}
	renamed := before.CreatedByName + " (on tour)"
	err = t.expectQueries(ctx, "a read after a user was renamed", 0, func() error {
		if err := t.client.rename(ctx, author, renamed); err != nil {
			return err
		}
		m, err := t.client.get(ctx, t.main.ID)
		if err == nil && m.CreatedByName != renamed {
			err = broken("the user is shown as %q, not as %q", m.CreatedByName, renamed)
		}
		return err
	})
	return "a new name shows at once: no query", errors.Join(err, t.client.rename(ctx, author, before.CreatedByName))
}

// lists checks that equal filters share an entry, and that a change reaches every
// list.
func (t *tour) lists(ctx context.Context) (string, error) {
	m, err := t.client.create(ctx, "The tour: lists", "mail", "queue")
	if err != nil {
		return "", err
	}
	expect := func(what string, queries int64, filters url.Values, listed bool) error {
		return t.expectQueries(ctx, what, queries, func() error {
			found, err := t.client.list(ctx, filters)
			if _, ok := find(found, m.ID); err == nil && ok != listed {
				err = broken("%s: the maintenance is listed: %v, expected %v", what, ok, listed)
			}
			return err
		})
	}
	planned := url.Values{"status": {"planned", "in_progress"}, "system": {"mail", "queue"}}
	turned := url.Values{"status": {"in_progress", "planned", "planned"}, "system": {"queue", "mail"}}
	cancelled := url.Values{"status": {"cancelled"}, "text": {"THE TOUR"}}
	if err := errors.Join(
		expect("a cold list", 1, planned, true),
		expect("the same filters in another order", 0, turned, true),
		expect("a cold list of other filters", 1, cancelled, false),
	); err != nil {
		return "", err
	}
	if err := t.client.cancel(ctx, m.ID); err != nil {
		return "", err
	}
	if err := errors.Join(
		expect("the list that the maintenance left", 1, planned, false),
		expect("the list that it came to", 1, cancelled, true),
	); err != nil {
		return "", err
	}
	return "equal filters share an entry; a change reached the list that it left and the one that it came to",
		t.client.remove(ctx, m.ID)
}

// together runs f for 0 to n-1 at the same time and returns the first error.
func together(n int, f func(i int) error) error {
	start := make(chan struct{})
	failed := make(chan error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			if err := f(i); err != nil {
				failed <- err
			}
		})
	}
	close(start)
	all.Wait()
	close(failed)
	return <-failed
}

// durations are measurements of many goroutines.
type durations struct {
	mu  sync.Mutex // guards all
	all []time.Duration
}

func (d *durations) add(one time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, one)
}

// String returns the median, the 99th percentile and the maximum.
func (d *durations) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) == 0 {
		return "nothing measured"
	}
	slices.Sort(d.all)
	at := func(percent int) time.Duration {
		return d.all[(len(d.all)-1)*percent/100].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("half within %v, 99%% within %v, the longest took %v", at(50), at(99), at(100))
}
