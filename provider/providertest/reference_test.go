package providertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// A reference is the smallest store that keeps the whole contract: a map with a
// mutex, and every capability.
type reference struct {
	codec provider.Codec // nil: values are kept as they are
	most  int            // the largest encoded value kept; zero: no limit

	mu           sync.Mutex // guards following
	entries      map[provider.Key]stored
	leases       map[provider.Key]leased // beside an entry: of who refreshes it
	tokens       int                     // how many there have been
	holds        []held
	hits, misses int64
	closed       bool
}

// stored is an entry and when it was stored and ends; the zero end means never.
type stored struct {
	entry    provider.Entry
	at, ends time.Time
}

// live reports whether the entry has not ended.
func (e stored) live() bool { return e.ends.IsZero() || time.Now().Before(e.ends) }

func newReference() *reference {
	return &reference{entries: map[provider.Key]stored{}, leases: map[provider.Key]leased{}}
}

// newEncoding returns a reference that keeps JSON of limited size.
func newEncoding() *reference {
	r := newReference()
	r.codec, r.most = provider.JSON(), 2<<20
	return r
}

func (*reference) InProcess() {}

// usable returns an error if the store is closed or ctx has ended.
func (r *reference) usableLocked(ctx context.Context) error {
	if r.closed {
		return provider.ErrClosed
	}
	return ctx.Err()
}

func (r *reference) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usableLocked(ctx); err != nil {
		return provider.Entry{}, false, err
	}
	e, found := r.entries[key]
	if !found || !e.live() {
		r.misses++
		return provider.Entry{}, false, nil
	}
	r.hits++
	return e.entry, true, nil
}

func (r *reference) GetValue(key provider.Key) (any, provider.Presence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e, found := r.entries[key]; {
	case r.closed:
		return nil, provider.Unsure
	case !found || !e.live():
		r.misses++
		return nil, provider.Missing
	case e.entry.Absent || !e.entry.FreshUntil.IsZero() && !time.Now().Before(e.entry.FreshUntil):
		return nil, provider.Unsure
	default:
		r.hits++
		return e.entry.Value, provider.Present
	}
}

func (r *reference) GetValues(keys []provider.Key, values []provider.Value) {
	for i, key := range keys {
		values[i].Value, values[i].Is = r.GetValue(key)
	}
}

func (r *reference) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	if err := provider.CheckTTL(ttl); err != nil {
		return err
	}
	encodeErr := r.encode(&entry)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usableLocked(ctx); err != nil {
		return err
	}
	r.removeLocked(key)
	if encodeErr != nil {
		return encodeErr
	}
	r.entries[key] = stored{entry: entry, at: time.Now(), ends: endOf(ttl)}
	return nil
}

// endOf returns when something ends that begins now; zero: never.
func endOf(ttl time.Duration) time.Time {
	if ttl == provider.NoExpiry {
		return time.Time{}
	}
	return time.Now().Add(ttl)
}

// removeLocked removes the entry and the lease under key.
func (r *reference) removeLocked(key provider.Key) {
	delete(r.entries, key)
	delete(r.leases, key)
}

// encode puts the encoded value into entry, if there is a codec.
func (r *reference) encode(entry *provider.Entry) error {
	if r.codec == nil || entry.Absent {
		return nil
	}
	encoded, err := provider.NewChecker(r.codec).Encode(entry.Value)
	if err != nil {
		return err
	}
	if r.most > 0 && len(encoded.Data) > r.most {
		return fmt.Errorf("%w: %d bytes", provider.ErrTooLarge, len(encoded.Data))
	}
	entry.Value = encoded
	return nil
}

func (r *reference) Delete(ctx context.Context, keys ...provider.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usableLocked(ctx); err != nil {
		return err
	}
	for _, key := range keys {
		r.removeLocked(key)
	}
	return nil
}

func (r *reference) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usableLocked(ctx); err != nil {
		return 0, err
	}
	return r.removePrefixLocked(scope, prefix), nil
}

