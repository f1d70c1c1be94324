package providertest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func batchCases() []capabilityCase[provider.Batcher] {
	return []capabilityCase[provider.Batcher]{
		{
			"get-in-order",
			because("GetMany returns one result for each key, in their order, also for keys that are repeated or missing. The cache matches results with keys by position; one off is somebody else's entry."),
			checkBatchOrder,
		},
		{
			"get-like-get",
			because("A result of GetMany means what the results of Get mean: a miss is no error, absences and metadata are kept, what was deleted or has ended is not found."),
			checkGetManyLikeGet,
		},
		{
			"get-none",
			because("GetMany of no keys returns no results and no error, and SetMany of no items does nothing."),
			func(s *session, b provider.Batcher) {
				s.set(k("key"), "value", time.Hour)
				for _, keys := range [][]provider.Key{nil, {}} {
					if results, err := b.GetMany(s.ctx(), keys); len(results) != 0 || err != nil {
						s.errorf("GetMany of no keys returned %d results and error %v, want none", len(results), err)
					}
				}
				for _, items := range [][]provider.Item{nil, {}} {
					if err := b.SetMany(s.ctx(), items); err != nil {
						s.errorf("SetMany of no items returned error %v", err)
					}
				}
				s.want(k("key"), "value")
			},
		},
		{
			"many",
			because("GetMany and SetMany take thousands of keys at once, of several scopes. A list page with ten thousand rows is one bulk read."),
			checkBatchMany,
		},
		{
			"set-like-set",
			because("SetMany stores each item as Set would: in place of what was there, whole, and at once."),
			checkSetManyLikeSet,
		},
		{
			"metadata",
			because("FreshUntil, LoadedAt, LoadTime and Validator are kept by SetMany and returned by GetMany, for each entry its own."),
			checkBatchMetadata,
		},
		{
			"set-ttls",
			because("Each item of SetMany has its own TTL: kept exactly, not that of the first, nor of the batch."),
			checkSetManyTTLs,
		},
		{
			"set-refused-ttl",
			because("An item whose TTL is refused is reported, changes nothing, and keeps no other item from being stored. One bad item must not make a whole bulk load uncached."),
			checkSetManyRefusedTTL,
		},
		{
			"set-unencodable",
			because("An item whose value cannot be encoded is reported by an error that matches ErrUnencodable, leaves nothing under its key, and keeps no other item from being stored."),
			func(s *session, b provider.Batcher) {
				s.checkSetManyRefused(b, make(chan int), provider.ErrUnencodable)
			},
		},
		{
			"set-too-large",
			because("An item that the store will not keep because of its size is reported by an error that matches ErrTooLarge, leaves nothing under its key, and keeps no other item from being stored."),
			func(s *session, b provider.Batcher) {
				s.checkSetManyRefused(b, strings.Repeat("0123456789abcdef", 1<<20), provider.ErrTooLarge)
			},
		},
		{
			"get-not-aliased",
			because("Entries that GetMany returned never change, as those that Get returned."),
			func(s *session, b provider.Batcher) {
				keys := []provider.Key{k("a"), k("b")}
				s.set(keys[0], "the value of a", time.Hour)
				s.set(keys[1], "the value of b", time.Hour)
				results := s.getMany(b, keys)
				s.set(keys[0], "THE NEW VALUE OF A", time.Hour)
				s.set(keys[1], "THE NEW VALUE OF B", time.Hour)
				s.getMany(b, keys)
				s.wantResult(keys[0], results[0], "the value of a")
				s.wantResult(keys[1], results[1], "the value of b")
			},
		},
		{
			"get-cancelled",
			because("GetMany still returns a result for each key when its context has ended, each right, or a miss, or with an error. The cache loads what was not found, and looks at every result."),
			checkGetManyCancelled,
		},
	}
}

// getMany returns the results for keys. An error or a wrong number of results
// ends the case.
func (s *session) getMany(b provider.Batcher, keys []provider.Key) []provider.Result {
	s.t.Helper()
	results, err := b.GetMany(s.ctx(), keys)
	if err != nil {
		s.fatalf("GetMany of %d keys: unexpected error: %v", len(keys), err)
	}
	if len(results) != len(keys) {
		s.fatalf("GetMany of %d keys returned %d results", len(keys), len(results))
	}
	return results
}

// setMany stores items. An error ends the case.
func (s *session) setMany(b provider.Batcher, items []provider.Item) {
	s.t.Helper()
	if err := b.SetMany(s.ctx(), items); err != nil {
		s.fatalf("SetMany of %d items: unexpected error: %v", len(items), err)
	}
}

// item returns a value to store for an hour.
func item(key provider.Key, value any) provider.Item {
	return provider.Item{Key: key, Entry: provider.Entry{Value: value}, TTL: time.Hour}
}

