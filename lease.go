package readthrough

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/readthrough/readthrough/internal/backend"
	"github.com/readthrough/readthrough/provider"
)

// leaseTTL returns for how long the scope takes leases.
func (s *keyspace) leaseTTL() time.Duration {
	return max(s.cache.options.LeaseTTL, s.options.LoadTimeout)
}

// How long a call waits before it asks again for a key whose lease another
// process has.
const (
	shortestPoll = time.Millisecond
	longestPoll  = 20 * time.Millisecond
)

// refreshPause is how long a process does not ask again for an entry that is due
// while another one is loading it.
const refreshPause = 100 * time.Millisecond

// leased brings the outcomes of a call in a store with leases: it asks for all
// keys at once, loads those that it has the leases of, and those that cannot be
// leased, and then looks after those that another process is loading.
func (c *call) leased(ctx context.Context) {
	direct, asked := c.split()
	asking, cancel := c.asking(ctx)
	defer cancel()
	ready, busy := c.acquire(asking, asked)
	if ready = append(ready, direct...); len(ready) > 0 {
		c.load(ctx, ready, len(busy) == 0)
	}
	if len(busy) == 0 {
		return
	}
	if c.purpose == toRefresh {
		c.yield(busy)
		return
	}
	if ready = c.await(asking, busy); len(ready) > 0 {
		c.load(ctx, ready, true)
	}
}

// yield leaves busy, which nobody waits for, to the processes that are loading
// them, and does not ask again for a while. Readers that have joined do.
func (c *call) yield(busy []*flight) {
	for _, f := range busy {
		c.scope.flights.rest(f, refreshPause)
	}
}

// asking returns the context for asking the store: it ends with the patience of
// the reader that made the call.
func (c *call) asking(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.patience.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, c.patience)
}

// acquire asks the store for the entries of flights, or else for leases. It
// returns the flights that are to be loaded, with or without a lease, and those
// whose lease somebody else has.
func (c *call) acquire(ctx context.Context, flights []*flight) (ready, busy []*flight) {
	ready, busy, bad, old := c.acquireOnce(ctx, flights)
	if len(bad)+len(old) == 0 {
		return ready, busy
	}
	// What cannot be read has to make room for what will be stored. Removing it is
	// always safe.
	if len(bad) > 0 {
		if err := c.scope.cache.backend.Delete(ctx, c.keys(bad)); err != nil {
			c.scope.report(OpDelete, keyOf(bad), err)
			ready, bad = append(ready, bad...), nil
		}
	}
	moreReady, moreBusy, bad, old := c.acquireOnce(ctx, append(bad, old...))
	// What has been replaced once more meanwhile is somebody else's to load.
	return slices.Concat(ready, moreReady, bad), slices.Concat(busy, moreBusy, old)
}

// acquireOnce is acquire that also returns the flights whose keys hold what
// cannot be read, and those whose keys hold another entry than was found before,
// which has to be replaced too.
func (c *call) acquireOnce(ctx context.Context, flights []*flight) (ready, busy, bad, old []*flight) {
	if len(flights) == 0 {
		return nil, nil, nil, nil
	}
	c.scope.flights.bind(flights) // what is found now was there after this moment
	grants, err := c.grants(ctx, flights)
	if err != nil {
		c.scope.reportGet(ctx, keyOf(flights), err)
		return flights, nil, nil, nil
	}
	for i, f := range flights {
		switch g := &grants[i]; g.State {
		case provider.LeaseFound:
			switch {
			case c.found(f, &g.Entry):
			case c.scope.cache.backend.Refresher != nil && f.seen.Equal(g.Entry.LoadedAt) && !f.seen.IsZero():
				old = append(old, f)
			default:
				bad = append(bad, f)
			}
		case provider.LeaseGranted:
			f.lease = &g.Lease
			if f.old = nil; g.Found {
				c.replaces(f, &g.Entry)
			}
			ready = append(ready, f)
		case provider.LeaseBusy:
			if !g.Found || !c.found(f, &g.Entry) {
				busy = append(busy, f)
			}
		case provider.LeaseHeld:
			ready = append(ready, f)
		default:
			c.scope.reportGet(ctx, f.key, g.Err)
			if errors.Is(g.Err, provider.ErrUndecodable) {
				bad = append(bad, f)
			} else {
				ready = append(ready, f)
			}
		}
	}
	return ready, busy, bad, old
}

