package cachetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/readthrough/readthrough/provider"
)

// TB is what [Immutable] needs of a test or a benchmark.
type TB interface { //nolint:interfacebloat // what testing.TB has, and no more
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
	Context() context.Context
}

// Immutable returns store as a store that fails the test if somebody changes a value that is in the cache. All readers
// share such a value, so to change it is a bug: others see the change, and the race detector may not see it. The
// error names the key, and the first part that differs:
//
//	cachetest: somebody has changed the value of "user:42" in the scope "users", which is in the cache:
//	shop.User.Tags[0]: it was "admin", now it is "guest"
//
// Give the result to [readthrough.New] in place of store:
//
//	held, err := memory.New(memory.Options{})
//	cache, err := readthrough.New(cachetest.Immutable(t, held), readthrough.Options{})
//
// A value is compared with what it was when it came into the cache: at each hit, when it is removed or replaced, when the
// store is closed, and at the end of the test. What was changed after it had left the cache is no error. Each value is
// reported once.
//
// It is for stores that keep values in the process, such as those of package memory and near. Another store keeps bytes,
// which nobody changes: Immutable returns it as it is. The result has the capabilities of store. It is for tests only:
// it looks at all parts of a value at each hit. The result is safe for concurrent use, as store is.
func Immutable(t TB, store provider.CacheProvider) provider.CacheProvider {
	t.Helper()
	if store == nil {
		t.Fatalf("cachetest: Immutable: store: must not be nil")
		return nil
	}
	w := &watch{t: t, CacheProvider: store, values: make(map[provider.Key]*watched)}
	w.find(store)
	if !w.keepsValues() {
		return store
	}
	t.Cleanup(w.end)
	return withWatched(w, watchedOf(store))
}

// watch is the store that Immutable returns. It has the methods of all capabilities. withWatched hides those that the
// store lacks and the cache looks for; the others do what the cache does without them.
type watch struct {
	provider.CacheProvider

	t         TB
	batcher   provider.Batcher
	getter    provider.ValueGetter
	near      provider.NearCache // nil: the store itself is in the process
	encoder   provider.Encoder
	inspector provider.Inspector
	leaser    provider.Leaser
	refresher provider.Refresher
	renewer   provider.Renewer
	holder    provider.Holder
	punctual  provider.Punctual
	sharded   provider.Sharded
	closer    io.Closer
	inProcess bool

	mu     sync.Mutex // guards the following
	values map[provider.Key]*watched
	ended  bool
}

// watched is a value that is in the cache.
type watched struct {
	value any
	was   contents // when it came
}

// find finds the capabilities of the store, which are nil if it lacks them.
//
//nolint:errcheck // see above
func (w *watch) find(store provider.CacheProvider) {
	w.batcher, _ = store.(provider.Batcher)
	w.getter, _ = store.(provider.ValueGetter)
	w.near, _ = store.(provider.NearCache)
	w.encoder, _ = store.(provider.Encoder)
	w.inspector, _ = store.(provider.Inspector)
	w.leaser, _ = store.(provider.Leaser)
	w.refresher, _ = store.(provider.Refresher)
	w.renewer, _ = store.(provider.Renewer)
	w.holder, _ = store.(provider.Holder)
	w.punctual, _ = store.(provider.Punctual)
	w.sharded, _ = store.(provider.Sharded)
	w.closer, _ = store.(io.Closer)
	_, w.inProcess = store.(provider.InProcess)
}

func (w *watch) keepsValues() bool { return w.inProcess || w.near != nil }

// see compares the value under key, which was found in the process, with what it was when it came. If it is another one,
// it has come since.
func (w *watch) see(key provider.Key, value any) {
	now := contentsOf(value)
	w.mu.Lock()
	known := w.values[key]
	if known == nil || identity(known.value) != identity(value) {
		w.values[key], known = &watched{value, now}, nil
	}
	w.mu.Unlock()
	if known != nil {
		w.judge(key, known, now)
	}
}

// came notes a value that is in the cache from now on. It was what was says when it was given to the store.
func (w *watch) came(key provider.Key, value any, was contents) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.values[key] = &watched{value, was}
}

