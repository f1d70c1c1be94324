package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/readthrough/readthrough/provider"
)

// A breakage is a way to get the contract wrong, and the cases that must see it.
type breakage struct {
	name  string
	cases []string
	apply func(b *broken)

	encoding  bool // on the store that encodes values
	exactOnly bool // only to be seen where time is exact
	panics    bool // seen as a panic
}

// errOdd is an error that matches no sentinel.
var errOdd = errors.New("odd")

func in(cases ...string) []string { return cases }

// edit runs f on the entries of the store.
func (r *reference) edit(f func(entries map[provider.Key]stored)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.entries)
}

// changeValue has Set store something else than the value it is given.
func changeValue(change func(value any) any) func(*broken) {
	return changeEntry(func(e provider.Entry) provider.Entry {
		e.Value = change(e.Value)
		return e
	})
}

// changeEntry has Set store something else than the entry it is given.
func changeEntry(change func(entry provider.Entry) provider.Entry) func(*broken) {
	return func(b *broken) {
		b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
			return b.reference.Set(ctx, key, change(entry), ttl)
		}
	}
}

// changeTTL has Set use another TTL.
func changeTTL(change func(ttl time.Duration) time.Duration) func(*broken) {
	return func(b *broken) {
		b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
			return b.reference.Set(ctx, key, entry, change(ttl))
		}
	}
}

// changeKey has all calls for single keys use another key.
func changeKey(change func(key provider.Key) provider.Key) func(*broken) {
	return func(b *broken) {
		b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
			return b.reference.Get(ctx, change(key))
		}
		b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
			return b.reference.Set(ctx, change(key), entry, ttl)
		}
		b.delete = func(ctx context.Context, keys ...provider.Key) error {
			changed := make([]provider.Key, len(keys))
			for i, key := range keys {
				changed[i] = change(key)
			}
			return b.reference.Delete(ctx, changed...)
		}
	}
}

// changeName is changeKey for names.
func changeName(change func(name string) string) func(*broken) {
	return changeKey(func(key provider.Key) provider.Key {
		return provider.Key{Scope: key.Scope, Name: change(key.Name)}
	})
}

// matchPrefix has DeletePrefix remove what matches in another way.
func matchPrefix(match func(key provider.Key, scope, prefix string) bool) func(*broken) {
	return func(b *broken) {
		b.deletePrefix = func(_ context.Context, scope, prefix string) (removed int, err error) {
			b.edit(func(entries map[provider.Key]stored) {
				for key, e := range entries {
					if match(key, scope, prefix) {
						if e.live() {
							removed++
						}
						delete(entries, key)
					}
				}
			})
			return removed, nil
		}
	}
}

// matchName is matchPrefix that keeps to the scope.
func matchName(match func(name, prefix string) bool) func(*broken) {
	return matchPrefix(func(key provider.Key, scope, prefix string) bool {
		return key.Scope == scope && match(key.Name, prefix)
	})
}

// skipSet has Set store nothing in some cases.
func skipSet(skip func(b *broken, key provider.Key, entry provider.Entry) bool) func(*broken) {
	return func(b *broken) {
		b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
			if skip(b, key, entry) {
				return nil
			}
			return b.reference.Set(ctx, key, entry, ttl)
		}
	}
}

// reuseBuffer makes a get that puts the bytes of every answer into one buffer.
func reuseBuffer() func(provider.Entry) provider.Entry {
	var buffer [1 << 10]byte
	return func(entry provider.Entry) provider.Entry {
		if encoded, ok := entry.Value.(provider.Encoded); ok {
			encoded.Data = buffer[:copy(buffer[:], encoded.Data)]
			entry.Value = encoded
		}
		return entry
	}
}

// breakages are all of them.
func breakages() []breakage {
	return slices.Concat(
		brokenGets(), brokenValues(), brokenAbsences(), brokenMetadata(), brokenSets(), brokenTTLs(),
		brokenDeletes(), brokenKeys(), brokenPrefixes(), brokenContexts(), brokenSizes(), brokenConcurrency(),
		brokenBatches(), brokenInspectors(), brokenLists(), brokenCloses(), brokenMisc(), brokenLeases(), brokenRefreshes(), brokenRenewals(),
	)
}

func brokenGets() []breakage {
	return []breakage{
		// A miss is not an error.
		{name: "a miss is an error", cases: in("get/nothing"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, err := b.reference.Get(ctx, key)
				if !found && err == nil {
					err = errors.New("store: nil")
				}
				return entry, found, err
			}
		}},
		// What was never stored is not found.
		{name: "a miss is found as a zero value", cases: in("get/nothing", "delete/one"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, _, err := b.reference.Get(ctx, key)
				return entry, true, err
			}
		}},
		// Get answers for the key it is asked for.
		{name: "Get finds what begins with the name", cases: in("get/nothing-beside-something"), apply: func(b *broken) {
			b.get = func(_ context.Context, asked provider.Key) (found provider.Entry, ok bool, err error) {
				b.edit(func(entries map[provider.Key]stored) {
					for key, e := range entries {
						if key.Scope == asked.Scope && strings.HasPrefix(key.Name, asked.Name) {
							found, ok = e.entry, true
						}
					}
				})
				return found, ok, nil
			}
		}},
		// Get changes nothing.
		{name: "Get removes what it found", cases: in("get/repeated"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, err := b.reference.Get(ctx, key)
				return entry, found, errors.Join(err, b.reference.Delete(ctx, key))
			}
		}},
		// Entries that were returned never change.
		{name: "Get reuses its buffer", encoding: true, cases: in("get/not-aliased"), apply: func(b *broken) {
			reuse := reuseBuffer()
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, err := b.reference.Get(ctx, key)
				return reuse(entry), found, err
			}
		}},
	}
}

// loosely is what a codec makes of a value if it does not know its type.
func loosely(value any) any {
	data, err := json.Marshal(value)
	if err != nil {
		return value
	}
	var loose any
	if err := json.Unmarshal(data, &loose); err != nil {
		return value
	}
	return loose
}

