package readthrough

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

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
func (r *run) leased(ctx context.Context) {
	direct, asked := r.split()
	asking, cancel := r.asking(ctx)
	defer cancel()
	ready, busy := r.acquire(asking, asked)
	if ready = append(ready, direct...); len(ready) > 0 {
		r.load(ctx, ready, len(busy) == 0)
	}
	if len(busy) == 0 {
		return
	}
	if r.call.purpose == toRefresh {
		r.yield(busy)
		return
	}
	if ready = r.await(asking, busy); len(ready) > 0 {
		r.load(ctx, ready, true)
	}
}

// yield leaves busy, which nobody waits for, to the processes that are loading
// them, and does not ask again for a while. Readers that have joined do.
func (r *run) yield(busy []*flight) {
	for _, f := range busy {
		r.scope.flights.rest(f, refreshPause)
	}
}

// asking returns the context for asking the store: it ends with the patience of
// the reader that made the call.
func (r *run) asking(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.call.patience.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, r.call.patience)
}

// acquire asks the store for the entries of flights, or else for leases. It
// returns the flights that are to be loaded, with or without a lease, and those
// whose lease somebody else has.
func (r *run) acquire(ctx context.Context, flights []*flight) (ready, busy []*flight) {
	ready, busy, bad, old := r.acquireOnce(ctx, flights)
	if len(bad)+len(old) == 0 {
		return ready, busy
	}
	// What cannot be read has to make room for what will be stored. Removing it is
	// always safe.
	if len(bad) > 0 {
		if err := r.scope.cache.backend.delete(ctx, r.keys(bad)); err != nil {
			r.scope.report(OpDelete, keyOf(bad), err)
			ready, bad = append(ready, bad...), nil
		}
	}
	moreReady, moreBusy, bad, old := r.acquireOnce(ctx, append(bad, old...))
	// What has been replaced once more meanwhile is somebody else's to load.
	return slices.Concat(ready, moreReady, bad), slices.Concat(busy, moreBusy, old)
}

