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

// The pause before a call asks again for a key that another process has the lease of. It is drawn
// between the two, so that processes do not ask in step. Asking costs a round trip; not asking
// costs the readers of this process time. Notifications by the store were rejected: they need a
// connection and can be lost, so the poll would stay.
const (
	shortestPoll = time.Millisecond
	longestPoll  = 20 * time.Millisecond
)

// leaseTTL returns for how long the scope takes leases. A lease lasts at least as long as LoadTimeout
// lets a load take: in a store that does not renew leases, what is loaded after its lease has ended is
// served and not stored. renew.go renews the others.
func (s *keyspace) leaseTTL() time.Duration {
	return max(s.engine.options.LeaseTTL, s.options.LoadTimeout)
}

// loadLeased brings the outcomes of a call in a store with leases. A flight goes through these
// states:
//
//	asked ──▶ found                    it has its outcome
//	      ──▶ granted a lease          load, then fill, or give the lease back
//	      ──▶ neither (failed, held)   load without filling
//	      ──▶ busy                     another process loads: wait for it, at most LeaseWait
//
// It asks for all keys at once, and loads in one run what is ready. Only then does it wait for the
// keys that are busy: to wait first would let the leases that it has run out. A refresh does not
// wait, since its readers have been served.
//
// The stage stays stageLoading until the last part is complete, so a reader that leaves in between
// does not take an outcome that its other keys do not have yet.
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

// claimed returns the flights that have the claim is.
func claimed(flights []*flight, is claim) []*flight {
	return filter(flights, func(f *flight) bool { return f.claim == is })
}