// wantResult checks that result has value.
func (s *session) wantResult(key provider.Key, result provider.Result, value any) {
	s.t.Helper()
	if result.Err != nil || !result.Found {
		s.errorf("the result for %s: found %v, error %v; want %s", show(key), result.Found, result.Err, brief(value))
		return
	}
	s.wantEntry(key, result.Entry, provider.Entry{Value: value})
}

// wantNoResult checks that result is a miss.
func (s *session) wantNoResult(key provider.Key, result provider.Result) {
	s.t.Helper()
	if result.Err != nil || result.Found {
		s.errorf("the result for %s: found %v, error %v; want a miss without an error", show(key), result.Found, result.Err)
	}
}

func checkBatchOrder(s *session, b provider.Batcher) {
	names := []string{"d", "missing", "a", "c", "a", "b", "missing", "d", "also missing", "a"}
	for _, name := range []string{"a", "b", "c", "d"} {
		s.set(k(name), valueOf(name), time.Hour)
	}
	keys := make([]provider.Key, len(names))
	for i, name := range names {
		keys[i] = k(name)
	}
	for i, result := range s.getMany(b, keys) {
		if strings.Contains(names[i], "missing") {
			s.wantNoResult(keys[i], result)
		} else {
			s.wantResult(keys[i], result, valueOf(names[i]))
		}
	}
}

func checkGetManyLikeGet(s *session, b provider.Batcher) {
	const ttl = 100 * time.Millisecond
	full := provider.Entry{Value: "full", FreshUntil: time.Now().Add(time.Minute), LoadTime: 1234 * time.Microsecond}
	s.setEntry(k("full"), full, time.Hour)
	s.setEntry(k("absent"), provider.Entry{Absent: true}, time.Hour)
	s.set(k("nil"), nil, time.Hour)
	s.set(k("deleted"), "value", time.Hour)
	s.set(k("ends"), "value", ttl)
	s.set(provider.Key{Scope: "other", Name: "full"}, "in another scope", time.Hour)
	s.remove(k("deleted"))
	s.expire(ttl)

	keys := []provider.Key{k("full"), k("absent"), k("nil"), k("deleted"), k("ends"), {Scope: "other", Name: "full"}, {Scope: "other", Name: "nil"}}
	results := s.getMany(b, keys)
	s.wantResult(keys[0], results[0], "full")
	s.wantMetadata(results[0].Entry, full)
	if !results[1].Found || !results[1].Entry.Absent {
		s.errorf("the result for an absence: found %v, Absent %v; want true, true", results[1].Found, results[1].Entry.Absent)
	}
	s.wantResult(keys[2], results[2], nil)
	s.wantNoResult(keys[3], results[3])
	s.wantNoResult(keys[4], results[4])
	s.wantResult(keys[5], results[5], "in another scope")
	s.wantNoResult(keys[6], results[6])
}

func checkBatchMany(s *session, b provider.Batcher) {
	const n = 5000
	items := make([]provider.Item, n)
	keys := make([]provider.Key, 0, n+n/10)
	for i := range items {
		key := provider.Key{Scope: fmt.Sprint("scope ", i%3), Name: fmt.Sprint("key ", i)}
		items[i] = item(key, i)
		keys = append(keys, key)
		if i%10 == 0 {
			keys = append(keys, provider.Key{Scope: "missing", Name: key.Name})
		}
	}
	s.setMany(b, items)
	want := 0
	for i, result := range s.getMany(b, keys) {
		if keys[i].Scope == "missing" {
			s.wantNoResult(keys[i], result)
			continue
		}
		if got, ok := as[int](result.Entry.Value); !result.Found || result.Err != nil || !ok || got != want {
			s.fatalf("the result for %s: found %v, error %v, value %s; want %d", show(keys[i]), result.Found, result.Err, brief(result.Entry.Value), want)
		}
		want++
	}
	s.want(items[n-1].Key, n-1)
}

func checkSetManyLikeSet(s *session, b provider.Batcher) {
	full := provider.Entry{Value: "full", FreshUntil: time.Now().Add(time.Minute), LoadTime: 1234 * time.Microsecond}
	s.set(k("replaced"), "old", 200*time.Millisecond)
	s.setMany(b, []provider.Item{
		{Key: k("full"), Entry: full, TTL: time.Hour},
		{Key: k("absent"), Entry: provider.Entry{Absent: true}, TTL: provider.NoExpiry},
		item(k("replaced"), "new"),
		item(k("nil"), nil),
		item(provider.Key{Scope: "other", Name: "full"}, "in another scope"),
	})
	if entry, found := s.get(k("full")); found {
		s.wantEntry(k("full"), entry, full)
		s.wantMetadata(entry, full)
	} else {
		s.errorf("Get found nothing after SetMany")
	}
	s.wantAbsent(k("absent"))
	s.want(k("nil"), nil)
	s.want(provider.Key{Scope: "other", Name: "full"}, "in another scope")
	s.expire(200 * time.Millisecond)
	s.want(k("replaced"), "new")
	s.wantRemoved("scope", "", 4)
}

