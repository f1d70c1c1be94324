package backend

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Acquire asks the store for the entries of keys, or else for leases. It returns a grant for each key.
func (b *Backend) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) []provider.Grant {
	acquire := func(keys []provider.Key) []provider.Grant {
		return b.grants(ctx, len(keys), func(i int) provider.Key { return keys[i] }, func(ctx context.Context, first, end int) ([]provider.Grant, error) {
			return b.Leaser.Acquire(ctx, keys[first:end:end], ttl)
		})
	}
	if b.splits(len(keys)) {
		return inShards(b, keys, keyItself, acquire)
	}
	return acquire(keys)
}

// Refresh is Acquire for keys that may hold an entry that is to be replaced.
func (b *Backend) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) []provider.Grant {
	refresh := func(requests []provider.RefreshRequest) []provider.Grant {
		return b.grants(ctx, len(requests), func(i int) provider.Key { return requests[i].Key }, func(ctx context.Context, first, end int) ([]provider.Grant, error) {
			return b.Refresher.Refresh(ctx, requests[first:end:end], ttl)
		})
	}
	if b.splits(len(requests)) {
		return inShards(b, requests, func(r *provider.RefreshRequest) provider.Key { return r.Key }, refresh)
	}
	return refresh(requests)
}

// grants asks the store for n grants. If the store grants leases after the deadline, nobody waits
// for them any more, and they are given back: a lease that stayed would keep all processes from
// filling the key until it ends. All others belong to the caller, also if they come at the
// deadline.
func (b *Backend) grants(ctx context.Context, n int, key func(i int) provider.Key, call func(ctx context.Context, first, end int) ([]provider.Grant, error)) []provider.Grant {
	giveBack := func(grants []provider.Grant) { b.giveBack(ctx, grants) }
	all := make([]provider.Grant, n)
	sent, err := b.inParts(ctx, n, b.ReadTimeout, &b.asking, func(first, end int, timeout time.Duration) error {
		does := b.demandOf(writes, end-first, func(i int) provider.Key { return key(first + i) })
		grants, err := b.grantPart(ctx, timeout, does, end-first, func(ctx context.Context) ([]provider.Grant, error) { return call(ctx, first, end) }, giveBack)
		b.doubtAny(does, len(grants), func(i int) error { return grants[i].Err })
		for i := range end - first {
			g := &all[first+i]
			if len(grants) == end-first {
				*g = grants[i]
			}
			if err != nil && g.Err == nil && g.State != provider.LeaseGranted { // a lease is one whatever the others became
				*g = provider.Grant{Err: err}
			}
		}
		return err
	})
	for i := sent; i < n; i++ {
		all[i].Err = err
	}
	return all
}

// grantPart makes one request for n grants.
func (b *Backend) grantPart(ctx context.Context, timeout time.Duration, does demand, n int, call func(context.Context) ([]provider.Grant, error), left func([]provider.Grant)) ([]provider.Grant, error) {
	if err := b.admit(does); err != nil {
		return nil, err
	}
	return askLeaving(ctx, b, does, timeout, func(ctx context.Context) ([]provider.Grant, error) {
		grants, err := call(ctx)
		if err == nil && len(grants) != n {
			err = fmt.Errorf("readthrough: the store returned %d grants for %d keys", len(grants), n)
		}
		for i := range grants {
			grants[i].Err = Sane(grants[i].Err)
		}
		return grants, err
	}, left)
}

// giveBack releases leases that were granted too late. A lease that is not released ends by its
// TTL.
func (b *Backend) giveBack(ctx context.Context, grants []provider.Grant) {
	var leases []provider.Lease
	for i := range grants {
		if grants[i].State == provider.LeaseGranted {
			leases = append(leases, grants[i].Lease)
		}
	}
	if len(leases) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.ReadTimeout)
	defer cancel()
	_, err := try(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, b.Leaser.Release(ctx, leases) })
	if err != nil {
		return // they end with their TTL
	}
}

// Fill asks the store to keep entries under their leases. It returns an answer for each of them. It may
// replace the values of fills by encoded ones.
func (b *Backend) Fill(ctx context.Context, fills []provider.Fill) []provider.Filled {
	fill := func(fills []provider.Fill) []provider.Filled { return b.fill(ctx, fills) }
	if b.splits(len(fills)) {
		return inShards(b, fills, func(f *provider.Fill) provider.Key { return f.Lease.Key }, fill)
	}
	return fill(fills)
}

