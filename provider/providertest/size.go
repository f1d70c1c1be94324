package providertest

import (
	"errors"
	"strings"
	"time"

	"github.com/readthrough/readthrough/provider"
)

func sizeCases() []testCase {
	return []testCase{
		{
			"huge",
			because("A store that will not keep an entry because of its size returns an error that matches ErrTooLarge and keeps nothing under the key. The cache then serves the value uncached; the entry that was there before is older than what was loaded, and a truncated one is wrong."),
			checkHuge,
		},
		{
			"many-bytes",
			because("A store stays usable, and keeps its answers right, when it is given more than it may be able to hold: it drops entries, and never mixes them up."),
			func(s *session) {
				chunk := strings.Repeat("x", 256<<10)
				const n = 32
				for i := range n {
					err := s.store.Set(s.ctx(), k(valueNo(i)), provider.Entry{Value: valueNo(i) + chunk}, time.Hour)
					if err != nil && !errors.Is(err, provider.ErrTooLarge) {
						s.fatalf("Set of 256 KiB: error %v, which does not match ErrTooLarge", err)
					}
				}
				for i := range n {
					if entry, found := s.get(k(valueNo(i))); found {
						s.wantEntry(k(valueNo(i)), entry, provider.Entry{Value: valueNo(i) + chunk})
					}
				}
				s.set(k("small"), "value", time.Hour)
				s.want(k("small"), "value")
			},
		},
	}
}

func checkHuge(s *session) {
	huge := strings.Repeat("0123456789abcdef", 1<<20)
	key := k("key")
	s.set(key, "what was there before", time.Hour)
	err := s.store.Set(s.ctx(), key, provider.Entry{Value: huge}, time.Hour)
	switch {
	case errors.Is(err, provider.ErrTooLarge):
		s.wantMiss(key)
	case err != nil:
		s.errorf("Set of 16 MiB: error %v, which does not match ErrTooLarge", err)
	default:
		s.wantDroppedOr(key, huge)
	}
	s.set(key, "small", time.Hour)
	s.want(key, "small")
}

// wantDroppedOr checks that key holds value or nothing.
func (s *session) wantDroppedOr(key provider.Key, value string) {
	s.t.Helper()
	entry, found := s.get(key)
	if found {
		s.wantEntry(key, entry, provider.Entry{Value: value})
	}
}
