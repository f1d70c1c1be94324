package tour

import (
	"context"
	"fmt"
	"time"
)

// RunNear takes the tour of the services at two URLs, each of which keeps entries of their common store in
// its memory, and reports as [Run] does. window is how long after a change a process may still read the old
// value from its memory, such as time.Second; 0 means never. Meanwhile it cuts and heals the connection of
// the first service to the store.
func RunNear(ctx context.Context, first, second string, window time.Duration, report func(line string), options Options) error {
	t, end, err := begin(ctx, first, second, "The tour: near caches", options)
	if err != nil {
		return err
	}
	defer end()
	n := &nearby{t, window}
	return visit(ctx, []station{
		{"near", n.near},
		{"both ways", n.bothWays},
		{"cut off", n.cutOff},
		{"healed", n.healed},
	}, report)
}

// nearby is the tour of two processes with near caches.
type nearby struct {
	*two

	window time.Duration
}

// nearPatience bounds how long the tour waits until a memory answers, or answers no more. A machine that is
// busy may keep a process from hearing of invalidations for a while.
const nearPatience = 20 * time.Second

// nearPause is the time between two looks.
const nearPause = 20 * time.Millisecond

// near checks that both processes read from their memories what they have read before.
func (n *nearby) near(ctx context.Context) (string, error) {
	for _, at := range []*tour{n.one, n.other} {
		if err := n.fromMemory(ctx, at); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d ways to read, at each process: from its memory, without Redis and without a query", waysToRead), nil
}

// fromMemory reads in all ways until all of them are answered from the memory of the process: a hit
// there for each, and neither a hit in the store nor a query.
func (n *nearby) fromMemory(ctx context.Context, at *tour) error {
	return eventually(ctx, "no reads that the memory of a process answers", func() (bool, error) {
		before, err := at.client.stats(ctx)
		if err != nil {
			return false, err
		}
		if err := at.readEverywhere(ctx, n.version, "a process read"); err != nil {
			return false, err
		}
		after, err := at.client.stats(ctx)
		return after.Near.Hits-before.Near.Hits == waysToRead && after.Near.FarHits == before.Near.FarHits &&
			after.Database.Queries == before.Database.Queries, err
	})
}

// eventually calls look until it returns true or an error.
func eventually(ctx context.Context, what string, look func() (bool, error)) error {
	deadline := time.Now().Add(nearPatience)
	pause := time.NewTicker(nearPause)
	defer pause.Stop()
	for {
		done, err := look()
		if done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return broken("%s, for %v", what, nearPatience)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// bothWays checks that a change at one process ends what the other has in its memory: at once, or
// within the window.
func (n *nearby) bothWays(ctx context.Context) (string, error) {
	const most = 10
	var took durations
	rounds := min(n.options.Rounds, most)
	for i := range rounds {
		if err := n.at(i+1).readEverywhere(ctx, n.version, "a process read"); err != nil { // it is in its memory now
			return "", err
		}
		began := time.Now()
		if err := n.change(ctx, n.at(i)); err != nil {
			return "", err
		}
		took.add(time.Since(began))
		if err := n.seen(ctx, n.at(i+1)); err != nil {
			return "", err
		}
	}
	when := "and never the old one"
	if n.window > 0 {
		when = fmt.Sprintf("and %v later never the old one", n.window)
	}
	return fmt.Sprintf("%d changes, at each process in turn; the other one had the old value in its memory; it read the new one, %s; a change took: %s",
		rounds, when, &took), nil
}

// seen checks that a process sees the last change. What it reads may be older only if the read has begun
// within the window after the answer.
func (n *nearby) seen(ctx context.Context, at *tour) error {
	answered := time.Now()
	for {
		sure := time.Since(answered) >= n.window
		err := at.readEverywhere(ctx, n.version, "a process read after the answer to a change at the other one")
		if err == nil || sure {
			return err
		}
	}
}

// cutOff cuts one process off from the store. It does not hear of changes any more, so its memory must not
// answer: a change of the other process waits for that, once.
func (n *nearby) cutOff(ctx context.Context) (string, error) {
	if err := n.fromMemory(ctx, n.one); err != nil {
		return "", err
	}
	if err := n.one.client.setLink(ctx, true); err != nil {
		return "", err
	}
	began := time.Now()
	if err := n.change(ctx, n.other); err != nil {
		return "", err
	}
	took := time.Since(began)
	if err := n.seen(ctx, n.one); err != nil {
		return "", err
	}
	if err := eventually(ctx, "the memory of a process that is cut off answers", func() (bool, error) {
		s, err := n.one.client.stats(ctx)
		return !s.Near.Answers && s.Near.Entries == 0, err
	}); err != nil {
		return "", err
	}
	before, err := n.one.client.stats(ctx)
	if err != nil {
		return "", err
	}
	if err := n.one.readEverywhere(ctx, n.version, "a process that is cut off read"); err != nil {
		return "", err
	}
	after, err := n.one.client.stats(ctx)
	if err == nil && after.Near.Hits != before.Near.Hits {
		err = broken("a process that is cut off answered %d reads from its memory", after.Near.Hits-before.Near.Hits)
	}
	return fmt.Sprintf("the other process changed what this one has in its memory, which took %v; this one read the change, from the database; "+
		"its memory answers nothing", took.Round(time.Millisecond)), err
}

// healed checks that the memory fills again, and that changes reach it.
func (n *nearby) healed(ctx context.Context) (string, error) {
	began := time.Now()
	if err := n.one.client.setLink(ctx, false); err != nil {
		return "", err
	}
	if err := n.fromMemory(ctx, n.one); err != nil {
		return "", err
	}
	took := time.Since(began)
	if err := n.change(ctx, n.other); err != nil {
		return "", err
	}
	return fmt.Sprintf("the memory answered again %v after the heal; changes are seen again", took.Round(time.Millisecond)), n.seen(ctx, n.one)
}
