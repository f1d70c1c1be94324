package cachetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// chaosStore is the store that a cache gets from a Chaos. Each method makes a
// plan, which chooses the faults of the call, encodes the values if the options
// have a codec, and passes the request to the store behind through run.
// chaosStore has no state of its own, and has the methods of all capabilities:
// withCapabilities hides those that the store behind lacks. A method copies the
// slices of a request that may arrive late, because such a request outlives the
// call.
type chaosStore struct{ chaos *Chaos }

// Encode encodes with the codec of the options, or as the store behind does. What the
// checker refuses, Set and Fill refuse, too.
func (s *chaosStore) Encode(entry provider.Entry) (provider.Entry, error) {
	if s.chaos.codec == nil && s.chaos.inner.encoder != nil {
		return s.chaos.inner.encoder.Encode(entry)
	}
	encoded, err := s.encode(entry)
	if err != nil {
		return entry, err
	}
	return encoded, nil
}

func (s *chaosStore) InProcess() {}

func (s *chaosStore) Close() error {
	return errors.Join(s.chaos.Close(), s.chaos.inner.closer.Close())
}

func (s *chaosStore) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	p := s.chaos.plan(OpGet, key)
	r, err := run(ctx, p, func(ctx context.Context) (r provider.Result, err error) {
		r.Entry, r.Found, err = s.chaos.inner.Get(ctx, key)
		return r, err
	})
	if err == nil && r.Found {
		r.Entry, err = p.corrupt(r.Entry)
	}
	if err != nil {
		return provider.Entry{}, false, err
	}
	return r.Entry, r.Found, nil
}

func (s *chaosStore) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	entry, err := s.encode(entry)
	if err != nil {
		return errors.Join(err, s.chaos.inner.Delete(ctx, key)) // the store keeps nothing under the key
	}
	_, err = run(ctx, s.chaos.plan(OpSet, key), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.chaos.inner.Set(ctx, key, entry, ttl)
	})
	return err
}

func (s *chaosStore) Delete(ctx context.Context, keys ...provider.Key) error {
	keys = slices.Clone(keys) // a late request outlives the call
	p := s.chaos.plan(OpDelete, keys...)
	asked, partial := pick(p, keys)
	_, err := run(ctx, p, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.chaos.inner.Delete(ctx, at(keys, asked)...)
	})
	return errors.Join(err, partial)
}

func (s *chaosStore) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	return run(ctx, s.chaos.plan(OpDeletePrefix, provider.Key{Scope: scope, Name: prefix}), func(ctx context.Context) (int, error) {
		return s.chaos.inner.DeletePrefix(ctx, scope, prefix)
	})
}

func (s *chaosStore) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	p := s.chaos.plan(OpGetMany, keys...)
	asked, partial := pick(p, keys)
	found, err := run(ctx, p, func(ctx context.Context) ([]provider.Result, error) {
		return s.chaos.inner.batcher.GetMany(ctx, at(keys, asked))
	})
	results := make([]provider.Result, len(keys))
	for i := range results {
		results[i].Err = errors.Join(err, partial) // replaced below for keys that were asked for
	}
	if len(found) == len(asked) {
		for n, i := range asked {
			results[i] = found[n]
			if results[i].Found {
				results[i].Entry, results[i].Err = p.corrupt(results[i].Entry)
				results[i].Found = results[i].Err == nil
			}
		}
	}
	return results, errors.Join(err, p.whole(partial))
}

func (s *chaosStore) SetMany(ctx context.Context, items []provider.Item) error {
	var errs []error
	keys := make([]provider.Key, len(items))
	encoded := make([]provider.Item, 0, len(items))
	for i, item := range items {
		keys[i] = item.Key
		entry, err := s.encode(item.Entry)
		if err != nil {
			errs = append(errs, err, s.chaos.inner.Delete(ctx, item.Key))
			continue
		}
		item.Entry = entry
		encoded = append(encoded, item)
	}
	p := s.chaos.plan(OpSetMany, keys...)
	asked, partial := pick(p, encoded)
	_, err := run(ctx, p, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.chaos.inner.batcher.SetMany(ctx, at(encoded, asked))
	})
	return errors.Join(append(errs, err, partial)...)
}