// removePrefixLocked removes entries and leases, and counts the live entries.
func (r *reference) removePrefixLocked(scope, prefix string) (removed int) {
	under := func(key provider.Key) bool { return key.Scope == scope && strings.HasPrefix(key.Name, prefix) }
	maps.DeleteFunc(r.leases, func(key provider.Key, _ leased) bool { return under(key) })
	maps.DeleteFunc(r.entries, func(key provider.Key, e stored) bool {
		if under(key) && e.live() {
			removed++
		}
		return under(key)
	})
	return removed
}

func (r *reference) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	results := make([]provider.Result, len(keys))
	for i, key := range keys {
		results[i].Entry, results[i].Found, results[i].Err = r.Get(ctx, key)
	}
	return results, nil
}

func (r *reference) SetMany(ctx context.Context, items []provider.Item) error {
	var errs []error
	for _, item := range items {
		errs = append(errs, r.Set(ctx, item.Key, item.Entry, item.TTL))
	}
	return errors.Join(errs...)
}

func (r *reference) Has(ctx context.Context, key provider.Key) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, found := r.entries[key]
	return found && e.live(), r.usableLocked(ctx)
}

func (r *reference) Stats(ctx context.Context) (provider.Stats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return provider.Stats{
		Entries: int64(len(r.entries)), Weight: int64(len(r.entries)),
		Hits: r.hits, Misses: r.misses,
		Evictions: provider.Unknown, Expirations: provider.Unknown,
	}, r.usableLocked(ctx)
}

func (r *reference) List(ctx context.Context, o provider.ListOptions) (provider.Page, error) {
	if o.Cursor != "" {
		offset, err := strconv.Atoi(o.Cursor)
		if err != nil || o.Offset != 0 {
			return provider.Page{}, fmt.Errorf("reference: cursor %q, offset %d", o.Cursor, o.Offset)
		}
		o.Offset = offset
	}
	if o.Offset < 0 || o.Limit < 0 {
		return provider.Page{}, fmt.Errorf("reference: offset %d, limit %d: negative", o.Offset, o.Limit)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usableLocked(ctx); err != nil {
		return provider.Page{}, err
	}
	var all []provider.Info
	for key, e := range r.entries {
		if e.live() && (o.Scope == "" || key.Scope == o.Scope) && strings.HasPrefix(key.Name, o.Prefix) {
			all = append(all, provider.Info{Key: key, Weight: weigh(e.entry), Absent: e.entry.Absent, StoredAt: e.at, ExpiresAt: e.ends})
		}
	}
	slices.SortFunc(all, func(a, b provider.Info) int { return compareInfos(o.Sort, a, b) })
	from := min(o.Offset, len(all))
	size := min(cmp.Or(o.Limit, provider.DefaultPageSize), len(all)-from)
	page := provider.Page{Entries: all[from : from+size], Total: len(all)}
	if from+size < len(all) {
		page.Next = strconv.Itoa(from + size)
	}
	return page, nil
}

// weigh returns the length of a string, and 1 for all else.
func weigh(entry provider.Entry) int64 {
	if s, ok := entry.Value.(string); ok {
		return int64(len(s))
	}
	return 1
}

// compareInfos is the order of a listing.
func compareInfos(order provider.Sort, a, b provider.Info) int {
	first := 0
	switch order {
	case provider.SortName:
	case provider.SortBiggest:
		first = cmp.Compare(b.Weight, a.Weight)
	case provider.SortNewest:
		first = b.StoredAt.Compare(a.StoredAt)
	}
	return cmp.Or(first, compareKeys(a.Key, b.Key))
}

func (r *reference) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.entries, r.leases, r.holds = nil, nil, nil
	return nil
}

// Names for the parts of a store, so that a broken one can replace some of them.
type (
	getFunc          = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error)
	setFunc          = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error
	deleteFunc       = func(ctx context.Context, keys ...provider.Key) error
	deletePrefixFunc = func(ctx context.Context, scope, prefix string) (int, error)
	getValueFunc     = func(key provider.Key) (any, provider.Presence)
	getValuesFunc    = func(keys []provider.Key, values []provider.Value)
	getManyFunc      = func(ctx context.Context, keys []provider.Key) ([]provider.Result, error)
	setManyFunc      = func(ctx context.Context, items []provider.Item) error
	hasFunc          = func(ctx context.Context, key provider.Key) (bool, error)
	statsFunc        = func(ctx context.Context) (provider.Stats, error)
	listFunc         = func(ctx context.Context, options provider.ListOptions) (provider.Page, error)
	acquireFunc      = func(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error)
	fillFunc         = func(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error)
	refreshFunc      = func(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error)
	releaseFunc      = func(ctx context.Context, leases []provider.Lease) error
	holdFunc         = func(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error
	unholdFunc       = func(ctx context.Context, targets provider.HoldTargets, token string) error
)

