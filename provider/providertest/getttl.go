package providertest

import (
	"time"

	"github.com/readthrough/readthrough/provider"
)

// rounded is how much longer a TTL may be than the time that is left, by what a store rounds.
const rounded = 2 * time.Millisecond

func getTTLCases() []capabilityCase[provider.TTLGetter] {
	return []capabilityCase[provider.TTLGetter]{
		{
			"like-get",
			because("GetTTL finds what Get finds, with one result for each key, in their order, also for keys that are repeated or missing. A near cache keeps what it finds."),
			func(s *session, g provider.TTLGetter) {
				s.set(k("one"), "first", time.Hour)
				s.set(k("two"), "second", time.Hour)
				s.setEntry(k("none"), provider.Entry{Absent: true}, time.Hour)
				want := []any{"second", nil, "first", "second"}
				results := s.getTTL(g, k("two"), k("missing"), k("one"), k("two"), k("none"))
				for i, value := range want {
					r := &results[i]
					switch {
					case value == nil && r.Found:
						s.errorf("GetTTL of a missing key found %s", brief(r.Entry.Value))
					case value != nil && !r.Found:
						s.errorf("GetTTL: result %d found nothing, want %s", i, brief(value))
					case value != nil:
						s.wantEntry(k("result"), r.Entry, provider.Entry{Value: value})
					}
				}
				if last := &results[len(want)]; !last.Found || !last.Entry.Absent {
					s.errorf("GetTTL of an absence: found %v, absent %v, want both", last.Found, last.Entry.Absent)
				}
			},
		},
		{
			"left",
			because("The TTL of a result is how long that entry has left, and NoExpiry if it has no end. A near cache must not have an entry for longer than the store."),
			func(s *session, g provider.TTLGetter) {
				const ttl = time.Minute
				began := now()
				s.set(k("ends"), "value", ttl)
				stored := now()
				s.set(k("stays"), "value", provider.NoExpiry)
				for range 3 {
					asked := time.Now()
					results := s.getTTL(g, k("ends"), k("stays"))
					least, most := time.Until(began.end(ttl))-rounded, stored.end(ttl).Sub(asked)+rounded
					if got := results[0].TTL; got < least || got > most {
						s.errorf("GetTTL: TTL %v, want %v to %v", got, least, most)
					}
					if got := results[1].TTL; got != provider.NoExpiry {
						s.errorf("GetTTL of an entry without end: TTL %v, want NoExpiry", got)
					}
					s.pause()
				}
			},
		},
		{
			"ended",
			because("GetTTL does not find what was deleted, or has ended."),
			func(s *session, g provider.TTLGetter) {
				const ttl = 100 * time.Millisecond
				s.set(k("deleted"), "value", time.Hour)
				s.set(k("ended"), "value", ttl)
				s.remove(k("deleted"))
				s.expire(ttl)
				for i, r := range s.getTTL(g, k("deleted"), k("ended")) {
					if r.Found {
						s.errorf("GetTTL found %s, which was %s", brief(r.Entry.Value), []string{"deleted", "ended"}[i])
					}
				}
			},
		},
	}
}

// getTTL returns the results for keys. An error or a wrong number of results ends the case.
func (s *session) getTTL(g provider.TTLGetter, keys ...provider.Key) []provider.Result {
	s.t.Helper()
	results, err := g.GetTTL(s.ctx(), keys)
	if err != nil {
		s.fatalf("GetTTL of %d keys: unexpected error: %v", len(keys), err)
	}
	if len(results) != len(keys) {
		s.fatalf("GetTTL of %d keys returned %d results", len(keys), len(results))
	}
	for i := range results {
		if results[i].Err != nil {
			s.fatalf("GetTTL of %s: unexpected error: %v", show(keys[i]), results[i].Err)
		}
	}
	return results
}