// leave compares the values under keys for the last time.
func (w *watch) leave(ctx context.Context, keys ...provider.Key) {
	left := make(map[provider.Key]*watched)
	w.mu.Lock()
	for _, key := range keys {
		if v := w.values[key]; v != nil {
			left[key] = v
			delete(w.values, key)
		}
	}
	w.mu.Unlock()
	w.judgeLast(ctx, left)
}

// leaveAll does the same with all values for which is returns true.
func (w *watch) leaveAll(ctx context.Context, is func(key provider.Key) bool) {
	left := make(map[provider.Key]*watched)
	w.mu.Lock()
	for key, v := range w.values {
		if is(key) {
			left[key] = v
			delete(w.values, key)
		}
	}
	w.mu.Unlock()
	w.judgeLast(ctx, left)
}

func (w *watch) judgeLast(ctx context.Context, left map[provider.Key]*watched) {
	for key, v := range left {
		if now := contentsOf(v.value); w.difference(v, now) != "" && w.isThere(ctx, key, v.value) {
			w.judge(key, v, now)
		}
	}
}

// difference says how now differs from what a value was.
func (w *watch) difference(v *watched, now contents) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return now.difference(v.was)
}

// isThere reports whether the cache has value under key. It may have left by the end of its TTL.
func (w *watch) isThere(ctx context.Context, key provider.Key, value any) bool {
	if w.near != nil {
		entry, found := w.near.GetNear(key)
		return found && identity(entry.Value) == identity(value)
	}
	if w.inspector != nil {
		found, err := w.inspector.Has(ctx, key)
		return err == nil && found
	}
	_, found, err := w.CacheProvider.Get(ctx, key)
	return err == nil && found
}

// judge fails the test if a value has not the contents that it had.
func (w *watch) judge(key provider.Key, v *watched, now contents) {
	w.mu.Lock()
	difference, ended := now.difference(v.was), w.ended
	v.was = now // it is told once
	w.mu.Unlock()
	if difference != "" && !ended {
		w.t.Errorf("cachetest: somebody has changed the value of %q in the scope %q, which is in the cache:\n%s\n"+
			"All readers share what is in the cache: change a copy (Loads.Clone makes one for each reader), or change it before the load function returns.",
			key.Name, key.Scope, difference)
	}
}

// end looks at all values for the last time.
func (w *watch) end() {
	w.mu.Lock()
	ended := w.ended
	w.mu.Unlock()
	if !ended {
		w.leaveAll(context.WithoutCancel(w.t.Context()), func(provider.Key) bool { return true })
	}
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
}

// identity tells values apart that are in an interface: it is where they are.
func identity(v any) [2]uintptr { return *(*[2]uintptr)(unsafe.Pointer(&v)) } //nolint:gosec // reads only

// valueOf returns the value of an entry that a store is given, and its contents.
func valueOf(entry provider.Entry) (value any, was contents) {
	value = entry.Value
	if encoded, ok := value.(provider.Encoded); ok {
		value = encoded.Original()
	}
	if entry.Absent || value == nil {
		return nil, nil
	}
	return value, contentsOf(value)
}

// stored notes a value that the store has kept.
func (w *watch) stored(key provider.Key, value any, was contents) {
	if w.near == nil {
		w.came(key, value, was)
		return
	}
	// The memory may have refused it.
	if entry, found := w.near.GetNear(key); found && identity(entry.Value) == identity(value) {
		w.came(key, value, was)
	}
}

// found looks at an entry that the store has returned.
func (w *watch) found(key provider.Key, entry provider.Entry) provider.Entry {
	encoded, ok := entry.Value.(provider.Encoded)
	switch {
	case entry.Absent || entry.Value == nil:
	case !ok:
		w.see(key, entry.Value)
	case w.near != nil:
		entry.Value = encoded.OnDecode(func(value any) { w.stored(key, value, contentsOf(value)) })
	}
	return entry
}

// ---- the methods of a store

func (w *watch) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	entry, found, err := w.CacheProvider.Get(ctx, key)
	if err == nil && found {
		entry = w.found(key, entry)
	}
	return entry, found, err
}

func (w *watch) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	value, was := valueOf(entry)
	w.leave(ctx, key)
	err := w.CacheProvider.Set(ctx, key, entry, ttl)
	if err == nil && value != nil {
		w.stored(key, value, was)
	}
	return err
}

