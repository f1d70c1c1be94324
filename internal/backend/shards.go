package backend

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// A store with shards ([provider.Sharded]) fails in parts: a server of a cluster is down, and the others
// are well. These are the rules:
//
//   - Each shard has breakers of its own. A request for keys of one shard is admitted and judged by them.
//   - A bulk request for keys of several shards is one request while all is well. If anything in it fails,
//     it does not say which shard has failed. So for a while after that, and as long as a breaker is open,
//     bulk requests are split: each shard is asked by itself, all at the same time.
//   - A removal does not ask shards whose breaker is open, unless it insists. Retries insist.
//   - A request that succeeds only if all its shards do (a hold, a prefix) is admitted by all of them, is a probe
//     of those that are half-open, and tells each of them that it is well. Its failure tells nothing of those
//     that were well.
type shards struct {
	store provider.Sharded
	all   []shard
	// doubtUntil is until when bulk requests are split, as Unix nanoseconds.
	doubtUntil atomic.Int64
}

// shard has the breakers of a shard.
type shard struct{ breaker, refusals breaker }

const (
	// mixed is the shard of a request for keys of several.
	mixed = -1
	// doubtFor is how long bulk requests are split after a failure.
	doubtFor = 10 * time.Second
)

// demand is what a request does, and in which shard.
type demand struct {
	kind  kind
	shard int
	// each has the shards of a mixed request that succeeds only if each of them does; nil: nobody knows
	// which of them an outcome is about.
	each []int
}

// anywhere is a demand in no shard, or in several.
func anywhere(k kind) demand { return demand{kind: k, shard: mixed} }

// everywhere is a demand that all shards have to meet.
func (b *Backend) everywhere(k kind) demand {
	does := anywhere(k)
	if b.shards == nil {
		return does
	}
	for n := range b.shards.all {
		does.each = append(does.each, n)
	}
	return does
}

// demandOfHold is the demand of a request that holds targets, or gives them up: in the shards of the keys, and
// with prefixes in all.
func (b *Backend) demandOfHold(k kind, targets *provider.HoldTargets) demand {
	if b.shards == nil {
		return anywhere(k)
	}
	if len(targets.Prefixes) > 0 {
		return b.everywhere(k)
	}
	does := anywhere(k)
	for _, name := range targets.Keys {
		if n := b.shardOf(provider.Key{Scope: targets.Scope, Name: name}); n != mixed && !slices.Contains(does.each, n) {
			does.each = append(does.each, n)
		}
	}
	if len(does.each) == 1 {
		does.shard = does.each[0]
	}
	return does
}

func newShards(store provider.Sharded, c Config) *shards {
	s := &shards{store: store, all: make([]shard, store.Shards())}
	for i := range s.all {
		for _, b := range []*breaker{&s.all[i].breaker, &s.all[i].refusals} {
			b.limit, b.cooldown = c.BreakerFailures, c.BreakerCooldown
		}
	}
	return s
}

// shardOf returns the shard of a key. A number that the store has not announced is none, and neither is a
// panic.
func (b *Backend) shardOf(key provider.Key) (n int) {
	n = mixed
	var err error
	defer b.recoverStore(&err)
	if shard := b.shards.store.Shard(key); shard >= 0 && shard < len(b.shards.all) {
		n = shard
	}
	return n
}

func (s *shards) allOpen() bool {
	for i := range s.all {
		if !s.all[i].breaker.open.Load() {
			return false
		}
	}
	return true
}

// anyOpen reports whether any shard admits no request that does k. A shard that is full takes removals.
func (s *shards) anyOpen(k kind) bool {
	for i := range s.all {
		if s.all[i].breaker.open.Load() || k == writes && s.all[i].refusals.open.Load() {
			return true
		}
	}
	return false
}

// doubt has bulk requests be split for a while.
func (s *shards) doubt() { s.doubtUntil.Store(time.Now().Add(doubtFor).UnixNano()) }

// doubted reports whether bulk requests are split.
func (s *shards) doubted() bool {
	return time.Now().UnixNano() < s.doubtUntil.Load() || s.anyOpen(writes)
}

// openFor reports whether the breaker of the shard of a demand is open.
func (b *Backend) openFor(does demand) bool {
	breaker, _ := b.breakers(does.shard)
	return breaker != nil && breaker.open.Load()
}

// breakers returns the breakers of a shard; nil for several.
func (b *Backend) breakers(n int) (requests, refusals *breaker) {
	switch {
	case b.shards == nil:
		return &b.breaker, &b.refusals
	case n == mixed:
		return nil, nil
	default:
		return &b.shards.all[n].breaker, &b.shards.all[n].refusals
	}
}

