package backend

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/readthrough/readthrough/provider"
)

// ---- reads

// lookup is the answer of a Get.
type lookup struct {
	entry provider.Entry
	found bool
}

// Get asks the store for an entry. A hit in a store in the process allocates nothing.
func (b *Backend) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	if b.Local {
		return b.getLocal(ctx, key)
	}
	if entry, found := b.getNear(key); found {
		return entry, true, nil
	}
	does := b.demandOf(reads, 1, func(int) provider.Key { return key })
	if err := b.admit(does); err != nil {
		return provider.Entry{}, false, err
	}
	l, err := ask(ctx, b, does, b.ReadTimeout, func(ctx context.Context) (lookup, error) {
		entry, found, err := b.store.Get(ctx, key)
		return lookup{entry, found}, err
	})
	return l.entry, l.found, err
}

// getLocal is Get for a store in the process.
func (b *Backend) getLocal(ctx context.Context, key provider.Key) (entry provider.Entry, found bool, err error) {
	defer b.recoverStore(&err)
	entry, found, err = b.store.Get(ctx, key)
	return entry, found, Sane(err)
}

// GetValue asks a store with Values for one.
func (b *Backend) GetValue(key provider.Key) (value any, is provider.Presence, err error) {
	defer b.recoverStore(&err)
	value, is = b.Values.GetValue(key)
	return value, is, nil
}

// GetValues asks a store with Values for some.
func (b *Backend) GetValues(keys []provider.Key, values []provider.Value) (err error) {
	defer b.recoverStore(&err)
	b.Values.GetValues(keys, values)
	return nil
}

// getNear asks the memory in front of the store, if there is one, whether the store is well or not. It
// answers only for as long as it knows that nothing was invalidated.
func (b *Backend) getNear(key provider.Key) (entry provider.Entry, found bool) {
	if b.near == nil {
		return entry, false
	}
	var err error
	defer b.recoverStore(&err)
	return b.near.GetNear(key)
}

// KeepOut keeps a scope out of the memory in front of the store, if there is one.
func (b *Backend) KeepOut(scope string) {
	if b.near != nil {
		var err error
		defer b.recoverStore(&err)
		b.near.KeepOut(scope)
	}
}

// GetMany asks the store for entries. It returns a result for each key.
func (b *Backend) GetMany(ctx context.Context, keys []provider.Key) []provider.Result {
	if b.near == nil {
		return b.getFar(ctx, keys)
	}
	results := make([]provider.Result, len(keys))
	var far []provider.Key
	var at []int
	for i, key := range keys {
		r := &results[i]
		if r.Entry, r.Found = b.getNear(key); !r.Found {
			far, at = append(far, key), append(at, i)
		}
	}
	if len(far) == len(keys) {
		return b.getFar(ctx, keys)
	}
	for i, r := range b.getFar(ctx, far) {
		results[at[i]] = r
	}
	return results
}

// getFar is GetMany without the memory in front of the store.
func (b *Backend) getFar(ctx context.Context, keys []provider.Key) []provider.Result {
	if !b.splits(len(keys)) {
		return b.getMany(ctx, keys)
	}
	return inShards(b, keys, keyItself, func(keys []provider.Key) []provider.Result { return b.getMany(ctx, keys) })
}

func (b *Backend) getMany(ctx context.Context, keys []provider.Key) []provider.Result {
	var all []provider.Result
	sent, err := b.inParts(ctx, len(keys), b.ReadTimeout, &b.asking, func(first, end int, timeout time.Duration) error {
		results, err := b.getPart(ctx, timeout, keys[first:end:end])
		if end-first == len(keys) && len(results) == len(keys) {
			all = results // the only part
		} else if all == nil {
			all = make([]provider.Result, len(keys))
		}
		if len(results) == end-first {
			copy(all[first:end], results)
		}
		for i := first; i < end && err != nil; i++ {
			if all[i].Err == nil && !all[i].Found {
				all[i].Err = err
			}
		}
		return err
	})
	if all == nil {
		all = make([]provider.Result, len(keys))
	}
	for i := sent; i < len(all); i++ {
		all[i].Err = err
	}
	return all
}

// getPart makes one request for entries.
func (b *Backend) getPart(ctx context.Context, timeout time.Duration, keys []provider.Key) ([]provider.Result, error) {
	does := b.demandOf(reads, len(keys), func(i int) provider.Key { return keys[i] })
	if err := b.admit(does); err != nil {
		return nil, err
	}
	results, err := ask(ctx, b, does, timeout, func(ctx context.Context) ([]provider.Result, error) {
		if b.batch != nil {
			return b.batch.GetMany(ctx, keys)
		}
		return b.getEach(ctx, keys)
	})
	if err == nil && len(results) != len(keys) {
		err = fmt.Errorf("readthrough: the store returned %d results for %d keys", len(results), len(keys))
	}
	for i := range results {
		results[i].Err = Sane(results[i].Err)
	}
	b.doubtAny(does, len(results), func(i int) error { return results[i].Err })
	return results, err
}