// acquireOnce is acquire that also returns the flights whose keys hold what
// cannot be read, and those whose keys hold another entry than was found before,
// which has to be replaced too.
func (r *run) acquireOnce(ctx context.Context, flights []*flight) (ready, busy, bad, old []*flight) {
	if len(flights) == 0 {
		return nil, nil, nil, nil
	}
	r.scope.flights.bind(flights) // what is found now was there after this moment
	grants, err := r.grants(ctx, flights)
	if err != nil {
		r.scope.reportGet(ctx, keyOf(flights), err)
		return flights, nil, nil, nil
	}
	for i, f := range flights {
		switch g := &grants[i]; g.State {
		case provider.LeaseFound:
			switch {
			case r.found(f, &g.Entry):
			case r.scope.cache.backend.refresher != nil && f.seen.Equal(g.Entry.LoadedAt) && !f.seen.IsZero():
				old = append(old, f)
			default:
				bad = append(bad, f)
			}
		case provider.LeaseGranted:
			f.lease = &g.Lease
			if f.old = nil; g.Found {
				r.replaces(f, &g.Entry)
			}
			ready = append(ready, f)
		case provider.LeaseBusy:
			if !g.Found || !r.found(f, &g.Entry) {
				busy = append(busy, f)
			}
		case provider.LeaseHeld:
			ready = append(ready, f)
		default:
			r.scope.reportGet(ctx, f.key, g.Err)
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
func (r *run) grants(ctx context.Context, flights []*flight) ([]provider.Grant, error) {
	b, ttl := r.scope.cache.backend, r.scope.leaseTTL()
	replace := r.call.purpose == toReplace
	if b.refresher == nil || !replace && !r.scope.options.ages() {
		return b.acquire(ctx, r.keys(flights), ttl)
	}
	requests := make([]provider.RefreshRequest, len(flights))
	for i, f := range flights {
		requests[i] = provider.RefreshRequest{Key: r.scope.key(f.key), LoadedAt: f.seen, Force: replace}
	}
	return b.refresh(ctx, requests, ttl)
}

// await asks again and again for the flights whose leases another process has,
// until it has filled or failed, or LeaseWait is over. It returns those that are
// to be loaded.
func (r *run) await(ctx context.Context, busy []*flight) (ready []*flight) {
	wait, _ := boundFor(ctx, r.scope.cache.options.LeaseWait)
	deadline := time.Now().Add(wait)
	for len(busy) > 0 {
		left := time.Until(deadline)
		if left <= 0 || !sleep(ctx, min(left, shortestPoll+rand.N(longestPoll-shortestPoll))) {
			break
		}
		var more []*flight
		more, busy = r.acquire(ctx, busy)
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

// leaseTTL returns for how long the scope takes leases.
func (s *CachedScope) leaseTTL() time.Duration {
	return max(s.cache.options.LeaseTTL, s.options.LoadTimeout)
}

// fillLeased stores storable under their leases, and gives back the leases of
// rest. It returns how many the store has confirmed.
func (r *run) fillLeased(storable, rest []*flight, last bool) (stored int) {
	candidates := filter(storable, func(f *flight) bool { return f.lease != nil })
	store, unwanted, sent := r.scope.flights.fillLeased(r.call, candidates, last)
	r.refused(len(unwanted))
	ctx := &r.call.values // once the load is done, these are bounded by their own deadlines
	if rest = slices.Concat(rest, unwanted); len(rest) > 0 {
		r.release(ctx, rest)
	}
	if len(store) == 0 {
		return 0
	}
	fills := make([]provider.Fill, len(store))
	for i, f := range store {
		entry, ttl := r.entry(f)
		fills[i] = provider.Fill{Lease: *f.lease, Entry: entry, TTL: ttl, Extend: f.outcome.extended}
	}
	filled, err := r.scope.cache.backend.fill(ctx, fills)
	if err != nil {
		r.scope.report(OpSet, keyOf(store), err)
		r.release(ctx, store)
		return 0
	}
	var confirmed, failed []*flight
	refused := 0
	for i, f := range store {
		switch {
		case filled[i].Err != nil:
			r.scope.report(OpSet, f.key, filled[i].Err)
			if verdictOn(filled[i].Err) == storeFailed {
				failed = append(failed, f)
			}
		case filled[i].Stored:
			confirmed = append(confirmed, f)
		default:
			refused++
		}
	}
	r.refused(refused)
	r.scope.flights.confirmed(confirmed, sent)
	if len(failed) > 0 {
		r.release(ctx, failed)
	}
	return len(confirmed)
}

// keys returns the store's keys of flights.
func (r *run) keys(flights []*flight) []provider.Key {
	keys := make([]provider.Key, len(flights))
	for i, f := range flights {
		keys[i] = r.scope.key(f.key)
	}
	return keys
}

// release gives the leases of flights back.
func (r *run) release(ctx context.Context, flights []*flight) {
	leases := make([]provider.Lease, len(flights))
	for i, f := range flights {
		leases[i] = *f.lease
	}
	if err := r.scope.cache.backend.release(ctx, leases); err != nil {
		r.scope.report(OpDelete, keyOf(flights), fmt.Errorf("a lease was not released: %w", err))
	}
}

// acquire asks the store for entries and leases.
func (b *backend) acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	return b.grants(ctx, len(keys), func(ctx context.Context) ([]provider.Grant, error) {
		return b.leaser.Acquire(ctx, keys, ttl)
	})
}

// refresh asks the store for leases on keys that may hold entries.
func (b *backend) refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	return b.grants(ctx, len(requests), func(ctx context.Context) ([]provider.Grant, error) {
		return b.refresher.Refresh(ctx, requests, ttl)
	})
}

// grants asks the store for n grants. A lease that is granted after the deadline,
// when nobody waits for it any more, is given back.
func (b *backend) grants(ctx context.Context, n int, call func(context.Context) ([]provider.Grant, error)) ([]provider.Grant, error) {
	if err := b.admit(); err != nil {
		return nil, err
	}
	return ask(ctx, b, b.readTimeout, func(ctx context.Context) ([]provider.Grant, error) {
		grants, err := call(ctx)
		if err == nil && len(grants) != n {
			err = fmt.Errorf("readthrough: the store returned %d grants for %d keys", len(grants), n)
		}
		if ctx.Err() != nil {
			b.giveBack(ctx, grants)
		}
		return grants, err
	})
}

// giveBack releases what was granted to nobody.
func (b *backend) giveBack(ctx context.Context, grants []provider.Grant) {
	var leases []provider.Lease
	for i := range grants {
		if grants[i].State == provider.LeaseGranted {
			leases = append(leases, grants[i].Lease)
		}
	}
	if len(leases) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.readTimeout)
	defer cancel()
	if err := b.leaser.Release(ctx, leases); err != nil {
		return // they end with their TTL
	}
}

// fill asks the store to keep entries under their leases.
func (b *backend) fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	if err := b.admit(); err != nil {
		return nil, err
	}
	return ask(ctx, b, b.readTimeout, func(ctx context.Context) ([]provider.Filled, error) {
		filled, err := b.leaser.Fill(ctx, fills)
		if err == nil && len(filled) != len(fills) {
			err = fmt.Errorf("readthrough: the store returned %d answers for %d fills", len(filled), len(fills))
		}
		return filled, err
	})
}

// release asks the store to take leases back.
func (b *backend) release(ctx context.Context, leases []provider.Lease) error {
	if err := b.admit(); err != nil {
		return err
	}
	_, err := ask(ctx, b, b.readTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.leaser.Release(ctx, leases)
	})
	return err
}