func (s *chaosStore) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	keys = slices.Clone(keys)
	p := s.chaos.plan(OpAcquire, keys...)
	asked, partial := pick(p, keys)
	granted, err := run(ctx, p, func(ctx context.Context) ([]provider.Grant, error) {
		return s.chaos.inner.leaser.Acquire(ctx, at(keys, asked), ttl)
	})
	return p.grants(len(keys), asked, granted, err, partial)
}

func (s *chaosStore) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	requests = slices.Clone(requests)
	keys := make([]provider.Key, len(requests))
	for i := range requests {
		keys[i] = requests[i].Key
	}
	p := s.chaos.plan(OpRefresh, keys...)
	asked, partial := pick(p, requests)
	granted, err := run(ctx, p, func(ctx context.Context) ([]provider.Grant, error) {
		return s.chaos.inner.refresher.Refresh(ctx, at(requests, asked), ttl)
	})
	return p.grants(len(requests), asked, granted, err, partial)
}

// grants returns the answers to n requests. asked has the positions of the
// requests that the store got, granted its answers to them.
func (p *plan) grants(n int, asked []int, granted []provider.Grant, err, partial error) ([]provider.Grant, error) {
	grants := make([]provider.Grant, n)
	for i := range grants {
		grants[i] = provider.Grant{State: provider.LeaseFailed, Err: errors.Join(err, partial)} // replaced below for requests that were sent
	}
	if len(granted) == len(asked) {
		for k, i := range asked {
			grants[i] = granted[k]
			if grants[i].State != provider.LeaseFound {
				continue
			}
			var damage error
			if grants[i].Entry, damage = p.corrupt(grants[i].Entry); damage != nil {
				grants[i] = provider.Grant{State: provider.LeaseFailed, Err: damage}
			}
		}
	}
	return grants, errors.Join(err, p.whole(partial))
}

func (s *chaosStore) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	filled := make([]provider.Filled, len(fills))
	keys := make([]provider.Key, len(fills))
	var encoded []provider.Fill
	var places []int // places[i] is the position of encoded[i] in fills
	for i, fill := range fills {
		keys[i] = fill.Lease.Key
		entry, err := s.encode(fill.Entry)
		if err != nil { // a refused fill leaves nothing under its key, not even its lease
			filled[i].Err = errors.Join(err, s.chaos.inner.Delete(ctx, fill.Lease.Key))
			continue
		}
		fill.Entry = entry
		encoded, places = append(encoded, fill), append(places, i)
	}
	p := s.chaos.plan(OpFill, keys...)
	asked, partial := pick(p, encoded)
	done, err := run(ctx, p, func(ctx context.Context) ([]provider.Filled, error) {
		return s.chaos.inner.leaser.Fill(ctx, at(encoded, asked))
	})
	for _, i := range places {
		filled[i].Err = errors.Join(err, partial) // replaced below for fills that were sent
	}
	if len(done) == len(asked) {
		for n, k := range asked {
			filled[places[k]] = done[n]
		}
	}
	return filled, errors.Join(err, p.whole(partial))
}

func (s *chaosStore) Release(ctx context.Context, leases []provider.Lease) error {
	leases = slices.Clone(leases)
	keys := make([]provider.Key, len(leases))
	for i := range leases {
		keys[i] = leases[i].Key
	}
	p := s.chaos.plan(OpRelease, keys...)
	asked, partial := pick(p, leases)
	_, err := run(ctx, p, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.chaos.inner.leaser.Release(ctx, at(leases, asked))
	})
	return errors.Join(err, partial)
}

func (s *chaosStore) Renew(ctx context.Context, leases []provider.Lease, ttl time.Duration) ([]bool, error) {
	leases = slices.Clone(leases)
	keys := make([]provider.Key, len(leases))
	for i := range leases {
		keys[i] = leases[i].Key
	}
	p := s.chaos.plan(OpRenew, keys...)
	asked, partial := pick(p, leases)
	done, err := run(ctx, p, func(ctx context.Context) ([]bool, error) {
		return s.chaos.inner.renewer.Renew(ctx, at(leases, asked), ttl)
	})
	renewed := make([]bool, len(leases))
	if len(done) == len(asked) {
		for n, i := range asked {
			renewed[i] = done[n]
		}
	}
	return renewed, errors.Join(err, partial)
}