func (b *Backend) fill(ctx context.Context, fills []provider.Fill) []provider.Filled {
	all := make([]provider.Filled, len(fills))
	cut := b.cutBySize(func(i int) *provider.Entry {
		if fills[i].Extend {
			return nil
		}
		return &fills[i].Entry
	})
	sent, err := b.inSizedParts(ctx, len(fills), b.ReadTimeout, &b.storing, cut, func(first, end int, timeout time.Duration) error {
		filled, err := b.fillPart(ctx, timeout, fills[first:end:end])
		for i := range end - first {
			if err != nil { // nothing is confirmed
				all[first+i].Err = err
			} else {
				all[first+i] = filled[i]
			}
		}
		return err
	})
	for i := sent; i < len(all); i++ {
		all[i].Err = err
	}
	return all
}

// fillPart makes one request for fills.
func (b *Backend) fillPart(ctx context.Context, timeout time.Duration, fills []provider.Fill) ([]provider.Filled, error) {
	does := b.demandOf(writes, len(fills), func(i int) provider.Key { return fills[i].Lease.Key })
	if err := b.admit(does); err != nil {
		return nil, err
	}
	return ask(ctx, b, does, timeout, func(ctx context.Context) ([]provider.Filled, error) {
		filled, err := b.Leaser.Fill(ctx, fills)
		for i := range filled {
			filled[i].Err = Sane(filled[i].Err)
		}
		b.doubtAny(does, len(filled), func(i int) error { return filled[i].Err })
		if err == nil && len(filled) != len(fills) {
			err = fmt.Errorf("readthrough: the store returned %d answers for %d fills", len(filled), len(fills))
		}
		return filled, err
	})
}

// Release asks the store to take leases back.
func (b *Backend) Release(ctx context.Context, leases []provider.Lease) error {
	release := func(leases []provider.Lease) error { return b.release(ctx, leases) }
	if b.splits(len(leases)) {
		return errInShards(b, leases, keyOfLease, release)
	}
	return release(leases)
}

func keyOfLease(lease *provider.Lease) provider.Key { return lease.Key }

func (b *Backend) release(ctx context.Context, leases []provider.Lease) error {
	_, err := b.inParts(ctx, len(leases), b.ReadTimeout, &b.asking, func(first, end int, timeout time.Duration) error {
		does := b.demandOf(removes, end-first, func(i int) provider.Key { return leases[first+i].Key })
		if err := b.admit(does); err != nil {
			return err
		}
		return askOnly(ctx, b, does, timeout, func(ctx context.Context) error {
			return b.Leaser.Release(ctx, leases[first:end:end])
		})
	})
	return err
}

// Renew asks the store to have leases end after ttl from now. It reports for each whether its key still
// holds it; with an error, only what is true counts.
func (b *Backend) Renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	if !b.splits(len(leases)) {
		return b.renew(ctx, leases, ttl)
	}
	var mu sync.Mutex // guards errs
	var errs []error
	renewed := inShards(b, leases, keyOfLease, func(leases []provider.Lease) []bool {
		renewed, err := b.renew(ctx, leases, ttl)
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
		return renewed
	})
	return renewed, join(errs)
}

func (b *Backend) renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	all := make([]bool, len(leases))
	_, err := b.inParts(ctx, len(leases), b.ReadTimeout, &b.asking, func(first, end int, timeout time.Duration) error {
		does := b.demandOf(removes, end-first, func(i int) provider.Key { return leases[first+i].Key })
		if err := b.admit(does); err != nil {
			return err
		}
		renewed, err := ask(ctx, b, does, timeout, func(ctx context.Context) ([]bool, error) {
			renewed, err := b.Renewer.Renew(ctx, leases[first:end:end], ttl)
			if err == nil && len(renewed) != end-first {
				err = fmt.Errorf("readthrough: the store returned %d answers for %d renewals", len(renewed), end-first)
			}
			return renewed, err
		})
		copy(all[first:end], renewed)
		return err
	})
	return all, err
}