// A broken store is a reference some of whose methods are replaced. The bulk
// calls of the reference do not see replaced single ones, so that each case is
// tested by what it is meant for.
type broken struct {
	*reference

	get          getFunc
	set          setFunc
	delete       deleteFunc
	deletePrefix deletePrefixFunc
	getValue     getValueFunc
	getValues    getValuesFunc
	getMany      getManyFunc
	setMany      setManyFunc
	has          hasFunc
	stats        statsFunc
	list         listFunc
	acquire      acquireFunc
	fill         fillFunc
	release      releaseFunc
	refresh      refreshFunc
	renew        renewFunc
	hold         holdFunc
	unhold       unholdFunc
	close        func() error
}

// breakReference returns a broken store that is not broken yet.
func breakReference(r *reference) *broken {
	return &broken{
		reference: r,
		get:       r.Get, set: r.Set, delete: r.Delete, deletePrefix: r.DeletePrefix,
		getValue: r.GetValue, getValues: r.GetValues,
		getMany: r.GetMany, setMany: r.SetMany,
		has: r.Has, stats: r.Stats, list: r.List,
		acquire: r.Acquire, fill: r.Fill, release: r.Release,
		refresh: r.Refresh, renew: r.Renew,
		hold: r.Hold, unhold: r.Unhold,
		close: r.Close,
	}
}

func (b *broken) Get(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
	return b.get(ctx, key)
}

func (b *broken) Set(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
	return b.set(ctx, key, entry, ttl)
}

func (b *broken) Delete(ctx context.Context, keys ...provider.Key) error {
	return b.delete(ctx, keys...)
}

func (b *broken) DeletePrefix(ctx context.Context, scope, prefix string) (int, error) {
	return b.deletePrefix(ctx, scope, prefix)
}

func (b *broken) GetValue(key provider.Key) (any, provider.Presence) { return b.getValue(key) }

func (b *broken) GetValues(keys []provider.Key, values []provider.Value) { b.getValues(keys, values) }

func (b *broken) GetMany(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
	return b.getMany(ctx, keys)
}

func (b *broken) SetMany(ctx context.Context, items []provider.Item) error {
	return b.setMany(ctx, items)
}

func (b *broken) Has(ctx context.Context, key provider.Key) (bool, error) { return b.has(ctx, key) }

func (b *broken) Stats(ctx context.Context) (provider.Stats, error) { return b.stats(ctx) }

func (b *broken) List(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
	return b.list(ctx, options)
}

func (b *broken) Acquire(ctx context.Context, keys []provider.Key, ttl time.Duration) ([]provider.Grant, error) {
	return b.acquire(ctx, keys, ttl)
}

func (b *broken) Fill(ctx context.Context, fills []provider.Fill) ([]provider.Filled, error) {
	return b.fill(ctx, fills)
}

func (b *broken) Release(ctx context.Context, leases []provider.Lease) error {
	return b.release(ctx, leases)
}

func (b *broken) Refresh(ctx context.Context, requests []provider.RefreshRequest, ttl time.Duration) ([]provider.Grant, error) {
	return b.refresh(ctx, requests, ttl)
}

func (b *broken) Hold(ctx context.Context, targets provider.HoldTargets, token string, ttl time.Duration) error {
	return b.hold(ctx, targets, token, ttl)
}

func (b *broken) Unhold(ctx context.Context, targets provider.HoldTargets, token string) error {
	return b.unhold(ctx, targets, token)
}

func (b *broken) Close() error { return b.close() }

// plain hides the capabilities of a store.
type plain struct{ provider.CacheProvider }
