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

// The pause before a call asks again for a key whose lease another process has.
const (
	shortestPoll = time.Millisecond
	longestPoll  = 20 * time.Millisecond
)

// leaseTTL returns for how long the scope takes leases.
func (s *keyspace) leaseTTL() time.Duration {
	return max(s.engine.options.LeaseTTL, s.options.LoadTimeout)
}

// loadLeased brings the outcomes of a call in a store with leases. It asks for all keys at once, loads
// those that it has the leases of and those that cannot be leased, and then waits for the keys that
// another process is loading.
func (c *call) loadLeased(ctx context.Context) {
	_, asked := c.split()
	asking, cancel := c.untilReaderDeadline(ctx)
	defer cancel()
	c.asksForLeases()
	c.acquire(asking, asked)
	ready := filter(c.flights, func(f *flight) bool { return f.bypass || f.claim == claimLoad })
	busy := claimed(asked, claimBusy)
	if len(ready) > 0 {
		c.load(ready, len(busy) == 0)
	}
	if len(busy) == 0 {
		return
	}
	if c.purpose == toRefresh {
		c.backOff(busy)
		return
	}
	c.asksForLeases()
	if ready = c.await(asking, busy); len(ready) > 0 {
		c.load(ready, true)
	}
}

// claimed returns the flights that have a claim.
func claimed(flights []*flight, is claim) []*flight {
	return filter(flights, func(f *flight) bool { return f.claim == is })
}

// acquire asks the store for the entries of flights, or else for leases, and leaves each with its
// outcome, with claimLoad or with claimBusy.
func (c *call) acquire(ctx context.Context, flights []*flight) {
	c.ask(ctx, flights)
	// What cannot be read has to make room for what will be stored. To remove it is always safe.
	if bad := claimed(flights, claimRemove); len(bad) > 0 {
		removed, err := c.scope.backend.Delete(ctx, c.keys(bad))
		if err != nil {
			c.report(opDelete, keyOf(bad), err)
			for _, f := range bad[removed:] {
				f.claim = claimLoad
			}
		}
	}
	again := filter(flights, func(f *flight) bool { return f.claim == claimRemove || f.claim == claimAgain })
	c.ask(ctx, again)
	for _, f := range again {
		switch f.claim {
		case claimRemove:
			f.claim = claimLoad
		case claimAgain: // it was replaced once more: others are loading it
			f.claim = claimBusy
		default:
		}
	}
}

// ask asks the store for the entries of flights, or else for leases, once.
func (c *call) ask(ctx context.Context, flights []*flight) {
	if len(flights) == 0 {
		return
	}
	c.scope.flights.bind(flights) // what is found now is there after this point
	grants := c.grants(ctx, flights)
	var failures causes
	for i, f := range flights {
		if err := grants[i].Err; err != nil && !backend.Refused(err) {
			failures.add(f.key, err)
			f.claim = claimLoad
			continue
		}
		f.claim = c.claim(ctx, f, &grants[i])
	}
	for i := range failures {
		failure := &failures[i]
		c.reportGet(ctx, failure.only(), failure.err)
	}
}

// grants asks the store for entries and leases; for leases on entries that were found, if those are to
// be replaced.
func (c *call) grants(ctx context.Context, flights []*flight) []provider.Grant {
	b, ttl := c.scope.backend, c.scope.leaseTTL()
	force := c.purpose == toReplace
	if b.Refresher == nil || !force && !c.scope.options.ages() {
		return b.Acquire(ctx, c.keys(flights), ttl)
	}
	requests := make([]provider.RefreshRequest, len(flights))
	for i, f := range flights {
		requests[i] = provider.RefreshRequest{Key: c.scope.key(f.key), LoadedAt: f.replaces, Force: force}
	}
	return b.Refresh(ctx, requests, ttl)
}

