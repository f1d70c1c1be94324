package providertest

import "github.com/readthrough/readthrough/provider"

func getCases() []testCase {
	return []testCase{
		{
			"nothing",
			because("Get of a key that holds nothing is a miss and no error. A cache loads on a miss; errors count against the store, which is then left alone for a while."),
			func(s *session) {
				entry, found, err := s.store.Get(s.ctx(), k("never stored"))
				switch {
				case err != nil:
					s.errorf("Get of a key never stored: error %v, want a miss without one", err)
				case found:
					s.errorf("Get of a key never stored found %s", brief(entry.Value))
				}
			},
		},
		{
			"nothing-beside-something",
			because("Get answers for the key it is asked for only. A cache that is given the entry of a neighbour hands one user's data to another."),
			func(s *session) {
				s.set(k("there"), "value", provider.NoExpiry)
				for _, name := range []string{"", "t", "the", "there ", "therefore", "There"} {
					s.wantMiss(k(name))
				}
				s.want(k("there"), "value")
			},
		},
		{
			"repeated",
			because("Get changes nothing: the same entry is found however often it is read. A store that gives an entry away once makes every second read load."),
			func(s *session) {
				s.set(k("key"), "value", provider.NoExpiry)
				for range 5 {
					s.want(k("key"), "value")
				}
			},
		},
		{
			"not-aliased",
			because("An entry that Get returned never changes: not when its key is set again or deleted, and not when others are read. Readers keep using it after the call; a store that reuses buffers changes values in their hands."),
			checkNotAliased,
		},
	}
}

func checkNotAliased(s *session) {
	key := k("key")
	s.set(key, "the first value", provider.NoExpiry)
	first, found := s.get(key)
	if !found {
		s.fatalf("Get(%s) found nothing after Set", show(key))
	}
	s.set(key, "THE OTHER VALUE, LONGER", provider.NoExpiry)
	s.get(key)
	s.set(k("other"), "another value!!", provider.NoExpiry)
	s.get(k("other"))
	s.set(key, "short", provider.NoExpiry)
	s.get(key)
	s.remove(key)
	if problem := differ(first.Value, "the first value"); problem != "" {
		s.errorf("the entry that an earlier Get returned has changed: %s", problem)
	}
}
