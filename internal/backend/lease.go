package backend

import (
	"context"
	"fmt"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// Acquire asks the store for the entries of keys, or else for leases. It returns a grant for each
// key, or an error that concerns the whole request.
func (b *Backend) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	return b.grants(ctx, len(keys), func(ctx context.Context) ([]provider.Grant, error) {
		return b.Leaser.Acquire(ctx, keys, ttl)
	})
}

// Refresh is Acquire for keys that may hold an entry that is to be replaced.
func (b *Backend) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	return b.grants(ctx, len(requests), func(ctx context.Context) ([]provider.Grant, error) {
		return b.Refresher.Refresh(ctx, requests, ttl)
	})
}

// grants asks the store for n grants. If the store grants a lease after the deadline, nobody waits
// for it any more, and it is given back. A lease that stayed would keep all processes from filling
// the key until it ends.
func (b *Backend) grants(ctx context.Context, n int, call func(context.Context) ([]provider.Grant, error)) ([]provider.Grant, error) {
	if err := b.AdmitFill(); err != nil {
		return nil, err
	}
	return ask(ctx, b, writes, b.ReadTimeout, func(ctx context.Context) ([]provider.Grant, error) {
		grants, err := call(ctx)
		if err == nil && len(grants) != n {
			err = fmt.Errorf("readthrough: the store returned %d grants for %d keys", len(grants), n)
		}
		for i := range grants {
			grants[i].Err = Sane(grants[i].Err)
		}
		if ctx.Err() != nil {
			b.giveBack(ctx, grants)
		}
		return grants, err
	})
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
	if err := b.Leaser.Release(ctx, leases); err != nil {
		return // they end with their TTL
	}
}

// Fill asks the store to keep entries under their leases. It returns an answer for each of them, or
// an error that concerns the whole request.
func (b *Backend) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	if err := b.AdmitFill(); err != nil {
		return nil, err
	}
	return ask(ctx, b, writes, b.ReadTimeout, func(ctx context.Context) ([]provider.Filled, error) {
		filled, err := b.Leaser.Fill(ctx, fills)
		for i := range filled {
			filled[i].Err = Sane(filled[i].Err)
		}
		if err == nil && len(filled) != len(fills) {
			err = fmt.Errorf("readthrough: the store returned %d answers for %d fills", len(filled), len(fills))
		}
		return filled, err
	})
}

// Release asks the store to take leases back.
func (b *Backend) Release(ctx context.Context, leases []provider.Lease) error {
	if err := b.Admit(); err != nil {
		return err
	}
	_, err := ask(ctx, b, removes, b.ReadTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.Leaser.Release(ctx, leases)
	})
	return err
}

// Hold asks the store to hold targets, whether the breaker is open or not: the caller has asked
// Admit, or is an invalidation and has to try.
func (b *Backend) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	_, err := ask(ctx, b, writes, b.DeleteTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.Holder.Hold(ctx, targets, token, ttl)
	})
	return err
}

// Unhold asks the store to give a hold up.
func (b *Backend) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	if b.Saturated() {
		return ErrOpen
	}
	_, err := ask(ctx, b, removes, b.DeleteTimeout, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, b.Holder.Unhold(ctx, targets, token)
	})
	return err
}