func (s *chaosStore) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	targets = clone(targets)
	_, err := run(ctx, s.chaos.plan(OpHold, first(targets)...), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.chaos.inner.holder.Hold(ctx, targets, token, ttl)
	})
	return err
}

func (s *chaosStore) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	targets = clone(targets)
	_, err := run(ctx, s.chaos.plan(OpUnhold, first(targets)...), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.chaos.inner.holder.Unhold(ctx, targets, token)
	})
	return err
}

func (s *chaosStore) Has(ctx context.Context, key provider.Key) (bool, error) {
	return run(ctx, s.chaos.plan(OpInspect, key), func(ctx context.Context) (bool, error) {
		return s.chaos.inner.inspector.Has(ctx, key)
	})
}

func (s *chaosStore) Stats(ctx context.Context) (provider.Stats, error) {
	return run(ctx, s.chaos.plan(OpInspect), func(ctx context.Context) (provider.Stats, error) {
		return s.chaos.inner.inspector.Stats(ctx)
	})
}

func (s *chaosStore) List(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
	return run(ctx, s.chaos.plan(OpInspect), func(ctx context.Context) (provider.Page, error) {
		return s.chaos.inner.inspector.List(ctx, options)
	})
}

// encode returns entry with its value encoded, if the options have a codec.
func (s *chaosStore) encode(entry provider.Entry) (provider.Entry, error) {
	if s.chaos.codec == nil || entry.Absent {
		return entry, nil
	}
	encoded, err := s.chaos.checker.Encode(entry.Value)
	entry.Value = encoded
	return entry, err
}

// pick returns the positions in all that are sent to the store. If some are not,
// partial is their error.
func pick[E any](p *plan, all []E) (asked []int, partial error) {
	some := len(all) > 1 && p.roll(faultPartial, p.faults.Partial)
	for i := range all {
		if !some || p.rng.IntN(2) == 0 {
			asked = append(asked, i)
		}
	}
	if len(asked) < len(all) {
		partial = p.err("failed for some keys")
	}
	return asked, partial
}

// whole returns the error of a call in which some keys failed with partial: that
// error, or nil, at random.
func (p *plan) whole(partial error) error {
	if partial != nil && p.rng.IntN(2) == 0 {
		return partial
	}
	return nil
}

// at returns the elements at positions.
func at[E any](all []E, positions []int) []E {
	picked := make([]E, len(positions))
	for n, i := range positions {
		picked[n] = all[i]
	}
	return picked
}

// garbage is a type that no reader asks for.
type garbage struct{}

// corrupt damages an entry that was found, or returns the error of an undecodable
// one.
func (p *plan) corrupt(entry provider.Entry) (provider.Entry, error) {
	if !p.roll(faultCorrupt, p.faults.Corrupt) {
		return entry, nil
	}
	encoded, ok := entry.Value.(provider.Encoded)
	switch way := p.rng.IntN(3); {
	case entry.Absent || way == 0:
		return provider.Entry{}, errors.Join(p.err("damaged"), provider.ErrUndecodable)
	case !ok:
		entry.Value = garbage{}
	case way == 1:
		encoded.Type = "cachetest.garbage"
		entry.Value = encoded
	default:
		kept := encoded.Data[:p.rng.IntN(len(encoded.Data)+1)]
		encoded.Data = append([]byte{0xff}, kept...)
		entry.Value = encoded
	}
	return entry, nil
}

func clone(t provider.HoldTargets) provider.HoldTargets {
	t.Keys, t.Prefixes = slices.Clone(t.Keys), slices.Clone(t.Prefixes)
	return t
}

// first returns the first key of targets, if there is one.
func first(t provider.HoldTargets) []provider.Key {
	if len(t.Keys) == 0 {
		return nil
	}
	return []provider.Key{{Scope: t.Scope, Name: t.Keys[0]}}
}
