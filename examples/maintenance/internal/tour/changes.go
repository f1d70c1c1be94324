package tour

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"sync/atomic"
	"time"
)

// roundTimeout bounds how long the tour waits until all listeners see a change.
const roundTimeout = 20 * time.Second

// signals changes a maintenance repeatedly while others read it. A reader that
// reads because of the signal must see the change. So must a reader that begins
// after the change was answered: by id, by system and in a list.
func (t *tour) signals(ctx context.Context) (string, error) {
	const listeners, readers = 8, 8
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		took    durations
		reads   atomic.Int64
		floor   atomic.Int64 // the version of the last answered change
		current = t.main.Version
		seen    = make(chan error, listeners)
		failed  = make(chan error, readers)
	)
	floor.Store(current)
	for range listeners {
		l, err := t.client.listen(ctx)
		if err != nil {
			return "", err
		}
		defer l.close() //nolint:errcheck // the stream is of no more use
		go t.follow(ctx, l, seen)
	}
	for i := range readers {
		go func() { failed <- t.keepReading(ctx, i, &floor, &reads) }()
	}
	for range t.options.Rounds {
		began := time.Now()
		m, err := t.client.patch(ctx, t.main.ID, map[string]any{"title": fmt.Sprintf("The tour, change %d", current)})
		if err != nil {
			return "", err
		}
		if m.Version != current+1 {
			return "", fmt.Errorf("version %d after %d: the tour is not alone", m.Version, current)
		}
		current = m.Version
		floor.Store(current)
		if err := awaitAll(listeners, seen, failed); err != nil {
			return "", err
		}
		took.add(time.Since(began))
	}
	stop()
	for range readers {
		if err := <-failed; err != nil {
			return "", err
		}
	}
	t.main.Version = current
	return fmt.Sprintf("%d changes, %d listeners read again after each; %d reads went on meanwhile; all saw the new value; "+
		"from the change until all had seen it: %s", t.options.Rounds, listeners, reads.Load(), &took), nil
}

// awaitAll waits until n listeners have seen a change.
func awaitAll(n int, seen, failed <-chan error) error {
	timeout := time.NewTimer(roundTimeout)
	defer timeout.Stop()
	for range n {
		var err error
		select {
		case err = <-seen:
		case err = <-failed:
		case <-timeout.C:
			err = broken("not all listeners heard of a change within %v", roundTimeout)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// follow reads the maintenance again at every signal. It sends to seen nil if it
// saw the change, and an error otherwise.
func (t *tour) follow(ctx context.Context, l *listener, seen chan<- error) {
	for {
		s, err := l.next()
		if err == nil && s.ID != t.main.ID {
			continue
		}
		if err == nil {
			err = t.readEverywhere(ctx, s.Version, "a listener read again after the signal")
		}
		select {
		case seen <- err:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// keepReading reads until ctx ends. A result must not be older than the last
// change that was answered before the read began.
func (t *tour) keepReading(ctx context.Context, i int, floor, reads *atomic.Int64) error {
	for ; ctx.Err() == nil; i++ {
		least := floor.Load()
		m, ok, err := t.readOne(ctx, i%waysToRead)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the read was given up because the station is done
		}
		if err != nil {
			return err
		}
		if !ok || m.Version < least {
			return broken("a read %s that began after version %d was answered returned version %d",
				wayNames[i%waysToRead], least, m.Version)
		}
		reads.Add(1)
	}
	return nil
}

// waysToRead is the number of ways to read the tour's maintenance.
const waysToRead = 4

var wayNames = [waysToRead]string{"by id", "by system", "of many systems", "of a list"}

// readOne reads the tour's maintenance in one of the ways. It returns false if
// the maintenance is not there.
func (t *tour) readOne(ctx context.Context, way int) (m maintenance, ok bool, err error) {
	var found []maintenance
	switch way {
	case 0:
		m, err = t.client.get(ctx, t.main.ID)
		if errors.Is(err, errNotFound) {
			return m, false, nil
		}
		return m, err == nil, err
	case 1:
		found, err = t.client.bySystem(ctx, t.main.SystemIDs[0])
	case 2:
		var b bulk
		b, err = t.client.bySystems(ctx, t.main.SystemIDs...)
		found = b.Systems[t.main.SystemIDs[0]]
	default:
		found, err = t.client.list(ctx, url.Values{"text": {"the tour"}})
	}
	m, ok = find(found, t.main.ID)
	return m, ok, err
}

// readEverywhere reads the tour's maintenance in all ways and expects version.
func (t *tour) readEverywhere(ctx context.Context, version int64, what string) error {
	return together(waysToRead, func(way int) error {
		m, ok, err := t.readOne(ctx, way)
		switch {
		case err != nil:
			return err
		case !ok:
			return broken("%s %s and did not find the maintenance", what, wayNames[way])
		case m.Version != version:
			return broken("%s %s and saw version %d, not %d", what, wayNames[way], m.Version, version)
		}
		return nil
	})
}

// moves moves a maintenance between systems. Reads of both systems must return
// the new state, and the signal must name both.
func (t *tour) moves(ctx context.Context) (string, error) {
	const rounds = 10
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	from, to := "queue", "db-users"
	m, err := t.client.create(ctx, "The tour: moves", from)
	if err != nil {
		return "", err
	}
	l, err := t.client.listen(ctx)
	if err != nil {
		return "", err
	}
	defer l.close() //nolint:errcheck // the stream is of no more use
	for range rounds {
		if err := t.expectMoved(ctx, m.ID, to, from); err != nil { // both are cached now
			return "", err
		}
		if _, err := t.client.patch(ctx, m.ID, map[string]any{"system_ids": []string{to}}); err != nil {
			return "", err
		}
		s, err := l.next()
		if err != nil {
			return "", err
		}
		both := []string{from, to}
		slices.Sort(both)
		if !reflect.DeepEqual(s.SystemIDs, both) {
			return "", broken("moved from %s to %s, the signal names %q", from, to, s.SystemIDs)
		}
		from, to = to, from
		err = t.expectQueries(ctx, "reads of both systems after a move", 2, func() error {
			return t.expectMoved(ctx, m.ID, to, from)
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d moves: both systems were right after each, for 2 queries", rounds), t.client.remove(ctx, m.ID)
}

// expectMoved checks that the maintenance has left one system and is at the
// other.
func (t *tour) expectMoved(ctx context.Context, id int64, left, at string) error {
	return together(2, func(i int) error {
		system := []string{left, at}[i]
		found, err := t.client.bySystem(ctx, system)
		if err != nil {
			return err
		}
		if _, ok := find(found, id); ok != (system == at) {
			return broken("moved from %s to %s, %s has the maintenance: %v", left, at, system, ok)
		}
		return nil
	})
}

// deletion deletes a maintenance. It must be gone in all ways to read it.
func (t *tour) deletion(ctx context.Context) (string, error) {
	if err := t.readEverywhere(ctx, t.main.Version, "the tour reads"); err != nil { // all are cached now
		return "", err
	}
	if err := t.client.remove(ctx, t.main.ID); err != nil {
		return "", err
	}
	for way := range waysToRead {
		m, ok, err := t.readOne(ctx, way)
		if err != nil {
			return "", err
		}
		if ok {
			return "", broken("a deleted maintenance is still read %s, at version %d", wayNames[way], m.Version)
		}
	}
	return "gone at once, however it is read", nil
}
