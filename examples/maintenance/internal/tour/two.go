package tour

import (
	"context"
	"fmt"
	"time"
)

// two is the tour of two processes that share a database and a store. Each must see
// the changes of the other. One is cut off from the store and healed again.
type two struct {
	one, other *tour
	title      string // of the maintenance that both read
	options    Options
	version    int64 // of that maintenance
	listener   *listener
}

// RunTwo takes the tour of the services at two URLs, which share a database and a
// store, and reports as [Run] does. Meanwhile it cuts and heals the connection of
// the first service to the store.
func RunTwo(ctx context.Context, first, second string, report func(line string), options Options) error {
	t, end, err := begin(ctx, first, second, "The tour: two processes", options)
	if err != nil {
		return err
	}
	defer end()
	if t.listener, err = t.other.client.listen(ctx); err != nil {
		return err
	}
	defer t.listener.close() //nolint:errcheck // the stream is of no more use
	return visit(ctx, []station{
		{"sharing", t.sharing},
		{"stampede", t.stampede},
		{"both ways", t.bothWays},
		{"cut off", t.cutOff},
		{"healed", t.healed},
	}, report)
}

// begin begins a tour of two processes, with a maintenance for both. end gives back what it has.
func begin(ctx context.Context, first, second, title string, options Options) (t *two, end func(), err error) {
	options = options.withDefaults()
	t = &two{
		one:     &tour{client: newClient(first, options.Readers), options: options},
		other:   &tour{client: newClient(second, options.Readers), options: options},
		title:   title,
		options: options,
	}
	end = func() {
		t.one.client.close()
		t.other.client.close()
	}
	m, err := t.one.client.create(ctx, title, "dns")
	if err != nil {
		end()
		return nil, nil, err
	}
	t.one.main, t.other.main, t.version = m, m, m.Version
	return t, end, nil
}

// sharing checks that one process reads without a query what the other has read.
func (t *two) sharing(ctx context.Context) (string, error) {
	read := func(at *tour) func() error {
		return func() error { return at.readEverywhere(ctx, t.version, "a process read") }
	}
	// The maintenance has one system, so a read of that system and a bulk read
	// share a query.
	if err := t.one.expectQueries(ctx, "the first reads of the one process", waysToRead-1, read(t.one)); err != nil {
		return "", err
	}
	if err := t.other.expectQueries(ctx, "reads of the other process", 0, read(t.other)); err != nil {
		return "", err
	}
	return "what one process has read, the other reads without a query", nil
}

// stampede makes readers of both processes read a value that neither has. One query
// must serve all.
func (t *two) stampede(ctx context.Context) (string, error) {
	if err := t.change(ctx, t.one); err != nil {
		return "", err
	}
	var here int64
	there, err := t.other.queries(ctx, func() (err error) {
		here, err = t.one.queries(ctx, func() error {
			return together(t.options.Readers, func(i int) error {
				m, err := t.at(i).client.get(ctx, t.one.main.ID)
				if err == nil && m.Version != t.version {
					err = broken("a reader of the stampede saw version %d, not %d", m.Version, t.version)
				}
				return err
			})
		})
		return err
	})
	if err == nil && here+there != 1 {
		err = broken("a stampede on two processes: %d and %d queries reached the database, expected 1 in all", here, there)
	}
	return fmt.Sprintf("%d concurrent readers of a cold key, half of them at each process: 1 query", t.options.Readers), err
}

// at returns the two tours in turn.
func (t *two) at(i int) *tour { return []*tour{t.one, t.other}[i%2] }

// change changes the maintenance at one process and records its new version.
func (t *two) change(ctx context.Context, at *tour) error {
	title := fmt.Sprintf("%s, change %d", t.title, t.version)
	m, err := at.client.patch(ctx, at.main.ID, map[string]any{"title": title})
	if err == nil && m.Version != t.version+1 {
		err = fmt.Errorf("version %d after %d: the tour is not alone", m.Version, t.version)
	}
	t.version = m.Version
	return err
}

// bothWays checks that a change at one process is read at the other as soon as it
// is answered, and that the clients of the other get a signal.
func (t *two) bothWays(ctx context.Context) (string, error) {
	var took durations
	for i := range t.options.Rounds {
		began := time.Now()
		if err := t.change(ctx, t.at(i)); err != nil {
			return "", err
		}
		if err := t.at(i+1).readEverywhere(ctx, t.version, "a process read after the answer to a change at the other one"); err != nil {
			return "", err
		}
		took.add(time.Since(began))
		if err := t.awaitSignal(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d changes, at each process in turn; the other one read the new value, and its clients were told; "+
		"from the change until it was read: %s", t.options.Rounds, &took), nil
}

// awaitSignal waits until the listener gets the current version, by whichever
// signal.
func (t *two) awaitSignal() error {
	for {
		s, err := t.listener.await(updated)
		if err != nil || s.Version == t.version {
			return err
		}
	}
}

// cutOff checks that a process without its store still answers, and that its own
// readers see its changes. Its invalidations are pending.
func (t *two) cutOff(ctx context.Context) (string, error) {
	if err := t.one.client.setLink(ctx, true); err != nil {
		return "", err
	}
	const reads = 100
	for range reads / waysToRead {
		if err := t.one.readEverywhere(ctx, t.version, "a process that is cut off read"); err != nil {
			return "", err
		}
	}
	if err := t.change(ctx, t.one); err != nil {
		return "", err
	}
	if err := t.one.readEverywhere(ctx, t.version, "a process that is cut off read after its own change"); err != nil {
		return "", err
	}
	s, err := t.one.client.stats(ctx)
	if err == nil && s.Scope.Pending == 0 {
		err = broken("a change of a process that is cut off left no invalidation pending")
	}
	// The other process was not told. Its cached entry ends within the TTL.
	m, otherErr := t.other.client.get(ctx, t.other.main.ID)
	if err == nil && otherErr == nil && m.Version < t.version-1 {
		err = broken("the other process read version %d while %d was the last that it was told of", m.Version, t.version-1)
	}
	if err == nil {
		err = otherErr
	}
	return fmt.Sprintf("%d reads answered, from the database; a change is seen here at once, and %d invalidations wait; "+
		"the other process may read the old value, for 15 s at most", reads, s.Scope.Pending), err
}

// healed checks that the pending invalidations are confirmed, that the clients of
// the other process are told to read again, and that they read the current version.
func (t *two) healed(ctx context.Context) (string, error) {
	began := time.Now()
	if err := t.one.client.setLink(ctx, false); err != nil {
		return "", err
	}
	if _, err := t.listener.await(resync); err != nil {
		return "", err
	}
	if err := t.other.readEverywhere(ctx, t.version, "a process read after the other one was healed"); err != nil {
		return "", err
	}
	took := time.Since(began)
	if err := t.change(ctx, t.other); err != nil {
		return "", err
	}
	if err := t.one.readEverywhere(ctx, t.version, "a process that was healed read"); err != nil {
		return "", err
	}
	s, err := t.one.client.stats(ctx)
	if err == nil && s.Scope.Pending > 0 {
		err = broken("%d invalidations are pending after all was right again", s.Scope.Pending)
	}
	return fmt.Sprintf("no invalidation waits; the other process read the change %v after the heal; changes are seen again",
		took.Round(time.Millisecond)), err
}