func (w *watch) Delete(ctx context.Context, keys ...provider.Key) error {
	w.leave(ctx, keys...)
	return w.CacheProvider.Delete(ctx, keys...)
}

func (w *watch) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	w.leaveAll(ctx, func(key provider.Key) bool { return key.Scope == scope && strings.HasPrefix(key.Name, prefix) })
	return w.CacheProvider.DeletePrefix(ctx, scope, prefix)
}

func (w *watch) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	if w.batcher == nil {
		results, errs := make([]provider.Result, len(keys)), []error(nil)
		for i, key := range keys {
			results[i].Entry, results[i].Found, results[i].Err = w.Get(ctx, key)
			errs = append(errs, results[i].Err)
		}
		return results, errors.Join(errs...)
	}
	results, err := w.batcher.GetMany(ctx, keys)
	for i := range results {
		if i < len(keys) && results[i].Found && results[i].Err == nil {
			results[i].Entry = w.found(keys[i], results[i].Entry)
		}
	}
	return results, err
}

func (w *watch) SetMany(ctx context.Context, items []provider.Item) error {
	if w.batcher == nil {
		errs := make([]error, len(items))
		for i, item := range items {
			errs[i] = w.Set(ctx, item.Key, item.Entry, item.TTL)
		}
		return errors.Join(errs...)
	}
	values, contents := make([]any, len(items)), make([]contents, len(items))
	for i, item := range items {
		values[i], contents[i] = valueOf(item.Entry)
		w.leave(ctx, item.Key)
	}
	err := w.batcher.SetMany(ctx, items)
	for i, item := range items {
		// With an error, an item may be stored or not: the next hit shows it.
		if err == nil && values[i] != nil {
			w.stored(item.Key, values[i], contents[i])
		}
	}
	return err
}

func (w *watch) GetValue(key provider.Key) (value any, is provider.Presence) {
	if w.getter == nil {
		return nil, provider.Unsure
	}
	if value, is = w.getter.GetValue(key); is == provider.Present && value != nil {
		w.see(key, value)
	}
	return value, is
}

func (w *watch) GetValues(keys []provider.Key, values []provider.Value) {
	if w.getter == nil {
		clear(values)
		return
	}
	w.getter.GetValues(keys, values)
	for i, v := range values {
		if v.Is == provider.Present && v.Value != nil {
			w.see(keys[i], v.Value)
		}
	}
}

func (w *watch) GetNear(key provider.Key) (provider.Entry, bool) {
	entry, found := w.near.GetNear(key)
	if found {
		entry = w.found(key, entry)
	}
	return entry, found
}

func (w *watch) KeepOut(scope string) { w.near.KeepOut(scope) }

func (w *watch) InProcess() {}

func (w *watch) Punctual() bool { return w.punctual != nil && w.punctual.Punctual() }

func (w *watch) Shards() int {
	if w.sharded == nil {
		return 1
	}
	return w.sharded.Shards()
}

func (w *watch) Shard(key provider.Key) int {
	if w.sharded == nil {
		return 0
	}
	return w.sharded.Shard(key)
}

func (w *watch) Encode(entry provider.Entry) (provider.Entry, error) { return w.encoder.Encode(entry) }

// Close looks at all values before the store forgets them.
func (w *watch) Close() error {
	w.end()
	if w.closer == nil {
		return nil
	}
	return w.closer.Close()
}

func (w *watch) Has(ctx context.Context, key provider.Key) (bool, error) {
	if w.inspector == nil {
		return false, w.cannotInspect()
	}
	return w.inspector.Has(ctx, key)
}

func (w *watch) Stats(ctx context.Context) (provider.Stats, error) {
	if w.inspector == nil {
		return provider.Stats{}, w.cannotInspect()
	}
	return w.inspector.Stats(ctx)
}

func (w *watch) List(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
	if w.inspector == nil {
		return provider.Page{}, w.cannotInspect()
	}
	return w.inspector.List(ctx, options)
}

func (w *watch) cannotInspect() error {
	return fmt.Errorf("cachetest: a %T cannot be inspected: %w", w.CacheProvider, errors.ErrUnsupported)
}