// claim takes what the store has granted for f, and returns what may be done about it.
func (c *call) claim(ctx context.Context, f *flight, g *provider.Grant) claim {
	switch g.State {
	case provider.LeaseFound:
		switch {
		case c.take(f, &g.Entry):
			return claimNone
		case c.scope.backend.Refresher != nil && f.replaces.Equal(g.Entry.LoadedAt) && !f.replaces.IsZero():
			return claimAgain
		default:
			return claimRemove
		}
	case provider.LeaseGranted:
		f.lease = &g.Lease
		if f.old = nil; g.Found {
			c.replace(f, &g.Entry)
		}
		return claimLoad
	case provider.LeaseBusy:
		if g.Found && c.take(f, &g.Entry) {
			return claimNone
		}
		return claimBusy
	case provider.LeaseHeld:
		return claimLoad
	default:
		c.reportGet(ctx, f.key, g.Err)
		if errors.Is(g.Err, provider.ErrUndecodable) {
			return claimRemove
		}
		return claimLoad
	}
}

// await asks again and again for busy, whose leases another process has, until that process has
// filled or failed, or LeaseWait is over. It returns the flights that are to be loaded.
func (c *call) await(ctx context.Context, busy []*flight) (ready []*flight) {
	wait, _ := backend.Bound(ctx, c.scope.engine.options.LeaseWait)
	deadline := time.Now().Add(wait)
	for len(busy) > 0 {
		left := time.Until(deadline)
		if left <= 0 || !sleep(ctx, min(left, shortestPoll+rand.N(longestPoll-shortestPoll))) {
			break
		}
		c.acquire(ctx, busy)
		ready = append(ready, claimed(busy, claimLoad)...)
		busy = claimed(busy, claimBusy)
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

// fillLeased stores storable under their leases, and gives the leases of rest back. It returns how many
// fills the store has confirmed.
func (c *call) fillLeased(storable, rest []*flight, last bool) (stored int) {
	candidates := filter(storable, func(f *flight) bool { return f.lease != nil })
	store, unwanted, sent := c.scope.flights.fillLeased(c, candidates, last)
	c.countRefused(len(unwanted))
	c.release(slices.Concat(rest, unwanted))
	if len(store) == 0 {
		return 0
	}
	fills := make([]provider.Fill, len(store))
	for i, f := range store {
		entry, ttl := c.entry(f)
		fills[i] = provider.Fill{Lease: *f.lease, Entry: entry, TTL: ttl, Extend: f.outcome.extended}
	}
	return c.filled(store, c.scope.backend.Fill(&c.values, fills), sent)
}

// filled takes the answers of the store to fills of flights, which were sent at sent. It returns how
// many are confirmed.
func (c *call) filled(flights []*flight, filled []provider.Filled, sent seq) (stored int) {
	var confirmed, failed []*flight
	var failures causes
	refused, lost := 0, 0
	for i, f := range flights {
		switch err := filled[i].Err; {
		case err != nil && backend.Refused(err):
			c.report(opSet, f.key, err)
		case err != nil:
			failures.add(f.key, err)
			failed = append(failed, f)
		case filled[i].Stored:
			confirmed = append(confirmed, f)
		case c.renewal.isOver(f):
			lost++
		default:
			refused++
		}
	}
	for i := range failures {
		failure := &failures[i]
		c.report(opSet, failure.only(), failure.err)
	}
	c.countRefused(refused)
	c.countLost(lost)
	c.scope.flights.confirmed(confirmed, sent)
	c.release(failed)
	return len(confirmed)
}

// release gives the leases of flights back.
func (c *call) release(flights []*flight) {
	if len(flights) == 0 {
		return
	}
	leases := make([]provider.Lease, len(flights))
	for i, f := range flights {
		leases[i] = *f.lease
	}
	if err := c.scope.backend.Release(&c.values, leases); err != nil {
		c.report(opDelete, keyOf(flights), fmt.Errorf("a lease was not released: %w", err))
	}
}