// record takes the verdict of a request.
func (b *Backend) record(does demand, v verdict) {
	if b.shards != nil && v != storeAnswered && v != storeUnknown {
		b.shards.doubt()
	}
	if does.shard == mixed && b.shards != nil {
		b.recordEach(does, v)
		return
	}
	breaker, refusals := b.breakers(does.shard)
	if was, is, since := breaker.record(does.kind, v); was != is && b.changed != nil {
		b.changed(b.change(is, since, breaker, does.shard))
	}
	if does.kind == writes {
		refusals.record(does.kind, refusal(v))
	}
}

// recordEach takes the verdict of a request that all its shards have to meet. If it has failed, nobody knows in
// which: it says nothing against shards that are well, and those that it was to probe stay as they are for another
// cooldown.
func (b *Backend) recordEach(does demand, v verdict) {
	for _, n := range does.each {
		shard, of := &b.shards.all[n], v
		switch {
		case v == storeAnswered, v == storeUnknown:
		case v == storeRefused && shard.refusals.open.Load():
		case v != storeRefused && shard.breaker.open.Load():
			of = storeFailed
		default:
			of = storeUnknown
		}
		b.record(demand{kind: does.kind, shard: n}, of)
	}
}

// demandOf returns the demand of a request for n keys.
func (b *Backend) demandOf(k kind, n int, key func(i int) provider.Key) demand {
	if b.shards == nil || n == 0 {
		return anywhere(k)
	}
	first := b.shardOf(key(0))
	for i := 1; i < n; i++ {
		if b.shardOf(key(i)) != first {
			return anywhere(k)
		}
	}
	return demand{kind: k, shard: first}
}

// doubtAny takes the errors of single keys, of a bulk request that has not failed as a whole.
func (b *Backend) doubtAny(does demand, n int, err func(i int) error) {
	if b.shards == nil || does.shard != mixed {
		return
	}
	for i := range n {
		if e := err(i); e != nil && !OfEntry(e) {
			b.shards.doubt()
			return
		}
	}
}

// splits reports whether a bulk request for n keys is made one for each shard: it is in doubt which of them are
// well.
func (b *Backend) splits(n int) bool { return b.shards != nil && n > 1 && b.shards.doubted() }

// inShards makes a bulk request that is split, one for each shard. If a request panics or ends its goroutine,
// inShards does the same, once all have ended: what it has not brought must not look like an answer.
func inShards[T, R any](b *Backend, items []T, key func(item *T) provider.Key, request func(items []T) []R) []R {
	groups := make(map[int][]int)
	for i := range items {
		n := b.shardOf(key(&items[i]))
		groups[n] = append(groups[n], i)
	}
	results := make([]R, len(items))
	var all sync.WaitGroup
	var returned atomic.Int64
	var panicked atomic.Value // of a panicValue
	for _, group := range groups {
		part := make([]T, len(group))
		for i, at := range group {
			part[i] = items[at]
		}
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panicked.Store(panicValue{p})
				}
			}()
			for i, result := range request(part) {
				results[group[i]] = result
			}
			returned.Add(1)
		})
	}
	all.Wait()
	if p, ok := panicked.Load().(panicValue); ok {
		panic(p.value)
	}
	if returned.Load() < int64(len(groups)) {
		runtime.Goexit()
	}
	return results
}

// errInShards is inShards for requests that bring one error for all of their items. It joins those errors.
func errInShards[T any](b *Backend, items []T, key func(item *T) provider.Key, request func(items []T) error) error {
	var mu sync.Mutex // guards errs
	var errs []error
	inShards(b, items, key, func(items []T) []struct{} {
		if err := request(items); err != nil {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
		return make([]struct{}, len(items))
	})
	return join(errs)
}

// confirmInShards makes a bulk request for each shard. A request returns how many keys it is confirmed for, from
// the first on; with a nil error, for all. confirmInShards returns for each key whether it is; nil for all of them,
// with a nil error. Its callers make requests that are not split themselves: request is moved to the heap.
func (b *Backend) confirmInShards(keys []provider.Key, request func(keys []provider.Key) (int, error)) (confirmed []bool, err error) {
	var mu sync.Mutex // guards errs
	var errs []error
	confirmed = inShards(b, keys, keyItself, func(keys []provider.Key) []bool {
		n, err := request(keys)
		if err == nil {
			n = len(keys)
		} else {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
		return firstOf(n, len(keys))
	})
	if errs == nil {
		return nil, nil
	}
	return confirmed, join(errs)
}

func keyItself(key *provider.Key) provider.Key { return *key }

// confirmedOf returns for each of all keys whether a request, which was not split, is confirmed for it: for the
// first n. It returns nil for all of them, with a nil error.
func confirmedOf(all, n int, err error) ([]bool, error) {
	if err == nil {
		return nil, nil
	}
	return firstOf(n, all), err
}

// firstOf returns that the first n of so many are confirmed.
func firstOf(n, all int) (confirmed []bool) {
	confirmed = make([]bool, all)
	for i := range n {
		confirmed[i] = true
	}
	return confirmed
}

// panicValue is the value of a panic, of whatever type.
type panicValue struct{ value any }
