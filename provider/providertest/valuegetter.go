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
			because("GetValue neither finds nor misses an entry that is Absent or has FreshUntil: it is Unsure. The cache would serve an absence as a value, and a stale value as a fresh one."),
			func(s *session, g provider.ValueGetter) {
				for i, entry := range []provider.Entry{
					{Absent: true},
					{Absent: true, FreshUntil: time.Now()},
					{Value: "value", FreshUntil: time.Now().Add(-time.Second)},
					{Value: "value", FreshUntil: time.Now().Add(time.Hour), Validator: "v"},
				} {
					key := k(fmt.Sprint("key ", i))
					s.setEntry(key, entry, time.Hour)
					if value, is := g.GetValue(key); is != provider.Unsure {
						s.errorf("GetValue of an entry with Absent %v and FreshUntil %v: %v, %d; want Unsure",
							entry.Absent, entry.FreshUntil, brief(value), is)
					}
				}
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
					if value, is := g.GetValue(k(name)); is != provider.Unsure {
						s.errorf("GetValue(%q) after Close: %v, %d; want Unsure", name, brief(value), is)
					}
				}
			},
		},
	}
}

// wantValue checks what GetValue says about a key that holds value, or nothing.
// That it is unsure is always right.
func (s *session) wantValue(g provider.ValueGetter, key provider.Key, value any, there bool) {
	s.t.Helper()
	got, is := g.GetValue(key)
	switch {
	case is == provider.Unsure:
	case is == provider.Present && !there:
		s.errorf("GetValue(%s) found %s, want nothing", show(key), brief(got))
	case is == provider.Missing && there:
		s.errorf("GetValue(%s) found nothing, want %s", show(key), brief(value))
	case is == provider.Present:
		if problem := differ(got, value); problem != "" {
			s.errorf("GetValue(%s): %s", show(key), problem)
		}
	case is != provider.Missing:
		s.errorf("GetValue(%s) says %d, which means nothing", show(key), is)
	}
}