// grants asks the store for entries and leases; where entries are to be replaced,
// for leases on those that were found.
func (c *call) grants(ctx context.Context, flights []*flight) ([]provider.Grant, error) {
	b, ttl := c.scope.cache.backend, c.scope.leaseTTL()
	replace := c.purpose == toReplace
	if b.Refresher == nil || !replace && !c.scope.options.ages() {
		return b.Acquire(ctx, c.keys(flights), ttl)
	}
	requests := make([]provider.RefreshRequest, len(flights))
	for i, f := range flights {
		requests[i] = provider.RefreshRequest{Key: c.scope.key(f.key), LoadedAt: f.seen, Force: replace}
	}
	return b.Refresh(ctx, requests, ttl)
}

// await asks again and again for the flights whose leases another process has,
// until it has filled or failed, or LeaseWait is over. It returns those that are
// to be loaded.
func (c *call) await(ctx context.Context, busy []*flight) (ready []*flight) {
	wait, _ := backend.Bound(ctx, c.scope.cache.options.LeaseWait)
	deadline := time.Now().Add(wait)
	for len(busy) > 0 {
		left := time.Until(deadline)
		if left <= 0 || !sleep(ctx, min(left, shortestPoll+rand.N(longestPoll-shortestPoll))) {
			break
		}
		var more []*flight
		more, busy = c.acquire(ctx, busy)
		ready = append(ready, more...)
	}
	return append(ready, busy...)
}

// sleep reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fillLeased stores storable under their leases, and gives back the leases of
// rest. It returns how many the store has confirmed.
func (c *call) fillLeased(storable, rest []*flight, last bool) (stored int) {
	candidates := filter(storable, func(f *flight) bool { return f.lease != nil })
	store, unwanted, sent := c.scope.flights.fillLeased(c, candidates, last)
	c.refused(len(unwanted))
	ctx := &c.values // once the load is done, these are bounded by their own deadlines
	if rest = slices.Concat(rest, unwanted); len(rest) > 0 {
		c.release(ctx, rest)
	}
	if len(store) == 0 {
		return 0
	}
	fills := make([]provider.Fill, len(store))
	for i, f := range store {
		entry, ttl := c.entry(f)
		fills[i] = provider.Fill{Lease: *f.lease, Entry: entry, TTL: ttl, Extend: f.outcome.extended}
	}
	filled, err := c.scope.cache.backend.Fill(ctx, fills)
	if err != nil {
		c.scope.report(OpSet, keyOf(store), err)
		c.release(ctx, store)
		return 0
	}
	var confirmed, failed []*flight
	refused := 0
	for i, f := range store {
		switch {
		case filled[i].Err != nil:
			c.scope.report(OpSet, f.key, filled[i].Err)
			if backend.Failed(filled[i].Err) {
				failed = append(failed, f)
			}
		case filled[i].Stored:
			confirmed = append(confirmed, f)
		default:
			refused++
		}
	}
	c.refused(refused)
	c.scope.flights.confirmed(confirmed, sent)
	if len(failed) > 0 {
		c.release(ctx, failed)
	}
	return len(confirmed)
}

// keys returns the store's keys of flights.
func (c *call) keys(flights []*flight) []provider.Key {
	keys := make([]provider.Key, len(flights))
	for i, f := range flights {
		keys[i] = c.scope.key(f.key)
	}
	return keys
}

// release gives the leases of flights back.
func (c *call) release(ctx context.Context, flights []*flight) {
	leases := make([]provider.Lease, len(flights))
	for i, f := range flights {
		leases[i] = *f.lease
	}
	if err := c.scope.cache.backend.Release(ctx, leases); err != nil {
		c.scope.report(OpDelete, keyOf(flights), fmt.Errorf("a lease was not released: %w", err))
	}
}
