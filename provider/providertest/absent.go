package providertest

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

func absentCases() []testCase {
	return []testCase{
		{
			"kept",
			because("Get returns an absence as an entry that is found and has Absent set. The cache stores absences so that what does not exist is not asked for again and again."),
			func(s *session) {
				s.setEntry(k("absent"), provider.Entry{Absent: true}, time.Hour)
				s.wantAbsent(k("absent"))
				s.wantMiss(k("not stored"))
			},
		},
		{
			"not-a-value",
			because("Absence is a property of the entry: no value, whatever its bytes, means absence. A store with a marker in the space of values cannot hold the value that looks like it."),
			func(s *session) {
				for _, value := range []any{
					"*", "", "null", "nil", "absent", "ABSENT", "\x00", "\x01", "-", "{}", "[]",
					"<nil>", "not found", "__absent__", nil, (*payload)(nil), 0, false,
					[]byte{},
					[]byte{0},
					struct{}{},
				} {
					s.set(k("value"), value, time.Hour)
					s.want(k("value"), value)
				}
			},
		},
		{
			"overwritten",
			because("An absence takes the place of a value and a value that of an absence. What was created after its absence was cached must be found."),
			func(s *session) {
				key := k("key")
				s.setEntry(key, provider.Entry{Absent: true}, time.Hour)
				s.set(key, "created", time.Hour)
				s.want(key, "created")
				s.setEntry(key, provider.Entry{Absent: true}, time.Hour)
				s.wantAbsent(key)
			},
		},
		{
			"deleted",
			because("Absences are entries: Delete removes them and DeletePrefix removes and counts them. An absence that survives its invalidation hides what was created."),
			func(s *session) {
				for _, name := range []string{"a", "b", "p:1", "p:2"} {
					s.setEntry(k(name), provider.Entry{Absent: true}, time.Hour)
				}
				s.remove(k("a"))
				s.wantMiss(k("a"))
				s.wantAbsent(k("b"))
				s.wantRemoved("scope", "p:", 2)
				s.wantMiss(k("p:1"))
				s.wantMiss(k("p:2"))
			},
		},
		{
			"ends",
			because("An absence ends with its TTL, as every entry does. Otherwise what does not exist yet never comes to exist."),
			func(s *session) {
				const ttl = 200 * time.Millisecond
				began := now()
				s.setEntry(k("absent"), provider.Entry{Absent: true}, ttl)
				switch entry, found := s.get(k("absent")); {
				case found && !entry.Absent:
					s.errorf("Get of an absence: a value")
				case !found && (s.exact() || time.Now().Before(began.end(ttl-earliness))): // not only late, on a slow machine
					s.errorf("Get of an absence, before its end: a miss")
				}
				s.expire(ttl)
				s.wantMiss(k("absent"))
			},
		},
	}
}

// wantAbsent checks that key holds an absence.
func (s *session) wantAbsent(key provider.Key) {
	s.t.Helper()
	entry, found := s.get(key)
	switch {
	case !found:
		s.errorf("Get(%s) found nothing, want an absence", show(key))
	case !entry.Absent:
		s.errorf("Get(%s) found %s, want an absence", show(key), brief(entry.Value))
	}
}