func checkBatchMetadata(s *session, b provider.Batcher) {
	const n = 20
	items, keys := make([]provider.Item, n), make([]provider.Key, n)
	for i := range items {
		keys[i] = k(fmt.Sprint("key ", i))
		items[i] = item(keys[i], i)
		items[i].Entry.Absent = i%5 == 4
		if i%3 > 0 {
			items[i].Entry.LoadedAt = time.Now().Add(time.Duration(i) * time.Microsecond)
			items[i].Entry.Validator = strings.Repeat("\xff", i)
			items[i].Entry.FreshUntil = time.Now().Add(time.Duration(i) * time.Hour)
			items[i].Entry.LoadTime = time.Duration(i) * time.Second
		}
	}
	s.setMany(b, items)
	for i, result := range s.getMany(b, keys) {
		if !result.Found || result.Err != nil {
			s.fatalf("GetMany found %s: %v, error %v", show(keys[i]), result.Found, result.Err)
		}
		s.wantMetadata(result.Entry, items[i].Entry)
		if entry, found := s.get(keys[i]); found {
			s.wantMetadata(entry, items[i].Entry)
		}
	}
}

func checkSetManyTTLs(s *session, b provider.Batcher) {
	const short = 500 * time.Millisecond
	began := now()
	s.setMany(b, []provider.Item{
		item(k("an hour"), "value"),
		{Key: k("short"), Entry: provider.Entry{Value: "value"}, TTL: short},
		{Key: k("for ever"), Entry: provider.Entry{Value: "value"}, TTL: provider.NoExpiry},
		{Key: k("as short"), Entry: provider.Entry{Value: "value"}, TTL: short},
	})
	s.wantEnd(k("short"), "value", short, began)
	s.pause()
	s.wantMiss(k("as short"))
	s.want(k("an hour"), "value")
	s.want(k("for ever"), "value")
}

func checkSetManyRefusedTTL(s *session, b provider.Batcher) {
	s.set(k("held"), "before", time.Hour)
	refused := func(name string, ttl time.Duration) provider.Item {
		return provider.Item{Key: k(name), Entry: provider.Entry{Value: "refused"}, TTL: ttl}
	}
	err := b.SetMany(s.ctx(), []provider.Item{
		item(k("first"), "value"), refused("held", 0), item(k("second"), "value"), refused("empty", -time.Second), item(k("third"), "value"),
	})
	if err == nil {
		s.errorf("SetMany with items whose TTLs are 0 and -1s returned nil, want an error")
	}
	for _, name := range []string{"first", "second", "third"} {
		s.want(k(name), "value")
	}
	s.want(k("held"), "before")
	s.wantMiss(k("empty"))
}

// checkSetManyRefused stores value together with other values. The store may
// refuse value with an error that matches sentinel.
func (s *session) checkSetManyRefused(b provider.Batcher, value any, sentinel error) {
	s.set(k("odd"), "what was there before", time.Hour)
	err := b.SetMany(s.ctx(), []provider.Item{item(k("first"), "value"), item(k("odd"), value), item(k("last"), "value")})
	switch {
	case errors.Is(err, sentinel):
		s.wantMiss(k("odd"))
	case err != nil:
		s.errorf("SetMany with a %T: error %v, which does not match %v", value, err, sentinel)
	default:
		if entry, found := s.get(k("odd")); found {
			if old, ok := as[string](entry.Value); ok && old == "what was there before" {
				s.errorf("SetMany returned nil and left the old entry of one item")
			}
		}
	}
	s.want(k("first"), "value")
	s.want(k("last"), "value")
}

func checkGetManyCancelled(s *session, b provider.Batcher) {
	keys := []provider.Key{k("a"), k("missing"), k("b")}
	s.set(keys[0], "value", time.Hour)
	s.set(keys[2], "value", time.Hour)
	results, err := b.GetMany(s.cancelled(), keys)
	if len(results) != len(keys) {
		s.fatalf("GetMany of %d keys with a cancelled context returned %d results and error %v", len(keys), len(results), err)
	}
	for i, result := range results {
		switch {
		case result.Found && (result.Err != nil || i == 1):
			s.errorf("the result for %s with a cancelled context: found %s, error %v", show(keys[i]), brief(result.Entry.Value), result.Err)
		case result.Found:
			s.wantResult(keys[i], result, "value")
		}
	}
	if again := s.getMany(b, keys); again[0].Found && again[2].Found {
		s.wantResult(keys[0], again[0], "value")
		s.wantResult(keys[2], again[2], "value")
	} else {
		s.errorf("after a GetMany with a cancelled context, the entries are not found")
	}
}