// acquire asks the store for the entries of flights, or else for leases. It leaves each flight with
// its outcome, with claimLoad, or with claimBusy. It asks twice at most:
//
//   - A key that holds something unreadable has to make room for what will be stored. To remove it
//     is always safe: at worst, an entry that others could read is loaded again. If it is still
//     unreadable after that, it is loaded without a lease.
//   - A key that holds another entry than the one that is to be replaced is asked for again with
//     the LoadedAt of that entry. If it has changed once more, other processes are replacing it
//     faster than this one asks, so it is left to them.
func (c *call) acquire(ctx context.Context, flights []*flight) {
	c.ask(ctx, flights)
	if bad := claimed(flights, claimRemove); len(bad) > 0 {
		began := c.scope.sending()
		removed, err := c.scope.backend.Delete(ctx, c.keys(bad), false)
		c.sent(began, opDelete, bad, err)
		if err != nil {
			c.report(opDelete, keyOf(bad), err)
			for i, f := range bad {
				if !removed[i] {
					f.claim = claimLoad
				}
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

// ask asks the store for flights and sets their claims. An error that says nothing about the entry
// is a load without a lease (G4). bind comes first: what the store answers was there after that moment.
func (c *call) ask(ctx context.Context, flights []*flight) {
	if len(flights) == 0 {
		return
	}
	c.scope.flights.bind(flights) // what is found now is there after this point
	began := c.scope.sending()
	grants := c.grants(ctx, flights)
	c.sent(began, "acquire", flights, firstError(grants, errorOfGrant))
	var failures causes
	for i, f := range flights {
		if err := grants[i].Err; err != nil && !backend.OfEntry(err) {
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

// grants asks the store for entries and leases. In a scope whose entries may be replaced while they
// are served, it names for each key the entry that is to be replaced: the store then grants a lease
// beside that entry, which stays readable. Refresh demands a lease whatever the key holds.
func (c *call) grants(ctx context.Context, flights []*flight) []provider.Grant {
	b, ttl := c.scope.backend, c.scope.leaseTTL()
	force := c.purpose == toReplace
	// What was found may be older than this scope serves it, if another process keeps it longer.
	replaces := slices.ContainsFunc(flights, func(f *flight) bool { return !f.replaces.IsZero() })
	if b.Refresher == nil || !force && !replaces && !c.scope.options.ages() {
		return b.Acquire(ctx, c.keys(flights), ttl)
	}
	requests := make([]provider.RefreshRequest, len(flights))
	for i, f := range flights {
		requests[i] = provider.RefreshRequest{Key: c.scope.key(f.key), LoadedAt: f.replaces, Force: force}
	}
	return b.Refresh(ctx, requests, ttl)
}

// claim takes what the store has granted for f, and returns what may be done about it.
//
// An entry that comes beside a foreign lease is taken if it may be served: the other process
// refreshes it. A key that is held is loaded and not stored: a writer has announced a change. An
// unreadable entry is removed; any other error of one key is a load without a lease.
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
// filled or failed. It returns the flights that are to be loaded: those with a lease of their own
// by now, and those that are still busy when LeaseWait is over or the reader's time is short. The
// latter are loaded without a lease. So a process that died with a lease costs each read at most
// LeaseWait, until the lease ends.
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

// sleep waits for d, and returns false if ctx ends first.
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

// fillLeased stores storable under their leases, as far as the fence allows, and gives the leases
// of rest back. It returns how many fills the store has confirmed. Flights of storable without a
// lease are served and not stored.
//
// Each lease is used up here, by a fill or by a release. A fill whose outcome is unknown is
// followed by a release: if it was not executed, the lease must not stay, and if it was, there is
// no lease to release, since a fill and a release compare the token.
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
	began := c.scope.sending()
	answers := c.scope.backend.Fill(&c.values, fills)
	c.sent(began, "fill", store, firstError(answers, errorOfFill))
	return c.filled(store, answers, sent)
}

// filled takes the answers of the store to the fills of flights, which were sent at sent. It
// returns how many are confirmed. A fill that the store has refused found its lease gone: an
// invalidation, or the end of the lease. A value that is too large or cannot be encoded is an
// error, and the store has dropped the lease with it. After any other error the lease is given back,
// and where an entry was to be replaced, that goes with it, if the store answers at all.
func (c *call) filled(flights []*flight, filled []provider.Filled, sent seq) (stored int) {
	var confirmed, refused, unanswered []*flight
	var failures causes
	removed, lost := 0, 0
	for i, f := range flights {
		err := filled[i].Err
		switch {
		case err == nil:
		case backend.OfEntry(err):
			c.report(opSet, f.key, err)
		default:
			failures.add(f.key, err)
		}
		switch {
		case filled[i].Stored: // an error beside that is only told
			confirmed = append(confirmed, f)
		case err == nil && c.renewal.isOver(f):
			lost++
		case err == nil:
			removed++
		case backend.OfEntry(err):
		case backend.Replied(err):
			refused = append(refused, f)
		default:
			unanswered = append(unanswered, f)
		}
	}
	for _, f := range flights {
		f.spent = true
	}
	c.reportEach(opSet, failures)
	c.countRefused(removed)
	c.countLost(lost)
	c.scope.flights.confirmed(confirmed, sent)
	c.release(append(unanswered, c.removeReplaced(refused)...))
	return len(confirmed)
}

// reportEach is report for each of failures.
func (c *call) reportEach(op string, failures causes) {
	for i := range failures {
		c.report(op, failures[i].only(), failures[i].err)
	}
}

// release gives the leases of flights back. If that fails, they end by their TTL.
func (c *call) release(flights []*flight) {
	if len(flights) == 0 {
		return
	}
	leases := make([]provider.Lease, len(flights))
	for i, f := range flights {
		leases[i], f.spent = *f.lease, true
	}
	began := c.scope.sending()
	err := c.scope.backend.Release(&c.values, leases)
	if c.sent(began, "release", flights, err); err != nil {
		c.report(opDelete, keyOf(flights), fmt.Errorf("a lease was not released: %w", err))
	}
}

// firstError returns the first error in the answers of the store.
func firstError[A any](answers []A, of func(*A) error) error {
	for i := range answers {
		if err := of(&answers[i]); err != nil {
			return err
		}
	}
	return nil
}

func errorOfGrant(g *provider.Grant) error { return g.Err }

func errorOfFill(f *provider.Filled) error { return f.Err }