// getEach is GetMany for a store without [provider.Batcher].
func (b *Backend) getEach(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	var group errgroup.Group
	group.SetLimit(parallelGets)
	if b.Local {
		group.SetLimit(1)
	}
	for i, key := range keys {
		group.Go(func() (err error) {
			r := &results[i]
			r.Err = errStoreGoexit // unless the store returns or panics
			defer func() {
				if err != nil {
					r.Err = err
				}
			}()
			defer b.recoverStore(&err)
			r.Entry, r.Found, r.Err = b.store.Get(ctx, key)
			r.Err = Sane(r.Err)
			if verdictOn(r.Err) == storeFailed {
				return r.Err
			}
			return nil
		})
	}
	return results, group.Wait()
}

// Probe asks the store for key, only for the breaker to find out whether the store answers. Retries
// of pending invalidations call it.
func (b *Backend) Probe(ctx context.Context, key provider.Key) {
	if b.Saturated() {
		return
	}
	does := b.demandOf(reads, 1, func(int) provider.Key { return key })
	if err := askOnly(ctx, b, does, b.ReadTimeout, func(ctx context.Context) error {
		_, _, err := b.store.Get(ctx, key)
		return err
	}); err != nil {
		return // the breaker knows
	}
}

// ---- fills

// Filler is told when the store has returned from a fill. A store that does not keep its deadline
// may return long after Set has, and may store the entries even then.
type Filler interface {
	StoreReturned()
}

// setting counts the parts of a Set that the store has not returned from, and one for Set itself.
type setting struct {
	filler Filler
	left   atomic.Int64
}

// done ends a part, and after the last one tells the filler.
func (s *setting) done() {
	if s.left.Add(-1) == 0 {
		s.filler.StoreReturned()
	}
}

// Set asks the store to keep items, whose values it may replace by encoded ones. If the store is not
// in the process, filler is told when the store has returned from all parts, in time or not. If no
// request was made, it is told at once.
func (b *Backend) Set(ctx context.Context, items []provider.Item, filler Filler) error {
	if b.Local {
		return b.setNow(ctx, items)
	}
	s := &setting{filler: filler}
	s.left.Store(1)
	defer s.done()
	set := func(items []provider.Item) error { return b.setParts(ctx, items, s) }
	if b.splits(len(items)) {
		return errInShards(b, items, func(i *provider.Item) provider.Key { return i.Key }, set)
	}
	return set(items)
}

// setParts is Set, of which s counts the parts.
func (b *Backend) setParts(ctx context.Context, items []provider.Item, s *setting) error {
	cut := b.cutBySize(func(i int) *provider.Entry { return &items[i].Entry })
	_, err := b.inSizedParts(ctx, len(items), b.ReadTimeout, &b.storing, cut, func(first, end int, timeout time.Duration) error {
		does := b.demandOf(writes, end-first, func(i int) provider.Key { return items[first+i].Key })
		if err := b.admit(does); err != nil {
			return err
		}
		s.left.Add(1)
		return askOnly(ctx, b, does, timeout, func(ctx context.Context) error {
			defer s.done()
			return b.setNow(ctx, items[first:end:end])
		})
	})
	return err
}

// SetOne is Set for one item. It keeps no reference to the item, so a fill in the process allocates
// nothing for it.
func (b *Backend) SetOne(ctx context.Context, item *provider.Item, filler Filler) error {
	if b.Local {
		return b.setLocal(ctx, item)
	}
	return b.Set(ctx, []provider.Item{*item}, filler)
}

// setLocal is SetOne for a store in the process.
func (b *Backend) setLocal(ctx context.Context, item *provider.Item) (err error) {
	defer b.recoverStore(&err)
	return Sane(b.store.Set(ctx, item.Key, item.Entry, item.TTL))
}

// setNow is Set in the goroutine of its caller.
func (b *Backend) setNow(ctx context.Context, items []provider.Item) (err error) {
	defer b.recoverStore(&err)
	if b.batch != nil && len(items) > 1 {
		return Sane(b.batch.SetMany(ctx, items))
	}
	return b.setEach(ctx, items)
}

// setEach stores items one at a time. It goes on after an item that the store refuses, and stops at
// a failure of the store.
func (b *Backend) setEach(ctx context.Context, items []provider.Item) error {
	var refused []error
	for i := range items {
		err := Sane(b.store.Set(ctx, items[i].Key, items[i].Entry, items[i].TTL))
		if verdictOn(err) == storeFailed {
			return err
		}
		if err != nil {
			refused = append(refused, err)
		}
	}
	return errors.Join(refused...)
}

