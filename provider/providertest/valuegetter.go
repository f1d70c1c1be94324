package providertest

import (
	"fmt"
	"io"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func valueGetterCases() []capabilityCase[provider.ValueGetter] {
	return []capabilityCase[provider.ValueGetter]{
		{
			"like-get",
			because("GetValue finds what Get finds: not what was deleted, by key or by prefix, not what has been replaced, and nothing under other keys. The cache does not ask Get after it."),
			func(s *session, g provider.ValueGetter) {
				s.wantValue(g, k("key"), nil, false)
				s.set(k("key"), "value", time.Hour)
				s.wantValue(g, k("key"), "value", true)
				s.wantValue(g, k("ke"), nil, false)
				s.wantValue(g, provider.Key{Scope: "other", Name: "key"}, nil, false)
				s.set(k("key"), "another", provider.NoExpiry)
				s.wantValue(g, k("key"), "another", true)
				s.remove(k("key"))
				s.wantValue(g, k("key"), nil, false)
				s.set(k("key"), nil, time.Hour)
				s.wantValue(g, k("key"), nil, true)
				s.removePrefix("scope", "k")
				s.wantValue(g, k("key"), nil, false)
			},
		},
		{
			"ends",
			because("GetValue does not find an entry whose TTL has ended, from that moment on."),
			func(s *session, g provider.ValueGetter) {
				if !s.exact() {
					s.skipf("in real time no moment is exact: this case is for RunSynctest")
				}
				s.set(k("key"), "value", time.Minute)
				time.Sleep(time.Minute - 1)
				s.wantValue(g, k("key"), "value", true)
				time.Sleep(time.Nanosecond)
				s.wantValue(g, k("key"), nil, false)
			},
		},
		{
			"entries",
			because("GetValue neither finds nor misses an entry that is Absent or whose FreshUntil is over: it is Unsure. The cache would serve an absence as a value, and a stale value as a fresh one."),
			func(s *session, g provider.ValueGetter) {
				for i, entry := range []provider.Entry{
					{Absent: true},
					{Absent: true, FreshUntil: time.Now().Add(time.Hour)},
					{Value: "value", FreshUntil: time.Now()},
					{Value: "value", FreshUntil: time.Now().Add(-time.Second), Validator: "v"},
				} {
					key := k(fmt.Sprint("key ", i))
					s.setEntry(key, entry, time.Hour)
					s.wantUnsure(g, key, entry)
				}
			},
		},
		{
			"fresh",
			because("GetValue finds a value until its FreshUntil, exactly, and is Unsure from then on. The cache would serve a stale value as a fresh one."),
			func(s *session, g provider.ValueGetter) {
				if !s.exact() {
					s.skipf("in real time no moment is exact: this case is for RunSynctest")
				}
				entry := provider.Entry{Value: "value", FreshUntil: time.Now().Add(time.Minute)}
				s.setEntry(k("key"), entry, time.Hour)
				s.wantValue(g, k("key"), "value", true)
				time.Sleep(time.Minute - 1)
				s.wantValue(g, k("key"), "value", true)
				time.Sleep(time.Nanosecond)
				s.wantUnsure(g, k("key"), entry)
			},
		},
		{
			"after-close",
			because("After Close, GetValue is Unsure: neither a value nor its lack is true then, and the error is for Get to tell."),
			func(s *session, g provider.ValueGetter) {
				c, ok := s.store.(io.Closer)
				if !ok {
					s.skipf("the store has no io.Closer: this case does not apply to it")
				}
				s.set(k("key"), "value", time.Hour)
				s.close(c)
				for _, name := range []string{"key", "missing"} {
					for _, a := range valueAnswers(g, k(name)) {
						if a.Is != provider.Unsure {
							s.errorf("%s(%q) after Close: %v, %d; want Unsure", a.call, name, brief(a.Value.Value), a.Is)
						}
					}
				}
			},
		},
		{
			"many",
			because("GetValues says of each of many keys what GetValue would: the answers are in the order of the keys, whatever was in the slice before. Users would get the values of other keys."),
			func(s *session, g provider.ValueGetter) {
				const n = 100
				keys := make([]provider.Key, n)
				values := make([]provider.Value, n)
				for i := range keys {
					id := i % (n - n/4) // some of them twice
					keys[i] = k(fmt.Sprint("key ", id))
					values[i] = provider.Value{Value: "old", Is: provider.Present}
					if id%3 != 0 {
						s.set(keys[i], keys[i].Name, time.Hour)
					}
				}
				g.GetValues(keys, values)
				for i, key := range keys {
					_, there, err := s.store.Get(s.ctx(), key)
					if err != nil {
						s.errorf("Get(%s): %v", show(key), err)
					}
					s.checkValue(valueAnswer{values[i], "GetValues"}, key, key.Name, there)
				}
				g.GetValues(nil, nil)
			},
		},
	}
}

// valueAnswer is the answer of a call for a key.
type valueAnswer struct {
	provider.Value

	call string
}

// valueAnswers returns the answers of GetValue for key, and of GetValues for key and
// another key that is never stored.
func valueAnswers(g provider.ValueGetter, key provider.Key) []valueAnswer {
	value, is := g.GetValue(key)
	answers := []valueAnswer{{provider.Value{Value: value, Is: is}, "GetValue"}}
	values := make([]provider.Value, 3)
	g.GetValues([]provider.Key{key, k("never stored"), key}, values)
	return append(answers, valueAnswer{values[0], "GetValues"}, valueAnswer{values[2], "GetValues"})
}

// wantUnsure checks that GetValue and GetValues are unsure about a key that holds entry.
func (s *session) wantUnsure(g provider.ValueGetter, key provider.Key, entry provider.Entry) {
	s.t.Helper()
	for _, a := range valueAnswers(g, key) {
		if a.Is != provider.Unsure {
			s.errorf("%s of an entry with Absent %v and FreshUntil %v: %v, %d; want Unsure",
				a.call, entry.Absent, entry.FreshUntil, brief(a.Value.Value), a.Is)
		}
	}
}

// wantValue checks what GetValue and GetValues say about a key that holds value, or
// nothing.
func (s *session) wantValue(g provider.ValueGetter, key provider.Key, value any, there bool) {
	s.t.Helper()
	for _, a := range valueAnswers(g, key) {
		s.checkValue(a, key, value, there)
	}
}

// checkValue checks an answer for a key. It holds value if there is set, and nothing
// otherwise. Unsure is always right.
func (s *session) checkValue(a valueAnswer, key provider.Key, value any, there bool) {
	s.t.Helper()
	switch {
	case a.Is == provider.Unsure:
	case a.Is == provider.Present && !there:
		s.errorf("%s(%s) found %s, want nothing", a.call, show(key), brief(a.Value.Value))
	case a.Is == provider.Missing && there:
		s.errorf("%s(%s) found nothing, want %s", a.call, show(key), brief(value))
	case a.Is == provider.Present:
		if problem := differ(a.Value.Value, value); problem != "" {
			s.errorf("%s(%s): %s", a.call, show(key), problem)
		}
	case a.Is != provider.Missing:
		s.errorf("%s(%s) says %d, which means nothing", a.call, show(key), a.Is)
	}
}
