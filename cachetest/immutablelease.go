package cachetest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// The methods of a watch for stores with leases.

func (w *watch) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	grants, err := w.leaser.Acquire(ctx, keys, ttl)
	for i := range grants {
		if i < len(keys) && grants[i].State == provider.LeaseFound {
			grants[i].Entry = w.found(keys[i], grants[i].Entry)
		}
	}
	return grants, err
}

func (w *watch) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	grants, err := w.refresher.Refresh(ctx, requests, ttl)
	for i := range grants {
		if i < len(requests) && (grants[i].State == provider.LeaseFound || grants[i].Found) {
			grants[i].Entry = w.found(requests[i].Key, grants[i].Entry)
		}
	}
	return grants, err
}

func (w *watch) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	values, was := make([]any, len(fills)), make([]contents, len(fills))
	for i := range fills {
		w.leave(ctx, fills[i].Lease.Key)
		if !fills[i].Extend {
			values[i], was[i] = valueOf(fills[i].Entry)
		}
	}
	filled, err := w.leaser.Fill(ctx, fills)
	for i := range filled {
		if i < len(fills) && filled[i].Stored && values[i] != nil {
			w.stored(fills[i].Lease.Key, values[i], was[i])
		}
	}
	return filled, err
}

func (w *watch) Release(ctx context.Context, leases []provider.Lease) error {
	return w.leaser.Release(ctx, leases)
}

func (w *watch) Renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	return w.renewer.Renew(ctx, leases, ttl)
}

func (w *watch) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	w.leaveAll(ctx, func(key provider.Key) bool { return covers(targets, key) })
	return w.holder.Hold(ctx, targets, token, ttl)
}

func (w *watch) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	return w.holder.Unhold(ctx, targets, token)
}

// covers reports whether targets have a key.
func covers(targets provider.HoldTargets, key provider.Key) bool {
	if key.Scope != targets.Scope {
		return false
	}
	if slices.Contains(targets.Keys, key.Name) {
		return true
	}
	for _, prefix := range targets.Prefixes {
		if strings.HasPrefix(key.Name, prefix) {
			return true
		}
	}
	return false
}
