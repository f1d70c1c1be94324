package providertest

import (
	"fmt"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func deleteCases() []testCase {
	return []testCase{
		{
			"one",
			because("When Delete has returned nil, no Get that begins afterwards finds what was stored before. This is what an awaited invalidation rests on."),
			func(s *session) {
				s.set(k("key"), "value", provider.NoExpiry)
				s.want(k("key"), "value")
				s.remove(k("key"))
				for range 3 {
					s.wantMiss(k("key"))
				}
				s.pause()
				s.wantMiss(k("key"))
			},
		},
		{
			"leaves-others",
			because("Delete removes the keys it is given and no others: not those that begin with them, and not all when it is given few. What is lost by mistake is loaded again, all at once."),
			func(s *session) {
				names := []string{"", "a", "a:", "a:b", "ab", "b", "*", "a*", "?", "A"}
				s.fill("scope", names)
				for _, gone := range []string{"a", "*", ""} {
					s.remove(k(gone))
					s.wantMiss(k(gone))
					for _, name := range names {
						if name != gone {
							s.want(k(name), valueOf(name))
						}
					}
					s.fill("scope", names)
				}
			},
		},
		{
			"many",
			because("Delete removes all the keys it is given, of all scopes, however many. An invalidation that misses one leaves it stale until its TTL ends."),
			checkDeleteMany,
		},
		{
			"none",
			because("Delete of no keys is fine and removes nothing. A variadic call that takes none for all empties the cache by mistake."),
			func(s *session) {
				s.set(k("key"), "value", provider.NoExpiry)
				s.remove()
				s.remove([]provider.Key{}...)
				s.want(k("key"), "value")
			},
		},
		{
			"missing",
			because("Keys without an entry are fine, and the keys after them are removed as well. Invalidations name what might be cached."),
			func(s *session) {
				s.remove(k("missing"))
				s.set(k("there"), "value", provider.NoExpiry)
				s.remove(k("missing"), k("missing too"), k("there"), k("missing"))
				s.wantMiss(k("there"))
				s.remove(k("there"))
			},
		},
		{
			"repeated",
			because("Repeated keys are fine. A mutation that touches a system twice names it twice."),
			func(s *session) {
				s.set(k("a"), "value", provider.NoExpiry)
				s.set(k("b"), "value", provider.NoExpiry)
				s.remove(k("a"), k("a"), k("b"), k("a"), k("b"))
				s.wantMiss(k("a"))
				s.wantMiss(k("b"))
			},
		},
		{
			"expired",
			because("Delete of an entry that has ended is fine, and it stays ended."),
			func(s *session) {
				s.set(k("ended"), "value", 50*time.Millisecond)
				s.set(k("there"), "value", time.Hour)
				s.expire(50 * time.Millisecond)
				s.remove(k("ended"), k("there"))
				s.wantMiss(k("ended"))
				s.wantMiss(k("there"))
			},
		},
		{
			"then-set",
			because("A deleted key can be set again at once. A store that remembers the deletion for a while makes every read of that while a load."),
			func(s *session) {
				for i := range 10 {
					s.set(k("key"), fmt.Sprint("value ", i), time.Hour)
					s.remove(k("key"))
					s.wantMiss(k("key"))
				}
				s.set(k("key"), "last", time.Hour)
				s.want(k("key"), "last")
			},
		},
	}
}

func checkDeleteMany(s *session) {
	const n = 3000
	var gone, kept []provider.Key
	for i := range n {
		key := provider.Key{Scope: fmt.Sprint("scope ", i%3), Name: fmt.Sprint("key ", i)}
		s.set(key, "value", provider.NoExpiry)
		if i%4 == 0 {
			kept = append(kept, key)
		} else {
			gone = append(gone, key)
		}
	}
	s.remove(gone...)
	for _, key := range gone {
		if _, found := s.get(key); found {
			s.fatalf("after Delete of %d keys, Get(%s) still finds one", len(gone), show(key))
		}
	}
	for _, key := range kept {
		if _, found := s.get(key); !found {
			s.fatalf("Delete of %d other keys removed %s", len(gone), show(key))
		}
	}
}

// fill stores a string for each of names in scope. The string is made from the
// name.
func (s *session) fill(scope string, names []string) {
	s.t.Helper()
	for _, name := range names {
		s.set(provider.Key{Scope: scope, Name: name}, valueOf(name), provider.NoExpiry)
	}
}