// Hold asks the store to hold targets, whether the breaker is open or not: the caller has asked
// AdmitHold, or is an invalidation and has to try. It returns how many keys of targets are held, from
// the first on. If the error is nil, the prefixes are held, too.
func (b *Backend) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) (keys int, err error) {
	whole := false
	defer func() {
		if !whole && b.shards != nil { // the parts that were not asked for are the probe of nothing
			b.record(b.demandOfHold(writes, &targets), storeUnknown)
		}
	}()
	for part, partToken := range holdParts(targets, token) {
		if err := askOnly(ctx, b, b.demandOfHold(writes, &part), b.DeleteTimeout, func(ctx context.Context) error {
			return b.Holder.Hold(ctx, part, partToken, ttl)
		}); err != nil {
			return keys, err
		}
		keys += len(part.Keys)
	}
	whole = true
	return keys, nil
}

// HoldKeys asks the store to hold keys of one scope until ttl is over: nobody gives them up. It returns for each key
// whether it is held; nil for all of them, with a nil error. It leaves keys alone whose shard has an open breaker,
// unless insist is set.
func (b *Backend) HoldKeys(ctx context.Context, keys []provider.Key, token string, ttl time.Duration, insist bool) (held []bool, err error) {
	hold := func(keys []provider.Key) (int, error) {
		targets := provider.HoldTargets{Scope: keys[0].Scope, LeftToTTL: true}
		for _, key := range keys {
			targets.Keys = append(targets.Keys, key.Name)
		}
		does := b.demandOfHold(removes, &targets)
		if b.Saturated() || !insist && b.shards != nil && b.openFor(does) {
			return 0, ErrOpen
		}
		return b.Hold(ctx, targets, token+"/"+strconv.Itoa(does.shard), ttl)
	}
	if !b.splits(len(keys)) {
		n, err := hold(keys)
		return confirmedOf(len(keys), n, err)
	}
	return b.confirmInShards(keys, hold)
}

// HoldPrefix is HoldKeys for the keys under a prefix. It asks nothing if the breaker of any shard is open, unless
// insist is set.
func (b *Backend) HoldPrefix(ctx context.Context, scope, prefix, token string, ttl time.Duration, insist bool) error {
	if b.Saturated() || !insist && b.shards != nil && b.shards.anyOpen(removes) {
		return ErrOpen
	}
	_, err := b.Hold(ctx, provider.HoldTargets{Scope: scope, Prefixes: []string{prefix}, LeftToTTL: true}, token, ttl)
	return err
}

// Unhold asks the store to give a hold up. After a part that fails it goes on with the others, unless
// the store hangs: a hold that is left behind keeps its keys out of the store.
func (b *Backend) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	var errs []error
	for part, partToken := range holdParts(targets, token) {
		if b.Saturated() {
			return ErrOpen
		}
		err := askOnly(ctx, b, b.demandOfHold(removes, &part), b.DeleteTimeout, func(ctx context.Context) error {
			return b.Holder.Unhold(ctx, part, partToken)
		})
		if err != nil {
			errs = append(errs, err)
		}
		if isTimeout(err) {
			break
		}
	}
	return errors.Join(errs...)
}

// holdParts cuts targets into parts, each with a token of its own, since different holds need different
// tokens. The cuts depend on nothing but targets: a hold is given up in the parts in which it was
// placed. The first prefix is in the last part with keys, and each other one is a part.
func holdParts(targets provider.HoldTargets, token string) iter.Seq2[provider.HoldTargets, string] {
	return func(yield func(provider.HoldTargets, string) bool) {
		keys, prefixes := targets.Keys, targets.Prefixes
		for i := 0; i == 0 || len(keys)+len(prefixes) > 0; i++ {
			part := targets
			part.Prefixes = nil
			n := min(len(keys), mostRemoved)
			part.Keys, keys = keys[:n:n], keys[n:]
			if len(keys) == 0 && len(prefixes) > 0 {
				part.Prefixes, prefixes = prefixes[:1:1], prefixes[1:]
			}
			partToken := token
			if i > 0 {
				partToken += "-" + strconv.Itoa(i)
			}
			if !yield(part, partToken) {
				return
			}
		}
	}
}