// ---- removals. They are made also while the breaker is open: the caller has asked Open, or has to
// try.

// Delete asks the store to remove keys. It returns for each key whether the store has confirmed that; nil
// for all of them, with a nil error. It leaves keys alone whose shard has an open breaker, unless insist is
// set.
func (b *Backend) Delete(ctx context.Context, keys []provider.Key, insist bool) (removed []bool, err error) {
	if b.Local {
		return confirmedOf(len(keys), 0, b.deleteLocal(ctx, keys))
	}
	if !b.splits(len(keys)) {
		n, err := b.deleteSome(ctx, keys, insist)
		return confirmedOf(len(keys), n, err)
	}
	return b.confirmInShards(keys, func(keys []provider.Key) (int, error) { return b.deleteSome(ctx, keys, insist) })
}

// deleteLocal is Delete for a store in the process. Its error confirms nothing.
func (b *Backend) deleteLocal(ctx context.Context, keys []provider.Key) (err error) {
	defer b.recoverStore(&err)
	return Sane(b.store.Delete(ctx, keys...))
}

// join returns the only error as it is, and joins several.
func join(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// deleteSome is Delete for keys of one shard, or of several that are well. It returns how many the store
// has removed for sure, from the first on; with a nil error, all.
func (b *Backend) deleteSome(ctx context.Context, keys []provider.Key, insist bool) (removed int, err error) {
	_, err = b.inParts(ctx, len(keys), b.DeleteTimeout, &b.removing, func(first, end int, timeout time.Duration) error {
		does := b.demandOf(removes, end-first, func(i int) provider.Key { return keys[first+i] })
		if b.Saturated() || !insist && b.shards != nil && b.openFor(does) {
			return ErrOpen
		}
		err := askOnly(ctx, b, does, timeout, func(ctx context.Context) error {
			return b.store.Delete(ctx, keys[first:end:end]...)
		})
		if err == nil && removed == first {
			removed = end
		}
		return err
	})
	return removed, err
}

// DeletePrefix asks the store to remove the keys under a prefix. It returns how many live entries were
// removed. After a removal that the deadline cuts off it asks again, as long as each removes something:
// a prefix may have more keys than a store can remove in that time.
//
// It asks nothing if the breaker of any shard is open, unless insist is set: a prefix has keys in all.
func (b *Backend) DeletePrefix(ctx context.Context, scope, prefix string, insist bool) (removed int, err error) {
	if !insist && b.shards != nil && b.shards.anyOpen(removes) {
		return 0, ErrOpen
	}
	for {
		n, cutOff, err := b.deletePrefixPart(ctx, scope, prefix)
		if removed += n; !cutOff {
			return removed, err
		}
		if ctx.Err() != nil {
			return removed, ctx.Err()
		}
	}
}

// deletePrefixPart is DeletePrefix until the deadline. cutOff says that some are removed, and others may
// be left.
func (b *Backend) deletePrefixPart(ctx context.Context, scope, prefix string) (removed int, cutOff bool, err error) {
	if b.Saturated() {
		return 0, false, ErrOpen
	}
	type part struct {
		removed int
		cutOff  bool
	}
	p, err := ask(ctx, b, b.everywhere(removes), b.DeleteTimeout, func(ctx context.Context) (part, error) {
		n, err := b.store.DeletePrefix(ctx, scope, prefix)
		err = Sane(err)
		if n > 0 && isTimeout(err) {
			return part{n, true}, nil // the store is well
		}
		return part{n, false}, err
	})
	return p.removed, p.cutOff, err
}

// ---- inspection

// Has asks the store whether it has a live entry under key.
func (b *Backend) Has(ctx context.Context, key provider.Key) (bool, error) {
	does := b.demandOf(reads, 1, func(int) provider.Key { return key })
	return inspect(ctx, b, does, func(ctx context.Context) (bool, error) { return b.inspector.Has(ctx, key) })
}

// List asks the store for a page of its live entries.
func (b *Backend) List(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
	return inspect(ctx, b, anywhere(reads), func(ctx context.Context) (provider.Page, error) { return b.inspector.List(ctx, options) })
}

// Stats asks the store for its statistics.
func (b *Backend) Stats(ctx context.Context) (provider.Stats, error) {
	return inspect(ctx, b, anywhere(reads), func(ctx context.Context) (provider.Stats, error) { return b.inspector.Stats(ctx) })
}

// inspect asks the inspector of the store, if there is one, behind the breaker. The deadline is
// DeleteTimeout, since a listing takes longer than a read.
func inspect[R any](ctx context.Context, b *Backend, does demand, call func(context.Context) (R, error)) (R, error) {
	var none R
	if b.inspector == nil {
		return none, b.errNoInspector()
	}
	if err := b.admit(does); err != nil {
		return none, err
	}
	return ask(ctx, b, does, b.DeleteTimeout, call)
}