func brokenValues() []breakage {
	isEmpty := func(value any) bool {
		v := reflect.ValueOf(value)
		return v.IsValid() && (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
	}
	return []breakage{
		// A value of another type under the key is not what was stored.
		{
			name:  "values come back as maps and floats",
			cases: in("values/struct", "values/pointer", "values/number", "values/time", "values/bytes", "values/type"),
			apply: changeValue(loosely),
		},
		// An in-process store hands back the same Go value.
		{name: "pointers are copied", cases: in("values/pointer"), apply: changeValue(func(value any) any {
			if p, ok := value.(*payload); ok && p != nil {
				copied := *p
				return &copied
			}
			return value
		})},
		// Values come back whole.
		{name: "strings end at a zero byte", cases: in("values/string"), apply: changeValue(func(value any) any {
			if s, ok := value.(string); ok {
				value, _, _ = strings.Cut(s, "\x00")
			}
			return value
		})},
		// Values come back exact.
		{name: "times lose their fractions", cases: in("values/time"), apply: changeValue(func(value any) any {
			if moment, ok := value.(time.Time); ok {
				return moment.Truncate(time.Second)
			}
			return value
		})},
		// nil is an ordinary value.
		{name: "nil is not stored", cases: in("values/nil", "absent/not-a-value"), apply: skipSet(func(_ *broken, _ provider.Key, entry provider.Entry) bool {
			return entry.Value == nil && !entry.Absent
		})},
		// Zero values are ordinary values.
		{name: "zero values are not stored", cases: in("values/zero"), apply: skipSet(func(_ *broken, _ provider.Key, entry provider.Entry) bool {
			v := reflect.ValueOf(entry.Value)
			return v.IsValid() && v.IsZero()
		})},
		// Empty slices and maps are ordinary values.
		{name: "empty values are not stored", cases: in("values/empty"), apply: skipSet(func(_ *broken, _ provider.Key, entry provider.Entry) bool {
			return isEmpty(entry.Value)
		})},
		// A large value is kept whole or refused.
		{name: "values are cut at 64 KiB", cases: in("values/big"), apply: changeValue(func(value any) any {
			if s, ok := value.(string); ok && len(s) > 1<<16 {
				return s[:1<<16]
			}
			return value
		})},
		// ErrTooLarge is how a store refuses a large value.
		{name: "large values are refused with an odd error", cases: in("values/big", "size/huge", "size/many-bytes"), apply: refuseLarge(errOdd)},
		// A value is decoded into its own type only.
		{name: "the type is made up", encoding: true, cases: in("values/type"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, err := b.reference.Get(ctx, key)
				if encoded, ok := entry.Value.(provider.Encoded); ok {
					encoded.Type = "providertest.other"
					entry.Value = encoded
				}
				return entry, found, err
			}
		}},
		// What is stored comes back whole.
		{name: "what the codec loses is not noticed", encoding: true, cases: in("values/lossy"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if encoded, err := provider.Encode(b.codec, entry.Value); err == nil && !entry.Absent {
					entry.Value = encoded
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// ErrUnencodable says that a value cannot be encoded.
		{name: "unencodable values are refused with an odd error", encoding: true, cases: in("values/unencodable"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if b.reference.Set(ctx, key, entry, ttl) != nil {
					return errOdd
				}
				return nil
			}
		}},
		// Nothing is kept under the key of a value that cannot be encoded.
		{name: "the old entry stays when the new one cannot be encoded", encoding: true, cases: in("values/unencodable"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if _, err := provider.Encode(b.codec, entry.Value); err != nil {
					return err
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// A panic of a value's method is an error of Set.
		{name: "a panic of the codec comes through", encoding: true, panics: true, cases: in("values/unencodable"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if _, odd := entry.Value.(panics); odd {
					_, _ = b.codec.Marshal(entry.Value)
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// An unencodable value is stored or refused, and not passed over.
		{name: "unencodable values are passed over", cases: in("values/unencodable"), apply: skipSet(func(_ *broken, _ provider.Key, entry provider.Entry) bool {
			return reflect.TypeOf(entry.Value) == reflect.TypeFor[chan int]()
		})},
	}
}

// refuseLarge has Set refuse values of 256 KiB with err and leave the old entry.
func refuseLarge(err error) func(*broken) {
	return func(b *broken) {
		b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
			if s, ok := entry.Value.(string); ok && len(s) >= 256<<10 {
				return err
			}
			return b.reference.Set(ctx, key, entry, ttl)
		}
	}
}

func brokenAbsences() []breakage {
	marker := func(mark any) func(*broken) {
		return changeEntry(func(entry provider.Entry) provider.Entry {
			if s, ok := entry.Value.(string); ok && s == mark {
				return provider.Entry{Absent: true}
			}
			return entry
		})
	}
	return []breakage{
		// An absence is kept.
		{name: "Absent is lost", cases: in("absent/kept", "metadata/of-an-absence", "list/all"), apply: func(b *broken) {
			changeEntry(func(entry provider.Entry) provider.Entry {
				entry.Absent = false
				return entry
			})(b)
			b.list = func(context.Context, provider.ListOptions) (provider.Page, error) { return provider.Page{}, nil }
		}},
		// An absence is found.
		{name: "absences are not stored", cases: in("absent/kept"), apply: skipSet(func(_ *broken, _ provider.Key, entry provider.Entry) bool {
			return entry.Absent
		})},
		// No value means absence: "*" cannot be cached.
		{name: "a star means absent", cases: in("absent/not-a-value"), apply: marker("*")},
		// No value means absence: the empty string reads as one.
		{name: "the empty string means absent", cases: in("absent/not-a-value", "values/zero"), apply: marker("")},
		// A value takes the place of an absence.
		{name: "absent once, absent for ever", cases: in("absent/overwritten"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if old, found, _ := b.reference.Get(ctx, key); found {
					entry.Absent = entry.Absent || old.Absent
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// Absences are deleted as values are.
		{name: "Delete leaves absences", cases: in("absent/deleted"), apply: func(b *broken) {
			b.delete = func(ctx context.Context, keys ...provider.Key) error {
				return b.reference.Delete(ctx, slices.DeleteFunc(slices.Clone(keys), func(key provider.Key) bool {
					entry, _, _ := b.reference.Get(ctx, key)
					return entry.Absent
				})...)
			}
		}},
		// Absences are counted as values are.
		{name: "DeletePrefix does not count absences", cases: in("absent/deleted"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				absences := 0
				b.edit(func(entries map[provider.Key]stored) {
					for _, e := range entries {
						if e.entry.Absent {
							absences++
						}
					}
				})
				n, err := b.reference.DeletePrefix(ctx, scope, prefix)
				return max(0, n-absences), err
			}
		}},
		// Absences end.
		{name: "absences have no end", cases: in("absent/ends"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if entry.Absent {
					ttl = provider.NoExpiry
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
	}
}

func brokenMetadata() []breakage {
	freshUntil := func(change func(time.Time) time.Time) func(*broken) {
		return changeEntry(func(entry provider.Entry) provider.Entry {
			entry.FreshUntil = change(entry.FreshUntil)
			return entry
		})
	}
	loadedAt := func(change func(time.Time) time.Time) func(*broken) {
		return changeEntry(func(entry provider.Entry) provider.Entry {
			entry.LoadedAt = change(entry.LoadedAt)
			return entry
		})
	}
	validator := func(change func(string) string) func(*broken) {
		return changeEntry(func(entry provider.Entry) provider.Entry {
			entry.Validator = change(entry.Validator)
			return entry
		})
	}
	return []breakage{
		// FreshUntil is kept to the microsecond.
		{name: "FreshUntil in milliseconds", cases: in("metadata/fresh-until"), apply: freshUntil(func(until time.Time) time.Time {
			return until.Truncate(time.Millisecond)
		})},
		// FreshUntil is kept.
		{name: "FreshUntil is lost", cases: in("metadata/fresh-until", "metadata/of-an-absence", "metadata/replaced"), apply: freshUntil(func(time.Time) time.Time {
			return time.Time{}
		})},
		// FreshUntil may be far away: nanoseconds overflow in 2262.
		{name: "FreshUntil in nanoseconds of 64 bits", cases: in("metadata/fresh-until-far"), apply: freshUntil(func(until time.Time) time.Time {
			if until.IsZero() {
				return until
			}
			return time.Unix(0, until.UnixNano())
		})},
		// The zero FreshUntil stays zero.
		{name: "the zero FreshUntil becomes 1970", cases: in("metadata/fresh-until-zero"), apply: freshUntil(func(until time.Time) time.Time {
			if until.IsZero() {
				return time.Unix(0, 0)
			}
			return until
		})},
		// FreshUntil ends no entry.
		{name: "entries end when they are no longer fresh", cases: in("metadata/fresh-until-not-acted-on"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, err := b.reference.Get(ctx, key)
				if !entry.FreshUntil.IsZero() && time.Now().After(entry.FreshUntil) {
					return provider.Entry{}, false, err
				}
				return entry, found, err
			}
		}},
		// FreshUntil keeps no entry.
		{name: "entries last as long as they are fresh", cases: in("metadata/fresh-until-not-acted-on"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				return b.reference.Set(ctx, key, entry, max(ttl, time.Until(entry.FreshUntil)))
			}
		}},
		// LoadTime is kept to the microsecond.
		{name: "LoadTime in milliseconds", cases: in("metadata/load-time"), apply: changeEntry(func(entry provider.Entry) provider.Entry {
			entry.LoadTime = entry.LoadTime.Truncate(time.Millisecond)
			return entry
		})},
		// LoadTime does not overflow: microseconds in 32 bits are 71 minutes.
		{name: "LoadTime in 32 bits", cases: in("metadata/load-time"), apply: changeEntry(func(entry provider.Entry) provider.Entry {
			entry.LoadTime = time.Duration(uint32(entry.LoadTime.Microseconds())) * time.Microsecond //nolint:gosec // the overflow is the point
			return entry
		})},
		// LoadedAt is kept to the microsecond.
		{name: "LoadedAt in milliseconds", cases: in("metadata/loaded-at"), apply: loadedAt(func(at time.Time) time.Time {
			return at.Truncate(time.Millisecond)
		})},
		// LoadedAt may be ahead.
		{name: "LoadedAt is at most now", cases: in("metadata/loaded-at"), apply: loadedAt(func(at time.Time) time.Time {
			if now := time.Now(); at.After(now) {
				return now
			}
			return at
		})},
		// The zero LoadedAt stays zero.
		{name: "the zero LoadedAt becomes 1970", cases: in("metadata/loaded-at-zero"), apply: loadedAt(func(at time.Time) time.Time {
			if at.IsZero() {
				return time.Unix(0, 0)
			}
			return at
		})},
		// LoadedAt does not depend on when it is asked for.
		{name: "LoadedAt is counted back from now", cases: in("metadata/loaded-at-same"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, err := b.reference.Get(ctx, key)
				age := time.Since(entry.LoadedAt).Truncate(time.Hour)
				entry.LoadedAt = time.Now().Add(-age)
				return entry, found, err
			}
		}},
		// LoadedAt does not depend on who asks.
		{name: "GetMany returns LoadedAt in microseconds", cases: in("metadata/loaded-at-same"), apply: changeResults(func(_ []provider.Key, results []provider.Result) ([]provider.Result, error) {
			for i := range results {
				results[i].Entry.LoadedAt = results[i].Entry.LoadedAt.Truncate(time.Microsecond)
			}
			return results, nil
		})},
		// Refresh compares what it returns.
		{name: "Refresh returns LoadedAt in microseconds", cases: in("metadata/loaded-at-same"), apply: changeRefresh(func(_ *broken, _ provider.RefreshRequest, grant *provider.Grant) {
			grant.Entry.LoadedAt = grant.Entry.LoadedAt.Truncate(time.Microsecond)
		})},
		// Validators are any bytes.
		{name: "validators end at a zero byte", cases: in("metadata/validator", "metadata/validator-is-no-value", "metadata/of-an-absence"), apply: validator(func(text string) string {
			text, _, _ = strings.Cut(text, "\x00")
			return text
		})},
		// They are not UTF-8.
		{name: "validators are made valid UTF-8", cases: in("metadata/validator"), apply: validator(func(text string) string {
			return strings.ToValidUTF8(text, "\ufffd")
		})},
		// They may be long.
		{name: "the length of a validator is a byte", cases: in("metadata/validator"), apply: validator(func(text string) string {
			return text[:len(text)%256]
		})},
		// A validator is not a part of the value.
		{name: "validator and value are one text", cases: in("metadata/validator-is-no-value"), apply: changeEntry(func(entry provider.Entry) provider.Entry {
			if text, ok := entry.Value.(string); ok && entry.Validator != "" {
				entry.Validator, entry.Value, _ = strings.Cut(entry.Validator+"\x00"+text, "\x00")
			}
			return entry
		})},
		// An absence has metadata too.
		{name: "absences have no metadata", cases: in("metadata/of-an-absence"), apply: changeEntry(func(entry provider.Entry) provider.Entry {
			if entry.Absent {
				return provider.Entry{Absent: true}
			}
			return entry
		})},
		// Set replaces the metadata.
		{name: "the first metadata stays", cases: in("metadata/replaced", "metadata/fresh-until"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if old, found, _ := b.reference.Get(ctx, key); found {
					entry.FreshUntil, entry.LoadTime = old.FreshUntil, old.LoadTime
					entry.LoadedAt, entry.Validator = old.LoadedAt, old.Validator
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
	}
}

func brokenSets() []breakage {
	return []breakage{
		// When Set has returned, the entry is found: asynchronous fill, stale 198 of 200 times.
		{name: "Set is asynchronous", cases: in("set/found-at-once", "values/struct"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				ctx = context.WithoutCancel(ctx)
				go func() {
					time.Sleep(time.Millisecond)
					_ = b.reference.Set(ctx, key, entry, ttl)
				}()
				return provider.CheckTTL(ttl)
			}
		}},
		// Set stores in place of what was there.
		{name: "the first Set wins", cases: in("set/replaces-value", "absent/overwritten"), apply: skipSet(func(b *broken, key provider.Key, _ provider.Entry) (held bool) {
			b.edit(func(entries map[provider.Key]stored) { held = entries[key].live() && !entries[key].at.IsZero() })
			return held
		})},
		// Set replaces the TTL.
		{name: "Set keeps the TTL that was there", cases: in("set/replaces-ttl"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				var old stored
				var held bool
				b.edit(func(entries map[provider.Key]stored) { old, held = entries[key] })
				err := b.reference.Set(ctx, key, entry, ttl)
				b.edit(func(entries map[provider.Key]stored) {
					if e, kept := entries[key]; kept && held && old.live() {
						e.ends = old.ends
						entries[key] = e
					}
				})
				return err
			}
		}},
		// Set replaces an earlier end: the timer of the old entry removes the new one.
		{name: "the timer of the old entry removes the new one", cases: in("set/replaces-ttl"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if ttl < time.Minute {
					time.AfterFunc(ttl, func() { _ = b.reference.Delete(context.Background(), key) })
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// Set touches no other entry.
		{name: "Set drops others", cases: in("set/leaves-others", "keys/every-byte", "delete/many", "prefix/many"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				b.edit(func(entries map[provider.Key]stored) {
					for other := range entries {
						if len(entries) >= 100 {
							delete(entries, other)
						}
					}
				})
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// A TTL that is not positive is refused: to some servers zero means for ever.
		{name: "a TTL of zero means for ever", cases: in("set/refuses-ttl"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			if ttl <= 0 {
				return provider.NoExpiry
			}
			return ttl
		})},
		// A TTL that is not positive is refused with an error.
		{name: "a TTL of zero is passed over in silence", cases: in("set/refuses-ttl"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if ttl <= 0 {
					return nil
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// A refused Set changes nothing.
		{name: "a refused TTL removes what was there", cases: in("set/refuses-ttl"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if ttl <= 0 {
					_ = b.reference.Delete(ctx, key)
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
	}
}

func brokenTTLs() []breakage {
	toSeconds := func(ttl time.Duration) time.Duration {
		if ttl > provider.NoExpiry-time.Second {
			return ttl
		}
		return (ttl + time.Second - 1).Truncate(time.Second)
	}
	return []breakage{
		// An entry ends.
		{name: "entries have no end", cases: in("ttl/ends", "ttl/sub-second", "ttl/each-its-own", "batch/get-like-get"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			return max(ttl, provider.NoExpiry)
		})},
		// An entry ends exactly when its TTL does.
		{name: "entries end a nanosecond too late", exactOnly: true, cases: in("ttl/ends", "ttl/fractions"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			if ttl > time.Hour {
				return ttl
			}
			return ttl + 1
		})},
		// An entry does not end before its TTL does.
		{name: "entries end too early", cases: in("ttl/ends", "ttl/sub-second"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			return ttl - ttl/4
		})},
		// Reading prolongs nothing.
		{name: "reading prolongs", cases: in("ttl/ends"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				b.edit(func(entries map[provider.Key]stored) {
					if e, found := entries[key]; found && e.live() && !e.ends.IsZero() {
						e.ends = e.ends.Add(200 * time.Millisecond)
						entries[key] = e
					}
				})
				return b.reference.Get(ctx, key)
			}
		}},
		// 500 ms becomes 1 s.
		{name: "TTLs are rounded up to seconds", cases: in("ttl/sub-second"), apply: changeTTL(toSeconds)},
		// 500 ms becomes 1 h.
		{name: "TTLs below a second become an hour", cases: in("ttl/sub-second", "ttl/ends"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			if ttl > 0 && ttl < time.Second {
				return time.Hour
			}
			return ttl
		})},
		// 1.5 s becomes 1 s, and 500 ms nothing.
		{name: "TTLs are rounded down to seconds", cases: in("ttl/sub-second"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			if ttl > 0 {
				return max(1, ttl.Truncate(time.Second))
			}
			return ttl
		})},
		// A TTL below a millisecond is a TTL.
		{name: "TTLs below a millisecond become for ever", cases: in("ttl/fractions", "ttl/nanosecond"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			if ttl > 0 && ttl < time.Millisecond {
				return provider.NoExpiry
			}
			return ttl
		})},
		// TTLs are kept to the resolution of the clock.
		{name: "TTLs in milliseconds", exactOnly: true, cases: in("ttl/fractions"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			return max(ttl.Truncate(time.Millisecond), time.Millisecond)
		})},
		// The shortest TTL is accepted.
		{name: "short TTLs are refused", cases: in("ttl/nanosecond"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			return ttl.Truncate(time.Microsecond)
		})},
		// The shortest TTL takes the place of the old entry.
		{name: "a Set for a moment is left out", cases: in("ttl/nanosecond"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if ttl == 1 {
					return nil
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// Long TTLs do not overflow.
		{name: "the sum of time and TTL overflows", cases: in("ttl/long"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if ttl != provider.NoExpiry && time.Now().UnixNano()+int64(ttl) < 0 {
					ttl = 1
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// NoExpiry is no TTL of seconds: it overflows to a moment.
		{name: "NoExpiry overflows", cases: in("ttl/no-expiry", "ttl/each-its-own"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			if ttl == provider.NoExpiry {
				return time.Microsecond
			}
			return ttl
		})},
		// NoExpiry has no end.
		{name: "NoExpiry means a day", exactOnly: true, cases: in("ttl/no-expiry"), apply: changeTTL(func(ttl time.Duration) time.Duration {
			return min(ttl, 24*time.Hour)
		})},
		// Each entry has its own TTL.
		{name: "one TTL for a scope", cases: in("ttl/each-its-own"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				err := b.reference.Set(ctx, key, entry, ttl)
				b.edit(func(entries map[provider.Key]stored) {
					for other, e := range entries {
						e.ends = entries[key].ends
						entries[other] = e
					}
				})
				return err
			}
		}},
		// What has ended does not shadow a new entry.
		{name: "an ended entry cannot be set again", cases: in("ttl/set-after-end"), apply: skipSet(func(b *broken, key provider.Key, _ provider.Entry) (ended bool) {
			b.edit(func(entries map[provider.Key]stored) {
				e, found := entries[key]
				ended = found && !e.live()
			})
			return ended
		})},
		// Tidying up removes only what has ended.
		{name: "tidying up removes the new entry", cases: in("ttl/set-after-end"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if ttl < time.Minute {
					time.AfterFunc(ttl+30*time.Millisecond, func() { _ = b.reference.Delete(context.Background(), key) })
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
	}
}

// changeDelete has Delete remove other keys than it is given.
func changeDelete(change func(b *broken, keys []provider.Key) ([]provider.Key, error)) func(*broken) {
	return func(b *broken) {
		b.delete = func(ctx context.Context, keys ...provider.Key) error {
			changed, err := change(b, keys)
			return errors.Join(b.reference.Delete(ctx, changed...), err)
		}
	}
}

// held reports whether there is a live entry under key.
func (b *broken) held(key provider.Key) (held bool) {
	b.edit(func(entries map[provider.Key]stored) {
		e, found := entries[key]
		held = found && e.live()
	})
	return held
}

func brokenDeletes() []breakage {
	return []breakage{
		// Delete removes: an invalidate that never reaches the store.
		{
			name: "Delete does nothing", cases: in("delete/one", "delete/then-set", "delete/expired", "delete/repeated", "keys/odd-names"),
			apply: changeDelete(func(*broken, []provider.Key) ([]provider.Key, error) { return nil, nil }),
		},
		// When Delete has returned, nothing is found.
		{name: "Delete is asynchronous", exactOnly: true, cases: in("delete/one", "concurrent/delete-seen-by-all"), apply: func(b *broken) {
			b.delete = func(ctx context.Context, keys ...provider.Key) error {
				ctx = context.WithoutCancel(ctx)
				go func() {
					time.Sleep(2 * time.Nanosecond)
					_ = b.reference.Delete(ctx, keys...)
				}()
				return nil
			}
		}},
		// Delete removes its keys only.
		{name: "Delete removes what begins with the name", cases: in("delete/leaves-others"), apply: func(b *broken) {
			b.delete = func(ctx context.Context, keys ...provider.Key) error {
				for _, key := range keys {
					_, _ = b.reference.DeletePrefix(ctx, key.Scope, key.Name)
				}
				return nil
			}
		}},
		// Delete takes no patterns.
		{name: "Delete reads a name as a pattern", cases: in("delete/leaves-others"), apply: func(b *broken) {
			b.delete = func(_ context.Context, keys ...provider.Key) error {
				b.edit(func(entries map[provider.Key]stored) {
					for _, key := range keys {
						for other := range entries {
							if ok, _ := path.Match(key.Name, other.Name); ok || other == key {
								delete(entries, other)
							}
						}
					}
				})
				return nil
			}
		}},
		// Delete removes all its keys.
		{name: "Delete stops after a chunk", cases: in("delete/many"), apply: changeDelete(func(_ *broken, keys []provider.Key) ([]provider.Key, error) {
			return keys[:min(len(keys), 1000)], nil
		})},
		// Delete removes keys of all scopes.
		{name: "Delete takes the scope of the first key for all", cases: in("delete/many"), apply: changeDelete(func(_ *broken, keys []provider.Key) ([]provider.Key, error) {
			return slices.DeleteFunc(slices.Clone(keys), func(key provider.Key) bool { return key.Scope != keys[0].Scope }), nil
		})},
		// Delete of nothing removes nothing: a variadic that means all when empty.
		{name: "Delete of no keys removes all", cases: in("delete/none"), apply: func(b *broken) {
			b.delete = func(ctx context.Context, keys ...provider.Key) error {
				if len(keys) == 0 {
					b.edit(func(entries map[provider.Key]stored) { clear(entries) })
				}
				return b.reference.Delete(ctx, keys...)
			}
		}},
		// Delete of nothing is fine.
		{name: "Delete of no keys is an error", cases: in("delete/none"), apply: changeDelete(func(_ *broken, keys []provider.Key) ([]provider.Key, error) {
			if len(keys) == 0 {
				return nil, errors.New("wrong number of arguments")
			}
			return keys, nil
		})},
		// Missing keys are fine: a return inside the loop leaves later keys.
		{name: "Delete stops at a missing key", cases: in("delete/missing", "delete/repeated", "delete/expired"), apply: changeDelete(func(b *broken, keys []provider.Key) ([]provider.Key, error) {
			seen := map[provider.Key]bool{}
			for i, key := range keys {
				if !b.held(key) || seen[key] {
					return keys[:i], nil
				}
				seen[key] = true
			}
			return keys, nil
		})},
		// Missing keys are no error.
		{name: "Delete of a missing key is an error", cases: in("delete/missing", "delete/expired"), apply: changeDelete(func(b *broken, keys []provider.Key) ([]provider.Key, error) {
			for _, key := range keys {
				if !b.held(key) {
					return keys, errOdd
				}
			}
			return keys, nil
		})},
		// A deleted key can be set again at once.
		{name: "a deleted key cannot be set for a while", cases: in("delete/then-set"), apply: func(b *broken) {
			gone := map[provider.Key]time.Time{}
			b.delete = func(ctx context.Context, keys ...provider.Key) error {
				for _, key := range keys {
					gone[key] = time.Now()
				}
				return b.reference.Delete(ctx, keys...)
			}
			skipSet(func(_ *broken, key provider.Key, _ provider.Entry) bool {
				return time.Since(gone[key]) < time.Second
			})(b)
		}},
	}
}

func brokenKeys() []breakage {
	return []breakage{
		// Names are bytes, not words.
		{name: "names in lower case", cases: in("keys/every-byte", "keys/odd-names"), apply: changeName(strings.ToLower)},
		// Names are bytes, not lines.
		{name: "names without spaces around", cases: in("keys/odd-names"), apply: changeName(strings.TrimSpace)},
		// Names are bytes, not C strings.
		{name: "names end at a zero byte", cases: in("keys/every-byte", "keys/odd-names"), apply: changeName(func(name string) string {
			before, _, _ := strings.Cut(name, "\x00")
			return before
		})},
		// Names are bytes, not text: the two ways to write é are two names.
		{name: "names are normalised", cases: in("keys/odd-names"), apply: changeName(func(name string) string {
			return strings.ReplaceAll(name, "e\u0301", "é")
		})},
		// Names need not be UTF-8.
		{name: "names are made valid UTF-8", cases: in("keys/every-byte"), apply: changeName(func(name string) string {
			return strings.ToValidUTF8(name, "\ufffd")
		})},
		// Braces are no hash tags of a key.
		{name: "only what is in braces counts", cases: in("keys/odd-names"), apply: changeName(func(name string) string {
			if _, after, ok := strings.Cut(name, "{"); ok {
				if tag, _, ok := strings.Cut(after, "}"); ok && tag != "" {
					return tag
				}
			}
			return name
		})},
		// Every byte of a long name counts.
		{name: "names are cut at 250 bytes", cases: in("keys/long"), apply: changeName(func(name string) string {
			return name[:min(len(name), 250)]
		})},
		// Scopes are bytes as names are.
		{name: "scopes are made valid UTF-8", cases: in("keys/scope-bytes"), apply: changeKey(func(key provider.Key) provider.Key {
			return provider.Key{Scope: strings.ToValidUTF8(key.Scope, "\ufffd"), Name: key.Name}
		})},
		// ("a", "b:c") and ("a:b", "c") are different keys.
		{name: "scope and name are joined by a colon", cases: in("scopes/apart", "scopes/every-split"), apply: changeKey(func(key provider.Key) provider.Key {
			return provider.Key{Scope: key.Scope + ":" + key.Name}
		})},
		// A zero byte separates nothing that may hold one.
		{name: "scope and name are joined by a zero byte", cases: in("scopes/apart"), apply: changeKey(func(key provider.Key) provider.Key {
			return provider.Key{Scope: key.Scope + "\x00" + key.Name}
		})},
		// Every split of a text is a key of its own.
		{name: "scope and name are joined", cases: in("scopes/every-split"), apply: changeKey(func(key provider.Key) provider.Key {
			return provider.Key{Scope: key.Scope + key.Name}
		})},
		// A scope is not given up for a name.
		{name: "the scope does not count", cases: in("scopes/apart", "keys/scope-bytes"), apply: changeKey(func(key provider.Key) provider.Key {
			return provider.Key{Name: key.Name}
		})},
		// Delete stays in its scope.
		{name: "Delete removes a name from every scope", cases: in("scopes/delete-stays-inside"), apply: func(b *broken) {
			b.delete = func(_ context.Context, keys ...provider.Key) error {
				b.edit(func(entries map[provider.Key]stored) {
					for other := range entries {
						if slices.ContainsFunc(keys, func(key provider.Key) bool { return key.Name == other.Name }) {
							delete(entries, other)
						}
					}
				})
				return nil
			}
		}},
		// DeletePrefix stays in its scope.
		{name: "DeletePrefix looks at the joined key", cases: in("scopes/prefix-stays-inside"), apply: matchPrefix(func(key provider.Key, scope, prefix string) bool {
			return strings.HasPrefix(key.Scope+":"+key.Name, scope+":"+prefix)
		})},
		// DeletePrefix does not take a scope that begins like its own.
		{name: "DeletePrefix takes scopes by prefix", cases: in("scopes/prefix-stays-inside"), apply: matchPrefix(func(key provider.Key, scope, prefix string) bool {
			return strings.HasPrefix(key.Scope, scope) && strings.HasPrefix(key.Name, prefix)
		})},
	}
}

// sqlLike reports whether name matches prefix as LIKE 'prefix%' does.
func sqlLike(name, prefix string) bool {
	pattern := regexp.QuoteMeta(prefix)
	pattern = strings.ReplaceAll(strings.ReplaceAll(pattern, "%", "(?s:.*)"), "_", "(?s:.)")
	return regexp.MustCompile("^" + pattern).MatchString(name)
}

// changeCount has DeletePrefix return another number.
func changeCount(change func(n int) int) func(*broken) {
	return func(b *broken) {
		b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
			n, err := b.reference.DeletePrefix(ctx, scope, prefix)
			return change(n), err
		}
	}
}

func brokenPrefixes() []breakage {
	return []breakage{
		// DeletePrefix counts.
		{name: "DeletePrefix returns no count", cases: in("prefix/removes-and-counts", "prefix/counts-once", "prefix/then-set"), apply: changeCount(func(int) int { return 0 })},
		// DeletePrefix removes.
		{name: "DeletePrefix counts and does not remove", cases: in("prefix/removes-and-counts"), apply: func(b *broken) {
			b.deletePrefix = func(_ context.Context, scope, prefix string) (n int, err error) {
				b.edit(func(entries map[provider.Key]stored) {
					for key := range entries {
						if key.Scope == scope && strings.HasPrefix(key.Name, prefix) {
							n++
						}
					}
				})
				return n, nil
			}
		}},
		// DeletePrefix removes prefixes, not what contains the text.
		{name: "DeletePrefix removes what contains the prefix", cases: in("prefix/removes-and-counts"), apply: matchName(strings.Contains)},
		// The empty prefix means all.
		{name: "the empty prefix removes nothing", cases: in("prefix/empty-prefix"), apply: matchName(func(name, prefix string) bool {
			return prefix != "" && strings.HasPrefix(name, prefix)
		})},
		// An empty scope is no error.
		{name: "an unknown scope is an error", cases: in("prefix/nothing-there"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				n, err := b.reference.DeletePrefix(ctx, scope, prefix)
				if n == 0 && scope == "never seen" {
					err = errOdd
				}
				return n, err
			}
		}},
		// A name begins with itself.
		{name: "a prefix is shorter than the name", cases: in("prefix/whole-name"), apply: matchName(func(name, prefix string) bool {
			return strings.HasPrefix(name, prefix) && name != prefix
		})},
		// A prefix reaches into nested families.
		{name: "a prefix removes one level", cases: in("prefix/nested-families"), apply: matchName(func(name, prefix string) bool {
			rest, ok := strings.CutPrefix(name, prefix)
			return ok && !strings.Contains(rest, ":")
		})},
		// Prefixes are no glob patterns: list:{"a":[1]} given to SCAN MATCH unescaped.
		{name: "a prefix is a glob pattern", cases: in("prefix/glob-bytes"), apply: matchName(func(name, prefix string) bool {
			matched, err := path.Match(prefix+"*", name)
			return err == nil && matched
		})},
		// Prefixes are no LIKE patterns.
		{name: "a prefix is a LIKE pattern", cases: in("prefix/glob-bytes"), apply: matchName(sqlLike)},
		// Prefixes are no regular expressions.
		{name: "a prefix is a regular expression", cases: in("prefix/glob-bytes"), apply: matchName(func(name, prefix string) bool {
			re, err := regexp.Compile("^" + prefix)
			return err == nil && re.MatchString(name)
		})},
		// 0xff has no successor.
		{name: "the range ends at the successor of the last byte", cases: in("prefix/any-bytes"), apply: matchName(func(name, prefix string) bool {
			if prefix == "" {
				return true
			}
			end := []byte(prefix)
			end[len(end)-1]++
			return name >= prefix && name < string(end)
		})},
		// Prefixes need not be UTF-8.
		{name: "prefixes are made valid UTF-8", cases: in("prefix/any-bytes"), apply: matchName(func(name, prefix string) bool {
			return strings.HasPrefix(name, strings.ToValidUTF8(prefix, "\ufffd"))
		})},
		// The name after the range stays.
		{name: "the range includes its end", cases: in("prefix/neighbours"), apply: matchName(func(name, prefix string) bool {
			end := []byte(prefix)
			if len(end) > 0 && end[len(end)-1] < 0xff {
				end[len(end)-1]++
			}
			return strings.HasPrefix(name, prefix) || name == string(end)
		})},
		// The last names of the range go.
		{name: "the range ends at 0xff", cases: in("prefix/neighbours"), apply: matchName(func(name, prefix string) bool {
			return name >= prefix && name <= prefix+"\xff"
		})},
		// Every byte of a prefix counts.
		{name: "prefixes are cut at 250 bytes", cases: in("prefix/long-prefix"), apply: matchName(func(name, prefix string) bool {
			return strings.HasPrefix(name, prefix[:min(len(prefix), 250)])
		})},
		// Expired entries do not count.
		{name: "expired entries count", cases: in("prefix/counts-live-only", "model/random-calls"), exactOnly: true, apply: func(b *broken) {
			countAll(b)
		}},
		// Expired entries do not count, in real time either.
		{name: "expired entries count, in real time", cases: in("prefix/counts-live-only"), apply: func(b *broken) { countAll(b) }},
		// An entry that was stored twice is one.
		{name: "every Set counts", cases: in("prefix/counts-once", "prefix/counts-live-only"), apply: func(b *broken) {
			sets := map[provider.Key]int{}
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				sets[key]++
				return b.reference.Set(ctx, key, entry, ttl)
			}
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				n := 0
				for key := range sets {
					if key.Scope == scope && strings.HasPrefix(key.Name, prefix) {
						n += sets[key]
						delete(sets, key)
					}
				}
				_, err := b.reference.DeletePrefix(ctx, scope, prefix)
				return n, err
			}
		}},
		// What is stored afterwards stays.
		{name: "DeletePrefix goes on after it returned", cases: in("prefix/then-set"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				ctx = context.WithoutCancel(ctx)
				time.AfterFunc(30*time.Millisecond, func() { _, _ = b.reference.DeletePrefix(ctx, scope, prefix) })
				return b.reference.DeletePrefix(ctx, scope, prefix)
			}
		}},
		// All entries under the prefix go.
		{name: "DeletePrefix stops after a chunk", cases: in("prefix/many"), apply: func(b *broken) {
			b.deletePrefix = func(_ context.Context, scope, prefix string) (n int, err error) {
				b.edit(func(entries map[provider.Key]stored) {
					for key := range entries {
						if n < 1000 && key.Scope == scope && strings.HasPrefix(key.Name, prefix) {
							delete(entries, key)
							n++
						}
					}
				})
				return n, nil
			}
		}},
	}
}

// countAll has DeletePrefix count what has ended too.
func countAll(b *broken) {
	b.deletePrefix = func(_ context.Context, scope, prefix string) (n int, err error) {
		b.edit(func(entries map[provider.Key]stored) {
			for key := range entries {
				if key.Scope == scope && strings.HasPrefix(key.Name, prefix) {
					delete(entries, key)
					n++
				}
			}
		})
		return n, nil
	}
}

func brokenContexts() []breakage {
	return []breakage{
		// A reply that nobody waited for is not given to the next request.
		{name: "a cancelled Get leaves its reply on the connection", cases: in("context/get-cancelled"), apply: func(b *broken) {
			var left []provider.Entry
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, err := b.reference.Get(context.WithoutCancel(ctx), key)
				if ctx.Err() != nil {
					left = append(left, entry)
					return provider.Entry{}, false, ctx.Err()
				}
				if len(left) > 0 {
					entry, left = left[0], left[1:]
					return entry, true, nil
				}
				return entry, found, err
			}
		}},
		// An error comes without an entry.
		{name: "a cancelled Get returns an error and an entry", cases: in("context/get-cancelled"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, err := b.reference.Get(context.WithoutCancel(ctx), key)
				return entry, found, errors.Join(err, ctx.Err())
			}
		}},
		// A call that has returned has no effect later on.
		{name: "a cancelled Set lands later", cases: in("context/set-cancelled"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if ctx.Err() != nil {
					late := context.WithoutCancel(ctx)
					time.AfterFunc(20*time.Millisecond, func() { _ = b.reference.Set(late, key, entry, ttl) })
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// A Delete that was not done is an error: errors swallowed.
		{name: "a cancelled Delete returns nil", cases: in("context/delete-cancelled"), apply: func(b *broken) {
			b.delete = func(ctx context.Context, keys ...provider.Key) error {
				_ = b.reference.Delete(ctx, keys...)
				return nil
			}
		}},
		// A DeletePrefix that was not done is an error.
		{name: "a cancelled DeletePrefix returns nil", cases: in("context/delete-prefix-cancelled"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				n, _ := b.reference.DeletePrefix(ctx, scope, prefix)
				return n, nil
			}
		}},
		// A DeletePrefix that was done has counted.
		{name: "a cancelled DeletePrefix does not count", cases: in("context/delete-prefix-cancelled"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				n, err := b.reference.DeletePrefix(context.WithoutCancel(ctx), scope, prefix)
				if ctx.Err() != nil {
					n = 0
				}
				return n, err
			}
		}},
		// A cancelled call spoils nothing.
		{name: "cancelled calls use up the connections", cases: in("context/usable-afterwards"), apply: func(b *broken) {
			connections := 10
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				if ctx.Err() != nil {
					connections--
				}
				if connections < 0 {
					return provider.Entry{}, false, errOdd
				}
				return b.reference.Get(ctx, key)
			}
		}},
		// An entry outlives the context of its Set.
		{name: "an entry ends with the context of its Set", cases: in("context/not-kept"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				err := b.reference.Set(ctx, key, entry, ttl)
				late := context.WithoutCancel(ctx)
				context.AfterFunc(ctx, func() { _ = b.reference.Delete(late, key) })
				return err
			}
		}},
	}
}

func brokenSizes() []breakage {
	return []breakage{
		// Nothing is kept under the key of a refused entry.
		{name: "a refused large entry leaves the old one", cases: in("size/huge"), apply: refuseLarge(provider.ErrTooLarge)},
		// A large entry is kept whole or refused.
		{name: "large entries are cut", cases: in("size/huge", "size/many-bytes"), apply: changeValue(func(value any) any {
			if s, ok := value.(string); ok && len(s) > 1<<16 {
				return s[:1<<16]
			}
			return value
		})},
		// A full store makes room.
		{name: "a full store refuses all", cases: in("size/many-bytes"), apply: func(b *broken) {
			room := 4 << 20
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				if s, ok := entry.Value.(string); ok {
					room -= len(s)
				}
				if room < 0 {
					return errOdd
				}
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
	}
}

func brokenConcurrency() []breakage {
	return []breakage{
		// An entry is stored as a whole.
		{name: "value and metadata are stored in two steps", exactOnly: true, cases: in("concurrent/whole-entries"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				b.edit(func(entries map[provider.Key]stored) {
					e := entries[key]
					e.entry.Value = entry.Value
					entries[key] = e
				})
				time.Sleep(time.Nanosecond)
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
		// Each caller gets the answer to its own question.
		{name: "concurrent Gets share one key", exactOnly: true, cases: in("concurrent/right-key"), apply: func(b *broken) {
			var mu sync.Mutex
			var asked provider.Key
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				mu.Lock()
				asked = key
				mu.Unlock()
				time.Sleep(time.Nanosecond)
				mu.Lock()
				key = asked
				mu.Unlock()
				return b.reference.Get(ctx, key)
			}
		}},
		// A Set that has returned is seen by all.
		{name: "Get reads from a replica that lags", exactOnly: true, cases: in("concurrent/set-seen-by-all", "concurrent/delete-seen-by-all", "concurrent/delete-prefix-seen-by-all"), apply: func(b *broken) {
			type answer struct {
				entry provider.Entry
				found bool
				at    time.Time
			}
			var mu sync.Mutex
			replica := map[provider.Key]answer{}
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				mu.Lock()
				defer mu.Unlock()
				if a, ok := replica[key]; ok && time.Since(a.at) < 3 {
					return a.entry, a.found, nil
				}
				entry, found, err := b.reference.Get(ctx, key)
				replica[key] = answer{entry, found, time.Now()}
				return entry, found, err
			}
		}},
		// A read brings nothing back.
		{name: "Get puts back what it found", exactOnly: true, cases: in("concurrent/delete-seen-by-all", "concurrent/delete-prefix-seen-by-all"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				var e stored
				b.edit(func(entries map[provider.Key]stored) { e = entries[key] })
				time.Sleep(time.Nanosecond)
				if !e.at.IsZero() {
					b.edit(func(entries map[provider.Key]stored) { entries[key] = e })
				}
				return b.reference.Get(ctx, key)
			}
		}},
		// Calls for other keys lose nothing.
		{name: "DeletePrefix swaps the map", exactOnly: true, cases: in("concurrent/others-undisturbed"), apply: func(b *broken) {
			b.deletePrefix = func(_ context.Context, scope, prefix string) (n int, err error) {
				rest := map[provider.Key]stored{}
				b.edit(func(entries map[provider.Key]stored) {
					for key, e := range entries {
						if key.Scope == scope && strings.HasPrefix(key.Name, prefix) {
							n++
						} else {
							rest[key] = e
						}
					}
				})
				time.Sleep(time.Nanosecond)
				b.mu.Lock()
				b.entries = rest
				b.mu.Unlock()
				return n, nil
			}
		}},
		// Each entry is counted by one.
		{name: "DeletePrefix counts first and removes later", exactOnly: true, cases: in("concurrent/prefix-counts-once"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (n int, err error) {
				b.edit(func(entries map[provider.Key]stored) {
					for key := range entries {
						if key.Scope == scope && strings.HasPrefix(key.Name, prefix) {
							n++
						}
					}
				})
				time.Sleep(time.Nanosecond)
				_, err = b.reference.DeletePrefix(ctx, scope, prefix)
				return n, err
			}
		}},
	}
}

// changeResults has GetMany return other results.
func changeResults(change func(keys []provider.Key, results []provider.Result) ([]provider.Result, error)) func(*broken) {
	return func(b *broken) {
		b.getMany = func(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
			results, err := b.reference.GetMany(ctx, keys)
			if err != nil {
				return nil, err
			}
			return change(keys, results)
		}
	}
}

// changeItems has SetMany store other items.
func changeItems(change func(items []provider.Item) []provider.Item) func(*broken) {
	return func(b *broken) {
		b.setMany = func(ctx context.Context, items []provider.Item) error {
			return b.reference.SetMany(ctx, change(slices.Clone(items)))
		}
	}
}

func brokenBatches() []breakage {
	return []breakage{
		// One result for each key, repeated ones too.
		{name: "GetMany answers repeated keys once", cases: in("batch/get-in-order"), apply: changeResults(func(keys []provider.Key, results []provider.Result) ([]provider.Result, error) {
			seen := map[provider.Key]bool{}
			var once []provider.Result
			for i, key := range keys {
				if !seen[key] {
					once = append(once, results[i])
				}
				seen[key] = true
			}
			return once, nil
		})},
		// One result for each key, missing ones too.
		{name: "GetMany leaves out what is missing", cases: in("batch/get-in-order"), apply: changeResults(func(_ []provider.Key, results []provider.Result) ([]provider.Result, error) {
			return slices.DeleteFunc(results, func(result provider.Result) bool { return !result.Found }), nil
		})},
		// Results are in the order of the keys.
		{name: "GetMany answers in its own order", cases: in("batch/get-in-order", "batch/many"), apply: changeResults(func(_ []provider.Key, results []provider.Result) ([]provider.Result, error) {
			slices.Reverse(results)
			return results, nil
		})},
		// A miss is no error in a result.
		{name: "GetMany takes a miss for an error", cases: in("batch/get-in-order", "batch/get-like-get"), apply: changeResults(func(_ []provider.Key, results []provider.Result) ([]provider.Result, error) {
			for i := range results {
				if !results[i].Found {
					results[i].Err = errOdd
				}
			}
			return results, nil
		})},
		// A result is the whole entry.
		{name: "GetMany returns values only", cases: in("batch/get-like-get", "batch/metadata"), apply: changeResults(func(_ []provider.Key, results []provider.Result) ([]provider.Result, error) {
			for i, result := range results {
				results[i].Entry = provider.Entry{Value: result.Entry.Value}
			}
			return results, nil
		})},
		// Each entry has its own.
		{name: "the items of SetMany share what the first has", cases: in("batch/metadata"), apply: changeItems(func(items []provider.Item) []provider.Item {
			items = slices.Clone(items)
			for i := range items {
				items[i].Entry.Validator = items[0].Entry.Validator
			}
			return items
		})},
		// No keys are fine.
		{name: "GetMany of no keys is an error", cases: in("batch/get-none"), apply: changeResults(func(keys []provider.Key, results []provider.Result) ([]provider.Result, error) {
			if len(keys) == 0 {
				return nil, errors.New("wrong number of arguments")
			}
			return results, nil
		})},
		// Thousands of keys are fine.
		{name: "GetMany answers a chunk", cases: in("batch/many"), apply: changeResults(func(_ []provider.Key, results []provider.Result) ([]provider.Result, error) {
			for i := range results {
				if i >= 1000 {
					results[i] = provider.Result{}
				}
			}
			return results, nil
		})},
		// SetMany stores all items.
		{name: "SetMany stores a chunk", cases: in("batch/many"), apply: changeItems(func(items []provider.Item) []provider.Item {
			return items[:min(len(items), 1000)]
		})},
		// SetMany stores in place of what was there.
		{name: "SetMany leaves what is there", cases: in("batch/set-like-set"), apply: func(b *broken) {
			changeItems(func(items []provider.Item) []provider.Item {
				return slices.DeleteFunc(items, func(item provider.Item) bool { return b.held(item.Key) })
			})(b)
		}},
		// SetMany stores whole entries.
		{name: "SetMany stores values only", cases: in("batch/set-like-set"), apply: changeItems(func(items []provider.Item) []provider.Item {
			for i := range items {
				items[i].Entry = provider.Entry{Value: items[i].Entry.Value}
			}
			return items
		})},
		// Each item has its own TTL.
		{name: "SetMany has one TTL for all", cases: in("batch/set-ttls"), apply: changeItems(func(items []provider.Item) []provider.Item {
			for i := range items {
				items[i].TTL = items[0].TTL
			}
			return items
		})},
		// A bulk TTL is not rounded either: 500 ms becomes 1 s.
		{name: "SetMany rounds TTLs up to seconds", exactOnly: true, cases: in("batch/set-ttls"), apply: changeItems(func(items []provider.Item) []provider.Item {
			for i := range items {
				if items[i].TTL < time.Second {
					items[i].TTL = time.Second
				}
			}
			return items
		})},
		// One refused item does not stop the others.
		{name: "SetMany stops at the first error", cases: in("batch/set-refused-ttl"), apply: stopAtError},
		// One unencodable item does not stop the others.
		{name: "SetMany stops at an unencodable item", encoding: true, cases: in("batch/set-unencodable", "batch/set-too-large"), apply: stopAtError},
		// A refused item is reported.
		{name: "SetMany does not report refused items", cases: in("batch/set-refused-ttl"), apply: func(b *broken) {
			b.setMany = func(ctx context.Context, items []provider.Item) error {
				_ = b.reference.SetMany(ctx, items)
				return nil
			}
		}},
		// A refused TTL does not mean for ever in bulk either.
		{name: "SetMany takes zero for ever", cases: in("batch/set-refused-ttl"), apply: changeItems(func(items []provider.Item) []provider.Item {
			for i := range items {
				if items[i].TTL <= 0 {
					items[i].TTL = provider.NoExpiry
				}
			}
			return items
		})},
		// The errors of SetMany match what those of Set match.
		{name: "SetMany wraps errors so that nothing matches", encoding: true, cases: in("batch/set-unencodable", "batch/set-too-large"), apply: func(b *broken) {
			b.setMany = func(ctx context.Context, items []provider.Item) error {
				if b.reference.SetMany(ctx, items) != nil {
					return errOdd
				}
				return nil
			}
		}},
		// A refused item leaves nothing under its key.
		{name: "SetMany leaves the old entry of a refused item", encoding: true, cases: in("batch/set-unencodable", "batch/set-too-large"), apply: func(b *broken) {
			b.setMany = func(ctx context.Context, items []provider.Item) error {
				var errs []error
				for _, item := range items {
					if err := b.encode(&item.Entry); err != nil {
						errs = append(errs, err)
						continue
					}
					b.edit(func(entries map[provider.Key]stored) { entries[item.Key] = stored{entry: item.Entry, at: time.Now()} })
				}
				return errors.Join(append(errs, ctx.Err())...)
			}
		}},
		// Entries in results never change.
		{name: "GetMany reuses its buffer", encoding: true, cases: in("batch/get-not-aliased", "batch/get-in-order"), apply: func(b *broken) {
			reuse := reuseBuffer()
			changeResults(func(_ []provider.Key, results []provider.Result) ([]provider.Result, error) {
				for i := range results {
					results[i].Entry = reuse(results[i].Entry)
				}
				return results, nil
			})(b)
		}},
		// There is a result for each key even then.
		{name: "a cancelled GetMany returns no results", cases: in("batch/get-cancelled"), apply: func(b *broken) {
			b.getMany = func(ctx context.Context, keys []provider.Key) ([]provider.Result, error) {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				return b.reference.GetMany(ctx, keys)
			}
		}},
	}
}

// stopAtError has SetMany return at the first error.
func stopAtError(b *broken) {
	b.setMany = func(ctx context.Context, items []provider.Item) error {
		for _, item := range items {
			if err := b.reference.Set(ctx, item.Key, item.Entry, item.TTL); err != nil {
				return err
			}
		}
		return nil
	}
}

// changeStats has Stats return other numbers.
func changeStats(change func(stats *provider.Stats)) func(*broken) {
	return func(b *broken) {
		b.stats = func(ctx context.Context) (provider.Stats, error) {
			stats, err := b.reference.Stats(ctx)
			change(&stats)
			return stats, err
		}
	}
}

func brokenInspectors() []breakage {
	return []breakage{
		// Has reports live entries.
		{name: "Has reports ended entries", cases: in("inspect/has"), apply: func(b *broken) {
			b.has = func(_ context.Context, key provider.Key) (found bool, err error) {
				b.edit(func(entries map[provider.Key]stored) { _, found = entries[key] })
				return found, nil
			}
		}},
		// Absences are entries.
		{name: "Has does not report absences", cases: in("inspect/has"), apply: func(b *broken) {
			b.has = func(_ context.Context, key provider.Key) (found bool, err error) {
				b.edit(func(entries map[provider.Key]stored) {
					e, held := entries[key]
					found = held && e.live() && !e.entry.Absent
				})
				return found, nil
			}
		}},
		// Entries counts entries.
		{name: "Entries counts Sets", cases: in("inspect/stats-entries"), apply: func(b *broken) {
			sets := int64(0)
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				sets++
				return b.reference.Set(ctx, key, entry, ttl)
			}
			changeStats(func(stats *provider.Stats) { stats.Entries = sets })(b)
		}},
		// Entries counts what is there.
		{name: "Entries is not reduced by DeletePrefix", cases: in("inspect/stats-entries"), apply: func(b *broken) {
			gone := 0
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				n, err := b.reference.DeletePrefix(ctx, scope, prefix)
				gone += n
				return n, err
			}
			changeStats(func(stats *provider.Stats) { stats.Entries += int64(gone) })(b)
		}},
		// An absence is a hit.
		{name: "absences are misses", cases: in("inspect/stats-hits"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, err := b.reference.Get(ctx, key)
				if entry.Absent {
					b.mu.Lock()
					b.hits--
					b.misses++
					b.mu.Unlock()
				}
				return entry, found, err
			}
		}},
		// Numbers are not negative.
		{name: "Weight becomes negative", cases: in("inspect/stats-sane"), apply: changeStats(func(stats *provider.Stats) {
			stats.Weight = -2 - stats.Weight
		})},
		// The bounds hold.
		{name: "there is more than MaxEntries", cases: in("inspect/stats-sane"), apply: changeStats(func(stats *provider.Stats) {
			stats.MaxEntries = 1
		})},
		// Looking counts nothing.
		{name: "Has counts hits", cases: in("inspect/looking-counts-nothing"), apply: func(b *broken) {
			b.has = func(ctx context.Context, key provider.Key) (bool, error) {
				_, found, err := b.reference.Get(ctx, key)
				return found, err
			}
		}},
		// Looking keeps nothing alive.
		{name: "Has prolongs", cases: in("inspect/looking-keeps-nothing-alive"), apply: func(b *broken) {
			b.has = func(ctx context.Context, key provider.Key) (bool, error) {
				b.edit(func(entries map[provider.Key]stored) {
					if e, found := entries[key]; found && e.live() && !e.ends.IsZero() {
						e.ends = time.Now().Add(300 * time.Millisecond)
						entries[key] = e
					}
				})
				return b.reference.Has(ctx, key)
			}
		}},
	}
}

// changePage has List return another page.
func changePage(change func(options provider.ListOptions, page *provider.Page)) func(*broken) {
	return func(b *broken) {
		b.list = func(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
			page, err := b.reference.List(ctx, options)
			change(options, &page)
			return page, err
		}
	}
}

// changeOptions has List use other options.
func changeOptions(change func(options *provider.ListOptions)) func(*broken) {
	return func(b *broken) {
		b.list = func(ctx context.Context, options provider.ListOptions) (provider.Page, error) {
			change(&options)
			return b.reference.List(ctx, options)
		}
	}
}

func brokenLists() []breakage {
	return []breakage{
		// List has every entry.
		{name: "List leaves out absences", cases: in("list/all"), apply: changePage(func(_ provider.ListOptions, page *provider.Page) {
			page.Entries = slices.DeleteFunc(page.Entries, func(info provider.Info) bool { return info.Absent })
		})},
		// Total says how many there are.
		{name: "Total is the size of the page", cases: in("list/pages", "list/default-limit", "list/beyond-the-end"), apply: changePage(func(_ provider.ListOptions, page *provider.Page) {
			page.Total = len(page.Entries)
		})},
		// Next leads to the page that follows.
		{name: "the last page has a Next", cases: in("list/cursors"), apply: changePage(func(options provider.ListOptions, page *provider.Page) {
			if options.Cursor != "" && page.Next == "" {
				page.Next = options.Cursor
			}
		})},
		{name: "pages overlap", cases: in("list/cursors"), apply: changeOptions(func(options *provider.ListOptions) {
			if options.Cursor == "3" {
				options.Cursor = "2"
			}
		})},
		// Total counts what the filters leave.
		{name: "Total counts all scopes", cases: in("list/filters"), apply: func(b *broken) {
			changePage(func(_ provider.ListOptions, page *provider.Page) {
				b.edit(func(entries map[provider.Key]stored) { page.Total = len(entries) })
			})(b)
		}},
		// Scope limits a listing to one scope.
		{name: "List takes the scope for a prefix", cases: in("list/filters"), apply: changePage(func(options provider.ListOptions, page *provider.Page) {
			if options.Scope == "a" && options.Prefix == "" {
				page.Entries = append(page.Entries, provider.Info{Key: provider.Key{Scope: "ab", Name: "1"}})
				page.Total++
			}
		})},
		// Prefix is no pattern.
		{name: "List ignores the prefix", cases: in("list/filters", "list/pages"), apply: changeOptions(func(options *provider.ListOptions) { options.Prefix = "" })},
		// SortName is by scope first.
		{name: "List sorts by name first", cases: in("list/by-name"), apply: changePage(func(_ provider.ListOptions, page *provider.Page) {
			slices.SortFunc(page.Entries, func(a, b provider.Info) int { return strings.Compare(a.Key.Name, b.Key.Name) })
		})},
		// SortBiggest has the heaviest first.
		{name: "List has the lightest first", cases: in("list/by-size"), apply: changePage(func(_ provider.ListOptions, page *provider.Page) {
			slices.Reverse(page.Entries)
		})},
		// Ties are broken by scope and name.
		{name: "ties are not broken", cases: in("list/by-size", "list/by-age"), apply: changePage(func(options provider.ListOptions, page *provider.Page) {
			slices.SortStableFunc(page.Entries, func(a, b provider.Info) int {
				a.Key, b.Key = provider.Key{}, provider.Key{}
				return compareInfos(options.Sort, a, b)
			})
			for i := 1; i < len(page.Entries); i++ {
				if page.Entries[i].Weight == page.Entries[i-1].Weight {
					page.Entries[i], page.Entries[i-1] = page.Entries[i-1], page.Entries[i]
				}
			}
		})},
		// A replaced entry is as old as its replacement.
		{name: "StoredAt is the time of the first Set", cases: in("list/by-age"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				var old stored
				b.edit(func(entries map[provider.Key]stored) { old = entries[key] })
				err := b.reference.Set(ctx, key, entry, ttl)
				b.edit(func(entries map[provider.Key]stored) {
					if e := entries[key]; !old.at.IsZero() {
						e.at = old.at
						entries[key] = e
					}
				})
				return err
			}
		}},
		// SortNewest is by the time of storing.
		{name: "List cannot sort by age", cases: in("list/by-age"), apply: changeOptions(func(options *provider.ListOptions) { options.Sort = provider.SortName })},
		// Pages have every entry once.
		{name: "pages begin one too late", cases: in("list/pages", "list/beyond-the-end"), apply: changeOptions(func(options *provider.ListOptions) {
			if options.Offset > 0 && options.Offset < 1000 {
				options.Offset++
			}
		})},
		// Pages have no more than Limit.
		{name: "the limit does not count", cases: in("list/pages"), apply: changeOptions(func(options *provider.ListOptions) { options.Limit = 1000 })},
		// Zero means DefaultPageSize.
		{name: "no limit means all", cases: in("list/default-limit"), apply: changeOptions(func(options *provider.ListOptions) {
			if options.Limit == 0 {
				options.Limit = 1 << 30
			}
		})},
		// An offset beyond the end gives an empty page.
		{name: "an offset beyond the end panics", panics: true, cases: in("list/beyond-the-end"), apply: changePage(func(options provider.ListOptions, page *provider.Page) {
			_ = make([]struct{}, page.Total)[options.Offset:]
		})},
		// A large limit does not overflow.
		{name: "offset and limit overflow", cases: in("list/beyond-the-end"), apply: changePage(func(options provider.ListOptions, page *provider.Page) {
			if options.Offset+options.Limit < 0 {
				page.Entries = nil
			}
		})},
		// Negative numbers are refused.
		{name: "negative numbers are taken for zero", cases: in("list/refuses-negative"), apply: changeOptions(func(options *provider.ListOptions) {
			options.Offset, options.Limit = max(options.Offset, 0), max(options.Limit, 0)
		})},
		// A listing has live entries only.
		{name: "List has ended entries", cases: in("list/live-only"), apply: func(b *broken) {
			changePage(func(_ provider.ListOptions, page *provider.Page) {
				b.edit(func(entries map[provider.Key]stored) {
					for key, e := range entries {
						if !e.live() && key.Scope == "scope" {
							page.Entries = append(page.Entries, provider.Info{Key: key})
						}
					}
				})
			})(b)
		}},
		// Total counts live entries only.
		{name: "Total counts ended entries", cases: in("list/live-only"), apply: func(b *broken) {
			changePage(func(_ provider.ListOptions, page *provider.Page) {
				b.edit(func(entries map[provider.Key]stored) { page.Total = len(entries) })
			})(b)
		}},
		// The zero ExpiresAt means never.
		{name: "ExpiresAt of what does not end is now", cases: in("list/info"), apply: changeInfo(func(info *provider.Info) {
			if info.ExpiresAt.IsZero() {
				info.ExpiresAt = time.Now()
			}
		})},
		// ExpiresAt is when the entry expires.
		{name: "ExpiresAt is StoredAt", cases: in("list/info"), apply: changeInfo(func(info *provider.Info) { info.ExpiresAt = info.StoredAt })},
		// StoredAt is when the entry was stored.
		{name: "StoredAt is zero", cases: in("list/info"), apply: changeInfo(func(info *provider.Info) { info.StoredAt = time.Time{} })},
		// Absent is that of the entry.
		{name: "a listing knows no absences", cases: in("list/info"), apply: changeInfo(func(info *provider.Info) { info.Absent = false })},
		// An unknown weight is Unknown.
		{name: "an odd weight", cases: in("list/info"), apply: changeInfo(func(info *provider.Info) { info.Weight = -5 })},
	}
}

// changeInfo has List return other infos.
func changeInfo(change func(info *provider.Info)) func(*broken) {
	return changePage(func(_ provider.ListOptions, page *provider.Page) {
		for i := range page.Entries {
			change(&page.Entries[i])
		}
	})
}

func brokenCloses() []breakage {
	return []breakage{
		// Close may be called again.
		{name: "Close again panics", panics: true, cases: in("close/twice"), apply: func(b *broken) {
			done := make(chan struct{})
			b.close = func() error {
				close(done)
				return b.reference.Close()
			}
		}},
		// An error of Close again matches ErrClosed.
		{name: "Close again is an odd error", cases: in("close/twice"), apply: func(b *broken) {
			calls := 0
			b.close = func() error {
				if calls++; calls > 1 {
					return errOdd
				}
				return b.reference.Close()
			}
		}},
		// After Close, nothing is found and no call succeeds.
		{
			name: "Close does nothing", cases: in("close/get-after", "close/set-after", "close/delete-after", "close/delete-prefix-after", "close/batch-after", "close/inspect-after", "close/while-used"),
			apply: func(b *broken) { b.close = func() error { return nil } },
		},
		// Get after Close is an error, not a miss.
		{name: "Get after Close is a miss", cases: in("close/get-after"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, _ := b.reference.Get(ctx, key)
				return entry, found, nil
			}
		}},
		// Set after Close panics: assignment to an entry in a nil map.
		{name: "Set after Close panics", panics: true, cases: in("close/set-after", "close/while-used"), apply: func(b *broken) {
			b.set = func(_ context.Context, key provider.Key, entry provider.Entry, _ time.Duration) error {
				b.edit(func(entries map[provider.Key]stored) { entries[key] = stored{entry: entry} })
				return nil
			}
		}},
		// Delete after Close is not done.
		{name: "Delete after Close returns nil", cases: in("close/delete-after"), apply: func(b *broken) {
			b.delete = func(ctx context.Context, keys ...provider.Key) error {
				_ = b.reference.Delete(ctx, keys...)
				return nil
			}
		}},
		// DeletePrefix after Close is not done.
		{name: "DeletePrefix after Close returns nil", cases: in("close/delete-prefix-after"), apply: func(b *broken) {
			b.deletePrefix = func(ctx context.Context, scope, prefix string) (int, error) {
				n, _ := b.reference.DeletePrefix(ctx, scope, prefix)
				return n, nil
			}
		}},
		// Bulk calls after Close have results with errors.
		{name: "GetMany after Close returns no results", cases: in("close/batch-after"), apply: func(b *broken) {
			b.getMany = func(context.Context, []provider.Key) ([]provider.Result, error) { return nil, provider.ErrClosed }
		}},
		// Looking after Close is an error.
		{name: "Stats after Close are zero", cases: in("close/inspect-after"), apply: func(b *broken) {
			b.stats = func(ctx context.Context) (provider.Stats, error) {
				stats, _ := b.reference.Stats(ctx)
				return stats, nil
			}
		}},
		// Errors while closing match ErrClosed.
		{name: "calls fail oddly while the store is closed", cases: in("close/while-used", "close/get-after"), apply: func(b *broken) {
			b.get = func(ctx context.Context, key provider.Key) (provider.Entry, bool, error) {
				entry, found, err := b.reference.Get(ctx, key)
				if err != nil {
					err = errors.New("use of closed connection")
				}
				return entry, found, err
			}
		}},
	}
}

func brokenMisc() []breakage {
	return []breakage{
		// The answers are those of a map: something that only happens to some calls.
		{name: "Delete of five keys forgets the last", cases: in("model/random-calls"), apply: changeDelete(func(_ *broken, keys []provider.Key) ([]provider.Key, error) {
			if len(keys) == 5 {
				keys = keys[:4]
			}
			return keys, nil
		})},
		// GetValue says what Get says, or that it is unsure.
		{name: "GetValue finds what was there before", cases: in("getvalue/like-get"), apply: func(b *broken) {
			last := map[provider.Key]any{}
			b.getValue = func(key provider.Key) (any, provider.Presence) {
				value, is := b.reference.GetValue(key)
				if is == provider.Present {
					last[key] = value
				}
				if value, ok := last[key]; ok {
					return value, provider.Present
				}
				return value, is
			}
		}},
		{name: "GetValue misses nil", cases: in("getvalue/like-get"), apply: func(b *broken) {
			b.getValue = func(key provider.Key) (any, provider.Presence) {
				value, is := b.reference.GetValue(key)
				if value == nil {
					is = provider.Missing
				}
				return value, is
			}
		}},
		{name: "GetValue ignores the end", exactOnly: true, cases: in("getvalue/ends"), apply: func(b *broken) {
			b.getValue = func(key provider.Key) (value any, is provider.Presence) {
				b.edit(func(entries map[provider.Key]stored) {
					if e, ok := entries[key]; ok {
						value, is = e.entry.Value, provider.Present
					}
				})
				return value, is
			}
		}},
		{name: "GetValue finds values of any entry", cases: in("getvalue/entries"), apply: func(b *broken) {
			b.getValue = func(key provider.Key) (any, provider.Presence) {
				entry, found, err := b.reference.Get(context.Background(), key)
				if err != nil || !found {
					return nil, provider.Unsure
				}
				return entry.Value, provider.Present
			}
		}},
		{name: "GetValue finds what is no longer fresh", exactOnly: true, cases: in("getvalue/fresh", "getvalue/entries"), apply: func(b *broken) {
			b.getValue = func(key provider.Key) (any, provider.Presence) {
				entry, found, err := b.reference.Get(context.Background(), key)
				if err != nil || !found || entry.Absent || entry.FreshUntil.Before(time.Now()) && !entry.FreshUntil.IsZero() {
					return nil, provider.Unsure
				}
				return entry.Value, provider.Present
			}
		}},
		{name: "GetValue finds nothing after Close", cases: in("getvalue/after-close"), apply: func(b *broken) {
			b.getValue = func(key provider.Key) (any, provider.Presence) {
				value, is := b.reference.GetValue(key)
				if is == provider.Unsure {
					is = provider.Missing
				}
				return value, is
			}
		}},
		// GetValues says of each key what GetValue says.
		{name: "GetValues leaves out what is missing", cases: in("getvalue/many"), apply: func(b *broken) {
			b.getValues = func(keys []provider.Key, values []provider.Value) {
				for i, key := range keys {
					if value, is := b.reference.GetValue(key); is != provider.Missing {
						values[i] = provider.Value{Value: value, Is: is}
					}
				}
			}
		}},
		{name: "GetValues finds the value of the key before", cases: in("getvalue/many"), apply: func(b *broken) {
			b.getValues = func(keys []provider.Key, values []provider.Value) {
				b.reference.GetValues(keys, values)
				for i := len(values) - 1; i > 32; i-- {
					if values[i].Is == provider.Present && values[i-1].Is == provider.Present {
						values[i].Value = values[i-1].Value
					}
				}
			}
		}},
		{name: "GetValues ignores the end", exactOnly: true, cases: in("getvalue/ends"), apply: func(b *broken) {
			b.getValues = func(keys []provider.Key, values []provider.Value) {
				b.reference.GetValues(keys, values)
				b.edit(func(entries map[provider.Key]stored) {
					for i, key := range keys {
						if e, ok := entries[key]; ok {
							values[i] = provider.Value{Value: e.entry.Value, Is: provider.Present}
						}
					}
				})
			}
		}},
		{name: "GetValues finds values of any entry", cases: in("getvalue/entries"), apply: func(b *broken) {
			b.getValues = func(keys []provider.Key, values []provider.Value) {
				for i, key := range keys {
					entry, found, err := b.reference.Get(context.Background(), key)
					values[i] = provider.Value{}
					if err == nil && found {
						values[i] = provider.Value{Value: entry.Value, Is: provider.Present}
					}
				}
			}
		}},
		{name: "GetValues misses after Close", cases: in("getvalue/after-close"), apply: func(b *broken) {
			b.getValues = func(keys []provider.Key, values []provider.Value) {
				b.reference.GetValues(keys, values)
				for i := range values {
					if values[i].Is == provider.Unsure {
						values[i].Is = provider.Missing
					}
				}
			}
		}},
		// A store in the process never waits.
		{name: "Set waits", exactOnly: true, cases: in("inprocess/never-waits"), apply: func(b *broken) {
			b.set = func(ctx context.Context, key provider.Key, entry provider.Entry, ttl time.Duration) error {
				time.Sleep(time.Millisecond)
				return b.reference.Set(ctx, key, entry, ttl)
			}
		}},
	}
}
