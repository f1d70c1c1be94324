package providertest

import (
	"fmt"
	"math"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func setCases() []testCase {
	return []testCase{
		{
			"found-at-once",
			because("When Set has returned nil, the next Get finds the entry. The cache lets its waiters go when the fill is done; one that is not there yet is loaded again, and a late one may undo an invalidation."),
			func(s *session) {
				for i := range 100 {
					key := k(fmt.Sprintf("key %d", i))
					s.set(key, valueOf(key.Name), time.Hour)
					s.want(key, valueOf(key.Name))
				}
			},
		},
		{
			"replaces-value",
			because("Set stores its entry in place of what was there. A store that keeps the first, or puts the new one beside the old, serves what was invalidated."),
			func(s *session) {
				for i := range 20 {
					s.set(k("key"), fmt.Sprint("value ", i), time.Hour)
					s.want(k("key"), fmt.Sprint("value ", i))
				}
				s.set(k("key"), payload{Name: "another type"}, time.Hour)
				s.want(k("key"), payload{Name: "another type"})
				s.remove(k("key"))
				s.wantMiss(k("key"))
			},
		},
		{
			"replaces-ttl",
			because("Set replaces the TTL together with the value, to a later and to an earlier end. With the old one, an entry ends too early or is served too long."),
			checkReplacesTTL,
		},
		{
			"leaves-others",
			because("Set touches no entry but its own. A store within its bounds has no reason to drop others."),
			func(s *session) {
				const n = 200
				for i := range n {
					s.set(k(fmt.Sprint("key ", i)), fmt.Sprint("value ", i), time.Hour)
				}
				for i := range n {
					s.want(k(fmt.Sprint("key ", i)), fmt.Sprint("value ", i))
				}
			},
		},
		{
			"refuses-ttl",
			because("A TTL that is zero or negative is refused with an error and changes nothing. Zero means \"for ever\" to some servers: an entry that was meant not to be stored would stay."),
			func(s *session) {
				for _, ttl := range []time.Duration{0, -1, -time.Second, math.MinInt64} {
					s.refusesTTL(ttl)
				}
			},
		},
	}
}

// refusesTTL checks that Set refuses ttl, for a key that holds an entry and for
// one that does not.
func (s *session) refusesTTL(ttl time.Duration) {
	s.t.Helper()
	s.set(k("held"), "before", time.Hour)
	for _, name := range []string{"held", "empty"} {
		if err := s.store.Set(s.ctx(), k(name), provider.Entry{Value: "refused"}, ttl); err == nil {
			s.errorf("Set with ttl %d returned nil, want an error", ttl)
		}
	}
	s.want(k("held"), "before")
	s.wantMiss(k("empty"))
}

func checkReplacesTTL(s *session) {
	const short = 300 * time.Millisecond
	s.set(k("longer"), "old", short)
	s.set(k("for ever"), "old", short)
	s.set(k("longer"), "new", time.Hour)
	s.set(k("for ever"), "new", provider.NoExpiry)
	s.expire(short)
	s.pause() // for a late timer of the old entries
	s.want(k("longer"), "new")
	s.want(k("for ever"), "new")

	s.set(k("shorter"), "old", time.Hour)
	began := now()
	s.set(k("shorter"), "new", short)
	s.wantEnd(k("shorter"), "new", short, began)

	s.set(k("no longer for ever"), "old", provider.NoExpiry)
	began = now()
	s.set(k("no longer for ever"), "new", short)
	s.wantEnd(k("no longer for ever"), "new", short, began)
}
